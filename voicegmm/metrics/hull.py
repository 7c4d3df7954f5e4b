"""The convex hull of the ROC, by the pool-adjacent-violators algorithm.

Isotonic regression of the label (1 target, 0 non-target) on the score splits the sorted scores
into blocks; the operating points between blocks are the vertices of the convex hull of the ROC,
and the share of targets in a block is the best calibrated posterior that keeps the order of the
scores (Brümmer and de Villiers, "The BOSARIS toolkit: theory, algorithms and code for surviving
the new DCF", 2011, section 4; Fawcett and Niculescu-Mizil, "PAV and the ROC convex hull",
Machine Learning 68, 2007).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm.metrics.pooling import NOTHING, Rows, Scores, class_runs, joined, sort_scores


@dataclass(frozen=True, eq=False)
class Rocch:
    """The convex hull of a ROC, from "accept all" to "reject all".

    Attributes
    ----------
    thresholds : (n_blocks + 1,) float64 array
        Accept scores >= threshold to work at the vertex; the first accepts all, the last is inf
        and stands for "reject all" (also of scores that are inf).
    targets, nontargets : (n_blocks,) float64 arrays
        Number (or weight) of the trials of each class between a vertex and the next.
    p_miss : (n_blocks + 1,) float64 array
        Share of the targets rejected, rising from 0 to 1.
    p_fa : (n_blocks + 1,) float64 array
        Share of the non-targets accepted, falling from 1 to 0.
    """

    thresholds: Float64Array
    targets: Float64Array
    nontargets: Float64Array
    p_miss: Float64Array
    p_fa: Float64Array


def rocch(scores: Scores) -> Rocch:
    """Compute the convex hull of the ROC.

    A hull has far fewer vertices than there are trials (of n trials at most some n^(2/3)), and the
    hull of hulls side by side is that of the whole: the memory is that of a piece.

    Parameters
    ----------
    scores : Scores
        As `sort_scores` makes them; rows without trials are passed over.
    """
    hull = NOTHING
    for runs in class_runs(scores):
        hull = _blocks(joined(hull, runs))
    p_miss, p_fa = cumulative_rates(hull.targets, hull.nontargets)
    thresholds = np.append(hull.scores, np.inf).astype(np.float64)
    return Rocch(thresholds, hull.targets, hull.nontargets, p_miss, p_fa)


def _blocks(rows: Rows) -> Rows:
    """Pool rows until the share of targets rises from each to the next."""
    # Imported at the first use: scipy.optimize would make `import voicegmm.metrics` slow.
    from scipy.optimize import isotonic_regression

    total = rows.targets + rows.nontargets
    first = isotonic_regression(rows.targets / total, weights=total).blocks[:-1]
    return Rows(
        rows.scores[first],
        np.add.reduceat(rows.targets, first),
        np.add.reduceat(rows.nontargets, first),
    )


def rocch_points(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> Rocch:
    """Compute the convex hull of the ROC of two arrays of scores; see `sort_scores`."""
    return rocch(sort_scores(targets, nontargets, target_weights, nontarget_weights))


def corners(scores: Scores) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Give the corners of the ROC, from "accept all" to "reject all".

    Returns
    -------
    thresholds, p_miss, p_fa : (n_runs + 1,) float64 arrays
        Accept scores >= threshold; the last is inf.
    """
    found: list[FloatArray] = []
    missed, rejected = [np.zeros(1)], [np.zeros(1)]
    for runs in class_runs(scores):
        found.append(runs.scores)
        for sums, row in ((missed, runs.targets), (rejected, runs.nontargets)):
            sums.append(np.cumsum(np.append(sums[-1][-1], row))[1:])
    thresholds = np.concatenate([*found, [np.inf]], dtype=np.float64)
    return thresholds, *_shares(np.concatenate(missed), np.concatenate(rejected))


def cumulative_rates(
    targets: Float64Array, nontargets: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Turn the trials at each of n rising scores into the error rates of the n + 1 thresholds.

    Returns
    -------
    p_miss, p_fa : (n + 1,) float64 arrays
        Entry i is for rejecting the first i rows: (0, 1) first, (1, 0) last, both exactly.
    """
    return _shares(*(np.concatenate([[0.0], np.cumsum(each)]) for each in (targets, nontargets)))


def _shares(missed: Float64Array, rejected: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Turn counts of what is below each threshold into error rates, in place."""
    accepted = np.subtract(rejected[-1], rejected, out=rejected)
    missed /= missed[-1]
    accepted /= accepted[0]
    return missed, accepted
