"""Two files of frames side by side: are they the same, and if not, where and how much."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from h5py import is_hdf5

from voicegmm._base.arrays import FloatArray, IntArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import VoicegmmError
from voicegmm._base.options import differences, to_mapping
from voicegmm.store.features import FeatureStore
from voicegmm.store.interop import read_frames


@dataclass(frozen=True)
class RecordingComparison:
    """Two versions of the frames of one recording.

    Parameters
    ----------
    file : str
        Its id in the first file.
    n_frames : (int, int)
        In each.
    n_compared : int
        Frames of the same number in the recording; where a file does not tell the numbers, all
        frames if both have as many, else none.
    max_difference : float or None
        The largest |difference| of two values; None when no frames were compared.
    same : bool
        Whether the frames, their numbers and weights agree within the tolerance.
    """

    file: str
    n_frames: tuple[int, int]
    n_compared: int
    max_difference: float | None
    same: bool


@dataclass(frozen=True)
class FeatureComparison:
    """Two files of frames.

    Parameters
    ----------
    same : bool
        Whether all agrees within the tolerance: recordings, their frames, numbers and weights.
    n_dims : (int, int)
        Of the first and of the second.
    recordings : tuple of RecordingComparison
        Those that both have, in the order of the first.
    only_first, only_second : tuple of str
        Recordings that the other does not have.
    options : tuple of str
        The options of the front ends that differ, as "static.n_cepstra: 20, 13", where both files
        tell them; "labels" are the fingerprints of what said where there is speech.
    n_compared : int
        Frames.
    max_difference, mean_difference : float or None
        Of all values compared: the largest and the mean |difference|.
    correlations : tuple of float or None
        Of each dimension over all frames compared; None where it does not vary.
    """

    same: bool
    n_dims: tuple[int, int]
    recordings: tuple[RecordingComparison, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    options: tuple[str, ...]
    n_compared: int
    max_difference: float | None
    mean_difference: float | None
    correlations: tuple[float | None, ...]


def compare_features(
    first: str | os.PathLike[str], second: str | os.PathLike[str], tolerance: float = 0.0
) -> FeatureComparison:
    """Compare two files of frames, one recording at a time.

    Parameters
    ----------
    first, second : path
        A feature store, or what `voicegmm.store.interop.read_frames` reads. Recordings are
        the same when their ids are, or else their ids without folders and suffix; two files with
        one recording each are compared whatever they call it.
    tolerance : float
        The largest difference of two values that counts as none, at least 0.

    Raises
    ------
    FormatError
        If a file cannot be read.
    VoicegmmError
        If the two have no recording in common.
    """
    at_least("tolerance", tolerance, 0.0)
    with _opened(Path(first)) as one, _opened(Path(second)) as other:
        pairs = _pairs(one.files, other.files)
        if not pairs:
            raise VoicegmmError(f"{first} and {second} have no recording in common")
        totals = _Totals(one.n_dims)
        recordings = tuple(_compared(one, other, pair, tolerance, totals) for pair in pairs)
        only_first = tuple(sorted(set(one.files) - {pair[0] for pair in pairs}))
        only_second = tuple(sorted(set(other.files) - {pair[1] for pair in pairs}))
        return FeatureComparison(
            not (only_first or only_second) and all(recording.same for recording in recordings),
            (one.n_dims, other.n_dims),
            recordings,
            only_first,
            only_second,
            _different_options(one.options, other.options),
            totals.n_frames,
            totals.max_difference,
            totals.mean_difference,
            totals.correlations(),
        )


@dataclass(frozen=True)
class _Recording:
    """Frames; their weights and numbers where the file tells them."""

    frames: FloatArray
    weights: FloatArray | None = None
    positions: IntArray | None = None


@dataclass(frozen=True)
class _Side:
    """One of the two files; `options` are those of its front end, empty if it does not tell."""

    files: Sequence[str]
    n_dims: int
    options: Mapping[str, Any]
    read: Callable[[str], _Recording]


@contextmanager
def _opened(path: Path) -> Iterator[_Side]:
    if path.suffix.lower() not in (".h5", ".hdf5") and not (path.is_file() and is_hdf5(path)):
        frames = read_frames(path)
        n_dims = next(iter(frames.values())).shape[1]
        yield _Side(tuple(frames), n_dims, {}, lambda file: _Recording(frames[file]))
        return
    with FeatureStore(path) as store:

        def read(file: str) -> _Recording:
            found, weights = store.read([file])
            ones = np.ones(len(found), dtype=np.float32)
            return _Recording(found, ones if weights is None else weights, store.positions(file))

        options = {**to_mapping(store.front_end), "labels": store.labels}
        yield _Side(store.ids, store.n_dims, options, read)


def _pairs(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """Find the recordings that are in both, in the order of the first."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    same = set(first) & set(second)
    by_stem: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list))
    for names, stems in zip((first, second), by_stem, strict=True):
        for name in names:
            if name not in same:
                stems[PurePosixPath(name).stem].append(name)
    pairs = []
    for name in first:
        left, right = (stems.get(PurePosixPath(name).stem, []) for stems in by_stem)
        if name in same:
            pairs.append((name, name))
        elif len(left) == len(right) == 1:
            pairs.append((name, right[0]))
    return pairs


