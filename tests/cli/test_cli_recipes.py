"""Recipes from the command line: shown, checked, planned, run."""

import json
import logging
import tomllib

import pytest

from voicegmm._base.version import __version__
from voicegmm.cli.run import print_run
from voicegmm.experiment import RunResult, load_recipe
from voicegmm.experiment.stages import NEW


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("demo", ["ubm.n_components=16", "evaluation.points=['sre16']", "name=other"]),
        ("recommended", ["systems.band.ubm.n_components=8", "ubm.em.n_iterations=3"]),
    ],
)
def test_a_shown_recipe_says_the_same(typed, tmp_path, name, settings):
    given = [part for setting in settings for part in ("--set", setting)]
    code, out, err = typed("config", "show", name, *given)
    assert (code, err) == (0, "")
    shown = tmp_path / "shown.toml"
    shown.write_text(out)
    assert load_recipe(str(shown)).recipe == load_recipe(name, settings).recipe
    assert "  # --set" in out
    assert "  # voicegmm-16k" in out
    code, printed, _ = typed("config", "show", name, *given, "--json")
    assert json.loads(printed)["recipe"].keys() == tomllib.loads(out).keys()


def test_a_recipe_is_checked_with_its_corpus(typed, voices, tmp_path):
    assert typed("config", "check", "demo") == (0, "demo: can be run\n", "")
    code, out, _ = typed("config", "check", "demo", "--data", voices)
    assert (code, out.startswith("demo: can be run on 96 recordings, 48 background")) == (0, True)
    code, out, _ = typed("config", "check", "demo", "--data", voices, "--json")
    assert json.loads(out)["counts"]["target trials"] == 24
    code, _, err = typed("config", "check", "demo", "--data", tmp_path)
    assert (code, "ubm.txt, enrol.tsv, trials.txt: no such list in" in err) == (1, True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ubm.n_component=3", "(did you mean 'n_components'?) (--set: ubm.n_component)"),
        ("n_components=3", "(did you mean 'ubm.n_components'?)"),
        ("features.dct=none", "there are sample_rate, static, rasta, deltas, pitch, speech, norm"),
        ("adaptation.variances=true", "must be false: speaker models adapt the means alone (--se"),
        ("scoring.n_top=3", "n_top must not be given with the method 'exact', got 3"),
        ("features.speech.method=labels", "must not be 'labels' in a recipe, whose lists hold no"),
        ("features.static.high_hertz=9000", "(--set: features.static.high_hertz)"),
        ("ubm=4", "ubm must be a table, got 4 (--set: ubm)"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(typed, voices, tmp_path, setting, message):
    out = tmp_path / "out"
    code, _, err = typed("run", "demo", "--data", voices, "--out", out, "--set", setting)
    assert (code, out.exists()) == (1, False)
    assert message in err
    assert err.count("\n") == 1


def test_a_dry_run_tells_each_stage_and_writes_nothing(typed, voices, tmp_path):
    out = tmp_path / "out"
    code, printed, _ = typed("run", "demo", "--data", voices, "--out", out, "--dry-run")
    assert (code, out.exists()) == (0, False)
    lines = printed.splitlines()
    assert lines[0] == "features: runs (it was not done here yet)"
    assert [line.partition(":")[0] for line in lines][-1] == "report"
    code, printed, _ = typed("run", "demo", "--data", voices, "--out", out, "--dry-run", "--json")
    stages = json.loads(printed)["stages"]
    assert {stage["action"] for stage in stages.values()} == {"run"}


def test_the_log_level_says_how_much_is_told(typed, voices, tmp_path, monkeypatch):
    def told(folder, *options):
        code, _, err = typed("run", "demo", "--data", voices, "--out", tmp_path / folder, *options)
        return code, err

    monkeypatch.setattr(
        "voicegmm.experiment.run._stages", lambda *_: logging.getLogger("voicegmm").warning("w")
    )
    monkeypatch.setattr("voicegmm.experiment.run.read_results", lambda _: {})
    monkeypatch.setattr("voicegmm.cli.run.print_run", lambda *_: None)
    assert told("a") == (0, "warning: w\n")
    _, err = told("b", "--log-level", "info")
    assert err.startswith(f"info: voicegmm {__version__}: demo on {voices}, ")
    assert told("c", "--log-level", "error") == (0, "")
    assert told("d", "--log-level", "loud")[0] == 2
    # The log of the run holds the same, whatever is told.
    assert " WARNING w\n" in (tmp_path / "c/run.log").read_text()
    assert logging.getLogger("voicegmm").level == logging.NOTSET


def test_a_run_says_what_ran_again_and_why(capsys, tmp_path):
    def stage(seconds, reason, skipped=False):
        return {"seconds": seconds, "skipped": skipped, "reason": reason}

    stages = {
        "features": stage(60.0, "options, inputs and code are what they were", skipped=True),
        "background model": stage(2.0, "options: ubm.n_components 16 -> 32"),
        "report": stage(1.0, NEW),
    }
    counts = dict.fromkeys(
        ("n_targets", "n_nontargets", "n_failed_targets", "n_failed_nontargets"), 0
    )
    results = {**counts, "metrics": {}, "warnings": [], "stages": stages}
    print_run(RunResult(tmp_path, results), as_json=False)
    assert capsys.readouterr().out.splitlines()[1:-1] == [
        "3 s of work (features: unchanged, from an earlier run)",
        "  background model ran again: options: ubm.n_components 16 -> 32",
    ]


def test_a_prepare_file_lies_beside_the_recipe_that_names_it(typed, tmp_path):
    (tmp_path / "base").mkdir()
    base, mine = tmp_path / "base/recipe.toml", tmp_path / "mine.toml"
    base.write_text('extends = "demo"\nname = "b"\n[data]\nprepare = "prepare.py"\n')
    mine.write_text('extends = "base/recipe.toml"\nname = "m"\n')
    assert load_recipe(str(mine)).folder == base.parent
    code, _, err = typed("config", "check", mine)
    assert (code, "base/prepare.py: no such file; data.prepare names a file" in err) == (1, True)
    (base.parent / "prepare.py").touch()
    assert typed("config", "check", mine)[0] == 0
    mine.write_text('extends = "base/recipe.toml"\nname = "m"\n[data]\nprepare = "own.py"\n')
    assert load_recipe(str(mine)).folder == tmp_path


def test_a_sweep_takes_a_scheduler_elsewhere_only_where_told(typed, voices, tmp_path):
    command = (
        "sweep", "demo", "--data", voices, "--grid", "ubm.n_components=8,16", "--dry-run",
        "--out", tmp_path / "sweep", "--set", "compute.engine=dask",
        "--set", "compute.scheduler=tcp://10.0.0.7:8786",
    )  # fmt: skip
    code, _, err = typed(*command)
    assert (code, "use tls:// with" in err, "--insecure" in err) == (1, True, True)
    code, out, _ = typed(*command, "--insecure")
    assert (code, out.startswith("2 points; the baseline is n_components=8")) == (0, True)
