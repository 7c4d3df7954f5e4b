"""The frames of many recordings, by name: what enrollment, training and scoring read from."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import FloatArray, IntArray, joined
from voicegmm._base.checks import listed
from voicegmm._base.errors import AudioError, ListError, MismatchError
from voicegmm._base.options import differences
from voicegmm.features import ForeignFrontEnd, FrameSet, FrontEnd
from voicegmm.mixture import ArraySource, FrameSource
from voicegmm.scoring.records import is_sha256

log = logging.getLogger(__name__)

OK = "ok"


@dataclass(frozen=True)
class Status:
    """Whether a recording gave frames, and why not.

    Parameters
    ----------
    status : {"ok", "unreadable", "too short", "no speech", "missing", "self-trial", "no model"}
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
    def front_end(self) -> FrontEnd:
        """How the frames were made."""

    @property
    def ids(self) -> Sequence[str]:
        """All recordings, those that gave no frames included."""

    def status(self, file: str) -> Status:
        """Whether a recording gave frames."""

    def count(self, file: str) -> int:
        """Number of speech frames of a recording."""

    def seconds(self, file: str) -> float:
        """How much speech a recording holds: the sum of its frames' weights, in seconds."""

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
    front_end : FrontEnd
    sets : dict of str to FrameSet
        What gave frames.
    failures : dict of str to Status
        What did not.
    """

    front_end: FrontEnd
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

    def seconds(self, file: str) -> float:
        """How much speech a recording holds: the sum of its frames' weights, in seconds."""
        return self.sets[file].speech_seconds if file in self.sets else 0.0

    def content(self, file: str) -> str:
        """Give the SHA-256 of a recording's file, in hex; empty where it is not known."""
        return self.sets[file].content if file in self.sets else ""

    def positions(self, file: str) -> IntArray:
        """Give the number that each kept frame had in its recording."""
        return self.sets[file].positions.astype(np.int64)

    def read(self, files: Sequence[str]) -> tuple[FloatArray, FloatArray | None]:
        """Give the frames of some recordings in a row, and their weights."""
        chosen = [self.sets[file] for file in files]
        weights, frames = (
            joined([one.weights for one in chosen]),
            joined([one.frames for one in chosen]),
        )
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


def contents_of(frames: FrameLibrary, files: Sequence[str]) -> tuple[str, ...] | None:
    """Give the SHA-256 of recordings, sorted; None if that of one of them is not known."""
    found = sorted({frames.content(file) for file in files})
    return tuple(found) if all(map(is_sha256, found)) else None


def distinct(frames: FrameLibrary, files: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take each recording once, whatever its names.

    Returns
    -------
    kept : list of str
        The usable ones, without those whose content an earlier one has.
    twins : dict of str to str
        Those -> the earlier one.
    """
    kept: list[str] = []
    twins: dict[str, str] = {}
    first: dict[str, str] = {}
    for file in usable(frames, files):
        content = frames.content(file)
        if content and content in first:
            twins[file] = first[content]
        else:
            first[content] = file
            kept.append(file)
    return kept, twins


def distinct_by_speaker(
    frames: FrameLibrary, recordings: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Take each speaker's recordings once, and none that stands under another speaker too.

    Parameters
    ----------
    frames : FrameLibrary
    recordings : mapping of str to sequence of str
        Speaker -> recordings; those without frames are passed over.

    Returns
    -------
    dict of str to list of str
        What is left out is told to the log.
    """
    several = {name: distinct(frames, files) for name, files in recordings.items()}
    twins = [file for _, doubled in several.values() for file in doubled]
    if twins:
        log.warning("%d recordings stand twice and count once, as %s", len(twins), twins[0])
    contents = {f: frames.content(f) for kept, _ in several.values() for f in kept}
    owners = Counter(contents.values())
    shared = {file: True for file, content in contents.items() if content and owners[content] > 1}
    if shared:
        log.warning(
            "%d recordings stand under several speakers and are left out, as %s: whose voice is "
            "it? mend the list",
            len(shared),
            next(iter(shared)),
        )
    return {name: [f for f in kept if f not in shared] for name, (kept, _) in several.items()}


def check_front_end(model: FrontEnd, frames: FrontEnd, which: str) -> None:
    """Refuse frames that were made otherwise than the model's.

    Raises
    ------
    MismatchError
        Naming the first option that differs, with both values.
    """
    if model == frames:
        return
    foreign = [isinstance(side, ForeignFrontEnd) for side in (model, frames)]
    if foreign[0] != foreign[1]:
        made = [getattr(side, "origin", "voicegmm's own front end") for side in (frames, model)]
        raise MismatchError(
            f"{which}: frames and model come from different front ends: the frames were made by "
            f"{made[0]}, the model on frames of {made[1]}"
        )
    name, (here, there) = next(iter(differences(model, frames).items()))
    raise MismatchError(
        f"{which}: frames and model come from different front ends: {name} is {there!r} "
        f"in the frames, {here!r} in the model; {_remedy(foreign[0])}"
    )


def _remedy(foreign: bool) -> str:
    if foreign:
        return "if they were made alike, convert both with the same --origin, --hop and --rate"
    return "extract the features again with the model's"


def check_files(frames: FrameLibrary, files: Sequence[str], where: str) -> None:
    """Refuse a list that names recordings without features.

    Raises
    ------
    ListError
        Naming all of them.
    """
    known = set(frames.ids)
    missing = [file for file in dict.fromkeys(files) if file not in known]
    if missing:
        raise ListError(
            f"{where} names {len(missing)} recordings that the features do not hold: "
            f"{listed(missing)}; extract their features too, or mend the list"
        )
