"""The power spectra of a stretch of frames: many side by side, or one by one."""

from collections.abc import Callable
from functools import cache, lru_cache
from types import ModuleType

import numpy as np
import scipy.fft

from voicegmm._base.arrays import Float32Array, FloatArray, IntArray, frozen
from voicegmm.features.plan import Plan, precision
from voicegmm.features.spectral import power
from voicegmm.features.static_options import StaticOptions
from voicegmm.features.stretch import Stretch

_WINDOW_ROWS = 32  # so many windows stay in the innermost cache


def power_spectra(plan: Plan, options: StaticOptions) -> Callable[[Stretch], FloatArray]:
    """Give what computes the power spectra of stretches: (n_frames, n_fft // 2 + 1) float arrays.

    A result is good until the next one is asked for, whose memory it shares.
    """
    kernel = _kernel() if precision(options) is np.float32 else None
    if kernel and _transforms(kernel, plan.n_fft):
        return _SideBySide(kernel, plan, options)
    return _OneByOne(plan, options)


@cache
def _kernel() -> ModuleType | None:
    """Give the compiled loops, or None where numba is missing or has no folder for its cache."""
    try:
        from voicegmm.features import kernel
    except (ImportError, RuntimeError):
        return None
    return kernel


def _transforms(kernel: ModuleType, n_fft: int) -> bool:
    """Tell whether the compiled loops can transform frames of so many samples."""
    return bool(kernel.SHORTEST <= n_fft <= kernel.LONGEST and n_fft & (n_fft - 1) == 0)


class _SideBySide:
    """In float32, for transforms of a power of two."""

    def __init__(self, kernel: ModuleType, plan: Plan, options: StaticOptions) -> None:
        self._kernel, self._plan, self._options = kernel, plan, options
        self._tables = _turns(plan.n_fft), _places(plan.n_fft, kernel), _halves(plan.n_fft)
        self._scratch = tuple(np.zeros(2 * kernel.IMAGINARY, np.float32) for _ in range(2))
        self._power = np.empty((0, 0), np.float32)

    def __call__(self, stretch: Stretch) -> FloatArray:
        plan, lanes = self._plan, self._kernel.LANES
        n_columns = -(-stretch.n_frames // lanes) * lanes
        if self._power.shape[1] != n_columns:
            self._power = np.empty((plan.n_fft // 2 + 1, n_columns), np.float32)
        self._kernel.power_spectra(
            *stretch.side_by_side(n_columns),
            plan.window,
            np.float32(self._options.preemphasis),
            *self._tables,
            *self._scratch,
            self._power,
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
def _places(n_fft: int, kernel: ModuleType) -> IntArray:
    """Compute where each frequency stands after the passes: its digits in reverse order.

    The first comes once more behind the last: frequencies go round.
    """
    n = n_fft // 2
    left, row = np.arange(n + 1) % n, np.zeros(n + 1, dtype=np.int64)
    for radix in _radices(n):
        left, digit = np.divmod(left, radix)
        row = row * radix + digit
    leg, within = np.divmod(row, n // 4)
    return frozen(leg * kernel.LEG + within * kernel.LANES, np.int64)


@lru_cache(maxsize=8)
def _halves(n_fft: int) -> Float32Array:
    """Compute the turns that bring the transforms of even and of odd samples together."""
    angle = -2 * np.pi / n_fft * np.arange(n_fft // 2 + 1)
    return frozen(np.stack([np.cos(angle), np.sin(angle)], axis=1), np.float32)
