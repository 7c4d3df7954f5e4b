"""PLDA of vectors that are not all equally sure: a short recording counts for less.

Vector i has a covariance C_i of its own beside that within speakers: it is the mean of a posterior
(see `extract_posteriors`), and C_i is that posterior's covariance. In the words of
`voicegmm.subspace.plda`, with W_i = W + C_i and B = F F',

    P = F' (sum_i W_i^-1) F,    q = F' sum_i W_i^-1 (x_i - mean)

are all that vectors of one speaker say; they add up over vectors, and take the place of counts and
sums: log f = q' (I + P)^-1 q / 2 - log |I + P| / 2.

Kenny, Stafylakis, Ouellet, Alam, Dumouchel, "PLDA for speaker verification with utterances of
arbitrary duration", ICASSP 2013; Cumani, Plchot, Laface, "On the use of i-vector posterior
distributions in probabilistic linear discriminant analysis", IEEE/ACM Trans. Audio, Speech, and
Language Processing 22, 2014.
"""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.mixture.density import blocks
from voicegmm.subspace.factors import inverse_definite
from voicegmm.subspace.plda import Plda

_PAIRS = 256  # of models and tests whose matrices are there at once


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the vectors of some models or tests say of their speakers.

    Parameters
    ----------
    precisions : (n, rank, rank) float64 array
        P, see the head of this file; the rank is that of the speakers' subspace.
    linear : (n, rank) float64 array
        q, likewise.
    """

    precisions: Float64Array
    linear: Float64Array

    @staticmethod
    def of(
        plda: Plda,
        vectors: FloatArray,
        covariances: FloatArray,
        owners: IntArray | None = None,
        n_owners: int | None = None,
    ) -> "Evidence":
        """Gather the evidence of vectors.

        Parameters
        ----------
        plda : Plda
        vectors : (n_vectors, n_dims) float array
        covariances : (n_vectors, n_dims, n_dims) float array
            How unsure each is; positive semidefinite.
        owners : (n_vectors,) int array, optional
            Which model each is of, from 0 on; each of its own by default.
        n_owners : int, optional
            How many models there are; by default up to the last that is named.

        Raises
        ------
        DataError
            For vectors that are not finite or of another length, or covariances that do not fit.
        """
        n_dims, rank = plda.mean.size, int((plda.psi > 0).sum())
        x = finite_frames(vectors, n_dims, "vectors") - plda.mean
        if np.shape(covariances) != (len(x), n_dims, n_dims):
            raise DataError(
                f"covariances must be {(len(x), n_dims, n_dims)}, got {np.shape(covariances)}"
            )
        owners = np.arange(len(x)) if owners is None else owners
        n = int(owners.max(initial=-1)) + 1 if n_owners is None else n_owners
        precisions, linear = np.zeros((n, rank, rank)), np.zeros((n, rank))
        scale = np.sqrt(plda.psi[:rank])
        for some in blocks(len(x), _PAIRS):
            noise = plda.transform @ covariances[some] @ plda.transform.T + np.eye(n_dims)
            inverse = inverse_definite((noise + np.swapaxes(noise, 1, 2)) / 2)[0][:, :rank]
            inverse *= scale[:, None]
            np.add.at(precisions, owners[some], inverse[:, :, :rank] * scale)
            moved = inverse @ (x[some] @ plda.transform.T)[..., None]
            np.add.at(linear, owners[some], moved[..., 0])
        return Evidence(precisions, linear)

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.precisions + other.precisions, self.linear + other.linear)

    def chosen(self, rows: IntArray) -> "Evidence":
        """Give some rows."""
        return Evidence(self.precisions[rows], self.linear[rows])


def evidence_scores(models: Evidence, tests: Evidence) -> Float64Array:
    """Give the log-likelihood ratio of each model and test being one speaker's, or two's.

    Parameters
    ----------
    models, tests : Evidence
        Under one `Plda`.

    Returns
    -------
    (n_models, n_tests) float64 array
        Natural logarithms. Each pair takes a system of as many equations as the speakers' subspace
        has dimensions: `plda_scores` is faster by far.
    """
    scores = np.empty((len(models.linear), len(tests.linear)))
    for number, (precision, linear) in enumerate(zip(tests.precisions, tests.linear, strict=True)):
        for some in blocks(len(models.linear), _PAIRS):
            together = models.precisions[some] + precision, models.linear[some] + linear
            scores[some, number] = _log_factors(*together)
    alone = [_log_factors(side.precisions, side.linear) for side in (models, tests)]
    return np.asarray(scores - alone[0][:, None] - alone[1])


def _log_factors(precisions: Float64Array, linear: Float64Array) -> Float64Array:
    """Give log f, see the head of this file; (n,)."""
    inverse, log_dets = inverse_definite(np.eye(linear.shape[1]) + precisions)
    squares = ((inverse @ linear[..., None])[..., 0] * linear).sum(axis=1)
    return np.asarray((squares - log_dets) / 2)
