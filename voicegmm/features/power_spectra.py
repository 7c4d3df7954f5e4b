"""The power spectra of a stretch of frames: many side by side, or one by one."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray, IntArray, frozen
from voicegmm.features.plan import Plan, precision
from voicegmm.features.spectral import power
from voicegmm.features.static_options import StaticOptions
from voicegmm.features.stretch import Stretch

LANES = 32  # frames side by side
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
        from voicegmm.features import kernel  # compiled, and so loaded only now

        self._transform, self._plan, self._options = kernel.power_spectra, plan, options
        self._tables = _turns(plan.n_fft), _places(plan.n_fft), _halves(plan.n_fft)
        self._scratch = np.zeros((2, 2 * IMAGINARY), np.float32)
        self._power = np.empty((plan.n_fft // 2 + 1, 0), np.float32)

    def __call__(self, stretch: Stretch) -> FloatArray:
        plan, n_columns = self._plan, -(-stretch.n_frames // LANES) * LANES
        if self._power.shape[1] != n_columns:
            self._power = np.empty((plan.n_fft // 2 + 1, n_columns), np.float32)
        hops, means, starts = stretch.side_by_side(n_columns)
        emphasis = np.float32(self._options.preemphasis)
        scratch, out = self._scratch, self._power
        self._transform(
            hops, means, starts, plan.window, emphasis, *self._tables, scratch[0], scratch[1], out
        )
        return self._power[:, : stretch.n_frames].T


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
def _places(n_fft: int) -> IntArray:
    """Compute where each frequency stands after the passes: its digits in reverse order.

    The first comes once more behind the last: frequencies go round.
    """
    n = n_fft // 2
    left, row = np.arange(n + 1) % n, np.zeros(n + 1, dtype=np.int64)
    for radix in _radices(n):
        left, digit = np.divmod(left, radix)
        row = row * radix + digit
    leg, within = np.divmod(row, n // 4)
    return frozen(leg * LEG + within * LANES, np.int64)


@lru_cache(maxsize=8)
def _halves(n_fft: int) -> Float32Array:
    """Compute the turns that bring the transforms of even and of odd samples together."""
    angle = -2 * np.pi / n_fft * np.arange(n_fft // 2 + 1)
    return frozen(np.stack([np.cos(angle), np.sin(angle)], axis=1), np.float32)
