"""The batch workflow, step by step: features, background model, adaptation, scores."""

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
_OUT = click.option("-o", "--out", type=_PATH, required=True, help="The file to write.")


@click.group()
def features() -> None:
    """Make and look at features."""


@features.command("extract")
@click.argument("what", type=_PATH, metavar="LIST|DIR")
@_OUT
@click.option(
    "--config",
    default="voicegmm-16k",
    show_default=True,
    help="A front end: a preset's name or a .toml file.",
)
@settings_option("mfcc.n_cepstra=16")
@click.option(
    "--root", type=_PATH, help="The folder that LIST is relative to.  [default: where LIST lies]"
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
    workers: int | None,
    as_json: bool,
) -> None:
    """Extract the features of recordings into one store.

    LIST has one recording a line; of a DIR all recordings below it are taken. A recording that
    cannot be used stands in the store with the reason; the others go on.
    """
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.progress import counting
    from voicegmm.corpus import find_recordings, read_files
    from voicegmm.features import Pipeline, load_front_end
    from voicegmm.store import extract_to_store

    check_output(out, what)
    pipeline = Pipeline(load_front_end(config, settings))
    if what.is_dir():
        paths = {str(path.relative_to(what)): path for path in find_recordings(what)}
        if not paths:
            raise VoicegmmError(f"{what}: no recordings in this folder or below it")
    else:
        paths = {name: (root or what.parent) / name for name in read_files(what)}
    with bars() as progress:
        counted = counting(progress, "features", len(paths))
        summary = extract_to_store(paths, pipeline, out, cores(workers), counted)
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
                "n_frames": summary.n_frames,
                "n_dims": pipeline.n_dims,
                "speech_seconds": round(summary.seconds, 2),
                "fingerprint": pipeline.fingerprint,
            }
        )
        return
    failed = f", {len(summary.failures)} could not be used" if summary.failures else ""
    click.echo(
        f"{out}: {summary.n_files} recordings{failed}; {summary.n_frames} frames of "
        f"{pipeline.n_dims} dimensions, {summary.seconds / 60:.1f} minutes of speech"
    )


@click.group()
def ubm() -> None:
    """Train universal background models."""


@ubm.command("train")
@click.argument("store", type=_PATH, metavar="FEATURES")
@_OUT
@click.option("--components", type=int, help="Gaussians.  [default: 256]")
@click.option("--iterations", type=int, help="The most EM iterations.  [default: 10]")
@click.option("--list", "listed", type=_PATH, help="Recordings to train on.  [default: all]")
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**63 - 1),
    default=0,
    show_default=True,
    help="Of all random choices.",
)
@workers_option
@json_option
@debug_option
def train(
    store: Path,
    out: Path,
    components: int | None,
    iterations: int | None,
    listed: Path | None,
    seed: int,
    workers: int | None,
    as_json: bool,
) -> None:
    """Train a universal background model from a feature store."""
    from dataclasses import replace

    from voicegmm.corpus import read_files
    from voicegmm.scoring import UbmOptions, train_background
    from voicegmm.scoring.frames import check_files
    from voicegmm.store import FeatureStore, save_background

    check_output(out, store, listed)
    options = UbmOptions()
    if components is not None:
        options = replace(options, n_components=components)
    if iterations is not None:
        options = replace(options, em=replace(options.em, n_iterations=iterations))
    with FeatureStore(store) as frames, bars() as progress:
        files = read_files(listed) if listed else frames.ids
        check_files(frames, files, str(listed or store))
        model, fitted = train_background(
            frames,
            files,
            options,
            seed,
            cores(workers),
            lambda number, _: progress("EM", number, options.em.n_iterations),
        )
    save_background(out, model)
    for warning in fitted.warnings:
        warn(warning)
    likelihood = fitted.iterations[-1].log_likelihood
    if as_json:
        print_json(
            {
                "ubm": str(out),
                "n_components": model.gmm.n_components,
                "n_frames": fitted.n_frames,
                "n_iterations": len(fitted.iterations),
                "converged": fitted.converged,
                "log_likelihood": likelihood,
            }
        )
        return
    click.echo(
        f"{out}: {model.gmm.n_components} components from {fitted.n_frames:.0f} frames, "
        f"{len(fitted.iterations)} iterations, {likelihood:.4f} nats per frame"
    )


