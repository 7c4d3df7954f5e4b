"""Our list of utterances: what to take, where it lies, whose voice it is.

A plain list has one recording a line. A table (TSV) has a header: ``file``, and any of ``path``,
``speaker``, ``class``, ``start``, ``end`` (seconds) and ``channel``; a list of enrollments
(``model<TAB>file``) is one too. An empty field says nothing: the whole, or not known.
"""

import math
from collections.abc import Iterable
from pathlib import Path

from voicegmm._base.checks import did_you_mean
from voicegmm._base.errors import ListError, OptionError
from voicegmm._base.files import write_text
from voicegmm.audio import Excerpt
from voicegmm.corpus.lists import checked_name, read_files, read_lines
from voicegmm.corpus.utterances import Corpus, Utterance, speaker_of

COLUMNS = ("file", "path", "speaker", "class", "start", "end", "channel")
_ENROLLMENTS = ("model", "file")


def read_utterances(path: str | Path, root: Path | None = None) -> Corpus:
    """Read a list of utterances, plain or with columns.

    Parameters
    ----------
    path : path
    root : pathlib.Path, optional
        The folder that recordings are named relative to; by default the one the list lies in.

    Returns
    -------
    Corpus
        The speaker of a recording is that of its column, else the first folder of its name.

    Raises
    ------
    ListError
        Naming the line that does not fit.
    """
    path = Path(path)
    root = path.parent if root is None else root
    lines = read_lines(path)
    header = tuple(name.strip() for name in lines[0][1].split("\t"))
    if header == _ENROLLMENTS:
        header = ("speaker", "file")
    elif len(header) == 1 and header != ("file",):
        return Corpus(path, "list", tuple(_plain(name, root) for name in read_files(path)))
    _check_header(path, lines[0][0], header)
    rows: dict[str, Utterance] = {}
    for number, line in lines[1:]:
        fields = [field.strip() for field in line.split("\t")]
        row = dict(zip(header, fields, strict=False))
        if len(fields) != len(header) or not row["file"]:
            raise ListError(
                f"{path}: line {number}: expected {len(header)} fields divided by tabs "
                f"({', '.join(header)}), the file not empty, got {line!r}"
            )
        if row["file"] in rows:
            raise ListError(f"{path}: line {number}: {row['file']} stands in the list already")
        rows[row["file"]] = Utterance(
            row["file"],
            root / (row.get("path") or row["file"]),
            row.get("speaker") or speaker_of(row["file"]),
            _excerpt(path, number, row),
            row.get("class", ""),
        )
    if not rows:
        raise ListError(f"{path}: the list holds a header and nothing else")
    return Corpus(path, "list", tuple(rows.values()))


def _plain(name: str, root: Path) -> Utterance:
    return Utterance(name, root / name, speaker_of(name))


def _check_header(path: Path, number: int, header: tuple[str, ...]) -> None:
    for name in header:
        if name not in COLUMNS:
            raise ListError(
                f"{path}: line {number}: no column is called {name!r}"
                f"{did_you_mean(name, COLUMNS)}; there are {', '.join(COLUMNS)}"
            )
    if "file" not in header or len({*header}) < len(header):
        raise ListError(f"{path}: line {number}: the header must name file, and no column twice")


def _excerpt(path: Path, number: int, row: dict[str, str]) -> Excerpt:
    def value(name: str, otherwise: float) -> float:
        try:
            return float(row.get(name) or otherwise)
        except ValueError:
            raise ListError(
                f"{path}: line {number}: {name} must be a number, got {row[name]!r}"
            ) from None

    try:
        return Excerpt(value("start", 0), value("end", math.inf), int(value("channel", 0)))
    except (OptionError, ValueError, OverflowError) as error:
        raise ListError(f"{path}: line {number}: {error}") from None


def write_utterances(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a list with the columns that are needed; paths as they stand.

    `read_utterances` gives the same utterances, its `root` being the folder of relative paths.
    """
    utterances = list(utterances)
    rows = [_fields(one) for one in utterances]
    used = [name for name in COLUMNS if name == "file" or any(row[name] for row in rows)]
    lines = ["\t".join(used)]
    lines += ["\t".join(checked_name(row[name]) if row[name] else "" for name in used)
              for row in rows]  # fmt: skip
    write_text(path, "\n".join(lines) + "\n")


def _fields(one: Utterance) -> dict[str, str]:
    excerpt = one.excerpt
    return {
        "file": one.name,
        "path": "" if str(one.path) == one.name else str(one.path),
        "speaker": "" if one.speaker == speaker_of(one.name) else one.speaker,
        "class": one.label,
        "start": repr(excerpt.start_seconds) if excerpt.start_seconds else "",
        "end": repr(excerpt.end_seconds) if math.isfinite(excerpt.end_seconds) else "",
        "channel": str(excerpt.channel) if excerpt.channel else "",
    }
