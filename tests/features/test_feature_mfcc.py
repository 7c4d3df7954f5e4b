"""MFCC against a second, slow implementation in float64, and the laws of its options."""

import dataclasses

import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.audio import analysis_window
from voicegmm.features import (
    StaticOptions,
    analysis_frames,
    cepstra,
    detection_energy,
    filterbank,
    frame_log_energy,
    log_filterbank,
    mfcc,
    spectrum,
    windowed,
)

RATE = 16000


def voice(n_samples=8000, seed=0):
    """A noise whose loudness and color wander, with a little offset."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(n_samples)
    colored = np.convolve(noise, [1, 1.2, 0.9, 0.3], mode="same")
    knots = np.arange(0, n_samples + 999, 999)
    loudness = np.exp(np.interp(np.arange(n_samples), knots, rng.uniform(-6, -2, len(knots))))
    return (0.3 * colored * loudness + 0.01).astype(np.float32)


def slow_mfcc(samples, rate, o):
    """The HTK Book's chapter 5 a frame at a time, in float64, with a DFT written out."""
    x = np.asarray(samples, dtype=np.float64) * 32768
    n = int(o.window_seconds * rate + 1e-6)
    hop = int(o.hop_seconds * rate + 1e-6)
    n_fft = o.n_fft or 2 ** int(np.ceil(np.log2(n)))
    k = np.arange(n_fft // 2 + 1)
    dft = np.exp(-2j * np.pi * np.outer(k, np.arange(n)) / n_fft)

    def mel(f):
        return 1127 * np.log(1 + f / 700)

    top = o.high_hertz if o.high_hertz > 0 else rate / 2 + o.high_hertz
    corners = np.linspace(mel(o.low_hertz), mel(top), o.n_filters + 2)
    weights = np.array(
        [
            np.interp(mel(k * rate / n_fft), corners[j : j + 3], [0, 1, 0])
            for j in range(o.n_filters)
        ]
    )
    scale = 1.0 if o.amplitude == "int16" else 1 / 32768
    rows = []
    for start in range(0, len(x) - n + 1, hop):
        frame = x[start : start + n].copy()
        if o.remove_dc:
            frame -= frame.mean()
        raw = frame @ frame
        frame = frame - o.preemphasis * np.concatenate([frame[:1], frame[:-1]])
        frame *= analysis_window(o.window, n)
        bins = np.abs(dft @ frame)
        power = 2 if o.spectrum == "power" else 1
        logs = np.log(np.maximum(weights @ bins**power, o.filter_floor) * scale**power)
        c = scipy.fft.dct(logs, type=2, norm="ortho")
        if o.c0 == "htk":
            c[0] *= np.sqrt(2)
        order = np.arange(len(c))
        if o.lifter:
            c *= 1 + o.lifter / 2 * np.sin(np.pi * order / o.lifter)
        energy = raw if o.raw_energy else frame @ frame
        c[0] = {
            "none": np.nan,
            "c0": c[0],
            "log_energy": np.log(max(energy, o.energy_floor, 2**-23) * scale**2),
        }[o.energy]
        row = c[1 : o.n_cepstra + 1] if o.energy == "none" else c[: o.n_cepstra]
        rows.append(row if o.energy == "none" or o.energy_place == "first" else np.roll(row, -1))
    return np.array(rows)


@pytest.mark.parametrize(
    "options",
    [
        StaticOptions(),
        StaticOptions(energy="none", lifter=0, window="hann"),
        StaticOptions(energy="log_energy", raw_energy=False, energy_place="last", window="povey"),
        StaticOptions(energy="log_energy", amplitude="unit", remove_dc=False, energy_floor=1e8),
        StaticOptions(spectrum="magnitude", amplitude="unit", c0="htk", preemphasis=0.0),
        StaticOptions(
            window_seconds=0.0301,
            hop_seconds=0.0073,
            n_fft=701,
            n_filters=20,
            high_hertz=7000.0,
            filter_floor=1e7,
            energy_place="last",
        ),
    ],
    ids=["default", "plain", "kaldi-like", "raw", "magnitude", "odd"],
)
@pytest.mark.parametrize("rate", [16000, 22050])
def test_mfcc_is_the_slow_one(options, rate):
    samples = voice()
    expected = slow_mfcc(samples, rate, options)
    ours = mfcc(samples, rate, options)
    assert ours.dtype == np.float32
    # Float32 against float64 on numbers up to 150.
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=5e-4)


def test_the_chain_can_be_entered_at_every_step():
    options = StaticOptions(energy="log_energy")
    samples = voice(120_000)
    frames = analysis_frames(samples, RATE, options)
    weighted = windowed(frames, RATE, options)
    bins = spectrum(weighted, RATE, options)
    logs = log_filterbank(bins, RATE, options)
    np.testing.assert_allclose(logs, filterbank(samples, RATE, options), rtol=3e-6)
    ours = cepstra(logs, options, frame_log_energy(frames, options))
    np.testing.assert_allclose(ours, mfcc(samples, RATE, options), rtol=1e-5, atol=1e-4)
    with pytest.raises(DataError, match="log_energy must be given"):
        cepstra(logs, options)


def test_amplitude_moves_only_what_holds_the_loudness_and_by_a_constant():
    samples = voice()
    for kind, moved in (("power", 2), ("magnitude", 1)):
        options = StaticOptions(spectrum=kind)
        other = dataclasses.replace(options, amplitude="unit")
        difference = mfcc(samples, RATE, options) - mfcc(samples, RATE, other)
        step = moved * np.log(32768) * np.sqrt(options.n_filters)
        np.testing.assert_allclose(difference[:, 0], step, rtol=1e-4)
        np.testing.assert_allclose(difference[:, 1:], 0, atol=5e-4)


