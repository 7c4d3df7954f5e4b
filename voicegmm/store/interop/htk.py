"""HTK's parameter files (HTK Book 3.4, section 5.10.1): a header of 12 bytes, then big-endian rows.

The checksum of a file with the qualifier _K, which the book does not define: its bytes after the
header, taken as one big-endian number, modulo 36897 (``UpdateCRCC`` in HParm.c of HTK 3.5).
"""

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.checks import within
from voicegmm._base.errors import DataError, FormatError, OptionError
from voicegmm._base.files import whole_file, whole_folder
from voicegmm.store.interop.content import Content, ForeignArray, checked, opened

_HEADER = ">iiHH"
_HEADER_BYTES = struct.calcsize(_HEADER)
_BASE = 0o77
_COMPRESSED, _CHECKSUM = 0o2000, 0o10000
_WAVEFORM, _IREFC, _USER, _DISCRETE = 0, 5, 9, 10
_KINDS = (
    "WAVEFORM", "LPC", "LPREFC", "LPCEPSTRA", "LPDELCEP", "IREFC", "MFCC", "FBANK", "MELSPEC",
    "USER", "DISCRETE", "PLP",
)  # fmt: skip
_QUALIFIERS = "ENDACZK0VT"  # from bit 6 on
_MODULUS = 36_897
_UNITS_PER_SECOND = 10_000_000  # the period stands in 100 ns


def kind_name(kind: int) -> str:
    """Give a parameter kind in HTK's words, as "MFCC_D_A_0"."""
    base = kind & _BASE
    marks = "".join(f"_{mark}" for bit, mark in enumerate(_QUALIFIERS, 6) if kind >> bit & 1)
    return (_KINDS[base] if base < len(_KINDS) else f"kind {base}") + marks


