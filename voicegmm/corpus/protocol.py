"""A protocol: what trains, what is enrolled, what is tried; and whether the parts are apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from voicegmm._base.checks import listed
from voicegmm._base.errors import ListError
from voicegmm.audio import Excerpt
from voicegmm.corpus.lists import (
    Enrollment,
    read_enrollments,
    read_files,
    read_segments,
)
from voicegmm.corpus.tables import read_utterances
from voicegmm.corpus.trials import Trials, read_trials
from voicegmm.corpus.utterances import Corpus, speaker_of


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
    excerpts : dict of str to Excerpt
        Which part of it is meant, where that is not the whole.
    """

    background: tuple[str, ...]
    enrollments: tuple[Enrollment, ...]
    trials: Trials
    segments: dict[str, tuple[str, ...]]
    paths: dict[str, Path]
    excerpts: dict[str, Excerpt] = field(default_factory=dict)

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
            Names of the lists; `segments` may be empty and `paths` may be missing. It has the
            columns ``file`` and any of ``path``, ``start``, ``end`` and ``channel``.

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
        places = _places(lists / paths, data) if paths and (lists / paths).exists() else None
        known, parts = (places.paths, places.excerpts) if places else ({}, {})
        tests = [file for test in tried.tests for file in made_of.get(test, (test,))]
        files = dict.fromkeys([*training, *(f for e in enrolled for f in e.files), *tests])
        where = {file: known.get(file, data / file) for file in files}
        missing = [file for file, path in where.items() if not path.exists()]
        if missing:
            raise ListError(
                f"{len(missing)} of {len(where)} recordings that {lists} names are not in {data}: "
                f"{listed(missing)}; check --data, or mend the list"
            )
        parts = {file: parts[file] for file in files if file in parts}
        return Protocol(training, enrolled, tried, made_of, where, parts)

    def test_files(self, test: str) -> tuple[str, ...]:
        """Give the recordings that a test is made of."""
        return self.segments.get(test, (test,))


def _places(path: Path, data: Path) -> Corpus:
    """Read where recordings lie, and which parts of them are meant."""
    places = read_utterances(path, data)
    for one in places.utterances:
        if one.label or one.speaker != speaker_of(one.name):
            raise ListError(
                f"{path}: {one.name}: this list tells where recordings lie; speakers are told by "
                "the names (<speaker>/...), so leave the columns speaker and class out"
            )
    return places


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


def drawn(names: Iterable[str], n: int) -> tuple[str, ...]:
    """Draw names by lot: by the digests of the names, so the same ones everywhere.

    Parameters
    ----------
    names : iterable of str
    n : int
        How many, or all where there are not so many.

    Returns
    -------
    tuple of str
        Sorted.
    """
    by_digest = sorted(names, key=lambda name: sha256(name.encode()).digest())
    return tuple(sorted(by_digest[:n]))


def trials_within(tests: Mapping[str, Iterable[str]], groups: Mapping[str, str]) -> Trials:
    """Try the tests of each speaker against all speakers of the same group.

    Parameters
    ----------
    tests : mapping of str to iterable of str
        Speaker -> names of their tests.
    groups : mapping of str to str
        Speaker -> group, as "f" and "m"; who is in none is a group of their own.
    """
    return Trials.of(
        (model, test, int(model == speaker))
        for model in tests
        for speaker, own in tests.items()
        if model == speaker or groups.get(model, model) == groups.get(speaker, speaker)
        for test in own
    )
