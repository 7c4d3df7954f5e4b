"""Densities and posteriors: the E-step's arithmetic, as matrix products.

With z = (x - shift) / scale, the joint log-density of a frame and a component is linear in
[z, z^2, 1] (Bishop, Pattern Recognition and Machine Learning, eq. 9.7 with a diagonal Sigma):

    log w_k N(x | k) = sum_d z_d m_kd / v_kd - sum_d z_d^2 / (2 v_kd) + b_k

so a block of frames against all components is one product; other covariances have other products
of z's entries in the place of z^2. Shift and scale are the mixture's own mean and standard
deviation (rounded to a power of two): they keep single precision exact where the data lie far from
zero. Diagonal and spherical mixtures work in the frames' own precision; full and tied ones in
float64, since their precisions can be so ill-conditioned that float32 keeps no digit.

Large jobs in float32 take compiled loops (`kernel`) between the same products: see `fused`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.mixture.model import DiagonalGMM, Mixture

BLOCK = 1024  # frames a product: large enough for BLAS, small enough for the cache
FUSED_FROM = 2**26  # frames x components of one pass that repay the loading of compiled loops


@dataclass(frozen=True, eq=False)
class Projection:
    """A mixture as the matrix that [z, quadratics of z, 1] is multiplied with.

    Parameters
    ----------
    kind : type of Mixture
        Says which quadratics.
    shift, scale : (n_dims,) float array
        z = (x - shift) / scale.
    matrix : (n_dims + n_quadratics + 1, n_components) float array
        Of the precision that the products are to have.
    common : (n_dims, n_dims) float array, optional
        A of the term -|z A|^2 / 2 that all components share.
    """

    kind: type[Mixture]
    shift: FloatArray
    scale: FloatArray
    matrix: FloatArray
    common: FloatArray | None


def project(gmm: Mixture, dtype: np.dtype) -> Projection:
    """Write a mixture as a matrix, in float32 or float64."""
    own = dtype if isinstance(gmm, DiagonalGMM) else np.dtype(np.float64)
    mean, variance = gmm.spread()
    # The shift is rounded to the frames' precision, so that x - shift is exact for frames near the
    # center; the scale to a power of two, so that dividing by it is exact. Both stay in its range.
    info = np.finfo(own)
    shift = np.clip(mean, info.min, info.max).astype(own).astype(np.float64)
    exponent = np.clip(np.round(0.5 * np.log2(variance)), info.minexp, info.maxexp - 2)
    return _projected(gmm, shift, np.exp2(exponent), own)


def _projected(gmm: Mixture, shift: Float64Array, scale: Float64Array, own: np.dtype) -> Projection:
    common = gmm.common(scale)
    return Projection(
        type(gmm),
        shift.astype(own),
        scale.astype(own),
        gmm.coefficients(shift, scale).astype(own),
        common if common is None else common.astype(own),
    )


def expand(frames: FloatArray, projection: Projection) -> FloatArray:
    """Give [z, quadratics of z, 1] of frames, (n_frames, n_dims + n_quadratics + 1)."""
    n_frames, n_dims = frames.shape
    expanded = np.empty((n_frames, len(projection.matrix)), projection.matrix.dtype)
    z = expanded[:, :n_dims]
    np.subtract(frames, projection.shift, out=z)
    np.divide(z, projection.scale, out=z)
    expanded[:, n_dims:-1] = projection.kind.quadratics(z)
    expanded[:, -1] = 1
    return expanded


def responsibilities(
    joint: FloatArray, out: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, Float64Array]:
    """Split joint log-densities into unnormalized posteriors, their sums, and log-densities.

    Parameters
    ----------
    joint : (n_frames, n_components) float array
    out : array of the same shape, optional
        Where the posteriors go; `joint` itself may be given.

    Returns
    -------
    unnormalized : (n_frames, n_components) float array
        exp(joint - row maximum).
    sums : (n_frames,) float array
        Their row sums: posteriors are ``unnormalized / sums[:, None]``.
    log_density : (n_frames,) float64 array
    """
    peak = joint.max(axis=1)
    unnormalized = np.subtract(joint, peak[:, None], out=out)
    np.exp(unnormalized, out=unnormalized)
    sums = unnormalized.sum(axis=1)
    return unnormalized, sums, peak.astype(np.float64) + np.log(sums.astype(np.float64))


def blocks(n_frames: int, size: int = BLOCK) -> Iterator[slice]:
    """Cut a range of frames into slices of `size`, the last one shorter."""
    for start in range(0, n_frames, size):
        yield slice(start, min(start + size, n_frames))


def joint_block(
    gmm: Mixture, frames: FloatArray, projection: Projection
) -> tuple[FloatArray, FloatArray]:
    """Give [z, quadratics, 1] and the joint log-densities of one block of frames.

    A frame so far away that single precision overflows sends its block through double precision.

    Returns
    -------
    expanded : (n_frames, n_dims + n_quadratics + 1) float array
    joint : (n_frames, n_components) float array

    Raises
    ------
    DataError
        If a frame is too far from every component even for double precision.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        expanded = expand(frames, projection)
        joint = expanded @ projection.matrix
        if projection.common is not None:
            joint -= 0.5 * np.square(expanded[:, : frames.shape[1]] @ projection.common).sum(
                axis=1, keepdims=True
            )
    if np.isfinite(joint.max(axis=1)).all():
        return expanded, joint
    if projection.matrix.dtype == np.float64:
        raise DataError(
            f"a frame holds {np.abs(frames).max():.3g}, too far from every component to be scored"
        )
    return joint_block(gmm, np.asarray(frames, np.float64), in_double(gmm, projection))


