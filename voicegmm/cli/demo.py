"""The demonstration: artificial voices through the whole chain."""

from pathlib import Path

import click

from voicegmm.cli.console import bars, cores, debug_option, json_option, workers_option
from voicegmm.cli.run import print_run
from voicegmm.cli.terminal import say


@click.command(short_help="Run the whole chain on artificial voices.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("voicegmm-demo"),
    show_default=True,
    help="The folder to work in.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**63 - 1),
    default=0,
    show_default=True,
    help="Of the voices.",
)
@workers_option
@json_option
@debug_option
def demo(out: Path, seed: int, workers: int | None, as_json: bool) -> None:
    """Make artificial voices and run the whole chain on them: no data and no network needed.

    Writes WAV folders with their lists, then runs what `voicegmm run` runs: features, background
    model, enrollment, trials, scores, evaluation, report.
    """
    from voicegmm.experiment.demo import run_demo

    with bars() as progress:
        done = run_demo(out, seed, cores(workers), progress)
    if not as_json:
        say(f"artificial voices: {out / 'corpus'}")
    print_run(done, as_json)
