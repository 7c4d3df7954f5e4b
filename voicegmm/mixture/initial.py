"""Where EM starts: k-means++ on a sample of the frames, then a few rounds of k-means."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least, finite_frames, within
from voicegmm._base.errors import DataError
from voicegmm.mixture.density import blocks
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import WORK_ITEM, FrameSource


@dataclass(frozen=True)
class InitialOptions:
    """How the first mixture is made.

    Parameters
    ----------
    sample_per_component : int
        Frames per component that are drawn for k-means; at least 1.
    n_kmeans_iterations : int
        Rounds of k-means after the k-means++ seeding; 0 or more.
    variance_floor : float
        As in `EmOptions`.
    """

    sample_per_component: int = 200
    n_kmeans_iterations: int = 5
    variance_floor: float = 1e-2

    def __post_init__(self) -> None:
        at_least("sample_per_component", self.sample_per_component, 1)
        at_least("n_kmeans_iterations", self.n_kmeans_iterations, 0)
        within("variance_floor", self.variance_floor, 1e-12, 1)


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


def initialize(
    frames: FloatArray,
    n_components: int,
    rng: np.random.Generator,
    options: InitialOptions | None = None,
) -> DiagonalGMM:
    """Make a first mixture from a sample of frames.

    Distances are taken after each dimension was divided by its standard deviation.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    n_components : int
        At least 1.
    rng : numpy.random.Generator
    options : InitialOptions, optional

    Returns
    -------
    DiagonalGMM
        One component a cluster: its share of the frames, its mean, its variances. With fewer
        different frames than components some components coincide.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    options = options or InitialOptions()
    at_least("n_components", n_components, 1)
    frames = finite_frames(frames)
    if len(frames) == 0:
        raise DataError("there are no frames to train on")
    exact = frames.astype(np.float64)
    mean, variance = exact.mean(axis=0), exact.var(axis=0)
    variance = np.maximum(variance, np.maximum(1e-12 * mean**2, 1e-12))
    points = (exact - mean) / np.sqrt(variance)
    centers = _spread_seeds(points, n_components, rng)
    for _ in range(options.n_kmeans_iterations):
        counts, first, _ = _cluster_moments(points, _nearest(points, centers), n_components)
        filled = counts > 0
        centers[filled] = first[filled] / counts[filled, None]
    counts, first, second = _cluster_moments(points, _nearest(points, centers), n_components)
    n = np.maximum(counts, 1)[:, None]
    means = np.where(counts[:, None] > 0, first / n, centers)
    spread = np.where(counts[:, None] > 1, second / n - means**2, 1.0)
    weights = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
    return DiagonalGMM(
        weights,
        means * np.sqrt(variance) + mean,
        np.maximum(spread, options.variance_floor) * variance,
    )


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


def _cluster_moments(
    points: Float64Array, labels: IntArray, n_clusters: int
) -> tuple[Float64Array, Float64Array, Float64Array]:
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=n_clusters).astype(np.float64)
    ordered = points[order]
    filled = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]]).astype(np.intp)
    first = np.zeros((n_clusters, points.shape[1]))
    second = np.zeros_like(first)
    first[filled] = np.add.reduceat(ordered, starts, axis=0)
    second[filled] = np.add.reduceat(ordered**2, starts, axis=0)
    return counts, first, second
