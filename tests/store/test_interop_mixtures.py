"""Mixtures of Kaldi, HTK, ALIZE, scikit-learn and NumPy, in and out."""

import re
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from foreign_files import alize, kaldi_diagonal, kaldi_matrix, kaldi_vector, small_mixture
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, FormatError
from voicegmm.mixture import DiagonalGMM, FullGMM, SphericalGMM, TiedGMM, log_density
from voicegmm.store.interop import (
    diagonal_of,
    from_scikit_learn,
    read_kaldi_mixture,
    read_mixtures,
    recognize,
    write_mixture,
)

W, M, V = small_mixture()
GMM = DiagonalGMM(W, M, V)
FRAMES = np.random.default_rng(1).normal(0, 2, (20, 4))


def brute_force(weights, means, covariances):
    """log p(x) of each frame, Gaussian by Gaussian."""
    densities = np.zeros(len(FRAMES))
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        inverse, det = np.linalg.inv(covariance), np.linalg.det(covariance)
        norm = ((2 * np.pi) ** len(mean) * det) ** -0.5
        for number, x in enumerate(FRAMES):
            densities[number] += weight * norm * np.exp(-0.5 * (x - mean) @ inverse @ (x - mean))
    return np.log(densities)


def read(path):
    (gmm,) = read_mixtures(path).values()
    return gmm


def full(seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(3, 4, 4))
    return FullGMM(W, M, roots @ np.swapaxes(roots, 1, 2) + np.eye(4))


def test_kaldis_diagonal_mixture(tmp_path):
    path = tmp_path / "final.dubm"
    path.write_bytes(kaldi_diagonal(W, M, V))
    assert recognize(path) == "kaldi mixture"
    expected = brute_force(W, M, [np.diag(v) for v in V])
    np.testing.assert_allclose(log_density(read(path), FRAMES), expected, rtol=1e-5)
    assert list(read_mixtures(path)) == ["final"]
    write_mixture(tmp_path / "ours", GMM, "kaldi")
    assert (tmp_path / "ours").read_bytes()[-120:] == path.read_bytes()[-120:]


# 2 components of 2 dimensions, as gmm-global-copy --binary=false writes such; old tokens as well.
TEXT = """<DiagGMM> 
<GCONSTS>  [ -3.820745 -8.472133 ]
<WEIGHTS>  [ 0.25 0.75 ]
<MEANS_INVVARS>  [
  0.5 0 
  4 -1 ]
<INV_VARS>  [
  0.5 1 
  2 0.25 ]
</DiagGMM> 
"""  # noqa: W291 - as Kaldi writes it


def test_kaldis_text(tmp_path):
    (tmp_path / "t").write_text(TEXT)
    gmm = read(tmp_path / "t")
    np.testing.assert_allclose(gmm.weights, [0.25, 0.75])
    np.testing.assert_allclose(gmm.means, [[1, 0], [2, -4]])
    np.testing.assert_allclose(gmm.variances, [[2, 1], [0.5, 4]])
    # log .25 - (2 log 2 pi + log 2 + 1/2) / 2, and so on: typed in above.
    old = TEXT.replace("<DiagGMM>", "<DiagGMMBegin>").replace("</DiagGMM>", "<DiagGMMEnd>")
    (tmp_path / "old").write_text(re.sub("<GCONSTS>.*\n", "", old))
    np.testing.assert_array_equal(read(tmp_path / "old").variances, gmm.variances)
    (tmp_path / "t").write_text(TEXT.replace("-3.820745", "-3.920745"))
    with pytest.raises(
        FormatError, match=r"t: .*<GCONSTS> of component 0 is -3.920745, and .* -3.820745"
    ):
        read(tmp_path / "t")


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=6)
def test_kaldis_mixtures_come_back(tmp_path_factory, seed, as_text):
    """The same bytes when written again: the natural parameters are kept to the last bit."""
    folder = tmp_path_factory.mktemp("kaldi")
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 9, 4) / 32
    weights[0] += 1 - weights.sum()  # a sum of exactly 1, in single precision too
    _, m, v = small_mixture(seed, 4, 3)
    roots = rng.normal(size=(4, 3, 3))
    for gmm in (
        DiagonalGMM(weights, m, v),
        FullGMM(weights, m, roots @ np.swapaxes(roots, 1, 2) + np.eye(3)),
    ):
        write_mixture(folder / "a", gmm, "kaldi", as_text=as_text)
        found = read(folder / "a")
        assert type(found) is type(gmm)
        np.testing.assert_allclose(found.means, m, rtol=1e-5, atol=1e-5)
        assert np.array_equal(found.weights, weights)
        if isinstance(gmm, DiagonalGMM):
            np.testing.assert_allclose(found.variances, v, rtol=1e-6)
            write_mixture(folder / "b", found, "kaldi", as_text=as_text)
            assert _without_constants(folder / "a") == _without_constants(folder / "b")
        else:
            np.testing.assert_allclose(found.covariances, gmm.covariances, rtol=1e-4, atol=1e-5)


