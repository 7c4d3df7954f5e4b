"""Models of voices: the background model and the speakers adapted from it."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, frozen
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError, ListError, OptionError, VoicegmmError
from voicegmm._base.options import canonical_json, fingerprint
from voicegmm._base.version import __version__
from voicegmm.corpus import Enrollment
from voicegmm.features import FrontEnd
from voicegmm.mixture import (
    DiagonalGMM,
    EmOptions,
    FitResult,
    FrameSource,
    InitialOptions,
    Iteration,
    MapOptions,
    Statistics,
    adapt,
    adapt_all,
    collector,
    first_from_means,
    fit,
    initialize,
    sample_frames,
)
from voicegmm.mixture.collection import Readers
from voicegmm.mixture.fast import FastOptions, fast_fit, grow, growth_frames, pays
from voicegmm.scoring.frames import (
    FrameLibrary,
    check_front_end,
    contents_of,
    distinct,
    usable,
)
from voicegmm.scoring.records import EnrolledRecording

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UbmOptions:
    """How a universal background model is trained.

    Parameters
    ----------
    n_components : int
        Number of Gaussians; at least 1.
    initial : InitialOptions
    em : EmOptions
    fast : FastOptions
        Whether EM is dense or fast.
    """

    n_components: int = 256
    initial: InitialOptions = field(default_factory=InitialOptions)
    em: EmOptions = field(default_factory=lambda: EmOptions(n_iterations=10))
    fast: FastOptions = field(default_factory=FastOptions)

    def __post_init__(self) -> None:
        at_least("n_components", self.n_components, 1)


@dataclass(frozen=True)
class ForeignTraining:
    """What stands in the place of the options of a training that was not ours.

    Parameters
    ----------
    program : str
        Whose file the mixture was taken from, as "kaldi".
    file : str
        Its name.
    content : str
        Its SHA-256, in hex.
    """

    program: str
    file: str
    content: str


def digest_of(text: str, *arrays: FloatArray) -> str:
    """Give the first 32 hex digits of the SHA-256 of a text and the numbers of some arrays."""
    digest = hashlib.sha256(text.encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class BackgroundModel:
    """A universal background model, with the front end its frames must come from.

    Parameters
    ----------
    gmm : DiagonalGMM
    front_end : FrontEnd
    options : UbmOptions or ForeignTraining
        How it was trained, or what other program did.
    seed : int
    iterations : tuple of Iteration
        The training record.
    n_frames : float
    contents : tuple of str, optional
        SHA-256 of the recordings it was trained from; None where they are not known.
    """

    gmm: DiagonalGMM
    front_end: FrontEnd
    options: UbmOptions | ForeignTraining = field(default_factory=UbmOptions)
    seed: int = 0
    iterations: tuple[Iteration, ...] = ()
    n_frames: float = 0.0
    contents: tuple[str, ...] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of front end, weights, means and variances."""
        gmm = self.gmm
        return digest_of(canonical_json(self.front_end), gmm.weights, gmm.means, gmm.variances)


def training_of(model: BackgroundModel) -> UbmOptions:
    """Give how a background model was trained, for others like it.

    Raises
    ------
    VoicegmmError
        If another program trained it.
    """
    if isinstance(model.options, ForeignTraining):
        raise VoicegmmError(
            f"the background model was trained by another program ({model.options.program}), and "
            "none like it can be trained for the folds of a calibration; leave out --background, "
            "and calibrate the scores of other trials"
        )
    return model.options


