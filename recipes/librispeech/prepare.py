"""The lists of LibriSpeech: readers of test-clean are tried, readers of the train parts are others.

The corpus has no trials of its own; these are drawn by the names alone, so everywhere the same.
"""

from dataclasses import dataclass
from pathlib import Path

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Enrollment,
    drawn,
    read_corpus,
    trials_within,
    write_enrollments,
    write_files,
    write_paths,
    write_trials,
)
from voicegmm.corpus.lists import read_lines

N_BACKGROUND = 10  # recordings of each reader of the train parts
N_ENROLL = 4
N_TESTS = 10  # at most, of each reader who is tried


@dataclass(frozen=True)
class Reader:
    """A line of SPEAKERS.TXT: gender and part of the corpus."""

    gender: str
    part: str


def prepare(data: Path, lists: Path) -> None:
    """Write ubm.txt, enrol.tsv, trials.txt and files.tsv.

    Where dev-clean is there, enrol_dev.tsv and trials_dev.txt too: for choosing options.

    Parameters
    ----------
    data : path
        The folder LibriSpeech with SPEAKERS.TXT, test-clean and one or more of the train parts, or
        the folder it lies in.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If test-clean, the train parts or SPEAKERS.TXT are missing, or a reader is not in it.
    """
    corpus = read_corpus(data, "librispeech")
    inside = data / "LibriSpeech"
    readers = read_readers((inside if inside.is_dir() else data) / "SPEAKERS.TXT")
    parts: dict[str, dict[str, list[str]]] = {}
    for one in corpus.utterances:
        if one.speaker not in readers:
            raise ListError(f"{data}: SPEAKERS.TXT does not tell of the reader {one.speaker}")
        part = parts.setdefault(readers[one.speaker].part, {})
        part.setdefault(one.speaker, []).append(one.name)
    others = [own for name, part in sorted(parts.items()) if name.startswith("train-")
              for own in part.values()]  # fmt: skip
    for what, found in (("test-clean", "test-clean" in parts), ("train part", others)):
        if not found:
            raise ListError(
                f"{data}: no recordings of {what}; there are {', '.join(sorted(parts))}"
            )
    write_files(lists / "ubm.txt", (file for own in others for file in drawn(own, N_BACKGROUND)))
    genders = {name: reader.gender for name, reader in readers.items()}
    for part, ending in (("test-clean", ""), ("dev-clean", "_dev")):
        if part in parts:
            enrolled, tests = divided(parts[part])
            if not tests:
                raise ListError(f"{data}: no reader of {part} has more than {N_ENROLL} recordings")
            write_enrollments(lists / f"enrol{ending}.tsv", enrolled)
            write_trials(lists / f"trials{ending}.txt", trials_within(tests, genders))
    paths = {one.name: str(one.path.relative_to(data)) for one in corpus.utterances}
    write_paths(lists / "files.tsv", paths)


def divided(voices: dict[str, list[str]]) -> tuple[list[Enrollment], dict[str, tuple[str, ...]]]:
    """Divide each reader's recordings: some of the first chapter enroll, some others are tests.

    The tests are of other chapters where there are any. Who has too few recordings is left out.
    """
    enrolled, tests = [], {}
    for speaker, files in sorted(voices.items()):
        first = min((file.split("/")[1] for file in files), key=int)
        of_first = [file for file in files if file.split("/")[1] == first]
        kept = drawn(of_first, N_ENROLL)
        elsewhere = [file for file in files if file not in of_first]
        rest = elsewhere or [file for file in of_first if file not in kept]
        if rest:
            enrolled.append(Enrollment(speaker, kept))
            tests[speaker] = drawn(rest, N_TESTS)
    return enrolled, tests


def read_readers(path: Path) -> dict[str, Reader]:
    """Read SPEAKERS.TXT: lines of ``id | gender | part | minutes | name``; ; begins a comment."""
    readers = {}
    for number, line in read_lines(path):
        if line.startswith(";"):
            continue
        fields = [field.strip() for field in line.split("|", 4)]
        if len(fields) != 5 or fields[1] not in ("F", "M"):
            raise ListError(
                f"{path}: line {number}: expected id | F or M | part | minutes | name, got {line!r}"
            )
        readers[fields[0]] = Reader(fields[1], fields[2])
    return readers
