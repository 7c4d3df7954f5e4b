"""What a sweep found: a point's figures, which is best, what sets it apart from the baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from voicegmm._base.reasons import together
from voicegmm.experiment.stages import read_records
from voicegmm.experiment.sweep_grid import Point
from voicegmm.experiment.sweep_plan import SharedWork, Sweep
from voicegmm.metrics import holm

CHOSEN_ON_TRIALS = (
    "the points are compared on the trials of the recipe: if those are for evaluation, to choose "
    "by them is to tune on the test, and the figure of the best point flatters it. Choose with "
    "--on background, or on trials made for development, and then run the choice once"
)


@dataclass(frozen=True)
class PointResult:
    """What is known of a point.

    Parameters
    ----------
    point : Point
    folder : str
        Of its run, within the folder of the sweep.
    state : {"done", "failed", "waiting"}
    reason : str
        Why it failed.
    figures : mapping
        As `voicegmm.experiment.sweep_figures.measure` gives them; empty unless done.
    seconds : float
        Work in all its stages, whoever did it; what it would take alone.
    """

    point: Point
    folder: str
    state: str
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @staticmethod
    def of(
        point: Point,
        folder: Path,
        figures: Mapping[str, Mapping[str, Any]],
        failures: Mapping[str, str],
    ) -> "PointResult":
        """Look up what is known of a point."""
        place = f"{folder.parent.name}/{folder.name}"
        if point.name in failures:
            return PointResult(point, place, "failed", failures[point.name])
        if point.name not in figures:
            return PointResult(point, place, "waiting")
        seconds = sum(record.seconds for record in read_records(folder).values())
        return PointResult(point, place, "done", "", figures[point.name], round(seconds, 3))


def gather(
    sweep: Sweep, points: Sequence[PointResult], shared: Sequence[SharedWork]
) -> dict[str, Any]:
    """Lay out all that is known of a sweep, as in sweep.json.

    Returns
    -------
    dict
        "points": name, values, state, reason, folder, metrics (fractions; None for an infinite
        value), seconds, warnings, and "comparison" with the baseline: difference, low, high,
        p_value and p_holm, adjusted for the number of points; None for the baseline itself.
        "best": the point with the best metric, or None while there is none.
    """
    metric = sweep.options.metric
    rows = [_row(result, metric) for result in points]
    compared = [row["comparison"] for row in rows if row["comparison"]]
    adjusted = holm([found["p_value"] for found in compared]).tolist()
    for found, p_value in zip(compared, adjusted, strict=True):
        found["p_holm"] = p_value
    done = [result.figures for result in points if result.state == "done"]
    return {
        "name": sweep.name,
        "recipe": sweep.recipe,
        "grid": {axis.key: list(axis.values) for axis in sweep.axes},
        "settings": list(sweep.settings),
        "metric": metric,
        "on": sweep.options.on,
        "baseline": sweep.options.baseline,
        "best": _best(rows, metric, sweep.smaller_is_better),
        "confidence": done[0]["confidence"] if done else 0.95,
        "points": rows,
        "shared": [{"stage": work.stage, "points": list(work.points)} for work in shared],
        "warnings": _warnings(sweep, points),
    }


def _row(result: PointResult, metric: str) -> dict[str, Any]:
    figures = result.figures
    comparison = None
    found = (figures.get("comparison") or {}).get("metrics", {}).get(metric)
    if found:
        comparison = {key: found[key] for key in ("difference", "low", "high", "p_value")}
    return {
        "name": result.point.name,
        "values": dict(result.point.values),
        "state": result.state,
        "reason": result.reason,
        "folder": result.folder,
        "seconds": result.seconds,
        "metrics": figures.get("metrics", {}),
        "comparison": comparison,
        "warnings": list(figures.get("warnings", [])),
    }


def value_of(row: Mapping[str, Any], metric: str) -> float:
    """Give the metric of a point; infinite where it is, NaN where there is none."""
    estimate = row["metrics"].get(metric)
    if estimate is None:
        return math.nan
    value = estimate["value"]
    return math.inf if value is None else float(value)


def interval_of(row: Mapping[str, Any], metric: str) -> tuple[float, float]:
    """Give the interval of the metric of a point; NaN where there is none."""
    estimate = row["metrics"].get(metric) or {}
    low, high = estimate.get("low"), estimate.get("high")
    return (math.nan, math.nan) if low is None or high is None else (float(low), float(high))


def _best(rows: Sequence[Mapping[str, Any]], metric: str, smaller: bool) -> str | None:
    finite = [row for row in rows if math.isfinite(value_of(row, metric))]
    choose = min if smaller else max
    return choose(finite, key=lambda row: value_of(row, metric))["name"] if finite else None


def _warnings(sweep: Sweep, points: Sequence[PointResult]) -> list[str]:
    """Say what to keep in mind; what is said of several points stands once."""
    warnings = [CHOSEN_ON_TRIALS] if sweep.options.on == "trials" else []
    baseline = sweep.options.baseline
    if baseline in [result.point.name for result in points if result.state == "failed"]:
        warnings.append(f"the baseline {baseline} failed: nothing is tested")
    told = {result.point.name: result.figures for result in points if result.state == "done"}
    warnings += _together({name: figures["warnings"] for name, figures in told.items()})
    tests = {name: figures["comparison"] for name, figures in told.items()}
    warnings += _together({name: found["warnings"] for name, found in tests.items() if found})
    untested = {name: figures["not_compared"] for name, figures in told.items()}
    return warnings + _together(
        {
            name: [f"not compared with the baseline: {trouble}"]
            for name, trouble in untested.items()
            if trouble
        }
    )


def _together(told: Mapping[str, Sequence[str]]) -> list[str]:
    """Say once what is said of several points, and without their names what is said of all."""
    lines: list[str] = []
    for alike in zip_longest(*told.values(), fillvalue=""):
        named = {name: text for name, text in zip(told, alike, strict=True) if text}
        same = len(named) == len(told) and len(set(named.values())) == 1
        lines += [alike[0]] if same else together(named, "points")
    return lines


_COMPARED = ("difference", "low", "high", "p_value", "p_holm")


def table_of(results: Mapping[str, Any]) -> str:
    """Lay out the points as TSV: options, state, every figure with its interval, the test.

    Parameters
    ----------
    results : mapping
        As `gather` gives them.
    """
    rows = results["points"]
    metrics = list(dict.fromkeys(key for row in rows for key in row["metrics"]))
    head = ["point", *results["grid"], "mark", "state"]
    head += [name for key in metrics for name in (key, f"{key}_low", f"{key}_high")]
    head += [*(f"{results['metric']}_{name}" for name in _COMPARED), "seconds", "reason"]
    lines = [head]
    for row in rows:
        cells = [row["name"], *row["values"].values(), mark_of(row, results), row["state"]]
        for key in metrics:
            cells += [_number(value_of(row, key)), *map(_number, interval_of(row, key))]
        found = row["comparison"] or {}
        cells += [_number(found.get(name)) for name in _COMPARED]
        lines.append([*cells, _number(row["seconds"]), row["reason"]])
    return "".join("\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines)


def mark_of(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """Say whether a point is the best, the baseline, or both."""
    marks = [mark for mark in ("best", "baseline") if results[mark] == row["name"]]
    return ", ".join(marks)


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"
