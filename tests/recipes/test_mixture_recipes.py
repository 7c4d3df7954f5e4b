"""The recipes of the mixture: each runs, draws, and shows what it says it shows."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes/mixture"


def figures_of(name, capsys, tmp_path, *arguments):
    """Run a recipe; give the JSON it printed."""
    specification = importlib.util.spec_from_file_location(
        f"mixture_{name}", RECIPES / f"{name}.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    capsys.readouterr()
    out = tmp_path / f"{name}.png"
    module.main([*arguments, "--out", str(out), "--json"])
    assert out.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(capsys.readouterr().out)
    assert module.report(figures).count("\n") > 5  # what it prints without --json
    return figures


def test_what_the_readme_says_of_mixtures_runs_as_shown():
    text = (RECIPES.parents[1] / "README.md").read_text(encoding="utf-8")
    section = text.split("## Gaussian mixtures for anything")[1].split("\n## ")[0]
    names = {}
    for snippet in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(snippet, names)
    assert sorted(names["model"].weights_) == pytest.approx([1 / 3, 2 / 3], abs=0.01)
    assert names["result"].iterations
    assert (names["best"].n_components, names["best"].covariance_type) == (2, "tied")
    assert names["soft_clusters"].shape == (3000, 2)
    assert names["more"].shape == (100, 2)


@pytest.mark.slow
def test_soft_clusters_beat_k_means_and_know_their_errors(capsys, tmp_path):
    figures = figures_of("soft_clustering", capsys, tmp_path, "--customers", "800")
    assert figures["ari_mixture"] > figures["ari_kmeans"] + 0.2
    assert figures["ari_mixture"] < figures["ari_ideal"] + 0.05
    assert figures["right_mixture_where_they_differ"] > 0.7
    assert figures["right_kmeans_where_they_differ"] < 0.3
    assert figures["entropy_of_the_wrong"] > 3 * figures["entropy_of_the_right"]
    assert figures["errors_among_the_doubtful"] > 3 * figures["doubtful"]
    assert figures["calibration_error"] < 0.05
    assert sum(row["customers"] for row in figures["calibration"]) == 800


@pytest.mark.slow
def test_soft_clusters_at_full_size(capsys, tmp_path):
    for seed in ("0", "1"):
        figures = figures_of("soft_clustering", capsys, tmp_path, "--seed", seed)
        assert figures["chosen"] == "4 full"
        assert figures["ari_mixture"] > figures["ari_ideal"] - 0.03
        assert figures["calibration_error"] < 0.03


@pytest.mark.slow
def test_mixtures_come_nearer_to_densities_than_kernels(capsys, tmp_path):
    figures = figures_of("density_estimation", capsys, tmp_path, "--repeats", "1", "--seed", "3")
    errors = {(row["density"], row["method"], row["sample"]): row for row in figures["errors"]}
    assert len(errors) == 18
    for density in ("one dimension", "two dimensions"):
        kl = {m: errors[density, m, 1600]["kl"] for _, m, _ in errors}
        assert 0 < kl["mixture"] < kl["kernels, held-out"] < kl["kernels, Scott"]
        # More points, less error.
        assert kl["mixture"] < errors[density, "mixture", 100]["kl"]
        assert errors[density, "mixture", 1600]["ise"] < errors[density, "mixture", 100]["ise"]
    assert len(figures["candidates"]) == 20
    for name, row in figures["best"].items():
        column = [candidate[name] for candidate in figures["candidates"]]
        assert row[name] == (max(column) if name == "held_out" else min(column))
        assert row["covariance_type"] == "full"


@pytest.mark.slow
def test_a_background_model_helps_to_name_phones_and_voices(capsys, tmp_path):
    figures = figures_of("voice_features", capsys, tmp_path)
    phones = {(r["features"], r["labeled_speakers"]): r["accuracy"] for r in figures["phones"]}
    for labeled in (4, 16):
        assert phones["both", labeled] > phones["MFCC", labeled] + 0.01
        assert phones["posteriorgram", labeled] > 0.4  # the commonest phone is 17 % of all
    vectors = {row["vector"]: row for row in figures["recordings"]}
    plain, mean = vectors["supervector, kl"], vectors["mean MFCC"]
    assert plain["speaker_svm"] > mean["speaker_svm"] + 0.05
    assert plain["speaker_svm"] > 0.85
    assert plain["sex_svm"] > 0.8
    assert 0.9 < figures["kept_by_3"] <= figures["kept_by_5"] <= 1


@pytest.mark.slow
def test_voice_features_in_small(capsys, tmp_path):
    small = ("--components", "8", "--background", "4", "--few", "2", "--speakers", "4")
    figures = figures_of("voice_features", capsys, tmp_path, *small)
    assert [row["labeled_speakers"] for row in figures["phones"]] == [2, 2, 2, 4, 4, 4]
    assert all(0.1 < row["accuracy"] < 1 for row in figures["phones"])
    assert {row["vector"]: row["size"] for row in figures["recordings"]} == {
        "mean MFCC": 40, "supervector, none": 320, "supervector, kl": 320, "Fisher vector": 640,
    }  # fmt: skip
