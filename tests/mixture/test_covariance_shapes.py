"""Covariances of four shapes: the same E-step and M-step, held to scipy and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    FullGMM,
    SphericalGMM,
    Statistics,
    TiedGMM,
    accumulate,
    collector,
    fit,
    log_density,
    maximize,
    posteriors,
    sample,
)

SHAPES = ["spherical", "diagonal", "tied", "full"]
FREE = EmOptions(n_iterations=5, tolerance=0, variance_floor=0, min_count=0)


def random_covariance(rng, n_dims):
    basis = rng.standard_normal((n_dims, n_dims))
    return basis @ basis.T + 0.3 * np.eye(n_dims)


def random_mixture(rng, shape, n_components=4, n_dims=3, center=0.0):
    weights = rng.dirichlet(np.ones(n_components))
    means = 3 * rng.standard_normal((n_components, n_dims)) + center
    if shape == "spherical":
        return SphericalGMM(weights, means, rng.uniform(0.3, 2, n_components))
    if shape == "diagonal":
        return DiagonalGMM(weights, means, rng.uniform(0.3, 2, (n_components, n_dims)))
    if shape == "tied":
        return TiedGMM(weights, means, random_covariance(rng, n_dims))
    each = [random_covariance(rng, n_dims) for _ in range(n_components)]
    return FullGMM(weights, means, np.array(each))


def full_covariances(gmm):
    if isinstance(gmm, FullGMM):
        return gmm.covariances
    if isinstance(gmm, TiedGMM):
        return np.tile(gmm.covariance, (gmm.n_components, 1, 1))
    return np.array([np.diag(v) for v in gmm.variances_by_dim()])


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_density_and_posteriors_against_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    gmm = random_mixture(rng, shape, center=rng.uniform(-100, 100))
    frames, _ = sample(gmm, 30, rng)
    each = np.stack(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(frames)
            for w, m, c in zip(gmm.weights, gmm.means, full_covariances(gmm), strict=True)
        ],
        axis=1,
    )
    total = np.logaddexp.reduce(each, axis=1)
    np.testing.assert_allclose(log_density(gmm, frames), total, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(posteriors(gmm, frames), np.exp(each - total[:, None]), atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_statistics_against_the_sums_written_out(shape, seed):
    rng = np.random.default_rng(seed)
    gmm = random_mixture(rng, shape, center=5.0)
    frames, _ = sample(gmm, 40, rng)
    weights = rng.uniform(0, 2, 40)
    found = accumulate(gmm, frames, weights)
    gamma = posteriors(gmm, frames) * weights[:, None]
    np.testing.assert_allclose(found.counts, gamma.sum(0), atol=1e-9)
    np.testing.assert_allclose(found.first, gamma.T @ frames, atol=1e-7)
    if shape == "full":
        second = np.einsum("tk,ti,tj->kij", gamma, frames, frames)
    elif shape == "tied":
        second = np.einsum("t,ti,tj->ij", weights, frames, frames)
    else:
        second = gamma.T @ frames**2
    np.testing.assert_allclose(found.second, second, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_are_a_monoid(shape):
    rng = np.random.default_rng(0)
    gmm = random_mixture(rng, shape)
    frames, _ = sample(gmm, 100, rng)
    whole = accumulate(gmm, frames)
    parts = accumulate(gmm, frames[:37]) + accumulate(gmm, frames[37:]) + Statistics.zero(gmm)
    for name in ("counts", "first", "second", "log_likelihood", "n_frames"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_five_iterations_equal_scikit_learn(shape):
    rng = np.random.default_rng(2)
    truth = random_mixture(rng, shape, n_components=3, n_dims=4)
    frames, _ = sample(truth, 3000, rng)
    start = random_mixture(rng, shape, n_components=5, n_dims=4)
    inverse = {
        "spherical": lambda: 1 / start.variances,
        "diagonal": lambda: 1 / start.variances,
        "tied": lambda: np.linalg.inv(start.covariance),
        "full": lambda: np.linalg.inv(start.covariances),
    }[shape]()
    theirs = GaussianMixture(
        5, covariance_type="diag" if shape == "diagonal" else shape, max_iter=5, tol=0, reg_covar=0,
        weights_init=start.weights, means_init=start.means, precisions_init=inverse,
    )  # fmt: skip
    with pytest.warns(match="converge"):
        theirs.fit(frames)
    ours = fit(start, collector(ArraySource(frames)), FREE).gmm
    np.testing.assert_allclose(ours.weights, theirs.weights_, rtol=1e-10)
    np.testing.assert_allclose(ours.means, theirs.means_, rtol=1e-8, atol=1e-10)
    covariances = {
        "spherical": lambda: ours.variances,
        "diagonal": lambda: ours.variances,
        "tied": lambda: ours.covariance,
        "full": lambda: ours.covariances,
    }[shape]()
    scale = np.abs(theirs.covariances_).max()
    np.testing.assert_allclose(covariances, theirs.covariances_, atol=1e-10 * scale)


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_step_raises_the_likelihood(shape, seed):
    rng = np.random.default_rng(seed)
    frames, _ = sample(random_mixture(rng, shape), 300, rng)
    start = random_mixture(rng, shape)
    options = EmOptions(n_iterations=8, tolerance=0, variance_floor=0)
    record = fit(start, collector(ArraySource(frames)), options).iterations
    likelihoods = np.array([line.log_likelihood for line in record])
    assert (np.diff(likelihoods) > -1e-8 * np.abs(likelihoods[1:])).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_floors_and_ceilings_hold(shape):
    rng = np.random.default_rng(4)
    frames = np.concatenate([np.tile([[1.0, 2.0, 3.0]], (50, 1)), rng.standard_normal((200, 3))])
    start = random_mixture(rng, shape, n_components=3)
    spread = frames.var(axis=0)
    options = EmOptions(8, 0, variance_floor=0.2, variance_ceiling=0.8, min_count=1e-3)
    result = fit(start, collector(ArraySource(frames)), options)
    if shape == "spherical":  # one bound serves all dimensions
        spread = np.full(3, spread.mean())
    values = np.linalg.eigvalsh(full_covariances(result.gmm) / np.sqrt(np.outer(spread, spread)))
    assert values.min() > 0.2 * (1 - 1e-6)
    assert values.max() < 0.8 * (1 + 1e-6)
    acted = sum(line.n_floored for line in result.iterations)
    assert acted > 0 or shape == "tied"  # one covariance of all data lies within these bounds


def test_absolute_floor_component_floor_regularization_and_weight_floor():
    rng = np.random.default_rng(5)
    frames = rng.standard_normal((300, 2)) * [1.0, 1e-3]
    start = DiagonalGMM([0.5, 0.5], [[0, 0], [1, 0]], np.ones((2, 2)))
    statistics = accumulate(start, frames)

    def variances(**options):
        chosen = EmOptions(variance_floor=0, min_count=0, **options)
        return maximize(start, statistics, chosen).gmm.variances

    plain = variances()
    assert plain[:, 1].max() < 1e-5
    np.testing.assert_allclose(variances(variance_floor_absolute=0.1)[:, 1], 0.1)
    np.testing.assert_allclose(variances(variance_floor_components=0.5)[:, 1], 0.5)
    np.testing.assert_allclose(variances(regularization=0.3), plain + 0.3)
    lonely = DiagonalGMM([0.5, 0.5], [[0, 0], [1e3, 0]], np.ones((2, 2)))
    options = EmOptions(weight_floor=0.1)
    floored = maximize(lonely, accumulate(lonely, frames), options).gmm.weights
    np.testing.assert_allclose(floored, [1 / 1.1, 0.1 / 1.1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("starved", ["keep", "split", "drop"])
def test_starved_components(shape, starved):
    rng = np.random.default_rng(6)
    start = random_mixture(rng, shape, n_components=3)
    means = start.means.copy()
    means[1] = 1e4
    start = replace(start, means=means)
    frames = rng.standard_normal((400, 3)) + 0.5
    update = maximize(start, accumulate(start, frames), EmOptions(starved=starved))
    assert update.starved.tolist() == [False, True, False]
    if starved == "keep":
        np.testing.assert_array_equal(update.gmm.means[1], start.means[1])
        assert update.gmm.weights[1] == 0
    elif starved == "split":
        assert update.gmm.n_components == 3
        assert update.gmm.weights.min() > 0
        assert np.abs(update.gmm.means).max() < 100
    else:
        assert update.gmm.n_components == 2
    again = fit(update.gmm, collector(ArraySource(frames)), EmOptions(n_iterations=5))
    assert np.isfinite(log_density(again.gmm, frames)).all()


def test_what_is_no_covariance_is_refused():
    one = ([1.0], [[0.0, 0.0]])
    with pytest.raises(DataError, match="covariances must be positive definite"):
        FullGMM(*one, [[[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(DataError, match="covariance must be symmetric"):
        TiedGMM(*one, [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(DataError, match=r"covariances must be \(1, 2, 2\)"):
        FullGMM(*one, np.eye(2))
    with pytest.raises(DataError, match=r"variances must be \(1,\)"):
        SphericalGMM(*one, [[1.0, 1.0]])
    with pytest.raises(DataError, match="variances must be finite"):
        DiagonalGMM(*one, [[1.0, np.inf]])
    with pytest.raises(OptionError, match="variance_ceiling must be above variance_floor"):
        EmOptions(variance_ceiling=0.001)
    with pytest.raises(OptionError, match=r"did you mean 'split'"):
        EmOptions(starved="splitt")
