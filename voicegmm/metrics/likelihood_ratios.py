"""The cost of log-likelihood ratios: Cllr and minCllr, in bits.

Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer Speech
and Language 20, 2006.
"""

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm.metrics.hull import Rocch, rocch
from voicegmm.metrics.pooling import Scores, sort_scores


def cllr(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> float:
    """Compute the cost of log-likelihood ratios.

    Cllr = 1/2 (mean over targets of log2(1 + exp(-s)) + mean over non-targets of
    log2(1 + exp(s))). 0 is perfect, 1 is what always saying "no evidence" (0) costs.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios. A target at -inf or a non-target at inf costs inf.
    target_weights, nontarget_weights : array_like, optional
        One weight a trial.

    Returns
    -------
    float
        Bits, >= 0.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    """
    return cllr_of(sort_scores(targets, nontargets, target_weights, nontarget_weights))


def min_cllr(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> float:
    """Compute Cllr after the best calibration that keeps the order of the scores.

    That calibration is isotonic regression (pool adjacent violators); tied scores stay tied.

    Returns
    -------
    float
        Bits, in [0, 1], never above `cllr` of the same scores.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    """
    scores = sort_scores(targets, nontargets, target_weights, nontarget_weights)
    return min_cllr_of(rocch(scores))


def min_cllr_of(hull: Rocch) -> float:
    """Read minCllr from the hull, whose blocks are those of the isotonic regression."""
    t = hull.targets / hull.targets.sum()
    n = hull.nontargets / hull.nontargets.sum()
    # The calibrated likelihood ratio of a block is t / n, so exp(-s) = n / t and
    # t log(1 + exp(-s)) = t log((t + n) / t): 0 where the block holds no target.
    cost = _times_log(t, t + n) + _times_log(n, t + n)
    return float(cost.sum() / (2.0 * np.log(2.0)))


def _times_log(share: Float64Array, total: Float64Array) -> Float64Array:
    some = share > 0.0
    ratio = np.divide(total - share, share, out=np.zeros_like(share), where=some)
    return np.where(some, share * np.log1p(ratio), 0.0)


def cllr_of(scores: Scores) -> float:
    """Read Cllr from sorted scores; see `cllr`."""
    return float(mean_costs(scores, np.zeros(1)).mean())


def mean_costs(scores: Scores, prior_log_odds: Float64Array) -> Float64Array:
    """Average what likelihood ratios cost each class, in bits.

    Parameters
    ----------
    scores : Scores
        Natural-log likelihood ratios.
    prior_log_odds : (n,) float64 array
        Natural.

    Returns
    -------
    (2, n) float64 array
        Of the targets and of the non-targets, at each prior.
    """
    costs = np.zeros((2, len(prior_log_odds)))
    for piece in scores.pieces():
        ratios = piece.scores.astype(np.float64)
        for cost, weights, sign in zip(costs, piece[1:], (-1.0, 1.0), strict=True):
            some = weights > 0.0  # an infinite cost without weight counts nothing
            ratio, weight = sign * ratios[some], weights[some]
            for i, odds in enumerate((sign * prior_log_odds).tolist()):
                cost[i] += (bits(ratio + odds) * weight).sum()
    means: Float64Array = costs / np.array(scores.totals)[:, None]
    return means


def bits(log_ratio: Float64Array) -> Float64Array:
    """Compute log2(1 + exp(log_ratio)) without overflow."""
    value: Float64Array = np.logaddexp(0.0, log_ratio) / np.log(2.0)
    return value


def weighted_mean(costs: Float64Array, weights: Float64Array) -> float:
    """Average costs; an infinite cost without weight counts nothing."""
    if np.isinf(costs.max()):
        some = weights > 0.0
        costs, weights = costs[some], weights[some]
    # Not np.dot: BLAS shares it out among threads, which is slow when other work fills the cores,
    # and its last bits depend on how many there are.
    return float((costs * weights).sum() / weights.sum())
