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

from voicegmm._base.arrays import Float64Array
from voicegmm.metrics.pooling import SortedScores, class_runs, sort_scores


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


def rocch(scores: SortedScores) -> Rocch:
    """Compute the convex hull of the ROC.

    Parameters
    ----------
    scores : SortedScores
        As `sort_scores` makes them; rows without trials are passed over.
    """
    # Imported at the first use: scipy.optimize would make `import voicegmm.metrics` slow.
    from scipy.optimize import isotonic_regression

    starts, targets, nontargets = class_runs(scores)
    total = targets + nontargets
    first = isotonic_regression(targets / total, weights=total).blocks[:-1]
    block_targets = np.add.reduceat(targets, first)
    block_nontargets = np.add.reduceat(nontargets, first)
    p_miss, p_fa = cumulative_rates(block_targets, block_nontargets)
    thresholds = np.append(scores.scores[starts[first]], np.inf)
    return Rocch(thresholds, block_targets, block_nontargets, p_miss, p_fa)


def rocch_points(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> Rocch:
    """Compute the convex hull of the ROC of two arrays of scores; see `sort_scores`."""
    return rocch(sort_scores(targets, nontargets, target_weights, nontarget_weights))


def cumulative_rates(
    targets: Float64Array, nontargets: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Turn the trials at each of n rising scores into the error rates of the n + 1 thresholds.

    Returns
    -------
    p_miss, p_fa : (n + 1,) float64 arrays
        Entry i is for rejecting the first i rows: (0, 1) first, (1, 0) last, both exactly.
    """
    missed = np.concatenate([[0.0], np.cumsum(targets)])
    rejected = np.concatenate([[0.0], np.cumsum(nontargets)])
    return missed / missed[-1], (rejected[-1] - rejected) / rejected[-1]
