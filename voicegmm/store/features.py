"""The feature store: the frames of all recordings in one array."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray, IntArray, joined
from voicegmm._base.errors import FormatError, VoicegmmError
from voicegmm.compute import check_seen
from voicegmm.features import (
    ForeignFrontEnd,
    FrameSet,
    FrontEnd,
    Pipeline,
    fingerprint_of,
    read_front_end,
)
from voicegmm.mixture.collection import Readers
from voicegmm.scoring import Status
from voicegmm.store.checksums import n_blocks
from voicegmm.store.datasets import (
    damage_named,
    dataset_of,
    read_array,
    read_strings,
    write_strings,
)
from voicegmm.store.hdf5 import at_hand, open_file
from voicegmm.store.large_files import LargeFile, new_large_file
from voicegmm.store.receiving import Received
from voicegmm.store.row_reading import RowsReader
from voicegmm.store.row_writing import RowsWriter
from voicegmm.store.rows import DIGEST_BYTES, ROW_TYPES, Digested, digest_of_rows, digested
from voicegmm.store.sealing import SEAL_BYTES, Extent

FORMAT = "voicegmm/features"
VERSION = 3
# Small chunks: they are read whole, however little of it is asked for.
_CHUNK_ROWS = 512
_COLUMN_ROWS = 16 * _CHUNK_ROWS
ROWS = tuple(ROW_TYPES)
"""Data sets with one row a frame: nearly all of a store."""
# Rows that wait for each other: a call of HDF5 takes half a millisecond, however little it writes.
_WRITE_ROWS = _COLUMN_ROWS
# The version whose files hold the digest of each recording's rows, and checksums of all rows.
_DIGESTED_FROM = 3


class FeatureWriter:
    """Appends recordings to a feature store that is being made; `new_store` gives one."""

    def __init__(self, large: LargeFile, width: int) -> None:
        self._large, file = large, large.file
        self._rows = {
            "frames": RowsWriter(file, "frames", ROW_TYPES["frames"], (width,), _CHUNK_ROWS),
            "weights": RowsWriter(file, "weights", ROW_TYPES["weights"], (), _COLUMN_ROWS),
            "positions": RowsWriter(file, "positions", ROW_TYPES["positions"], (), _COLUMN_ROWS),
        }
        self._waiting: list[FrameSet] = []
        self._n_given = 0
        self._offsets = [0]
        self._ids: list[str] = []
        self._statuses: list[Status] = []
        self._notes: list[str] = []
        self._totals: list[int] = []
        self._contents: list[str] = []
        self._digests: list[bytes] = []

    def add(self, file: str, result: FrameSet | Digested | Status) -> None:
        """Append a recording's frames, or the reason why it gave none."""
        self._ids.append(file)
        if isinstance(result, Status):
            self._statuses.append(result)
            self._notes.append("")
            self._totals.append(0)
            self._contents.append("")
            self._digests.append(digest_of_rows([]))
            self._offsets.append(self._offsets[-1])
            return
        known = result if isinstance(result, Digested) else digested(result)
        frames = known.frames
        self._statuses.append(Status())
        self._notes.append("; ".join(frames.notes))
        self._totals.append(frames.n_total)
        self._contents.append(frames.content)
        self._digests.append(known.sha256)
        self._offsets.append(self._offsets[-1] + len(frames.frames))
        self._waiting.append(frames)
        if self._offsets[-1] - self._n_given >= _WRITE_ROWS:
            self._write()

    def _write(self) -> None:
        """Hand on the rows that wait."""
        waiting, self._waiting = self._waiting, []
        self._n_given = self._offsets[-1]
        self._large.check_room(2 * sum(r.frames.nbytes + 8 * len(r.frames) for r in waiting))
        for name, rows in self._rows.items():
            rows.add([getattr(result, name) for result in waiting])

    def finish(self) -> None:
        """Write what is known only at the end."""
        file = self._large.file
        if not self._ids:
            raise VoicegmmError("a feature store needs at least one recording")
        if self._waiting:
            self._write()
        write_strings(file, "ids", self._ids)
        write_strings(file, "status", [status.status for status in self._statuses])
        write_strings(file, "reasons", [status.reason for status in self._statuses])
        write_strings(file, "notes", self._notes)
        write_strings(file, "contents", self._contents)
        file["offsets"] = np.array(self._offsets, np.int64)
        file["n_total"] = np.array(self._totals, np.int64)
        for name, rows in self._rows.items():
            file[f"checksums/{name}"] = rows.finish()
        file["digests"] = np.frombuffer(b"".join(self._digests), np.uint8).reshape(-1, DIGEST_BYTES)


