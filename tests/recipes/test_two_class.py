"""The recipes of two classes, on a tree of speechocean762's shape and on the corpus itself."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voicegmm import VoiceClassifier
from voicegmm.corpus import Enrollment, Trials, write_enrollments, write_files, write_trials
from voicegmm.synthesis import draw_voice, speak

FOLDER = Path(__file__).parents[2] / "recipes/two_class"


def script(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(FOLDER.parent / "speechocean762")
    for module in ("prepare", "speakers"):
        sys.modules.pop(module, None)
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three speakers, two of whom train, three recordings each."""
    root = tmp_path_factory.mktemp("corpus")
    files = {name: [f"{name}/{name}{take}.flac" for take in range(3)] for name in ("01", "02", "9")}
    rng = np.random.default_rng(0)
    for name, own in files.items():
        (root / name).mkdir()
        voice = draw_voice(rng)
        for file in own:
            soundfile.write(root / file, speak(voice, rng, seconds=0.6).samples, 16000)
    lists = root / "protocol"
    lists.mkdir()
    write_files(lists / "ubm.txt", [*files["01"], *files["02"]])
    write_enrollments(lists / "enrol.tsv", [Enrollment("9", tuple(files["9"][:2]))])
    write_trials(lists / "trials.txt", Trials.of([("9", files["9"][2], 1)]))
    rows = "".join(f"{name}\t{'fm'[name == '02']}\n" for name in files)
    (root / "metadata.tsv").write_text("speaker\tgender\n" + rows)
    return root


def test_gender_is_laid_out_by_links(corpus, tmp_path, monkeypatch):
    assert script("gender", monkeypatch).lay_out(corpus, tmp_path) == 9
    found = {str(path.relative_to(tmp_path).parent) for path in tmp_path.glob("*/*/*/*")}
    assert found == {"train/female/01", "train/male/02", "test/female/9"}
    assert next(tmp_path.glob("train/male/02/*")).resolve().parent == corpus / "02"


def test_replay_is_seeded_and_shares_nothing_between_its_parts(corpus, tmp_path, monkeypatch):
    replay = script("replay", monkeypatch)
    assert replay.make(corpus, tmp_path / "a", 0) == 18
    replay.make(corpus, tmp_path / "b", 0, n_workers=2)
    replay.make(corpus, tmp_path / "c", 1)
    table = (tmp_path / "a/lots.tsv").read_text()
    assert table == (tmp_path / "b/lots.tsv").read_text()
    assert table != (tmp_path / "c/lots.tsv").read_text()
    rows = [line.split("\t") for line in table.splitlines()[1:]]
    assert len(rows) == 18
    for (name, place, attacker), (twin, other, thief) in zip(rows[::2], rows[1::2], strict=True):
        assert name.replace("genuine", "replayed") == twin
        assert (place != other, attacker, thief != "") == (True, "", True)
        for file in (name, twin):
            one, again = (soundfile.read(tmp_path / side / file)[0] for side in "ab")
            np.testing.assert_array_equal(one, again)
    seed = {
        part: {
            replay.draw_place(replay.generator(0, part, "place", number)).seed
            for number in range(replay.N_PLACES)
        }
        for part in ("train", "test")
    }
    assert not seed["train"] & seed["test"]


@pytest.mark.slow
def test_gender_of_speechocean762(shared, tmp_path, monkeypatch):
    from voicegmm.bank import ClassifierOptions

    data = shared("corpora/speechocean762-adults")
    script("gender", monkeypatch).lay_out(data, tmp_path)
    options = ClassifierOptions(n_components=16)
    classifier = VoiceClassifier.train(tmp_path / "train", options, n_workers=2)
    found = classifier.evaluate(tmp_path / "test", n_workers=2)
    assert found.failures == {}
    assert (found.recordings.accuracy.n_trials, found.speakers.accuracy.n_trials) == (610, 61)
    assert found.recordings.accuracy.value >= 0.9
    assert found.speakers.accuracy.value >= 0.9
