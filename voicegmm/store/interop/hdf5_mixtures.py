"""Mixtures in the HDF5 of bob and of SIDEKIT.

bob (bob.learn.em): ``weights``, ``gaussians/means``, ``gaussians/variances``; before its version 3
``m_weights`` and a group ``m_gaussiansN`` for each. SIDEKIT: ``w``, ``mu``, ``invcov``, and its
constants ``det``, ``cst`` and ``a``, which follow from these; the names may have a prefix.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import DataError, FormatError
from voicegmm._base.files import whole_file
from voicegmm.mixture import DiagonalGMM, FullGMM
from voicegmm.store.datasets import read_array
from voicegmm.store.hdf5 import open_foreign
from voicegmm.store.interop.mixtures import (
    LOG_2_PI,
    Complaint,
    diagonal,
    full,
    inverses,
    log_determinants,
    verify,
)

_TOLERANCE = 1e-6
_LARGEST_LOG = 600.0  # of a determinant that a double can tell
_BOB_STATE = {
    "trainer": "ml",
    "convergence_threshold": 1e-5,
    "max_fitting_steps": 200,
    "update_means": True,
    "update_variances": False,
    "update_weights": False,
}


def is_bob(file: h5py.File) -> bool:
    """Whether an HDF5 file holds a mixture of bob."""
    return "gaussians" in file or "m_n_gaussians" in file


def sidekit_prefixes(file: h5py.File) -> list[str]:
    """Give the prefixes of the mixtures of SIDEKIT in an HDF5 file."""
    ends = [name.removesuffix("invcov") for name in file if name.endswith("invcov")]
    return [prefix for prefix in ends if f"{prefix}w" in file and f"{prefix}mu" in file]


def read_hdf5_mixtures(path: str | os.PathLike[str]) -> dict[str, DiagonalGMM | FullGMM]:
    """Read the mixtures of an HDF5 file of bob (any version) or of SIDEKIT.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to DiagonalGMM or FullGMM
        SIDEKIT's by their prefix; without one, and bob's, by the file's name without its suffix.

    Raises
    ------
    FormatError
        If there is none, or one is damaged: SIDEKIT's constants must fit weights and covariances.
    """
    name = Path(path).stem

    def complain(message: str) -> FormatError:
        return FormatError(f"{path}: {message}")

    with open_foreign(path) as file:
        if "m_n_gaussians" in file:
            return {name: _old_bob(file, complain)}
        if is_bob(file):
            return {name: _bob(file, complain)}
        found = {
            prefix.strip("/_") or name: _sidekit(file, prefix, complain)
            for prefix in sidekit_prefixes(file)
        }
    if not found:
        raise complain("holds a mixture neither of bob nor of SIDEKIT")
    return found


def _bob(file: h5py.File, complain: Complaint) -> DiagonalGMM:
    if not isinstance(file["gaussians"], h5py.Group):
        raise complain("gaussians must be a group")
    weights = read_array(file, "weights", (None,), np.float64)
    means = read_array(file["gaussians"], "means", (len(weights), None), np.float64)
    variances = read_array(file["gaussians"], "variances", means.shape, np.float64)
    return diagonal(weights, means, variances, complain)


def _old_bob(file: h5py.File, complain: Complaint) -> DiagonalGMM:
    weights = _flat(file, "m_weights", complain)
    if len(weights) > len(file):
        raise complain(f"{len(weights)} weights, and not as many groups m_gaussiansN")
    groups = [file.get(f"m_gaussians{number}") for number in range(len(weights))]
    if not all(isinstance(group, h5py.Group) for group in groups):
        raise complain(f"{len(weights)} weights, and not as many groups m_gaussiansN")
    means = [_flat(group, "m_mean", complain) for group in groups]
    variances = [_flat(group, "m_variance", complain) for group in groups]
    if len({len(row) for row in means + variances}) != 1:
        raise complain("means and variances must all be as long")
    return diagonal(weights, means, variances, complain)


def _flat(group: h5py.Group, name: str, complain: Complaint) -> Float64Array:
    found = group.get(name)
    if not isinstance(found, h5py.Dataset):
        raise complain(f"{name} is missing")
    return np.asarray(read_array(group, name, found.shape, np.float64), np.float64).reshape(-1)


def _sidekit(file: h5py.File, prefix: str, complain: Complaint) -> DiagonalGMM | FullGMM:
    weights = _flat(file, f"{prefix}w", complain)
    means = read_array(file, f"{prefix}mu", (len(weights), None), np.float64)
    inverse = file[f"{prefix}invcov"]
    is_full = isinstance(inverse, h5py.Dataset) and inverse.ndim == 3
    shape = (*means.shape, means.shape[1]) if is_full else means.shape
    precisions = read_array(file, f"{prefix}invcov", shape, np.float64)
    spreads = inverses(precisions, f"{prefix}invcov", complain)
    gmm = (full if is_full else diagonal)(weights, means, spreads, complain)
    _verify_constants(file, prefix, gmm, complain)
    return gmm


def _verify_constants(
    file: h5py.File, prefix: str, gmm: DiagonalGMM | FullGMM, complain: Complaint
) -> None:
    log_dets = log_determinants(gmm)
    told = np.abs(log_dets) < _LARGEST_LOG
    for name, logs in (("det", log_dets), ("cst", -0.5 * (gmm.n_dims * LOG_2_PI + log_dets))):
        if f"{prefix}{name}" in file:
            stated = _flat(file, f"{prefix}{name}", complain) if told.all() else np.exp(logs)
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.log(stated)
            tolerance = _TOLERANCE * (1 + np.abs(log_dets))
            verify(found, logs, tolerance, f"the log of {prefix}{name}", complain)
    if f"{prefix}a" in file and isinstance(gmm, DiagonalGMM) and told.all():
        terms, size = _terms(gmm)
        verify(_flat(file, f"{prefix}a", complain), terms, _TOLERANCE * size, "a", complain)


def _terms(gmm: DiagonalGMM) -> tuple[Float64Array, Float64Array]:
    """Give SIDEKIT's `a`, m' Sigma^-1 m - 2 log(w c), and the size of what it is a sum of."""
    with np.errstate(over="ignore"):
        energy = (gmm.means**2 / gmm.variances_by_dim()).sum(1)
    log_dets = log_determinants(gmm)
    with np.errstate(divide="ignore"):
        logs = np.log(gmm.weights)
    terms = energy - 2 * logs + gmm.n_dims * LOG_2_PI + log_dets
    size = 1 + energy + 2 * np.abs(np.nan_to_num(logs, neginf=0)) + gmm.n_dims + np.abs(log_dets)
    return terms, size


@contextmanager
def _new(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Make an HDF5 file in memory, and write it in one go."""
    with whole_file(path) as temporary:
        with h5py.File(temporary, "w", driver="core", backing_store=False) as file:
            yield file
            file.flush()
            image = file.id.get_file_image()
        temporary.write_bytes(image)


