"""What all factor models share: packed symmetric matrices, sums of an E-step, loadings from them.

A factor model says that the means of a recording, in deviations of the background model, are moved
by A_k w, w Gaussian. Its E-step needs the posterior of w, whose precision is a sum over components
of counts times A_k' A_k; its M-step is one linear system a component (Kenny, Boulianne, Dumouchel,
"Eigenvoice modeling with sparse training data", IEEE Trans. Speech and Audio Processing 13, 2005).
"""

from dataclasses import dataclass, fields

import numpy as np

from voicegmm._base.arrays import Float64Array

_SMALL = 32  # rows: triangles that are inverted as they are


def packed_size(rank: int) -> int:
    """Give how many numbers a symmetric matrix of (rank, rank) has."""
    return rank * (rank + 1) // 2


def pack(matrices: Float64Array) -> Float64Array:
    """Take the lower triangles of (..., rank, rank) matrices, (..., rank (rank + 1) / 2)."""
    i, j = np.tril_indices(matrices.shape[-1])
    return np.asarray(matrices[..., i, j])


def unpack(packed: Float64Array, rank: int) -> Float64Array:
    """Give symmetric matrices, (..., rank, rank), from their lower triangles."""
    index = np.empty((rank, rank), np.intp)
    i, j = np.tril_indices(rank)
    index[i, j] = index[j, i] = np.arange(packed_size(rank))
    return np.asarray(np.take(packed, index, axis=-1))


def packed_products(loadings: Float64Array) -> Float64Array:
    """Give A_k' A_k of each component, packed, (n_components, rank (rank + 1) / 2)."""
    return pack(np.swapaxes(loadings, 1, 2) @ loadings)


def inverse_triangles(lower: Float64Array) -> Float64Array:
    """Invert a stack of lower triangular matrices, by halves: products do most of the work."""
    size = lower.shape[-1]
    if size <= _SMALL:
        return np.asarray(np.linalg.inv(lower))
    half = size // 2
    inverse = np.zeros_like(lower)
    first = inverse_triangles(np.ascontiguousarray(lower[..., :half, :half]))
    last = inverse_triangles(np.ascontiguousarray(lower[..., half:, half:]))
    inverse[..., :half, :half], inverse[..., half:, half:] = first, last
    inverse[..., half:, :half] = -last @ (lower[..., half:, :half] @ first)
    return inverse


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Gaussian posteriors of the factors of some recordings or speakers.

    Parameters
    ----------
    means : (n, rank) float64 array
    covariances : (n, rank, rank) float64 array
    log_evidence : (n,) float64 array
        By how much the factors raise the log-likelihood, in nats.
    """

    means: Float64Array
    covariances: Float64Array
    log_evidence: Float64Array

    @staticmethod
    def of(precisions: Float64Array, linear: Float64Array) -> "Posteriors":
        """Find the posteriors with exponents w' linear - w' precision w / 2.

        Parameters
        ----------
        precisions : (n, rank, rank) float64 array
            The identity of the prior and what the data add to it.
        linear : (n, rank) float64 array
        """
        lower: Float64Array = np.linalg.cholesky(precisions).astype(np.float64, copy=False)
        inverse = inverse_triangles(lower)
        halves = inverse @ linear[..., None]
        flipped = np.swapaxes(inverse, -1, -2)
        log_det = np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
        squares = (halves[..., 0] ** 2).sum(axis=-1)
        return Posteriors((flipped @ halves)[..., 0], flipped @ inverse, squares / 2 - log_det)

    def second_moments(self) -> Float64Array:
        """Give E[w w'], (n, rank, rank)."""
        return np.asarray(self.covariances + self.means[:, :, None] * self.means[:, None, :])


@dataclass(frozen=True, eq=False)
class FactorSums:
    """Sums of an E-step: a commutative monoid under ``+``.

    Parameters
    ----------
    second : (n_components, rank (rank + 1) / 2) float64 array
        Of counts times E[w w'], packed.
    cross : (n_components, n_dims, rank) float64 array
        Of centered moments times E[w]'.
    speaker_spread, session_spread : float64 array
        Of E[y y'] of speakers and of E[x x'] of recordings, where w has the two parts y and x.
    n_speakers, n_sessions : int
    objective : float
        By how much the factors raise the log-likelihood of the data, in nats.
    """

    second: Float64Array
    cross: Float64Array
    speaker_spread: Float64Array
    session_spread: Float64Array
    n_speakers: int
    n_sessions: int
    objective: float

    def __add__(self, other: "FactorSums") -> "FactorSums":
        return FactorSums(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )


def maximize_loadings(
    old: Float64Array, sums: FactorSums, minimum_divergence: bool = True
) -> Float64Array:
    """Give the loadings that maximize the expected log-likelihood.

    Parameters
    ----------
    old : (n_components, n_dims, rank) float64 array
        A component without data keeps these.
    sums : FactorSums
        Of the E-step with `old`.
    minimum_divergence : bool
        Whether the factors' prior is fitted to their posteriors, too, about a mean of 0, and its
        covariance moved into the loadings (Kenny 2008, "A study of inter-speaker variability in
        speaker verification").

    Returns
    -------
    (n_components, n_dims, rank) float64 array
    """
    rank = old.shape[-1]
    second = unpack(sums.second, rank)
    seen = np.trace(second, axis1=1, axis2=2) > 0
    new = old.copy()
    solved = np.linalg.solve(second[seen], np.swapaxes(sums.cross[seen], 1, 2))
    new[seen] = np.swapaxes(solved, 1, 2)
    if minimum_divergence:
        cut = len(sums.speaker_spread)
        for part, spread, n in (
            (slice(0, cut), sums.speaker_spread, sums.n_speakers),
            (slice(cut, rank), sums.session_spread, sums.n_sessions),
        ):
            new[..., part] = new[..., part] @ np.linalg.cholesky(spread / n)
    return new
