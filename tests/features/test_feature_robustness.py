"""Nasty signals and all options: finite frames or an error that says what is wrong."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, VoicegmmError
from voicegmm.audio import Signal
from voicegmm.features import (
    DeltaOptions,
    LikelihoodRatioOptions,
    ModulationOptions,
    NoiseFloorOptions,
    NormalizationOptions,
    Pipeline,
    PipelineOptions,
    PitchOptions,
    RastaOptions,
    SpeechOptions,
    StaticOptions,
    Stream,
    deltas,
    detection_energy,
    frame_spectra,
    normalize,
    rasta,
    speech_weights,
    static_features,
    with_deltas,
)
from voicegmm.features.deltas import RULES
from voicegmm.features.normalization import METHODS
from voicegmm.features.pitch import pitch
from voicegmm.features.speech.options import METHODS as DETECTORS

pick = st.sampled_from


@st.composite
def signals(draw):
    rate = draw(pick([16000, 8000, 1000, 11025, 16000, 8000, 44100, 384_000]))
    n = round(rate * draw(pick([0.3, 0.25, 0.4, 0.31, 0.05]))) + draw(st.integers(-2, 2))
    n = draw(pick([n, n, n, n, n, n, n, 0, 1, 100]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kinds = {
        "silence": lambda: np.zeros(n),
        "offset": lambda: np.full(n, draw(st.floats(-1, 1))),
        "impulse": lambda: np.eye(1, n, draw(st.integers(0, max(0, n - 1))))[0] if n else [],
        "clipped": lambda: np.sign(rng.standard_normal(n)),
        "tiny": lambda: 1e-42 * rng.standard_normal(n),
        "huge": lambda: draw(pick([1e5, 9e5, 1e7, 1e30])) * rng.uniform(-1, 1, n),
        "noise": lambda: rng.standard_normal(n) * rng.uniform(0, 0.3),
        "last_bit": lambda: rng.integers(-1, 2, n) / 32768,
        "half": lambda: rng.standard_normal(n) * (np.arange(n) > n // 2),
        "bursts": lambda: rng.standard_normal(n) * rng.uniform(size=9)[np.arange(n) % 9000 // 1000],
        "tone": lambda: np.sin(np.arange(n) * draw(st.floats(0, np.pi))),
        "no_number": lambda: np.where(np.arange(n) == n // 2, draw(pick([np.nan, np.inf])), 0.1),
    }  # fmt: skip
    usual = ["bursts", "half", "noise"] * 4
    return np.asarray(kinds[draw(pick([*usual, *kinds]))](), dtype=np.float32), rate


# By option; what must go together is put right in `front_ends`.
STATIC = {
    "kind": pick(["mfcc", "lfcc", "filterbank", "plp", "centroids"]),
    "window_seconds": st.floats(0.015, 0.06),
    "hop_seconds": st.floats(0.004, 0.08),
    "window": pick(
        ["hamming", "hann", "povey", "rectangular", "hamming_periodic", "hann_periodic"]
    ),
    "preemphasis": st.floats(0, 1),
    "preemphasis_start": pick(["frame", "frame", "signal"]),
    "remove_dc": st.booleans(),
    "dc_divisor": pick(["window", "n_fft"]),
    "dither": pick([0.0, 0.0, 1.0]),
    "dither_seed": st.integers(0, 9),
    "dither_generator": pick(["pcg64", "mt19937"]),
    "n_fft": pick([0, 2048, 2701]),
    "spectrum": pick(["power", "magnitude"]),
    "amplitude": pick(["int16", "unit"]),
    "n_filters": st.integers(2, 24),
    "low_hertz": st.floats(0, 90),
    "high_hertz": pick([0.0, -200.0, 3900.0]),
    "mel_scale": pick(["htk", "slaney", "linear"]),
    "filter_shape": pick(["mel", "htk", "hertz", "talkbox"]),
    "filter_norm": pick(["none", "area"]),
    "filter_floor": pick([1e-30, 1e-7, 1.0, 1e30]),
    "log": pick(["natural", "log10", "db"]),
    "dynamic_range_db": pick([0.0, 0.0, 1e-3, 80.0]),
    "vtln_warp": pick([1.0, 0.9, 1.1]),
    "vtln_low_hertz": st.floats(110, 500),
    "vtln_high_hertz": st.floats(2000, 3300),
    "n_cepstra": st.integers(2, 24),
    "lifter": pick([0.0, 22.0]),
    "lpc_order": st.integers(1, 24),
    "compression": st.floats(0.01, 1),
    "centroid_exponent": st.floats(0.01, 1),
    "energy": pick(["none", "c0", "log_energy", "both"]),
    "energy_place": pick(["first", "last"]),
    "c0": pick(["orthonormal", "htk"]),
    "raw_energy": st.booleans(),
    "windowed_energy": st.booleans(),
    "energy_floor": pick([0.0, 1.0, 1e30]),
    "snip_edges": st.booleans(),
    "padding": pick(["reflection", "zeros", "zeros_after"]),
    "precision": pick(["single", "double"]),
}
RASTA = {
    "on": pick(["none", "none", "filterbank", "static"]),
    "pole": pick([0.0, 0.94, 0.99]),
    "keep_start": st.booleans(),
}
DELTAS = {
    "order": st.integers(0, 4),
    "window": pick([1, 3, 3, 5]),
    "rule": pick([*RULES, "shifted"]),
    "shifted_columns": st.integers(1, 2),
    "shifted_spread": st.integers(1, 4),
    "shifted_step": st.integers(1, 4),
    "shifted_blocks": st.integers(1, 8),
}
PITCH = {"method": st.just("none"), "low_hertz": st.just(60.0), "high_hertz": st.just(400.0)}
MODULATION = {
    "low_hertz": st.floats(0, 200),
    "high_hertz": st.floats(1000, 8000),
    "n_bands": st.integers(1, 100),
    "window_seconds": st.floats(0.1, 2),
    "depth": st.floats(0.01, 2),
    "depth_width": st.floats(0.001, 1),
    "flatness_db": st.floats(-60, 0),
    "flatness_width_db": st.floats(0.01, 60),
    "flatness_seconds": st.floats(0, 1),
}
LIKELIHOOD_RATIO = {
    "low_hertz": st.floats(0, 200),
    "high_hertz": st.floats(1000, 8000),
    "snr_smoothing": st.floats(0, 0.999),
    "min_snr_db": st.floats(-100, 0),
    "max_snr_db": st.floats(0, 100),
    "threshold": st.floats(-10, 10),
    "sharpness": st.floats(0.01, 1000),
    "speech_seconds": st.floats(0.001, 100),
    "pause_seconds": st.floats(0.001, 100),
    "hang_over": pick(["smoothed", "forward"]),
}
NOISE = {
    "quantile": st.floats(0.01, 0.5),
    "window_seconds": st.floats(0.5, 5),
    "cell_seconds": st.floats(0.001, 1),
    "cell_bins": pick([1, 3, 99]),
}
SPEECH = {
    "method": pick([*DETECTORS, "none", "none"]),
    "output": pick(["mask", "weight"]),
    "min_weight": st.floats(1e-6, 1),
    "softness_db": st.floats(0.01, 100),
    "range_db": st.floats(1, 200),
    "rise": st.floats(0, 0.99),
    "rise_min_seconds": pick([0.0, 1.0]),
    "floor_db": pick([-200.0, -85.0, -85.0, -20.0]),
    "threshold": st.floats(-50, 50),
    "mean_scale": st.floats(0, 2),
    "separation": st.floats(0, 5),
    "gaussian_fit": pick(["converged", "spear"]),
    "shortest_frames": pick([0, 0, 1, 7]),
    "modulation": st.builds(ModulationOptions, **MODULATION),
    "likelihood_ratio": st.builds(LikelihoodRatioOptions, **LIKELIHOOD_RATIO),
    "noise": st.builds(NoiseFloorOptions, **NOISE),
    "context_frames": st.integers(0, 5),
    "proportion": st.floats(1e-6, 1),
    "min_range_db": pick([0.0, 0.0, 4.0]),
    "min_speech_seconds": pick([0.0, 0.0, 0.1]),
}
NORMALIZATION = {
    "method": pick(METHODS),
    "over": pick(["speech", "all"]),
    "window_frames": st.integers(1, 20),
    "centered": st.booleans(),
    "min_window_frames": st.integers(1, 5),
}


@pytest.mark.parametrize(
    ("kind", "drawn"),
    [
        (StaticOptions, STATIC),
        (RastaOptions, RASTA),
        (DeltaOptions, DELTAS),
        (PitchOptions, PITCH),
        (ModulationOptions, MODULATION),
        (LikelihoodRatioOptions, LIKELIHOOD_RATIO),
        (NoiseFloorOptions, NOISE),
        (SpeechOptions, SPEECH),
        (NormalizationOptions, NORMALIZATION),
    ],
)
def test_no_option_is_left_out(kind, drawn):
    assert {field.name for field in dataclasses.fields(kind)} == set(drawn)


@st.composite
def front_ends(draw):
    """Draw options that nearly always go together, so that few examples end at an error."""
    static = draw(st.fixed_dictionaries(STATIC))
    static["n_cepstra"] = min(static["n_cepstra"], static["n_filters"])
    static["lpc_order"] = min(static["lpc_order"], static["n_filters"])
    if static["kind"] == "plp":
        static["log"] = "natural"
    if static["kind"] == "centroids":
        static["dynamic_range_db"] = 0.0
    if static["energy"] == "both" and static["kind"] not in ("mfcc", "lfcc"):
        static["energy"] = "c0"
    if static["energy"] == "none":
        static["n_cepstra"] = min(static["n_cepstra"], static["n_filters"] - 1)
    if static["hop_seconds"] > static["window_seconds"]:
        static["preemphasis_start"] = "frame"
    filtering, movement = (draw(st.fixed_dictionaries(part)) for part in (RASTA, DELTAS))
    if static["kind"] == "centroids" and filtering["on"] == "filterbank":
        filtering["on"] = "static"
    if movement["rule"] == "sidekit":
        movement["window"] = 3
    movement["shifted_columns"] = min(movement["shifted_columns"], static["n_cepstra"])
    speech = draw(st.fixed_dictionaries(SPEECH))
    if speech["shortest_frames"]:
        speech["output"] = "mask"
    return {
        "sample_rate": draw(pick([8000, 16000])),
        "static": static,
        "rasta": filtering,
        "deltas": movement,
        "speech": speech,
        "normalization": draw(st.fixed_dictionaries(NORMALIZATION)),
    }


def said(error):
    """Check that an error of ours is one line."""
    assert str(error)
    assert "\n" not in str(error)


@settings(max_examples=60)
@given(signals(), front_ends())
def test_finite_frames_or_a_named_error(sound, values):
    finite_frames_or_a_named_error(sound, values)


@pytest.mark.slow
@settings(max_examples=400)
@given(signals(), front_ends())
def test_finite_frames_or_a_named_error_at_length(sound, values):
    finite_frames_or_a_named_error(sound, values)


def finite_frames_or_a_named_error(sound, values):
    samples, rate = sound
    try:
        options = PipelineOptions(
            values["sample_rate"],
            StaticOptions(**values["static"]),
            RastaOptions(**values["rasta"]),
            DeltaOptions(**values["deltas"]),
            PitchOptions(),
            SpeechOptions(**values["speech"]),
            NormalizationOptions(**values["normalization"]),
        )
        labels = [(0.0, 0.1, ""), (0.05, 9.0, "")] if options.speech.method == "labels" else None
        result = Pipeline(options).extract(Signal(samples, rate), labels)
    except VoicegmmError as error:
        said(error)
        return
    assert len(result.frames)
    assert np.isfinite(result.frames).all()


@settings(max_examples=40)
@given(signals(), st.fixed_dictionaries(STATIC), st.fixed_dictionaries(RASTA))
def test_static_features_alone(sound, static, filtering):
    samples, rate = sound
    try:
        options = StaticOptions(**static)
        found = static_features(samples, rate, options, RastaOptions(**filtering))
        energy = detection_energy(samples, rate, options)
    except VoicegmmError as error:
        said(error)
        return
    assert found.shape == (len(energy), options.n_dims)
    assert np.isfinite(found).all()
    assert np.isfinite(energy).all()


@pytest.mark.slow
@settings(max_examples=10)
@given(signals())
def test_pitch_alone(sound):
    samples, rate = sound
    options = PitchOptions("pyin", low_hertz=150.0)
    try:
        rate = min(max(rate, 8000), 16000)
        found = pitch(samples[:3000], rate, 800, len(samples[:3000]) // 800, 0.0, options)
    except VoicegmmError as error:
        said(error)
        return
    assert np.isfinite(found).all()


def matrices():
    frames = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    for bad in (np.nan, np.inf, -np.inf):
        broken = frames.copy()
        broken[20, 1] = bad
        yield broken
    yield from (frames[:0], frames[:1], frames * 0, frames * np.float32(1e30))
    yield np.ones_like(frames) * np.float32(-1e-42)


STEPS = {
    "rasta": rasta,
    "shifted": lambda frames: with_deltas(frames, DeltaOptions(rule="shifted", shifted_columns=3)),
    **{rule: lambda frames, rule=rule: deltas(frames, 2, 3, rule) for rule in RULES},
    **{
        method: lambda frames, method=method: normalize(frames, NormalizationOptions(method))
        for method in METHODS
    },
}


@pytest.mark.parametrize("name", STEPS)
def test_each_step_over_frames_alone(name):
    for frames in matrices():
        if np.isfinite(frames).all():
            assert np.isfinite(STEPS[name](frames)).all()
        else:
            with pytest.raises(DataError, match="frames must be finite: 1 of 50 hold a NaN"):
                STEPS[name](frames)


def test_samples_that_are_no_numbers_are_refused_by_each_step():
    samples = np.zeros(4000, dtype=np.float32)
    samples[1234] = np.nan
    for step in (
        lambda: static_features(samples, 16000),
        lambda: detection_energy(samples, 16000),
        lambda: Stream().push(samples),
        lambda: list(frame_spectra(samples, 16000, 400, 160, 512).blocks()),
        lambda: pitch(samples, 16000, 160, 20, 200.0),
        lambda: Signal(samples, 16000),
    ):
        with pytest.raises(DataError, match=r"number 1234 \(counting from 0\) is not"):
            step()
    with pytest.raises(DataError, match="must be one finite number a frame"):
        speech_weights(samples[1200:1300], 400, 0.01)
