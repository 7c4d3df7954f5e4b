"""The recordings that an extraction has finished, kept on disk until all of them are."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from voicegmm._base.errors import FormatError, VoicegmmError, WorkerError
from voicegmm.features import FrameSet
from voicegmm.store.growing import Count, GrowingFile, append, entry_line
from voicegmm.store.rows import ROW_TYPES, Digested, bytes_of_rows, digest_of_rows

FORMAT, VERSION = "voicegmm/extraction", 3
_FRAME, _WEIGHT, _POSITION = ROW_TYPES.values()


@dataclass(frozen=True)
class JournalEntry:
    """The line before the numbers of a recording."""

    file: str
    stamp: str
    n_frames: Count
    n_dims: Count
    n_total: int
    hop_seconds: float
    source: str
    notes: tuple[str, ...]
    sha256: str
    content: str = ""

    @property
    def n_bytes(self) -> int:
        """Of its numbers."""
        return self.n_frames * (
            self.n_dims * _FRAME.itemsize + _WEIGHT.itemsize + _POSITION.itemsize
        )

    def fits(self, content: bytes) -> bool:
        """Whether bytes are those that were written."""
        return digest_of_rows([content]).hex() == self.sha256


@dataclass(frozen=True)
class KeptFrames:
    """Where the numbers of a recording begin in the journal, and the line before them."""

    at: int
    entry: JournalEntry

    def read(self, content: bytes) -> Digested:
        """Make the frames of those bytes."""
        entry = self.entry
        n, n_values = entry.n_frames, entry.n_frames * entry.n_dims
        weights_at = n_values * _FRAME.itemsize
        frames = FrameSet(
            np.frombuffer(content, _FRAME, n_values).reshape(n, entry.n_dims),
            np.frombuffer(content, _WEIGHT, n, weights_at),
            np.frombuffer(content, _POSITION, n, weights_at + n * _WEIGHT.itemsize),
            entry.n_total,
            entry.hop_seconds,
            entry.source,
            entry.notes,
            entry.content,
        )
        return Digested(frames, bytes.fromhex(entry.sha256))

    def within(self, content: bytes, path: Path) -> Digested:
        """Make the frames of what stands in a file, whose content is given.

        Raises
        ------
        FormatError
            If it is damaged.
        """
        numbers = content[self.at : self.at + self.entry.n_bytes]
        if not self.entry.fits(numbers):
            raise FormatError(f"{path}: damaged on its way from a worker; run the command again")
        return self.read(numbers)


class ExtractionJournal:
    """Keeps what an extraction has finished beside the store that it will become.

    Several processes may append to it at once, each by `append_entry`; one of them has it open, and
    learns where from the others.

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
        self._file = GrowingFile(out, FORMAT, VERSION, JournalEntry, "features")
        self.path, self._handle = self._file.path, self._file.handle
        try:
            entries = self._file.begin(fingerprint)
        except BaseException:
            self._file.close(keep=True)
            raise
        self._places = {entry.file: KeptFrames(at, entry) for at, entry in entries}

    def holds(self, file: str, stamp: str) -> bool:
        """Tell whether there are frames of a recording, without a look at them; see `frames_of`."""
        kept = self._places.get(file)
        return kept is not None and kept.entry.stamp == stamp

    def frames_of(self, file: str, stamp: str) -> Digested | None:
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
        content = self._file.content(kept.at, kept.entry)
        return kept.read(content) if kept.entry.fits(content) else None

    def add(self, file: str, stamp: str, frames: FrameSet) -> bytes:
        """Keep the frames of a recording, and give the SHA-256 of their rows.

        Raises
        ------
        VoicegmmError
            If they cannot be written.
        """
        kept = self._places[file] = _appended(self._handle, self.path, file, stamp, frames)
        return bytes.fromhex(kept.entry.sha256)

    def take(self, kept: KeptFrames) -> Digested:
        """Learn what another process has appended, and give it."""
        self._places[kept.entry.file] = kept
        return kept.read(self._file.content(kept.at, kept.entry))

    def __enter__(self) -> "ExtractionJournal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        again = isinstance(error, VoicegmmError) and not isinstance(error, WorkerError)
        self._file.close(keep=not (error is None or again or not self._places))


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
    numbers = bytes_of_rows(frames)
    entry = JournalEntry(
        file,
        stamp,
        len(frames.frames),
        frames.n_dims,
        frames.n_total,
        frames.hop_seconds,
        frames.source,
        frames.notes,
        digest_of_rows(numbers).hex(),
        frames.content,
    )
    line = memoryview(entry_line(entry))
    end = append(handle, path, [line, *numbers])
    return KeptFrames(end - entry.n_bytes, entry)
