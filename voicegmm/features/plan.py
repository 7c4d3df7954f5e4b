"""What of the static features is known before any audio is seen: windows, filters, transforms."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, frozen
from voicegmm._base.errors import OptionError
from voicegmm.audio.filterbank import filter_corners, hertz_from_mel, triangular_filters
from voicegmm.audio.framing import analysis_window, samples_in
from voicegmm.features.static_options import INT16_SCALE, StaticOptions


@dataclass(frozen=True, eq=False)
class Plan:
    """What the options and the sampling rate determine.

    Parameters
    ----------
    n_window, n_hop, n_fft : int
        In samples.
    window : (n_window,) float array
    first_bin, last_bin : int
        The bins of the spectrum that the filters see: `last_bin` is one past them.
    filters : (last_bin - first_bin, n_filters) float array
    bands : tuple of (slice, slice)
        Of groups of filters: the bins that they see, of the whole spectrum, and which they are.
    center_hertz : (n_filters,) float array
        Where the filters peak.
    bin_hertz : (last_bin - first_bin,) float array
        Frequencies of those bins.
    log_offset : float
        What is subtracted from the natural logarithm of a filter's output.
    log_unit : float
        What it is multiplied by then.
    """

    n_window: int
    n_hop: int
    n_fft: int
    window: FloatArray
    first_bin: int
    last_bin: int
    filters: FloatArray
    bands: tuple[tuple[slice, slice], ...]
    center_hertz: FloatArray
    bin_hertz: FloatArray
    log_offset: float
    log_unit: float


def precision(options: StaticOptions) -> type[np.floating]:
    """Give the type that everything is computed in."""
    return np.float64 if options.precision == "double" else np.float32


@lru_cache(maxsize=32)
def prepare(options: StaticOptions, sample_rate: int) -> Plan:
    """Check the options against a sampling rate and compute what does not depend on the audio.

    Raises
    ------
    OptionError
        When the two do not go together: a window of less than two samples, an `n_fft` below the
        window, a band above half of the rate, a filter without a bin.
    """
    n_window, n_hop, n_fft = _lengths(options, sample_rate)
    band = (options.low_hertz, options.high_hertz, options.filter_scale)
    filters = triangular_filters(
        options.n_filters,
        n_fft,
        sample_rate,
        *band,
        options.filter_shape,
        options.filter_norm,
        options.warp,
    )
    corners = filter_corners(options.n_filters, sample_rate, *band, options.warp)
    used = np.flatnonzero(filters.any(axis=0))
    first_bin, last_bin = int(used[0]), int(used[-1]) + 1
    powers = 2 if options.spectrum == "power" else 1
    dtype = precision(options)
    return Plan(
        n_window,
        n_hop,
        n_fft,
        window=frozen(analysis_window(options.window, n_window), dtype),
        first_bin=first_bin,
        last_bin=last_bin,
        filters=frozen(filters[:, first_bin:last_bin].T, dtype),
        bands=_bands(filters),
        center_hertz=frozen(hertz_from_mel(corners[1:-1], options.filter_scale), dtype),
        bin_hertz=frozen(np.arange(first_bin, last_bin) * (sample_rate / n_fft), dtype),
        log_offset=powers * float(np.log(INT16_SCALE)) if options.amplitude == "unit" else 0.0,
        log_unit=log_unit(options),
    )


def _bands(filters: Float64Array) -> tuple[tuple[slice, slice], ...]:
    """Group filters in two, where that leaves out the most of the zeros beside them.

    Each filter sees few bins: the products with the others are half of the work and more.
    """
    n_filters = len(filters)
    seen = [np.flatnonzero(weights) for weights in filters]

    def band(first: int, last: int) -> tuple[slice, slice]:
        bins = np.concatenate(seen[first:last])
        return slice(int(bins.min()), int(bins.max()) + 1), slice(first, last)

    def work(bands: tuple[tuple[slice, slice], ...]) -> int:
        return sum((b.stop - b.start) * (f.stop - f.start) for b, f in bands)

    pairs = [(band(0, cut), band(cut, n_filters)) for cut in range(1, n_filters)]
    return min([(band(0, n_filters),), *pairs], key=work)


def _lengths(options: StaticOptions, sample_rate: int) -> tuple[int, int, int]:
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
    return n_window, n_hop, n_fft


def log_unit(options: StaticOptions) -> float:
    """Give what the natural logarithm of a filter's output is multiplied by."""
    if options.log == "natural":
        return 1.0
    unit = 1 / float(np.log(10))
    if options.log == "db":
        unit *= 10 if options.spectrum == "power" else 20
    return unit


def decibel(options: StaticOptions) -> float:
    """Give how much one dB of level is in the log filterbank."""
    per_natural = (10 if options.spectrum == "power" else 20) / float(np.log(10))
    return log_unit(options) / per_natural


def lifter_weights(options: StaticOptions, k: npt.NDArray[np.int_]) -> Float64Array:
    """Compute 1 + L/2 sin(pi k / L) for cepstra of the orders k (HTK Book, eq. 5.12)."""
    L = options.lifter
    return np.asarray(1 + L / 2 * np.sin(np.pi * k / L)) if L > 0 else np.ones(len(k))


def zeroth_weight(options: StaticOptions) -> float:
    """Give what the sum of the log filterbank is multiplied by to be c0."""
    return float(np.sqrt((1 if options.c0 == "orthonormal" else 2) / options.n_filters))


@lru_cache(maxsize=32)
def cosine_transform(options: StaticOptions) -> FloatArray:
    """Compute the (n_filters, n) matrix of the DCT and the lifter together.

    c_k = sqrt(2/N) sum_j m_j cos(pi k (j - 1/2) / N) (HTK Book, eq. 5.14), times
    1 + L/2 sin(pi k / L) (eq. 5.12).
    """
    N = options.n_filters
    n = options.n_cepstra + (options.energy == "none") - (options.energy == "both")
    k = np.arange(n)
    matrix: Float64Array = np.sqrt(2 / N) * np.cos(np.pi / N * np.outer(np.arange(N) + 0.5, k))
    matrix[:, 0] = zeroth_weight(options)
    matrix *= lifter_weights(options, k)
    # The place of c0: left out, kept, or overwritten by the log energy, which can have its own.
    last = options.energy_place == "last"
    if options.energy == "none":
        matrix = matrix[:, 1:]
    elif options.energy == "both":
        matrix = np.pad(matrix, ((0, 0), (not last, last)))
    elif last:
        matrix = np.roll(matrix, -1, axis=1)
    return frozen(matrix, precision(options))
