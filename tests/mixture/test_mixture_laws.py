"""What must hold for any mixture and any frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    InitialOptions,
    MapOptions,
    Statistics,
    accumulate,
    adapt,
    collector,
    fit,
    initialize,
    log_density,
    maximize,
    sample,
    sample_frames,
)

seeds = st.integers(0, 2**32 - 1)


def draw(seed, n_frames=200, n_components=4, n_dims=3):
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        2 * rng.standard_normal((n_components, n_dims)),
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )
    return rng, gmm, sample(gmm, n_frames, rng)[0]


def same(a, b, rtol=1e-10):
    for name in ("counts", "first", "second", "log_likelihood", "n_frames"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-9)


@given(seeds)
def test_statistics_are_a_commutative_monoid(seed):
    _, gmm, frames = draw(seed)
    a, b, c = (accumulate(gmm, part) for part in (frames[:50], frames[50:51], frames[51:]))
    zero = Statistics.zero(gmm)
    same(a + b, b + a, rtol=0)
    same((a + b) + c, a + (b + c))
    same(a + zero, a, rtol=0)
    same((a + b) + c, accumulate(gmm, frames))


@given(seeds, st.integers(1, 199))
def test_any_chunking_gives_the_same_statistics(seed, cut):
    _, gmm, frames = draw(seed)
    same(accumulate(gmm, frames[:cut]) + accumulate(gmm, frames[cut:]), accumulate(gmm, frames))


@given(seeds)
def test_a_frame_of_weight_two_is_two_frames(seed):
    rng, gmm, frames = draw(seed)
    times = rng.integers(0, 3, len(frames))
    same(accumulate(gmm, frames, times.astype(float)), accumulate(gmm, np.repeat(frames, times, 0)))


@given(seeds)
def test_posteriors_sum_to_one_in_the_statistics(seed):
    _, gmm, frames = draw(seed)
    statistics = accumulate(gmm, frames)
    np.testing.assert_allclose(statistics.counts.sum(), len(frames), rtol=1e-12)
    np.testing.assert_allclose(statistics.first.sum(0), frames.sum(0), atol=1e-9)
    np.testing.assert_allclose(statistics.second.sum(0), (frames**2).sum(0), rtol=1e-10)


@given(seeds)
def test_every_step_raises_the_likelihood(seed):
    rng, gmm, _ = draw(seed)
    frames = sample(gmm, 400, rng)[0]
    start = initialize(frames, 4, rng)
    options = EmOptions(n_iterations=15, tolerance=0, variance_floor=1e-9, min_count=0)
    record = fit(start, collector(ArraySource(frames)), options).iterations
    likelihoods = [iteration.log_likelihood for iteration in record]
    assert (np.diff(likelihoods) > -1e-10 * np.abs(likelihoods[1:])).all()


@given(seeds)
def test_map_raises_the_log_posterior_of_the_means(seed):
    rng, gmm, _ = draw(seed)
    frames = sample(gmm, 60, rng)[0] + 1
    relevance = 5.0

    def log_posterior(model):  # a Gaussian prior on each mean, of variance sigma^2 / relevance
        prior = -0.5 * relevance * ((model.means - gmm.means) ** 2 / gmm.variances).sum()
        return log_density(model, frames).sum() + prior

    model, before = gmm, log_posterior(gmm)
    for _ in range(5):
        statistics = accumulate(model, frames)
        model = adapt(gmm, statistics, MapOptions(relevance=relevance))
        after = log_posterior(model)
        assert after > before - 1e-9 * abs(before)
        before = after


@given(seeds, st.sampled_from(["means", "variances", "weights", "all"]))
def test_relevance_to_infinity_gives_the_prior_and_to_zero_maximum_likelihood(seed, what):
    _, gmm, frames = draw(seed)
    statistics = accumulate(gmm, frames + 0.5)
    chosen = {name: what in (name, "all") for name in ("means", "variances", "weights")}
    far = adapt(gmm, statistics, MapOptions(relevance=1e12, **chosen))
    near = adapt(gmm, statistics, MapOptions(relevance=0, **chosen))
    ml = maximize(gmm, statistics, EmOptions(variance_floor=1e-12, min_count=0)).gmm
    for name in ("means", "variances", "weights"):
        np.testing.assert_allclose(getattr(far, name), getattr(gmm, name), rtol=1e-6, atol=1e-8)
        if what in (name, "all") and (what != "variances"):
            np.testing.assert_allclose(getattr(near, name), getattr(ml, name), rtol=1e-5, atol=1e-8)


def test_a_component_without_data_keeps_the_prior_even_at_relevance_zero():
    gmm = DiagonalGMM([0.5, 0.5], [[0.0], [1e3]], [[1.0], [1.0]])
    options = MapOptions(relevance=0, variances=True, weights=True)
    model = adapt(gmm, accumulate(gmm, np.array([[0.5], [-0.5], [1.0]])), options)
    assert model.means[1] == 1e3
    assert model.variances[1] == 1
    assert model.weights[0] > 0.5


@given(seeds)
def test_no_combination_turns_a_variance_negative(seed):
    rng, gmm, _ = draw(seed)
    statistics = accumulate(gmm, 5 * rng.standard_normal((3, 3)))
    for means in (True, False):
        options = MapOptions(relevance=float(rng.uniform(0, 5)), means=means, variances=True)
        assert (adapt(gmm, statistics, options).variances > 0).all()


@pytest.mark.parametrize("n_workers", [1, 2, 8])
def test_workers_give_the_same_bits(n_workers):
    _, gmm, frames = draw(7, n_frames=150_000)
    one = collector(ArraySource(frames.astype(np.float32)), 1)(gmm)
    many = collector(ArraySource(frames.astype(np.float32)), n_workers)(gmm)
    assert (one.first == many.first).all()
    assert (one.second == many.second).all()
    assert one.log_likelihood == many.log_likelihood


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((50, 2)),
        np.ones((1, 2)),
        np.repeat([[1.0, 2.0], [3.0, 4.0]], 20, axis=0),
        np.column_stack([np.arange(40.0), np.full(40, 1e6)]),
        np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]),
    ],
    ids=["zeros", "one frame", "duplicates", "constant dimension", "fewer than components"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_degenerate_data_gives_a_finite_mixture(frames, dtype):
    frames = frames.astype(dtype)
    start = initialize(frames, 8, np.random.default_rng(0))
    result = fit(start, collector(ArraySource(frames)), EmOptions(n_iterations=10))
    assert np.isfinite(log_density(result.gmm, frames)).all()


def test_starved_components_and_floors_are_told():
    frames = np.concatenate([np.zeros((100, 1)), np.linspace(5, 9, 100)[:, None]])
    start = DiagonalGMM([0.4, 0.4, 0.2], [[0.0], [7.0], [500.0]], np.ones((3, 1)))
    result = fit(start, collector(ArraySource(frames)), EmOptions(n_iterations=4, tolerance=0))
    assert result.iterations[-1].n_starved == 1
    assert result.iterations[-1].n_floored == 1
    assert "1 of 3 components have no data" in result.warnings[-1]
    assert result.gmm.means[2] == 500


@given(seeds)
def test_a_sample_has_the_moments_of_its_mixture(seed):
    rng, gmm, _ = draw(seed)
    frames, _ = sample(gmm, 20_000, rng)
    mean = gmm.weights @ gmm.means
    variance = gmm.weights @ (gmm.variances + gmm.means**2) - mean**2
    # Five standard errors of the mean, of 60 numbers in 50 examples.
    assert (np.abs(frames.mean(0) - mean) < 5 * np.sqrt(variance / 20_000)).all()
    np.testing.assert_allclose(frames.var(0), variance, rtol=0.1)


def test_kmeans_finds_clusters_that_are_there():
    rng = np.random.default_rng(5)
    centers = np.array([[0, 0], [100, 0], [0, 3000], [100, 3000]], float)
    frames = np.concatenate([c + rng.standard_normal((100, 2)) * [1, 30] for c in centers])
    gmm = initialize(frames, 4, rng)
    found = gmm.means[np.lexsort(np.round(gmm.means, -2).T)]
    np.testing.assert_allclose(found, centers, atol=15)
    np.testing.assert_allclose(gmm.weights, 0.25)


@given(st.integers(1, 100_000), st.integers(1, 3000), seeds)
def test_a_sample_of_frames_is_in_order_and_without_repeats(n_frames, n_wanted, seed):
    source = ArraySource(np.arange(n_frames, dtype=np.float32)[:, None])
    chosen = sample_frames(source, n_wanted, np.random.default_rng(seed))[:, 0]
    assert len(chosen) == min(n_frames, n_wanted)
    assert (np.diff(chosen) > 0).all()


def test_what_cannot_be_is_refused():
    gmm = DiagonalGMM([1.0], [[0.0, 0.0]], [[1.0, 1.0]])
    with pytest.raises(DataError, match="2 of 3 hold a NaN or an infinity, the first is number 1"):
        log_density(gmm, np.array([[0, 0], [np.nan, 0], [0, np.inf]]))
    with pytest.raises(DataError, match="must have 2 columns, got 3"):
        accumulate(gmm, np.zeros((5, 3)))
    with pytest.raises(DataError, match="one a frame"):
        accumulate(gmm, np.zeros((5, 2)), np.ones(4))
    with pytest.raises(DataError, match="variances must be positive"):
        DiagonalGMM([1.0], [[0.0]], [[0.0]])
    with pytest.raises(DataError, match="sum to 1"):
        DiagonalGMM([0.5, 0.6], [[0.0], [1.0]], [[1.0], [1.0]])
    with pytest.raises(DataError, match="no frames"):
        fit(gmm, collector(ArraySource(np.zeros((0, 2)))))
    with pytest.raises(OptionError, match="n_iterations must be at least 1, got 0"):
        EmOptions(n_iterations=0)
    with pytest.raises(OptionError, match="relevance must be at least 0, got -1"):
        MapOptions(relevance=-1)
    with pytest.raises(OptionError, match="sample_per_component"):
        InitialOptions(sample_per_component=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_frame_beyond_single_precision_is_scored_in_double(dtype):
    gmm = DiagonalGMM([0.5, 0.5], [[0.0], [1.0]], [[1.0], [1.0]])
    frames = np.array([[0.0], [1e25]], dtype)
    assert np.isfinite(log_density(gmm, frames)).all()
    assert np.isfinite(accumulate(gmm, frames).second).all()
    with pytest.raises(DataError, match="too far from every component"):
        log_density(gmm, np.array([[1e200]]))


def test_arrays_of_a_mixture_cannot_be_written():
    means = np.zeros((1, 2))
    gmm = DiagonalGMM([1.0], means, [[1.0, 1.0]])
    means[0] = 7
    assert (gmm.means == 0).all()
    with pytest.raises(ValueError, match="read-only"):
        gmm.means[0, 0] = 1
