"""One sorted object, many readings: the scores of both classes, sorted once, ties pooled.

Scores are sorted class by class and merged in pieces when they are read, so that beside the sorted
copy a reading holds one piece, however many trials there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError

F = TypeVar("F", bound=np.floating[Any])

PIECE = 1 << 16  # trials of each class: a few megabytes, which stay in the cache


class Rows(NamedTuple):
    """Distinct scores in rising order, and how much of each class stands at each.

    Attributes
    ----------
    scores : (n_rows,) float array
    targets, nontargets : (n_rows,) float64 arrays
        Number (or sum of the weights) of the trials with that score; both may be 0.
    """

    scores: FloatArray
    targets: Float64Array
    nontargets: Float64Array


NOTHING = Rows(np.empty(0), np.empty(0), np.empty(0))


class Scores(Protocol):
    """Scores of both classes, to be read in rising order."""

    @property
    def totals(self) -> tuple[float, float]:
        """Number (or weight) of the targets and of the non-targets; both positive and finite."""

    def pieces(self) -> Iterator[Rows]:
        """Give all distinct scores, rising, piece by piece: each stands in one piece alone."""

    def errors_at(self, threshold: float) -> tuple[float, float]:
        """Count targets below a threshold and non-targets at or above it."""


@dataclass(frozen=True, eq=False)
class SortedScores:
    """The scores of each class in rising order.

    Attributes
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) float32 or float64 arrays
        Of one type; -inf and inf are allowed.
    target_weights, nontarget_weights : float64 arrays, optional
        Of each of them; 1 where there are none.
    """

    targets: FloatArray
    nontargets: FloatArray
    target_weights: Float64Array | None = None
    nontarget_weights: Float64Array | None = None

    def __post_init__(self) -> None:
        _check_totals(self.totals)

    @cached_property
    def totals(self) -> tuple[float, float]:
        """Number (or weight) of the targets and of the non-targets."""
        return (
            _weight(self.target_weights, 0, len(self.targets)),
            _weight(self.nontarget_weights, 0, len(self.nontargets)),
        )

    def pieces(self) -> Iterator[Rows]:
        """Merge the classes and pool equal scores; see `Scores`."""
        t, n = self.targets, self.nontargets
        at_t = at_n = 0
        while at_t < len(t) or at_n < len(n):
            # Neither class has more than a piece below the score that ends it. Those that have this
            # score, however many, are counted and not laid side by side.
            last = min(
                each[min(at + PIECE, len(each)) - 1]
                for each, at in ((t, at_t), (n, at_n))
                if at < len(each)
            )
            below_t, to_t = _reach(t, at_t, last)
            below_n, to_n = _reach(n, at_n, last)
            some_t = _weights(self.target_weights, at_t, below_t)
            some_n = _weights(self.nontarget_weights, at_n, below_n)
            ends = (
                _weight(self.target_weights, below_t, to_t),
                _weight(self.nontarget_weights, below_n, to_n),
            )
            scores = np.append(n[at_n:below_n], last)
            yield _pooled(
                *sort_order(t[at_t:below_t], scores),
                np.concatenate([some_t, np.zeros(len(some_n)), ends[:1]]),
                np.concatenate([np.zeros(len(some_t)), some_n, ends[1:]]),
            )
            at_t, at_n = to_t, to_n

    def errors_at(self, threshold: float) -> tuple[float, float]:
        """Count targets below a threshold and non-targets at or above it."""
        with np.errstate(over="ignore"):  # beyond single precision is beyond any score in it
            least = self.targets.dtype.type(threshold)
        if float(least) < threshold:  # rounded to single precision, downwards
            least = np.nextafter(least, least.dtype.type(np.inf))
        missed = int(np.searchsorted(self.targets, least))
        rejected = int(np.searchsorted(self.nontargets, least))
        return (
            _weight(self.target_weights, 0, missed),
            _weight(self.nontarget_weights, rejected, len(self.nontargets)),
        )


@dataclass(frozen=True, eq=False)
class PooledScores:
    """The distinct scores in rising order, and how much of each class stands at each.

    Attributes
    ----------
    scores : (n_distinct,) float64 array
        Strictly rising; -inf and inf are allowed.
    targets, nontargets : (n_distinct,) float64 arrays
        Number (or sum of the weights) of the target and non-target trials with that score; a
        row may be empty, neither class may be.
    """

    scores: Float64Array
    targets: Float64Array
    nontargets: Float64Array

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.targets) == len(self.nontargets):
            raise DataError(
                "scores, targets and nontargets must be equally long, got "
                f"{len(self.scores)}, {len(self.targets)} and {len(self.nontargets)}"
            )
        _check_totals(self.totals)

    @cached_property
    def totals(self) -> tuple[float, float]:
        """Number (or weight) of the targets and of the non-targets."""
        return float(self.targets.sum()), float(self.nontargets.sum())

    def pieces(self) -> Iterator[Rows]:
        """Give all rows at once; see `Scores`."""
        yield Rows(self.scores, self.targets, self.nontargets)

    def errors_at(self, threshold: float) -> tuple[float, float]:
        """Count targets below a threshold and non-targets at or above it."""
        first_accepted = int(np.searchsorted(self.scores, threshold))
        missed, alarms = self.targets[:first_accepted], self.nontargets[first_accepted:]
        return float(missed.sum()), float(alarms.sum())


def sort_scores(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> SortedScores:
    """Sort the scores of each class: one copy of them, in single precision where they are.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Scores; higher means more like a target.
    target_weights, nontarget_weights : array_like, optional
        One finite weight >= 0 a trial; weight 3 is the trial three times.

    Raises
    ------
    DataError
        For a class without trials, a NaN, a weight that is negative or not finite.
    """
    t, n = as_scores("targets", targets), as_scores("nontargets", nontargets)
    check_scores("targets", t)
    check_scores("nontargets", n)
    t_weights = weight_array("target_weights", target_weights, len(t))
    n_weights = weight_array("nontarget_weights", nontarget_weights, len(n))
    kind = np.result_type(t, n)
    (t, t_weights), (n, n_weights) = _sorted(t, t_weights, kind), _sorted(n, n_weights, kind)
    return SortedScores(t, n, t_weights, n_weights)


def pool_scores(scores: Scores) -> PooledScores:
    """Lay all distinct scores side by side, for curves with a point at each."""
    columns = (np.concatenate(column) for column in zip(*scores.pieces(), strict=True))
    return PooledScores(*(np.asarray(column, dtype=np.float64) for column in columns))


def class_runs(scores: Scores) -> Iterator[Rows]:
    """Pool neighboring scores of one class alone: no hull and no DET curve parts them.

    Most curves are read from these: they are far fewer than the scores.

    Parameters
    ----------
    scores : Scores
        Rows without trials are passed over.

    Yields
    ------
    Rows
        The first score of each run and what stands in it, piece by piece.
    """
    held = NOTHING
    for piece in scores.pieces():
        # The last run of a piece may go on in the next.
        runs = _runs(joined(held, piece) if len(held.scores) else piece)
        held = _rows(runs, slice(-1, None))
        if len(runs.scores) > 1:
            yield _rows(runs, slice(-1))
    yield held


def joined(first: Rows, second: Rows) -> Rows:
    """Put rows behind others."""
    return Rows(
        np.concatenate([first.scores, second.scores]),
        np.concatenate([first.targets, second.targets]),
        np.concatenate([first.nontargets, second.nontargets]),
    )


def _rows(rows: Rows, which: slice) -> Rows:
    return Rows(rows.scores[which], rows.targets[which], rows.nontargets[which])


def _runs(rows: Rows) -> Rows:
    no_targets, no_nontargets = rows.targets == 0.0, rows.nontargets == 0.0
    empty = no_targets & no_nontargets
    kept = np.flatnonzero(~empty) if empty.any() else None
    if kept is not None:
        if not len(kept):
            return NOTHING
        no_targets, no_nontargets = no_targets[kept], no_nontargets[kept]
    goes_on = (no_targets[1:] & no_targets[:-1]) | (no_nontargets[1:] & no_nontargets[:-1])
    first = np.concatenate([[0], np.flatnonzero(~goes_on) + 1])
    starts = first if kept is None else kept[first]
    # What lies between two starts is of the run, and rows without trials add nothing to it.
    return Rows(
        rows.scores[starts],
        np.add.reduceat(rows.targets, starts),
        np.add.reduceat(rows.nontargets, starts),
    )


def sort_order(
    targets: npt.NDArray[F], nontargets: npt.NDArray[F]
) -> tuple[npt.NDArray[F], IntArray, BoolArray]:
    """Find the order that sorts targets followed by nontargets.

    Returns
    -------
    scores : (n_distinct,) float array
        The distinct scores, rising.
    order : (n_trials,) int array
        Indices into the targets followed by the nontargets.
    first : (n_trials,) bool array
        Whether the trial, in sorted order, is the first with its score.
    """
    pooled = np.concatenate([targets, nontargets])
    # The order inside a tie is arbitrary here and is not seen by anyone: ties are pooled.
    order = np.argsort(pooled)
    ordered = pooled[order]
    first = np.empty(len(ordered), dtype=np.bool_)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return (ordered if first.all() else ordered[first]), order, first


def _sorted(
    scores: FloatArray, weights: Float64Array | None, kind: np.dtype[Any]
) -> tuple[FloatArray, Float64Array | None]:
    if weights is None:
        copy = np.array(scores, dtype=kind)
        copy.sort()
        return copy, None
    order = np.argsort(scores)
    return scores[order].astype(kind), weights[order]


def _reach(scores: FloatArray, start: int, last: np.floating[Any]) -> tuple[int, int]:
    """Find where the scores below `last` end, at most a piece from the start, and those at it."""
    below = start + int(np.searchsorted(scores[start : start + PIECE], last))
    return below, below + int(np.searchsorted(scores[below:], last, side="right"))


def _weights(weights: Float64Array | None, start: int, stop: int) -> Float64Array:
    return np.ones(stop - start) if weights is None else weights[start:stop]


def _weight(weights: Float64Array | None, start: int, stop: int) -> float:
    return float(stop - start if weights is None else weights[start:stop].sum())


def _pooled(
    scores: FloatArray,
    order: IntArray,
    first: BoolArray,
    targets: Float64Array,
    nontargets: Float64Array,
) -> Rows:
    at_target, at_nontarget = targets[order], nontargets[order]
    if len(scores) < len(order):  # without ties every trial is its own row already
        starts = np.flatnonzero(first)
        at_target = np.add.reduceat(at_target, starts)
        at_nontarget = np.add.reduceat(at_nontarget, starts)
    return Rows(scores, at_target, at_nontarget)


def _check_totals(totals: tuple[float, float]) -> None:
    for name, total in zip(("targets", "nontargets"), totals, strict=True):
        if not 0.0 < total < np.inf:
            raise DataError(f"{name} must have a positive finite total weight, got {total}")


def score_array(name: str, values: npt.ArrayLike) -> Float64Array:
    """Check that scores are a vector with something in it and without NaN; inf may be."""
    array: Float64Array = np.asarray(as_scores(name, values), dtype=np.float64)
    check_scores(name, array)
    return array


def as_scores(name: str, values: npt.ArrayLike) -> FloatArray:
    """Turn scores into an array: in single precision if they are, else in double; not checked."""
    single = getattr(values, "dtype", None) == np.float32
    return _numbers(name, values, np.float32 if single else np.float64)


def _numbers(name: str, values: npt.ArrayLike, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    if np.iscomplexobj(values):
        raise DataError(f"{name} must be real numbers, got complex ones")
    try:
        return np.asarray(values, dtype=kind)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be numbers") from None


def check_scores(name: str, array: FloatArray) -> None:
    """Refuse what is no vector, empty, or holds a NaN."""
    if array.ndim != 1:
        raise DataError(f"{name} must be a vector of scores, got {array.ndim} axes")
    if not len(array):
        raise DataError(f"{name} must hold at least one score, got none")
    # min and max carry a NaN along; the slow look for the culprit runs only when there is one.
    if np.isnan(array.min()):
        bad = np.flatnonzero(np.isnan(array))
        raise DataError(
            f"{name} must not be NaN: {len(bad)} of {len(array)} are, the first is number "
            f"{bad[0]} (counting from 0); evaluate() counts them as failed attempts"
        )


def weight_array(name: str, values: npt.ArrayLike | None, length: int) -> Float64Array | None:
    """Check that weights are finite, not negative and as many as the scores."""
    if values is None:
        return None
    array: Float64Array = _numbers(name, values, np.float64)
    if array.shape != (length,):
        raise DataError(f"{name} must be a vector of {length} weights, got shape {array.shape}")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise DataError(
            f"{name} must be finite and at least 0, got {array[bad[0]]} at number {bad[0]} "
            "(counting from 0)"
        )
    return array
