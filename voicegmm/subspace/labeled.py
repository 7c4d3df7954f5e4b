"""Vectors whose speakers are known: what every back end learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError

_SINGULAR = 1e-10  # an eigenvalue that is smaller, beside the largest, is rounding


@dataclass(frozen=True, eq=False)
class SpeakerMoments:
    """First and second moments of vectors, within speakers and between them.

    Parameters
    ----------
    counts : (n_speakers,) int array
        Vectors of each speaker, 1 or more.
    means : (n_speakers, n_dims) float64 array
    scatter : (n_dims, n_dims) float64 array
        Sum over vectors of (x - its speaker's mean)(x - its speaker's mean)'.
    speakers : (n_vectors,) int array
        Which row of `means` is each vector's speaker.
    """

    counts: IntArray
    means: Float64Array
    scatter: Float64Array
    speakers: IntArray

    @staticmethod
    def of(vectors: FloatArray, speakers: Sequence[str]) -> "SpeakerMoments":
        """Sum up vectors by their speakers.

        Parameters
        ----------
        vectors : (n_vectors, n_dims) float array
        speakers : (n_vectors,) sequence of str or int
            Whose each vector is.

        Raises
        ------
        DataError
            If there are not two speakers, or nobody has two vectors.
        """
        x = finite_frames(vectors, name="vectors").astype(np.float64)
        if len(speakers) != len(x):
            raise DataError(f"speakers must be one a vector, {len(x)}; got {len(speakers)}")
        names, place, counts = np.unique(
            np.asarray(speakers), return_inverse=True, return_counts=True
        )
        if len(names) < 2:
            raise DataError(
                f"vectors must be of two speakers or more to tell what speakers differ by, they "
                f"are of {len(names)}"
            )
        if counts.max() < 2:
            raise DataError(
                "every speaker has one vector only, so nothing shows what differs within one; give "
                "some speakers two recordings or more"
            )
        means = np.zeros((len(names), x.shape[1]))
        np.add.at(means, place, x)
        means /= counts[:, None]
        rest = x - means[place]
        return SpeakerMoments(counts, means, rest.T @ rest, place)

    @property
    def n_vectors(self) -> int:
        """How many vectors there were."""
        return int(self.counts.sum())

    @property
    def mean(self) -> Float64Array:
        """The mean of all vectors."""
        return np.asarray(self.counts @ self.means / self.n_vectors)

    @property
    def within(self) -> Float64Array:
        """The covariance within speakers, (n_dims, n_dims), each vector of one weight."""
        return np.asarray(self.scatter / self.n_vectors)

    @property
    def between(self) -> Float64Array:
        """The covariance of the speakers' means, each as often as it has vectors."""
        rest = self.means - self.mean
        return np.asarray((rest * self.counts[:, None]).T @ rest / self.n_vectors)


def factor(name: str, covariance: Float64Array, remedy: str) -> Float64Array:
    """Give the lower Cholesky factor of a covariance.

    Raises
    ------
    DataError
        If it is singular, with the remedy.
    """
    values = np.linalg.eigvalsh(covariance)
    # One direction beside another may be small without being unseen: judged without units.
    scale = np.sqrt(np.maximum(np.diagonal(covariance), np.finfo(float).tiny))
    least = np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0]
    if values[0] <= 0 or least <= _SINGULAR:
        n_seen = int((values > _SINGULAR * values[-1]).sum())
        raise DataError(
            f"the {name} is singular: only {n_seen} of {len(values)} directions vary; {remedy}"
        )
    return np.asarray(np.linalg.cholesky(covariance))
