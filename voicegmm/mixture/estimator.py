"""scikit-learn's interface to the core: the same names, the same starts, our E-step and M-step.

With the same `random_state` it begins where `sklearn.mixture.GaussianMixture` begins, stops by the
same rule and draws the same samples, so one can stand in for the other. What differs: sums are in
float64 whatever the frames are; frames may have weights; `partial_fit` learns from a stream; the
first weights sum to 1; a tied covariance that starts from single frames ("k-means++" and
"random_from_data") is of those frames alone, where scikit-learn puts in the squares of all.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError, OptionError
from voicegmm.compute import available_cores
from voicegmm.mixture.collection import WORK_ITEM, ArraySource, collector
from voicegmm.mixture.density import assign, log_density, posteriors
from voicegmm.mixture.interchange import (
    check_means,
    check_precisions,
    check_weights,
    covariances_of,
    from_factors,
    from_responsibilities,
    inverse,
    mixture_of,
    precision_factors,
)
from voicegmm.mixture.maximization import EmOptions, maximize
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.online import OnlineFit, OnlineOptions, online_start, online_step
from voicegmm.mixture.selection import n_parameters
from voicegmm.mixture.statistics import Statistics, accumulate

_FLOATS = [np.float64, np.float32]


@dataclass(frozen=True, eq=False)
class _Run:
    """What one start led to; the frames were moved by `origin` before."""

    gmm: Mixture
    lower_bounds: list[float]
    converged: bool
    n_floored: int


class GaussianMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixture with scikit-learn's interface.

    Parameters
    ----------
    n_components : int
        Number of Gaussians, at least 1.
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float
        EM stops when the mean log-likelihood per frame changes by less, in nats.
    reg_covar : float
        Added to each variance; 0 or more.
    max_iter : int
        The most iterations of EM; 0 gives the start itself.
    n_init : int
        Starts, of which the best is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}
        How responsibilities begin.
    weights_init : (n_components,) array_like, optional
    means_init : (n_components, n_features) array_like, optional
    precisions_init : array_like, optional
        In the shape that `precisions_` has.
    random_state : int, RandomState or None
        Of the starts and of `sample`.
    warm_start : bool
        Whether `fit` goes on from the last fit.
    verbose : int
        1 prints starts and iterations, 2 their times and gains too.
    verbose_interval : int
        Iterations between two lines.
    learning_decay, learning_offset : float
        Of the steps of `partial_fit`: see `OnlineOptions.decay` and `OnlineOptions.offset`.
    forgetting_factor : float, optional
        Of `partial_fit`: how much of the past each call leaves in place, in [0, 1), for data that
        change. None: steps that decrease.

    Attributes
    ----------
    weights_ : (n_components,) array
    means_ : (n_components, n_features) array
    covariances_, precisions_, precisions_cholesky_ : array
        (n_components,) if spherical, (n_features, n_features) if tied,
        (n_components, n_features) if diag, (n_components, n_features, n_features) if full.
        Densities are computed from `precisions_cholesky_`, samples drawn from `covariances_`.
    converged_ : bool
    n_iter_ : int
        Iterations of the best start; batches, after `partial_fit`.
    lower_bound_ : float
        Mean log-likelihood that the last E-step found, in nats per frame.
    lower_bounds_ : list of float
        That of each iteration.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where the frames had names.

    Examples
    --------
    >>> import numpy as np
    >>> from voicegmm import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> gm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> gm.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "learning_decay": [Interval(Real, 0.5, 1.0, closed="right")],
        "learning_offset": [Interval(Real, 0.0, None, closed="left")],
        "forgetting_factor": [Interval(Real, 0.0, 1.0, closed="left"), None],
    }

    _stream: OnlineFit[Mixture] | None = None
    _origin: FloatArray

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: npt.ArrayLike | None = None,
        means_init: npt.ArrayLike | None = None,
        precisions_init: npt.ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        learning_decay: float = 0.7,
        learning_offset: float = 1.0,
        forgetting_factor: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.forgetting_factor = forgetting_factor

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit by EM, from `n_init` starts; the best is kept.

        Parameters
        ----------
        X : (n_samples, n_features) array_like
            float32 stays float32 in products and attributes; sums are float64.
        y : ignored
        sample_weight : (n_samples,) array_like, optional
            0 or more; a frame of weight two counts as two frames.

        Returns
        -------
        GaussianMixture
            This one.

        Raises
        ------
        ValueError
            For parameters that cannot work, for a frame that is not finite, for fewer frames
            than components, and where `reg_covar` is 0 and a start has no covariance.
        """
        self.fit_predict(X, y, sample_weight)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> IntArray:
        """Fit, and give the most probable component of each frame.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        (n_samples,) int array
        """
        self._validate_params()
        frames = validate_data(self, X, dtype=_FLOATS, ensure_min_samples=2)
        weights = self._checked_weights(frames, sample_weight)
        given = self._given(frames.shape[1])
        again = self.warm_start and hasattr(self, "converged_")
        random_state = check_random_state(self.random_state)
        origin = _middle(frames)
        moved = _work_frames(frames, origin)
        best: _Run | None = None
        for number in range(1 if again else self.n_init):
            started = time.perf_counter()
            if self.verbose:
                print(f"Initialization {number}")
            bound = -np.inf
            if again:
                start, bound = _moved(self._mixture(), -origin), self.lower_bound_
            else:
                start = self._start(moved, origin, weights, given, random_state)
            run = self._climb(start, moved, weights, bound)
            if self.verbose and self.max_iter:
                self._print_end(run, time.perf_counter() - started)
            if best is None or _last(run) > _last(best):
                best = run
        assert best is not None
        self._keep(best, origin, frames.dtype)
        _warn(best, self.max_iter, self.reg_covar)
        return assign(self._mixture(), frames)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one batch of a stream, by one step of online EM.

        The first batch starts the mixture, as `fit` would, unless the estimator was fitted
        already; `fit` ends the stream.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`; the first batch must hold as many frames as there are components.

        Returns
        -------
        GaussianMixture
            This one.
        """
        self._validate_params()
        fitted = hasattr(self, "converged_")
        frames = validate_data(
            self, X, dtype=_FLOATS, reset=not fitted, ensure_min_samples=1 if fitted else 2
        )
        stream = self._stream
        weights = self._checked_weights(frames, sample_weight, enough=fitted)
        if stream is None:
            self._origin = _middle(frames)
            if fitted:
                start = _moved(self._mixture(), -self._origin)
            else:
                random_state = check_random_state(self.random_state)
                given = self._given(frames.shape[1])
                moved = _work_frames(frames, self._origin)
                start = self._start(moved, self._origin, weights, given, random_state)
            stream = online_start(start)
        options = OnlineOptions(
            self.learning_decay, self.learning_offset, self.forgetting_factor, self._em_options()
        )
        stream = online_step(stream, _work_frames(frames, self._origin), options, weights)
        earlier = self.lower_bounds_ if stream.n_updates > 1 else []
        bounds = [*earlier, stream.log_likelihood]
        self._keep(_Run(stream.gmm, bounds, False, 0), self._origin, frames.dtype)
        self._stream = stream
        return self

    def predict(self, X: Any) -> IntArray:
        """Give the most probable component of each frame.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        (n_samples,) int array
        """
        return assign(*self._ready(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Give the posterior probability of each component for each frame.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        (n_samples, n_components) float array
        """
        return posteriors(*self._ready(X))

    def score_samples(self, X: Any) -> FloatArray:
        """Give the log-density of each frame, in nats.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        (n_samples,) float array
            In the precision of the frames.
        """
        gmm, frames = self._ready(X)
        return log_density(gmm, frames).astype(frames.dtype)

    def score(self, X: Any, y: Any = None) -> float:
        """Give the mean log-density of frames, in nats per frame.

        Parameters
        ----------
        X : (n_samples, n_features) array_like
        y : ignored

        Returns
        -------
        float
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, IntArray]:
        """Draw frames, those of one component after those of another.

        Parameters
        ----------
        n_samples : int
            At least 1.

        Returns
        -------
        X : (n_samples, n_features) float64 array
        y : (n_samples,) int array
            Which component each came from.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise OptionError(
                f"Invalid value for 'n_samples': {n_samples}. At least one sample must be drawn."
            )
        random_state = check_random_state(self.random_state)
        means = np.asarray(self.means_, np.float64)
        covariances = np.asarray(self.covariances_, np.float64)
        shares = np.asarray(self.weights_, np.float64)
        counts = random_state.multinomial(n_samples, shares / shares.sum())
        parts = []
        for k, count in enumerate(counts):
            if self.covariance_type in ("full", "tied"):
                covariance = covariances if self.covariance_type == "tied" else covariances[k]
                parts.append(random_state.multivariate_normal(means[k], covariance, int(count)))
            else:
                noise = random_state.standard_normal((count, means.shape[1]))
                parts.append(means[k] + noise * np.sqrt(covariances[k]))
        return np.concatenate(parts), np.repeat(np.arange(len(counts)), counts)

    def bic(self, X: Any) -> float:
        """Give the Bayesian information criterion, -2 L + p log n: less is better.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        float
        """
        scores = self.score_samples(X)
        return float(-2 * scores.sum(dtype=np.float64)) + self._n_parameters() * float(
            np.log(len(scores))
        )

    def aic(self, X: Any) -> float:
        """Give Akaike's information criterion, -2 L + 2 p: less is better.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        float
        """
        return float(-2 * self.score_samples(X).sum(dtype=np.float64)) + 2 * self._n_parameters()

    def _n_parameters(self) -> int:
        """Count the free parameters; scikit-learn's name, which code in the wild calls."""
        return n_parameters(self._mixture())

    def _mixture(self) -> Mixture:
        """Make our mixture of the attributes, which a user may have set."""
        covariances = from_factors(self.precisions_cholesky_, self.covariance_type)
        return mixture_of(self.weights_, self.means_, covariances, self.covariance_type)

    def _ready(self, X: Any) -> tuple[Mixture, FloatArray]:
        check_is_fitted(self)
        frames = validate_data(self, X, dtype=_FLOATS, reset=False)
        return self._mixture(), frames

    def _em_options(self) -> EmOptions:
        return EmOptions(
            tolerance=0, variance_floor=0, regularization=float(self.reg_covar), min_count=0
        )

    def _checked_weights(
        self, frames: FloatArray, sample_weight: Any, enough: bool = False
    ) -> Float64Array | None:
        if len(frames) < self.n_components and not enough:
            raise DataError(
                "Expected n_samples >= n_components but got "
                f"n_components = {self.n_components}, n_samples = {len(frames)}"
            )
        if sample_weight is None:
            return None
        weights = _check_sample_weight(
            sample_weight, frames, dtype=np.float64, ensure_non_negative=True
        )
        if not weights.sum() > 0:
            raise DataError("sample_weight must be above 0 for one frame at least")
        return np.asarray(weights, np.float64)

    def _given(self, n_dims: int) -> dict[str, Float64Array]:
        """Check the parameters that a user gave to start from."""
        K, kind, given = self.n_components, self.covariance_type, {}
        if self.weights_init is not None:
            given["weights"] = check_weights(self.weights_init, K)
        if self.means_init is not None:
            given["means"] = check_means(self.means_init, K, n_dims)
        if self.precisions_init is not None:
            precisions = check_precisions(self.precisions_init, kind, K, n_dims)
            given["covariances"] = inverse(precisions, kind)
        return given

    def _start(
        self,
        moved: FloatArray,
        origin: FloatArray,
        weights: Float64Array | None,
        given: dict[str, Float64Array],
        random_state: np.random.RandomState,
    ) -> Mixture:
        kind = self.covariance_type
        parameters = dict(given)
        if "means" in given:
            parameters["means"] = given["means"] - origin
        if len(parameters) < 3:
            frames, shares, part = self._shares(moved, weights, random_state)
            update = from_responsibilities(
                frames, shares, self.n_components, kind, self._em_options(), part
            )
            if update.n_floored and self.reg_covar == 0 and "covariances" not in given:
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
        self,
        moved: FloatArray,
        weights: Float64Array | None,
        random_state: np.random.RandomState,
    ) -> tuple[FloatArray, Callable[[slice], FloatArray], Float64Array | None]:
        """Give frames, how they are shared out at first, and their weights."""
        K = self.n_components
        if self.init_params == "random":

            def shares(block: slice) -> FloatArray:
                drawn = random_state.uniform(size=(block.stop - block.start, K))
                return np.asarray(drawn / drawn.sum(axis=1, keepdims=True), np.float64)

            return moved, shares, weights
        if self.init_params == "kmeans":
            from sklearn.cluster import KMeans

            means = KMeans(n_clusters=K, n_init=1, random_state=random_state)
            labels = means.fit(moved, sample_weight=weights).labels_
            return moved, lambda block: labels[block, None] == np.arange(K), weights
        if self.init_params == "k-means++":
            from sklearn.cluster import kmeans_plusplus

            _, chosen = kmeans_plusplus(moved, K, sample_weight=weights, random_state=random_state)
        else:
            chances = None if weights is None else weights / weights.sum()
            chosen = random_state.choice(len(moved), size=K, replace=False, p=chances)
        return moved[chosen], lambda block: np.eye(K)[block], None

    def _climb(
        self, gmm: Mixture, moved: FloatArray, weights: Float64Array | None, bound: float
    ) -> _Run:
        """Do EM until the bound changes by less than `tol`, up or down: scikit-learn's rule."""
        options, collect = self._em_options(), _collect(moved, weights)
        bounds: list[float] = []
        n_floored, begun = 0, time.perf_counter()
        for number in range(1, self.max_iter + 1):
            statistics = collect(gmm)
            update = maximize(gmm, statistics, options)
            gmm, n_floored = update.gmm, update.n_floored
            bounds.append(statistics.log_likelihood / statistics.n_frames)
            change, bound = bounds[-1] - bound, bounds[-1]
            if self.verbose and number % self.verbose_interval == 0:
                line = f"  Iteration {number}"
                if self.verbose > 1:
                    now = time.perf_counter()
                    line += f"\t time lapse {now - begun:.5f}s\t ll change {change:.5f}"
                    begun = now
                print(line)
            if abs(change) < self.tol:
                return _Run(gmm, bounds, True, n_floored)
        return _Run(gmm, bounds, False, n_floored)

    def _print_end(self, run: _Run, seconds: float) -> None:
        text = f"Initialization {'converged' if run.converged else 'did not converge'}."
        if self.verbose > 1:
            text += f" time lapse {seconds:.5f}s\t lower bound {_last(run):.5f}."
        print(text)

    def _keep(self, run: _Run, origin: FloatArray, dtype: np.dtype[Any]) -> None:
        """Set the attributes."""
        gmm, kind = _moved(run.gmm, origin), self.covariance_type
        covariances = covariances_of(gmm)
        self.weights_ = gmm.weights.astype(dtype)
        self.means_ = gmm.means.astype(dtype)
        self.covariances_ = covariances.astype(dtype)
        self.precisions_ = inverse(covariances, kind).astype(dtype)
        self.precisions_cholesky_ = precision_factors(covariances, kind).astype(dtype)
        self.converged_ = run.converged
        self.n_iter_ = len(run.lower_bounds)
        self.lower_bounds_ = run.lower_bounds
        self.lower_bound_ = _last(run)
        self._stream = None  # partial_fit sets it again


def _middle(frames: FloatArray) -> FloatArray:
    """Give the frames' mean in their own precision: around it, sums of squares lose no digits."""
    mean: FloatArray = frames.mean(axis=0, dtype=np.float64).astype(frames.dtype)
    return mean


def _work_frames(frames: FloatArray, origin: FloatArray) -> FloatArray:
    """Move frames, and make them double where they are few.

    Rounding of single precision averages out over many frames, and only many take long.
    """
    moved: FloatArray = frames - origin.astype(frames.dtype)
    return moved.astype(np.float64) if len(frames) <= WORK_ITEM else moved


def _moved(gmm: Mixture, by: FloatArray) -> Mixture:
    return replace(gmm, means=gmm.means + by)


def _last(run: _Run) -> float:
    return run.lower_bounds[-1] if run.lower_bounds else -np.inf


def _collect(frames: FloatArray, weights: Float64Array | None) -> Callable[[Mixture], Statistics]:
    if len(frames) <= WORK_ITEM:  # no threads to start for so little; the sums are the same
        return lambda gmm: accumulate(gmm, frames, weights)
    return collector(ArraySource(frames, weights), available_cores())


def _warn(run: _Run, max_iter: int, reg_covar: float) -> None:
    if not run.converged and max_iter > 0:
        warnings.warn(
            "Best performing initialization did not converge. Try different init parameters, or "
            "increase max_iter, tol, or check for degenerate data.",
            ConvergenceWarning,
            stacklevel=3,
        )
    if run.n_floored:
        warnings.warn(
            f"{run.n_floored} variances collapsed and were held at 1e-12 of the data's; increase "
            f"reg_covar ({reg_covar}) or decrease the number of components.",
            ConvergenceWarning,
            stacklevel=3,
        )
