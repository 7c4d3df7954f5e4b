"""What the estimator's fit is made of: starts as scikit-learn makes them, and climbs from them."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.errors import DataError
from voicegmm.compute import available_cores
from voicegmm.mixture.collection import WORK_ITEM, ArraySource, collector
from voicegmm.mixture.imputation import impute, observed_gaussian
from voicegmm.mixture.interchange import (
    check_means,
    check_precisions,
    check_weights,
    covariances_of,
    from_responsibilities,
    inverse,
    mixture_of,
)
from voicegmm.mixture.maximization import EmOptions, maximize
from voicegmm.mixture.missing import incomplete_accumulate, incomplete_collector
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.statistics import Statistics


@dataclass(frozen=True)
class FitOptions:
    """The estimator's parameters that its fit needs: see `GaussianMixture`.

    Parameters
    ----------
    n_components : int
    covariance_type : {"full", "tied", "diag", "spherical"}
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
    tol : float
    max_iter : int
    verbose, verbose_interval : int
    em : EmOptions
        Of every M-step, the first included.
    """

    n_components: int
    covariance_type: str
    init_params: str
    tol: float
    max_iter: int
    verbose: int
    verbose_interval: int
    em: EmOptions


@dataclass(frozen=True, eq=False)
class Run:
    """What one start led to.

    Parameters
    ----------
    gmm : Mixture
        Of the frames as they were given to `climb`.
    lower_bounds : tuple of float
        The mean log-likelihood that each E-step found, in nats per frame.
    converged : bool
    n_floored : int
        Variances that the last M-step had to hold.
    """

    gmm: Mixture
    lower_bounds: tuple[float, ...]
    converged: bool
    n_floored: int

    @property
    def lower_bound(self) -> float:
        """The last of them; minus infinity where there was no E-step."""
        return self.lower_bounds[-1] if self.lower_bounds else -np.inf


def checked_sample_weight(
    frames: FloatArray, sample_weight: Any, least: int
) -> Float64Array | None:
    """Check weights that a user gave, and that there are at least as many frames."""
    if len(frames) < least:
        raise DataError(
            "Expected n_samples >= n_components but got "
            f"n_components = {least}, n_samples = {len(frames)}"
        )
    if sample_weight is None:
        return None
    weights = _check_sample_weight(
        sample_weight, frames, dtype=np.float64, ensure_non_negative=True
    )
    if not weights.sum() > 0:
        raise DataError("sample_weight must be above 0 for one frame at least")
    return np.asarray(weights, np.float64)


def middle(frames: FloatArray) -> FloatArray:
    """Give the frames' mean in their own precision: around it, sums of squares lose no digits."""
    if np.isnan(frames).any():
        mean = observed_gaussian(frames).means[0]
    else:
        mean = frames.mean(axis=0, dtype=np.float64)
    rounded: FloatArray = mean.astype(frames.dtype)
    return rounded


def work_frames(frames: FloatArray, origin: FloatArray) -> FloatArray:
    """Move frames, and make them double where they are few.

    Rounding of single precision averages out over many frames, and only many take long.
    """
    moved: FloatArray = frames - origin.astype(frames.dtype)
    return moved.astype(np.float64) if len(frames) <= WORK_ITEM else moved


def moved_by(gmm: Mixture, by: FloatArray) -> Mixture:
    """Move the means of a mixture."""
    return replace(gmm, means=gmm.means + by)


def given_parameters(
    options: FitOptions,
    n_dims: int,
    weights: npt.ArrayLike | None,
    means: npt.ArrayLike | None,
    precisions: npt.ArrayLike | None,
) -> dict[str, Float64Array]:
    """Check the parameters that a user gave to start from.

    Returns
    -------
    dict
        "weights", "means" and "covariances", as far as they were given.
    """
    K, kind, given = options.n_components, options.covariance_type, {}
    if weights is not None:
        given["weights"] = check_weights(weights, K)
    if means is not None:
        given["means"] = check_means(means, K, n_dims)
    if precisions is not None:
        given["covariances"] = inverse(check_precisions(precisions, kind, K, n_dims), kind)
    return given


