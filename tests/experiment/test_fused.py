"""Several systems in one recipe, fused."""

import json
import re

import numpy as np
import pytest

from voicegmm._base.errors import OptionError
from voicegmm.experiment import load_recipe, run_recipe
from voicegmm.experiment.steps.evaluation import evaluate_fused
from voicegmm.scoring import read_scores
from voicegmm.scoring.evaluation import EvaluationOptions
from voicegmm.store import load_fusion

FUSED = """
name = "two"
[data]
lists = "lists"
recordings = "wavs"
[calibration]
n_folds = 3
[evaluation]
n_bootstrap = 100
[systems]
wide = "wide.toml"
mean = "mean.toml"
"""
WIDE = """
name = "wide"
features = { sample_rate = 16000 }
ubm = { n_components = 8, em = { n_iterations = 3 } }
"""
MEAN = """
extends = "wide.toml"
[features.normalization]
method = "mean"
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    for name, text in (("fused", FUSED), ("wide", WIDE), ("mean", MEAN)):
        (folder / f"{name}.toml").write_text(text)
    return folder / "fused.toml"


@pytest.fixture(scope="module")
def done(recipe, voices, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        # Only the page of the fusion has figures: drawing them takes most of a small run's time.
        patch.setattr("voicegmm.experiment.system.report_stage", lambda *_: None)
        return run_recipe(load_recipe(str(recipe)), voices, out, n_workers=2)


@pytest.mark.slow
def test_the_fused_score_is_what_the_fusion_makes_of_the_systems(done):
    fusion = load_fusion(done.folder / "fusion.h5")
    assert fusion.systems == ("wide", "mean")
    tables = [
        read_scores(done.folder / "systems" / name / "scores.tsv") for name in ("wide", "mean")
    ]
    fused = read_scores(done.folder / "scores.tsv")
    by_hand = fusion.offset + sum(
        weight * table.llrs for weight, table in zip(fusion.weights, tables, strict=True)
    )
    np.testing.assert_allclose(fused.llrs, by_hand, rtol=1e-12)
    assert not np.allclose(tables[0].scores, tables[1].scores)


@pytest.mark.slow
def test_the_fusion_is_learned_from_background_speakers_alone(done, voices):
    background = set((voices / "lists" / "ubm.txt").read_text().split("\n"))
    for folder in (done.folder, done.folder / "systems" / "wide", done.folder / "systems" / "mean"):
        learned_from = read_scores(folder / "development.tsv")
        assert set(learned_from.trials.tests) <= background
        assert {0, 1} == set(learned_from.trials.labels.tolist())
    fusion = load_fusion(done.folder / "fusion.h5")
    assert fusion.n_targets + fusion.n_nontargets == len(learned_from)


@pytest.mark.slow
def test_results_and_report_tell_of_each_system(done):
    results = json.loads((done.folder / "results.json").read_text())
    assert list(results["systems"]) == ["wide", "mean"]
    for name, system in results["systems"].items():
        alone = json.loads((done.folder / "systems" / name / "results.json").read_text())
        assert system["metrics"] == alone["metrics"]
    page = (done.folder / "report.html").read_text()
    assert page.count('<a href="systems/') == 2
    assert 'id="system-table"' in page
    assert 'id="plot-duration"' in page
    assert "wide: EER" in page  # beside the fused one in the DET plot
    for what in ("Recordings", "Background list", "Enrollments", "Trials"):
        assert re.search(
            rf'<th scope="row">{what}</th><td[^>]*>[^<]*</td><td><code>[0-9a-f]{{32}}<', page
        )
    for stage in ("wide: features", "mean: scores", "fusion", "evaluation"):
        assert re.search(rf'<th scope="row">{stage}</th><td class="number">[0-9.]+</td>', page)
    config = json.loads((done.folder / "config.json").read_text())
    assert config["systems"]["mean"]["features"]["normalization"]["method"] == "mean"


@pytest.mark.slow
def test_recordings_that_no_system_could_use_are_told_once(done, tmp_path):
    results = {}
    for name in ("wide", "mean"):
        told = json.loads((done.folder / "systems" / name / "results.json").read_text())
        idle = {"status": "unreadable", "reason": "b.wav: is empty", "n_trials": 0}
        told["failures"] = [idle, {"status": "no speech", "reason": "t.wav", "n_trials": 3}]
        results[name] = tmp_path / f"{name}.json"
        results[name].write_text(json.dumps(told))
    scores, fusion = done.folder / "scores.tsv", done.folder / "fusion.h5"
    out = tmp_path / "results.json"
    evaluate_fused(scores, fusion, results, EvaluationOptions(n_bootstrap=0), {}, [], out)
    assert json.loads(out.read_text())["failures"] == [idle]


@pytest.mark.slow
def test_only_what_changed_is_done_again(done, recipe, voices):
    def skipped(*settings):
        result = run_recipe(load_recipe(str(recipe), settings), voices, done.folder, n_workers=2)
        return {name for name, stage in result.results["stages"].items() if stage["skipped"]}

    everything = set(done.results["stages"])
    assert skipped() == everything
    assert everything - skipped("fusion.ridge=0.1") == {"fusion", "evaluation", "report"}
    assert "fusion" not in skipped("fusion.ridge=0.1", "fusion.toward=equal")
    assert load_fusion(done.folder / "fusion.h5").options.toward == "equal"


def test_settings_go_to_the_systems_or_to_what_they_share(recipe):
    loaded = load_recipe(str(recipe), ["ubm.n_components=4", "seed=3"]).recipe
    assert loaded.seed == 3
    for system in loaded.systems.values():
        assert (system.ubm.n_components, system.seed) == (4, 3)
        assert system.data == loaded.data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "[ubm]\nn_components = 4",
            r"fused\.toml: \[ubm\] belongs to the recipes that \[systems\]",
        ),
        ("[fusion]\nridg = 1", "unknown option 'ridg'.*did you mean 'ridge'"),
        (
            '[fusion]\ntoward = "on"',
            r"toward must be one of zero, equal; got 'on'.*fused\.toml: fusion\.toward",
        ),
        ("[systems.extra]\nx = 1", r"unknown option 'x'.*\(\S*fused\.toml: systems\.extra\.x\)"),
        (
            "[systems.extra]\nextends = 'gmm-ubm'\nseed = 3",
            r"seed is of all systems together.*systems\.extra\.seed",
        ),
    ],
)
def test_what_cannot_be_in_a_fused_recipe_is_refused(recipe, tmp_path, change, message):
    for name in ("wide", "mean"):
        (tmp_path / f"{name}.toml").write_text((recipe.parent / f"{name}.toml").read_text())
    (tmp_path / "fused.toml").write_text(f"{FUSED}\n{change}\n")
    with pytest.raises(OptionError, match=message):
        load_recipe(str(tmp_path / "fused.toml"))


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ('wide = "wide.toml"', "systems must name two recipes or more, got 1"),
        ('a = "gmm-ubm"\nb = "gmm-umb"', "no preset is called 'gmm-umb'.*gmm-ubm"),
        ('a = "gmm-ubm"\nb = "recommended"', "recommended is a fused recipe itself"),
        (
            'a = "gmm-ubm"\n"../b" = "gmm-ubm"',
            "name of a system must be usable as a folder's name, got '../b'",
        ),
    ],
)
def test_systems_that_cannot_be_fused_are_refused(tmp_path, systems, message):
    (tmp_path / "fused.toml").write_text(f'name = "x"\n[systems]\n{systems}\n')
    with pytest.raises(OptionError, match=message):
        load_recipe(str(tmp_path / "fused.toml"))


def test_a_fused_recipe_has_a_name_and_a_seed_as_any_other(recipe):
    with pytest.raises(OptionError, match="name must be usable as a folder's name, got '../x'"):
        load_recipe(str(recipe), ["name=../x"])
    with pytest.raises(OptionError, match="seed must be"):
        load_recipe(str(recipe), ["seed=-1"])


def test_a_system_can_be_a_table_and_be_set_by_itself(recipe, tmp_path):
    fused = tmp_path / "fused.toml"
    fused.write_text(
        f'extends = "{recipe}"\n[systems.band]\nextends = "gmm-ubm-band"\n'
        "[systems.band.ubm]\nn_components = 32\n"
    )
    loaded = load_recipe(str(fused), ["systems.mean.ubm.n_components=2", "ubm.em.n_iterations=1"])
    systems = loaded.recipe.systems
    assert [systems[name].ubm.n_components for name in ("wide", "mean", "band")] == [8, 2, 32]
    assert {system.ubm.em.n_iterations for system in systems.values()} == {1}
    assert systems["band"].features.static.low_hertz == 200
    with pytest.raises(OptionError, match=r"must be one of wide, mean, band; got 'bnad' \(did you"):
        load_recipe(str(fused), ["systems.bnad.ubm.n_components=2"])
    with pytest.raises(OptionError, match=r"systems\.wide must be one of features, .*got 'seed'"):
        load_recipe(str(fused), ["systems.wide.seed=3"])
    with pytest.raises(OptionError, match=r"at least 1, got 0 \(--set: systems\.band\.ubm\.n_co"):
        load_recipe(str(fused), ["systems.band.ubm.n_components=0"])


def test_a_fusion_needs_the_folds(recipe):
    with pytest.raises(OptionError, match="design must not be 'none' in a recipe with systems"):
        load_recipe(str(recipe), ["calibration.design=none"])
