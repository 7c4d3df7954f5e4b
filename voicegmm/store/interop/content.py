"""A file that a stranger wrote: its bytes are counted before they are asked for."""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import FormatError


@dataclass(frozen=True, eq=False)
class ForeignArray:
    """A matrix of frames, or a vector, as another program wrote it.

    Parameters
    ----------
    name : str
        Its key in the file; of files that hold one, the file's name without its last suffix.
    values : (n_frames, n_dims) or (n,) float array
        Finite.
    hop_seconds : float, optional
        From one frame to the next, where the file tells.
    source : str
        The file, for errors; empty where there is none.
    """

    name: str
    values: FloatArray
    hop_seconds: float | None = None
    source: str = ""

    @property
    def place(self) -> str:
        """File and name, as an error says them."""
        return f"{self.source}: {self.name}" if self.source else self.name


class Content:
    """The bytes of a file, read in their order; `opened` gives one.

    Each error is a `FormatError` that names the file and the byte. Nothing is read, and no memory
    taken, for more bytes than the file still has.
    """

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.size = size
        self._file = file

    @property
    def at(self) -> int:
        """How many bytes were read."""
        return self._file.tell()

    @property
    def left(self) -> int:
        """How many there still are."""
        return self.size - self.at

    @property
    def stream(self) -> BinaryIO:
        """The file itself, for who reads it by other means."""
        return self._file

    def error(self, message: str, at: int | None = None) -> FormatError:
        """Make an error that names file and byte (the next, if not said)."""
        return FormatError(f"{self.path}: byte {self.at if at is None else at}: {message}")

    def seek(self, at: int) -> None:
        """Go on from another byte."""
        if not 0 <= at <= self.size:
            raise FormatError(f"{self.path}: byte {at} is asked for, and it has {self.size}")
        self._file.seek(at)

    def peek(self, n_bytes: int) -> bytes:
        """Look at the next bytes, fewer at the end, and stay."""
        at = self.at
        found = self._file.read(n_bytes)
        self._file.seek(at)
        return found

    def take(self, n_bytes: int, what: str) -> bytes:
        """Read bytes; there must be so many."""
        if not 0 <= n_bytes <= self.left:
            raise self.error(f"{what} must be {n_bytes} bytes, and {self.left} are left: cut off")
        return self._file.read(n_bytes)

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """Read numbers of a layout, as `struct` writes it."""
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def array(self, dtype: npt.DTypeLike, n_values: int, what: str) -> npt.NDArray[Any]:
        """Read numbers in a row."""
        kind = np.dtype(dtype)
        return np.frombuffer(self.take(n_values * kind.itemsize, what), kind)

    def until_space(self, most: int, what: str) -> str:
        """Read a word of at most so many bytes and the space after it; empty at the end."""
        start, found = self.at, bytearray()
        while (byte := self._file.read(1)) not in (b"", b" ", b"\t", b"\n"):
            found += byte
            if len(found) > most:
                raise self.error(f"{what} must be a word of at most {most} bytes", start)
        return self.decoded(bytes(found), what, start)

    def line(self, most: int = 10_000_000) -> bytes:
        """Read a line of at most so many bytes, with its end; empty at the end of the file."""
        start, found = self.at, self._file.readline(most + 1)
        if len(found) > most:
            raise self.error(f"a line must have at most {most} bytes", start)
        return found

    def decoded(self, found: bytes, what: str, at: int) -> str:
        """Turn bytes into text."""
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise self.error(f"{what} must be UTF-8", at) from None


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Content]:
    """Open a file of another program.

    Raises
    ------
    FormatError
        If there is none, or it is no plain file: a folder, a device or a pipe may never end.
    """
    path = Path(path)
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise FormatError(f"{path} is a folder, not a file")
        if not stat.S_ISREG(kind):
            raise FormatError(f"{path}: must be a plain file, not a device or a pipe")
        with path.open("rb") as file:
            yield Content(path, file, os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: cannot be read: {error}") from None


def checked(array: ForeignArray, path: str | os.PathLike[str]) -> ForeignArray:
    """Refuse what can be no frames: other than one or two axes of finite floats."""
    values = array.values
    if values.ndim not in (1, 2) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise FormatError(f"{path}: {array.name} must be a matrix or a vector of finite floats")
    if len(values) and not values.size:  # any number of rows fits into no byte
        raise FormatError(f"{path}: {array.name} has {len(values)} rows, and no number in them")
    return replace(array, source=os.fspath(path))
