"""Curves behind the plots: DET, Tippett, Bayes error, empirical cross-entropy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm.metrics.hull import corners, cumulative_rates, rocch
from voicegmm.metrics.likelihood_ratios import mean_costs
from voicegmm.metrics.pooling import PooledScores, Scores, pool_scores, sort_scores
from voicegmm.metrics.rates import OperatingPoint, act_dcf_of, min_dcf_of


@dataclass(frozen=True, eq=False)
class DetPoints:
    """The corners of a DET curve, from "accept all" to "reject all".

    Attributes
    ----------
    thresholds : (n,) float64 array
        Accept scores >= threshold; the last is inf and stands for "reject all".
    p_miss, p_fa : (n,) float64 arrays
        Error rates there, from (0, 1) to (1, 0).
    """

    thresholds: Float64Array
    p_miss: Float64Array
    p_fa: Float64Array


def det_points(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> DetPoints:
    """Compute the corners of the DET curve (Martin et al., Eurospeech 1997).

    A threshold between two that change only the one rate is left out: it lies on the straight
    line between them.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    """
    return det_points_of(sort_scores(targets, nontargets, target_weights, nontarget_weights))


def det_points_of(scores: Scores) -> DetPoints:
    """Read the corners of the DET curve from sorted scores; see `det_points`."""
    return DetPoints(*corners(scores))


@dataclass(frozen=True, eq=False)
class Tippett:
    """The two lines of a Tippett plot.

    Attributes
    ----------
    scores : (n,) float64 array
        The distinct scores, rising.
    targets, nontargets : (n,) float64 arrays
        Share of the class that scores at least so much.
    misleading_targets, misleading_nontargets : float
        Share of the targets below 0 and of the non-targets above 0: evidence for the wrong side.
    """

    scores: Float64Array
    targets: Float64Array
    nontargets: Float64Array
    misleading_targets: float
    misleading_nontargets: float


def tippett(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> Tippett:
    """Compute a Tippett plot: how often evidence is at least so strong (Evett and Buckleton, 1996).

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    """
    scores = pool_scores(sort_scores(targets, nontargets, target_weights, nontarget_weights))
    p_miss, p_fa = cumulative_rates(scores.targets, scores.nontargets)
    above_zero = int(np.searchsorted(scores.scores, 0.0, side="right"))
    return Tippett(
        scores.scores,
        1.0 - p_miss[:-1],
        p_fa[:-1],
        misleading_targets=float(p_miss[np.searchsorted(scores.scores, 0.0)]),
        misleading_nontargets=float(p_fa[above_zero]),
    )


@dataclass(frozen=True, eq=False)
class BayesError:
    """Normalized Bayes error rates over priors.

    Attributes
    ----------
    prior_log_odds : (n,) float64 array
        log(p / (1 - p)), natural.
    actual, minimum : (n,) float64 arrays
        actDCF and minDCF with costs of 1 at that prior.
    """

    prior_log_odds: Float64Array
    actual: Float64Array
    minimum: Float64Array


def bayes_error(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    prior_log_odds: npt.ArrayLike | None = None,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> BayesError:
    """Compute the normalized Bayes error rate over priors (Brümmer and de Villiers, 2011).

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios.
    prior_log_odds : (n,) array_like, optional
        By default -10 to 10 in 201 steps.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    OptionError
        For log odds so large that the prior is 0 or 1.
    """
    scores = sort_scores(targets, nontargets, target_weights, nontarget_weights)
    hull = rocch(scores)
    odds = _log_odds(prior_log_odds, 10.0)
    points = [OperatingPoint(p) for p in (1.0 / (1.0 + np.exp(-odds))).tolist()]
    return BayesError(
        odds,
        actual=np.array([act_dcf_of(scores, point) for point in points]),
        minimum=np.array([min_dcf_of(hull, point) for point in points]),
    )


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Empirical cross-entropy over priors, in bits.

    Attributes
    ----------
    prior_log_odds : (n,) float64 array
        log(p / (1 - p)), natural.
    actual : (n,) float64 array
        What is still not known of the speaker after hearing the ratios; Cllr at log odds of 0.
    minimum : (n,) float64 array
        The same after the best calibration that keeps their order; minCllr at log odds of 0.
    neutral : (n,) float64 array
        Without any evidence: the entropy of the prior. Ratios above it do harm.
    """

    prior_log_odds: Float64Array
    actual: Float64Array
    minimum: Float64Array
    neutral: Float64Array


def cross_entropy(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    prior_log_odds: npt.ArrayLike | None = None,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> CrossEntropy:
    """Compute the empirical cross-entropy (ECE) over priors.

    ECE = p mean over targets of log2(1 + exp(-(s + o))) + (1 - p) mean over non-targets of
    log2(1 + exp(s + o)), with o the prior log odds and p the prior.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios. A target at -inf or a non-target at inf costs inf.
    prior_log_odds : (n,) array_like, optional
        By default -2.5 to 2.5 decades in 201 steps, as forensic reports have them.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.

    References
    ----------
    Ramos and Gonzalez-Rodriguez, "Reliable support: measuring calibration of likelihood ratios",
    Forensic Science International 230, 2013, eq. 10.
    """
    scores = sort_scores(targets, nontargets, target_weights, nontarget_weights)
    hull = rocch(scores)
    with np.errstate(divide="ignore"):
        best_ratios = np.log(hull.targets / hull.targets.sum()) - np.log(
            hull.nontargets / hull.nontargets.sum()
        )
    calibrated = PooledScores(best_ratios, hull.targets, hull.nontargets)
    nothing = PooledScores(np.zeros(1), np.ones(1), np.ones(1))
    odds = _log_odds(prior_log_odds, 2.5 * np.log(10.0))
    return CrossEntropy(odds, *(_entropies(read, odds) for read in (scores, calibrated, nothing)))


def _entropies(scores: Scores, odds: Float64Array) -> Float64Array:
    prior = 1.0 / (1.0 + np.exp(-odds))
    of_targets, of_nontargets = mean_costs(scores, odds)
    entropies: Float64Array = prior * of_targets + (1.0 - prior) * of_nontargets
    return entropies


def _log_odds(given: npt.ArrayLike | None, most: float) -> Float64Array:
    odds = np.linspace(-most, most, 201) if given is None else given
    return np.atleast_1d(np.asarray(odds, dtype=np.float64))
