"""Checksums of rows: CRC-32 of each block of `BLOCK_ROWS`, compared wherever rows are read.

A large feature store is not read whole when it is opened, so each part of it is checked when it is
read. HDF5's own Fletcher-32 takes a word of 16 zeros for one of 16 ones, which is just how disks
and cards fail; CRC-32 finds every change within 32 bits in a row, and costs no more.
"""

import zlib

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import IntArray

BLOCK_ROWS = 128
"""Few: a block is read whole, however little of it is asked for."""


class RunningChecksums:
    """Takes the checksums of rows that come in parts."""

    def __init__(self) -> None:
        self._done: list[int] = []
        self._last, self._n_rows = 0, 0  # of the block that is not full

    def add(self, rows: npt.NDArray[np.generic]) -> None:
        """Go on with some rows, as they will stand in the file."""
        content, row_bytes = _bytes_of(rows), rows[:1].nbytes
        start = 0
        if self._n_rows:
            start = min(BLOCK_ROWS - self._n_rows, len(rows))
            self._take(content[: start * row_bytes], start)
        whole = start + (len(rows) - start) // BLOCK_ROWS * BLOCK_ROWS
        block = BLOCK_ROWS * row_bytes
        self._done += [
            zlib.crc32(content[at : at + block])
            for at in range(start * row_bytes, whole * row_bytes, block)
        ]
        self._take(content[whole * row_bytes :], len(rows) - whole)

    def _take(self, content: memoryview, n_rows: int) -> None:
        self._last = zlib.crc32(content, self._last)
        self._n_rows += n_rows
        if self._n_rows == BLOCK_ROWS:
            self._close()

    def finish(self) -> npt.NDArray[np.uint32]:
        """Give the checksums of all blocks, of which the last may be shorter."""
        if self._n_rows:
            self._close()
        return np.array(self._done, np.uint32)

    def _close(self) -> None:
        self._done.append(self._last)
        self._last, self._n_rows = 0, 0


def n_blocks(n_rows: int) -> int:
    """Give how many blocks so many rows make."""
    return -(-n_rows // BLOCK_ROWS)


def first_damaged(rows: npt.NDArray[np.generic], checksums: IntArray) -> int | None:
    """Give the number of the first block that does not fit its checksum, or None.

    Parameters
    ----------
    rows : array
        From the start of a block.
    checksums : (n_blocks,) uint32 array
    """
    content, step = _bytes_of(rows), BLOCK_ROWS * rows[:1].nbytes
    for number, wanted in enumerate(checksums.tolist()):
        if zlib.crc32(content[number * step : (number + 1) * step]) != wanted:
            return number
    return None


def _bytes_of(rows: npt.NDArray[np.generic]) -> memoryview:
    """Give the bytes of some rows as they stand in the file: little-endian."""
    plain = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
    return plain.reshape(-1).view(np.uint8).data
