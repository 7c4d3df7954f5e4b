"""Is a corpus fit for use? Every recording is read once; everything wrong is told at once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm._base.checks import above
from voicegmm._base.errors import AudioError, OptionError
from voicegmm._base.files import content_hash
from voicegmm._base.progress import Progress, counting, silent
from voicegmm.audio import WHOLE, SoundMeasures, measure
from voicegmm.compute import ordered_map
from voicegmm.corpus.splits import ProtocolFolder, Split, read_protocol_lists, split_problems
from voicegmm.corpus.utterances import Corpus, Utterance

# Sound that `find_recordings` passes over, because libsndfile reads none of it.
NOT_READ = frozenset(
    {".m4a", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mkv", ".raw", ".pcm"}
)
FOLDERS = ("folder", "voxceleb", "librispeech")


@dataclass(frozen=True)
class CheckOptions:
    """What counts as too little.

    Parameters
    ----------
    min_seconds : float > 0
        Shorter recordings are told.
    silence_db : float
        A recording at or below this level, in dB relative to full scale, is silent.
    """

    min_seconds: float = 0.5
    silence_db: float = -70.0

    def __post_init__(self) -> None:
        above("min_seconds", self.min_seconds, 0)
        if not self.silence_db <= 0:
            raise OptionError(f"silence_db must be at most 0, got {self.silence_db:g}")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a corpus.

    Parameters
    ----------
    kind : str
        "missing", "unreadable", "too short", "silent", "clipped", "duplicate", "rates",
        "not read", "split" or "protocol".
    name : str
        Of an utterance, or of a list.
    reason : str
        What is wrong, and the remedy.
    serious : bool
        Whether it stops a run, leaves trials without a score, or makes figures mean something
        else. Otherwise it is a doubt.
    """

    kind: str
    name: str
    reason: str
    serious: bool


