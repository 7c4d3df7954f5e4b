"""Score normalization, against plain loops and by what it must not change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.scoring.normalization import (
    CohortScores,
    ScoreNormalizationOptions,
    normalize_scores,
    without_own,
)

METHODS = ("z", "t", "zt", "s", "as")


def world(seed, n_models=4, n_tests=5, n_cohort=7, n_recordings=9, n_trials=30):
    rng = np.random.default_rng(seed)
    cohort = CohortScores(
        rng.standard_normal((n_models, n_recordings)),
        rng.standard_normal((n_tests, n_cohort)),
        rng.standard_normal((n_cohort, n_recordings)),
    )
    models = rng.integers(n_models, size=n_trials)
    tests = rng.integers(n_tests, size=n_trials)
    return rng.standard_normal(n_trials), models, tests, cohort


def moments(values, n_top=None):
    kept = sorted((v for v in values if not np.isnan(v)), reverse=True)[:n_top]
    mean = sum(kept) / len(kept)
    return mean, (sum((v - mean) ** 2 for v in kept) / len(kept)) ** 0.5


def by_loops(score, model, test, cohort, method, n_top):
    """One trial, as the papers have it."""
    top = n_top if method == "as" else None
    mean, sd = moments(cohort.models[model], top)
    z = (score - mean) / sd
    if method == "z":
        return z
    if method == "zt":
        rows = [moments(row) for row in cohort.cohort]
        others = [(s - m) / d for s, (m, d) in zip(cohort.tests[test], rows, strict=True)]
        mean, sd = moments(others)
        return (z - mean) / sd
    mean, sd = moments(cohort.tests[test], top)
    t = (score - mean) / sd
    return t if method == "t" else (z + t) / 2


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 2**32 - 1), n_top=st.integers(2, 12), holes=st.booleans())
def test_each_method_is_that_of_its_paper(method, seed, n_top, holes):
    scores, models, tests, cohort = world(seed)
    if holes:
        cohort.models[0, [1, 4]] = cohort.tests[2, [0, 3]] = cohort.cohort[1, 5] = np.nan
    options = ScoreNormalizationOptions(method, n_top)
    found = normalize_scores(scores, models, tests, cohort, options)
    expected = [
        by_loops(*trial, cohort, method, n_top) for trial in zip(scores, models, tests, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 2**32 - 1), slope=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_an_affine_map_of_all_scores_changes_nothing(method, seed, slope, shift):
    scores, models, tests, cohort = world(seed)
    moved = CohortScores(*(slope * table + shift for table in vars(cohort).values()))
    options = ScoreNormalizationOptions(method, 4)
    np.testing.assert_allclose(
        normalize_scores(slope * scores + shift, models, tests, moved, options),
        normalize_scores(scores, models, tests, cohort, options),
        rtol=1e-6,
        atol=1e-6,
    )


def test_a_cohort_that_is_asked_for_whole_makes_as_the_same_as_s():
    scores, models, tests, cohort = world(1)
    found = [
        normalize_scores(scores, models, tests, cohort, ScoreNormalizationOptions(method, 100))
        for method in ("s", "as")
    ]
    np.testing.assert_allclose(found[0], found[1])


def test_what_is_not_scored_stays_so_and_none_changes_nothing():
    scores, models, tests, cohort = world(2)
    scores[3] = np.nan
    found = normalize_scores(scores, models, tests, cohort, ScoreNormalizationOptions("s"))
    assert np.isnan(found[3])
    assert np.isfinite(np.delete(found, 3)).all()
    same = normalize_scores(scores, models, tests, CohortScores(), ScoreNormalizationOptions())
    np.testing.assert_array_equal(same, scores)


def test_own_speech_is_left_out():
    table = np.arange(6.0).reshape(2, 3)
    found = without_own(table, ("ann", "bob"), ("bob", "ann", "ann"))
    np.testing.assert_array_equal(found, [[0, np.nan, np.nan], [np.nan, 4, 5]])


def test_cohorts_that_cannot_serve_are_refused():
    scores, models, tests, cohort = world(3)
    with pytest.raises(DataError, match="scores of tests are missing"):
        normalize_scores(
            scores, models, tests, CohortScores(cohort.models), ScoreNormalizationOptions("s")
        )
    cohort.models[2, 1:] = np.nan
    with pytest.raises(DataError, match="1 scores for number 2 of the models, at least 2"):
        normalize_scores(scores, models, tests, cohort, ScoreNormalizationOptions("z"))
    others = models != 2  # what no trial needs is not missed
    normalize_scores(
        scores[others], models[others], tests[others], cohort, ScoreNormalizationOptions("z")
    )
    cohort.tests[1] = 3.25
    with pytest.raises(DataError, match="number 1 of the tests are all the same"):
        normalize_scores(scores, models, tests, cohort, ScoreNormalizationOptions("t"))
    with pytest.raises(OptionError, match="did you mean 'zt'"):
        ScoreNormalizationOptions("ztt")
    with pytest.raises(OptionError, match="n_top must be at least 2"):
        ScoreNormalizationOptions("as", 1)
