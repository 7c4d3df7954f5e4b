import pytest

from voicegmm.experiment.demo import run_demo
from voicegmm.synthesis import CorpusOptions


@pytest.mark.slow
def test_the_demo_makes_its_own_voices(tmp_path):
    corpus = CorpusOptions(
        n_speakers=4,
        n_background=12,
        n_utterances=3,
        n_enrollment=1,
        shortest_seconds=2.0,
        longest_seconds=2.5,
    )
    told = []
    done = run_demo(tmp_path, 3, 2, lambda *state: told.append(state), corpus)
    assert {stage for stage, *_ in told} >= {"artificial voices", "features", "background model"}
    assert (tmp_path / "corpus/wavs/v001").is_dir()
    assert done.results["n_targets"] == 8


@pytest.mark.slow
def test_the_whole_demo_is_neither_trivial_nor_hopeless(tmp_path):
    done = run_demo(tmp_path, n_workers=2)
    eer = done.results["metrics"]["eer"]
    assert 0.01 <= eer["value"] <= 0.15
    assert eer["low"] < eer["value"] < eer["high"]
    assert done.results["n_speakers"] >= 24
