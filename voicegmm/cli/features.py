"""Commands about features: extract, plot, compare."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from voicegmm.cli.console import (
    bars,
    check_output,
    cores,
    debug_option,
    json_option,
    layout_option,
    print_json,
    settings_option,
    untrusted_option,
    warn,
    workers_option,
)
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.store import FeatureComparison

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)
_WORST = 5  # recordings that `compare` names


@click.group()
def features() -> None:
    """Make and look at features."""


def _front_end_options(command: F) -> F:
    """Add --config and --set."""
    config = click.option(
        "--config",
        default="voicegmm-16k",
        show_default=True,
        help="A front end: a preset's name or a .toml file.",
    )
    return config(settings_option("static.n_cepstra=16")(command))


_LABELS = click.option(
    "--labels",
    type=_PATH,
    metavar="FILE|DIR",
    help="Where there is speech, instead of a detector: RTTM, Kaldi's segments, or a folder of "
    "Audacity's label tracks.",
)


@features.command("extract")
@click.argument("what", type=_PATH, metavar="LIST|DIR")
@click.option("-o", "--out", type=_PATH, required=True, help="The file to write.")
@_front_end_options
@layout_option
@click.option(
    "--root", type=_PATH, help="The folder that LIST is relative to.  [default: where LIST lies]"
)
@_LABELS
@workers_option
@json_option
@debug_option
def extract(
    what: Path,
    out: Path,
    config: str,
    settings: tuple[str, ...],
    layout: str,
    root: Path | None,
    labels: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Extract the features of recordings into one store.

    LIST has one recording a line, or columns (file, path, start, end, channel); of a DIR all
    recordings below it are taken, unless it is a Kaldi data directory or holds lhotse's manifests:
    these say which, and which parts of them. A recording that cannot be used stands in the store
    with the reason; the others go on.

    Each finished recording is kept in OUT.partial: after an interruption the same command goes on
    from there and ends with the same bytes.
    """
    from voicegmm._base.progress import counting
    from voicegmm.corpus import labels_of, read_corpus, read_labels
    from voicegmm.features import Pipeline, load_front_end
    from voicegmm.store import extract_to_store

    check_output(out, what)
    if labels:
        settings = (*settings, "speech.method=labels")
    pipeline = Pipeline(load_front_end(config, settings))
    corpus = read_corpus(what, layout, root)
    paths = corpus.paths
    segments = labels_of(read_labels(labels), paths) if labels else None
    with bars() as progress:
        counted = counting(progress, "features", len(paths))
        summary = extract_to_store(
            paths, pipeline, out, cores(workers), counted, segments, corpus.excerpts
        )
    for warning in summary.warnings():
        warn(warning)
    if as_json:
        print_json(
            {
                "features": str(out),
                "n_recordings": summary.n_files,
                "n_failures": len(summary.failures),
                "n_resumed": summary.n_resumed,
                "n_frames": summary.n_frames,
                "n_dims": pipeline.n_dims,
                "speech_seconds": round(summary.seconds, 2),
                "fingerprint": pipeline.fingerprint,
            }
        )
        return
    failed = f", {len(summary.failures)} could not be used" if summary.failures else ""
    resumed = f", {summary.n_resumed} kept from an interrupted run" if summary.n_resumed else ""
    say(
        f"{out}: {summary.n_files} recordings{failed}{resumed}; {summary.n_frames} frames of "
        f"{pipeline.n_dims} dimensions, {summary.seconds / 60:.1f} minutes of speech"
    )


@features.command("plot")
@click.argument("recording", type=_PATH, metavar="RECORDING")
@click.option(
    "-o", "--out", type=_PATH, help="The .png or .svg to write.  [default: RECORDING's name, .png]"
)
@_front_end_options
@_LABELS
@debug_option
def plot(
    recording: Path, out: Path | None, config: str, settings: tuple[str, ...], labels: Path | None
) -> None:
    """Draw a recording as a front end sees it.

    Waveform, spectrogram, static features and speech over one axis of time.
    """
    from voicegmm.audio import read_signal
    from voicegmm.corpus import labels_of, read_labels
    from voicegmm.features import load_front_end
    from voicegmm.plots import recording as draw
    from voicegmm.plots import save

    out = out or Path(recording.with_suffix(".png").name)
    check_output(out, recording)
    if labels:
        settings = (*settings, "speech.method=labels")
    options = load_front_end(config, settings)
    name = str(recording)
    segments = labels_of(read_labels(labels), [name])[name] if labels else None
    signal = read_signal(recording, options.sample_rate)
    for note in signal.notes:
        warn(f"{recording}: {note}")
    say(save(draw(signal, options, segments, title=recording.name), out))


@features.command("compare")
@click.argument("first", type=_PATH)
@click.argument("second", type=_PATH)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="The largest difference of two values that counts as none.",
)
@untrusted_option
@json_option
@debug_option
def compare(first: Path, second: Path, tolerance: float, as_json: bool) -> None:
    """Tell whether two files of features are the same, and where they differ.

    Each is a feature store of ours, a .npy or .npz, a Kaldi archive (.ark, binary, not compressed)
    or an HTK file. The exit code is 0 whether they are the same or not; see --json.
    """
    from voicegmm._base.options import to_mapping
    from voicegmm.store import compare_features

    found = compare_features(first, second, tolerance)
    if as_json:
        print_json({"first": str(first), "second": str(second), **to_mapping(found)})
        return
    _print_comparison(found)


def _print_comparison(found: "FeatureComparison") -> None:
    differ = [recording for recording in found.recordings if not recording.same]
    both = len(found.recordings)
    if found.same:
        say(f"same: {both} recordings, {found.n_compared} frames")
    else:
        say(f"different: {len(differ)} of {both} recordings that both have")
    if found.max_difference:
        lowest = min((value for value in found.correlations if value is not None), default=None)
        told = "" if lowest is None else f", lowest correlation of a dimension {lowest:.6f}"
        say(
            f"over {found.n_compared} frames: largest difference {found.max_difference:.6g}, "
            f"mean {found.mean_difference:.6g}{told}"
        )
    if found.n_dims[0] != found.n_dims[1]:
        say(f"dimensions: {found.n_dims[0]}, {found.n_dims[1]}")
    for option in found.options:
        say(f"option {option}")
    for name, missing in (("first", found.only_first), ("second", found.only_second)):
        if missing:
            more = ", ..." if len(missing) > _WORST else ""
            say(f"only in the {name}: {', '.join(missing[:_WORST])}{more} ({len(missing)})")
    differ.sort(key=lambda recording: -(recording.max_difference or float("inf")))
    for recording in differ[:_WORST]:
        one, other = recording.n_frames
        frames = f"{one} frames" if one == other else f"{one} and {other} frames"
        highest = recording.max_difference
        told = "" if highest is None else f", largest difference {highest:.6g}"
        say(f"{recording.file}: {frames}{told}")
    if len(differ) > _WORST:
        say(f"... and {len(differ) - _WORST} more: see --json")
