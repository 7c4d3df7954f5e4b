"""What all factor models share: packed symmetric matrices, sums of an E-step, loadings from them.

A factor model says that the means of a recording, in deviations of the background model, are moved
by A_k w, w Gaussian. Its E-step needs the posterior of w, whose precision is a sum over components
of counts times A_k' A_k; its M-step is one linear system a component (Kenny, Boulianne, Dumouchel,
"Eigenvoice modeling with sparse training data", IEEE Trans. Speech and Audio Processing 13, 2005).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm.compute import ordered_map
from voicegmm.mixture.density import blocks

_SMALL = 16  # rows: matrices that are inverted as they are
_CHUNK = 32  # components whose matrices are made by one worker at a time


def packed_size(rank: int) -> int:
    """Give how many numbers a symmetric matrix of (rank, rank) has."""
    return rank * (rank + 1) // 2


@cache
def _triangle(rank: int) -> tuple[IntArray, IntArray]:
    """Give where packed numbers stand in a flat matrix, and where its numbers stand packed."""
    i, j = np.tril_indices(rank)
    index = np.empty((rank, rank), np.intp)
    index[i, j] = index[j, i] = np.arange(packed_size(rank))
    return i * rank + j, index


def pack(matrices: FloatArray) -> FloatArray:
    """Take the lower triangles of (..., rank, rank) matrices, (..., rank (rank + 1) / 2)."""
    flat = matrices.reshape(*matrices.shape[:-2], -1)
    return np.take(flat, _triangle(matrices.shape[-1])[0], axis=-1)


def unpack(packed: FloatArray, rank: int) -> FloatArray:
    """Give symmetric matrices, (..., rank, rank), from their lower triangles."""
    return np.take(packed, _triangle(rank)[1], axis=-1)


def packed_products(
    loadings: Float64Array, dtype: npt.DTypeLike = np.float64, n_workers: int = 1
) -> FloatArray:
    """Give A_k' A_k of each component, packed, (n_components, rank (rank + 1) / 2).

    They are made in float64, some components at a time by `n_workers` threads, and kept as `dtype`.
    """
    n_components, _, rank = loadings.shape
    made = np.empty((n_components, packed_size(rank)), dtype)

    def work(some: slice) -> None:
        made[some] = pack(np.swapaxes(loadings[some], 1, 2) @ loadings[some])

    for _ in ordered_map(work, blocks(n_components, _CHUNK), n_workers):
        pass
    return made


def inverse_definite(matrices: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Invert a stack of positive definite matrices, by halves: products do most of the work.

    Parameters
    ----------
    matrices : (n, rank, rank) float64 array

    Returns
    -------
    inverses : (n, rank, rank) float64 array
    log_dets : (n,) float64 array
        Logarithms of the determinants of `matrices`.

    Raises
    ------
    numpy.linalg.LinAlgError
        If one is not positive definite.
    """
    inverses = np.empty_like(matrices)
    return inverses, _invert(matrices, inverses)


def _invert(matrices: Float64Array, out: Float64Array) -> Float64Array:
    """Write inverses, by the Schur complement of the first half; give logs of determinants."""
    size = matrices.shape[-1]
    if size <= _SMALL:
        lower = np.linalg.cholesky(matrices)
        out[...] = np.linalg.inv(matrices)
        log_dets = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
        return np.asarray(log_dets)
    half = size // 2
    cross, first = matrices[..., half:, :half], out[..., :half, :half]
    corner, last = out[..., half:, :half], out[..., half:, half:]
    log_dets = _invert(matrices[..., :half, :half], first)
    shares = cross @ first
    rest = matrices[..., half:, half:] - shares @ np.swapaxes(cross, -1, -2)
    rest = (rest + np.swapaxes(rest, -1, -2)) / 2  # else what is not symmetric grows with each half
    log_dets = log_dets + _invert(rest, last)
    np.matmul(last, shares, out=corner)
    first += np.swapaxes(shares, -1, -2) @ corner
    np.negative(corner, out=corner)
    out[..., :half, half:] = np.swapaxes(corner, -1, -2)
    return log_dets


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
        covariances, log_dets = inverse_definite(precisions)
        means = (covariances @ linear[..., None])[..., 0]
        return Posteriors(means, covariances, ((linear * means).sum(axis=-1) - log_dets) / 2)

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
    old: Float64Array, sums: FactorSums, minimum_divergence: bool = True, n_workers: int = 1
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
    n_workers : int
        Threads. Their number does not change a bit.

    Returns
    -------
    (n_components, n_dims, rank) float64 array
    """
    rank, cut = old.shape[-1], len(sums.speaker_spread)
    scale = np.eye(rank)
    if minimum_divergence:
        for part, spread, n in (
            (slice(0, cut), sums.speaker_spread, sums.n_speakers),
            (slice(cut, rank), sums.session_spread, sums.n_sessions),
        ):
            scale[part, part] = np.linalg.cholesky(spread / n)
    new = np.empty_like(old)

    def work(some: slice) -> None:
        second = unpack(sums.second[some], rank)
        seen = np.trace(second, axis1=1, axis2=2) > 0
        solved = old[some].copy()
        found = np.linalg.solve(second[seen], np.swapaxes(sums.cross[some][seen], 1, 2))
        solved[seen] = np.swapaxes(found, 1, 2)
        new[some] = solved @ scale if minimum_divergence else solved

    for _ in ordered_map(work, blocks(len(old), _CHUNK), n_workers):
        pass
    return new


class Factors(Protocol):
    """A model whose loadings are learned."""

    @property
    def loadings(self) -> Float64Array:
        """All of them, (n_components, n_dims, rank)."""

    @property
    def objectives(self) -> tuple[float, ...]:
        """What each iteration began with, nats a recording."""


Model = TypeVar("Model", bound=Factors)


def iterate(
    model: Model,
    expect: Callable[[Model], FactorSums],
    remake: Callable[[Float64Array, tuple[float, ...]], Model],
    n_iterations: int,
    minimum_divergence: bool,
    n_workers: int,
    progress: Callable[[int], None],
) -> Model:
    """Do iterations of EM.

    Parameters
    ----------
    model : Factors
        What to begin with.
    expect : callable
        The E-step.
    remake : callable
        Makes the next model of loadings and objectives.
    n_iterations : int
    minimum_divergence, n_workers
        See `maximize_loadings`.
    progress : callable
        Called with the number of iterations done.
    """
    for done in range(n_iterations):
        sums = expect(model)
        loadings = maximize_loadings(model.loadings, sums, minimum_divergence, n_workers)
        model = remake(loadings, (*model.objectives, sums.objective / sums.n_sessions))
        progress(done + 1)
    return model
