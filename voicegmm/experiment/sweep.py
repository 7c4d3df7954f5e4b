"""Sweeps: a recipe at every combination of some values, each piece of work done once."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from voicegmm._base.errors import VoicegmmError
from voicegmm._base.files import write_text
from voicegmm._base.progress import Progress, silent
from voicegmm.compute import engine, map_apart
from voicegmm.experiment.lists import Contents, check_data
from voicegmm.experiment.locks import held
from voicegmm.experiment.recipe import FusedRecipe, LoadedRecipe
from voicegmm.experiment.run import plan_recipe, run_stages
from voicegmm.experiment.stages import Decision
from voicegmm.experiment.sweep_figures import SCORES, Measurement, measure, measured
from voicegmm.experiment.sweep_page import write_page
from voicegmm.experiment.sweep_plan import Sweep, shared_work
from voicegmm.experiment.sweep_results import PointResult, gather, table_of

POINTS, STAGES = "points", "stages"  # folders of a sweep

SWEEP_FILES = {
    "sweep.html": "the table, the figure and what to keep in mind",
    "table.tsv": "a line a point: every figure with its interval, the test against the baseline",
    "sweep.svg": "the metric against each option",
    "sweep.json": "grid, points, states, figures and failures, for a program",
    POINTS: "the run folder of each point",
    STAGES: "what points have in common",
}
"""What each file of a sweep's folder is."""

Task = TypeVar("Task", bound="_Named")


@dataclass(frozen=True)
class SweepResult:
    """What a sweep gave.

    Parameters
    ----------
    folder : pathlib.Path
    results : dict
        As in sweep.json.
    """

    folder: Path
    results: dict[str, Any]

    @property
    def failures(self) -> dict[str, str]:
        """Name of each point that failed -> why."""
        points = self.results["points"]
        return {each["name"]: each["reason"] for each in points if each["state"] == "failed"}


@dataclass(frozen=True)
class _Named:
    """Work on a point."""

    point: str


@dataclass(frozen=True)
class _Run(_Named):
    loaded: LoadedRecipe
    data: Path
    out: Path
    shared: Path
    n_workers: int
    last_stage: str


@dataclass(frozen=True)
class _Measure(_Named):
    what: Measurement


def run_sweep(
    sweep: Sweep, data: Path, out: Path, n_workers: int = 1, progress: Progress = silent
) -> SweepResult:
    """Run every point of a sweep and compare them; what is finished is not done again.

    Stages that points have in common are done once, by all workers, and then the points go on side
    by side, each in a process of its own. A point that fails stops no other.

    Parameters
    ----------
    sweep : Sweep
        See `voicegmm.experiment.sweep_plan.plan_sweep`.
    data : path
        The corpus.
    out : path
        The folder of the sweep; made where it is missing.
    n_workers : int
        Cores to be used. The results are the same for any number.
    progress : callable
        See `voicegmm._base.progress`.

    Returns
    -------
    SweepResult

    Raises
    ------
    VoicegmmError
        Anything that is wrong for all points, before long work.
    """
    check_data(data)
    with held(out):
        (out / STAGES).mkdir(exist_ok=True)
        plan = explain_sweep(sweep, data, out, n_workers, progress, keep=True)
        failures: dict[str, str] = {}
        figures: dict[str, dict[str, Any]] = {}

        def keep() -> dict[str, Any]:
            return _write_results(sweep, out, plan, figures, failures)

        keep()
        unfinished = [name for name in plan if not _finished(plan[name])]
        _check_engines(sweep, unfinished, out)
        _do_shared_work(sweep, plan, data, out, n_workers, progress)
        runs = [_run(sweep, name, data, out, n_workers, len(unfinished)) for name in unfinished]
        for run, _, error in _done("points", _do_run, runs, n_workers, progress):
            failures |= {run.point: error} if error else {}
            keep()
        tasks = _measurements(sweep, out, failures)
        figures |= {task.point: known for task in tasks if (known := measured(task.what))}
        tasks = [task for task in tasks if task.point not in figures]
        for task, found, error in _done("comparisons", _do_measure, tasks, n_workers, progress):
            if error:
                failures[task.point] = error
            else:
                figures[task.point] = found
        results = keep()
        write_text(out / "table.tsv", table_of(results))
        write_page(out, results)
        return SweepResult(out, results)


