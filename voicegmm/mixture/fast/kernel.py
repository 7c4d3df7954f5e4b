"""The compiled inner loops of shortlisted passes: few components of each frame, float32 frames.

As in `voicegmm.mixture.kernel`, which they build on, logarithms are to base 2 inside, and importing
compiles. Rows of [z, z^2, 1] are padded with zeros to a multiple of `LANES` numbers, so that no
loop over them has a rest.
"""

import numba
import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, IntArray
from voicegmm.compute.compiling import compiled
from voicegmm.mixture.kernel import exp2, maximum

LANES = 16

_ONE, _HALF, _ZERO = np.float32(1), np.float32(0.5), np.float32(0)

_FRAMES = numba.types.Array(numba.float32, 2, "C", readonly=True)
_ROW, _ROWS = numba.float32[::1], numba.float32[:, ::1]
_BITS, _IDS, _COUNTS = numba.int32[:, ::1], numba.uint16[:, ::1], numba.uint8[::1]
_PLACES, _NAMES = numba.int64[::1], numba.uint16[::1]
_CODES = numba.uint8[::1]

_MORE = 255  # so many components are passed, and the next one's code goes on


@compiled(numba.int64(_ROW, numba.float32, numba.float32, _PLACES, numba.int64))
def choose(
    row: Float32Array, highest: np.float32, keep: np.float32, chosen: IntArray, room: int
) -> int:
    """Find the entries of a row that are not less than `keep` times the highest.

    Where more are than there is room for, the part is doubled until they fit.

    Parameters
    ----------
    row : (n,) float32 array
    highest : float
    keep : float
    chosen : (n + 1,) int64 array
        Their places, rising, come to stand in front.
    room : int

    Returns
    -------
    int
        How many.
    """
    least = keep * highest
    n_chosen = 0
    for k in range(len(row)):  # without a branch, which nobody could foresee
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
    return min(n_chosen, room)


@compiled(numba.int64(_IDS, _COUNTS, _CODES))
def pack(ids: IntArray, n_ids: IntArray, codes: IntArray) -> int:
    """Write short lists as bytes: how many components stand between each and the one before it.

    Parameters
    ----------
    ids : (n_frames, n_listed) uint16 array
        Rising in each row.
    n_ids : (n_frames,) uint8 array
        How many of each row count.
    codes : (n_codes,) uint8 array
        With room for a byte a component, and one for every 255 components of the mixture.

    Returns
    -------
    int
        How many bytes there are.
    """
    n_codes = 0
    for t in range(len(n_ids)):
        after = 0
        for i in range(n_ids[t]):
            gap = int(ids[t, i]) - after
            while gap >= _MORE:
                codes[n_codes] = _MORE
                n_codes += 1
                gap -= _MORE
            codes[n_codes] = gap
            n_codes += 1
            after = int(ids[t, i]) + 1
    return n_codes


@compiled(numba.void(_CODES, _COUNTS, _IDS))
def unpack(codes: IntArray, n_ids: IntArray, ids: IntArray) -> None:
    """Read what `pack` wrote."""
    at = 0
    for t in range(len(n_ids)):
        after = 0
        for i in range(n_ids[t]):
            while codes[at] == _MORE:
                after += _MORE
                at += 1
            after += codes[at]
            at += 1
            ids[t, i] = after
            after += 1


@compiled(numba.void(_ROWS, _BITS, _NAMES))
def largest(joint: Float32Array, bits: IntArray, places: IntArray) -> None:
    """Find the place of the greatest number of each row, the first of equal ones; 0 for NaN.

    Parameters
    ----------
    joint : (n_frames, n_columns) float32 array
    bits : (n_frames, n_columns) int32 array
        The memory of `joint` as integers.
    places : (n_frames,) uint16 array
        Become the places.
    """
    n_frames, n_columns = joint.shape
    for t in range(n_frames):
        row, highest, place = joint[t], maximum(bits[t]), 0
        while place < n_columns and row[place] != highest:
            place += 1
        places[t] = place if place < n_columns else 0


