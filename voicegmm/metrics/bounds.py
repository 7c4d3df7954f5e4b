"""How large a likelihood ratio a set of trials can support."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least
from voicegmm.metrics.pooling import score_array


@dataclass(frozen=True)
class RatioBounds:
    """The natural-log likelihood ratios between which a system is better than none.

    Attributes
    ----------
    lower : float <= 0
    upper : float >= 0
    """

    lower: float
    upper: float


def empirical_bounds(
    targets: npt.ArrayLike, nontargets: npt.ArrayLike, n_misleading: int = 1
) -> RatioBounds:
    """Compute the empirical lower and upper bound of likelihood ratios (ELUB).

    Decisions at a threshold t on the ratio cost P_miss + t P_fa: at the prior and costs that make t
    the Bayes threshold, in units of a miss. Without a system they cost min(1, t). The bounds are
    the thresholds nearest to 1, above and below, beyond which the system with `n_misleading` more
    targets at a ratio of 0 and as many more non-targets at an infinite one costs more than none:
    what so few misleading ratios would overturn was never shown.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios.
    n_misleading : int >= 0

    Returns
    -------
    RatioBounds
        No farther from 0 than the lowest and the highest ratio.

    Raises
    ------
    DataError
        For an empty class or a NaN.
    OptionError
        For n_misleading below 0.

    References
    ----------
    Vergeer et al., "Numerical likelihood ratios outputted by LR systems are often based on
    extrapolation: when to stop extrapolating?", Science & Justice 56, 2016, sections 4 and 5.
    """
    at_least("n_misleading", n_misleading, 0)
    t, n = score_array("targets", targets), score_array("nontargets", nontargets)
    return RatioBounds(-_upper(-n, -t, n_misleading), _upper(t, n, n_misleading))


def _upper(targets: Float64Array, nontargets: Float64Array, n_misleading: int) -> float:
    """Find the least log threshold >= 0 beyond which the cost passes 1; at most the best score.

    The lower bound is that of the mirrored problem: with the classes and the sign exchanged the
    cost P_fa + P_miss / t is compared with 1.
    """
    highest = max(float(targets.max()), float(nontargets.max()), 0.0)
    n_targets, n_nontargets = len(targets) + n_misleading, len(nontargets) + n_misleading
    # From 0 to the first score above, and on from score to score, the two rates do not change.
    above = np.unique(np.concatenate([targets, nontargets]))
    starts = np.append(0.0, above[above > 0.0])
    ends = np.append(starts[1:], np.inf)
    missed = np.searchsorted(np.sort(targets), starts, side="right") + n_misleading
    alarms = len(nontargets) - np.searchsorted(np.sort(nontargets), starts, side="right")
    p_miss, p_fa = missed / n_targets, (alarms + n_misleading) / n_nontargets
    with np.errstate(divide="ignore", invalid="ignore"):
        # Within such a stretch the cost p_miss + t p_fa passes 1 at t = (1 - p_miss) / p_fa.
        crossing = np.where(p_fa > 0.0, np.log1p(-p_miss) - np.log(p_fa), np.inf)
    exceeds = crossing < ends
    if not exceeds.any():
        return highest
    first = int(np.argmax(exceeds))
    return min(max(float(crossing[first]), float(starts[first])), highest)
