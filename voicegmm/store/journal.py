"""The recordings that an extraction has finished, kept on disk until all of them are."""

import fcntl
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np

from voicegmm._base.errors import InUseError, VoicegmmError, WorkerError
from voicegmm._base.files import check_writable
from voicegmm._base.options import canonical_json
from voicegmm._base.version import __version__
from voicegmm.features import FrameSet

FORMAT, VERSION = "voicegmm/extraction", 1
_START = b'{"created_by":"voicegmm '
_FRAMES, _WEIGHTS, _POSITIONS = np.dtype("<f4"), np.dtype("<f4"), np.dtype("<i4")


@dataclass(frozen=True)
class JournalEntry:
    """The line before the numbers of a recording."""

    file: str
    stamp: str
    n_frames: int
    n_dims: int
    n_total: int
    hop_seconds: float
    source: str
    notes: tuple[str, ...]
    checksum: int
    content: str = ""

    @property
    def n_bytes(self) -> int:
        """Of its numbers."""
        per_frame = self.n_dims * _FRAMES.itemsize + _WEIGHTS.itemsize + _POSITIONS.itemsize
        return self.n_frames * per_frame


@dataclass(frozen=True)
class KeptFrames:
    """Where the numbers of a recording begin in the journal, and the line before them."""

    at: int
    entry: JournalEntry

    def read(self, content: bytes) -> FrameSet:
        """Make the frames of those bytes."""
        entry = self.entry
        n, n_values = entry.n_frames, entry.n_frames * entry.n_dims
        weights_at = n_values * _FRAMES.itemsize
        return FrameSet(
            np.frombuffer(content, _FRAMES, n_values).reshape(n, entry.n_dims),
            np.frombuffer(content, _WEIGHTS, n, weights_at),
            np.frombuffer(content, _POSITIONS, n, weights_at + n * _WEIGHTS.itemsize),
            entry.n_total,
            entry.hop_seconds,
            entry.source,
            entry.notes,
            entry.content,
        )


class ExtractionJournal:
    """Keeps what an extraction has finished beside the store that it will become.

    A header line, then for each recording a line of JSON and its numbers, checksummed. A feature
    store cannot be gone on with after a crash, but a file that only grows can: what was being
    written when the process ended is cut off, and the rest holds. Several processes may append to
    it at once, each by `append_entry`; one of them has it open, and learns where from the others.

    A context manager. The file is removed when the block ends well or with an error of ours, which
    would come again; it stays when the process is interrupted, or a worker of it.

    Parameters
    ----------
    out : path
        The store; the journal is ``out`` + ".partial".
    fingerprint : str
        Of the front end. What another one has left behind is thrown away.

    Raises
    ------
    InUseError
        If another process is making the same store.
    VoicegmmError
        If the journal cannot be written, or what stands in its place is no journal.
    """

    def __init__(self, out: str | os.PathLike[str], fingerprint: str) -> None:
        check_writable(out)
        self.path = Path(f"{os.fspath(out)}.partial")
        self._places: dict[str, KeptFrames] = {}
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise VoicegmmError(f"{self.path}: cannot be written: {error.strerror}") from error
        try:
            self._lock()
            self._load(fingerprint)
        except BaseException:
            os.close(self._handle)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"{self.path}: another process is extracting to the same store; wait for it, or "
                "write to another file"
            ) from None

    def _load(self, fingerprint: str) -> None:
        kind = {"format": FORMAT, "format_version": VERSION, "fingerprint": fingerprint}
        kind["created_by"] = f"voicegmm {__version__}"
        header = canonical_json(kind).encode() + b"\n"
        with os.fdopen(os.dup(self._handle), "rb") as file:
            found = file.readline()
            if found and not found.startswith(_START):
                raise VoicegmmError(
                    f"{self.path}: stands where unfinished features are kept, and is none; move it"
                )
            end = len(header) if found == header else 0
            size = os.fstat(self._handle).st_size
            while end and (entry := _parsed(file.readline())):
                at = file.tell()
                if at + entry.n_bytes > size:
                    break
                self._places[entry.file] = KeptFrames(at, entry)
                end = file.seek(at + entry.n_bytes)
        os.ftruncate(self._handle, end)
        if not end:
            _append(self._handle, self.path, [memoryview(header)])

    def holds(self, file: str, stamp: str) -> bool:
        """Tell whether there are frames of a recording, without a look at them; see `frames_of`."""
        kept = self._places.get(file)
        return kept is not None and kept.entry.stamp == stamp

    def frames_of(self, file: str, stamp: str) -> FrameSet | None:
        """Give the frames of a recording that was finished, or None; safe to call from threads.

        Parameters
        ----------
        file : str
            Its id.
        stamp : str
            What the frames depend on besides the front end. They are given only if it is the same.
        """
        if not self.holds(file, stamp):
            return None
        kept = self._places[file]
        content = self._content(kept)
        return kept.read(content) if zlib.crc32(content) == kept.entry.checksum else None

    def _content(self, kept: KeptFrames) -> bytes:
        begin, end = kept.at, kept.at + kept.entry.n_bytes
        content = os.pread(self._handle, end - begin, begin)
        # The system gives at most 2 GB at once.
        while part := os.pread(self._handle, end - begin - len(content), begin + len(content)):
            content += part
        return content

    def add(self, file: str, stamp: str, frames: FrameSet) -> None:
        """Keep the frames of a recording.

        Raises
        ------
        VoicegmmError
            If they cannot be written.
        """
        self._places[file] = _appended(self._handle, self.path, file, stamp, frames)

    def take(self, kept: KeptFrames) -> FrameSet:
        """Learn what another process has appended, and give it."""
        self._places[kept.entry.file] = kept
        return kept.read(self._content(kept))

    def __enter__(self) -> "ExtractionJournal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        again = isinstance(error, VoicegmmError) and not isinstance(error, WorkerError)
        if error is None or again or not self._places:
            self.path.unlink(missing_ok=True)
        # By word: a worker process that was forked holds the handle, and with it the lock, too.
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        os.close(self._handle)


def _parsed(line: bytes) -> JournalEntry | None:
    try:
        return msgspec.json.decode(line, type=JournalEntry) if line.endswith(b"\n") else None
    except msgspec.MsgspecError:
        return None


def append_entry(
    journal: str | os.PathLike[str], file: str, stamp: str, frames: FrameSet
) -> KeptFrames:
    """Keep the frames of a recording in a journal that another process has open.

    Raises
    ------
    VoicegmmError
        If they cannot be written.
    """
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND)
    try:
        return _appended(handle, Path(journal), file, stamp, frames)
    finally:
        os.close(handle)


def _appended(handle: int, path: Path, file: str, stamp: str, frames: FrameSet) -> KeptFrames:
    numbers = [
        np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data
        for array, dtype in (
            (frames.frames, _FRAMES),
            (frames.weights, _WEIGHTS),
            (frames.positions, _POSITIONS),
        )
    ]
    checksum = 0
    for part in numbers:
        checksum = zlib.crc32(part, checksum)
    entry = JournalEntry(
        file,
        stamp,
        len(frames.frames),
        frames.n_dims,
        frames.n_total,
        frames.hop_seconds,
        frames.source,
        frames.notes,
        checksum,
        frames.content,
    )
    line = memoryview(msgspec.json.encode(entry) + b"\n")
    end = _append(handle, path, [line, *numbers])
    return KeptFrames(end - entry.n_bytes, entry)


def _append(handle: int, path: Path, parts: Sequence[memoryview]) -> int:
    """Write at the end of a file, and give the new end."""
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
