"""Checksums of rows: CRC-32 of each block of `BLOCK_ROWS`, compared wherever rows are read.

A large feature store is not read whole when it is opened, so each part of it is checked when it is
read. HDF5's own Fletcher-32, which stands behind each chunk for other programs, takes a word of 16
zeros for one of 16 ones, which is just how disks and cards fail; CRC-32 finds every change within
32 bits in a row, and costs no more.
"""

import zlib

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import IntArray

BLOCK_ROWS = 128
"""Few: a block is read whole, however little of it is asked for."""
FLETCHER_BYTES = 4
"""What HDF5's Fletcher-32 adds to a chunk."""
_LINE = 1024  # words: numbers are added fastest in lines of many


def n_blocks(n_rows: int) -> int:
    """Give how many blocks so many rows make."""
    return -(-n_rows // BLOCK_ROWS)


def checksums_of(rows: npt.NDArray[np.generic]) -> list[int]:
    """Give the CRC-32 of each block of rows, from the start of a block; the last may be shorter."""
    content, step = _bytes_of(rows), BLOCK_ROWS * rows[:1].nbytes
    return [zlib.crc32(content[at : at + step]) for at in range(0, len(content), step)]


def first_damaged(rows: npt.NDArray[np.generic], checksums: IntArray) -> int | None:
    """Give the number of the first block that does not fit its checksum, or None.

    Parameters
    ----------
    rows : array
        From the start of a block.
    checksums : (n_blocks,) uint32 array
    """
    pairs = zip(checksums_of(rows), checksums.tolist(), strict=True)
    return next((number for number, (found, wanted) in enumerate(pairs) if found != wanted), None)


def fletcher32(chunk: npt.NDArray[np.uint8]) -> int:
    """Give HDF5's checksum of a chunk, which its filter `fletcher32` puts behind it.

    Of the words w_1 to w_n of 16 bits, big-endian, Fletcher-32 is their sum and, in the upper 16
    bits, the sum of their running sums, n w_1 + ... + 1 w_n, both modulo 65,535, which stands for 0
    unless all words are 0 (HDF5's ``H5_checksum_fletcher32``; J. G. Fletcher, IEEE Trans. Commun.
    30 (1982) 247-252).

    Parameters
    ----------
    chunk : (n_bytes,) uint8 array
        A multiple of 2,048 bytes.
    """
    words = chunk.view("<u2").reshape(-1, _LINE)
    lines = words.sum(axis=1, dtype=np.uint32).astype(np.int64)
    columns = words.sum(axis=0, dtype=np.min_scalar_type(0xFFFF * len(words))).astype(np.int64)
    total = int(lines.sum())
    running = int(lines @ np.arange(words.size, 0, -_LINE) - columns @ np.arange(_LINE))
    return _folded(running) << 16 | _folded(total)


def _folded(total: int) -> int:
    """Give a sum of little-endian words as Fletcher-32 has that of big-endian ones.

    To swap the bytes of a word is to multiply it by 256, modulo 65,535.
    """
    return (256 * total - 1) % 0xFFFF + 1 if total else 0


def _bytes_of(rows: npt.NDArray[np.generic]) -> memoryview:
    """Give the bytes of some rows as they stand in the file: little-endian."""
    plain = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
    return plain.reshape(-1).view(np.uint8).data
