"""Quality measures: what is known of a trial beside its scores, as the seconds of speech in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray, frozen
from voicegmm._base.errors import DataError, ListError
from voicegmm.corpus import Trials
from voicegmm.corpus.lists import each_line

SECONDS = "seconds"
_KEYS = (("model", "test"), ("test",), ("model",))


def in_logarithm(measure: str) -> bool:
    """Whether a measure is a duration, which counts by its logarithm: it is named so."""
    return measure == SECONDS or measure.endswith(f"_{SECONDS}")


@dataclass(frozen=True, eq=False)
class TrialQuality:
    """Quality measures of trials.

    Parameters
    ----------
    names : tuple of str
        Of the measures; "seconds", or what ends in "_seconds", is a duration.
    values : (n_trials, n_measures) float64 array
        NaN where a measure is not known. Durations are positive.

    Raises
    ------
    DataError
        For another shape, an infinity, or a duration that is not positive.
    """

    names: tuple[str, ...]
    values: Float64Array

    def __post_init__(self) -> None:
        values = frozen(self.values, np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise DataError(
                f"quality must be a matrix (n_trials, {len(self.names)}), a column for each of "
                f"{', '.join(self.names)}; got shape {values.shape}"
            )
        for name, column in zip(self.names, values.T, strict=True):
            if np.isinf(column).any():
                raise DataError(f"{name} must be finite")
            if in_logarithm(name) and (column <= 0).any():
                raise DataError(f"{name} must be positive: it counts by its logarithm")
        object.__setattr__(self, "values", values)

    @staticmethod
    def seconds(values: npt.ArrayLike) -> "TrialQuality":
        """Give the seconds of speech in the test of each trial, (n_trials,), as the one measure."""
        return TrialQuality((SECONDS,), np.asarray(values, np.float64).reshape(-1, 1))

    def of(self, which: IntArray | BoolArray) -> "TrialQuality":
        """Give those of some trials."""
        return TrialQuality(self.names, self.values[which])


@dataclass(frozen=True)
class QualityTable:
    """Quality measures by the names in trials.

    Parameters
    ----------
    where : str
        The file they came from, for errors.
    keys : tuple of str
        What a row is of: ("test",), ("model",) or both.
    names : tuple of str
        Of the measures.
    rows : mapping of tuple of str to tuple of float
        The measures of each.
    """

    where: str
    keys: tuple[str, ...]
    names: tuple[str, ...]
    rows: Mapping[tuple[str, ...], tuple[float, ...]]

    def of(self, trials: Trials, wanted: BoolArray) -> TrialQuality:
        """Give the measures of trials.

        Parameters
        ----------
        trials : Trials
        wanted : (n_trials,) bool array
            Which must be known, as those that have a score; of others they may be missing.

        Raises
        ------
        DataError
            If some of them are not known.
        """
        columns = {
            "model": [trials.models[i] for i in trials.model_index.tolist()],
            "test": [trials.tests[i] for i in trials.test_index.tolist()],
        }
        unknown = (np.nan,) * len(self.names)
        pairs = list(zip(*(columns[key] for key in self.keys), strict=True))
        values = np.array([self.rows.get(pair, unknown) for pair in pairs])
        missing = np.flatnonzero(wanted & np.isnan(values).any(axis=1))
        if len(missing):
            raise DataError(
                f"{self.where} does not know {' and '.join(self.names)} of {len(missing)} of the "
                f"{int(wanted.sum())} trials that have a score; the first is "
                f"{' with '.join(pairs[missing[0]])}"
            )
        return TrialQuality(self.names, np.where(wanted[:, None], values, np.nan))

    def seconds_of(self, trials: Trials) -> dict[str, float]:
        """Give the seconds of speech of each test, where they are known.

        Raises
        ------
        DataError
            If the table holds no seconds of tests.
        """
        if self.keys != ("test",) or SECONDS not in self.names:
            raise DataError(
                f"{self.where} holds no {SECONDS} by test; it must have the columns "
                f"test<TAB>{SECONDS}"
            )
        place = self.names.index(SECONDS)
        known = {test: self.rows[(test,)] for test in trials.tests if (test,) in self.rows}
        return {test: numbers[place] for test, numbers in known.items()}


def read_quality(path: str | Path) -> QualityTable:
    """Read a table of quality measures: TSV, with a header, a row for each test or trial.

    The columns `test`, `model`, or both say what a row is of; every other is a measure. A column
    ``seconds``, or one that ends in ``_seconds``, is a duration.

    Raises
    ------
    ListError
        Naming the line that does not fit.
    """
    path = Path(path)
    lines = each_line(path)
    number, header = next(lines)
    names = header.split("\t")
    keys = next((keys for keys in _KEYS if set(keys) <= set(names)), None)
    if keys is None or len(names) == len(keys) or len(set(names)) < len(names):
        raise ListError(
            f"{path}: line {number}: the header must name test or model, or both, and measures, "
            f"each once, as test<TAB>seconds; got {header!r}"
        )
    measures = tuple(name for name in names if name not in keys)
    rows: dict[tuple[str, ...], tuple[float, ...]] = {}
    for number, line in lines:
        fields = dict(zip(names, line.split("\t"), strict=False))
        try:
            if line.count("\t") + 1 != len(names):
                raise ValueError
            numbers = tuple(float(fields[name]) for name in measures)
            TrialQuality(measures, np.array([numbers]))
        except ValueError as error:  # a DataError is one
            reason = f": {error}" if isinstance(error, DataError) else ""
            raise ListError(
                f"{path}: line {number}: expected {len(names)} fields with the numbers "
                f"{', '.join(measures)}, got {line!r}{reason}"
            ) from None
        row = tuple(fields[key] for key in keys)
        if row in rows:
            raise ListError(f"{path}: line {number}: {' with '.join(row)} stands twice")
        rows[row] = numbers
    if not rows:
        raise ListError(f"{path}: holds a header and nothing else")
    return QualityTable(str(path), keys, measures, rows)
