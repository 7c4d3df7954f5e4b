"""What subspace models know of recordings: their moments about the background model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from tempfile import TemporaryFile

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError, MismatchError
from voicegmm.mixture import Mixture, Statistics
from voicegmm.mixture.representation import whitened

_IN_MEMORY = 10**9  # bytes of moments; more lie on disk


@dataclass(frozen=True, eq=False)
class Recordings:
    """Zeroth and first moments of recordings under one background model.

    Parameters
    ----------
    gmm : Mixture
        The background model, with covariances Sigma_k = L_k L_k' of any shape.
    counts : (n_recordings, n_components) float array
        n: sums of posteriors, 0 or more.
    centered : (n_recordings, n_components, n_dims) float array
        L_k^-1 (f_k - n_k m_k): first moments about the background's means, in deviations of their
        component. It may be a `numpy.memmap` or anything else that is cut like an array: training
        and extraction read a few recordings at a time.

    Raises
    ------
    DataError
        If the shapes disagree.
    """

    gmm: Mixture
    counts: Float64Array
    centered: FloatArray

    def __post_init__(self) -> None:
        n_recordings, shape = len(self.counts), self.gmm.means.shape
        for name, wanted in (("counts", shape[:1]), ("centered", shape)):
            found = getattr(self, name).shape
            if found != (n_recordings, *wanted):
                raise DataError(f"{name} must be {(n_recordings, *wanted)}, got {found}")

    def __len__(self) -> int:
        return len(self.counts)

    @staticmethod
    def of(
        gmm: Mixture,
        statistics: Iterable[Statistics],
        dtype: npt.DTypeLike = np.float64,
        n_recordings: int | None = None,
    ) -> "Recordings":
        """Take the moments of recordings, one `Statistics` each.

        Parameters
        ----------
        gmm : Mixture
            The model that the statistics were collected under.
        statistics : iterable of Statistics
            As `accumulate` and `accumulate_each` give them.
        dtype : numpy.dtype
            Of `centered`: float32 takes half the memory, and products with it half the time.
        n_recordings : int, optional
            How many there will be, where that is known before: then nothing is held but the
            moments, and more than 1 GB of them lie in a temporary file that has no name.

        Raises
        ------
        DataError
            For statistics of another shape, or that are not finite, or counts below 0.
        """
        if n_recordings is None:
            statistics = list(statistics)
            n_recordings = len(statistics)
        n_components, n_dims = gmm.means.shape
        counts = np.empty((n_recordings, n_components))
        centered = _room((n_recordings, n_components, n_dims), np.dtype(dtype))
        for number, one in zip(range(n_recordings), statistics, strict=True):
            if one.first.shape != gmm.means.shape:
                raise DataError(
                    f"recording {number} (counting from 0) has moments of {one.first.shape}, the "
                    f"model has means of {gmm.means.shape}"
                )
            rest = whitened(gmm, one.first - one.counts[:, None] * gmm.means)
            if not (np.isfinite(rest).all() and (one.counts >= 0).all()):
                raise DataError(
                    f"recording {number} (counting from 0) has moments that are not finite, or "
                    "counts below 0"
                )
            counts[number], centered[number] = one.counts, rest
        return Recordings(gmm, counts, centered)

    def part(self, rows: slice | IntArray) -> tuple[FloatArray, FloatArray]:
        """Read the counts and centered moments of some recordings, both as `centered` is."""
        centered = np.asarray(self.centered[rows])
        return np.asarray(self.counts[rows], centered.dtype), centered


def _room(shape: tuple[int, ...], dtype: np.dtype) -> FloatArray:
    """Give room for numbers: in memory, or where they are many on disk."""
    if np.prod(shape, dtype=np.int64) * dtype.itemsize <= _IN_MEMORY:
        return np.empty(shape, dtype)
    with TemporaryFile() as file:  # it lasts as long as it is mapped
        return np.memmap(file, dtype, "w+", shape=shape)


def check_background(gmm: Mixture, recordings: Recordings) -> None:
    """Refuse recordings whose moments were collected under another background model.

    Raises
    ------
    MismatchError
        If the models differ in any number.
    """
    other = recordings.gmm
    if other is gmm:
        return
    alike = type(other) is type(gmm) and all(
        np.array_equal(getattr(gmm, field.name), getattr(other, field.name))
        for field in fields(gmm)
    )
    if not alike:
        raise MismatchError(
            "the recordings' statistics are of another background model than the subspace was "
            "trained on; collect them anew under its own"
        )


def rows_by_speaker(speakers: Sequence[str], n_recordings: int) -> dict[str, IntArray]:
    """Give the recordings of each speaker, in the order of their first.

    Raises
    ------
    DataError
        If there is not one speaker a recording.
    """
    if len(speakers) != n_recordings:
        raise DataError(f"speakers must be one a recording, {n_recordings}; got {len(speakers)}")
    rows: dict[str, list[int]] = {}
    for number, name in enumerate(speakers):
        rows.setdefault(name, []).append(number)
    return {name: np.array(numbers, np.intp) for name, numbers in rows.items()}
