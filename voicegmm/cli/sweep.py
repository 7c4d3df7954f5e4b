"""The command that runs a recipe at every combination of some values."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicegmm.cli.console import (
    bars,
    cores,
    debug_option,
    difference_text,
    estimate_text,
    insecure_option,
    json_option,
    metric_name,
    print_json,
    settings_option,
    warn,
    workers_option,
)
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.experiment import Decision, Sweep

_DOES = {"run": "runs", "depends": "may run", "take": "takes", "skip": "has"}


@click.command(short_help="Run a recipe at every combination of some values.")
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="The folder of the corpus."
)
@click.option(
    "--grid",
    multiple=True,
    required=True,
    metavar="KEY=VALUE,VALUE...",
    help="An option and its values, as ubm.n_components=64,128,256, or features.extends=NAME,NAME "
    "for presets. May be given several times: every combination is run.",
)
@settings_option("ubm.em.n_iterations=5")
@click.option(
    "--metric",
    default="eer",
    show_default=True,
    help="What the points are compared by: eer, min_dcf_0.01, cllr, min_cllr ...",
)
@click.option(
    "--on",
    type=click.Choice(["trials", "background"]),
    default="trials",
    show_default=True,
    help="Compare on the recipe's trials, or on trials among the background speakers: the honest "
    "way to choose.",
)
@click.option(
    "--baseline",
    default="",
    metavar="POINT",
    help="The point that the others are tested against.  [default: the recipe as it stands, or "
    "the first point]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder.  [default: sweeps/<name>]"
)
@click.option("--dry-run", is_flag=True, help="Tell the points and what they share; do nothing.")
@insecure_option
@workers_option
@json_option
@debug_option
def sweep(
    recipe: str,
    data: Path,
    grid: tuple[str, ...],
    settings: tuple[str, ...],
    metric: str,
    on: str,
    baseline: str,
    out: Path | None,
    dry_run: bool,
    allowed: tuple[str, ...],
    workers: int | None,
    as_json: bool,
) -> None:
    """Run RECIPE at every combination of values, and compare the points.

    Stages that points have in common are done once, the points run side by side, and what is
    finished is not done again: the same command goes on after a crash, and a larger grid adds to
    what is there. Each point is tested against the baseline on the same trials.

    \b
    voicegmm sweep recipe.toml --data DIR \\
        --grid ubm.n_components=64,128,256 --grid features.cmvn=none,sliding

    features.cmvn is short for features.normalization.method, and sliding for sliding_mean.
    """  # noqa: D301 - click reads the \\b
    from voicegmm.experiment import SweepOptions, explain_sweep, plan_sweep, run_sweep

    planned = plan_sweep(recipe, grid, (*allowed, *settings), SweepOptions(metric, baseline, on))
    folder = out or Path("sweeps") / planned.name
    if dry_run:
        with bars() as progress:
            decisions = explain_sweep(planned, data, folder, cores(workers), progress)
        _print_plan(planned, decisions, as_json)
        return
    with bars() as progress:
        done = run_sweep(planned, data, folder, cores(workers), progress)
    if as_json:
        print_json({"folder": str(done.folder), **done.results})
    else:
        _print_sweep(done.folder, done.results)
    _fail_for(done.failures, len(planned.points))


def _print_plan(
    planned: "Sweep", decisions: "Mapping[str, Sequence[Decision]]", as_json: bool
) -> None:
    from voicegmm._base.options import to_mapping
    from voicegmm.experiment.sweep_plan import shared_work

    shared = shared_work(decisions)
    if as_json:
        points = [
            {
                "name": point.name,
                "values": dict(point.values),
                "stages": to_mapping(decisions[point.name]),
            }
            for point in planned.points
        ]
        baseline = planned.options.baseline
        print_json({"baseline": baseline, "points": points, "shared": to_mapping(shared)})
        return
    say(f"{len(planned.points)} points; the baseline is {planned.options.baseline}")
    for work in shared:
        whose = f"{len(work.points)} points" if len(work.points) > 3 else " and ".join(work.points)
        if len(work.points) == len(planned.points):
            whose = "all points"
        say(f"once for {whose}: {work.stage}{' (is there)' if work.done else ''}")
    for point in planned.points:
        of = {decision.stage: decision.action for decision in decisions[point.name]}
        told = [
            f"{does} {', '.join(stage for stage in of if of[stage] == action)}"
            for action, does in _DOES.items()
            if action in of.values()
        ]
        say(f"{point.name}: {'; '.join(told)}")


def _print_sweep(folder: Path, results: Mapping[str, Any]) -> None:
    from voicegmm.experiment.sweep import SWEEP_FILES

    metric = results["metric"]
    head = [*results["grid"], metric_name(metric), "against the baseline", "p", "p of all", ""]
    _print_table([head, *(_cells(row, results) for row in results["points"])])
    for warning in results["warnings"]:
        warn(warning)
    for name, what in SWEEP_FILES.items():
        if (folder / name).exists():
            say(f"  {folder / name}: {what}")
    say(f"report: {(folder / 'sweep.html').resolve()}")


def _cells(row: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    from voicegmm.experiment.sweep_results import mark_of

    metric, found = results["metric"], row["comparison"]
    estimate = row["metrics"].get(metric)
    test = ["", "", ""]
    if found:
        ps = (f"{found[name]:.3f}" for name in ("p_value", "p_holm"))
        test = [difference_text(metric, found), *ps]
    value = estimate_text(metric, estimate) if estimate else row["state"]
    return [*row["values"].values(), value, *test, mark_of(row, results)]


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def _fail_for(failures: Mapping[str, str], n_points: int) -> None:
    """End with an error if points failed, naming each reason once."""
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.reasons import together

    if failures:
        told = "; ".join(together(failures, "points"))
        raise VoicegmmError(
            f"{len(failures)} of {n_points} points failed: {told}. The others are done; the same "
            "command tries again"
        )
