"""The lists of the Free Spoken Digit Dataset: six speakers, ten digits, fifty takes of each.

Two layouts are read: the public data set, whose lists are computed, and a copy that carries them in
`protocol/`. Both give the same lists.
"""

from pathlib import Path

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Enrollment,
    Trials,
    read_enrollments,
    read_files,
    read_segments,
    read_trials,
    write_enrollments,
    write_files,
    write_paths,
    write_segments,
    write_trials,
)

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
DIGITS = range(10)
# In the order of the names as the data set writes them: 0, 1, 10, 11, ..., 19, 2, 20, ...
TAKES = sorted(range(50), key=str)
TEST = [take for take in TAKES if take < 5]
TRAIN = [take for take in TAKES if take >= 5]
ENROLL = [take for take in TRAIN if take < 15]
# Tests for choosing options, so that the test takes stay unseen: fifteen of the training takes.
DEVELOP = [take for take in TRAIN if take >= 15 and take % 15 < 5]


def prepare(data: Path, lists: Path) -> None:
    """Write the lists of the protocol, and those for choosing options.

    ubm.txt, enrol.tsv and trials.txt; trials_long.txt with segments.tsv; ubm_dev.txt and
    trials_dev.txt. With the public layout, files.tsv too.

    Parameters
    ----------
    data : path
        The data set: recordings/<digit>_<speaker>_<take>.wav; or
        <speaker>/<digit>_<speaker>_<take, two digits>.flac and protocol/.
    lists : path
        The folder to write into.

    Raises
    ------
    ListError
        If the folder is neither, or a recording is missing.
    """
    (lists / "files.tsv").unlink(missing_ok=True)  # of an earlier run, on the other layout
    if (data / "protocol").is_dir():
        copy_lists(data / "protocol", lists)
    elif (data / "recordings").is_dir():
        find_recordings(data, lists)
        compute_lists(lists)
    else:
        raise ListError(
            f"{data}: not the Free Spoken Digit Dataset; expected its folder recordings "
            "(or a copy: <speaker>/<digit>_<speaker>_<take>.flac, with the lists in protocol)"
        )
    develop(lists)


def copy_lists(source: Path, lists: Path) -> None:
    """Take the lists that a copy of the data set carries; reading checks them."""
    write_files(lists / "ubm.txt", read_files(source / "ubm.txt"))
    write_enrollments(lists / "enrol.tsv", read_enrollments(source / "enrol.tsv"))
    write_segments(lists / "segments.tsv", read_segments(source / "segments.tsv"))
    for name in ("trials.txt", "trials_long.txt"):
        write_trials(lists / name, read_trials(source / name))


def find_recordings(data: Path, lists: Path) -> None:
    """Write where each recording of the public data set lies; all must be there."""
    paths = {
        recording(speaker, digit, take): f"recordings/{digit}_{speaker}_{take}.wav"
        for speaker in SPEAKERS
        for digit in DIGITS
        for take in TAKES
    }
    missing = [path for path in paths.values() if not (data / path).is_file()]
    if missing:
        raise ListError(
            f"{data}: {len(missing)} of {len(paths)} recordings are missing, the first is "
            f"{missing[0]}; get the data set with six speakers and fifty takes"
        )
    write_paths(lists / "files.tsv", paths)


def compute_lists(lists: Path) -> None:
    """Apply the rule of the protocol; speakers and takes are known, so nothing is read."""
    write_files(
        lists / "ubm.txt",
        (recording(s, d, take) for d in DIGITS for s in SPEAKERS for take in TRAIN),
    )
    write_enrollments(
        lists / "enrol.tsv",
        (
            Enrollment(s, tuple(recording(s, d, take) for d in DIGITS for take in ENROLL))
            for s in SPEAKERS
        ),
    )
    tests = {recording(s, d, take): s for d in DIGITS for s in SPEAKERS for take in TEST}
    write_trials(lists / "trials.txt", against_all(tests))
    write_segments(
        lists / "segments.tsv",
        {
            f"{s}-{take:02}": tuple(recording(s, d, take) for d in DIGITS)
            for s in SPEAKERS
            for take in TEST
        },
    )
    segments = {f"{s}-{take:02}": s for s in SPEAKERS for take in TEST}
    write_trials(lists / "trials_long.txt", against_all(segments))


def develop(lists: Path) -> None:
    """Write lists for choosing options: some training takes are tests, the others train."""
    kept = [take for take in TRAIN if take not in DEVELOP]
    training = (recording(s, d, take) for d in DIGITS for s in SPEAKERS for take in kept)
    write_files(lists / "ubm_dev.txt", training)
    tests = {recording(s, d, take): s for d in DIGITS for s in SPEAKERS for take in DEVELOP}
    write_trials(lists / "trials_dev.txt", against_all(tests))


def recording(speaker: str, digit: int, take: int) -> str:
    """Give a recording's id: the folder tells the speaker, wherever the recording lies."""
    return f"{speaker}/{digit}_{speaker}_{take:02}.flac"


def against_all(voice_of: dict[str, str]) -> Trials:
    """Try each test against all speakers."""
    return Trials.of(
        (model, test, int(model == voice)) for test, voice in voice_of.items() for model in SPEAKERS
    )
