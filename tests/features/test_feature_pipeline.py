"""The whole front end: what it promises before and after it has seen audio."""

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import AudioError, DataError, OptionError, VoicegmmError
from voicegmm._base.options import from_mapping, to_mapping
from voicegmm.audio import Signal, read_signal
from voicegmm.features import (
    DeltaOptions,
    FrameSet,
    NormalizationOptions,
    Pipeline,
    PipelineOptions,
    RastaOptions,
    SpeechOptions,
    StaticOptions,
    deltas,
    mfcc,
    normalize,
)


def voice(seconds=2.0, rate=16000, seed=0):
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    loudness = np.exp(np.interp(np.arange(n), np.linspace(0, n, 20), rng.uniform(-8, -2, 20)))
    samples = np.clip(rng.standard_normal(n) * loudness, -1, 1)
    return Signal(samples.astype(np.float32), rate, "voice", ("a note",))


def test_the_pipeline_is_its_steps():
    signal = voice()
    result = Pipeline().extract(signal)
    every = deltas(mfcc(signal.samples, 16000))
    np.testing.assert_array_equal(result.frames, every[result.positions])
    assert result.n_total == len(every)
    assert 0 < len(result.frames) < result.n_total
    assert (result.frames.dtype, result.weights.dtype, result.positions.dtype) == (
        np.float32,
        np.float32,
        np.int32,
    )
    assert (result.source, result.notes, result.hop_seconds) == ("voice", ("a note",), 0.01)
    assert result.speech_seconds == pytest.approx(0.01 * len(result.frames))


def test_normalization_before_or_after_the_selection():
    signal = voice()
    rule = NormalizationOptions("mean_variance", over="speech")
    plain = Pipeline().extract(signal).frames
    over_speech = Pipeline(PipelineOptions(normalization=rule)).extract(signal)
    np.testing.assert_allclose(over_speech.frames, normalize(plain, rule), atol=1e-6)
    over_all = Pipeline(
        PipelineOptions(normalization=dataclasses.replace(rule, over="all"))
    ).extract(signal)
    every = normalize(deltas(mfcc(signal.samples, 16000)), rule)
    np.testing.assert_allclose(over_all.frames, every[over_all.positions], atol=1e-6)


def test_dimensions_are_known_before_audio():
    for order in range(4):
        pipeline = Pipeline(
            PipelineOptions(deltas=DeltaOptions(order), static=StaticOptions(n_cepstra=13))
        )
        assert pipeline.n_dims == 13 * (order + 1)
        assert pipeline.extract(voice()).n_dims == pipeline.n_dims
    bands = PipelineOptions(
        static=StaticOptions(kind="filterbank", energy="log_energy", n_filters=20),
        deltas=DeltaOptions(rule="shifted", shifted_columns=21, shifted_blocks=3),
    )
    assert Pipeline(bands).n_dims == 21 * 4
    assert Pipeline(bands).extract(voice()).n_dims == 21 * 4
    with pytest.raises(
        OptionError, match=r"deltas\.shifted_columns must be between 1 and 20, got 2"
    ):
        dataclasses.replace(
            bands, static=StaticOptions(kind="centroids", energy="none", n_filters=20)
        )


def test_fingerprints_tell_options_apart_and_nothing_else():
    same = Pipeline(PipelineOptions()).fingerprint
    assert Pipeline().fingerprint == same
    assert Pipeline(PipelineOptions(static=StaticOptions(low_hertz=20))).fingerprint == same
    again = from_mapping(PipelineOptions, to_mapping(Pipeline().options))
    assert Pipeline(again).fingerprint == same
    others = {
        Pipeline(options).fingerprint
        for options in (
            PipelineOptions(static=StaticOptions(low_hertz=21)),
            PipelineOptions(static=StaticOptions(kind="lfcc")),
            PipelineOptions(rasta=RastaOptions("static")),
            PipelineOptions(deltas=DeltaOptions(1)),
            PipelineOptions(deltas=DeltaOptions(rule="shifted")),
            PipelineOptions(speech=SpeechOptions(range_db=31)),
            PipelineOptions(normalization=NormalizationOptions("mean")),
            PipelineOptions(sample_rate=16001),
        )
    }
    assert len(others | {same}) == 9


