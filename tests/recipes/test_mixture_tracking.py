"""The recipes that follow what moves: each runs, draws, and shows what it says it shows."""

import importlib.util
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

RECIPES = Path(__file__).parents[2] / "recipes/mixture"


def load(name):
    specification = importlib.util.spec_from_file_location(
        f"mixture_{name}", RECIPES / f"{name}.py"
    )
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def figures_of(name, capsys, tmp_path, *arguments):
    """Run a recipe; give the JSON it printed."""
    module = load(name)
    capsys.readouterr()
    out = tmp_path / f"{name}.png"
    module.main([*arguments, "--out", str(out), "--json"])
    assert out.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(capsys.readouterr().out)
    assert module.report(figures).count("\n") > 5  # what it prints without --json
    return figures


def check_tracking(figures):
    ways = {
        name: {k: v["mean"] for k, v in way.items()} for name, way in figures["overall"].items()
    }
    ours, smooth, kmeans = ways["tracker"], ways["tracker, smoothed"], ways["k-means"]
    assert ours["mota"] > 0.93
    assert kmeans["mota"] < ours["mota"] - 0.2
    assert smooth["idf1"] > 0.93
    assert smooth["motp_pixels"] < ours["motp_pixels"] < kmeans["motp_pixels"]
    assert ours["switches"] <= 2
    told = ways["forecasts"]
    assert told["forecast_1_pixels"] < 0.6 * told["forecast_1_stayed_pixels"]
    assert told["forecast_5_pixels"] < 0.4 * told["forecast_5_stayed_pixels"]


@pytest.mark.slow
def test_blobs_are_followed_better_than_k_means_can(capsys, tmp_path):
    check_tracking(figures_of("tracking", capsys, tmp_path, "--videos", "1"))


@pytest.mark.slow
def test_blobs_of_other_videos_too(capsys, tmp_path):
    check_tracking(figures_of("tracking", capsys, tmp_path, "--videos", "5", "--seed", "30"))


def check_formants(errors, medians):
    for method in ("LPC roots, best path", "tracker, best path"):
        assert (np.array(errors["all"][method]["median_hertz"]) < medians).all()
    ours, plain = (errors["all"][m] for m in ("tracker, best path", "LPC roots in order"))
    assert ours["mean_hertz"][1] < plain["mean_hertz"][1]
    assert ours["mean_hertz"][2] < plain["mean_hertz"][2]


@pytest.mark.slow
def test_formants_are_followed(capsys, tmp_path):
    figures = figures_of("formants", capsys, tmp_path, "--voices", "1", "--seed", "2")
    check_formants(figures["errors"], (40, 80, 120))
    assert figures["errors"]["female"]["tracker, best path"]["frames"] == 0


@pytest.mark.slow
def test_formants_of_several_voices_are_followed(capsys, tmp_path):
    figures = figures_of("formants", capsys, tmp_path, "--voices", "12", "--seed", "30")
    for group in ("male", "female"):
        check_formants({"all": figures["errors"][group]}, (40, 45, 40))


def test_the_best_path_is_the_best_of_all_paths():
    formants = load("formants")
    costs = formants.PathCosts(missing=1.0, left_out=3.0, jump=5.0)
    rng = np.random.default_rng(0)
    hertz = [np.sort(rng.uniform(200, 4900, 4)) for _ in range(2)]
    shares = [rng.dirichlet(np.ones(4)) for _ in range(2)]

    def places(chosen, frame):
        return np.array([np.log(hertz[frame][i]) if i >= 0 else np.nan for i in chosen])

    def price(path):
        first, second = places(path[0], 0), places(path[1], 1)
        total = costs.jump * np.nansum(np.abs(second - first))
        for frame, values in enumerate((first, second)):
            off = (values - np.log(formants.NEUTRAL)) / costs.spread
            total += np.nansum(off**2) + costs.missing * np.isnan(values).sum()
            left = set(range(4)) - set(path[frame])
            total += costs.left_out * sum(shares[frame][i] for i in left)
        return total

    every = [tuple(row) for row in formants.choices(4).tolist()]
    best = min(product(every, every), key=price)
    first, second = places(best[0], 0), places(best[1], 1)
    assert np.isnan([first, second]).any()  # missing ones are filled, which is tried here too
    neutral = np.log(formants.NEUTRAL)
    wanted = [
        np.where(np.isnan(one), np.where(np.isnan(other), neutral, other), one)
        for one, other in ((first, second), (second, first))
    ]
    candidates = [np.stack(pair, axis=1) for pair in zip(hertz, shares, strict=True)]
    found = formants.best_path(candidates, formants.NEUTRAL, costs)
    np.testing.assert_allclose(np.log(found), wanted)
