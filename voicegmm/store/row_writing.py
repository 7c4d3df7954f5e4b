"""Data sets that grow by rows, with a checksum of each block of them, and HDF5's of each chunk."""

import math
from collections.abc import Sequence

import h5py
import numpy as np
import numpy.typing as npt

from voicegmm.store.checksums import FLETCHER_BYTES, checksums_of, fletcher32


class RowsWriter:
    """Appends rows to a new data set.

    Full chunks are handed to the disk as they will stand there: HDF5 would take more than twice the
    time. What does not fill a chunk waits for the rows to come.

    Parameters
    ----------
    file : h5py.File
    name : str
    dtype : numpy.dtype
        As it stands in the file.
    width : tuple of int
        Of a row: (n_dims,), or () where it is one number.
    chunk_rows : int
        A multiple of 128.
    """

    def __init__(
        self,
        file: h5py.File,
        name: str,
        dtype: npt.DTypeLike,
        width: tuple[int, ...],
        chunk_rows: int,
    ) -> None:
        self._dataset = file.create_dataset(
            name,
            (0, *width),
            dtype,
            maxshape=(None, *width),
            chunks=(chunk_rows, *width),
            fletcher32=True,
        )
        n_bytes = chunk_rows * math.prod(width) * np.dtype(dtype).itemsize
        self._content = np.empty(n_bytes + FLETCHER_BYTES, np.uint8)
        self._chunk = self._content[:n_bytes].view(dtype).reshape(chunk_rows, *width)
        self._behind = self._content[n_bytes:].view("<u4")
        self._checksums: list[int] = []
        self._n_rows = 0

    def add(self, parts: Sequence[npt.NDArray[np.generic]]) -> None:
        """Append rows."""
        n_each = len(self._chunk)
        self._dataset.resize(self._n_rows + sum(map(len, parts)), axis=0)
        for part in parts:
            left = part
            while len(left):
                at = self._n_rows % n_each
                taken, left = left[: n_each - at], left[n_each - at :]
                np.copyto(self._chunk[at : at + len(taken)], taken, casting="same_kind")
                self._n_rows += len(taken)
                if self._n_rows % n_each == 0:
                    self._write(n_each)

    def _write(self, n_rows: int) -> None:
        """Hand the chunk to the disk, of which so many rows count."""
        self._checksums += checksums_of(self._chunk[:n_rows])
        self._behind[0] = fletcher32(self._content[:-FLETCHER_BYTES])
        place = (self._n_rows - n_rows, *[0] * (self._chunk.ndim - 1))
        self._dataset.id.write_direct_chunk(place, self._content)

    def finish(self) -> npt.NDArray[np.uint32]:
        """Write what waits; give the checksums of all rows."""
        if n_left := self._n_rows % len(self._chunk):
            self._chunk[n_left:] = 0
            self._write(n_left)
        return np.array(self._checksums, np.uint32)
