"""Score a list of trials that is too long for memory, part by part."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from voicegmm._base.files import whole_file
from voicegmm.corpus.long_lists import TrialParts
from voicegmm.scoring.frames import FrameLibrary
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.ratio import ScoreKeeper
from voicegmm.scoring.table import SCORE_COLUMNS, ScoreTable, write_scores
from voicegmm.scoring.trials import score_trials
from voicegmm.scoring.voices import Voices


@dataclass
class ScoredList:
    """What became of the trials of a list whose scores stand in a file.

    Attributes
    ----------
    n_trials, n_scored, n_duplicates : int
        Trials, those that have a score, and lines that repeated an earlier trial.
    """

    n_trials: int = 0
    n_scored: int = 0
    n_duplicates: int = 0
    _failures: dict[str, tuple[str, str, int]] = field(default_factory=dict)

    @staticmethod
    def of(table: ScoreTable) -> "ScoredList":
        """Give that of a list whose scores are in memory."""
        result = ScoredList()
        result.add(table)
        return result

    def add(self, table: ScoreTable) -> None:
        """Count the trials of one more part."""
        self.n_trials += len(table)
        self.n_scored += int(table.scored.sum())
        self.n_duplicates += table.trials.n_duplicates
        for reason, (status, _, n) in table.failures().items():
            n_before = self._failures.get(reason, ("", "", 0))[2]
            self._failures[reason] = status, reason, n_before + n

    def failures(self) -> dict[str, tuple[str, str, int]]:
        """Give what could not be scored: reason -> (status, reason, number of trials)."""
        return dict(self._failures)


def score_long_list(
    voices: Voices,
    frames: FrameLibrary,
    parts: TrialParts,
    out: str | Path,
    keeper: Callable[[Path], AbstractContextManager[ScoreKeeper]],
    segments: dict[str, tuple[str, ...]] | None = None,
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    options: ScoringOptions | None = None,
) -> ScoredList:
    """Score a list of trials part by part and write its table, whole or not at all.

    As `score_trials`: each test is read once and passes the background model once. But the memory
    that it takes does not grow with the number of trials.

    Parameters
    ----------
    voices, frames, segments, n_workers, progress, options
        See `score_trials`.
    parts : TrialParts
        Their tables are written beside them.
    out : path
        The score table, in the list's order.
    keeper : callable
        Gives, for the table of a part, what keeps its scores until the block ends well.

    Raises
    ------
    ListError, MismatchError
        As `score_trials`.
    """
    known_tests = {*frames.ids, *(segments or {})}
    known_models = {*voices.speakers.ids, *voices.not_enrolled}
    parts.check_known(known_models, known_tests, "the trial list")
    result = ScoredList()
    tables = [path.with_suffix(".scores") for path in parts.files]
    with ExitStack() as kept:  # all scores are kept until the whole table is there
        for part, path in enumerate(tables):
            trials = parts.trials(part)
            counted = _after(result.n_trials, progress)
            keep = kept.enter_context(keeper(path))
            table = score_trials(
                voices, frames, trials, segments, n_workers, counted, options, keep
            )
            write_scores(path, table)
            result.add(table)
        with (
            whole_file(out) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            file.write("\t".join(SCORE_COLUMNS) + "\n")
            lines = [_placed_lines(parts, part, path) for part, path in enumerate(tables)]
            file.writelines(line for _, line in heapq.merge(*lines))
    return result


def _after(n_done: int, progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    return progress and (lambda n: progress(n_done + n))


def _placed_lines(parts: TrialParts, part: int, table: Path) -> Iterator[tuple[int, str]]:
    """Give the lines of a part's table, each with its place in the list."""
    with table.open(encoding="utf-8", newline="\n") as file:
        next(file)
        rows = parts.rows(part)
        for line in file:
            begin = line.split("\t", 2)[:2]
            # A row that is not the next of the table repeats an earlier one.
            place = next(place for place, model, test, _ in rows if [model, test] == begin)
            yield place, line
