"""Where EM starts: a first mixture from a sample of the frames, made in one of five ways.

Parameters that are given need none of them: a mixture is a start already, hand it to `fit`.
"""

from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least, finite_frames, one_of, within
from voicegmm._base.errors import DataError
from voicegmm.mixture.collection import WORK_ITEM, FrameSource
from voicegmm.mixture.density import blocks
from voicegmm.mixture.maximization import EmOptions, maximize
from voicegmm.mixture.model import DiagonalGMM, FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.mixture.statistics import Statistics

METHODS = ("kmeans", "kmeans++", "frames", "random", "lbg")
COVARIANCE_TYPES = ("spherical", "diagonal", "tied", "full")

_REFILLS = 10  # most attempts to give every cluster its frames
_HALF = float(np.sqrt(2 / np.pi))  # the mean of half a normal distribution lies here


@dataclass(frozen=True)
class InitialOptions:
    """How the first mixture is made.

    Parameters
    ----------
    sample_per_component : int
        Frames per component that are drawn for k-means; at least 1.
    n_kmeans_iterations : int
        Rounds of k-means after the seeding, or after each splitting; 0 or more.
    variance_floor : float
        As in `EmOptions`.
    method : {"kmeans", "kmeans++", "frames", "random", "lbg"}
        k-means from k-means++ seeds; the seeds alone; random frames as centers; random
        responsibilities, which put all means near the data's mean; binary splitting from one
        cluster (Linde, Buzo and Gray), which draws nothing at random.
    min_cluster_frames : int
        A cluster with fewer frames gives them to its neighbors and becomes half of one of the
        largest; 0: it stays. EM would find it starved at once: k-means++ likes outliers. Not for
        "random", which has no clusters.
    """

    sample_per_component: int = 200
    n_kmeans_iterations: int = 5
    variance_floor: float = 1e-2
    method: str = "kmeans"
    min_cluster_frames: int = 3

    def __post_init__(self) -> None:
        at_least("sample_per_component", self.sample_per_component, 1)
        at_least("n_kmeans_iterations", self.n_kmeans_iterations, 0)
        within("variance_floor", self.variance_floor, 1e-12, 1)
        one_of("method", self.method, METHODS)
        at_least("min_cluster_frames", self.min_cluster_frames, 0)


def sample_frames(source: FrameSource, n_frames: int, rng: np.random.Generator) -> FloatArray:
    """Draw frames from a source without replacement, in their order; all if there are fewer."""
    if n_frames >= source.n_frames:
        chosen = np.arange(source.n_frames)
    else:
        chosen = np.sort(rng.choice(source.n_frames, n_frames, replace=False, shuffle=False))
    parts = []
    for block in blocks(source.n_frames, WORK_ITEM):
        low, high = np.searchsorted(chosen, (block.start, block.stop))
        if low < high:
            frames, _ = source.read(block.start, block.stop)
            parts.append(frames[chosen[low:high] - block.start])
    if not parts:
        raise DataError("there are no frames to train on")
    return finite_frames(np.concatenate(parts))


@overload
def initialize(
    frames: FloatArray,
    n_components: int,
    rng: np.random.Generator,
    options: InitialOptions | None = None,
    *,
    covariance_type: Literal["diagonal"] = "diagonal",
) -> DiagonalGMM: ...


@overload
def initialize(
    frames: FloatArray,
    n_components: int,
    rng: np.random.Generator,
    options: InitialOptions | None = None,
    *,
    covariance_type: str,
) -> Mixture: ...


