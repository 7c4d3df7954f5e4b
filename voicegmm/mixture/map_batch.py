"""MAP adaptation to thousands of recordings in one call."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError
from voicegmm.compute import ordered_map
from voicegmm.mixture.collection import FrameSource, Readers, accumulate_each, collector
from voicegmm.mixture.map import MapOptions, adapt, adapt_iterated
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import Statistics


@dataclass(frozen=True, eq=False)
class AdaptedMixtures:
    """One mixture adapted to each of many recordings.

    Parameters
    ----------
    prior : DiagonalGMM
    means : (n_models, n_components, n_dims) float32 array
        The prior's, without memory of their own, where means were not adapted.
    counts : (n_models, n_components) float64 array
        Frames that each component saw of each recording.
    n_frames : (n_models,) float64 array
        Frames of each recording, each as much as its weight.
    variances : (n_models, ...) float32 array, optional
        As the prior's; None where they were not adapted.
    weights : (n_models, n_components) float64 array, optional
        None where they were not adapted.
    """

    prior: DiagonalGMM
    means: Float32Array
    counts: Float64Array
    n_frames: Float64Array
    variances: Float32Array | None = None
    weights: Float64Array | None = None

    def __len__(self) -> int:
        return len(self.means)

    def model(self, number: int) -> DiagonalGMM:
        """Give one of the models as a mixture."""
        return replace(
            self.prior,
            means=self.means[number],
            weights=self.prior.weights if self.weights is None else self.weights[number],
            variances=self.prior.variances if self.variances is None else self.variances[number],
        )


def adapt_all(
    prior: DiagonalGMM,
    recordings: Sequence[FrameSource],
    options: MapOptions | None = None,
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> AdaptedMixtures:
    """Adapt a mixture to each of many recordings, on `n_workers` threads.

    What is held is the result and a few work items. The number of workers does not change a bit of
    it; what else is in the batch changes a model by the rounding of float32 at the most, since the
    size of the batch decides whether the compiled E-step is used (see `accumulate_each`).

    Parameters
    ----------
    prior : DiagonalGMM
    recordings : sequence of FrameSource
        One a model: `ArraySource` of an array, the parts that `cut` makes of one large source, or
        anything that can be read by ranges. One without frames gives the prior.
    options : MapOptions, optional
        With more than one iteration each recording is read as often, and the E-steps after the
        first cannot be shared: they take far longer.
    n_workers : int
    progress : callable, optional
        Called with the number of models done.

    Returns
    -------
    AdaptedMixtures

    Raises
    ------
    DataError
        For a frame that is not finite or of another dimension.
    """
    options = options or MapOptions()
    shape = (len(recordings), *prior.means.shape)
    means = np.empty(shape, np.float32) if options.means else None
    variances = (
        np.empty((len(recordings), *prior.variances.shape), np.float32)
        if options.variances
        else None
    )
    weights = np.empty(shape[:2]) if options.weights else None
    counts, n_frames = np.empty(shape[:2]), np.empty(len(recordings))
    made = _adapted(prior, recordings, options, n_workers)
    for number, (gmm, statistics) in enumerate(made):
        counts[number], n_frames[number] = statistics.counts, statistics.n_frames
        for kept, adapted in (
            (means, gmm.means),
            (variances, gmm.variances),
            (weights, gmm.weights),
        ):
            if kept is not None:
                kept[number] = adapted
        if progress:
            progress(number + 1)
    if means is None:
        means = np.broadcast_to(prior.means.astype(np.float32), shape)
    return AdaptedMixtures(prior, means, counts, n_frames, variances, weights)


def _adapted(
    prior: DiagonalGMM, recordings: Sequence[FrameSource], options: MapOptions, n_workers: int
) -> Iterator[tuple[DiagonalGMM, Statistics]]:
    if options.n_iterations == 1:
        for statistics in accumulate_each(prior, recordings, n_workers):
            yield adapt(prior, statistics, options), statistics
        return

    def iterate(recording: FrameSource) -> tuple[DiagonalGMM, Statistics]:
        return adapt_iterated(prior, collector(recording), options)

    yield from ordered_map(iterate, recordings, n_workers)


@dataclass(frozen=True, eq=False)
class PartSource:
    """A range of another source's frames.

    Parameters
    ----------
    source : FrameSource
    start, stop : int
    """

    source: FrameSource
    start: int
    stop: int

    @property
    def n_frames(self) -> int:
        """How many there are."""
        return self.stop - self.start

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""
        return self.source.n_dims

    @property
    def readers(self) -> Readers:
        """Who may call `read`: as of the source."""
        return self.source.readers

    def read(self, start: int, stop: int) -> tuple[FloatArray, FloatArray | None]:
        """Give frames `start` to `stop` of the range, and their weights."""
        return self.source.read(self.start + start, min(self.start + stop, self.stop))


def cut(source: FrameSource, offsets: IntArray) -> tuple[PartSource, ...]:
    """Cut a source into the recordings that lie in it one after the other.

    Parameters
    ----------
    source : FrameSource
        One that several threads may read at once.
    offsets : (n_recordings + 1,) int array
        Recording i is frames offsets[i] to offsets[i + 1]; may be empty.

    Returns
    -------
    tuple of PartSource

    Raises
    ------
    DataError
        If the offsets fall, or leave the source, or the source can only be read in one go.
    """
    if source.readers == "one":
        raise DataError("a source must be readable by several threads at once to be cut; load it")
    bounds = np.asarray(offsets)
    if bounds.ndim != 1 or len(bounds) == 0 or not np.issubdtype(bounds.dtype, np.integer):
        raise DataError(
            f"offsets must be a vector of whole numbers, one more than recordings, got "
            f"{bounds.dtype} of shape {bounds.shape}"
        )
    if (np.diff(bounds) < 0).any() or bounds[0] < 0 or bounds[-1] > source.n_frames:
        raise DataError(
            f"offsets must rise from 0 or more to at most {source.n_frames}, the frames there are; "
            f"they go from {bounds[0]} to {bounds[-1]}"
        )
    return tuple(PartSource(source, int(start), int(stop)) for start, stop in pairwise(bounds))
