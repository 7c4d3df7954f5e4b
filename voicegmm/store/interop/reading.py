"""Frames and mixtures of whatever program wrote a file."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError, FormatError
from voicegmm.mixture import Mixture
from voicegmm.mixture.interchange import mixture_of
from voicegmm.store.interop.alize import read_alize
from voicegmm.store.interop.content import ForeignArray
from voicegmm.store.interop.hdf5_mixtures import read_hdf5_mixtures
from voicegmm.store.interop.htk import read_htk, read_htk_folder
from voicegmm.store.interop.htk_models import read_mmf
from voicegmm.store.interop.kaldi_archives import read_archive, read_script
from voicegmm.store.interop.kaldi_mixtures import read_kaldi_mixture
from voicegmm.store.interop.numpy_files import read_npy, read_npz, read_npz_mixture
from voicegmm.store.interop.recognition import recognize_start

_Path = str | os.PathLike[str]

_ARRAYS: dict[str, Callable[[_Path], Iterator[ForeignArray]]] = {
    "kaldi archive": read_archive,
    "kaldi script": read_script,
    "htk": read_htk,
    "htk folder": read_htk_folder,
    "npy": read_npy,
    "npz": read_npz,
}
_ONE_MIXTURE: dict[str, Callable[[_Path], Mixture]] = {
    "kaldi mixture": read_kaldi_mixture,
    "alize": read_alize,
    "npz mixture": read_npz_mixture,
}


def read_arrays(path: _Path) -> Iterator[ForeignArray]:
    """Read the matrices and vectors of a file of Kaldi's, HTK's or NumPy's, one by one.

    Parameters
    ----------
    path : path
        Recognized by its content; a folder holds files of HTK.

    Yields
    ------
    ForeignArray

    Raises
    ------
    FormatError
        If it is none of these, or damaged, or two have one name.
    """
    kind = recognize_start(path)
    if kind not in _ARRAYS:
        found = f"holds {kind}" if kind else "not recognized"
        raise FormatError(
            f"{path}: {found}; frames are read from Kaldi's archives and scp lists, HTK's "
            "parameter files, .npy and .npz"
        )
    return _each_once(_ARRAYS[kind](path), path)


def _each_once(arrays: Iterator[ForeignArray], path: _Path) -> Iterator[ForeignArray]:
    names: set[str] = set()
    for array in arrays:
        if array.name in names:
            raise FormatError(f"{path}: {array.name} stands there twice; which is meant?")
        names.add(array.name)
        yield array


def read_frames(path: _Path) -> dict[str, FloatArray]:
    """Read all frames of a file that another program wrote.

    Returns
    -------
    dict of str to (n_frames, n_dims) float array
        By recording; all of as many columns.

    Raises
    ------
    FormatError
        If it cannot be read, or holds something else than such matrices.
    """
    found = {array.name: array.values for array in read_arrays(path)}
    for name, frames in found.items():
        if frames.ndim != 2:
            raise FormatError(f"{path}: {name} must be a matrix, frames by rows, got a vector")
    widths = sorted({frames.shape[1] for frames in found.values()})
    if len(widths) != 1:
        raise FormatError(f"{path}: its matrices must have as many columns each, got {widths}")
    return found


def read_mixtures(path: _Path) -> dict[str, Mixture]:
    """Read the mixtures of a file of Kaldi's, HTK's, ALIZE's, bob's, SIDEKIT's or NumPy's.

    Parameters
    ----------
    path : path
        Recognized by its content.

    Returns
    -------
    dict of str to Mixture
        By the names they have there; of files that hold one, by the file's name without its suffix.

    Raises
    ------
    FormatError
        If it is none of these, or damaged.
    """
    kind = recognize_start(path)
    if kind in _ONE_MIXTURE:
        return {Path(path).stem: _ONE_MIXTURE[kind](path)}
    if kind == "htk models":
        return {**read_mmf(path)}
    if kind == "hdf5":
        return {**read_hdf5_mixtures(path)}
    found = f"holds {kind}" if kind else "not recognized"
    raise FormatError(
        f"{path}: {found}; mixtures are read of Kaldi, HTK (text), ALIZE (RAW), bob, SIDEKIT, and "
        "from .npz"
    )


def from_scikit_learn(estimator: Any) -> Mixture:
    """Take the mixture of a fitted `sklearn.mixture.GaussianMixture`, or of one like it.

    Parameters
    ----------
    estimator : object
        With `weights_`, `means_`, `covariances_` and `covariance_type`.

    Returns
    -------
    Mixture

    Raises
    ------
    DataError
        If it is not fitted, or its numbers are no mixture's.
    """
    names = ("weights_", "means_", "covariances_", "covariance_type")
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise DataError(
            f"{type(estimator).__name__} has no {missing[0]}; give a fitted GaussianMixture"
        )
    weights, means, covariances, kind = (getattr(estimator, name) for name in names)
    total = float(np.sum(weights))
    # scikit-learn's own sum is 1 to rounding, in the precision it fitted in.
    if not abs(total - 1) < 1e-5:
        raise DataError(f"weights_ must sum to 1, they sum to {total:.6g}")
    return mixture_of(weights, means, covariances, kind)
