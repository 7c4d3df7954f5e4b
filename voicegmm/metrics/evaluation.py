"""All metrics of a system at once, with intervals, counts and warnings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics.bootstrap import SpeakerTrials, bootstrap, percentile_interval, sort_trials
from voicegmm.metrics.hull import Rocch, rocch
from voicegmm.metrics.likelihood_ratios import bits, cllr_of, min_cllr_of, weighted_mean
from voicegmm.metrics.pooling import PooledScores, Scores, as_scores, check_scores, sort_scores
from voicegmm.metrics.rates import (
    OperatingPoint,
    act_dcf_of,
    auc_of,
    min_dcf_of,
    rates_at,
    rocch_eer,
)
from voicegmm.metrics.speakers import check_speakers, number_names

FEW_SPEAKERS = 20
FEW_ERRORS = 30  # Doddington et al., "The NIST speaker recognition evaluation", 2000

_OF_DECISIONS = ("eer", "min_dcf_", "act_dcf_", "min_c_primary", "act_c_primary")

DEFAULT_POINTS = (OperatingPoint(0.01), OperatingPoint(0.05))


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; None where the interval is not known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    metrics : dict of str to Estimate
        eer, min_dcf_<p>, act_dcf_<p> for each operating point, min_c_primary and act_c_primary
        where asked for, cllr, min_cllr, calibration_loss (the difference of these two), auc; of
        the trials that have a score.
    n_targets, n_nontargets : int
        Trials with a score.
    n_failed_targets, n_failed_nontargets : int
        Trials without.
    n_speakers : int or None
        None when the speakers are not known.
    n_replicates : int
        Bootstrap replicates behind the intervals; 0 where there are none.
    confidence : float
        Of the intervals.
    failures_rejected : dict of str to Estimate
        eer, min_dcf and act_dcf when failed trials are counted as rejections (a score of -inf);
        empty when nothing failed. Without intervals where failed attempts were not in the arrays.
    warnings : tuple of str
        What to keep in mind when quoting the figures.
    """

    metrics: dict[str, Estimate]
    n_targets: int
    n_nontargets: int
    n_failed_targets: int
    n_failed_nontargets: int
    n_speakers: int | None
    n_replicates: int
    confidence: float
    failures_rejected: dict[str, Estimate]
    warnings: tuple[str, ...]

    @property
    def failure_rate(self) -> float:
        """Share of all attempts that gave no score, in [0, 1)."""
        n_failed = self.n_failed_targets + self.n_failed_nontargets
        return n_failed / (self.n_targets + self.n_nontargets + n_failed)

    def to_mapping(self) -> dict[str, Any]:
        """Turn into dicts, lists, strings and numbers that JSON can hold.

        None stands where an interval is not known, and for an infinite figure, which JSON cannot
        hold; `warnings` says so.
        """
        mapping = asdict(self) | {"failure_rate": self.failure_rate}
        for table in ("metrics", "failures_rejected"):
            mapping[table] = {key: finite_or_none(value) for key, value in mapping[table].items()}
        mapping["warnings"] = list(self.warnings)
        return mapping


