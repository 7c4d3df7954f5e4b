"""Several score tables of the same trials, brought into one order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array
from voicegmm._base.errors import DataError, ListError
from voicegmm.corpus import Trials
from voicegmm.metrics import infer_speakers
from voicegmm.scoring.frames import OK
from voicegmm.scoring.fusion import Fusion, FusionOptions, fuse_held_out, learn_fusion
from voicegmm.scoring.quality import QualityTable, TrialQuality
from voicegmm.scoring.table import ScoreTable

_SHOWN = 5  # trials shown of many


@dataclass(frozen=True, eq=False)
class AlignedTables:
    """Score tables that hold the same trials in the same order.

    Parameters
    ----------
    systems : tuple of str
        What each table is called.
    tables : tuple of ScoreTable
        All with the trials of the first, and the labels that any of them has.
    """

    systems: tuple[str, ...]
    tables: tuple[ScoreTable, ...]

    @property
    def trials(self) -> Trials:
        """Their trials."""
        return self.tables[0].trials

    @property
    def scores(self) -> Float64Array:
        """Calibrated ratios of each system, scores where it has none: (n_trials, n_systems)."""
        return np.column_stack([table.best for table in self.tables])

    @property
    def calibrated(self) -> tuple[bool, ...]:
        """Which systems have calibrated ratios."""
        return tuple(table.llrs is not None for table in self.tables)

    @property
    def scored(self) -> BoolArray:
        """Trials with a finite score by every system: (n_trials,)."""
        return np.asarray(np.isfinite(self.scores).all(axis=1))

    @property
    def usable(self) -> BoolArray:
        """Those of them that have a label: (n_trials,)."""
        found: BoolArray = self.scored & (self.trials.labels >= 0)
        return found

    def quality(self, measures: QualityTable | None) -> TrialQuality | None:
        """Give the quality measures of the trials.

        Raises
        ------
        DataError
            If those of a trial that has a score are not known.
        """
        return None if measures is None else measures.of(self.trials, self.scored)


def align_tables(tables: Sequence[ScoreTable], systems: Sequence[str]) -> AlignedTables:
    """Bring score tables into the order of the first.

    Parameters
    ----------
    tables : sequence of ScoreTable
        At least one.
    systems : sequence of str
        What to call each, as its file.

    Raises
    ------
    ListError
        Naming every table that lacks trials of another, with the first of them, or a trial that
        two tables label otherwise.
    """
    numbers, pairs = number_trials([table.trials for table in tables])
    everything = np.unique(np.concatenate(numbers))
    lacking = []
    for system, each in zip(systems, numbers, strict=True):
        missing = sorted(map(pairs, np.setdiff1d(everything, each).tolist()))
        if missing:
            shown = ", ".join(" with ".join(pair) for pair in missing[:_SHOWN])
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            lacking.append(
                f"{system} lacks {len(missing)} of {len(everything)} trials ({shown}{more})"
            )
    if lacking:
        raise ListError(
            f"{'; '.join(lacking)}. Score the same trials with every system: one that fails stands "
            "in the table with its status"
        )
    orders = [rows_of(numbers[0], each) for each in numbers]
    labels = _common_labels(tables, systems, orders)
    trials = replace(tables[0].trials, labels=labels)
    return AlignedTables(
        tuple(systems),
        tuple(
            ScoreTable(
                trials,
                table.scores[order],
                tuple(table.statuses[i] for i in order),
                tuple(table.reasons[i] for i in order),
                None if table.llrs is None else table.llrs[order],
            )
            for table, order in zip(tables, orders, strict=True)
        ),
    )


def _common_labels(
    tables: Sequence[ScoreTable], systems: Sequence[str], orders: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.int8]:
    labels = np.array(tables[0].trials.labels)
    for table, system, order in zip(tables, systems, orders, strict=True):
        theirs = table.trials.labels[order]
        wrong = np.flatnonzero((labels >= 0) & (theirs >= 0) & (labels != theirs))
        if len(wrong):
            trials, first = tables[0].trials, wrong[0]
            model, test = (
                trials.models[trials.model_index[first]],
                trials.tests[trials.test_index[first]],
            )
            raise ListError(
                f"{system} labels {len(wrong)} trials otherwise than the tables before it, the "
                f"first is {model} with {test}; mend the labels"
            )
        labels = np.maximum(labels, theirs)
    return labels


def number_trials(
    lists: Sequence[Trials],
) -> tuple[list[npt.NDArray[np.int64]], Callable[[int], tuple[str, str]]]:
    """Number the trials of several lists: those with the same names have the same number.

    Returns
    -------
    numbers : list of (n_trials,) int64 array
        One a list.
    names : callable
        From a number to the names of model and test.
    """
    models: dict[str, int] = {}
    tests: dict[str, int] = {}
    places = []
    for trials in lists:
        of_model = np.array([models.setdefault(name, len(models)) for name in trials.models])
        of_test = np.array([tests.setdefault(name, len(tests)) for name in trials.tests])
        places.append((of_model[trials.model_index], of_test[trials.test_index]))
    n_tests, names = len(tests), (tuple(models), tuple(tests))

    def of(number: int) -> tuple[str, str]:
        return names[0][number // n_tests], names[1][number % n_tests]

    return [model * n_tests + test for model, test in places], of


def rows_of(wanted: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Find where each wanted number, which must be there, stands among different numbers."""
    order = np.argsort(numbers)
    rows: npt.NDArray[np.int64] = order[np.searchsorted(numbers, wanted, sorter=order)]
    return rows


