"""The compiled inner loops of the E-step, for float32 frames and large jobs.

Around two matrix products a block of frames needs three loops: its expansion [z, z^2, 1], the
softmax of its joint log-densities, and the sum of the block's moments in float64. In numpy each
loop makes several passes over memory; here each makes one. `density.fused` decides who comes here.

Importing this module compiles it, or loads what an earlier process compiled: some seconds the
first time on a machine, half a second later. So it is imported only where there is work for it.
Logarithms are to base 2 inside: 2^x needs no argument reduction but a subtraction that is exact.
"""

import numba
import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, IntArray
from voicegmm.compute.compiling import compiled

# Adding 1.5 * 2^23 rounds a float32 to an integer, which its low bits then hold; 127 more makes
# those bits the exponent field of 2^n. At n = -127 the field is empty and 2^n is 0.
_ROUND = np.float32(1.5 * 2**23 + 127)
_LOWEST = np.float32(-127)
_EXPONENT = np.int32(23)
# Minimax polynomial (Remez, relative error 9.2e-8) of 2^r for |r| <= 1/2 that is 1 at 0.
_C1 = np.float32(0.6931469775987165)
_C2 = np.float32(0.24022242084635073)
_C3 = np.float32(0.05550733743574111)
_C4 = np.float32(0.009671512688151319)
_C5 = np.float32(0.0013264727247160493)
_ONE, _ZERO = np.float32(1), np.float32(0)
_SIGN, _MAGNITUDE, _LEAST = np.int32(31), np.int32(0x7FFFFFFF), np.int32(-(2**31))


@compiled("f4(f4)")
def exp2(x: np.float32) -> np.float32:
    """Give 2^x for x <= 0: relative error 2e-7; 0 below -126.5; NaN for NaN.

    x = n + r with n its nearest integer and |r| <= 1/2; the polynomial gives 2^r, the bits 2^n.
    """
    x = _LOWEST if x < _LOWEST else x  # in this order a NaN stays
    shifted = np.float32(x + _ROUND)
    r = x - (shifted - _ROUND)
    fraction = ((((_C5 * r + _C4) * r + _C3) * r + _C2) * r + _C1) * r + _ONE
    power = np.int32(shifted.view(np.int32) << _EXPONENT).view(np.float32)
    return np.float32(fraction * power)


# Frames may be read-only, as those of a `FrameSet` are; numba takes others for such, not these.
_FRAMES = numba.types.Array(numba.float32, 2, "C", readonly=True)
_ROW, _ROWS = numba.float32[::1], numba.float32[:, ::1]


@compiled(numba.void(_FRAMES, _ROW, _ROW, _ROWS))
def expand(
    frames: Float32Array, shift: Float32Array, inverse_scale: Float32Array, out: Float32Array
) -> None:
    """Write [z, z^2, 1] of frames, z = (x - shift) * inverse_scale, into (n_frames, 2 D + 1)."""
    n_frames, n_dims = frames.shape
    for t in range(n_frames):
        frame, z, squares = frames[t], out[t], out[t, n_dims:]
        for d in range(n_dims):
            z[d] = (frame[d] - shift[d]) * inverse_scale[d]
        for d in range(n_dims):
            squares[d] = z[d] * z[d]
        z[2 * n_dims] = _ONE


@compiled("f4(i4[::1])")
def maximum(bits: IntArray) -> np.float32:
    """Give the greatest of float32 numbers, by their bits; anything if one is NaN.

    With their magnitude bits flipped where negative, floats sort as integers do, whose maximum
    the compiler takes in lanes (that of floats it takes one by one, for NaN's sake).
    """
    highest = _LEAST
    for k in range(len(bits)):
        key = np.int32(bits[k] ^ np.int32(np.int32(bits[k] >> _SIGN) & _MAGNITUDE))
        highest = key if key > highest else highest
    key = np.int32(highest ^ np.int32(np.int32(highest >> _SIGN) & _MAGNITUDE))
    return np.float32(key.view(np.float32))


