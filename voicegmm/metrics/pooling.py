"""One sorted object, many readings: the scores of both classes, sorted once, ties pooled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.errors import DataError


@dataclass(frozen=True, eq=False)
class SortedScores:
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
        for name in ("targets", "nontargets"):
            total = getattr(self, name).sum()
            if not 0.0 < total < np.inf:
                raise DataError(f"{name} must have a positive finite total weight, got {total}")


def sort_scores(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> SortedScores:
    """Sort the scores of both classes together and pool those that are equal.

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
    t, n = score_array("targets", targets), score_array("nontargets", nontargets)
    t_weights = weight_array("target_weights", target_weights, len(t))
    n_weights = weight_array("nontarget_weights", nontarget_weights, len(n))
    scores, order, first = sort_order(t, n)
    is_target = order < len(t)
    if t_weights is None and n_weights is None:
        at_target = is_target.astype(np.float64)
        at_nontarget = 1.0 - at_target
    else:
        t_all = np.ones(len(t)) if t_weights is None else t_weights
        n_all = np.ones(len(n)) if n_weights is None else n_weights
        weights = np.concatenate([t_all, n_all])[order]
        at_target = np.where(is_target, weights, 0.0)
        at_nontarget = np.where(is_target, 0.0, weights)
    if len(scores) < len(order):  # without ties every trial is its own row already
        starts = np.flatnonzero(first)
        at_target = np.add.reduceat(at_target, starts)
        at_nontarget = np.add.reduceat(at_nontarget, starts)
    return SortedScores(scores, at_target, at_nontarget)


def class_runs(scores: SortedScores) -> tuple[IntArray, Float64Array, Float64Array]:
    """Pool neighboring scores of one class alone: no hull and no DET curve parts them.

    Most curves are read from these: they are far fewer than the scores.

    Parameters
    ----------
    scores : SortedScores
        Rows without trials are passed over.

    Returns
    -------
    starts : (n_runs,) int array
        The first row of each run.
    targets, nontargets : (n_runs,) float64 arrays
        What stands in it.
    """
    no_targets, no_nontargets = scores.targets == 0.0, scores.nontargets == 0.0
    empty = no_targets & no_nontargets
    kept = np.flatnonzero(~empty) if empty.any() else None
    if kept is not None:
        no_targets, no_nontargets = no_targets[kept], no_nontargets[kept]
    goes_on = (no_targets[1:] & no_targets[:-1]) | (no_nontargets[1:] & no_nontargets[:-1])
    first = np.concatenate([[0], np.flatnonzero(~goes_on) + 1])
    starts = first if kept is None else kept[first]
    targets, nontargets = scores.targets, scores.nontargets
    # What lies between two starts is of the run, and rows without trials add nothing to it.
    return starts, np.add.reduceat(targets, starts), np.add.reduceat(nontargets, starts)


def sort_order(
    targets: Float64Array, nontargets: Float64Array
) -> tuple[Float64Array, IntArray, BoolArray]:
    """Find the order that sorts targets followed by nontargets.

    Returns
    -------
    scores : (n_distinct,) float64 array
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


def score_array(name: str, values: npt.ArrayLike) -> Float64Array:
    """Check that scores are a vector with something in it and without NaN; inf may be."""
    try:
        array: Float64Array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be numbers") from None
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
    return array


def weight_array(name: str, values: npt.ArrayLike | None, length: int) -> Float64Array | None:
    """Check that weights are finite, not negative and as many as the scores."""
    if values is None:
        return None
    array: npt.NDArray[Any] = np.asarray(values, dtype=np.float64)
    if array.shape != (length,):
        raise DataError(f"{name} must be a vector of {length} weights, got shape {array.shape}")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise DataError(
            f"{name} must be finite and at least 0, got {array[bad[0]]} at number {bad[0]} "
            "(counting from 0)"
        )
    return array
