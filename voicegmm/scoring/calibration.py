"""Calibration: from scores to log-likelihood ratios that mean what they say."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import above, within
from voicegmm._base.errors import DataError

_MOST_SHOWN = 1_000_000


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

    Minimizes, over slope and offset, the cross-entropy of the posterior at the prior `p_target`,
    each class weighing its prior whatever its number of trials (Brummer and du Preez, "Application-
    independent evaluation of speaker detection", Computer Speech and Language 20, 2006, eq. 41).
    The labels are softened by the rule of succession (Platt, "Probabilistic outputs for support
    vector machines", 1999, eq. 9), so that scores which separate the classes without an error get a
    finite slope: n trials cannot show a ratio of infinity.

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
    above("p_target", p_target, 0)
    above("1 - p_target", 1 - p_target, 0)
    targets, nontargets = np.asarray(targets, float), np.asarray(nontargets, float)
    if targets.size == 0 or nontargets.size == 0:
        raise DataError("calibration needs target and non-target scores")
    if not (np.isfinite(targets).all() and np.isfinite(nontargets).all()):
        raise DataError("calibration scores must be finite")
    if not targets.mean() > nontargets.mean():
        raise DataError("targets do not score above non-targets: these scores cannot be calibrated")
    scores = np.concatenate([targets, nontargets])
    centre, spread = scores.mean(), scores.std()
    design = np.stack([(scores - centre) / spread, np.ones_like(scores)], axis=1)
    wanted = np.concatenate(
        [
            np.full(targets.size, (targets.size + 1) / (targets.size + 2)),
            np.full(nontargets.size, 1 / (nontargets.size + 2)),
        ]
    )
    weights = np.concatenate(
        [
            np.full(targets.size, p_target / targets.size),
            np.full(nontargets.size, (1 - p_target) / nontargets.size),
        ]
    )
    prior_logit = float(np.log(p_target / (1 - p_target)))
    slope, offset = _newton(design, wanted, weights, prior_logit)
    if slope <= 0:
        raise DataError("targets do not score above non-targets: these scores cannot be calibrated")
    slope = slope / spread
    return Calibration(float(slope), float(offset - slope * centre), targets.size, nontargets.size)


def _newton(
    design: Float64Array, wanted: Float64Array, weights: Float64Array, prior_logit: float
) -> Float64Array:
    """Minimize the weighted cross-entropy of logistic(design @ theta + prior_logit)."""

    def loss(theta: Float64Array) -> float:
        logit = design @ theta + prior_logit
        # -[y log p + (1 - y) log(1 - p)] = log(1 + e^logit) - y logit
        return float(weights @ (np.logaddexp(0, logit) - wanted * logit))

    theta = np.zeros(2)
    best = loss(theta)
    for _ in range(200):
        logit = np.clip(design @ theta + prior_logit, -500, 500)
        p = 1 / (1 + np.exp(-logit))
        gradient = design.T @ (weights * (p - wanted))
        curvature = (design * (weights * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        length = 1.0
        while length > 1e-10 and not loss(theta - length * step) < best:
            length /= 2
        if length <= 1e-10:
            break
        theta = theta - length * step
        best = loss(theta)
        if np.abs(length * step).max() < 1e-12:
            break
    return theta
