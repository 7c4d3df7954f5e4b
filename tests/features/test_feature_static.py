"""The kinds of static features against librosa and against formulas written out in float64."""

import dataclasses

import librosa
import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import OptionError
from voicegmm.audio import Signal, triangular_filters
from voicegmm.features import (
    Pipeline,
    StaticOptions,
    analysis_frames,
    band_centroids,
    filterbank,
    frame_log_energy,
    lfcc,
    load_front_end,
    log_filterbank,
    mfcc,
    plp,
    spectral_centroids,
    spectrum,
    static_features,
    windowed,
)

RATE = 16000


def voice(n_samples=8000, seed=0):
    """A colored noise whose loudness wanders over 60 dB."""
    rng = np.random.default_rng(seed)
    colored = np.convolve(rng.standard_normal(n_samples), [1, 1.2, 0.9, 0.3], mode="same")
    knots = np.linspace(0, n_samples, 9)
    loudness = np.exp(np.interp(np.arange(n_samples), knots, rng.uniform(-8, -2, 9)))
    return (0.3 * colored * loudness).astype(np.float32)


def slow_powers(samples, rate, n, hop, n_fft, preemphasis=0.97):
    """Power spectra of Hamming-weighted, centered, emphasized frames, one frame at a time."""
    rows = []
    for start in range(0, len(samples) - n + 1, hop):
        x = samples[start : start + n].astype(np.float64) * 32768
        x -= x.mean()
        x = np.append((1 - preemphasis) * x[0], x[1:] - preemphasis * x[:-1])
        rows.append(np.abs(np.fft.fft(x * np.hamming(n), n_fft)[: n_fft // 2 + 1]) ** 2)
    return np.array(rows)


@pytest.mark.parametrize("seconds", [0.4, 3.0])
def test_librosa_preset_gives_the_numbers_of_librosa(seconds):
    rng = np.random.default_rng(8)
    n = int(22050 * seconds) + 17
    # From silence to full scale and back: the limit of 80 dB below the maximum is reached.
    loudness = np.exp(np.interp(np.arange(n), [0, n / 2, n], [-14, -1, -14]))
    samples = (rng.standard_normal(n) * loudness).astype(np.float32)
    samples[: n // 20] = 0
    expected = librosa.feature.mfcc(y=samples, sr=22050, n_mfcc=20).T
    preset = load_front_end("librosa")
    ours = Pipeline(preset).extract(Signal(samples, 22050)).frames
    # Float32 on both sides, on numbers up to 1100.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-3)
    mel = librosa.feature.melspectrogram(y=samples, sr=22050)
    levels = librosa.power_to_db(mel).T
    assert (levels == levels.min()).sum() > 100
    np.testing.assert_allclose(filterbank(samples, 22050, preset.static), levels, rtol=0, atol=2e-4)


def test_asvspoof_preset_is_the_matlab_file_transcribed():
    samples = voice(24_000)
    n = 480
    frames = np.array([samples[i : i + n] for i in range(0, len(samples) - n + 1, n // 2)])
    powers = np.abs(np.fft.fft(frames.astype(np.float64) * np.hamming(n), 1024)) ** 2
    f = 8000 * np.linspace(0, 1, 513)
    corners = np.linspace(0, 4000, 72)
    weights = np.array([np.interp(f, corners[i : i + 3], [0, 1, 0]) for i in range(70)])
    logs = np.log10(powers[:, :513] @ weights.T + np.finfo(float).eps)
    static = scipy.fft.dct(logs, axis=1, norm="ortho")[:, :20]

    def slopes(x):
        padded = np.vstack([x[:1], x, x[-1:]])
        return (padded[2:] - padded[:-2]) / 2

    expected = np.hstack([static, slopes(static), slopes(slopes(static))])
    ours = Pipeline(load_front_end("asvspoof-lfcc")).extract(Signal(samples, RATE)).frames
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_lfcc_written_out(precision):
    options = StaticOptions(n_filters=40, low_hertz=100, high_hertz=7000, precision=precision)
    samples = voice()
    powers = slow_powers(samples, RATE, 400, 160, 512)
    corners = np.linspace(100, 7000, 42)
    f = np.arange(257) * RATE / 512
    weights = np.array([np.interp(f, corners[i : i + 3], [0, 1, 0]) for i in range(40)])
    c = scipy.fft.dct(np.log(powers @ weights.T), axis=1, norm="ortho")[:, :20]
    c *= 1 + 11 * np.sin(np.pi * np.arange(20) / 22)
    tolerance = {"single": 5e-4, "double": 1e-5}[precision]
    np.testing.assert_allclose(lfcc(samples, RATE, options), c, rtol=0, atol=tolerance)
    for same in (
        dataclasses.replace(options, kind="lfcc", mel_scale="slaney"),
        dataclasses.replace(options, kind="mfcc", mel_scale="linear"),
    ):
        np.testing.assert_array_equal(
            static_features(samples, RATE, same), lfcc(samples, RATE, options)
        )


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_centroids_written_out(exponent):
    options = StaticOptions(kind="centroids", n_filters=12, centroid_exponent=exponent)
    samples = voice()
    powers = slow_powers(samples, RATE, 400, 160, 512) ** exponent
    weights = triangular_filters(12, 512, RATE, 20, 7600)
    f = np.arange(257) * RATE / 512
    expected = (powers @ (weights * f).T) / (powers @ weights.T)
    ours = spectral_centroids(samples, RATE, options)
    assert ours.shape == (48, 12)
    np.testing.assert_allclose(ours, expected, rtol=2e-6)
    assert expected.std(axis=0).min() > 1


def test_centroid_of_a_tone_is_its_frequency_and_of_silence_the_middle():
    options = StaticOptions(kind="centroids", n_filters=10, preemphasis=0.0)
    t = np.arange(8000) / RATE
    weights = triangular_filters(10, 512, RATE, 20, 7600)
    band = int(np.argmax(weights[:, 32]))
    tone = np.sin(2 * np.pi * 1000 * t) * 0.5
    np.testing.assert_allclose(spectral_centroids(tone, RATE, options)[:, band], 1000, atol=3)
    silence = spectral_centroids(np.zeros(8000), RATE, options)
    mel = 1127 * np.log1p(np.array([20, 7600]) / 700)
    middles = 700 * np.expm1(np.linspace(*mel, 12)[1:-1] / 1127)
    np.testing.assert_allclose(silence, np.tile(middles, (len(silence), 1)), rtol=1e-6)


def test_the_chain_to_the_centroids_can_be_entered_at_every_step():
    options = StaticOptions(kind="centroids", energy="none")
    samples = voice(60_000)
    frames = analysis_frames(samples, RATE, options)
    bins = spectrum(windowed(frames, RATE, options), RATE, options)
    ours = static_features(samples, RATE, options)
    # Float32, summed in another order.
    np.testing.assert_allclose(band_centroids(bins, RATE, options), ours, rtol=1e-5)


@pytest.mark.parametrize("kind", ["filterbank", "centroids"])
def test_the_loudness_stands_beside_the_bands(kind):
    samples = voice()
    bands = StaticOptions(kind=kind, energy="none", raw_energy=False)
    plain = static_features(samples, RATE, bands)
    assert plain.shape[1] == bands.n_dims == 30
    frames = analysis_frames(samples, RATE, bands)
    logs = filterbank(samples, RATE, bands)
    loudness = {
        "log_energy": frame_log_energy(windowed(frames, RATE, bands), bands),
        "c0": logs.sum(axis=1) / np.sqrt(30),
    }
    for energy, expected in loudness.items():
        for place, column, rest in (("first", 0, slice(1, None)), ("last", -1, slice(0, -1))):
            options = dataclasses.replace(bands, energy=energy, energy_place=place)
            ours = static_features(samples, RATE, options)
            assert ours.shape[1] == options.n_dims == 31
            np.testing.assert_allclose(ours[:, column], expected, rtol=1e-5)
            np.testing.assert_array_equal(ours[:, rest], plain)


def test_the_functions_names_say_the_kind():
    samples = voice()
    for name, function in (("mfcc", mfcc), ("lfcc", lfcc), ("plp", plp)):
        of_kind = StaticOptions(kind=name, n_cepstra=13)
        for kind in ("mfcc", "filterbank", "plp"):
            ours = function(samples, RATE, dataclasses.replace(of_kind, kind=kind))
            np.testing.assert_array_equal(ours, static_features(samples, RATE, of_kind))
    assert plp(samples, RATE).shape[1] == 13
    even = filterbank(samples, RATE, StaticOptions(mel_scale="linear"))
    np.testing.assert_array_equal(filterbank(samples, RATE, StaticOptions(kind="lfcc")), even)


@pytest.mark.parametrize("kind", ["power", "magnitude"])
def test_units_of_the_logarithm(kind):
    samples = voice()
    options = StaticOptions(spectrum=kind, amplitude="unit")
    natural = filterbank(samples, RATE, options)
    for log, unit in (("log10", 1.0), ("db", {"power": 10, "magnitude": 20}[kind])):
        ours = filterbank(samples, RATE, dataclasses.replace(options, log=log))
        np.testing.assert_allclose(ours, unit * natural / np.log(10), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("log", ["natural", "log10", "db"])
@pytest.mark.parametrize("kind", ["power", "magnitude"])
def test_dynamic_range_is_in_decibels_of_level_whatever_the_logarithm(kind, log):
    # Ten times the amplitude, 20 dB, every fifth of a second; longer than a block of frames.
    samples = voice(64_000) * np.repeat(10.0 ** -np.arange(4), 16_000)
    options = StaticOptions(spectrum=kind, log=log, filter_floor=1e-12)
    free = filterbank(samples, RATE, options)
    kept = filterbank(samples, RATE, dataclasses.replace(options, dynamic_range_db=30.0))
    decibels = 10 if kind == "power" else 20
    level = free * {"natural": decibels / np.log(10), "log10": decibels, "db": 1}[log]
    np.testing.assert_array_equal(kept > free, level < level.max() - 30)
    np.testing.assert_array_equal(kept[kept == free], free[kept == free])
    assert len(np.unique(kept[kept > free])) == 1
    assert 0.1 < (kept > free).mean() < 0.9
    # The cepstra see the same floor.
    limited = dataclasses.replace(options, dynamic_range_db=30.0, lifter=0.0)
    expected = scipy.fft.dct(kept, axis=1, norm="ortho")[:, :20]
    np.testing.assert_allclose(mfcc(samples, RATE, limited), expected, rtol=1e-5, atol=1e-3)


def test_double_precision_is_near_single_and_nearer_to_the_truth():
    samples = voice()
    powers = slow_powers(samples, RATE, 400, 160, 512)
    truth = np.log(powers @ triangular_filters(30, 512, RATE, 20, 7600).T)
    errors = {}
    for precision in ("single", "double"):
        ours = filterbank(samples, RATE, StaticOptions(precision=precision))
        assert ours.dtype == np.float32
        errors[precision] = np.abs(ours - truth).max()
    # What is left of double precision is the rounding of the result, on numbers up to 25.
    assert errors["double"] < 1.1e-6 < errors["single"] < 1e-3


def test_a_vtln_warp_moves_a_tone_by_its_factor():
    samples = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(4000) / RATE)
    options = StaticOptions(n_filters=60, preemphasis=0.0, n_fft=2048)
    warped = dataclasses.replace(options, vtln_warp=0.8)
    # The filter that is centered at f is moved to f / 0.8: 1000 Hz look as 800 Hz did.
    at_800 = 0.3 * np.sin(2 * np.pi * 800 * np.arange(4000) / RATE)
    loudest = filterbank(samples, RATE, warped).mean(axis=0).argmax()
    assert loudest == filterbank(at_800, RATE, options).mean(axis=0).argmax()
    assert loudest < filterbank(samples, RATE, options).mean(axis=0).argmax()
    same = dataclasses.replace(options, vtln_warp=1.0, vtln_low_hertz=1.0)
    np.testing.assert_array_equal(
        filterbank(samples, RATE, same), filterbank(samples, RATE, options)
    )


@given(st.integers(0, 99), st.sampled_from(["mfcc", "lfcc", "plp", "filterbank", "centroids"]))
def test_gain_moves_the_loudness_only(seed, kind):
    samples = voice(2000, seed)
    options = StaticOptions(kind=kind, n_filters=20, n_cepstra=13, preemphasis=0.0)
    if kind == "filterbank":
        options = dataclasses.replace(options, energy="none")
    moved = static_features(samples * np.float32(4), RATE, options) - static_features(
        samples, RATE, options
    )
    step = 2 * np.log(4)
    first = {"plp": 0.33 * step, "filterbank": step}.get(kind, step * np.sqrt(20))
    np.testing.assert_allclose(moved[:, 0], first, atol=2e-3)
    rest = step if kind == "filterbank" else 0.0
    np.testing.assert_allclose(moved[:, 1:], rest, atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "mfc"}, r"kind must be one of .* \(did you mean 'mfcc'\?\)"),
        ({"filter_shape": "herz"}, "did you mean 'hertz'"),
        ({"filter_norm": "slaney"}, "filter_norm must be one of none, area"),
        ({"log": "log2"}, "log must be one of natural, log10, db"),
        ({"dynamic_range_db": -1.0}, "dynamic_range_db must be between"),
        ({"vtln_warp": 0.4}, "vtln_warp must be between 0.5 and 2.0, got 0.4"),
        ({"vtln_low_hertz": -1.0}, "vtln_low_hertz must be between"),
        ({"vtln_high_hertz": 1e7}, "vtln_high_hertz must be between"),
        ({"lpc_order": 0}, "lpc_order must be between 1 and"),
        ({"kind": "plp", "lpc_order": 31}, "lpc_order must be between 1 and 30, got 31"),
        ({"kind": "plp", "log": "db"}, 'log must be "natural" when kind is "plp"'),
        ({"kind": "plp", "n_cepstra": 31}, "n_cepstra must be between 1 and 30"),
        ({"kind": "centroids", "dynamic_range_db": 9.0}, "dynamic_range_db must be 0 when"),
        ({"compression": 0.0}, "compression must be between"),
        ({"centroid_exponent": 2.0}, "centroid_exponent must be between"),
        ({"padding": "reflect"}, "did you mean 'reflection'"),
        ({"precision": "float64"}, "precision must be one of single, double"),
    ],
)
def test_options_are_checked_when_they_are_made(changes, reason):
    with pytest.raises(OptionError, match=reason):
        StaticOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vtln_warp": 0.8, "vtln_low_hertz": 10.0}, "must lie inside the band from 20 to 7600"),
        ({"vtln_warp": 0.5, "vtln_high_hertz": 7590.0}, "must lie inside the band"),
        (
            {"vtln_warp": 0.8, "vtln_low_hertz": 3000.0, "vtln_high_hertz": 2000.0},
            r"vtln_low_hertz must be below vtln_high_hertz \(2000\), got 3000",
        ),
        ({"n_filters": 600, "mel_scale": "linear"}, "n_filters must be smaller"),
    ],
)
def test_options_are_checked_against_the_rate(changes, reason):
    with pytest.raises(OptionError, match=reason):
        mfcc(np.zeros(0), RATE, StaticOptions(**changes))


@pytest.mark.parametrize("kind", ["mfcc", "lfcc", "filterbank", "plp", "centroids"])
def test_too_few_samples_give_no_rows(kind):
    for whole in (0.0, 80.0) if kind != "centroids" else (0.0,):
        options = StaticOptions(kind=kind, dynamic_range_db=whole)
        empty = static_features(np.zeros(399, dtype=np.float32), RATE, options)
        assert empty.shape == (0, options.n_dims)
        assert empty.dtype == np.float32


def test_the_log_filterbank_of_a_step_is_that_of_the_whole_without_a_limit():
    samples, options = voice(), StaticOptions(log="db")
    frames = analysis_frames(samples, RATE, options)
    bins = spectrum(windowed(frames, RATE, options), RATE, options)
    np.testing.assert_allclose(
        log_filterbank(bins, RATE, options), filterbank(samples, RATE, options), rtol=1e-6
    )
