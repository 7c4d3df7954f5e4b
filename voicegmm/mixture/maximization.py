"""The M-step: from statistics to the mixture of greatest likelihood, within stated bounds."""

from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture.model import DiagonalGMM, FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.mixture.statistics import Statistics

M = TypeVar("M", bound=Mixture)
"""A mixture with covariances of one shape: what goes in comes out."""

_SPLIT = 0.2  # how far the halves of a split component move apart, in standard deviations


@dataclass(frozen=True)
class EmOptions:
    """How a mixture is fitted.

    Parameters
    ----------
    n_iterations : int
        The most iterations; at least 1.
    tolerance : float
        Stop when an iteration gains less than this, in nats per frame; 0 runs all iterations.
    tolerance_relative : float
        Stop, too, when it gains less than this fraction of the log-likelihood; 0 does not look.
    variance_floor : float
        No variance falls below this fraction of the data's variance in that dimension; in [0, 1].
        For full and tied covariances: covariance minus the diagonal of floors has no negative
        eigenvalue.
    variance_floor_absolute : float
        Nor below this; 0 or more.
    variance_floor_components : float
        Nor below this fraction of the components' mean variance; in [0, 1].
    variance_ceiling : float
        No variance rises above this multiple of the data's variance; 0: no ceiling.
    regularization : float
        Added to each variance (scikit-learn's reg_covar); 0 or more.
    weight_floor : float
        No weight falls below this; they are normalized again. In [0, 1).
    min_count : float
        A component that answers for fewer frames is starved.
    starved : {"keep", "split", "drop"}
        What becomes of it: it keeps mean and covariance; it becomes one half of the component
        with the most frames; it goes.
    """

    n_iterations: int = 20
    tolerance: float = 1e-3
    variance_floor: float = 1e-2
    variance_floor_absolute: float = 0.0
    variance_floor_components: float = 0.0
    variance_ceiling: float = 0.0
    regularization: float = 0.0
    weight_floor: float = 0.0
    min_count: float = 3.0
    starved: str = "keep"
    tolerance_relative: float = 0.0

    def __post_init__(self) -> None:
        at_least("n_iterations", self.n_iterations, 1)
        at_least("tolerance", self.tolerance, 0)
        within("tolerance_relative", self.tolerance_relative, 0, 1)
        within("variance_floor", self.variance_floor, 0, 1)
        at_least("variance_floor_absolute", self.variance_floor_absolute, 0)
        within("variance_floor_components", self.variance_floor_components, 0, 1)
        at_least("variance_ceiling", self.variance_ceiling, 0)
        if 0 < self.variance_ceiling <= self.variance_floor:
            raise OptionError(
                f"variance_ceiling must be above variance_floor, got {self.variance_ceiling} "
                f"and {self.variance_floor}"
            )
        at_least("regularization", self.regularization, 0)
        within("weight_floor", self.weight_floor, 0, 0.999)
        at_least("min_count", self.min_count, 0)
        one_of("starved", self.starved, ("keep", "split", "drop"))


@dataclass(frozen=True, eq=False)
class Update(Generic[M]):
    """An M-step's result.

    Parameters
    ----------
    gmm : Mixture
    floored : (n_components,) int array
        How many variances (or eigenvalues) of each component of the mixture before were raised to
        the floor or lowered to the ceiling; a single number where they share one covariance.
    floored_dims : (n_dims,) int array
        How many components' variances were, in each dimension; a single number where components
        have one variance, none where the covariances are full or tied: eigenvalues are of no
        dimension.
    starved : (n_components,) bool array
        Which components of the mixture before had fewer than `min_count` frames.
    """

    gmm: M
    floored: IntArray
    floored_dims: IntArray
    starved: BoolArray

    @property
    def n_floored(self) -> int:
        """How many variances were moved to a bound."""
        return int(self.floored.sum())

    @property
    def n_starved(self) -> int:
        """How many components were starved."""
        return int(self.starved.sum())


