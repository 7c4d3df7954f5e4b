"""Ways to collect statistics: from memory, out of core, on threads, in processes.

Whatever the way, work items have the same frames and their sums combine by index in one tree, so
the bits are the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, log2
from typing import ClassVar, Literal, Protocol

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import DataError, OptionError
from voicegmm.compute import WORKERS, engine_in_force, mapped_sum, ordered_map, tree_sum
from voicegmm.mixture.density import blocks
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.statistics import (
    PART,
    EStep,
    Statistics,
    Sums,
    as_floats,
    checked_weights,
)

WORK_ITEM = 32_768  # frames a work item: a constant, so that sums have the same shape everywhere

Readers = Literal["one", "threads", "processes"]
Part = tuple[FloatArray, FloatArray | None]


class FrameSource(Protocol):
    """Where frames come from: an array, a feature store, anything that can be read by ranges."""

    @property
    def n_frames(self) -> int:
        """How many there are."""

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""

    @property
    def readers(self) -> Readers:
        """Who may call `read`: one thread, several at once, or pickled copies elsewhere too."""

    def read(self, start: int, stop: int) -> Part:
        """Give frames `start` to `stop` and their weights (None: all 1)."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Frames in memory.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    weights : (n_frames,) float array, optional
    """

    frames: FloatArray
    weights: FloatArray | None = None

    readers: ClassVar[Readers] = "threads"

    @property
    def n_frames(self) -> int:
        """How many there are."""
        return len(self.frames)

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""
        return int(self.frames.shape[1])

    def read(self, start: int, stop: int) -> Part:
        """Give frames `start` to `stop` and their weights."""
        weights = None if self.weights is None else self.weights[start:stop]
        return self.frames[start:stop], weights


@dataclass(frozen=True, eq=False)
class DoubleSource:
    """The frames of another source in double precision, in which all work on them is done then.

    Single precision rounds otherwise on another processor, and EM takes such differences up: after
    ten iterations they may be 1e-5 of a variance. In double they stay at 1e-12.

    Parameters
    ----------
    source : FrameSource
    """

    source: FrameSource

    @property
    def n_frames(self) -> int:
        """How many there are."""
        return self.source.n_frames

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""
        return self.source.n_dims

    @property
    def readers(self) -> Readers:
        """Who may call `read`."""
        return self.source.readers

    def read(self, start: int, stop: int) -> Part:
        """Give frames `start` to `stop` and their weights."""
        frames, weights = self.source.read(start, stop)
        return np.asarray(frames, np.float64), weights


@dataclass(eq=False)
class ChunkSource:
    """Frames that come in chunks of any sizes, in an order that is always the same.

    One pass, when it is made, counts the frames.

    Parameters
    ----------
    chunks : iterable or callable
        Of (n, n_dims) float arrays, or of pairs of such an array and its (n,) weights. EM makes
        many passes: a list, an object that starts anew each time it is iterated over, or a
        function that gives an iterable each time it is called.

    Raises
    ------
    DataError
        If it can be gone through only once, or its chunks do not fit together.
    """

    chunks: Iterable[FloatArray | Part] | Callable[[], Iterable[FloatArray | Part]]
    n_frames: int = field(default=0, init=False)
    n_dims: int = field(default=0, init=False)
    _float32: bool = field(default=True, init=False)
    _at: int = field(default=0, init=False)
    _ahead: Iterator[Part] | None = field(default=None, init=False)
    _rest: Part | None = field(default=None, init=False)

    readers: ClassVar[Readers] = "one"

    def __post_init__(self) -> None:
        if isinstance(self.chunks, Iterator):
            raise DataError(
                "chunks can be read only once, and EM makes many passes: give a list, or a "
                "function that gives a new iterator each time"
            )
        for number, (frames, weights) in enumerate(self._parts()):
            if frames.ndim != 2 or frames.shape[1] == 0:
                raise DataError(
                    f"chunk {number} must be a matrix (n_frames, n_dims), got shape {frames.shape}"
                )
            if self.n_dims and frames.shape[1] != self.n_dims:
                raise DataError(
                    f"chunk {number} must have {self.n_dims} columns as those before, got "
                    f"{frames.shape[1]}"
                )
            checked_weights(weights, len(frames))
            self.n_dims = frames.shape[1]
            self.n_frames += len(frames)
            self._float32 &= frames.dtype == np.float32

    def _parts(self) -> Iterator[Part]:
        for chunk in self.chunks() if callable(self.chunks) else self.chunks:
            frames, weights = chunk if isinstance(chunk, tuple) else (chunk, None)
            yield as_floats(frames), None if weights is None else np.asarray(weights, np.float64)

    def read(self, start: int, stop: int) -> Part:
        """Give frames `start` to `stop` and their weights; cheap only in rising order."""
        if self._ahead is None or start < self._at:
            self._at, self._ahead, self._rest = 0, self._parts(), None
        frames: list[FloatArray] = [np.empty((0, self.n_dims), np.float32)]
        weights: list[FloatArray] = [np.empty(0)]
        while self._at < stop:
            part = self._rest or next(self._ahead, None)
            if part is None:
                self._ahead = None
                raise DataError(
                    f"the chunks gave {self.n_frames} frames at first and now {self._at}: they "
                    "must be the same each time"
                )
            x, w = part
            skip, take = max(start - self._at, 0), min(stop - self._at, len(x))
            if skip < take:
                frames.append(x[skip:take])
                weights.append(np.ones(take - skip) if w is None else w[skip:take])
            done = max(take, 0)
            self._at += done
            rest = (x[done:], None if w is None else w[done:])
            self._rest = rest if len(rest[0]) else None
        joined = np.concatenate(weights)
        dtype = np.float32 if self._float32 else np.float64
        return np.concatenate(frames).astype(dtype, copy=False), joined


@dataclass(frozen=True, eq=False)
class _Item:
    """The frames `start` to `stop` of a source, read already or not yet."""

    start: int
    stop: int
    part: Part | None = None


@dataclass(frozen=True, eq=False)
class _Work:
    """What a worker does with an item of one pass, wherever it is."""

    gmm: Mixture
    dtype: np.dtype
    n_frames: int
    source: FrameSource | None  # None where items are frames
    at_once: int  # frames
    ready: EStep | None  # None where it goes to other processes: machine code does not travel

    @cached_property
    def _e_step(self) -> EStep:
        """Make the mixture ready for the pass, once in each worker process."""
        return self.ready or EStep.of(self.gmm, self.dtype, self.n_frames)

    def __call__(self, item: _Item) -> Sums:
        return self._e_step.sums_of_parts(self._parts(item), item.start)

    def _parts(self, item: _Item) -> Iterator[Part]:
        for start in range(item.start, item.stop, self.at_once):
            stop = min(start + self.at_once, item.stop)
            if item.part is None:
                assert self.source is not None
                frames, weights = self.source.read(start, stop)
            else:
                place = slice(start - item.start, stop - item.start)
                frames, weights = item.part
                frames, weights = frames[place], None if weights is None else weights[place]
            yield np.asarray(frames, self.dtype), weights


def collector(
    source: FrameSource,
    n_workers: int = 1,
    *,
    workers: str | None = None,
    memory_mb: float | None = None,
    job_frames: int = 0,
    item_frames: int = WORK_ITEM,
) -> Callable[[Mixture], Statistics]:
    """Make the `collect` of a fit: one pass over a source, by `n_workers` workers.

    Only a few work items are in memory at a time; partial sums combine by index in a fixed tree.
    The bits are the same for any number and kind of workers and for any limit of memory.

    Parameters
    ----------
    source : FrameSource
    n_workers : int
    workers : {"threads", "processes"}, optional
        Processes take a second to start and need memory of their own each. By default whoever
        `voicegmm.compute.engine_in_force` says, if they can read the source.
    memory_mb : float, optional
        What sums, buffers and frames in flight may take at most, in megabytes: by default, whole
        work items are read at once.
    job_frames : int
        Frames of a longer job that this is a part of: if it is worth the compiled loops, this is.
    item_frames : int
        Of a work item, at least 1: fewer let more workers share a short source. The last bits
        depend on it.

    Returns
    -------
    callable
        gmm -> Statistics

    Raises
    ------
    OptionError
        From the callable, if `memory_mb` is less than the pass needs, naming what it does.
    """
    at_least("n_workers", n_workers, 1)
    if workers is None:
        workers = workers_for([source])
    one_of("workers", workers, WORKERS)
    away = leaves(workers, n_workers)
    by_ranges = source.readers == "processes" or (source.readers == "threads" and not away)
    dtype = as_floats(source.read(0, min(1, source.n_frames))[0]).dtype

    def collect(gmm: Mixture) -> Statistics:
        n_frames = source.n_frames
        if n_frames == 0:
            return Statistics.zero(gmm)
        step = EStep.of(gmm, dtype, max(n_frames, job_frames))
        at_once = item_frames
        if memory_mb is not None:
            n_whole = 0 if by_ranges else 2 * n_workers + 1
            at_once = _frames_at_once(step, dtype, n_frames, n_workers, n_whole, memory_mb)
        own = source if by_ranges else None
        ready = None if away else step
        work = _Work(gmm, dtype, max(n_frames, job_frames), own, at_once, ready)
        items = (_Item(block.start, block.stop) for block in blocks(n_frames, item_frames))
        if not by_ranges:
            items = (replace(item, part=source.read(item.start, item.stop)) for item in items)
        total = mapped_sum(work, items, ceil(n_frames / item_frames), n_workers, workers)
        assert total is not None
        return step.statistics(total)

    return collect


def workers_for(sources: Iterable[FrameSource]) -> str:
    """Give who works on some sources: the engine in force, if its workers can read all of them."""
    workers = engine_in_force().workers
    if workers == "threads" or all(source.readers == "processes" for source in sources):
        return workers
    return "threads"


def leaves(workers: str, n_workers: int) -> bool:
    """Tell whether workers are other processes; one alone is this, but with Dask."""
    return workers == "dask" or (workers != "threads" and n_workers > 1)


@dataclass(frozen=True, eq=False)
class _EachWork:
    """What a worker does with each of many recordings, wherever it is."""

    gmm: Mixture
    n_frames: int
    ready: Mapping[np.dtype, EStep] | None  # as of `_Work`

    @cached_property
    def _e_steps(self) -> Mapping[np.dtype, EStep]:
        return self.ready or _e_steps_of(self.gmm, self.n_frames)

    def __call__(self, recording: FrameSource) -> Statistics:
        def work(item: slice) -> Statistics:
            frames, weights = recording.read(item.start, item.stop)
            frames = as_floats(frames)
            step = self._e_steps[frames.dtype]
            return step.statistics(step.sums(frames, weights))

        total = tree_sum(map(work, blocks(recording.n_frames, WORK_ITEM)))
        return Statistics.zero(self.gmm) if total is None else total


def _e_steps_of(gmm: Mixture, n_frames: int) -> dict[np.dtype, EStep]:
    """Make a mixture ready for frames of either precision."""
    return {
        dtype: EStep.of(gmm, dtype, n_frames)
        for dtype in (np.dtype(np.float32), np.dtype(np.float64))
    }


def accumulate_each(
    gmm: Mixture, recordings: Sequence[FrameSource], n_workers: int = 1
) -> Iterator[Statistics]:
    """Collect the statistics of each of many recordings, by `n_workers` workers.

    The mixture is made ready once for all of them, and whether the compiled loops are used goes by
    the size of the whole batch: the other recordings of the batch change a recording's statistics
    by the rounding of float32 at the most, the number of workers not by a bit. Only a few work
    items are in memory at a time.

    Parameters
    ----------
    gmm : Mixture
    recordings : sequence of FrameSource
        Each is read by one worker at a time; a source without frames gives statistics of nothing.
    n_workers : int

    Yields
    ------
    Statistics
        Of each recording, in their order.
    """
    n_frames = sum(recording.n_frames for recording in recordings)
    workers = workers_for(recordings)
    ready = None if leaves(workers, n_workers) else _e_steps_of(gmm, n_frames)
    yield from ordered_map(_EachWork(gmm, n_frames, ready), recordings, n_workers, workers)


def _frames_at_once(
    step: EStep, dtype: np.dtype, n_frames: int, n_workers: int, n_whole: int, memory_mb: float
) -> int:
    """Give how many frames a worker may read at a time; `n_whole` work items are held whole."""
    n_rows, n_components = step.projection.matrix.shape
    sums = 8 * n_rows * n_components
    # Sums in the making, in flight, and in the tree; a block's buffers; a part's own sums.
    held = n_workers * 3 + ceil(log2(n_frames / WORK_ITEM + 1)) + 1
    block = PART * (n_rows + 2 * n_components) * step.projection.matrix.itemsize
    frame = step.gmm.n_dims * dtype.itemsize + 16
    fixed = held * sums + n_workers * (block + sums) + n_whole * WORK_ITEM * frame
    part = n_workers * 2 * PART * frame  # read in pieces, then joined
    n_parts = int((memory_mb * 1e6 - fixed) // part)
    if n_parts < 1:
        raise OptionError(
            f"memory_mb must be at least {ceil((fixed + part) / 1e6)} for {n_components} "
            f"components, {step.gmm.n_dims} dimensions and {n_workers} workers, got {memory_mb:g}"
        )
    return min(n_parts * PART, WORK_ITEM)
