"""Densities and posteriors: the E-step's arithmetic, as matrix products.

With z = (x - shift) / scale, the joint log-density of a frame and a component is linear in
[z, z^2, 1] (Bishop, Pattern Recognition and Machine Learning, eq. 9.7 with a diagonal Sigma):

    log w_k N(x | k) = sum_d z_d m_kd / v_kd - sum_d z_d^2 / (2 v_kd) + b_k

so a block of frames against all components is one product; other covariances have other products
of z's entries in the place of z^2. Shift and scale are the mixture's own mean and standard
deviation: they keep single precision exact where the data lie far from zero. Diagonal and
spherical mixtures work in the frames' own precision; full and tied ones in float64, since their
precisions can be so ill-conditioned that float32 keeps no digit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.mixture.model import DiagonalGMM, Mixture

BLOCK = 1024  # frames a product: large enough for BLAS, small enough for the cache


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
    # Rounded to the frames' precision, so that x - shift is exact for frames near the centre.
    shift = mean.astype(own).astype(np.float64)
    scale = np.sqrt(variance).astype(own).astype(np.float64)
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
    exact = project(gmm, np.dtype(np.float64))
    return joint_block(gmm, np.asarray(frames, np.float64), exact)


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
    result = np.empty(len(frames))
    for block, joint in _joint(gmm, frames):
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
