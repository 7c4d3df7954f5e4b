"""The mixture itself: weights, means, variances."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray, frozen
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError


@dataclass(frozen=True, eq=False)
class DiagonalGMM:
    """A Gaussian mixture with diagonal covariances, p(x) = sum_k w_k N(x | mu_k, diag(s_k)).

    Parameters
    ----------
    weights : (n_components,) array_like
        Not negative; they sum to 1 (to 1e-6; the rest is normalized away).
    means : (n_components, n_dims) array_like
        Finite.
    variances : (n_components, n_dims) array_like
        Positive and finite.

    Raises
    ------
    DataError
        If the shapes disagree or a number cannot be what it should.
    """

    weights: Float64Array
    means: Float64Array
    variances: Float64Array

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        means = np.asarray(self.means, dtype=np.float64)
        variances = np.asarray(self.variances, dtype=np.float64)
        if weights.ndim != 1 or weights.size == 0:
            raise DataError(f"weights must be a vector of at least one, got shape {weights.shape}")
        if means.ndim != 2 or means.shape[0] != weights.size or means.shape[1] == 0:
            raise DataError(
                f"means must be ({weights.size}, n_dims), a row for each weight, got {means.shape}"
            )
        if variances.shape != means.shape:
            raise DataError(f"variances must be {means.shape} as the means, got {variances.shape}")
        if not (np.isfinite(means).all() and np.isfinite(variances).all()):
            raise DataError("means and variances must be finite")
        if not (variances > 0).all():
            raise DataError(f"variances must be positive, the smallest is {variances.min()}")
        if not ((weights >= 0).all() and abs(weights.sum() - 1) < 1e-6):
            raise DataError(f"weights must be 0 or more and sum to 1, they sum to {weights.sum()}")
        # Dividing by a sum that is 1 to rounding would change the bits at each round trip.
        total = weights.sum()
        if abs(total - 1) > 1e-12:
            weights = weights / total
        for name, array in (("weights", weights), ("means", means), ("variances", variances)):
            object.__setattr__(self, name, frozen(array, np.float64))

    @property
    def n_components(self) -> int:
        """Number of Gaussians, K."""
        return int(self.means.shape[0])

    @property
    def n_dims(self) -> int:
        """Number of dimensions, D."""
        return int(self.means.shape[1])


def sample(
    gmm: DiagonalGMM, n_frames: int, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Draw frames from a mixture.

    Parameters
    ----------
    gmm : DiagonalGMM
    n_frames : int
        At least 0.
    rng : numpy.random.Generator

    Returns
    -------
    frames : (n_frames, n_dims) float64 array
    components : (n_frames,) int array
        Which Gaussian each frame came from.
    """
    at_least("n_frames", n_frames, 0)
    components = rng.choice(gmm.n_components, size=n_frames, p=gmm.weights)
    noise = rng.standard_normal((n_frames, gmm.n_dims))
    return gmm.means[components] + noise * np.sqrt(gmm.variances[components]), components