def finite_or_none(figures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Put None for what is infinite, which JSON cannot hold."""
    return {
        name: value if value is None or np.isfinite(value) else None
        for name, value in figures.items()
    }


def evaluate(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    *,
    target_speakers: npt.ArrayLike | None = None,
    nontarget_model_speakers: npt.ArrayLike | None = None,
    nontarget_test_speakers: npt.ArrayLike | None = None,
    operating_points: Sequence[OperatingPoint] = DEFAULT_POINTS,
    primary: bool = False,
    n_bootstrap: int = 1000,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
    n_failed_targets: int = 0,
    n_failed_nontargets: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate the scores of a system.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios, or any scores if only eer, min_dcf, min_cllr and auc are
        read. NaN is a failed attempt: counted, and left out of the metrics.
    target_speakers : (n_targets,) array_like of str or int, optional
        The speaker of each target trial.
    nontarget_model_speakers, nontarget_test_speakers : (n_nontargets,) array_like, optional
        The two speakers of each non-target trial. All three or none; `infer_speakers` finds them
        from a trial list. Without them there are no intervals.
    operating_points : sequence of OperatingPoint
        Where min_dcf and act_dcf are read; `read_points` knows those of the evaluations by name.
    primary : bool
        Whether the means of min_dcf and of act_dcf over the points are given too: C_primary of
        SRE16 and its followers.
    n_bootstrap : int >= 0
        Replicates; 0 for no intervals.
    rng : numpy.random.Generator, optional
        What draws the speakers; by default one of fixed seed, so a call repeats.
    confidence : float in (0, 1)
        Of the intervals: percentiles of the replicates, stretched where needed to hold the value.
    n_failed_targets, n_failed_nontargets : int >= 0
        Failed attempts that are not in the arrays at all.
    progress : callable, optional
        Called with the replicates done and their number.

    Raises
    ------
    DataError
        For a class without scores, or speakers that are not as many as the scores.
    OptionError
        For an option out of range, two operating points of one name, or some but not all of the
        speakers.
    """
    points = _checked_points(operating_points, primary)
    at_least("n_bootstrap", n_bootstrap, 0)
    at_least("n_failed_targets", n_failed_targets, 0)
    at_least("n_failed_nontargets", n_failed_nontargets, 0)
    if not 0.0 < confidence < 1.0:
        raise OptionError(f"confidence must be between 0 and 1 (exclusive), got {confidence}")
    t, n = _attempts("targets", targets), _attempts("nontargets", nontargets)
    t_kept, n_kept = ~np.isnan(t), ~np.isnan(n)
    failed_t = n_failed_targets + int((~t_kept).sum())
    failed_n = n_failed_nontargets + int((~n_kept).sum())
    speakers = _speakers(
        (len(t), len(n)), target_speakers, nontarget_model_speakers, nontarget_test_speakers
    )
    generator = np.random.default_rng(0) if rng is None else rng

    # Without failures nothing is copied: there may be many millions of scores.
    t_valid, n_valid = (
        each if kept.all() else each[kept] for each, kept in ((t, t_kept), (n, n_kept))
    )
    scores = sort_scores(t_valid, n_valid)
    hull = rocch(scores)
    trials, n_speakers = None, None
    if speakers is not None:
        of_targets, *of_nontargets = speakers
        kept = of_targets[t_kept], *(each[n_kept] for each in of_nontargets)
        n_speakers = 1 + max(int(each.max()) for each in number_names(*kept))
        trials = sort_trials(t_valid, n_valid, *kept) if n_bootstrap else None
    replicates = _replicates(trials, (points, primary), generator, n_bootstrap, progress)
    estimates = _read(scores, hull, (points, primary), replicates, confidence)

    warnings = []
    if trials is not None and not len(replicates):
        warnings.append(
            f"no intervals: with {trials.n_speakers} speakers most resamplings leave a class "
            "without trials"
        )
    rejected: dict[str, Estimate] = {}
    if failed_t + failed_n:
        warnings.append(
            f"{failed_t} target and {failed_n} non-target trials failed and are not in the metrics"
        )
        extra = n_failed_targets, n_failed_nontargets
        rejected = _failures_rejected(
            (t, n), extra, speakers, (points, primary), generator, n_bootstrap, confidence
        )
    if trials is not None:
        warnings += few_speakers(trials.n_speakers)
    warnings += _warnings(scores, hull, points, estimates)
    return Evaluation(
        metrics=estimates,
        n_targets=int(t_kept.sum()),
        n_nontargets=int(n_kept.sum()),
        n_failed_targets=failed_t,
        n_failed_nontargets=failed_n,
        n_speakers=n_speakers,
        n_replicates=len(replicates),
        confidence=confidence,
        failures_rejected=rejected,
        warnings=tuple(warnings),
    )


def metric_names(points: Sequence[OperatingPoint], primary: bool = False) -> list[str]:
    """Name every metric that `evaluate` gives at some operating points."""
    return [
        "eer",
        *(f"{kind}_dcf_{point.name}" for point in points for kind in ("min", "act")),
        *(f"{kind}_c_primary" for kind in ("min", "act") if primary),
        "cllr",
        "min_cllr",
        "calibration_loss",
        "auc",
    ]


def read_metrics(
    scores: Scores, hull: Rocch, cllr: float, points: Sequence[OperatingPoint], primary: bool
) -> list[float]:
    """Give the figures, in the order of `metric_names`, of scores whose hull and Cllr are known."""
    costs = [
        value for point in points for value in (min_dcf_of(hull, point), act_dcf_of(scores, point))
    ]
    means = [float(np.mean(costs[kind::2])) for kind in (0, 1) if primary]
    least = min_cllr_of(hull)
    return [rocch_eer(hull), *costs, *means, cllr, least, cllr - least, auc_of(scores)]


class Reading:
    """Read every metric of scores that are always the same and weigh differently each time.

    Parameters
    ----------
    scores : (n_distinct,) float64 array
        Those of the `PooledScores` it will be called with.
    points : sequence of OperatingPoint
    primary : bool
        Whether the mean costs over the points are read too.
    """

    def __init__(
        self, scores: Float64Array, points: Sequence[OperatingPoint], primary: bool = False
    ) -> None:
        self._points, self._primary = points, primary
        # The logarithms cost more than all the rest of a replicate: taken once.
        self._target_bits, self._nontarget_bits = bits(-scores), bits(scores)
        self.names = metric_names(points, primary)

    def __call__(self, scores: PooledScores) -> list[float]:
        """Give the figures, in the order of `names`."""
        cllr = (
            weighted_mean(self._target_bits, scores.targets)
            + weighted_mean(self._nontarget_bits, scores.nontargets)
        ) / 2.0
        return read_metrics(scores, rocch(scores), cllr, self._points, self._primary)


def _checked_points(points: Sequence[OperatingPoint], primary: bool) -> tuple[OperatingPoint, ...]:
    if primary and not points:
        raise OptionError("primary is the mean over operating_points, and there are none")
    names = [point.name for point in points]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"operating_points must differ, got two named {twice}")
    return tuple(points)


