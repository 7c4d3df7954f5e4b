"""Soft labels, supervectors, Fisher vectors: held to sums written out and to finite differences."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    FullGMM,
    MapOptions,
    SphericalGMM,
    Statistics,
    SupervectorOptions,
    TiedGMM,
    accumulate,
    adapt,
    assign,
    fisher_vector,
    log_density,
    log_posteriors,
    posteriors,
    sample,
    soft_labels,
    stacked_means,
    supervector,
    supervectors,
)
from voicegmm.mixture.density import BLOCK

K, D = 5, 3


def mixture(kind, seed=0, n_components=K, n_dims=D):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_components, 3.0))
    means = 2 * rng.standard_normal((n_components, n_dims))
    roots = rng.standard_normal((n_components, n_dims, n_dims + 2))
    covariances = roots @ np.swapaxes(roots, 1, 2) / n_dims
    if kind is FullGMM:
        return FullGMM(weights, means, covariances)
    if kind is TiedGMM:
        return TiedGMM(weights, means, covariances[0])
    if kind is SphericalGMM:
        return SphericalGMM(weights, means, rng.uniform(0.5, 2, n_components))
    return DiagonalGMM(weights, means, rng.uniform(0.5, 2, (n_components, n_dims)))


def covariance(gmm, k):
    if isinstance(gmm, FullGMM):
        return gmm.covariances[k]
    return gmm.covariance if isinstance(gmm, TiedGMM) else np.diag(gmm.variances_by_dim()[k])


def joint_by_scipy(gmm, frames):
    return np.stack(
        [
            np.log(gmm.weights[k]) + multivariate_normal.logpdf(frames, mean, covariance(gmm, k))
            for k, mean in enumerate(gmm.means)
        ],
        axis=1,
    )


every_shape = pytest.mark.parametrize("kind", [DiagonalGMM, SphericalGMM, TiedGMM, FullGMM])


@every_shape
def test_log_posteriors_are_those_of_scipy_however_small(kind):
    gmm = mixture(kind)
    frames = 20 * np.random.default_rng(1).standard_normal((50, D))
    joint = joint_by_scipy(gmm, frames)
    expected = joint - logsumexp(joint, axis=1, keepdims=True)
    assert (posteriors(gmm, frames) == 0).any() or expected.min() < -100
    found = log_posteriors(gmm, frames)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(log_posteriors(gmm, frames, -10.0), np.maximum(found, -10))


def test_log_posteriors_keep_single_precision_and_a_weight_of_zero():
    gmm = DiagonalGMM([0.5, 0.5, 0.0], np.eye(3), np.ones((3, 3)))
    found = log_posteriors(gmm, np.zeros((2, 3), np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], [-np.log(2), -np.log(2), -np.inf], rtol=1e-6)
    assert log_posteriors(gmm, np.zeros((1, 3)), -7.0)[0, 2] == -7
    with pytest.raises(OptionError, match="floor must be between -inf and 0"):
        log_posteriors(gmm, np.zeros((1, 3)), 1.0)


@every_shape
def test_soft_labels_are_the_posteriors_sorted_and_cut(kind):
    gmm = mixture(kind)
    frames = sample(gmm, BLOCK + 77, np.random.default_rng(2))[0]  # more than one block
    dense = posteriors(gmm, frames)
    labels = soft_labels(gmm, frames, 3)
    order = np.argsort(-dense, axis=1, kind="stable")[:, :3]
    best = np.take_along_axis(dense, order, axis=1)
    np.testing.assert_array_equal(labels.components, order)
    np.testing.assert_allclose(labels.kept, best.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(labels.probabilities, best / best.sum(1, keepdims=True), rtol=1e-12)
    pruned = labels.posteriors()
    assert pruned.shape == dense.shape
    assert ((pruned > 0).sum(axis=1) <= 3).all()
    np.testing.assert_allclose(pruned.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(soft_labels(gmm, frames, 1).components[:, 0], assign(gmm, frames))


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(D)), elements=st.floats(-50, 50)),
    st.integers(1, 8),
    st.integers(0, 1000),
)
@settings(max_examples=30)
def test_laws_of_soft_labels(frames, n_best, seed):
    gmm = mixture(DiagonalGMM, seed, n_components=8)
    labels, dense = soft_labels(gmm, frames, n_best), posteriors(gmm, frames)
    assert (np.diff(labels.probabilities, axis=1) <= 0).all()
    assert all(len(set(row)) == n_best for row in labels.components.tolist())
    assert (labels.kept >= n_best / 8 - 1e-12).all()
    assert (labels.kept <= 1).all()
    if n_best == 8:
        np.testing.assert_allclose(labels.posteriors(), dense, rtol=1e-9, atol=1e-300)
    # What was cut is no greater than what was kept.
    cut = dense.copy()
    np.put_along_axis(cut, labels.components, 0, axis=1)
    least = np.take_along_axis(dense, labels.components, axis=1).min(axis=1)
    assert (cut.max(axis=1) <= least * (1 + 1e-9)).all()


def test_soft_labels_of_equal_components_and_of_no_frames():
    gmm = DiagonalGMM(np.full(4, 0.25), np.zeros((4, 2)), np.ones((4, 2)))
    labels = soft_labels(gmm, np.zeros((3, 2), np.float32), 2)
    assert labels.probabilities.dtype == np.float32
    np.testing.assert_array_equal(labels.probabilities, 0.5)
    np.testing.assert_array_equal(labels.kept, 0.5)
    assert soft_labels(gmm, np.empty((0, 2)), 2).components.shape == (0, 2)


def test_soft_labels_refuse_more_components_than_there_are():
    with pytest.raises(OptionError, match="n_best must be between 1 and 5, got 6"):
        soft_labels(mixture(DiagonalGMM), np.zeros((1, D)), 6)
    with pytest.raises(DataError, match="must have 3 columns, got 2"):
        soft_labels(mixture(DiagonalGMM), np.zeros((1, 2)), 2)


def test_a_supervector_is_the_adapted_means_in_a_row():
    gmm = mixture(DiagonalGMM)
    statistics = accumulate(gmm, np.random.default_rng(3).standard_normal((40, D)))
    found = supervector(gmm, statistics, SupervectorOptions(relevance=7, scaling="none"))
    adapted = adapt(gmm, statistics, MapOptions(relevance=7)).means
    np.testing.assert_allclose(found, adapted.ravel(), rtol=1e-12)
    moved = supervector(gmm, statistics, SupervectorOptions(7, scaling="none", centered=True))
    np.testing.assert_allclose(moved, (adapted - gmm.means).ravel(), rtol=1e-9, atol=1e-12)


@every_shape
def test_the_dot_product_is_the_kernel_and_bounds_the_divergence(kind):
    gmm = mixture(kind)
    rng = np.random.default_rng(4)
    one, other = (gmm.means + 0.5 * rng.standard_normal(gmm.means.shape) for _ in range(2))
    left, right = stacked_means(gmm, np.stack([one, other]))
    inverse = [np.linalg.inv(covariance(gmm, k)) for k in range(K)]
    kernel = sum(gmm.weights[k] * one[k] @ inverse[k] @ other[k] for k in range(K))
    assert left @ right == pytest.approx(kernel, rel=1e-10)
    step = one - other
    bound = sum(gmm.weights[k] * step[k] @ inverse[k] @ step[k] for k in range(K)) / 2
    assert 0.5 * np.sum((left - right) ** 2) == pytest.approx(bound, rel=1e-10)
    # The divergence itself, from draws; its standard error here is below 0.01.
    from_one, from_other = replace(gmm, means=one), replace(gmm, means=other)
    drawn, _ = sample(from_one, 20_000, rng)
    divergence = np.mean(log_density(from_one, drawn) - log_density(from_other, drawn))
    assert divergence <= bound + 0.03
    assert divergence > 0


def test_a_recording_without_frames_says_nothing():
    gmm = mixture(FullGMM)
    empty = ArraySource(np.empty((0, D)))
    vectors = supervectors(gmm, [empty], SupervectorOptions(centered=True))
    np.testing.assert_array_equal(vectors, 0)
    with pytest.raises(DataError, match="one frame at least"):
        fisher_vector(mixture(DiagonalGMM), Statistics.zero(mixture(DiagonalGMM)))


def test_many_recordings_at_once_are_each_alone():
    gmm = mixture(TiedGMM)
    rng = np.random.default_rng(5)
    recordings = [rng.standard_normal((n, D)).astype(np.float32) for n in (1, 30, 7, 200)]
    sources = [ArraySource(frames) for frames in recordings]
    together = supervectors(gmm, sources)
    assert together.dtype == np.float32
    assert together.shape == (4, K * D)
    np.testing.assert_array_equal(together, supervectors(gmm, sources, n_workers=2))
    for row, frames in zip(together, recordings, strict=True):
        np.testing.assert_allclose(row, supervector(gmm, accumulate(gmm, frames)), rtol=1e-6)


def test_supervectors_refuse_what_cannot_be():
    with pytest.raises(OptionError, match=r"scaling must be one of none, kl.*did you mean 'kl'"):
        SupervectorOptions(scaling="k")
    with pytest.raises(OptionError, match="relevance must be at least 0"):
        SupervectorOptions(relevance=-1)
    with pytest.raises(DataError, match=r"means must be \(..., 5, 3\), got \(2, 3\)"):
        stacked_means(mixture(DiagonalGMM), np.zeros((2, 3)))


@pytest.mark.parametrize("kind", [DiagonalGMM, SphericalGMM])
def test_a_fisher_vector_is_the_slope_of_the_likelihood(kind):
    gmm = mixture(kind)
    deviations = np.sqrt(gmm.variances_by_dim())
    frames = np.random.default_rng(6).standard_normal((60, D))
    step = 1e-5

    def slope(part, k, d):
        values = []
        for sign in (1, -1):
            means, scales = gmm.means.copy(), deviations.copy()
            (means if part == 0 else scales)[k, d] += sign * step
            values.append(log_density(DiagonalGMM(gmm.weights, means, scales**2), frames).mean())
        return (values[0] - values[1]) / (2 * step)

    slopes = np.array([[[slope(p, k, d) for d in range(D)] for k in range(K)] for p in (0, 1)])
    # Fisher information by means is w / sigma^2, by deviations 2 w / sigma^2 (Perronnin 2007).
    information = gmm.weights[:, None] / deviations**2 * np.array([1, 2])[:, None, None]
    expected = slopes / np.sqrt(information)
    found = fisher_vector(gmm, accumulate(gmm, frames))
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-6, atol=1e-8)


def test_a_fisher_vector_of_the_mixtures_own_frames_is_near_zero():
    gmm = mixture(DiagonalGMM)
    own = fisher_vector(gmm, accumulate(gmm, sample(gmm, 40_000, np.random.default_rng(7))[0]))
    other = fisher_vector(gmm, accumulate(gmm, np.ones((100, D))))
    assert np.abs(own).max() < 0.03  # some 4 / sqrt(40,000), over what overlap takes away
    assert np.linalg.norm(other) > 1


def test_a_component_of_no_weight_has_no_slope():
    gmm = DiagonalGMM([1.0, 0.0], np.zeros((2, 2)), np.ones((2, 2)))
    found = fisher_vector(gmm, accumulate(gmm, np.ones((5, 2)))).reshape(2, 2, 2)
    np.testing.assert_array_equal(found[:, 1], 0)
    np.testing.assert_allclose(found[0, 0], 1)