@dataclass(frozen=True, eq=False)
class CorpusCheck:
    """What a corpus holds, and what is wrong with it.

    Parameters
    ----------
    corpus : Corpus
    measures : mapping of str to SoundMeasures
        Of each utterance that could be read.
    problems : tuple of Problem
    """

    corpus: Corpus
    measures: Mapping[str, SoundMeasures]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is seriously wrong."""
        return not any(problem.serious for problem in self.problems)

    def seconds_by_speaker(self) -> dict[str, list[float]]:
        """Give the seconds of each recording that could be read, by speaker where one is known."""
        found: dict[str, list[float]] = {}
        for one in self.corpus.utterances:
            if one.name in self.measures and one.speaker:
                found.setdefault(one.speaker, []).append(self.measures[one.name].seconds)
        return found

    def summary(self) -> dict[str, Any]:
        """Give figures, for people and for programs."""
        measures = list(self.measures.values())
        speakers = self.seconds_by_speaker()
        return {
            "corpus": str(self.corpus.place),
            "layout": self.corpus.layout,
            "n_recordings": len(self.corpus.utterances),
            "n_readable": len(measures),
            "n_speakers": len({one.speaker for one in self.corpus.utterances} - {""}),
            "n_without_speaker": sum(not one.speaker for one in self.corpus.utterances),
            "seconds": round(sum(one.seconds for one in measures), 3),
            "sample_rates": _counts(one.sample_rate for one in measures),
            "channels": _counts(one.n_channels for one in measures),
            "recording_seconds": _spread([one.seconds for one in measures]),
            "level_db": _spread([one.level_db for one in measures if np.isfinite(one.level_db)]),
            "recordings_per_speaker": _spread([len(own) for own in speakers.values()]),
            "seconds_per_speaker": _spread([sum(own) for own in speakers.values()]),
            "ok": self.ok,
        }


def _counts(values: Iterator[int]) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    low, middle, high = np.quantile(values, (0, 0.5, 1))
    return {"least": round(low, 3), "median": round(middle, 3), "most": round(high, 3)}


def check_corpus(
    corpus: Corpus,
    options: CheckOptions | None = None,
    splits: Sequence[Split] = (),
    protocol: ProtocolFolder | None = None,
    n_workers: int = 1,
    progress: Progress = silent,
) -> CorpusCheck:
    """Read every recording of a corpus, and tell what is wrong with them and their splits.

    Parameters
    ----------
    corpus : Corpus
    options : CheckOptions, optional
    splits : sequence of Split
        What is kept apart of what.
    protocol : ProtocolFolder, optional
        The lists of an experiment; see `read_protocol_lists`.
    n_workers : int
    progress : callable
        See `voicegmm._base.progress`.

    Returns
    -------
    CorpusCheck
    """
    options = options or CheckOptions()
    measures: dict[str, SoundMeasures] = {}
    problems: list[Problem] = []
    sides = list(splits)
    if protocol is not None:
        lists = read_protocol_lists(protocol, corpus)
        corpus = lists.corpus
        sides += lists.splits
        problems += [Problem("protocol", *each) for each in lists.problems]
    told = counting(progress, "recordings", len(corpus.utterances))
    results = ordered_map(_measured, corpus.utterances, n_workers)
    for number, (one, found) in enumerate(zip(corpus.utterances, results, strict=True), 1):
        told(number)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            measures[one.name] = found
            problems += _of_sound(one, found, options)
    loud = {name: one for name, one in measures.items() if one.level_db > options.silence_db}
    twins = _twins(corpus, loud)
    problems += _duplicates(corpus, twins)
    problems += [Problem("split", *each) for each in split_problems(corpus, sides, twins)]
    problems += _rates(corpus, measures)
    problems += _not_read(corpus)
    return CorpusCheck(corpus, measures, tuple(problems))


def _measured(one: Utterance) -> SoundMeasures | Problem:
    if not one.path.exists():
        reason = f"{one.path}: no such file; get it, or mend the list"
        return Problem("missing", one.name, reason, serious=True)
    try:
        return measure(one.path, one.excerpt)
    except AudioError as error:
        return Problem(error.status, one.name, str(error), serious=True)


def _of_sound(one: Utterance, found: SoundMeasures, options: CheckOptions) -> Iterator[Problem]:
    if found.level_db <= options.silence_db:
        level = f"{found.level_db:.1f} dB of full scale" if found.peak else "all zeros"
        reason = f"{level}; record it again, or leave it out"
        yield Problem("silent", one.name, reason, serious=True)
    if found.seconds < options.min_seconds:
        reason = f"{found.seconds:.3f} s; at least {options.min_seconds:g} s were asked for"
        yield Problem("too short", one.name, reason, serious=False)
    if found.clipped:
        reason = f"{100 * found.clipped_share:.1f} % of the samples stand at full scale"
        yield Problem("clipped", one.name, reason, serious=False)


def _twins(corpus: Corpus, measures: Mapping[str, SoundMeasures]) -> dict[str, Utterance]:
    """Find the utterances whose samples are those of an earlier one, and give that one."""
    first: dict[tuple[int, str], Utterance] = {}
    twins = {}
    for one in corpus.utterances:
        if one.name in measures:
            found = measures[one.name]
            same = first.setdefault((found.sample_rate, found.samples_hash), one)
            if same is not one:
                twins[one.name] = same
    return twins


def _duplicates(corpus: Corpus, twins: Mapping[str, Utterance]) -> Iterator[Problem]:
    for one in corpus.utterances:
        twin = twins.get(one.name)
        if twin is None:
            continue
        speakers = {one.speaker, twin.speaker} - {""}
        other = len(speakers) > 1
        whose = f", under another speaker ({twin.speaker})" if other else ""
        how = _likeness(one, twin)
        reason = f"{how} {twin.name}{whose}; keep one of the two"
        yield Problem("duplicate", one.name, reason, serious=other)


def _likeness(one: Utterance, twin: Utterance) -> str:
    """Tell in what two utterances with the same samples are the same."""
    if one.path.resolve() == twin.path.resolve():
        parts = "part of the same file" if one.excerpt != WHOLE else "same file"
        return f"the {parts} as"
    same = content_hash(one.path) == content_hash(twin.path)
    return "a copy of the file of" if same else "the same sound, in another file, as"


def _rates(corpus: Corpus, measures: Mapping[str, SoundMeasures]) -> Iterator[Problem]:
    """Tell of rates below that of most: their upper band is empty, and that tells them apart."""
    counts = Counter(one.sample_rate for one in measures.values())
    if len(counts) < 2:
        return
    usual = max(counts, key=lambda rate: (counts[rate], rate))
    for one in corpus.utterances:
        found = measures.get(one.name)
        if found and found.sample_rate != usual:
            reason = f"{found.sample_rate} Hz, where most have {usual} Hz"
            yield Problem("rates", one.name, reason, serious=False)


def _not_read(corpus: Corpus) -> Iterator[Problem]:
    if corpus.layout not in FOLDERS:
        return
    counts = Counter(
        path.suffix.lower()
        for path in Path(corpus.place).rglob("*")
        if path.suffix.lower() in NOT_READ and path.name[0] != "."
    )
    for suffix, count in sorted(counts.items()):
        reason = f"passed over, {count} in all; convert them to WAV or FLAC"
        yield Problem("not read", f"*{suffix}", reason, serious=False)