def _without_constants(path):
    content = path.read_bytes()
    return content[content.index(b"<WEIGHTS>") :]


def test_nans_that_signal_are_refused_without_a_warning(tmp_path):
    content = kaldi_diagonal(W, M, V)
    for name in (b"<MEANS_INVVARS> ", b"<INV_VARS> "):
        at = content.index(name) + len(name) + 3 + 10  # behind FM and two sizes
        (tmp_path / "x").write_bytes(content[:at] + b"\x01\x00\x80\x7f" + content[at + 4 :])
        with pytest.raises(FormatError, match=r"x: .*must be finite"):
            read(tmp_path / "x")


def test_kaldis_full_mixture(tmp_path):
    gmm = full()
    for as_text in (False, True):
        write_mixture(tmp_path / "f", gmm, "kaldi", as_text=as_text)
        found = read(tmp_path / "f")
        expected = brute_force(W, M, gmm.covariances)
        np.testing.assert_allclose(log_density(found, FRAMES), expected, rtol=1e-5)
    tied = TiedGMM(W, M, gmm.covariances[0])
    write_mixture(tmp_path / "t", tied, "kaldi")
    expected = brute_force(W, M, [gmm.covariances[0]] * 3)
    np.testing.assert_allclose(log_density(read(tmp_path / "t"), FRAMES), expected, rtol=1e-5)


def test_kaldis_own_numbers(shared, tmp_path):
    """Two mixtures as Kaldi kept them, its own constants among them, and what it made of frames."""
    with np.load(shared("oracles/kaldi/em_k64.npz")) as oracle:
        held = {name: oracle[name] for name in oracle.files if name.startswith(("m0.", "m1"))}
        frames = oracle["feats"][:500]
    for model in ("m0", "m1_full"):
        parts = [b"\0B<DiagGMM> "]
        for name in ("gconsts", "weights", "means_invvars", "inv_vars"):
            values = held[f"{model}.{name}"].astype(np.float32)
            write = kaldi_matrix if values.ndim == 2 else kaldi_vector
            parts.append(f"<{name.upper()}> ".encode() + write(values))
        (tmp_path / model).write_bytes(b"".join([*parts, b"</DiagGMM> "]))
        gmm = read(tmp_path / model)
        np.testing.assert_allclose(gmm.variances, held[f"{model}.vars"], rtol=1e-6)
        np.testing.assert_allclose(gmm.means, held[f"{model}.means"], rtol=1e-5, atol=1e-5)
        write_mixture(tmp_path / "again", gmm, "kaldi")
        content = (tmp_path / "again").read_bytes()
        assert content[content.index(b"<MEANS_INVVARS>") :] == b"".join(
            [*parts[3:], b"</DiagGMM> "]
        )
        constants = np.frombuffer(content, "<f4", 64, content.index(b"<GCONSTS>") + 18)
        np.testing.assert_allclose(constants, held[f"{model}.gconsts"], rtol=1e-5)
    stated = held["m0.frame_loglik"][:500]
    np.testing.assert_allclose(log_density(read(tmp_path / "m0"), frames), stated, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[:-20], "cut off|was expected"),
        (lambda c: c + b"x", "something follows the mixture"),
        (lambda c: c.replace(b"<WEIGHTS>", b"<WEIGHT> "), "<WEIGHTS> was expected, got '<WEIGHT>'"),
        (lambda c: c.replace(b"<INV_VARS> FM", b"<INV_VARS> FQ"), "was expected, got 'FQ'"),
        (lambda c: c[:26] + b"\xff\xff\xff\x7f" + c[30:], "a vector must be 8589934588 bytes"),
        (lambda c: c[:-12] + b"\0\0\0\0" + b"</DiagGMM> ", "was expected, got|positive"),
        (lambda c: c[:40] + bytes([c[40] ^ 0x40]) + c[41:], "of component|sum to 1"),
    ],
)
def test_damaged_mixtures_of_kaldi(tmp_path, change, message):
    (tmp_path / "d").write_bytes(change(kaldi_diagonal(W, M, V)))
    with pytest.raises(FormatError, match=rf"/d: .*({message})"):
        read_kaldi_mixture(tmp_path / "d")


