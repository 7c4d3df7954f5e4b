"""Folders of labeled recordings: one sub-folder a class and, in it, one a speaker where known."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicegmm._base.arrays import BoolArray, IntArray
from voicegmm._base.errors import DataError, ListError
from voicegmm.corpus.folders import SpeakerFolder, shared_recordings, sub_folders


@dataclass(frozen=True, eq=False)
class ClassRecordings:
    """Recordings with the class of each, and its speaker.

    Parameters
    ----------
    names : tuple of str
        The classes.
    files : tuple of str
    labels : (n_files,) int array
        Into `names`.
    speakers : tuple of str
        Whose voice each is: the same name is the same person, in another class too. A recording
        whose speaker is not known is a speaker of its own.
    speakers_known : bool
        Whether that was the case nowhere.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    labels: IntArray
    speakers: tuple[str, ...]
    speakers_known: bool = True

    def __post_init__(self) -> None:
        if not len(self.files) == len(self.labels) == len(self.speakers):
            raise DataError(
                f"{len(self.files)} recordings need as many labels and speakers, got "
                f"{len(self.labels)} and {len(self.speakers)}"
            )

    def of_class(self, label: int) -> list[str]:
        """Give the recordings of one class, by its place in `names`."""
        return [file for file, own in zip(self.files, self.labels, strict=True) if own == label]

    def voices(self) -> IntArray:
        """Number the speakers from 0, (n_files,)."""
        numbers: IntArray = np.unique(np.array(self.speakers, object), return_inverse=True)[1]
        return numbers

    def n_voices(self) -> IntArray:
        """Count the speakers of each class, (n_classes,)."""
        pairs = {*zip(self.labels.tolist(), self.speakers, strict=True)}
        return np.bincount([label for label, _ in pairs], minlength=len(self.names))

    def usable(self, ok: Callable[[str], bool]) -> "ClassRecordings":
        """Give the recordings that pass."""
        return self.chosen(np.array([ok(file) for file in self.files], bool))

    def chosen(self, which: BoolArray) -> "ClassRecordings":
        """Give some of the recordings; the classes stay."""
        kept = np.flatnonzero(which)
        return ClassRecordings(
            self.names,
            tuple(self.files[place] for place in kept),
            self.labels[kept],
            tuple(self.speakers[place] for place in kept),
            self.speakers_known,
        )


def scan_classes(folder: str | Path) -> ClassRecordings:
    """Read ``folder/<class>/<speaker>/<recording>``, or ``folder/<class>/<recording>``.

    Raises
    ------
    ListError
        If there is no such folder, or fewer than two classes in it, or a class without a recording,
        or the same recording twice, in two classes or of two speakers.
    """
    named = sub_folders(folder, "class")
    if len(named) < 2:
        raise ListError(
            f"{folder}: one class, {next(iter(named))!r}; at least two are needed, "
            f"each a sub-folder with its recordings"
        )
    files: list[str] = []
    labels: list[int] = []
    speakers: list[str] = []
    owners: dict[str, list[Path]] = {}
    for label, (name, paths) in enumerate(named.items()):
        if not paths:
            raise ListError(f"{folder}: the class {name!r} holds no recording; add some, or "
                            "remove the folder")  # fmt: skip
        for path in paths:
            inner = path.relative_to(Path(folder) / name).parts
            speaker = inner[0] if len(inner) > 1 else ""
            files.append(str(path))
            labels.append(label)
            speakers.append(speaker or str(path))
            owners.setdefault(f"{name}/{speaker or inner[0]}", []).append(path)
    shared = shared_recordings([SpeakerFolder(name, tuple(own)) for name, own in owners.items()])
    if shared:
        more = f" (and {len(shared) - 1} more such pairs)" if len(shared) > 1 else ""
        raise ListError(
            f"{shared[0][0]} is the same recording as {shared[0][1]}{more}; remove one of them: "
            "with both nothing could be promised of recordings that were never heard"
        )
    known = all(speaker != file for speaker, file in zip(speakers, files, strict=True))
    return ClassRecordings(tuple(named), tuple(files), np.array(labels), tuple(speakers), known)
