"""The power spectra of a stretch of frames: many side by side, or one by one."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray, IntArray, frozen
from voicegmm.features.loading import compiled_for
from voicegmm.features.plan import Plan, precision
from voicegmm.features.spectral import power
from voicegmm.features.static_options import StaticOptions
from voicegmm.features.stretch import LANES, Stretch

SHORTEST, LONGEST = 32, 8192  # transforms that the compiled loops know, in samples
# They work on rows of `LANES` numbers, in four legs for real and four for imaginary parts. From one
# leg to the next are so many numbers: 16 more than its rows, for the cache's sake.
LEG = LONGEST // 8 * LANES + 16
IMAGINARY = 4 * LEG
_WINDOW_ROWS = 32  # so many windows stay in the innermost cache


def power_spectra(plan: Plan, options: StaticOptions) -> Callable[[Stretch], FloatArray]:
    """Give what computes the power spectra of stretches: (n_frames, n_fft // 2 + 1) float arrays.

    A result is good until the next one is asked for, whose memory it shares.
    """
    power_of_two = plan.n_fft & (plan.n_fft - 1) == 0
    if precision(options) is np.float32 and power_of_two and SHORTEST <= plan.n_fft <= LONGEST:
        return _SideBySide(plan, options)
    return _OneByOne(plan, options)


class _SideBySide:
    """In float32, for transforms of a power of two."""

    def __init__(self, plan: Plan, options: StaticOptions) -> None:
        self._plan, self._options = plan, options
        self._scratch = np.zeros((2, 2 * IMAGINARY), np.float32)
        self._power = np.empty((plan.n_fft // 2 + 1, 0), np.float32)

    def __call__(self, stretch: Stretch) -> FloatArray:
        n_fft = self._plan.n_fft
        hops, means, starts = stretch.side_by_side()
        if self._power.shape[1] != len(means):
            self._power = np.empty((n_fft // 2 + 1, len(means)), np.float32)
        emphasis = np.float32(self._options.preemphasis)
        tables = _turns(n_fft), _places(n_fft), _halves(n_fft)
        kernel = compiled_for(stretch.n_frames)
        if kernel is None:
            frames = _weighed(hops, means, starts, self._plan.window, emphasis)
            _transformed(frames, tables[0], _rows(n_fft), tables[2], self._power)
        else:
            given = hops, means, starts, self._plan.window, emphasis
            kernel.power_spectra(*given, *tables, *self._scratch, self._power)
        return self._power[:, : stretch.n_frames].T


def _weighed(
    hops: Float32Array,
    means: Float32Array,
    starts: Float32Array,
    window: Float32Array,
    emphasis: np.float32,
) -> Float32Array:
    """Emphasize and weigh frames, in columns: (len(window), n_frames)."""
    n_hop, n_window, n_frames = len(hops), len(window), len(means)
    frames = np.empty((n_window, n_frames), np.float32)
    for column, first in enumerate(range(0, n_window, n_hop)):
        part = frames[first : first + n_hop]
        part[:] = hops[: len(part), column : column + n_frames]
    frames[1:] -= emphasis * frames[:-1]
    frames[1:] -= means
    frames[0] = starts
    frames *= window[:, None]
    return frames


def _transformed(
    frames: Float32Array,
    turns: Float32Array,
    rows: IntArray,
    halves: Float32Array,
    power: Float32Array,
) -> None:
    """Compute the power spectra of frames in columns: `voicegmm.features.kernel` in numpy."""
    n, n_frames = len(rows) - 1, frames.shape[1]
    re, im = np.zeros((2, n, n_frames), np.float32)
    re[: len(frames[::2])], im[: len(frames[1::2])] = frames[::2], frames[1::2]
    for radix, turn in zip(_radices(n), turns, strict=True):
        to_re, to_im = np.empty_like(re), np.empty_like(im)
        legs = np.split(re, radix), np.split(im, radix)
        for leg, (x, y) in enumerate(_PASSES[radix](*legs)):
            if leg:
                c, s = turn[: n // radix, 2 * leg - 2 : 2 * leg].T[:, :, None]
                x, y = x * c - y * s, x * s + y * c
            to_re[leg::radix], to_im[leg::radix] = x, y
        re, im = to_re, to_im
    xr, xi, yr, yi = re[rows], im[rows], re[rows[::-1]], im[rows[::-1]]
    c, s = halves.T[:, :, None]
    re = (xr + yr) + (c * (xi + yi) + s * (xr - yr))
    im = (xi - yi) + (s * (xi + yi) - c * (xr - yr))
    np.multiply(np.float32(0.25), re * re + im * im, out=power)


_Rows = list[Float32Array]
_Pairs = list[tuple[Float32Array, Float32Array]]


def _of_two(re: _Rows, im: _Rows) -> _Pairs:
    return [(re[0] + re[1], im[0] + im[1]), (re[0] - re[1], im[0] - im[1])]


def _of_four(re: _Rows, im: _Rows) -> _Pairs:
    pr, pi, qr, qi = re[0] + re[2], im[0] + im[2], re[0] - re[2], im[0] - im[2]
    rr, ri, tr, ti = re[1] + re[3], im[1] + im[3], re[1] - re[3], im[1] - im[3]
    return [(pr + rr, pi + ri), (qr + ti, qi - tr), (pr - rr, pi - ri), (qr - ti, qi + tr)]


_PASSES = {2: _of_two, 4: _of_four}


class _OneByOne:
    """Of any precision and length."""

    def __init__(self, plan: Plan, options: StaticOptions) -> None:
        self._plan, self._dtype = plan, precision(options)
        window = np.pad(plan.window, (0, plan.n_fft - plan.n_window))
        self._windows = np.tile(window, (_WINDOW_ROWS, 1))
        self._make_room(0)

    def __call__(self, stretch: Stretch) -> FloatArray:
        n = stretch.n_frames
        if n > len(self._room):
            self._make_room(n)
        import scipy.fft

        filled = stretch.weighted(self._windows, out=self._room[:n])
        return power(scipy.fft.rfft(filled, axis=1), self._power[:n], self._spare[:n])

    def _make_room(self, n_frames: int) -> None:
        """Ask for the memory of a stretch; the zeros that fill a frame up stay what they are."""
        self._room = np.zeros((n_frames, self._plan.n_fft), self._dtype)
        self._power = np.empty((n_frames, self._plan.n_fft // 2 + 1), self._dtype)
        self._spare = np.empty_like(self._power)


def _radices(n: int) -> list[int]:
    """Factor a power of two into fours, and a two before them if need be."""
    n_twos = n.bit_length() - 1
    return [2] * (n_twos % 2) + [4] * (n_twos // 2)


@lru_cache(maxsize=8)
def _turns(n_fft: int) -> Float32Array:
    """Compute what each pass turns its rows by: see `voicegmm.features.kernel.power_spectra`."""
    n = n_fft // 2
    radices = _radices(n)
    turns = np.zeros((len(radices), n // 2, 6))
    done = 1
    for number, radix in enumerate(radices):
        j = np.arange(n // radix)
        angle = -2 * np.pi / n * np.outer(j // done * done, np.arange(1, radix))
        pairs = np.stack([np.cos(angle), np.sin(angle)], axis=2)
        turns[number, : len(j), : 2 * (radix - 1)] = pairs.reshape(len(j), -1)
        done *= radix
    return frozen(turns, np.float32)


@lru_cache(maxsize=8)
def _rows(n_fft: int) -> IntArray:
    """Compute the row of each frequency after the passes: its digits in reverse order.

    The first comes once more behind the last: frequencies go round.
    """
    n = n_fft // 2
    left, row = np.arange(n + 1) % n, np.zeros(n + 1, dtype=np.int64)
    for radix in _radices(n):
        left, digit = np.divmod(left, radix)
        row = row * radix + digit
    return frozen(row, np.int64)


@lru_cache(maxsize=8)
def _places(n_fft: int) -> IntArray:
    """Compute where the compiled loops have each frequency."""
    leg, within = np.divmod(_rows(n_fft), n_fft // 8)
    return frozen(leg * LEG + within * LANES, np.int64)


@lru_cache(maxsize=8)
def _halves(n_fft: int) -> Float32Array:
    """Compute the turns that bring the transforms of even and of odd samples together."""
    angle = -2 * np.pi / n_fft * np.arange(n_fft // 2 + 1)
    return frozen(np.stack([np.cos(angle), np.sin(angle)], axis=1), np.float32)
