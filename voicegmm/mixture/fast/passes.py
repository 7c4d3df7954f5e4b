"""The passes of fast EM: over the components near a group, and over each frame's list.

A grouped pass lists, for each frame, the few components that have a share of it, among those near
the group that the frame belongs to; all, if so asked. In the passes after it each frame's posterior
is restricted to its list. A restricted log-density is never above the exact one, and the difference
is the Kullback-Leibler divergence of the restricted posterior from the exact one (Forster and
Luecke, "Can clustering scale sublinearly with its clusters?", AISTATS 2018, eq. 4).
"""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm.mixture.density import BLOCK, blocks, in_double
from voicegmm.mixture.fast.groups import Groups
from voicegmm.mixture.fast.lists import ShortLists, loops, room
from voicegmm.mixture.fast.options import FastOptions
from voicegmm.mixture.statistics import EStep, Sums, checked_weights

_AT_ONCE = 512  # frames of a group: their products stay in the cache


@dataclass(frozen=True, eq=False)
class GroupedStep:
    """A mixture made ready for a grouped pass.

    A frame belongs to the group whose center is most probable. Frames of a group are gathered, and
    worked together with the components near it: two levels, and matrix products on both.

    Parameters
    ----------
    step : EStep
        With compiled loops.
    rows : (n_components, n_columns) float32 array
        Coefficients of [z, z^2, 1, 0 ...], to base 2.
    centers : (n_columns, n_groups) float32 array
        Those of the groups' centers.
    near : (n_groups, n_near) uint16 array
    """

    step: EStep
    rows: Float32Array
    centers: Float32Array
    near: IntArray

    @staticmethod
    def of(step: EStep, groups: Groups) -> "GroupedStep":
        """Make a mixture ready."""
        assert step.fused is not None
        projection = step.fused.projection
        shift, scale = projection.shift.astype(float), projection.scale.astype(float)
        matrix = np.log2(np.e) * groups.centers.coefficients(shift, scale)
        centers = padded_rows(matrix.astype(np.float32))
        rows = padded_rows(projection.matrix)
        return GroupedStep(step, rows, np.ascontiguousarray(centers.T), groups.near)

    def sums(
        self,
        frames: FloatArray,
        frame_weights: FloatArray | None,
        options: FastOptions,
        first: int = 0,
    ) -> tuple[Sums, ShortLists]:
        """Sum the moments of frames, each held to the components near its group, and list the best.

        Parameters
        ----------
        frames : (n_frames, n_dims) float32 array
        frame_weights : (n_frames,) float array, optional
        options : FastOptions
            `n_listed`, `keep` and `least` count.
        first : int
            The number of the first frame, for errors.

        Returns
        -------
        Sums, ShortLists
        """
        work = _Work.of(self.step, frames, frame_weights, first)
        short = ShortLists.empty(len(frames), room(options.n_listed, self.step.gmm.n_components))
        group = self._groups(work)
        order = np.argsort(group, kind="stable")  # of 16 bits: by counting
        ends = np.cumsum(np.bincount(group, minlength=len(self.near)))
        moments = np.zeros((len(self.rows), self.step.projection.matrix.shape[0]))
        buffers = _Buffers(self.near.shape[1], self.rows.shape[1])
        for some, end, size in zip(self.near, ends, np.diff(ends, prepend=0), strict=True):
            if size:
                self._group(work, some, order[end - size : end], options, short, moments, buffers)
        return work.closed(moments)[0], short

    def _groups(self, work: "_Work") -> IntArray:
        """Give the group of each frame."""
        kernel, group = loops(), np.zeros(len(work.frames), np.uint16)
        if len(self.near) == 1:
            return group
        expanded = np.zeros((BLOCK, len(self.centers)), np.float32)
        joint = np.empty((BLOCK, self.centers.shape[1]), np.float32)
        places = np.arange(len(work.frames))
        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks(len(work.frames)):
                n = block.stop - block.start
                kernel.gather(work.frames, places[block], *work.scaling, expanded)
                np.matmul(expanded[:n], self.centers, out=joint[:n])
                kernel.largest(joint[:n], joint[:n].view(np.int32), group[block])
        return group

    def _group(
        self,
        work: "_Work",
        names: IntArray,
        order: IntArray,
        options: FastOptions,
        short: ShortLists,
        moments: Float64Array,
        buffers: "_Buffers",
    ) -> None:
        """Work the frames of one group."""
        kernel, rows = loops(), self.rows[names].T
        keep, least = np.float32(options.keep), np.float32(options.least)
        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks(len(order), _AT_ONCE):
                places = order[block]
                expanded, joint = buffers.expanded[: len(places)], buffers.joint[: len(places)]
                kernel.gather(work.frames, places, *work.scaling, expanded)
                np.matmul(expanded, rows, out=joint)
                kernel.near(
                    joint, joint.view(np.int32), expanded, names, places, work.factors, keep, least,
                    buffers.chosen, short.ids, short.n_ids, buffers.part, work.peak, work.sums,
                )  # fmt: skip
        kernel.deal(moments, names, buffers.part)


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
        return ShortStep(step, padded_rows(step.fused.projection.matrix))

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
            Of the same frames, by an earlier grouped pass.
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
        work = _Work.of(self.step, frames, frame_weights, first)
        part = np.zeros(self.rows.shape, np.float32)
        loops().shortlisted(
            work.frames, work.factors, *work.scaling, self.rows, short.ids, short.n_ids,
            np.float32(least), part, work.peak, work.sums,
        )  # fmt: skip
        return work.closed(part[:, : len(self.step.projection.matrix)].astype(np.float64))


