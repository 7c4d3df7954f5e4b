"""The command that runs a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicegmm.cli.console import (
    bars,
    cores,
    debug_option,
    insecure_option,
    json_option,
    print_figures,
    print_json,
    settings_option,
    workers_option,
)
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.experiment import Decision


@click.command(short_help="Run a recipe on a corpus.")
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="The folder of the corpus."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The run folder.  [default: runs/<name>]"
)
@settings_option("ubm.n_components=256")
@click.option(
    "--include-audio",
    is_flag=True,
    help="Put players for the worst errors into the report: it then holds voices.",
)
@click.option(
    "--dry-run", is_flag=True, help="Only tell which stages would run, and why; write nothing."
)
@insecure_option
@workers_option
@json_option
@debug_option
def run(
    recipe: str,
    data: Path,
    out: Path | None,
    settings: tuple[str, ...],
    include_audio: bool,
    dry_run: bool,
    allowed: tuple[str, ...],
    workers: int | None,
    as_json: bool,
) -> None:
    """Run RECIPE, a recipe.toml or a preset's name, on a corpus.

    A stage runs where its options, the content of its inputs or its code have changed, or what it
    made is gone; others are skipped. A run that was interrupted goes on.
    """
    from voicegmm.experiment import load_recipe, plan_recipe, run_recipe

    loaded = load_recipe(recipe, (*allowed, *settings))
    folder = out or Path("runs") / loaded.recipe.name
    with bars() as progress:
        if dry_run:
            plan = plan_recipe(loaded, data, folder, cores(workers), progress, include_audio)
            print_plan(folder, plan, as_json)
            return
        done = run_recipe(loaded, data, folder, cores(workers), progress, include_audio)
    print_run(done, as_json)


_ACTIONS = {
    "run": "runs",
    "skip": "skipped",
    "depends": "runs unless its inputs come out as they were",
    "take": "taken from another run",
}


def print_plan(folder: Path, plan: "Sequence[Decision]", as_json: bool) -> None:
    """Print what a run would do, and why."""
    if as_json:
        stages = {
            each.stage: {
                "action": each.action,
                "reason": each.reason,
                "fingerprint": each.fingerprint,
            }
            for each in plan
        }
        print_json({"folder": str(folder), "stages": stages})
        return
    for each in plan:
        say(f"{each.stage}: {_ACTIONS[each.action]} ({each.reason})")


def print_run(done: Any, as_json: bool) -> None:
    """Print what a run gave: figures, and where everything is."""
    from voicegmm.experiment import FILES
    from voicegmm.experiment.stages import NEW

    if as_json:
        print_json({"folder": str(done.folder), **done.results})
        return
    print_figures(done.results)
    stages = done.results["stages"]
    seconds = sum(stage["seconds"] for stage in stages.values() if not stage["skipped"])
    skipped = [name for name, stage in stages.items() if stage["skipped"]]
    note = f" ({', '.join(skipped)}: unchanged, from an earlier run)" if skipped else ""
    say(f"{seconds:.0f} s of work{note}")
    for name, stage in stages.items():
        if not stage["skipped"] and stage["reason"] != NEW:
            say(f"  {name} ran again: {stage['reason']}")
    for name, what in FILES.items():
        if (done.folder / name).exists():
            say(f"  {done.folder / name}: {what}")
    say(f"report: {(done.folder / 'report.html').resolve()}")
