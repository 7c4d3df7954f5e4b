"""The lists of speechocean762: adults, speaker-disjoint, same-gender trials.

Two layouts are read: the public corpus, whose lists are computed, and a copy that carries them in
`protocol/`. Both give the same lists.
"""

from dataclasses import dataclass
from pathlib import Path

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Enrollment,
    drawn,
    read_enrollments,
    read_files,
    read_kaldi_table,
    read_trials,
    trials_within,
    write_enrollments,
    write_files,
    write_paths,
    write_trials,
)
from voicegmm.corpus.kaldi import read_recordings

ADULT = 16  # years
N_LISTED = 20  # utterances a speaker in the corpus
N_KEPT = 10
N_ENROLL = 4


def prepare(data: Path, lists: Path) -> None:
    """Write ubm.txt, enrol.tsv and trials.txt; with the public layout, files.tsv too.

    Parameters
    ----------
    data : path
        The corpus: WAVE/, train/ and test/; or <speaker>/<utterance>.flac and protocol/.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If the folder is neither, or something in it is missing or stands twice.
    """
    (lists / "files.tsv").unlink(missing_ok=True)  # of an earlier run, on the other layout
    if (data / "protocol").is_dir():
        copy_lists(data / "protocol", lists)
    elif all((data / name).is_dir() for name in ("WAVE", "train", "test")):
        compute_lists(data, lists)
    else:
        raise ListError(
            f"{data}: not speechocean762; expected its folders WAVE, train and test "
            "(or a copy: <speaker>/<utterance>.flac, with the lists in protocol)"
        )


def copy_lists(source: Path, lists: Path) -> None:
    """Take the lists that a copy of the corpus carries; reading checks them."""
    write_files(lists / "ubm.txt", read_files(source / "ubm.txt"))
    write_enrollments(lists / "enrol.tsv", read_enrollments(source / "enrol.tsv"))
    write_trials(lists / "trials.txt", read_trials(source / "trials.txt"))


def compute_lists(data: Path, lists: Path) -> None:
    """Apply the rule of the protocol to the public corpus."""
    train, test = adults(data / "train"), adults(data / "test")
    for name in sorted(train.keys() & test.keys()):
        raise ListError(f"{data}: speaker {name} stands in train and in test")
    trials = trials_within(
        {name: voice.files[N_ENROLL:] for name, voice in test.items()},
        {name: voice.gender for name, voice in test.items()},
    )
    paths = {file: path for voice in (train | test).values() for file, path in voice.paths.items()}
    missing = [path for path in paths.values() if not (data / path).is_file()]
    if missing:
        raise ListError(
            f"{data}: {len(missing)} of {len(paths)} recordings are missing, the first is "
            f"{missing[0]}; get the whole corpus"
        )
    write_files(lists / "ubm.txt", (file for voice in train.values() for file in voice.files))
    write_enrollments(
        lists / "enrol.tsv",
        (Enrollment(name, voice.files[:N_ENROLL]) for name, voice in test.items()),
    )
    write_trials(lists / "trials.txt", trials)
    write_paths(lists / "files.tsv", paths)


@dataclass(frozen=True)
class Voice:
    """A speaker: gender, and where the recordings that take part lie (id -> path)."""

    gender: str
    paths: dict[str, str]

    @property
    def files(self) -> tuple[str, ...]:
        """The ids, sorted."""
        return tuple(self.paths)


def adults(part: Path) -> dict[str, Voice]:
    """Read the adults of train/ or test/, by name; of each the recordings that take part."""
    places = read_recordings(part / "wav.scp")
    ages, genders = read_kaldi_table(part / "spk2age"), read_kaldi_table(part / "spk2gender")
    utterances: dict[str, list[str]] = {}
    for utterance, speaker in read_kaldi_table(part / "utt2spk").items():
        utterances.setdefault(speaker, []).append(utterance)
    voices = {}
    for speaker, listed in sorted(utterances.items()):
        if years(value(ages, speaker, part / "spk2age"), part / "spk2age") < ADULT:
            continue
        if len(listed) != N_LISTED:
            raise ListError(
                f"{part / 'utt2spk'}: speaker {speaker} has {len(listed)} utterances, "
                f"expected {N_LISTED}"
            )
        # An id is "<speaker>/<utterance>.flac" wherever the recording lies: the name of the folder
        # tells the speaker, and scores on either layout can be compared trial by trial.
        paths = {
            f"{speaker}/{utterance}.flac": value(places, utterance, part / "wav.scp")
            for utterance in drawn(listed, N_KEPT)
        }
        voices[speaker] = Voice(value(genders, speaker, part / "spk2gender"), paths)
    return voices


def value(table: dict[str, str], key: str, path: Path) -> str:
    """Look a key up in the table that was read from `path`."""
    if key not in table:
        raise ListError(f"{path}: {key} is missing")
    return table[key]


def years(text: str, path: Path) -> int:
    """Read an age."""
    if not (text.isascii() and text.isdigit()):
        raise ListError(f"{path}: an age must be a number of years, got {text!r}")
    return int(text)
