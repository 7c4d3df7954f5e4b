"""Training a voice bank from folders of recordings."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import DataError, ListError, OptionError, VoicegmmError
from voicegmm._base.progress import Progress, counting, silent
from voicegmm._base.reasons import together
from voicegmm.bank.streaming import can_stream, learned_from
from voicegmm.corpus import Enrollment, Utterance, scan_speakers, shared_recordings
from voicegmm.features import Pipeline, PipelineOptions, front_end_for
from voicegmm.metrics import Estimate, evaluate
from voicegmm.mixture import DiagonalGMM, FitResult, MapOptions
from voicegmm.scoring import (
    BackgroundModel,
    FoldOptions,
    FoldTests,
    FrameLibrary,
    Rehearsal,
    RunningTrials,
    ScoringOptions,
    SequentialOptions,
    Subspace,
    SubspaceOptions,
    UbmOptions,
    Voices,
    check_subspace,
    cohort_size,
    enroll,
    make_cohort,
    open_set_tests,
    promise_identification,
    rehearse,
    running_trials,
    train_background,
    train_subspace,
    usable,
)
from voicegmm.scoring.background import training_of
from voicegmm.scoring.frames import contents_of, distinct
from voicegmm.scoring.identification import rate_of
from voicegmm.scoring.records import checked_time
from voicegmm.scoring.subspaces import in_sample
from voicegmm.store import FeatureStore, extract_to_store

log = logging.getLogger(__name__)

_FEWEST, _MOST = 8, 512


@dataclass(frozen=True)
class BankOptions:
    """How a voice bank is trained.

    Parameters
    ----------
    features : PipelineOptions, optional
        None: our front end for 16 kHz or for 8 kHz, as the recordings are.
    n_components : int
        Gaussians of the background model; 0: chosen from the amount of speech.
    frames_per_component : int
        Speech frames that each Gaussian should have, when their number is chosen.
    ubm : UbmOptions
        Its `n_components` is not used here.
    adaptation : MapOptions
    backend : SubspaceOptions
        What models a speaker: adaptation alone, or a subspace, trained on those who train the
        background model; `scoring.method` is "subspace" then, or with "isv" and "jfa" a ratio
        of frames, "exact" or "top".
    n_folds : int
        Folds of speakers for calibration.
    min_speakers : int
        With fewer speakers (or fewer in the background) scores stay uncalibrated.
    max_false_accept : float
        Share of strangers' recordings that `identify` may give a name, in (0, 1).
    min_enroll_seconds : float
        A speaker with less speech is left out.
    scoring : ScoringOptions
        How recordings are scored. Normalization by "t" or none: "t" needs a `background`, whose
        speakers are the cohort; the others would need the cohort's recordings again whenever
        somebody is enrolled.
    sequential : SequentialOptions
        Of `VoiceBank.verifier`, where the front end takes sound in pieces.
    seed : int
    """

    features: PipelineOptions | None = None
    n_components: int = 0
    frames_per_component: int = 250
    ubm: UbmOptions = field(default_factory=UbmOptions)
    adaptation: MapOptions = field(default_factory=MapOptions)
    backend: SubspaceOptions = field(default_factory=SubspaceOptions)
    n_folds: int = 5
    min_speakers: int = 10
    max_false_accept: float = 0.05
    min_enroll_seconds: float = 1.0
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    sequential: SequentialOptions = field(default_factory=SequentialOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("n_components", self.n_components, 0)
        at_least("frames_per_component", self.frames_per_component, 1)
        at_least("n_folds", self.n_folds, 2)
        at_least("min_speakers", self.min_speakers, 2)
        within("max_false_accept", self.max_false_accept, 1e-6, 1 - 1e-6)
        within("seed", self.seed, 0, 2**63 - 1)
        at_least("min_enroll_seconds", self.min_enroll_seconds, 0)
        check_subspace(self.backend, self.adaptation, self.scoring)
        if self.scoring.normalization.method not in ("none", "t"):
            raise OptionError(
                "scoring.normalization.method must be 'none' or 't' in a voice bank, got "
                f"{self.scoring.normalization.method!r}: it would need the cohort's recordings "
                "whenever somebody is enrolled"
            )


@dataclass(frozen=True, eq=False)
class Training:
    """What came of a training.

    Parameters
    ----------
    voices : Voices
    n_recordings : int
    speech_seconds : float
    left_out : dict of str to str
        Speakers that could not be enrolled, with the reason.
    failures : dict of str to str
        Recordings that could not be used, with the reason.
    warnings : tuple of str
    """

    voices: Voices
    n_recordings: int
    speech_seconds: float
    left_out: dict[str, str]
    failures: dict[str, str]
    warnings: tuple[str, ...]


def choose_components(n_frames: int, frames_per_component: int) -> int:
    """Choose a number of Gaussians for an amount of speech: a power of two, 8 to 512."""
    wanted = max(n_frames // frames_per_component, 1)
    return int(min(max(2 ** int(np.log2(wanted)), _FEWEST), _MOST))


def train_voices(
    folder: str | Path,
    work: Path,
    options: BankOptions,
    background: str | Path | None = None,
    n_workers: int = 1,
    progress: Progress = silent,
    enrolled_at: str = "",
    layout: str = "auto",
) -> Training:
    """Train speaker models from a folder with a sub-folder for each speaker.

    Parameters
    ----------
    folder : path
        Or any corpus whose speakers are known; see `voicegmm.corpus.read_corpus`.
    work : path
        A folder for temporary files.
    options : BankOptions
    background : path, optional
        Another such folder, of people who are not enrolled: they train the background model and
        the calibration.
    n_workers : int
    progress : callable
        See `voicegmm._base.progress`.
    enrolled_at : str
        For the audit record, as `EnrolledRecording` wants it.
    layout : str
        Of both, one of `voicegmm.corpus.LAYOUTS`; "auto": as each looks.

    Raises
    ------
    VoicegmmError
        If there are no recordings, or no speaker with enough speech.
    """
    checked_time(enrolled_at)
    if options.scoring.normalization.method != "none" and not background:
        raise OptionError(
            f"scoring.normalization.method {options.scoring.normalization.method!r} needs a "
            "cohort of people who are not enrolled: give their speech with --background"
        )
    speakers = _named(folder, scan_speakers(folder, layout))
    outsiders = _named(background, scan_speakers(background, layout)) if background else {}
    own, others = _names_of(speakers), _names_of(outsiders)
    _refuse_shared(speakers, outsiders)
    everything = [one for group in (speakers, outsiders) for own in group.values() for one in own]
    paths = {one.name: one.path for one in everything}
    excerpts = {one.name: one.excerpt for one in everything}
    pipeline = Pipeline(options.features or front_end_for(list(paths.values())))
    store_path = work / "features.h5"
    summary = extract_to_store(
        paths,
        pipeline,
        store_path,
        n_workers,
        counting(progress, "features", len(paths)),
        excerpts=excerpts,
    )
    with FeatureStore(store_path) as frames:
        kept, left_out = _with_enough_speech(frames, own, options.min_enroll_seconds)
        if not kept:
            reason = next(iter(left_out.values()))
            raise VoicegmmError(f"{folder}: no speaker can be enrolled; {reason}")
        model, fitted = _background_model(frames, others or kept, options, n_workers, progress)
        subspace = _subspace(model, frames, kept, others, options, n_workers, progress)
        enrollments = [Enrollment(name, tuple(group)) for name, group in kept.items()]
        models, _ = enroll(
            model,
            frames,
            enrollments,
            options.adaptation,
            n_workers,
            enrolled_at=enrolled_at,
            subspace=subspace,
        )
        voices = Voices(models, scoring=options.scoring)
        if options.scoring.normalization.method != "none":
            size = cohort_size(enrollments, others)
            cohort = make_cohort(models, frames, others, size, options.scoring, n_workers)
            voices = replace(voices, cohort=cohort)
        judged = _judge(
            frames,
            kept,
            others,
            enrollments,
            training_of(model),
            options,
            n_workers,
            progress,
            voices,
        )
    warnings = [*together(summary.notes), *fitted.warnings, *(subspace.notes if subspace else ())]
    if judged.uncalibrated_because:
        warnings.append(f"the scores are uncalibrated: {judged.uncalibrated_because}")
    return Training(
        judged,
        summary.n_files,
        summary.seconds,
        left_out,
        summary.reasons(),
        tuple(warnings),
    )


Speakers = Mapping[str, tuple[Utterance, ...]]


def _named(place: str | Path, speakers: Speakers) -> Speakers:
    """Name recordings by the folder of their corpus too: they stay apart from another's."""
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    return {
        name: tuple(replace(one, name=str(folder / one.name)) for one in own)
        for name, own in speakers.items()
    }