def initialize(
    frames: FloatArray,
    n_components: int,
    rng: np.random.Generator,
    options: InitialOptions | None = None,
    *,
    covariance_type: str = "diagonal",
) -> Mixture:
    """Make a first mixture from a sample of frames.

    Distances are taken after each dimension was divided by its standard deviation.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    n_components : int
        At least 1.
    rng : numpy.random.Generator
    options : InitialOptions, optional
    covariance_type : {"diagonal", "spherical", "tied", "full"}

    Returns
    -------
    DiagonalGMM, SphericalGMM, TiedGMM or FullGMM
        One component a cluster: its share of the frames, its mean, its covariance. With fewer
        different frames than components some components coincide.

    Raises
    ------
    DataError
        If there is no frame, or one that is not finite.
    OptionError
        For an unknown covariance type.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    Linde, Buzo and Gray, "An algorithm for vector quantizer design", IEEE Transactions on
    Communications 28 (1980).
    """
    options = options or InitialOptions()
    at_least("n_components", n_components, 1)
    one_of("covariance_type", covariance_type, COVARIANCE_TYPES)
    frames = finite_frames(frames)
    if len(frames) == 0:
        raise DataError("there are no frames to train on")
    exact = frames.astype(np.float64)
    mean, variance = exact.mean(axis=0), exact.var(axis=0)
    variance = np.maximum(variance, np.maximum(1e-12 * mean**2, 1e-12))
    points = (exact - mean) / np.sqrt(variance)
    by_products = covariance_type in ("tied", "full")
    if options.method == "random":
        centers = np.zeros((n_components, points.shape[1]))
        sums = _random_sums(points, n_components, rng, by_products)
    else:
        centers = _refilled(points, _centers(points, n_components, rng, options), options)
        labels = _nearest(points, centers)
        sums = _cluster_sums(points, labels, n_components, by_products)
    if by_products:
        return _correlated(covariance_type, sums, centers, mean, variance, options.variance_floor)
    counts, first, second = sums
    n = np.maximum(counts, 1)[:, None]
    means = np.where(counts[:, None] > 0, first / n, centers)
    spread = np.where(counts[:, None] > 1, second / n - means**2, 1.0)
    weights = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
    means = means * np.sqrt(variance) + mean
    variances = np.maximum(spread, options.variance_floor) * variance
    if covariance_type == "spherical":
        return SphericalGMM(weights, means, variances.mean(axis=1))
    return DiagonalGMM(weights, means, variances)


def _correlated(
    covariance_type: str,
    sums: tuple[Float64Array, Float64Array, Float64Array],
    centers: Float64Array,
    mean: Float64Array,
    variance: Float64Array,
    variance_floor: float,
) -> Mixture:
    """Make a tied or a full mixture of the sums of standardized frames."""
    counts, first, products = sums
    n_components, n_dims = first.shape
    # A cluster of one frame, or of none, has no covariance of its own: it gets the data's.
    options = EmOptions(variance_floor=0, variance_floor_absolute=variance_floor, min_count=1.5)
    uniform, unit = np.full(n_components, 1 / n_components), np.eye(n_dims)
    prior: Mixture
    if covariance_type == "full":
        prior = FullGMM(uniform, centers, np.tile(unit, (n_components, 1, 1)))
    else:
        prior, products = TiedGMM(uniform, centers, unit), products.sum(axis=0)
    statistics = Statistics(counts, first, products, 0.0, counts.sum())
    made = maximize(prior, statistics, options).gmm
    weights = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
    means = made.means * np.sqrt(variance) + mean
    scale = np.sqrt(np.outer(variance, variance))
    if isinstance(made, TiedGMM):
        return TiedGMM(weights, means, made.covariance * scale)
    return FullGMM(weights, means, made.covariances * scale)


def _centers(
    points: Float64Array, n_components: int, rng: np.random.Generator, options: InitialOptions
) -> Float64Array:
    rounds = options.n_kmeans_iterations
    if options.method == "lbg":
        return _binary_splitting(points, n_components, rounds)
    if options.method == "frames":
        few = len(points) < n_components
        drawn: Float64Array = points[rng.choice(len(points), n_components, replace=few)]
        return drawn
    seeds = _spread_seeds(points, n_components, rng)
    return _lloyd(points, seeds, rounds) if options.method == "kmeans" else seeds


def _lloyd(points: Float64Array, centers: Float64Array, n_rounds: int) -> Float64Array:
    """Run rounds of k-means; a center without points stays where it is."""
    centers = centers.copy()
    for _ in range(n_rounds):
        labels = _nearest(points, centers)
        counts, first, _ = _cluster_sums(points, labels, len(centers))
        filled = counts > 0
        centers[filled] = first[filled] / counts[filled, None]
    return centers


def _binary_splitting(points: Float64Array, n_components: int, n_rounds: int) -> Float64Array:
    """Split the clusters of greatest distortion in two, until there are enough (Linde 1980)."""
    centers: Float64Array = points.mean(axis=0)[None]
    while len(centers) < n_components:
        labels = _nearest(points, centers)
        counts, first, second = _cluster_sums(points, labels, len(centers))
        distortion = (second - first**2 / np.maximum(counts, 1)[:, None]).sum(axis=1)
        # Only what is worst: a cluster that is done with would waste the halves.
        chosen = np.argsort(-distortion, kind="stable")[: n_components - len(centers)]
        chosen = chosen[distortion[chosen] >= distortion.max() / 2]
        chosen = chosen[distortion[chosen] > 1e-9 * counts[chosen]]
        if chosen.size == 0:  # fewer different frames than components
            return np.resize(centers, (n_components, points.shape[1]))
        offsets = np.stack([_half_offset(points[labels == cluster]) for cluster in chosen])
        halves = centers[chosen] + offsets
        centers[chosen] -= offsets
        centers = _lloyd(points, np.concatenate([centers, halves]), n_rounds)
    return centers


