"""The mixture itself: weights, means, and covariances of four shapes.

All four share one E-step (see `density`): the joint log-density of a frame and a component is
linear in the frame z and some products of its entries, so each class only says which products
(`quadratics`), with which coefficients (`coefficients`), and which second moments their sums are
(`second_moments`). Adding a shape is adding a class.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, frozen
from voicegmm._base.errors import DataError

LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class ScaledSums:
    """Sums over frames of z = (x - shift) / scale and of its quadratics, by component.

    Parameters
    ----------
    counts : (n_components,) float64 array
    first : (n_components, n_dims) float64 array
        Of z.
    quadratic : float64 array
        Of z's quadratics, (n_components, n_quadratics); of z z' over all components,
        (n_dims, n_dims), where they share one covariance.
    shift, scale : (n_dims,) float64 array
    """

    counts: Float64Array
    first: Float64Array
    quadratic: Float64Array
    shift: Float64Array
    scale: Float64Array

    def first_moments(self) -> Float64Array:
        """Turn the sums of z into sums of x, (n_components, n_dims)."""
        moments: Float64Array = self.scale * self.first + self.shift * self.counts[:, None]
        return moments


@dataclass(frozen=True, eq=False)
class Mixture(ABC):
    """What mixtures of Gaussians have in common, p(x) = sum_k w_k N(x | mu_k, Sigma_k).

    Parameters
    ----------
    weights : (n_components,) array_like
        Not negative; they sum to 1 (to 1e-6; the rest is normalized away).
    means : (n_components, n_dims) array_like
        Finite.
    """

    weights: Float64Array
    means: Float64Array

    covariance_type: ClassVar[str]

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        means = np.asarray(self.means, dtype=np.float64)
        if weights.ndim != 1 or weights.size == 0:
            raise DataError(f"weights must be a vector of at least one, got shape {weights.shape}")
        if means.ndim != 2 or means.shape[0] != weights.size or means.shape[1] == 0:
            raise DataError(
                f"means must be ({weights.size}, n_dims), a row for each weight, got {means.shape}"
            )
        if not ((weights >= 0).all() and abs(weights.sum() - 1) < 1e-6):
            raise DataError(f"weights must be 0 or more and sum to 1, they sum to {weights.sum()}")
        # Dividing by a sum that is 1 to rounding would change the bits at each round trip.
        total = weights.sum()
        if abs(total - 1) > 1e-12:
            object.__setattr__(self, "weights", weights / total)
        for field in fields(self):
            array = frozen(getattr(self, field.name), np.float64)
            if not np.isfinite(array).all():
                raise DataError(f"{field.name} must be finite")
            object.__setattr__(self, field.name, array)

    @property
    def n_components(self) -> int:
        """Number of Gaussians, K."""
        return int(self.means.shape[0])

    @property
    def n_dims(self) -> int:
        """Number of dimensions, D."""
        return int(self.means.shape[1])

    def spread(self) -> tuple[Float64Array, Float64Array]:
        """Give mean and variance of the whole mixture, dimension by dimension."""
        mean = np.asarray(self.weights @ self.means, np.float64)
        variance = self.weights @ (self.variances_by_dim() + (self.means - mean) ** 2)
        return mean, np.asarray(variance, np.float64)

    @abstractmethod
    def variances_by_dim(self) -> Float64Array:
        """Give each component's variances, (n_components, n_dims)."""

    @staticmethod
    @abstractmethod
    def quadratics(z: FloatArray) -> FloatArray:
        """Give the products of entries of (n_frames, n_dims) that the density is linear in."""

    @abstractmethod
    def coefficients(self, shift: Float64Array, scale: Float64Array) -> Float64Array:
        """Give the joint log-density's coefficients of [z, quadratics, 1], z = (x - shift) / scale.

        Returns
        -------
        (n_dims + n_quadratics + 1, n_components) float64 array
        """

    def common(self, scale: Float64Array) -> Float64Array | None:
        """Give A, where -|z A|^2 / 2 is a term that all components share; None where there is none.

        Returns
        -------
        (n_dims, n_dims) float64 array or None
        """
        return None

    @staticmethod
    @abstractmethod
    def second_moments(sums: ScaledSums) -> Float64Array:
        """Turn sums of z and of its quadratics into second-order statistics of x."""

    def _log_weights(self) -> Float64Array:
        with np.errstate(divide="ignore"):  # a weight of zero is a component that never answers
            logs: Float64Array = np.log(self.weights)
        return logs


