"""The compiled loops over the columns of frames, in double precision, each in one pass over memory.

Importing this module compiles it, or loads what an earlier process compiled.
"""

import numba
import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array
from voicegmm.compute.compiling import compiled

_SUMS = numba.float64[:, ::1]
_OF_COLUMNS = numba.types.Array(numba.float64, 1, "C", readonly=True)
_FRAMES = numba.types.Array(numba.float32, 2, "C", readonly=True)


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
