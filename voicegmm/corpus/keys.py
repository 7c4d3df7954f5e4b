"""Keys: which trials of an evaluation are targets, as the evaluations hand them out.

Recognized beside the lists of `read_trials`, by the first line:

- NIST's since 2016: TSV with the header ``modelid<TAB>segmentid<TAB>side<TAB>targettype ...``;
- ASVspoof's protocols of countermeasures: ``speaker utterance - attack bonafide|spoof`` (2019) and
  the eight columns of 2021, ``speaker utterance codec channel attack bonafide|spoof trim subset``.
  Their model is called "bonafide", and what is genuine is a target.
"""

from collections.abc import Iterator
from pathlib import Path

from voicegmm._base.errors import ListError
from voicegmm.corpus.lists import each_line
from voicegmm.corpus.trials import NONTARGET, TARGET, Trials, read_trials, trials_of

BONAFIDE = "bonafide"
GENUINE = {BONAFIDE: TARGET, "spoof": NONTARGET}
_TYPES = {"target": TARGET, "nontarget": NONTARGET, "imposter": NONTARGET}
_SHAPES = {5: 4, 8: 5}  # columns of a protocol -> where it says bonafide or spoof


def read_key(path: str | Path) -> Trials:
    """Read a key, or any list of trials.

    Raises
    ------
    ListError
        Naming the line that does not fit.
    """
    path = Path(path)
    _, first = next(each_line(path))
    fields = first.split()
    if [field.lower() for field in fields[:2]] == ["modelid", "segmentid"]:
        return _checked(path, _nist(path))
    if len(fields) in _SHAPES and fields[_SHAPES[len(fields)]] in GENUINE:
        return _checked(path, _asvspoof(path, len(fields)))
    return read_trials(path)


def side_of(segment: str, side: str) -> str:
    """Name a test by segment and side of the telephone line; side a goes without saying."""
    return segment if side in ("a", "A", "") else f"{segment}:{side.lower()}"


def _checked(path: Path, rows: Iterator[tuple[str, str, int]]) -> Trials:
    trials = trials_of(path, rows)
    if not len(trials):
        raise ListError(f"{path}: the key holds a header and nothing else")
    return trials


def _nist(path: Path) -> Iterator[tuple[str, str, int]]:
    lines = each_line(path)
    _, header = next(lines)
    names = [name.strip().lower() for name in header.split("\t")]
    missing = [name for name in ("modelid", "segmentid", "targettype") if name not in names]
    if missing:
        raise ListError(
            f"{path}: line 1: a key of NIST's has the column {missing[0]}, divided by tabs; got "
            f"{header!r}"
        )
    for number, line in lines:
        fields = [field.strip() for field in line.split("\t")]
        row = dict(zip(names, fields, strict=False))
        if len(fields) != len(names) or row["targettype"] not in _TYPES:
            raise ListError(
                f"{path}: line {number}: expected {len(names)} fields and the type target or "
                f"nontarget, got {line!r}"
            )
        test = side_of(row["segmentid"], row.get("side", ""))
        yield row["modelid"], test, _TYPES[row["targettype"]]


def _asvspoof(path: Path, n_fields: int) -> Iterator[tuple[str, str, int]]:
    for number, line in each_line(path):
        fields = line.split()
        if len(fields) != n_fields or fields[_SHAPES[n_fields]] not in GENUINE:
            raise ListError(
                f"{path}: line {number}: expected {n_fields} fields with bonafide or spoof as the "
                f"{_SHAPES[n_fields] + 1}th, got {line!r}"
            )
        yield BONAFIDE, fields[1], GENUINE[fields[_SHAPES[n_fields]]]
