"""scikit-learn's interface to the core: the same names, the same starts, our E-step and M-step.

With the same `random_state` it begins where `sklearn.mixture.GaussianMixture` begins, stops by the
same rule and draws the same samples, so one can stand in for the other. What differs: sums are in
float64 whatever the frames are; frames may have weights; `partial_fit` learns from a stream; the
first weights sum to 1; a tied covariance that starts from single frames ("k-means++" and
"random_from_data") is of those frames alone, where scikit-learn puts in the squares of all.
"""

import time
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.errors import OptionError
from voicegmm.mixture.estimator_fit import (
    FitOptions,
    Run,
    checked_sample_weight,
    climb,
    first_mixture,
    given_parameters,
    middle,
    moved_by,
    print_end,
    warn,
    work_frames,
)
from voicegmm.mixture.imputation import impute
from voicegmm.mixture.interchange import (
    covariances_of,
    from_factors,
    inverse,
    mixture_of,
    precision_factors,
    sample_by_component,
)
from voicegmm.mixture.maximization import EmOptions
from voicegmm.mixture.missing import (
    incomplete_assign,
    incomplete_log_density,
    incomplete_online_step,
    incomplete_posteriors,
)
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.online import OnlineFit, OnlineOptions, online_start
from voicegmm.mixture.selection import n_parameters

_FLOATS = [np.float64, np.float32]


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
    missing_values : {"refuse", "marginalize"}
        Whether a NaN is an error, or a value that nobody knows and that is summed away: exact
        where values are missing at random (see `voicegmm.mixture.incomplete_log_density`).

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
        "missing_values": [StrOptions({"refuse", "marginalize"})],
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
        missing_values: str = "refuse",
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
        self.missing_values = missing_values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing_values == "marginalize"
        return tags

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
            For parameters that cannot work, for a frame that is not finite (but see
            `missing_values`), for fewer frames than components, for a feature that is missing in
            all frames, and where `reg_covar` is 0 and a start has no covariance.
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
        frames = self._frames(X, ensure_min_samples=2)
        weights = checked_sample_weight(frames, sample_weight, self.n_components)
        options = self._fit_options()
        given = self._given(frames.shape[1])
        again = self.warm_start and hasattr(self, "converged_")
        random_state = check_random_state(self.random_state)
        origin = middle(frames)
        moved = work_frames(frames, origin)
        best: Run | None = None
        for number in range(1 if again else self.n_init):
            begun = time.perf_counter()
            if self.verbose:
                print(f"Initialization {number}")
            bound = -np.inf
            if again:
                start, bound = moved_by(self._mixture(), -origin), self.lower_bound_
            else:
                start = self._start(moved, origin, weights, given, random_state)
            run = climb(start, moved, weights, bound, options)
            if self.verbose and self.max_iter:
                print_end(run, time.perf_counter() - begun, options)
            if best is None or run.lower_bound > best.lower_bound:
                best = run
        assert best is not None
        self._keep(best, origin, frames.dtype)
        warn(best, options)
        return incomplete_assign(self._mixture(), frames)

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
        frames = self._frames(X, reset=not fitted, ensure_min_samples=1 if fitted else 2)
        stream = self._stream
        weights = checked_sample_weight(frames, sample_weight, 1 if fitted else self.n_components)
        if stream is None:
            self._origin = middle(frames)
            if fitted:
                start = moved_by(self._mixture(), -self._origin)
            else:
                random_state = check_random_state(self.random_state)
                given = self._given(frames.shape[1])
                moved = work_frames(frames, self._origin)
                start = self._start(moved, self._origin, weights, given, random_state)
            stream = online_start(start)
        options = OnlineOptions(
            self.learning_decay, self.learning_offset, self.forgetting_factor, self._em_options()
        )
        stream = incomplete_online_step(stream, work_frames(frames, self._origin), options, weights)
        earlier = self.lower_bounds_ if stream.n_updates > 1 else []
        bounds = (*earlier, stream.log_likelihood)
        self._keep(Run(stream.gmm, bounds, False, 0), self._origin, frames.dtype)
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
        return incomplete_assign(*self._ready(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Give the posterior probability of each component for each frame.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        (n_samples, n_components) float array
        """
        return incomplete_posteriors(*self._ready(X))

    def score_samples(self, X: Any) -> FloatArray:
        """Give the log-density of each frame, in nats.

        Parameters
        ----------
        X : (n_samples, n_features) array_like

        Returns
        -------
        (n_samples,) float array
            In the precision of the frames; of a frame's observed values where some are missing.
        """
        gmm, frames = self._ready(X)
        return incomplete_log_density(gmm, frames).astype(frames.dtype)

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

    def impute(self, X: Any) -> FloatArray:
        """Fill in missing values with what the mixture expects of them.

        Parameters
        ----------
        X : (n_samples, n_features) array_like
            NaN where a value is missing, whatever `missing_values` says.

        Returns
        -------
        (n_samples, n_features) float array
            Observed values stay as they are. `voicegmm.mixture.impute` draws several completed
            copies, too.
        """
        check_is_fitted(self)
        return impute(self._mixture(), self._frames(X, allow_nan=True, reset=False))

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
        return sample_by_component(
            self.weights_,
            self.means_,
            self.covariances_,
            self.covariance_type,
            n_samples,
            check_random_state(self.random_state),
        )

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
        return self._mixture(), self._frames(X, reset=False)

    def _frames(self, X: Any, allow_nan: bool = False, **checks: Any) -> FloatArray:
        nan = "allow-nan" if allow_nan or self.missing_values == "marginalize" else True
        frames: FloatArray = validate_data(self, X, dtype=_FLOATS, ensure_all_finite=nan, **checks)
        return frames

    def _em_options(self) -> EmOptions:
        return EmOptions(
            tolerance=0, variance_floor=0, regularization=float(self.reg_covar), min_count=0
        )

    def _fit_options(self) -> FitOptions:
        return FitOptions(
            self.n_components,
            self.covariance_type,
            self.init_params,
            self.tol,
            self.max_iter,
            int(self.verbose),
            self.verbose_interval,
            self._em_options(),
        )

    def _given(self, n_dims: int) -> dict[str, Float64Array]:
        """Check the parameters that a user gave to start from."""
        return given_parameters(
            self._fit_options(), n_dims, self.weights_init, self.means_init, self.precisions_init
        )

    def _start(
        self,
        moved: FloatArray,
        origin: FloatArray,
        weights: Float64Array | None,
        given: dict[str, Float64Array],
        random_state: np.random.RandomState,
    ) -> Mixture:
        if "means" in given:
            given = given | {"means": given["means"] - origin}
        return first_mixture(moved, weights, given, self._fit_options(), random_state)

    def _keep(self, run: Run, origin: FloatArray, dtype: np.dtype[Any]) -> None:
        """Set the attributes."""
        gmm, kind = moved_by(run.gmm, origin), self.covariance_type
        covariances = covariances_of(gmm)
        self.weights_ = gmm.weights.astype(dtype)
        self.means_ = gmm.means.astype(dtype)
        self.covariances_ = covariances.astype(dtype)
        self.precisions_ = inverse(covariances, kind).astype(dtype)
        self.precisions_cholesky_ = precision_factors(covariances, kind).astype(dtype)
        self.converged_ = run.converged
        self.n_iter_ = len(run.lower_bounds)
        self.lower_bounds_ = list(run.lower_bounds)
        self.lower_bound_ = run.lower_bound
        self._stream = None  # partial_fit sets it again
