"""Mel scales and banks of triangular filters on the bins of a discrete Fourier transform."""

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import OptionError

MEL_SCALES = ("htk", "slaney")

# Slaney's Auditory Toolbox (1998): linear, 200/3 Hz a mel, up to 1 kHz; then 27 mels multiply
# the frequency by 6.4.
_LINEAR_HERTZ, _CORNER_HERTZ = 200 / 3, 1000.0
_CORNER_MEL = _CORNER_HERTZ / _LINEAR_HERTZ
_LOG_STEP = np.log(6.4) / 27


def mel_from_hertz(hertz: npt.ArrayLike, scale: str = "htk") -> Float64Array:
    """Map frequencies to mels.

    Parameters
    ----------
    hertz : array_like
        Frequencies, at least 0.
    scale : {"htk", "slaney"}
        "htk": 1127 ln(1 + f / 700) (HTK Book, eq. 5.13; Kaldi). "slaney": linear below 1 kHz,
        logarithmic above (Slaney's Auditory Toolbox; librosa's default).
    """
    one_of("mel_scale", scale, MEL_SCALES)
    f = np.asarray(hertz, dtype=np.float64)
    if scale == "htk":
        return np.asarray(1127.0 * np.log1p(f / 700.0))
    log_part = _CORNER_MEL + np.log(np.maximum(f, _CORNER_HERTZ) / _CORNER_HERTZ) / _LOG_STEP
    return np.where(f < _CORNER_HERTZ, f / _LINEAR_HERTZ, log_part)


def hertz_from_mel(mel: npt.ArrayLike, scale: str = "htk") -> Float64Array:
    """Map mels to frequencies: the inverse of `mel_from_hertz`."""
    one_of("mel_scale", scale, MEL_SCALES)
    m = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return np.asarray(700.0 * np.expm1(m / 1127.0))
    log_part = _CORNER_HERTZ * np.exp(_LOG_STEP * (np.maximum(m, _CORNER_MEL) - _CORNER_MEL))
    return np.where(m < _CORNER_MEL, m * _LINEAR_HERTZ, log_part)


def band_edges(low_hertz: float, high_hertz: float, sample_rate: float) -> tuple[float, float]:
    """Resolve and check a band.

    Parameters
    ----------
    low_hertz : float
        At least 0.
    high_hertz : float
        0 or negative: that much below half of the sampling rate.
    sample_rate : float
        In hertz.

    Returns
    -------
    low, high : float
        In hertz.

    Raises
    ------
    OptionError
        For a band that is empty or reaches above half of the sampling rate.
    """
    nyquist = sample_rate / 2
    high = high_hertz if high_hertz > 0 else nyquist + high_hertz
    if high > nyquist:
        raise OptionError(
            f"high_hertz must be at most {nyquist:g} (half of the sample rate {sample_rate:g}), "
            f"got {high_hertz:g}"
        )
    if not 0 <= low_hertz < high:
        raise OptionError(
            f"low_hertz must be at least 0 and below the upper edge of {high:g} Hz, "
            f"got {low_hertz:g}"
        )
    return low_hertz, high


def triangular_filters(
    n_filters: int,
    n_fft: int,
    sample_rate: float,
    low_hertz: float = 20.0,
    high_hertz: float = 0.0,
    scale: str = "htk",
) -> Float64Array:
    """Build triangular filters of height 1, straight and equally spaced in mels.

    HTK's and Kaldi's bank: the edges of filter j are the centers of j - 1 and j + 1, and a bin's
    weight is linear in its mel (librosa's is linear in its hertz).

    Parameters
    ----------
    n_filters : int
        At least 1.
    n_fft : int
        Length of the transform, at least 2.
    sample_rate, low_hertz, high_hertz : float
        In hertz; see `band_edges`.
    scale : {"htk", "slaney"}
        See `mel_from_hertz`.

    Returns
    -------
    (n_filters, n_fft // 2 + 1) float64 array

    Raises
    ------
    OptionError
        For a bad band, or when a filter is so narrow that no bin lies in it.
    """
    at_least("n_filters", n_filters, 1)
    low, high = band_edges(low_hertz, high_hertz, sample_rate)
    first, last = mel_from_hertz([low, high], scale)
    corners = np.linspace(first, last, n_filters + 2)
    bins = mel_from_hertz(np.arange(n_fft // 2 + 1) * (sample_rate / n_fft), scale)
    left, center, right = (corners[i : i + n_filters, None] for i in range(3))
    rising = (bins - left) / (center - left)
    falling = (right - bins) / (right - center)
    filters: Float64Array = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(~filters.any(axis=1))
    if empty.size:
        raise OptionError(
            f"n_filters must be smaller: {n_filters} filters from {low:g} to {high:g} Hz leave "
            f"filter {empty[0]} without any of the {n_fft // 2 + 1} bins of the spectrum "
            "(or raise n_fft, or widen the band)"
        )
    return filters
