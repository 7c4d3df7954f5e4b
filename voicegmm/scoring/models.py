"""Models of speakers: adapted from the background model, kept with what they were adapted to."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, frozen
from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm._base.options import canonical_json
from voicegmm.compute import tree_sum
from voicegmm.corpus import Enrollment
from voicegmm.mixture import (
    MapOptions,
    Statistics,
    adapt,
    adapt_all,
    first_from_means,
)
from voicegmm.mixture.collection import Readers
from voicegmm.scoring.background import BackgroundModel, digest_of, in_precision
from voicegmm.scoring.enrolled import Enrolled
from voicegmm.scoring.frames import (
    FrameLibrary,
    check_front_end,
    distinct,
)
from voicegmm.scoring.records import EnrolledRecording
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.scoring.subspaces import Subspace, moments_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SpeakerModels(Enrolled):
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
        self.check_names()
        check_adaptation(self.adaptation)
        object.__setattr__(self, "means", frozen(self.means, np.float32))
        object.__setattr__(self, "counts", frozen(self.counts, np.float64))
        object.__setattr__(self, "seconds", frozen(self.seconds, np.float64))

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of background model, names, means and counts."""
        text = canonical_json([self.background.fingerprint, self.ids])
        return digest_of(text, *self.numbers)

    @property
    def numbers(self) -> tuple[FloatArray, ...]:
        """Give what the fingerprint tells of the speakers beside their names."""
        return self.means, self.counts

    @property
    def subspace(self) -> None:
        """None: these speakers were adapted, and that is all."""
        return None

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
            self.records_of(names),
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

    def with_recordings(
        self,
        name: str,
        statistics: Sequence[Statistics],
        seconds: float,
        recordings: Sequence[EnrolledRecording] = (),
    ) -> "SpeakerModels":
        """Do as `with_speaker`, from the statistics of each new recording, one at least."""
        total = tree_sum(statistics)
        assert total is not None  # one at least
        return self.with_speaker(name, total, seconds, recordings)

    def statistics(self, name: str) -> tuple[Float64Array, Float64Array, float]:
        """Give a speaker's counts, first-order statistics and seconds of speech.

        The first-order ones are read back from the means: see `first_from_means`.
        """
        row = self.index(name)
        prior, counts = self.background.gmm.means, self.counts[row]
        first = first_from_means(prior, counts, self.means[row], self.adaptation)
        return counts, first, float(self.seconds[row])


Speakers = SpeakerModels | SubspaceSpeakers
"""Enrolled speakers, by whatever they were modeled."""


def adapted_models(speakers: Speakers, what: str) -> SpeakerModels:
    """Refuse speakers of a subspace for what only models that were adapted can do.

    Raises
    ------
    MismatchError
        Saying what cannot be done, and why.
    """
    if isinstance(speakers, SpeakerModels):
        return speakers
    raise MismatchError(
        f"{what} takes a mixture of each speaker, and these speakers are of the backend "
        f"{speakers.subspace.options.method!r}; train them with the backend 'map'"
    )


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
    subspace: Subspace | None = None,
) -> tuple[Speakers, dict[str, str]]:
    """Make a model of each speaker, by MAP adaptation of the means or in a subspace.

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
    subspace : Subspace, optional
        Trained under the background model; None: adaptation is all.

    Returns
    -------
    models : SpeakerModels or SubspaceSpeakers
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
    records = {
        name: records_of(frames, one.files, enrolled_at)
        for name, one in zip(names, speech, strict=True)
    }
    if subspace is None:
        sources = [in_precision(one, background.options) for one in speech]
        adapted = adapt_all(background.gmm, sources, adaptation, n_workers, done)
        means, counts, seconds = adapted.means, adapted.counts, adapted.n_frames * hop
        models = SpeakerModels(
            background, tuple(names), means, counts, seconds, adaptation, records
        )
        return models, failures
    files = [file for one in speech for file in one.files]
    whose = [name for name, one in zip(names, speech, strict=True) for _ in one.files]
    moments = moments_of(background, frames, files, n_workers)
    seconds = np.array([sum(map(frames.seconds, one.files)) for one in speech])
    if done:
        done(len(names))
    made = SubspaceSpeakers.of(
        background, subspace, names, moments, whose, seconds, adaptation, records, n_workers
    )
    return made, failures


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
