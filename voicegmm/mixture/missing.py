"""The E-step of frames with missing values: NaN stands for a number that nobody knows.

Each function is the twin of the one whose name follows "incomplete_". They are exact where values
are missing at random: that a value is missing may depend on what was observed, not on itself.
What is missing is summed away, never guessed: the density of a frame is that of its observed
values, and the sums that the M-step needs take what each component expects of the others,

    E[x_m | x_o, k]  and  E[x_m x_m' | x_o, k] = E[x_m | x_o, k] E[x_m | x_o, k]' + C_k

(`patterns` has the formulas), so that `maximize` and `fit` are those of complete frames, and no
step lowers the likelihood of the observed values (Ghahramani and Jordan, "Supervised learning from
incomplete data via an EM approach", NIPS 6, 1994, section 2.2; Little and Rubin, Statistical
Analysis with Missing Data, 2002, section 11.2).

Frames without a NaN go through the ordinary functions. The others are worked in float64: as masked
matrix products for diagonal and spherical covariances; for full and tied ones grouped by what is
observed (`patterns`), for the more patterns there are, the more matrices must be inverted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture.collection import WORK_ITEM, FrameSource
from voicegmm.mixture.density import (
    assign,
    blocks,
    log_density,
    posteriors,
    project,
    responsibilities,
)
from voicegmm.mixture.maximization import M
from voicegmm.mixture.model import LOG_2_PI, DiagonalGMM, FullGMM, Mixture, ScaledSums, TiedGMM
from voicegmm.mixture.online import OnlineFit, OnlineOptions, blend
from voicegmm.mixture.patterns import Batch, Conditioned, batches, conditioned
from voicegmm.mixture.statistics import Statistics, accumulate, as_floats, checked_weights


def frames_with_missing(frames: Any, n_dims: int | None = None, first: int = 0) -> FloatArray:
    """Check that frames are a float matrix without infinities; NaN is welcome.

    Parameters
    ----------
    frames : (n_frames, n_dims) array_like
        float32 stays float32; anything else becomes float64.
    n_dims : int, optional
        The number of columns that is expected.
    first : int
        The number of the first of them, for an error.

    Returns
    -------
    (n_frames, n_dims) float32 or float64 array

    Raises
    ------
    DataError
        For another shape or an infinity; the first bad frame is named.
    """
    array = as_floats(frames)
    finite_frames(array[:0] if array.ndim == 2 else array, n_dims)
    bad = np.flatnonzero(np.isinf(array).any(axis=1))
    if bad.size:
        raise DataError(
            f"frames must be finite, or NaN where a value is missing: {bad.size} of {len(array)} "
            f"hold an infinity, the first is number {first + bad[0]} (counting from 0)"
        )
    return array


def incomplete_log_density(gmm: Mixture, frames: FloatArray) -> Float64Array:
    """Give the log-density of each frame's observed values.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape.
    frames : (n_frames, n_dims) float array
        NaN where a value is missing.

    Returns
    -------
    (n_frames,) float64 array
        In nats; 0 for a frame without a single value. Densities of different dimensions have
        different units: compare mixtures on a frame, not frames under a mixture.

    Raises
    ------
    DataError
        For a frame with an infinity, of another dimension, or too far from every component.
    """
    frames, complete, incomplete = _parted(gmm, frames)
    result = np.empty(len(frames))
    if complete.size:
        result[complete] = log_density(gmm, frames[complete])
    for rows, joint in _joint(gmm, frames[incomplete]):
        result[incomplete[rows]] = responsibilities(joint)[2]
    return result


def incomplete_posteriors(gmm: Mixture, frames: FloatArray) -> FloatArray:
    """Give the posterior probability of each component given each frame's observed values.

    Parameters
    ----------
    gmm, frames
        As in `incomplete_log_density`.

    Returns
    -------
    (n_frames, n_components) float array
        Rows sum to 1, and are the weights for a frame without a single value; float32 for float32
        frames.
    """
    frames, complete, incomplete = _parted(gmm, frames)
    result = np.empty((len(frames), gmm.n_components), frames.dtype)
    if complete.size:
        result[complete] = posteriors(gmm, frames[complete])
    for rows, joint in _joint(gmm, frames[incomplete]):
        unnormalized, sums, _ = responsibilities(joint)
        result[incomplete[rows]] = unnormalized / sums[:, None]
    return result


def incomplete_assign(gmm: Mixture, frames: FloatArray) -> IntArray:
    """Give the most probable component of each frame by its observed values, (n_frames,) ints."""
    frames, complete, incomplete = _parted(gmm, frames)
    result = np.empty(len(frames), np.intp)
    if complete.size:
        result[complete] = assign(gmm, frames[complete])
    for rows, joint in _joint(gmm, frames[incomplete]):
        result[incomplete[rows]] = joint.argmax(axis=1)
    return result


def incomplete_accumulate(
    gmm: Mixture, frames: FloatArray, frame_weights: FloatArray | None = None
) -> Statistics:
    """Collect the statistics that are expected of frames under a mixture: the E-step.

    Parameters
    ----------
    gmm, frames
        As in `incomplete_log_density`.
    frame_weights : (n_frames,) float array, optional
        0 or more; 1 for every frame by default.

    Returns
    -------
    Statistics
        Every frame counts, also one without a single value, which changes no maximum: it is
        expected to be what the mixture says. The log-likelihood is that of the observed values.

    Raises
    ------
    DataError
        As `incomplete_log_density` does, and for weights that do not fit.
    """
    return _accumulated(gmm, (0, frames, frame_weights))


def incomplete_collector(
    source: FrameSource, n_workers: int = 1, *, workers: str = "threads"
) -> Callable[[Mixture], Statistics]:
    """Make the `collect` of a fit to frames with missing values.

    Parameters
    ----------
    source : FrameSource
        NaN where a value is missing. Read in the calling thread, a few work items ahead.
    n_workers : int
        The bits are the same for any number.
    workers : {"threads", "processes"}
        Many patterns of missing values and few frames of each keep one thread busy at a time:
        then processes help, where the covariances are full or tied.

    Returns
    -------
    callable
        gmm -> Statistics
    """

    def collect(gmm: Mixture) -> Statistics:
        items = blocks(source.n_frames, WORK_ITEM)
        parts = ((item.start, *source.read(item.start, item.stop)) for item in items)
        total = tree_sum(ordered_map(partial(_accumulated, gmm), parts, n_workers, workers))
        return Statistics.zero(gmm) if total is None else total

    return collect


def incomplete_online_step(
    state: OnlineFit[M],
    frames: FloatArray,
    options: OnlineOptions | None = None,
    frame_weights: FloatArray | None = None,
) -> OnlineFit[M]:
    """Learn from one batch of a stream in which values are missing.

    Parameters
    ----------
    state, options, frame_weights
        As in `online_step`.
    frames : (n_frames, n_dims) float array
        NaN where a value is missing.

    Returns
    -------
    OnlineFit
        With nothing missing, that of `online_step` to the bit.

    Raises
    ------
    DataError
        As `incomplete_accumulate` does.
    """
    return blend(state, incomplete_accumulate(state.gmm, frames, frame_weights), options)


def _accumulated(gmm: Mixture, part: tuple[int, FloatArray, FloatArray | None]) -> Statistics:
    """Collect statistics of frames, of which the first has a number, and their weights."""
    number, frames, frame_weights = part
    frames, complete, incomplete = _parted(gmm, frames, number)
    weights = checked_weights(frame_weights, len(frames))
    total = accumulate(gmm, frames[complete], None if weights is None else weights[complete])
    if not incomplete.size:
        return total
    rest = frames[incomplete]
    its_weights = np.ones(len(rest)) if weights is None else weights[incomplete]
    if isinstance(gmm, FullGMM | TiedGMM):
        for batch in _batched(gmm, rest):
            total = total + batch.statistics(its_weights)
        return total
    assert isinstance(gmm, DiagonalGMM)
    return total + _masked_statistics(gmm, rest, its_weights)


def _parted(
    gmm: Mixture, frames: FloatArray, first: int = 0
) -> tuple[FloatArray, IntArray, IntArray]:
    """Check frames; say which are complete and which are not."""
    frames = frames_with_missing(frames, gmm.n_dims, first)
    lacking = np.isnan(frames).any(axis=1)
    return frames, np.flatnonzero(~lacking), np.flatnonzero(lacking)


def _joint(gmm: Mixture, frames: FloatArray) -> Iterator[tuple[IntArray, Float64Array]]:
    """Give which frames, and the joint log-density of their observed values and each component."""
    if not len(frames):
        return
    if isinstance(gmm, FullGMM | TiedGMM):
        for part in _batched(gmm, frames):
            yield part.batch.rows[part.batch.filled], part.joint
    else:
        assert isinstance(gmm, DiagonalGMM)
        masked = _Masked.of(gmm)
        for block in blocks(len(frames)):
            yield np.arange(block.start, block.stop), masked.joint(masked.expand(frames[block]))


def _log_weights(gmm: Mixture) -> Float64Array:
    with np.errstate(divide="ignore"):  # a weight of zero is a component that never answers
        return np.asarray(np.log(gmm.weights), np.float64)


def _within_reach(joint: Float64Array, frames: FloatArray) -> Float64Array:
    if not np.isfinite(joint.max(axis=1)).all():
        raise DataError(
            f"a frame holds {np.nanmax(np.abs(frames)):.3g}, too far from every component to be "
            "scored"
        )
    return joint


@dataclass(frozen=True, eq=False)
class _Masked:
    """A diagonal mixture as the matrix that [z, z^2, 1] is multiplied with, each times observed."""

    gmm: DiagonalGMM
    shift: Float64Array
    scale: Float64Array
    means: Float64Array  # of z = (x - shift) / scale
    variances: Float64Array
    matrix: Float64Array  # (3 n_dims, n_components)

    @staticmethod
    def of(gmm: DiagonalGMM) -> "_Masked":
        projection = project(gmm, np.dtype(np.float64))
        shift, scale = (np.asarray(a, np.float64) for a in (projection.shift, projection.scale))
        variances = gmm.variances_by_dim()
        m, v = (gmm.means - shift) / scale, variances / scale**2
        bias = -0.5 * (LOG_2_PI + np.log(variances) + m**2 / v)
        matrix = np.concatenate([(m / v).T, -0.5 / v.T, bias.T])
        return _Masked(gmm, shift, scale, m, v, matrix)

    def expand(self, frames: FloatArray) -> Float64Array:
        observed = ~np.isnan(frames)
        z = np.where(observed, (frames - self.shift) / self.scale, 0.0)
        with np.errstate(over="ignore"):
            return np.concatenate([z, z**2, observed], axis=1, dtype=np.float64)

    def joint(self, expanded: Float64Array) -> Float64Array:
        with np.errstate(over="ignore", invalid="ignore"):
            joint = expanded @ self.matrix + _log_weights(self.gmm)
        return _within_reach(joint, expanded[:, : self.gmm.n_dims] * self.scale + self.shift)


def _masked_statistics(gmm: DiagonalGMM, frames: FloatArray, weights: Float64Array) -> Statistics:
    """Sum what is observed, then add what each component expects of as many as are missing."""
    masked = _Masked.of(gmm)
    moments, counts = np.zeros((gmm.n_components, 3 * gmm.n_dims)), np.zeros(gmm.n_components)
    log_likelihood = 0.0
    for block in blocks(len(frames)):
        expanded = masked.expand(frames[block])
        gamma, sums, log_densities = responsibilities(masked.joint(expanded))
        gamma *= (weights[block] / sums)[:, None]
        moments += gamma.T @ expanded
        counts += gamma.sum(axis=0)
        log_likelihood += float(weights[block] @ log_densities)
    first, squares, n_observed = np.split(moments, 3, axis=1)
    n_missing = counts[:, None] - n_observed
    first = first + n_missing * masked.means
    squares = squares + n_missing * (masked.means**2 + masked.variances)
    scaled = ScaledSums(counts, first, squares, masked.shift, masked.scale)
    return Statistics(
        counts,
        scaled.first_moments(),
        gmm.second_moments(scaled),
        log_likelihood,
        float(weights.sum()),
    )


def _batched(gmm: FullGMM | TiedGMM, frames: FloatArray) -> Iterator["_Batch"]:
    for batch in batches(~np.isnan(frames), gmm.n_components):
        yield _Batch.of(gmm, np.asarray(frames[batch.rows], np.float64), batch)


@dataclass(frozen=True, eq=False)
class _Batch:
    """A batch of frames under the mixture that is conditioned on its patterns."""

    frames: Float64Array  # (n_patterns, n, n_dims)
    batch: Batch
    given: Conditioned
    pulls: Float64Array
    joint: Float64Array  # of the frames in the places that are filled, (n_frames, n_components)
    tied: bool

    @staticmethod
    def of(gmm: FullGMM | TiedGMM, frames: Float64Array, batch: Batch) -> "_Batch":
        given = conditioned(gmm, batch.observed)
        centered = given.centered(frames)
        with np.errstate(over="ignore", invalid="ignore"):
            pulls = given.pulls(centered)
            densities = given.log_densities(centered, pulls)[:, batch.filled].T
            joint = densities + _log_weights(gmm)
        joint = _within_reach(joint, frames)
        return _Batch(frames, batch, given, pulls, joint, isinstance(gmm, TiedGMM))

    def statistics(self, weights: Float64Array) -> Statistics:
        """Sum the frames as each component completes them, and the spread it leaves open."""
        K, n_dims = self.given.means.shape
        weight = weights[self.batch.rows[self.batch.filled]]
        unnormalized, sums, log_densities = responsibilities(self.joint)
        gamma = np.zeros((K, *self.batch.rows.shape))
        gamma[:, self.batch.filled] = (unnormalized * (weight / sums)[:, None]).T
        shares = gamma.reshape(K, 1, -1)
        whole = self.given.expected(self.frames, self.pulls).reshape(K, -1, n_dims)
        second = (np.swapaxes(whole, 1, 2) * shares) @ whole
        second += self.given.spread(gamma.sum(axis=2))
        return Statistics(
            gamma.sum(axis=(1, 2)),
            (shares @ whole)[:, 0],
            second.sum(axis=0) if self.tied else second,
            float(weight @ log_densities),
            float(weight.sum()),
        )
