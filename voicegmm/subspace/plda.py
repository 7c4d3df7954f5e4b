"""Probabilistic linear discriminant analysis: the likelihood ratio of vectors being one speaker's.

A vector is x = mean + y + e, with y ~ N(0, B) the same in all vectors of a speaker and e ~ N(0, W)
anew in each (two covariances). Simplified PLDA says B = F F' with F of few columns. In the basis
where W is the identity and B is diagonal, psi, every dimension stands alone: n vectors of one
speaker with the sum s have, beside the density that they would have with y = 0, the factor

    log f(n, s) = -1/2 sum_d log(1 + n psi_d) + 1/2 sum_d psi_d s_d^2 / (1 + n psi_d)

and the log-likelihood ratio of a model and a test, of n and m vectors with sums s and t, is
log f(n + m, s + t) - log f(n, s) - log f(m, t): by the book, however many vectors there are.

Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006; Prince and Elder, "Probabilistic
linear discriminant analysis for inferences about identity", ICCV 2007; Brümmer and de Villiers,
"The speaker partitioning problem", Odyssey 2010 (two covariances); Garcia-Romero and Espy-Wilson,
Interspeech 2011 (simplified PLDA).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray, frozen
from voicegmm._base.checks import at_least, finite_frames
from voicegmm._base.errors import DataError
from voicegmm._base.progress import Progress, silent
from voicegmm.subspace.labeled import SpeakerMoments, factor

_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class Plda:
    """What vectors share within a speaker, and what they do not.

    Parameters
    ----------
    mean : (n_dims,) array_like
    within : (n_dims, n_dims) array_like
        Covariance of what is new in each vector; positive definite.
    between : (n_dims, n_dims) array_like
        Covariance of the speakers; positive semidefinite, of the rank of the speakers' subspace.

    Raises
    ------
    DataError
        If the shapes disagree, or the covariance within speakers is singular.
    """

    mean: Float64Array
    within: Float64Array
    between: Float64Array

    def __post_init__(self) -> None:
        n_dims = np.size(self.mean)
        for name in ("mean", "within", "between"):
            array = frozen(getattr(self, name), np.float64)
            wanted = (n_dims,) if name == "mean" else (n_dims, n_dims)
            if array.shape != wanted or not np.isfinite(array).all():
                raise DataError(f"{name} must be finite and of shape {wanted}, got {array.shape}")
            object.__setattr__(self, name, array)
        factor("covariance within speakers", self.within, "give more recordings")

    @cached_property
    def _diagonal(self) -> tuple[Float64Array, Float64Array]:
        whitener = np.linalg.inv(np.linalg.cholesky(self.within))
        values, axes = np.linalg.eigh(whitener @ self.between @ whitener.T)
        # What rounding left below 0 is a direction in which speakers do not differ.
        return np.maximum(values[::-1], 0), axes[:, ::-1].T @ whitener

    @property
    def psi(self) -> Float64Array:
        """Variance between speakers where that within is 1, (n_dims,), the largest first."""
        return self._diagonal[0]

    @property
    def transform(self) -> Float64Array:
        """The basis in which W is the identity and B is diag(psi), (n_dims, n_dims)."""
        return self._diagonal[1]


@dataclass(frozen=True)
class PldaOptions:
    """How PLDA is trained.

    Parameters
    ----------
    rank : int
        Dimensions of the speakers' subspace (simplified PLDA), 1 or more; 0: as many as the
        vectors have (two covariances).
    n_iterations : int
        Of EM, at least 1.
    """

    rank: int = 0
    n_iterations: int = 10

    def __post_init__(self) -> None:
        at_least("rank", self.rank, 0)
        at_least("n_iterations", self.n_iterations, 1)


def train_plda(
    vectors: FloatArray,
    speakers: Sequence[str],
    options: PldaOptions | None = None,
    progress: Progress = silent,
) -> Plda:
    """Learn the two covariances by EM.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array
    speakers : (n_vectors,) sequence of str or int
    options : PldaOptions, optional
    progress : callable, optional

    Returns
    -------
    Plda
        Its mean is that of the speakers' means, each of the same weight, as Kaldi's; every
        iteration raises `plda_log_likelihood`.

    Raises
    ------
    DataError
        If there are not two speakers, nobody has two vectors, the covariance within speakers is
        singular, or the rank is not below the number of speakers or above that of dimensions.
    """
    options = options or PldaOptions()
    moments = SpeakerMoments.of(vectors, speakers)
    n_dims = moments.means.shape[1]
    factor(
        "covariance within speakers",
        moments.within,
        "give more recordings, or project by LDA first",
    )
    most = min(n_dims, len(moments.counts) - 1)
    if options.rank > most:
        raise DataError(
            f"rank must be at most {most}, with {len(moments.counts)} speakers and vectors of "
            f"{n_dims}; got {options.rank}"
        )
    mean = moments.means.mean(axis=0)
    plda = Plda(mean, np.eye(n_dims), np.eye(n_dims))
    if options.rank:
        plda = _of_rank(Plda(mean, moments.within, moments.between), options.rank)
    for done in range(options.n_iterations):
        r = options.rank
        plda = _narrow_step(plda, moments, r) if r else _step(plda, moments)
        progress("plda", done + 1, options.n_iterations)
    return plda


def _of_rank(plda: Plda, rank: int) -> Plda:
    """Keep the directions in which speakers differ most."""
    loadings = np.linalg.inv(plda.transform)[:, :rank] * np.sqrt(plda.psi[:rank])
    return Plda(plda.mean, plda.within, loadings @ loadings.T)


def _step(plda: Plda, moments: SpeakerMoments) -> Plda:
    """Do one iteration of EM for two covariances, in the basis where both are diagonal."""
    n = moments.counts[:, None]
    m = (moments.means - plda.mean) @ plda.transform.T
    spread = plda.psi / (1 + n * plda.psi)  # covariance of y given the speaker's vectors
    y = n * spread * m
    rest = m - y
    between = y.T @ y + np.diag(spread.sum(axis=0))
    within = (n * rest).T @ rest + np.diag((n * spread).sum(axis=0))
    back = np.linalg.inv(plda.transform)
    within = back @ within @ back.T + moments.scatter
    between = back @ between @ back.T / len(n)
    return Plda(plda.mean, _symmetric(within / moments.n_vectors), _symmetric(between))


def _narrow_step(plda: Plda, moments: SpeakerMoments, rank: int) -> Plda:
    """Do one iteration of EM for x = mean + F h + e, with minimum divergence.

    In the basis of `plda` the columns of F are axes times sqrt(psi), so h stands dimension by
    dimension, too.
    """
    n = moments.counts[:, None]
    m = (moments.means - plda.mean) @ plda.transform.T
    psi = plda.psi[:rank]
    spread = 1 / (1 + n * psi)  # covariance of h given the speaker's vectors
    h = n * spread * np.sqrt(psi) * m[:, :rank]
    cross = (n * m).T @ h
    loadings = np.linalg.solve((n * h).T @ h + np.diag((n * spread).sum(axis=0)), cross.T).T
    within = (n * m).T @ m - loadings @ cross.T
    back = np.linalg.inv(plda.transform)
    within = (back @ within @ back.T + moments.scatter) / moments.n_vectors
    divergence = (h.T @ h + np.diag(spread.sum(axis=0))) / len(n)
    widened = back @ loadings @ np.linalg.cholesky(divergence)
    return Plda(plda.mean, _symmetric(within), widened @ widened.T)


def _symmetric(matrix: Float64Array) -> Float64Array:
    return np.asarray((matrix + matrix.T) / 2)


def plda_log_likelihood(plda: Plda, vectors: FloatArray, speakers: Sequence[str]) -> float:
    """Give the log-density of vectors whose speakers are known, in nats.

    Parameters
    ----------
    plda : Plda
    vectors : (n_vectors, n_dims) float array
    speakers : (n_vectors,) sequence of str or int

    Raises
    ------
    DataError
        For vectors that do not fit, or fewer speakers or vectors of one than training takes.
    """
    moments = SpeakerMoments.of(vectors, speakers)
    means = (moments.means - _checked_mean(plda, moments.means)) @ plda.transform.T
    scatter = (moments.scatter * (plda.transform.T @ plda.transform)).sum()
    squares = scatter + (moments.counts[:, None] * means**2).sum()
    log_det = -2 * np.linalg.slogdet(plda.transform)[1]
    alone = moments.n_vectors * (plda.mean.size * _LOG_2_PI + log_det) + squares
    together = _log_factors(plda.psi, moments.counts, moments.counts[:, None] * means)
    return float(together.sum() - 0.5 * alone)


def _checked_mean(plda: Plda, vectors: FloatArray) -> Float64Array:
    finite_frames(vectors, plda.mean.size, "vectors")
    return plda.mean


def _log_factors(psi: Float64Array, counts: IntArray, sums: Float64Array) -> Float64Array:
    """Give log f(n, s), see the head of this file; (n_rows,)."""
    n = counts[:, None]
    return np.asarray(0.5 * (psi * sums**2 / (1 + n * psi) - np.log1p(n * psi)).sum(axis=1))


def plda_scores(
    plda: Plda,
    models: FloatArray,
    tests: FloatArray,
    model_counts: IntArray | None = None,
    test_counts: IntArray | None = None,
    expected_length: bool = False,
) -> Float64Array:
    """Give the log-likelihood ratio of each model and test being one speaker's, or two's.

    Parameters
    ----------
    plda : Plda
    models, tests : (n_models, n_dims), (n_tests, n_dims) float array
        Means of the vectors of each side.
    model_counts, test_counts : (n_models,), (n_tests,) int array, optional
        Of how many vectors each is the mean; 1 by default.
    expected_length : bool
        Whether each side is scaled, in the basis of `Plda.transform`, to the length that PLDA
        expects of a mean of so many vectors, as Kaldi's ``--normalize-length``.

    Returns
    -------
    (n_models, n_tests) float64 array
        Natural logarithms; in exact agreement with the density of all vectors together.

    Raises
    ------
    DataError
        For vectors that are not finite or of another length, or counts that do not fit.
    """
    n, s = _side(plda, models, model_counts, "model_counts", expected_length)
    m, t = _side(plda, tests, test_counts, "test_counts", expected_length)
    psi = plda.psi
    alone = _log_factors(psi, n, s)[:, None] + _log_factors(psi, m, t)
    together = np.empty((len(s), len(t)))
    for n_model in np.unique(n):
        for n_test in np.unique(m):
            rows, columns = n == n_model, m == n_test
            n_all = n_model + n_test
            share = psi / (1 + n_all * psi)
            left, right = s[rows], t[columns]
            block = left * share @ right.T - 0.5 * np.log1p(n_all * psi).sum()
            block += 0.5 * (left**2 @ share)[:, None] + 0.5 * (right**2 @ share)
            together[np.ix_(rows, columns)] = block
    return np.asarray(together - alone)


def _side(
    plda: Plda, vectors: FloatArray, counts: IntArray | None, name: str, expected_length: bool
) -> tuple[IntArray, Float64Array]:
    """Give the counts of one side, and the sums of its vectors in the basis of `plda`."""
    x = finite_frames(vectors, plda.mean.size, "vectors")
    n = np.ones(len(x), np.int64) if counts is None else np.asarray(counts)
    if n.shape != (len(x),) or not np.issubdtype(n.dtype, np.integer) or (n < 1).any():
        raise DataError(f"{name} must be ({len(x)},) whole numbers, 1 or more, got {n}")
    means = (x - plda.mean) @ plda.transform.T
    if expected_length:
        squares = (means**2 / (plda.psi + 1 / n[:, None])).sum(axis=1, keepdims=True)
        scale = np.sqrt(np.divide(plda.mean.size, squares, out=squares * 0, where=squares > 0))
        means = means * scale
    return n, n[:, None] * means
