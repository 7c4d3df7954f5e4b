"""Trials: which model is tried on which test, and whether it is the same voice.

Three kinds of list are recognized, and each line is checked against the kind of the first:

- ours: TSV with the header ``model<TAB>test`` or ``model<TAB>test<TAB>label``;
- VoxCeleb's: ``label enrol test`` with the label 1 or 0;
- NIST's and Kaldi's: ``model test`` or ``model test target|nontarget``.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import frozen
from voicegmm._base.checks import listed
from voicegmm._base.errors import ListError
from voicegmm._base.files import write_text
from voicegmm.corpus.lists import checked_name, each_line, kind_of

TARGET, NONTARGET, UNKNOWN = 1, 0, -1
_LABELS = {"target": TARGET, "nontarget": NONTARGET, "1": TARGET, "0": NONTARGET}


@dataclass(frozen=True, eq=False)
class Trials:
    """A list of trials.

    Parameters
    ----------
    models, tests : tuple of str
        Each name once.
    model_index, test_index : (n_trials,) int array
        Into `models` and `tests`.
    labels : (n_trials,) int8 array
        1 target, 0 non-target, -1 not known.
    n_duplicates : int
        How many lines repeated an earlier trial and were dropped.
    """

    models: tuple[str, ...]
    tests: tuple[str, ...]
    model_index: npt.NDArray[np.int64]
    test_index: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    n_duplicates: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_index", frozen(self.model_index, np.int64))
        object.__setattr__(self, "test_index", frozen(self.test_index, np.int64))
        object.__setattr__(self, "labels", frozen(self.labels, np.int8))

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def of(rows: Iterable[tuple[str, str, int]]) -> "Trials":
        """Make trials of (model, test, label) rows; a repeated row is dropped and counted.

        Raises
        ------
        ListError
            If a trial stands twice with different labels.
        """
        models: dict[str, int] = {}
        tests: dict[str, int] = {}
        model_index, test_index, labels = array("q"), array("q"), array("b")
        for model, test, label in rows:
            model_index.append(models.setdefault(model, len(models)))
            test_index.append(tests.setdefault(test, len(tests)))
            labels.append(label)
        trials = Trials(
            tuple(models),
            tuple(tests),
            np.frombuffer(model_index, np.int64),
            np.frombuffer(test_index, np.int64),
            np.frombuffer(labels, np.int8),
        )
        return trials._without_duplicates()

    def _without_duplicates(self) -> "Trials":
        """Keep the first of trials that stand twice."""
        pairs = self.model_index * len(self.tests) + self.test_index
        if np.diff(np.sort(pairs)).all():  # as nearly always, and in little memory
            return self
        _, first, which = np.unique(pairs, return_index=True, return_inverse=True)
        both = np.flatnonzero(self.labels != self.labels[first][which])
        if both.size:
            model, test = self.model_index[both[0]], self.test_index[both[0]]
            raise ListError(
                f"the trial of {self.models[model]} and {self.tests[test]} stands with both labels"
            )
        kept = np.sort(first)
        return Trials(
            self.models,
            self.tests,
            self.model_index[kept],
            self.test_index[kept],
            self.labels[kept],
            len(self) - len(kept),
        )

    def check_known(self, models: Iterable[str], tests: Iterable[str], where: str) -> None:
        """Refuse trials that name a model or a test that does not exist.

        Raises
        ------
        ListError
            Naming all of them.
        """
        problems = []
        for what, named, known in (
            ("models that are not enrolled", self.models, set(models)),
            ("tests that have no features or segment", self.tests, set(tests)),
        ):
            missing = [name for name in named if name not in known]
            if missing:
                problems.append(f"{len(missing)} {what}: {listed(missing)}")
        if problems:
            raise ListError(f"{where} names {'; '.join(problems)}. Mend the list or add them")


def _parse(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[str, str, int]]:
    number, first = next(lines)
    header = [field.strip() for field in first.split("\t")]
    if header[:2] == ["model", "test"] and header[2:] in ([], ["label"]):
        for number, line in lines:
            fields = [field.strip() for field in line.split("\t")]
            if len(fields) != len(header) or not all(fields):
                raise _malformed(path, number, line, "<TAB>".join(header))
            label = fields[2] if len(fields) == 3 else ""
            if len(fields) == 3 and label not in _LABELS:
                raise _malformed(path, number, line, "the label target or nontarget")
            yield fields[0], fields[1], _LABELS.get(label, UNKNOWN)
        return
    kind = kind_of(first)
    if kind not in ("", "a list of trials"):
        raise ListError(
            f"{path} is {kind}, and no list of trials: that has the header model<TAB>test or "
            "model<TAB>test<TAB>label, or lines `label model test` or `model test "
            "target|nontarget`"
        )
    fields = first.split()
    names: tuple[str, ...]
    if len(fields) == 3 and fields[2] in ("target", "nontarget"):
        names, wanted = ("model", "test", "label"), "model test target|nontarget"
        allowed: tuple[str, ...] = ("target", "nontarget")
    elif len(fields) == 3 and fields[0] in ("0", "1"):
        names, wanted = ("label", "model", "test"), "label model test, the label 1 or 0"
        allowed = ("0", "1")
    elif len(fields) == 2:
        names, wanted, allowed = ("model", "test"), "model test", ("",)
    else:
        raise _malformed(path, number, first, "a trial list (see the README for the three kinds)")
    everything = chain([(number, first)], lines)
    for number, line in everything:
        fields = line.split()
        trial = dict(zip(names, fields, strict=False))
        label = trial.get("label", "")
        if len(fields) != len(names) or label not in allowed:
            raise _malformed(path, number, line, wanted)
        yield trial["model"], trial["test"], _LABELS.get(label, UNKNOWN)


def _malformed(path: Path, number: int, line: str, wanted: str) -> ListError:
    return ListError(f"{path}: line {number}: expected {wanted}, got {line!r}")


def each_trial(path: str | Path) -> Iterator[tuple[str, str, int]]:
    """Read a trial list of any of the three kinds trial by trial: it may be longer than memory.

    Yields
    ------
    (str, str, int)
        Model, test, and label: 1 target, 0 non-target, -1 not known.

    Raises
    ------
    ListError
        Naming the line that does not fit; if the list holds no trial.
    """
    path, empty = Path(path), True
    for trial in _parse(path, each_line(path)):
        empty = False
        yield trial
    if empty:
        raise ListError(f"{path}: the list holds a header and nothing else")


def read_trials(path: str | Path) -> Trials:
    """Read a trial list of any of the three kinds.

    Raises
    ------
    ListError
        Naming the line that does not fit, a trial that stands with both labels, or a name that no
        table of scores could hold.
    """
    trials = trials_of(Path(path), each_trial(path))
    for what, names in (("model", trials.models), ("test", trials.tests)):
        for name in names:
            checked_name(name, f"{path}: the {what}")
    return trials


def trials_of(path: Path, rows: Iterable[tuple[str, str, int]]) -> Trials:
    """Make `Trials` of the rows of a file, which is named where they do not go together.

    Raises
    ------
    ListError
    """
    try:
        return Trials.of(rows)
    except ListError as error:
        message = str(error)
        place = "" if message.startswith(str(path)) else f"{path}: "
        raise ListError(place + message) from None


def write_trials(path: str | Path, trials: Trials) -> None:
    """Write trials as our TSV; the label column only where all labels are known."""
    labeled = bool((trials.labels != UNKNOWN).all())
    lines = ["model\ttest\tlabel" if labeled else "model\ttest"]
    for model, test, label in zip(
        trials.model_index, trials.test_index, trials.labels, strict=True
    ):
        pair = f"{checked_name(trials.models[model])}\t{checked_name(trials.tests[test])}"
        lines.append(f"{pair}\t{'target' if label == TARGET else 'nontarget'}" if labeled else pair)
    write_text(path, "\n".join(lines) + "\n")
