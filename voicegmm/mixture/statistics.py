"""Sufficient statistics, and the ways to collect them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture.density import (
    Projection,
    blocks,
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
    frames = finite_frames(frames, gmm.n_dims)
    weights = _checked_weights(frame_weights, len(frames))
    projection = project(gmm, frames.dtype)
    n_dims = gmm.n_dims
    moments = np.zeros((gmm.n_components, len(projection.matrix)))
    shared = np.zeros((n_dims, n_dims))
    log_likelihood = 0.0
    for block in blocks(len(frames)):
        expanded, joint = joint_block(gmm, frames[block], projection)
        unnormalized, sums, log_density = responsibilities(joint, out=joint)
        weight = None if weights is None else weights[block].astype(expanded.dtype)
        if projection.common is not None:
            z = expanded[:, :n_dims]
            shared += z.T @ (z if weight is None else z * weight[:, None])
        if weights is None or weight is None:
            log_likelihood += float(log_density.sum())
            expanded /= sums[:, None]
        else:
            log_likelihood += float(weights[block] @ log_density)
            expanded *= (weight / sums)[:, None]
        moments += unnormalized.T @ expanded
    return _unscaled(
        projection,
        moments,
        shared,
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
    projection: Projection,
    moments: Float64Array,
    shared: Float64Array,
    log_likelihood: float,
    n_frames: float,
) -> Statistics:
    """Undo z = (x - shift) / scale in sums of [z, quadratics, 1]."""
    shift, scale = projection.shift.astype(np.float64), projection.scale.astype(np.float64)
    n_dims = shift.size
    z, quadratic, counts = moments[:, :n_dims], moments[:, n_dims:-1], moments[:, -1].copy()
    if projection.common is not None:
        quadratic = shared
    second = projection.kind.second_moments(counts, z, quadratic, shift, scale)
    return Statistics(counts, scale * z + shift * counts[:, None], second, log_likelihood, n_frames)


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
        def work(item: slice) -> Statistics:
            return accumulate(gmm, *source.read(item.start, item.stop))

        parts = ordered_map(work, blocks(source.n_frames, WORK_ITEM), n_workers)
        total = tree_sum(parts)
        return Statistics.zero(gmm) if total is None else total

    return collect
