"""Lists of files, enrollments and segments.

Ours are TSV with a header, so that names may hold spaces; a tab or a newline in a name is refused.
A plain list of files has one name a line and no header. All are UTF-8; a byte-order mark, CRLF and
blank lines are accepted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from voicegmm._base.errors import ListError
from voicegmm._base.files import write_text

# Control characters, halves of characters (bytes that are no UTF-8), line and paragraph ends.
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
_MOST_LINE = 1_000_000  # bytes
# How what somebody may take for another list begins: the first that fits.
_KINDS = {
    r"model\tfile$": "a list of enrollments",
    r"segment\tfile$": "a list of segments",
    r"model\ttest\tlabel\tscore\b": "a table of scores",
    r"model\ttest\b|[01]\s+\S+\s+\S+$|\S+\s+\S+\s+(non)?target$": "a list of trials",
    r"file(\t|$)": "a list of recordings",
    r"voicegmm seal ": "a file that `voicegmm info` tells about",
}


@dataclass(frozen=True)
class Enrollment:
    """A model and the recordings it is made from.

    Parameters
    ----------
    model : str
    files : tuple of str
        Ids of recordings, at least one.
    """

    model: str
    files: tuple[str, ...]


def each_line(path: str | Path) -> Iterator[tuple[int, str]]:
    """Read a text list line by line: it may be longer than memory.

    Yields
    ------
    (int, str)
        Line number (from 1) and text of each line that is not blank, without its line end.

    Raises
    ------
    ListError
        If the file is missing, empty, or not UTF-8 text.
    """
    path = Path(path)
    at, empty = 0, True
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(_MOST_LINE), b""), 1):
                if len(raw) == _MOST_LINE:
                    raise ListError(f"{path}: line {number}: not a text list (a line without end)")
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                at += len(raw)
                line = line.removesuffix("\n").removesuffix("\r")
                if not line.strip():
                    continue
                if "\x00" in line or "\r" in line:
                    raise ListError(f"{path}: line {number}: not a text list (a control character)")
                empty = False
                yield number, line
    except FileNotFoundError:
        raise ListError(f"{path}: no such list; check the path") from None
    except IsADirectoryError:
        raise ListError(f"{path} is a folder; a list is a text file") from None
    except UnicodeDecodeError as error:
        place = at + error.start
        raise ListError(
            f"{path}: not UTF-8 text (byte {place}); save it as UTF-8, or, if it is a recording, "
            "give its folder or a list that names it"
        ) from None
    except OSError as error:
        raise ListError(f"{path}: cannot be read: {error.strerror}") from None
    if empty:
        raise ListError(f"{path}: the list is empty")


def kind_of(line: str) -> str:
    """Tell what begins with a line, for errors about what it is not; empty if none knows."""
    found = (kind for start, kind in _KINDS.items() if re.match(start, line.strip()))
    return next(found, "")


def read_lines(path: str | Path) -> list[tuple[int, str]]:
    """Read a text list whole: all that `each_line` gives."""
    return list(each_line(path))


def read_table(path: str | Path, *columns: str) -> list[tuple[int, list[str]]]:
    """Read a TSV list whose header must be `columns`; give line numbers and fields."""
    lines = read_lines(path)
    header = [name.strip() for name in lines[0][1].split("\t")]
    if header != list(columns):
        wanted, kind = "<TAB>".join(columns), kind_of(lines[0][1])
        raise ListError(
            f"{path}: line {lines[0][0]}: the header must be {wanted}, got {lines[0][1]!r}"
            f"{f': this is {kind}' if kind else ''}"
        )
    rows = []
    for number, line in lines[1:]:
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != len(columns) or not all(fields):
            raise ListError(
                f"{path}: line {number}: expected {len(columns)} fields divided by tabs "
                f"({', '.join(columns)}), got {line!r}"
            )
        rows.append((number, fields))
    if not rows:
        raise ListError(f"{path}: the list holds a header and nothing else")
    return rows


def read_files(path: str | Path) -> tuple[str, ...]:
    """Read a plain list of files, one a line; a file that stands twice is refused."""
    first: dict[str, int] = {}
    for number, line in read_lines(path):
        name = line.strip()
        if name in first:
            raise ListError(f"{path}: line {number}: {name} stands on line {first[name]} already")
        first[name] = number
    return tuple(first)


def _grouped(path: str | Path, group: str) -> dict[str, tuple[str, ...]]:
    files: dict[str, list[str]] = {}
    for number, (name, file) in read_table(path, group, "file"):
        if name not in files:
            checked_name(name, f"{path}: line {number}: the {group}")
        if file in files.setdefault(name, []):
            raise ListError(f"{path}: line {number}: {group} {name} has the file {file} already")
        files[name].append(file)
    return {name: tuple(members) for name, members in files.items()}


def read_enrollments(path: str | Path) -> tuple[Enrollment, ...]:
    """Read ``model<TAB>file`` lines: one `Enrollment` a model, in order of appearance."""
    return tuple(Enrollment(model, files) for model, files in _grouped(path, "model").items())


def read_segments(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read ``segment<TAB>file`` lines: the files that each test segment is made of, in order."""
    return _grouped(path, "segment")


def checked_name(name: str, what: str = "name") -> str:
    """Refuse a name that no list could hold."""
    if not name or name != name.strip() or (not name.isprintable() and _is_unprintable(name)):
        raise ListError(
            f"{what} {name!r} must not be empty, hold a tab or a newline or another control "
            "character, or begin or end with a space; rename it"
        )
    return name


def _is_unprintable(name: str) -> bool:
    return any(category(character) in _UNPRINTABLE for character in name)


def _write_table(
    path: str | Path, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> None:
    lines = ["\t".join(columns)]
    lines += ["\t".join(checked_name(field) for field in row) for row in rows]
    write_text(path, "\n".join(lines) + "\n")


def write_files(path: str | Path, files: Iterable[str]) -> None:
    """Write a plain list of files."""
    write_text(path, "".join(f"{checked_name(file)}\n" for file in files))


def write_enrollments(path: str | Path, enrollments: Iterable[Enrollment]) -> None:
    """Write ``model<TAB>file`` lines."""
    rows = ((enrollment.model, file) for enrollment in enrollments for file in enrollment.files)
    _write_table(path, ("model", "file"), rows)


def write_segments(path: str | Path, segments: Mapping[str, tuple[str, ...]]) -> None:
    """Write ``segment<TAB>file`` lines."""
    rows = ((segment, file) for segment, files in segments.items() for file in files)
    _write_table(path, ("segment", "file"), rows)


def write_paths(path: str | Path, paths: Mapping[str, str]) -> None:
    """Write ``file<TAB>path`` lines."""
    _write_table(path, ("file", "path"), paths.items())