def write_bob(path: str | os.PathLike[str], gmm: DiagonalGMM) -> None:
    """Write a diagonal mixture as a GMMMachine of bob (format 1.0), whole or not at all.

    What bob keeps beside the mixture (how it was trained, the floor of the variances) has bob's
    defaults.
    """
    with _new(path) as file:
        file.attrs["file_version"] = "1.0"
        file.attrs["writer_class"] = "<class 'bob.learn.em.GMMMachine'>"
        file["n_gaussians"] = gmm.n_components
        for name, value in _BOB_STATE.items():
            file[name] = value
        file["weights"] = gmm.weights
        gaussians = file.create_group("gaussians")
        gaussians["means"] = gmm.means
        gaussians["variances"] = gmm.variances_by_dim()
        gaussians["variance_thresholds"] = float(np.finfo(np.float64).eps)


def write_sidekit(path: str | os.PathLike[str], gmm: DiagonalGMM) -> None:
    """Write a diagonal mixture as SIDEKIT's Mixture.write does, whole or not at all.

    Raises
    ------
    DataError
        If a constant that SIDEKIT keeps is too large or too small for a double.
    """
    variances = gmm.variances_by_dim()
    log_dets = log_determinants(gmm)
    with np.errstate(over="ignore", under="ignore"):
        determinants = np.exp(log_dets)
        constants = np.exp(-0.5 * (gmm.n_dims * LOG_2_PI + log_dets))
    if not (np.isfinite(constants).all() and (constants > 0).all() and (gmm.weights > 0).all()):
        raise DataError(
            "SIDEKIT's files cannot hold this mixture: a weight is 0, or 1 / sqrt|2 pi Sigma| is "
            "beyond what a double can tell; bring the dimensions to another scale"
        )
    arrays: Mapping[str, npt.NDArray[np.float64]] = {
        "w": gmm.weights,
        "mu": gmm.means,
        "invcov": 1 / variances,
        "invchol": np.empty(0),
        "cov_var_ctl": np.tile(gmm.spread()[1], (gmm.n_components, 1)),
        "cst": constants,
        "det": np.nan_to_num(determinants),
        "a": _terms(gmm)[0],
    }
    with _new(path) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip", fletcher32=True)