def _half_offset(members: Float64Array) -> Float64Array:
    """Give the step from a cluster's mean to that of one half, along its longest axis."""
    deviations = members - members.mean(axis=0)
    values, vectors = np.linalg.eigh(deviations.T @ deviations / len(members))
    axis = vectors[:, -1]
    sign = np.sign(axis[np.abs(axis).argmax()])  # eigenvectors come with either sign
    offset: Float64Array = sign * _HALF * np.sqrt(max(values[-1], 0.0)) * axis
    return offset


def _refilled(points: Float64Array, centers: Float64Array, options: InitialOptions) -> Float64Array:
    """Move the centers of clusters with too few frames into the largest ones, half each."""
    n_clusters, least = len(centers), options.min_cluster_frames
    if len(points) < least * n_clusters:
        return centers
    for _ in range(_REFILLS):
        labels = _nearest(points, centers)
        counts, first, second = _cluster_sums(points, labels, n_clusters)
        starved = np.flatnonzero(counts < least)
        distortion = (second - first**2 / np.maximum(counts, 1)[:, None]).sum(axis=1)
        # What is left of them must not be starved in turn, nor can equal frames be told apart.
        able = np.flatnonzero((counts >= 2 * least) & (distortion > 1e-9 * counts))
        pairs = list(zip(starved, able[np.argsort(-counts[able], kind="stable")], strict=False))
        if not pairs:
            break
        centers = centers.copy()
        for lost, largest in pairs:
            offset = _half_offset(points[labels == largest])
            centers[lost] = centers[largest] + offset
            centers[largest] -= offset
        centers = _lloyd(points, centers, min(options.n_kmeans_iterations, 2))
    return centers


def _spread_seeds(
    points: Float64Array, n_components: int, rng: np.random.Generator
) -> Float64Array:
    """Choose seeds far from one another: each with chance proportional to its distance squared."""
    centers = np.empty((n_components, points.shape[1]))
    norms = (points**2).sum(axis=1)
    centers[0] = points[rng.integers(len(points))]
    distance = np.full(len(points), np.inf)
    for number in range(1, n_components):
        last = centers[number - 1]
        distance = np.minimum(distance, norms - 2 * (points @ last) + last @ last)
        # What is smaller than rounding is a frame that was chosen already.
        reach = np.cumsum(np.where(distance > 1e-9 * (1 + norms), distance, 0))
        if reach[-1] > 0:
            chosen = int(np.searchsorted(reach, rng.random() * reach[-1], side="right"))
            chosen = min(chosen, len(points) - 1)
        else:  # fewer different frames than components
            chosen = int(rng.integers(len(points)))
        centers[number] = points[chosen]
    return centers


def _nearest(points: Float64Array, centers: Float64Array) -> IntArray:
    nearest = np.empty(len(points), np.intp)
    half_norms = 0.5 * (centers**2).sum(axis=1)
    for block in blocks(len(points)):
        nearest[block] = (points[block] @ centers.T - half_norms).argmax(axis=1)
    return nearest


def _cluster_sums(
    points: Float64Array, labels: IntArray, n_clusters: int, by_products: bool = False
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Give each cluster's count, its sum of x, and of x^2, or of x x' if asked."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=n_clusters).astype(np.float64)
    ordered = points[order]
    filled = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]]).astype(np.intp)
    first = np.zeros((n_clusters, points.shape[1]))
    first[filled] = np.add.reduceat(ordered, starts, axis=0)
    if by_products:
        products = np.zeros((n_clusters, points.shape[1], points.shape[1]))
        for cluster, members in zip(filled, np.split(ordered, starts[1:]), strict=True):
            products[cluster] = members.T @ members
        return counts, first, products
    second = np.zeros_like(first)
    second[filled] = np.add.reduceat(ordered**2, starts, axis=0)
    return counts, first, second


def _random_sums(
    points: Float64Array, n_components: int, rng: np.random.Generator, by_products: bool
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Give the same sums, each frame shared out at random among all components."""
    n_dims = points.shape[1]
    counts, first = np.zeros(n_components), np.zeros((n_components, n_dims))
    squares = np.zeros((n_components, n_dims))
    products = np.zeros((n_components, n_dims, n_dims)) if by_products else squares
    for block in blocks(len(points)):
        z = points[block]
        shares = rng.random((len(z), n_components))
        shares /= shares.sum(axis=1, keepdims=True)
        counts += shares.sum(axis=0)
        first += shares.T @ z
        if by_products:
            for component in range(n_components):
                products[component] += (shares[:, [component]] * z).T @ z
        else:
            squares += shares.T @ z**2
    return counts, first, products
