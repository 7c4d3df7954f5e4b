"""Statistics of a whole source by fast EM's passes, on threads; it holds the short lists."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2
from typing import TypeVar

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import OptionError
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture.collection import WORK_ITEM, ArraySource, FrameSource, Part
from voicegmm.mixture.density import blocks
from voicegmm.mixture.fast.options import MOST_COMPONENTS, FastOptions
from voicegmm.mixture.fast.passes import ShortLists, ShortStep, full_pass
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import EStep, Statistics, Sums

Result = TypeVar("Result")

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


class ShortListCollector:
    """Collects statistics of a source, by full passes and by passes with the short lists of them.

    The bits are the same for any number of threads, and those of full passes are the dense ones.

    Parameters
    ----------
    source : FrameSource
    options : FastOptions
    n_workers : int
        Threads.
    memory_mb : float, optional
        Refused, if a pass takes more: short lists, sums, buffers and work items, in megabytes.
    """

    def __init__(
        self,
        source: FrameSource,
        options: FastOptions,
        n_workers: int = 1,
        memory_mb: float | None = None,
    ) -> None:
        at_least("n_workers", n_workers, 1)
        self._source, self._options, self._n_workers = source, options, n_workers
        self._memory_mb = memory_mb
        self._items = tuple(blocks(source.n_frames, WORK_ITEM))
        self._lists: dict[int, ShortLists] = {}

    def able(self, gmm: DiagonalGMM) -> bool:
        """Tell whether there are compiled loops, and passes long enough for them."""
        few = gmm.n_components <= MOST_COMPONENTS
        return few and EStep.of(gmm, _FLOAT32, self._source.n_frames).fused is not None

    def full(self, gmm: DiagonalGMM) -> Statistics:
        """Collect statistics exactly, and make short lists."""
        step = self._step(gmm)
        options = self._options

        def work(item: slice, part: Part) -> tuple[Sums, ShortLists]:
            return full_pass(
                step, _singles(part), part[1], options.n_listed, options.keep, item.start
            )

        def kept(item: slice, result: tuple[Sums, ShortLists]) -> Sums:
            self._lists[item.start] = result[1]
            return result[0]

        return step.statistics(self._total(work, kept))

    def short(self, gmm: DiagonalGMM, audit: bool = False) -> tuple[Statistics, Loss]:
        """Collect statistics with the short lists of the last full pass; audit what they lose.

        The log-likelihood is a lower bound of the exact one.
        """
        step = self._step(gmm)
        assert step.fused is not None
        fused, short_step = step.fused, ShortStep.of(step)
        every = max(1, self._source.n_frames // self._options.audit_frames)
        gaps: list[Float64Array] = [np.empty((2, 0))]

        def work(item: slice, part: Part) -> tuple[Sums, Float64Array]:
            frames, weights = _singles(part), part[1]
            short = self._lists[item.start]
            sums, truncated = short_step.sums(
                frames, weights, short, self._options.least, item.start
            )
            if not audit:
                return sums, np.empty((2, 0))
            places = np.arange(-item.start % every, len(frames), every)
            exact, left = fused.log_density(frames[places])
            counted = np.ones(len(frames)) if weights is None else np.asarray(weights, np.float64)
            counted = counted[places]
            for block in left:  # worked exactly in both
                exact[block] = truncated[places][block]
            return sums, np.array([exact - truncated[places], counted])

        def kept(item: slice, result: tuple[Sums, Float64Array]) -> Sums:
            gaps.append(result[1])
            return result[0]

        total = self._total(work, kept)
        gap, counted = np.concatenate(gaps, axis=1)
        loss = Loss()
        if counted.sum() > 0:
            # Never 0, which says that a pass was exact; rounding can put it below.
            mean = max(float(counted @ gap / counted.sum()), _LEAST_LOSS)
            error = float(np.sqrt(np.square(counted * (gap - mean)).sum()) / counted.sum())
            loss = Loss(mean, error)
        return step.statistics(total), loss

    def _step(self, gmm: DiagonalGMM) -> EStep:
        step = EStep.of(gmm, _FLOAT32, self._source.n_frames)
        assert step.fused is not None, "see `able`"
        if self._memory_mb is not None and self._memory_mb < (needed := self._megabytes(gmm)):
            raise OptionError(
                f"memory_mb must be at least {needed} for fast EM of {gmm.n_components} "
                f"components, {gmm.n_dims} dimensions, {self._source.n_frames} frames and "
                f"{self._n_workers} workers, got {self._memory_mb:g}; or let em be dense"
            )
        return step

    def _megabytes(self, gmm: DiagonalGMM) -> int:
        """Give what a pass takes at most."""
        n_frames, n_dims, n_components = self._source.n_frames, gmm.n_dims, gmm.n_components
        lists = n_frames * (2 * self._options.n_listed + 1)
        sums = 8 * n_components * (2 * n_dims + 17)
        held = self._n_workers * 4 + ceil(log2(n_frames / WORK_ITEM + 1)) + 1
        block = 4 * 2048 * (2 * n_dims + 1 + n_components)
        in_memory = isinstance(self._source, ArraySource)
        items = (0 if in_memory else 2 * self._n_workers + 1) * WORK_ITEM * (4 * n_dims + 16)
        return ceil((lists + held * sums + self._n_workers * block + items) / 1e6)

    def _total(
        self,
        work: Callable[[slice, Part], Result],
        kept: Callable[[slice, Result], Sums],
    ) -> Sums:
        """Do something with each work item, and add the sums by index."""
        away = self._source.readers != "one"

        def whole(task: tuple[slice, Part | None]) -> Result:
            item, part = task
            return work(item, part or self._source.read(item.start, item.stop))

        tasks = (
            (item, None if away else self._source.read(item.start, item.stop))
            for item in self._items
        )
        results = ordered_map(whole, tasks, self._n_workers)
        sums = (kept(item, result) for item, result in zip(self._items, results, strict=True))
        total = tree_sum(sums)
        assert total is not None
        return total


def _singles(part: Part) -> Float32Array:
    frames: FloatArray = part[0]
    return np.asarray(frames, np.float32)
