"""Commands about corpora: what they hold, and whether it can be used."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicegmm.cli.console import (
    bars,
    check_output,
    cores,
    debug_option,
    json_option,
    layout_option,
    print_json,
    workers_option,
)
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.corpus import CorpusCheck, Problem, ProtocolFolder

_PATH = click.Path(path_type=Path)
_MOST = 100  # lines of one kind
_WHAT = click.argument("what", type=_PATH, metavar="LIST|DIR")
_ROOT = click.option(
    "--root", type=_PATH, help="The folder that paths in LIST start from.  [default: where it lies]"
)


@click.group()
def corpus() -> None:
    """Look at what recordings there are, in any layout that is read.

    A folder with a sub-folder for each speaker; a list, plain or with the columns file, path,
    speaker, class, start, end and channel; a Kaldi data directory; lhotse's manifests; VoxCeleb;
    LibriSpeech.
    """


def _sides(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """Read NAME=LIST."""
    found: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"takes NAME=LIST, as train=train.txt; got {value!r}")
        if name in found:
            raise click.BadParameter(f"{name} is given twice")
        found[name] = Path(path)
    return found


@corpus.command("check", short_help="Find what is wrong with a corpus, before hours of work.")
@_WHAT
@layout_option
@_ROOT
@click.option(
    "--protocol",
    type=_PATH,
    metavar="DIR|RECIPE",
    help="A folder with ubm.txt, enrol.tsv and trials.txt (and files.tsv, segments.tsv), or a "
    "recipe.toml that makes such lists: are they whole, and are background and trials apart?",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME=LIST",
    callback=_sides,
    help="One side of a split: no speaker and no recording may be on two. Give two or more.",
)
@click.option(
    "--min-seconds",
    type=float,
    default=0.5,
    show_default=True,
    help="Shorter recordings are told.",
)
@click.option(
    "--silence-db",
    type=float,
    default=-70.0,
    show_default=True,
    help="Recordings at or below this level are silent.",
)
@click.option(
    "--plot",
    "picture",
    type=_PATH,
    metavar="FILE",
    help="Draw durations, levels, speakers and sample rates: .png or .svg.",
)
@workers_option
@json_option
@debug_option
def check(
    what: Path,
    layout: str,
    root: Path | None,
    protocol: Path | None,
    splits: Mapping[str, Path],
    min_seconds: float,
    silence_db: float,
    picture: Path | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Read every recording of a corpus, and tell everything that is wrong at once.

    Errors stop a run, leave trials without a score or make figures mean something else: recordings
    that are missing, unreadable or silent, one sound under two speakers, speakers on both sides of
    a split, lists that do not go together. Warnings are doubts: short or clipped recordings,
    copies, other sample rates.

    The exit code is 1 where there are errors.
    """
    from voicegmm._base.errors import OptionError
    from voicegmm.corpus import CheckOptions, Split, check_corpus, read_corpus

    if len(splits) == 1:
        raise click.UsageError("--split: a split has two sides or more; give another")
    if picture:
        check_output(picture, what)
        if picture.suffix.lower() not in (".png", ".svg"):
            raise OptionError(f"--plot draws .png or .svg, got {picture.name!r}")
    if protocol and not (protocol.is_dir() or protocol.suffix == ".toml"):
        raise OptionError(
            f"--protocol {protocol}: no such folder; give the folder of the lists, or a recipe.toml"
        )
    found = read_corpus(what, layout, root)
    sides = [Split(name, tuple(read_corpus(path).paths)) for name, path in splits.items()]
    options = CheckOptions(min_seconds, silence_db)
    with _lists_of(protocol, what) as lists, bars() as progress:
        checked = check_corpus(found, options, sides, lists, cores(workers), progress)
    if picture:
        _draw(checked, picture)
    if as_json:
        from voicegmm._base.options import to_mapping

        print_json({**checked.summary(), "problems": to_mapping(checked.problems)})
    else:
        _print(checked)
        if picture and checked.measures:
            say(f"picture: {picture}")
    return 0 if checked.ok else 1


@contextmanager
def _lists_of(protocol: Path | None, data: Path) -> Iterator["ProtocolFolder | None"]:
    """Give the lists of a folder, or those that a recipe makes, which are gone afterwards."""
    from voicegmm.corpus import ProtocolFolder

    if protocol is None or protocol.is_dir():
        yield ProtocolFolder(protocol) if protocol else None
        return
    from voicegmm.experiment import load_recipe, made_lists

    loaded = load_recipe(str(protocol))
    options = loaded.recipe.data
    names = options.background, options.enrollments, options.trials, options.segments
    if not options.prepare:
        yield ProtocolFolder(data / options.lists, *names)
        return
    with made_lists(loaded.folder / options.prepare, data, None) as folder:
        yield ProtocolFolder(folder, *names)


