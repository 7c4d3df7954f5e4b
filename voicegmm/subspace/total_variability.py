"""i-vectors: everything a recording's means differ by, in one vector of a few hundred numbers.

The means of a recording, in deviations L_k of the background model's components, are moved by
A_k w, w ~ N(0, I): M_k = m_k + L_k A_k w. With n and f the recording's moments (f centered and in
deviations), the posterior of w is Gaussian with

    precision I + sum_k n_k A_k' A_k  and  mean precision^-1 sum_k A_k' f_k

Dehak, Kenny, Dehak, Dumouchel, Ouellet, "Front-end factor analysis for speaker verification", IEEE
Trans. Audio, Speech and Language Processing 19, 2011; Kenny, Boulianne, Dumouchel, "Eigenvoice
modeling with sparse training data", IEEE Trans. Speech and Audio Processing 13, 2005.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, frozen
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm._base.progress import Progress, silent
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture import Mixture
from voicegmm.mixture.density import blocks
from voicegmm.subspace.factors import (
    FactorSums,
    Posteriors,
    maximize_loadings,
    pack,
    packed_products,
    packed_size,
    unpack,
)
from voicegmm.subspace.recordings import Recordings, check_background

_BLOCK = 64  # recordings: enough to make products of it, few enough for their matrices to be small
_WORK_ITEM = 256  # recordings whose sums are made by one worker
_START = 0.1  # deviations: of the loadings that training begins with


@dataclass(frozen=True, eq=False)
class TotalVariability:
    """The subspace in which recordings differ.

    Parameters
    ----------
    gmm : Mixture
        The background model.
    loadings : (n_components, n_dims, rank) array_like
        A, in deviations of the components: T_k = L_k A_k, Sigma_k = L_k L_k'.
    objectives : tuple of float
        By how much the subspace raised the log-likelihood before each iteration of the training,
        nats a recording.

    Raises
    ------
    DataError
        If the shapes disagree, or a number is not finite.
    """

    gmm: Mixture
    loadings: Float64Array
    objectives: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        loadings = checked_loadings("loadings", self.loadings, self.gmm)
        object.__setattr__(self, "loadings", loadings)

    @property
    def rank(self) -> int:
        """Length of the vectors."""
        return int(self.loadings.shape[2])

    @cached_property
    def _double(self) -> tuple[FloatArray, FloatArray]:
        """Give A as a matrix, (n_components n_dims, rank), and each A_k' A_k, packed."""
        flat = self.loadings.reshape(self.gmm.means.size, self.rank)
        return flat, packed_products(self.loadings)

    @cached_property
    def _single(self) -> tuple[FloatArray, FloatArray]:
        return self._double[0].astype(np.float32), self._double[1].astype(np.float32)

    def precisions(self, counts: FloatArray) -> Float64Array:
        """Give the precisions of the posteriors, (n_recordings, rank, rank), from the counts.

        The product is in the precision of the counts, as in `linear`; what follows is in float64.
        """
        products = (self._single if counts.dtype == np.float32 else self._double)[1]
        precisions = unpack((counts @ products).astype(np.float64, copy=False), self.rank)
        diagonal = np.arange(self.rank)
        precisions[:, diagonal, diagonal] += 1
        return precisions

    def linear(self, centered: FloatArray) -> Float64Array:
        """Give sum_k A_k' f_k of each recording, (n_recordings, rank)."""
        flat = (self._single if centered.dtype == np.float32 else self._double)[0]
        return np.asarray(centered.reshape(len(centered), -1) @ flat, np.float64)


