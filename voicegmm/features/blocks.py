"""The frames of one recording in blocks that stay in the cache, in double precision."""

from collections.abc import Iterator

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array

_BLOCK_FRAMES = 1024


def blocks(n_frames: int, least: int = 0) -> list[slice]:
    """Cut a number of frames into blocks, none but the last shorter than `least`."""
    step = max(_BLOCK_FRAMES, least)
    return [slice(low, min(low + step, n_frames)) for low in range(0, n_frames, step)]


def deviations(frames: Float32Array, origin: Float64Array) -> Iterator[tuple[slice, Float64Array]]:
    """Give the frames less a vector, block by block, and where each block stands.

    Parameters
    ----------
    frames : (n_frames, n_dims) float32 array
    origin : (n_dims,) float64 array

    Yields
    ------
    rows : slice
    part : (n, n_dims) float64 array
        The caller's own to change.
    """
    for rows in blocks(len(frames)):
        part = frames[rows].astype(np.float64)
        part -= origin
        yield rows, part


def mean(frames: Float32Array) -> Float64Array:
    """Compute the mean of at least one frame; exactly the value of a dimension that does not vary.

    Returns
    -------
    (n_dims,) float64 array
    """
    origin = frames[0].astype(np.float64)
    return np.asarray(
        origin + sum(p.sum(axis=0) for _, p in deviations(frames, origin)) / len(frames)
    )
