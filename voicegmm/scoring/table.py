"""The score table: every trial with its score, or with the reason why it has none."""

import math
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, frozen
from voicegmm._base.errors import DataError, ListError
from voicegmm._base.files import whole_file
from voicegmm.corpus import Trials
from voicegmm.corpus.lists import checked_name, each_line
from voicegmm.corpus.trials import trials_of
from voicegmm.scoring.frames import OK

SCORES_FORMAT, SCORES_VERSION = "voicegmm/scores", 1  # its header line says so
SCORE_COLUMNS = ("model", "test", "label", "score", "llr", "status", "reason")
_LABELS = {"target": 1, "nontarget": 0, "": -1}
_NAMES = {1: "target", 0: "nontarget", -1: ""}


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of trials.

    Parameters
    ----------
    trials : Trials
    scores : (n_trials,) float64 array
        Mean log-likelihood ratio per frame; NaN exactly where the status is not "ok".
    statuses, reasons : tuple of str
        "ok", or what went wrong with model or test, and the line that says so.
    llrs : (n_trials,) float64 array, optional
        Calibrated log-likelihood ratios (natural logarithm), where a calibration was applied.
    """

    trials: Trials
    scores: Float64Array
    statuses: tuple[str, ...]
    reasons: tuple[str, ...]
    llrs: Float64Array | None = None

    def __post_init__(self) -> None:
        n = len(self.trials)
        if not len(self.scores) == len(self.statuses) == len(self.reasons) == n:
            raise DataError(f"a score table of {n} trials needs {n} scores, statuses and reasons")
        object.__setattr__(self, "scores", frozen(self.scores, np.float64))
        failed = np.flatnonzero(~np.isfinite(self.scores))
        if n - self.statuses.count(OK) != len(failed) or OK in [self.statuses[i] for i in failed]:
            raise DataError("a trial has a score exactly where its status is ok")
        if self.llrs is not None:
            object.__setattr__(self, "llrs", frozen(self.llrs, np.float64))

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def scored(self) -> BoolArray:
        """Which trials have a score, (n_trials,)."""
        return np.isfinite(self.scores)

    @property
    def best(self) -> Float64Array:
        """Calibrated log-likelihood ratios where there are any, else the scores."""
        return self.scores if self.llrs is None else self.llrs

    def failures(self) -> dict[str, tuple[str, str, int]]:
        """Give what could not be scored: reason -> (status, reason, number of trials)."""
        found: dict[str, tuple[str, str, int]] = {}
        for status, reason in zip(self.statuses, self.reasons, strict=True):
            if status != OK:
                found[reason] = (status, reason, found.get(reason, ("", "", 0))[2] + 1)
        return found


def write_scores(path: str | Path, table: ScoreTable) -> None:
    """Write a score table as TSV, whole or not at all; numbers read back to the same bits."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write("\t".join(SCORE_COLUMNS) + "\n")
        file.writelines(_lines(table))


def _lines(table: ScoreTable) -> Iterator[str]:
    trials = table.trials
    models = [checked_name(name, "the model") for name in trials.models]
    tests = [checked_name(name, "the test") for name in trials.tests]
    llrs = np.full(len(table), np.nan) if table.llrs is None else table.llrs
    for model, test, label, score, llr, status, reason in zip(
        trials.model_index,
        trials.test_index,
        trials.labels,
        table.scores,
        llrs,
        table.statuses,
        table.reasons,
        strict=True,
    ):
        numbers = ("" if math.isnan(number) else repr(float(number)) for number in (score, llr))
        reason = " ".join(reason.split())
        fields = (models[model], tests[test], _NAMES[int(label)], *numbers, status, reason)
        yield "\t".join(fields) + "\n"


def read_scores(path: str | Path) -> ScoreTable:
    """Read a score table.

    Raises
    ------
    ListError
        Naming the line that does not fit.
    """
    path = Path(path)
    scores, llrs = array("d"), array("d")
    statuses: list[str] = []
    reasons: list[str] = []

    def rows() -> Iterator[tuple[str, str, int]]:
        lines = each_line(path)
        number, header = next(lines)
        if tuple(header.split("\t")) != SCORE_COLUMNS:
            raise ListError(
                f"{path}: line {number}: not a score table; "
                f"the header must be {'<TAB>'.join(SCORE_COLUMNS)}"
            )
        for number, line in lines:
            fields = line.split("\t")
            if len(fields) != len(SCORE_COLUMNS) or fields[2] not in _LABELS:
                raise ListError(f"{path}: line {number}: expected 7 fields, got {line!r}")
            model, test, label, score, llr, status, reason = fields
            scores.append(_number(score, path, number))
            llrs.append(_number(llr, path, number))
            statuses.append(sys.intern(status))
            reasons.append(sys.intern(reason))
            if (status == OK) != math.isfinite(scores[-1]):
                raise ListError(
                    f"{path}: line {number}: a score belongs to the status ok alone: {line!r}"
                )
            yield model, test, _LABELS[label]

    trials = trials_of(path, rows())
    # Looked at, not copied: the table copies them, and there may be many millions.
    found, calibrated = np.frombuffer(scores), np.frombuffer(llrs)
    if not scores:
        raise ListError(f"{path}: the score table holds a header and nothing else")
    if trials.n_duplicates:
        raise ListError(f"{path}: {trials.n_duplicates} trials stand twice; a table has each once")
    has_ratio = np.isfinite(calibrated)
    if has_ratio.any() and (np.isfinite(found) & ~has_ratio).any():
        raise ListError(f"{path}: some scored trials have a calibrated ratio and some have none")
    return ScoreTable(
        trials,
        found,
        tuple(statuses),
        tuple(reasons),
        calibrated if has_ratio.any() else None,
    )


def _number(text: str, path: Path, line: int) -> float:
    if not text:
        return math.nan
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ListError(f"{path}: line {line}: {text!r} is not a finite number")
    return found