class _Buffers:
    """What a thread works the frames of a group in."""

    def __init__(self, n_near: int, n_columns: int) -> None:
        self.expanded = np.zeros((_AT_ONCE, n_columns), np.float32)
        self.joint = np.empty((_AT_ONCE, n_near), np.float32)
        self.part = np.zeros((n_near, n_columns), np.float32)
        self.chosen = np.empty(n_near + 1, np.int64)


@dataclass(frozen=True, eq=False)
class _Work:
    """The frames of a work item, and what the compiled loops find of each.

    Parameters
    ----------
    step : EStep
    frames : (n_frames, n_dims) float32 array
    factors : (n_frames,) float32 array
        Weights.
    first : int
        The number of the first frame.
    peak, sums : (n_frames,) float32 array
        The log-density is ln 2 * peak + ln(sums); a sum of 0: to be worked exactly.
    """

    step: EStep
    frames: Float32Array
    factors: Float32Array
    first: int
    peak: Float32Array
    sums: Float32Array

    @staticmethod
    def of(
        step: EStep, frames: FloatArray, frame_weights: FloatArray | None, first: int
    ) -> "_Work":
        finite_frames(frames[:0], step.gmm.n_dims)
        weights = checked_weights(frame_weights, len(frames))
        factors = np.ones(len(frames)) if weights is None else weights
        peak, sums = np.zeros((2, len(frames)), np.float32)
        own = np.ascontiguousarray(frames, np.float32)
        return _Work(step, own, factors.astype(np.float32), first, peak, sums)

    @property
    def scaling(self) -> tuple[FloatArray, FloatArray]:
        """Shift and inverse scale of z."""
        return self.step.projection.shift, 1 / self.step.projection.scale

    def closed(self, moments: Float64Array) -> tuple[Sums, Float64Array]:
        """Add the frames that the loops left out, and give all sums, and log-densities."""
        gmm, factors = self.step.gmm, self.factors.astype(np.float64)
        left = np.flatnonzero(self.sums == 0)
        self.sums[left] = 1
        log_density: Float64Array = np.log(2) * self.peak.astype(np.float64)
        log_density += np.log(self.sums.astype(np.float64))
        shared = np.zeros((gmm.n_dims, gmm.n_dims))
        if left.size:  # not finite, or more than single precision can hold
            finite_frames(self.frames, first=self.first)
            exact = in_double(gmm, self.step.projection)
            double, some = self.frames[left].astype(np.float64), factors[left]
            log_density[left] = self.step.add_blocks(double, some, exact, moments, shared)
        counted = log_density * factors
        return Sums(moments, shared, float(counted.sum()), float(factors.sum())), log_density


def padded_rows(matrix: FloatArray) -> Float32Array:
    """Give the coefficients of a mixture, a row a component, padded with zeros."""
    lanes = loops().LANES
    rows = np.zeros((matrix.shape[1], -(-len(matrix) // lanes) * lanes), np.float32)
    rows[:, : len(matrix)] = matrix.T
    return rows