def _extents_of_rows(large: LargeFile) -> list[Extent]:
    """Tell where the chunks of the rows lie in the file: rows have checksums of their own."""
    found: list[Extent] = []
    for name in ROWS:
        dataset = large.file[name].id
        if not dataset.shape[0]:
            continue
        shift = _shift(large.path, dataset)
        if shift is None:
            return []
        chunks: list[Any] = []
        dataset.chunk_iter(chunks.append)
        starts = [chunk.byte_offset + shift for chunk in chunks]
        found += [(low, low + chunk.size) for low, chunk in zip(starts, chunks, strict=True)]
    joined: list[Extent] = []
    for low, high in sorted(found):
        start = joined.pop()[0] if joined and joined[-1][1] == low else low
        joined.append((start, high))
    return joined


def _shift(path: Path, dataset: Any) -> int | None:
    """Tell from where the library counts: some versions count from behind the seal."""
    where = dataset.get_chunk_info(0).byte_offset
    _, content = dataset.read_direct_chunk((0,) * dataset.rank)
    with path.open("rb") as file:
        for shift in (0, SEAL_BYTES):
            file.seek(where + shift)
            if file.read(len(content)) == content:
                return shift
    return None


@contextmanager
def new_store(
    path: str | os.PathLike[str], pipeline: Pipeline | ForeignFrontEnd, labels: str = ""
) -> Iterator[FeatureWriter]:
    """Make a feature store; it appears at `path` when the block ends well.

    Parameters
    ----------
    path : path
    pipeline : Pipeline or ForeignFrontEnd
        What the frames come from; another program's are never taken for ours.
    labels : str
        Fingerprint of the segments that said where there is speech, if any did: the file's parent.
    """
    front_end = pipeline.options if isinstance(pipeline, Pipeline) else pipeline
    made_by = fingerprint_of(front_end)
    with new_large_file(
        path, FORMAT, VERSION, front_end, made_by, labels, _extents_of_rows
    ) as large:
        writer = FeatureWriter(large, front_end.n_dims)
        yield writer
        writer.finish()


@dataclass(frozen=True, eq=False)
class StoreSource:
    """Some recordings of a feature store in a row, read by ranges: out of core.

    Parameters
    ----------
    store : FeatureStore
    starts, stops : (n,) int array
        Rows of the store, joined where they touch.
    """

    store: "FeatureStore"
    starts: IntArray
    stops: IntArray

    readers: ClassVar[Readers] = "processes"

    @cached_property
    def _ends(self) -> IntArray:
        return np.cumsum(self.stops - self.starts)

    @property
    def n_frames(self) -> int:
        """How many there are."""
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""
        return int(self.store.n_dims)

    def read(self, start: int, stop: int) -> tuple[FloatArray, FloatArray | None]:
        """Give frames `start` to `stop` and their weights."""
        parts = []
        first = int(np.searchsorted(self._ends, start, side="right"))
        for run in range(first, len(self._ends)):
            base = int(self._ends[run] - (self.stops[run] - self.starts[run]))
            if base >= stop:
                break
            low = int(self.starts[run]) + max(start - base, 0)
            high = int(self.starts[run]) + min(stop, int(self._ends[run])) - base
            parts.append((low, high))
        return self.store.rows(parts)


