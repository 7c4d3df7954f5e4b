"""The compiled inner loops of power spectra and energies, for many frames at once.

A Fourier transform of one frame shuffles its numbers about; of `LANES` frames side by side, with
the same sample of all in a row, it has nothing to shuffle and its loops no rest. The transform is
Pease's (J. ACM 15(2), 1968): decimation in frequency with constant geometry, so that each pass
reads and writes at the same places and one loop serves them all. Frames of real numbers are
transformed as half as many complex ones (even samples real, odd ones imaginary; Cooley, Lewis &
Welch, J. Sound Vib. 12(3), 1970, section 5).

Rows of `LANES` numbers stand in four legs, a pass reading one row of each; real parts stand before
imaginary ones. That legs are a constant apart, whatever the length of the transform, is what lets
the compiler see that its reads and writes do not meet.

They round as numpy does, operation by operation, and give the bits of the same steps in numpy
(`voicegmm.features.power_spectra`), which small jobs take: importing this module compiles it, or
loads what an earlier process compiled, two seconds the first time on a machine.
"""

import numba
import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, IntArray
from voicegmm.compute.compiling import compiled
from voicegmm.features.power_spectra import IMAGINARY, LEG
from voicegmm.features.stretch import LANES

# Indices without a sign need no look whether they count from the end.
_L, _LEG, _I = np.uint64(LANES), np.uint64(LEG), np.uint64(IMAGINARY)
_TWO, _THREE = np.uint64(2), np.uint64(3)
_QUARTER = np.float32(0.25)

_ROW, _ROWS = numba.float32[::1], numba.float32[:, ::1]
_PAIRS = numba.types.Array(numba.float32, 2, "C", readonly=True)
_FROZEN = numba.types.Array(numba.float32, 1, "C", readonly=True)
_TURNS = numba.types.Array(numba.float32, 3, "C", readonly=True)
_PLACES = numba.types.Array(numba.int64, 1, "C", readonly=True)


@compiled(
    numba.void(_ROWS, _ROW, _ROW, _FROZEN, numba.float32, numba.int64, numba.int64, _ROW),
    exact=True,
)
def _weigh(
    hops: Float32Array,
    means: Float32Array,
    starts: Float32Array,
    window: Float32Array,
    emphasis: np.float32,
    n_leg: int,
    first: int,
    out: Float32Array,
) -> None:
    """Emphasize and weigh some frames, into the rows of `out`."""
    n_hop, n_columns = hops.shape
    flat = hops.reshape(-1)
    frame = np.uint64(first)
    column, within, leg, row, before = first, 1, 0, 0, frame  # where the sample before n stands
    for n in range(1, len(window)):
        if within == n_hop:
            within = 0
            column += 1
        now = np.uint64(within * n_columns + column)
        within += 1
        if n % 2 == 0:
            row += 1
            if row == n_leg:
                row = 0
                leg += 1
        to = np.uint64(leg * LEG + row * LANES + n % 2 * IMAGINARY)
        weight = window[n]
        for lane in range(_L):
            emphasized = flat[now + lane] - emphasis * flat[before + lane]
            out[to + lane] = (emphasized - means[frame + lane]) * weight
        before = now
    for lane in range(_L):
        out[lane] = starts[np.uint64(first) + lane] * window[0]


