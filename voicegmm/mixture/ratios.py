"""Log-density ratios of mixtures that differ from one in their means alone: adapted speakers.

They share the quadratic term of every frame and component, so a mixture costs one product of the
frames with its means. With z = (x - shift) / scale, m and v means and variances of z, and m0 those
of the mixture they were adapted from,

    log N(x | m, v) - log N(x | m0, v) = sum_d z_d (m_d - m0_d) / v_d - (m_d^2 - m0_d^2) / (2 v_d)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm.mixture.density import (
    Projection,
    blocks,
    expand,
    fused,
    in_double,
    joint_block,
    project,
    responsibilities,
)
from voicegmm.mixture.model import DiagonalGMM


def ready_for(
    gmm: DiagonalGMM, dtype: np.dtype, n_frames: int
) -> tuple[Projection, ModuleType | None, float]:
    """Make a mixture ready for a job of scoring.

    Parameters
    ----------
    gmm : DiagonalGMM
    dtype : numpy.dtype
        Of the frames.
    n_frames : int
        Of the whole job, each as often as there are models that it meets: decides whether the
        compiled loops are worth their loading, for frames in float32.

    Returns
    -------
    projection : Projection
        To base 2 where there is a kernel.
    kernel : module or None
        The compiled loops, where the job is worth them.
    unit : float
        A nat in the projection's logarithms.
    """
    projection = project(gmm, dtype)
    compiled = fused(gmm, projection, n_frames)
    if compiled is None:
        return projection, None, 1.0
    return compiled.projection, compiled.kernel, float(np.log2(np.e))


def shifts(
    gmm: DiagonalGMM, projection: Projection, means: FloatArray
) -> Iterator[tuple[Float64Array, Float64Array]]:
    """Give what each mixture adds to the joint log-densities of `gmm`, in nats.

    Parameters
    ----------
    gmm : DiagonalGMM
    projection : Projection
        Of `gmm`: says what z is.
    means : (n_models, n_components, n_dims) float array

    Yields
    ------
    slopes : (n_components, n_dims) float64 array
        ``z @ slopes.T + constants`` is what the model adds.
    constants : (n_components,) float64 array
    """
    shift, scale = projection.shift.astype(np.float64), projection.scale.astype(np.float64)
    precisions = scale**2 / gmm.variances
    prior = (gmm.means - shift) / scale
    for model in means:
        m = (model.astype(np.float64) - shift) / scale
        slopes = (m - prior) * precisions
        yield slopes, -0.5 * (slopes * (m + prior)).sum(axis=1)


def moved(
    gmm: DiagonalGMM, projection: Projection, kernel: ModuleType | None, means: FloatArray
) -> tuple[DiagonalGMM, Projection, Float64Array]:
    """Give a mixture other means, and its projection those, in the same z and precision.

    Parameters
    ----------
    gmm : DiagonalGMM
    projection : Projection
    kernel : module or None
        The latter two as `ready_for` gives them.
    means : (n_components, n_dims) float array

    Returns
    -------
    gmm : DiagonalGMM
    projection : Projection
    offsets : (n_components, n_dims) float64 array
        How far the means went, in units of z.
    """
    shift, scale = projection.shift.astype(np.float64), projection.scale.astype(np.float64)
    other = replace(gmm, means=means.astype(np.float64))
    unit = 1.0 if kernel is None else float(np.log2(np.e))
    matrix = unit * other.coefficients(shift, scale)
    matrix = np.ascontiguousarray(matrix, projection.matrix.dtype)
    return other, replace(projection, matrix=matrix), (other.means - gmm.means) / scale


@dataclass(frozen=True, eq=False)
class MeanShifts:
    """What some mixtures add to the joint log-densities of the one they were adapted from.

    Parameters
    ----------
    gmm : DiagonalGMM
    projection : Projection
        Of `gmm`; to base 2 where `kernel` is given.
    slopes : (n_models, n_dims, n_components) float array
        ``z @ slopes[m] + constants[m]`` is what model m adds.
    constants : (n_models, n_components) float array
    kernel : module, optional
        The compiled loops, where the job is worth them.
    """

    gmm: DiagonalGMM
    projection: Projection
    slopes: FloatArray
    constants: FloatArray
    kernel: ModuleType | None

    @staticmethod
    def of(gmm: DiagonalGMM, means: FloatArray, dtype: np.dtype, n_frames: int) -> "MeanShifts":
        """Make mixtures ready to be scored.

        Parameters
        ----------
        gmm : DiagonalGMM
        means : (n_models, n_components, n_dims) float array
        dtype : numpy.dtype
            Of the frames.
        n_frames : int
            As in `ready_for`.
        """
        projection, kernel, unit = ready_for(gmm, dtype, n_frames)
        shape = (len(means), gmm.n_dims, gmm.n_components)
        slopes = np.empty(shape, projection.matrix.dtype)
        constants = np.empty((len(means), gmm.n_components), projection.matrix.dtype)
        for number, (slope, constant) in enumerate(shifts(gmm, projection, means)):
            slopes[number] = unit * slope.T
            constants[number] = unit * constant
        return MeanShifts(gmm, projection, slopes, constants, kernel)

    def about(self, means: FloatArray) -> "MeanShifts":
        """Move all mixtures alike: each keeps its offset from the one it was adapted from.

        Parameters
        ----------
        means : (n_components, n_dims) float array
            Of the latter, from now on.
        """
        gmm, projection, offsets = moved(self.gmm, self.projection, self.kernel, means)
        constants = self.constants - np.einsum("mdk,kd->mk", self.slopes, offsets)
        constants = constants.astype(self.constants.dtype)
        return replace(self, gmm=gmm, projection=projection, constants=constants)

    def scores(
        self, tests: Sequence[tuple[FloatArray, FloatArray | None]], rows: IntArray
    ) -> Float64Array:
        """Give the mean log-density ratio of some tests under some of the mixtures.

        Parameters
        ----------
        tests : sequence of (frames, frame weights or None)
            See `mean_ratios`.
        rows : (n_rows,) int array

        Returns
        -------
        (n_tests, n_rows) float64 array
            In nats per frame.
        """
        return np.stack([self.mean_ratios(*test, rows) for test in tests])

    def mean_ratios(
        self, frames: FloatArray, frame_weights: FloatArray | None, rows: IntArray
    ) -> Float64Array:
        """Give the mean log-density ratio of frames under some of the mixtures.

        Parameters
        ----------
        frames : (n_frames, n_dims) float array
            Of the type that was announced; at least one frame.
        frame_weights : (n_frames,) float array, optional
            Positive; 1 for every frame by default.
        rows : (n_rows,) int array
            Which mixtures.

        Returns
        -------
        (n_rows,) float64 array
            In nats per frame.

        Raises
        ------
        DataError
            For a frame that is not finite, of another dimension, or too far from every component.
        """
        frames = finite_frames(frames, self.gmm.n_dims)
        weights = (
            np.ones(len(frames)) if frame_weights is None else np.asarray(frame_weights, float)
        )
        totals = np.zeros(len(rows))
        for block in blocks(len(frames)):
            ratios = None
            if self.kernel is not None and frames.dtype == np.float32:
                ratios = self._compiled(frames[block], rows)
            if ratios is None:
                ratios = self._plain(frames[block], rows)
            totals += (ratios * weights[block]).sum(axis=1)
        return np.asarray(totals / weights.sum())

    def _plain(self, frames: FloatArray, rows: IntArray) -> Float64Array:
        """Give the ratios of one block, (n_rows, n_frames), by numpy."""
        projection = self.projection
        unit = 1.0
        if self.kernel is not None:  # a block that single precision does not hold
            frames = frames.astype(np.float64)
            projection, unit = in_double(self.gmm, projection), np.log(2)
        _, base = joint_block(self.gmm, frames, projection)
        z = np.ascontiguousarray(expand(frames, projection)[:, : self.gmm.n_dims])
        scratch = np.empty_like(base)
        _, _, background = responsibilities(base, out=scratch)
        ratios = np.empty((len(rows), len(frames)))
        for place, row in enumerate(rows):
            joint = np.matmul(z, unit * self.slopes[row], out=scratch)
            joint += unit * self.constants[row]
            joint += base
            ratios[place] = responsibilities(joint, out=joint)[2] - background
        return ratios

    def _compiled(self, frames: FloatArray, rows: IntArray) -> Float64Array | None:
        """Give the same by compiled loops; None if single precision does not hold them."""
        kernel, projection, n_dims = self.kernel, self.projection, self.gmm.n_dims
        assert kernel is not None
        n_rows, n_components = projection.matrix.shape
        expanded = np.empty((len(frames), n_rows), np.float32)
        base, joint = np.zeros((2, len(frames), n_components), np.float32)
        peak, sums = np.empty((2, len(rows) + 1, len(frames)), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            inverse = 1 / projection.scale
            kernel.expand(np.ascontiguousarray(frames), projection.shift, inverse, expanded)
            np.matmul(expanded, projection.matrix, out=base)
            nothing = np.zeros(n_components, np.float32)
            n_bad = kernel.log_sums(joint, joint.view(np.int32), base, nothing, peak[0], sums[0])
            z = np.ascontiguousarray(expanded[:, :n_dims])
            for place, row in enumerate(rows, 1):
                np.matmul(z, self.slopes[row], out=joint)
                n_bad += kernel.log_sums(
                    joint,
                    joint.view(np.int32),
                    base,
                    self.constants[row],
                    peak[place],
                    sums[place],
                )
        if n_bad:
            return None
        log_density = peak.astype(np.float64) + np.log2(sums.astype(np.float64))
        return np.asarray(np.log(2) * (log_density[1:] - log_density[0]))
