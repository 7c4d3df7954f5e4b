"""What must be kept apart: the parts of a split, the background and the trials."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from voicegmm._base.checks import listed
from voicegmm._base.errors import ListError
from voicegmm.corpus.lists import Enrollment, read_enrollments, read_files, read_segments
from voicegmm.corpus.tables import read_utterances
from voicegmm.corpus.trials import NONTARGET, TARGET, Trials, read_trials
from voicegmm.corpus.utterances import Corpus, Utterance, speaker_of

T = TypeVar("T")

Told = tuple[str, str, bool]
"""The name of a list, what is wrong, and whether it is serious."""


@dataclass(frozen=True)
class Split:
    """One side of a split.

    Parameters
    ----------
    name : str
        Of its list.
    files : tuple of str
        Names of utterances.
    models : tuple of str
        Names of models that belong to this side too: they may be names of speakers.
    """

    name: str
    files: tuple[str, ...]
    models: tuple[str, ...] = ()


def split_problems(
    corpus: Corpus, splits: Sequence[Split], twins: Mapping[str, Utterance]
) -> Iterator[Told]:
    """Tell which speakers and which recordings are on two sides, and which are in no corpus.

    Parameters
    ----------
    corpus : Corpus
    splits : sequence of Split
    twins : mapping of str to Utterance
        Utterances with the very sound of another: they count as that one.
    """
    known = {one.name: one for one in corpus.utterances}
    for split in splits:
        strange = [file for file in split.files if file not in known]
        if strange:
            told = f"{len(strange)} recordings are not in the corpus: {listed(strange)}"
            yield split.name, told, True
    for number, split in enumerate(splits):
        for other in splits[:number]:
            voices = sorted(_speakers(split, known) & _speakers(other, known))
            if voices:
                told = f"shares {len(voices)} speakers with {other.name}: {listed(voices)}"
                yield split.name, f"{told}; a voice must be on one side alone", True
            sounds = sorted(_sounds(split, twins) & _sounds(other, twins))
            if sounds:
                told = f"shares {len(sounds)} recordings with {other.name}: {listed(sounds)}"
                yield split.name, told, True


def _speakers(split: Split, known: Mapping[str, Utterance]) -> set[str]:
    named = {known[file].speaker if file in known else speaker_of(file) for file in split.files}
    return {*named, *split.models} - {""}


def _sounds(split: Split, twins: Mapping[str, Utterance]) -> set[str]:
    return {twins[file].name if file in twins else file for file in split.files}


@dataclass(frozen=True)
class ProtocolFolder:
    """Where the lists of a protocol lie.

    Parameters
    ----------
    folder : pathlib.Path
    background, enrollments, trials : str
        Names of the lists.
    segments, paths : str
        Names of those that need not be there.
    """

    folder: Path
    background: str = "ubm.txt"
    enrollments: str = "enrol.tsv"
    trials: str = "trials.txt"
    segments: str = "segments.tsv"
    paths: str = "files.tsv"


@dataclass(frozen=True, eq=False)
class ProtocolLists:
    """The lists of a protocol as far as they can be read.

    Parameters
    ----------
    corpus : Corpus
        The recordings that the lists name, and all others of the corpus.
    splits : tuple of Split
        The background; and what enrolls and is tried.
    problems : tuple of (str, str, bool)
        What is wrong with the lists: name, reason, whether it is serious.
    """

    corpus: Corpus
    splits: tuple[Split, ...]
    problems: tuple[Told, ...]


def read_protocol_lists(lists: ProtocolFolder, corpus: Corpus) -> ProtocolLists:
    """Read the lists of a protocol, whatever is wrong with some of them.

    Parameters
    ----------
    lists : ProtocolFolder
        Where there is a list of paths, it says where recordings lie below the corpus: then no
        others are looked at, but those that the lists name.
    corpus : Corpus
    """
    problems: list[Told] = []

    def read(name: str, reader: Callable[[Path], T], otherwise: T) -> T:
        try:
            return reader(lists.folder / name)
        except ListError as error:
            problems.append((name, str(error), True))
            return otherwise

    segments: dict[str, tuple[str, ...]] = {}
    if lists.segments and (lists.folder / lists.segments).exists():
        segments = read(lists.segments, read_segments, segments)
    nobody: tuple[Enrollment, ...] = ()
    nothing: tuple[str, ...] = ()
    background = read(lists.background, read_files, nothing)
    enrolled = read(lists.enrollments, read_enrollments, nobody)
    trials = read(lists.trials, read_trials, Trials.of([]))
    tested = (file for test in trials.tests for file in segments.get(test, (test,)))
    tried = dict.fromkeys([*(file for one in enrolled for file in one.files), *tested])
    if (lists.folder / lists.paths).exists():
        placed = read(lists.paths, lambda path: _below(path, corpus), corpus)
        named = {*background, *tried} - placed.paths.keys()
        others = tuple(one for one in corpus.utterances if one.name in named)
        corpus = replace(placed, utterances=placed.utterances + others)
    problems += [
        (lists.trials, *told) for told in _trial_problems(corpus, enrolled, trials, segments)
    ]
    both = f"{lists.enrollments} and {lists.trials}"
    splits = Split(lists.background, background), Split(both, tuple(tried), trials.models)
    return ProtocolLists(corpus, splits, tuple(problems))


def _below(path: Path, corpus: Corpus) -> Corpus:
    folder = corpus.place if corpus.place.is_dir() else corpus.place.parent
    return replace(read_utterances(path, folder), place=corpus.place)


def _trial_problems(
    corpus: Corpus,
    enrolled: Sequence[Enrollment],
    trials: Trials,
    segments: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, bool]]:
    """Tell what is wrong with trials, and whether it is serious."""
    known = {one.name: one.speaker for one in corpus.utterances}
    makes = {one.model: set(one.files) for one in enrolled}
    strange = [model for model in trials.models if model not in makes]
    if strange and enrolled:
        told = f"{len(strange)} models are not enrolled: {listed(strange)}"
        yield f"{told}; mend the enrollments or the trials", True
    for label, what in ((TARGET, "target"), (NONTARGET, "non-target")):
        if len(trials) and not (trials.labels == label).any():
            yield f"there is no {what} trial: no error rate can be measured", True
    own, wrong = [], []
    for model, test, label in zip(
        trials.model_index.tolist(), trials.test_index.tolist(), trials.labels.tolist(), strict=True
    ):
        name, files = trials.models[model], segments.get(trials.tests[test], [trials.tests[test]])
        heard = makes.get(name, set())
        if not heard.isdisjoint(files):
            own.append(f"{name} {trials.tests[test]}")
        voices = {known.get(file, speaker_of(file)) for file in heard}
        spoken = {known.get(file, speaker_of(file)) for file in files}
        if "" not in voices | spoken and len(voices) == len(spoken) == 1:
            same = voices == spoken
            if (label == TARGET and not same) or (label == NONTARGET and same):
                wrong.append(f"{name} {trials.tests[test]}")
    if own:
        told = f"{len(own)} trials are of a recording that enrolled the model: {listed(own)}"
        yield f"{told}; they get no score", False
    if wrong:
        told = f"{len(wrong)} trials have a label that the speakers belie: {listed(wrong)}"
        yield told, True
