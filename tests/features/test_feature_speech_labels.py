"""Speech where a file says so: frames, pipeline, and the command."""

import dataclasses
import json
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.audio import Signal
from voicegmm.cli import main
from voicegmm.features import (
    Pipeline,
    PipelineOptions,
    SpeechOptions,
    StaticOptions,
    labeled_frames,
)
from voicegmm.store import FeatureStore, extract_to_store

RATE = 16000
LABELS = PipelineOptions(speech=SpeechOptions("labels"))


def noise(seconds=2.0, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


@given(
    st.lists(st.tuples(st.integers(-50, 400), st.integers(0, 200)), max_size=5), st.integers(0, 300)
)
def test_frames_whose_center_is_inside(spans, n_frames):
    segments = [(start / 100, (start + length) / 100, "x") for start, length in spans]
    # Centers at 0.0125 + t / 100: in units of 0.0001 s all is whole.
    expected = [
        any(100 * start <= 125 + 100 * t < 100 * (start + length) for start, length in spans)
        for t in range(n_frames)
    ]
    np.testing.assert_array_equal(labeled_frames(segments, n_frames, 0.01, 0.0125), expected)


def test_edges_that_fall_on_centers_belong_to_the_segment_that_starts_there():
    # 0.1 + 0.2 is a little more than 0.3.
    inside = labeled_frames([(0.1 + 0.2, 0.6, "x")], 10, 0.1, 0.0)
    np.testing.assert_array_equal(np.flatnonzero(inside), [3, 4, 5])
    assert labeled_frames([(0.35, math.inf, "")], 10, 0.1, 0.0).sum() == 6


@pytest.mark.parametrize("segment", [(2.0, 1.0, "x"), (math.nan, 1.0, "x"), (0.0, math.nan, "x")])
def test_segments_that_are_none(segment):
    with pytest.raises(DataError, match=r"must end after it starts, got .* s \('x'\)"):
        labeled_frames([segment], 10, 0.01, 0.0)


@pytest.mark.parametrize(
    ("framing", "first"),
    [
        ({"snip_edges": True}, 0.0125),
        ({"snip_edges": False}, 0.005),
        ({"snip_edges": False, "padding": "zeros"}, 0.0),
    ],
)
def test_the_pipeline_keeps_the_labeled_frames(framing, first):
    options = dataclasses.replace(LABELS, static=StaticOptions(**framing))
    found = Pipeline(options).extract(Signal(noise(), RATE), [(0.5, 0.75, "a"), (1.0, 1.1, "b")])
    centers = first + 0.01 * found.positions
    assert (found.weights == 1).all()
    assert len(centers) == 35
    assert ((centers >= 0.5 - 1e-9) & (centers < 1.1)).all()
    assert not ((centers > 0.75) & (centers < 1.0 - 1e-9)).any()


def test_labels_are_taken_as_they_stand_but_for_silence():
    # A steady noise passes: somebody said that it is speech.
    assert Pipeline(LABELS).extract(Signal(noise(), RATE), [(0.0, 2.0, "")]).n_total == 198
    samples = noise()
    samples[RATE:] = 0
    pipeline = Pipeline(LABELS)
    assert pipeline.extract(Signal(samples, RATE), [(0.5, 2.0, "")]).positions.max() < 100
    for segments in ([], [(0.1, 0.15, "")], [(1.5, 2.0, "")], [(5.0, 9.0, "")]):
        with pytest.raises(AudioError, match="are labeled and not digital silence") as caught:
            pipeline.extract(Signal(samples, RATE, "a.wav"), segments)
        assert caught.value.status == "no speech"


def test_segments_and_method_go_together():
    signal = Signal(noise(), RATE)
    with pytest.raises(OptionError, match=r'speech.method "labels" takes .* \(--labels FILE\)'):
        Pipeline(LABELS).extract(signal)
    with pytest.raises(OptionError, match="segments are for speech.method .* it is 'energy'"):
        Pipeline().extract(signal, [(0.0, 1.0, "")])


def test_from_file_to_store(tmp_path, capsys):
    folder = tmp_path / "wavs"
    (folder / "s1").mkdir(parents=True)
    for number, name in enumerate(("s1/a.wav", "s1/b.wav")):
        soundfile.write(folder / name, noise(seed=number), RATE)
    (tmp_path / "x.rttm").write_text("SPEAKER a 1 0.5 0.25 <NA> <NA> ann <NA> <NA>\n")
    store = tmp_path / "f.h5"
    command = ["features", "extract", folder, "--labels", tmp_path / "x.rttm", "-o", store]
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, command), "--json"])
    out, err = capsys.readouterr()
    assert stopped.value.code == 0
    assert json.loads(out)["n_failures"] == 1
    assert "b.wav: no speech found: only 0.00 s are labeled" in err
    with FeatureStore(store) as features:
        assert features.front_end.speech.method == "labels"
        assert features.count("s1/a.wav") == 25

    labels = {"a": [(0.5, 0.75, "")], "b": [(0.0, 1.0, "")]}
    paths = {name: folder / "s1" / f"{name}.wav" for name in labels}
    summary = extract_to_store(paths, Pipeline(LABELS), tmp_path / "g.h5", 2, labels=labels)
    assert summary.n_frames == 25 + 99
    with pytest.raises(OptionError, match=r"--labels FILE"):
        extract_to_store(paths, Pipeline(LABELS), tmp_path / "h.h5")
    assert not (tmp_path / "h.h5").exists()
