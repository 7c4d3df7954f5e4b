"""Files that the other programs themselves write, and ours as they read them.

Each test is skipped by name where its program is not installed: `pip install kaldiio
kaldi-native-io bob.learn.em sidekit`, one at a time where they do not go together.
"""

import numpy as np
import pytest
from foreign_files import small_mixture

from voicegmm.mixture import DiagonalGMM, log_density
from voicegmm.store.interop import (
    ForeignArray,
    read_arrays,
    read_mixtures,
    write_archive,
    write_htk,
    write_mixture,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

W, M, V = small_mixture()
GMM = DiagonalGMM(W, M, V)
RNG = np.random.default_rng(0)
FRAMES = RNG.normal(0, 2, (20, 4))
ARRAYS = {
    "a": RNG.normal(0, 10, (20, 5)).astype(np.float32),
    "b": RNG.normal(0, 1e-3, (9, 5)).astype(np.float32),
    "c": RNG.normal(0, 10, (1, 5)).astype(np.float32),
    "d": np.full((3, 5), 2.5, np.float32),
}


def read(path):
    return {array.name: array.values for array in read_arrays(path)}


def same(found, expected, atol=0.0):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=atol)


def test_kaldiio(tmp_path):
    kaldiio = pytest.importorskip("kaldiio")
    arrays = ARRAYS | {"e": ARRAYS["a"].astype(np.float64), "v": ARRAYS["a"][0]}
    for options in ("ark,scp:{0}/x.ark,{0}/x.scp", "ark,t:{0}/t.ark"):
        with kaldiio.WriteHelper(options.format(tmp_path)) as writer:
            for name, values in arrays.items():
                writer[name] = values
    same(read(tmp_path / "x.ark"), arrays)
    same(read(tmp_path / "x.scp"), arrays)
    same(read(tmp_path / "t.ark"), arrays)
    items = [ForeignArray(*item) for item in arrays.items()]
    for as_text in (False, True):
        write_archive(tmp_path / "y.ark", items, as_text=as_text, script=tmp_path / "y.scp")
        same(dict(kaldiio.load_ark(str(tmp_path / "y.ark"))), arrays)
        same(dict(kaldiio.load_scp_sequential(str(tmp_path / "y.scp"))), arrays)


def test_kaldi_native_io(tmp_path):
    """It is Kaldi's own code, so also what Kaldi makes of each kind of compression."""
    kaldi = pytest.importorskip("kaldi_native_io")
    kinds = [name for name in dir(kaldi.CompressionMethod) if name.startswith("k")]
    assert len(kinds) == 7
    for kind in kinds:
        with kaldi.CompressedMatrixWriter(f"ark:{tmp_path}/c.ark") as writer:
            for name, values in ARRAYS.items():
                writer.write(name, values, getattr(kaldi.CompressionMethod, kind))
        with kaldi.SequentialFloatMatrixReader(f"ark:{tmp_path}/c.ark") as reader:
            theirs = {name: np.array(values) for name, values in reader}
        # The last bit of single precision, of values up to 30.
        same(read(tmp_path / "c.ark"), theirs, atol=2e-6)
    for form in ("ark", "ark,t"):
        with kaldi.FloatMatrixWriter(f"{form},scp:{tmp_path}/x.ark,{tmp_path}/x.scp") as writer:
            for name, values in ARRAYS.items():
                writer.write(name, values)
        # Kaldi's text has six digits.
        for path in (tmp_path / "x.ark", tmp_path / "x.scp"):
            same(read(path), ARRAYS, atol=1e-4 if form == "ark,t" else 0.0)
    for as_text in (False, True):
        items = [ForeignArray(*item) for item in ARRAYS.items()]
        write_archive(tmp_path / "y.ark", items, as_text=as_text, script=tmp_path / "y.scp")
        for rspecifier in (f"ark:{tmp_path}/y.ark", f"scp:{tmp_path}/y.scp"):
            with kaldi.SequentialFloatMatrixReader(rspecifier) as reader:
                same({name: np.array(values) for name, values in reader}, ARRAYS)


def test_kaldi_native_io_reads_htk(tmp_path):
    kaldi = pytest.importorskip("kaldi_native_io")
    write_htk(tmp_path / "a.htk", ForeignArray("a", ARRAYS["a"]), 0.0125)
    (tmp_path / "x.scp").write_text(f"a {tmp_path / 'a.htk'}\n")
    with kaldi.SequentialHtkMatrixReader(f"scp:{tmp_path}/x.scp") as reader:
        for _, found in reader:
            values, header = found if isinstance(found, tuple) else (found.matrix, found.header)
            np.testing.assert_array_equal(np.array(values), ARRAYS["a"])
            assert header.sample_period == 125_000


def test_bob(tmp_path):
    em = pytest.importorskip("bob.learn.em")
    machine = em.GMMMachine(3)
    machine.weights, machine.means, machine.variances = W, M, V
    machine.save(str(tmp_path / "theirs.hdf5"))
    (gmm,) = read_mixtures(tmp_path / "theirs.hdf5").values()
    np.testing.assert_array_equal(gmm.means, M)
    np.testing.assert_allclose(log_density(gmm, FRAMES), machine.log_likelihood(FRAMES), rtol=1e-12)
    write_mixture(tmp_path / "ours.hdf5", GMM, "bob")
    again = em.GMMMachine.from_hdf5(str(tmp_path / "ours.hdf5"))
    np.testing.assert_array_equal(again.variances, V)
    np.testing.assert_allclose(again.log_likelihood(FRAMES), log_density(GMM, FRAMES), rtol=1e-12)


def test_sidekit(tmp_path):
    sidekit = pytest.importorskip("sidekit")
    mixture = sidekit.Mixture()
    mixture.w, mixture.mu, mixture.invcov, mixture.cov_var_ctl = W, M, 1 / V, V
    mixture._compute_all()
    mixture.write(str(tmp_path / "theirs.h5"))
    mixture.write_alize(str(tmp_path / "theirs.gmm"))
    write_mixture(tmp_path / "ours.h5", GMM, "sidekit")
    for name in ("theirs.h5", "theirs.gmm", "ours.h5"):
        (gmm,) = read_mixtures(tmp_path / name).values()
        np.testing.assert_array_equal(gmm.means, M)
        np.testing.assert_allclose(gmm.variances, V, rtol=1e-15)
    again = sidekit.Mixture(str(tmp_path / "ours.h5"))
    assert again.validate()
    joint = again.compute_log_posterior_probabilities(FRAMES)
    theirs = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(theirs, log_density(GMM, FRAMES), rtol=1e-12)