@compiled(numba.void(_ROW, _ROW, numba.int64, _TURNS), exact=True)
def _pass_of_two(a: Float32Array, b: Float32Array, n_leg: int, turns: Float32Array) -> None:
    """Take transforms of two rows that are half of all apart."""
    half = n_leg // 2
    for j in range(4 * half):
        leg = j // half
        c, s = turns[0, j, 0], turns[0, j, 1]
        x = np.uint64(leg // 2 * LEG + (j - leg // 2 * n_leg) * LANES)
        y = np.uint64(leg * LEG + 2 * (j - leg * half) * LANES)
        for lane in range(_L):
            i, o = x + lane, y + lane
            ar, ai = a[i], a[i + _I]
            br, bi = a[i + _TWO * _LEG], a[i + _TWO * _LEG + _I]
            b[o], b[o + _I] = ar + br, ai + bi
            dr, di = ar - br, ai - bi
            b[o + _L], b[o + _L + _I] = dr * c - di * s, dr * s + di * c


@compiled(numba.void(_ROW, _ROW, numba.int64, _TURNS, numba.int64), exact=True)
def _pass_of_four(
    a: Float32Array, b: Float32Array, n_leg: int, turns: Float32Array, number: int
) -> None:
    """Take transforms of four rows, one of each leg."""
    quarter = n_leg // 4
    leg = 0
    for j in range(n_leg):
        leg += j == quarter or j == 2 * quarter or j == 3 * quarter
        c1, s1 = turns[number, j, 0], turns[number, j, 1]
        c2, s2 = turns[number, j, 2], turns[number, j, 3]
        c3, s3 = turns[number, j, 4], turns[number, j, 5]
        x = np.uint64(j * LANES)
        y = np.uint64(leg * LEG + 4 * (j - leg * quarter) * LANES)
        for lane in range(_L):
            i, o = x + lane, y + lane
            ar, ai = a[i], a[i + _I]
            br, bi = a[i + _LEG], a[i + _LEG + _I]
            cr, ci = a[i + _TWO * _LEG], a[i + _TWO * _LEG + _I]
            dr, di = a[i + _THREE * _LEG], a[i + _THREE * _LEG + _I]
            pr, pi, qr, qi = ar + cr, ai + ci, ar - cr, ai - ci
            rr, ri, tr, ti = br + dr, bi + di, br - dr, bi - di
            b[o], b[o + _I] = pr + rr, pi + ri
            xr, xi = qr + ti, qi - tr
            b[o + _L], b[o + _L + _I] = xr * c1 - xi * s1, xr * s1 + xi * c1
            xr, xi = pr - rr, pi - ri
            b[o + _TWO * _L], b[o + _TWO * _L + _I] = xr * c2 - xi * s2, xr * s2 + xi * c2
            xr, xi = qr - ti, qi + tr
            b[o + _THREE * _L], b[o + _THREE * _L + _I] = xr * c3 - xi * s3, xr * s3 + xi * c3


@compiled(numba.void(_ROW, _PLACES, _PAIRS, numba.int64, _ROWS), exact=True)
def _powers(
    a: Float32Array, places: IntArray, halves: Float32Array, first: int, power: Float32Array
) -> None:
    """Take the transforms of even and of odd samples together, and square them."""
    n, n_columns = len(places) - 1, power.shape[1]
    out = power.reshape(-1)
    for k in range(n + 1):
        x, y = np.uint64(places[k]), np.uint64(places[n - k])
        to = np.uint64(k * n_columns + first)
        c, s = halves[k, 0], halves[k, 1]
        for lane in range(_L):
            xr, xi = a[x + lane], a[x + lane + _I]
            yr, yi = a[y + lane], a[y + lane + _I]
            # Twice the even part, and twice the odd one, which exp(-2 pi i k / (2 n)) turns.
            re = (xr + yr) + (c * (xi + yi) + s * (xr - yr))
            im = (xi - yi) + (s * (xi + yi) - c * (xr - yr))
            out[to + lane] = _QUARTER * (re * re + im * im)


@compiled(
    numba.void(
        _ROWS, _ROW, _ROW, _FROZEN, numba.float32, _TURNS, _PLACES, _PAIRS, _ROW, _ROW, _ROWS
    ),
    exact=True,
)
def power_spectra(
    hops: Float32Array,
    means: Float32Array,
    starts: Float32Array,
    window: Float32Array,
    emphasis: np.float32,
    turns: Float32Array,
    places: IntArray,
    halves: Float32Array,
    a: Float32Array,
    b: Float32Array,
    power: Float32Array,
) -> None:
    """Compute the power spectra of frames.

    Parameters
    ----------
    hops : (n_hop, n_columns) float32 array
        The samples beneath the frames, hop after hop in columns: ``len(window) // n_hop`` columns
        more than there are frames.
    means : (n_frames,) float32 array
        What is taken out of each sample after emphasis. A multiple of `LANES` frames.
    starts : (n_frames,) float32 array
        The first sample of each frame, emphasized, without its mean.
    window : (n_window,) float32 array
    emphasis : float
        c of y[n] = x[n] - c x[n - 1].
    turns : (n_passes, n // 2, 6) float32 array
        Cosine and sine of what the second row, the third and the fourth are turned by.
    places : (n + 1,) int64 array
        Where the last pass leaves each frequency of the n complex samples; then the first again.
    halves : (n + 1, 2) float32 array
        Cosine and sine of -2 pi k / (2 n).
    a, b : (2 * IMAGINARY,) float32 arrays
        Scratch.
    power : (n + 1, n_frames) float32 array
        Becomes the result.
    """
    n = len(places) - 1
    n_leg = n // 4
    n_used = n_leg * LANES
    odd = 4 ** len(turns) != n  # a power of two that is none of four begins with a pass of two
    for first in range(0, power.shape[1], LANES):
        for leg in range(8):
            a[leg * LEG : leg * LEG + n_used] = np.float32(0)
        _weigh(hops, means, starts, window, emphasis, n_leg, first, a)
        for number in range(len(turns)):
            if odd and number == 0:
                _pass_of_two(a, b, n_leg, turns)
            else:
                _pass_of_four(a, b, n_leg, turns, number)
            a, b = b, a
        _powers(a, places, halves, first, power)


@compiled(numba.void(_ROWS, numba.int64, numba.float64[:, ::1]), exact=True)
def hop_moments(hops: Float32Array, n_rest: int, out: Float64Array) -> None:
    """Do what `voicegmm.features.stretch.hop_moments` does."""
    n_hop, n_columns = hops.shape
    origin = np.float64(hops[0, 0])
    total, squares = out[2], out[3]
    for column in range(n_columns):
        total[column], squares[column] = 0.0, 0.0
    for n in range(n_hop):
        if n == n_rest:
            for column in range(n_columns):
                out[0, column], out[1, column] = total[column], squares[column]
        row = hops[n]
        for column in range(n_columns):
            x = np.float64(row[column]) - origin
            total[column] += x
            squares[column] += x * x
