"""The recipe that makes vowels: its samples pass for real ones, those of one Gaussian do not."""

import importlib.util
import json
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes/mixture/data_creation.py"


def figures_of(capsys, tmp_path, *arguments):
    specification = importlib.util.spec_from_file_location("data_creation", RECIPE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    out = tmp_path / "data_creation.png"
    module.main([*arguments, "--out", str(out), "--json"])
    assert out.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(capsys.readouterr().out)
    assert module.report(figures).count("\n") > 5
    return figures


def check(figures):
    tests = {row["made_by"]: row for row in figures["tests"]}
    assert tests["the mixture"]["p"] > 0.01
    assert tests["one Gaussian"]["p"] < 0.05
    assert tests["one Gaussian"]["distance"] > 3 * tests["the mixture"]["distance"]
    gap = figures["log_density_held_out"] - figures["log_density_samples"]
    assert abs(gap) < 4 * figures["log_density_error"]
    for row in figures["conditionals"]:
        assert row["to_formula"] < 1.95 / 4000**0.5  # a chance of one in a thousand
        assert row["to_real"] < 0.6 * row["unconditional_to_real"]


@pytest.mark.slow
def test_samples_pass_for_real_vowels(capsys, tmp_path):
    check(figures_of(capsys, tmp_path, "--voices", "500"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_at_full_size(seed, capsys, tmp_path):
    check(figures_of(capsys, tmp_path, "--seed", seed))
