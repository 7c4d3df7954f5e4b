"""Commands that look: evaluate, compare."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from voicegmm.cli.console import (
    check_output,
    debug_option,
    drawing_bar,
    json_option,
    print_comparison,
    print_figures,
    print_json,
    print_side_by_side,
    replicates_option,
    values_of,
    warn,
)
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.experiment.report_audio import Listening
    from voicegmm.scoring import ScoreTable
    from voicegmm.scoring.evaluation import EvaluationOptions

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)


def _scores_options(command: F) -> F:
    """Add what commands that measure scores share."""
    for option in (
        click.option("--report", type=_PATH, help="Write an HTML report."),
        click.option(
            "--points",
            multiple=True,
            metavar="NAME|P,C_MISS,C_FA",
            help="Where detection costs are read: an evaluation (sre08, sre10, sre12, sre16, "
            "sre18-cmn2, sre21, sitw, voxsrc, ...; each trial counts the same), or a prior and two "
            "costs. May be given several times; of one evaluation with several points also the "
            "mean, NIST's primary cost.  "
            "[default: 0.01, 0.05]",
        ),
        click.option(
            "--llr",
            "are_ratios",
            is_flag=True,
            help="Scores of other programs are natural-log likelihood ratios.",
        ),
        click.option("--key", type=_PATH, help="The labels, where the scores have none."),
    ):
        command = option(command)
    return command


@click.command(short_help="Evaluate scores: EER, minDCF, Cllr.")
@click.argument("scores", type=_PATH, metavar="SCORES")
@_scores_options
@click.option("--against", type=_PATH, help="Scores of another system on the same trials.")
@click.option(
    "--include-audio",
    "audio",
    type=_PATH,
    metavar="DIR",
    help="Put players for the worst errors into the report, of recordings below DIR: it then holds "
    "voices.",
)
@click.option("--enroll", type=_PATH, help="With --include-audio: the recordings of each model.")
@click.option(
    "--durations",
    type=_PATH,
    help="The seconds of speech in each test, for a plot in the report: TSV with the columns test "
    "and seconds, or a feature store.",
)
@replicates_option(0)
@json_option
@debug_option
def evaluate(
    scores: Path,
    key: Path | None,
    are_ratios: bool,
    points: tuple[str, ...],
    against: Path | None,
    report: Path | None,
    audio: Path | None,
    enroll: Path | None,
    durations: Path | None,
    n_replicates: int,
    as_json: bool,
) -> None:
    """Evaluate scores: EER, minDCF, Cllr, with 95 % intervals over speakers.

    SCORES is our table, a list of VoxCeleb's, Kaldi's, NIST's or ASVspoof's, or the HDF5 of
    BOSARIS; so is --key a list or a key of any of them.

    With --against, also what the other system has more or less of each, with the interval of the
    difference and its p-value: speakers are drawn for both at once.
    """
    from voicegmm.scoring.evaluation import EvaluationOptions
    from voicegmm.store import read_quality_file

    if against and not n_replicates:
        raise click.UsageError("--against needs --replicates: what differs is told by drawings")
    if against and against == scores:
        raise click.UsageError("--against is another file of scores")
    if durations and not report:
        raise click.UsageError("--durations needs --report")
    if audio and not report:
        raise click.UsageError("--include-audio needs --report")
    if enroll and not audio:
        raise click.UsageError("--enroll needs --include-audio")
    if report:
        check_output(report, scores, key, against, enroll, durations)
    listening = _listening(audio, enroll) if audio else None
    paths = [scores, *([against] if against else [])]
    tables = _tables(paths, key, are_ratios)
    name, *others = tables
    seconds = read_quality_file(durations).seconds_of(tables[name].trials) if durations else {}
    options = EvaluationOptions(points=points, n_bootstrap=n_replicates)
    results = _figures(name, tables[name], options)
    differences = _differences(tables, options)
    if report:
        systems = {other: _figures(other, tables[other], options) for other in others}
        told = {**results, "systems": systems, "differences": differences}
        _write_report(report, told, tables, key, options, listening, seconds)
    if as_json:
        print_json(results | ({"comparison": differences[str(against)]} if against else {}))
        return
    print_figures(results)
    for found in differences.values():
        print_comparison(found)
    if report:
        say(f"report: {report}")


@click.command(short_help="Compare systems on the same trials.")
@click.argument("scores", type=_PATH, nargs=-1, required=True, metavar="FIRST OTHER...")
@_scores_options
@replicates_option(1)
@json_option
@debug_option
def compare(
    scores: tuple[Path, ...],
    key: Path | None,
    are_ratios: bool,
    points: tuple[str, ...],
    report: Path | None,
    n_replicates: int,
    as_json: bool,
) -> None:
    """Compare the scores of systems on the same trials: each with the first.

    Prints the figures of each, and what it has more or less than the first, with the interval of
    the difference and its p-value: speakers are drawn for both at once.
    """
    from voicegmm.scoring.evaluation import EvaluationOptions

    if len(scores) < 2:
        raise click.UsageError("give the scores of two systems at least")
    if len(set(scores)) < len(scores):
        raise click.UsageError("each file of scores stands once")
    if report:
        check_output(report, *scores, key)
    options = EvaluationOptions(points=points, n_bootstrap=n_replicates)
    tables = _tables(scores, key, are_ratios)
    differences = _differences(tables, options)
    systems = {name: _figures(name, table, options) for name, table in tables.items()}
    first, *others = systems
    if report:
        told = {name: systems[name] for name in others}
        _write_report(
            report,
            {**systems[first], "systems": told, "differences": differences},
            tables,
            key,
            options,
        )
    if as_json:
        print_json({"systems": systems, "differences": differences})
        return
    print_side_by_side({name: values_of(figures["metrics"]) for name, figures in systems.items()})
    for name, figures in systems.items():
        for warning in figures["warnings"]:
            warn(f"{name}: {warning}")
    for found in differences.values():
        print_comparison(found)
    if report:
        say(f"report: {report}")


def _tables(paths: Sequence[Path], key: Path | None, are_ratios: bool) -> "dict[str, ScoreTable]":
    """Read scores; several in the order of the first, with the labels that any of them has."""
    from voicegmm.scoring import align_tables
    from voicegmm.store import read_labeled

    tables = {str(path): read_labeled(path, key, are_ratios) for path in paths}
    if len(tables) == 1:
        return tables
    return dict(zip(tables, align_tables([*tables.values()], [*tables]).tables, strict=True))


def _figures(name: str, table: "ScoreTable", options: "EvaluationOptions") -> dict[str, Any]:
    from voicegmm._base.errors import DataError
    from voicegmm.scoring.evaluation import as_mapping, evaluate_table

    with drawing_bar(name) as progress:
        try:
            return as_mapping(*evaluate_table(table, options, progress))
        except DataError as error:
            raise DataError(f"{name}: {error}") from None


def _differences(
    tables: "Mapping[str, ScoreTable]", options: "EvaluationOptions"
) -> dict[str, Any]:
    """Compare each table with the first, in whose order all are."""
    from voicegmm.scoring.alignment import AlignedTables
    from voicegmm.scoring.evaluation import compare_tables

    first, *others = tables
    differences = {}
    for name in others:
        aligned = AlignedTables((first, name), (tables[first], tables[name]))
        with drawing_bar(f"{first} - {name}") as progress:
            found = compare_tables(aligned, options, progress)
        differences[name] = {"against": name, **found.to_mapping()}
    return differences


def _listening(folder: Path, enroll: Path | None) -> "Listening":
    from voicegmm._base.errors import VoicegmmError
    from voicegmm.corpus import read_enrollments
    from voicegmm.experiment.report_audio import Listening

    if not folder.is_dir():
        raise VoicegmmError(f"--include-audio {folder}: no such folder")
    return Listening.to_folder(folder, read_enrollments(enroll) if enroll else ())


def _write_report(
    path: Path,
    results: Mapping[str, Any],
    tables: "Mapping[str, ScoreTable]",
    key: Path | None,
    options: "EvaluationOptions",
    listening: "Listening | None" = None,
    seconds: Mapping[str, float] | None = None,
) -> None:
    from voicegmm._base.files import content_hash
    from voicegmm._base.options import to_mapping
    from voicegmm.experiment.report import write_score_report

    (first, table), *others = tables.items()
    inputs = [
        (f"Scores: {name}", f"{len(scores):,} trials", content_hash(name))
        for name, scores in tables.items()
    ]
    if key:
        inputs.append((f"Key: {key}", "", content_hash(key)))
    title = first if others else Path(first).name
    write_score_report(
        path,
        table,
        results,
        title,
        others=dict(others),
        inputs=inputs,
        options={"evaluation": to_mapping(options)},
        listening=listening,
        seconds=seconds,
    )