def _check_shape(name: str, array: FloatArray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise DataError(f"{name} must be {shape} to go with the means, got {np.shape(array)}")


def _check_positive(name: str, array: FloatArray) -> None:
    if not (array > 0).all():
        raise DataError(f"{name} must be positive, the smallest is {np.min(array)}")


def _factors(name: str, covariances: FloatArray) -> Float64Array:
    """Give Cholesky factors, refusing what is not symmetric and positive definite."""
    if not np.allclose(covariances, np.swapaxes(covariances, -1, -2), rtol=1e-6, atol=0):
        raise DataError(f"{name} must be symmetric")
    try:
        factors = np.asarray(np.linalg.cholesky(covariances), np.float64)
    except np.linalg.LinAlgError:
        raise DataError(f"{name} must be positive definite") from None
    return factors


@dataclass(frozen=True, eq=False)
class DiagonalGMM(Mixture):
    """A mixture with diagonal covariances: the core, and the fast path.

    Parameters
    ----------
    weights, means
        As in `Mixture`.
    variances : (n_components, n_dims) array_like
        Positive and finite.

    Raises
    ------
    DataError
        If the shapes disagree or a number cannot be what it should.
    """

    variances: Float64Array

    covariance_type: ClassVar[str] = "diagonal"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_shape("variances", self.variances, self.means.shape)
        _check_positive("variances", self.variances)

    def variances_by_dim(self) -> Float64Array:
        """Give each component's variances, (n_components, n_dims)."""
        return self.variances

    @staticmethod
    def quadratics(z: FloatArray) -> FloatArray:
        """Give z^2."""
        return np.square(z)

    def coefficients(self, shift: Float64Array, scale: Float64Array) -> Float64Array:
        """Give m / v, -1 / (2 v) and the bias (Bishop 2006, eq. 9.7 with a diagonal Sigma)."""
        variances = self.variances_by_dim()
        m = (self.means - shift) / scale
        v = variances / scale**2
        log_norm = self.n_dims * LOG_2_PI + np.log(variances).sum(1)
        bias = self._log_weights() - 0.5 * (log_norm + (m**2 / v).sum(1))
        return np.concatenate([(m / v).T, -0.5 / v.T, bias[None]])

    @staticmethod
    def second_moments(sums: ScaledSums) -> Float64Array:
        """Give sums of x^2, (n_components, n_dims)."""
        shift, scale = sums.shift, sums.scale
        moments: Float64Array = scale**2 * sums.quadratic + 2 * shift * scale * sums.first
        moments += shift**2 * sums.counts[:, None]
        return moments


@dataclass(frozen=True, eq=False)
class SphericalGMM(DiagonalGMM):
    """A mixture whose components have one variance in all dimensions.

    Parameters
    ----------
    weights, means
        As in `Mixture`.
    variances : (n_components,) array_like
        Positive and finite.
    """

    covariance_type: ClassVar[str] = "spherical"

    def __post_init__(self) -> None:
        Mixture.__post_init__(self)
        _check_shape("variances", self.variances, self.weights.shape)
        _check_positive("variances", self.variances)

    def variances_by_dim(self) -> Float64Array:
        """Give each component's variances, (n_components, n_dims)."""
        return np.broadcast_to(self.variances[:, None], self.means.shape)


@dataclass(frozen=True, eq=False)
class FullGMM(Mixture):
    """A mixture with full covariances.

    Parameters
    ----------
    weights, means
        As in `Mixture`.
    covariances : (n_components, n_dims, n_dims) array_like
        Symmetric and positive definite.
    """

    covariances: Float64Array

    covariance_type: ClassVar[str] = "full"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_shape("covariances", self.covariances, (*self.means.shape, self.n_dims))
        _factors("covariances", self.covariances)

    def variances_by_dim(self) -> Float64Array:
        """Give each component's variances, (n_components, n_dims)."""
        return np.diagonal(self.covariances, axis1=1, axis2=2)

    @staticmethod
    def quadratics(z: FloatArray) -> FloatArray:
        """Give z_i z_j, i <= j."""
        i, j = np.triu_indices(z.shape[1])
        return z[:, i] * z[:, j]

    def coefficients(self, shift: Float64Array, scale: Float64Array) -> Float64Array:
        """Give P m, -P (half of its diagonal) and the bias, P the inverse of Sigma."""
        m = (self.means - shift) / scale
        factors = np.linalg.cholesky(self.covariances / np.outer(scale, scale))
        inverse = np.linalg.inv(factors)
        precisions = np.swapaxes(inverse, 1, 2) @ inverse
        linear = np.einsum("kij,kj->ki", precisions, m)
        i, j = np.triu_indices(self.n_dims)
        quadratic = -np.where(i == j, 0.5, 1.0) * precisions[:, i, j]
        log_det = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
        log_norm = self.n_dims * LOG_2_PI + log_det + 2 * np.log(scale).sum()
        bias = self._log_weights() - 0.5 * (log_norm + (linear * m).sum(1))
        return np.concatenate([linear.T, quadratic.T, bias[None]])

    @staticmethod
    def second_moments(sums: ScaledSums) -> Float64Array:
        """Give sums of x x', (n_components, n_dims, n_dims)."""
        shift, scale = sums.shift, sums.scale
        n_dims = len(shift)
        i, j = np.triu_indices(n_dims)
        moments = np.empty((len(sums.counts), n_dims, n_dims))
        moments[:, i, j] = sums.quadratic * (scale[i] * scale[j])
        moments[:, j, i] = moments[:, i, j]
        cross = (sums.first * scale)[:, :, None] * shift
        moments += cross + np.swapaxes(cross, 1, 2)
        moments += sums.counts[:, None, None] * np.outer(shift, shift)
        return moments


@dataclass(frozen=True, eq=False)
class TiedGMM(Mixture):
    """A mixture whose components share one full covariance.

    Parameters
    ----------
    weights, means
        As in `Mixture`.
    covariance : (n_dims, n_dims) array_like
        Symmetric and positive definite.
    """

    covariance: Float64Array

    covariance_type: ClassVar[str] = "tied"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_shape("covariance", self.covariance, (self.n_dims, self.n_dims))
        _factors("covariance", self.covariance)

    def variances_by_dim(self) -> Float64Array:
        """Give each component's variances, (n_components, n_dims)."""
        return np.broadcast_to(np.diagonal(self.covariance), self.means.shape)

    @staticmethod
    def quadratics(z: FloatArray) -> FloatArray:
        """Give nothing: the quadratic term is common to all components."""
        return z[:, :0]

    def coefficients(self, shift: Float64Array, scale: Float64Array) -> Float64Array:
        """Give P m and the bias, P the inverse of Sigma."""
        m = (self.means - shift) / scale
        whitener = self.common(scale)
        linear = (m @ whitener) @ whitener.T
        log_det = -2 * np.linalg.slogdet(whitener)[1]
        log_norm = self.n_dims * LOG_2_PI + log_det + 2 * np.log(scale).sum()
        bias = self._log_weights() - 0.5 * (log_norm + (linear * m).sum(1))
        return np.concatenate([linear.T, bias[None]])

    def common(self, scale: Float64Array) -> Float64Array:
        """Give A with A A' the inverse of the covariance of z."""
        factor = np.linalg.cholesky(self.covariance / np.outer(scale, scale))
        whitener: Float64Array = np.linalg.inv(factor).T
        return whitener

    @staticmethod
    def second_moments(sums: ScaledSums) -> Float64Array:
        """Give the sum of x x' over all components, (n_dims, n_dims)."""
        shift, scale = sums.shift, sums.scale
        cross = np.outer((sums.first * scale).sum(0), shift)
        moments: Float64Array = sums.quadratic * np.outer(scale, scale) + cross + cross.T
        moments += sums.counts.sum() * np.outer(shift, shift)
        return moments
