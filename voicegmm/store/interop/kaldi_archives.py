"""Kaldi's archives (ark), the lists of places in them (scp), and files of a single matrix.

kaldiio runs an entry that ends in "|" as a command and unpickles what is marked so; here neither
can happen: an entry is the name of a file, and what does not begin as Kaldi's is refused.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError, FormatError
from voicegmm._base.files import check_writable, whole_file, write_text
from voicegmm.store.interop.content import Content, ForeignArray, checked, opened
from voicegmm.store.interop.kaldi import BINARY, TextReader, binary, read_any, text

_KEY_BYTES = 4096
_LINE_BYTES = 65_536
# name.ark:1234 and name.ark:1234[0:99,0:12]; rows and columns are counted from 0, ends included.
_PLACE = re.compile(r"(?P<file>.+?)(?::(?P<at>\d{1,18}))?(?:\[(?P<part>[\d:,]+)\])?")
_PART = re.compile(r"(?:(\d{1,9}):(\d{1,9}))?(?:,(\d{1,9}):(\d{1,9}))?")


def read_archive(path: str | os.PathLike[str]) -> Iterator[ForeignArray]:
    """Read an archive, binary or text, entry by entry; or a file of a single matrix or vector.

    Parameters
    ----------
    path : path

    Yields
    ------
    ForeignArray
        float32 or float64 as it stands there; of text float64.

    Raises
    ------
    FormatError
        If it is not Kaldi's, or cut off, or a number is not finite; the byte is named.
    """
    with opened(path) as content:
        if content.peek(2) == BINARY:
            content.take(2, "the mark of binary")
            yield checked(ForeignArray(content.path.stem, read_any(content)), path)
            if content.left:
                raise content.error("one matrix was expected, and something follows it")
            return
        while content.left:
            at = content.at
            name = content.until_space(_KEY_BYTES, "the key of an entry")
            if not name:
                raise content.error("the key of an entry was expected", at)
            yield checked(ForeignArray(name, _entry(content)), path)


def _entry(content: Content) -> FloatArray:
    """Read what stands behind a key."""
    if content.peek(2) == BINARY:
        content.take(2, "the mark of binary")
        return read_any(content)
    if not content.peek(256).lstrip(b" \t").startswith(b"["):
        raise content.error("neither binary nor text of Kaldi's")
    reader = TextReader(content)
    values = reader.array()
    reader.end_line()
    return values


def read_script(path: str | os.PathLike[str]) -> Iterator[ForeignArray]:
    """Read what an scp list names: ``key file[:byte][rows,columns]``, a line each.

    Parameters
    ----------
    path : path
        Files are looked for from the current folder, as Kaldi does, then from the list's own.

    Raises
    ------
    FormatError
        If a line is no such entry, or asks for a command to be run, or its file is not Kaldi's.
    """
    with ExitStack() as stack:
        archive: Content | None = None
        for name, file, at, part in _entries(path):
            try:
                if archive is None or archive.path != file:
                    stack.close()
                    archive = stack.enter_context(opened(file))
                archive.seek(at)
                found = checked(ForeignArray(name, _entry(archive)), file)
            except FormatError as error:
                raise FormatError(f"{path}: {name}: {error}") from None
            yield replace(found, values=_cut(found.values, part, name, path))


def _entries(path: str | os.PathLike[str]) -> Iterator[tuple[str, Path, int, str]]:
    """Give key, file, byte and part of each line."""
    with opened(path) as content:
        number = 0
        while content.left:
            number += 1
            at = content.at
            line = content.line(_LINE_BYTES)
            words = content.decoded(line, f"line {number}", at).split(maxsplit=1)
            if not words:
                continue
            place = words[1].strip() if len(words) == 2 else ""
            where = f"{path}: line {number}"
            if place.startswith("|") or place.endswith("|"):
                raise FormatError(
                    f"{where}: asks to run a command ({place[:60]}); commands of lists are never "
                    "run: run it yourself, and name the file it writes"
                )
            found = _PLACE.fullmatch(place)
            if not found or place == "-":
                raise FormatError(f"{where}: must be a key and file:byte, got {line[:60]!r}")
            yield (
                words[0],
                _located(found["file"], Path(path)),
                int(found["at"] or 0),
                (found["part"] or ""),
            )


def _located(file: str, script: Path) -> Path:
    beside = script.parent / file
    return beside if not Path(file).exists() and beside.exists() else Path(file)


def _cut(values: FloatArray, part: str, name: str, path: str | os.PathLike[str]) -> FloatArray:
    """Give some rows and columns of a matrix, or some of a vector, ends included."""
    if not part:
        return values
    found = _PART.fullmatch(part)
    bounds = [None if bound is None else int(bound) for bound in found.groups()] if found else []
    cuts = []
    for first, last, size in zip(bounds[::2], bounds[1::2], (*values.shape, 1), strict=False):
        if first is None or last is None:
            cuts.append(slice(None))
            continue
        if not first <= last < size:
            raise FormatError(f"{path}: {name}: the part [{part}] is not within {values.shape}")
        cuts.append(slice(first, last + 1))
    if not found or (values.ndim == 1 and bounds[2] is not None):
        raise FormatError(f"{path}: {name}: the part [{part}] must be rows, or rows and columns")
    return values[tuple(cuts[: values.ndim])]


def write_archive(
    path: str | os.PathLike[str],
    arrays: Iterable[ForeignArray],
    *,
    as_text: bool = False,
    script: str | os.PathLike[str] | None = None,
) -> int:
    """Write an archive, whole or not at all.

    Parameters
    ----------
    path : path
    arrays : iterable of ForeignArray
        Taken one by one; float32 and float64 keep their precision.
    as_text : bool
        Kaldi's text form, in as many digits as give the same numbers back.
    script : path, optional
        Where to write the scp list of its entries.

    Returns
    -------
    int
        How many entries.

    Raises
    ------
    DataError
        If a name cannot be a key: it is empty, or holds a space, or stands there twice.
    """
    if script:
        check_writable(script)
    entries = []
    keys: set[str] = set()
    with whole_file(path) as temporary, temporary.open("wb") as file:
        for array in arrays:
            key = array.name
            if not key or key.split() != [key]:
                raise DataError(f"{key!r} cannot be a key of Kaldi's: it must be one word")
            if key in keys:
                raise DataError(f"{key!r} stands there twice")
            keys.add(key)
            file.write(f"{key} ".encode())
            entries.append(f"{key} {os.fspath(path)}:{file.tell()}\n")
            values = np.asarray(array.values)
            file.write(text(values).encode() if as_text else BINARY + binary(values))
    if script:
        write_text(script, "".join(entries))
    return len(entries)
