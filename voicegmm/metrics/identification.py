"""How often is the right one first, and how often does a stranger get a name."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray, frozen
from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import DataError
from voicegmm.metrics.speakers import number_names


@dataclass(frozen=True, eq=False)
class _Attempts:
    """What became of each test: its own model's score, and the best of another's."""

    names: npt.NDArray[np.object_]
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
        return _Attempts(names[first], n_targets, own, best, n_better, n_equal)

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
    attempts.refuse(attempts.n_targets > 1, "at most one")
    known = attempts.n_targets == 1
    if known.all() or not known.any():
        who = "strangers" if known.all() else "known speakers"
        raise DataError(f"an open set needs tests of known speakers and of strangers; no {who}")
    chance = attempts.within_rank(rank)[known]
    own = np.where(np.isnan(attempts.own[known]), -np.inf, attempts.own[known])
    alarms = attempts.best[~known]
    candidates = np.unique(np.concatenate([own, alarms]))
    thresholds = np.append(np.inf, candidates[candidates > -np.inf][::-1])
    return OpenSetCurve(
        thresholds,
        _share_above(own, chance, thresholds),
        _share_above(alarms, np.ones(len(alarms)), thresholds),
        int(known.sum()),
        int((~known).sum()),
    )


def _share_above(
    values: Float64Array, weights: Float64Array, thresholds: Float64Array
) -> Float64Array:
    """Give the weight of the values that reach each threshold, over their number."""
    order = np.argsort(values)
    sums = np.append(np.cumsum(weights[order][::-1])[::-1], 0.0)
    found: Float64Array = sums[np.searchsorted(values[order], thresholds, side="left")]
    return found / len(values)