def learn_fusion_of(
    aligned: AlignedTables,
    options: FusionOptions | None = None,
    measures: QualityTable | None = None,
) -> Fusion:
    """Learn a fusion from the trials that have a label and a score by every system.

    Raises
    ------
    DataError
        As `learn_fusion`, or if the quality measures of a trial are not known.
    """
    usable = aligned.usable
    quality = aligned.quality(measures)
    return learn_fusion(
        aligned.scores[usable],
        aligned.trials.labels[usable] == 1,
        options,
        aligned.systems,
        aligned.calibrated,
        None if quality is None else quality.of(usable),
    )


def fused_held_out(
    aligned: AlignedTables,
    options: FusionOptions | None = None,
    measures: QualityTable | None = None,
) -> ScoreTable:
    """Fuse each trial by what the labeled trials of other speakers teach; see `fuse_held_out`.

    Raises
    ------
    DataError
        As `fuse_held_out`, or if a trial has no label, or its quality measures are not known.
    """
    trials, usable = aligned.trials, aligned.usable
    n_unlabeled = int((trials.labels < 0).sum())
    if n_unlabeled:
        raise DataError(
            f"{n_unlabeled} of {len(trials)} trials have no label; give them with a key, or learn "
            "the fusion from other trials"
        )
    target = trials.labels[usable] == 1
    models, tests = infer_speakers(target, trials.model_index[usable], trials.test_index[usable])
    quality = aligned.quality(measures)
    ratios = np.full(len(trials), np.nan)
    ratios[usable] = fuse_held_out(
        aligned.scores[usable],
        target,
        models,
        tests,
        options,
        None if quality is None else quality.of(usable),
    )
    return _fused(aligned, ratios)


def fuse_tables(
    aligned: AlignedTables, fusion: Fusion, measures: QualityTable | None = None
) -> ScoreTable:
    """Fuse the scores of each trial; a trial that a system could not score keeps the reason.

    Raises
    ------
    ListError
        If the fusion is of other systems: of another number, or calibrated otherwise.
    MismatchError
        If the fusion takes quality measures that are not given.
    DataError
        If those of a trial are not known.
    """
    if len(fusion.weights) != len(aligned.tables):
        raise ListError(
            f"the fusion is of {len(fusion.weights)} systems ({', '.join(fusion.systems)}), got "
            f"{len(aligned.tables)} score tables"
        )
    for system, known, found in zip(
        aligned.systems, fusion.calibrated, aligned.calibrated, strict=True
    ):
        if known != found:
            raise ListError(
                f"{system} has {'' if found else 'no '}calibrated ratios, and the fusion was "
                f"learned from a table that had {'them' if known else 'none'}; score it the same "
                "way"
            )
    return _fused(aligned, fusion.apply(aligned.scores, aligned.quality(measures)))


def _fused(aligned: AlignedTables, ratios: Float64Array) -> ScoreTable:
    statuses, reasons = [], []
    for number in range(len(ratios)):
        failed = next((i for i, t in enumerate(aligned.tables) if t.statuses[number] != OK), None)
        if failed is None:
            statuses.append(OK)
            reasons.append("")
        else:
            table = aligned.tables[failed]
            statuses.append(table.statuses[number])
            reasons.append(f"{aligned.systems[failed]}: {table.reasons[number]}")
    return ScoreTable(aligned.trials, ratios, tuple(statuses), tuple(reasons), ratios)
