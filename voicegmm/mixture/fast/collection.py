"""Statistics of a whole source by fast EM's passes, which share the short lists.

Threads share them in memory. Workers elsewhere leave them in files, an item each: only statistics
come back.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, log2
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import OptionError
from voicegmm.compute import check_seen, engine_in_force, mapped_sum
from voicegmm.compute.blas import single_threaded_blas
from voicegmm.mixture.collection import (
    ArraySource,
    FrameSource,
    Part,
    leaves,
    workers_for,
)
from voicegmm.mixture.density import blocks
from voicegmm.mixture.fast.groups import Groups, grouped
from voicegmm.mixture.fast.lists import PackedLists
from voicegmm.mixture.fast.options import MOST_COMPONENTS, FastOptions
from voicegmm.mixture.fast.passes import GroupedStep, ShortStep
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import EStep, Statistics, Sums

_LEAST_LOSS = 1e-12
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class Loss:
    """What truncation took off the log-likelihood, on a sample of frames.

    Parameters
    ----------
    mean, error : float
        Nats per frame, and the standard error; NaN where nobody looked.
    """

    mean: float = np.nan
    error: float = np.nan


class _Lists(Protocol):
    """Where the short lists of each work item are, by its first frame."""

    def keep(self, start: int, lists: PackedLists) -> None: ...

    def of(self, start: int) -> PackedLists: ...


@dataclass(frozen=True, eq=False)
class _InMemory:
    lists: dict[int, PackedLists] = field(default_factory=dict)

    def keep(self, start: int, lists: PackedLists) -> None:
        self.lists[start] = lists

    def of(self, start: int) -> PackedLists:
        return self.lists[start]


@dataclass(frozen=True)
class _InFiles:
    """A folder that all workers see, with a file for each work item."""

    folder: Path

    def keep(self, start: int, lists: PackedLists) -> None:
        written = check_seen(self.folder) / f".{uuid4().hex}"
        with written.open("wb") as file:
            np.savez(file, codes=lists.codes, n_ids=lists.n_ids, n_listed=lists.n_listed)
        written.replace(self._path(start))

    def of(self, start: int) -> PackedLists:
        with np.load(check_seen(self._path(start))) as kept:
            return PackedLists(kept["codes"], kept["n_ids"], int(kept["n_listed"]))

    def _path(self, start: int) -> Path:
        return self.folder / f"{start}.npz"


_Task = tuple[slice, Part | None]
"""A work item, and its frames, if they are read already."""


@dataclass(frozen=True, eq=False)
class _Pass:
    """What the workers of a pass share, wherever they are."""

    gmm: DiagonalGMM
    source: FrameSource | None  # None where items are frames
    n_frames: int
    options: FastOptions
    lists: _Lists
    ready: EStep | None  # None where it goes to other processes: machine code does not travel

    @cached_property
    def _step(self) -> EStep:
        return self.ready or EStep.of(self.gmm, _FLOAT32, self.n_frames)

    def _read(self, task: _Task) -> tuple[Float32Array, FloatArray | None]:
        item, part = task
        if part is None:
            assert self.source is not None
            part = self.source.read(item.start, item.stop)
        return np.asarray(part[0], np.float32), part[1]


@dataclass(frozen=True, eq=False)
class _FullPass(_Pass):
    def __call__(self, task: _Task) -> Sums:
        return self._step.sums_of_parts([self._read(task)], task[0].start)


@dataclass(frozen=True, eq=False)
class _GroupedPass(_Pass):
    groups: Groups

    @cached_property
    def _grouped_step(self) -> GroupedStep:
        return GroupedStep.of(self._step, self.groups)

    def __call__(self, task: _Task) -> Sums:
        frames, weights = self._read(task)
        start = task[0].start
        sums, lists = self._grouped_step.sums(frames, weights, self.options, start)
        self.lists.keep(start, PackedLists.of(lists, self.gmm.n_components))
        return sums


@dataclass(frozen=True, eq=False)
class _Audited:
    """Sums of a pass over short lists; of some frames what they lost, and their weights."""

    sums: Sums
    gaps: Float64Array

    def __add__(self, other: "_Audited") -> "_Audited":
        return _Audited(self.sums + other.sums, np.concatenate([self.gaps, other.gaps], axis=1))


@dataclass(frozen=True, eq=False)
class _ShortPass(_Pass):
    every: int  # which frames are audited; 0: none

    @cached_property
    def _short_step(self) -> ShortStep:
        return ShortStep.of(self._step)

    def __call__(self, task: _Task) -> _Audited:
        frames, weights = self._read(task)
        start, every, fused = task[0].start, self.every, self._step.fused
        assert fused is not None
        sums, truncated = self._short_step.sums(
            frames, weights, self.lists.of(start).unpacked(), self.options.least, start
        )
        if not every:
            return _Audited(sums, np.empty((2, 0)))
        places = np.arange(-start % every, len(frames), every)
        exact, left = fused.log_density(frames[places])
        counted = np.ones(len(frames)) if weights is None else np.asarray(weights, np.float64)
        for block in left:  # worked exactly in both
            exact[block] = truncated[places][block]
        return _Audited(sums, np.array([exact - truncated[places], counted[places]]))


class ShortListCollector:
    """Collects statistics of a source, by passes that make short lists and by passes over them.

    The bits are the same for any workers, and those of full passes are the dense ones, where chunks
    have the frames of a dense work item. The workers are those of
    `voicegmm.compute.engine_in_force`, if they can read the source, else threads.

    A context manager: files that workers elsewhere have left are gone when the block ends.

    Parameters
    ----------
    source : FrameSource
    options : FastOptions
    n_workers : int
    memory_mb : float, optional
        Refused, if a pass takes more: short lists, sums, buffers and work items, in megabytes.
    job_frames : int
        As in `voicegmm.mixture.collector`.
    """

    def __init__(
        self,
        source: FrameSource,
        options: FastOptions,
        n_workers: int = 1,
        memory_mb: float | None = None,
        job_frames: int = 0,
    ) -> None:
        at_least("n_workers", n_workers, 1)
        self._source, self._options, self._n_workers = source, options, n_workers
        self._memory_mb = memory_mb
        self._job_frames = max(source.n_frames, job_frames)
        self._items = tuple(blocks(source.n_frames, options.chunk_frames))
        self._workers = workers_for([source])
        self._away = leaves(self._workers, n_workers)
        self._folder: Path | None = None
        self._lists: _Lists = _InMemory()
        if self._away:
            place = engine_in_force().scratch
            self._folder = Path(tempfile.mkdtemp(prefix="lists-", dir=place))
            self._lists = _InFiles(self._folder)

    def __enter__(self) -> "ShortListCollector":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def able(self, gmm: DiagonalGMM) -> bool:
        """Tell whether there are compiled loops, and passes long enough for them."""
        few = gmm.n_components <= MOST_COMPONENTS
        return few and EStep.of(gmm, _FLOAT32, self._job_frames).fused is not None

    def full(self, gmm: DiagonalGMM) -> Statistics:
        """Collect statistics exactly."""
        step = self._step(gmm)
        work = _FullPass(*self._shared(gmm, step))
        total = mapped_sum(work, self._tasks(), len(self._items), self._n_workers, self._workers)
        assert total is not None
        return step.statistics(total)

    def grouped(self, gmm: DiagonalGMM, n_near: int) -> Statistics:
        """Collect statistics of frames held to the components near their group, and list those.

        The log-likelihood is a lower bound of the exact one, and exact where all are near.
        """
        step = self._step(gmm)
        with single_threaded_blas():  # whose bits do not hang on the number of cores
            groups = grouped(gmm, n_near, self._options.group_factor)
        work = _GroupedPass(*self._shared(gmm, step), groups)
        total = mapped_sum(work, self._tasks(), len(self._items), self._n_workers, self._workers)
        assert total is not None
        return step.statistics(total)

    def short(self, gmm: DiagonalGMM, audit: bool = False) -> tuple[Statistics, Loss]:
        """Collect statistics with the short lists of the last grouped pass; audit the loss.

        The log-likelihood is a lower bound of the exact one.
        """
        step = self._step(gmm)
        every = max(1, self._source.n_frames // self._options.audit_frames) if audit else 0
        work = _ShortPass(*self._shared(gmm, step), every)
        total = mapped_sum(work, self._tasks(), len(self._items), self._n_workers, self._workers)
        assert total is not None
        gap, counted = total.gaps
        loss = Loss()
        if counted.sum() > 0:
            # Never 0, which says that a pass was exact; rounding can put it below.
            mean = max(float(counted @ gap / counted.sum()), _LEAST_LOSS)
            error = float(np.sqrt(np.square(counted * (gap - mean)).sum()) / counted.sum())
            loss = Loss(mean, error)
        return step.statistics(total.sums), loss

    def _shared(
        self, gmm: DiagonalGMM, step: EStep
    ) -> tuple[DiagonalGMM, FrameSource | None, int, FastOptions, _Lists, EStep | None]:
        """Give what both kinds of passes are made from."""
        own = None if self._source.readers == "one" else self._source
        ready = None if self._away else step
        return gmm, own, self._job_frames, self._options, self._lists, ready

    def _tasks(self) -> Iterator[_Task]:
        for item in self._items:
            here = self._source.readers == "one"
            yield item, self._source.read(item.start, item.stop) if here else None

    def _step(self, gmm: DiagonalGMM) -> EStep:
        step = EStep.of(gmm, _FLOAT32, self._job_frames)
        assert step.fused is not None, "see `able`"
        if self._memory_mb is not None and self._memory_mb < (needed := self._megabytes(gmm)):
            raise OptionError(
                f"memory_mb must be at least {needed} for fast EM of {gmm.n_components} "
                f"components, {gmm.n_dims} dimensions, {self._source.n_frames} frames in chunks "
                f"of {self._options.chunk_frames} and {self._n_workers} workers, got "
                f"{self._memory_mb:g}; or let em be dense"
            )
        return step

    def _megabytes(self, gmm: DiagonalGMM) -> int:
        """Give what a pass takes at most."""
        n_frames, n_dims, n_components = self._source.n_frames, gmm.n_dims, gmm.n_components
        chunk, n_listed = self._options.chunk_frames, self._options.n_listed
        lists = 0 if self._away else n_frames * (n_listed + 3)
        sums = 8 * n_components * (2 * n_dims + 17)
        held = self._n_workers * 4 + ceil(log2(n_frames / chunk + 1)) + 1
        block = 4 * 2048 * (2 * n_dims + 1 + n_components) + (3 * n_listed + 20) * chunk
        in_memory = isinstance(self._source, ArraySource)
        items = (0 if in_memory else 2 * self._n_workers + 1) * chunk * (4 * n_dims + 16)
        return ceil((lists + held * sums + self._n_workers * block + items) / 1e6)
