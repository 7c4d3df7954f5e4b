"""The batch workflow, step by step: background model, adaptation, scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from voicegmm.cli.console import (
    bars,
    check_output,
    cores,
    debug_option,
    json_option,
    now,
    print_json,
    settings_option,
    untrusted_option,
    warn,
    warn_of_unscored,
    workers_option,
)
from voicegmm.cli.explaining import check_explanations, explain_table
from voicegmm.cli.terminal import say

if TYPE_CHECKING:
    from voicegmm.scoring import ScoredList, ScoringOptions, Voices
    from voicegmm.store import FeatureStore, ScoreJournal

_PATH = click.Path(path_type=Path)
_OUT = click.option("-o", "--out", type=_PATH, required=True, help="The file to write.")


@click.group()
def ubm() -> None:
    """Train universal background models."""


@ubm.command("train")
@click.argument("store", type=_PATH, metavar="FEATURES")
@_OUT
@click.option("--components", type=int, help="Gaussians.  [default: 256]")
@click.option("--iterations", type=int, help="The most EM iterations.  [default: 10]")
@click.option(
    "--em",
    help="How: dense, plain EM; fast, growth by splitting and short lists of components, for 512 "
    "components and more; auto, whichever pays.  [default: dense]",
)
@click.option(
    "--list",
    "listed",
    type=_PATH,
    help="Recordings to train on: a list, or what features extract takes.  [default: all]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**63 - 1),
    default=0,
    show_default=True,
    help="Of all random choices.",
)
@workers_option
@click.option("--processes", is_flag=True, help="Let the workers be processes, not threads.")
@settings_option("em.variance_floor=0.001, em.starved=split or initial.method=lbg")
@click.option(
    "--memory",
    type=click.FloatRange(min=1),
    metavar="MB",
    help="What a pass of EM may hold at most. The result is the same for any limit.",
)
@untrusted_option
@json_option
@debug_option
def train(
    store: Path,
    out: Path,
    components: int | None,
    iterations: int | None,
    em: str | None,
    listed: Path | None,
    seed: int,
    workers: int | None,
    processes: bool,
    settings: tuple[str, ...],
    memory: float | None,
    as_json: bool,
) -> None:
    """Train a universal background model from a feature store.

    Each finished iteration is kept in OUT.partial: after an interruption the same command goes on
    from there, and ends with the same model.
    """
    from dataclasses import replace

    from voicegmm._base.options import from_mapping, to_mapping
    from voicegmm._base.presets import Config, with_overrides
    from voicegmm.corpus import read_corpus
    from voicegmm.scoring import UbmOptions, train_background
    from voicegmm.scoring.frames import check_files
    from voicegmm.store import FeatureStore, TrainingCheckpoint, save_background

    check_output(out, store, listed)
    checkpoint = TrainingCheckpoint.beside(out)
    config = with_overrides(Config(to_mapping(UbmOptions()), {}), settings)
    options = from_mapping(UbmOptions, config.values, sources=config.sources)
    if components is not None:
        options = replace(options, n_components=components)
    if iterations is not None:
        options = replace(options, em=replace(options.em, n_iterations=iterations))
    if em is not None:
        options = replace(options, fast=replace(options.fast, method=em))
    with FeatureStore(store) as frames, bars() as progress:
        files = tuple(read_corpus(listed).paths) if listed else frames.ids
        check_files(frames, files, str(listed or store))
        model, fitted = train_background(
            frames,
            files,
            options,
            seed,
            cores(workers),
            lambda number, line: progress(
                "EM",
                number,
                options.em.n_iterations,
                f"{line.log_likelihood:.4f} nats per frame",
            ),
            checkpoint=checkpoint,
            workers="processes" if processes else "threads",
            memory_mb=memory,
        )
    save_background(out, model)
    checkpoint.remove()
    for warning in fitted.warnings:
        warn(warning)
    likelihood = fitted.iterations[-1].log_likelihood
    audited = [line for line in fitted.iterations if line.loss > 0]
    if as_json:
        print_json(
            {
                "ubm": str(out),
                "n_components": model.gmm.n_components,
                "n_frames": fitted.n_frames,
                "n_iterations": len(fitted.iterations),
                "converged": fitted.converged,
                "log_likelihood": likelihood,
                "audited_losses": [
                    {"value": line.loss, "standard_error": line.loss_error} for line in audited
                ],
            }
        )
        return
    say(
        f"{out}: {model.gmm.n_components} components from {fitted.n_frames:.0f} frames, "
        f"{len(fitted.iterations)} iterations, {likelihood:.4f} nats per frame"
    )
    if audited:
        losses = ", ".join(f"{line.loss:.4f} ± {line.loss_error:.4f}" for line in audited)
        say(f"passes over short lists fell short by (audited, nats per frame): {losses}")


@click.command(short_help="Make speaker models from a background model.")
@click.argument("ubm", type=_PATH, metavar="UBM")
@click.argument("store", type=_PATH, metavar="FEATURES")
@click.option(
    "--enroll",
    "enrollments",
    type=_PATH,
    required=True,
    metavar="LIST|DIR",
    help="List: model<TAB>file, with header; or a corpus, each speaker of which is a model.",
)
@_OUT
@click.option("--relevance", type=float, help="Relevance factor.  [default: 10]")
@click.option(
    "--rule",
    help="How speech and background mix: reynolds, by relevance; fixed, by --alpha; kaldi, whose "
    "means are Reynolds'.  [default: reynolds]",
)
@click.option("--alpha", type=float, help="Share of the speech, 0 to 1, with --rule fixed.")
@click.option(
    "--background",
    type=_PATH,
    metavar="LIST|DIR",
    help="Recordings of other people: a list that names them <speaker>/..., as a recipe's, or a "
    "corpus: they calibrate the scores, and are the cohort where scores are normalized.",
)
@settings_option("scoring.normalization.method=s or calibration.n_folds=10")
@click.option("--force", is_flag=True, help="Even from less than a second of speech.")
@workers_option
@untrusted_option
@debug_option
def adapt(
    ubm: Path,
    store: Path,
    enrollments: Path,
    out: Path,
    relevance: float | None,
    rule: str | None,
    alpha: float | None,
    background: Path | None,
    settings: tuple[str, ...],
    force: bool,
    workers: int | None,
) -> None:
    """Make speaker models: adapt the means of a background model to each enrollment.

    With --background they are calibrated, as in a recipe, by folds over these speakers.
    """
    from voicegmm._base.errors import VoicegmmError
    from voicegmm._base.options import from_mapping, to_mapping
    from voicegmm._base.presets import Config, with_overrides
    from voicegmm._base.progress import counting
    from voicegmm._base.reasons import together
    from voicegmm.corpus import read_models, read_speakers
    from voicegmm.scoring import Calibrated, SpeakerOptions, calibrate, make_voices
    from voicegmm.scoring.background import training_of
    from voicegmm.scoring.frames import check_files
    from voicegmm.store import FeatureStore, load_background, save_voices

    check_output(out, ubm, store, enrollments, background)
    asked = {"relevance": relevance, "rule": rule, "alpha": alpha}
    given = [f"adaptation.{name}={value}" for name, value in asked.items() if value is not None]
    least = ["min_enroll_seconds=0.0"] if force else []
    start = Config(to_mapping(SpeakerOptions()), {})
    config = with_overrides(start, [*settings, *given, *least])
    options = from_mapping(SpeakerOptions, config.values, sources=config.sources)
    idle = [key for key in config.sources if key.startswith(("calibration.", "scoring.norm"))]
    if idle and not background:
        raise click.UsageError(f"{idle[0]} needs other people's speech: give --background LIST")
    enrolled = read_models(enrollments)
    others = read_speakers(background) if background else {}
    model = load_background(ubm)
    with FeatureStore(store) as frames, bars() as progress:
        files = [file for enrollment in enrolled for file in enrollment.files]
        check_files(frames, files, str(enrollments))
        check_files(frames, [file for each in others.values() for file in each], str(background))
        n_workers = cores(workers)
        learned = (
            calibrate(
                frames,
                others,
                options,
                training_of(model),
                model.seed,
                enrolled,
                n_workers,
                lambda done, total: progress("calibration", done, total),
            )
            if background
            else Calibrated(reason="made by `voicegmm adapt` without --background")
        )
        voices = make_voices(
            model,
            frames,
            enrolled,
            others,
            options,
            (learned.calibration, learned.reason),
            n_workers,
            counting(progress, "speakers", len(enrolled)),
            now(),
        )
    for line in together(voices.not_enrolled, "speakers"):
        warn(f"not enrolled: {line}")
    if not voices.speakers.ids:
        raise VoicegmmError(f"{enrollments}: nobody could be enrolled")
    save_voices(out, voices)
    kind = ", calibrated" if voices.calibration else ""
    say(f"{out}: {len(voices.speakers.ids)} speakers{kind}")


@click.command(short_help="Score a list of trials.")
@click.argument("speakers", type=_PATH, metavar="SPEAKERS")
@click.argument("store", type=_PATH, metavar="FEATURES")
@click.option("--trials", type=_PATH, required=True, help="List of VoxCeleb's, NIST's or our kind.")
@click.option("--segments", type=_PATH, help="List: segment<TAB>file, for tests of several files.")
@_OUT
@click.option(
    "--method",
    help="How to score: exact, the log-likelihood ratio; top, from the best components of each "
    "frame (with isv or jfa both have the session of the test on either side); linear or "
    "symmetric, from the test's statistics; kl or bhattacharyya, kernels between models; "
    "subspace, linear or of vectors.  [default: as SPEAKERS were calibrated, else exact]",
)
@click.option(
    "--top", type=int, help="Best components of a frame, with --method top.  [default: 10]"
)
@click.option(
    "--length-normalization/--no-length-normalization",
    default=None,
    help="Whether scores are per frame.  [default: they are]",
)
@settings_option("normalization.method=none or normalization.n_top=50")
@click.option(
    "--explain",
    "explained",
    type=_PATH,
    metavar="DIR",
    help="For a short list: write into DIR, for each trial, which seconds spoke for the speaker "
    "and which against, as a figure (.svg) and frame by frame (.tsv).",
)
@workers_option
@untrusted_option
@debug_option
def score(
    speakers: Path,
    store: Path,
    trials: Path,
    segments: Path | None,
    out: Path,
    method: str | None,
    top: int | None,
    length_normalization: bool | None,
    settings: tuple[str, ...],
    explained: Path | None,
    workers: int | None,
) -> None:
    """Score trials: the mean log-likelihood ratio of each, calibrated where SPEAKERS can.

    A trial that cannot be scored stands in the table with a status and the reason. Finished scores
    are kept in OUT.partial, those of a list that is too long for memory in OUT.parts: after an
    interruption the same command goes on from there, and ends with the same table.
    """
    from voicegmm._base.options import from_mapping, to_mapping
    from voicegmm._base.presets import Config, with_overrides
    from voicegmm.corpus import n_parts_of, read_segments
    from voicegmm.scoring import ScoringOptions
    from voicegmm.store import FeatureStore, ScoreJournal, load_voices

    check_output(out, speakers, store, trials, segments)
    made_of = read_segments(segments) if segments else {}
    voices = load_voices(speakers)
    asked = {"method": method, "n_top": top, "length_normalization": length_normalization}
    given = {name: value for name, value in asked.items() if value is not None}
    known = to_mapping(voices.scoring)
    if method:  # another method starts from its own defaults
        known = {"normalization": known["normalization"]}
    config = with_overrides(Config(known | given, {}), settings)
    options = from_mapping(ScoringOptions, config.values, sources=config.sources)
    n_parts = n_parts_of(trials)
    with FeatureStore(store) as frames, ScoreJournal(out) as journal:
        job = _Job(voices, frames, made_of, str(segments), options, cores(workers), explained)
        if n_parts > 1:
            result = _score_in_parts(job, trials, n_parts, out)
        else:
            result = _score_at_once(job, trials, out, journal)
    warn_of_unscored(result)
    kind = "calibrated" if voices.calibration else "uncalibrated"
    say(f"{out}: {result.n_scored} of {result.n_trials} trials scored, {kind}")


@dataclass(frozen=True, eq=False)
class _Job:
    """What trials are scored with."""

    voices: "Voices"
    frames: "FeatureStore"
    segments: dict[str, tuple[str, ...]]
    segments_file: str
    options: "ScoringOptions"
    n_workers: int
    explained: Path | None

    def check(self, tests: tuple[str, ...], n_trials: int) -> None:
        """Refuse segments without features, and explanations of too many trials."""
        from voicegmm.scoring.frames import check_files
        from voicegmm.scoring.models import adapted_models

        if self.explained:
            adapted_models(self.voices.speakers, "an explanation")
            check_explanations(self.explained, n_trials)
        parts = [file for test in tests for file in self.segments.get(test, ())]
        check_files(self.frames, parts, self.segments_file)


def _score_at_once(job: _Job, path: Path, out: Path, journal: "ScoreJournal") -> "ScoredList":
    from voicegmm._base.progress import counting
    from voicegmm.corpus import read_trials
    from voicegmm.scoring import ScoredList, score_trials, write_scores

    trials = read_trials(path)
    _warn_of_duplicates(path, trials.n_duplicates)
    job.check(trials.tests, len(trials))
    with bars() as progress:
        counted = counting(progress, "trials", len(trials))
        table = score_trials(
            job.voices,
            job.frames,
            trials,
            job.segments,
            job.n_workers,
            counted,
            job.options,
            journal,
        )
        write_scores(out, table)
        if job.explained:
            explain_table(job.explained, job.voices.speakers, job.frames, table, job.segments)
    return ScoredList.of(table)


def _score_in_parts(job: _Job, path: Path, n_parts: int, out: Path) -> "ScoredList":
    """Score a list that is too long for memory, in a folder beside OUT that goes in the end."""
    from voicegmm._base.progress import counting
    from voicegmm.corpus import parts_folder, split_trials
    from voicegmm.scoring import score_long_list
    from voicegmm.store import ScoreJournal

    with parts_folder(out) as folder, bars() as progress:
        parts = split_trials(path, folder, n_parts)
        job.check(parts.tests, parts.n_trials)
        result = score_long_list(
            job.voices,
            job.frames,
            parts,
            out,
            ScoreJournal,
            job.segments,
            job.n_workers,
            counting(progress, "trials", parts.n_trials),
            job.options,
        )
    _warn_of_duplicates(path, result.n_duplicates)
    return result


def _warn_of_duplicates(path: Path, n_duplicates: int) -> None:
    if n_duplicates:
        warn(f"{path}: {n_duplicates} trials stand twice and are scored once")