def _names_of(speakers: Speakers) -> dict[str, list[str]]:
    return {name: [one.name for one in own] for name, own in speakers.items()}


def _refuse_shared(speakers: Speakers, outsiders: Speakers) -> None:
    names = speakers.keys() & outsiders.keys()
    if names:
        raise ListError(
            f"the background shares the speaker {min(names)!r} with those who are enrolled; "
            "it must hold other people, or what is promised of strangers would not hold"
        )
    known = {one.name for own in speakers.values() for one in own}
    for one in (one for own in outsiders.values() for one in own):
        if one.name in known:
            raise ListError(f"{one.name} is named by the background and by those who are enrolled")
    shared = shared_recordings({**speakers, **outsiders})
    if shared:
        more = f" (and {len(shared) - 1} more such pairs)" if len(shared) > 1 else ""
        raise ListError(
            f"{shared[0][0]} is the same recording as {shared[0][1]}, under another speaker{more}; "
            "remove it from one of them: with it no error rate could be promised"
        )


def _with_enough_speech(
    frames: FrameLibrary, speakers: Mapping[str, Sequence[str]], seconds: float
) -> tuple[dict[str, list[str]], dict[str, str]]:
    kept: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for name, files in speakers.items():
        good, twins = distinct(frames, files)
        for file, twin in twins.items():
            log.warning("%s is the same recording as %s and counts once", file, twin)
        spoken = sum(map(frames.seconds, good))
        if not files:
            left_out[name] = f"{name}: the folder holds no recording"
        elif not good:
            left_out[name] = f"{name}: no usable recording; {frames.status(files[0]).reason}"
        elif spoken < seconds:
            left_out[name] = (
                f"{name}: {spoken:.2f} s of speech, at least {seconds:g} s are needed; record more"
            )
        else:
            kept[name] = good
    return kept, left_out