@compiled(numba.void(_FRAMES, _PLACES, _ROW, _ROW, _ROWS))
def gather(
    frames: Float32Array,
    places: IntArray,
    shift: Float32Array,
    inverse_scale: Float32Array,
    out: Float32Array,
) -> None:
    """Write [z, z^2, 1] of the frames at some places into rows, z = (x - shift) * inverse_scale.

    Columns behind them are left alone.
    """
    n_dims = frames.shape[1]
    for i in range(len(places)):
        frame, z, squares = frames[places[i]], out[i], out[i, n_dims:]
        for d in range(n_dims):
            z[d] = (frame[d] - shift[d]) * inverse_scale[d]
        for d in range(n_dims):
            squares[d] = z[d] * z[d]
        z[2 * n_dims] = _ONE


@compiled(
    numba.int64(
        _ROWS, _BITS, _ROWS, _NAMES, _PLACES, _ROW, numba.float32, numba.float32, _PLACES, _IDS,
        _COUNTS, _ROWS, _ROW, _ROW,
    ),
    "reassoc",
    "nsz",
)  # fmt: skip
def near(
    joint: Float32Array,
    bits: IntArray,
    expanded: Float32Array,
    names: IntArray,
    places: IntArray,
    weights: Float32Array,
    keep: np.float32,
    least: np.float32,
    chosen: IntArray,
    ids: IntArray,
    n_ids: IntArray,
    moments: Float32Array,
    peak: Float32Array,
    sums: Float32Array,
) -> int:
    """Add the moments of frames that are held to the same components, and list the best.

    Parameters
    ----------
    joint : (n_some, n_near) float32 array
        To base 2. Becomes 2^(joint - row maximum).
    bits : (n_some, n_near) int32 array
        The memory of `joint` as integers.
    expanded : (n_some, n_columns) float32 array
        [z, z^2, 1, 0 ...].
    names : (n_near,) uint16 array
        Which components they are held to.
    places : (n_some,) int64 array
        Which frames of the work item they are.
    weights : (n_frames,) float32 array
    keep, least : float
        As in `choose`, for the lists; and as in `shortlisted`, for the moments.
    chosen : (n_near + 1,) int64 array
        Scratch.
    ids : (n_frames, n_listed) uint16 array
    n_ids : (n_frames,) uint8 array
        Become what is listed, and how many.
    moments : (n_near, n_columns) float32 array
        To which sums of posterior times weight times [z, z^2, 1, 0 ...] are added.
    peak, sums : (n_frames,) float32 arrays
        Become row maxima and row sums.

    Returns
    -------
    int
        How many frames hold a NaN or are too far away for single precision: they have no list, are
        not in the moments, and their sum is 0.
    """
    n_some, n_near = joint.shape
    n_columns = expanded.shape[1]
    n_bad = 0
    for i in range(n_some):
        row, z, t = joint[i], expanded[i], places[i]
        highest = maximum(bits[i])
        total = _ZERO
        for k in range(n_near):
            value = exp2(row[k] - highest)
            row[k] = value
            total += value
        if not (abs(highest) < np.inf and total < np.inf):
            n_bad += 1
            n_ids[t], peak[t], sums[t] = 0, _ZERO, _ZERO
            continue
        peak[t], sums[t] = highest, total
        n_chosen = choose(row, _ONE, keep, chosen, ids.shape[1])
        n_ids[t] = n_chosen
        counted = _ZERO
        for j in range(n_chosen):
            k = chosen[j]
            ids[t, j] = names[k]
            counted += row[k] if row[k] >= least else _ZERO
        factor = weights[t] / counted
        for j in range(n_chosen):
            k = chosen[j]
            if row[k] >= least:
                into, share = moments[k], row[k] * factor
                for d in range(n_columns):
                    into[d] += share * z[d]
    return n_bad


@compiled(numba.void(numba.float64[:, ::1], _NAMES, _ROWS))
def deal(total: Float64Array, names: IntArray, part: Float32Array) -> None:
    """Add rows of a float32 matrix to the named ones of a float64 matrix, and clear them.

    `total` has as many columns or fewer.
    """
    n_columns = total.shape[1]
    for i in range(len(names)):
        row, into = part[i], total[names[i]]
        for d in range(n_columns):
            into[d] += row[d]
        for d in range(len(row)):
            row[d] = _ZERO


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
