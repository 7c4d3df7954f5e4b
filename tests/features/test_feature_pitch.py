"""The pitch of artificial tones, in time with the frames."""

import sys

import numpy as np
import pytest

from voicegmm._base.errors import DataError, OptionError
from voicegmm.audio import Signal
from voicegmm.features import (
    DeltaOptions,
    Pipeline,
    PipelineOptions,
    PitchOptions,
    SpeechOptions,
    StaticOptions,
    pitch,
)

RATE = 8000
# Where librosa is new, numba compiles its pyin for a quarter of a minute.
compiled = pytest.mark.slow


def gliding(hertz, silent=slice(0, 0)):
    """Ten harmonics of a pitch that moves, nothing but a little noise where it is silent."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 11))
    tone[silent] = 0
    noise = np.random.default_rng(0).standard_normal(len(tone))
    return (0.1 * tone + 1e-4 * noise).astype(np.float32)


@compiled
@pytest.mark.parametrize(
    "static",
    [
        {},
        {"snip_edges": False},
        {"snip_edges": False, "padding": "zeros"},
    ],
    ids=["snipped", "reflected", "zeros"],
)
def test_the_pitch_is_in_time_with_the_frames(static):
    # A glide of an octave a second: a hop of misalignment would be 0.7 % of the pitch.
    n = 12_000
    hertz = 100 * 2 ** (np.arange(n) / RATE)
    options = PipelineOptions(
        sample_rate=RATE,
        static=StaticOptions(high_hertz=3800, **static),
        deltas=DeltaOptions(0),
        pitch=PitchOptions("pyin"),
        speech=SpeechOptions("none"),
    )
    pipeline = Pipeline(options)
    assert pipeline.n_dims == 22
    result = pipeline.extract(Signal(gliding(hertz), RATE))
    assert result.frames.shape == (result.n_total, 22)
    center = {
        (): 100.0,
        ("snip_edges",): 40.0,
        ("snip_edges", "padding"): 0.0,
    }[tuple(static)] + 80 * np.arange(result.n_total)
    expected = np.log(np.interp(center, np.arange(n), hertz))
    inside = slice(8, -8)
    np.testing.assert_allclose(result.frames[inside, -2], expected[inside], atol=0.006)
    # That of the silent frames below is 0.01 to 0.1.
    assert result.frames[inside, -1].min() > 0.3


@compiled
def test_frames_without_voice_lie_between_their_neighbors():
    n = 16_000
    hertz = np.where(np.arange(n) < n / 2, 100.0, 200.0)
    samples = gliding(hertz, slice(6000, 10_000))
    columns = pitch(samples, RATE, 80, 198, 100)
    unvoiced = slice(85, 110)
    assert columns[unvoiced, 1].max() < 0.1
    assert (np.diff(columns[unvoiced, 0]) > 0).all()
    ends = columns[[20, -20], 0]
    np.testing.assert_allclose(ends, np.log([100, 200]), atol=0.01)
    assert ends[0] < columns[unvoiced, 0].min() < columns[unvoiced, 0].max() < ends[1]


@compiled
def test_pieces_of_a_recording_give_what_the_whole_gives(monkeypatch):
    n = 40_000
    hertz = 150 * 2 ** (0.5 * np.sin(2 * np.pi * np.arange(n) / 9000))
    samples = gliding(hertz, slice(11_000, 14_000))
    n_frames = (n - 200) // 80 + 1
    whole = pitch(samples, RATE, 80, n_frames, 100)
    module = sys.modules["voicegmm.features.pitch"]  # whose name in its room is the function's
    monkeypatch.setattr(module, "_PIECE_FRAMES", 150)
    monkeypatch.setattr(module, "_AROUND", 60)
    blocks = np.split(samples, [1, 700, 15_000, 15_001, 39_000])
    np.testing.assert_array_equal(pitch(blocks, RATE, 80, n_frames, 100), whole)
    with pytest.raises(DataError, match="number 701 "):
        pitch([*blocks[:2], np.array([0.0, np.nan])], RATE, 80, n_frames, 100)


@compiled
def test_silence_has_the_middle_of_the_band_and_no_voice():
    columns = pitch(np.zeros(4000), RATE, 80, 20, 100, PitchOptions("pyin", 100, 400))
    np.testing.assert_allclose(columns[:, 0], np.log(200), rtol=1e-6)
    assert columns[:, 1].max() < 0.05
    assert pitch(np.zeros(10), RATE, 80, 0, 100).shape == (0, 2)


def test_options_are_checked():
    with pytest.raises(OptionError, match="method must be one of none, pyin"):
        PitchOptions("yin")
    with pytest.raises(OptionError, match="low_hertz must be between 20"):
        PitchOptions("pyin", 10)
    with pytest.raises(OptionError, match=r"a quarter tone above low_hertz \(200\), got 201"):
        PitchOptions("pyin", 200, 201)
    with pytest.raises(OptionError, match=r"pitch\.high_hertz must be at most 500 .* got 600"):
        PipelineOptions(
            sample_rate=2000,
            static=StaticOptions(high_hertz=0, n_filters=8, n_cepstra=8),
            pitch=PitchOptions("pyin", high_hertz=600),
        )


@pytest.mark.slow
def test_a_hop_in_which_the_pitch_could_cross_the_band():
    t = np.arange(16_000) / 16_000
    samples = 0.3 * np.sign(np.sin(2 * np.pi * 200 * t))
    for low, high in ((150.0, 400.0), (195.0, 205.0)):
        options = PitchOptions("pyin", low_hertz=low, high_hertz=high)
        found = pitch(samples, 16_000, 1600, 8, 800.0, options)
        np.testing.assert_allclose(np.exp(found[:, 0]), 200, rtol=0.02)