def htk_model(weights, means, variances, constant=True):
    """A model of one emitting state, as HERest writes it."""
    n_dims = means.shape[1]
    lines = [
        "~o\n<STREAMINFO> 1 4\n<VECSIZE> 4<NULLD><MFCC_E><DIAGC>",
        '~h "ubm"\n<BEGINHMM>\n<NUMSTATES> 3\n<STATE> 2',
        f"<NUMMIXES> {len(weights)}",
    ]
    for number, (w, m, v) in enumerate(zip(weights, means, variances, strict=True), 1):
        lines.append(f"<MIXTURE> {number} {w:e}")
        lines.append(f"<MEAN> {n_dims}\n " + " ".join(f"{x:e}" for x in m))
        lines.append(f"<VARIANCE> {n_dims}\n " + " ".join(f"{x:e}" for x in v))
        if constant:
            lines.append(f"<GCONST> {n_dims * np.log(2 * np.pi) + np.log(v).sum():e}")
    lines.append("<TRANSP> 3\n 0 1 0\n 0 0.6 0.4\n 0 0 0\n<ENDHMM>\n")
    return "\n".join(lines)


def test_htks_models(tmp_path):
    path = tmp_path / "hmmdefs"
    expected = brute_force(W, M, [np.diag(v) for v in V])
    for constant in (True, False):
        path.write_text(htk_model(W, M, V, constant))
        assert recognize(path) == "htk models"
        assert list(read_mixtures(path)) == ["ubm"]
        np.testing.assert_allclose(log_density(read(path), FRAMES), expected, rtol=1e-5)


# Macros for a state, a mean, a variance, a Gaussian and a transition matrix; two emitting states.
MACROS = """~o <VecSize> 2 <MFCC> <nullD> <diagC>
~t "move" <TransP> 4 0 1 0 0  0 .5 .5 0  0 0 .5 .5  0 0 0 0
~u "middle" <Mean> 2 1.0 2.0
~v "wide" <Variance> 2 4 9
~m "one" <Mean> 2 0 0 <Variance> 2 1 1 <GConst> 3.675754
~s "shared" <NumMixes> 2 <Mixture> 1 .25 ~m "one" <Mixture> 2 .75 ~u "middle" ~v "wide"
~h 'a b'
<BeginHMM> <NumStates> 4
 <State> 2 ~s "shared"
 <State> 3 <Mean> 2 5 6 ~v "wide"
 ~t "move"
<EndHMM>
"""


