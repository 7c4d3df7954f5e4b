"""Models of speakers from any number of recordings, sessions taken away.

Of the factors of a speaker only the means are needed, those of all recordings together: the system
of equations at the head of `voicegmm.subspace.factor_analysis`. Conjugate gradients solve it by
products whose size grows with the recordings, not with their square.
"""

from collections.abc import Callable, Sequence

import numpy as np

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm.compute import ordered_map
from voicegmm.mixture.representation import unwhitened
from voicegmm.subspace.factor_analysis import FactorAnalysis
from voicegmm.subspace.factors import unpack
from voicegmm.subspace.recordings import Recordings, check_background, rows_by_speaker

_TOLERANCE = 1e-13  # of the length of what is to be solved for: as good as factors of the matrix


def speaker_offsets(
    model: FactorAnalysis, recordings: Recordings, speakers: Sequence[str], n_workers: int = 1
) -> tuple[tuple[str, ...], Float64Array]:
    """Give what each speaker adds to the means, in deviations: V y + z, sessions taken away.

    Parameters
    ----------
    model : FactorAnalysis
    recordings : Recordings
    speakers : (n_recordings,) sequence of str
    n_workers : int
        Threads. Their number does not change a bit.

    Returns
    -------
    names : tuple of str
        In the order of their first recording.
    offsets : (n_speakers, n_components, n_dims) float64 array

    Raises
    ------
    MismatchError
        For recordings of another background model.
    DataError
        If there is not one speaker a recording.
    """
    check_background(model.gmm, recordings)
    rows = rows_by_speaker(speakers, len(recordings))
    products = unpack(model.products, model.loadings.shape[2]).astype(np.float64, copy=False)
    offsets = np.empty((len(rows), *model.gmm.means.shape))

    def work(item: tuple[int, IntArray]) -> None:
        number, own = item
        counts, centered = (part.astype(np.float64) for part in recordings.part(own))
        factors = _factors(model, products, counts, centered)
        explained = model.loadings @ (counts.T @ factors)[..., None]
        z = centered.sum(axis=0) - explained[..., 0]
        z /= (counts.sum(axis=0) + model.relevance)[:, None]
        offsets[number] = z + model.speaker_loadings @ factors[0, : model.speaker_rank]

    for _ in ordered_map(work, enumerate(rows.values()), n_workers):
        pass
    return tuple(rows), offsets


def enroll(
    model: FactorAnalysis, recordings: Recordings, speakers: Sequence[str]
) -> tuple[tuple[str, ...], Float64Array]:
    """Give the means of each speaker's own model: m + L (V y + z); see `speaker_offsets`.

    Parameters
    ----------
    model, recordings, speakers
        As of `speaker_offsets`.

    Returns
    -------
    names : tuple of str
        In the order of their first recording.
    means : (n_speakers, n_components, n_dims) float64 array
        As `scoring.linear_scores` takes them, beside the `channel_offsets` of the tests. With
        both ranks 0 they are those of MAP adaptation.
    """
    names, offsets = speaker_offsets(model, recordings, speakers)
    return names, model.gmm.means + unwhitened(model.gmm, offsets)


def _factors(
    model: FactorAnalysis, products: Float64Array, counts: Float64Array, centered: Float64Array
) -> Float64Array:
    """Give the expected factors [y x_h] of each recording, (n_recordings, rank).

    With n the sum of the n_h, and s = 1 / (n + relevance), the precision takes factors w_h to
    sum_k n_hk A_k' A_k (w_h - s_k sum_h' n_h'k w_h'), and those of the prior to themselves.
    """
    n, rank, cut = len(counts), products.shape[1], model.speaker_rank
    total = counts.sum(axis=0)
    share = 1 / (total + model.relevance)
    own = (counts @ products.reshape(len(products), -1)).reshape(n, rank, rank)

    def spread(v: Float64Array) -> Float64Array:
        """Give each recording its factors: y stands once in `v`, for all of them."""
        return np.hstack([np.tile(v[:cut], (n, 1)), v[cut:].reshape(n, rank - cut)])

    def gathered(w: Float64Array) -> Float64Array:
        return np.concatenate([w[:, :cut].sum(axis=0), w[:, cut:].ravel()])

    def multiply(v: Float64Array) -> Float64Array:
        w = spread(v)
        common = (products @ ((counts * share).T @ w)[..., None])[..., 0]
        return v + gathered((own @ w[..., None])[..., 0] - counts @ common)

    speaker = np.tensordot(total - total**2 * share, products[:, :cut, :cut], 1)
    of_speaker = np.linalg.inv(np.eye(cut) + speaker)
    of_sessions = np.linalg.inv(np.eye(rank - cut) + own[:, cut:, cut:])

    def precondition(v: Float64Array) -> Float64Array:
        x = of_sessions @ v[cut:].reshape(n, rank - cut, 1)
        return np.concatenate([of_speaker @ v[:cut], x.ravel()])

    moved = np.swapaxes(model.loadings, 1, 2) @ (share[:, None] * centered.sum(axis=0))[..., None]
    flat = model.loadings.reshape(model.gmm.means.size, rank)
    linear = gathered(centered.reshape(n, -1) @ flat - counts @ moved[..., 0])
    return spread(_solved(multiply, precondition, linear))


def _solved(
    multiply: Callable[[Float64Array], Float64Array],
    precondition: Callable[[Float64Array], Float64Array],
    wanted: Float64Array,
) -> Float64Array:
    """Solve a positive definite system by preconditioned conjugate gradients."""
    found, rest = np.zeros_like(wanted), wanted
    direction = step = precondition(rest)
    size = float(rest @ step)
    least = size * _TOLERANCE**2
    for _ in range(len(wanted) + 50):  # as many as unknowns, but for rounding
        if size <= least:
            break
        product = multiply(direction)
        length = size / float(direction @ product)
        found, rest = found + length * direction, rest - length * product
        step = precondition(rest)
        before, size = size, float(rest @ step)
        direction = step + size / before * direction
    return found
