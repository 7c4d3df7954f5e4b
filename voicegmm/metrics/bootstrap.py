"""Intervals that resample speakers, not trials.

Trials of one speaker are not independent, so drawing trials gives intervals that are too narrow.
Speakers are drawn instead, with replacement; a target trial then weighs k and a non-target trial
k_model k_test, with k the times its speaker was drawn. (Bolle, Ratha and Pankanti, "Error analysis
of pattern recognition systems: the subsets bootstrap", CVIU 93, 2004, draw subjects for one class;
the product is the bootstrap of a statistic over pairs.)
The scores are sorted once; a replicate only weighs them anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import OptionError
from voicegmm.metrics.pooling import PooledScores, score_array, sort_order
from voicegmm.metrics.speakers import check_speakers, number_names

Reading = Callable[[PooledScores], npt.ArrayLike]


@dataclass(frozen=True, eq=False)
class SpeakerTrials:
    """Trials of known speakers, sorted once.

    Attributes
    ----------
    scores : (n_distinct,) float64 array
        The distinct scores, rising.
    target_rows, nontarget_rows : int arrays
        For each trial of the class, in rising order of the scores, its row in `scores`.
    target_speakers, nontarget_models, nontarget_tests : int arrays
        For each of these trials its speaker, numbered from 0.
    n_speakers : int
    """

    scores: Float64Array
    target_rows: IntArray
    nontarget_rows: IntArray
    target_speakers: IntArray
    nontarget_models: IntArray
    nontarget_tests: IntArray
    n_speakers: int


def sort_trials(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_speakers: npt.ArrayLike,
    nontarget_model_speakers: npt.ArrayLike,
    nontarget_test_speakers: npt.ArrayLike,
) -> SpeakerTrials:
    """Sort trials of known speakers, ready to be weighed again and again.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Scores.
    target_speakers : (n_targets,) array_like of str or int
    nontarget_model_speakers, nontarget_test_speakers : (n_nontargets,) array_like of str or int

    Raises
    ------
    DataError
        For an empty class, a NaN, or speakers that are not as many as the scores.
    """
    t, n = score_array("targets", targets), score_array("nontargets", nontargets)
    for name, speakers, length in (
        ("target_speakers", target_speakers, len(t)),
        ("nontarget_model_speakers", nontarget_model_speakers, len(n)),
        ("nontarget_test_speakers", nontarget_test_speakers, len(n)),
    ):
        check_speakers(name, speakers, length)
    of_target, of_model, of_test = number_names(
        target_speakers, nontarget_model_speakers, nontarget_test_speakers
    )
    scores, order, first = sort_order(t, n)
    rows = np.cumsum(first) - 1
    is_target = order < len(t)
    target_order, nontarget_order = order[is_target], order[~is_target] - len(t)
    return SpeakerTrials(
        scores=scores,
        target_rows=rows[is_target],
        nontarget_rows=rows[~is_target],
        target_speakers=of_target[target_order],
        nontarget_models=of_model[nontarget_order],
        nontarget_tests=of_test[nontarget_order],
        n_speakers=1 + int(max(of_target.max(), of_model.max(), of_test.max())),
    )


def weigh(trials: SpeakerTrials, times_drawn: npt.ArrayLike) -> PooledScores | None:
    """Weigh the trials by how often each speaker was drawn.

    Parameters
    ----------
    trials : SpeakerTrials
    times_drawn : (n_speakers,) array_like
        k of each speaker; all ones give the scores as they are.

    Returns
    -------
    PooledScores or None
        None when a class has no trial left, as can happen with few speakers.
    """
    k = np.asarray(times_drawn, dtype=np.float64)
    n_rows = len(trials.scores)
    targets = np.bincount(trials.target_rows, k[trials.target_speakers], n_rows)
    nontargets = np.bincount(
        trials.nontarget_rows, k[trials.nontarget_models] * k[trials.nontarget_tests], n_rows
    )
    if not targets.any() or not nontargets.any():
        return None
    return PooledScores(trials.scores, targets.astype(np.float64), nontargets.astype(np.float64))


def bootstrap(
    trials: SpeakerTrials,
    reading: Reading,
    rng: np.random.Generator,
    n_replicates: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Float64Array:
    """Read metrics from replicates in which the speakers were drawn with replacement.

    Parameters
    ----------
    trials : SpeakerTrials
        As `sort_trials` makes them.
    reading : callable
        From sorted scores to one number or a vector of metrics.
    rng : numpy.random.Generator
    n_replicates : int >= 1
    progress : callable, optional
        Called with the replicates done and their number.

    Returns
    -------
    (n_defined, n_metrics) float64 array
        One row a replicate; those in which a class had no trial left are absent.
    """
    return bootstrap_together([trials], [reading], rng, n_replicates, progress)[0]


def bootstrap_together(
    systems: Sequence[SpeakerTrials],
    readings: Sequence[Reading],
    rng: np.random.Generator,
    n_replicates: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> list[Float64Array]:
    """Read metrics of several systems from replicates in which the same speakers were drawn.

    Parameters
    ----------
    systems : sequence of SpeakerTrials
        Of the same trials: the same speakers, and only the scores differ.
    readings : sequence of callable
        One a system, as in `bootstrap`.
    rng, n_replicates, progress
        As in `bootstrap`.

    Returns
    -------
    list of (n_defined, n_metrics) float64 array
        One a system; row i of each is of the same drawing.
    """
    at_least("n_replicates", n_replicates, 1)
    n_speakers = systems[0].n_speakers
    values: list[list[Float64Array]] = [[] for _ in systems]
    for done in range(n_replicates):  # one at a time: the memory is that of one weighing
        times_drawn = draw_speakers(n_speakers, rng)
        for trials, reading, found in zip(systems, readings, values, strict=True):
            scores = weigh(trials, times_drawn)
            if scores is not None:
                found.append(np.atleast_1d(np.asarray(reading(scores), dtype=np.float64)))
        if progress is not None:
            progress(done + 1, n_replicates)
    return [np.array(found) if found else np.empty((0, 0)) for found in values]


def draw_speakers(n_speakers: int, rng: np.random.Generator) -> Float64Array:
    """Draw as many speakers as there are, with replacement: how often each was drawn."""
    drawn = rng.integers(n_speakers, size=n_speakers)
    return np.bincount(drawn, minlength=n_speakers).astype(np.float64)


def percentile_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Give the percentile interval of a metric's replicates (Efron, 1981).

    Parameters
    ----------
    values : (n_replicates,) array_like
        May hold inf.
    confidence : float in (0, 1)

    Returns
    -------
    low, high : float
        Order statistics: values that occurred, nothing interpolated.
    """
    if not 0.0 < confidence < 1.0:
        raise OptionError(f"confidence must be between 0 and 1 (exclusive), got {confidence}")
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    tail = int(np.floor((1.0 - confidence) / 2.0 * len(ordered) + 1e-9))
    return float(ordered[tail]), float(ordered[len(ordered) - 1 - tail])