def in_double(gmm: Mixture, projection: Projection) -> Projection:
    """Give the projection with the same shift and scale in float64."""
    shift, scale = projection.shift.astype(np.float64), projection.scale.astype(np.float64)
    return _projected(gmm, shift, scale, np.dtype(np.float64))


@cache
def _kernel() -> ModuleType | None:
    """Give the compiled loops, or None where numba is missing or has no folder for its cache."""
    try:
        from voicegmm.mixture import kernel
    except (ImportError, RuntimeError):
        return None
    return kernel


class _Buffers:
    """What one thread writes a block into; made once, since fresh memory is slow to touch."""

    def __init__(self, n_rows: int, n_components: int) -> None:
        # With few components a product is short, and the calls around it cost more than the cache.
        self.size = BLOCK if n_components > 128 else 2 * BLOCK
        self.expanded = np.empty((self.size, n_rows), np.float32)
        self.joint = np.empty((self.size, n_components), np.float32)
        self.factors = np.empty(self.size, np.float32)
        self.part = np.empty((n_rows, n_components), np.float32)


@dataclass(frozen=True, eq=False)
class FusedBlocks:
    """The E-step of float32 frames by compiled loops around matrix products, block by block.

    Parameters
    ----------
    kernel : module
    projection : Projection
        In float32, of a diagonal or spherical mixture; its matrix to base 2.
    spare : list
        Buffers that no thread is using.
    """

    kernel: ModuleType
    projection: Projection
    spare: list[_Buffers] = field(default_factory=list)

    def log_density(self, frames: FloatArray) -> tuple[Float64Array, list[slice]]:
        """Give the log-density of frames, and what is `left` as in `sums`."""
        return self._run(frames, None, None)

    def sums(
        self, frames: FloatArray, weights: Float64Array | None, moments: Float64Array
    ) -> tuple[Float64Array, list[slice]]:
        """Add the moments of frames, and give their log-densities.

        Parameters
        ----------
        frames : (n_frames, n_dims) float32 array
        weights : (n_frames,) float64 array, optional
        moments : (2 n_dims + 1, n_components) float64 array
            To which sums of posterior times weight times [z, z^2, 1] are added.

        Returns
        -------
        log_density : (n_frames,) float64 array
        left : list of slice
            Frames that single precision cannot hold, or that are not finite: not in the moments,
            and with a log-density of 0.
        """
        return self._run(frames, weights, moments)

    def _run(
        self, frames: FloatArray, weights: Float64Array | None, moments: Float64Array | None
    ) -> tuple[Float64Array, list[slice]]:
        peak, sums = np.zeros(len(frames), np.float32), np.ones(len(frames), np.float32)
        left = []
        try:
            buffers = self.spare.pop()
        except IndexError:
            buffers = _Buffers(*self.projection.matrix.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            for block in blocks(len(frames), buffers.size):
                buffers.factors[:] = 1
                if weights is not None:
                    buffers.factors[: block.stop - block.start] = weights[block]
                if not self._block(frames[block], buffers, peak[block], sums[block], moments):
                    peak[block], sums[block] = 0, 1
                    left.append(block)
        self.spare.append(buffers)
        log_density: Float64Array = np.log(2) * peak.astype(np.float64)
        log_density += np.log(sums.astype(np.float64))
        return log_density, left

    def _block(
        self,
        frames: FloatArray,
        buffers: _Buffers,
        peak: FloatArray,
        sums: FloatArray,
        moments: Float64Array | None,
    ) -> bool:
        """Work one block; say whether all went well."""
        kernel, projection, n = self.kernel, self.projection, len(frames)
        expanded, joint = buffers.expanded[:n], buffers.joint[:n]
        inverse = 1 / projection.scale
        kernel.expand(np.ascontiguousarray(frames), projection.shift, inverse, expanded)
        np.matmul(expanded, projection.matrix, out=joint)
        bits = joint.view(np.int32)
        if kernel.softmax(joint, bits, buffers.factors[:n], expanded, peak, sums):
            return False
        if moments is not None:
            np.matmul(expanded.T, joint, out=buffers.part)
            kernel.add(moments, buffers.part)
        return True


def fused(gmm: Mixture, projection: Projection, n_frames: int) -> FusedBlocks | None:
    """Give the compiled E-step where a pass over `n_frames` is worth it, else None.

    The choice depends on the size of the whole job alone, never on time or on the number of
    workers, so that the same job gives the same bits.
    """
    if projection.matrix.dtype != np.float32 or n_frames * gmm.n_components < FUSED_FROM:
        return None
    kernel = _kernel()
    if kernel is None:
        return None
    shift, scale = projection.shift.astype(np.float64), projection.scale.astype(np.float64)
    matrix = np.log2(np.e) * gmm.coefficients(shift, scale)
    matrix = np.ascontiguousarray(matrix, np.float32)
    return FusedBlocks(kernel, replace(projection, matrix=matrix))


def _joint(gmm: Mixture, frames: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    projection = project(gmm, frames.dtype)
    for block in blocks(len(frames)):
        yield block, joint_block(gmm, frames[block], projection)[1]


def log_density(gmm: Mixture, frames: FloatArray) -> Float64Array:
    """Give the log-density of each frame.

    Parameters
    ----------
    gmm : Mixture
    frames : (n_frames, n_dims) float array
        float32 frames are worked in float32 (about 1e-6 relative), others in float64.

    Returns
    -------
    (n_frames,) float64 array
        log p(x), in nats.

    Raises
    ------
    DataError
        For a frame that is not finite or of another dimension.
    """
    frames = finite_frames(frames, gmm.n_dims)
    projection = project(gmm, frames.dtype)
    compiled = fused(gmm, projection, len(frames))
    if compiled is not None and frames.dtype == np.float32:
        result, left = compiled.log_density(frames)
    else:
        result, left = np.empty(len(frames)), list(blocks(len(frames)))
    for block in left:
        _, joint = joint_block(gmm, frames[block], projection)
        result[block] = responsibilities(joint, out=joint)[2]
    return result


def posteriors(gmm: Mixture, frames: FloatArray) -> FloatArray:
    """Give the posterior probability of each component for each frame.

    Parameters
    ----------
    gmm : Mixture
    frames : (n_frames, n_dims) float array

    Returns
    -------
    (n_frames, n_components) float array
        Rows sum to 1; float32 for float32 frames.
    """
    frames = finite_frames(frames, gmm.n_dims)
    result = np.empty((len(frames), gmm.n_components), frames.dtype)
    for block, joint in _joint(gmm, frames):
        unnormalized, sums, _ = responsibilities(joint, out=joint)
        result[block] = unnormalized / sums[:, None]
    return result


def assign(gmm: Mixture, frames: FloatArray) -> IntArray:
    """Give the most probable component of each frame, (n_frames,) int array."""
    frames = finite_frames(frames, gmm.n_dims)
    result = np.empty(len(frames), np.intp)
    for block, joint in _joint(gmm, frames):
        result[block] = joint.argmax(axis=1)
    return result