def test_macros_of_htk(tmp_path):
    (tmp_path / "x.mmf").write_text(MACROS)
    found = read_mixtures(tmp_path / "x.mmf")
    assert list(found) == ["a b.2", "a b.3"]
    np.testing.assert_array_equal(found["a b.2"].weights, [0.25, 0.75])
    np.testing.assert_array_equal(found["a b.2"].means, [[0, 0], [1, 2]])
    np.testing.assert_array_equal(found["a b.2"].variances, [[1, 1], [4, 9]])
    np.testing.assert_array_equal(found["a b.3"].means, [[5, 6]])
    np.testing.assert_array_equal(found["a b.3"].variances, [[4, 9]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("3.675754", "3.7"), r"<GConst> of component 0 is 3\.7, .* 3\.675754"),
        (lambda t: t.replace("4 9", "4 -9"), "variances must be"),
        (lambda t: t.replace(".75 ~u", ".5 ~u"), "weights must be 0 or more and sum to 1"),
        (lambda t: t.replace('~v "wide"\n ~t', '~v "wid"\n ~t'), 'line 10: ~v "wid" is not d'),
        (lambda t: t.replace("<Variance> 2 1 1", "<InvCovar> 2 1 0 1"), "line 5: <InvCovar>: only"),
        (lambda t: t.replace("<diagC>", "<FullC>"), "line 1: <FullC>: only diagonal"),
        (lambda t: t.replace("<VecSize> 2", "<StreamInfo> 2 1 1"), "line 1: only models of one st"),
        (lambda t: t.replace("<Mean> 2 5 6", "<Mean> 3 5 6"), "line 10: a number was expected"),
        (lambda t: t.replace("<Mean> 2 5 6", "<Mean> 999999999999 5 6"), "a count up to 100000"),
        (lambda t: t.replace("<Mean> 2 5 6", "<Mean> 1 5"), "must all|must be as long"),
        (lambda t: t[: t.index("<State> 3")], "line 9: <endhmm> was expected"),
        (lambda t: t[: t.index("5 6")], "line 10: the file ends within a definition"),
        (lambda t: t[: t.index("~h")], "no model"),
        (lambda t: t.replace("~t \"move\" <", "~x <"), "line 2: ~o, ~h, .* are read, got '~x'"),
        (lambda t: t.replace("<Mixture> 2", "<Mixture> 1"), "mixture 1 of 2 is there twice"),
    ],
)  # fmt: skip
def test_what_htks_models_must_not_be(tmp_path, change, message):
    (tmp_path / "x.mmf").write_text(change(MACROS))
    with pytest.raises(FormatError, match=rf"x\.mmf: .*{message}"):
        read_mixtures(tmp_path / "x.mmf")


@pytest.mark.parametrize("order", ["<", ">"])
def test_alizes_mixtures(tmp_path, order):
    path = tmp_path / "world.gmm"
    content = alize(W, M, V, order)
    path.write_bytes(content)
    assert recognize(path) == "alize"
    gmm = read(path)
    np.testing.assert_allclose(gmm.means, M, rtol=1e-15)
    np.testing.assert_allclose(gmm.variances, V, rtol=1e-15)
    (tmp_path / "narrow").write_bytes(alize(W, M[:, :1], V[:, :1], order))
    np.testing.assert_allclose(read(tmp_path / "narrow").variances, V[:, :1], rtol=1e-15)
    # The determinant is the second number of a component, 8 bytes behind its constant.
    place = 8 + 8 * 3 + 8
    for at, name in ((place, "determinant"), (place - 8, "constant")):
        (value,) = struct.unpack_from(f"{order}d", content, at)
        wrong = bytearray(content)
        struct.pack_into(f"{order}d", wrong, at, value * 1.01)
        path.write_bytes(wrong)
        with pytest.raises(FormatError, match=f"log of the {name} of component 0"):
            read(path)
    path.write_bytes(content[:-1])
    with pytest.raises(FormatError, match="not recognized"):
        read(path)


@pytest.mark.parametrize(("n_dims", "given_too"), [(4, False), (4, True), (2, False)])
def test_alizes_full_mixtures(tmp_path, n_dims, given_too):
    """With 2 dimensions a full one has the size of a diagonal one with covariances."""
    whole = full()
    gmm = FullGMM(W, M[:, :n_dims], whole.covariances[:, :n_dims, :n_dims])
    content = struct.pack("<II", 3, n_dims) + W.tobytes()
    for mean, covariance in zip(gmm.means, gmm.covariances, strict=True):
        det = np.linalg.det(covariance)
        content += struct.pack("<dd", (det * (2 * np.pi) ** n_dims) ** -0.5, det)
        content += bytes([given_too]) + (covariance.tobytes() if given_too else b"")
        content += np.linalg.inv(covariance).tobytes() + mean.tobytes()
    (tmp_path / "f").write_bytes(content)
    np.testing.assert_allclose(read(tmp_path / "f").covariances, gmm.covariances, rtol=1e-9)