def _attempts(name: str, scores: npt.ArrayLike) -> FloatArray:
    """Check scores in which NaN stands for a failed attempt."""
    array = as_scores(name, scores)
    kept = ~np.isnan(array)
    if array.ndim == 1 and len(array) and not kept.any():
        raise DataError(f"{name} must hold at least one score, all {len(array)} attempts failed")
    check_scores(name, array if kept.all() else array[kept])
    return array


def _speakers(
    n_trials: tuple[int, int],
    target_speakers: npt.ArrayLike | None,
    model_speakers: npt.ArrayLike | None,
    test_speakers: npt.ArrayLike | None,
) -> tuple[npt.NDArray[Any], ...] | None:
    """Check the speakers of all attempts; None where none are given."""
    n_targets, n_nontargets = n_trials
    given = {
        "target_speakers": (target_speakers, n_targets),
        "nontarget_model_speakers": (model_speakers, n_nontargets),
        "nontarget_test_speakers": (test_speakers, n_nontargets),
    }
    missing = [name for name, (speakers, _) in given.items() if speakers is None]
    if len(missing) == 3:
        return None
    if missing:
        raise OptionError(f"{missing[0]} is missing: give the speakers of all trials or of none")
    arrays = {name: np.asarray(speakers) for name, (speakers, _) in given.items()}
    for name, (_, length) in given.items():
        check_speakers(name, arrays[name], length)
    return tuple(arrays.values())


def _replicates(
    trials: SpeakerTrials | None,
    what: tuple[Sequence[OperatingPoint], bool],
    rng: np.random.Generator,
    n_bootstrap: int,
    progress: Callable[[int, int], None] | None = None,
) -> Float64Array:
    """Read metrics from drawings of the speakers: none where too few drawings have both classes."""
    if trials is None or not n_bootstrap:
        return np.empty((0, 0))
    found = bootstrap(trials, Reading(trials.scores, *what), rng, n_bootstrap, progress)
    return found if 2 * len(found) > n_bootstrap else np.empty((0, 0))


