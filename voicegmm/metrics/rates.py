"""Error rates and costs of decisions: EER, minDCF, actDCF, AUC."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import above, one_of
from voicegmm._base.errors import OptionError
from voicegmm.metrics.hull import Rocch, corners, rocch
from voicegmm.metrics.pooling import Scores, sort_scores

EER_METHODS = ("rocch", "interpolated", "nearest")


@dataclass(frozen=True)
class OperatingPoint:
    """A prior and two costs: what a decision is worth (NIST SRE evaluation plans).

    Attributes
    ----------
    p_target : float in (0, 1)
        Prior probability of a target.
    c_miss, c_fa : float > 0
        Cost of a miss and of a false alarm.
    """

    p_target: float = 0.01
    c_miss: float = 1.0
    c_fa: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.p_target < 1.0:
            raise OptionError(f"p_target must be between 0 and 1 (exclusive), got {self.p_target}")
        above("c_miss", self.c_miss, 0.0)
        above("c_fa", self.c_fa, 0.0)

    @property
    def name(self) -> str:
        """What follows min_dcf_ in tables: "0.01", or "0.01_10_1" when a cost is not 1."""
        costs = "" if self.c_miss == self.c_fa == 1.0 else f"_{self.c_miss:g}_{self.c_fa:g}"
        return f"{self.p_target:g}{costs}"

    @property
    def threshold(self) -> float:
        """The Bayes threshold of natural-log likelihood ratios: accept at or above it."""
        return float(
            np.log(self.c_fa / self.c_miss) + np.log1p(-self.p_target) - np.log(self.p_target)
        )

    def cost(
        self, p_miss: float | Float64Array, p_fa: float | Float64Array
    ) -> float | Float64Array:
        """Normalized detection cost: 1 is the better of accepting all and rejecting all."""
        miss, fa = self.p_target * self.c_miss, (1.0 - self.p_target) * self.c_fa
        return (miss * p_miss + fa * p_fa) / min(miss, fa)


def eer(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    method: str = "rocch",
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> float:
    """Compute the equal error rate.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Scores; higher means more like a target.
    method : {"rocch", "interpolated", "nearest"}
        Where p_miss = p_fa is read: on the convex hull of the ROC (never above 0.5; Brümmer and
        de Villiers, 2011), on the straight line between neighboring thresholds, or as the mean of
        the two rates at the threshold where they are nearest to one another, as ASVspoof's tools
        do.
    target_weights, nontarget_weights : array_like, optional
        One weight a trial.

    Returns
    -------
    float in [0, 1]
        A fraction, not percent.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    OptionError
        For an unknown method.
    """
    one_of("method", method, EER_METHODS)
    return eer_of(sort_scores(targets, nontargets, target_weights, nontarget_weights), method)


def min_dcf(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> float:
    """Compute the detection cost at the best threshold, normalized.

    The cost p_target c_miss p_miss + (1 - p_target) c_fa p_fa divided by that of the better
    decision without a system, min(p_target c_miss, (1 - p_target) c_fa): 0 is perfect, 1 useless
    and the most it can be.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    OptionError
        For p_target outside (0, 1) or a cost that is not positive.
    """
    point = OperatingPoint(p_target, c_miss, c_fa)
    scores = sort_scores(targets, nontargets, target_weights, nontarget_weights)
    return min_dcf_of(rocch(scores), point)


def act_dcf(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> float:
    """Compute the detection cost at the Bayes threshold, normalized as `min_dcf` is.

    The scores must be natural-log likelihood ratios; the threshold is
    log(c_fa (1 - p_target) / (c_miss p_target)). It can be above 1: badly calibrated scores are
    worse than none.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    OptionError
        For p_target outside (0, 1) or a cost that is not positive.
    """
    point = OperatingPoint(p_target, c_miss, c_fa)
    return act_dcf_of(sort_scores(targets, nontargets, target_weights, nontarget_weights), point)


def auc(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    *,
    target_weights: npt.ArrayLike | None = None,
    nontarget_weights: npt.ArrayLike | None = None,
) -> float:
    """Compute the area under the ROC: how often a target scores above a non-target.

    A tie counts one half (the statistic of Mann and Whitney, 1947). 1 is perfect, 0.5 useless.

    Raises
    ------
    DataError
        For an empty class, a NaN or a bad weight.
    """
    return auc_of(sort_scores(targets, nontargets, target_weights, nontarget_weights))


def eer_of(scores: Scores, method: str = "rocch") -> float:
    """Read the equal error rate from sorted scores; see `eer`."""
    if method == "rocch":
        return rocch_eer(rocch(scores))
    if method == "interpolated":
        _, p_miss, p_fa = corners(scores)  # what lies between corners is on a straight line
        return _crossing(p_miss, p_fa)
    # Two thresholds can be equally near, one on either side: the better one, whichever comes
    # first, so that swapping and negating the classes changes nothing.
    _, p_miss, p_fa = nearest_rates(scores)
    return float(((p_miss + p_fa) / 2.0).min())


def nearest_rates(scores: Scores) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Find where misses and false alarms are most nearly as frequent.

    Returns
    -------
    thresholds, p_miss, p_fa : float64 arrays
        One, or the two that are equally near. Accept scores >= threshold; inf rejects all.
    """
    n_targets, n_nontargets = scores.totals
    missed = rejected = 0.0
    found = []
    for piece in scores.pieces():
        some = piece.targets + piece.nontargets > 0.0  # a threshold is the score of some trial
        below_t = np.cumsum(np.append(missed, piece.targets[some]))
        below_n = np.cumsum(np.append(rejected, piece.nontargets[some]))
        missed, rejected = below_t[-1], below_n[-1]
        rates = below_t[:-1] / n_targets, (n_nontargets - below_n[:-1]) / n_nontargets
        found.append(_nearest(piece.scores[some], *rates))
    found.append((np.array([np.inf]), np.ones(1), np.zeros(1)))
    return _nearest(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _nearest(
    thresholds: FloatArray, p_miss: Float64Array, p_fa: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    gap = np.abs(p_miss - p_fa)
    near = gap <= gap.min(initial=np.inf) + 1e-12
    return thresholds[near].astype(np.float64), p_miss[near], p_fa[near]


def rocch_eer(hull: Rocch) -> float:
    """Read the equal error rate from the convex hull of the ROC."""
    return _crossing(hull.p_miss, hull.p_fa)


def _crossing(p_miss: Float64Array, p_fa: Float64Array) -> float:
    gap = p_miss - p_fa  # rises from -1 to 1
    after = int(np.searchsorted(gap, 0.0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(p_miss[after - 1] + share * (p_miss[after] - p_miss[after - 1]))


def min_dcf_of(hull: Rocch, point: OperatingPoint) -> float:
    """Read minDCF from the hull: a linear cost is smallest at a vertex."""
    return float(np.min(point.cost(hull.p_miss, hull.p_fa)))


def act_dcf_of(scores: Scores, point: OperatingPoint) -> float:
    """Read actDCF from sorted scores; see `act_dcf`."""
    return float(point.cost(*rates_at(scores, point.threshold)))


def rates_at(scores: Scores, threshold: float) -> tuple[float, float]:
    """Give (p_miss, p_fa) of accepting scores >= threshold."""
    (misses, alarms), (n_targets, n_nontargets) = scores.errors_at(threshold), scores.totals
    return misses / n_targets, alarms / n_nontargets


def auc_of(scores: Scores) -> float:
    """Read the area under the ROC from sorted scores; see `auc`."""
    rejected, won = 0.0, 0.0  # pairs in which the target scores higher; half of those that tie
    for piece in scores.pieces():
        below = rejected + np.cumsum(piece.nontargets)
        won += (piece.targets * (below - piece.nontargets / 2.0)).sum()
        rejected = below[-1]
    return float(won / (scores.totals[0] * rejected))
