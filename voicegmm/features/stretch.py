"""A signal in stretches of frames: each is worked on where frames share their samples."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm._base.errors import DataError
from voicegmm.audio.framing import FrameCutter
from voicegmm.audio.signal import check_finite, in_blocks
from voicegmm.features.loading import compiled_for
from voicegmm.features.plan import Plan, precision
from voicegmm.features.static_options import EPSILON, INT16_SCALE, StaticOptions

STRETCH_FRAMES = 256  # few enough that what is computed from them stays in the cache
LANES = 32  # frames stand side by side in multiples of so many
_PIECE = 1 << 19  # samples that are checked and cut at once
# Beyond this a power spectrum might not fit into float32.
_LOUDEST = 1e6


class Stretch:
    """Some frames in a row, as the samples beneath them.

    What the options do to each frame is done once to the samples that frames share, where it can
    be: frames of 25 ms every 10 ms hold each sample two and a half times.

    Parameters
    ----------
    samples : (n,) float array
        Those of the frames, and perhaps more behind them; full scale is 1.
    n_frames : int
    plan : Plan
    options : StaticOptions
    before : float
        What stands before the first frame, where `preemphasis_start` is "signal": `last_before` of
        the stretch before this one.
    """

    def __init__(
        self,
        samples: FloatArray,
        n_frames: int,
        plan: Plan,
        options: StaticOptions,
        before: float = 0.0,
    ) -> None:
        self._plan, self._options = plan, options
        self.n_frames, self.before = n_frames, before
        # Whole hops, that sums over frames can be made of; behind the last sample are zeros.
        n_hops = n_frames + plan.n_window // plan.n_hop
        n_samples = (n_frames - 1) * plan.n_hop + plan.n_window if n_frames else 0
        self._samples = np.empty(n_hops * plan.n_hop, dtype=precision(options))
        np.multiply(samples[:n_samples], INT16_SCALE, out=self._samples[:n_samples])
        self._samples[n_samples:] = 0

    @cached_property
    def _means(self) -> FloatArray:
        """What is taken out of each frame: (n_frames,) float array."""
        plan, options = self._plan, self._options
        if not options.remove_dc:
            return np.zeros(self.n_frames, dtype=self._samples.dtype)
        divisor = plan.n_window if options.dc_divisor == "window" else plan.n_fft
        return np.asarray(self._sums(self._samples) * self._samples.dtype.type(1 / divisor))

    def frames(self) -> FloatArray:
        """Give the frames as `analysis_frames` does: (n_frames, n_window) float array."""
        return np.subtract(self._cut(self._samples), self._means[:, None])

    def weighted(self, windows: FloatArray, out: FloatArray) -> FloatArray:
        """Give what `windowed` makes of the frames.

        With a constant m taken out, y[n] = x[n] - c x[n - 1] (HTK Book, eq. 5.1) becomes
        y[n] - (1 - c) m: the signal is emphasized once, whatever is taken out of each frame.

        Parameters
        ----------
        windows : (n_rows, n) float array
            The window in each row, behind it zeros: so many rows are multiplied as one long one,
            which is twice as fast as row by row.
        out : (n_frames, n) float array
            Where to write the result, of finite numbers.

        Returns
        -------
        (n_frames, n) float array
        """
        c = self._samples.dtype.type(self._options.preemphasis)
        emphasized = self._samples
        if c:
            emphasized = np.zeros_like(self._samples)
            np.multiply(self._samples[:-1], -c, out=emphasized[1:])
            emphasized += self._samples
        out[:, : self._plan.n_window] = self._cut(emphasized)
        out -= (1 - c) * self._means[:, None]
        if c:
            out[:, 0] = self._starts(c)
        n_rows = len(windows)
        together = out[: len(out) // n_rows * n_rows].reshape(-1, windows.size)
        together *= windows.reshape(-1)
        out[len(together) * n_rows :] *= windows[0]
        return out

    def side_by_side(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give the samples beneath the frames hop after hop, in columns, and what each frame needs.

        Returns
        -------
        hops : (n_hop, n_columns + n_window // n_hop) float array
            Not emphasized, their means still in them. There are as many columns as frames, and
            more, of zeros, up to a multiple of 32.
        means : (n_columns,) float array
            What is to be taken out of each frame after emphasis.
        starts : (n_columns,) float array
            The first samples of the frames, emphasized, without their means.
        """
        n, c = self.n_frames, self._samples.dtype.type(self._options.preemphasis)
        of_frames = np.zeros((2, -(-n // LANES) * LANES), self._samples.dtype)
        of_frames[0, :n] = (1 - c) * self._means
        of_frames[1, :n] = self._starts(c)
        return self._hops, of_frames[0], of_frames[1]

    @cached_property
    def _hops(self) -> FloatArray:
        n_hop, n = self._plan.n_hop, self.n_frames
        n_hops = len(self._samples) // n_hop
        hops = np.empty((n_hop, n_hops - n + -(-n // LANES) * LANES), self._samples.dtype)
        hops[:, :n_hops] = self._samples.reshape(n_hops, n_hop).T
        hops[:, n_hops:] = 0
        return hops

    def _starts(self, c: np.floating) -> FloatArray:
        """Emphasize the first sample of each frame."""
        n_hop = self._plan.n_hop
        starts = self._samples[: self.n_frames * n_hop : n_hop] - self._means
        if self._options.preemphasis_start == "frame":
            return np.asarray((1 - c) * starts)
        means = self._means[:-1]
        starts[1:] -= c * (self._samples[n_hop - 1 :: n_hop][: len(means)] - means)
        starts[:1] -= c * self._samples.dtype.type(self.before)
        return starts

    @property
    def last_before(self) -> float:
        """What stands before the next frame, as the last one has it."""
        if not self.n_frames:
            return self.before
        last = self._samples[self.n_frames * self._plan.n_hop - 1]
        return float(last - self._means[-1])

    def detection_energy(self) -> Float64Array:
        """Compute the log energy of each frame without its mean, at int16 amplitudes.

        Returns
        -------
        (n_frames,) float64 array
        """
        plan, n = self._plan, self.n_frames
        if not n:
            return np.zeros(0)
        n_whole, n_rest = divmod(plan.n_window, plan.n_hop)
        hops = self._hops.astype(np.float32, copy=False)
        moments = np.empty((4, hops.shape[1]))
        loops = compiled_for(n)
        (loops.hop_moments if loops else hop_moments)(hops, n_rest, moments)
        # The mean of squares less the square of the mean: in double precision, and about one of
        # the samples, so that an offset costs no digits.
        sums, squares = moments[:2, n_whole : n_whole + n]
        for start in range(n_whole):
            sums = sums + moments[2, start : start + n]
            squares = squares + moments[3, start : start + n]
        return np.asarray(np.log(np.maximum(squares - sums**2 / plan.n_window, EPSILON)))

    def _cut(self, samples: FloatArray) -> FloatArray:
        """Cut samples as long as those beneath these frames into frames, without copying them."""
        step = samples.itemsize
        shape, strides = (self.n_frames, self._plan.n_window), (self._plan.n_hop * step, step)
        return np.ndarray(shape, samples.dtype, samples, strides=strides)

    def _sums(self, samples: FloatArray) -> FloatArray:
        """Sum each frame of samples as long as those beneath these: whole hops, and a rest."""
        plan, n = self._plan, self.n_frames
        hops = samples.reshape(-1, plan.n_hop)
        n_whole, n_rest = divmod(plan.n_window, plan.n_hop)
        ones = np.ones(plan.n_hop, dtype=samples.dtype)
        sums = hops[n_whole:, :n_rest] @ ones[:n_rest]
        if n_whole:
            of_hops = hops @ ones
            for start in range(n_whole):
                sums += of_hops[start : start + n]
        return sums


def hop_moments(hops: Float32Array, n_rest: int, out: Float64Array) -> None:
    """Sum the samples of each hop, and their squares, in double precision about the first of all.

    Parameters
    ----------
    hops : (n_hop, n_columns) float32 array
        A hop in each column.
    n_rest : int
        Less than `n_hop`.
    out : (4, n_columns) float64 array
        Becomes the sum and the sum of squares of the first `n_rest` samples, then of all.
    """
    about = hops.astype(np.float64)
    about -= about[0, 0]
    np.add.reduce(about[:n_rest], axis=0, out=out[0])
    np.add.reduce(about, axis=0, out=out[2])
    np.square(about, out=about)
    np.add.reduce(about[:n_rest], axis=0, out=out[1])
    np.add.reduce(about, axis=0, out=out[3])


class FrameFeed:
    """Makes the frames of a signal that arrives in pieces; the same however it is cut.

    Parameters
    ----------
    plan : Plan
    options : StaticOptions
    n_together : int
        Frames are given in multiples of so many, but for the last.
    """

    def __init__(self, plan: Plan, options: StaticOptions, n_together: int = 1) -> None:
        self._plan, self._options = plan, options
        edges = options.snip_edges, options.padding
        self._cutter = FrameCutter(plan.n_window, plan.n_hop, *edges, n_together)
        self._before = 0.0
        # Drawn in the samples' order, so that each gets the same noise whatever it comes with.
        self._noise = _noise_source(options)

    @property
    def n_samples(self) -> int:
        """How many have come."""
        return self._cutter.n_samples

    def push(self, samples: FloatArray, end: bool = False) -> Iterator[Stretch]:
        """Take the next samples; give the frames that are complete.

        Parameters
        ----------
        samples : (n_samples,) float array
        end : bool
            Whether these are the last: at least one stretch is given then, perhaps of no frames.

        Yields
        ------
        Stretch
            Of at most 256 frames.

        Raises
        ------
        DataError
            As `analysis_frames`.
        """
        samples = np.asarray(samples)
        for low in range(0, max(len(samples), 1), _PIECE):
            last = end and low + _PIECE >= len(samples)
            yield from self._cut(self._prepared(samples[low : low + _PIECE]), last)

    def _cut(self, samples: FloatArray, end: bool) -> Iterator[Stretch]:
        n_hop, cut = self._plan.n_hop, self._cutter.push(samples, end)
        n_beneath = (len(cut) - 1) * n_hop + self._plan.n_window if len(cut) else 0
        beneath = np.lib.stride_tricks.as_strided(cut, (n_beneath,), cut.strides[1:])
        for first in range(0, len(cut) or int(end), STRETCH_FRAMES):
            n_frames = min(STRETCH_FRAMES, len(cut) - first)
            part = beneath[first * n_hop :]
            stretch = Stretch(part, n_frames, self._plan, self._options, self._before)
            if self._options.preemphasis_start == "signal":
                self._before = stretch.last_before
            yield stretch

    def _prepared(self, samples: FloatArray) -> FloatArray:
        options = self._options
        samples = _checked(samples, options, self.n_samples)
        if not options.dither:
            return samples
        noise = self._noise(len(samples))
        return np.asarray(samples + noise * precision(options)(options.dither / INT16_SCALE))


def stretches(samples: FloatArray, plan: Plan, options: StaticOptions) -> Iterator[Stretch]:
    """Give the frames of a signal in stretches; at least one."""
    feed = FrameFeed(plan, options, STRETCH_FRAMES)
    for piece in in_blocks(samples):
        yield from feed.push(piece)
    yield from feed.push(np.zeros(0), end=True)


def _noise_source(options: StaticOptions) -> Callable[[int], FloatArray]:
    """Give what draws standard normal noise: the same for the same options."""
    if options.dither_generator == "mt19937":
        old, dtype = np.random.RandomState(options.dither_seed), precision(options)
        return lambda n: np.asarray(old.randn(n), dtype=dtype)
    rng = np.random.default_rng(options.dither_seed)
    return lambda n: rng.standard_normal(n, dtype=np.float32)


def _checked(samples: FloatArray, options: StaticOptions, n_before: int) -> FloatArray:
    array = np.asarray(samples, dtype=precision(options))
    if array.ndim != 1:
        raise DataError(f"samples must have one axis (mono), got {array.ndim} axes")
    if not array.size:
        return array
    with np.errstate(invalid="ignore"):
        lowest, highest = float(array.min()), float(array.max())
    # Either is NaN if a sample is.
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        check_finite(array, n_before)
    if max(-lowest, highest) > _LOUDEST:
        raise DataError("samples must be fractions of full scale, between -1 and 1")
    return array
