"""A file that only grows, beside the one it will become: an interrupted command goes on from it."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from voicegmm._base.errors import InUseError, VoicegmmError
from voicegmm._base.files import check_writable
from voicegmm._base.options import canonical_json
from voicegmm._base.version import __version__

_START = b'{"created_by":"voicegmm '


class Entry(Protocol):
    """The line before some bytes."""

    @property
    def n_bytes(self) -> int:
        """How many follow."""


E = TypeVar("E", bound=Entry)


class GrowingFile(Generic[E]):
    """A header line, then entries: a line of JSON each, and bytes.

    A file made by HDF5 cannot be gone on with after a crash, but one that only grows can: what was
    being written when the process ended is cut off, and the rest holds.

    Parameters
    ----------
    out : path
        What is being made; this file is ``out`` + ".partial".
    format, version : str, int
        What the header says.
    entry : type
        Of the lines: a dataclass.
    holds : str
        What it holds, for errors, as "features".

    Raises
    ------
    InUseError
        If another process is making the same.
    VoicegmmError
        If the file cannot be written.
    """

    def __init__(
        self, out: str | os.PathLike[str], format: str, version: int, entry: type[E], holds: str
    ) -> None:
        check_writable(out)
        self.path = Path(f"{os.fspath(out)}.partial")
        self._kind = {"format": format, "format_version": version}
        self._entry, self._holds = entry, holds
        self._first = 0  # where the first entry begins
        try:
            self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise VoicegmmError(f"{self.path}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self.handle)
            raise InUseError(
                f"{self.path}: another process is making the same {holds}; wait for it, or write "
                "to another file"
            ) from None

    def begin(self, fingerprint: str) -> list[tuple[int, E]]:
        """Give where the bytes of each whole entry begin, and its line.

        Parameters
        ----------
        fingerprint : str
            Of the work. What other work has left behind is thrown away.

        Raises
        ------
        VoicegmmError
            If what stands in the place of the file is no such file.
        """
        about = {"created_by": f"voicegmm {__version__}", "fingerprint": fingerprint}
        header = canonical_json(self._kind | about).encode() + b"\n"
        entries: list[tuple[int, E]] = []
        with os.fdopen(os.dup(self.handle), "rb") as file:
            file.seek(0)
            found = file.readline()
            if found and not found.startswith(_START):
                raise VoicegmmError(
                    f"{self.path}: stands where unfinished {self._holds} are kept, and is none; "
                    "move it"
                )
            end = self._first = len(header) if found == header else 0
            size = os.fstat(self.handle).st_size
            while end and (entry := self._parsed(file.readline())):
                at = file.tell()
                if at + entry.n_bytes > size:
                    break
                entries.append((at, entry))
                end = file.seek(at + entry.n_bytes)
        os.ftruncate(self.handle, end)
        if not end:
            append(self.handle, self.path, [memoryview(header)])
            self._first = len(header)
        return entries

    def cut_after(self, entries: list[tuple[int, E]]) -> None:
        """Forget what stands after the first entries, these."""
        end = entries[-1][0] + entries[-1][1].n_bytes if entries else self._first
        os.ftruncate(self.handle, end)

    def _parsed(self, line: bytes) -> E | None:
        try:
            whole = line.endswith(b"\n")
            return msgspec.json.decode(line, type=self._entry) if whole else None
        except msgspec.MsgspecError:
            return None

    def content(self, at: int, entry: E) -> bytes:
        """Give the bytes of an entry, damaged or not; safe to call from threads."""
        content = os.pread(self.handle, entry.n_bytes, at)
        # The system gives at most 2 GB at once.
        while part := os.pread(self.handle, entry.n_bytes - len(content), at + len(content)):
            content += part
        return content

    def close(self, keep: bool) -> None:
        """Let go of the file, and remove it unless it is to be kept."""
        if not keep:
            self.path.unlink(missing_ok=True)
        os.close(self.handle)


def append(handle: int, path: Path, parts: Sequence[memoryview]) -> int:
    """Write at the end of a file, and give the new end.

    Raises
    ------
    VoicegmmError
        If it cannot be written.
    """
    left = [part for part in parts if part]
    try:
        while left:
            # In one go, so that no other process gets between.
            written = os.writev(handle, left)
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:
                left[0] = left[0][written:]
    except OSError as error:
        raise VoicegmmError(f"{path}: cannot be written: {error.strerror}") from error
    return os.lseek(handle, 0, os.SEEK_CUR)
