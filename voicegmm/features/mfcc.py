"""Mel-frequency cepstral coefficients, as HTK and Kaldi compute them.

The chain is frames -> windowed frames -> spectrum -> log filterbank -> cepstra. Each step is a
function that can be entered with what the step before would have given; `mfcc` runs them all in
blocks of frames that stay in the cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, frozen
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import DataError, OptionError
from voicegmm.audio.filterbank import MEL_SCALES, triangular_filters
from voicegmm.audio.framing import WINDOWS, analysis_window, count_frames, frame_view, samples_in
from voicegmm.audio.signal import first_not_finite

# Amplitudes are those of 16-bit integers inside, as in HTK and Kaldi, whatever comes out.
INT16_SCALE = 32768.0
# The smallest energy whose logarithm is taken (float32's epsilon, as in Kaldi).
_EPSILON = float(np.finfo(np.float32).eps)
_BLOCK_FRAMES = 256
# Beyond this a power spectrum might not fit into float32.
_LOUDEST = 1e6


@dataclass(frozen=True)
class MfccOptions:
    """What `mfcc` computes.

    Parameters
    ----------
    window_seconds, hop_seconds : float
        Length of a frame and from one to the next, in seconds, greater than 0 and at most 1.
        Rounded down to samples.
    window : {"hamming", "hann", "povey", "rectangular"}
        See `voicegmm.audio.analysis_window`.
    preemphasis : float
        x[n] - preemphasis * x[n - 1] in each frame, 0 to 1; the first sample takes itself for
        the one before it.
    remove_dc : bool
        Subtract each frame's mean first.
    dither : float
        Standard deviation of the Gaussian noise that is added to the signal, in steps of 16-bit
        samples, 0 to 1000. 0 adds nothing.
    dither_seed : int
        Of that noise, at least 0: the same signal always gives the same frames.
    n_fft : int
        Length of the Fourier transform; 0 for the window's length rounded up to a power of two.
    spectrum : {"power", "magnitude"}
        What the filters sum.
    amplitude : {"int16", "unit"}
        Whether full scale counts as 32768 (HTK, Kaldi) or as 1. Moves logarithms by a constant:
        only c0, log energies and log filterbanks change.
    n_filters : int
        Of the mel filterbank, 1 to 1000.
    low_hertz, high_hertz : float
        Edges of the filterbank; `high_hertz` 0 or negative is that much below half of the
        sampling rate.
    mel_scale : {"htk", "slaney"}
        See `voicegmm.audio.mel_from_hertz`.
    filter_floor : float
        Smallest filter output that is passed to the logarithm, greater than 0, stated at int16
        amplitudes whatever `amplitude` is. Kaldi: 1.1920929e-07; HTK: 1.
    n_cepstra : int
        Columns that come out, the energy included: with energy "none" c1 .. c_n; with "c0" or
        "log_energy" that one and c1 .. c_(n-1), as Kaldi counts (HTK's NUMCEPS is one less).
    lifter : float
        L of the weights 1 + L / 2 sin(pi k / L) (HTK Book, eq. 5.12), at least 0; 0 for none.
    energy : {"none", "c0", "log_energy"}
        What stands for the loudness.
    energy_place : {"first", "last"}
        Kaldi puts it first, HTK last.
    c0 : {"orthonormal", "htk"}
        sqrt(1/N) or sqrt(2/N) times the sum of the log filterbank.
    raw_energy : bool
        Take the log energy before pre-emphasis and window rather than after.
    energy_floor : float
        Smallest energy, stated at int16 amplitudes, at least 0.
    snip_edges : bool
        Only frames that lie inside the signal; see `voicegmm.audio.frame_view`.

    Raises
    ------
    OptionError
        For a value outside its range.
    """

    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    window: str = "hamming"
    preemphasis: float = 0.97
    remove_dc: bool = True
    dither: float = 0.0
    dither_seed: int = 0
    n_fft: int = 0
    spectrum: str = "power"
    amplitude: str = "int16"
    n_filters: int = 30
    low_hertz: float = 20.0
    high_hertz: float = -400.0
    mel_scale: str = "htk"
    filter_floor: float = _EPSILON
    n_cepstra: int = 20
    lifter: float = 22.0
    energy: str = "c0"
    energy_place: str = "first"
    c0: str = "orthonormal"
    raw_energy: bool = True
    energy_floor: float = 0.0
    snip_edges: bool = True

    def __post_init__(self) -> None:
        within("window_seconds", self.window_seconds, 1e-4, 1.0)
        within("hop_seconds", self.hop_seconds, 1e-4, 1.0)
        one_of("window", self.window, WINDOWS)
        within("preemphasis", self.preemphasis, 0.0, 1.0)
        within("dither", self.dither, 0.0, 1000.0)
        at_least("dither_seed", self.dither_seed, 0)
        within("n_fft", self.n_fft, 0, 1 << 20)
        one_of("spectrum", self.spectrum, ("power", "magnitude"))
        one_of("amplitude", self.amplitude, ("int16", "unit"))
        within("n_filters", self.n_filters, 1, 1000)
        within("low_hertz", self.low_hertz, 0.0, 1e6)
        within("high_hertz", self.high_hertz, -1e6, 1e6)
        one_of("mel_scale", self.mel_scale, MEL_SCALES)
        within("filter_floor", self.filter_floor, 1e-30, 1e30)
        one_of("energy", self.energy, ("none", "c0", "log_energy"))
        one_of("energy_place", self.energy_place, ("first", "last"))
        one_of("c0", self.c0, ("orthonormal", "htk"))
        within("energy_floor", self.energy_floor, 0.0, 1e30)
        within("lifter", self.lifter, 0.0, 1e6)
        most = self.n_filters - 1 if self.energy == "none" else self.n_filters
        if not 1 <= self.n_cepstra <= most:
            raise OptionError(
                f"n_cepstra must be between 1 and {most} (n_filters is {self.n_filters}, "
                f"energy {self.energy!r}), got {self.n_cepstra}"
            )


@dataclass(frozen=True, eq=False)
class _Plan:
    """What the options and the sampling rate determine before any audio is seen."""

    n_window: int
    n_hop: int
    n_fft: int
    window: Float32Array
    filters: Float32Array
    first_bin: int
    last_bin: int
    transform: Float32Array
    log_offset: float
    energy_offset: float


@lru_cache(maxsize=32)
def prepare(options: MfccOptions, sample_rate: int) -> _Plan:
    """Check the options against a sampling rate and compute what does not depend on the audio.

    Raises
    ------
    OptionError
        When the two do not go together: a window of less than two samples, an `n_fft` below the
        window, a band above half of the rate, a filter without a bin.
    """
    n_window = samples_in(options.window_seconds, sample_rate)
    n_hop = samples_in(options.hop_seconds, sample_rate)
    if n_window < 2:
        raise OptionError(
            f"window_seconds must hold at least 2 samples, got {options.window_seconds} "
            f"({n_window} at {sample_rate} Hz)"
        )
    if n_hop < 1:
        raise OptionError(
            f"hop_seconds must hold at least 1 sample, got {options.hop_seconds} at "
            f"{sample_rate} Hz"
        )
    n_fft = options.n_fft or 1 << (n_window - 1).bit_length()
    if n_fft < n_window:
        raise OptionError(
            f"n_fft must be at least the window's {n_window} samples, got {options.n_fft}"
        )
    filters = triangular_filters(
        options.n_filters, n_fft, sample_rate,
        options.low_hertz, options.high_hertz, options.mel_scale,
    )
    used = np.flatnonzero(filters.any(axis=0))
    first_bin, last_bin = int(used[0]), int(used[-1]) + 1
    log_scale = float(np.log(INT16_SCALE)) if options.amplitude == "unit" else 0.0
    return _Plan(
        n_window, n_hop, n_fft,
        window=frozen(analysis_window(options.window, n_window), np.float32),
        filters=frozen(filters[:, first_bin:last_bin].T, np.float32),
        first_bin=first_bin,
        last_bin=last_bin,
        transform=frozen(_cosine_transform(options), np.float32),
        log_offset=log_scale * (2 if options.spectrum == "power" else 1),
        energy_offset=log_scale * 2,
    )


def _cosine_transform(options: MfccOptions) -> Float64Array:
    """Compute the (n_filters, n) matrix of the DCT and the lifter together.

    c_k = sqrt(2/N) sum_j m_j cos(pi k (j - 1/2) / N) (HTK Book, eq. 5.14), times
    1 + L/2 sin(pi k / L) (eq. 5.12).
    """
    N = options.n_filters
    n = options.n_cepstra + (options.energy == "none")
    k = np.arange(n)
    matrix: Float64Array = np.sqrt(2 / N) * np.cos(np.pi / N * np.outer(np.arange(N) + 0.5, k))
    if options.c0 == "orthonormal":
        matrix[:, 0] = np.sqrt(1 / N)
    if options.lifter > 0:
        matrix *= 1 + options.lifter / 2 * np.sin(np.pi * k / options.lifter)
    # The place of c0: left out, kept, or overwritten by the log energy.
    if options.energy == "none":
        return matrix[:, 1:]
    return matrix if options.energy_place == "first" else np.roll(matrix, -1, axis=1)


def analysis_frames(
    samples: FloatArray, sample_rate: int, options: MfccOptions | None = None
) -> Float32Array:
    """Cut a signal into frames at int16 amplitudes, each without its mean if so asked.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : MfccOptions, optional

    Returns
    -------
    (n_frames, n_window) float32 array
        Not yet emphasized nor windowed. No rows when the signal is too short.

    Raises
    ------
    DataError
        For samples that are not finite, more than a million times full scale, or not mono.
    """
    options = options or MfccOptions()
    blocks = list(_frame_blocks(samples, prepare(options, sample_rate), options))
    return np.concatenate(blocks)


def windowed(
    frames: FloatArray, sample_rate: int, options: MfccOptions | None = None
) -> Float32Array:
    """Emphasize the high frequencies of each frame and weight it with the window.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them.
    sample_rate : int
        In hertz.
    options : MfccOptions, optional

    Returns
    -------
    (n_frames, n_window) float32 array
    """
    options = options or MfccOptions()
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
    windowed_frames: FloatArray, sample_rate: int, options: MfccOptions | None = None
) -> Float32Array:
    """Compute the power or the magnitude spectrum of windowed frames.

    Parameters
    ----------
    windowed_frames : (n_frames, n_window) float array
        As `windowed` gives them; filled up with zeros to the length of the transform.
    sample_rate : int
        In hertz.
    options : MfccOptions, optional

    Returns
    -------
    (n_frames, n_fft // 2 + 1) float32 array
    """
    options = options or MfccOptions()
    plan = prepare(options, sample_rate)
    frames = np.asarray(windowed_frames, dtype=np.float32)
    bins = scipy.fft.rfft(frames, n=plan.n_fft, axis=1)
    power = np.square(bins.real)
    power += np.square(bins.imag)
    return np.sqrt(power, out=power) if options.spectrum == "magnitude" else power


def log_filterbank(
    bins: FloatArray, sample_rate: int, options: MfccOptions | None = None
) -> Float32Array:
    """Sum a spectrum through the mel filters and take natural logarithms.

    Parameters
    ----------
    bins : (n_frames, n_fft // 2 + 1) float array
        As `spectrum` gives them.
    sample_rate : int
        In hertz.
    options : MfccOptions, optional

    Returns
    -------
    (n_frames, n_filters) float32 array
        Never below the logarithm of `filter_floor`.
    """
    options = options or MfccOptions()
    plan = prepare(options, sample_rate)
    used = np.asarray(bins, dtype=np.float32)[:, plan.first_bin : plan.last_bin]
    logs = used @ plan.filters
    np.maximum(logs, np.float32(options.filter_floor), out=logs)
    np.log(logs, out=logs)
    if plan.log_offset:
        logs -= np.float32(plan.log_offset)
    return logs


def frame_log_energy(
    frames: FloatArray, options: MfccOptions | None = None
) -> Float32Array:
    """Compute the natural logarithm of the sum of squares of each frame.

    Parameters
    ----------
    frames : (n_frames, n_window) float array
        As `analysis_frames` gives them (the raw energy) or `windowed`.
    options : MfccOptions, optional
        Its `energy_floor` and `amplitude` count.

    Returns
    -------
    (n_frames,) float32 array
    """
    options = options or MfccOptions()
    frames = np.asarray(frames, dtype=np.float32)
    floor = max(options.energy_floor, _EPSILON)
    energy = np.maximum(np.einsum("ij,ij->i", frames, frames), np.float32(floor))
    offset = 2 * np.log(INT16_SCALE) if options.amplitude == "unit" else 0.0
    return np.asarray(np.log(energy) - np.float32(offset))


def cepstra(
    log_filters: FloatArray,
    options: MfccOptions | None = None,
    log_energy: FloatArray | None = None,
) -> Float32Array:
    """Transform a log filterbank into liftered cepstra, with the energy in its place.

    Parameters
    ----------
    log_filters : (n_frames, n_filters) float array
        As `log_filterbank` gives them.
    options : MfccOptions, optional
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
    options = options or MfccOptions()
    result = np.asarray(log_filters, dtype=np.float32) @ _transform(options)
    if options.energy == "log_energy":
        if log_energy is None:
            raise DataError('log_energy must be given when the option energy is "log_energy"')
        result[:, 0 if options.energy_place == "first" else -1] = log_energy
    return result


@lru_cache(maxsize=32)
def _transform(options: MfccOptions) -> Float32Array:
    return frozen(_cosine_transform(options), np.float32)


def mfcc(
    samples: FloatArray, sample_rate: int, options: MfccOptions | None = None
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
    options : MfccOptions, optional

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
    return analyze(samples, sample_rate, options or MfccOptions(), detect=False)[0]


def filterbank(
    samples: FloatArray, sample_rate: int, options: MfccOptions | None = None
) -> Float32Array:
    """Compute the log mel filterbank of a signal: the step before `mfcc`'s last.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : MfccOptions, optional

    Returns
    -------
    (n_frames, n_filters) float32 array
    """
    options = options or MfccOptions()
    plan = prepare(options, sample_rate)
    blocks = [
        log_filterbank(
            spectrum(windowed(frames, sample_rate, options), sample_rate, options),
            sample_rate, options,
        )
        for frames in _frame_blocks(samples, plan, options)
    ]
    return np.concatenate(blocks)


def detection_energy(
    samples: FloatArray, sample_rate: int, options: MfccOptions | None = None
) -> Float32Array:
    """Compute what the speech detector looks at: log energy without mean, at int16 amplitudes.

    The mean of each frame is always taken out, so that a constant offset is silence.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.
    sample_rate : int
        In hertz.
    options : MfccOptions, optional
        Its frames and dither count.

    Returns
    -------
    (n_frames,) float32 array
    """
    options = options or MfccOptions()
    plan = prepare(options, sample_rate)
    blocks = [_detection_energy(f, options) for f in _frame_blocks(samples, plan, options)]
    return np.concatenate(blocks)


def analyze(
    samples: FloatArray, sample_rate: int, options: MfccOptions, detect: bool = True
) -> tuple[Float32Array, Float32Array]:
    """Compute `mfcc` and, if asked, `detection_energy` in one pass over the signal.

    Returns
    -------
    features : (n_frames, n_cepstra) float32 array
    energy : (n_frames,) float32 array
        Zeros when it was not asked for.
    """
    plan = prepare(options, sample_rate)
    n_frames = count_frames(len(samples), plan.n_window, plan.n_hop, options.snip_edges)
    features = np.empty((n_frames, options.n_cepstra), dtype=np.float32)
    energy = np.zeros(n_frames, dtype=np.float32)
    at = 0
    for frames in _frame_blocks(samples, plan, options):
        rows = slice(at, at + len(frames))
        weighted = windowed(frames, sample_rate, options)
        logs = log_filterbank(
            spectrum(weighted, sample_rate, options), sample_rate, options
        )
        log_energy = None
        if options.energy == "log_energy":
            log_energy = frame_log_energy(frames if options.raw_energy else weighted, options)
        features[rows] = cepstra(logs, options, log_energy)
        if detect:
            energy[rows] = _detection_energy(frames, options)
        at = rows.stop
    return features, energy


def _detection_energy(frames: Float32Array, options: MfccOptions) -> Float32Array:
    if not options.remove_dc:
        frames = frames - frames.mean(axis=1, keepdims=True)
    energy = np.einsum("ij,ij->i", frames, frames)
    return np.asarray(np.log(np.maximum(energy, np.float32(_EPSILON))))


def _frame_blocks(
    samples: FloatArray, plan: _Plan, options: MfccOptions
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
