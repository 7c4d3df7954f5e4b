"""From a signal to its log filterbank, a step at a time.

samples -> frames -> windowed frames -> spectrum -> log filterbank. Each step is a function that
can be entered with what the step before would have given; `voicegmm.features.static` runs them in
blocks of frames that stay in the cache.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError
from voicegmm.audio.framing import FrameCutter
from voicegmm.audio.signal import check_finite, in_blocks
from voicegmm.features.plan import Plan, precision, prepare
from voicegmm.features.static_options import EPSILON, INT16_SCALE, StaticOptions

BLOCK_FRAMES = 256
# Beyond this a power spectrum might not fit into float32.
_LOUDEST = 1e6


def analysis_frames(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> FloatArray:
    """Cut a signal into frames at int16 amplitudes, each without its mean if so asked.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_window) float array
        Not yet emphasized nor windowed. No rows when the signal is too short.

    Raises
    ------
    DataError
        For samples that are not finite, more than a million times full scale, or not mono.
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    return np.concatenate([block.copy() for block in frame_blocks(samples, plan, options)])


def windowed(
    frames: FloatArray,
    sample_rate: int,
    options: StaticOptions | None = None,
    out: FloatArray | None = None,
    before: float = 0.0,
) -> FloatArray:
    """Emphasize the high frequencies of each frame and weight it with the window.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
    out : (n_frames, n_window) float array, optional
        Where to write the result: of the precision of the options, and not the frames themselves.
    before : float
        The sample before the first of these frames, where `preemphasis_start` is "signal".

    Returns
    -------
    (n_frames, n_window) float array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    return np.multiply(emphasized(frames, options, plan, before), plan.window, out=out)


def emphasized(
    frames: FloatArray, options: StaticOptions, plan: Plan, before: float = 0.0
) -> FloatArray:
    """Compute y[n] = x[n] - c x[n - 1] in each frame (HTK Book, eq. 5.1), x[-1] as options say."""
    frames = np.asarray(frames, dtype=precision(options))
    c = options.preemphasis
    if not c or not frames.size:
        return frames
    frames = np.ascontiguousarray(frames)
    result = np.empty_like(frames)
    # As one long row, which is twice as fast; what then stands before each frame is overwritten.
    np.multiply(frames.reshape(-1)[:-1], -c, out=result.reshape(-1)[1:])
    if options.preemphasis_start == "signal":
        np.multiply(frames[:-1, plan.n_hop - 1], -c, out=result[1:, 0])
        result[0, 0] = -c * before
    else:
        np.multiply(frames[:, 0], -c, out=result[:, 0])
    result += frames
    return result


def spectrum(
    windowed_frames: FloatArray,
    sample_rate: int,
    options: StaticOptions | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Compute the power or the magnitude spectrum of windowed frames.

    Parameters
    ----------
    windowed_frames : (n_frames, n_window) float array
        As `windowed` gives them; filled up with zeros to the length of the transform, if they are
        not that long already.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
    out : (n_frames, n_fft // 2 + 1) float array, optional
        Where to write the result: of the precision of the options.

    Returns
    -------
    (n_frames, n_fft // 2 + 1) float array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    frames = np.asarray(windowed_frames, dtype=precision(options))
    bins = scipy.fft.rfft(frames, n=plan.n_fft, axis=1)
    power: FloatArray = np.square(bins.real, out=out)
    power += np.square(bins.imag)
    return np.sqrt(power, out=power) if options.spectrum == "magnitude" else power


def log_filterbank(
    bins: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> FloatArray:
    """Sum a spectrum through the filters and take logarithms.

    Parameters
    ----------
    bins : (n_frames, n_fft // 2 + 1) float array
        As `spectrum` gives them.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_filters) float array
        Never below the logarithm of `filter_floor`. The `dynamic_range_db` is not looked at: it
        takes the whole recording (see `voicegmm.features.filterbank`).
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    used = np.asarray(bins, dtype=precision(options))[:, plan.first_bin : plan.last_bin]
    logs = used @ plan.filters
    np.maximum(logs, options.filter_floor, out=logs)
    np.log(logs, out=logs)
    if plan.log_offset:
        logs -= plan.log_offset
    if plan.log_unit != 1:
        logs *= plan.log_unit
    return logs


