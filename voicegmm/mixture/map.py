"""Maximum a posteriori adaptation: a speaker's model from a background model and a little speech.

Every rule mixes what the data say with what the prior says, by an alpha of each component: the
trust in the data. MAP of the means is an M-step on statistics to which `relevance` imaginary frames
per component, drawn from the prior, were added.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import above, at_least, one_of, within
from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture.maximization import M
from voicegmm.mixture.model import DiagonalGMM, Mixture, SphericalGMM
from voicegmm.mixture.statistics import Statistics

RULES = ("reynolds", "fixed", "kaldi")
LEAST_COUNT = 1e-10  # frames: a component that saw no more of the data has none
_KALDI_VARIANCE_TAU, _KALDI_WEIGHT_TAU = 50.0, 10.0  # defaults of its MapDiagGmmOptions


@dataclass(frozen=True)
class MapOptions:
    """How a mixture is adapted.

    Parameters
    ----------
    relevance : float
        Frames that a component must see before it trusts them as much as the prior; 0 or more.
    means, variances, weights : bool
        What is adapted.
    rule : {"reynolds", "fixed", "kaldi"}
        How data and prior are mixed: by count and relevance; by an alpha that is given; as Kaldi
        does. See `adapt`.
    relevance_variances, relevance_weights : float, optional
        Their own relevance. None: `relevance`; with "kaldi" its own defaults, 50 and 10.
    alpha : float, optional
        Share of the data in a component that has any, in [0, 1]; with "fixed", and only there.
    alpha_variances, alpha_weights : float, optional
        Their own share. None: `alpha`.
    variance_floor : float
        No adapted variance falls below this fraction of the prior's, in (0, 1]. It acts only where
        the relevance is next to nothing and there are hardly any frames.
    n_iterations : int
        E-steps, each with the model as adapted so far; at least 1. More than 1 need
        `adapt_iterated`.
    """

    relevance: float = 10.0
    means: bool = True
    variances: bool = False
    weights: bool = False
    rule: str = "reynolds"
    relevance_variances: float | None = None
    relevance_weights: float | None = None
    alpha: float | None = None
    alpha_variances: float | None = None
    alpha_weights: float | None = None
    variance_floor: float = 1e-6
    n_iterations: int = 1

    def __post_init__(self) -> None:
        if not (self.means or self.variances or self.weights):
            raise OptionError("means, variances or weights must be true: nothing would be adapted")
        one_of("rule", self.rule, RULES)
        self._check_use()
        for name in ("relevance", "relevance_variances", "relevance_weights"):
            value = getattr(self, name)
            if value is not None:
                at_least(name, value, 0)
                if not np.isfinite(value):
                    raise OptionError(f"{name} must be finite, got {value}")
        for name in ("alpha", "alpha_variances", "alpha_weights"):
            if getattr(self, name) is not None:
                within(name, getattr(self, name), 0, 1)
        within("variance_floor", self.variance_floor, 0, 1)
        above("variance_floor", self.variance_floor, 0)
        at_least("n_iterations", self.n_iterations, 1)

    def _check_use(self) -> None:
        """Refuse an option that would be accepted and ignored."""
        fixed = self.rule == "fixed"
        if fixed and self.alpha is None:
            raise OptionError("alpha must be given with the rule 'fixed', between 0 and 1")
        if fixed and self.relevance != MapOptions.relevance:
            raise OptionError(
                f"relevance must not be given with the rule 'fixed', got {self.relevance}: "
                "its place is alpha's"
            )
        if not fixed and self.alpha is not None:
            raise OptionError(
                f"alpha must not be given with the rule {self.rule!r}, got {self.alpha}: "
                "it is for the rule 'fixed'"
            )
        for part in ("variances", "weights"):
            used = f"alpha_{part}" if fixed else f"relevance_{part}"
            for name in (f"relevance_{part}", f"alpha_{part}"):
                value = getattr(self, name)
                if value is None:
                    continue
                if not getattr(self, part):
                    raise OptionError(f"{part} must be true where {name} is given, got {value}")
                if name != used:
                    raise OptionError(
                        f"{name} must not be given with the rule {self.rule!r}, got {value}; "
                        f"give {used}"
                    )


def trust(counts: Float64Array, relevance: float) -> Float64Array:
    """Give alpha = n / (n + relevance), 0 where there is no data (Reynolds 2000, eq. 14)."""
    return np.divide(
        counts, counts + relevance, out=np.zeros_like(counts), where=counts > LEAST_COUNT
    )


def _alpha(
    counts: Float64Array, options: MapOptions, own: float | None, fixed: float | None
) -> Float64Array:
    """Give alpha by the rule; `own` and `fixed` come before the options for all parameters."""
    if options.rule == "fixed":
        value = options.alpha if fixed is None else fixed
        assert value is not None  # the options saw to it
        return np.where(counts > LEAST_COUNT, value, 0.0)
    return trust(counts, options.relevance if own is None else own)


def _per_frame(sums: Float64Array, counts: Float64Array) -> Float64Array:
    """Divide sums by counts; where there is no data the result is of no use, but finite."""
    quotient: Float64Array = sums / np.where(counts > LEAST_COUNT, counts, 1.0)[..., None]
    return quotient


def _means(
    prior: Float64Array, counts: Float64Array, first: Float64Array, alpha: Float64Array
) -> Float64Array:
    a = alpha[..., None]
    adapted: Float64Array = a * _per_frame(first, counts) + (1 - a) * prior
    return adapted


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
    return _means(prior, counts, first, trust(counts, relevance))


def first_from_means(
    prior: Float64Array, counts: Float64Array, means: FloatArray, options: MapOptions
) -> Float64Array:
    """Give the first-order statistics behind adapted means: MAP of the means read backwards.

    Parameters
    ----------
    prior : (n_components, n_dims) float array
        Means of the background model.
    counts : (..., n_components) float array
    means : (..., n_components, n_dims) float array
        Of models that `adapt` made with these options.
    options : MapOptions

    Returns
    -------
    (..., n_components, n_dims) float64 array
        n (mean - (1 - alpha) prior) / alpha, 0 where there is no data. With an alpha of 0 nothing
        of the data is left in the means, and n times the prior is as good: it adapts to the same.
    """
    counts = np.asarray(counts, np.float64)
    alpha = _alpha(counts, options, None, None)[..., None]
    way = np.divide(means - prior, alpha, out=np.zeros(np.shape(means)), where=alpha > 0)
    first: Float64Array = np.where(counts > LEAST_COUNT, counts, 0.0)[..., None] * (prior + way)
    return first


def adapt(prior: M, statistics: Statistics, options: MapOptions | None = None) -> M:
    """Adapt a mixture to the statistics of new frames.

    With n, f, s the statistics of a component, T the sum of all n, and (w, m, v) the prior's:

    - "reynolds": alpha = n / (n + relevance); mean alpha f / n + (1 - alpha) m; weight
      alpha n / T + (1 - alpha) w, normalized (Reynolds 2000, eqs. 11, 12, 14); variance
      alpha E(x - mean)^2 + (1 - alpha) (v + (m - mean)^2), where E is over the data and the mean is
      the one that the model will have. That is eq. 13 where means are adapted by the same alpha;
      in any other combination, unlike eq. 13, it cannot turn negative.
    - "fixed": the same with the alpha that is given.
    - "kaldi": mean and alpha as Reynolds'; variance alpha E(x - mean)^2 + (1 - alpha) v, without
      the prior's way to the mean; weight (n + relevance w) / (T + relevance), one relevance for
      the whole mixture (Kaldi, src/gmm/mle-diag-gmm.cc, MapDiagGmmUpdate).

    A component without data keeps mean and variance whatever the relevance, and (but for "kaldi",
    and for being normalized) its weight.

    Parameters
    ----------
    prior : Mixture
        What the statistics were collected with.
    statistics : Statistics
    options : MapOptions, optional

    Returns
    -------
    Mixture
        With covariances of the prior's shape.

    Raises
    ------
    DataError
        If the statistics are of another number of components or dimensions.
    OptionError
        If variances are to be adapted that are not diagonal or spherical, or more than one
        iteration is asked for.

    References
    ----------
    Reynolds, Quatieri, Dunn, "Speaker verification using adapted Gaussian mixture models",
    Digital Signal Processing 10 (2000).
    """
    options = options or MapOptions()
    if options.n_iterations != 1:
        raise OptionError(
            f"n_iterations must be 1 with statistics that are collected already, got "
            f"{options.n_iterations}; adapt_iterated collects them anew"
        )
    return _step(prior, statistics, options)


def adapt_iterated(
    prior: M, collect: Callable[[Mixture], Statistics], options: MapOptions | None = None
) -> tuple[M, Statistics]:
    """Adapt a mixture by `n_iterations` of MAP-EM.

    Each iteration collects with the model as it is and adapts the prior, which stays the background
    model (Gauvain and Lee, IEEE Transactions on Speech and Audio Processing 2 (1994)).

    Parameters
    ----------
    prior : Mixture
    collect : callable
        gmm -> Statistics of all frames under it: see `collector`.
    options : MapOptions, optional

    Returns
    -------
    gmm : Mixture
    statistics : Statistics
        Of the last iteration: those that the model was made from.

    Raises
    ------
    DataError, OptionError
        As `adapt`.
    """
    options = options or MapOptions()
    gmm = prior
    for _ in range(options.n_iterations):
        statistics = collect(gmm)
        gmm = _step(prior, statistics, options)
    return gmm, statistics


def _step(prior: M, statistics: Statistics, options: MapOptions) -> M:
    if statistics.first.shape != prior.means.shape:
        raise DataError(
            f"statistics must be of (n_components, n_dims) = {prior.means.shape}, as the mixture, "
            f"got {statistics.first.shape}; collect them with the mixture that is adapted"
        )
    means, weights = prior.means, prior.weights
    if options.means:
        alpha = _alpha(statistics.counts, options, None, None)
        means = _means(means, statistics.counts, statistics.first, alpha)
    if options.weights:
        weights = _weights(weights, statistics.counts, options)
    if not options.variances:
        return replace(prior, weights=weights, means=means)
    if not isinstance(prior, DiagonalGMM):
        raise OptionError(
            "variances must be false for a mixture that is not diagonal or spherical, this one is "
            f"{prior.covariance_type}; adapt means and weights"
        )
    variances = _variances(prior, statistics, means, options)
    return cast(M, replace(prior, weights=weights, means=means, variances=variances))


def _variances(
    prior: DiagonalGMM, statistics: Statistics, means: Float64Array, options: MapOptions
) -> Float64Array:
    counts = statistics.counts
    own = options.relevance_variances
    if own is None and options.rule == "kaldi":
        own = _KALDI_VARIANCE_TAU
    alpha = _alpha(counts, options, own, options.alpha_variances)[:, None]
    of_data = _per_frame(statistics.second, counts) + means**2
    of_data -= 2 * means * _per_frame(statistics.first, counts)
    of_prior = prior.variances_by_dim()
    if options.rule != "kaldi":
        of_prior = of_prior + (prior.means - means) ** 2
    variances = alpha * np.maximum(of_data, 0) + (1 - alpha) * of_prior
    if isinstance(prior, SphericalGMM):
        variances = variances.mean(axis=1)
    floored: Float64Array = np.maximum(variances, options.variance_floor * prior.variances)
    return floored


def _weights(prior: Float64Array, counts: Float64Array, options: MapOptions) -> Float64Array:
    total = max(float(counts.sum()), np.finfo(float).tiny)
    own = options.relevance_weights
    if options.rule == "kaldi":
        tau = _KALDI_WEIGHT_TAU if own is None else own
        if total + tau <= LEAST_COUNT:
            return prior
        kaldi: Float64Array = (counts + tau * prior) / (total + tau)
        return kaldi
    alpha = _alpha(counts, options, own, options.alpha_weights)
    weights = alpha * counts / total + (1 - alpha) * prior
    normalized: Float64Array = weights / weights.sum()
    return normalized
