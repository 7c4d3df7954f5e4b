"""The frames of many recordings, by name: what enrollment, training and scoring read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import FloatArray, IntArray
from voicegmm._base.errors import AudioError, ListError, MismatchError
from voicegmm._base.options import differences
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import ArraySource, FrameSource

OK = "ok"


@dataclass(frozen=True)
class Status:
    """Whether a recording gave frames, and why not.

    Parameters
    ----------
    status : {"ok", "unreadable", "too short", "no speech", "missing"}
    reason : str
        Empty where the status is "ok".
    """

    status: str = OK
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there are frames."""
        return self.status == OK


class FrameLibrary(Protocol):
    """Frames of recordings by id: a feature store on disk, or a few recordings in memory."""

    @property
    def front_end(self) -> PipelineOptions:
        """How the frames were made."""

    @property
    def ids(self) -> Sequence[str]:
        """All recordings, those that gave no frames included."""

    def status(self, file: str) -> Status:
        """Whether a recording gave frames."""

    def count(self, file: str) -> int:
        """Number of speech frames of a recording."""

    def content(self, file: str) -> str:
        """Give the SHA-256 of a recording's file, in hex; empty where it is not known."""

    def positions(self, file: str) -> IntArray:
        """Give the number that each kept frame had in its recording."""

    def read(self, files: Sequence[str]) -> tuple[FloatArray, FloatArray | None]:
        """Give the frames of some recordings in a row, and their weights (None: all 1)."""

    def source(self, files: Sequence[str]) -> FrameSource:
        """Give some recordings in a row as a source for training."""


@dataclass(frozen=True, eq=False)
class MemoryFrames:
    """A frame library in memory.

    Parameters
    ----------
    front_end : PipelineOptions
    sets : dict of str to FrameSet
        What gave frames.
    failures : dict of str to Status
        What did not.
    """

    front_end: PipelineOptions
    sets: Mapping[str, FrameSet]
    failures: Mapping[str, Status] = field(default_factory=dict)

    @property
    def ids(self) -> Sequence[str]:
        """All recordings, those that gave no frames included."""
        return (*self.sets, *self.failures)

    def status(self, file: str) -> Status:
        """Whether a recording gave frames."""
        if file in self.sets:
            return Status()
        return self.failures.get(file, Status("missing", f"{file}: there are no frames of it"))

    def count(self, file: str) -> int:
        """Number of speech frames of a recording."""
        return len(self.sets[file].frames) if file in self.sets else 0

    def content(self, file: str) -> str:
        """Give the SHA-256 of a recording's file, in hex; empty where it is not known."""
        return self.sets[file].content if file in self.sets else ""

    def positions(self, file: str) -> IntArray:
        """Give the number that each kept frame had in its recording."""
        return self.sets[file].positions.astype(np.int64)

    def read(self, files: Sequence[str]) -> tuple[FloatArray, FloatArray | None]:
        """Give the frames of some recordings in a row, and their weights."""
        chosen = [self.sets[file] for file in files]
        weights = np.concatenate([one.weights for one in chosen])
        frames = np.concatenate([one.frames for one in chosen])
        return frames, None if (weights == 1).all() else weights

    def source(self, files: Sequence[str]) -> FrameSource:
        """Give some recordings in a row as a source for training."""
        return ArraySource(*self.read(files))


def failure_of(error: AudioError) -> Status:
    """Turn a recording's error into its status."""
    return Status(error.status, str(error))


def usable(frames: FrameLibrary, files: Sequence[str]) -> list[str]:
    """Give those recordings that have frames."""
    return [file for file in files if frames.status(file).ok]


def check_front_end(model: PipelineOptions, frames: PipelineOptions, which: str) -> None:
    """Refuse frames that were made otherwise than the model's.

    Raises
    ------
    MismatchError
        Naming the first option that differs, with both values.
    """
    if model == frames:
        return
    name, (here, there) = next(iter(differences(model, frames).items()))
    raise MismatchError(
        f"{which}: frames and model come from different front ends: {name} is {there!r} "
        f"in the frames, {here!r} in the model; extract the features again with the model's"
    )


def check_files(frames: FrameLibrary, files: Sequence[str], where: str) -> None:
    """Refuse a list that names recordings without features.

    Raises
    ------
    ListError
        Telling how many there are and the first of them.
    """
    known = set(frames.ids)
    missing = [file for file in dict.fromkeys(files) if file not in known]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ListError(
            f"{where} names {len(missing)} recordings that the features do not hold: {shown}; "
            "extract their features too, or mend the list"
        )