def _draw(checked: "CorpusCheck", picture: Path) -> None:
    from collections import Counter

    from voicegmm.cli.console import warn
    from voicegmm.plots import corpus_summary, save

    measures = checked.measures.values()
    if not measures:
        warn(f"{picture} was not drawn: no recording could be read")
        return
    figure = corpus_summary(
        [one.seconds for one in measures],
        [one.level_db for one in measures],
        checked.seconds_by_speaker(),
        Counter(one.sample_rate for one in measures),
        title=str(checked.corpus.place),
    )
    save(figure, picture)


def _print(checked: "CorpusCheck") -> None:
    told = checked.summary()
    unknown = told["n_without_speaker"]
    whose = f", of unknown speakers {unknown}" if unknown else ""
    say(
        f"{told['corpus']} ({told['layout']}): {told['n_recordings']} recordings of "
        f"{told['n_speakers']} speakers{whose}; {told['seconds'] / 60:.1f} minutes"
    )
    for name, key, unit in (
        ("sample rates", "sample_rates", " Hz"),
        ("channels", "channels", ""),
    ):
        each = (f"{value}{unit}: {count}" for value, count in told[key].items())
        say(f"  {name:26}{', '.join(each) or '-'}")
    for name, key, unit in (
        ("a recording", "recording_seconds", " s"),
        ("level", "level_db", " dB"),
        ("recordings a speaker", "recordings_per_speaker", ""),
        ("seconds a speaker", "seconds_per_speaker", " s"),
    ):
        say(f"  {name:26}{_range(told[key], unit)}")
    serious = [problem for problem in checked.problems if problem.serious]
    doubts = [problem for problem in checked.problems if not problem.serious]
    for heading, problems in (("error", serious), ("warning", doubts)):
        for line in _lines(problems):
            say(f"{heading}: {line}")
    if checked.problems:
        counts = (("error", len(serious)), ("warning", len(doubts)))
        say(", ".join(f"{count} {name}{'s'[: count != 1]}" for name, count in counts))
    else:
        say("nothing is wrong")


def _range(spread: Mapping[str, float] | None, unit: str) -> str:
    if spread is None:
        return "-"
    low, middle, high = (f"{spread[key]:.6g}" for key in ("least", "median", "most"))
    return f"{low} to {high}{unit}, median {middle}"


def _lines(problems: list["Problem"]) -> list[str]:
    """Tell problems in few lines: of one kind, reasons that are equal but for numbers make one."""
    from voicegmm._base.reasons import together

    lines = []
    for kind in dict.fromkeys(problem.kind for problem in problems):
        own = [problem for problem in problems if problem.kind == kind]
        if kind in ("split", "protocol"):
            told = [_named(one) for one in own]
        else:
            told = [f"{kind}: {line}" for line in together({one.name: one.reason for one in own})]
        lines += told[:_MOST]
        if told[_MOST:]:
            lines.append(f"{kind}: {len(told) - _MOST} more lines; --json has all of them")
    return lines


def _named(problem: "Problem") -> str:
    """Put the list's name before what is wrong with it, unless its path stands there."""
    told = problem.reason.split(": ", 1)[0].endswith(problem.name)
    return problem.reason if told else f"{problem.name}: {problem.reason}"


@corpus.command("list", short_help="Write what a corpus holds as a list with columns.")
@_WHAT
@click.option("-o", "--out", type=_PATH, required=True, help="The list to write (.tsv).")
@layout_option
@_ROOT
@json_option
@debug_option
def write_list(what: Path, out: Path, layout: str, root: Path | None, as_json: bool) -> None:
    """Write the recordings of a corpus of any layout as a list of ours.

    Columns: file, the name; path, where it lies; speaker; start, end and channel, where it is a
    part of a recording. Every command that takes a corpus takes this list.
    """
    from dataclasses import replace

    from voicegmm.corpus import read_corpus, write_utterances

    check_output(out, what)
    found = read_corpus(what, layout, root)
    whole = [replace(one, path=one.path.resolve()) for one in found.utterances]
    write_utterances(out, whole)
    told: dict[str, Any] = {
        "list": str(out),
        "layout": found.layout,
        "n_recordings": len(whole),
        "n_speakers": len({one.speaker for one in whole} - {""}),
    }
    if as_json:
        print_json(told)
        return
    n_speakers = told["n_speakers"]
    say(f"{out}: {len(whole)} recordings of {n_speakers} speakers ({found.layout})")
