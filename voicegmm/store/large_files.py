"""New files that may be larger than memory: the HDF5 library writes them to the disk, by us.

What the library cannot write it may lose without a word, or itself: an object that is let go of
has nobody to tell. So each of its writes goes through a file of ours that remembers the first that
failed, and then pretends; such a file never takes its place.
"""

import io
import os
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from voicegmm._base.errors import VoicegmmError
from voicegmm._base.files import whole_file
from voicegmm.store.hdf5 import LAYOUT, refuse_to_decrypt, write_header
from voicegmm.store.sealing import Extent, seal

_ROOM = 4_000_000  # bytes that HDF5 may want for itself


class _Watched(io.FileIO):
    """A file that remembers the first write that failed; after it, writes do nothing."""

    failure: OSError | None = None

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+")

    def write(self, content: Any) -> int:
        """Write all of it; give how much that is."""
        left = memoryview(content).cast("B")
        n_bytes = len(left)
        while left and self.failure is None:
            try:
                left = left[super().write(left) or 0 :]
            except OSError as error:
                self.failure = error
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        if self.failure is None:
            try:
                super().truncate(size)
            except OSError as error:
                self.failure = error
        return size or 0


@dataclass(frozen=True)
class LargeFile:
    """A file that is being written.

    Parameters
    ----------
    file : h5py.File
    path : Path
        Where it is until it takes its place.
    disk : io.FileIO
    """

    file: h5py.File
    path: Path
    disk: _Watched

    def check_room(self, n_bytes: int) -> None:
        """Refuse to write what would not fit, and to go on where something was not written.

        Raises
        ------
        VoicegmmError
            If the disk, or the limit on the size of files, has no room for so much more.
        """
        if self.disk.failure is not None:
            raise self.disk.failure
        folder = self.path.parent
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        room = shutil.disk_usage(folder).free
        if limit != resource.RLIM_INFINITY:
            room = min(room, limit - self.path.stat().st_size)
        if room < n_bytes + _ROOM:
            raise VoicegmmError(f"{folder}: no space left on the disk for the features")


@contextmanager
def new_large_file(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    options: Any,
    fingerprint: str,
    parent: str,
    extents_of: Callable[[LargeFile], Sequence[Extent]],
) -> Iterator[LargeFile]:
    """Open a new file; it is sealed and takes its place when the block ends.

    Parameters
    ----------
    path, kind, version, options, fingerprint, parent
        See `voicegmm.store.hdf5.new_file`.
    extents_of : callable
        Gives, of the finished file, where those chunks are that have checksums of their own; see
        `voicegmm.store.sealing.seal`.

    Raises
    ------
    VoicegmmError
        If it cannot be written.
    """
    refuse_to_decrypt(path)
    with whole_file(path) as temporary:
        with _Watched(temporary) as disk:
            try:
                with h5py.File(disk, "w", **LAYOUT) as file:
                    large = LargeFile(file, temporary, disk)
                    write_header(file, kind, version, options, fingerprint, parent)
                    yield large
                    file.flush()
                    extents = extents_of(large)
            except RuntimeError as error:
                raise disk.failure or error from error
            if disk.failure is not None:
                raise disk.failure
        seal(temporary, extents)
