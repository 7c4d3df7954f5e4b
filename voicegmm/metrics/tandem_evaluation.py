"""The tandem detection cost with its intervals: speakers are drawn, and all their scores with them.

One drawing serves the verification and the countermeasure alike, for their trials are of the same
speakers.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm.metrics.bootstrap import draw_speakers, percentile_interval
from voicegmm.metrics.evaluation import FEW_ERRORS, Estimate, estimates_of, few_speakers
from voicegmm.metrics.hull import rocch
from voicegmm.metrics.pooling import PooledScores, score_array, sort_order
from voicegmm.metrics.rates import rates_at, rocch_eer
from voicegmm.metrics.speakers import check_speakers, number_names
from voicegmm.metrics.tandem import TandemOptions, least_cost, tandem_cost_at


@dataclass(frozen=True, eq=False)
class TandemTrials:
    """Scores of a verification and of the countermeasure before it, and who speaks.

    Parameters
    ----------
    targets, nontargets, spoofs : (n,) array_like
        Scores of the verification, as `min_t_dcf` takes them.
    humans_cm, spoofs_cm : (n,) array_like
        Scores of the countermeasure.
    target_speakers : (n_targets,) array_like of str or int
    nontarget_model_speakers, nontarget_test_speakers : (n_nontargets,) array_like of str or int
    spoof_speakers : (n_spoofs,) array_like of str or int
        Whose voice each spoof claims to be.
    human_cm_speakers, spoof_cm_speakers : array_like of str or int
        The speaker of each human recording, and whose voice each spoof claims to be.

    Raises
    ------
    DataError
        For an empty class, a NaN, or speakers that are not as many as the scores.
    """

    targets: npt.ArrayLike
    nontargets: npt.ArrayLike
    spoofs: npt.ArrayLike
    humans_cm: npt.ArrayLike
    spoofs_cm: npt.ArrayLike
    target_speakers: npt.ArrayLike
    nontarget_model_speakers: npt.ArrayLike
    nontarget_test_speakers: npt.ArrayLike
    spoof_speakers: npt.ArrayLike
    human_cm_speakers: npt.ArrayLike
    spoof_cm_speakers: npt.ArrayLike

    def __post_init__(self) -> None:
        for name in ("targets", "nontargets", "spoofs", "humans_cm", "spoofs_cm"):
            object.__setattr__(self, name, score_array(name, getattr(self, name)))
        for speakers, scores in _OF_SCORES.items():
            check_speakers(speakers, getattr(self, speakers), len(getattr(self, scores)))


_OF_SCORES = {
    "target_speakers": "targets",
    "nontarget_model_speakers": "nontargets",
    "nontarget_test_speakers": "nontargets",
    "spoof_speakers": "spoofs",
    "human_cm_speakers": "humans_cm",
    "spoof_cm_speakers": "spoofs_cm",
}


@dataclass(frozen=True)
class TandemEvaluation:
    """What `evaluate_tandem` found.

    Attributes
    ----------
    metrics : dict of str to Estimate
        min_t_dcf; act_t_dcf where the countermeasure has a threshold; eer_asv of the verification
        and eer_cm of the countermeasure.
    n_speakers, n_replicates : int
        Replicates are 0 where there are no intervals.
    confidence : float
    warnings : tuple of str
    """

    metrics: dict[str, Estimate]
    n_speakers: int
    n_replicates: int
    confidence: float
    warnings: tuple[str, ...]

    def to_mapping(self) -> dict[str, Any]:
        """Turn into dicts, lists, strings and numbers that JSON can hold."""
        return asdict(self) | {"warnings": list(self.warnings)}


def evaluate_tandem(
    trials: TandemTrials,
    options: TandemOptions | None = None,
    *,
    threshold: float | None = None,
    threshold_cm: float | None = None,
    n_bootstrap: int = 1000,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> TandemEvaluation:
    """Evaluate a countermeasure before a verification, with intervals over speakers.

    A replicate draws speakers with replacement: with k the times a speaker was drawn, a non-target
    trial weighs k_model k_test, and every other score k of its speaker.

    Parameters
    ----------
    trials : TandemTrials
    options : TandemOptions, optional
    threshold : float, optional
        Of the verification; by default that of equal errors, found anew in each replicate.
    threshold_cm : float, optional
        Of the countermeasure, for act_t_dcf.
    n_bootstrap : int >= 0
        Replicates; 0 for no intervals.
    rng : numpy.random.Generator, optional
        What draws the speakers; by default one of fixed seed, so a call repeats.
    confidence : float in (0, 1)
        Of the intervals: percentiles of the replicates, stretched where needed to hold the value.
    progress : callable, optional
        Called with the replicates done and their number.

    Raises
    ------
    DataError
        For a verification beside which no countermeasure matters; see `tandem_cost`.
    OptionError
        For an option out of range.
    """
    at_least("n_bootstrap", n_bootstrap, 0)
    ready = _Ready(trials)
    read = partial(ready.read, options or TandemOptions(), threshold, threshold_cm)
    values, errors = read(np.ones(ready.n_speakers))
    generator = np.random.default_rng(0) if rng is None else rng
    replicates: list[list[float]] = []
    for done in range(n_bootstrap):
        times_drawn = draw_speakers(ready.n_speakers, generator)
        with suppress(DataError):  # a class is empty, or the verification drawn says nothing
            replicates.append(list(read(times_drawn)[0].values()))
        if progress is not None:
            progress(done + 1, n_bootstrap)
    warnings = few_speakers(ready.n_speakers) if n_bootstrap else []
    if 2 * len(replicates) <= n_bootstrap:
        if n_bootstrap:
            warnings.append(
                "no intervals: most resamplings of the speakers leave a class without trials, or "
                "a verification beside which no countermeasure matters"
            )
        replicates = []
    misses, passes = map(round, errors)
    if min(misses, passes) < FEW_ERRORS:
        warnings.append(
            f"fewer than {FEW_ERRORS} errors of a kind behind min_t_dcf ({misses} humans rejected, "
            f"{passes} spoofs passed): too few to tell systems apart (Doddington's rule of 30)"
        )
    intervals = [percentile_interval(column, confidence) for column in np.array(replicates).T]
    return TandemEvaluation(
        estimates_of(list(values), list(values.values()), intervals),
        ready.n_speakers,
        len(replicates),
        confidence,
        tuple(warnings),
    )


class _Ready:
    """Tandem trials sorted once and their speakers numbered, ready to be weighed again and again.

    Parameters
    ----------
    trials : TandemTrials
    """

    def __init__(self, trials: TandemTrials) -> None:
        self._trials = trials
        names = list(_OF_SCORES)
        numbers = number_names(*(getattr(trials, name) for name in names))
        self._speakers = dict(zip(names, numbers, strict=True))
        self.n_speakers = 1 + max(int(each.max()) for each in numbers)
        self._asv = _sorted(trials.targets, trials.nontargets)
        self._cm = _sorted(trials.humans_cm, trials.spoofs_cm)

    def read(
        self,
        options: TandemOptions,
        threshold: float | None,
        threshold_cm: float | None,
        times_drawn: Float64Array,
    ) -> tuple[dict[str, float], tuple[float, float]]:
        """Give the figures of one drawing; humans rejected and spoofs passed at the first."""
        k = {name: times_drawn[speakers] for name, speakers in self._speakers.items()}
        others = k["nontarget_model_speakers"] * k["nontarget_test_speakers"]
        asv = _weighed(*self._asv, k["target_speakers"], others)
        cm = _weighed(*self._cm, k["human_cm_speakers"], k["spoof_cm_speakers"])
        spoofs = np.asarray(self._trials.spoofs)
        cost = tandem_cost_at(asv, spoofs, k["spoof_speakers"], options, threshold)
        hull = rocch(cm)
        lowest, p_miss, p_fa = least_cost(cost, hull)
        values = {"min_t_dcf": lowest}
        if threshold_cm is not None:
            values["act_t_dcf"] = float(cost.normalized(*rates_at(cm, threshold_cm)))
        values |= {"eer_asv": rocch_eer(rocch(asv)), "eer_cm": rocch_eer(hull)}
        return values, (p_miss * cm.targets.sum(), p_fa * cm.nontargets.sum())


def _sorted(
    positives: npt.ArrayLike, negatives: npt.ArrayLike
) -> tuple[Float64Array, IntArray, IntArray]:
    """Give the distinct scores, rising, and the row of each positive and negative in them."""
    first, second = np.asarray(positives), np.asarray(negatives)
    scores, order, starts = sort_order(first, second)
    rows = np.empty(len(order), np.int64)
    rows[order] = np.cumsum(starts) - 1
    return scores, rows[: len(first)], rows[len(first) :]


def _weighed(
    scores: Float64Array,
    positive_rows: IntArray,
    negative_rows: IntArray,
    positive_weights: Float64Array,
    negative_weights: Float64Array,
) -> PooledScores:
    n = len(scores)
    return PooledScores(
        scores,
        np.bincount(positive_rows, positive_weights, n).astype(np.float64),
        np.bincount(negative_rows, negative_weights, n).astype(np.float64),
    )
