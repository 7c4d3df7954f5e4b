"""Commands that look: evaluate, info."""

from pathlib import Path
from typing import Any

import click

from voicegmm.cli.console import (
    check_output,
    debug_option,
    json_option,
    print_comparison,
    print_figures,
    print_json,
)

_PATH = click.Path(path_type=Path)


@click.command(short_help="Evaluate scores: EER, minDCF, Cllr.")
@click.argument("scores", type=_PATH, metavar="SCORES")
@click.option("--key", type=_PATH, help="A trial list with labels, where the scores have none.")
@click.option(
    "--points",
    multiple=True,
    metavar="NAME|P,C_MISS,C_FA",
    help="Where detection costs are read: an evaluation (sre08, sre10, sre16, sre18-cmn2, sitw, "
    "voxceleb, ...), or a prior and two costs. May be given several times.  [default: 0.01, 0.05]",
)
@click.option("--against", type=_PATH, help="Scores of another system on the same trials.")
@click.option("--report", type=_PATH, help="Write an HTML report.")
@json_option
@debug_option
def evaluate(
    scores: Path,
    key: Path | None,
    points: tuple[str, ...],
    against: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Evaluate a score table: EER, minDCF, Cllr, with 95 % intervals over speakers.

    With --against, also what the other system has more or less of each, with the interval of the
    difference and its p-value: speakers are drawn for both at once.
    """
    from voicegmm.scoring import align_tables
    from voicegmm.scoring.evaluation import (
        EvaluationOptions,
        as_mapping,
        compare_tables,
        evaluate_table,
        read_labeled,
    )

    if report:
        check_output(report, scores, key, against)
    table = read_labeled(scores, key)
    options = EvaluationOptions(points=points)
    results = as_mapping(*evaluate_table(table, options))
    if against:
        other = read_labeled(against, key)
        found = compare_tables(align_tables([table, other], [str(scores), str(against)]), options)
        results["comparison"] = {"against": str(against), **found.to_mapping()}
    if report:
        from voicegmm.experiment.report import write_score_report

        write_score_report(report, table, results, scores.name)
    if as_json:
        print_json(results)
        return
    print_figures(results)
    if against:
        print_comparison(results["comparison"])
    if report:
        click.echo(f"report: {report}")


@click.command(short_help="Say what any of our files is.")
@click.argument("file", type=_PATH)
@json_option
@debug_option
def info(file: Path, as_json: bool) -> None:
    """Say what any of our files is: format, version, what made it, what is in it."""
    from voicegmm.store import describe

    found = describe(file)
    if as_json:
        print_json(found)
    else:
        _print_nested(found, "")


def _print_nested(mapping: dict[str, Any], indent: str) -> None:
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            click.echo(f"{indent}{key}:")
            _print_nested(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            click.echo(f"{indent}{key}: {len(value)}; the last:")
            _print_nested(value[-1], indent + "  ")
        elif value not in ("", None, {}, []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"{indent}{key}: {text}")
