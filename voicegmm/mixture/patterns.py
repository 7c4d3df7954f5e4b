"""Conditioning full and tied mixtures on what is observed of many frames, each its own dimensions.

Let Q be the inverse of the observed block of Sigma, with zeros in the rows and columns of what is
missing, and y = x - mu with zeros there, too. Then for a Gaussian

    log N(x_o)  = -(n_o log 2 pi + log |Sigma_oo| + y' Q y) / 2,
    E[x | x_o]  = mu + Sigma Q y,
    Cov[x | x_o] = Sigma - Sigma Q Sigma

(Bishop, Pattern Recognition and Machine Learning, 2006, eqs. 2.81 and 2.82, in all dimensions at
once: the observed ones come out as x and 0). No dimension is cut out, so that many patterns of
missing values are worked in one product, however few frames each of them has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray, IntArray
from voicegmm.mixture.model import LOG_2_PI, FullGMM, TiedGMM

_ENTRIES = 2**20  # numbers in the largest array of a batch: bounds its memory
_LONGEST = 1024  # frames of one pattern in a batch


@dataclass(frozen=True, eq=False)
class Batch:
    """Frames of some patterns, n places for each, of which the last may be empty.

    Parameters
    ----------
    rows : (n_patterns, n) int array
        Which frame stands in each place; any where it is empty.
    filled : (n_patterns, n) bool array
    observed : (n_patterns, n_dims) bool array
        The patterns.
    """

    rows: IntArray
    filled: BoolArray
    observed: BoolArray


def batches(observed: BoolArray, n_components: int) -> Iterator[Batch]:
    """Group frames by what is observed of them, and the patterns by how many frames they have.

    Parameters
    ----------
    observed : (n_frames, n_dims) bool array
    n_components : int
        Of the mixture that will work them: it decides how much goes into a batch.

    Yields
    ------
    Batch
        Each frame stands in one place of one batch. At least half of the places are filled.
    """
    n_dims = observed.shape[1]
    packed = np.packbits(observed, axis=1)
    which = np.unique(packed, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(which, kind="stable")
    longest = min(_LONGEST, max(1, _ENTRIES // (n_components * n_dims)))
    # A pattern of very many frames is cut in pieces.
    breaks = np.flatnonzero(np.diff(which[order])) + 1
    starts = np.concatenate([[0], breaks, [len(order)]])
    pieces = [
        (start, min(start + longest, stop))
        for begin, stop in pairwise(starts)
        for start in range(begin, stop, longest)
    ]
    begins, stops = np.array(pieces, np.intp).reshape(-1, 2).T
    sizes = np.frexp(stops - begins)[1]  # those from 2^(i-1) to 2^i - 1 share a size
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        n = int((stops[same] - begins[same]).max())
        at_once = max(1, _ENTRIES // (n_components * n_dims * max(n, n_dims)))
        for first in range(0, len(same), at_once):
            chosen = same[first : first + at_once]
            places = begins[chosen, None] + np.arange(n)
            filled = places < stops[chosen, None]
            rows = order[np.where(filled, places, begins[chosen, None])]
            yield Batch(rows, filled, observed[rows[:, 0]])


@dataclass(frozen=True, eq=False)
class Conditioned:
    """A mixture given each of some patterns of observed dimensions.

    Where all components share their covariance, the arrays that come of it are (1, ...).

    Parameters
    ----------
    means : (n_components, n_dims) float64 array
    covariances : (n_components, n_dims, n_dims) float64 array
        Sigma.
    precisions : (n_components, n_patterns, n_dims, n_dims) float64 array
        Q.
    log_norms : (n_components, n_patterns) float64 array
        (n_o log 2 pi + log |Sigma_oo|) / 2.
    observed : (n_patterns, n_dims) bool array
    """

    means: Float64Array
    covariances: Float64Array
    precisions: Float64Array
    log_norms: Float64Array
    observed: BoolArray

    def centered(self, frames: FloatArray) -> Float64Array:
        """Give y of (n_patterns, n, n_dims) float array, (n_components, n_patterns, n, n_dims)."""
        seen = self.observed[:, None]
        return np.where(seen, frames - self.means[:, None, None], 0.0)

    def pulls(self, centered: Float64Array) -> Float64Array:
        """Give Q y for each y."""
        return np.asarray(centered @ self.precisions)

    def expected(self, frames: FloatArray, pulls: Float64Array) -> Float64Array:
        """Give E[x | x_o] of each component, (n_components, n_patterns, n, n_dims)."""
        guess = self.means[:, None, None] + pulls @ self.covariances[:, None]
        return np.where(self.observed[:, None], frames, guess)

    def log_densities(self, centered: Float64Array, pulls: Float64Array) -> Float64Array:
        """Give log N(x_o) of each component, (n_components, n_patterns, n)."""
        distances = np.einsum("kpnd,kpnd->kpn", centered, pulls)
        return np.asarray(-0.5 * distances - self.log_norms[:, :, None])

    def spread(self, counts: Float64Array) -> Float64Array:
        """Sum Cov[x | x_o] over frames: (n_components, n_patterns) of them, as they count.

        Returns
        -------
        (n_components, n_dims, n_dims) float64 array
        """
        n_dims, n_patterns = self.means.shape[1], counts.shape[1]
        flat = self.precisions.reshape(-1, n_patterns, n_dims**2)
        sums = (counts[:, None] @ flat).reshape(-1, n_dims, n_dims)
        total = counts.sum(axis=1)[:, None, None] * self.covariances
        return np.asarray(total - self.covariances @ sums @ self.covariances)


def conditioned(gmm: FullGMM | TiedGMM, observed: BoolArray) -> Conditioned:
    """Condition a mixture on patterns of observed dimensions.

    Parameters
    ----------
    gmm : FullGMM or TiedGMM
    observed : (n_patterns, n_dims) bool array
    """
    covariances = gmm.covariances if isinstance(gmm, FullGMM) else gmm.covariance[None]
    both = observed[:, :, None] & observed[:, None, :]
    # Ones on the diagonal for what is missing: the block beside it neither sees nor feels them.
    # Scaled to correlations, so that they are like the others.
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    scale = deviations[:, :, None] * deviations[:, None, :]
    whole = np.where(both, (covariances / scale)[:, None], np.eye(gmm.n_dims))
    factors = np.linalg.cholesky(whole)
    inverses = np.linalg.inv(factors)
    precisions = np.swapaxes(inverses, -1, -2) @ inverses
    precisions = np.where(both, precisions / scale[:, None], 0.0)
    log_dets = 2 * np.log(np.diagonal(factors, axis1=2, axis2=3)).sum(axis=2)
    logs = LOG_2_PI + 2 * np.log(deviations)
    log_norms = 0.5 * (log_dets + logs @ observed.T)
    return Conditioned(gmm.means, covariances, precisions, log_norms, observed)
