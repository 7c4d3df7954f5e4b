"""How well classes are told apart: accuracy, confusion, Cllr, EER, with intervals over speakers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.errors import DataError
from voicegmm.metrics import (
    Estimate,
    min_cllr_of,
    percentile_interval,
    rocch,
    rocch_eer,
    sort_scores,
)
from voicegmm.scoring.identification import rate_of
from voicegmm.scoring.voices import Rate

_REPLICATES = 1000


@dataclass(frozen=True)
class ClassFigures:
    """What became of recordings whose class is known.

    Parameters
    ----------
    accuracy : Rate
        Share of the recordings whose class came out first, at equal priors.
    confusion : tuple of tuple of int
        Recordings of each class (rows) that were given each (columns).
    cllr : Estimate, optional
        Cost of the log-likelihoods at equal priors, in units of what no evidence costs: 0 is
        perfect, 1 worth nothing. Of two classes, the Cllr of the ratio. None where nothing is
        calibrated.
    eer, min_cllr : Estimate, optional
        Of two classes: what the ratio could do with the best threshold, and the best calibration.
    """

    accuracy: Rate
    confusion: tuple[tuple[int, ...], ...]
    cllr: Estimate | None = None
    eer: Estimate | None = None
    min_cllr: Estimate | None = None


def class_figures(
    log_likelihoods: npt.ArrayLike,
    labels: npt.ArrayLike,
    voices: npt.ArrayLike,
    rng: np.random.Generator,
) -> ClassFigures:
    """Measure how well classes are told apart.

    Parameters
    ----------
    log_likelihoods : (n, n_classes) array_like
        Calibrated, up to what is common to the classes of a recording.
    labels : (n,) array_like of int
        The class of each; every class at least once.
    voices : (n,) array_like of int
        Whose voice each is: intervals resample them.
    rng : numpy.random.Generator

    Returns
    -------
    ClassFigures
        Intervals of 95 %; those of `cllr`, `eer` and `min_cllr` are None where most resamplings
        leave a class without a recording.

    Raises
    ------
    DataError
        If a class has no recording, or the arrays do not fit together.

    Notes
    -----
    The cost is -1/C sum_c (mean over c's recordings of log_C P(c)), P at equal priors: Brummer's
    multi-class cross-entropy over log2 C bits.
    """
    values = np.asarray(log_likelihoods, np.float64)
    classes, whose = np.asarray(labels, np.intp), np.asarray(voices)
    if values.ndim != 2 or not values.shape[:1] == classes.shape == whose.shape:
        raise DataError(
            "log_likelihoods must be (n, n_classes), labels and voices (n,); got "
            f"{values.shape}, {classes.shape} and {whose.shape}"
        )
    n_classes = values.shape[1]
    confusion = np.zeros((n_classes, n_classes), int)
    given = values.argmax(axis=1)
    np.add.at(confusion, (classes, given), 1)
    if not confusion.sum(axis=1).all():
        raise DataError("figures need recordings of every class")
    wrong = rate_of(given != classes, whose, rng)
    accuracy = Rate(1 - wrong.value, 1 - wrong.high, 1 - wrong.low, wrong.n_trials,
                    wrong.n_speakers)  # fmt: skip
    rows = tuple(map(tuple, confusion.tolist()))
    numbers = np.unique(whose, return_inverse=True)[1]
    drawn = _drawn(classes, numbers, n_classes, rng)
    weights = np.concatenate([np.ones((1, numbers.max() + 1)), drawn])[:, numbers]
    cllr = _estimate(_costs(values, classes, weights))
    if n_classes > 2:
        return ClassFigures(accuracy, rows, cllr)
    ratio, first = values[:, 0] - values[:, 1], classes == 0
    read = [_two_class(ratio, first, weighing) for weighing in weights]
    eer, min_cllr = (_estimate(np.array(column)) for column in zip(*read, strict=True))
    return ClassFigures(accuracy, rows, cllr, eer, min_cllr)


def _drawn(
    classes: IntArray, voices: IntArray, n_classes: int, rng: np.random.Generator
) -> Float64Array:
    """Draw voices with replacement: how often each, where every class is left with some."""
    n_voices = int(voices.max()) + 1
    drawn = rng.multinomial(n_voices, np.full(n_voices, 1 / n_voices), size=_REPLICATES)
    held = np.zeros((n_voices, n_classes))
    np.add.at(held, (voices, classes), 1)
    whole = drawn[(drawn @ held > 0).all(axis=1)].astype(np.float64)
    return whole if 2 * len(whole) > _REPLICATES else whole[:0]


def _costs(values: Float64Array, classes: IntArray, weights: Float64Array) -> Float64Array:
    """Give the cost under each weighing of the recordings, (n_weighings,)."""
    n_classes = values.shape[1]
    own = np.take_along_axis(values, classes[:, None], axis=1)[:, 0]
    cost = (np.logaddexp.reduce(values, axis=1) - own) / np.log(n_classes)
    of_class = (classes[:, None] == np.arange(n_classes)).astype(np.float64)
    means = (weights * cost) @ of_class / (weights @ of_class)
    averaged: Float64Array = means.mean(axis=1)
    return averaged


def _two_class(ratio: Float64Array, first: npt.NDArray[np.bool_], weights: Float64Array) -> tuple[
    float, float
]:  # fmt: skip
    hull = rocch(sort_scores(ratio[first], ratio[~first], weights[first], weights[~first]))
    return rocch_eer(hull), min_cllr_of(hull)


def _estimate(values: Float64Array) -> Estimate:
    """Make an estimate of the value as it is, the first, and of its replicates."""
    value = float(values[0])
    if len(values) == 1:
        return Estimate(value)
    low, high = percentile_interval(values[1:])
    return Estimate(value, min(low, value), max(high, value))


def pooled_by_voice(
    log_likelihoods: npt.ArrayLike, labels: npt.ArrayLike, voices: npt.ArrayLike
) -> tuple[Float64Array, IntArray, IntArray]:
    """Average the recordings of each voice in each class: one judgment a voice.

    Parameters
    ----------
    log_likelihoods, labels, voices
        As in `class_figures`.

    Returns
    -------
    log_likelihoods : (n_pairs, n_classes) float64 array
    labels, voices : (n_pairs,) int array
    """
    pairs, index = np.unique(
        np.stack([np.asarray(labels), np.asarray(voices)], axis=1), axis=0, return_inverse=True
    )
    values = np.asarray(log_likelihoods, np.float64)
    index = index.reshape(-1)
    sums = np.zeros((len(pairs), values.shape[1]))
    np.add.at(sums, index, values)
    return sums / np.bincount(index)[:, None], pairs[:, 0], pairs[:, 1]
