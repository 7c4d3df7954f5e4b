"""Perceptual linear prediction against scipy's solver and the paper's steps a frame at a time."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voicegmm._base.errors import DataError
from voicegmm.features import (
    StaticOptions,
    auditory_spectrum,
    equal_loudness,
    filterbank,
    plp,
    plp_cepstra,
    predictor_cepstra,
    predictors,
)

RATE = 16000


def voice(n_samples=4000, seed=0):
    rng = np.random.default_rng(seed)
    colored = np.convolve(rng.standard_normal(n_samples), [1, 1.2, 0.9, 0.3], mode="same")
    return (0.1 * colored * np.exp(np.linspace(-6, 0, n_samples))).astype(np.float32)


spectra = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(4, 20)),
    elements=st.floats(1e-3, 1e3),
)


def autocorrelation(power, order):
    """The inverse transform of an even, positive spectrum: a true autocorrelation."""
    return np.fft.irfft(power, axis=1)[:, : order + 1]


@given(spectra, st.integers(1, 6))
def test_predictors_solve_the_normal_equations(power, order):
    order = min(order, power.shape[1] - 1)
    r = autocorrelation(power, order)
    a, error = predictors(r)
    for t in range(len(r)):
        expected = scipy.linalg.solve_toeplitz(r[t, :order], -r[t, 1:])
        np.testing.assert_allclose(a[t], expected, rtol=1e-6, atol=1e-6)
        assert error[t] == pytest.approx(r[t, 0] + r[t, 1:] @ expected, rel=1e-6)
        # Its poles lie inside the unit circle.
        assert (np.abs(np.roots(np.append(1, a[t]))) < 1).all()


@given(spectra, st.integers(1, 4), st.integers(0, 30))
def test_cepstra_are_those_of_the_all_pole_spectrum(power, order, n_cepstra):
    order = min(order, power.shape[1] - 1)
    # White noise keeps the poles away from the circle, and the cepstra short.
    a, _ = predictors(autocorrelation(power + power.mean(axis=1, keepdims=True), order))
    n_fft = 4096
    response = np.fft.rfft(np.hstack([np.ones((len(a), 1)), a]), n_fft, axis=1)
    # The complex cepstrum of 1 / A is causal: twice the even part that the logarithm gives.
    expected = 2 * np.fft.irfft(-np.log(np.abs(response)), axis=1)[:, 1 : n_cepstra + 1]
    np.testing.assert_allclose(predictor_cepstra(a, n_cepstra), expected, atol=1e-6)


def test_rounding_never_makes_an_error_of_nothing_nor_a_pole_outside():
    # Pure tones: predicted without error by order two, and the rest is rounding.
    t = np.arange(13)
    for r in (np.cos(0.3 * t), np.ones(13), (-1.0) ** t):
        a, error = predictors(r[None] * 1e6)
        assert np.isfinite(a).all()
        assert 0 < error[0] < 1e-2
        assert np.isfinite(predictor_cepstra(a, 20)).all()


def test_equal_loudness_is_hermanskys_at_its_landmarks():
    # The paper's form, in radians; HTK's constants are rounded to three digits.
    w = 2 * np.pi * np.array([100.0, 500.0, 1000.0, 4000.0])
    paper = (w**2 + 56.8e6) * w**4 / ((w**2 + 6.3e6) ** 2 * (w**2 + 0.38e9))
    np.testing.assert_allclose(equal_loudness(w / (2 * np.pi)), paper, rtol=0.01)


def slow_plp(samples, options):
    """The chain of the paper on our filterbank, a frame at a time, the spectrum written out."""
    mel = np.linspace(
        1127 * np.log1p(options.low_hertz / 700),
        1127 * np.log1p((RATE / 2 + options.high_hertz) / 700),
        options.n_filters + 2,
    )
    f = 700 * np.expm1(mel[1:-1] / 1127)
    ear = (f**2 / (f**2 + 1.6e5)) ** 2 * (f**2 + 1.44e6) / (f**2 + 9.61e6)
    double = dataclasses.replace(options, precision="double")
    rows = []
    for logs in filterbank(samples, RATE, double).astype(float):
        loud = (np.exp(logs) * ear) ** options.compression
        half = np.concatenate([loud[:1], loud, loud[-1:]])
        r = np.fft.ifft(np.concatenate([half, half[-2:0:-1]])).real[: options.lpc_order + 1]
        a = scipy.linalg.solve_toeplitz(r[:-1], -r[1:])
        error = r[0] + r[1:] @ a
        spectrum = error / np.abs(np.fft.rfft(np.append(1, a), 1 << 14)) ** 2
        c = np.fft.irfft(np.log(spectrum))[: options.n_cepstra + 1]
        k = np.arange(len(c))
        lifted = c * (1 + options.lifter / 2 * np.sin(np.pi * k / (options.lifter or 1)))
        lifted[0] = c[0]
        first = lifted[1:] if options.energy == "none" else lifted[:-1]
        rows.append(first if options.energy_place == "first" else np.roll(first, -1))
    return np.array(rows)


@pytest.mark.parametrize(
    "options",
    [
        StaticOptions(kind="plp", n_cepstra=13),
        StaticOptions(kind="plp", n_cepstra=20, lpc_order=8, lifter=0.0),
        StaticOptions(kind="plp", n_cepstra=9, energy_place="last", compression=0.5),
        StaticOptions(kind="plp", n_cepstra=12, energy="none", n_filters=23, lpc_order=23),
    ],
    ids=["usual", "beyond the order", "last", "no c0"],
)
def test_plp_is_the_slow_one(options):
    samples = voice()
    np.testing.assert_allclose(plp(samples, RATE, options), slow_plp(samples, options), atol=2e-4)


def test_the_log_energy_takes_the_place_of_c0():
    options = StaticOptions(kind="plp", n_cepstra=13, energy="log_energy")
    samples = voice()
    ours = plp(samples, RATE, options)
    np.testing.assert_array_equal(
        ours[:, 1:], plp(samples, RATE, dataclasses.replace(options, energy="c0"))[:, 1:]
    )
    np.testing.assert_array_equal(
        ours[:, 0], plp(samples, RATE, dataclasses.replace(options, energy_place="last"))[:, -1]
    )
    logs = filterbank(samples, RATE, options)
    np.testing.assert_allclose(plp_cepstra(logs, RATE, options, ours[:, 0]), ours, atol=1e-6)
    with pytest.raises(DataError, match="log_energy must be given"):
        plp_cepstra(logs, RATE, options)


def test_the_steps_have_defaults():
    options = StaticOptions(kind="plp")
    logs = filterbank(voice(), RATE, options)
    assert auditory_spectrum(logs, RATE).shape == logs.shape
    np.testing.assert_array_equal(plp_cepstra(logs, RATE), plp(voice(), RATE, options))
