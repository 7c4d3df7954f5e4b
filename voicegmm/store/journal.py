"""The recordings that an extraction has finished, kept on disk until all of them are."""

import fcntl
import os
import zlib
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
class _Entry:
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
        per_frame = self.n_dims * _FRAMES.itemsize + _WEIGHTS.itemsize + _POSITIONS.itemsize
        return self.n_frames * per_frame


class ExtractionJournal:
    """Keeps what an extraction has finished beside the store that it will become.

    A header line, then for each recording a line of JSON and its numbers, checksummed. A feature
    store cannot be gone on with after a crash, but a file that only grows can: what was being
    written when the process ended is cut off, and the rest holds.

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
        self._places: dict[str, tuple[int, _Entry]] = {}
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
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
                self._places[entry.file] = (at, entry)
                end = file.seek(at + entry.n_bytes)
        os.ftruncate(self._handle, end)
        os.lseek(self._handle, end, os.SEEK_SET)
        if not end:
            self._write(header)

    def _write(self, content: bytes | memoryview) -> None:
        left = memoryview(content)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as error:
            raise VoicegmmError(f"{self.path}: cannot be written: {error.strerror}") from error

    def holds(self, file: str, stamp: str) -> bool:
        """Tell whether there are frames of a recording, without a look at them; see `frames_of`."""
        entry = self._places.get(file)
        return entry is not None and entry[1].stamp == stamp

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
        at, entry = self._places[file]
        content = os.pread(self._handle, entry.n_bytes, at)
        if zlib.crc32(content) != entry.checksum:
            return None
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

    def add(self, file: str, stamp: str, frames: FrameSet) -> None:
        """Keep the frames of a recording.

        Raises
        ------
        VoicegmmError
            If they cannot be written.
        """
        numbers = [
            memoryview(np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8))
            for array, dtype in (
                (frames.frames, _FRAMES),
                (frames.weights, _WEIGHTS),
                (frames.positions, _POSITIONS),
            )
        ]
        checksum = 0
        for part in numbers:
            checksum = zlib.crc32(part, checksum)
        entry = _Entry(
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
        self._write(msgspec.json.encode(entry) + b"\n")
        at = os.lseek(self._handle, 0, os.SEEK_CUR)
        for part in numbers:
            self._write(part)
        self._places[file] = (at, entry)

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


def _parsed(line: bytes) -> _Entry | None:
    try:
        return msgspec.json.decode(line, type=_Entry) if line.endswith(b"\n") else None
    except msgspec.MsgspecError:
        return None
