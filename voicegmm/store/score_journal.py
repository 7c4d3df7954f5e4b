"""The scores that a list of trials has come to, kept on disk until all of them are there."""

import os
import time
import zlib
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm.store.growing import Count, GrowingFile, append, entry_line

FORMAT, VERSION = "voicegmm/scoring", 2
_SCORES = np.dtype("<f8")
_AT_ONCE, _SECONDS = 2**16, 0.5  # scores, or their age: whatever comes first


@dataclass(frozen=True)
class ScoreEntry:
    """The line before some scores: how many, how many came before, and their CRC-32."""

    n_scores: Count
    first: int
    checksum: int

    @property
    def n_bytes(self) -> int:
        """Of the scores."""
        return self.n_scores * _SCORES.itemsize

    def fits(self, content: bytes) -> bool:
        """Whether bytes are those that were written."""
        return zlib.crc32(content) == self.checksum


class ScoreJournal:
    """Keeps scores in the order in which they are computed, beside the table they will become.

    A context manager. The file is removed when the block ends well; otherwise it stays, and the
    same work goes on from there.

    Parameters
    ----------
    out : path
        The score table; the journal is ``out`` + ".partial".

    Raises
    ------
    InUseError
        If another process is making the same table.
    VoicegmmError
        If the journal cannot be written.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self._file = GrowingFile(out, FORMAT, VERSION, ScoreEntry, "scores")
        self.path = self._file.path
        self._kept = np.empty(0, _SCORES)
        self._n_given = self._n_written = 0
        self._waiting: list[Float64Array] = []
        self._written = time.monotonic()
        self._of_use = self.path.stat().st_size > 0

    def begin(self, fingerprint: str) -> int:
        """Go to the start of what was kept for this very work; forget what was for any other.

        Parameters
        ----------
        fingerprint : str
            Of models, options, trials and frames.

        Returns
        -------
        int
            How many scores were kept.

        Raises
        ------
        VoicegmmError
            If what stands in the place of the journal is none.
        """
        entries = self._file.begin(fingerprint)
        whole: list[bytes] = []
        n_scores = 0
        for at, entry in entries:
            content = self._file.content(at, entry)
            if entry.first != n_scores or not entry.fits(content):
                break
            whole.append(content)
            n_scores += entry.n_scores
        self._file.cut_after(entries[: len(whole)])
        self._kept = np.frombuffer(b"".join(whole), _SCORES)
        self._n_written = n_scores
        self._of_use = bool(self._kept.size)
        return len(self._kept)

    def kept(self, n_scores: int) -> Float64Array | None:
        """Give the next scores that were kept, or None where there are not so many."""
        end = self._n_given + n_scores
        if end > len(self._kept):
            assert self._n_given == len(self._kept)  # the same work comes in the same parts
            return None
        found = self._kept[self._n_given : end]
        self._n_given = end
        if end == len(self._kept):  # all are given: their memory is not held any longer
            self._kept, self._n_given = np.empty(0, _SCORES), 0
        return found

    def keep(self, scores: Float64Array) -> None:
        """Keep the next scores, after those that were given by `kept`.

        Raises
        ------
        VoicegmmError
            If they cannot be written.
        """
        self._waiting.append(np.array(scores, _SCORES).ravel())
        many = sum(map(len, self._waiting)) >= _AT_ONCE
        if many or time.monotonic() - self._written >= _SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            content = np.concatenate(self._waiting).tobytes()
            n_scores = len(content) // _SCORES.itemsize
            line = entry_line(ScoreEntry(n_scores, self._n_written, zlib.crc32(content)))
            append(self._file.handle, self.path, [memoryview(line), memoryview(content)])
            self._n_written += n_scores
            self._of_use = True
        self._waiting = []
        self._written = time.monotonic()

    def __enter__(self) -> "ScoreJournal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                self._flush()
        finally:
            self._file.close(keep=error is not None and self._of_use)
