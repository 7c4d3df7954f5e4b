"""The two passes of fast EM: one over all components, and one over those on each frame's list.

A full pass is a dense E-step that also lists, for each frame, the few components that have a share
of it. In the passes after it each frame's posterior is restricted to its list, and its log-density
is summed over that alone: it is never above the exact one, and the difference is the
Kullback-Leibler divergence of the restricted posterior from the exact one (Forster and Luecke, "Can
clustering scale sublinearly with its clusters?", AISTATS 2018, eq. 4).
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm.mixture.density import FusedBlocks, in_double
from voicegmm.mixture.statistics import EStep, Sums, checked_weights


@dataclass(frozen=True, eq=False)
class ShortLists:
    """The components that matter to each frame of a work item.

    Parameters
    ----------
    ids : (n_frames, n_listed) uint16 array
    n_ids : (n_frames,) uint8 array
        How many of each row count. 0: the frame is worked exactly.
    """

    ids: IntArray
    n_ids: IntArray


def full_pass(
    step: EStep,
    frames: FloatArray,
    frame_weights: FloatArray | None,
    n_listed: int,
    keep: float,
    first: int = 0,
) -> tuple[Sums, ShortLists]:
    """Sum the moments of frames exactly, with the bits of `EStep.sums`, and list who matters.

    Parameters
    ----------
    step : EStep
        With compiled loops.
    frames : (n_frames, n_dims) float32 array
    frame_weights : (n_frames,) float array, optional
    n_listed : int
        Room on a short list, 1 to 255.
    keep : float
        Listed is whose posterior is not less than this part of the frame's greatest; where more
        are than there is room for, the part is doubled until they fit.
    first : int
        The number of the first frame, for errors.

    Returns
    -------
    Sums, ShortLists
    """
    kernel = _kernel()
    chosen = np.empty(step.gmm.n_components + 1, np.int64)
    ids = np.zeros((len(frames), n_listed), np.uint16)
    n_ids = np.zeros(len(frames), np.uint8)

    def look(block: slice, posteriors: FloatArray) -> None:
        bits = posteriors.view(np.int32)
        kernel.list_best(posteriors, bits, np.float32(keep), chosen, ids[block], n_ids[block])

    sums = step.sums_of_parts([(frames, frame_weights)], first, look)
    return sums, ShortLists(ids, n_ids)


@dataclass(frozen=True, eq=False)
class ShortStep:
    """A mixture made ready for a pass over short lists.

    Parameters
    ----------
    step : EStep
        With compiled loops: its moments are of the same z, so that it makes statistics of them.
    rows : (n_components, n_columns) float32 array
        Coefficients of [z, z^2, 1, 0 ...], to base 2.
    """

    step: EStep
    rows: Float32Array

    @staticmethod
    def of(step: EStep) -> "ShortStep":
        """Make a mixture ready."""
        assert step.fused is not None
        return ShortStep(step, padded_rows(step.fused))

    def sums(
        self,
        frames: FloatArray,
        frame_weights: FloatArray | None,
        short: ShortLists,
        least: float,
        first: int = 0,
    ) -> tuple[Sums, Float64Array]:
        """Sum the moments of frames, each with the components on its short list.

        Parameters
        ----------
        frames : (n_frames, n_dims) float32 array
        frame_weights : (n_frames,) float array, optional
        short : ShortLists
            Of the same frames, by an earlier full pass.
        least : float
            A posterior under this part of the frame's greatest counts as none.
        first : int
            The number of the first frame, for errors.

        Returns
        -------
        Sums
        log_density : (n_frames,) float64 array
            Truncated, in nats.
        """
        gmm, projection = self.step.gmm, self.step.projection
        finite_frames(frames[:0], gmm.n_dims)
        weights = checked_weights(frame_weights, len(frames))
        factors = np.ones(len(frames)) if weights is None else weights
        peak, sums = np.zeros((2, len(frames)), np.float32)
        part = np.zeros(self.rows.shape, np.float32)
        _kernel().shortlisted(
            np.ascontiguousarray(frames), factors.astype(np.float32), projection.shift,
            1 / projection.scale, self.rows, short.ids, short.n_ids, np.float32(least), part,
            peak, sums,
        )  # fmt: skip
        moments = part[:, : len(projection.matrix)].astype(np.float64)
        left = np.flatnonzero(sums == 0)
        sums[left] = 1
        log_density: Float64Array = np.log(2) * peak.astype(np.float64)
        log_density += np.log(sums.astype(np.float64))
        shared = np.zeros((gmm.n_dims, gmm.n_dims))
        if left.size:  # not finite, or more than single precision can hold
            finite_frames(frames, first=first)
            exact = in_double(gmm, projection)
            double, some = frames[left].astype(np.float64), factors[left]
            log_density[left] = self.step.add_blocks(double, some, exact, moments, shared)
        counted = log_density * factors
        return Sums(moments, shared, float(counted.sum()), float(factors.sum())), log_density


def padded_rows(fused: FusedBlocks) -> Float32Array:
    """Give the coefficients of a mixture, a row a component, padded with zeros."""
    matrix = fused.projection.matrix
    lanes = _kernel().LANES
    rows = np.zeros((matrix.shape[1], -(-len(matrix) // lanes) * lanes), np.float32)
    rows[:, : len(matrix)] = matrix.T
    return rows


def _kernel() -> ModuleType:
    from voicegmm.mixture.fast import kernel

    return kernel
