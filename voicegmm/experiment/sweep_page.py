"""The page of a sweep, and its figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicegmm._base.files import write_text
from voicegmm.experiment.report import rendered
from voicegmm.experiment.report_tables import difference_rows, figure_name, figure_rows, in_percent
from voicegmm.experiment.sweep_grid import short_keys
from voicegmm.experiment.sweep_results import interval_of, mark_of, value_of
from voicegmm.plots import metric_against_options, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_page(out: Path, results: Mapping[str, Any]) -> None:
    """Write sweep.html and, where a point has a finite figure, sweep.svg.

    Parameters
    ----------
    out : path
        The folder of the sweep.
    results : mapping
        As `voicegmm.experiment.sweep_results.gather` gives them.
    """
    svg = to_svg(draw(results)) if results["best"] else ""
    if svg:
        write_text(out / "sweep.svg", svg)
    else:
        (out / "sweep.svg").unlink(missing_ok=True)  # of an earlier sweep
    rows = [_page_row(row, results) for row in results["points"]]
    shown = [results["metric"], *_others(results)]
    page = rendered(
        "sweep.html.j2",
        {
            "results": results,
            "short": short_keys(list(results["grid"])),
            "metric": figure_name(results["metric"]),
            "others": [figure_name(key) for key in shown[1:]],
            "rows": [(row, _figures(row["point"], shown)) for row in rows],
            "failed": [row for row in results["points"] if row["state"] == "failed"],
            "svg": svg,
        },
    )
    write_text(out / "sweep.html", page)


def _others(results: Mapping[str, Any]) -> list[str]:
    """Choose the figures that stand beside the metric: what fits side by side."""
    found = dict.fromkeys(key for row in results["points"] for key in row["metrics"])
    cost = [key for key in found if key.startswith("min_dcf_")][:1]
    quoted = ("eer", *cost, "cllr", "min_cllr")
    return [key for key in quoted if key in found and key != results["metric"]][:3]


def draw(results: Mapping[str, Any]) -> "Figure":
    """Draw the metric of a sweep against each of its options."""
    metric, rows, grid = results["metric"], results["points"], results["grid"]
    names = [row["name"] for row in rows]
    scale = 100.0 if in_percent(metric) else 1.0
    return metric_against_options(
        grid,
        [[grid[key].index(value) for key, value in row["values"].items()] for row in rows],
        [scale * value_of(row, metric) for row in rows],
        [[scale * end for end in interval_of(row, metric)] for row in rows],
        best=names.index(results["best"]),
        baseline=names.index(results["baseline"]),
        metric=figure_name(metric) + (" in %" if in_percent(metric) else ""),
        title=results["name"],
    )


def _page_row(row: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    difference = None
    if row["comparison"]:
        difference = difference_rows({results["metric"]: row["comparison"]})[0]
    return {"point": row, "mark": mark_of(row, results), "difference": difference}


def _figures(row: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    by_key = {figure.key: figure for figure in figure_rows(row["metrics"])}
    return [by_key.get(key) for key in keys]
