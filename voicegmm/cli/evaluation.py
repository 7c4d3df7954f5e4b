"""Commands that look: evaluate, info."""

from pathlib import Path
from typing import Any

import click

from voicegmm.cli.console import check_output, debug_option, json_option, print_figures, print_json

_PATH = click.Path(path_type=Path)


@click.command(short_help="Evaluate scores: EER, minDCF, Cllr.")
@click.argument("scores", type=_PATH, metavar="SCORES")
@click.option("--key", type=_PATH, help="A trial list with labels, where the scores have none.")
@click.option("--report", type=_PATH, help="Write an HTML report.")
@json_option
@debug_option
def evaluate(scores: Path, key: Path | None, report: Path | None, as_json: bool) -> None:
    """Evaluate a score table: EER, minDCF, Cllr, with 95 % intervals over speakers."""
    from voicegmm.scoring.evaluation import as_mapping, evaluate_table, read_labeled

    if report:
        check_output(report, scores, key)
    table = read_labeled(scores, key)
    results = as_mapping(*evaluate_table(table))
    if report:
        from voicegmm.experiment.report import write_score_report

        write_score_report(report, table, results, scores.name)
    if as_json:
        print_json(results)
        return
    print_figures(results)
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
