"""i-vectors: everything a recording's means differ by, in one vector of a few hundred numbers.

The means of a recording, in deviations L_k of the background model's components, are moved by
A_k w, w ~ N(0, I): M_k = m_k + L_k A_k w. With n and f the recording's moments (f centered and in
deviations), the posterior of w is Gaussian with

    precision I + sum_k n_k A_k' A_k  and  mean precision^-1 sum_k A_k' f_k

Dehak, Kenny, Dehak, Dumouchel, Ouellet, "Front-end factor analysis for speaker verification", IEEE
Trans. Audio, Speech and Language Processing 19, 2011; Kenny, Boulianne, Dumouchel, "Eigenvoice
modeling with sparse training data", IEEE Trans. Speech and Audio Processing 13, 2005.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, frozen
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm._base.progress import Progress, silent
from voicegmm.compute import ordered_map
from voicegmm.mixture import Mixture
from voicegmm.mixture.density import blocks
from voicegmm.subspace.factors import (
    FactorSums,
    Posteriors,
    iterate,
    pack,
    packed_products,
    packed_size,
    unpack,
)
from voicegmm.subspace.recordings import Recordings, check_background

_BLOCK = 64  # recordings: enough to make products of it, few enough for their matrices to be small
_ROUND = 512  # recordings between one look at the sums, which are large, and the next
_COMPONENTS = 64  # whose sums are made by one worker at a time
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
    def _double(self) -> "Ready":
        return Ready.of(self.loadings, np.float64)

    @cached_property
    def _single(self) -> "Ready":
        return Ready.of(self.loadings, np.float32)

    def ready(self, dtype: npt.DTypeLike) -> "Ready":
        """Give what posteriors take of the loadings, for moments of float32 or float64."""
        return self._single if dtype == np.float32 else self._double


@dataclass(frozen=True, eq=False)
class Ready:
    """What posteriors take of the loadings.

    Parameters
    ----------
    flat : (n_components n_dims, rank) float array
        A.
    products : (n_components, rank (rank + 1) / 2) float array
        Each A_k' A_k, packed.
    """

    flat: FloatArray
    products: FloatArray

    @staticmethod
    def of(loadings: Float64Array, dtype: npt.DTypeLike, n_workers: int = 1) -> "Ready":
        """Make loadings ready, (n_components, n_dims, rank); by threads, if so asked."""
        n_components, n_dims, rank = loadings.shape
        flat = loadings.reshape(n_components * n_dims, rank).astype(dtype, copy=False)
        return Ready(flat, packed_products(loadings, dtype, n_workers))

    def precisions(self, counts: FloatArray) -> Float64Array:
        """Give the precisions of the posteriors, (n_recordings, rank, rank), from the counts.

        The product is in the precision of the loadings, as in `linear`; what follows is in float64.
        """
        rank = self.flat.shape[1]
        packed = counts.astype(self.products.dtype, copy=False) @ self.products
        precisions: Float64Array = unpack(packed, rank).astype(np.float64, copy=False)
        diagonal = np.arange(rank)
        precisions[:, diagonal, diagonal] += 1
        return precisions

    def linear(self, centered: FloatArray) -> Float64Array:
        """Give sum_k A_k' f_k of each recording, (n_recordings, rank)."""
        flat = centered.reshape(len(centered), -1).astype(self.flat.dtype, copy=False)
        return np.asarray(flat @ self.flat, np.float64)


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
        At least `options.rank`; read 512 at a time.
    options : TotalVariabilityOptions, optional
    rng : numpy.random.Generator, optional
        Draws the loadings that EM begins with; seeded with 0 by default.
    n_workers : int
        Threads. Beside the recordings there are, however many they are, one set of sums,
        n_components (rank + 1) rank / 2 and n_components n_dims rank numbers of 8 bytes, as many of
        the loadings, and (rank + 1) rank / 2 numbers of each of 512 recordings.
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
    return iterate(
        TotalVariability(gmm, _START * rng.standard_normal((*gmm.means.shape, rank))),
        lambda model: expectation(model, recordings, n_workers),
        lambda loadings, objectives: TotalVariability(gmm, loadings, objectives),
        options.n_iterations,
        options.minimum_divergence,
        n_workers,
        lambda done: progress("total variability", done, options.n_iterations),
    )


def expectation(model: TotalVariability, recordings: Recordings, n_workers: int = 1) -> FactorSums:
    """Do the E-step over all recordings, some hundreds at a time.

    First workers find posteriors, each those of some recordings; then they add up products, each
    those of some components. So there is one set of sums, however many the workers and recordings.

    Raises
    ------
    MismatchError
        For recordings of another background model.
    DataError
        If there are none.
    """
    check_background(model.gmm, recordings)
    n, rank, shape = len(recordings), model.rank, model.loadings.shape
    if not n:
        raise DataError("recordings must be one at least, there are none")
    kind = recordings.part(slice(0, 1))[1].dtype
    ready = Ready.of(model.loadings, kind, n_workers)
    second, cross = np.zeros((shape[0], packed_size(rank))), np.zeros(shape)
    spread, objective = np.zeros((rank, rank)), 0.0
    moments = np.empty((min(n, _ROUND), packed_size(rank)), kind)
    means = np.empty((min(n, _ROUND), rank), kind)
    for some in blocks(n, _ROUND):
        counts, centered = recordings.part(some)

        def find(
            block: slice, counts: FloatArray = counts, centered: FloatArray = centered
        ) -> tuple[Float64Array, float]:
            linear = ready.linear(centered[block])
            found = Posteriors.of(ready.precisions(counts[block]), linear)
            own = found.second_moments()
            means[block], moments[block] = found.means, pack(own)
            return own.sum(axis=0), float(found.log_evidence.sum())

        def add(part: slice, counts: FloatArray = counts, centered: FloatArray = centered) -> None:
            second[part] += counts[:, part].T @ moments[: len(counts)]
            flat = centered[:, part].reshape(len(counts), -1)
            cross[part] += (flat.T @ means[: len(counts)]).reshape(-1, *shape[1:])

        for own, evidence in ordered_map(find, blocks(len(counts), _BLOCK), n_workers):
            spread += own
            objective += evidence
        for _ in ordered_map(add, blocks(shape[0], _COMPONENTS), n_workers):
            pass
    return FactorSums(second, cross, np.zeros((0, 0)), spread, n, n, objective)


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
    ready = model.ready(recordings.centered.dtype)

    def solve(rows: slice) -> tuple[slice, Float64Array]:
        counts, centered = recordings.part(rows)
        linear = ready.linear(centered)[..., None]
        return rows, np.asarray(np.linalg.solve(ready.precisions(counts), linear)[..., 0], float)

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
    ready = model.ready(centered.dtype)
    return Posteriors.of(ready.precisions(counts), ready.linear(centered))