def test_options_that_do_not_go_with_the_rate_are_refused_with_their_place():
    mapping = {"sample_rate": 8000, "static": {"high_hertz": 7600}}
    with pytest.raises(
        OptionError,
        match=r"static\.high_hertz must be at most 4000 .* got 7600 \(my\.toml: static\)",
    ):
        from_mapping(PipelineOptions, mapping, "my.toml")
    with pytest.raises(OptionError, match="sample_rate must be between 1000 and 768000, got 16"):
        PipelineOptions(sample_rate=16)


def test_a_file_of_another_rate_and_its_signal_give_the_same_frames(tmp_path):
    signal = voice(rate=22050)
    soundfile.write(tmp_path / "a.wav", signal.samples, 22050, subtype="FLOAT")
    from_file = Pipeline().extract_file(tmp_path / "a.wav")
    from_signal = Pipeline().extract(read_signal(tmp_path / "a.wav"))
    np.testing.assert_array_equal(from_file.frames, from_signal.frames)
    assert from_file.source == str(tmp_path / "a.wav")


def test_the_upper_band_of_a_low_rate_is_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(rate=8000).samples, 8000)
    result = Pipeline().extract_file(tmp_path / "a.wav")
    assert "its upper band is empty" in result.notes[0]
    assert np.isfinite(result.frames).all()


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("n_samples", [0, 1, 399])
def test_less_than_a_window_is_too_short(n_samples, snip_edges):
    pipeline = Pipeline(PipelineOptions(static=StaticOptions(snip_edges=snip_edges)))
    with pytest.raises(AudioError, match=r"one frame takes 0\.025 s; record more") as caught:
        pipeline.extract(Signal(np.zeros(n_samples, dtype=np.float32), 16000))
    assert caught.value.status == "too short"


def test_silence_has_no_speech():
    with pytest.raises(AudioError, match="no speech found") as caught:
        Pipeline().extract(Signal(np.zeros(16000, dtype=np.float32), 16000))
    assert caught.value.status == "no speech"


def test_threads_share_a_pipeline():
    pipeline = Pipeline()
    signals = [voice(seed=seed) for seed in range(8)]
    alone = [pipeline.extract(signal).frames for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        together = [result.frames for result in pool.map(pipeline.extract, signals * 4)]
    for i, frames in enumerate(together):
        np.testing.assert_array_equal(frames, alone[i % 8])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights": np.ones(2)}, "must have the shapes"),
        ({"frames": np.zeros(3)}, "must have the shapes"),
        ({"weights": np.array([1, 0, 1])}, "weights must be greater than 0 and at most 1"),
        ({"weights": np.array([1, np.nan, 1])}, "weights must be greater than 0"),
        ({"positions": np.array([0, 2, 2])}, "positions must rise"),
        ({"positions": np.array([0, 2, 5])}, "to below 5"),
        ({"positions": np.array([-1, 2, 4])}, "positions must rise"),
    ],
)
def test_frame_sets_are_checked(changes, reason):
    good = {
        "frames": np.zeros((3, 2)),
        "weights": np.ones(3),
        "positions": np.array([0, 2, 4]),
        "n_total": 5,
        "hop_seconds": 0.01,
    }
    kept = FrameSet(**good)
    with pytest.raises(ValueError, match="read-only"):
        kept.frames[0, 0] = 1
    with pytest.raises(DataError, match=reason):
        FrameSet(**{**good, **changes})


