"""Sufficient statistics, and the ways to collect them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture.density import blocks, joint_block, project, responsibilities
from voicegmm.mixture.model import DiagonalGMM

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
    second : (n_components, n_dims) float64 array
        Sum of posterior times squared frame.
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
    def zero(n_components: int, n_dims: int) -> "Statistics":
        """Give the statistics of no frames at all: the monoid's identity."""
        shape = (n_components, n_dims)
        return Statistics(np.zeros(n_components), np.zeros(shape), np.zeros(shape), 0.0, 0.0)


def accumulate(
    gmm: DiagonalGMM, frames: FloatArray, frame_weights: FloatArray | None = None
) -> Statistics:
    """Collect the statistics of frames under a mixture: the E-step.

    Parameters
    ----------
    gmm : DiagonalGMM
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
    frames = finite_frames(frames, gmm.n_dims)
    weights = _checked_weights(frame_weights, len(frames))
    projection = project(gmm, frames.dtype)
    n_dims = gmm.n_dims
    moments = np.zeros((gmm.n_components, 2 * n_dims + 1))
    log_likelihood = 0.0
    for block in blocks(len(frames)):
        expanded, joint = joint_block(gmm, frames[block], projection)
        unnormalized, sums, log_density = responsibilities(joint, out=joint)
        if weights is None:
            log_likelihood += float(log_density.sum())
            expanded /= sums[:, None]
        else:
            log_likelihood += float(weights[block] @ log_density)
            expanded *= (weights[block] / sums).astype(expanded.dtype)[:, None]
        moments += unnormalized.T @ expanded
    return _unscaled(
        moments,
        projection.shift.astype(np.float64),
        projection.scale.astype(np.float64),
        log_likelihood,
        float(len(frames)) if weights is None else float(weights.sum()),
    )


def _checked_weights(frame_weights: FloatArray | None, n_frames: int) -> Float64Array | None:
    if frame_weights is None:
        return None
    weights = np.asarray(frame_weights, np.float64)
    if weights.shape != (n_frames,):
        raise DataError(f"frame_weights must be ({n_frames},), one a frame, got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError("frame_weights must be finite and 0 or more")
    return weights


def _unscaled(
    moments: Float64Array,
    shift: Float64Array,
    scale: Float64Array,
    log_likelihood: float,
    n_frames: float,
) -> Statistics:
    """Undo z = (x - shift) / scale in sums of [z, z^2, 1]."""
    n_dims = shift.size
    z, z2, counts = moments[:, :n_dims], moments[:, n_dims:-1], moments[:, -1]
    n = counts[:, None]
    first = scale * z + shift * n
    second = scale**2 * z2 + 2 * shift * scale * z + shift**2 * n
    return Statistics(counts.copy(), first, second, log_likelihood, n_frames)


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


def collector(source: FrameSource, n_workers: int = 1) -> Callable[[DiagonalGMM], Statistics]:
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

    def collect(gmm: DiagonalGMM) -> Statistics:
        def work(item: slice) -> Statistics:
            return accumulate(gmm, *source.read(item.start, item.stop))

        parts = ordered_map(work, blocks(source.n_frames, WORK_ITEM), n_workers)
        total = tree_sum(parts)
        return Statistics.zero(gmm.n_components, gmm.n_dims) if total is None else total

    return collect
