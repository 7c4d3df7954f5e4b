"""Utterances: recordings and parts of recordings under the names that lists give them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voicegmm._base.checks import listed
from voicegmm._base.errors import ListError
from voicegmm.audio import WHOLE, Excerpt


@dataclass(frozen=True)
class Utterance:
    """A recording, or a part of one.

    Parameters
    ----------
    name : str
        As enrollments and trials name it.
    path : pathlib.Path
        Where the recording lies.
    speaker : str
        Whose voice it is; empty where that is not known.
    excerpt : Excerpt
        Which part of the recording it is.
    label : str
        Its class, where a list gives one.
    """

    name: str
    path: Path
    speaker: str = ""
    excerpt: Excerpt = WHOLE
    label: str = ""


@dataclass(frozen=True)
class Corpus:
    """Utterances, each name once.

    Parameters
    ----------
    place : pathlib.Path
        What was read.
    layout : str
        How, one of `voicegmm.corpus.LAYOUTS`.
    utterances : tuple of Utterance
        At least one.

    Raises
    ------
    ListError
        If there is none, or a name stands twice.
    """

    place: Path
    layout: str
    utterances: tuple[Utterance, ...]

    def __post_init__(self) -> None:
        if not self.utterances:
            raise ListError(f"{self.place}: no recordings")
        seen: dict[str, Utterance] = {}
        twice = [one.name for one in self.utterances if seen.setdefault(one.name, one) is not one]
        if twice:
            raise ListError(
                f"{self.place}: {len(twice)} names stand for two recordings each: {listed(twice)}"
            )

    @property
    def paths(self) -> dict[str, Path]:
        """Name -> where the recording lies."""
        return {one.name: one.path for one in self.utterances}

    @property
    def excerpts(self) -> dict[str, Excerpt]:
        """Name -> which part of the recording it is, of those that are not the whole."""
        return {one.name: one.excerpt for one in self.utterances if one.excerpt != WHOLE}

    def by_speaker(self) -> dict[str, tuple[Utterance, ...]]:
        """Sort the utterances by speaker, in their order.

        Raises
        ------
        ListError
            Naming the first whose speaker is not known.
        """
        speakers: dict[str, list[Utterance]] = {}
        for one in self.utterances:
            if not one.speaker:
                raise ListError(
                    f"{self.place}: {one.name} does not tell whose voice it is: name recordings "
                    "<speaker>/<recording>, or give a list with the columns file and speaker"
                )
            speakers.setdefault(one.speaker, []).append(one)
        return {name: tuple(own) for name, own in speakers.items()}


def speaker_of(file: str) -> str:
    """Give the speaker of a recording: the first folder of its name; nothing where it has none."""
    parts = PurePosixPath(file).parts
    return parts[0] if len(parts) > 1 else ""


def by_speaker(files: Iterable[str]) -> dict[str, list[str]]:
    """Sort recordings by `speaker_of`, in their order."""
    speakers: dict[str, list[str]] = {}
    for file in files:
        speakers.setdefault(speaker_of(file), []).append(file)
    return speakers
