"""The recipe of missing values: the mixture fills best, and leaves out what should be left out."""

import importlib.util
import json
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes/mixture/imputation.py"


def figures_of(capsys, tmp_path, *arguments):
    specification = importlib.util.spec_from_file_location("imputation", RECIPE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    out = tmp_path / "imputation.png"
    module.main([*arguments, "--out", str(out), "--json"])
    assert out.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(capsys.readouterr().out)
    assert module.report(figures).count("\n") > 5
    return figures


def check(figures):
    filled = {row["by"]: row for row in figures["measurements"]["filled"]}
    best = filled["mixture, mean"]["rmse"]
    assert best < filled["nearest neighbors"]["rmse"]
    assert best < 0.75 * filled["column mean"]["rmse"]
    assert filled["column mean"]["variance_kept"] == pytest.approx(0.7, abs=0.03)
    assert filled["mixture, one draw"]["variance_kept"] == pytest.approx(1, abs=0.06)
    found = {row["by"]: row["accuracy"] for row in figures["telephone"]["identified"]}
    for other in ("filled with what is expected", "filled with the mean", "noise of the line"):
        assert found["lost bands left out"] > found[other] + 0.1
    return found


@pytest.mark.slow
def test_the_mixture_fills_best_and_leaves_out_well(capsys, tmp_path):
    figures = figures_of(capsys, tmp_path, "--voices", "200", "--speakers", "6", "--calls", "5")
    assert check(figures)["lost bands left out"] > 0.6
    assert 0.8 < figures["measurements"]["coverage"] < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_at_full_size(seed, capsys, tmp_path):
    figures = figures_of(capsys, tmp_path, "--seed", seed)
    found = check(figures)
    assert found["broad band"] >= found["lost bands left out"] > 0.75
    assert 0.86 < figures["measurements"]["coverage"] < 0.93
