"""A mixture and a uniform clutter: what no component explains is left to a constant density."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm.mixture.density import log_density
from voicegmm.mixture.model import LOG_2_PI, Mixture
from voicegmm.mixture.statistics import Statistics, accumulate

_ROUNDS = 10  # of EM, at most, that a lump has to find its place
_SETTLED = 0.02  # it has found it when its weight changes by less


@dataclass(frozen=True, eq=False)
class Explained:
    """Who explains which points: the E-step of a mixture with clutter.

    Parameters
    ----------
    statistics : Statistics
        Of the components, the clutter's part of each point taken off its weight.
    clutter : (n_points,) float64 array
        The posterior probability of the clutter for each point.
    log_intensity : (n_points,) float64 array
        Log of the expected weight per unit of volume, of mixture and clutter together.
    """

    statistics: Statistics
    clutter: Float64Array
    log_intensity: Float64Array


def explain(
    gmm: Mixture, mass: float, clutter_density: float, points: FloatArray, weights: Float64Array
) -> Explained:
    """Share points out among the components of a mixture and a uniform clutter.

    The posterior of a component is that under the mixture alone, times what the clutter leaves:
    the clutter's part comes off the weights, and `accumulate` does the rest.

    Parameters
    ----------
    gmm : Mixture
    mass : float
        The weight that the whole mixture is expected to explain; above 0.
    clutter_density : float
        The weight of the clutter per unit of volume; above 0.
    points : (n_points, n_dims) float array
    weights : (n_points,) float array
        0 or more.

    Returns
    -------
    Explained
    """
    of_mixture = np.log(mass) + log_density(gmm, points)
    log_intensity = np.logaddexp(of_mixture, np.log(clutter_density))
    clutter = np.exp(np.log(clutter_density) - log_intensity)
    statistics = accumulate(gmm, points, weights * (1 - clutter))
    return Explained(statistics, clutter, log_intensity)


@dataclass(frozen=True, eq=False)
class Lump:
    """Points that stand out from the clutter in one place.

    Parameters
    ----------
    mass : float
        Their weight.
    center : (n_dims,) float64 array
    posteriors : (n_points,) float64 array
        Whether each point belongs to it.
    """

    mass: float
    center: Float64Array
    posteriors: Float64Array


def find_lump(
    points: FloatArray,
    weights: Float64Array,
    clutter_density: float,
    std: float,
) -> Lump:
    """Find where points stand out most from a uniform clutter.

    The heaviest cell of a grid of two `std` is where EM starts, with one component and the clutter.
    The component stays round and as wide as `std`: free to widen, it would cover its neighbors.

    Parameters
    ----------
    points : (n_points, n_dims) float array
        At least one.
    weights : (n_points,) float array
        0 or more, with a sum above 0.
    clutter_density : float
        The weight of the clutter per unit of volume; above 0.
    std : float
        How wide a lump is, in units of the data; above 0.

    Returns
    -------
    Lump
    """
    cells = np.floor((points - points.min(axis=0)) / (2 * std)).astype(np.int64)
    labels = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    by_cell = np.bincount(labels, weights)
    here = labels == by_cell.argmax()
    mass = float(by_cell.max())
    center = weights[here] @ points[here] / mass
    log_height = -0.5 * points.shape[1] * (LOG_2_PI + 2 * np.log(std)) - np.log(clutter_density)
    posteriors = np.zeros(len(points))
    for _ in range(_ROUNDS):
        distances = np.square((points - center) / std).sum(axis=1)
        with np.errstate(over="ignore"):  # far away the clutter is infinitely more probable
            posteriors = 1 / (1 + np.exp(0.5 * distances - log_height) / mass)
        answered = weights * posteriors
        before, mass = mass, float(answered.sum())
        if not mass > 0:
            break
        center = answered @ points / mass
        if abs(mass - before) < _SETTLED * mass:
            break
    return Lump(mass, center, posteriors)


def evidence(
    counts: Float64Array, covariances: Float64Array, clutter_density: float, quantum: float
) -> Float64Array:
    """Weigh whether components are there against the clutter having made them up by chance.

    Over a Gaussian's effective volume U = 1 / integral N^2 = (4 pi)^(D/2) |S|^(1/2) the clutter
    would leave a weight of b = density U; that it is n is n log(n / b) - (n - b) nats less
    probable than with a component (the log-likelihood ratio of two Poisson counts), 0 for n < b.

    Parameters
    ----------
    counts : (n_components,) float array
        n: the weight that each explains.
    covariances : (n_components, n_dims, n_dims) float array
    clutter_density : float
        The weight of the clutter per unit of volume; above 0.
    quantum : float
        Weight that counts as one.

    Returns
    -------
    (n_components,) float64 array
        In nats, 0 or more.
    """
    n_dims = covariances.shape[-1]
    log_volume = n_dims / 2 * np.log(4 * np.pi) + 0.5 * np.linalg.slogdet(covariances)[1]
    chance = clutter_density * np.exp(log_volume)
    n = np.maximum(counts, chance)
    nats: Float64Array = (n * np.log(n / chance) - (n - chance)) / quantum
    return nats


def moments(statistics: Statistics) -> tuple[Float64Array, Float64Array]:
    """Give means and covariances that statistics of full covariances tell of.

    Returns
    -------
    means : (n_components, n_dims) float64 array
        0 where there is no data.
    covariances : (n_components, n_dims, n_dims) float64 array
    """
    n = np.where(statistics.counts > 0, statistics.counts, 1.0)
    means: Float64Array = statistics.first / n[:, None]
    covariances = statistics.second / n[:, None, None] - means[:, :, None] * means[:, None, :]
    return means, covariances


def bounded(covariances: Float64Array, least_std: float, greatest_std: float) -> Float64Array:
    """Keep the standard deviations of covariances within bounds, along every direction."""
    values, vectors = np.linalg.eigh((covariances + np.swapaxes(covariances, 1, 2)) / 2)
    values = np.clip(values, least_std**2, greatest_std**2)
    held: Float64Array = (vectors * values[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return (held + np.swapaxes(held, 1, 2)) / 2
