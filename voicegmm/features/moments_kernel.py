"""The compiled sums of the front end, in double precision, each in one pass over memory.

Importing this module compiles it, or loads what an earlier process compiled.
"""

import numba
import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm.compute.compiling import compiled

_SUMS = numba.float64[:, ::1]
_OF_COLUMNS = numba.types.Array(numba.float64, 1, "C", readonly=True)
_FRAMES = numba.types.Array(numba.float32, 2, "C", readonly=True)


@compiled(
    [
        numba.void(numba.float32[::1], numba.int64, numba.int64, _SUMS),
        numba.void(numba.float64[::1], numba.int64, numba.int64, _SUMS),
    ],
    "reassoc",  # sums run in lanes
    "nsz",
)
def hop_moments(samples: FloatArray, n_hop: int, n_rest: int, out: Float64Array) -> None:
    """Sum the samples of each hop, and their squares, about the first of all.

    Parameters
    ----------
    samples : (n_hops * n_hop,) float array
    n_hop, n_rest : int
        ``n_rest < n_hop``.
    out : (n_hops, 4) float64 array
        Becomes the sum and the sum of squares of the first `n_rest` samples, then of all.
    """
    origin = np.float64(samples[0])
    for hop in range(len(out)):
        part = samples[hop * n_hop : (hop + 1) * n_hop]
        total, squares = 0.0, 0.0
        for n in range(n_rest):
            x = np.float64(part[n]) - origin
            total += x
            squares += x * x
        out[hop, 0], out[hop, 1] = total, squares
        total, squares = 0.0, 0.0
        for n in range(n_rest, n_hop):
            x = np.float64(part[n]) - origin
            total += x
            squares += x * x
        out[hop, 2], out[hop, 3] = out[hop, 0] + total, out[hop, 1] + squares


@compiled(numba.void(_FRAMES, _OF_COLUMNS, _SUMS))
def column_moments(frames: Float32Array, origin: Float64Array, out: Float64Array) -> None:
    """Add to `out`, (2, n_dims), the sums and the sums of squares of frames about an origin."""
    n_dims = frames.shape[1]
    total, squares = out[0], out[1]
    for t in range(len(frames)):
        frame = frames[t]
        for d in range(n_dims):
            x = np.float64(frame[d]) - origin[d]
            total[d] += x
            squares[d] += x * x


@compiled(numba.void(_FRAMES, _OF_COLUMNS, _OF_COLUMNS, numba.float32[:, ::1]))
def rescale(
    frames: Float32Array, center: Float64Array, scale: Float64Array, out: Float32Array
) -> None:
    """Write (frames - center) * scale."""
    n_dims = frames.shape[1]
    for t in range(len(frames)):
        frame, row = frames[t], out[t]
        for d in range(n_dims):
            row[d] = np.float32((np.float64(frame[d]) - center[d]) * scale[d])
