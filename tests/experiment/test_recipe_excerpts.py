"""A recipe honors the parts of recordings that its lists name."""

import numpy as np
import soundfile

from voicegmm._base.progress import silent
from voicegmm.audio import Excerpt
from voicegmm.corpus import Protocol, Trials
from voicegmm.experiment.report_audio import Listening
from voicegmm.experiment.steps.features import extract
from voicegmm.features import PipelineOptions, SpeechOptions
from voicegmm.store import FeatureStore

RATE = 16_000


def test_features_and_players_are_of_the_part(tmp_path):
    rng = np.random.default_rng(0)
    samples = (rng.normal(0, 2000, 2 * RATE)).astype(np.int16)
    soundfile.write(tmp_path / "call.wav", samples, RATE)
    soundfile.write(tmp_path / "part.wav", samples[RATE // 2 : RATE], RATE)
    paths = {"s/a": tmp_path / "call.wav", "s/b": tmp_path / "part.wav"}
    trials = Trials.of([("s", "s/a", 1), ("s", "s/b", 1)])
    protocol = Protocol(("s/a",), (), trials, {}, paths, {"s/a": Excerpt(0.5, 1.0)})
    options = PipelineOptions(speech=SpeechOptions("none"))
    extract(protocol, options, tmp_path / "f.h5", 1, silent)
    with FeatureStore(tmp_path / "f.h5") as store:
        np.testing.assert_array_equal(store.read(["s/a"])[0], store.read(["s/b"])[0])
    listening = Listening.to_protocol(protocol)
    (part, whole) = (listening.clips("s", test)[1].source for test in ("s/a", "s/b"))
    assert part == whole
