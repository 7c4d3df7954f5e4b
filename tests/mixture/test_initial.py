"""Where EM starts: five ways, four shapes of covariance, held to scipy, scikit-learn and laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2
from sklearn.cluster import KMeans

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    EmOptions,
    FullGMM,
    InitialOptions,
    SphericalGMM,
    TiedGMM,
    accumulate,
    collector,
    fit,
    initialize,
    log_density,
)

METHODS = ["kmeans", "kmeans++", "frames", "random", "lbg"]
SHAPES = ["spherical", "diagonal", "tied", "full"]
seeds = st.integers(0, 2**32 - 1)


def islands(rng, n_islands=4, n_frames=100, n_dims=3):
    """Clusters in a row, far from one another, each with a covariance of its own."""
    centers = np.arange(n_islands)[:, None] * np.array([60.0, -40.0, 20.0])
    mixing = rng.standard_normal((n_islands, n_dims, n_dims))
    parts = [rng.standard_normal((n_frames, n_dims)) @ m for m in mixing]
    return np.concatenate(parts) + np.repeat(centers, n_frames, axis=0)


def covariances(gmm):
    if isinstance(gmm, FullGMM):
        return gmm.covariances
    if isinstance(gmm, TiedGMM):
        return np.tile(gmm.covariance, (gmm.n_components, 1, 1))
    return np.array([np.diag(v) for v in gmm.variances_by_dim()])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_method_gives_every_shape_a_start_that_em_improves(method, shape):
    rng = np.random.default_rng(0)
    frames = islands(rng)
    start = initialize(frames, 5, rng, InitialOptions(method=method), covariance_type=shape)
    assert start.covariance_type == shape
    assert start.n_components == 5
    np.testing.assert_allclose(start.weights.sum(), 1)
    # Every method counts each frame once, so the mixture's mean is that of the data.
    np.testing.assert_allclose(start.weights @ start.means, frames.mean(0), atol=1e-9)
    record = fit(start, collector(ArraySource(frames)), EmOptions(3, tolerance=0)).iterations
    assert record[-1].log_likelihood > record[0].log_likelihood


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=seeds)
@settings(max_examples=10)
def test_clusters_that_are_there_give_their_own_moments(shape, seed):
    rng = np.random.default_rng(seed)
    frames = islands(rng)
    options = InitialOptions(variance_floor=1e-12, method="lbg")
    gmm = initialize(frames, 4, rng, options, covariance_type=shape)
    order = np.argsort(gmm.means.sum(1))
    parts = frames.reshape(4, 100, 3)
    truth = np.array([np.cov(part.T, bias=True) for part in parts])
    parts_order = np.argsort(parts.mean(1).sum(1))
    if shape == "diagonal":
        truth = np.array([np.diag(np.diag(c)) for c in truth])
    elif shape == "spherical":
        truth = np.array([np.eye(3) * np.trace(c) / 3 for c in truth])
    elif shape == "tied":
        truth = np.tile(truth.mean(0), (4, 1, 1))
    np.testing.assert_allclose(gmm.weights, 0.25)
    np.testing.assert_allclose(gmm.means[order], parts.mean(1)[parts_order], atol=1e-9)
    np.testing.assert_allclose(covariances(gmm)[order], truth[parts_order], atol=1e-8)


@given(seeds, st.sampled_from(METHODS), st.sampled_from(SHAPES))
@settings(max_examples=30)
def test_the_same_seed_gives_the_same_bits_and_units_do_not_matter(seed, method, shape):
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((80, 2)) + rng.integers(0, 3, (80, 1))
    options = InitialOptions(method=method)
    # Powers of two scale without rounding, so even the choices among frames must agree.
    scale, shift = (4.0, 0.0) if shape == "spherical" else (np.array([4.0, 0.25]), 0.0)
    one = initialize(frames, 6, np.random.default_rng(seed), options, covariance_type=shape)
    again = initialize(frames, 6, np.random.default_rng(seed), options, covariance_type=shape)
    scaled = initialize(
        frames * scale + shift, 6, np.random.default_rng(seed), options, covariance_type=shape
    )
    assert (one.means == again.means).all()
    assert (covariances(one) == covariances(again)).all()
    np.testing.assert_allclose(scaled.means, one.means * scale, rtol=1e-12, atol=1e-12)
    product = covariances(one) * np.outer(np.ones(2) * scale, np.ones(2) * scale)
    np.testing.assert_allclose(covariances(scaled), product, rtol=1e-9, atol=1e-12)


def test_rounds_of_kmeans_equal_scipy():
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((500, 4))
    frames = (frames - frames.mean(0)) / frames.std(0)  # then standardizing changes nothing
    plain = InitialOptions(min_cluster_frames=0)
    seeded = initialize(frames, 8, np.random.default_rng(2), replace(plain, method="kmeans++"))
    # kmeans++ gives the means of the seeds' clusters, which are the first round of k-means.
    ours = initialize(frames, 8, np.random.default_rng(2), replace(plain, n_kmeans_iterations=5))
    theirs, labels = kmeans2(frames, seeded.means, iter=5, minit="matrix")
    np.testing.assert_allclose(ours.means, theirs, atol=1e-10)
    np.testing.assert_allclose(ours.weights, np.bincount(labels) / 500, atol=1e-12)


def distortion(frames, centers):
    return ((frames[:, None] - centers) ** 2).sum(2).min(1).mean()


@pytest.mark.parametrize("n_components", [1, 2, 3, 5, 8, 13])
def test_binary_splitting_is_near_the_best_of_kmeans_for_any_number(n_components):
    rng = np.random.default_rng(3)
    frames = islands(rng, 8)
    frames = (frames - frames.mean(0)) / frames.std(0)
    best = KMeans(n_components, n_init=5, random_state=0).fit(frames).inertia_ / len(frames)
    options = InitialOptions(method="lbg", n_kmeans_iterations=20)
    gmm = initialize(frames, n_components, rng, options)
    assert gmm.n_components == n_components
    assert distortion(frames, gmm.means) < 1.25 * best


def test_binary_splitting_finds_an_oblique_cleft():
    # Along the diagonal (1, 1), which the signs of all dimensions alike would try, nothing varies.
    rng = np.random.default_rng(4)
    line = rng.standard_normal((200, 1)) + np.repeat([[-8.0], [8.0]], 100, axis=0)
    frames = line * [1, -1] + 0.01 * rng.standard_normal((200, 2))
    gmm = initialize(frames, 2, rng, InitialOptions(method="lbg"))
    np.testing.assert_allclose(gmm.weights, 0.5)


@pytest.mark.parametrize("method", ["kmeans", "kmeans++", "frames", "lbg"])
@pytest.mark.parametrize("shape", SHAPES)
def test_outliers_do_not_waste_components(method, shape):
    rng = np.random.default_rng(5)
    frames = np.concatenate([rng.standard_normal((2000, 3)), 60 * rng.standard_normal((5, 3))])
    kept = InitialOptions(method=method, min_cluster_frames=0)
    before = initialize(frames, 16, np.random.default_rng(6), kept, covariance_type=shape)
    moved = replace(kept, min_cluster_frames=3)
    after = initialize(frames, 16, np.random.default_rng(6), moved, covariance_type=shape)
    if method in ("kmeans", "kmeans++"):
        assert before.weights.min() * len(frames) < 3
    assert after.weights.min() * len(frames) > 2.5
    assert accumulate(after, frames).counts.min() > 0.5


def test_where_no_cluster_is_starved_refilling_changes_nothing():
    rng = np.random.default_rng(7)
    frames = islands(rng)
    start = [
        initialize(frames, 4, np.random.default_rng(8), InitialOptions(min_cluster_frames=least))
        for least in (0, 3)
    ]
    assert (start[0].means == start[1].means).all()
    assert (start[0].variances == start[1].variances).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
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
def test_degenerate_data_gives_a_finite_start(frames, shape, method):
    rng = np.random.default_rng(0)
    start = initialize(frames, 8, rng, InitialOptions(method=method), covariance_type=shape)
    assert np.isfinite(log_density(start, frames)).all()
    result = fit(start, collector(ArraySource(frames)), EmOptions(n_iterations=3))
    assert np.isfinite(log_density(result.gmm, frames)).all()


def test_random_responsibilities_put_all_means_near_the_middle():
    rng = np.random.default_rng(9)
    frames = islands(rng)
    gmm = initialize(frames, 3, rng, InitialOptions(method="random"), covariance_type="full")
    assert np.abs(gmm.means - frames.mean(0)).max() < 0.3 * frames.std(0).max()
    assert np.ptp(gmm.means, axis=0).min() > 0
    np.testing.assert_allclose(gmm.weights, 1 / 3, atol=0.1)


def test_one_component_is_the_data():
    rng = np.random.default_rng(10)
    frames = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3)) + 5
    for method in METHODS:
        options = InitialOptions(method=method)
        gmm = initialize(frames, 1, rng, options, covariance_type="full")
        np.testing.assert_allclose(gmm.means[0], frames.mean(0))
        np.testing.assert_allclose(gmm.covariances[0], np.cov(frames.T, bias=True), atol=1e-9)
        ball = initialize(frames, 1, rng, options, covariance_type="spherical")
        assert isinstance(ball, SphericalGMM)
        np.testing.assert_allclose(ball.variances, frames.var(0).mean())


def test_what_cannot_be_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match=r"method must be one of .*did you mean 'kmeans'"):
        InitialOptions(method="kmean")
    with pytest.raises(OptionError, match="min_cluster_frames must be at least 0"):
        InitialOptions(min_cluster_frames=-1)
    with pytest.raises(OptionError, match=r"covariance_type must be one of .*'diagonal'"):
        initialize(np.zeros((3, 1)), 1, rng, covariance_type="diagonall")
    with pytest.raises(DataError, match="no frames to train on"):
        initialize(np.zeros((0, 1)), 1, rng)
