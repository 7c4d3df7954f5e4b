"""How often is the right one first, and how often does a stranger get a name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray, frozen
from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import DataError
from voicegmm.metrics.bootstrap import draw_speakers, percentile_interval
from voicegmm.metrics.evaluation import Estimate, estimates_of
from voicegmm.metrics.speakers import check_speakers, number_names


@dataclass(frozen=True, eq=False)
class _Attempts:
    """What became of each test: its own model's score, and the best of another's."""

    names: npt.NDArray[np.object_]
    n_trials: int
    first: IntArray  # the first trial of each
    n_targets: IntArray
    own: Float64Array  # NaN: none, or failed
    best: Float64Array  # of all models; -inf where all failed
    n_better: IntArray  # models that beat its own
    n_equal: IntArray  # models that score as its own does, itself among them

    @staticmethod
    def of(tests: npt.ArrayLike, labels: npt.ArrayLike, scores: npt.ArrayLike) -> "_Attempts":
        names = np.asarray(tests)
        is_target = np.asarray(labels, dtype=np.bool_)
        values = np.asarray(scores, dtype=np.float64)
        if not names.shape == is_target.shape == values.shape or names.ndim != 1:
            raise DataError(
                "tests, labels and scores must be vectors of one length, got shapes "
                f"{names.shape}, {is_target.shape} and {values.shape}"
            )
        if not len(names):
            raise DataError("tests, labels and scores must hold at least one trial, got none")
        (test,) = number_names(names)
        n_tests = int(test.max()) + 1
        n_targets = np.bincount(test[is_target], minlength=n_tests)
        first = np.full(n_tests, len(test))
        np.minimum.at(first, test, np.arange(len(test)))
        own = np.full(n_tests, np.nan)
        own[test[is_target]] = values[is_target]
        best = np.full(n_tests, -np.inf)
        np.fmax.at(best, test, values)
        with np.errstate(invalid="ignore"):
            n_better = np.bincount(test, values > own[test], n_tests)
            n_equal = np.bincount(test, values == own[test], n_tests)
        return _Attempts(names[first], len(test), first, n_targets, own, best, n_better, n_equal)

    def refuse(self, wrong: BoolArray, wanted: str) -> None:
        """Raise if the target trials of some tests are not what they should be."""
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"each test must have {wanted} target trial; {self.names[first]} has "
                f"{self.n_targets[first]} ({int(wrong.sum())} such tests)"
            )

    def within_rank(self, rank: int) -> Float64Array:
        """Give the chance that its own model is among the first, where a tie is drawn by lot."""
        chance = np.clip((rank - self.n_better) / np.maximum(self.n_equal, 1), 0, 1)
        return np.where(np.isnan(self.own), 0.0, chance)


def identification_rate(
    tests: npt.ArrayLike, labels: npt.ArrayLike, scores: npt.ArrayLike, rank: int = 1
) -> float:
    """Compute the rank-k identification rate of a closed set.

    Parameters
    ----------
    tests : (n_trials,) array_like of str or int
        The test of each trial; each test was scored against several models.
    labels : (n_trials,) array_like of bool
        True where the model is the test's speaker: exactly once a test.
    scores : (n_trials,) array_like
        Higher means more like the model. NaN is a failed attempt: as a target it is a test not
        identified, as a non-target it is no rival.
    rank : int
        k; at least 1.

    Returns
    -------
    float in [0, 1]
        Share of the tests whose target model is among the k that score highest. A place shared by m
        models is drawn by lot, and a first place counts 1 / m: a system that cannot tell the models
        apart is at chance.

    Raises
    ------
    DataError
        For arrays of different length, no trials, or a test without exactly one target.
    """
    at_least("rank", rank, 1)
    attempts = _Attempts.of(tests, labels, scores)
    attempts.refuse(attempts.n_targets != 1, "exactly one")
    return float(attempts.within_rank(rank).mean())


@dataclass(frozen=True, eq=False)
class OpenSetCurve:
    """Detection and identification against false alarms, as a threshold falls.

    Parameters
    ----------
    thresholds : (n,) float64 array
        Falling; the first is infinite: nobody gets a name.
    detection : (n,) float64 array
        Share of the tests of known speakers that are given the right name.
    false_alarm : (n,) float64 array
        Share of the strangers' tests that are given a name.
    n_known, n_strangers : int
        Tests.
    """

    thresholds: Float64Array
    detection: Float64Array
    false_alarm: Float64Array
    n_known: int
    n_strangers: int

    def __post_init__(self) -> None:
        for name in ("thresholds", "detection", "false_alarm"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))

    def detection_at(self, false_alarm: float) -> float:
        """Give the greatest detection rate at a share of false alarms, in [0, 1], or fewer."""
        within("false_alarm", false_alarm, 0, 1)
        return float(self.detection[self.false_alarm <= false_alarm].max())


def open_set_curve(
    tests: npt.ArrayLike, labels: npt.ArrayLike, scores: npt.ArrayLike, rank: int = 1
) -> OpenSetCurve:
    """Compute the detection-and-identification rate against the false-alarm rate of an open set.

    With s the scores of a test, K the tests of known speakers and U those of strangers,

        detection(t)   = |{k in K: rank of its own model <= rank, own score >= t}| / |K|
        false_alarm(t) = |{u in U: max s >= t}| / |U|

    (Phillips, Grother and Micheals, "Evaluation methods in face recognition", in Handbook of Face
    Recognition, 2nd edition, 2011: the open-set, or watch-list, task.)

    Parameters
    ----------
    tests : (n_trials,) array_like of str or int
        The test of each trial; each test was scored against all models.
    labels : (n_trials,) array_like of bool
        True where the model is the test's speaker: once for a known speaker, never for a stranger.
    scores : (n_trials,) array_like
        NaN is a failed attempt: a known speaker's is not detected, a stranger's is no alarm.
    rank : int
        At least 1; a shared place is drawn by lot, as in `identification_rate`.

    Returns
    -------
    OpenSetCurve

    Raises
    ------
    DataError
        For arrays of different length, no trials, a test with several targets, or no test of a
        known speaker, or none of a stranger.
    """
    at_least("rank", rank, 1)
    attempts = _Attempts.of(tests, labels, scores)
    chances = _OpenSet.of(attempts, rank)
    every = np.ones(len(attempts.names))
    return OpenSetCurve(
        chances.thresholds,
        *chances.rates(every),
        int(chances.known.sum()),
        int((~chances.known).sum()),
    )


@dataclass(frozen=True, eq=False)
class _OpenSet:
    """An open set sorted once, ready to be weighed again and again."""

    thresholds: Float64Array
    known: BoolArray  # tests of known speakers, the others are of strangers
    own_order: IntArray  # of the known, by own score
    own_chance: Float64Array  # in that order
    own_place: IntArray  # of each threshold among the own scores
    alarm_order: IntArray
    alarm_place: IntArray

    @staticmethod
    def of(attempts: _Attempts, rank: int) -> "_OpenSet":
        attempts.refuse(attempts.n_targets > 1, "at most one")
        known = attempts.n_targets == 1
        if known.all() or not known.any():
            who = "strangers" if known.all() else "known speakers"
            raise DataError(f"an open set needs tests of known speakers and of strangers; no {who}")
        own = np.where(np.isnan(attempts.own[known]), -np.inf, attempts.own[known])
        alarms = attempts.best[~known]
        candidates = np.unique(np.concatenate([own, alarms]))
        thresholds = np.append(np.inf, candidates[candidates > -np.inf][::-1])
        own_order, alarm_order = np.argsort(own), np.argsort(alarms)
        return _OpenSet(
            thresholds,
            known,
            own_order,
            attempts.within_rank(rank)[known][own_order],
            np.searchsorted(own[own_order], thresholds),
            alarm_order,
            np.searchsorted(alarms[alarm_order], thresholds),
        )

    def rates(self, weights: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Give detection and false alarms at each threshold, of tests that weigh so much."""
        of_known = weights[self.known][self.own_order]
        of_strangers = weights[~self.known][self.alarm_order]
        detected = _sums_above(of_known * self.own_chance)[self.own_place]
        alarmed = _sums_above(of_strangers)[self.alarm_place]
        return detected / of_known.sum(), alarmed / of_strangers.sum()


