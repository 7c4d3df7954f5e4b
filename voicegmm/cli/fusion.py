"""The command that makes one system of several: fuse."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicegmm.cli.console import (
    check_output,
    debug_option,
    drawing_bar,
    json_option,
    print_json,
    print_side_by_side,
    replicates_option,
    untrusted_option,
    values_of,
    warn,
    warn_of_unscored,
)
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.scoring import AlignedTables, Fusion, ScoreTable

_PATH = click.Path(path_type=Path)


class _TakesLists(click.Command):
    """Let --learn take all that follows it, up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat --learn before each of its files."""
        spread: list[str] = []
        learning = False
        for word, following in zip(args, [*args[1:], "-"], strict=True):
            if word == "--learn" and not following.startswith("-"):
                learning = True
            elif word.startswith("-"):
                learning = False
                spread.append(word)
            else:
                spread += ["--learn", word] if learning else [word]
        return super().parse_args(ctx, spread)


@click.command(cls=_TakesLists, short_help="Fuse the scores of several systems.")
@click.argument("scores", type=_PATH, nargs=-1, required=True, metavar="SCORES...")
@click.option("-o", "--out", type=_PATH, required=True, help="The score table to write.")
@click.option(
    "--learn",
    type=_PATH,
    multiple=True,
    metavar="SCORES...",
    help="Tables to learn from: of the same systems, in the same order, on other trials.",
)
@click.option("--fusion", "known", type=_PATH, help="Apply a fusion that was saved.")
@click.option("--save", type=_PATH, help="Save the fusion, for --fusion.")
@click.option(
    "--quality",
    type=_PATH,
    help="What else is known of the tests, as side information: TSV with a column test (or model, "
    "or both) and columns of numbers, as seconds; or a feature store, which knows the seconds of "
    "speech.",
)
@click.option("--key", type=_PATH, help="A trial list with labels, where those learned have none.")
@click.option("--p-target", type=float, help="Prior that it is learned for.  [default: 0.5]")
@click.option(
    "--ridge",
    type=float,
    help="Weight of the squares that hold the systems' weights back.  [default: 1e-5]",
)
@click.option(
    "--toward",
    metavar="zero|equal",
    help="What a ridge pulls the weights towards: 0, or, of the systems' calibrated ratios, one "
    "another.  [default: zero]",
)
@untrusted_option
@replicates_option(0)
@json_option
@debug_option
def fuse(
    scores: tuple[Path, ...],
    out: Path,
    learn: tuple[Path, ...],
    known: Path | None,
    save: Path | None,
    quality: Path | None,
    key: Path | None,
    p_target: float | None,
    ridge: float | None,
    toward: str | None,
    n_replicates: int,
    as_json: bool,
) -> None:
    """Make one calibrated score of those of several systems, by logistic regression.

    It is learned from the tables after --learn, or was saved before. With neither it is learned
    from SCORES themselves, each trial judged by what the trials of other speakers teach.

    A trial that one of the systems could not score has no fused score, and the reason.

    One table of SCORES alone is calibrated.
    """
    from voicegmm._base.errors import OptionError
    from voicegmm._base.options import from_mapping
    from voicegmm.scoring import (
        FusionOptions,
        align_tables,
        fuse_tables,
        fused_held_out,
        learn_fusion_of,
        write_scores,
    )
    from voicegmm.store import load_fusion, read_labeled, read_quality_file, save_fusion

    if learn and len(learn) != len(scores):
        raise click.UsageError(
            f"--learn needs a table for each of the {len(scores)} SCORES, got {len(learn)}; "
            "SCORES stand before --learn"
        )
    said = {"p_target": p_target, "ridge": ridge, "toward": toward}
    settings = {name: value for name, value in said.items() if value is not None}
    if known and (learn or save or key or settings):
        raise click.UsageError(
            "--fusion goes without --learn, --save, --key, --p-target, --ridge and --toward"
        )
    check_output(out, *scores, *learn, key, known, save, quality)
    if save:
        check_output(save, *scores, *learn, key, quality)
    options = from_mapping(FusionOptions, settings)

    def aligned(paths: tuple[Path, ...], labels: Path | None) -> "AlignedTables":
        return align_tables([read_labeled(path, labels) for path in paths], [*map(str, paths)])

    tables = aligned(scores, None if learn else key)
    tried = aligned(learn, key) if learn else tables
    measures = read_quality_file(quality) if quality else None
    fusion = load_fusion(known) if known else learn_fusion_of(tried, options, measures)
    if known and bool(quality) != bool(fusion.quality):
        taken = ", ".join(each.name for each in fusion.quality)
        raise OptionError(
            f"{known} takes {taken} of each trial; give them with --quality"
            if taken
            else f"{known} was learned without quality measures; leave --quality out"
        )
    if known or learn:
        fused = fuse_tables(tables, fusion, measures)
    else:
        fused = fused_held_out(tables, options, measures)
    write_scores(out, fused)
    if save:
        save_fusion(save, fusion)
    _warn_of(fused, fusion)
    figures = _figures((*tables.systems, str(out)), (*tables.tables, fused), n_replicates)
    warnings = figures[str(out)]["warnings"]
    metrics = {name: found["metrics"] for name, found in figures.items()}
    if as_json:
        told = {**_told(fusion), "metrics": metrics, "warnings": warnings}
        print_json({"scores": str(out), **told})
        return
    say(f"{out}: {int(fused.scored.sum())} of {len(fused)} trials scored, calibrated")
    _print_weights(fusion)
    print_side_by_side({name: values_of(found) for name, found in metrics.items()})
    for warning in warnings:
        warn(f"{out}: {warning}")


def _figures(
    names: Sequence[str], tables: "Sequence[ScoreTable]", n_replicates: int
) -> dict[str, dict[str, Any]]:
    from voicegmm.scoring.evaluation import EvaluationOptions, known_figures

    options = EvaluationOptions(n_bootstrap=n_replicates)
    figures = {}
    for name, table in zip(names, tables, strict=True):
        with drawing_bar(name) as progress:
            figures[name] = known_figures(table, options, progress)
    return figures


def _told(fusion: "Fusion") -> dict[str, Any]:
    return {
        "weights": dict(zip(fusion.systems, fusion.weights, strict=True)),
        "quality": {each.name: each.weight for each in fusion.quality},
        "offset": fusion.offset,
        "n_targets": fusion.n_targets,
        "n_nontargets": fusion.n_nontargets,
    }


def _warn_of(fused: "ScoreTable", fusion: "Fusion") -> None:
    warn_of_unscored(fused)
    for system, weight in zip(fusion.systems, fusion.weights, strict=True):
        if weight < 0:
            warn(f"{system} weighs {weight:.3g}: it speaks against its own scores")


def _print_weights(fusion: "Fusion") -> None:
    from voicegmm.scoring.quality import in_logarithm

    terms = " + ".join(
        f"{weight:.4g} [{system}]"
        for system, weight in zip(fusion.systems, fusion.weights, strict=True)
    )
    for each in fusion.quality:
        name = f"log {each.name}" if in_logarithm(each.name) else each.name
        terms += f" {each.weight:+.4g} [{name}]"
    say(
        f"ratio = {terms} {fusion.offset:+.4g}, from {fusion.n_targets} target and "
        f"{fusion.n_nontargets} non-target trials"
    )
