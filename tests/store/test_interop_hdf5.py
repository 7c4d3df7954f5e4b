"""Mixtures of SIDEKIT and bob, which lie in HDF5, in and out."""

import h5py
import numpy as np
import pytest
from foreign_files import bob_file, sidekit_file, small_mixture

from voicegmm._base.errors import FormatError
from voicegmm.mixture import DiagonalGMM
from voicegmm.store.interop import read_hdf5_mixtures, read_mixtures, write_mixture

W, M, V = small_mixture()
GMM = DiagonalGMM(W, M, V)
FRAMES = np.random.default_rng(1).normal(0, 2, (20, 4))


def read(path):
    (gmm,) = read_mixtures(path).values()
    return gmm


@pytest.mark.slow
def test_sidekits_mixtures_are_read(tmp_path):
    found = read_mixtures(sidekit_file(tmp_path / "w.h5", "ubm_"))
    assert list(found) == ["ubm"]
    np.testing.assert_array_equal(found["ubm"].means, M)
    np.testing.assert_allclose(found["ubm"].variances, V, rtol=1e-15)


def test_sidekits_mixtures_are_written(tmp_path):
    write_mixture(tmp_path / "ours.h5", GMM, "sidekit")
    sidekit_file(tmp_path / "theirs.h5")
    with h5py.File(tmp_path / "ours.h5") as ours, h5py.File(tmp_path / "theirs.h5") as theirs:
        assert set(ours) == set(theirs)
        for name in set(theirs) - {"cov_var_ctl"}:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12)
            assert ours[name].compression == theirs[name].compression == "gzip"
        assert ours["cov_var_ctl"].shape == theirs["cov_var_ctl"].shape


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a", "det", "cst"])
def test_sidekits_constants_must_fit(tmp_path, name):
    sidekit_file(tmp_path / "x.h5", **{name: np.full(3, 1.5)})
    with pytest.raises(FormatError, match=rf"x\.h5: .*{name} of component 0"):
        read_mixtures(tmp_path / "x.h5")


def test_bobs_mixtures(tmp_path):
    gmm = read(bob_file(tmp_path / "theirs.hdf5"))
    for name, values in (("weights", W), ("means", M), ("variances", V)):
        np.testing.assert_array_equal(getattr(gmm, name), values)
    write_mixture(tmp_path / "ours.hdf5", gmm, "bob")
    items = {}
    for name in ("ours", "theirs"):
        with h5py.File(tmp_path / f"{name}.hdf5") as file:
            found = {}
            file.visititems(lambda key, item, to=found: to.update({key: _value(item)}))
            items[name] = (dict(file.attrs), found)
    assert items["ours"] == items["theirs"]


def _value(item):
    return (item.dtype.str, repr(item[()])) if isinstance(item, h5py.Dataset) else None


@pytest.mark.slow
def test_bobs_old_mixtures(tmp_path):
    """Of version 0, as bob's own files of tests have it: a group for each Gaussian."""
    with h5py.File(tmp_path / "old.hdf5", "w") as file:
        file["m_n_gaussians"], file["m_n_inputs"] = np.array([3]), np.array([4])
        file["m_weights"] = W.reshape(1, -1)
        for number in range(3):
            group = file.create_group(f"m_gaussians{number}")
            group["m_mean"], group["m_variance"] = M[number], V[number]
            group["m_variance_thresholds"] = np.full(4, 1e-5)
    gmm = read(tmp_path / "old.hdf5")
    np.testing.assert_array_equal(gmm.means, M)
    np.testing.assert_array_equal(gmm.variances, V)


@pytest.mark.slow
def test_weights_without_end_are_no_mixture_of_old_bob(tmp_path):
    """A file of a few kilobytes, in which a million groups would be looked for."""
    with h5py.File(tmp_path / "old.hdf5", "w") as file:
        file["m_n_gaussians"] = np.array([3])
        file.create_dataset("m_weights", data=np.zeros(10**6), compression="gzip")
    with pytest.raises(FormatError, match="1000000 weights, and not as many groups"):
        read(tmp_path / "old.hdf5")


@pytest.mark.slow
def test_texts_without_end_are_refused(tmp_path):
    """Text takes sixty bytes of memory for one in a file that is compressed a thousand times."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        names = np.full(6 * 10**6, b"a")
        file.create_dataset("names", data=names, compression="gzip", chunks=(10**6,))
    with pytest.raises(FormatError, match=r"/names holds more than \d+ texts"):
        read(tmp_path / "x.h5")


@pytest.mark.slow
def test_hdf5_without_a_mixture(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["array"] = np.zeros(3)
    with pytest.raises(FormatError, match=r"x\.h5: holds a mixture neither of bob nor of SIDEKIT"):
        read_hdf5_mixtures(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["w"] = h5py.ExternalLink("/etc/passwd", "/w")
    with pytest.raises(FormatError, match=r"x\.h5.*a link to another place"):
        read_mixtures(tmp_path / "x.h5")