class FeatureStore:
    """A feature store that is open for reading; a context manager, safe to read from threads.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    ids : list of str
        The recordings.
    front_end : FrontEnd
    fingerprint : str
        Of the front end.
    labels : str
        Fingerprint of the segments that said where there is speech; empty if none did.
    n_dims : int
    digested : bool
        Whether each recording's rows have a digest; those of early versions have none.

    Raises
    ------
    FormatError
        If it is not a feature store, or is damaged, or was made by other features than this
        program's.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._source = at_hand(path)
        self._context = open_file(self._source, FORMAT, VERSION)
        self._file = self._context.__enter__()
        try:
            with damage_named(path):
                self._read_index()
        except (OSError, TypeError) as error:
            self.close()
            raise FormatError(f"{path}: damaged: {error}") from error
        except BaseException:
            self.close()
            raise

    def _read_index(self) -> None:
        file = self._file
        options = msgspec.json.decode(file.attrs["options"])
        self.front_end: FrontEnd = read_front_end(options, str(self.path))
        self.fingerprint = str(file.attrs["fingerprint"])
        if self.fingerprint != fingerprint_of(self.front_end):
            raise FormatError(
                f"{self.path}: its features were computed by another version of voicegmm; "
                "extract them again"
            )
        self.labels = str(file.attrs["parent"])
        self.ids = read_strings(file, "ids")
        statuses, reasons = read_strings(file, "status"), read_strings(file, "reasons")
        self.notes = read_strings(file, "notes")
        n_files = len(self.ids)
        # Files from before recordings were hashed do not tell.
        contents = read_strings(file, "contents") if "contents" in file else ("",) * n_files
        offsets = read_array(file, "offsets", (n_files + 1,), np.int64)
        self.n_dims = self.front_end.n_dims
        n_rows = len(dataset_of(file, "frames", (None, self.n_dims), np.float32))
        dataset_of(file, "weights", (n_rows,), np.float32)
        dataset_of(file, "positions", (n_rows,), np.int32)
        lengths = {len(set(self.ids)), *map(len, (statuses, reasons, self.notes, contents))}
        fits = lengths == {n_files}
        if not fits or offsets[0] != 0 or offsets[-1] != n_rows or (np.diff(offsets) < 0).any():
            raise FormatError(f"{self.path}: damaged: ids, offsets and frames do not fit together")
        self._statuses = [Status(*pair) for pair in zip(statuses, reasons, strict=True)]
        self._offsets = offsets
        self._contents = contents
        self.digested = int(file.attrs["format_version"]) >= _DIGESTED_FROM
        self._digests = np.empty((0, DIGEST_BYTES), np.uint8)
        checksums: dict[str, IntArray] = {}
        if self.digested:
            self._digests = read_array(file, "digests", (n_files, DIGEST_BYTES), np.uint8)
            shape = (n_blocks(n_rows),)
            checksums = {n: read_array(file["checksums"], n, shape, np.uint32) for n in ROWS}
        self._rows = {n: RowsReader(self.path, file[n], checksums.get(n)) for n in ROWS}
        self._place = {name: place for place, name in enumerate(self.ids)}
        self._weighted = self._check_weights()

    def _check_weights(self) -> bool:
        """Refuse what no weight can be; tell whether one is not 1."""
        weighted = False
        n_rows = int(self._offsets[-1])
        for start in range(0, n_rows, 1_000_000):
            weights = self._rows["weights"].read(start, min(start + 1_000_000, n_rows))
            if not ((weights >= 0) & (weights <= 1)).all():
                raise FormatError(f"{self.path}: damaged: a weight is outside [0, 1]")
            weighted = weighted or bool((weights != 1).any())
        return weighted

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a path: the file is opened there."""
        if isinstance(self._source, Received):
            return FeatureStore, (self._source,)
        status = self.path.stat()
        return _opened_once, (str(self.path.resolve()), status.st_mtime_ns, status.st_size)

    def close(self) -> None:
        """Close the file."""
        self._context.__exit__(None, None, None)

    def status(self, file: str) -> Status:
        """Whether a recording gave frames."""
        if file not in self._place:
            return Status("missing", f"{file}: not in {self.path.name}; extract its features too")
        return self._statuses[self._place[file]]

    def count(self, file: str) -> int:
        """Number of speech frames of a recording."""
        if file not in self._place:
            return 0
        start, stop = self._range(file)
        return stop - start

    def seconds(self, file: str) -> float:
        """How much speech a recording holds: the sum of its frames' weights, in seconds."""
        total = float(self.count(file))
        if self._weighted and total:
            weights = self._rows["weights"].read(*self._range(file))
            total = float(weights.sum(dtype=np.float64))
        return total * self.front_end.hop_seconds

    def content(self, file: str) -> str:
        """Give the SHA-256 of a recording's file, in hex; empty where it is not known."""
        return self._contents[self._place[file]] if file in self._place else ""

    def _range(self, file: str) -> tuple[int, int]:
        place = self._place[file]
        return int(self._offsets[place]), int(self._offsets[place + 1])

    def _ranges(self, files: Sequence[str]) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []
        for file in files:
            start, stop = self._range(file)
            if ranges and ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], stop)
            else:
                ranges.append((start, stop))
        return ranges

    def rows(self, ranges: Sequence[tuple[int, int]]) -> tuple[Float32Array, FloatArray | None]:
        """Give ranges of rows in a row, and their weights (None: all 1)."""
        frames = [self._rows["frames"].read(*each) for each in ranges]
        weights = [self._rows["weights"].read(*each) for each in ranges if self._weighted]
        rows = joined(frames) if frames else np.empty((0, self.n_dims), np.float32)
        # A sum is finite only if its terms are; one that is not may be of large terms.
        with np.errstate(over="ignore", invalid="ignore"):
            clean = np.isfinite(rows.sum())
        if not clean and not np.isfinite(rows).all():
            raise FormatError(f"{self.path}: damaged: frames hold a NaN or an infinity")
        return rows, joined(weights) if weights else None

    def read(self, files: Sequence[str]) -> tuple[FloatArray, FloatArray | None]:
        """Give the frames of some recordings in a row, and their weights (None: all 1)."""
        return self.rows(self._ranges(files))

    def check_rows(self) -> int:
        """Read every row, and give how many there are.

        Raises
        ------
        FormatError
            If a checksum or digest does not fit, or a row holds what no row can.
        """
        first = 0
        for end in range(1, len(self.ids) + 1):
            n_rows = self._offsets[end] - self._offsets[first]
            if n_rows >= _COLUMN_ROWS or end == len(self.ids):
                self._check_recordings(first, end)
                first = end
        return int(self._offsets[-1])

    def _check_recordings(self, first: int, end: int) -> None:
        start, stop = map(int, (self._offsets[first], self._offsets[end]))
        frames, _ = self.rows([(start, stop)])  # which refuses what no frame can be
        rows = {name: self._rows[name].read(start, stop) for name in ROWS[1:]} | {"frames": frames}
        if (rows["positions"] < 0).any():
            raise FormatError(f"{self.path}: damaged: a position is negative")
        for place in range(first, end if self.digested else first):
            low, high = self._offsets[place : place + 2] - start
            digest = digest_of_rows(rows[name][low:high].data for name in ROWS)
            if digest != self._digests[place].tobytes():
                raise FormatError(
                    f"{self.path}: damaged: the frames of {self.ids[place]} do not fit their "
                    "digest; copy or make the file again"
                )

    def positions(self, file: str) -> IntArray:
        """Give the number that each kept frame had in its recording."""
        return self._rows["positions"].read(*self._range(file))

    def source(self, files: Sequence[str]) -> StoreSource:
        """Give some recordings in a row as a source for training."""
        ranges = np.array(self._ranges(files), np.int64).reshape(-1, 2)
        return StoreSource(self, ranges[:, 0], ranges[:, 1])


@lru_cache(maxsize=2)
def _opened_once(path: str, changed: int, size: int) -> FeatureStore:
    """Open a store in a worker process, which keeps it for the items to come."""
    del changed  # of another file at the same path
    return FeatureStore(check_seen(path, size))