def data_variance(gmm: Mixture, statistics: Statistics) -> Float64Array:
    """Give the variance of the data behind a mixture's statistics, (n_dims,)."""
    n = statistics.counts.sum()
    mean = statistics.first.sum(axis=0) / n
    second = statistics.second
    if isinstance(gmm, FullGMM):
        squares = np.diagonal(second, axis1=1, axis2=2).sum(axis=0)
    elif isinstance(gmm, TiedGMM):
        squares = np.diagonal(second)
    else:
        squares = second.sum(axis=0)
    # A dimension that never changes has no scale of its own; rounding must not make one.
    floored: Float64Array = np.maximum(squares / n - mean**2, np.maximum(1e-12 * mean**2, 1e-12))
    return floored


def maximize(gmm: M, statistics: Statistics, options: EmOptions | None = None) -> Update[M]:
    """Give the mixture of the greatest likelihood for statistics: the M-step.

    Parameters
    ----------
    gmm : Mixture
        The mixture the statistics were collected with.
    statistics : Statistics
    options : EmOptions, optional

    Returns
    -------
    Update

    Raises
    ------
    DataError
        If the statistics hold no frames.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), eqs. 9.24 to 9.26.
    """
    options = options or EmOptions()
    if not statistics.n_frames > 0 or not statistics.counts.sum() > 0:
        raise DataError("there are no frames to train on")
    counts = statistics.counts
    starved = counts < max(options.min_count, 1e-10)
    means = statistics.first / np.where(starved, 1.0, counts)[:, None]  # 9.24
    means = np.where(starved[:, None], gmm.means, means)
    weights = counts / counts.sum()  # 9.26
    if options.weight_floor:
        weights = np.maximum(weights, options.weight_floor)
        weights = weights / weights.sum()
    floor, ceiling = _bounds(gmm, statistics, options)
    made: Mixture
    by_dim = np.empty((len(counts), 0), np.bool_)
    if isinstance(gmm, FullGMM):
        made, floored = _full(gmm, statistics, weights, means, starved, options, floor, ceiling)
    elif isinstance(gmm, TiedGMM):
        made, floored = _tied(statistics, weights, means, options, floor, ceiling)
    else:
        made, by_dim = _by_dim(gmm, statistics, weights, means, starved, options, floor, ceiling)
        floored = by_dim.sum(axis=1)
    if starved.any() and options.starved == "split":
        made = _resplit(made, starved)
    elif starved.any() and options.starved == "drop":
        made = _kept(made, ~starved)
    return Update(cast(M, made), np.asarray(floored), by_dim.sum(axis=0), starved)


def _bounds(
    gmm: Mixture, statistics: Statistics, options: EmOptions
) -> tuple[Float64Array, Float64Array]:
    """Give the floor and the ceiling of the variances, (n_dims,) each."""
    spread = data_variance(gmm, statistics)
    floor = np.maximum(options.variance_floor * spread, options.variance_floor_absolute)
    if options.variance_floor_components:
        mean = gmm.weights @ gmm.variances_by_dim()
        floor = np.maximum(floor, options.variance_floor_components * mean)
    # Never zero: a component on a single point has no density.
    floor = np.maximum(floor, 1e-12 * spread)
    ceiling = options.variance_ceiling * spread if options.variance_ceiling else np.inf * spread
    return floor, np.maximum(ceiling, floor)


def _by_dim(
    gmm: Mixture,
    statistics: Statistics,
    weights: Float64Array,
    means: Float64Array,
    starved: BoolArray,
    options: EmOptions,
    floor: Float64Array,
    ceiling: Float64Array,
) -> tuple[Mixture, BoolArray]:
    n = np.where(starved, 1.0, statistics.counts)[:, None]
    variances = statistics.second / n - means**2 + options.regularization  # 9.25, diagonal
    old = gmm.variances_by_dim()
    spherical = isinstance(gmm, SphericalGMM)
    if spherical:
        variances, old = (v.mean(axis=1, keepdims=True) for v in (variances, old))
        floor, ceiling = floor.mean(keepdims=True), ceiling.mean(keepdims=True)
    bounded = np.where(starved[:, None], old, np.clip(variances, floor, ceiling))
    floored = (bounded != variances) & ~starved[:, None]
    if spherical:
        return SphericalGMM(weights, means, bounded[:, 0]), floored
    return DiagonalGMM(weights, means, bounded), floored


