"""Calibration: from scores to log-likelihood ratios that mean what they say."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.checks import above, one_of, within
from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm.metrics import RatioBounds, empirical_bounds, pool_scores, rocch, sort_scores
from voicegmm.scoring.held_out import judge_held_out
from voicegmm.scoring.logistic import learn_logistic

_MOST_SHOWN = 1_000_000
_NOT_ABOVE = "targets do not score above non-targets: these scores cannot be calibrated"


@dataclass(frozen=True)
class CalibrationOptions:
    """The kind of a calibration.

    Parameters
    ----------
    method : {"linear", "pav"}
        "linear": a straight line, by logistic regression. "pav": upon it the steps of isotonic
        regression (pool adjacent violators), which follow scores of any shape and need many trials.
    duration : {"none", "offset", "offset_and_slope"}
        Whether the line hangs on how much speech a test holds, by the logarithm of its seconds:
        its offset alone, or its slope too.
    bounds : {"none", "empirical"}
        "empirical": no ratio is farther from 1 than the trials can support (ELUB).
    """

    method: str = "linear"
    duration: str = "none"
    bounds: str = "none"

    def __post_init__(self) -> None:
        one_of("method", self.method, ("linear", "pav"))
        one_of("duration", self.duration, ("none", "offset", "offset_and_slope"))
        one_of("bounds", self.bounds, ("none", "empirical"))


@dataclass(frozen=True)
class DurationEffect:
    """What the seconds of speech in a test do to its ratio.

    Parameters
    ----------
    offset, slope : float
        Added to the offset and to the slope of the line, times the natural logarithm of seconds.
    shortest, longest : float
        Seconds it was learned from, positive; what is shorter or longer counts as these.
    """

    offset: float
    slope: float
    shortest: float
    longest: float

    def __post_init__(self) -> None:
        above("shortest", self.shortest, 0)
        within("shortest", self.shortest, 0, self.longest)

    def log_seconds(self, seconds: npt.ArrayLike) -> Float64Array:
        """Give the logarithm of seconds, within what was learned from."""
        held = np.clip(np.asarray(seconds, np.float64), self.shortest, self.longest)
        logarithm: Float64Array = np.log(held)
        return logarithm


@dataclass(frozen=True)
class Calibration:
    """A map from scores to natural-log likelihood ratios: a line, then steps, then bounds.

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
    duration : DurationEffect, optional
        How the line hangs on the seconds of speech in the test.
    steps : tuple of (float, float)
        Points of the map from the line's ratios to better ones, both rising; between them it is
        straight, beyond them flat. Empty where there is none.
    bounds : RatioBounds, optional
        No ratio lies beyond.
    """

    slope: float
    offset: float
    n_targets: int = 0
    n_nontargets: int = 0
    min_seconds: float = 0.0
    duration: DurationEffect | None = None
    steps: tuple[tuple[float, float], ...] = ()
    bounds: RatioBounds | None = None

    def __post_init__(self) -> None:
        above("slope", self.slope if self.duration is None else self._least_slope, 0)
        within("offset", self.offset, -1e12, 1e12)
        steps = np.array(self.steps).reshape(-1, 2)
        if not (np.isfinite(steps).all() and (np.diff(steps, axis=0) >= 0).all()):
            raise OptionError("steps must be finite and rise")

    @property
    def _least_slope(self) -> float:
        assert self.duration is not None
        ends = self.duration.log_seconds([self.duration.shortest, self.duration.longest])
        return float((self.slope + self.duration.slope * ends).min())

    def apply(self, scores: npt.ArrayLike, seconds: npt.ArrayLike | None = None) -> Float64Array:
        """Give the ratios of scores.

        Parameters
        ----------
        scores : array_like
            NaN stays NaN.
        seconds : array_like, optional
            Speech in the test of each, or of all; needed where `duration` is known.

        Returns
        -------
        float64 array
            As the scores.

        Raises
        ------
        MismatchError
            If the seconds are needed and not given.
        """
        values = np.asarray(scores, np.float64)
        slope: float | Float64Array = self.slope
        offset: float | Float64Array = self.offset
        if self.duration is not None:
            if seconds is None:
                raise MismatchError(
                    "this calibration hangs on the seconds of speech in a test; give them with the "
                    "scores"
                )
            logarithm = self.duration.log_seconds(seconds)
            slope = slope + self.duration.slope * logarithm
            offset = offset + self.duration.offset * logarithm
        ratios: Float64Array = slope * values + offset
        if self.steps:
            ratios = np.interp(ratios, *np.array(self.steps).T)
        if self.bounds is not None:
            ratios = np.clip(ratios, self.bounds.lower, self.bounds.upper)
        return ratios

    @property
    def limit(self) -> float:
        """The greatest natural-log ratio, for or against, that so many trials can show.

        Ratios beyond it are extrapolated: n voices of other people cannot show that something
        happens to fewer than one in n.
        """
        return float(np.log(max(min(self.n_nontargets, _MOST_SHOWN), 1)))


def train_calibration(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    p_target: float = 0.5,
    options: CalibrationOptions | None = None,
    target_seconds: npt.ArrayLike | None = None,
    nontarget_seconds: npt.ArrayLike | None = None,
) -> Calibration:
    """Learn a calibration; the line by prior-weighted logistic regression.

    See `learn_logistic`: labels are softened, so that scores which separate the classes without an
    error get a finite slope. Duration is side information to the regression, as the quality
    measures of Mandasari et al., "Quality measure functions for calibration of speaker recognition
    systems in various duration conditions", IEEE Trans. Audio, Speech and Language Processing 21,
    2013.

    Parameters
    ----------
    targets, nontargets : (n,) array_like
        Scores, at least one of each, finite.
    p_target : float
        In (0, 1).
    options : CalibrationOptions, optional
        Bounds are those of the very scores it was learned from: a little too wide with few trials.
    target_seconds, nontarget_seconds : (n,) array_like, optional
        Speech in the test of each trial, positive; needed where `options.duration` is not "none".

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        If a class is empty or not finite, if targets do not score above non-targets (at some
        duration), or if seconds are missing, not positive or all the same.
    """
    options = options or CalibrationOptions()
    t, n = np.asarray(targets, np.float64), np.asarray(nontargets, np.float64)
    # A single score, or the same one throughout, is caught here too.
    if len(t) and len(n) and not t.mean() > n.mean() and np.isfinite([t.sum(), n.sum()]).all():
        raise DataError(_NOT_ABOVE)
    scores = np.concatenate([t, n])
    is_target = np.repeat([True, False], [len(t), len(n)])
    columns, seconds = [scores], None
    if options.duration != "none":
        seconds = _checked_seconds(target_seconds, nontarget_seconds, len(t), len(n))
        columns.append(np.log(seconds))
        if options.duration == "offset_and_slope":
            columns.append(scores * np.log(seconds))
    weights, offset = learn_logistic(np.column_stack(columns), is_target, p_target)
    effect = None
    if seconds is not None:
        of_offset, of_slope = np.append(weights[1:], 0.0)[:2].tolist()
        effect = DurationEffect(of_offset, of_slope, float(seconds.min()), float(seconds.max()))
    try:
        found = Calibration(float(weights[0]), offset, len(t), len(n), duration=effect)
    except OptionError:
        raise DataError(_NOT_ABOVE) from None
    ratios = found.apply(scores, seconds)
    if options.method == "pav":
        found = replace(found, steps=isotonic_steps(ratios[is_target], ratios[~is_target]))
        ratios = found.apply(scores, seconds)
    if options.bounds == "empirical":
        found = replace(found, bounds=empirical_bounds(ratios[is_target], ratios[~is_target]))
    return found


def isotonic_steps(
    targets: npt.ArrayLike, nontargets: npt.ArrayLike
) -> tuple[tuple[float, float], ...]:
    """Give the points of the best rising map from scores to natural-log likelihood ratios.

    Isotonic regression, with a target and a non-target added at either end, so that no ratio is
    infinite (Laplace's rule of succession, as in Brümmer's FoCal toolkit).

    Parameters
    ----------
    targets, nontargets : (n,) array_like
        Finite scores, at least one of each.

    Returns
    -------
    tuple of (score, ratio)
        The first and the last score of each block of equal ratios; both rise.
    """
    ends = [-np.inf, np.inf]
    scores = pool_scores(sort_scores(np.append(targets, ends), np.append(nontargets, ends)))
    hull = rocch(scores)
    ratios = np.log(hull.targets / hull.targets.sum()) - np.log(
        hull.nontargets / hull.nontargets.sum()
    )
    finite = scores.scores[np.isfinite(scores.scores)]
    block = np.searchsorted(hull.thresholds, finite, side="right") - 1
    changes = np.diff(block) > 0
    edge = np.append(True, changes) | np.append(changes, True)
    return tuple(zip(finite[edge].tolist(), ratios[block[edge]].tolist(), strict=True))


def calibrate_held_out(
    scores: npt.ArrayLike,
    targets: npt.ArrayLike,
    model_speakers: npt.ArrayLike,
    test_speakers: npt.ArrayLike,
    rng: np.random.Generator,
    p_target: float = 0.5,
    options: CalibrationOptions | None = None,
    seconds: npt.ArrayLike | None = None,
    n_folds: int = 5,
) -> Float64Array:
    """Calibrate each trial by what was learned from the trials of other speakers.

    What a calibration is worth where there are no other trials to learn it from.

    Parameters
    ----------
    scores : (n_trials,) array_like
    targets : (n_trials,) array_like of bool
    model_speakers, test_speakers, rng, n_folds
        As `judge_held_out` takes them.
    p_target, options
        As `train_calibration` takes them.
    seconds : (n_trials,) array_like, optional
        Speech in the test of each trial.

    Returns
    -------
    (n_trials,) float64 array
        Natural-log likelihood ratios.

    Raises
    ------
    DataError
        As `train_calibration`, and with too few speakers.
    """
    values, is_target = np.asarray(scores, np.float64), np.asarray(targets, np.bool_)
    # Where durations are not asked for, the trials' own are passed over, whatever they are.
    lengths = np.ones(len(values)) if seconds is None else np.asarray(seconds, np.float64)

    def learn(known: IntArray) -> Calibration:
        t, n = known[is_target[known]], known[~is_target[known]]
        return train_calibration(values[t], values[n], p_target, options, lengths[t], lengths[n])

    return judge_held_out(
        lambda known: lambda judged: learn(known).apply(values[judged], lengths[judged]),
        is_target,
        model_speakers,
        test_speakers,
        rng,
        n_folds,
    )


def _checked_seconds(
    of_targets: npt.ArrayLike | None,
    of_nontargets: npt.ArrayLike | None,
    n_targets: int,
    n_nontargets: int,
) -> Float64Array:
    if of_targets is None or of_nontargets is None:
        raise DataError("a calibration by duration needs the seconds of speech in each test")
    if np.shape(of_targets) != (n_targets,) or np.shape(of_nontargets) != (n_nontargets,):
        raise DataError(
            f"seconds must be one a trial, {n_targets} and {n_nontargets}; got shapes "
            f"{np.shape(of_targets)} and {np.shape(of_nontargets)}"
        )
    seconds = np.concatenate([np.asarray(of_targets), np.asarray(of_nontargets)]).astype(np.float64)
    if not (np.isfinite(seconds) & (seconds > 0)).all():
        raise DataError("seconds of speech must be positive numbers")
    if np.ptp(seconds) == 0:
        raise DataError(
            f"every test holds {seconds[0]:g} s of speech: there is no duration to learn from"
        )
    return seconds
