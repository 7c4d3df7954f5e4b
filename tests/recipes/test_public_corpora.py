"""The recipes of public corpora, on tiny trees of the right shape."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from recipe_scripts import RECIPES, load, prepared
from small_corpora import (
    an4,
    asvspoof2019,
    librispeech,
    spoken,
    text,
    voxceleb1,
    voxforge,
)

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Protocol,
    leakage_warnings,
    read_corpus,
    read_enrollments,
    read_files,
    read_trials,
    speaker_of,
)
from voicegmm.experiment import load_recipe, run_recipe

CORPORA = {"voxceleb1": voxceleb1, "librispeech": librispeech, "voxforge": voxforge, "an4": an4,
           "asvspoof2019": asvspoof2019}  # fmt: skip


def pairs(trials):
    """Give the trials as model -> test -> label."""
    found = {}
    rows = zip(trials.model_index, trials.test_index, trials.labels, strict=True)
    for model, test, label in rows:
        found.setdefault(trials.models[model], {})[trials.tests[test]] = int(label)
    return found


@pytest.mark.parametrize("corpus", CORPORA)
def test_lists_lead_to_recordings_and_are_apart(corpus, tmp_path):
    data = CORPORA[corpus](tmp_path / "data")
    protocol = Protocol.read(prepared(corpus, data, tmp_path / "lists"), data)
    assert set(protocol.trials.labels.tolist()) == {0, 1}
    warnings = leakage_warnings(protocol)
    if corpus == "asvspoof2019":  # the model of bona fide speech is of the speakers who train
        assert "the background list holds 2 speakers of the trials" in warnings[0]
    else:
        assert warnings == ()
    again = prepared(corpus, data, tmp_path / "again")
    for path in (tmp_path / "lists").iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()
    recipe = load_recipe(str(RECIPES / corpus / "recipe.toml")).recipe
    assert (recipe.name, recipe.data.prepare) == (corpus, "prepare.py")
    told = (RECIPES / corpus / "README.md").read_text()
    assert "Not measured here" in told
    assert f"voicegmm run recipes/{corpus}/recipe.toml --data DIR" in told


@pytest.mark.parametrize("corpus", CORPORA)
def test_another_folder_is_refused(corpus, tmp_path):
    text(tmp_path / "data/other.txt", "nothing")
    with pytest.raises(ListError):
        prepared(corpus, tmp_path / "data", tmp_path / "lists")
    with pytest.raises(ListError):
        prepared(corpus, tmp_path / "nowhere", tmp_path / "lists")


def test_voxceleb_trials_are_the_official_ones(tmp_path):
    data = voxceleb1(tmp_path / "data", n_others=3)
    lists = prepared("voxceleb1", data, tmp_path / "lists")
    trials = read_trials(lists / "trials.txt")
    assert pairs(trials) == pairs(read_trials(data / "veri_test.txt"))
    assert len(read_trials(lists / "trials_cleaned.txt")) == 3
    for enrollment in read_enrollments(lists / "enrol.tsv"):
        assert enrollment.files == (enrollment.model,)
    assert {speaker_of(file) for file in read_files(lists / "ubm.txt")} == {
        "id10000", "id10001", "id10002",
    }  # fmt: skip


def test_voxceleb_lacks_something(tmp_path):
    data = voxceleb1(tmp_path / "data", n_others=0)
    with pytest.raises(
        ListError, match="all speakers are in the trials; the background model needs"
    ):
        prepared("voxceleb1", data, tmp_path / "lists")
    (data / "vox1_test_wav/wav/id10271/zzzzzzzzzz_/00001.wav").unlink()
    with pytest.raises(ListError, match=r"veri_test\.txt: 1 recordings are not in .*id10271/zzz"):
        prepared("voxceleb1", data, tmp_path / "lists")
    text(data / "veri_test.txt")
    with pytest.raises(ListError, match=r"veri_test\.txt: the list is empty"):
        prepared("voxceleb1", data, tmp_path / "lists")
    (data / "veri_test.txt").unlink()
    with pytest.raises(ListError, match=r"no veri_test\.txt; put the list of trials beside"):
        prepared("voxceleb1", data, tmp_path / "lists")


def test_librispeech_tests_are_of_other_chapters(tmp_path):
    data = librispeech(tmp_path / "data")
    lists = prepared("librispeech", data, tmp_path / "lists")
    enrolled = {one.model: one.files for one in read_enrollments(lists / "enrol.tsv")}
    found = pairs(read_trials(lists / "trials.txt"))
    assert enrolled.keys() == {"61", "121", "237"}
    assert {len(files) for files in enrolled.values()} == {4}
    chapters = {name: {file.split("/")[1] for file in files} for name, files in enrolled.items()}
    assert chapters == {"61": {"70968"}, "121": {"1"}, "237": {"9"}}
    own = {name: [t for t, label in tests.items() if label] for name, tests in found.items()}
    assert {test.split("/")[1] for test in own["61"]} == {"70970"}
    assert {test.split("/")[1] for test in own["237"]} == {"9"}  # there is no other
    assert not set(own["237"]) & set(enrolled["237"])
    assert {speaker_of(test) for test in found["121"]} == {"121", "237"}  # women among women
    assert {speaker_of(test) for test in found["61"]} == {"61"}
    assert {speaker_of(file) for file in read_files(lists / "ubm.txt")} == {"19", "26"}
    assert [one.model for one in read_enrollments(lists / "enrol_dev.tsv")] == ["84"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "\n".join(line for line in t.splitlines() if line[:2] != "61"),
         "SPEAKERS.TXT does not tell of the reader 61"),
        (lambda t: t.replace("| M |", "| ? |"), r"SPEAKERS\.TXT: line 2: expected id \| F or M"),
        (lambda t: t.replace("test-clean", "test-other"), "no recordings of test-clean; there are"),
        (lambda t: t.replace("train-", "dev-"), "no recordings of train part"),
    ],
)  # fmt: skip
def test_librispeech_refuses_a_damaged_table(tmp_path, change, message):
    data = librispeech(tmp_path / "data")
    table = data / "LibriSpeech/SPEAKERS.TXT"
    table.write_text(change(table.read_text()))
    with pytest.raises(ListError, match=message):
        prepared("librispeech", data, tmp_path / "lists")


def test_voxforge_tests_are_of_later_sets(tmp_path):
    data = voxforge(tmp_path / "data")
    lists = prepared("voxforge", data, tmp_path / "lists")
    module = load("voxforge")
    voices, _ = module.read_sets(data)
    assert {name: voice.gender for name, voice in voices.items()} == {
        "Zoë": "f", "ann b": "f", "bob": "m", "max": "m", "ida": "f", "uma": "f", "eve-x": "",
    }  # fmt: skip
    enrolled = {one.model: one.files for one in read_enrollments(lists / "enrol.tsv")}
    background = {speaker_of(file) for file in read_files(lists / "ubm.txt")}
    assert len(enrolled) == 3
    assert enrolled.keys() | background == voices.keys()
    for name, files in enrolled.items():
        assert {file.split("/")[1] for file in files} == {f"{name}-20080318-k1l"}
        for test, label in pairs(read_trials(lists / "trials.txt"))[name].items():
            assert "-20090318-" in test
            assert label == (speaker_of(test) == name)


def test_voxforge_of_one_set_each_has_no_trials(tmp_path):
    for user in ("ann", "bob"):
        text(tmp_path / f"data/{user}-20080318-abc/wav/a.wav", "")
    with pytest.raises(
        ListError, match="2 users, of whom 0 sent two sets or more with 4 recordings"
    ):
        prepared("voxforge", tmp_path / "data", tmp_path / "lists")


def test_an4_tries_its_test_speakers(tmp_path):
    data = an4(tmp_path / "data")
    lists = prepared("an4", data / "an4", tmp_path / "lists")
    found = pairs(read_trials(lists / "trials.txt"))
    assert {name: {speaker_of(test) for test in own} for name, own in found.items()} == {
        "fcaw": {"fcaw"}, "marh": {"marh", "mdms2"}, "mdms2": {"marh", "mdms2"},
    }  # fmt: skip
    assert len(read_files(lists / "ubm.txt")) == 18


def test_an4_lacks_something(tmp_path):
    data = an4(tmp_path / "data", suffix=".raw")
    with pytest.raises(
        ListError, match=r"18 recordings of an4_train.fileids .*; they are raw: see"
    ):
        prepared("an4", data, tmp_path / "lists")
    data = an4(tmp_path / "other")
    (data / "an4/wav/an4test_clstk/marh/an400-marh-b.sph").unlink()
    with pytest.raises(ListError, match=r"1 recordings of an4_test.* wav/an4test_clstk/marh/an400"):
        prepared("an4", data, tmp_path / "lists")
    lines = (data / "an4/etc/an4_train.fileids").read_text()
    (data / "an4/etc/an4_test.fileids").write_text(lines)
    with pytest.raises(ListError, match="speaker fash stands in train and in test"):
        prepared("an4", data, tmp_path / "lists")
    (data / "an4/etc/an4_test.fileids").write_text(lines.splitlines()[0] + "\n")
    (data / "an4/etc/an4_train.fileids").write_text(lines.splitlines()[-1] + "\n")
    with pytest.raises(ListError, match="speaker fash has 1 recordings in an4_test.fileids, more"):
        prepared("an4", data, tmp_path / "lists")


@pytest.mark.parametrize("order", [">i2", "<i2"])
def test_an4_raw_is_written_as_wav_whatever_the_order_of_bytes(tmp_path, order):
    spoken(tmp_path / "x.wav", "fash")
    samples, _ = soundfile.read(tmp_path / "x.wav", dtype="int16")
    folder = tmp_path / "an4/wav/an4_clstk/fash"
    folder.mkdir(parents=True)
    samples.astype(order).tofile(folder / "an1-fash-b.raw")
    text(tmp_path / "an4/etc/an4_train.fileids", "an4_clstk/fash/an1-fash-b")
    assert load("an4").convert(tmp_path, tmp_path / "out") == 1
    there = tmp_path / "out/wav/an4_clstk/fash/an1-fash-b.wav"
    np.testing.assert_array_equal(soundfile.read(there, dtype="int16")[0], samples)
    assert (tmp_path / "out/etc/an4_train.fileids").exists()


def test_asvspoof_lists_say_what_the_protocol_says(tmp_path):
    data = asvspoof2019(tmp_path / "data")
    lists = prepared("asvspoof2019", data, tmp_path / "lists")
    (bonafide,) = read_enrollments(lists / "enrol.tsv")
    assert (bonafide.model, len(bonafide.files), len(read_files(lists / "ubm.txt"))) == (
        "bonafide", 8, 8,
    )  # fmt: skip
    lines = (data / "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt").read_text()
    rows = [line.split() for line in lines.splitlines()]
    assert pairs(read_trials(lists / "trials.txt")) == {
        "bonafide": {f"{row[0]}/{row[1]}.flac": int(row[4] == "bonafide") for row in rows}
    }
    assert len(read_trials(lists / "trials_dev.txt")) == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.replace(" bonafide", "", 1),
            r"train\.trn\.txt: line 1: expected speaker, utt",
        ),
        (
            lambda t: t.replace("spoof", "bonafide"),
            "no recording is spoof; both classes are needed",
        ),
        (lambda t: t.replace("LA_T_1000001", "LA_T_9"), r"1 of 16 .* the first is LA_T_9\.flac"),
        (lambda t: "", r"train\.trn\.txt: the list is empty"),
    ],
)
def test_asvspoof_refuses_a_damaged_protocol(tmp_path, change, message):
    data = asvspoof2019(tmp_path / "data")
    path = data / "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(ListError, match=message):
        prepared("asvspoof2019", data, tmp_path / "lists")
    path.unlink()
    with pytest.raises(ListError, match=r"ASVspoof2019\.LA\.cm\.train\.trn\.txt: no such list"):
        prepared("asvspoof2019", data, tmp_path / "lists")


def test_t_dcf_reads_the_scores_of_the_organizers(tmp_path):
    module = load("asvspoof2019", "t_dcf")
    data = asvspoof2019(tmp_path / "data")
    found = module.read_verification(data, "eval")
    assert {key: len(scores) for key, scores in found.items()} == dict.fromkeys(module.KEYS, 40)
    path = data / "LA/ASVspoof2019_LA_asv_scores/ASVspoof2019.LA.asv.eval.gi.trl.scores.txt"
    for line, message in (("A07 spoof", "line 121: expected attack"), ("A07 odd 1", "line 121"),
                          ("A07 spoof much", "line 121: expected attack, target")):  # fmt: skip
        before = path.read_text()
        path.write_text(before + line + "\n")
        with pytest.raises(ListError, match=message):
            module.read_verification(data, "eval")
        path.write_text(before)
    text(path, "bonafide target 1.5")
    with pytest.raises(ListError, match="there is no score of a nontarget trial"):
        module.read_verification(data, "eval")


@pytest.mark.slow
@pytest.mark.parametrize("corpus", CORPORA)
def test_the_recipe_runs(corpus, tmp_path):
    data = CORPORA[corpus](tmp_path / "data", spoken)
    loaded = load_recipe(
        str(RECIPES / corpus / "recipe.toml"),
        ["ubm.n_components=4", "ubm.em.n_iterations=2", "data.min_enroll_seconds=0.1"],
    )
    results = run_recipe(loaded, data, tmp_path / "run", n_workers=2).results
    assert results["failures"] == []
    assert results["n_targets"] > 0
    assert results["n_nontargets"] > 0
    assert results["metrics"]["eer"]["value"] <= 0.5


@pytest.mark.slow
def test_the_countermeasure_and_its_t_dcf(tmp_path):
    data = asvspoof2019(tmp_path / "data", spoken)
    script = RECIPES / "asvspoof2019/countermeasure.py"
    told = subprocess.run(
        [sys.executable, script, "--data", data, "--out", tmp_path / "out", "--components", "4"],
        check=True, capture_output=True, text=True, cwd=RECIPES.parent,
    ).stdout  # fmt: skip
    assert told.startswith("eval: 16 recordings, 0 without a score")
    assert "min t-DCF, legacy (2019)" in told
    again = subprocess.run(
        [sys.executable, RECIPES / "asvspoof2019/t_dcf.py", tmp_path / "out/scores_eval.tsv",
         "--data", data], check=True, capture_output=True, text=True, cwd=RECIPES.parent,
    ).stdout  # fmt: skip
    assert again == told
    subprocess.run(
        [sys.executable, RECIPES / "asvspoof2019/prepare.py", "--data", data, "--out",
         tmp_path / "lists"], check=True, capture_output=True, cwd=RECIPES.parent,
    )  # fmt: skip
    listed = read_corpus(tmp_path / "lists/train.tsv").utterances
    assert sorted(one.label for one in listed) == ["bonafide"] * 8 + ["spoof"] * 8
    assert all(one.path.is_file() for one in listed)
