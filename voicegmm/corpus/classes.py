"""Recordings with classes: a sub-folder for each, or a list with a column for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from voicegmm._base.arrays import BoolArray, IntArray
from voicegmm._base.errors import DataError, ListError
from voicegmm.audio import WHOLE, Excerpt
from voicegmm.corpus.folders import shared_recordings, sub_folders
from voicegmm.corpus.layouts import read_corpus, recognize
from voicegmm.corpus.utterances import Utterance


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
    paths : mapping of str to pathlib.Path
        Where recordings lie whose name is not their path.
    excerpts : mapping of str to Excerpt
        Which part of the recording some of `files` are.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    labels: IntArray
    speakers: tuple[str, ...]
    speakers_known: bool = True
    paths: Mapping[str, Path] = field(default_factory=dict)
    excerpts: Mapping[str, Excerpt] = field(default_factory=dict)

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
            self.paths,
            self.excerpts,
        )

    def places(self) -> dict[str, Path]:
        """Tell where each recording lies."""
        return {file: self.paths.get(file, Path(file)) for file in self.files}


def scan_classes(place: str | Path) -> ClassRecordings:
    """Read recordings with their classes.

    Parameters
    ----------
    place : path
        A folder: ``place/<class>/<speaker>/<recording>``, or ``place/<class>/<recording>``, or in
        each class's folder a corpus of another layout (see `read_corpus`). Or a list with the
        columns ``file`` and ``class``.

    Raises
    ------
    ListError
        If there is no such folder, or fewer than two classes in it, or a class without a recording,
        or the same recording twice, in two classes or of two speakers.
    """
    place = Path(place)
    found = _in_folders(place) if place.is_dir() else _listed(place)
    names = tuple(dict.fromkeys(one.label for one in found))
    if len(names) < 2:
        raise ListError(
            f"{place}: one class, {names[0]!r}; at least two are needed, each a sub-folder with "
            "its recordings, or a name in the column class of a list"
        )
    speakers = tuple(one.speaker or one.name for one in found)
    owners: dict[str, list[Utterance]] = {}
    for one, speaker in zip(found, speakers, strict=True):
        owners.setdefault(f"{one.label}/{speaker}", []).append(one)
    if shared := shared_recordings(owners):
        more = f" (and {len(shared) - 1} more such pairs)" if len(shared) > 1 else ""
        raise ListError(
            f"{shared[0][0]} is the same recording as {shared[0][1]}{more}; remove one of them: "
            "with both nothing could be promised of recordings that were never heard"
        )
    return ClassRecordings(
        names,
        tuple(one.name for one in found),
        np.array([names.index(one.label) for one in found]),
        speakers,
        all(one.speaker for one in found),
        {one.name: one.path for one in found},
        {one.name: one.excerpt for one in found if one.excerpt != WHOLE},
    )


def _listed(place: Path) -> list[Utterance]:
    utterances = read_corpus(place).utterances
    nameless = [one.name for one in utterances if not one.label]
    if nameless:
        raise ListError(
            f"{place}: {nameless[0]} has no class; a list of classes has the columns file and "
            "class, and best speaker too"
        )
    return sorted(utterances, key=lambda one: one.label)


def _in_folders(place: Path) -> list[Utterance]:
    """Give the recordings of all classes, named by their paths."""
    layouts = {sub.name: recognize(sub) for sub in place.iterdir() if sub.is_dir()}
    listed = {name for name, layout in layouts.items() if layout != "folder" and name[0] != "."}
    found = []
    for name, paths in sub_folders(place, "class", listed).items():
        if name not in listed and not paths:
            raise ListError(f"{place}: the class {name!r} holds no recording; add some, or "
                            "remove the folder")  # fmt: skip
        for one in read_corpus(place / name, layouts[name]).utterances:
            found.append(replace(one, name=str(place / name / one.name), label=name))
    return found
