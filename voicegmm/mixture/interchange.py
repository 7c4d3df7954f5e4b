"""A mixture's parameters in scikit-learn's arrays: checked, and turned into ours and back.

Covariances and precisions are (K,) if spherical, (D, D) if tied, (K, D) if diag, (K, D, D) if full.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError
from voicegmm.mixture.density import blocks
from voicegmm.mixture.maximization import EmOptions, Update, maximize
from voicegmm.mixture.model import DiagonalGMM, FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.mixture.statistics import Statistics


def check_weights(weights: npt.ArrayLike, n_components: int) -> Float64Array:
    """Check weights that a user gave, in scikit-learn's words."""
    array = _checked("weights", weights, (n_components,))
    if (array < 0).any() or (array > 1).any():
        # scikit-learn's text to the letter, for its test: its "max" is the least.
        raise DataError(
            "The parameter 'weights' should be in the range [0, 1], but got max value "
            f"{array.min():.5f}, min value {array.max():.5f}: from {array.min():.5f} to "
            f"{array.max():.5f}"
        )
    tolerance = 1e-6 if np.asarray(weights).dtype == np.float32 else 1e-8
    if abs(1 - array.sum()) > tolerance:
        raise DataError(
            "The parameter 'weights' should be normalized, but got "
            f"sum(weights) = {array.sum():.5f}"
        )
    return np.asarray(array / array.sum(), np.float64)


def check_means(means: npt.ArrayLike, n_components: int, n_dims: int) -> Float64Array:
    """Check means that a user gave, in scikit-learn's words."""
    return _checked("means", means, (n_components, n_dims))


def check_precisions(
    precisions: npt.ArrayLike, kind: str, n_components: int, n_dims: int
) -> Float64Array:
    """Check precisions that a user gave, in scikit-learn's words."""
    name = f"{kind} precision"
    array = _checked(name, precisions, _shape(kind, n_components, n_dims))
    if kind in ("diag", "spherical"):
        if (array <= 0).any():
            raise DataError(f"'{name}' should be positive")
    elif not (
        np.allclose(array, np.swapaxes(array, -1, -2)) and (np.linalg.eigvalsh(array) > 0).all()
    ):
        raise DataError(f"'{name}' should be symmetric, positive-definite")
    return array


def _shape(kind: str, n_components: int, n_dims: int) -> tuple[int, ...]:
    return {
        "full": (n_components, n_dims, n_dims),
        "tied": (n_dims, n_dims),
        "diag": (n_components, n_dims),
        "spherical": (n_components,),
    }[kind]