def explain_sweep(
    sweep: Sweep,
    data: Path,
    out: Path,
    n_workers: int = 1,
    progress: Progress = silent,
    keep: bool = False,
) -> dict[str, Sequence[Decision]]:
    """Tell what becomes of each stage of each point, and do nothing.

    Parameters
    ----------
    sweep, data, out, n_workers, progress
        As for `run_sweep`.
    keep : bool
        Whether to write down what was read of the recordings, for the points.

    Raises
    ------
    VoicegmmError
        If the lists of a point cannot be used.
    """
    check_data(data)
    shared, plans = out / STAGES, {}
    contents = Contents(shared, n_workers, progress, keep)
    for number, point in enumerate(sweep.points, 1):
        place = out / POINTS / point.name
        decisions = plan_recipe(
            point.loaded, data, place, n_workers, progress, shared=shared, contents=contents
        )
        plans[point.name] = _up_to(sweep.last_stage, decisions)
        progress("planning", number, len(sweep.points))
    return plans


def _up_to(last: str, decisions: Sequence[Decision]) -> Sequence[Decision]:
    names = [decision.stage for decision in decisions]
    return decisions[: names.index(last) + 1] if last in names else decisions


def _finished(decisions: Iterable[Decision]) -> bool:
    return all(decision.action == "skip" for decision in decisions)


def _check_engines(sweep: Sweep, unfinished: Sequence[str], out: Path) -> None:
    """Refuse who is to work for the points, where they would be refused for every one of them."""
    recipes = [point.loaded.recipe for point in sweep.points if point.name in unfinished]
    reasons: list[VoicegmmError] = []
    for compute, in_double in dict.fromkeys((one.compute, one.in_double) for one in recipes):
        try:
            with engine(compute, out, in_double):
                return
        except VoicegmmError as reason:
            reasons.append(reason)
    if reasons:
        raise reasons[0]


def _do_shared_work(
    sweep: Sweep,
    plan: Mapping[str, Sequence[Decision]],
    data: Path,
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Do what points have in common, stage by stage: one point of each group, for all of it.

    Whatever fails here fails again when the point itself is run, and is told then.
    """
    if any(isinstance(point.loaded.recipe, FusedRecipe) for point in sweep.points):
        return  # their stages lie in folders within; a point that comes second waits for the first
    open_work = [work for work in shared_work(plan) if not work.done]
    # Points that go on together need no halt between.
    last = {work.points: work.stage for work in open_work}
    for stage in dict.fromkeys(work.stage for work in open_work):
        firsts = [points[0] for points, halt in last.items() if halt == stage]
        runs = [_run(sweep, name, data, out, n_workers, len(firsts), stage) for name in firsts]
        for _ in _done(f"shared: {stage}", _do_run, runs, n_workers, progress):
            pass


def _run(
    sweep: Sweep,
    name: str,
    data: Path,
    out: Path,
    n_workers: int,
    n_runs: int,
    last_stage: str = "",
) -> _Run:
    """Describe the run of a point beside others, that share the workers."""
    loaded = next(point.loaded for point in sweep.points if point.name == name)
    return _Run(
        name,
        loaded,
        data,
        out / POINTS / name,
        out / STAGES,
        max(1, n_workers // n_runs),
        last_stage or sweep.last_stage,
    )


def _do_run(run: _Run) -> None:
    run_stages(run.loaded, run.data, run.out, run.last_stage, run.n_workers, shared=run.shared)


def _do_measure(task: _Measure) -> dict[str, Any]:
    return measure(task.what)


def _measurements(sweep: Sweep, out: Path, failed: Mapping[str, str]) -> list[_Measure]:
    options, tasks = sweep.options, []
    baseline = options.baseline, out / POINTS / options.baseline
    usable = options.baseline not in failed and (baseline[1] / SCORES[options.on]).exists()
    for point in sweep.points:
        if point.name in failed:
            continue
        recipe = point.loaded.recipe
        what = Measurement(
            point.name,
            out / POINTS / point.name,
            baseline if usable and point.name != options.baseline else None,
            options.on,
            options.on == "trials" or isinstance(recipe, FusedRecipe),
            recipe.evaluation,
        )
        tasks.append(_Measure(point.name, what))
    return tasks


def _done(
    what: str,
    function: Callable[[Task], Any],
    tasks: Sequence[Task],
    n_workers: int,
    progress: Progress,
) -> Iterable[tuple[Task, Any, str]]:
    """Do tasks side by side; give each, as it is finished, with its value or its error."""
    if tasks:
        progress(what, 0, len(tasks))
    for number, (task, outcome) in enumerate(map_apart(function, tasks, n_workers), 1):
        progress(what, number, len(tasks))
        yield task, outcome.value, outcome.error


def _write_results(
    sweep: Sweep,
    out: Path,
    plan: Mapping[str, Sequence[Decision]],
    figures: Mapping[str, dict[str, Any]],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    points = [
        PointResult.of(point, out / POINTS / point.name, figures, failures)
        for point in sweep.points
    ]
    results = gather(sweep, points, shared_work(plan))
    write_text(out / "sweep.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return results