@given(st.floats(0.01, 100), st.integers(0, 99))
def test_gain_moves_c0_only(gain, seed):
    samples = voice(2000, seed)
    difference = mfcc(samples * np.float32(gain), RATE) - mfcc(samples, RATE)
    np.testing.assert_allclose(difference[:, 0], 2 * np.log(gain) * np.sqrt(30), atol=2e-3)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=2e-3)


def test_a_constant_offset_changes_nothing_when_it_is_removed():
    np.testing.assert_allclose(
        mfcc(voice() + np.float32(0.125), RATE), mfcc(voice(), RATE), atol=5e-3
    )


def test_frames_do_not_depend_on_what_comes_after_them():
    samples = voice(60_000)
    whole = mfcc(samples, RATE)
    part = mfcc(samples[:41_000], RATE)
    np.testing.assert_allclose(part, whole[: len(part)], rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(mfcc(samples, RATE), whole)


def test_dither_is_seeded_and_has_its_strength():
    silence = np.zeros(160_000, dtype=np.float32)
    options = StaticOptions(dither=2.0, energy="log_energy")
    once = mfcc(silence, RATE, options)
    np.testing.assert_array_equal(mfcc(silence, RATE, options), once)
    # 400 samples of variance 4.
    assert np.exp(once[:, 0]).mean() == pytest.approx(1600, rel=0.02)
    other = mfcc(silence, RATE, dataclasses.replace(options, dither_seed=1))
    assert not np.array_equal(other, once)
    quiet = dataclasses.replace(options, dither=0.0)
    none = mfcc(silence, RATE, dataclasses.replace(quiet, dither_seed=1))
    np.testing.assert_array_equal(none, mfcc(silence, RATE, quiet))
    # All frames alike; but a product of matrices may round its last rows otherwise.
    np.testing.assert_allclose(none, none[:1].repeat(len(none), axis=0), rtol=1e-6, atol=1e-4)


def test_detection_energy_sees_no_offset_whatever_the_options():
    for remove_dc in (True, False):
        options = StaticOptions(remove_dc=remove_dc, amplitude="unit")
        constant = np.full(8000, 0.4321, dtype=np.float32)
        # Below the energy of one step of 16 bits a sample.
        assert detection_energy(constant, RATE, options).max() < np.log(400)
        samples = voice() - voice().mean()
        np.testing.assert_allclose(
            detection_energy(samples + np.float32(0.25), RATE, options),
            detection_energy(samples, RATE, options),
            atol=1e-3,
        )


@pytest.mark.parametrize("n_samples", [0, 1, 399])
def test_too_few_samples_give_no_rows(n_samples):
    samples = np.zeros(n_samples, dtype=np.float32)
    assert mfcc(samples, RATE).shape == (0, 20)
    assert filterbank(samples, RATE).shape == (0, 30)
    assert analysis_frames(samples, RATE).shape == (0, 400)
    assert detection_energy(samples, RATE).shape == (0,)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.array([0, np.nan, 0]), "number 1 .* is not"),
        (np.array([0, 0, -np.inf]), "number 2 .* is not"),
        (np.zeros((400, 2)), "one axis"),
        (np.full(400, 2e6), "between -1 and 1"),
    ],
)
def test_samples_that_are_none_are_refused(samples, reason):
    with pytest.raises(DataError, match=reason):
        mfcc(samples, RATE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"window_seconds": 0.0}, "window_seconds must be between"),
        ({"hop_seconds": float("nan")}, "hop_seconds must be between"),
        ({"window": "haming"}, r"window must be one of .* \(did you mean 'hamming'\?\)"),
        ({"preemphasis": 1.5}, "preemphasis must be between 0.0 and 1.0, got 1.5"),
        ({"dither": -1.0}, "dither must be"),
        ({"dither_seed": -1}, "dither_seed must be between 0"),
        ({"n_fft": -1}, "n_fft must be"),
        ({"spectrum": "powr"}, "did you mean 'power'"),
        ({"amplitude": "int"}, "amplitude must be one of"),
        ({"n_filters": 0}, "n_filters must be"),
        ({"low_hertz": -5.0}, "low_hertz must be"),
        ({"mel_scale": "bark"}, "mel_scale must be one of htk, slaney"),
        ({"filter_floor": 0.0}, "filter_floor must be"),
        ({"energy": "c1"}, "energy must be one of none, c0, log_energy, both; got 'c1'"),
        ({"energy_place": "middle"}, "energy_place must be one of"),
        ({"c0": "kaldi"}, "c0 must be one of"),
        ({"energy_floor": -1.0}, "energy_floor must be"),
        ({"lifter": -1.0}, "lifter must be"),
        ({"n_cepstra": 31}, "n_cepstra must be between 1 and 30 .* got 31"),
        ({"n_cepstra": 30, "energy": "none"}, "n_cepstra must be between 1 and 29"),
    ],
)
def test_options_are_checked_when_they_are_made(changes, reason):
    with pytest.raises(OptionError, match=reason):
        StaticOptions(**changes)


@pytest.mark.parametrize(
    ("rate", "changes", "reason"),
    [
        (8000, {"high_hertz": 7600.0}, "high_hertz must be at most 4000"),
        (16000, {"n_fft": 256}, "n_fft must be at least the window's 400 samples, got 256"),
        (1000, {"window_seconds": 0.001}, "window_seconds must hold at least 2 samples"),
        (1000, {"hop_seconds": 0.0005}, "hop_seconds must hold at least 1 sample"),
        (16000, {"n_filters": 200}, "n_filters must be smaller"),
    ],
)
def test_options_are_checked_against_the_rate(rate, changes, reason):
    with pytest.raises(OptionError, match=reason):
        mfcc(np.zeros(0), rate, StaticOptions(**changes))