def _full(
    gmm: FullGMM,
    statistics: Statistics,
    weights: Float64Array,
    means: Float64Array,
    starved: BoolArray,
    options: EmOptions,
    floor: Float64Array,
    ceiling: Float64Array,
) -> tuple[Mixture, IntArray]:
    n = np.where(starved, 1.0, statistics.counts)[:, None, None]
    covariances = statistics.second / n - means[:, :, None] * means[:, None, :]  # 9.25
    covariances += options.regularization * np.eye(gmm.n_dims)
    bounded, floored = _within_bounds(covariances, floor, ceiling)
    covariances = np.where(starved[:, None, None], gmm.covariances, bounded)
    return FullGMM(weights, means, covariances), np.where(starved, 0, floored)


def _tied(
    statistics: Statistics,
    weights: Float64Array,
    means: Float64Array,
    options: EmOptions,
    floor: Float64Array,
    ceiling: Float64Array,
) -> tuple[Mixture, IntArray]:
    # Posteriors sum to one, so sum_k n_k S_k = sum_t x x' - sum_k n_k m_k m_k' (Bishop, ex. 9.6).
    counts = statistics.counts
    covariance = (statistics.second - (means * counts[:, None]).T @ means) / counts.sum()
    covariance += options.regularization * np.eye(means.shape[1])
    bounded, floored = _within_bounds(covariance[None], floor, ceiling)
    return TiedGMM(weights, means, bounded[0]), floored


def _within_bounds(
    covariances: Float64Array, floor: Float64Array, ceiling: Float64Array
) -> tuple[Float64Array, IntArray]:
    """Keep each covariance between the diagonal matrices of floors and of ceilings."""
    covariances = (covariances + np.swapaxes(covariances, 1, 2)) / 2
    moved = np.zeros(len(covariances), np.intp)
    for bound, rise in ((floor, True), (ceiling, False)):
        if not np.isfinite(bound).all():
            continue
        scale = np.sqrt(np.outer(bound, bound))
        values, vectors = np.linalg.eigh(covariances / scale)
        out = values < 1 if rise else values > 1
        touched = out.any(axis=1)
        if touched.any():
            held = np.where(out, 1.0, values)[touched]
            basis = vectors[touched]
            again = (basis * held[:, None, :]) @ np.swapaxes(basis, 1, 2)
            covariances[touched] = (again + np.swapaxes(again, 1, 2)) / 2 * scale
            moved += out.sum(axis=1)
    return covariances, moved


def _resplit(gmm: Mixture, starved: BoolArray) -> Mixture:
    """Put halves of the heaviest components in the place of starved ones."""
    weights, means = gmm.weights.copy(), gmm.means.copy()
    spread = np.sqrt(gmm.variances_by_dim())
    sources = np.arange(gmm.n_components)
    for lost in np.flatnonzero(starved):
        weights[lost] = 0
        heaviest = int(weights.argmax())
        weights[lost] = weights[heaviest] = weights[heaviest] / 2
        shift = _SPLIT * spread[heaviest]
        means[lost], means[heaviest] = means[heaviest] + shift, means[heaviest] - shift
        sources[lost] = sources[heaviest]
    made = replace(gmm, weights=weights / weights.sum(), means=means)
    return _covariances_from(made, sources)


def _covariances_from(gmm: Mixture, sources: IntArray) -> Mixture:
    if isinstance(gmm, FullGMM):
        return replace(gmm, covariances=gmm.covariances[sources])
    if isinstance(gmm, DiagonalGMM):
        return replace(gmm, variances=gmm.variances[sources])
    return gmm


def _kept(gmm: Mixture, keep: BoolArray) -> Mixture:
    """Leave components out."""
    chosen = np.flatnonzero(keep)
    weights = gmm.weights[chosen] / gmm.weights[chosen].sum()
    if isinstance(gmm, FullGMM):
        return FullGMM(weights, gmm.means[chosen], gmm.covariances[chosen])
    if isinstance(gmm, TiedGMM):
        return TiedGMM(weights, gmm.means[chosen], gmm.covariance)
    if isinstance(gmm, SphericalGMM):
        return SphericalGMM(weights, gmm.means[chosen], gmm.variances[chosen])
    return DiagonalGMM(weights, gmm.means[chosen], gmm.variances_by_dim()[chosen])