MIXTURES = {
    "full": full(),
    "tied": TiedGMM(W, M, full().covariances[0]),
    "diag": GMM,
    "spherical": SphericalGMM(W, M, V[:, 0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MIXTURES)
def test_scikit_learns_mixtures(kind):
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(3)
    frames = rng.normal(size=(200, 3)) + 4 * rng.integers(0, 2, (200, 1))
    theirs = GaussianMixture(2, covariance_type=kind, random_state=0).fit(frames)
    ours = from_scikit_learn(theirs)
    np.testing.assert_allclose(log_density(ours, frames), theirs.score_samples(frames), rtol=1e-9)
    with pytest.raises(DataError, match="GaussianMixture has no weights_; give a fitted"):
        from_scikit_learn(GaussianMixture())


def test_what_looks_like_scikit_learns():
    shape = {"weights_": W, "means_": M, "covariances_": V, "covariance_type": "diag"}
    assert np.array_equal(from_scikit_learn(SimpleNamespace(**shape)).variances, V)
    with pytest.raises(DataError, match=r"weights_ must sum to 1, they sum to 2"):
        from_scikit_learn(SimpleNamespace(**shape | {"weights_": 2 * W}))
    with pytest.raises(DataError, match="has no means_; give a fitted GaussianMixture"):
        from_scikit_learn(SimpleNamespace(weights_=W))


@pytest.mark.parametrize("kind", MIXTURES)
def test_numpys_mixtures_of_every_shape(kind, tmp_path):
    gmm = MIXTURES[kind]
    write_mixture(tmp_path / "x.npz", gmm, "npz")
    assert recognize(tmp_path / "x.npz") == "npz mixture"
    again = read(tmp_path / "x.npz")
    assert type(again) is type(gmm)
    np.testing.assert_array_equal(log_density(again, FRAMES), log_density(gmm, FRAMES))
    np.testing.assert_array_equal(diagonal_of(again).variances, gmm.variances_by_dim())


def test_arrays_of_scikit_learn_in_an_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, weights=W, means=M, variances=V)
    np.testing.assert_array_equal(read(path).variances, V)
    np.savez(path, weights=W, means=M, covariances=full().covariances)
    assert isinstance(read(path), FullGMM)
    np.savez(path, weights=W, means=M)
    with pytest.raises(FormatError, match="covariances is missing"):
        read(path)
    np.savez(path, weights=W, means=M[:, :3], covariances=np.eye(3))
    with pytest.raises(FormatError, match="covariance_type is missing: diag and tied"):
        read(path)
    np.savez(path, weights=W, means=M, covariances=-V, covariance_type="diag")
    with pytest.raises(FormatError, match=r"x\.npz: variances must"):
        read(path)
    np.savez(path, weights=2 * W, means=M, covariances=V)
    with pytest.raises(FormatError, match="sum to 1, they sum to 2"):
        read(path)


def test_numbers_that_overflow_are_refused_without_a_warning(tmp_path):
    tiny = struct.pack("<f", 1e-44)
    content = kaldi_diagonal(W, M, V)
    at = content.index(b"<INV_VARS>") + len(b"<INV_VARS> FM ") + 10
    (tmp_path / "o").write_bytes(content[:at] + tiny + content[at + 4 :])
    with pytest.raises(FormatError, match="/o: .*<GCONSTS> of component 0"):
        read(tmp_path / "o")
    (tmp_path / "t").write_text(TEXT.replace("4 -1 ]", "4e300 -1 ]"))
    with pytest.raises(FormatError, match="/t: .*means must be finite"):
        read(tmp_path / "t")
    text = MACROS.replace("<Variance> 2 4 9", "<Variance> 2 1e-320 9").replace("1.0 2.0", "1e300 2")
    (tmp_path / "m").write_text(text)
    assert read_mixtures(tmp_path / "m")["a b.2"].means[1, 0] == 1e300


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="bob's files take diagonal covariances, these are full"):
        write_mixture(tmp_path / "x", full(), "bob")
    tiny = DiagonalGMM([1.0], np.zeros((1, 200)), np.full((1, 200), 1e-30))
    with pytest.raises(DataError, match="SIDEKIT's files cannot hold this mixture"):
        write_mixture(tmp_path / "x", tiny, "sidekit")
    with pytest.raises(DataError, match="too large for single precision, which Kaldi keeps"):
        write_mixture(tmp_path / "x", DiagonalGMM([1.0], [[1.0]], [[1e-40]]), "kaldi")
    assert not list(tmp_path.iterdir())
