"""Sweeps, end to end: work in common is done once, failures stay alone, a crash costs nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest

import voicegmm.experiment.sweep
from voicegmm._base.errors import MismatchError
from voicegmm.experiment import (
    explain_sweep,
    load_recipe,
    plan_sweep,
    run_recipe,
    run_sweep,
)
from voicegmm.experiment.run import run_stages
from voicegmm.metrics import eer
from voicegmm.scoring import read_scores

SETTINGS = ("ubm.em.n_iterations=3", "calibration.n_folds=3", "evaluation.n_bootstrap=30")


def _worked(folder):
    """How often each stage was worked, by the logs of all points."""
    lines = "".join(path.read_text() for path in folder.glob("points/*/run.log")).splitlines()
    stages = (line.split(" INFO ")[1].partition(": runs: ") for line in lines if ": runs: " in line)
    return Counter(stage for stage, *_ in stages)


def test_workers_that_are_refused_for_all_points_stop_a_sweep_at_once(monkeypatch, tmp_path):
    @contextmanager
    def refusing(compute, scratch, in_double):
        if not in_double:
            raise MismatchError("other kernels")
        yield

    monkeypatch.setattr("voicegmm.experiment.sweep.engine", refusing)
    check = voicegmm.experiment.sweep._check_engines
    grid, settings = ["ubm.precision=single,double"], ["features.static.precision=double"]
    sweep = plan_sweep("demo", grid, settings)
    single, double = (point.name for point in sweep.points)
    check(sweep, [single, double], tmp_path)  # the one that is refused fails alone
    check(sweep, [double], tmp_path)
    check(sweep, [], tmp_path)
    with pytest.raises(MismatchError, match="other kernels"):
        check(sweep, [single], tmp_path)


@pytest.mark.slow
def test_a_point_is_the_run_that_it_would_be_alone(voices, tmp_path):
    sweep = plan_sweep("demo", ["adaptation.relevance=4,16"], ["ubm.n_components=8", *SETTINGS])
    before = explain_sweep(sweep, voices, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    assert {decision.action for stages in before.values() for decision in stages} == {"run"}

    told = []
    done = run_sweep(sweep, voices, tmp_path / "s", 2, lambda *state: told.append(state))
    assert _worked(tmp_path / "s") == {
        "features": 1, "background model": 1, "calibration": 2, "speakers": 2, "scores": 2,
        "evaluation": 2, "report": 2,
    }  # fmt: skip
    assert {stage for stage, *_ in told} >= {"shared: background model", "points", "comparisons"}
    alone = run_recipe(
        load_recipe("demo", ["adaptation.relevance=16", "ubm.n_components=8", *SETTINGS]),
        voices,
        tmp_path / "alone",
    )
    point = tmp_path / "s/points/relevance=16"
    for name in ("scores.tsv", "ubm.h5", "results.json"):
        assert (point / name).read_bytes() == (alone.folder / name).read_bytes(), name
    first, second = done.results["points"]
    assert second["metrics"] == alone.results["metrics"]
    difference = second["metrics"]["eer"]["value"] - first["metrics"]["eer"]["value"]
    assert second["comparison"]["difference"] == pytest.approx(difference)
    assert first["comparison"] is None
    assert json.loads((tmp_path / "s/sweep.json").read_text()) == done.results
    after = explain_sweep(sweep, voices, tmp_path / "s")
    assert {decision.action for stages in after.values() for decision in stages} == {"skip"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends children with their parent")
def test_after_kill_9_it_goes_on_with_more_points_one_of_which_fails(voices, tmp_path):
    """Compared on the folds of background speakers: nobody's trials are scored."""
    out = tmp_path / "sweep"

    def start(values):
        command = [sys.executable, "-m", "voicegmm", "sweep", "demo", "--data", voices, "--json"]
        command += ["--grid", f"ubm.n_components={values}", "--on", "background", "--out", out]
        command += [part for setting in SETTINGS for part in ("--set", setting)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    killed = start("8,4")
    end = time.monotonic() + 600
    while not list(out.glob("points/*/ubm.h5")):
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert json.loads((out / "sweep.json").read_text())["best"] is None

    again = start("8,4,99999")
    found, said = again.communicate(timeout=600)
    assert again.returncode == 1
    assert "1 of 3 points failed: n_components=99999: " in said
    assert "cannot train 99999 components" in said
    results = json.loads(found)
    assert [point["state"] for point in results["points"]] == ["done", "done", "failed"]
    assert _worked(out)["features"] == 1
    assert not list(out.glob("points/*/scores.tsv"))
    table = read_scores(out / "points/n_components=8/development.tsv")
    target = table.trials.labels == 1
    expected = eer(table.scores[target], table.scores[~target])
    metrics = results["points"][0]["metrics"]
    assert metrics["eer"]["value"] == pytest.approx(expected)
    assert "cllr" not in metrics

    undisturbed = load_recipe("demo", ["ubm.n_components=8", *SETTINGS])
    run_stages(undisturbed, voices, tmp_path / "alone", "calibration")
    for name in ("ubm.h5", "development.tsv"):
        point = out / "points/n_components=8"
        assert (point / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name
