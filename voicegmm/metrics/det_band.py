"""The confidence band of a DET curve."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm.metrics.bootstrap import SpeakerTrials, bootstrap, percentile_interval
from voicegmm.metrics.hull import cumulative_rates
from voicegmm.metrics.pooling import PooledScores

_FURTHEST = 6.0  # probits: a rate of 0 or 1 stands for one in a thousand million
_STEPS = 241


@dataclass(frozen=True, eq=False)
class DetBand:
    """Two curves between which a DET curve lies.

    Attributes
    ----------
    low_miss, low_fa, high_miss, high_fa : (n,) float64 arrays
        Error rates of the better and of the worse curve. Point i of both lies on one line parallel
        to the diagonal of a plot with probit axes.
    n_replicates : int
        Drawings of the speakers behind them.
    """

    low_miss: Float64Array
    low_fa: Float64Array
    high_miss: Float64Array
    high_fa: Float64Array
    n_replicates: int


def det_band(
    trials: SpeakerTrials,
    rng: np.random.Generator,
    n_replicates: int = 200,
    confidence: float = 0.95,
) -> DetBand | None:
    """Find the pointwise confidence band of a DET curve, drawing speakers with replacement.

    With a = probit(p_fa) - probit(p_miss) and b = probit(p_fa) + probit(p_miss), the curve of each
    replicate gives one b for every a, for a falls as the threshold rises. The band is that of b at
    each a, so that misses and false alarms are treated alike.

    Parameters
    ----------
    trials : SpeakerTrials
        As `sort_trials` makes them.
    rng : numpy.random.Generator
    n_replicates : int >= 1
    confidence : float in (0, 1)

    Returns
    -------
    DetBand or None
        None where most drawings leave a class without trials.

    Raises
    ------
    OptionError
        For an option out of range.
    """
    from scipy.special import ndtr, ndtri

    across = np.linspace(-2 * _FURTHEST, 2 * _FURTHEST, _STEPS)

    def along(scores: PooledScores) -> Float64Array:
        p_miss, p_fa = cumulative_rates(scores.targets, scores.nontargets)
        x, y = (np.clip(ndtri(rates), -_FURTHEST, _FURTHEST) for rates in (p_fa, p_miss))
        found: Float64Array = np.interp(across, (x - y)[::-1], (x + y)[::-1])
        return found

    replicates = bootstrap(trials, along, rng, n_replicates)
    if 2 * len(replicates) <= n_replicates:
        return None
    low, high = np.array([percentile_interval(column, confidence) for column in replicates.T]).T
    return DetBand(
        ndtr((low - across) / 2),
        ndtr((low + across) / 2),
        ndtr((high - across) / 2),
        ndtr((high + across) / 2),
        len(replicates),
    )
