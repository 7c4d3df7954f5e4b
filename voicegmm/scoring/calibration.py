"""Calibration: from scores to log-likelihood ratios that mean what they say."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import above, within
from voicegmm._base.errors import DataError
from voicegmm.scoring.logistic import learn_logistic

_MOST_SHOWN = 1_000_000
_NOT_ABOVE = "targets do not score above non-targets: these scores cannot be calibrated"


@dataclass(frozen=True)
class Calibration:
    """An affine map from scores to natural-log likelihood ratios.

    Parameters
    ----------
    slope : float
        Positive.
    offset : float
    n_targets, n_nontargets : int
        Trials it was learned from.
    min_seconds : float
        Speech in the shortest tests it was learned from; with less, scores spread more widely than
        it knows.
    """

    slope: float
    offset: float
    n_targets: int = 0
    n_nontargets: int = 0
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        above("slope", self.slope, 0)
        within("offset", self.offset, -1e12, 1e12)

    def apply(self, scores: npt.ArrayLike) -> Float64Array:
        """Give slope * score + offset; NaN stays NaN."""
        return self.slope * np.asarray(scores, np.float64) + self.offset

    @property
    def limit(self) -> float:
        """The greatest natural-log ratio, for or against, that so many trials can show.

        Ratios beyond it are extrapolated: n voices of other people cannot show that something
        happens to fewer than one in n.
        """
        return float(np.log(max(min(self.n_nontargets, _MOST_SHOWN), 1)))


def train_calibration(
    targets: npt.ArrayLike, nontargets: npt.ArrayLike, p_target: float = 0.5
) -> Calibration:
    """Learn a calibration by prior-weighted logistic regression.

    See `learn_logistic`: labels are softened, so that scores which separate the classes without an
    error get a finite slope.

    Parameters
    ----------
    targets, nontargets : (n,) array_like
        Scores, at least one of each, finite.
    p_target : float
        In (0, 1).

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        If a class is empty or not finite, or if targets do not score above non-targets.
    """
    t, n = np.asarray(targets, np.float64), np.asarray(nontargets, np.float64)
    # A single score, or the same one throughout, is caught here too.
    if len(t) and len(n) and not t.mean() > n.mean() and np.isfinite([t.sum(), n.sum()]).all():
        raise DataError(_NOT_ABOVE)
    is_target = np.repeat([True, False], [len(t), len(n)])
    (slope,), offset = learn_logistic(np.concatenate([t, n])[:, None], is_target, p_target)
    if slope <= 0:
        raise DataError(_NOT_ABOVE)
    return Calibration(float(slope), offset, len(t), len(n))
