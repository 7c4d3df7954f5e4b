"""A protocol: what trains, what is enrolled, what is tried; and whether the parts are apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voicegmm._base.checks import listed
from voicegmm._base.errors import ListError
from voicegmm.corpus.lists import (
    Enrollment,
    read_enrollments,
    read_files,
    read_paths,
    read_segments,
)
from voicegmm.corpus.trials import Trials, read_trials


@dataclass(frozen=True, eq=False)
class Protocol:
    """The lists of one experiment.

    Parameters
    ----------
    background : tuple of str
        Recordings that train the background model.
    enrollments : tuple of Enrollment
    trials : Trials
    segments : dict of str to tuple of str
        What each test is made of; a test that is not here is a recording itself.
    paths : dict of str to pathlib.Path
        Where each recording lies.
    """

    background: tuple[str, ...]
    enrollments: tuple[Enrollment, ...]
    trials: Trials
    segments: dict[str, tuple[str, ...]]
    paths: dict[str, Path]

    @staticmethod
    def read(
        lists: Path,
        data: Path,
        background: str = "ubm.txt",
        enrollments: str = "enrol.tsv",
        trials: str = "trials.txt",
        segments: str = "",
        paths: str = "files.tsv",
    ) -> "Protocol":
        """Read and check the lists of a folder.

        Parameters
        ----------
        lists : path
            The folder with the lists.
        data : path
            The folder that recordings are named relative to.
        background, enrollments, trials, segments, paths : str
            Names of the lists; `segments` may be empty and `paths` may be missing.

        Raises
        ------
        ListError
            If a list cannot be read, a trial names an unknown model, or a recording is missing.
        """
        enrolled = read_enrollments(lists / enrollments)
        tried = read_trials(lists / trials)
        made_of = read_segments(lists / segments) if segments else {}
        tried.check_known({e.model for e in enrolled}, tried.tests, str(lists / trials))
        training = read_files(lists / background)
        places = read_paths(lists / paths) if paths and (lists / paths).exists() else {}
        tests = [file for test in tried.tests for file in made_of.get(test, (test,))]
        files = dict.fromkeys([*training, *(f for e in enrolled for f in e.files), *tests])
        where = {file: data / places.get(file, file) for file in files}
        missing = [file for file, path in where.items() if not path.exists()]
        if missing:
            raise ListError(
                f"{len(missing)} of {len(where)} recordings that {lists} names are not in {data}: "
                f"{listed(missing)}; check --data, or mend the list"
            )
        return Protocol(training, enrolled, tried, made_of, where)

    def test_files(self, test: str) -> tuple[str, ...]:
        """Give the recordings that a test is made of."""
        return self.segments.get(test, (test,))


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


def read_speakers(path: str | Path) -> dict[str, list[str]]:
    """Read a plain list of recordings, named <speaker>/..., and sort them by speaker.

    Raises
    ------
    ListError
        Naming the first recording whose name does not tell its speaker.
    """
    files = read_files(path)
    nameless = [file for file in files if not speaker_of(file)]
    if nameless:
        raise ListError(
            f"{path}: {nameless[0]} does not tell whose voice it is: name recordings "
            "<speaker>/<recording>"
        )
    return by_speaker(files)


def leakage_warnings(protocol: Protocol) -> tuple[str, ...]:
    """Tell where training, enrollment and test are not apart.

    Returns
    -------
    tuple of str
        One line a kind of leak; empty where there is none.
    """
    warnings = []
    background = set(protocol.background)
    enrolled = {file for enrollment in protocol.enrollments for file in enrollment.files}
    tested = {file for test in protocol.trials.tests for file in protocol.test_files(test)}
    for what, left, right in (
        ("the background list and the tests", background, tested),
        ("the enrollments and the tests", enrolled, tested),
    ):
        shared = sorted(left & right)
        if shared:
            warnings.append(f"leakage: {what} share {len(shared)} recordings, as {shared[0]}")
    speakers = {speaker_of(file) for file in background} - {""}
    known = {speaker_of(file) for file in enrolled | tested} | set(protocol.trials.models)
    shared = sorted(speakers & known)
    if shared:
        warnings.append(
            f"leakage: the background list holds {len(shared)} speakers of the trials, "
            f"as {shared[0]}: results will look better than for voices never heard"
        )
    return tuple(warnings)
