"""Recipes whose speakers are modeled in a subspace."""

import shutil

import numpy as np
import pytest

from voicegmm._base.errors import OptionError
from voicegmm.corpus import Protocol, speaker_of
from voicegmm.experiment import load_recipe, plan_recipe, run_recipe
from voicegmm.experiment.sweep_grid import grid_points
from voicegmm.mixture import accumulate_each
from voicegmm.scoring import linear_scores, read_scores
from voicegmm.store import FeatureStore, load, load_background
from voicegmm.subspace import (
    FactorAnalysisOptions,
    Recordings,
    channel_offsets,
    enroll,
    train_factor_analysis,
)

SMALL = (
    "data.lists=lists",
    "data.recordings=wavs",
    "ubm.n_components=8",
    "ubm.em.n_iterations=3",
    "backend.rank=4",
    "backend.n_iterations=2",
    "calibration.n_folds=3",
    "evaluation.n_bootstrap=20",
)
RAW = "scoring.normalization.method=none"


def _without_figures(patch):
    """Leave the reports empty: drawing their figures takes most of the time of a small run."""
    empty = "voicegmm.experiment.steps.report.write_report"
    patch.setattr(empty, lambda folder, *_: (folder / "report.html").touch())


@pytest.fixture
def no_figures(monkeypatch):
    _without_figures(monkeypatch)


@pytest.fixture(scope="module")
def done(voices, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        _without_figures(patch)
        out = tmp_path_factory.mktemp("isv")
        return run_recipe(load_recipe("isv", (*SMALL, RAW)), voices, out)


def test_scores_are_those_of_isv_step_by_step(done, voices):
    protocol = Protocol.read(voices / "lists", voices / "wavs")
    gmm = load_background(done.folder / "ubm.h5").gmm
    table = read_scores(done.folder / "scores.tsv")
    with FeatureStore(done.folder / "features.h5") as frames:

        def statistics(files):
            return list(accumulate_each(gmm, [frames.source([file]) for file in files]))

        own = [(file, one.model) for one in protocol.enrollments for file in one.files]
        background = Recordings.of(gmm, statistics(protocol.background))
        enrolled = Recordings.of(gmm, statistics([file for file, _ in own]))
        tests = statistics(table.trials.tests)
    isv = train_factor_analysis(
        background,
        [speaker_of(file) for file in protocol.background],
        FactorAnalysisOptions(4, relevance=10, n_iterations=2),
        np.random.default_rng(0),
    )
    names, means = enroll(isv, enrolled, [name for _, name in own])
    offsets = channel_offsets(isv, Recordings.of(gmm, tests))
    wanted = linear_scores(gmm, means, tests, channel_offsets=offsets)
    row = [names.index(table.trials.models[index]) for index in table.trials.model_index]
    wanted = wanted[row, table.trials.test_index]
    # Statistics, models and products are single there.
    np.testing.assert_allclose(table.scores, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_the_subspace_is_a_stage_of_its_own(done, voices, no_figures, tmp_path):
    def planned(*settings):
        loaded = load_recipe("isv", (*SMALL, RAW, *settings))
        return {each.stage: each for each in plan_recipe(loaded, voices, done.folder)}

    assert list(planned())[1:4] == ["background model", "subspace", "calibration"]
    assert {each.action for each in planned().values()} == {"skip"}
    wider = planned("backend.rank=5")
    assert [wider[name].action for name in ("background model", "subspace")] == ["skip", "run"]
    assert "backend.rank 4 -> 5" in wider["subspace"].reason
    assert "backend.rank 4 -> 5" in wider["calibration"].reason
    assert planned("adaptation.relevance=7")["subspace"].action == "run"
    normalized = planned("scoring.normalization.method=t")
    assert [normalized[name].action for name in ("subspace", "calibration")] == ["skip", "run"]
    folder = shutil.copytree(done.folder, tmp_path / "run")
    (folder / "subspace.h5").unlink()
    again = run_recipe(load_recipe("isv", (*SMALL, RAW)), voices, folder)
    worked = [name for name, stage in again.results["stages"].items() if not stage["skipped"]]
    assert worked == ["subspace"]


def test_the_files_of_a_run_tell_what_they_hold(done):
    subspace = load(done.folder / "subspace.h5")
    assert subspace.options.method == "isv"
    assert subspace.factors.session_rank == 4
    speakers = load(done.folder / "speakers.h5").speakers
    assert speakers.subspace.fingerprint == subspace.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["isv", "ivector-plda", "ivector-cosine"])
def test_presets_tell_voices_apart_and_are_calibrated(preset, voices, no_figures, tmp_path):
    found = run_recipe(load_recipe(preset, SMALL), voices, tmp_path).results
    assert found["metrics"]["eer"]["value"] < 0.25
    assert found["metrics"]["cllr"]["value"] < 1


@pytest.mark.slow
def test_subspaces_are_fused_with_mixtures_as_those_with_each_other(voices, no_figures, tmp_path):
    recipe = tmp_path / "fused.toml"
    recipe.write_text('name = "both"\n[systems]\nmap = "gmm-ubm"\nisv = "isv"\n')
    subspace = [f"systems.isv.{one}" for one in SMALL if one.startswith("backend")]
    shared = [one for one in SMALL if not one.startswith("backend")]
    loaded = load_recipe(str(recipe), (*shared, *subspace))
    found = run_recipe(loaded, voices, tmp_path / "run")
    assert list(found.results["systems"]) == ["map", "isv"]
    assert (tmp_path / "run" / "systems" / "isv" / "subspace.h5").exists()
    assert not (tmp_path / "run" / "systems" / "map" / "subspace.h5").exists()


def test_ranks_can_be_swept():
    points = grid_points("isv", ["backend.rank=50,100"])
    assert [point.loaded.recipe.backend.rank for point in points] == [50, 100]


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        ("gmm-ubm", "backend.method=ivector", "scoring.method must be one of subspace with"),
        ("gmm-ubm", "backend.rank=40", "rank must not be given with the method 'map', got 40"),
        ("isv", "backend.rnak=40", "unknown option 'rnak' .did you mean 'rank'"),
        ("isv", "backend.method=isw", "method must be one of map, isv, .*did you mean 'isv'"),
        ("isv", "backend.rank=0.5", "backend.rank"),
        ("isv", "scoring.method=linear", "scoring.method must be one of subspace, exact, top"),
        ("isv", "adaptation.relevance=0", "a relevance above 0"),
        ("ivector-plda", "adaptation.relevance=4", "adaptation must not be given"),
    ],
)
def test_what_does_not_go_together_is_refused(preset, settings, message):
    with pytest.raises(OptionError, match=message):
        load_recipe(preset, [settings])