def _background_model(
    frames: FrameLibrary,
    speakers: Mapping[str, Sequence[str]],
    options: BankOptions,
    n_workers: int,
    progress: Progress,
) -> tuple[BackgroundModel, FitResult[DiagonalGMM]]:
    files = [file for group in speakers.values() for file in usable(frames, group)]
    n_frames = sum(frames.count(file) for file in files)
    n_components = options.n_components or choose_components(n_frames, options.frames_per_component)
    ubm = replace(options.ubm, n_components=n_components)
    n_iterations = ubm.em.n_iterations
    model, fitted = train_background(
        frames,
        files,
        ubm,
        options.seed,
        n_workers,
        lambda number, line: progress(
            "background model", number, n_iterations, f"{line.log_likelihood:.4f} nats per frame"
        ),
    )
    progress("background model", n_iterations, n_iterations)
    return model, fitted


def _subspace(
    model: BackgroundModel,
    frames: FrameLibrary,
    kept: Mapping[str, Sequence[str]],
    others: Mapping[str, Sequence[str]],
    options: BankOptions,
    n_workers: int,
    progress: Progress,
) -> Subspace | None:
    """Train what `options.backend` asks for; None where adaptation is all."""
    backend = options.backend
    notes: tuple[str, ...] = ()
    if backend.method == "map":
        return None
    if not others:
        backend, notes = in_sample(backend, len(kept), sum(map(len, kept.values())))
    relevance = options.adaptation.relevance
    chosen = backend, relevance, options.seed, n_workers, progress
    subspace = train_subspace(model, frames, others or kept, *chosen)
    return replace(subspace, notes=(*notes, *subspace.notes))