# "reassoc" lets the sum run in lanes; `exp2` was compiled without it and keeps its exact order.
@compiled("i8(f4[:,::1], i4[:,::1], f4[::1], f4[:,::1], f4[::1], f4[::1])", "reassoc", "nsz")
def softmax(
    joint: Float32Array,
    bits: IntArray,
    weights: Float32Array,
    expanded: Float32Array,
    peak: Float32Array,
    sums: Float32Array,
) -> int:
    """Turn joint log-densities into unnormalized posteriors, in place.

    The normalization, weight / sum, multiplies the rows of `joint` or those of `expanded`,
    whichever are shorter: only their product is of use.

    Parameters
    ----------
    joint : (n_frames, n_components) float32 array
        To base 2. Becomes 2^(joint - row maximum), perhaps times weight / sum.
    bits : (n_frames, n_components) int32 array
        The memory of `joint` as integers.
    weights : (n_frames,) float32 array
    expanded : (n_frames, 2 D + 1) float32 array
        Perhaps multiplied by weight / sum.
    peak, sums : (n_frames,) float32 arrays
        Become row maxima and row sums: the log-density is ln 2 * peak + ln(sums).

    Returns
    -------
    int
        How many rows hold a NaN or have no finite maximum; then nothing of the block is of use.
    """
    n_frames, n_components = joint.shape
    n_columns = expanded.shape[1]
    n_bad = 0
    for t in range(n_frames):
        row, z = joint[t], expanded[t]
        highest = maximum(bits[t])
        total = _ZERO
        for k in range(n_components):
            value = exp2(row[k] - highest)
            row[k] = value
            total += value
        peak[t] = highest
        sums[t] = total
        if not (abs(highest) < np.inf and total < np.inf):
            n_bad += 1
        factor = weights[t] / total
        if n_components < n_columns:
            for k in range(n_components):
                row[k] *= factor
        else:
            for d in range(n_columns):
                z[d] *= factor
    return n_bad


@compiled("i8(f4[:,::1], i4[:,::1], f4[:,::1], f4[::1], f4[::1], f4[::1])", "reassoc", "nsz")
def log_sums(
    joint: Float32Array,
    bits: IntArray,
    base: Float32Array,
    constants: Float32Array,
    peak: Float32Array,
    sums: Float32Array,
) -> int:
    """Sum 2^(joint + base + constants) over components, all to base 2.

    Parameters
    ----------
    joint : (n_frames, n_components) float32 array
        Becomes joint + base + constants.
    bits : (n_frames, n_components) int32 array
        The memory of `joint` as integers.
    base : (n_frames, n_components) float32 array
    constants : (n_components,) float32 array
    peak, sums : (n_frames,) float32 arrays
        Become row maxima and sums of 2^(value - maximum).

    Returns
    -------
    int
        How many rows hold a NaN or have no finite maximum; then nothing of the block is of use.
    """
    n_frames, n_components = joint.shape
    n_bad = 0
    for t in range(n_frames):
        row, under = joint[t], base[t]
        for k in range(n_components):
            row[k] += under[k] + constants[k]
        highest = maximum(bits[t])
        total = _ZERO
        for k in range(n_components):
            total += exp2(row[k] - highest)
        peak[t] = highest
        sums[t] = total
        if not (abs(highest) < np.inf and total < np.inf):
            n_bad += 1
    return n_bad


@compiled("void(f8[:,::1], f4[:,::1])")
def add(total: Float64Array, part: Float32Array) -> None:
    """Add a float32 matrix to a float64 one of the same shape, in place."""
    rows, columns = part.shape
    for i in range(rows):
        for j in range(columns):
            total[i, j] += part[i, j]


_SHORT = 32  # numbers of which one maximum is taken at a time: two to four lanes' worth


@compiled("i8(f4[:,::1], i4[:,::1], i4[:,::1], f4[:,::1])", "reassoc", "nsz")
def best(joint: Float32Array, bits: IntArray, components: IntArray, values: Float32Array) -> int:
    """Find the greatest numbers of each row, the greatest first; of equal ones the first.

    Parameters
    ----------
    joint : (n_frames, n_components) float32 array
    bits : (n_frames, n_components) int32 array
        The memory of `joint` as integers.
    components : (n_frames, n_top) int32 array
        Become their places.
    values : (n_frames, n_top) float32 array
        Become the numbers.

    Returns
    -------
    int
        How many rows hold a NaN or an infinity; then nothing of the block is of use.
    """
    n_frames, n_components = joint.shape
    n_top = components.shape[1]
    n_bad = 0
    for t in range(n_frames):
        row, places, found = joint[t], components[t], values[t]
        check = _ZERO
        for k in range(n_components):
            check += row[k] * _ZERO
        if check != _ZERO:  # NaN: infinity times 0 is one too
            n_bad += 1
            continue
        n_found = 0
        for start in range(0, n_components, _SHORT):
            stop = min(start + _SHORT, n_components)
            if n_found == n_top and maximum(bits[t, start:stop]) <= found[n_top - 1]:
                continue
            for k in range(start, stop):
                value = row[k]
                if n_found == n_top and value <= found[n_top - 1]:
                    continue
                place = min(n_found, n_top - 1)
                n_found = min(n_found + 1, n_top)
                while place > 0 and found[place - 1] < value:
                    found[place], places[place] = found[place - 1], places[place - 1]
                    place -= 1
                found[place], places[place] = value, k
    return n_bad