def checked_loadings(name: str, loadings: Float64Array, gmm: Mixture) -> Float64Array:
    """Check that loadings are finite and go with the means of a model; make them read-only."""
    array: Float64Array = frozen(loadings, np.float64)
    if array.ndim != 3 or array.shape[:2] != gmm.means.shape:
        raise DataError(f"{name} must be {(*gmm.means.shape, 'rank')}, got {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"{name} must be finite")
    return array


@dataclass(frozen=True)
class TotalVariabilityOptions:
    """How the subspace is trained.

    Parameters
    ----------
    rank : int
        Length of the vectors: at least 1, at most the number of recordings.
    n_iterations : int
        Of EM, at least 1.
    minimum_divergence : bool
        See `maximize_loadings`.
    """

    rank: int = 200
    n_iterations: int = 10
    minimum_divergence: bool = True

    def __post_init__(self) -> None:
        at_least("rank", self.rank, 1)
        at_least("n_iterations", self.n_iterations, 1)


def train_total_variability(
    recordings: Recordings,
    options: TotalVariabilityOptions | None = None,
    rng: np.random.Generator | None = None,
    n_workers: int = 1,
    progress: Progress = silent,
) -> TotalVariability:
    """Learn the subspace by EM; the background model stays what it is.

    Each iteration raises the log-likelihood of the recordings' moments, with minimum divergence and
    without. The number of workers does not change a bit.

    Parameters
    ----------
    recordings : Recordings
        At least `options.rank`; read 64 at a time.
    options : TotalVariabilityOptions, optional
    rng : numpy.random.Generator, optional
        Draws the loadings that EM begins with; seeded with 0 by default.
    n_workers : int
        Threads. Each may hold the sums of two work items, n_components (rank + 1) rank / 2 and
        n_components n_dims rank numbers each, and as many for each doubling of the recordings
        beyond 256.
    progress : callable, optional

    Raises
    ------
    DataError
        If there are fewer recordings, or fewer numbers in a supervector, than the rank.
    """
    options = options or TotalVariabilityOptions()
    gmm, rank = recordings.gmm, options.rank
    most = min(len(recordings), gmm.means.size)
    if rank > most:
        raise DataError(
            f"rank must be at most {most}, with {len(recordings)} recordings and supervectors of "
            f"{gmm.means.size}; got {rank}: give more recordings, or lower it"
        )
    rng = rng or np.random.default_rng(0)
    model = TotalVariability(gmm, _START * rng.standard_normal((*gmm.means.shape, rank)))
    for done in range(options.n_iterations):
        sums = expectation(model, recordings, n_workers)
        loadings = maximize_loadings(model.loadings, sums, options.minimum_divergence)
        objectives = (*model.objectives, sums.objective / len(recordings))
        model = TotalVariability(gmm, loadings, objectives)
        progress("total variability", done + 1, options.n_iterations)
    return model


def expectation(model: TotalVariability, recordings: Recordings, n_workers: int = 1) -> FactorSums:
    """Do the E-step over all recordings.

    Raises
    ------
    MismatchError
        For recordings of another background model.
    DataError
        If there are none.
    """
    check_background(model.gmm, recordings)
    items = blocks(len(recordings), _WORK_ITEM)
    parts = ordered_map(lambda rows: _sums(model, recordings, rows), items, n_workers)
    total = tree_sum(parts)
    if total is None:
        raise DataError("recordings must be one at least, there are none")
    return total


def _sums(model: TotalVariability, recordings: Recordings, rows: slice) -> FactorSums:
    rank, shape = model.rank, model.loadings.shape
    second = np.zeros((shape[0], packed_size(rank)))
    cross, spread = np.zeros((shape[0] * shape[1], rank)), np.zeros((rank, rank))
    objective = 0.0
    for counts, centered in _blocks_of(recordings, rows):
        found = Posteriors.of(model.precisions(counts), model.linear(centered))
        moments = found.second_moments()
        kind = centered.dtype
        second += counts.T @ pack(moments).astype(kind, copy=False)
        cross += centered.reshape(len(centered), -1).T @ found.means.astype(kind, copy=False)
        spread += moments.sum(axis=0)
        objective += float(found.log_evidence.sum())
    n, nobody = rows.stop - rows.start, np.zeros((0, 0))
    return FactorSums(second, cross.reshape(shape), nobody, spread, n, n, objective)


def _blocks_of(recordings: Recordings, rows: slice) -> Iterator[tuple[FloatArray, FloatArray]]:
    for block in blocks(rows.stop - rows.start, _BLOCK):
        yield recordings.part(slice(rows.start + block.start, rows.start + block.stop))


def extract(
    model: TotalVariability,
    recordings: Recordings,
    n_workers: int = 1,
    progress: Progress = silent,
) -> Float64Array:
    """Give the i-vector of each recording: the mean of its posterior.

    Recordings in float32 give products in float32, and vectors to about 1e-6 of their length.

    Parameters
    ----------
    model : TotalVariability
    recordings : Recordings
        Read 64 at a time.
    n_workers : int
        Threads. Their number does not change a bit.
    progress : callable, optional

    Returns
    -------
    (n_recordings, rank) float64 array
        A vector of zeros for a recording without frames.

    Raises
    ------
    MismatchError
        For recordings of another background model.
    """
    check_background(model.gmm, recordings)
    vectors = np.empty((len(recordings), model.rank))

    def solve(rows: slice) -> tuple[slice, Float64Array]:
        counts, centered = recordings.part(rows)
        linear = model.linear(centered)[..., None]
        return rows, np.asarray(np.linalg.solve(model.precisions(counts), linear)[..., 0], float)

    for rows, found in ordered_map(solve, blocks(len(recordings), _BLOCK), n_workers):
        vectors[rows] = found
        progress("i-vectors", rows.stop, len(recordings))
    return vectors


def extract_posteriors(model: TotalVariability, recordings: Recordings) -> Posteriors:
    """Give the i-vectors with their uncertainty: means and covariances of the posteriors.

    Parameters
    ----------
    model : TotalVariability
    recordings : Recordings
        As many as there is memory for a covariance of each.

    Raises
    ------
    MismatchError
        For recordings of another background model.
    """
    check_background(model.gmm, recordings)
    counts, centered = recordings.part(slice(0, len(recordings)))
    return Posteriors.of(model.precisions(counts), model.linear(centered))