@click.command(short_help="Make speaker models from a background model.")
@click.argument("ubm", type=_PATH, metavar="UBM")
@click.argument("store", type=_PATH, metavar="FEATURES")
@click.option(
    "--enroll", "enrollments", type=_PATH, required=True, help="List: model<TAB>file, with header."
)
@_OUT
@click.option("--relevance", type=float, help="Relevance factor.  [default: 10]")
@workers_option
@debug_option
def adapt(
    ubm: Path,
    store: Path,
    enrollments: Path,
    out: Path,
    relevance: float | None,
    workers: int | None,
) -> None:
    """Make speaker models: adapt the means of a background model to each enrollment."""
    from voicegmm._base.progress import counting
    from voicegmm.corpus import read_enrollments
    from voicegmm.mixture import MapOptions
    from voicegmm.scoring import Voices, enroll
    from voicegmm.scoring.frames import check_files
    from voicegmm.store import FeatureStore, load_background, save_voices

    check_output(out, ubm, store, enrollments)
    options = MapOptions() if relevance is None else MapOptions(relevance=relevance)
    enrolled = read_enrollments(enrollments)
    model = load_background(ubm)
    with FeatureStore(store) as frames, bars() as progress:
        files = [file for enrollment in enrolled for file in enrollment.files]
        check_files(frames, files, str(enrollments))
        counted = counting(progress, "speakers", len(enrolled))
        models, failures = enroll(model, frames, enrolled, options, cores(workers), counted)
    reason = "made by `voicegmm adapt`, which does not calibrate"
    save_voices(out, Voices(models, uncalibrated_because=reason, not_enrolled=failures))
    for name, why in failures.items():
        warn(f"{name} was not enrolled: {why}")
    click.echo(f"{out}: {len(models.ids)} speakers")


@click.command(short_help="Score a list of trials.")
@click.argument("speakers", type=_PATH, metavar="SPEAKERS")
@click.argument("store", type=_PATH, metavar="FEATURES")
@click.option("--trials", type=_PATH, required=True, help="List of VoxCeleb's, NIST's or our kind.")
@click.option("--segments", type=_PATH, help="List: segment<TAB>file, for tests of several files.")
@_OUT
@workers_option
@debug_option
def score(
    speakers: Path,
    store: Path,
    trials: Path,
    segments: Path | None,
    out: Path,
    workers: int | None,
) -> None:
    """Score trials: the mean log-likelihood ratio of each, calibrated where SPEAKERS can.

    A trial that cannot be scored stands in the table with a status and the reason.
    """
    from voicegmm._base.progress import counting
    from voicegmm.corpus import read_segments, read_trials
    from voicegmm.scoring import score_trials, write_scores
    from voicegmm.scoring.frames import check_files
    from voicegmm.store import FeatureStore, load_voices

    check_output(out, speakers, store, trials, segments)
    tried = read_trials(trials)
    if tried.n_duplicates:
        warn(f"{trials}: {tried.n_duplicates} trials stand twice and are scored once")
    made_of = read_segments(segments) if segments else {}
    voices = load_voices(speakers)
    with FeatureStore(store) as frames, bars() as progress:
        parts = [file for test in tried.tests for file in made_of.get(test, ())]
        check_files(frames, parts, str(segments))
        counted = counting(progress, "trials", len(tried))
        table = score_trials(voices, frames, tried, made_of, cores(workers), counted)
    write_scores(out, table)
    for status, reason, count in table.failures().values():
        warn(f"{count} trials not scored ({status}): {reason}")
    n_scored = int(table.scored.sum())
    kind = "calibrated" if voices.calibration else "uncalibrated"
    click.echo(f"{out}: {n_scored} of {len(table)} trials scored, {kind}")