def _different_options(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    if not first or not second:
        return ()
    found = differences(first, second)
    return tuple(f"{key}: {one}, {other}" for key, (one, other) in found.items())


class _Totals:
    """Adds up over recordings what is told of all of them."""

    def __init__(self, n_dims: int) -> None:
        self.n_frames = 0
        self._absolute = 0.0
        self._highest = 0.0
        # Sums about the first frame of each side, so that a far mean costs no digits.
        self._origins: tuple[FloatArray, FloatArray] | None = None
        self._sums = np.zeros((5, n_dims))

    def add(self, first: FloatArray, second: FloatArray) -> float:
        """Add the frames of a recording; give their largest difference."""
        if self._origins is None:
            self._origins = first[0].astype(np.float64), second[0].astype(np.float64)
        x, y = (side - origin for side, origin in zip((first, second), self._origins, strict=True))
        self._sums += [x.sum(0), y.sum(0), (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)]
        difference = np.abs(first.astype(np.float64) - second)
        self.n_frames += len(first)
        self._absolute += float(difference.sum())
        highest = float(difference.max())
        self._highest = max(self._highest, highest)
        return highest

    @property
    def max_difference(self) -> float | None:
        """The largest of all."""
        return self._highest if self.n_frames else None

    @property
    def mean_difference(self) -> float | None:
        """Over all values."""
        n_values = self.n_frames * self._sums.shape[1]
        return self._absolute / n_values if n_values else None

    def correlations(self) -> tuple[float | None, ...]:
        """Of each dimension."""
        n = max(1, self.n_frames)
        x, y, xx, yy, xy = self._sums / n
        variances = (xx - x * x, yy - y * y)
        varies = (variances[0] > 1e-12 * xx) & (variances[1] > 1e-12 * yy)
        scale = np.sqrt(np.where(varies, variances[0] * variances[1], 1.0))
        found = np.clip((xy - x * y) / scale, -1.0, 1.0)
        return tuple(
            float(value) if real else None for value, real in zip(found, varies, strict=True)
        )


def _compared(
    one: _Side, other: _Side, pair: tuple[str, str], tolerance: float, totals: _Totals
) -> RecordingComparison:
    first, second = one.read(pair[0]), other.read(pair[1])
    n_frames = len(first.frames), len(second.frames)
    left, right = first.frames, second.frames
    if first.positions is not None and second.positions is not None:
        _, *rows = np.intersect1d(first.positions, second.positions, return_indices=True)
        left, right = left[rows[0]], right[rows[1]]
    comparable = one.n_dims == other.n_dims and 0 < len(left) == len(right)
    highest = totals.add(left, right) if comparable else None
    same = one.n_dims == other.n_dims and n_frames == (len(left), len(right)) == n_frames[::-1]
    if same and first.weights is not None and second.weights is not None:
        same = bool(np.abs(first.weights - second.weights).max(initial=0.0) <= tolerance)
    return RecordingComparison(
        pair[0],
        n_frames,
        len(left) if comparable else 0,
        highest,
        same and (highest or 0.0) <= tolerance,
    )
