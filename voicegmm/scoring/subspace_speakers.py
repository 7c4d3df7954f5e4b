"""Speakers in a subspace: kept with what each of their recordings says, scored beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray, frozen
from voicegmm._base.errors import DataError
from voicegmm._base.options import canonical_json
from voicegmm.mixture import MapOptions, Statistics
from voicegmm.scoring.background import BackgroundModel, digest_of, working_dtype
from voicegmm.scoring.enrolled import Enrolled
from voicegmm.scoring.records import EnrolledRecording
from voicegmm.scoring.subspaces import Subspace
from voicegmm.subspace import (
    FactorAnalysis,
    Recordings,
    TotalVariability,
    extract,
    speaker_means,
    speaker_offsets,
)
from voicegmm.subspace.recordings import check_background


@dataclass(frozen=True, eq=False)
class SubspaceSpeakers(Enrolled):
    """Speakers whose recordings were enrolled in a subspace.

    Parameters
    ----------
    background : BackgroundModel
    subspace : Subspace
        Trained under it.
    ids : tuple of str
        Each name once.
    speaker_of : (n_recordings,) int array
        Into `ids`: whose each enrolled recording is; those of a speaker in a row, in the order of
        `ids`.
    counts : (n_recordings, n_components) float64 array
        Frames that each component saw of each recording.
    moments : (n_recordings, ...) float32 array
        What else is kept of each, so that a speaker can be updated without the old recordings:
        centered first moments in deviations, (n_components, n_dims), or with "ivector" the vector,
        (rank,).
    models : (n_speakers, ...) float32 array
        What tests meet: offsets of the means in deviations, (n_components, n_dims), or the mean of
        the vectors that went through the back end.
    seconds : (n_speakers,) float64 array
        Speech each speaker was enrolled with.
    adaptation : MapOptions
        Its relevance, with "isv" and "jfa".
    records : mapping of str to tuple of EnrolledRecording
        The audit record: name -> what the speaker was enrolled from, where it is known.
    """

    background: BackgroundModel
    subspace: Subspace
    ids: tuple[str, ...]
    speaker_of: IntArray
    counts: Float64Array
    moments: Float32Array
    models: Float32Array
    seconds: Float64Array
    adaptation: MapOptions = field(default_factory=MapOptions)
    records: Mapping[str, tuple[EnrolledRecording, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check_names()
        n_recordings, n_components = len(self.speaker_of), self.background.gmm.n_components
        kept, model = self.subspace.shapes
        for name, shape in (
            ("counts", (n_recordings, n_components)),
            ("moments", (n_recordings, *kept)),
            ("models", (len(self.ids), *model)),
            ("seconds", (len(self.ids),)),
        ):
            if np.shape(getattr(self, name)) != shape:
                raise DataError(f"{name} must be {shape}, got {np.shape(getattr(self, name))}")
        if (
            not np.array_equal(np.unique(self.speaker_of), np.arange(len(self.ids)))
            or (np.diff(self.speaker_of) < 0).any()
        ):
            raise DataError("speaker_of must name every speaker, in their order")
        for name, kind in (
            ("speaker_of", np.int64),
            ("counts", np.float64),
            ("moments", np.float32),
            ("models", np.float32),
            ("seconds", np.float64),
        ):
            object.__setattr__(self, name, frozen(getattr(self, name), kind))

    @staticmethod
    def of(
        background: BackgroundModel,
        subspace: Subspace,
        ids: Sequence[str],
        recordings: Recordings,
        speakers: Sequence[str],
        seconds: Float64Array,
        adaptation: MapOptions,
        records: Mapping[str, tuple[EnrolledRecording, ...]],
        n_workers: int = 1,
    ) -> "SubspaceSpeakers":
        """Enroll speakers from the moments of their recordings.

        Parameters
        ----------
        background, subspace, adaptation, records
            See the class.
        ids : sequence of str
        recordings : Recordings
        speakers : (n_recordings,) sequence of str
            Whose each is, in the order of `ids`.
        seconds : (n_speakers,) float array
        n_workers : int
            Threads.
        """
        row = {name: number for number, name in enumerate(ids)}
        speaker_of = np.array([row[name] for name in speakers], np.int64)
        kept = _kept(subspace, recordings, n_workers)
        return SubspaceSpeakers(
            background,
            subspace,
            tuple(ids),
            speaker_of,
            recordings.counts,
            kept,
            _models(subspace, recordings.counts, kept, speaker_of, n_workers),
            seconds,
            adaptation,
            records,
        )

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of background model, subspace, names and numbers."""
        made_from = [self.background.fingerprint, self.subspace.fingerprint, self.ids]
        return digest_of(canonical_json(made_from), *self.numbers)

    @property
    def numbers(self) -> tuple[FloatArray | IntArray, ...]:
        """Give what the fingerprint tells of the speakers beside their names."""
        return self.speaker_of, self.counts, self.moments, self.models

    @property
    def n_recordings(self) -> IntArray:
        """How many recordings enrolled each speaker, (n_speakers,)."""
        return np.bincount(self.speaker_of, minlength=len(self.ids))

    def chosen(self, names: Sequence[str]) -> "SubspaceSpeakers":
        """Give only some of the speakers."""
        rows = [self.index(name) for name in names]
        places = [np.flatnonzero(self.speaker_of == row) for row in rows]
        which = np.concatenate([np.zeros(0, np.int64), *places])
        return SubspaceSpeakers(
            self.background,
            self.subspace,
            tuple(names),
            np.repeat(np.arange(len(rows)), list(map(len, places))),
            self.counts[which],
            self.moments[which],
            self.models[rows],
            self.seconds[rows],
            self.adaptation,
            self.records_of(names),
        )

    def with_recordings(
        self,
        name: str,
        statistics: Sequence[Statistics],
        seconds: float,
        recordings: Sequence[EnrolledRecording] = (),
    ) -> "SubspaceSpeakers":
        """Add a speaker, or add recordings to one that is enrolled already.

        Parameters
        ----------
        name : str
        statistics : sequence of Statistics
            Of each new recording, under the background model.
        seconds : float
        recordings : sequence of EnrolledRecording
            What they came from, for the audit record.
        """
        background = self.background
        dtype = working_dtype(background.options)
        moments = Recordings.of(background.gmm, statistics, dtype)
        own = self.chosen([name] if name in self.ids else [])
        counts = np.concatenate([own.counts, moments.counts])
        kept = np.concatenate([own.moments, _kept(self.subspace, moments)])
        model = _models(self.subspace, counts, kept, np.zeros(len(counts), np.int64))
        others = self.chosen([other for other in self.ids if other != name])
        row = len(others.ids)
        return SubspaceSpeakers(
            self.background,
            self.subspace,
            (*others.ids, name),
            np.append(others.speaker_of, np.full(len(counts), row)),
            np.concatenate([others.counts, counts]),
            np.concatenate([others.moments, kept]),
            np.concatenate([others.models, model]),
            np.append(others.seconds, own.seconds.sum() + seconds),
            self.adaptation,
            {**others.records, name: (*self.records.get(name, ()), *recordings)},
        )


def _kept(subspace: Subspace, recordings: Recordings, n_workers: int = 1) -> Float32Array:
    """Give what is kept of recordings, beside their counts.

    Raises
    ------
    MismatchError
        If the subspace was trained under another background model.
    """
    check_background(subspace.factors.gmm, recordings)
    kept = recordings.centered
    if isinstance(subspace.factors, TotalVariability):
        kept = extract(subspace.factors, recordings, n_workers)
    return kept.astype(np.float32, copy=False)


def _models(
    subspace: Subspace,
    counts: Float64Array,
    kept: Float32Array,
    speaker_of: IntArray,
    n_workers: int = 1,
) -> Float32Array:
    """Make the models of speakers from what is kept of their recordings, in their order."""
    factors, back_end = subspace.factors, subspace.back_end
    if not len(speaker_of):
        return np.zeros((0, *subspace.shapes[1]), np.float32)
    whose = list(map(str, speaker_of))
    if isinstance(factors, FactorAnalysis):
        moments = Recordings(factors.gmm, counts, kept)
        return speaker_offsets(factors, moments, whose, n_workers)[1].astype(np.float32)
    assert back_end is not None  # a subspace of vectors has one
    return speaker_means(back_end(kept), whose)[1].astype(np.float32)
