"""Data sets that grow by rows, with a checksum of each block of them."""

from collections.abc import Sequence

import h5py
import numpy as np
import numpy.typing as npt

from voicegmm.store.checksums import RunningChecksums


class RowsWriter:
    """Appends rows to a new data set.

    Full chunks are handed to the disk as they are: HDF5 would copy each once more, in twice the
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
            name, (0, *width), dtype, maxshape=(None, *width), chunks=(chunk_rows, *width)
        )
        self._chunk_rows = chunk_rows
        self._checksums = RunningChecksums()
        self._waiting = np.empty((0, *width), dtype)
        self._n_written = 0

    def add(self, parts: Sequence[npt.NDArray[np.generic]]) -> None:
        """Append rows."""
        rows = np.concatenate([self._waiting, *parts], dtype=self._waiting.dtype)
        n_full = len(rows) // self._chunk_rows * self._chunk_rows
        start, self._n_written = self._n_written, self._n_written + n_full
        self._waiting = rows[n_full:].copy()
        if not n_full:
            return
        self._checksums.add(rows[:n_full])
        self._dataset.resize(self._n_written, axis=0)
        rest = (0,) * (rows.ndim - 1)
        for first in range(0, n_full, self._chunk_rows):
            chunk = rows[first : first + self._chunk_rows]
            self._dataset.id.write_direct_chunk((start + first, *rest), chunk)

    def finish(self) -> npt.NDArray[np.uint32]:
        """Write what waits; give the checksums of all rows."""
        if len(self._waiting):
            self._dataset.resize(self._n_written + len(self._waiting), axis=0)
            self._dataset[self._n_written :] = self._waiting
            self._checksums.add(self._waiting)
        return self._checksums.finish()
