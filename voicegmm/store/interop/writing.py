"""Frames and mixtures as other programs read them."""

import os
from collections.abc import Iterable

from voicegmm._base.checks import one_of
from voicegmm._base.errors import DataError
from voicegmm.mixture import DiagonalGMM, Mixture
from voicegmm.store.interop.content import ForeignArray
from voicegmm.store.interop.hdf5_mixtures import write_bob, write_sidekit
from voicegmm.store.interop.htk import write_htk_recordings
from voicegmm.store.interop.kaldi_archives import write_archive
from voicegmm.store.interop.kaldi_mixtures import write_kaldi_mixture
from voicegmm.store.interop.numpy_files import write_npz, write_npz_mixture

WRITTEN_ARRAYS = ("kaldi", "htk", "npz")
WRITTEN_MIXTURES = ("kaldi", "bob", "sidekit", "npz")


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Iterable[ForeignArray],
    kind: str,
    *,
    as_text: bool = False,
    script: str | os.PathLike[str] | None = None,
    hop_seconds: float | None = None,
) -> int:
    """Write matrices and vectors as another program reads them, whole or not at all.

    Parameters
    ----------
    path : path
    arrays : iterable of ForeignArray
        Taken one by one.
    kind : {"kaldi", "htk", "npz"}
        Kaldi's archive, HTK's parameter files, NumPy's ``.npz``.
    as_text, script
        As in `write_archive`.
    hop_seconds
        As in `write_htk_recordings`.

    Returns
    -------
    int
        How many.

    Raises
    ------
    DataError
        If one cannot be told in such a file.
    """
    one_of("kind", kind, WRITTEN_ARRAYS)
    if kind == "kaldi":
        return write_archive(path, arrays, as_text=as_text, script=script)
    if kind == "npz":
        return write_npz(path, arrays)
    return write_htk_recordings(path, arrays, hop_seconds)


def write_mixture(
    path: str | os.PathLike[str], gmm: Mixture, kind: str, *, as_text: bool = False
) -> None:
    """Write a mixture as another program reads it, whole or not at all.

    Parameters
    ----------
    path : path
    gmm : Mixture
        Diagonal for bob and SIDEKIT; of any covariance type for Kaldi and NumPy.
    kind : {"kaldi", "bob", "sidekit", "npz"}
    as_text : bool
        Kaldi's text form in the place of its binary one.

    Raises
    ------
    DataError
        If it cannot be told in such a file.
    """
    one_of("kind", kind, WRITTEN_MIXTURES)
    if kind == "kaldi":
        write_kaldi_mixture(path, gmm, as_text=as_text)
    elif kind == "npz":
        write_npz_mixture(path, gmm)
    elif isinstance(gmm, DiagonalGMM):
        (write_bob if kind == "bob" else write_sidekit)(path, gmm)
    else:
        raise DataError(
            f"{kind}'s files take diagonal covariances, these are {gmm.covariance_type}; see "
            "`diagonal_of`"
        )


def diagonal_of(gmm: Mixture) -> DiagonalGMM:
    """Keep of each covariance its diagonal alone, as Kaldi's fgmm-global-to-gmm does.

    Parameters
    ----------
    gmm : Mixture

    Returns
    -------
    DiagonalGMM
        The same mixture, if it was diagonal or spherical.
    """
    return DiagonalGMM(gmm.weights, gmm.means, gmm.variances_by_dim())
