"""Marginal and conditional mixtures: held to scipy, to numeric integrals and to rejection."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, multivariate_normal
from test_covariance_shapes import SHAPES, full_covariances, random_mixture

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    condition,
    log_density,
    marginal,
    posteriors,
    sample,
    sample_conditional,
)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_marginals_against_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    gmm = random_mixture(rng, shape, n_dims=5, center=rng.uniform(-100, 100))
    dims = rng.permutation(5)[: rng.integers(1, 6)]
    found = marginal(gmm, dims)
    assert type(found) is type(gmm)
    frames = sample(gmm, 20, rng)[0][:, dims]
    each = [
        np.log(w) + multivariate_normal(m[dims], c[np.ix_(dims, dims)]).logpdf(frames)
        for w, m, c in zip(gmm.weights, gmm.means, full_covariances(gmm), strict=True)
    ]
    np.testing.assert_allclose(
        log_density(found, frames), np.logaddexp.reduce(each), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_joint_density_is_the_marginal_times_the_conditional(shape, seed):
    rng = np.random.default_rng(seed)
    gmm = random_mixture(rng, shape, n_dims=4, center=rng.uniform(-10, 10))
    dims = rng.permutation(4)[: rng.integers(1, 4)]
    rest = np.setdiff1d(np.arange(4), dims)
    frames, _ = sample(gmm, 5, rng)
    frames[:, dims] = frames[0, dims]
    given_these = condition(gmm, dims, frames[0, dims])
    assert type(given_these) is type(gmm)
    found = log_density(marginal(gmm, dims), frames[:, dims])
    found += log_density(given_these, frames[:, rest])
    np.testing.assert_allclose(found, log_density(gmm, frames), rtol=1e-8, atol=1e-8)
    # The posterior of a component, too, is the same in two steps.
    np.testing.assert_allclose(
        posteriors(given_these, frames[:, rest]), posteriors(gmm, frames), atol=1e-7
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_conditional_densities_against_numeric_integration(shape):
    rng = np.random.default_rng(0)
    gmm = random_mixture(rng, shape, n_dims=2)
    grid = np.linspace(-25, 25, 20_001)
    for value in (-2.0, 0.0, 1.5):
        plane = np.stack([np.full_like(grid, value), grid], axis=1)
        joint = np.exp(log_density(gmm, plane))
        found = np.exp(log_density(condition(gmm, [0], [value]), grid[:, None]))
        np.testing.assert_allclose(found, joint / np.trapezoid(joint, grid), atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_conditional_draws_are_those_that_rejection_leaves(shape):
    rng = np.random.default_rng(1)
    gmm = random_mixture(rng, shape, n_dims=2)
    value = float(gmm.spread()[0][1])
    many, _ = sample(gmm, 400_000, rng)
    # Within a slice so thin, the conditional density of the other dimension hardly changes.
    left = many[np.abs(many[:, 1] - value) < 0.03, 0]
    drawn, components = sample_conditional(gmm, [1], [value], 2000, rng)
    assert (drawn[:, 1] == value).all()
    assert len(left) > 800
    assert ks_2samp(left, drawn[:, 0]).pvalue > 0.01
    shares = np.bincount(components, minlength=gmm.n_components) / 2000
    weights = condition(gmm, [1], [value]).weights
    np.testing.assert_allclose(shares, weights, atol=4 * np.sqrt(0.25 / 2000))


def test_a_component_without_weight_and_one_far_away_stay_out():
    gmm = random_mixture(np.random.default_rng(2), "full", n_components=3)
    gmm = replace(gmm, weights=np.array([0.5, 0.0, 0.5]))
    found = condition(gmm, [0], gmm.means[0, :1])
    assert found.weights[1] == 0
    far = replace(gmm, means=gmm.means + np.array([[0.0], [0.0], [1e3]]))
    np.testing.assert_allclose(condition(far, [0], far.means[0, :1]).weights, [1, 0, 0], atol=1e-12)


def test_what_cannot_be_asked_is_refused():
    rng = np.random.default_rng(3)
    gmm = random_mixture(rng, "full")
    for dims, message in (
        ([], "dims must be a list of numbers of dimensions"),
        ([0.5], "dims must be a list of numbers of dimensions"),
        ([3], r"dims must be between 0 and 2, got \[3\]"),
        ([-1], r"dims must be between 0 and 2, got \[-1\]"),
        ([1, 1], r"dims must name each dimension once, got \[1, 1\]"),
    ):
        with pytest.raises(OptionError, match=message):
            marginal(gmm, dims)
    with pytest.raises(OptionError, match="dims must leave a dimension open, got all 3"):
        condition(gmm, [0, 1, 2], [0, 0, 0])
    with pytest.raises(DataError, match=r"values must be \(2,\), one for each of dims, got \(1,\)"):
        condition(gmm, [0, 1], [0])
    with pytest.raises(DataError, match="values must be finite"):
        condition(gmm, [0], [np.nan])
    with pytest.raises(OptionError, match="n_frames must be at least 0, got -1"):
        sample_conditional(gmm, [0], [0.0], -1, rng)