def _judge(
    frames: FrameLibrary,
    kept: Mapping[str, Sequence[str]],
    others: Mapping[str, Sequence[str]],
    enrollments: Sequence[Enrollment],
    ubm: UbmOptions,
    options: BankOptions,
    n_workers: int,
    progress: Progress,
    voices: Voices,
) -> Voices:
    """Calibrate, and measure what to expect of strangers."""
    subspace = voices.speakers.subspace
    folds = FoldOptions(
        design="outsiders" if others else "insiders",
        n_folds=options.n_folds,
        min_speakers=options.min_speakers,
    )
    streams: list[RunningTrials] = []

    def listen(group: FoldTests) -> None:
        chosen = options.sequential, voices.scoring, options.seed, n_workers
        streams.append(running_trials(group, frames, *chosen))

    try:
        rehearsal = rehearse(
            frames,
            others or kept,
            folds,
            ubm,
            options.adaptation,
            options.seed,
            enrollments if others else (),
            n_workers=n_workers,
            progress=lambda done, total: progress("calibration", done, total),
            scoring=voices.scoring,
            witness=listen if can_stream(frames.front_end, voices.scoring) else None,
            backend=subspace.options if subspace else None,
        )
        calibration = rehearsal.calibration()
        ratios = rehearsal.calibrated()
    except DataError as error:
        remedy = "add speakers, or give other people's speech with --background"
        return replace(voices, uncalibrated_because=f"{error}; {remedy}")
    tests = open_set_tests(rehearsal)
    promise = promise_identification(
        tests, calibration, len(voices.speakers.ids), options.max_false_accept, options.seed
    )
    expected = expected_figures(rehearsal, ratios, options.seed)
    # The enrolled were met as others, where there is a background.
    learned = [file for group in (kept, others) for files in group.values() for file in files]
    return replace(
        voices,
        calibrated_from=contents_of(frames, usable(frames, learned)),
        calibration=calibration,
        promise=promise,
        expected=expected,
        open_set=tests,
        sequential=learned_from(streams, options.sequential, options.seed),
    )


def expected_figures(rehearsal: Rehearsal, ratios: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Measure verification on the rehearsal's strangers: eer, cllr, rates at a ratio of one."""
    targets, nontargets = rehearsal.targets, rehearsal.nontargets
    found = evaluate(
        ratios[targets],
        ratios[nontargets],
        target_speakers=rehearsal.voice[targets],
        nontarget_model_speakers=rehearsal.model[nontargets],
        nontarget_test_speakers=rehearsal.voice[nontargets],
        rng=np.random.default_rng(seed),
    )
    counts = Counter({"n_targets": int(targets.sum()), "n_nontargets": int(nontargets.sum())})
    rng = np.random.default_rng(seed)
    miss = rate_of(ratios[targets] <= 0, rehearsal.voice[targets], rng)
    false_accept = rate_of(ratios[nontargets] > 0, rehearsal.voice[nontargets], rng)
    return {
        **{name: found.metrics[name] for name in ("eer", "cllr", "min_cllr")},
        "verify_miss": Estimate(miss.value, miss.low, miss.high),
        "verify_false_accept": Estimate(false_accept.value, false_accept.low, false_accept.high),
        **{name: Estimate(float(number)) for name, number in counts.items()},
    }