@compiled("void(f4[:,::1], i8[::1], i8[::1], f4[:,:,::1], f4[:,::1])", "reassoc", "nsz")
def shifts_of_panel(
    z: Float32Array, order: IntArray, starts: IntArray, slopes: Float32Array, out: Float32Array
) -> None:
    """Multiply frames with the slopes of their best components, for models side by side.

    The pairs of frame and component are taken component by component, two at a time, so that the
    slopes of a component are read once for all its frames.

    Parameters
    ----------
    z : (n_frames, n_dims) float32 array
        `n_dims` is a multiple of 4.
    order : (n_frames * n_top,) int64 array
        The pairs, frame * n_top + place, sorted by component.
    starts : (n_components + 1,) int64 array
        Where in `order` each component's begin.
    slopes : (n_components, n_dims, n_models) float32 array
    out : (n_frames * n_top, n_models) float32 array
    """
    n_components, n_dims, n_models = slopes.shape
    n_top = len(out) // max(len(z), 1)
    for k in range(n_components):
        stop = starts[k + 1]
        slope = slopes[k]
        for i in range(starts[k], stop, 2):
            one, other = order[i], order[min(i + 1, stop - 1)]  # the last one may stand alone
            x, y = z[one // n_top], z[other // n_top]
            a, b = out[one], out[other]
            for p in range(n_models):
                a[p] = _ZERO
                b[p] = _ZERO
            for d in range(0, n_dims, 4):
                x0, x1, x2, x3 = x[d], x[d + 1], x[d + 2], x[d + 3]
                y0, y1, y2, y3 = y[d], y[d + 1], y[d + 2], y[d + 3]
                s0, s1, s2, s3 = slope[d], slope[d + 1], slope[d + 2], slope[d + 3]
                if one == other:
                    for p in range(n_models):
                        a[p] += x0 * s0[p] + x1 * s1[p] + x2 * s2[p] + x3 * s3[p]
                else:
                    for p in range(n_models):
                        v0, v1, v2, v3 = s0[p], s1[p], s2[p], s3[p]
                        a[p] += x0 * v0 + x1 * v1 + x2 * v2 + x3 * v3
                        b[p] += y0 * v0 + y1 * v1 + y2 * v2 + y3 * v3


@compiled("void(f4[:,::1], i4[:,::1], f4[:,::1], f4[:,:,::1], i8)", "reassoc", "nsz")
def shifts_of_one(
    z: Float32Array, components: IntArray, slopes: Float32Array, out: Float32Array, place: int
) -> None:
    """Multiply frames with the slopes of their best components, for one model.

    Parameters
    ----------
    z : (n_frames, n_dims) float32 array
    components : (n_frames, n_top) int32 array
    slopes : (n_components, n_dims) float32 array
    out : (n_frames, n_top, n_models) float32 array
        Only ``out[:, :, place]`` is written.
    place : int
    """
    n_frames, n_dims = z.shape
    n_top = components.shape[1]
    for t in range(n_frames):
        x = z[t]
        for c in range(n_top):
            slope = slopes[components[t, c]]
            total = _ZERO
            for d in range(n_dims):
                total += x[d] * slope[d]
            out[t, c, place] = total


@compiled("i8(f4[:,:,::1], f4[:,::1], f4[:,::1], f4[:,::1])", "reassoc", "nsz")
def log_sums_of_best(
    shifts: Float32Array, base: Float32Array, peak: Float32Array, sums: Float32Array
) -> int:
    """Sum 2^(shifts + base) over the best components, all to base 2, for many models at once.

    Parameters
    ----------
    shifts : (n_frames, n_top, n_models) float32 array
        Becomes shifts + base.
    base : (n_frames, n_top) float32 array
    peak, sums : (n_frames, n_models) float32 arrays
        Become maxima and sums of 2^(value - maximum).

    Returns
    -------
    int
        How many frames have a maximum or a sum that is not finite; then nothing is of use.
    """
    n_frames, n_top, n_models = shifts.shape
    n_bad = 0
    for t in range(n_frames):
        highest, total = peak[t], sums[t]
        for c in range(n_top):
            values, under = shifts[t, c], base[t, c]
            for p in range(n_models):
                values[p] += under
            if c == 0:
                for p in range(n_models):
                    highest[p] = values[p]
            else:
                for p in range(n_models):
                    highest[p] = values[p] if values[p] > highest[p] else highest[p]
        for p in range(n_models):
            total[p] = _ZERO
        for c in range(n_top):
            values = shifts[t, c]
            for p in range(n_models):
                total[p] += exp2(values[p] - highest[p])
        check = _ZERO
        for p in range(n_models):
            check += (highest[p] + total[p]) * _ZERO
        if check != _ZERO:
            n_bad += 1
    return n_bad


# Of a frame: the rounding of its log-density in float32 moves posteriors by more.
_NEGLIGIBLE = np.float32(2**-20)


@compiled(
    "i8(f4[:,::1], i4[:,::1], f4[::1], f4[:,::1], i4[::1], f4[::1], f4[:,::1])", "reassoc", "nsz"
)
def first_order(
    joint: Float32Array,
    bits: IntArray,
    weights: Float32Array,
    expanded: Float32Array,
    chosen: IntArray,
    counts: Float32Array,
    first: Float32Array,
) -> int:
    """Add the zeroth- and first-order statistics of frames, leaving out negligible posteriors.

    Few components have a share of a frame worth counting: this takes less time than a product with
    all of them.

    Parameters
    ----------
    joint : (n_frames, n_components) float32 array
        To base 2. Becomes 2^(joint - row maximum).
    bits : (n_frames, n_components) int32 array
        The memory of `joint` as integers.
    weights : (n_frames,) float32 array
    expanded : (n_frames, n_columns) float32 array
        z stands in its first columns.
    chosen : (n_components + 1,) int32 array
        Scratch.
    counts : (n_components,) float32 array
    first : (n_components, n_dims) float32 array
        Sums of posterior times weight, and times z, are added to them.

    Returns
    -------
    int
        How many rows hold a NaN or have no finite maximum: such a row is not added.
    """
    n_frames, n_components = joint.shape
    n_dims = first.shape[1]
    n_bad = 0
    for t in range(n_frames):
        row, z = joint[t], expanded[t]
        highest = maximum(bits[t])
        total = _ZERO
        for k in range(n_components):
            value = exp2(row[k] - highest)
            row[k] = value
            total += value
        if not (abs(highest) < np.inf and total < np.inf):
            n_bad += 1
            continue
        factor, least = weights[t] / total, _NEGLIGIBLE * total
        n_chosen = 0
        for k in range(n_components):  # without a branch, which nobody could foresee
            chosen[n_chosen] = k
            n_chosen += 1 if row[k] >= least else 0
        for i in range(n_chosen):
            k = chosen[i]
            share = row[k] * factor
            counts[k] += share
            sums = first[k]
            for d in range(n_dims):
                sums[d] += share * z[d]
    return n_bad


@compiled("void(f4[:,::1], f4[::1], f8[:,::1], f8[:,::1], f8, f4[:,::1])")
def centered(
    first: Float32Array,
    counts: Float32Array,
    prior: Float64Array,
    factor: Float64Array,
    scale: float,
    out: Float32Array,
) -> None:
    """Write (first - counts * prior) * factor * scale, in double precision until it is written.

    Parameters
    ----------
    first, prior, factor : (n_components, n_dims) arrays
    counts : (n_components,) float32 array
    scale : float
    out : (n_components, n_dims) float32 array
    """
    n_components, n_dims = first.shape
    for k in range(n_components):
        count = np.float64(counts[k])
        for d in range(n_dims):
            rest = np.float64(first[k, d]) - count * prior[k, d]
            out[k, d] = np.float32(rest * factor[k, d] * scale)
