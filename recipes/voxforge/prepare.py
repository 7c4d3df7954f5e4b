"""The lists of VoxForge: people who sent several sets of recordings are tried, the others are not.

The corpus grows and has no trials of its own; these are drawn by the names alone.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Enrollment,
    drawn,
    find_recordings,
    trials_within,
    write_enrollments,
    write_files,
    write_paths,
    write_trials,
)

N_BACKGROUND = 10  # recordings of each speaker of the background
N_ENROLL = 4
N_TESTS = 10  # at most, of each speaker who is tried
SET = re.compile(r"(?P<user>.+)-(?P<date>\d{8})-(?P<letters>\w+)")
NOBODY = "anonymous"  # many people, who cannot be told apart
# The lines of etc/README in the languages whose words for the genders begin as these do.
GENDER = re.compile(r"^\s*(?:gender|sex|geschlecht|sexe|sexo|genere)\s*:\W*(\w)", re.I | re.M)
GENDERS = {"f": "f", "w": "f", "m": "m", "h": "m"}


@dataclass
class Voice:
    """A user: gender, where it is known, and the recordings of each set by date."""

    gender: str = ""
    sets: dict[str, list[str]] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """All recordings."""
        return [file for own in self.sets.values() for file in own]


def prepare(data: Path, lists: Path) -> None:
    """Write ubm.txt, enrol.tsv, trials.txt and files.tsv.

    Parameters
    ----------
    data : path
        The sets as they are unpacked, <user>-<date>-<letters>/wav/*.wav (or flac) and etc/README,
        in it or one folder below.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If there are no sets, nobody sent two of them, or there are no non-target trials.
    """
    voices, paths = read_sets(data)
    several = [
        name for name, voice in voices.items()
        if len(voice.sets) > 1 and len(first_set(voice)) >= N_ENROLL
    ]  # fmt: skip
    # Half of them stay with the background: people who send much may differ from those who do not.
    tried = drawn(several, (len(several) + 1) // 2)
    others = [voice.files for name, voice in voices.items() if name not in tried]
    if not tried or not others:
        raise ListError(
            f"{data}: {len(voices)} users, of whom {len(several)} sent two sets or more with "
            f"{N_ENROLL} recordings in the first; trials need one, and the background others: get "
            "more sets"
        )
    enrolled, tests = [], {}
    for name in tried:
        first = first_set(voices[name])
        enrolled.append(Enrollment(name, drawn(first, N_ENROLL)))
        tests[name] = drawn((file for file in voices[name].files if file not in first), N_TESTS)
    genders = {name: voice.gender for name, voice in voices.items() if voice.gender}
    trials = trials_within(tests, genders)
    if trials.labels.all():
        raise ListError(f"{data}: no two of {', '.join(tried)} have one gender; get more sets")
    write_files(lists / "ubm.txt", (file for own in others for file in drawn(own, N_BACKGROUND)))
    write_enrollments(lists / "enrol.tsv", enrolled)
    write_trials(lists / "trials.txt", trials)
    write_paths(lists / "files.tsv", paths)


def first_set(voice: Voice) -> list[str]:
    """Give the recordings of the earliest set."""
    return voice.sets[min(voice.sets, key=lambda name: name.split("-")[-2:])]


def read_sets(data: Path) -> tuple[dict[str, Voice], dict[str, str]]:
    """Read all sets of named users, and where each recording lies: <user>/<set>/<recording>."""
    voices: dict[str, Voice] = {}
    paths: dict[str, str] = {}
    if not data.is_dir():
        raise ListError(f"{data}: no such folder; check --data")
    folders = [path for place in (data, *sorted(data.iterdir())) if place.is_dir()
               for path in sorted(place.iterdir()) if path.is_dir()]  # fmt: skip
    for folder in folders:
        named = SET.fullmatch(folder.name)
        if named is None or named["user"].lower() == NOBODY:
            continue
        files = {}
        for path in find_recordings(folder):
            files[f"{named['user']}/{folder.name}/{path.name}"] = str(path.relative_to(data))
        if files:
            voice = voices.setdefault(named["user"], Voice())
            voice.sets[folder.name] = list(files)
            voice.gender = voice.gender or gender_of(folder / "etc/README")
            paths |= files
    if not voices:
        raise ListError(
            f"{data}: no sets of VoxForge; expected <user>-<date>-<letters>/wav/<recording>.wav, "
            "unpacked, of users with a name"
        )
    return voices, paths


def gender_of(readme: Path) -> str:
    """Read a user's gender from a set's README: "f", "m", or nothing where it is not told."""
    if not readme.is_file():
        return ""
    found = GENDER.search(readme.read_text("utf-8", errors="replace"))
    return GENDERS.get(found[1].lower(), "") if found else ""
