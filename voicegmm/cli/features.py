"""Commands about features: extract."""

from pathlib import Path

import click

from voicegmm.cli.console import (
    bars,
    check_output,
    cores,
    debug_option,
    json_option,
    print_json,
    settings_option,
    warn,
    workers_option,
)

_PATH = click.Path(path_type=Path)


@click.group()
def features() -> None:
    """Make and look at features."""


@features.command("extract")
@click.argument("what", type=_PATH, metavar="LIST|DIR")
@click.option("-o", "--out", type=_PATH, required=True, help="The file to write.")
@click.option(
    "--config",
    default="voicegmm-16k",
    show_default=True,
    help="A front end: a preset's name or a .toml file.",
)
@settings_option("static.n_cepstra=16")
@click.option(
    "--root", type=_PATH, help="The folder that LIST is relative to.  [default: where LIST lies]"
)
@click.option(
    "--labels",
    type=_PATH,
    metavar="FILE|DIR",
    help="Where there is speech, instead of a detector: RTTM, Kaldi's segments, or a folder of "
    "Audacity's label tracks.",
)
@workers_option
@json_option
@debug_option
def extract(
    what: Path,
    out: Path,
    config: str,
    settings: tuple[str, ...],
    root: Path | None,
    labels: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Extract the features of recordings into one store.

    LIST has one recording a line; of a DIR all recordings below it are taken. A recording that
    cannot be used stands in the store with the reason; the others go on.

    Each finished recording is kept in OUT.partial: after an interruption the same command goes on
    from there and ends with the same bytes.
    """
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.progress import counting
    from voicegmm.corpus import find_recordings, labels_of, read_files, read_labels
    from voicegmm.features import Pipeline, load_front_end
    from voicegmm.store import extract_to_store

    check_output(out, what)
    if labels:
        settings = (*settings, "speech.method=labels")
    pipeline = Pipeline(load_front_end(config, settings))
    if what.is_dir():
        paths = {str(path.relative_to(what)): path for path in find_recordings(what)}
        if not paths:
            raise VoicegmmError(f"{what}: no recordings in this folder or below it")
    else:
        paths = {name: (root or what.parent) / name for name in read_files(what)}
    segments = labels_of(read_labels(labels), paths) if labels else None
    with bars() as progress:
        counted = counting(progress, "features", len(paths))
        summary = extract_to_store(paths, pipeline, out, cores(workers), counted, segments)
    for status in summary.failures.values():
        warn(f"{status.status}: {status.reason}")
    for file, note in summary.notes.items():
        warn(f"{file}: {note}")
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
    click.echo(
        f"{out}: {summary.n_files} recordings{failed}{resumed}; {summary.n_frames} frames of "
        f"{pipeline.n_dims} dimensions, {summary.seconds / 60:.1f} minutes of speech"
    )
