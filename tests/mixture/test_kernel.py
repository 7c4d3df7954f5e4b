"""The compiled E-step: against the plain formula in float64, and against itself."""

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    FullGMM,
    MeanShifts,
    SphericalGMM,
    TiedGMM,
    accumulate,
    collector,
    density,
    kernel,
    log_density,
    sample,
)

seeds = st.integers(0, 2**32 - 1)
FLOAT32 = np.dtype(np.float32)


@contextmanager
def compiled(threshold=0):
    """Let every job take the compiled loops, however small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(density, "FUSED_FROM", threshold)
        yield


def draw(seed, n_frames, n_components, n_dims, offset=0.0):
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        2 * rng.standard_normal((n_components, n_dims)) + offset,
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )
    return gmm, sample(gmm, n_frames, rng)[0].astype(np.float32)


def plain(gmm, frames, weights=None):
    """Counts, first, second moments and log-densities by the definition, frame by frame."""
    x = frames.astype(np.float64)
    weights = np.ones(len(x)) if weights is None else weights
    variances = gmm.variances_by_dim()
    with np.errstate(divide="ignore"):
        logs = np.log(gmm.weights) - 0.5 * np.log(2 * np.pi * variances).sum(1)
    joint = np.array([logs - 0.5 * ((f - gmm.means) ** 2 / variances).sum(1) for f in x])
    joint = joint.reshape(len(x), gmm.n_components)
    total = np.logaddexp.reduce(joint, axis=1)
    posterior = np.exp(joint - total[:, None]) * weights[:, None]
    return posterior.sum(0), posterior.T @ x, posterior.T @ x**2, total


def check(found, gmm, frames, weights=None, tolerance=1e-4):
    counts, first, second, total = plain(gmm, frames, weights)
    likelihood = total.sum() if weights is None else weights @ total
    spread = np.abs(total).sum() if weights is None else weights @ np.abs(total)
    assert abs(found.log_likelihood - likelihood) <= 1e-5 * spread + 1e-4
    # Each posterior is off by the rounding of its logarithm, so sums are off by that much of all.
    slack = 1e-5 * (len(frames) + 1)
    scale = 1 + np.abs(frames).max(initial=0)
    np.testing.assert_allclose(found.counts, counts, rtol=tolerance, atol=slack)
    np.testing.assert_allclose(found.first, first, rtol=tolerance, atol=slack * scale)
    np.testing.assert_allclose(found.second, second, rtol=tolerance, atol=slack * scale**2)


def same_bits(a, b):
    for name in ("counts", "first", "second", "log_likelihood", "n_frames"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_the_exponential_is_right_to_three_roundings_over_its_whole_range():
    exponents = np.linspace(-126.4, 0, 40_001, dtype=np.float32)
    found = np.array([kernel.exp2(value) for value in exponents])
    exact = np.exp2(exponents.astype(np.float64))
    assert np.abs(found / exact - 1).max() < 3 * 2.0**-23
    assert kernel.exp2(np.float32(0)) == 1


def test_the_exponential_of_nearly_nothing_is_nothing_and_of_nan_is_nan():
    for value in (-126.6, -127, -200, -1e30, -np.inf):
        assert kernel.exp2(np.float32(value)) == 0
    assert np.isnan(kernel.exp2(np.float32(np.nan)))


@given(seeds, st.integers(1, 80), st.integers(1, 130), st.integers(0, 300), st.booleans())
def test_statistics_are_those_of_the_plain_formula(seed, n_dims, n_components, n, weighted):
    gmm, frames = draw(seed, n, n_components, n_dims)
    weights = np.random.default_rng(seed).uniform(0, 2, n) if weighted else None
    with compiled():
        check(accumulate(gmm, frames, weights), gmm, frames, weights)


@given(seeds, st.integers(1, 80), st.integers(1, 70))
def test_log_densities_are_those_of_the_plain_formula(seed, n_dims, n_components):
    gmm, frames = draw(seed, 50, n_components, n_dims)
    with compiled():
        found = log_density(gmm, frames)
    np.testing.assert_allclose(found, plain(gmm, frames)[3], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n_frames", [1, 1023, 1024, 1025, 2049, 5000])
def test_blocks_join_without_a_seam(n_frames):
    gmm, frames = draw(n_frames, n_frames, 140, 5)
    with compiled():
        check(accumulate(gmm, frames), gmm, frames)


def test_an_offset_of_ten_thousand_deviations_costs_nothing():
    gmm, frames = draw(3, 2000, 8, 4, offset=1e4)
    with compiled():
        found = accumulate(gmm, frames)
    counts, first, second, total = plain(gmm, frames)
    np.testing.assert_allclose(found.log_likelihood, total.sum(), rtol=1e-6)
    means, exact_means = found.first / found.counts[:, None], first / counts[:, None]
    np.testing.assert_allclose(means, exact_means, atol=1e-4)
    variances = found.second / found.counts[:, None] - means**2
    exact = second / counts[:, None] - exact_means**2
    np.testing.assert_allclose(variances, exact, rtol=1e-4)


def test_a_component_of_weight_zero_counts_exactly_nothing():
    gmm = DiagonalGMM([0.5, 0, 0.5], [[-1.0], [0.0], [1.0]], np.ones((3, 1)))
    with compiled():
        found = accumulate(gmm, np.linspace(-2, 2, 100, dtype=np.float32)[:, None])
    assert found.counts[1] == 0
    assert found.first[1] == 0


@pytest.mark.parametrize("far", [1e15, 1e25, -3e38])
def test_a_frame_that_overflows_single_precision_goes_through_double(far):
    gmm, frames = draw(5, 3000, 6, 3)
    frames[1500, 1] = far
    with compiled():
        found = accumulate(gmm, frames)
        densities = log_density(gmm, frames)
    exact = accumulate(gmm, frames.astype(np.float64))
    for name in ("counts", "first", "second", "log_likelihood"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(densities, log_density(gmm, frames.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("spread", [1e-25, 1e25])
def test_a_mixture_outside_the_range_of_single_precision_goes_through_double(spread):
    gmm = DiagonalGMM([0.5, 0.5], [[0.0], [spread]], [[spread**2], [spread**2]])
    frames = np.array([[0.0], [spread / 2], [spread]], np.float32)
    with compiled():
        np.testing.assert_allclose(
            log_density(gmm, frames), plain(gmm, frames)[3], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_a_frame_that_is_not_finite_is_named(value):
    gmm, frames = draw(5, 3000, 6, 3)
    frames[1234, 2] = value
    message = "1 of 3000 hold a NaN or an infinity, the first is number 1234"
    with compiled():
        with pytest.raises(DataError, match=message):
            accumulate(gmm, frames)
        with pytest.raises(DataError, match=message):
            log_density(gmm, frames)


def test_frames_of_another_shape_are_refused():
    gmm, frames = draw(5, 10, 6, 3)
    with compiled(), pytest.raises(DataError, match="must have 3 columns, got 2"):
        accumulate(gmm, frames[:, :2])
    with compiled(), pytest.raises(DataError, match="must be a matrix"):
        accumulate(gmm, frames[0])


def test_frames_may_lie_anyhow_in_memory():
    gmm, frames = draw(6, 3000, 9, 4)
    with compiled():
        straight = accumulate(gmm, frames)
        same_bits(straight, accumulate(gmm, np.asfortranarray(frames)))
        same_bits(straight, accumulate(gmm, np.repeat(frames, 2, axis=0)[::2]))


@pytest.mark.parametrize("n_workers", [2, 8])
def test_workers_give_the_same_bits(n_workers):
    gmm, frames = draw(7, 150_000, 20, 3)
    weights = np.random.default_rng(1).uniform(0, 1, len(frames))
    with compiled():
        for source in (ArraySource(frames), ArraySource(frames, weights)):
            same_bits(collector(source, 1)(gmm), collector(source, n_workers)(gmm))


def test_without_numba_the_numbers_are_the_same_to_rounding(monkeypatch):
    gmm, frames = draw(8, 4000, 30, 10)
    with compiled():
        fast = accumulate(gmm, frames)
        monkeypatch.setattr(density, "_kernel", lambda: None)
        slow = accumulate(gmm, frames)
    for name in ("counts", "first", "second", "log_likelihood"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-4, atol=1e-2)


def test_the_size_of_the_job_and_the_kind_of_mixture_alone_choose():
    eye = np.eye(2)
    means, weights = np.zeros((4, 2)), np.full(4, 0.25)
    shapes = {
        DiagonalGMM(weights, means, np.ones((4, 2))): True,
        SphericalGMM(weights, means, np.ones(4)): True,
        TiedGMM(weights, means, eye): False,
        FullGMM(weights, means, np.tile(eye, (4, 1, 1))): False,
    }
    least = density.FUSED_FROM // 4
    for gmm, can in shapes.items():
        single = density.project(gmm, FLOAT32)
        assert (density.fused(gmm, single, least) is not None) == can
        assert density.fused(gmm, single, least - 1) is None
        double = density.project(gmm, np.dtype(np.float64))
        assert density.fused(gmm, double, least) is None


def test_spherical_mixtures_take_the_same_loops():
    _, frames = draw(9, 2000, 5, 4)
    gmm = SphericalGMM(np.full(5, 0.2), frames[:5], np.linspace(0.5, 2, 5))
    with compiled():
        check(accumulate(gmm, frames), gmm, frames)


def test_numba_is_not_imported_before_there_is_work_for_it():
    code = (
        "import sys, numpy as np; from voicegmm.mixture import *;"
        "g = DiagonalGMM([1], [[0, 0]], [[1, 1]]);"
        "accumulate(g, np.zeros((9, 2), 'f4')); sys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def shifted(gmm, seed, n_models=3):
    rng = np.random.default_rng(seed)
    return gmm.means + 0.5 * rng.standard_normal((n_models, *gmm.means.shape))


@given(seeds, st.integers(1, 1500), st.integers(1, 20), st.integers(1, 9))
def test_ratios_are_those_of_the_definition(seed, n_frames, n_components, n_dims):
    gmm, frames = draw(seed, n_frames, n_components, n_dims)
    means, weights = shifted(gmm, seed), np.random.default_rng(seed).uniform(0.1, 1, n_frames)
    base = plain(gmm, frames)[3]
    expected = [
        np.average(
            plain(DiagonalGMM(gmm.weights, m, gmm.variances), frames)[3] - base, weights=weights
        )
        for m in means
    ]
    rows = np.arange(len(means))
    with compiled():
        shifts = MeanShifts.of(gmm, means, FLOAT32, n_frames)
        assert shifts.kernel is not None
        found = shifts.mean_ratios(frames, weights, rows)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        assert shifts.mean_ratios(frames, weights, rows[[2]])[0] == found[2]
    numpy_only = MeanShifts.of(gmm, means, FLOAT32, 1).mean_ratios(frames, weights, rows)
    np.testing.assert_allclose(numpy_only, expected, rtol=1e-4, atol=1e-4)


def test_ratios_of_frames_beyond_single_precision():
    gmm, frames = draw(3, 2500, 4, 3)
    frames[1500] = 1e25
    rows, means = np.arange(3), shifted(gmm, 3)
    exact = MeanShifts.of(gmm, means, np.dtype(np.float64), 1)
    expected = exact.mean_ratios(frames.astype(np.float64), None, rows)
    with compiled():
        found = MeanShifts.of(gmm, means, FLOAT32, 2500).mean_ratios(frames, None, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    frames[7, 1] = np.nan
    with pytest.raises(DataError, match="the first is number 7 "), compiled():
        MeanShifts.of(gmm, means, FLOAT32, 2500).mean_ratios(frames, None, rows)
