"""Sufficient statistics: what EM and MAP need to know of frames."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
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
from voicegmm.mixture.model import Mixture, ScaledSums

PART = 2048  # frames: a multiple of every block, so that blocks do not depend on the parts


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
    frames = as_floats(frames)
    step = EStep.of(gmm, frames.dtype, len(frames))
    return step.statistics(step.sums(frames, frame_weights))


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over frames of [z, quadratics of z, 1]: what `Statistics` are made from, once a pass.

    Parameters
    ----------
    moments : (n_components, n_dims + n_quadratics + 1) float64 array
    shared : (n_dims, n_dims) float64 array
        Of z z', for a tied covariance.
    log_likelihood, n_frames : float
        As in `Statistics`.
    """

    moments: Float64Array
    shared: Float64Array
    log_likelihood: float
    n_frames: float

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.moments + other.moments,
            self.shared + other.shared,
            self.log_likelihood + other.log_likelihood,
            self.n_frames + other.n_frames,
        )


@dataclass(frozen=True, eq=False)
class EStep:
    """A mixture made ready for one pass over many frames.

    Parameters
    ----------
    gmm : Mixture
    projection : Projection
    fused : FusedBlocks, optional
    """

    gmm: Mixture
    projection: Projection
    fused: FusedBlocks | None

    @staticmethod
    def of(gmm: Mixture, dtype: np.dtype, n_frames: int) -> "EStep":
        """Make a mixture ready for a pass over `n_frames` of a type."""
        projection = project(gmm, dtype)
        return EStep(gmm, projection, fused(gmm, projection, n_frames))

    def sums(self, frames: FloatArray, frame_weights: FloatArray | None) -> Sums:
        """Sum the moments of some of the frames of the pass."""
        return self.sums_of_parts([(frames, frame_weights)])

    def sums_of_parts(
        self,
        parts: Iterable[tuple[FloatArray, FloatArray | None]],
        first: int = 0,
    ) -> Sums:
        """Sum the moments of frames that come in parts, numbered from `first` in errors.

        The bits are those of one part with all the frames, if each part but the last holds a
        multiple of `PART` frames.
        """
        n_dims = self.gmm.n_dims
        shape = self.projection.matrix.shape
        moments = np.zeros(shape[::-1]) if self.fused is None else np.zeros(shape).T
        shared = np.zeros((n_dims, n_dims))
        likelihoods, counts, late = [np.empty(0)], [np.empty(0)], []
        for frames, frame_weights in parts:
            # The compiled loops find what is not finite themselves; they need the right shape.
            finite_frames(frames[:0] if self.fused else frames, n_dims, first=first)
            weights = checked_weights(frame_weights, len(frames))
            if self.fused is None:
                log_density = self.add_blocks(frames, weights, self.projection, moments, shared)
            else:
                log_density, left = self.fused.sums(frames, weights, moments.T)
                finite_frames(frames if left else frames[:0], first=first)
                late += [(frames[b], None if weights is None else weights[b]) for b in left]
            likelihoods.append(log_density if weights is None else weights * log_density)
            counts.append(np.ones(len(frames)) if weights is None else weights)
            first += len(frames)
        log_likelihood = float(np.concatenate(likelihoods).sum())
        if late:  # blocks that single precision cannot hold
            exact = in_double(self.gmm, self.projection)
            for frames, weights in late:
                double = finite_frames(frames).astype(np.float64)
                log_density = self.add_blocks(double, weights, exact, moments, shared)
                log_likelihood += float((log_density * (1 if weights is None else weights)).sum())
        return Sums(moments, shared, log_likelihood, float(np.concatenate(counts).sum()))

    def add_blocks(
        self,
        frames: FloatArray,
        weights: Float64Array | None,
        projection: Projection,
        moments: Float64Array,
        shared: Float64Array,
    ) -> Float64Array:
        """Add the moments of frames in the precision of a projection; give the log-densities."""
        n_dims = self.gmm.n_dims
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
        return log_density

    def statistics(self, sums: Sums) -> Statistics:
        """Undo z = (x - shift) / scale."""
        shift = self.projection.shift.astype(np.float64)
        scale = self.projection.scale.astype(np.float64)
        counts, quadratic = sums.moments[:, -1].copy(), sums.moments[:, shift.size : -1]
        if self.projection.common is not None:
            quadratic = sums.shared
        scaled = ScaledSums(counts, sums.moments[:, : shift.size], quadratic, shift, scale)
        first, second = scaled.first_moments(), self.projection.kind.second_moments(scaled)
        return Statistics(counts, first, second, sums.log_likelihood, sums.n_frames)


def as_floats(frames: FloatArray) -> FloatArray:
    """Give an array in float32 if it is, else in float64."""
    array = np.asarray(frames)
    return array if array.dtype == np.float32 else np.asarray(array, np.float64)


def checked_weights(frame_weights: FloatArray | None, n_frames: int) -> Float64Array | None:
    """Check that frame weights are finite, 0 or more, and one a frame."""
    if frame_weights is None:
        return None
    weights = np.asarray(frame_weights, np.float64)
    if weights.shape != (n_frames,):
        raise DataError(f"frame_weights must be ({n_frames},), one a frame, got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError("frame_weights must be finite and 0 or more")
    return weights