@dataclass(frozen=True, eq=False)
class SpeakerModels:
    """Speakers whose means were adapted from one background model.

    Parameters
    ----------
    background : BackgroundModel
    ids : tuple of str
        Each name once.
    means : (n_speakers, n_components, n_dims) float32 array
    counts : (n_speakers, n_components) float64 array
        Frames that each component saw of each speaker: with the means they give the statistics
        back, so a speaker can be updated without the old recordings.
    seconds : (n_speakers,) float64 array
        Speech each speaker was enrolled with.
    adaptation : MapOptions
    records : mapping of str to tuple of EnrolledRecording
        The audit record: name -> what the speaker was enrolled from, where it is known.
    """

    background: BackgroundModel
    ids: tuple[str, ...]
    means: Float32Array
    counts: Float64Array
    seconds: Float64Array
    adaptation: MapOptions = field(default_factory=MapOptions)
    records: Mapping[str, tuple[EnrolledRecording, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.ids), *self.background.gmm.means.shape)
        if self.means.shape != shape or self.counts.shape != shape[:2]:
            raise DataError(f"means must be {shape}, got {self.means.shape}")
        if len(set(self.ids)) != len(self.ids):
            raise DataError("the names of the speakers must differ")
        unknown = set(self.records) - set(self.ids)
        if unknown:
            raise DataError(f"records must be of speakers, {min(unknown)!r} is none")
        check_adaptation(self.adaptation)
        object.__setattr__(self, "means", frozen(self.means, np.float32))
        object.__setattr__(self, "counts", frozen(self.counts, np.float64))
        object.__setattr__(self, "seconds", frozen(self.seconds, np.float64))

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of background model, names, means and counts."""
        text = canonical_json([self.background.fingerprint, self.ids])
        return digest_of(text, self.means, self.counts)

    def owners(self, content: str) -> dict[str, EnrolledRecording]:
        """Give who was enrolled from a recording of this content, and the record that tells."""
        return self._by_content.get(content, {})

    @cached_property
    def _by_content(self) -> dict[str, dict[str, EnrolledRecording]]:
        found: dict[str, dict[str, EnrolledRecording]] = {}
        for name, each in self.records.items():
            for record in each:
                if record.content:
                    found.setdefault(record.content, {})[name] = record
        return found

    def index(self, name: str) -> int:
        """Give the row of a speaker.

        Raises
        ------
        ListError
            Naming the speakers that there are.
        """
        if name not in self.ids:
            known = ", ".join(self.ids[:10]) + (", ..." if len(self.ids) > 10 else "")
            raise ListError(f"{name!r} is not enrolled; enrolled are: {known or 'none'}")
        return self.ids.index(name)

    def chosen(self, names: Sequence[str]) -> "SpeakerModels":
        """Give only some of the speakers."""
        rows = [self.index(name) for name in names]
        return SpeakerModels(
            self.background,
            tuple(names),
            self.means[rows],
            self.counts[rows],
            self.seconds[rows],
            self.adaptation,
            {name: self.records[name] for name in names if name in self.records},
        )

    def with_speaker(
        self,
        name: str,
        statistics: Statistics,
        seconds: float,
        recordings: Sequence[EnrolledRecording] = (),
    ) -> "SpeakerModels":
        """Add a speaker, or add new speech to one that is enrolled already.

        Parameters
        ----------
        name : str
        statistics : Statistics
            Of the new speech, under the background model.
        seconds : float
        recordings : sequence of EnrolledRecording
            What it came from, for the audit record.
        """
        kept = [other for other in self.ids if other != name]
        if name in self.ids:
            counts, first, old_seconds = self.statistics(name)
            seconds += old_seconds
            statistics = replace(
                statistics, counts=statistics.counts + counts, first=statistics.first + first
            )
        means = adapt(self.background.gmm, statistics, self.adaptation).means
        others = self.chosen(kept)
        return SpeakerModels(
            self.background,
            (*kept, name),
            np.concatenate([others.means, means[None].astype(np.float32)]),
            np.concatenate([others.counts, statistics.counts[None]]),
            np.append(others.seconds, seconds),
            self.adaptation,
            {**others.records, name: (*self.records.get(name, ()), *recordings)},
        )

    def statistics(self, name: str) -> tuple[Float64Array, Float64Array, float]:
        """Give a speaker's counts, first-order statistics and seconds of speech.

        The first-order ones are read back from the means: see `first_from_means`.
        """
        row = self.index(name)
        prior, counts = self.background.gmm.means, self.counts[row]
        first = first_from_means(prior, counts, self.means[row], self.adaptation)
        return counts, first, float(self.seconds[row])


def check_adaptation(adaptation: MapOptions) -> None:
    """Refuse what speaker models cannot be: they are means, made by one E-step of the background.

    The rule may be any: from means and counts the statistics come back, so that speech can be added
    without the old recordings.

    Raises
    ------
    OptionError
        Naming the option.
    """
    for name in ("variances", "weights"):
        if getattr(adaptation, name):
            raise OptionError(f"{name} must be false: speaker models adapt the means alone")
    if adaptation.n_iterations != 1:
        raise OptionError(
            f"n_iterations must be 1, got {adaptation.n_iterations}: speaker models are made from "
            "the background model's posteriors, so that speech can be added later"
        )


class Checkpoint(Protocol):
    """Keeps the last finished iteration of a training."""

    def load(self, fingerprint: str) -> FitResult[DiagonalGMM] | None:
        """Give what a training had come to, or None if there is nothing of this very training."""

    def save(self, fingerprint: str, result: FitResult[DiagonalGMM]) -> None:
        """Write down what a training has come to."""


def train_background(
    frames: FrameLibrary,
    files: Sequence[str],
    options: UbmOptions,
    seed: int,
    n_workers: int = 1,
    progress: Callable[[int, Iteration], None] | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    workers: str | None = None,
    memory_mb: float | None = None,
) -> tuple[BackgroundModel, FitResult[DiagonalGMM]]:
    """Train a universal background model.

    Parameters
    ----------
    frames : FrameLibrary
    files : sequence of str
        Recordings to train on; those without frames are passed over.
    options : UbmOptions
    seed : int
        Of the sample and of k-means++.
    n_workers : int
    progress : callable, optional
        As in `voicegmm.mixture.fit`.
    checkpoint : Checkpoint, optional
        Where each finished iteration is kept (fast EM: each round of passes over the same short
        lists): an interrupted training goes on from there and ends with the same bits. Removing it,
        once the model is safe, is the caller's business.
    workers, memory_mb
        As in `voicegmm.mixture.collector`; fast EM takes no `workers` but threads.

    Returns
    -------
    BackgroundModel, FitResult

    Raises
    ------
    DataError
        If there are fewer frames than components.
    """
    rng = np.random.default_rng(seed)
    heard = usable(frames, files)
    source = frames.source(heard)
    if source.n_frames < options.n_components:
        raise DataError(
            f"{source.n_frames} speech frames cannot train {options.n_components} components; "
            "give more speech, or ask for fewer components"
        )
    fast = _chosen(options, source)
    if fast and workers not in (None, "threads"):
        raise OptionError(f"workers must be threads where fast.method is fast, got {workers}")
    wanted = options.initial.sample_per_component * options.n_components
    if fast:
        wanted = growth_frames(options.n_components, options.fast)
    drawn = sample_frames(source, wanted, rng)
    earlier, keep = None, None
    if checkpoint:
        content = hashlib.sha256(np.ascontiguousarray(drawn).tobytes()).hexdigest()
        mark = fingerprint(
            __version__, frames.front_end, options, seed, list(files), source.n_frames, content
        )
        earlier, keep = checkpoint.load(mark), partial(checkpoint.save, mark)
    if earlier:
        done = len(earlier.iterations)
        log.warning("an interrupted training goes on after its iteration %d", done)
        initial = earlier.gmm
    elif fast:
        shape = (rng, options.fast, options.em, options.initial)
        initial = grow(drawn, options.n_components, *shape, n_workers)
    else:
        initial = initialize(drawn, options.n_components, rng, options.initial)
    if fast:
        result = fast_fit(
            initial, source, options.em, options.fast, n_workers, progress,
            earlier=earlier, keep=keep, memory_mb=memory_mb,
        )  # fmt: skip
    else:
        collect = collector(source, n_workers, workers=workers, memory_mb=memory_mb)
        result = fit(initial, collect, options.em, progress, earlier=earlier, keep=keep)
    model = BackgroundModel(
        result.gmm,
        frames.front_end,
        options,
        seed,
        result.iterations,
        result.n_frames,
        contents_of(frames, heard),
    )
    return model, result


def _chosen(options: UbmOptions, source: FrameSource) -> bool:
    """Tell whether a training is to be fast; where that was left to us, say so in the log."""
    if options.fast.method != "auto":
        return options.fast.method == "fast"
    fast = pays(options.n_components, source.n_dims, source.n_frames)
    log.info(
        "EM is %s: %d components, %d dimensions, %d frames",
        "fast" if fast else "dense",
        options.n_components,
        source.n_dims,
        source.n_frames,
    )
    return fast


@dataclass(frozen=True, eq=False)
class _Speech:
    """Some recordings of a library in a row, joined only while they are read."""

    frames: FrameLibrary
    files: tuple[str, ...]

    @property
    def readers(self) -> Readers:
        return self.frames.source(self.files).readers

    @property
    def n_frames(self) -> int:
        return sum(map(self.frames.count, self.files))

    @property
    def n_dims(self) -> int:
        return self.frames.source(self.files).n_dims

    def read(self, start: int, stop: int) -> tuple[FloatArray, FloatArray | None]:
        return self.frames.source(self.files).read(start, stop)


def enroll(
    background: BackgroundModel,
    frames: FrameLibrary,
    enrollments: Sequence[Enrollment],
    adaptation: MapOptions,
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    *,
    min_seconds: float = 0.0,
    enrolled_at: str = "",
) -> tuple[SpeakerModels, dict[str, str]]:
    """Make a model of each speaker, by MAP adaptation of the means.

    Parameters
    ----------
    background : BackgroundModel
    frames : FrameLibrary
    enrollments : sequence of Enrollment
        A recording without frames is passed over, and so is one with the content of another of the
        same speaker; the speaker is made from the others.
    adaptation : MapOptions
        By any rule, but only of the means and in one iteration.
    n_workers : int
    progress : callable, optional
        Called with the number of speakers done.
    min_seconds : float
        Speech that a speaker must have.
    enrolled_at : str
        For the audit record, as `EnrolledRecording` wants it.

    Returns
    -------
    models : SpeakerModels
        Of those speakers that have a usable recording, and speech enough.
    failures : dict of str to str
        The others, with the reason.

    Raises
    ------
    MismatchError
        If the frames come from another front end than the background model's.
    OptionError
        If more than the means is to be adapted, or in more than one iteration.
    """
    check_adaptation(adaptation)
    check_front_end(background.front_end, frames.front_end, "enrollment")
    hop = background.front_end.hop_seconds

    names: list[str] = []
    speech: list[_Speech] = []
    failures: dict[str, str] = {}
    for enrollment in enrollments:
        name = enrollment.model
        files, twins = distinct(frames, enrollment.files)
        for file, twin in twins.items():
            log.warning("%s: %s is the same recording as %s and counts once", name, file, twin)
        spoken = sum(map(frames.seconds, files))
        if not files:
            failures[name] = frames.status(enrollment.files[0]).reason
        elif spoken < min_seconds:
            failures[name] = too_little_speech(name, spoken, len(files), min_seconds)
        else:
            names.append(name)
            speech.append(_Speech(frames, tuple(files)))
    done = (lambda number: progress(len(failures) + number)) if progress else None
    adapted = adapt_all(background.gmm, speech, adaptation, n_workers, done)
    models = SpeakerModels(
        background,
        tuple(names),
        adapted.means,
        adapted.counts,
        adapted.n_frames * hop,
        adaptation,
        {
            name: records_of(frames, one.files, enrolled_at)
            for name, one in zip(names, speech, strict=True)
        },
    )
    return models, failures


def too_little_speech(name: str, seconds: float, n_recordings: int, least: float) -> str:
    """Say why nobody is enrolled from so little."""
    return (
        f"{name}: {seconds:.2f} s of speech in {n_recordings} recordings, at least {least:g} s are "
        "needed; record more, or use --force"
    )


def records_of(
    frames: FrameLibrary, files: Sequence[str], enrolled_at: str
) -> tuple[EnrolledRecording, ...]:
    """Give the audit record of an enrollment from some recordings."""
    return tuple(
        EnrolledRecording(file, frames.content(file), frames.seconds(file), enrolled_at)
        for file in files
    )
