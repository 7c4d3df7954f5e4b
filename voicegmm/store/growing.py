"""A file that only grows, beside the one it will become: an interrupted command goes on from it."""

import fcntl
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated, Any, Generic, Protocol, TypeVar

import msgspec

from voicegmm._base.errors import FormatError, InUseError, VoicegmmError
from voicegmm._base.files import check_writable
from voicegmm._base.options import canonical_json
from voicegmm._base.version import __version__

_START = b'{"created_by":"voicegmm '
_MOST_LINE = 1_000_000  # bytes


Count = Annotated[int, msgspec.Meta(ge=0)]
"""Of what an entry holds: a file that goes back to itself would never end."""


class Entry(Protocol):
    """The line before some bytes."""

    @property
    def n_bytes(self) -> int:
        """How many follow."""

    def fits(self, content: bytes) -> bool:
        """Whether they are those that were written, by a checksum or digest in the line."""


E = TypeVar("E", bound=Entry)


class GrowingFile(Generic[E]):
    """A header line, then entries: a line of JSON with its checksum each, and bytes.

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
        FormatError
            If what stands in the place of the file is no such file.
        """
        about = {"created_by": f"voicegmm {__version__}", "fingerprint": fingerprint}
        header = canonical_json(self._kind | about).encode() + b"\n"
        entries: list[tuple[int, E]] = []
        with os.fdopen(os.dup(self.handle), "rb") as file:
            file.seek(0)
            found = file.readline(_MOST_LINE)
            if found and not found.startswith(_START):
                raise FormatError(
                    f"{self.path}: stands where unfinished {self._holds} are kept, and is none; "
                    "move it"
                )
            end = self._first = len(header) if found == header else 0
            while end and (entry := _next_entry(file, self._entry)):
                entries.append((file.tell(), entry))
                end = file.seek(entry.n_bytes, os.SEEK_CUR)
        os.ftruncate(self.handle, end)
        if not end:
            append(self.handle, self.path, [memoryview(header)])
            self._first = len(header)
        return entries

    def cut_after(self, entries: list[tuple[int, E]]) -> None:
        """Forget what stands after the first entries, these."""
        end = entries[-1][0] + entries[-1][1].n_bytes if entries else self._first
        os.ftruncate(self.handle, end)

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


def entry_line(entry: Entry) -> bytes:
    """Give the line before some bytes: JSON, a tab, the CRC-32 of the JSON in hex."""
    text = msgspec.json.encode(entry)
    return b"%b\t%08x\n" % (text, zlib.crc32(text))


def _next_entry(file: IO[bytes], entry: type[E]) -> E | None:
    """Read the line of an entry that is whole with its bytes, or None."""
    text, _, check = file.readline(_MOST_LINE).rpartition(b"\t")
    if check != b"%08x\n" % zlib.crc32(text):
        return None
    try:
        found = msgspec.json.decode(text, type=entry)
    except msgspec.MsgspecError:
        return None
    return found if file.tell() + found.n_bytes <= os.fstat(file.fileno()).st_size else None


def about_growing(
    path: str | os.PathLike[str], entries: dict[str, type[Entry]], check: bool = False
) -> dict[str, Any]:
    """Tell what an unfinished file is: its header, and how many whole entries it has.

    Parameters
    ----------
    path : path
    entries : dict of str to type
        What the lines are, by format.
    check : bool
        Whether to read the bytes of the entries, and count those before the first damaged one.

    Raises
    ------
    FormatError
        If it is no such file.
    """
    with Path(path).open("rb") as file:
        start = file.readline(_MOST_LINE)
        try:
            header = msgspec.json.decode(start, type=dict[str, str | int])
            entry = entries[str(header["format"])]
        except (msgspec.MsgspecError, KeyError):
            raise FormatError(f"{path}: not one of voicegmm's files") from None
        n_entries = 0
        while found := _next_entry(file, entry):
            if check and not found.fits(file.read(found.n_bytes)):
                break
            n_entries += 1
            if not check:
                file.seek(found.n_bytes, os.SEEK_CUR)
    return {**header, "n_entries": n_entries}


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