def first_mixture(
    frames: FloatArray,
    weights: Float64Array | None,
    given: dict[str, Float64Array],
    options: FitOptions,
    random_state: np.random.RandomState,
) -> Mixture:
    """Make a mixture to start from: what was given stays, the rest comes of the frames.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
        Missing values, NaN, are drawn first, as `incomplete_initialize` does.
    weights : (n_frames,) float64 array, optional
        Of the frames.
    given : dict
        As `given_parameters` makes it; where all three are there, the frames are not looked at.
    options : FitOptions
    random_state : numpy.random.RandomState

    Raises
    ------
    DataError
        Where a component has no covariance and `options.em` adds nothing to it.
    """
    parameters, kind = dict(given), options.covariance_type
    if len(parameters) < 3:
        if np.isnan(frames).any():
            rng = np.random.default_rng(random_state.randint(2**31))
            frames = impute(observed_gaussian(frames), frames, "draw", rng=rng)[0]
        some, shares, part = _shares(frames, weights, options, random_state)
        update = from_responsibilities(some, shares, options.n_components, kind, options.em, part)
        if update.n_floored and options.em.regularization == 0 and "covariances" not in given:
            raise DataError(
                "Fitting the mixture model failed because some components have ill-defined "
                "empirical covariance (for instance caused by singleton or collapsed "
                "samples). Try to decrease the number of components, increase reg_covar, or "
                "scale the input data."
            )
        parameters.setdefault("weights", update.gmm.weights)
        parameters.setdefault("means", update.gmm.means)
        parameters.setdefault("covariances", covariances_of(update.gmm))
    return mixture_of(**parameters, kind=kind)


def _shares(
    frames: FloatArray,
    weights: Float64Array | None,
    options: FitOptions,
    random_state: np.random.RandomState,
) -> tuple[FloatArray, Callable[[slice], FloatArray], Float64Array | None]:
    """Give frames, how they are shared out at first, and their weights."""
    K = options.n_components
    if options.init_params == "random":

        def shares(block: slice) -> FloatArray:
            drawn = random_state.uniform(size=(block.stop - block.start, K))
            return np.asarray(drawn / drawn.sum(axis=1, keepdims=True), np.float64)

        return frames, shares, weights
    if options.init_params == "kmeans":
        from sklearn.cluster import KMeans

        means = KMeans(n_clusters=K, n_init=1, random_state=random_state)
        labels = means.fit(frames, sample_weight=weights).labels_
        return frames, lambda block: labels[block, None] == np.arange(K), weights
    if options.init_params == "k-means++":
        from sklearn.cluster import kmeans_plusplus

        _, chosen = kmeans_plusplus(frames, K, sample_weight=weights, random_state=random_state)
    else:
        chances = None if weights is None else weights / weights.sum()
        chosen = random_state.choice(len(frames), size=K, replace=False, p=chances)
    return frames[chosen], lambda block: np.eye(K)[block], None


def climb(
    gmm: Mixture,
    frames: FloatArray,
    weights: Float64Array | None,
    bound: float,
    options: FitOptions,
) -> Run:
    """Do EM until the bound changes by less than `tol`, up or down: scikit-learn's rule.

    Parameters
    ----------
    gmm : Mixture
    frames : (n_frames, n_dims) float array
        NaN where a value is missing.
    weights : (n_frames,) float64 array, optional
    bound : float
        That of the mixture, in nats per frame; minus infinity where it is not known.
    options : FitOptions
    """
    collect = _collect(frames, weights)
    bounds: list[float] = []
    converged, n_floored = False, 0
    begun = time.perf_counter()
    for number in range(1, options.max_iter + 1):
        statistics = collect(gmm)
        update = maximize(gmm, statistics, options.em)
        gmm, n_floored = update.gmm, update.n_floored
        bounds.append(statistics.log_likelihood / statistics.n_frames)
        change, bound = bounds[-1] - bound, bounds[-1]
        if options.verbose and number % options.verbose_interval == 0:
            line = f"  Iteration {number}"
            if options.verbose > 1:
                now = time.perf_counter()
                line += f"\t time lapse {now - begun:.5f}s\t ll change {change:.5f}"
                begun = now
            print(line)
        converged = abs(change) < options.tol
        if converged:
            break
    return Run(gmm, tuple(bounds), converged, n_floored)


def print_end(run: Run, seconds: float, options: FitOptions) -> None:
    """Say how a start ended, `seconds` after it began."""
    text = f"Initialization {'converged' if run.converged else 'did not converge'}."
    if options.verbose > 1:
        text += f" time lapse {seconds:.5f}s\t lower bound {run.lower_bound:.5f}."
    print(text)


def _collect(frames: FloatArray, weights: Float64Array | None) -> Callable[[Mixture], Statistics]:
    if len(frames) <= WORK_ITEM:  # no threads to start for so little; the sums are the same
        return lambda gmm: incomplete_accumulate(gmm, frames, weights)
    made = incomplete_collector if np.isnan(frames).any() else collector
    return made(ArraySource(frames, weights), available_cores())


def warn(run: Run, options: FitOptions) -> None:
    """Warn of what is doubtful in the run that was kept, in scikit-learn's words."""
    if not run.converged and options.max_iter > 0:
        warnings.warn(
            "Best performing initialization did not converge. Try different init parameters, or "
            "increase max_iter, tol, or check for degenerate data.",
            ConvergenceWarning,
            stacklevel=3,
        )
    if run.n_floored:
        warnings.warn(
            f"{run.n_floored} variances collapsed and were held at 1e-12 of the data's; increase "
            f"reg_covar ({options.em.regularization}) or decrease the number of components.",
            ConvergenceWarning,
            stacklevel=3,
        )