def frame_log_energy(frames: FloatArray, options: StaticOptions | None = None) -> FloatArray:
    """Compute the natural logarithm of the sum of squares of each frame.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them (the raw energy) or `windowed`.
    options : StaticOptions, optional
        Its `energy_floor` and `amplitude` count.

    Returns
    -------
    (n_frames,) float array
    """
    options = options or StaticOptions()
    frames = np.asarray(frames, dtype=precision(options))
    floor = max(options.energy_floor, EPSILON)
    energy = np.log(np.maximum(np.einsum("ij,ij->i", frames, frames), floor))
    if options.amplitude == "unit":
        energy -= 2 * float(np.log(INT16_SCALE))
    return np.asarray(energy)


def frame_detection_energy(frames: FloatArray, options: StaticOptions) -> FloatArray:
    """Compute the log energy of each frame without its mean, at int16 amplitudes.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them.
    options : StaticOptions

    Returns
    -------
    (n_frames,) float array
    """
    if not options.remove_dc:
        frames = frames - frames.mean(axis=1, keepdims=True)
    energy = np.einsum("ij,ij->i", frames, frames)
    return np.asarray(np.log(np.maximum(energy, EPSILON)))


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
        self._options = options
        edges = options.snip_edges, options.padding
        self._cutter = FrameCutter(plan.n_window, plan.n_hop, *edges, n_together)
        dtype = precision(options)
        divisor = plan.n_window if options.dc_divisor == "window" else plan.n_fft
        self._averages = np.full(plan.n_window, 1 / divisor, dtype=dtype)
        self._room = np.empty((0, plan.n_window), dtype=dtype)
        # Drawn in the samples' order, so that each gets the same noise whatever it comes with.
        self._noise = _noise_source(options)

    @property
    def n_samples(self) -> int:
        """How many have come."""
        return self._cutter.n_samples

    def push(self, samples: FloatArray, end: bool = False) -> Iterator[FloatArray]:
        """Take the next samples; give the frames that are complete as `analysis_frames` does.

        Parameters
        ----------
        samples : (n_samples,) float array
        end : bool
            Whether these are the last: at least one block is given then, perhaps of no frames.

        Yields
        ------
        (n, n_window) float array
            At most 256 frames. All blocks are in the same memory: each is gone with the next one.

        Raises
        ------
        DataError
            As `analysis_frames`.
        """
        view = self._cutter.push(self._prepared(samples), end)
        n_block = min(len(view), BLOCK_FRAMES)
        if n_block > len(self._room):
            self._room = np.empty((n_block, view.shape[1]), dtype=self._room.dtype)
        for start in range(0, len(view) or int(end), BLOCK_FRAMES):
            cut = view[start : start + BLOCK_FRAMES]
            block = np.multiply(cut, INT16_SCALE, out=self._room[: len(cut)])
            if self._options.remove_dc:
                block -= (block @ self._averages)[:, None]
            yield block

    def _prepared(self, samples: FloatArray) -> FloatArray:
        options = self._options
        samples = _checked(samples, options, self.n_samples)
        if not options.dither:
            return samples
        noise = self._noise(len(samples))
        return np.asarray(samples + noise * precision(options)(options.dither / INT16_SCALE))


def _noise_source(options: StaticOptions) -> Callable[[int], FloatArray]:
    """Give what draws standard normal noise: the same for the same options."""
    if options.dither_generator == "mt19937":
        old, dtype = np.random.RandomState(options.dither_seed), precision(options)
        return lambda n: np.asarray(old.randn(n), dtype=dtype)
    rng = np.random.default_rng(options.dither_seed)
    return lambda n: rng.standard_normal(n, dtype=np.float32)


def frame_blocks(samples: FloatArray, plan: Plan, options: StaticOptions) -> Iterator[FloatArray]:
    """Give the frames of a signal in blocks, as `analysis_frames` does; at least one block.

    All blocks are in the same memory: each is gone when the next one is asked for.
    """
    feed = FrameFeed(plan, options, BLOCK_FRAMES)
    for piece in in_blocks(samples):
        yield from feed.push(piece)
    yield from feed.push(np.zeros(0), end=True)


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
