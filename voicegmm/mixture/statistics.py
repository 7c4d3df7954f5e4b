"""Sufficient statistics, and the ways to collect them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture.density import (
    FusedBlocks,
    Projection,
    blocks,
    fused,
    in_double,
    joint_block,
    project,
    responsibilities,
)
from voicegmm.mixture.model import Mixture

WORK_ITEM = 32_768  # frames a work item: a constant, so that sums have the same shape everywhere


@dataclass(frozen=True, eq=False)
class Statistics:
    """What EM and MAP need to know of frames: a commutative monoid under ``+``.

    Parameters
    ----------
    counts : (n_components,) float64 array
        Sum of posteriors (times frame weights).
    first : (n_components, n_dims) float64 array
        Sum of posterior times frame.
    second : float64 array
        Sum of posterior times squared frame, (n_components, n_dims), for diagonal and spherical
        covariances; times the frame's outer product, (n_components, n_dims, n_dims), for full
        ones; of outer products over all components, (n_dims, n_dims), for a tied one.
    log_likelihood : float
        Sum over frames of weight times log-density, in nats.
    n_frames : float
        Number of frames, each as much as its weight.
    """

    counts: Float64Array
    first: Float64Array
    second: Float64Array
    log_likelihood: float
    n_frames: float

    def __add__(self, other: "Statistics") -> "Statistics":
        return Statistics(
            self.counts + other.counts,
            self.first + other.first,
            self.second + other.second,
            self.log_likelihood + other.log_likelihood,
            self.n_frames + other.n_frames,
        )

    @staticmethod
    def zero(gmm: Mixture) -> "Statistics":
        """Give the statistics of no frames at all under a mixture: the monoid's identity."""
        return accumulate(gmm, np.empty((0, gmm.n_dims)))


