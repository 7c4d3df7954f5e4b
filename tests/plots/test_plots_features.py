"""The picture of a recording holds what the front end found."""

from dataclasses import replace

import numpy as np
import pytest

from voicegmm._base.errors import AudioError
from voicegmm.audio import Signal
from voicegmm.features import Pipeline, SpeechOptions, load_front_end
from voicegmm.plots import features as module
from voicegmm.plots import recording, save, to_svg

RATE = 16_000


def talk(seconds=3.0, seed=0):
    """Noise between 0.5 s and 2 s, a loud tone of 2 kHz in it, near silence elsewhere."""
    rng = np.random.default_rng(seed)
    samples = 1e-4 * rng.standard_normal(round(seconds * RATE))
    times = np.arange(len(samples)) / RATE
    loud = (times > 0.5) & (times < 2.0)
    samples[loud] += 0.1 * rng.standard_normal(loud.sum()) * rng.uniform(0.2, 1, loud.sum())
    samples[loud] += 0.3 * np.sin(2 * np.pi * 2000 * times[loud])
    return Signal(samples, RATE, "/somewhere/x.wav", ())


def panels(figure):
    return figure.axes[:4]


@pytest.mark.parametrize("name", ["voicegmm-16k", "kaldi-sid"])
def test_the_panels_show_what_the_pipeline_gives(name):
    options = load_front_end(name)
    signal = talk()
    figure = recording(signal, options, title="x.wav")
    wave, spectrum, static, speech = panels(figure)
    assert wave.get_title(loc="left") == "x.wav"
    assert {axes.get_xlim() for axes in panels(figure)} == {(0.0, 3.0)}
    found = Pipeline(options).extract(signal)
    assert f"{found.speech_seconds:.2f} s of speech" == wave.get_title(loc="right")
    # The loudest bin of the spectrogram is that of the tone, in its time.
    image = spectrum.get_images()[0]
    left, right, low, high = image.get_extent()
    level = image.get_array()
    row, column = np.unravel_index(np.argmax(level), level.shape)
    assert level.max() == 0
    assert low + (row + 0.5) * (high - low) / level.shape[0] == pytest.approx(2.0, abs=0.05)
    assert 0.45 < left + (column + 0.5) * (right - left) / level.shape[1] < 2.05
    # Standardized dimensions over all frames.
    image = static.get_images()[0].get_array()
    assert image.shape == (options.static.n_dims, found.n_total)
    np.testing.assert_allclose(image.mean(axis=1), 0, atol=1e-4)
    # The area of speech is its duration, and lies where the speech is.
    outline = speech.collections[0].get_paths()[0].vertices
    x, y = outline.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert area == pytest.approx(found.speech_seconds, abs=0.03)
    assert x[y > 0].min() == pytest.approx(0.5, abs=0.05)
    assert x[y > 0].max() == pytest.approx(2.0, abs=0.05)
    assert f"{found.n_total} frames" in figure.get_label()


def test_a_long_recording_is_gathered(monkeypatch):
    monkeypatch.setattr(module, "MOST_COLUMNS", 40)
    figure = recording(talk())
    for axes in panels(figure)[1:3]:
        image = axes.get_images()[0]
        assert image.get_array().shape[1] <= 41
        left, right, *_ = image.get_extent()
        assert (left, right) == pytest.approx((0, 3), abs=0.06)
    x, y = panels(figure)[3].collections[0].get_paths()[0].vertices.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert area == pytest.approx(1.5, abs=0.15)


def test_no_speech_is_drawn_and_said():
    figure = recording(Signal(np.zeros(RATE), RATE))
    assert panels(figure)[0].get_title(loc="right") == "no speech found"
    assert "no frame is above" in figure.get_label()
    with pytest.raises(AudioError, match="too short"):
        recording(Signal(np.zeros(100), RATE))


def test_speech_from_labels():
    options = replace(load_front_end("voicegmm-16k"), speech=SpeechOptions("labels"))
    figure = recording(talk(), options, [(0.1, 0.4, "a")])
    assert panels(figure)[0].get_title(loc="right") == "0.30 s of speech"


@pytest.mark.parametrize("seconds", [0.025, 0.04, 0.5])
def test_the_shortest_recordings(seconds):
    options = replace(load_front_end("voicegmm-16k"), speech=SpeechOptions("none"))
    recording(talk(seconds), options)


@pytest.mark.slow
def test_the_same_file_twice(tmp_path):
    figure = recording(talk(0.5), title="a <b> $x$")
    svg = to_svg(figure)
    assert svg == to_svg(recording(talk(0.5), title="a <b> $x$"))
    assert "<title>a &lt;b&gt; $x$</title>" in svg
    for name in ("a.png", "b.png"):
        save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
