"""A mixture as a front end: what the frames of a recording look like through it.

Frame by frame: log posteriors and soft labels. Recording by recording: the supervector, all adapted
means in one vector, and the Fisher vector, the slope of the log-likelihood. Both have a length that
does not depend on the recording's, so any classifier can take them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least, finite_frames, one_of, within
from voicegmm._base.errors import DataError
from voicegmm.mixture.collection import FrameSource, accumulate_each
from voicegmm.mixture.density import blocks, joint_block, project
from voicegmm.mixture.map import adapt_means
from voicegmm.mixture.model import DiagonalGMM, FullGMM, Mixture, TiedGMM
from voicegmm.mixture.statistics import Statistics

SCALINGS = ("none", "kl")


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """The most probable components of each frame, the most probable first.

    Parameters
    ----------
    components : (n_frames, n_best) int array
    probabilities : (n_frames, n_best) float array
        Posteriors, made to sum to 1 over the n best.
    kept : (n_frames,) float array
        What they summed to before: the share of the posterior that the n best hold.
    n_components : int
        Of the mixture.
    """

    components: IntArray
    probabilities: FloatArray
    kept: FloatArray
    n_components: int

    def posteriors(self) -> FloatArray:
        """Give the pruned posteriors, (n_frames, n_components): 0 where not among the n best."""
        dense = np.zeros((len(self.components), self.n_components), self.probabilities.dtype)
        np.put_along_axis(dense, self.components, self.probabilities, axis=1)
        return dense


@dataclass(frozen=True)
class SupervectorOptions:
    """How the means of a recording become one vector.

    Parameters
    ----------
    relevance : float
        As in `MapOptions`; 0 or more.
    scaling : {"kl", "none"}
        "kl": each mean times the square root of its weight, over the standard deviations, so that
        a dot product is the KL kernel; "none": the means as they are.
    centered : bool
        Whether the prior's own supervector is taken away: what is left is what differs from
        everybody, as cosine distance wants it.
    """

    relevance: float = 10.0
    scaling: str = "kl"
    centered: bool = False

    def __post_init__(self) -> None:
        at_least("relevance", self.relevance, 0)
        one_of("scaling", self.scaling, SCALINGS)


def log_posteriors(gmm: Mixture, frames: FloatArray, floor: float = -np.inf) -> FloatArray:
    """Give the logarithm of each component's posterior probability: a log posteriorgram.

    Parameters
    ----------
    gmm : Mixture
    frames : (n_frames, n_dims) float array
    floor : float
        No value falls below this, in nats, 0 or less; -10 or so for a classifier, to which it is
        all one whether a component is impossible or more than that.

    Returns
    -------
    (n_frames, n_components) float array
        0 or less; exact where `posteriors` is too small to be told from 0. float32 for float32
        frames.

    Raises
    ------
    DataError
        For a frame that is not finite or of another dimension.
    """
    within("floor", floor, -np.inf, 0)
    frames = finite_frames(frames, gmm.n_dims)
    projection = project(gmm, frames.dtype)
    result = np.empty((len(frames), gmm.n_components), frames.dtype)
    for block in blocks(len(frames)):
        below = _below_peak(joint_block(gmm, frames[block], projection)[1])
        below -= np.log(np.exp(below).sum(axis=1, keepdims=True))
        result[block] = np.maximum(below, floor)
    return result


def soft_labels(gmm: Mixture, frames: FloatArray, n_best: int = 10) -> SoftLabels:
    """Give the n most probable components of each frame: what a posteriorgram says, in less room.

    Parameters
    ----------
    gmm : Mixture
    frames : (n_frames, n_dims) float array
        Worked in blocks: beside them only the result is held in memory.
    n_best : int
        In [1, n_components]; all of them: the posteriors, sorted.

    Returns
    -------
    SoftLabels
        float32 for float32 frames.

    Raises
    ------
    DataError
        For a frame that is not finite or of another dimension.
    OptionError
        For more components than there are.
    """
    within("n_best", n_best, 1, gmm.n_components)
    frames = finite_frames(frames, gmm.n_dims)
    projection = project(gmm, frames.dtype)
    components = np.empty((len(frames), n_best), np.int32)
    probabilities = np.empty((len(frames), n_best), frames.dtype)
    kept = np.empty(len(frames), frames.dtype)
    for block in blocks(len(frames)):
        joint = joint_block(gmm, frames[block], projection)[1]
        # Set apart first, in any order: only the few that are left are sorted.
        few = np.sort(np.argpartition(joint, -n_best, axis=1)[:, -n_best:], axis=1)
        order = np.argsort(-np.take_along_axis(joint, few, axis=1), axis=1, kind="stable")
        components[block] = np.take_along_axis(few, order, axis=1)
        shares = np.exp(_below_peak(joint))
        best = np.take_along_axis(shares, components[block], axis=1)
        probabilities[block] = best / best.sum(axis=1, keepdims=True)
        kept[block] = np.minimum(best.sum(axis=1) / shares.sum(axis=1), 1)  # 1 but for rounding
    return SoftLabels(components, probabilities, kept, gmm.n_components)


def _below_peak(joint: FloatArray) -> FloatArray:
    below: FloatArray = joint - joint.max(axis=1, keepdims=True)
    return below


def supervector(
    prior: Mixture, statistics: Statistics, options: SupervectorOptions | None = None
) -> Float64Array:
    """Give the supervector of one recording: the prior's means adapted to it, one after the other.

    Parameters
    ----------
    prior : Mixture
        The background model, with covariances of any shape.
    statistics : Statistics
        Of the recording under the prior: see `accumulate`.
    options : SupervectorOptions, optional

    Returns
    -------
    (n_components * n_dims,) float64 array
        The first component's mean comes first.

    References
    ----------
    Campbell, Sturim, Reynolds, "Support vector machines using GMM supervectors for speaker
    verification", IEEE Signal Processing Letters 13 (2006).
    """
    options = options or SupervectorOptions()
    means = adapt_means(prior.means, statistics.counts, statistics.first, options.relevance)
    return stacked_means(prior, means, options)


def supervectors(
    prior: Mixture,
    recordings: Sequence[FrameSource],
    options: SupervectorOptions | None = None,
    n_workers: int = 1,
) -> Float32Array:
    """Give the supervectors of many recordings.

    Parameters
    ----------
    prior : Mixture
    recordings : sequence of FrameSource
        `ArraySource` of each recording's frames, parts of a feature store. One without frames
        gives the prior's own supervector.
    options : SupervectorOptions, optional
    n_workers : int
        Threads; their number does not change a bit.

    Returns
    -------
    (n_recordings, n_components * n_dims) float32 array
    """
    result = np.empty((len(recordings), prior.means.size), np.float32)
    for row, statistics in enumerate(accumulate_each(prior, recordings, n_workers)):
        result[row] = supervector(prior, statistics, options)
    return result


def stacked_means(
    prior: Mixture, means: FloatArray, options: SupervectorOptions | None = None
) -> Float64Array:
    """Stack means that were adapted already, of one model or of many.

    Parameters
    ----------
    prior : Mixture
        Its weights and covariances scale, its means center.
    means : (..., n_components, n_dims) float array
        As `adapt_means` gives them; `SpeakerModels.means` are such.
    options : SupervectorOptions, optional
        The relevance has no say any more.

    Returns
    -------
    (..., n_components * n_dims) float64 array
        With scaling "kl" the dot product of two is the KL kernel, sum_k w_k mu_k' Sigma_k^-1 nu_k,
        and half their squared distance is no less than the KL divergence of the two models
        (Campbell, Sturim and Reynolds 2006).

    Raises
    ------
    DataError
        For means that are not of the prior's shape.
    """
    options = options or SupervectorOptions()
    moved = np.array(means, np.float64)
    if moved.shape[-2:] != prior.means.shape:
        raise DataError(
            f"means must be (..., {prior.n_components}, {prior.n_dims}), got {moved.shape}"
        )
    if options.centered:
        moved -= prior.means
    if options.scaling == "kl":
        moved = np.sqrt(prior.weights)[:, None] * whitened(prior, moved)
    return moved.reshape(*moved.shape[:-2], -1)


def whitened(gmm: Mixture, means: Float64Array) -> Float64Array:
    """Give vectors in deviations of their components: L_k^-1 x_k, Sigma_k = L_k L_k'.

    Parameters
    ----------
    gmm : Mixture
        L_k is diagonal where the covariance is, else the lower Cholesky factor.
    means : (..., n_components, n_dims) float64 array
        Means, offsets of means or first moments.

    Returns
    -------
    (..., n_components, n_dims) float64 array
    """
    if isinstance(gmm, FullGMM | TiedGMM):
        return np.asarray((np.linalg.inv(_factors(gmm)) @ means[..., None])[..., 0])
    return np.asarray(means / np.sqrt(gmm.variances_by_dim()))


def unwhitened(gmm: Mixture, deviations: Float64Array) -> Float64Array:
    """Undo `whitened`: L_k times each vector, (..., n_components, n_dims)."""
    if isinstance(gmm, FullGMM | TiedGMM):
        return np.asarray((_factors(gmm) @ deviations[..., None])[..., 0])
    return np.asarray(deviations * np.sqrt(gmm.variances_by_dim()))


def _factors(gmm: FullGMM | TiedGMM) -> Float64Array:
    covariances = gmm.covariances if isinstance(gmm, FullGMM) else gmm.covariance
    return np.asarray(np.linalg.cholesky(covariances))


def fisher_vector(gmm: DiagonalGMM, statistics: Statistics) -> Float64Array:
    """Give the Fisher vector of one recording: where it would move the mixture, and how far.

    Parameters
    ----------
    gmm : DiagonalGMM
        Or a spherical mixture, taken as a diagonal one with equal variances.
    statistics : Statistics
        Of the recording under the mixture, at least one frame.

    Returns
    -------
    (2 * n_components * n_dims,) float64 array
        The gradients of the mean log-likelihood by the means and by the standard deviations, each
        over the root of its Fisher information: all components' means first, then all their
        deviations. 0 for a component of weight 0.

    Raises
    ------
    DataError
        If there are no frames.

    References
    ----------
    Perronnin, Dance, "Fisher kernels on visual vocabularies for image categorization", CVPR 2007;
    Sánchez, Perronnin, Mensink, Verbeek, "Image classification with the Fisher vector",
    International Journal of Computer Vision 105 (2013), eqs. 17 and 18.
    """
    if not statistics.n_frames > 0:
        raise DataError("a Fisher vector is of one frame at least, there are none")
    n, variances = statistics.counts[:, None], gmm.variances_by_dim()
    centered = statistics.first - n * gmm.means
    squared = statistics.second - 2 * gmm.means * statistics.first + n * gmm.means**2
    root = np.sqrt(gmm.weights)[:, None]
    share = np.divide(1 / statistics.n_frames, root, out=np.zeros_like(root), where=root > 0)
    by_means = share * centered / np.sqrt(variances)  # eq. 17
    by_deviations = share * (squared / variances - n) / np.sqrt(2)  # eq. 18
    return np.concatenate([by_means.ravel(), by_deviations.ravel()])