def _checked(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Float64Array:
    array = np.asarray(values, np.float64)
    if array.shape != shape:
        raise DataError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    if not np.isfinite(array).all():
        raise DataError(f"The parameter '{name}' should be finite")
    return array


def inverse(matrices: FloatArray, kind: str) -> Float64Array:
    """Turn precisions into covariances, or covariances into precisions."""
    array = np.asarray(matrices, np.float64)
    if kind in ("diag", "spherical"):
        return np.asarray(1 / array, np.float64)
    return _symmetric(np.linalg.inv(array))


def precision_factors(covariances: Float64Array, kind: str) -> Float64Array:
    """Give scikit-learn's `precisions_cholesky_`: U, upper triangular, with U U' the precision."""
    if kind in ("diag", "spherical"):
        return np.asarray(1 / np.sqrt(covariances), np.float64)
    lower = np.linalg.inv(np.linalg.cholesky(covariances))
    return np.asarray(np.swapaxes(lower, -1, -2), np.float64)


def from_factors(factors: FloatArray, kind: str) -> Float64Array:
    """Turn `precisions_cholesky_` into covariances."""
    array = np.asarray(factors, np.float64)
    if kind in ("diag", "spherical"):
        return np.asarray(array**-2, np.float64)
    root = np.linalg.inv(array)
    return _symmetric(np.swapaxes(root, -1, -2) @ root)


def _symmetric(matrices: FloatArray) -> Float64Array:
    return np.asarray((matrices + np.swapaxes(matrices, -1, -2)) / 2, np.float64)


def mixture_of(
    weights: npt.ArrayLike, means: npt.ArrayLike, covariances: FloatArray, kind: str
) -> Mixture:
    """Make a mixture of scikit-learn's arrays, in whatever precision they are."""
    shares = np.asarray(weights, np.float64)
    shares = shares / shares.sum()
    array = np.asarray(covariances, np.float64)
    if kind == "spherical":
        return SphericalGMM(shares, np.asarray(means, np.float64), array)
    if kind == "diag":
        return DiagonalGMM(shares, np.asarray(means, np.float64), array)
    made = TiedGMM if kind == "tied" else FullGMM
    return made(shares, np.asarray(means, np.float64), _symmetric(array))


def covariances_of(gmm: Mixture) -> Float64Array:
    """Give a mixture's covariances in scikit-learn's shape."""
    if isinstance(gmm, FullGMM):
        return gmm.covariances
    if isinstance(gmm, TiedGMM):
        return gmm.covariance
    if isinstance(gmm, SphericalGMM):
        return gmm.variances
    return np.asarray(gmm.variances_by_dim())


def sample_by_component(
    weights: FloatArray,
    means: FloatArray,
    covariances: FloatArray,
    kind: str,
    n_samples: int,
    random_state: np.random.RandomState,
) -> tuple[FloatArray, IntArray]:
    """Draw what scikit-learn draws from the same state: one component's frames after another's.

    Returns
    -------
    frames : (n_samples, n_dims) float64 array
    components : (n_samples,) int array
    """
    centers, spreads = np.asarray(means, np.float64), np.asarray(covariances, np.float64)
    shares = np.asarray(weights, np.float64)
    counts = random_state.multinomial(n_samples, shares / shares.sum())
    parts = []
    for k, count in enumerate(counts):
        if kind in ("full", "tied"):
            covariance = spreads if kind == "tied" else spreads[k]
            parts.append(random_state.multivariate_normal(centers[k], covariance, int(count)))
        else:
            noise = random_state.standard_normal((count, centers.shape[1]))
            parts.append(centers[k] + noise * np.sqrt(spreads[k]))
    return np.concatenate(parts), np.repeat(np.arange(len(counts)), counts)


def from_responsibilities(
    frames: FloatArray,
    shares: Callable[[slice], FloatArray],
    n_components: int,
    kind: str,
    options: EmOptions,
    frame_weights: Float64Array | None = None,
) -> Update[Any]:
    """Do an M-step on responsibilities that are given, not computed.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    shares : callable
        A slice of frames -> their responsibilities, (n, n_components). Called in order, so that
        all of them are never in memory at once.
    n_components : int
    kind : {"full", "tied", "diag", "spherical"}
    options : EmOptions
    frame_weights : (n_frames,) float64 array, optional

    Returns
    -------
    Update
        A component that got nothing has the mean and the variances of the data.
    """
    n_dims = frames.shape[1]
    counts, first = np.zeros(n_components), np.zeros((n_components, n_dims))
    second = np.zeros((n_components, n_dims) if kind in ("diag", "spherical") else
                      _shape(kind, n_components, n_dims))  # fmt: skip
    for block in blocks(len(frames)):
        x = np.asarray(frames[block], np.float64)
        gamma = np.asarray(shares(block), np.float64)
        if frame_weights is not None:
            gamma = gamma * frame_weights[block, None]
        counts += gamma.sum(axis=0)
        first += gamma.T @ x
        if kind == "tied":
            second += (x * gamma.sum(axis=1)[:, None]).T @ x
        elif kind == "full":
            for component in np.flatnonzero(gamma.any(axis=0)):
                second[component] += (x * gamma[:, [component]]).T @ x
        else:
            second += gamma.T @ x**2
    spread = np.maximum(frames.var(axis=0, dtype=np.float64), 1e-12)
    wide = {
        "full": np.tile(np.diag(spread), (n_components, 1, 1)),
        "tied": np.diag(spread),
        "diag": np.tile(spread, (n_components, 1)),
        "spherical": np.full(n_components, spread.mean()),
    }[kind]
    uniform = np.full(n_components, 1 / n_components)
    means = np.tile(frames.mean(axis=0, dtype=np.float64), (n_components, 1))
    total = Statistics(counts, first, second, 0.0, float(counts.sum()))
    return maximize(mixture_of(uniform, means, wide, kind), total, options)