def accumulate(
    gmm: Mixture, frames: FloatArray, frame_weights: FloatArray | None = None
) -> Statistics:
    """Collect the statistics of frames under a mixture: the E-step.

    Parameters
    ----------
    gmm : Mixture
    frames : (n_frames, n_dims) float array
        float32 frames give products in float32; sums are float64 always.
    frame_weights : (n_frames,) float array, optional
        0 or more; 1 for every frame by default.

    Returns
    -------
    Statistics

    Raises
    ------
    DataError
        For a frame that is not finite or of another dimension, or weights that do not fit.
    """
    frames = _as_floats(frames)
    step = _EStep.of(gmm, frames.dtype, len(frames))
    return step.statistics(step.sums(frames, frame_weights))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over frames of [z, quadratics of z, 1]: what `Statistics` are made from, once a pass."""

    moments: Float64Array  # (n_components, n_dims + n_quadratics + 1)
    shared: Float64Array  # (n_dims, n_dims), of z z', for a tied covariance
    log_likelihood: float
    n_frames: float

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.moments + other.moments,
            self.shared + other.shared,
            self.log_likelihood + other.log_likelihood,
            self.n_frames + other.n_frames,
        )


@dataclass(frozen=True, eq=False)
class _EStep:
    """A mixture made ready for one pass over many frames."""

    gmm: Mixture
    projection: Projection
    fused: FusedBlocks | None

    @staticmethod
    def of(gmm: Mixture, dtype: np.dtype, n_frames: int) -> "_EStep":
        """Make a mixture ready for a pass over `n_frames` of a type."""
        projection = project(gmm, dtype)
        return _EStep(gmm, projection, fused(gmm, projection, n_frames))

    def sums(self, frames: FloatArray, frame_weights: FloatArray | None) -> _Sums:
        """Sum the moments of some of the frames of the pass."""
        # The compiled loops find what is not finite themselves; they only need the right shape.
        finite_frames(frames[:0] if self.fused else frames, self.gmm.n_dims)
        weights = _checked_weights(frame_weights, len(frames))
        if self.fused is None:
            moments, shared, log_density = self._blockwise(frames, weights, self.projection)
        else:
            moments, log_density, left = self.fused.sums(frames, weights)
            shared = np.zeros((self.gmm.n_dims, self.gmm.n_dims))
            if left:
                finite_frames(frames)
                exact = in_double(self.gmm, self.projection)
            for block in left:
                weight = None if weights is None else weights[block]
                part = self._blockwise(frames[block].astype(np.float64), weight, exact)
                moments += part[0]
                log_density[block] = part[2]
        return _Sums(
            moments,
            shared,
            float(log_density.sum() if weights is None else weights @ log_density),
            float(len(frames) if weights is None else weights.sum()),
        )

    def _blockwise(
        self, frames: FloatArray, weights: Float64Array | None, projection: Projection
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        n_dims = self.gmm.n_dims
        moments = np.zeros((self.gmm.n_components, len(projection.matrix)))
        shared = np.zeros((n_dims, n_dims))
        log_density = np.empty(len(frames))
        for block in blocks(len(frames)):
            expanded, joint = joint_block(self.gmm, frames[block], projection)
            unnormalized, sums, log_density[block] = responsibilities(joint, out=joint)
            weight = None if weights is None else weights[block].astype(expanded.dtype)
            if projection.common is not None:
                z = expanded[:, :n_dims]
                shared += z.T @ (z if weight is None else z * weight[:, None])
            expanded *= ((1 if weight is None else weight) / sums)[:, None]
            moments += unnormalized.T @ expanded
        return moments, shared, log_density

    def statistics(self, sums: _Sums) -> Statistics:
        """Undo z = (x - shift) / scale."""
        shift = self.projection.shift.astype(np.float64)
        scale = self.projection.scale.astype(np.float64)
        z, counts = sums.moments[:, : shift.size], sums.moments[:, -1].copy()
        quadratic = sums.moments[:, shift.size : -1]
        if self.projection.common is not None:
            quadratic = sums.shared
        second = self.projection.kind.second_moments(counts, z, quadratic, shift, scale)
        first = scale * z + shift * counts[:, None]
        return Statistics(counts, first, second, sums.log_likelihood, sums.n_frames)


def _as_floats(frames: FloatArray) -> FloatArray:
    array = np.asarray(frames)
    return array if array.dtype == np.float32 else np.asarray(array, np.float64)


def _checked_weights(frame_weights: FloatArray | None, n_frames: int) -> Float64Array | None:
    if frame_weights is None:
        return None
    weights = np.asarray(frame_weights, np.float64)
    if weights.shape != (n_frames,):
        raise DataError(f"frame_weights must be ({n_frames},), one a frame, got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError("frame_weights must be finite and 0 or more")
    return weights


class FrameSource(Protocol):
    """Where frames come from: an array, a feature store, anything that can be read by ranges."""

    @property
    def n_frames(self) -> int:
        """How many there are."""

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""

    def read(self, start: int, stop: int) -> tuple[FloatArray, FloatArray | None]:
        """Give frames `start` to `stop` and their weights (None: all 1). Called from threads."""


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

    @property
    def n_frames(self) -> int:
        """How many there are."""
        return len(self.frames)

    @property
    def n_dims(self) -> int:
        """How many numbers each has."""
        return int(self.frames.shape[1])

    def read(self, start: int, stop: int) -> tuple[FloatArray, FloatArray | None]:
        """Give frames `start` to `stop` and their weights."""
        weights = None if self.weights is None else self.weights[start:stop]
        return self.frames[start:stop], weights


def collector(source: FrameSource, n_workers: int = 1) -> Callable[[Mixture], Statistics]:
    """Make the `collect` of a fit: one pass over a source, on `n_workers` threads.

    Only a few work items are in memory at a time; partial sums combine by index in a fixed tree,
    so the bits are the same for any number of workers.

    Parameters
    ----------
    source : FrameSource
    n_workers : int

    Returns
    -------
    callable
        gmm -> Statistics
    """

    def collect(gmm: Mixture) -> Statistics:
        if source.n_frames == 0:
            return Statistics.zero(gmm)
        dtype = _as_floats(source.read(0, 1)[0]).dtype
        step = _EStep.of(gmm, dtype, source.n_frames)

        def work(item: slice) -> _Sums:
            frames, weights = source.read(item.start, item.stop)
            return step.sums(np.asarray(frames, dtype), weights)

        total = tree_sum(ordered_map(work, blocks(source.n_frames, WORK_ITEM), n_workers))
        assert total is not None
        return step.statistics(total)

    return collect


def accumulate_each(
    gmm: Mixture, recordings: Sequence[FrameSource], n_workers: int = 1
) -> Iterator[Statistics]:
    """Collect the statistics of each of many recordings, on `n_workers` threads.

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
    steps = {
        dtype: _EStep.of(gmm, dtype, n_frames)
        for dtype in (np.dtype(np.float32), np.dtype(np.float64))
    }

    def collect(recording: FrameSource) -> Statistics:
        def work(item: slice) -> Statistics:
            frames, weights = recording.read(item.start, item.stop)
            frames = _as_floats(frames)
            step = steps[frames.dtype]
            return step.statistics(step.sums(frames, weights))

        total = tree_sum(map(work, blocks(recording.n_frames, WORK_ITEM)))
        return Statistics.zero(gmm) if total is None else total

    yield from ordered_map(collect, recordings, n_workers)
