"""Sohn's likelihood ratio against its equations written out in loops, and the noise below it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import iv

from voicegmm.features import LikelihoodRatioOptions, NoiseFloorOptions, frame_spectra, noise_floor
from voicegmm.features.speech.likelihood_ratio import hang_over, mean_log_ratios
from voicegmm.features.speech.noise import NoiseFloor, quantile_of_mean

RATE = 16000
PAPER = LikelihoodRatioOptions(
    threshold=0, sharpness=1, speech_seconds=0.1, pause_seconds=0.05, hang_over="forward"
)


def slow_ratios(power, noise, alpha, least, most):
    """Sohn, Kim and Sung (1999), eqs. 3, 4 and 7, one bin at a time."""
    means = []
    amplitude = [math.sqrt(noise[0][k]) for k in range(len(power[0]))]
    for n, row in enumerate(power):
        logs = []
        for k, x2 in enumerate(row):
            gamma = min(x2 / noise[n][k], most)
            old = noise[max(n - 1, 0)][k]
            xi = alpha * amplitude[k] ** 2 / old + (1 - alpha) * max(gamma - 1, 0)
            xi = max(xi, least)
            # log of p(X | H1) / p(X | H0), each a complex Gaussian
            x2 = gamma * noise[n][k]
            speech = xi * noise[n][k]
            under_h0 = -x2 / noise[n][k] - math.log(math.pi * noise[n][k])
            under_h1 = -x2 / (noise[n][k] + speech) - math.log(math.pi * (noise[n][k] + speech))
            logs.append(under_h1 - under_h0)
            # Ephraim and Malah (1984), eq. 7
            v = xi / (1 + xi) * gamma
            bessel = (1 + v) * iv(0, v / 2) + v * iv(1, v / 2)
            gain = math.gamma(1.5) * math.sqrt(v) / gamma * math.exp(-v / 2) * bessel
            amplitude[k] = gain * math.sqrt(x2)
        means.append(sum(logs) / len(logs))
    return means


def test_ratios_are_the_papers():
    rng = np.random.default_rng(0)
    power = rng.exponential(1, (40, 7)) * np.repeat([1, 30, 2, 500], 10)[:, None]
    knots = rng.uniform(0.5, 2, (3, 7))
    floor = NoiseFloor(np.array([5.0, 20.0, 39.0]), knots)
    at = np.array(
        [[np.interp(n, floor.positions, knots[:, k]) for k in range(7)] for n in range(40)]
    )
    np.testing.assert_allclose(floor.at(0, 40), at, rtol=1e-12)
    options = LikelihoodRatioOptions()
    expected = slow_ratios(power, at, 0.98, 10**-2.5, 1e3)
    blocks = [power[:1], power[1:17], power[17:17], power[17:]]
    found = mean_log_ratios(blocks, floor, options)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


ratios = st.lists(st.floats(-3, 8), min_size=1, max_size=12)


@given(ratios)
def test_forward_hang_over_is_the_papers_recursion(logs):
    a01, a10 = 1 - math.exp(-0.01 / 0.05), 1 - math.exp(-0.01 / 0.1)
    # Gamma(n), and L(n) = P(H0) / P(H1) Gamma(n), from the stationary start.
    gamma = a01 / a10
    expected = []
    for log_ratio in logs:
        gamma = (a01 + (1 - a10) * gamma) / ((1 - a01) + a10 * gamma) * math.exp(log_ratio)
        expected.append(math.log(gamma * a10 / a01))
    np.testing.assert_allclose(
        hang_over(np.array(logs), 0.01, PAPER), expected, rtol=1e-9, atol=1e-9
    )


@given(st.lists(st.floats(-3, 8), min_size=1, max_size=9))
def test_smoothed_hang_over_sums_over_all_paths(logs):
    options = LikelihoodRatioOptions(sharpness=2, threshold=0.5)
    a01 = 1 - math.exp(-0.01 / options.pause_seconds)
    a10 = 1 - math.exp(-0.01 / options.speech_seconds)
    step = np.array([[1 - a01, a01], [a10, 1 - a10]])
    n = len(logs)
    paths = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    log_p = np.log(np.where(paths[:, 0] == 1, a01, a10) / (a01 + a10))
    log_p = log_p + np.log(step[paths[:, :-1], paths[:, 1:]]).sum(axis=1)
    log_p = log_p + paths @ (2 * (np.array(logs) - 0.5))
    p = np.exp(log_p - log_p.max())
    expected = [
        math.log(p[paths[:, t] == 1].sum() / p[paths[:, t] == 0].sum()) - math.log(a01 / a10)
        for t in range(n)
    ]
    np.testing.assert_allclose(hang_over(np.array(logs), 0.01, options), expected, atol=1e-8)


def test_hang_over_bridges_what_is_short_and_no_more():
    logs = np.full(100, -0.05)
    logs[20:40] = logs[43:60] = 1.0
    odds = hang_over(logs, 0.01, LikelihoodRatioOptions())
    assert (odds[20:60] > 0).all()
    assert (odds[:18] < 0).all()
    assert (odds[75:] < 0).all()
    # Ever so much evidence does not make it stick, nor overflow.
    logs[20:60] = 1e6
    odds = hang_over(logs, 0.01, LikelihoodRatioOptions())
    assert np.isfinite(odds).all()
    assert (odds[90:] < 0).all()


def noise_spectra(seed, seconds=20, n_hop=160):
    samples = 0.01 * np.random.default_rng(seed).standard_normal(seconds * RATE)
    spectra = frame_spectra(samples.astype(np.float32), RATE, 400, n_hop, 512)
    return spectra, np.concatenate(list(spectra.blocks()))[:, 5:250]


@pytest.mark.parametrize(
    "options",
    [
        NoiseFloorOptions(),
        NoiseFloorOptions(quantile=0.3, cell_seconds=0.01, cell_bins=1),
        NoiseFloorOptions(quantile=0.5, cell_seconds=0.2, cell_bins=5),
    ],
)
@pytest.mark.parametrize("n_hop", [80, 160, 400])
def test_the_quantile_of_noise_is_corrected_to_its_mean(options, n_hop):
    spectra, power = noise_spectra(0, n_hop=n_hop)
    assert power.mean() == pytest.approx(spectra.power_at(-40), rel=0.01)
    options = dataclasses.replace(options, window_seconds=20)
    found = noise_floor([power], spectra, 0.0, options)
    # The gamma distribution is an approximation, the better the more a cell averages.
    assert found.power.mean() == pytest.approx(power.mean(), rel=0.06)


def test_a_single_bin_of_noise_is_exponential():
    spectra, _ = noise_spectra(0)
    options = NoiseFloorOptions(quantile=0.2, cell_seconds=0.01, cell_bins=1)
    assert quantile_of_mean(spectra, 1, options) == pytest.approx(-math.log(0.8))


def test_the_noise_floor_sees_through_speech_and_follows():
    spectra, power = noise_spectra(1)
    loud = power.copy()
    loud[np.arange(len(power)) % 50 < 25] *= 1000  # half of the time, half a second each
    found = noise_floor(iter([loud[:700], loud[700:]]), spectra, 0.0, NoiseFloorOptions())
    assert found.power.mean() == pytest.approx(power.mean(), rel=0.35)
    louder = power.copy()
    louder[1000:] *= 16
    found = noise_floor([louder], spectra, 0.0, NoiseFloorOptions())
    assert found.at(0, 500).mean() == pytest.approx(power.mean(), rel=0.1)
    assert found.at(1500, 1900).mean() == pytest.approx(16 * power.mean(), rel=0.1)
    assert (np.diff(found.positions) > 0).all()


def test_any_blocks_give_the_same_noise_floor():
    spectra, power = noise_spectra(2, seconds=3)
    whole = noise_floor([power], spectra, 0.0, NoiseFloorOptions())
    pieces = np.split(power, [0, 1, 8, 9, 100, 290])
    parts = noise_floor(pieces, spectra, 0.0, NoiseFloorOptions())
    np.testing.assert_array_equal(parts.power, whole.power)
    np.testing.assert_array_equal(parts.positions, whole.positions)


@pytest.mark.parametrize("n_frames", [1, 3, 8, 9])
def test_few_frames_have_a_noise_floor_and_nothing_has_the_least(n_frames):
    spectra, power = noise_spectra(3, seconds=1)
    found = noise_floor([power[:n_frames]], spectra, 0.0, NoiseFloorOptions())
    assert found.power.shape == (1, power.shape[1])
    assert np.isfinite(found.power).all()
    empty = noise_floor([0 * power[:n_frames]], spectra, 5.0, NoiseFloorOptions())
    assert (empty.power == 5.0).all()
