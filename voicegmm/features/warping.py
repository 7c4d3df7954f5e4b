"""Feature warping and short-time Gaussianization: frames that are normal over a moving window."""

from functools import lru_cache

import numpy as np

from voicegmm._base.arrays import Float32Array, IntArray
from voicegmm.features.blocks import deviations, mean

# Frames are compared in blocks that stay in the cache with all their neighbors.
_BLOCK_VALUES = 1 << 16
# Directions that hold less than this share of the variance of one dimension are not blown up.
_LEAST_EIGENVALUE = 1e-4


def warp(
    frames: Float32Array, start: IntArray, stop: IntArray, rows: slice | None = None
) -> Float32Array:
    """Replace each value by the normal quantile of its rank among its neighbors in time.

    Feature warping (Pelecanos & Sridharan, "Feature warping for robust speaker verification",
    Odyssey 2001, section 4): the value of rank R among N becomes the m with
    Phi(m) = (R - 1/2) / N, where rank 1 is the lowest (the paper counts from the highest, and
    writes (N + 1/2 - R) / N). Equal values share the mean of their ranks, so that a dimension that
    does not vary becomes zeros.

    Parameters
    ----------
    frames : (n_frames, n_dims) float32 array
        Finite.
    start, stop : (n_frames,) int array
        Each frame's window, start[t] <= t < stop[t]; neither ever falls, nor rises by more than one
        frame a frame. See `voicegmm.features.normalization.window_bounds`.

    rows : slice, optional
        The frames that are asked for, with a start and a stop; all by default.

    Returns
    -------
    (n_frames, n_dims) float32 array
        Of those that are asked for. Finite; of every dimension only the order of its values counts.
    """
    wanted = rows or slice(0, len(frames))
    result = np.empty((wanted.stop - wanted.start, frames.shape[1]), dtype=np.float32)
    step = max(1, _BLOCK_VALUES // max(1, frames.shape[1]))
    for first in range(wanted.start, wanted.stop, step):
        block = slice(first, min(first + step, wanted.stop))
        part = result[first - wanted.start :][: block.stop - first]
        ranks = _doubled_ranks(frames, start, stop, block)
        widths = stop[block] - start[block]
        for width in np.unique(widths):
            alike = widths == width
            part[alike] = _quantiles(int(width))[ranks[alike]]
    return result


def _doubled_ranks(frames: Float32Array, start: IntArray, stop: IntArray, block: slice) -> IntArray:
    """Compute 2 R - 1: the neighbors below each value, plus those below or equal to it."""
    values = frames[block]
    t = np.arange(block.start, block.stop)
    before, after = t - start[block], stop[block] - t
    total = np.zeros(values.shape, dtype=np.int32)
    # Bytes are added up fastest; they are emptied into the total before they overflow.
    part = np.zeros(values.shape, dtype=np.uint8)
    holds = np.empty(values.shape, dtype=np.bool_)
    n_added = 0
    for offset in range(-int(before.max()), int(after.max())):
        # The way back only grows with time, the way ahead only shrinks: these frames are a run.
        low = int(np.searchsorted(before, -offset))
        high = int(np.searchsorted(-after, -offset))
        neighbors = frames[block.start + low + offset : block.start + high + offset]
        for compare in (np.less, np.less_equal):
            compare(neighbors, values[low:high], out=holds[low:high])
            part[low:high] += holds[low:high].view(np.uint8)
        n_added += 2
        if n_added > 250:
            total += part
            part[:] = 0
            n_added = 0
    return np.asarray(total + part)


@lru_cache(maxsize=1024)
def _quantiles(width: int) -> Float32Array:
    """Tabulate the normal quantile of (R - 1/2) / width by 2 R - 1; entry 0 is never asked for."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.arange(2 * width) / (2 * width)), dtype=np.float32)


def decorrelate(frames: Float32Array) -> Float32Array:
    """Turn the frames of a recording so that its dimensions are uncorrelated, of variance 1.

    The linear transform before the warping in Xiang, Chaudhari, Navratil, Ramaswamy & Gopinath,
    "Short-time Gaussianization for robust speaker verification", ICASSP 2002. Theirs is trained
    over many recordings by EM. This one is the recording's own, z P^(-1/2) of the standardized
    frames z with the correlation matrix P: of all transforms that whiten it is the one whose
    dimensions stay nearest to the old ones (ZCA-cor; Kessy, Lewin & Strimmer, "Optimal whitening
    and decorrelation", The American Statistician 72(4), 2018). It has no free sign or order, so a
    dimension means the same in every recording.

    Parameters
    ----------
    frames : (n_frames, n_dims) float32 array
        At least one frame, finite.

    Returns
    -------
    (n_frames, n_dims) float32 array
        Means 0. Eigenvalues of P below 1e-4 (of dimensions that follow from others) count as that.
        A dimension that does not vary becomes zeros.
    """
    center = mean(frames)
    products = sum(part.T @ part for _, part in deviations(frames, center))
    variances = np.diag(products) / len(frames)
    varies = variances > 0
    scales = np.zeros(len(variances))
    scales[varies] = 1 / np.sqrt(variances[varies])
    correlations = products / len(frames) * scales * scales[:, None]
    eigenvalues, vectors = np.linalg.eigh(correlations)
    root = (vectors / np.sqrt(np.maximum(eigenvalues, _LEAST_EIGENVALUE))) @ vectors.T
    transform = scales[:, None] * root * varies
    result = np.empty_like(frames)
    for rows, part in deviations(frames, center):
        result[rows] = part @ transform
    return result
