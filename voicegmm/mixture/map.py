"""Maximum a posteriori adaptation: a speaker's model from a background model and a little speech.

MAP of the means is an M-step on statistics to which `relevance` imaginary frames per component,
drawn from the prior, were added.
"""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least
from voicegmm._base.errors import OptionError
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import Statistics


@dataclass(frozen=True)
class MapOptions:
    """How a mixture is adapted.

    Parameters
    ----------
    relevance : float
        Frames that a component must see before it trusts them as much as the prior; 0 or more.
    means, variances, weights : bool
        What is adapted.
    """

    relevance: float = 10.0
    means: bool = True
    variances: bool = False
    weights: bool = False

    def __post_init__(self) -> None:
        at_least("relevance", self.relevance, 0)
        if not np.isfinite(self.relevance):
            raise OptionError(f"relevance must be finite, got {self.relevance}")
        if not (self.means or self.variances or self.weights):
            raise OptionError("means, variances or weights must be true: nothing would be adapted")


def trust(counts: Float64Array, relevance: float) -> Float64Array:
    """Give alpha = n / (n + relevance), 0 where there is no data (Reynolds 2000, eq. 14)."""
    return np.divide(counts, counts + relevance, out=np.zeros_like(counts), where=counts > 0)


def adapt_means(
    prior: Float64Array, counts: Float64Array, first: Float64Array, relevance: float
) -> Float64Array:
    """Adapt the means of one model or of many at once.

    Parameters
    ----------
    prior : (n_components, n_dims) float array
        Means of the background model.
    counts : (..., n_components) float array
    first : (..., n_components, n_dims) float array
    relevance : float

    Returns
    -------
    (..., n_components, n_dims) float64 array
        (first + relevance * prior) / (counts + relevance): Reynolds 2000, eq. 12.
    """
    counts = np.asarray(counts, np.float64)
    n = np.where(counts > 0, counts, 1.0)[..., None]
    alpha = trust(counts, relevance)[..., None]
    adapted: Float64Array = alpha * (first / n) + (1 - alpha) * prior
    return adapted


def adapt(
    prior: DiagonalGMM, statistics: Statistics, options: MapOptions | None = None
) -> DiagonalGMM:
    """Adapt a mixture to the statistics of new frames (Reynolds' rule).

    Parameters
    ----------
    prior : DiagonalGMM
        The mixture the statistics were collected with; kept wherever there is no data.
    statistics : Statistics
    options : MapOptions, optional

    Returns
    -------
    DiagonalGMM

    References
    ----------
    Reynolds, Quatieri, Dunn, "Speaker verification using adapted Gaussian mixture models",
    Digital Signal Processing 10 (2000), eqs. 8 to 14.
    """
    options = options or MapOptions()
    counts = statistics.counts
    alpha = trust(counts, options.relevance)
    means, variances, weights = prior.means, prior.variances, prior.weights
    if options.means:
        means = adapt_means(prior.means, counts, statistics.first, options.relevance)  # eq. 12
    if options.variances:
        # The second moment about the mean that the model will have: equal to eq. 13 where the
        # means are adapted with the same alpha, and never negative where they are not.
        n = np.where(counts > 0, counts, 1.0)[:, None]
        a = alpha[:, None]
        of_data = statistics.second / n - 2 * means * statistics.first / n + means**2
        of_prior = prior.variances + (prior.means - means) ** 2
        variances = a * np.maximum(of_data, 0) + (1 - a) * of_prior
        variances = np.maximum(variances, 1e-6 * prior.variances)  # relevance 0 and one frame
    if options.weights:
        total = max(counts.sum(), np.finfo(float).tiny)
        weights = alpha * counts / total + (1 - alpha) * prior.weights  # eq. 11
        weights = weights / weights.sum()
    return DiagonalGMM(weights, means, variances)
