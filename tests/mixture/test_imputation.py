"""Imputation: observed values stay, means are the best guess, draws have the right spread."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_covariance_shapes import SHAPES, full_covariances, random_covariance, random_mixture

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    EmOptions,
    FullGMM,
    condition,
    fit,
    impute,
    incomplete_collector,
    incomplete_initialize,
    incomplete_log_density,
    sample,
)


def with_holes(frames, rng, share=0.4):
    return np.where(rng.random(frames.shape) < share, np.nan, frames)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([np.float32, np.float64]))
def test_observed_values_stay_and_nothing_is_left_open(shape, seed, dtype):
    rng = np.random.default_rng(seed)
    gmm = random_mixture(rng, shape, center=rng.uniform(-100, 100))
    frames = with_holes(sample(gmm, 20, rng)[0], rng, rng.uniform(0, 1)).astype(dtype)
    before = frames.copy()
    seen = ~np.isnan(frames)
    for filled in (impute(gmm, frames), *impute(gmm, frames, "draw", n_draws=3, rng=rng)):
        assert filled.dtype == dtype
        assert np.isfinite(filled).all()
        np.testing.assert_array_equal(filled[seen], frames[seen])
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("shape", SHAPES)
def test_means_and_draws_have_the_moments_of_the_conditional_mixture(shape):
    rng = np.random.default_rng(0)
    gmm = random_mixture(rng, shape, n_dims=4)
    frames = sample(gmm, 3, rng)[0]
    frames[0, [1, 3]] = frames[1, 2] = frames[2] = np.nan
    means = impute(gmm, frames)
    draws = impute(gmm, frames, "draw", n_draws=8000, rng=rng)
    for number, frame in enumerate(frames):
        seen = np.flatnonzero(~np.isnan(frame))
        missing = np.flatnonzero(np.isnan(frame))
        model = condition(gmm, seen, frame[seen]) if seen.size else gmm
        mean = model.weights @ model.means
        offsets = model.means - mean
        covariance = np.einsum("k,kij->ij", model.weights, full_covariances(model))
        covariance += np.einsum("k,ki,kj->ij", model.weights, offsets, offsets)
        np.testing.assert_allclose(means[number, missing], mean, rtol=1e-9)
        # Every estimate within five of its standard errors, which the draws themselves tell.
        drawn = draws[:, number, missing]
        products = (drawn - mean)[:, :, None] * (drawn - mean)[:, None]
        for found, wanted in ((drawn, mean), (products, covariance)):
            error = np.abs(found.mean(axis=0) - wanted) / found.std(axis=0)
            assert error.max() < 5 / np.sqrt(len(draws))


def test_the_conditional_mean_errs_less_than_the_column_mean():
    rng = np.random.default_rng(1)
    truth = FullGMM([1.0], [np.zeros(5)], [random_covariance(rng, 5)])
    frames, _ = sample(truth, 1500, rng)
    holes = with_holes(frames, rng, 0.3)
    lost = np.isnan(holes)
    start = incomplete_initialize(holes, 1, rng, covariance_type="full")
    gmm = fit(start, incomplete_collector(ArraySource(holes)), EmOptions(50, 1e-6)).gmm

    def error(filled):
        return np.sqrt(((filled - frames)[lost] ** 2).mean())

    by_column = np.where(lost, np.nanmean(holes, axis=0), holes)
    ours, best = error(impute(gmm, holes)), error(impute(truth, holes))
    assert ours < 0.9 * error(by_column)
    assert ours < 1.03 * best
    # A draw adds its own spread to the error of the mean: twice the square, where all is right.
    drawn = error(impute(gmm, holes, "draw", rng=rng)[0])
    np.testing.assert_allclose(drawn, np.sqrt(2) * ours, rtol=0.05)


def test_more_draws_leave_the_first_as_they_were():
    rng = np.random.default_rng(2)
    gmm = random_mixture(rng, "full")
    frames = with_holes(sample(gmm, 30, rng)[0], rng)
    few, many = (
        impute(gmm, frames, "draw", n_draws=n, rng=np.random.default_rng(3)) for n in (2, 5)
    )
    np.testing.assert_array_equal(few, many[:2])
    assert (few[0] != few[1]).sum() == np.isnan(frames).sum()
    assert few.shape == (2, 30, 3)


def test_a_component_without_weight_is_never_drawn():
    gmm = FullGMM([0.5, 0.0, 0.5], [[0.0, 0], [1e6, 1e6], [1, 1]], np.tile(np.eye(2), (3, 1, 1)))
    draws = impute(gmm, np.full((2000, 2), np.nan), "draw", rng=np.random.default_rng(4))
    assert np.abs(draws).max() < 10


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_mixture_is_near_the_data_and_fits_any_size(shape):
    rng = np.random.default_rng(5)
    frames = sample(random_mixture(rng, shape, center=1e4), 500, rng)[0]
    holes = with_holes(frames, rng, 0.5)
    for n_components in (1, 3, 8):
        gmm = incomplete_initialize(holes, n_components, rng, covariance_type=shape)
        assert gmm.n_components == n_components
        mean, variance = gmm.spread()
        assert (np.abs(mean - frames.mean(axis=0)) < 0.3 * frames.std(axis=0)).all()
        # A spherical mixture spreads each cluster's variance evenly.
        assert (variance < 3 * frames.var(axis=0).max()).all()
        assert np.isfinite(incomplete_log_density(gmm, holes)).all()
    one = np.array([[1.0, np.nan], [np.nan, 5.0]])
    single = incomplete_initialize(one, 2, rng, covariance_type=shape)
    assert np.isfinite(incomplete_log_density(single, one)).all()


def test_what_cannot_be_is_refused():
    gmm = random_mixture(np.random.default_rng(6), "diagonal")
    frames = np.array([[0.0, np.nan, 1.0]])
    with pytest.raises(OptionError, match="method must be one of mean, draw; got 'drew' .did you"):
        impute(gmm, frames, "drew")
    with pytest.raises(OptionError, match="rng must be a numpy.random.Generator for method 'draw'"):
        impute(gmm, frames, "draw")
    with pytest.raises(OptionError, match="n_draws goes with method 'draw', got 5 with 'mean'"):
        impute(gmm, frames, n_draws=5)
    with pytest.raises(OptionError, match="n_draws must be at least 1, got 0"):
        impute(gmm, frames, "draw", n_draws=0, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="hold an infinity"):
        impute(gmm, np.array([[0.0, np.inf, 1.0]]))
    with pytest.raises(DataError, match="frames must have 3 columns, got 2"):
        impute(gmm, frames[:, :2])
