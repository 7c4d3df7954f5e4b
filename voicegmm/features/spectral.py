"""From a signal to its log filterbank, a step at a time.

samples -> frames -> windowed frames -> spectrum -> log filterbank. Each step is a function that
can be entered with what the step before would have given; `voicegmm.features.static` runs them in
stretches of frames that stay in the cache, the first two steps in the one way of `Stretch`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import FloatArray
from voicegmm.features.plan import Plan, precision, prepare
from voicegmm.features.static_options import EPSILON, INT16_SCALE, StaticOptions
from voicegmm.features.stretch import stretches


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
    return np.concatenate([stretch.frames() for stretch in stretches(samples, plan, options)])


def windowed(
    frames: FloatArray, sample_rate: int, options: StaticOptions | None = None, before: float = 0.0
) -> FloatArray:
    """Emphasize the high frequencies of each frame and weight it with the window.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
    before : float
        The sample before the first of these frames, where `preemphasis_start` is "signal".

    Returns
    -------
    (n_frames, n_window) float array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    return emphasized(frames, options, plan, before) * plan.window


def emphasized(
    frames: FloatArray, options: StaticOptions, plan: Plan, before: float = 0.0
) -> FloatArray:
    """Compute y[n] = x[n] - c x[n - 1] in each frame (HTK Book, eq. 5.1), x[-1] as options say."""
    frames = np.asarray(frames, dtype=precision(options))
    c = options.preemphasis
    result = frames.copy()
    result[:, 1:] -= c * frames[:, :-1]
    if options.preemphasis_start == "frame":
        result[:, 0] -= c * frames[:, 0]
    else:
        result[1:, 0] -= c * frames[:-1, plan.n_hop - 1]
        result[:1, 0] -= c * before
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
    import scipy.fft

    options = options or StaticOptions()
    frames = np.asarray(windowed_frames, dtype=precision(options))
    result = power(scipy.fft.rfft(frames, n=prepare(options, sample_rate).n_fft, axis=1), out)
    return np.sqrt(result, out=result) if options.spectrum == "magnitude" else result


def power(
    bins: npt.NDArray[np.complexfloating[Any]],
    out: FloatArray | None = None,
    spare: FloatArray | None = None,
) -> FloatArray:
    """Square complex numbers into memory that is given, or new."""
    squares: FloatArray = np.square(bins.real, out=out)
    squares += np.square(bins.imag, out=spare)
    return squares


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
    bins = np.asarray(bins, dtype=precision(options))
    return log_bands(bins, prepare(options, sample_rate), options)


def log_bands(bins: FloatArray, plan: Plan, options: StaticOptions) -> FloatArray:
    """Compute what `log_filterbank` does, with a plan that is there."""
    logs = np.empty((len(bins), options.n_filters), dtype=bins.dtype)
    for seen, part in plan.bands:
        filters = plan.filters[seen.start - plan.first_bin : seen.stop - plan.first_bin, part]
        np.matmul(bins[:, seen], filters, out=logs[:, part])
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