def _read(
    scores: Scores,
    hull: Rocch,
    what: tuple[Sequence[OperatingPoint], bool],
    replicates: Float64Array,
    confidence: float,
) -> dict[str, Estimate]:
    intervals = [percentile_interval(column, confidence) for column in replicates.T]
    values = read_metrics(scores, hull, cllr_of(scores), *what)
    return estimates_of(metric_names(*what), values, intervals)


def estimates_of(
    names: Sequence[str], values: Sequence[float], intervals: Sequence[tuple[float, float]]
) -> dict[str, Estimate]:
    """Put figures and their intervals together; without any intervals where there are none."""
    if not intervals:
        return {name: Estimate(value) for name, value in zip(names, values, strict=True)}
    # A percentile interval can miss its own value (minCllr falls when speakers repeat): a reader
    # could make nothing of that, so the value is always within.
    return {
        name: Estimate(value, min(low, value), max(high, value))
        for name, value, (low, high) in zip(names, values, intervals, strict=True)
    }


def _failures_rejected(
    attempts: tuple[FloatArray, FloatArray],
    n_more: tuple[int, int],
    speakers: tuple[npt.NDArray[Any], ...] | None,
    what: tuple[Sequence[OperatingPoint], bool],
    rng: np.random.Generator,
    n_bootstrap: int,
    confidence: float,
) -> dict[str, Estimate]:
    """Read what decisions cost where a failed attempt is a rejection, a score of -inf.

    Without intervals where some failed attempts, `n_more` of each class, are of nobody known.
    """
    t, n = (np.where(np.isnan(scores), -np.inf, scores) for scores in attempts)
    all_t, all_n = (
        np.append(scores, np.full(more, -np.inf))
        for scores, more in zip((t, n), n_more, strict=True)
    )
    scores = sort_scores(all_t, all_n)
    trials = None
    if speakers is not None and n_bootstrap and not any(n_more):
        trials = sort_trials(t, n, *speakers)
    replicates = _replicates(trials, what, rng, n_bootstrap)
    found = _read(scores, rocch(scores), what, replicates, confidence)
    return {name: each for name, each in found.items() if name.startswith(_OF_DECISIONS)}


def few_speakers(n_speakers: int) -> list[str]:
    """Warn of intervals from few speakers; nothing where there are enough."""
    if n_speakers >= FEW_SPEAKERS:
        return []
    return [
        f"only {n_speakers} speakers: intervals from fewer than {FEW_SPEAKERS} are rough, and tend "
        "to be too narrow"
    ]


def _warnings(
    scores: Scores,
    hull: Rocch,
    points: Sequence[OperatingPoint],
    estimates: Mapping[str, Estimate],
) -> list[str]:
    warnings = []
    equal = estimates["eer"].value
    rates = {"eer": (equal, equal)}
    for point in points:
        best = int(np.argmin(point.cost(hull.p_miss, hull.p_fa)))
        rates[f"min_dcf_{point.name}"] = (hull.p_miss[best], hull.p_fa[best])
        rates[f"act_dcf_{point.name}"] = rates_at(scores, point.threshold)
    n_targets, n_nontargets = scores.totals
    few = []
    for name, (p_miss, p_fa) in rates.items():
        misses, alarms = round(p_miss * n_targets), round(p_fa * n_nontargets)
        if min(misses, alarms) < FEW_ERRORS:
            few.append(f"{name} ({misses} misses, {alarms} false alarms)")
    if few:
        warnings.append(
            f"fewer than {FEW_ERRORS} errors of a kind behind {', '.join(few)}: too few to tell "
            "systems apart (Doddington's rule of 30)"
        )
    endless = [
        name
        for name, estimate in estimates.items()
        if np.isinf(estimate.value) and name != "calibration_loss"  # goes with cllr
    ]
    if endless:
        warnings.append(
            f"{', '.join(endless)} is infinite: a target scores -inf or a non-target inf"
        )
    elif any(np.isinf(e.high) for e in estimates.values() if e.high is not None):
        warnings.append("an interval has no upper end: some replicates are infinite")
    return warnings
