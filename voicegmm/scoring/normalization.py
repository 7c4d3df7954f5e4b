"""Score normalization: each score beside those that other voices get in its place.

A score says little by itself: some models like everybody, some recordings are liked by all. The
cohort, voices that take no part in the trials, tells how much.

- Z: what the model gives the cohort's recordings (Li and Porter 1988).
- T: what the test gets from the cohort's models (Auckenthaler, Carey and Lloyd-Thomas, Digital
  Signal Processing 10, 2000).
- ZT: T on scores that went through Z, those of the cohort's models too.
- S: the mean of Z and T (Shum and others, Odyssey 2010; Kenny 2010).
- AS: S with the nearest of the cohort alone (Matejka and others, Interspeech 2017, "AS-norm1").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import DataError

NORMALIZATIONS = ("none", "z", "t", "zt", "s", "as")
_LEAST = 2  # scores: fewer have no spread
_SPREAD = 1e-9  # of a cohort's scores; less is rounding


@dataclass(frozen=True)
class ScoreNormalizationOptions:
    """How scores are normalized.

    Parameters
    ----------
    method : {"none", "z", "t", "zt", "s", "as"}
    n_top : int
        Of the cohort, how many of the greatest scores "as" looks at; at least 2. More than there
        are is all there are.
    """

    method: str = "none"
    n_top: int = 100

    def __post_init__(self) -> None:
        one_of("method", self.method, NORMALIZATIONS)
        at_least("n_top", self.n_top, _LEAST)

    @property
    def needs_recordings(self) -> bool:
        """Whether models must be scored on the cohort's recordings."""
        return self.method in ("z", "zt", "s", "as")

    @property
    def needs_models(self) -> bool:
        """Whether tests must be scored by the cohort's models."""
        return self.method in ("t", "zt", "s", "as")


@dataclass(frozen=True, eq=False)
class CohortScores:
    """Scores of models and tests against the cohort. NaN: left out of that row.

    Parameters
    ----------
    models : (n_models, n_recordings) float array, optional
        Of each model on each recording of the cohort.
    tests : (n_tests, n_cohort) float array, optional
        Of each test by each model of the cohort.
    cohort : (n_cohort, n_recordings) float array, optional
        Of each model of the cohort on each of its recordings, its own speaker's left out; for "zt".
    """

    models: FloatArray | None = None
    tests: FloatArray | None = None
    cohort: FloatArray | None = None


def without_own(scores: FloatArray, rows: Sequence[str], columns: Sequence[str]) -> Float64Array:
    """Leave out of a score matrix what compares a speaker with itself.

    Parameters
    ----------
    scores : (n_rows, n_columns) float array
    rows, columns : sequence of str
        Whose voice each row and each column is.

    Returns
    -------
    (n_rows, n_columns) float64 array
        NaN where the two are the same.
    """
    own: BoolArray = (
        np.array(list(rows), object)[:, None] == np.array(list(columns), object)[None, :]
    )
    return np.where(own, np.nan, np.asarray(scores, np.float64))


def normalize_scores(
    scores: FloatArray,
    models: IntArray,
    tests: IntArray,
    cohort: CohortScores,
    options: ScoreNormalizationOptions,
) -> Float64Array:
    """Normalize the scores of trials.

    Parameters
    ----------
    scores : (n_trials,) float array
        NaN stays NaN.
    models, tests : (n_trials,) int array
        Rows of `cohort.models` and of `cohort.tests`.
    cohort : CohortScores
    options : ScoreNormalizationOptions

    Returns
    -------
    (n_trials,) float64 array
        (score - mean) / standard deviation of the cohort's scores.

    Raises
    ------
    DataError
        If scores that the method needs are missing, or a row has too few of the cohort's, or they
        are all the same.
    """
    raw: Float64Array = np.asarray(scores, np.float64)
    if options.method == "none":
        return raw
    n_top = options.n_top if options.method == "as" else None
    used = np.unique(models), np.unique(tests)
    by_model = raw
    if options.needs_recordings:
        mean, spread = _moments(cohort.models, "models", used[0], n_top)
        by_model = (raw - mean[models]) / spread[models]
    if options.method == "z":
        return by_model
    if options.method == "zt":
        z_mean, z_spread = _moments(cohort.cohort, "cohort", None, None)
        of_tests = _needed(cohort.tests, "tests")
        z_tests = (of_tests - z_mean) / z_spread
        mean, spread = _moments(z_tests, "tests", used[1], None)
        return np.asarray((by_model - mean[tests]) / spread[tests])
    mean, spread = _moments(cohort.tests, "tests", used[1], n_top)
    by_test: Float64Array = (raw - mean[tests]) / spread[tests]
    return by_test if options.method == "t" else (by_model + by_test) / 2


def _needed(scores: FloatArray | None, name: str) -> Float64Array:
    if scores is None:
        raise DataError(f"the cohort's scores of {name} are missing, and the method needs them")
    return np.asarray(scores, np.float64)


def _moments(
    scores: FloatArray | None, name: str, used: IntArray | None, n_top: int | None
) -> tuple[Float64Array, Float64Array]:
    """Give each row's mean and standard deviation over what is not NaN, or over its greatest."""
    table = _needed(scores, name)
    counts = np.isfinite(table).sum(axis=1)
    chosen = np.arange(len(table)) if used is None else used
    poor = chosen[counts[chosen] < _LEAST]
    if poor.size:
        raise DataError(
            f"the cohort has {counts[poor[0]]} scores for number {poor[0]} of the {name}, at "
            f"least {_LEAST} are needed: give a larger cohort, of other speakers"
        )
    if n_top is not None and n_top < table.shape[1]:
        # NaN sorts last, so of negated scores the first are the greatest.
        table = -np.sort(-table, axis=1)[:, :n_top]
    mean, spread = np.full(len(table), np.nan), np.full(len(table), np.nan)
    mean[chosen] = np.nanmean(table[chosen], axis=1)
    spread[chosen] = np.nanstd(table[chosen], axis=1)
    flat = chosen[spread[chosen] <= _SPREAD * (1 + np.abs(mean[chosen]))]
    if flat.size:
        raise DataError(f"the cohort's scores for number {flat[0]} of the {name} are all the same")
    return mean, spread
