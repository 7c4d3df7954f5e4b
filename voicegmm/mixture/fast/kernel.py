"""The compiled inner loops of shortlisted passes: few components of each frame, float32 frames.

As in `voicegmm.mixture.kernel`, which they build on, logarithms are to base 2 inside, and importing
compiles. Rows of [z, z^2, 1] are padded with zeros to a multiple of `LANES` numbers, so that no
loop over them has a rest.
"""

import numba
import numpy as np

from voicegmm._base.arrays import Float32Array, IntArray
from voicegmm.compute.compiling import compiled
from voicegmm.mixture.kernel import exp2, maximum

LANES = 16

_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)

_FRAMES = numba.types.Array(numba.float32, 2, "C", readonly=True)
_ROW, _ROWS = numba.float32[::1], numba.float32[:, ::1]
_BITS, _IDS, _COUNTS = numba.int32[:, ::1], numba.uint16[:, ::1], numba.uint8[::1]


@compiled(numba.void(_ROWS, _BITS, numba.float32, numba.int64[::1], _IDS, _COUNTS))
def list_best(
    posteriors: Float32Array,
    bits: IntArray,
    keep: np.float32,
    chosen: IntArray,
    ids: IntArray,
    n_ids: IntArray,
) -> None:
    """List the components that matter to each frame, in rising order.

    Parameters
    ----------
    posteriors : (n_frames, n_components) float32 array
        Each row up to a factor.
    bits : (n_frames, n_components) int32 array
        The memory of `posteriors` as integers.
    keep : float
        A component whose posterior is not less than this part of the greatest is listed; where
        more are than there is room for, the part is doubled until they fit.
    chosen : (n_components + 1,) int64 array
        Scratch.
    ids : (n_frames, n_listed) uint16 array
    n_ids : (n_frames,) uint8 array
        Become what is listed, and how many.
    """
    n_frames, n_components = posteriors.shape
    room = ids.shape[1]
    for t in range(n_frames):
        row = posteriors[t]
        highest = maximum(bits[t])
        least = keep * highest
        n_chosen = 0
        for k in range(n_components):  # without a branch, which nobody could foresee
            chosen[n_chosen] = k
            n_chosen += 1 if row[k] >= least else 0
        while n_chosen > room and least < _HALF * highest:
            least = least + least
            n_left = 0
            for i in range(n_chosen):
                k = chosen[i]
                chosen[n_left] = k
                n_left += 1 if row[k] >= least else 0
            n_chosen = n_left
        n_chosen = min(n_chosen, room)
        n_ids[t] = n_chosen
        for i in range(n_chosen):
            ids[t, i] = chosen[i]


@compiled(
    numba.int64(
        _FRAMES, _ROW, _ROW, _ROW, _ROWS, _IDS, _COUNTS, numba.float32, _ROWS, _ROW,
        _ROW,
    ),
    "reassoc",
    "nsz",
)  # fmt: skip
def shortlisted(
    frames: Float32Array,
    weights: Float32Array,
    shift: Float32Array,
    inverse_scale: Float32Array,
    rows: Float32Array,
    ids: IntArray,
    n_ids: IntArray,
    least: np.float32,
    moments: Float32Array,
    peak: Float32Array,
    sums: Float32Array,
) -> int:
    """Add the moments of frames, each with the components on its own short list.

    Parameters
    ----------
    frames : (n_frames, n_dims) float32 array
    weights : (n_frames,) float32 array
    shift, inverse_scale : (n_dims,) float32 array
    rows : (n_components, n_columns) float32 array
        The mixture's coefficients of [z, z^2, 1, 0 ...], to base 2.
    ids : (n_frames, n_listed) uint16 array
    n_ids : (n_frames,) uint8 array
        The components on each frame's list. A frame that has none is left out.
    least : float
        Of these, one with a posterior under this part of the greatest takes no part.
    moments : (n_components, n_columns) float32 array
        To which sums of posterior times weight times [z, z^2, 1, 0 ...] are added.
    peak, sums : (n_frames,) float32 arrays
        Become row maxima and row sums.

    Returns
    -------
    int
        How many frames hold a NaN, are too far away for single precision, or have no list: they
        are not in the moments, and their sum is 0.
    """
    n_frames, n_dims = frames.shape
    n_columns = rows.shape[1]
    z, joint = np.zeros(n_columns, np.float32), np.empty(ids.shape[1], np.float32)
    n_bad = 0
    for t in range(n_frames):
        frame, squares = frames[t], z[n_dims:]
        for d in range(n_dims):
            z[d] = (frame[d] - shift[d]) * inverse_scale[d]
        for d in range(n_dims):
            squares[d] = z[d] * z[d]
        z[2 * n_dims] = _ONE
        highest = -np.float32(np.inf)
        for i in range(n_ids[t]):
            row = rows[ids[t, i]]
            value = _ZERO
            for d in range(n_columns):
                value += z[d] * row[d]
            joint[i] = value
            highest = value if not value <= highest else highest
        total = _ZERO
        for i in range(n_ids[t]):
            value = exp2(joint[i] - highest)
            value = _ZERO if value < least else value
            joint[i] = value
            total += value
        if not (abs(highest) < np.inf and total < np.inf):
            n_bad += 1
            peak[t], sums[t] = _ZERO, _ZERO
            continue
        peak[t], sums[t] = highest, total
        factor = weights[t] / total
        for i in range(n_ids[t]):
            share = joint[i] * factor
            if share > _ZERO:
                into = moments[ids[t, i]]
                for d in range(n_columns):
                    into[d] += share * z[d]
    return n_bad
