"""From the likelihoods of classes to probabilities that mean what they say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.checks import above, did_you_mean, within
from voicegmm._base.errors import DataError, OptionError


@dataclass(frozen=True)
class ClassCalibration:
    """An affine map from the scores of classes to log-likelihoods.

    Parameters
    ----------
    slope : float
        Positive; one for all classes.
    offsets : tuple of float
        One a class; they sum to 0.
    n_voices : tuple of int
        Speakers of each class that it was learned from (recordings, where speakers are not known).
    min_seconds : float
        Speech in the shortest recordings it was learned from; with less, probabilities are too
        extreme.
    usual : tuple of float
        For each class the score of its own model that 99 of 100 of its recordings pass when they
        are left out: with less, a recording is unlike the class. Empty: not known.
    """

    slope: float
    offsets: tuple[float, ...]
    n_voices: tuple[int, ...] = ()
    min_seconds: float = 0.0
    usual: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        above("slope", self.slope, 0)
        for offset in self.offsets:
            within("offsets", offset, -1e12, 1e12)

    def apply(self, scores: npt.ArrayLike) -> Float64Array:
        """Give slope * score + offset, up to what is common to all classes.

        Parameters
        ----------
        scores : (..., n_classes) array_like

        Returns
        -------
        (..., n_classes) float64 array
            Natural logarithms; the greatest of each recording is 0.
        """
        found = self.slope * np.asarray(scores, np.float64) + np.array(self.offsets)
        peaked: Float64Array = found - found.max(axis=-1, keepdims=True)
        return peaked

    @property
    def limit(self) -> float:
        """The greatest natural-log ratio between two classes that so many voices can show.

        Ratios beyond it are extrapolated: n voices cannot show that something happens to fewer
        than one in n.
        """
        return float(np.log(max(min(self.n_voices, default=1), 1)))

    def held(self, scores: npt.ArrayLike) -> Float64Array:
        """Give `apply`, no ratio to the best class beyond `limit`."""
        return np.maximum(self.apply(scores), -self.limit)


def train_class_calibration(
    scores: npt.ArrayLike, labels: npt.ArrayLike, n_voices: npt.ArrayLike | None = None
) -> ClassCalibration:
    """Learn a calibration of classes by multi-class logistic regression.

    Minimizes, over the slope and the offsets, the cross-entropy of the posteriors at equal priors,
    each class weighing the same whatever its number of recordings (van Leeuwen and Brummer,
    "Channel-dependent GMM and multi-class logistic regression models for language recognition",
    Odyssey 2006). The labels are softened by the rule of succession, (n + 1) / (n + C)
    for the own class of n voices among C and 1 / (n + C) for each other: of two classes, as in
    `train_calibration`.

    Parameters
    ----------
    scores : (n, n_classes) array_like
        Finite.
    labels : (n,) array_like of int
        The class of each; every class at least once.
    n_voices : (n_classes,) array_like of int, optional
        Independent pieces of evidence of each class, its speakers; None: its recordings.

    Returns
    -------
    ClassCalibration

    Raises
    ------
    DataError
        For a class without scores, scores that are not finite, or classes that do not score higher
        on their own recordings.
    """
    values, classes = np.asarray(scores, np.float64), np.asarray(labels, np.intp)
    if values.ndim != 2 or values.shape[1] < 2 or classes.shape != values.shape[:1]:
        raise DataError(
            "scores must be (n, n_classes) with at least two classes, and labels (n,); got "
            f"{values.shape} and {classes.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError("calibration scores must be finite")
    if len(classes) and not 0 <= classes.min() <= classes.max() < values.shape[1]:
        raise DataError(f"labels must be between 0 and {values.shape[1] - 1}")
    counts = np.bincount(classes, minlength=values.shape[1])
    if not counts.all():
        raise DataError("calibration needs scores of every class")
    voices = counts if n_voices is None else np.asarray(n_voices)
    # What is common to all classes does not count; the rest is brought to a size of 1.
    centered = values - values.mean(axis=1, keepdims=True)
    spread = float(centered.std())
    if spread == 0:
        raise DataError("all classes score the same: these scores cannot be calibrated")
    slope, offsets = _regression(centered / spread, classes, counts, voices)
    if slope <= 0:
        raise DataError(
            "the classes do not score higher on their own recordings: these scores cannot be "
            "calibrated"
        )
    return ClassCalibration(slope / spread, tuple(offsets.tolist()), tuple(voices.tolist()))


def _regression(
    scores: Float64Array, labels: IntArray, counts: IntArray, voices: IntArray
) -> tuple[float, Float64Array]:
    from scipy.optimize import minimize

    n_classes = scores.shape[1]
    own = labels[:, None] == np.arange(n_classes)
    wanted = (own + 1 / voices[labels, None]) / (1 + n_classes / voices[labels, None])
    weights = 1 / (n_classes * counts[labels])

    def loss(theta: Float64Array) -> tuple[float, Float64Array]:
        logits = theta[0] * scores + theta[1:]
        peak = logits.max(axis=1, keepdims=True)
        unnormalized = np.exp(logits - peak)
        sums = unnormalized.sum(axis=1, keepdims=True)
        # -sum_c t_c log p_c, with sum_c t_c = 1
        costs = (peak + np.log(sums))[:, 0] - (wanted * logits).sum(axis=1)
        errors = weights[:, None] * (unnormalized / sums - wanted)
        gradient = np.concatenate([[(errors * scores).sum()], errors.sum(axis=0)])
        return float(weights @ costs), gradient

    start = np.zeros(1 + n_classes)
    start[0] = 1
    theta = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return float(theta[0]), theta[1:] - theta[1:].mean()


def class_priors(names: tuple[str, ...], given: Mapping[str, float] | None = None) -> Float64Array:
    """Complete the prior probabilities of classes.

    Parameters
    ----------
    names : tuple of str
    given : mapping of str to float, optional
        Of some classes, each in (0, 1); the others share what is left evenly.

    Returns
    -------
    (n_classes,) float64 array
        Each above 0; they sum to 1.

    Raises
    ------
    OptionError
        For an unknown class, a prior outside (0, 1), or priors that do not sum to 1.
    """
    given = given or {}
    for name, value in given.items():
        if name not in names:
            raise OptionError(
                f"prior: no class is called {name!r}{did_you_mean(name, names)}; "
                f"there are {', '.join(names)}"
            )
        if not 0 < value < 1:
            raise OptionError(f"prior: {name} must be between 0 and 1 (exclusive), got {value}")
    rest = 1 - sum(given.values())
    others = len(names) - len(given)
    if (others and rest <= 0) or (not others and abs(rest) > 1e-6):
        raise OptionError(
            f"prior: the probabilities must sum to {'less than ' if others else ''}1, "
            f"got {sum(given.values()):g}"
        )
    priors = np.array([given.get(name, rest / max(others, 1)) for name in names])
    scaled: Float64Array = priors / priors.sum()
    return scaled


def class_posteriors(log_likelihoods: npt.ArrayLike, priors: npt.ArrayLike) -> Float64Array:
    """Give the probability of each class, by Bayes' rule, if one of them it is.

    Parameters
    ----------
    log_likelihoods : (..., n_classes) array_like
        Calibrated, up to what is common to all classes.
    priors : (n_classes,) array_like
        Each above 0.

    Returns
    -------
    (..., n_classes) float64 array
        Sums to 1.
    """
    joint = np.asarray(log_likelihoods, np.float64) + np.log(priors)
    unnormalized = np.exp(joint - joint.max(axis=-1, keepdims=True))
    shares: Float64Array = unnormalized / unnormalized.sum(axis=-1, keepdims=True)
    return shares


def class_ratios(log_likelihoods: npt.ArrayLike, priors: npt.ArrayLike) -> Float64Array:
    """Give the log-likelihood ratio of each class against all others together.

    log p(x | c) - log sum_(j != c) P_j / (1 - P_c) p(x | j): of two classes, the plain ratio, on
    which the priors have no influence.

    Parameters
    ----------
    log_likelihoods : (n_classes,) array_like
        Calibrated, up to what is common to all classes.
    priors : (n_classes,) array_like
        Each above 0.

    Returns
    -------
    (n_classes,) float64 array
        Natural logarithms.
    """
    likelihoods, priors = np.asarray(log_likelihoods, np.float64), np.asarray(priors, np.float64)
    joint = likelihoods + np.log(priors)
    others = [np.logaddexp.reduce(np.delete(joint, place)) for place in range(len(joint))]
    ratios: Float64Array = likelihoods - others + np.log1p(-priors)
    return ratios
