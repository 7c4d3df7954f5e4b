"""What tests say of the background model's means: n and f - n m, and no second moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
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

Ratios = Callable[[Sequence[Test], IntArray], Float64Array]
"""From tests and the rows of the models to scores per frame, (n_tests, n_rows)."""


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
    spare: list["_Scratch"] = field(default_factory=list)  # that no thread uses

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
        counts, first, n_frames = self._sums(frames, frame_weights)
        exact: Float64Array = counts.astype(np.float64)
        return exact, np.asarray(first - exact[:, None] * self._prior, np.float64), n_frames

    def mean_offsets(
        self,
        frames: FloatArray,
        frame_weights: FloatArray | None,
        factor: Float64Array,
        out: FloatArray,
    ) -> None:
        """Write the centered statistics of a test, per frame, times a factor.

        Parameters
        ----------
        frames, frame_weights
            See `__call__`, which tells what is raised, too.
        factor : (n_components, n_dims) float64 array
        out : (n_components, n_dims) float array
            float32, where the frames are.
        """
        counts, first, n_frames = self._sums(frames, frame_weights)
        if self.kernel is not None and first.dtype == np.float32:
            self.kernel.centered(first, counts, self._prior, factor, 1 / n_frames, out)
            return
        centered = first - counts[:, None] * self._prior
        centered *= factor
        np.multiply(centered, 1 / n_frames, out=out, casting="same_kind")

    def _sums(
        self, frames: FloatArray, frame_weights: FloatArray | None
    ) -> tuple[FloatArray, FloatArray, float]:
        """Give sums of posteriors, those of posteriors times z, and of weights."""
        fast = self._is_fast(frames)
        if not fast:
            frames = finite_frames(frames, self.gmm.n_dims)
        weights = checked_weights(frame_weights, len(frames))
        n_frames = float(len(frames)) if weights is None else float(weights.sum())
        if not n_frames > 0:
            raise DataError("a test must have one frame at least, this one has none")
        sums = self._compiled(frames, weights) if fast else None
        if sums is None:  # the loops find what is not finite, too, but do not tell what it was
            sums = self._plain(finite_frames(frames) if fast else frames, weights)
        return *sums, n_frames

    def _is_fast(self, frames: FloatArray) -> bool:
        """Whether frames are of the kind that the compiled loops take."""
        known = isinstance(frames, np.ndarray) and frames.dtype == np.float32
        return self.kernel is not None and known and frames.shape[1:] == (self.gmm.n_dims,)

    @cached_property
    def scale(self) -> Float64Array:
        """The units of the projection, (n_dims,)."""
        return self.projection.scale.astype(np.float64)

    @cached_property
    def _inverse_scale(self) -> Float32Array:
        return np.asarray(1 / self.projection.scale)

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
    ) -> tuple[FloatArray, FloatArray] | None:
        """Do the same by compiled loops; None where they cannot."""
        kernel, projection = self.kernel, self.projection
        assert kernel is not None
        try:
            scratch = self.spare.pop()
        except IndexError:
            scratch = _Scratch.of(*projection.matrix.shape)
        sums: tuple[FloatArray, FloatArray] | None = None
        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks(len(frames)):
                size = block.stop - block.start
                x, y = scratch.expanded[:size], scratch.joint[:size]
                weight = scratch.ones[:size]
                if weights is not None:
                    weight = weights[block].astype(np.float32)
                part = np.ascontiguousarray(frames[block])
                kernel.expand(part, projection.shift, self._inverse_scale, x)
                np.matmul(x, projection.matrix, out=y)
                n = np.zeros(self.gmm.n_components, np.float32)
                f = np.zeros(self.gmm.means.shape, np.float32)
                if kernel.first_order(y, y.view(np.int32), weight, x, scratch.chosen, n, f):
                    return None
                # One block stays as it is; more are added in double precision.
                sums = (n, f) if sums is None else (_added(sums[0], n), _added(sums[1], f))
        self.spare.append(scratch)
        return sums


@dataclass(frozen=True, eq=False)
class _Scratch:
    """Memory for the blocks of a test, which a thread has for itself."""

    expanded: Float32Array
    joint: Float32Array
    ones: Float32Array
    chosen: IntArray

    @staticmethod
    def of(n_rows: int, n_components: int) -> "_Scratch":
        return _Scratch(
            np.empty((BLOCK, n_rows), np.float32),
            np.empty((BLOCK, n_components), np.float32),
            np.ones(BLOCK, np.float32),
            np.empty(n_components + 1, np.int32),
        )


def _added(total: FloatArray, part: Float32Array) -> Float64Array:
    return np.add(total, part, dtype=np.float64)
