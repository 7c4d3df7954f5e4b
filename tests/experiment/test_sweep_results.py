"""What a sweep says of its points: the best, the tests, the table, the page."""

import json
import xml.etree.ElementTree as ET

import pytest

from voicegmm._base.errors import OptionError
from voicegmm.experiment.stages import Decision
from voicegmm.experiment.sweep_page import write_page
from voicegmm.experiment.sweep_plan import SweepOptions, plan_sweep, shared_work
from voicegmm.experiment.sweep_results import PointResult, gather, table_of

GRID = ["ubm.n_components=8,16,32", "features.normalization.method=none,mean"]


def _figures(value, p_value=None, **more):
    found = None
    if p_value is not None:
        difference = {"difference": value - 0.1, "low": -0.1, "high": 0.1, "p_value": p_value}
        found = {"metrics": {"eer": difference}, "warnings": []}
    estimate = {"value": value, "low": value - 0.01, "high": value + 0.02}
    metrics = {"eer": estimate, "auc": {"value": 0.9 - value, "low": None, "high": None}}
    more = {"warnings": [], "not_compared": "", "confidence": 0.95} | more
    return {"metrics": metrics, "comparison": found, **more}


def _results(sweep, failed=()):
    values = [0.10, 0.08, 0.05, 0.09, 0.06, 0.07]
    results = []
    for number, (point, value) in enumerate(zip(sweep.points, values, strict=True)):
        folder = f"points/{point.name}"
        if number in failed:
            results.append(PointResult(point, folder, "failed", "no\tmemory\nleft"))
            continue
        p_value = None if point.name == sweep.options.baseline else 0.01 * number
        results.append(PointResult(point, folder, "done", "", _figures(value, p_value), 1.5))
    return results


@pytest.fixture(scope="module")
def sweep():
    return plan_sweep("demo", GRID)


def test_the_best_and_the_tests_against_the_baseline(sweep):
    found = gather(sweep, _results(sweep), [])
    assert found["baseline"] == "n_components=8,method=none"
    assert found["best"] == "n_components=16,method=none"
    ps = [row["comparison"]["p_holm"] for row in found["points"][1:]]
    assert ps == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])  # by hand: 5, 4, 3, 2, 1 times
    assert found["points"][0]["comparison"] is None
    largest = plan_sweep("demo", GRID, options=SweepOptions("auc"))
    assert gather(largest, _results(largest), [])["best"] == "n_components=16,method=none"


def test_a_point_that_failed_stops_nothing(sweep, tmp_path):
    results = gather(sweep, _results(sweep, failed=(2,)), [])
    assert results["best"] == "n_components=32,method=none"
    lines = [line.split("\t") for line in table_of(results).splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert rows[2]["state"] == "failed"
    assert rows[2]["reason"] == "no memory left"
    assert rows[2]["eer"] == ""
    assert rows[4]["mark"] == "best"
    assert rows[0]["mark"] == "baseline"
    assert float(rows[1]["eer_difference"]) == pytest.approx(-0.02)
    write_page(tmp_path, results)
    page = (tmp_path / "sweep.html").read_text()
    assert "What failed" in page
    assert "no\tmemory" in page
    ET.parse(tmp_path / "sweep.svg")


def test_no_point_has_a_figure(sweep, tmp_path):
    results = gather(sweep, _results(sweep, failed=range(6)), [])
    assert results["best"] is None
    assert any("the baseline n_components=8,method=none failed" in w for w in results["warnings"])
    write_page(tmp_path, results)
    assert not (tmp_path / "sweep.svg").exists()
    json.dumps(results, allow_nan=False)


def test_infinite_figures_are_not_the_best(sweep):
    results = _results(sweep)
    results[0].figures["metrics"]["eer"] |= {"value": None, "high": None}
    found = gather(sweep, results, [])
    assert found["best"] == "n_components=16,method=none"
    assert "\tinf\t" in table_of(found)


def test_to_choose_on_the_trials_is_said_to_be_tuning_on_the_test(sweep):
    assert "tune on the test" in gather(sweep, _results(sweep), [])["warnings"][0]
    honest = plan_sweep("demo", GRID, options=SweepOptions(on="background"))
    assert gather(honest, _results(honest), [])["warnings"] == []
    assert honest.last_stage == "calibration"
    assert sweep.last_stage == ""


def test_what_is_said_of_several_points_is_said_once():
    honest = plan_sweep("demo", GRID, options=SweepOptions(on="background"))
    results = _results(honest)
    for number, result in enumerate(results):
        result.figures["warnings"].append("few speakers")
        result.figures["warnings"].append(f"{number + 3} errors")
    results[1].figures["not_compared"] = "other trials"
    for result in results[1:]:
        result.figures["comparison"]["warnings"].append("rough")
    names = [result.point.name for result in results]
    assert gather(honest, results, [])["warnings"] == [
        "few speakers",
        f"6 points ({', '.join(names[:3])} ...): 3 to 8 errors",
        "rough",
        "not compared with the baseline: other trials",
    ]


def test_the_baseline_is_the_recipe_as_it_stands():
    assert plan_sweep("demo", ["ubm.n_components=8,64,16"]).options.baseline == "n_components=64"
    assert plan_sweep("demo", ["ubm.n_components=8,16"]).options.baseline == "n_components=8"
    given = SweepOptions(baseline="n_components=16")
    assert plan_sweep("demo", ["ubm.n_components=8,16"], options=given).options == given


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ((), {"metric": "err"}, "metric must be one of eer, .*got 'err' .did you mean 'eer'"),
        ((), {"metric": "min_dcf_0.1"}, "did you mean 'min_dcf_0.01'"),
        (["calibration.design=none"], {"metric": "cllr"}, "cllr is of calibrated ratios, and cal"),
        ((), {"metric": "cllr", "on": "background"}, "ratios of the folds were learned from them"),
        (["calibration.design=none"], {"on": "background"}, "design must not be 'none' with --on"),
        ((), {"baseline": "n_components=9"}, "baseline must be one of n_components=8, n_comp"),
        ((), {"on": "test"}, "on must be one of trials, background"),
    ],
)
def test_refusals(settings, options, said):
    with pytest.raises(OptionError, match=said):
        plan_sweep("demo", ["ubm.n_components=8,16"], settings, SweepOptions(**options))


def test_stages_that_several_points_have_are_shared():
    def stages(features, ubm, action="run"):
        return [
            Decision("features", features, action, ""),
            Decision("background model", ubm, "run", ""),
        ]

    found = shared_work(
        {"a": stages("1", "x"), "b": stages("1", "y"), "c": stages("2", "z", "skip"),
         "d": stages("2", "z"), "e": stages("3", "w")}
    )  # fmt: skip
    assert [(work.stage, work.points, work.done) for work in found] == [
        ("features", ("a", "b"), False),
        ("features", ("c", "d"), True),
        ("background model", ("c", "d"), False),
    ]
