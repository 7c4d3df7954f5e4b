"""Vectors of one length a recording: moved, turned and scaled so that speakers stand apart.

Each step is learned once, from vectors whose speakers are known, and is then an affine map:
centering, whitening, linear discriminants (LDA), within-class covariance normalization (WCCN) and
nuisance attribute projection (NAP). Length normalization learns nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, frozen
from voicegmm._base.checks import at_least, finite_frames, within
from voicegmm._base.errors import DataError
from voicegmm.subspace.labeled import SpeakerMoments, factor


@dataclass(frozen=True, eq=False)
class Affine:
    """The map of a vector x to matrix (x - mean).

    Parameters
    ----------
    mean : (n_dims,) array_like
    matrix : (n_kept, n_dims) array_like
    """

    mean: Float64Array
    matrix: Float64Array

    def __post_init__(self) -> None:
        for name in ("mean", "matrix"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        if self.mean.ndim != 1 or self.matrix.shape[1:] != self.mean.shape:
            raise DataError(
                f"matrix must be (n_kept, {self.mean.size}) to go with the mean, got "
                f"{self.matrix.shape}"
            )

    def __call__(self, vectors: FloatArray) -> Float64Array:
        """Map vectors, (n_vectors, n_dims) to (n_vectors, n_kept).

        Raises
        ------
        DataError
            For vectors that are not finite or of another length.
        """
        return np.asarray(
            (finite_frames(vectors, self.mean.size, "vectors") - self.mean) @ self.matrix.T
        )


def centering(vectors: FloatArray) -> Affine:
    """Learn to take away the mean of (n_vectors, n_dims) vectors."""
    x = _some(vectors)
    return Affine(x.mean(axis=0), np.eye(x.shape[1]))


def whitening(vectors: FloatArray) -> Affine:
    """Learn to make the covariance of vectors the identity, turning them no more than needed.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array

    Raises
    ------
    DataError
        If they do not vary in every direction.
    """
    x = _some(vectors)
    covariance = np.atleast_2d(np.cov(x.T, bias=True))
    factor("covariance", covariance, "give more vectors, or fewer dimensions")
    values, axes = np.linalg.eigh(covariance)
    return Affine(x.mean(axis=0), (axes / np.sqrt(values)) @ axes.T)


@dataclass(frozen=True)
class LdaOptions:
    """How linear discriminants are found.

    Parameters
    ----------
    n_dims : int
        How many are kept, 1 or more: fewer than there are speakers.
    total_share : float
        Share of the total covariance in what is made the identity, in [0, 1]; the rest is the
        covariance within speakers. Some of it makes few vectors behave.
    """

    n_dims: int = 100
    total_share: float = 0.0

    def __post_init__(self) -> None:
        at_least("n_dims", self.n_dims, 1)
        within("total_share", self.total_share, 0, 1)


def lda(vectors: FloatArray, speakers: Sequence[str], options: LdaOptions | None = None) -> Affine:
    """Learn the directions in which speakers differ most, for how much each differs from itself.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array
    speakers : (n_vectors,) sequence of str or int
    options : LdaOptions, optional

    Returns
    -------
    Affine
        To `options.n_dims` dimensions, the best first; it makes the covariance within speakers,
        mixed with `total_share` of the total one, the identity. As Kaldi's ``ivector-compute-lda``.

    Raises
    ------
    DataError
        If there are not two speakers, nobody has two vectors, more dimensions shall be kept than
        there are or than speakers tell apart, or the covariance to be undone is singular.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.1.6.
    """
    options = options or LdaOptions()
    moments = SpeakerMoments.of(vectors, speakers)
    most = min(moments.means.shape[1], len(moments.counts) - 1)
    if options.n_dims > most:
        raise DataError(
            f"n_dims must be at most {most}, with {len(moments.counts)} speakers and vectors of "
            f"{moments.means.shape[1]}; got {options.n_dims}"
        )
    undone = moments.within + options.total_share * moments.between
    lower = factor(
        "covariance within speakers", undone, "give more recordings, or total_share above 0"
    )
    whitener = np.linalg.inv(lower)
    axes = np.linalg.eigh(whitener @ moments.between @ whitener.T)[1][:, ::-1]
    return Affine(moments.mean, axes[:, : options.n_dims].T @ whitener)


def wccn(vectors: FloatArray, speakers: Sequence[str]) -> Affine:
    """Learn to make the covariance within speakers the identity.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array
    speakers : (n_vectors,) sequence of str or int

    Returns
    -------
    Affine
        Its mean is 0: nothing is taken away.

    Raises
    ------
    DataError
        If there are not two speakers, nobody has two vectors, or the covariance is singular.

    References
    ----------
    Hatch, Kajarekar, Stolcke, "Within-class covariance normalization for SVM-based speaker
    recognition", Interspeech 2006: each speaker weighs as much as it has vectors.
    """
    moments = SpeakerMoments.of(vectors, speakers)
    lower = factor(
        "covariance within speakers",
        moments.within,
        "give more recordings, or project by LDA first",
    )
    return Affine(np.zeros(len(lower)), np.asarray(np.linalg.inv(lower), np.float64))


def nap(vectors: FloatArray, speakers: Sequence[str], n_removed: int) -> Affine:
    """Learn to remove the directions in which speakers differ most from themselves.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array
        A matrix of n_dims x n_dims is decomposed: whole supervectors are too long.
    speakers : (n_vectors,) sequence of str or int
    n_removed : int
        0 to n_dims - 1.

    Returns
    -------
    Affine
        The projection I - V V', V the first eigenvectors of the scatter within speakers.

    Raises
    ------
    DataError
        If there are not two speakers, or nobody has two vectors.
    OptionError
        For too many directions.

    References
    ----------
    Solomonoff, Campbell, Boardman, "Advances in channel compensation for SVM speaker recognition",
    ICASSP 2005, with the weights of pairs within speakers.
    """
    moments = SpeakerMoments.of(vectors, speakers)
    n_dims = len(moments.scatter)
    within("n_removed", n_removed, 0, n_dims - 1)
    axes = np.linalg.eigh(moments.scatter)[1][:, n_dims - n_removed :]
    return Affine(np.zeros(n_dims), np.eye(n_dims) - axes @ axes.T)


def normalize_length(vectors: FloatArray) -> Float64Array:
    """Bring vectors to length 1: to the sphere, where their tails are those of a Gaussian.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array

    Returns
    -------
    (n_vectors, n_dims) float64 array
        A vector of zeros stays one: it says nothing of anybody.

    References
    ----------
    Garcia-Romero, Espy-Wilson, "Analysis of i-vector length normalization in speaker recognition
    systems", Interspeech 2011.
    """
    x = finite_frames(vectors, name="vectors").astype(np.float64)
    # By the largest entry first: squares of very small and very large numbers do not exist.
    peaks = np.abs(x).max(axis=1, keepdims=True, initial=0)
    x = np.divide(x, peaks, out=np.zeros_like(x), where=peaks > 0)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(np.divide(x, lengths, out=x, where=lengths > 0))


def cosine_scores(models: FloatArray, tests: FloatArray) -> Float64Array:
    """Give the cosine of the angle of each model to each test.

    Parameters
    ----------
    models : (n_models, n_dims) float array
    tests : (n_tests, n_dims) float array

    Returns
    -------
    (n_models, n_tests) float64 array
        In [-1, 1]; 0 where either is a vector of zeros.

    References
    ----------
    Dehak, Kenny, Dehak, Dumouchel, Ouellet, "Front-end factor analysis for speaker verification",
    IEEE Trans. Audio, Speech and Language Processing 19, 2011, eq. 9.
    """
    cosines = normalize_length(models) @ normalize_length(tests).T
    return np.asarray(np.clip(cosines, -1, 1))


def _some(vectors: FloatArray) -> Float64Array:
    x = finite_frames(vectors, name="vectors").astype(np.float64)
    if len(x) == 0:
        raise DataError("vectors must be one at least, there are none")
    return x
