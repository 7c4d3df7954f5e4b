"""The whole front end: what it promises before and after it has seen audio."""

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from voicegmm._base.errors import AudioError, DataError, OptionError
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
from voicegmm.features import pipeline as pipeline_module


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
        match=r"high_hertz must be at most 4000 .* got 7600 \(my\.toml: static\.high_hertz\)",
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


def test_the_first_use_loads_no_heavy_library():
    heavy = ("librosa", "numba", "sklearn", "matplotlib", "scipy.stats", "scipy.signal", "soxr")
    code = (
        "import sys, voicegmm.features, voicegmm.audio;"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("method", ["energy", "likelihood_ratio"])
def test_a_file_in_blocks_and_its_signal_give_the_same_bits(tmp_path, monkeypatch, method):
    """Longer than a block of the reader, and read again by the detector that looks twice."""
    monkeypatch.setattr(pipeline_module, "_MOST_HELD", 0)
    path = tmp_path / "a.flac"
    soundfile.write(path, np.stack([voice(8.0, 22050).samples] * 2, axis=1), 22050)
    static = StaticOptions(dither=1.0, snip_edges=False)
    options = PipelineOptions(
        static=static, speech=SpeechOptions(method), rasta=RastaOptions("static")
    )
    from_file = Pipeline(options).extract_file(path)
    from_signal = Pipeline(options).extract(read_signal(path, 16000))
    for name in ("frames", "weights", "positions", "notes", "source"):
        np.testing.assert_array_equal(getattr(from_file, name), getattr(from_signal, name))
