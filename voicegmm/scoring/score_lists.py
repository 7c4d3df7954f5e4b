"""Score files of other programs, as text: read, recognized by their first line, and written.

=================================  =============================================================
line                               whose
=================================  =============================================================
``score enrol test``               VoxCeleb's challenges
``label enrol test score``         VoxCeleb's trials with a score behind, the label 1 or 0
``model test score``               Kaldi, SIDEKIT, BOSARIS
``model test label score``         the same with target or nontarget, or 1 or 0
``score target|nontarget``         what Kaldi's compute-eer takes: trials without names
``modelid segmentid [side] LLR``   NIST since 2016: TSV with this header
nine fields                        NIST to 2010: model, segment and channel are fields 5 to 7
``utterance score``                ASVspoof 2021
``utterance attack key score``     ASVspoof 2019, key bonafide or spoof
``attack key score``               ASVspoof's scores of speaker verification: no names; trials of
                                   spoofed speech, which are neither target nor non-target, are
                                   passed over
=================================  =============================================================

A line of three fields that begins and ends with a number is taken for ``model test score``. A score
that is NaN is a failed attempt. Scores in the column LLR are likelihood ratios; of others no file
says whether they are.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np

from voicegmm._base.checks import one_of
from voicegmm._base.errors import ListError
from voicegmm._base.files import whole_file
from voicegmm.corpus.keys import BONAFIDE, GENUINE, side_of
from voicegmm.corpus.lists import each_line
from voicegmm.corpus.trials import trials_of
from voicegmm.scoring.frames import OK
from voicegmm.scoring.table import SCORE_COLUMNS, ScoreTable, read_scores, write_scores

_LABELS = {"target": 1, "nontarget": 0, "1": 1, "0": 0}
_WORDS = ("target", "nontarget")
_SPOOFED = "spoof"
_NO_SCORE = "failed"
UNNAMED = "unnamed"

# From the fields of a line and its number to model, test, label and score; None passes it over.
_Row = tuple[str, str, int, str]
_Reader = Callable[[list[str], int], _Row | None]


def read_score_list(path: str | Path) -> ScoreTable:
    """Read a score file of ours or of another program, as text.

    Raises
    ------
    ListError
        Naming the line that does not fit the kind of the first, or if that is of no known kind.
    """
    path = Path(path)
    _, first = next(each_line(path))
    if tuple(first.split("\t")) == SCORE_COLUMNS:
        return read_scores(path)
    names = [name.strip().lower() for name in first.split("\t")]
    if names[:2] == ["modelid", "segmentid"]:
        return _read_nist(path, names)
    if names[:2] == ["model", "test"]:
        raise ListError(
            f"{path}: line 1: a list of trials, not of scores; give it with --key, and here the "
            "file that has their scores"
        )
    fields = first.split()
    for wanted, fits, reader in _KINDS:
        if fits(fields):
            return _table(path, each_line(path), len(fields), reader, wanted)
    raise ListError(
        f"{path}: line 1: a score file of no known kind: {first!r}; ours has the header "
        f"{'<TAB>'.join(SCORE_COLUMNS)}, and others end or begin with a score (see the README)"
    )


def _read_nist(path: Path, names: list[str]) -> ScoreTable:
    if names[2:] not in (["llr"], ["side", "llr"]):
        raise ListError(
            f"{path}: line 1: the header must be modelid<TAB>segmentid<TAB>side<TAB>LLR; a key "
            "goes with --key"
        )

    def reader(fields: list[str], _: int) -> _Row:
        side = fields[2] if len(fields) == 4 else ""
        return fields[0], side_of(fields[1], side), -1, fields[-1]

    lines = each_line(path)
    next(lines)
    table = _table(path, lines, len(names), reader, " ".join(names))
    return ScoreTable(table.trials, table.scores, table.statuses, table.reasons, table.scores)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _old_nist(fields: list[str], _: int) -> _Row:
    return fields[4], side_of(fields[5], fields[6]), -1, fields[8]


def _attack(fields: list[str], number: int) -> _Row | None:
    if fields[1] == _SPOOFED:
        return None
    return UNNAMED, f"line {number}", _LABELS[fields[1]], fields[2]


_KINDS: tuple[tuple[str, Callable[[list[str]], bool], _Reader], ...] = (
    (
        "score target|nontarget",
        lambda f: len(f) == 2 and f[1] in _WORDS and _is_number(f[0]),
        lambda f, number: (UNNAMED, f"line {number}", _LABELS[f[1]], f[0]),
    ),
    (
        "utterance score",
        lambda f: len(f) == 2 and _is_number(f[1]),
        lambda f, _: (BONAFIDE, f[0], -1, f[1]),
    ),
    (
        "attack target|nontarget|spoof score",
        lambda f: len(f) == 3 and f[1] in (*_WORDS, _SPOOFED) and _is_number(f[2]),
        _attack,
    ),
    (
        "model test score",
        lambda f: len(f) == 3 and _is_number(f[2]),
        lambda f, _: (f[0], f[1], -1, f[2]),
    ),
    (
        "score enrol test",
        lambda f: len(f) == 3 and _is_number(f[0]),
        lambda f, _: (f[1], f[2], -1, f[0]),
    ),
    (
        "utterance attack bonafide|spoof score",
        lambda f: len(f) == 4 and f[2] in GENUINE and _is_number(f[3]),
        lambda f, _: (BONAFIDE, f[0], GENUINE[f[2]], f[3]),
    ),
    (
        "model test target|nontarget score",
        lambda f: len(f) == 4 and f[2] in _LABELS and _is_number(f[3]),
        lambda f, _: (f[0], f[1], _LABELS[f[2]], f[3]),
    ),
    (
        "label enrol test score, the label 1 or 0",
        lambda f: len(f) == 4 and f[0] in ("0", "1") and _is_number(f[3]),
        lambda f, _: (f[1], f[2], _LABELS[f[0]], f[3]),
    ),
    (
        "nine fields as NIST's evaluations to 2010 have them",
        lambda f: len(f) == 9 and f[7].lower() in ("t", "f") and _is_number(f[8]),
        _old_nist,
    ),
)


def _table(
    path: Path,
    lines: Iterable[tuple[int, str]],
    n_fields: int,
    reader: _Reader,
    wanted: str,
) -> ScoreTable:
    scores = array("d")
    zeros_and_ones = True

    def rows() -> Iterator[tuple[str, str, int]]:
        nonlocal zeros_and_ones
        for number, line in lines:
            fields = line.split()
            try:
                if len(fields) != n_fields:
                    raise ValueError
                row = reader(fields, number)
                if row is None:
                    continue
                model, test, label, text = row
                score = float(text)
            except (KeyError, ValueError):
                raise ListError(f"{path}: line {number}: expected {wanted}, got {line!r}") from None
            if math.isinf(score):
                raise ListError(
                    f"{path}: line {number}: an infinite score; write nan where there is none"
                )
            zeros_and_ones = zeros_and_ones and text in ("0", "1")
            scores.append(score)
            yield model, test, label

    trials = trials_of(path, rows())
    if not scores:
        raise ListError(f"{path}: the score file holds no trials")
    if trials.n_duplicates:
        raise ListError(f"{path}: {trials.n_duplicates} trials stand twice; a file has each once")
    if zeros_and_ones and wanted == "score enrol test":
        raise ListError(
            f"{path}: the first field of every line is 0 or 1: a list of trials, not of scores; "
            "give it with --key"
        )
    values = np.array(scores)
    failed = np.isnan(values)
    return ScoreTable(
        trials,
        values,
        tuple(_NO_SCORE if none else OK for none in failed.tolist()),
        tuple(f"{path.name} has no score for it" if none else "" for none in failed.tolist()),
    )


def _nist_line(model: str, test: str, score: float) -> str:
    segment, _, side = test.partition(":")
    return f"{model}\t{segment}\t{side or 'a'}\t{score!r}"


_LINES: Mapping[str, Callable[[str, str, float], str]] = MappingProxyType(
    {
        "voxceleb": lambda model, test, score: f"{score!r} {model} {test}",
        "kaldi": lambda model, test, score: f"{model} {test} {score!r}",
        "nist": _nist_line,
        "asvspoof": lambda model, test, score: f"{test} {score!r}",
    }
)
SCORE_LISTS = ("voicegmm", *_LINES)


def write_score_list(path: str | Path, table: ScoreTable, kind: str) -> int:
    """Write scores for another program, whole or not at all: ratios where there are any.

    Parameters
    ----------
    path : path
    table : ScoreTable
    kind : {"voicegmm", "voxceleb", "kaldi", "nist", "asvspoof"}
        "asvspoof" is for tables of one model.

    Returns
    -------
    int
        How many trials are left out, for only our own table can hold one without a score.

    Raises
    ------
    ListError
        For a name with a space in it, or tests that stand for several trials where only their
        names are written.
    """
    one_of("kind", kind, SCORE_LISTS)
    if kind == "voicegmm":
        write_scores(path, table)
        return 0
    trials = table.trials
    spaced = next((n for n in (*trials.models, *trials.tests) if len(n.split()) != 1), None)
    if spaced is not None:
        raise ListError(f"{spaced!r} has a space in it, which such a list cannot hold; rename it")
    if kind == "asvspoof" and len(np.unique(trials.model_index)) > 1:
        raise ListError("a list of ASVspoof's names tests alone, and the table has several models")
    line, scored = _LINES[kind], table.scored.tolist()
    rows = (
        line(trials.models[trials.model_index[i]], trials.tests[trials.test_index[i]], score)
        for i, score in enumerate(table.best.tolist())
        if scored[i]
    )
    header = ["modelid\tsegmentid\tside\tLLR"] if kind == "nist" else []
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"{row}\n" for row in chain(header, rows))
    return int((~table.scored).sum())
