"""Mel-frequency cepstral coefficients, as HTK and Kaldi compute them.

The chain is frames -> windowed frames -> spectrum -> log filterbank -> cepstra. Each step is a
function that can be entered with what the step before would have given; `mfcc` runs them all in
blocks of frames that stay in the cache.
"""

from collections.abc import Iterator

import numpy as np
import scipy.fft

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.errors import DataError
from voicegmm.audio.framing import count_frames, frame_view
from voicegmm.audio.signal import first_not_finite
from voicegmm.features.static_options import (
    EPSILON,
    INT16_SCALE,
    Plan,
    StaticOptions,
    cosine_transform,
    prepare,
)

_BLOCK_FRAMES = 256
# Beyond this a power spectrum might not fit into float32.
_LOUDEST = 1e6


def analysis_frames(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
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
    (n_frames, n_window) float32 array
        Not yet emphasized nor windowed. No rows when the signal is too short.

    Raises
    ------
    DataError
        For samples that are not finite, more than a million times full scale, or not mono.
    """
    options = options or StaticOptions()
    blocks = list(_frame_blocks(samples, prepare(options, sample_rate), options))
    return np.concatenate(blocks)


def windowed(
    frames: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Emphasize the high frequencies of each frame and weight it with the window.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_window) float32 array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    frames = np.asarray(frames, dtype=np.float32)
    c = np.float32(options.preemphasis)
    if c == 0:
        return frames * plan.window
    result = np.empty_like(frames)
    # y[n] = x[n] - c x[n - 1], y[0] = (1 - c) x[0] (HTK Book, eq. 5.1; Kaldi, Preemphasize)
    np.multiply(frames[:, :-1], -c, out=result[:, 1:])
    np.multiply(frames[:, 0], -c, out=result[:, 0])
    result += frames
    result *= plan.window
    return result


def spectrum(
    windowed_frames: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute the power or the magnitude spectrum of windowed frames.

    Parameters
    ----------
    windowed_frames : (n_frames, n_window) float array
        As `windowed` gives them; filled up with zeros to the length of the transform.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_fft // 2 + 1) float32 array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    frames = np.asarray(windowed_frames, dtype=np.float32)
    bins = scipy.fft.rfft(frames, n=plan.n_fft, axis=1)
    power: Float32Array = np.square(bins.real)
    power += np.square(bins.imag)
    return np.sqrt(power, out=power) if options.spectrum == "magnitude" else power


def log_filterbank(
    bins: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Sum a spectrum through the mel filters and take natural logarithms.

    Parameters
    ----------
    bins : (n_frames, n_fft // 2 + 1) float array
        As `spectrum` gives them.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_filters) float32 array
        Never below the logarithm of `filter_floor`.
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    used = np.asarray(bins, dtype=np.float32)[:, plan.first_bin : plan.last_bin]
    logs = used @ plan.filters
    np.maximum(logs, np.float32(options.filter_floor), out=logs)
    np.log(logs, out=logs)
    if plan.log_offset:
        logs -= np.float32(plan.log_offset)
    return logs


def frame_log_energy(frames: FloatArray, options: StaticOptions | None = None) -> Float32Array:
    """Compute the natural logarithm of the sum of squares of each frame.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them (the raw energy) or `windowed`.
    options : StaticOptions, optional
        Its `energy_floor` and `amplitude` count.

    Returns
    -------
    (n_frames,) float32 array
    """
    options = options or StaticOptions()
    frames = np.asarray(frames, dtype=np.float32)
    floor = max(options.energy_floor, EPSILON)
    energy = np.maximum(np.einsum("ij,ij->i", frames, frames), np.float32(floor))
    offset = 2 * np.log(INT16_SCALE) if options.amplitude == "unit" else 0.0
    return np.asarray(np.log(energy) - np.float32(offset))


def cepstra(
    log_filters: FloatArray,
    options: StaticOptions | None = None,
    log_energy: FloatArray | None = None,
) -> Float32Array:
    """Transform a log filterbank into liftered cepstra, with the energy in its place.

    Parameters
    ----------
    log_filters : (n_frames, n_filters) float array
        As `log_filterbank` gives them.
    options : StaticOptions, optional
    log_energy : (n_frames,) float array, optional
        As `frame_log_energy` gives it; needed when `options.energy` is "log_energy".

    Returns
    -------
    (n_frames, n_cepstra) float32 array

    Raises
    ------
    DataError
        When the log energy is wanted and missing.
    """
    options = options or StaticOptions()
    result = np.asarray(log_filters, dtype=np.float32) @ cosine_transform(options)
    if options.energy == "log_energy":
        if log_energy is None:
            raise DataError('log_energy must be given when the option energy is "log_energy"')
        result[:, 0 if options.energy_place == "first" else -1] = log_energy
    return result


def mfcc(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute mel-frequency cepstral coefficients.

    Davis & Mermelstein, IEEE Trans. ASSP 28(4), 1980; in the form of HTK (HTK Book, chapter 5)
    and Kaldi, whose numbers it gives when the options say what theirs do.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_cepstra) float32 array
        No rows when the signal is too short for one frame.

    Raises
    ------
    OptionError
        When the options do not go with the sampling rate.
    DataError
        For samples that are not finite, more than a million times full scale, or not mono.
    """
    return analyze(samples, sample_rate, options or StaticOptions(), detect=False)[0]


def filterbank(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute the log mel filterbank of a signal: the step before `mfcc`'s last.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional

    Returns
    -------
    (n_frames, n_filters) float32 array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    blocks = [
        log_filterbank(
            spectrum(windowed(frames, sample_rate, options), sample_rate, options),
            sample_rate,
            options,
        )
        for frames in _frame_blocks(samples, plan, options)
    ]
    return np.concatenate(blocks)


def detection_energy(
    samples: FloatArray, sample_rate: int, options: StaticOptions | None = None
) -> Float32Array:
    """Compute what the speech detector looks at: log energy without mean, at int16 amplitudes.

    The mean of each frame is always taken out, so that a constant offset is silence.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : StaticOptions, optional
        Its frames and dither count.

    Returns
    -------
    (n_frames,) float32 array
    """
    options = options or StaticOptions()
    plan = prepare(options, sample_rate)
    blocks = [_detection_energy(f, options) for f in _frame_blocks(samples, plan, options)]
    return np.concatenate(blocks)


def analyze(
    samples: FloatArray, sample_rate: int, options: StaticOptions, detect: bool = True
) -> tuple[Float32Array, Float32Array]:
    """Compute `mfcc` and, if asked, `detection_energy` in one pass over the signal.

    Returns
    -------
    features : (n_frames, n_cepstra) float32 array
    energy : (n_frames,) float32 array
        Zeros when it was not asked for.
    """
    plan = prepare(options, sample_rate)
    n_frames = count_frames(np.size(samples), plan.n_window, plan.n_hop, options.snip_edges)
    features = np.empty((n_frames, options.n_cepstra), dtype=np.float32)
    energy = np.zeros(n_frames, dtype=np.float32)
    at = 0
    for frames in _frame_blocks(samples, plan, options):
        rows = slice(at, at + len(frames))
        weighted = windowed(frames, sample_rate, options)
        logs = log_filterbank(spectrum(weighted, sample_rate, options), sample_rate, options)
        log_energy = None
        if options.energy == "log_energy":
            log_energy = frame_log_energy(frames if options.raw_energy else weighted, options)
        features[rows] = cepstra(logs, options, log_energy)
        if detect:
            energy[rows] = _detection_energy(frames, options)
        at = rows.stop
    return features, energy


def _detection_energy(frames: Float32Array, options: StaticOptions) -> Float32Array:
    if not options.remove_dc:
        frames = frames - frames.mean(axis=1, keepdims=True)
    energy = np.einsum("ij,ij->i", frames, frames)
    return np.asarray(np.log(np.maximum(energy, np.float32(EPSILON))))


def _frame_blocks(
    samples: FloatArray, plan: Plan, options: StaticOptions
) -> Iterator[Float32Array]:
    """Give the frames of a signal in blocks, at int16 amplitudes; at least one block."""
    samples = _checked(samples)
    if options.dither > 0:
        noise = np.random.default_rng(options.dither_seed).standard_normal(
            len(samples), dtype=np.float32
        )
        samples = samples + noise * np.float32(options.dither / INT16_SCALE)
    view = frame_view(samples, plan.n_window, plan.n_hop, options.snip_edges)
    averages = np.full(plan.n_window, 1 / plan.n_window, dtype=np.float32)
    for start in range(0, max(1, len(view)), _BLOCK_FRAMES):
        block = view[start : start + _BLOCK_FRAMES] * np.float32(INT16_SCALE)
        if options.remove_dc:
            block -= (block @ averages)[:, None]
        yield block


def _checked(samples: FloatArray) -> Float32Array:
    array = np.asarray(samples, dtype=np.float32)
    if array.ndim != 1:
        raise DataError(f"samples must have one axis (mono), got {array.ndim} axes")
    if (bad := first_not_finite(array)) is not None:
        raise DataError(f"samples must be finite: number {bad} (counting from 0) is not")
    if array.size and max(-float(array.min()), float(array.max())) > _LOUDEST:
        raise DataError("samples must be fractions of full scale, between -1 and 1")
    return array
