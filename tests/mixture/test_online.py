"""EM on a stream, held to batch EM and to the sums written out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    FullGMM,
    OnlineOptions,
    SphericalGMM,
    TiedGMM,
    accumulate,
    collector,
    fit,
    initialize,
    log_density,
    maximize,
    online_start,
    online_step,
    sample,
)

SHAPES = ["spherical", "diagonal", "tied", "full"]
BOUNDS = EmOptions(variance_floor=1e-4, min_count=0)
seeds = st.integers(0, 2**32 - 1)


def random_mixture(rng, shape, n_components=3, n_dims=2):
    weights = rng.dirichlet(5 * np.ones(n_components))
    means = 4 * rng.standard_normal((n_components, n_dims))
    roots = rng.standard_normal((n_components, n_dims, n_dims))
    covariances = roots @ np.swapaxes(roots, 1, 2) + 0.3 * np.eye(n_dims)
    if shape == "spherical":
        return SphericalGMM(weights, means, rng.uniform(0.3, 2, n_components))
    if shape == "diagonal":
        return DiagonalGMM(weights, means, rng.uniform(0.3, 2, (n_components, n_dims)))
    if shape == "tied":
        return TiedGMM(weights, means, covariances[0])
    return FullGMM(weights, means, covariances)


def parameters(gmm):
    covariance = (
        gmm.covariance
        if isinstance(gmm, TiedGMM)
        else getattr(gmm, "covariances", None)
        if isinstance(gmm, FullGMM)
        else gmm.variances
    )
    return gmm.weights, gmm.means, covariance


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=seeds)
@settings(max_examples=20)
def test_what_a_mixture_expects_gives_the_mixture_again(shape, seed):
    gmm = random_mixture(np.random.default_rng(seed), shape)
    options = EmOptions(variance_floor=0, min_count=0)
    again = maximize(gmm, online_start(gmm).average, options).gmm
    for found, wanted in zip(parameters(again), parameters(gmm), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_mixture_expects_is_what_its_samples_have(shape):
    rng = np.random.default_rng(0)
    gmm = random_mixture(rng, shape)
    frames, _ = sample(gmm, 200_000, rng)
    found, expected = accumulate(gmm, frames), online_start(gmm).average
    for name in ("counts", "first", "second"):
        # Standard errors: a few thousandths of the largest moment.
        wanted = getattr(expected, name)
        np.testing.assert_allclose(
            getattr(found, name) / 200_000, wanted, atol=0.02 * np.abs(wanted).max()
        )


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=seeds)
@settings(max_examples=20)
def test_a_first_step_that_forgets_all_is_an_iteration_of_em(shape, seed):
    rng = np.random.default_rng(seed)
    truth, start = random_mixture(rng, shape), random_mixture(rng, shape)
    frames, _ = sample(truth, 200, rng)
    weights = rng.uniform(0.5, 2, 200)
    state = online_step(online_start(start), frames, OnlineOptions(1.0, 0.0, em=BOUNDS), weights)
    wanted = maximize(start, accumulate(start, frames, weights), BOUNDS).gmm
    for found, value in zip(parameters(state.gmm), parameters(wanted), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(state.n_remembered, weights.sum())


def test_steps_of_one_over_t_with_the_posteriors_known_give_the_mean_of_all():
    # One component: posteriors are 1, so decay 1 and offset 0 must give the sample's moments.
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((600, 2)) @ rng.standard_normal((2, 2)) + 3
    state = online_start(FullGMM([1.0], [[50.0, 50.0]], [np.eye(2)]))
    for batch in np.split(frames, 6):
        state = online_step(state, batch, OnlineOptions(1.0, 0.0, em=BOUNDS))
    np.testing.assert_allclose(state.gmm.means[0], frames.mean(0))
    np.testing.assert_allclose(state.gmm.covariances[0], np.cov(frames.T, bias=True))
    assert (state.n_updates, state.n_frames) == (6, 600)
    np.testing.assert_allclose(state.n_remembered, 600)
    np.testing.assert_allclose(state.average.counts.sum(), 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_pass_comes_near_batch_em(shape):
    rng = np.random.default_rng(2)
    truth = replace(random_mixture(rng, shape), means=[[0, 0], [9, 0], [0, 9]])  # one summit
    frames, _ = sample(truth, 30_000, rng)
    start = initialize(frames[:300], 3, rng, covariance_type=shape)
    options = EmOptions(n_iterations=200, tolerance=1e-7, variance_floor=1e-4)
    batch = fit(start, collector(ArraySource(frames)), options).gmm
    state = online_start(start)
    for part in np.split(frames, 150):
        state = online_step(state, part, OnlineOptions(em=BOUNDS))
    fresh, _ = sample(truth, 20_000, rng)
    best, found = log_density(batch, fresh).mean(), log_density(state.gmm, fresh).mean()
    assert best - 0.01 < found < best + 0.01


@given(seeds, st.floats(0.51, 1), st.floats(0, 10))
@settings(max_examples=20)
def test_more_is_remembered_as_more_is_seen_but_never_more_than_was(seed, decay, offset):
    rng = np.random.default_rng(seed)
    gmm = random_mixture(rng, "diagonal")
    state, options = online_start(gmm), OnlineOptions(decay, offset)
    for _ in range(10):
        before = state
        state = online_step(state, sample(gmm, 50, rng)[0], options)
        if before.n_updates:
            assert state.n_remembered >= before.n_remembered * (1 - 1e-12)
        # The start counts as one batch.
        assert state.n_remembered <= state.n_frames + 50 + 1e-9


def test_a_forgetting_factor_follows_and_remembers_so_many_batches():
    rng = np.random.default_rng(3)
    state = online_start(DiagonalGMM([1.0], [[0.0]], [[1.0]]))
    options = OnlineOptions(forgetting_factor=0.8)
    for place in np.linspace(0, 50, 101):
        state = online_step(state, rng.normal(place, 1, (100, 1)), options)
    # It lags by the mean age of what it remembers, 0.8 / 0.2 batches of half a unit each.
    np.testing.assert_allclose(state.gmm.means[0, 0], 50 - 4 * 0.5, atol=0.2)
    np.testing.assert_allclose(state.n_remembered, 100 * (1 + 0.8) / (1 - 0.8), rtol=1e-6)


def test_no_frames_change_nothing_and_the_likelihood_is_that_of_frames_not_yet_seen():
    rng = np.random.default_rng(4)
    gmm = random_mixture(rng, "diagonal")
    state = online_start(gmm)
    assert np.isnan(state.log_likelihood)
    assert online_step(state, np.empty((0, 2))) is state
    assert online_step(state, np.ones((3, 2)), None, np.zeros(3)) is state
    frames, _ = sample(gmm, 100, rng)
    found = online_step(state, frames).log_likelihood
    np.testing.assert_allclose(found, log_density(gmm, frames).mean())


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match=r"decay must be above 0.5 and at most 1, got 0.5"):
        OnlineOptions(decay=0.5)
    with pytest.raises(OptionError, match="offset must be at least 0"):
        OnlineOptions(offset=-1)
    with pytest.raises(OptionError, match="forgetting_factor must be between 0"):
        OnlineOptions(forgetting_factor=1.0)
    with pytest.raises(OptionError, match="starved must be keep or split on a stream"):
        OnlineOptions(em=EmOptions(starved="drop"))
    with pytest.raises(DataError, match="must have 1 columns"):
        online_step(online_start(DiagonalGMM([1.0], [[0.0]], [[1.0]])), np.ones((2, 2)))