@st.composite
def signals(draw):
    rate = draw(st.sampled_from([8000, 11025, 16000, 44100]))
    n = draw(st.integers(0, 6000))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kinds = {
        "silence": lambda: np.zeros(n),
        "offset": lambda: np.full(n, draw(st.floats(-1, 1))),
        "impulse": lambda: np.eye(1, n, draw(st.integers(0, max(0, n - 1))))[0] if n else [],
        "clipped": lambda: np.sign(rng.standard_normal(n)),
        "tiny": lambda: 1e-42 * rng.standard_normal(n),
        "huge": lambda: draw(st.sampled_from([1e5, 9e5, 1e7, 1e30])) * rng.uniform(-1, 1, n),
        "noise": lambda: rng.standard_normal(n) * rng.uniform(0, 0.3),
        "half": lambda: rng.standard_normal(n) * (np.arange(n) > n // 2),
        "tone": lambda: np.sin(np.arange(n) * draw(st.floats(0, np.pi))),
    }
    samples = kinds[draw(st.sampled_from(sorted(kinds)))]()
    return Signal(np.asarray(samples, dtype=np.float32), rate)


@st.composite
def static_options(draw):
    """Draw options that nearly always go together, so that few examples end at an error."""
    kind = draw(st.sampled_from(["mfcc", "lfcc", "filterbank", "plp", "centroids"]))
    n_filters = draw(st.integers(2, 24))
    values = {
        "kind": kind,
        "n_filters": n_filters,
        "n_cepstra": draw(st.integers(1, n_filters - 1)),
        "lpc_order": draw(st.integers(1, n_filters)),
        "log": "natural" if kind == "plp" else draw(st.sampled_from(["natural", "log10", "db"])),
        "dynamic_range_db": 0.0
        if kind == "centroids"
        else draw(st.sampled_from([0.0, 0.0, 1e-3, 80.0])),
    }
    return values | draw(other_static_options)


other_static_options = st.fixed_dictionaries(
    {
        "window_seconds": st.floats(0.015, 0.06),
        "hop_seconds": st.floats(0.004, 0.08),
        "window": st.sampled_from(["hamming", "hann", "povey", "rectangular", "hann_periodic"]),
        "preemphasis": st.floats(0, 1),
        "remove_dc": st.booleans(),
        "dither": st.sampled_from([0.0, 0.0, 1.0]),
        "n_fft": st.sampled_from([0, 2048, 2701]),
        "spectrum": st.sampled_from(["power", "magnitude"]),
        "amplitude": st.sampled_from(["int16", "unit"]),
        "low_hertz": st.floats(0, 90),
        "high_hertz": st.sampled_from([0.0, -200.0, 3900.0]),
        "mel_scale": st.sampled_from(["htk", "slaney", "linear"]),
        "filter_shape": st.sampled_from(["mel", "htk", "hertz"]),
        "filter_norm": st.sampled_from(["none", "area"]),
        "vtln_warp": st.sampled_from([1.0, 0.9, 1.1]),
        "vtln_low_hertz": st.floats(110, 500),
        "vtln_high_hertz": st.floats(2000, 3300),
        "filter_floor": st.sampled_from([1e-30, 1e-7, 1.0]),
        "compression": st.floats(0.01, 1),
        "centroid_exponent": st.floats(0.01, 1),
        "lifter": st.sampled_from([0.0, 22.0]),
        "energy": st.sampled_from(["none", "c0", "log_energy"]),
        "energy_place": st.sampled_from(["first", "last"]),
        "c0": st.sampled_from(["orthonormal", "htk"]),
        "raw_energy": st.booleans(),
        "snip_edges": st.booleans(),
        "padding": st.sampled_from(["reflection", "zeros"]),
        "precision": st.sampled_from(["single", "double"]),
    }
)
other_options = st.fixed_dictionaries(
    {
        "sample_rate": st.sampled_from([8000, 16000]),
        "rasta": st.builds(
            RastaOptions,
            st.sampled_from(["none", "none", "filterbank", "static"]),
            st.sampled_from([0.0, 0.94, 0.99]),
        ),
        "deltas": st.builds(
            DeltaOptions,
            st.integers(0, 3),
            st.integers(1, 5),
            st.sampled_from(["kaldi", "htk", "shifted"]),
            st.integers(1, 2),
        ),
        "speech": st.builds(
            SpeechOptions,
            st.sampled_from(["energy", "kaldi", "none", "none", "none", "none"]),
            range_db=st.floats(1, 60),
            context_frames=st.integers(0, 5),
            min_range_db=st.sampled_from([0.0, 4.0]),
            min_speech_seconds=st.sampled_from([0.0, 0.1]),
        ),
        "normalization": st.builds(
            NormalizationOptions,
            st.sampled_from(
                ["none", "mean", "mean_variance", "sliding_mean", "sliding_mean_variance"]
            ),
            st.sampled_from(["speech", "all"]),
            st.integers(1, 20),
            st.booleans(),
            st.integers(1, 2),
        ),
    }
)


@settings(max_examples=400)
@given(signals(), static_options(), other_options)
def test_finite_frames_or_a_named_error(signal, static_values, values):
    try:
        options = PipelineOptions(static=StaticOptions(**static_values), **values)
        result = Pipeline(options).extract(signal)
    except VoicegmmError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        return
    assert len(result.frames)
    assert np.isfinite(result.frames).all()


def test_the_first_use_loads_no_heavy_library():
    heavy = ("librosa", "numba", "sklearn", "matplotlib", "scipy.stats", "scipy.signal", "soxr")
    code = (
        "import sys, voicegmm.features, voicegmm.audio;"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
