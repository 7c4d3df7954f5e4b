"""Calibration of a score that is still growing, by the seconds of speech behind it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import above
from voicegmm._base.errors import DataError
from voicegmm.metrics import cllr
from voicegmm.scoring.calibration import Calibration
from voicegmm.scoring.logistic import learn_logistic


@dataclass(frozen=True)
class RunningCalibration:
    """A map from a running score and the speech behind it to a natural-log likelihood ratio.

        ratio = seconds / (seconds + half_seconds) * (slope * score + offset)

    The mean score of a voice spreads by s^2 over voices and by w^2 / seconds within one, so that
    between two normal classes of equal spread the ratio is proportional to
    1 / (s^2 + w^2 / seconds): `half_seconds` is w^2 / s^2. Without speech nothing is known, and the
    ratio is one; with ever more of it the calibration is that of long recordings.

    Parameters
    ----------
    long : Calibration
        Of long recordings. Its `min_seconds` is not used: the map knows of short ones.
    half_seconds : float
        Speech at which a score counts half of that, positive.
    """

    long: Calibration
    half_seconds: float

    def __post_init__(self) -> None:
        above("half_seconds", self.half_seconds, 0)

    def apply(self, scores: npt.ArrayLike, seconds: npt.ArrayLike) -> Float64Array:
        """Give the ratio of mean scores after so much speech; NaN stays NaN."""
        share = _share(seconds, self.half_seconds)
        return np.asarray(share * self.long.apply(scores))


def _share(seconds: npt.ArrayLike, half_seconds: float) -> Float64Array:
    seconds = np.asarray(seconds, np.float64)
    return np.asarray(seconds / (seconds + half_seconds))


def train_running_calibration(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_seconds: npt.ArrayLike,
    nontarget_seconds: npt.ArrayLike,
) -> RunningCalibration:
    """Learn from scores of beginnings of recordings what a score is worth after so much speech.

    By `learn_logistic`, with the `half_seconds` between 0.01 and 1000 of the least Cllr.

    Parameters
    ----------
    targets, nontargets : (n,) array_like
        Mean scores, at least one of each, finite.
    target_seconds, nontarget_seconds : (n,) array_like
        Speech behind each, positive.

    Returns
    -------
    RunningCalibration

    Raises
    ------
    DataError
        As `train_calibration`.
    """
    from scipy.optimize import minimize_scalar

    t, n = np.asarray(targets, np.float64), np.asarray(nontargets, np.float64)
    scores, is_target = np.concatenate([t, n]), np.repeat([True, False], [len(t), len(n)])
    seconds = np.concatenate([np.asarray(target_seconds), np.asarray(nontarget_seconds)])

    def fitted(log_half: float) -> RunningCalibration:
        half = float(np.exp(log_half))
        (slope,), offset = learn_logistic(
            scores[:, None], is_target, evidence=_share(seconds, half)
        )
        if slope <= 0:
            raise DataError(
                "targets do not score above non-targets: these scores cannot be calibrated"
            )
        return RunningCalibration(Calibration(float(slope), offset, len(t), len(n)), half)

    def loss(log_half: float) -> float:
        ratios = fitted(log_half).apply(scores, seconds)
        return cllr(ratios[is_target], ratios[~is_target])

    best = minimize_scalar(
        loss, bounds=np.log([1e-2, 1e3]), method="bounded", options={"xatol": 0.02}
    )
    return fitted(float(best.x))
