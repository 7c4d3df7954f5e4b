"""Rows of data sets, compared with their checksums wherever they are read."""

import math
import os
from threading import Lock
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import IntArray
from voicegmm._base.errors import FormatError
from voicegmm.store.checksums import BLOCK_ROWS, FLETCHER_BYTES, first_damaged, n_blocks


class RowsReader:
    """Reads rows of a data set; safe to call from threads.

    Chunks that carry HDF5's Fletcher-32 are taken from the disk as they stand: the library would
    take a third more time to find what the checksums of the rows find anyway.

    Parameters
    ----------
    path : path
        Of the file, for errors.
    dataset : h5py.Dataset
    checksums : (n_blocks,) uint32 array, optional
        None in files of early versions, where the library compares those of chunks.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        dataset: h5py.Dataset,
        checksums: IntArray | None = None,
    ) -> None:
        self._path, self._dataset, self._checksums = path, dataset, checksums
        self._lock = Lock()
        self._as_they_stand = checksums is not None and _only_fletcher32(dataset)
        if self._as_they_stand:
            # One chunk, which the next recording may begin in.
            n_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
            self._content = np.empty(n_bytes + FLETCHER_BYTES, np.uint8)
            self._chunk: npt.NDArray[Any] = (
                self._content[:n_bytes].view(dataset.dtype).reshape(dataset.chunks)
            )
            self._begins = -1  # which row it begins with

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Give rows `start` to `stop`.

        Raises
        ------
        FormatError
            If they cannot be read, or do not fit their checksums.
        """
        first, last = start, stop
        if self._checksums is not None:
            first = start - start % BLOCK_ROWS
            last = min(n_blocks(stop) * BLOCK_ROWS, len(self._dataset))
        try:
            with self._lock:
                rows = self._stored(first, last)
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(f"{self._path}: damaged: {error}") from error
        if self._checksums is not None:
            wanted = self._checksums[first // BLOCK_ROWS : n_blocks(last)]
            damaged = first_damaged(rows, wanted)
            if damaged is not None:
                row = first + damaged * BLOCK_ROWS
                raise FormatError(
                    f"{self._path}: damaged: {self._dataset.name.lstrip('/')} {row} to "
                    f"{min(row + BLOCK_ROWS, last) - 1} do not fit their checksum; copy or make "
                    "the file again"
                )
        return rows[start - first : stop - first]

    def _stored(self, first: int, last: int) -> npt.NDArray[Any]:
        """Give rows, not compared with anything but by the library."""
        if not self._as_they_stand:
            rows: npt.NDArray[Any] = self._dataset[first:last]
            return rows
        rows = np.empty((last - first, *self._chunk.shape[1:]), self._chunk.dtype)
        n_each = len(self._chunk)
        for start in range(first - first % n_each, last, n_each):
            low, high = max(first, start), min(last, start + n_each)
            rows[low - first : high - first] = self._chunk_at(start)[low - start : high - start]
        return rows

    def _chunk_at(self, start: int) -> npt.NDArray[Any]:
        """Give the chunk that begins with a row; what it gave before is no more."""
        if start != self._begins:
            self._begins = -1
            place = (start, *[0] * (self._chunk.ndim - 1))
            _, found = self._dataset.id.read_direct_chunk(place, out=self._content)
            if len(found) != len(self._content):
                raise ValueError(f"a chunk of {self._dataset.name} has {len(found)} bytes")
            self._begins = start
        return self._chunk


def _only_fletcher32(dataset: h5py.Dataset) -> bool:
    """Whether chunks hold whole rows, as they are in memory, and the checksum behind them."""
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    plain: bool = dataset.id.get_type() == h5py.h5t.py_create(dataset.dtype)
    return (
        plain
        and filters == [h5py.h5z.FILTER_FLETCHER32]
        and dataset.chunks[1:] == dataset.shape[1:]
    )