def is_htk(content: Content) -> bool:
    """Whether the header tells just as many bytes as there are."""
    head = content.peek(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES:
        return False
    n_rows, period, n_bytes, kind = struct.unpack(_HEADER, head)
    more = 2 if kind & _CHECKSUM else 0
    fits = content.size == _HEADER_BYTES + n_rows * n_bytes + more
    return bool(min(n_rows, period, n_bytes) > 0 and kind & _BASE < len(_KINDS) and fits)


def read_htk(path: str | os.PathLike[str], name: str = "") -> Iterator[ForeignArray]:
    """Read a parameter file of HTK, whatever its qualifiers; _C and _K are undone.

    Parameters
    ----------
    path : path
    name : str
        What to call it; else the file's name without its last suffix.

    Yields
    ------
    ForeignArray
        One, of float32.

    Raises
    ------
    FormatError
        If it is no such file, is cut off, holds a waveform or numbers of a codebook, or does not
        fit its checksum.
    """
    with opened(path) as content:
        n_rows, period, n_bytes, kind = content.unpack(_HEADER, "the header of HTK's")
        base = kind & _BASE
        if base in (_WAVEFORM, _DISCRETE):
            raise content.error(f"holds {kind_name(kind)}, which are no frames", 10)
        more = 2 if kind & _CHECKSUM else 0
        if min(n_rows, period, n_bytes) < 1 or content.left != n_rows * n_bytes + more:
            raise content.error(
                f"a header of HTK's would tell {n_rows} rows of {n_bytes} bytes, and "
                f"{content.left} bytes follow: cut off, or not HTK's",
                0,
            )
        payload = content.take(n_rows * n_bytes, "the rows")
        if more:
            (stated,) = content.unpack(">H", "the checksum")
            if stated != int.from_bytes(payload, "big") % _MODULUS:
                raise content.error("damaged: the rows do not fit their checksum", content.size - 2)
        hop = period / _UNITS_PER_SECOND
        values = _decoded(content, payload, n_bytes, kind)
        yield checked(ForeignArray(name or content.path.stem, values, hop), path)


def _decoded(content: Content, payload: bytes, n_bytes: int, kind: int) -> FloatArray:
    size = 2 if kind & _COMPRESSED or kind & _BASE == _IREFC else 4
    if n_bytes % size:
        raise content.error(f"a row of {kind_name(kind)} cannot be {n_bytes} bytes", 8)
    width = n_bytes // size
    if kind & _COMPRESSED:
        if len(payload) < 8 * width:
            raise content.error("cut off before the scales of the compression")
        scale, offset = np.frombuffer(payload, ">f4", 2 * width).reshape(2, width)
        if not (scale != 0).all():
            raise content.error("a scale of the compression is 0", _HEADER_BYTES)
        shorts = np.frombuffer(payload, ">i2", offset=8 * width).reshape(-1, width)
        # x = (short + B) / A (HTK Book, section 5.10.1), in single precision as HTK.
        with np.errstate(over="ignore", invalid="ignore"):  # `checked` refuses what comes of it
            return np.asarray((shorts.astype(np.float32) + offset) / scale, np.float32)
    if size == 2:
        shorts = np.frombuffer(payload, ">i2").reshape(-1, width)
        return shorts.astype(np.float32) / np.float32(32_767)
    return np.frombuffer(payload, ">f4").reshape(-1, width).astype(np.float32)


def read_htk_folder(path: str | os.PathLike[str]) -> Iterator[ForeignArray]:
    """Read all files of a folder and those in it, in the order of their names, as HTK's.

    A file is called by its path below the folder, without the last suffix. Hidden ones are passed
    over.
    """
    root = Path(path)
    found = sorted(file for file in root.rglob("*") if file.is_file())
    files = [f for f in found if not any(p.startswith(".") for p in f.relative_to(root).parts)]
    if not files:
        raise FormatError(f"{root}: the folder holds no file")
    for file in files:
        yield from read_htk(file, file.relative_to(root).with_suffix("").as_posix())


def write_htk(
    path: str | os.PathLike[str], array: ForeignArray, hop_seconds: float, kind: int = _USER
) -> None:
    """Write a parameter file of HTK, whole or not at all.

    Parameters
    ----------
    path : path
    array : ForeignArray
        A matrix; in single precision it must be finite.
    hop_seconds : float
        A multiple of 100 ns, which is what the header can tell.
    kind : int
        HTK's number of the parameter kind; 9 is USER.

    Raises
    ------
    DataError
        If it is no matrix, has no rows, or its rows or numbers are too large.
    OptionError
        If the hop cannot be told.
    """
    within("hop_seconds", hop_seconds, 1 / _UNITS_PER_SECOND, 100.0)
    period = round(hop_seconds * _UNITS_PER_SECOND)
    with np.errstate(over="ignore"):
        values = np.asarray(array.values).astype(">f4")
    if values.ndim != 2 or not values.size or values.shape[1] > 16_383:
        raise DataError(f"{array.place}: HTK's files hold 1 to 16383 columns, got {values.shape}")
    if not np.isfinite(values).all():
        raise DataError(f"{array.place}: a number is too large for single precision")
    header = struct.pack(_HEADER, len(values), period, 4 * values.shape[1], kind)
    with whole_file(path) as temporary:
        temporary.write_bytes(header + values.tobytes())


def write_htk_recordings(
    path: str | os.PathLike[str],
    arrays: Iterable[ForeignArray],
    hop_seconds: float | None = None,
) -> int:
    """Write one recording to a file, or each to its own in a new folder; all of them or none.

    Parameters
    ----------
    path : path
        With a suffix: the file. Without one: the folder, with a file ``NAME.htk`` for each.
    arrays : iterable of ForeignArray
    hop_seconds : float, optional
        Where the arrays do not tell.

    Returns
    -------
    int
        How many.

    Raises
    ------
    VoicegmmError
        If the folder is there already.
    OptionError
        If a hop is not known, or another than was stated.
    DataError
        If a name leads out of the folder, or there is not one recording for the one file.
    """
    root = Path(path)
    if root.suffix:
        found = list(islice(arrays, 2))
        if len(found) != 1:
            raise DataError(f"{root}: a file takes one recording; a name without suffix, all")
        write_htk(root, found[0], _hop(found[0], hop_seconds))
        return 1
    n_written = 0
    with whole_folder(root) as partial:
        for array in arrays:
            parts = PurePosixPath(array.name).parts
            if not parts or parts[0] == "/" or ".." in parts or "\0" in array.name:
                raise DataError(f"{array.name!r} cannot be the name of a file below {root}")
            file = partial.joinpath(*parts[:-1], f"{parts[-1]}.htk")
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                raise DataError(f"{array.name!r}: two recordings would be one file, {file.name}")
            write_htk(file, array, _hop(array, hop_seconds))
            n_written += 1
    return n_written


def _hop(array: ForeignArray, stated: float | None) -> float:
    hop = stated if array.hop_seconds is None else array.hop_seconds
    if hop is None:
        raise OptionError(f"hop_seconds of {array.place} is not known; state it (--hop SECONDS)")
    if stated is not None and abs(hop - stated) > 1 / _UNITS_PER_SECOND:
        raise OptionError(f"hop_seconds of {array.place} is {hop:g}, and {stated:g} was stated")
    return hop
