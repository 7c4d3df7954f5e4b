"""What tests say of the background model's means: n and f - n m, and no second moments."""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.mixture import DiagonalGMM
from voicegmm.mixture.density import (
    BLOCK,
    Projection,
    blocks,
    in_double,
    joint_block,
    responsibilities,
)
from voicegmm.mixture.ratios import ready_for
from voicegmm.mixture.statistics import checked_weights

Test = tuple[FloatArray, FloatArray | None]
"""Frames, (n_frames, n_dims), and their weights (None: all 1)."""


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """A background model made ready to collect first-order statistics.

    Parameters
    ----------
    gmm : DiagonalGMM
    projection : Projection
        To base 2 where `kernel` is given.
    kernel : module, optional
        The compiled loops, where the job is worth them.
    """

    gmm: DiagonalGMM
    projection: Projection
    kernel: ModuleType | None

    @staticmethod
    def of(gmm: DiagonalGMM, dtype: np.dtype, n_frames: int) -> "FirstOrder":
        """Make a model ready.

        Parameters
        ----------
        gmm : DiagonalGMM
        dtype : numpy.dtype
            Of the frames.
        n_frames : int
            Of the whole job: decides whether the compiled loops are worth their loading.
        """
        projection, kernel, _ = ready_for(gmm, dtype, n_frames)
        return FirstOrder(gmm, projection, kernel)

    def __call__(
        self, frames: FloatArray, frame_weights: FloatArray | None = None
    ) -> tuple[Float64Array, Float64Array, float]:
        """Collect the statistics of a test.

        Parameters
        ----------
        frames : (n_frames, n_dims) float array
        frame_weights : (n_frames,) float array, optional

        Returns
        -------
        counts : (n_components,) float64 array
            n, the sums of posteriors.
        centered : (n_components, n_dims) float64 array
            f - n m, divided by `scale`.
        n_frames : float
            Each frame by its weight.

        Raises
        ------
        DataError
            For a test without frames, or a frame that is not finite or of another dimension.
        """
        frames = finite_frames(frames, self.gmm.n_dims)
        weights = checked_weights(frame_weights, len(frames))
        n_frames = float(len(frames)) if weights is None else float(weights.sum())
        if not n_frames > 0:
            raise DataError("a test must have one frame at least, this one has none")
        sums = self._compiled(frames, weights)
        if sums is None:
            sums = self._plain(frames, weights)
        counts, centered = sums
        centered -= counts[:, None] * self._prior
        return counts, centered, n_frames

    @cached_property
    def scale(self) -> Float64Array:
        """The units of the projection, (n_dims,)."""
        return self.projection.scale.astype(np.float64)

    @cached_property
    def _prior(self) -> Float64Array:
        """Give the background's means in units of `projection`."""
        return np.asarray((self.gmm.means - self.projection.shift) / self.scale)

    def _plain(
        self, frames: FloatArray, weights: Float64Array | None
    ) -> tuple[Float64Array, Float64Array]:
        """Sum posteriors, and posteriors times z, by numpy."""
        gmm, projection = self.gmm, self.projection
        if self.kernel is not None:  # frames that single precision does not hold
            frames, projection = frames.astype(np.float64), in_double(gmm, projection)
        counts, first = np.zeros(gmm.n_components), np.zeros(gmm.means.shape)
        for block in blocks(len(frames)):
            expanded, joint = joint_block(gmm, frames[block], projection)
            posteriors, sums, _ = responsibilities(joint, out=joint)
            share = (1 if weights is None else weights[block]) / sums
            z = expanded[:, : gmm.n_dims] * share[:, None].astype(expanded.dtype)
            counts += share @ posteriors
            first += (z.T @ posteriors).T
        return counts, first

    def _compiled(
        self, frames: FloatArray, weights: Float64Array | None
    ) -> tuple[Float64Array, Float64Array] | None:
        """Do the same by compiled loops; None where they cannot."""
        kernel, projection = self.kernel, self.projection
        if kernel is None or frames.dtype != np.float32:
            return None
        n_rows, n_components = projection.matrix.shape
        size = min(len(frames), BLOCK)
        expanded = np.empty((size, n_rows), np.float32)
        joint = np.empty((size, n_components), np.float32)
        weight = np.ones(len(frames), np.float32)
        if weights is not None:
            weight[:] = weights
        counts, first = np.zeros(n_components), np.zeros(self.gmm.means.shape)
        chosen = np.empty(n_components + 1, np.int32)
        inverse = 1 / projection.scale
        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks(len(frames)):
                x, y = expanded[: block.stop - block.start], joint[: block.stop - block.start]
                part = np.ascontiguousarray(frames[block])
                kernel.expand(part, projection.shift, inverse, x)
                np.matmul(x, projection.matrix, out=y)
                n, f = np.zeros(counts.shape, np.float32), np.zeros(first.shape, np.float32)
                if kernel.first_order(y, y.view(np.int32), weight[block], x, chosen, n, f):
                    return None
                counts += n
                first += f
        return counts, first