def _sums_above(values: Float64Array) -> Float64Array:
    """Give the sum of the values from each place to the end, and of none."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)


def identification_estimates(
    tests: npt.ArrayLike,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    test_speakers: npt.ArrayLike,
    ranks: Sequence[int] = (1,),
    *,
    n_bootstrap: int = 1000,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
) -> list[Estimate]:
    """Compute rank-k identification rates of a closed set, with intervals over speakers.

    A replicate draws the speakers of the tests with replacement: a test weighs as often as its
    speaker was drawn. The models to choose from stay those that there are.

    Parameters
    ----------
    tests, labels, scores
        As `identification_rate` takes them.
    test_speakers : (n_trials,) array_like of str or int
        Who speaks in the test of each trial.
    ranks : sequence of int
        Each k; at least 1.
    n_bootstrap : int >= 0
        Replicates; 0 for no intervals.
    rng : numpy.random.Generator, optional
        What draws the speakers; by default one of fixed seed, so a call repeats.
    confidence : float in (0, 1)
        Of the intervals: percentiles of the replicates, stretched where needed to hold the value.

    Returns
    -------
    list of Estimate
        One a rank.

    Raises
    ------
    DataError
        As `identification_rate`, or for speakers that are not as many as the trials.
    """
    for rank in ranks:
        at_least("rank", rank, 1)
    attempts = _Attempts.of(tests, labels, scores)
    attempts.refuse(attempts.n_targets != 1, "exactly one")
    chances = np.array([attempts.within_rank(rank) for rank in ranks])

    def read(weights: Float64Array) -> Float64Array:
        found: Float64Array = (chances * weights).sum(axis=1) / weights.sum()
        return found

    return _estimates(read, attempts, test_speakers, n_bootstrap, rng, confidence)


def open_set_estimates(
    tests: npt.ArrayLike,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    test_speakers: npt.ArrayLike,
    false_alarms: Sequence[float] = (0.01,),
    rank: int = 1,
    *,
    n_bootstrap: int = 1000,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
) -> list[Estimate]:
    """Compute detection-and-identification rates of an open set, with intervals over speakers.

    Speakers are drawn as in `identification_estimates`, those of the strangers' tests too; the
    threshold that gives a share of false alarms is found anew in each replicate.

    Parameters
    ----------
    tests, labels, scores, rank
        As `open_set_curve` takes them.
    test_speakers, n_bootstrap, rng, confidence
        As in `identification_estimates`.
    false_alarms : sequence of float in [0, 1]
        Shares of the strangers' tests that may get a name.

    Returns
    -------
    list of Estimate
        One a share; as `OpenSetCurve.detection_at`.

    Raises
    ------
    DataError
        As `open_set_curve`, or for speakers that are not as many as the trials.
    """
    at_least("rank", rank, 1)
    for share in false_alarms:
        within("false_alarm", share, 0, 1)
    attempts = _Attempts.of(tests, labels, scores)
    chances = _OpenSet.of(attempts, rank)

    def read(weights: Float64Array) -> Float64Array:
        if not (weights[chances.known].any() and weights[~chances.known].any()):
            return np.full(len(false_alarms), np.nan)
        detection, false_alarm = chances.rates(weights)
        return np.array([detection[false_alarm <= share].max() for share in false_alarms])

    return _estimates(read, attempts, test_speakers, n_bootstrap, rng, confidence)


def _estimates(
    read: Callable[[Float64Array], Float64Array],
    attempts: _Attempts,
    test_speakers: npt.ArrayLike,
    n_bootstrap: int,
    rng: np.random.Generator | None,
    confidence: float,
) -> list[Estimate]:
    """Read rates of the tests as they are, and of drawings of their speakers."""
    at_least("n_bootstrap", n_bootstrap, 0)
    check_speakers("test_speakers", test_speakers, attempts.n_trials)
    (speakers,) = number_names(np.asarray(test_speakers)[attempts.first])
    n_speakers = 1 + int(speakers.max())
    generator = np.random.default_rng(0) if rng is None else rng
    values = read(np.ones(len(speakers)))
    drawings = (draw_speakers(n_speakers, generator)[speakers] for _ in range(n_bootstrap))
    found = np.array([read(weights) for weights in drawings]).reshape(-1, len(values))
    found = found[~np.isnan(found).any(axis=1)]  # a drawing without a test of a kind says nothing
    told = 2 * len(found) > n_bootstrap > 0
    intervals = [percentile_interval(column, confidence) for column in found.T] if told else []
    names = [str(number) for number in range(len(values))]
    return list(estimates_of(names, values.tolist(), intervals).values())
