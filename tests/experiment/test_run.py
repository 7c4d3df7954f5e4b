"""A recipe from its lists to its report; what is done twice and what is not."""

import json
import os
import platform
import shutil

import numpy as np
import pytest
import soundfile

from voicegmm._base.errors import InUseError, ListError, OptionError, VoicegmmError
from voicegmm.compute.versions import DOUBLE
from voicegmm.experiment import load_recipe, plan_recipe, run_recipe
from voicegmm.experiment.stages import run_folder
from voicegmm.scoring import read_scores

SETTINGS = (
    "ubm.n_components=16",
    "ubm.em.n_iterations=5",
    "calibration.n_folds=3",
    "evaluation.n_bootstrap=100",
)


@pytest.fixture(scope="module")
def done(voices, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return run_recipe(load_recipe("demo", SETTINGS), voices, out, n_workers=2)


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the report empty: drawing its figures takes most of the time of a small run."""
    empty = "voicegmm.experiment.steps.report.write_report"
    monkeypatch.setattr(empty, lambda folder, *_: (folder / "report.html").touch())


def test_a_run_leaves_everything_in_its_folder(done):
    names = {path.name for path in done.folder.iterdir()}
    assert {"features.h5", "ubm.h5", "speakers.h5", "scores.tsv", "results.json"} <= names
    assert {"report.html", "config.json", "environment.json", "stages.json", "run.log"} <= names
    results = json.loads((done.folder / "results.json").read_text())
    eer = results["metrics"]["eer"]
    assert 0 < eer["low"] <= eer["value"] <= eer["high"] < 0.5
    assert results["metrics"]["cllr"]["value"] < 1
    assert results["n_targets"] == 24
    assert all(not stage["skipped"] for stage in done.results["stages"].values())
    config = json.loads((done.folder / "config.json").read_text())
    assert config["ubm"]["n_components"] == 16


@pytest.mark.slow
def test_another_run_with_other_workers_gives_the_same_bytes(done, no_figures, voices, tmp_path):
    again = run_recipe(load_recipe("demo", SETTINGS), voices, tmp_path / "r", n_workers=1)
    for name in ("scores.tsv", "results.json", "ubm.h5", "speakers.h5", "calibration.json"):
        one, two = ((run.folder / name).read_bytes() for run in (done, again))
        assert one == two, name


@pytest.fixture
def folder(done, tmp_path):
    """A finished run to change."""
    return shutil.copytree(done.folder, tmp_path / "run")


def test_only_what_changed_is_done_again(done, folder, no_figures, voices):
    def skipped(*settings):
        result = run_recipe(load_recipe("demo", (*SETTINGS, *settings)), voices, folder)
        return [name for name, stage in result.results["stages"].items() if stage["skipped"]]

    everything = list(done.results["stages"])
    assert skipped() == everything
    assert skipped("evaluation.n_bootstrap=10") == everything[:-2]
    assert skipped("adaptation.relevance=7") == ["features", "background model"]
    (folder / "scores.tsv").unlink()
    redone = skipped("adaptation.relevance=7")
    assert "scores" not in redone
    (folder / "development.tsv").unlink()
    assert "calibration" not in skipped("adaptation.relevance=7")
    assert (folder / "development.tsv").exists()
    assert "speakers" in redone


def test_a_plan_tells_what_a_run_would_do(done, voices, tmp_path):
    def planned(folder, *settings):
        decisions = plan_recipe(load_recipe("demo", (*SETTINGS, *settings)), voices, folder)
        return {decision.stage: decision for decision in decisions}

    assert {decision.action for decision in planned(done.folder).values()} == {"skip"}
    assert {decision.action for decision in planned(tmp_path / "new").values()} == {"run"}
    assert not (tmp_path / "new").exists()
    other = planned(done.folder, "adaptation.relevance=7")
    actions = [decision.action for decision in other.values()]
    assert actions == ["skip", "skip", "run", "run", "depends", "depends", "run"]
    assert "adaptation.relevance 10.0 -> 7.0" in other["calibration"].reason
    assert other["scores"].reason == "inputs: speakers.h5"


def test_two_runs_in_one_folder(voices, tmp_path):
    with run_folder(tmp_path), pytest.raises(InUseError, match=r"another run is at work .*process"):
        run_recipe(load_recipe("demo", SETTINGS), voices, tmp_path)


def test_a_plan_tells_that_another_run_is_at_work(voices, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("voicegmm.experiment.run._stages", lambda *_: None)
    loaded = load_recipe("demo", SETTINGS)
    with run_folder(tmp_path):
        plan_recipe(loaded, voices, tmp_path)
    assert f"at work here (process {os.getpid()} on" in caplog.text
    caplog.clear()
    plan_recipe(loaded, voices, tmp_path)
    dead = {"host": platform.node(), "process": 2**22 + 1, "since": "then"}  # above Linux's most
    (tmp_path / ".lock").write_text(json.dumps(dead))
    plan_recipe(loaded, voices, tmp_path)
    assert caplog.text == ""


def test_what_is_wrong_is_said_before_any_work(voices, tmp_path):
    with pytest.raises(OptionError, match="--data .*: no such folder"):
        run_recipe(load_recipe("demo"), tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ListError, match=r"ubm\.txt, enrol\.tsv, trials\.txt: no such list in"):
        run_recipe(load_recipe("demo"), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "features.h5").exists()
    with pytest.raises(OptionError, match="prepare must be the name of a file beside the recipe"):
        load_recipe("demo", ["data.prepare=../evil.py"])
    with pytest.raises(OptionError, match=r"nothing\.py: no such file"):
        run_recipe(load_recipe("demo", ["data.prepare=nothing.py"]), voices, tmp_path / "out")


@pytest.fixture
def damaged(voices, tmp_path):
    """A copy of the lists with recordings of which some are bad."""
    data = tmp_path / "data"
    (data / "lists").mkdir(parents=True)
    for path in (voices / "lists").iterdir():
        (data / "lists" / path.name).write_bytes(path.read_bytes())
    for path in (voices / "wavs").glob("*/*.wav"):
        target = data / "wavs" / path.relative_to(voices / "wavs")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    return data


def replace(path, content):
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, content, 16_000)


def test_only_what_the_refusal_of_workers_names_makes_a_recipe_double():
    both = [option.replace(" ", "") for option in DOUBLE]
    assert load_recipe("demo", both).recipe.in_double
    assert not any(load_recipe("demo", [one]).recipe.in_double for one in both)
    fused = load_recipe("gmm-ubm-fused", both).recipe
    assert fused.in_double
    one = f"systems.{next(iter(fused.systems))}.ubm.precision=single"
    assert not load_recipe("gmm-ubm-fused", [*both, one]).recipe.in_double


def test_bad_recordings_stand_in_the_table_with_their_reason(damaged, no_figures, tmp_path):
    rows = [line.split() for line in (damaged / "lists/trials.txt").read_text().splitlines()]
    tests = list(dict.fromkeys(row[2] for row in rows))
    whole = (damaged / "wavs" / tests[0]).read_bytes()
    replace(damaged / "wavs" / tests[0], whole[: len(whole) // 2])
    replace(damaged / "wavs" / tests[1], np.zeros(16_000))
    replace(damaged / "wavs" / tests[2], b"")
    replace(damaged / "wavs" / tests[3], np.full(50, 0.1))
    model = rows[-1][1]
    enrolled = [
        line.split("\t")[1]
        for line in (damaged / "lists/enrol.tsv").read_text().splitlines()
        if line.startswith(model + "\t")
    ]
    for file in enrolled:
        replace(damaged / "wavs" / file, np.zeros(16_000))
    done = run_recipe(load_recipe("demo", SETTINGS), damaged, tmp_path / "out", n_workers=2)
    table = read_scores(done.folder / "scores.tsv")
    found = {}
    for place, test in enumerate(np.array(table.trials.tests)[table.trials.test_index]):
        model_here = table.trials.models[table.trials.model_index[place]]
        found.setdefault((test, model_here == model), table.statuses[place])
    assert found[tests[0], False] == "unreadable"
    assert found[tests[1], False] == "no speech"
    assert found[tests[2], False] == "unreadable"
    assert found[tests[3], False] == "too short"
    assert "no model" in table.statuses
    assert not np.isfinite(table.scores[np.array(table.statuses) != "ok"]).any()
    failures = {failure["reason"] for failure in done.results["failures"]}
    assert any("cut off" in f or "truncated" in f or "promises" in f for f in failures)
    assert done.results["n_failed_targets"] >= 4
    log = (done.folder / "run.log").read_text()
    assert tests[1] in log
    assert "not enrolled: " in log


def test_duplicate_trials_and_leaks_are_warned_of(damaged, no_figures, tmp_path):
    trials = damaged / "lists/trials.txt"
    lines = trials.read_text().splitlines()
    trials.write_text("\n".join([*lines, lines[0]]) + "\n")
    ubm = damaged / "lists/ubm.txt"
    ubm.write_text(ubm.read_text() + lines[0].split()[2] + "\n")
    done = run_recipe(load_recipe("demo", SETTINGS), damaged, tmp_path / "out", n_workers=2)
    warnings = " ".join(done.results["warnings"])
    assert "1 trials stand twice" in warnings
    assert "leakage: the background list and the tests share 1 recordings" in warnings
    assert "holds 1 speakers of the trials" in warnings


def test_too_few_background_speakers_leave_the_scores_uncalibrated(damaged, no_figures, tmp_path):
    ubm = damaged / "lists/ubm.txt"
    kept = [line for line in ubm.read_text().splitlines() if line[:4] in ("b001", "b002")]
    ubm.write_text("\n".join(kept))
    done = run_recipe(load_recipe("demo", SETTINGS), damaged, tmp_path / "out", n_workers=2)
    assert "cllr" not in done.results["metrics"]
    assert any("not calibrated" in warning for warning in done.results["warnings"])


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda rows: [row[1:] for row in rows], [], r"144 of 144 are without a label"),
        (lambda rows: [r for r in rows if r[0] == "1"], [], r"trials\.txt: 24 of 24 are target"),
        (
            lambda rows: rows,
            ["scoring.normalization.method=t", "data.background=few.txt"],
            r"scoring\.normalization\.method must be 'none' with these lists, got 't': .*"
            r"with 2 recordings or more; there are 1$",
        ),
    ],
)
def test_lists_that_cannot_do_are_refused_before_any_work(
    damaged, tmp_path, change, settings, message
):
    trials = damaged / "lists/trials.txt"
    rows = [line.split() for line in trials.read_text().splitlines()]
    trials.write_text("".join(" ".join(row) + "\n" for row in change(rows)))
    background = (damaged / "lists/ubm.txt").read_text().splitlines()
    (damaged / "lists/few.txt").write_text("\n".join(background[:5]) + "\n")
    with pytest.raises(VoicegmmError, match=message):
        run_recipe(load_recipe("demo", [*SETTINGS, *settings]), damaged, tmp_path / "out")
    assert not (tmp_path / "out/features.h5").exists()


@pytest.mark.slow
def test_a_recipe_with_a_prepare_file(voices, no_figures, tmp_path, capsys):
    (tmp_path / "prepare.py").write_text(
        "import shutil\n"
        "def prepare(data, lists):\n"
        "    print('making lists')\n"
        "    for path in (data / 'lists').iterdir():\n"
        "        shutil.copy(path, lists / path.name)\n"
    )
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('extends = "demo"\nname = "p"\n[data]\nprepare = "prepare.py"\n')
    done = run_recipe(load_recipe(str(recipe), SETTINGS), voices, tmp_path / "out", n_workers=2)
    assert done.results["name"] == "p"
    assert (tmp_path / "out/lists/trials.txt").exists()
    assert capsys.readouterr().out == ""  # there the results may have to stand alone
    # What the folder holds is a recipe that comes to the same.
    again = load_recipe(str(tmp_path / "out/recipe.toml"))
    assert again.recipe == load_recipe(str(recipe), SETTINGS).recipe
    kept = (tmp_path / "out/recipe.toml").read_bytes()
    decisions = plan_recipe(again, voices, tmp_path / "out")
    assert {decision.action for decision in decisions} == {"skip"}
    environment = (tmp_path / "out/environment.json").stat()
    done = run_recipe(again, voices, tmp_path / "out", n_workers=1)
    assert all(stage["skipped"] for stage in done.results["stages"].values())
    assert (tmp_path / "out/recipe.toml").read_bytes() == kept
    # Nothing was made on this machine: the environment is of the one where it was.
    assert (tmp_path / "out/environment.json").stat().st_mtime_ns == environment.st_mtime_ns


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def prepare(data, lists):\n    1 / 0\n", r"prepare\.py: line 2: ZeroDivisionError"),
        ("def prepare(:\n", r"prepare\.py: SyntaxError"),
        ("def prepare(data, lists):\n    exit(3)\n", r"prepare\.py: line 2: SystemExit: 3"),
        ("x = 1\n", r"prepare\.py: defines no function prepare\(data, lists\)"),
    ],
)
def test_a_prepare_file_that_fails_is_named_with_its_line(voices, tmp_path, code, message):
    (tmp_path / "prepare.py").write_text(code)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('extends = "demo"\nname = "p"\n[data]\nprepare = "prepare.py"\n')
    with pytest.raises(VoicegmmError, match=message):
        run_recipe(load_recipe(str(recipe)), voices, tmp_path / "out")


def test_a_damaged_output_is_made_again(folder, voices, no_figures):
    scores = (folder / "scores.tsv").read_bytes()
    store = folder / "features.h5"
    store.write_bytes(store.read_bytes()[:1000])
    again = run_recipe(load_recipe("demo", SETTINGS), voices, folder, n_workers=2)
    assert not again.results["stages"]["features"]["skipped"]
    assert (again.folder / "scores.tsv").read_bytes() == scores
