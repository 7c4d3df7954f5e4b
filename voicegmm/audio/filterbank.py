"""Mel scales and banks of triangular filters on the bins of a discrete Fourier transform."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import OptionError

MEL_SCALES = ("htk", "slaney", "linear")
SHAPES = ("mel", "htk", "hertz", "talkbox")
NORMS = ("none", "area")

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
    scale : {"htk", "slaney", "linear"}
        "htk": 1127 ln(1 + f / 700) (HTK Book, eq. 5.13; Kaldi). "slaney": linear below 1 kHz,
        logarithmic above (Slaney's Auditory Toolbox; librosa's default). "linear": a mel is a
        hertz.
    """
    one_of("mel_scale", scale, MEL_SCALES)
    f = np.asarray(hertz, dtype=np.float64)
    if scale == "linear":
        return f
    if scale == "htk":
        return np.asarray(1127.0 * np.log1p(f / 700.0))
    log_part = _CORNER_MEL + np.log(np.maximum(f, _CORNER_HERTZ) / _CORNER_HERTZ) / _LOG_STEP
    return np.where(f < _CORNER_HERTZ, f / _LINEAR_HERTZ, log_part)


def hertz_from_mel(mel: npt.ArrayLike, scale: str = "htk") -> Float64Array:
    """Map mels to frequencies: the inverse of `mel_from_hertz`."""
    one_of("mel_scale", scale, MEL_SCALES)
    m = np.asarray(mel, dtype=np.float64)
    if scale == "linear":
        return m
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


@dataclass(frozen=True)
class FrequencyWarp:
    """How frequencies are stretched to bring vocal tracts to one length.

    Parameters
    ----------
    factor : float
        Between the two cut-offs frequencies are divided by it, 0.5 to 2; 1 changes nothing.
    low_hertz, high_hertz : float
        HTK's WARPLCUTOFF and WARPUCUTOFF; see `warped_hertz`. At least 0; `high_hertz` 0 or
        negative is that much below half of the sampling rate.
    """

    factor: float = 1.0
    low_hertz: float = 100.0
    high_hertz: float = -1300.0

    def __post_init__(self) -> None:
        within("factor", self.factor, 0.5, 2.0)
        within("low_hertz", self.low_hertz, 0.0, 1e6)
        within("high_hertz", self.high_hertz, -1e6, 1e6)


def warped_hertz(
    hertz: npt.ArrayLike, warp: FrequencyWarp, sample_rate: float, band: tuple[float, float]
) -> Float64Array:
    """Warp frequencies by three straight lines that leave the edges of the band where they are.

    HTK's rule (``HSigP.c``, WarpFreq; Hain et al., ICASSP 1999): with s = 1 / factor, f becomes
    s f between the knees 2 low_hertz / (1 + s) and 2 high_hertz / (1 + s), and outside them what
    lies on the lines from there to the edges of the band. (Kaldi's knees lie elsewhere.)

    Parameters
    ----------
    hertz : array_like
        Frequencies within the band.
    warp : FrequencyWarp
    sample_rate : float
        In hertz.
    band : (low, high) floats
        Edges of the filterbank in hertz, as `band_edges` gives them.

    Raises
    ------
    OptionError
        When the knees do not lie inside the band, or are moved out of it.
    """
    f = np.asarray(hertz, dtype=np.float64)
    if warp.factor == 1:
        return f
    low, high = band
    slope = 1 / warp.factor
    upper_cutoff = warp.high_hertz if warp.high_hertz > 0 else sample_rate / 2 + warp.high_hertz
    lower, upper = (2 * cutoff / (1 + slope) for cutoff in (warp.low_hertz, upper_cutoff))
    if not low < min(lower, slope * lower) or not max(upper, slope * upper) < high:
        raise OptionError(
            f"vtln_low_hertz and vtln_high_hertz must lie inside the band from {low:g} to "
            f"{high:g} Hz, also when warped by {warp.factor:g}; got {warp.low_hertz:g} and "
            f"{upper_cutoff:g}"
        )
    if not lower < upper:
        raise OptionError(
            f"vtln_low_hertz must be below vtln_high_hertz ({upper_cutoff:g}), "
            f"got {warp.low_hertz:g}"
        )
    return np.interp(f, [low, lower, upper, high], [low, slope * lower, slope * upper, high])


def filter_corners(
    n_filters: int,
    sample_rate: float,
    low_hertz: float = 20.0,
    high_hertz: float = 0.0,
    scale: str = "htk",
    warp: FrequencyWarp | None = None,
) -> Float64Array:
    """Give where triangular filters begin, peak and end: equally spaced in mels, then warped.

    Filter j rises from corner j to corner j + 1, its center, and falls to corner j + 2.

    Parameters
    ----------
    n_filters : int
        At least 1.
    sample_rate, low_hertz, high_hertz : float
        In hertz; see `band_edges`.
    scale : {"htk", "slaney", "linear"}
        See `mel_from_hertz`.
    warp : FrequencyWarp, optional
        See `warped_hertz`.

    Returns
    -------
    (n_filters + 2,) float64 array
        In mels of that scale, rising.

    Raises
    ------
    OptionError
        For a bad band or a warp that leaves it.
    """
    at_least("n_filters", n_filters, 1)
    band = band_edges(low_hertz, high_hertz, sample_rate)
    first, last = mel_from_hertz(band, scale)
    corners = np.linspace(first, last, n_filters + 2)
    if warp is None or warp.factor == 1:
        return corners
    return mel_from_hertz(
        warped_hertz(hertz_from_mel(corners, scale), warp, sample_rate, band), scale
    )


def triangular_filters(
    n_filters: int,
    n_fft: int,
    sample_rate: float,
    low_hertz: float = 20.0,
    high_hertz: float = 0.0,
    scale: str = "htk",
    shape: str = "mel",
    norm: str = "none",
    warp: FrequencyWarp | None = None,
) -> Float64Array:
    """Build triangular filters, equally spaced in mels.

    The edges of filter j are the centers of j - 1 and j + 1.

    Parameters
    ----------
    n_filters : int
        At least 1.
    n_fft : int
        Length of the transform, at least 2.
    sample_rate, low_hertz, high_hertz : float
        In hertz; see `band_edges`.
    scale : {"htk", "slaney", "linear"}
        See `mel_from_hertz`.
    shape : {"mel", "htk", "hertz", "talkbox"}
        "mel": a bin's weight is linear in its mel (Kaldi). "htk": so too, but only bins strictly
        between those nearest to the edges of the band count (HTK, ``HSigP.c``, InitFBank: without
        it only where an edge lies between bins does the outermost filter differ). "hertz": linear
        in its hertz (librosa, Spear, and most others). "talkbox": so too, but without the last
        bin of each falling side (scikits.talkbox, from which sidekit has it).
    norm : {"none", "area"}
        Of height 1, or of area 1 in hertz (Slaney's Auditory Toolbox; librosa).
    warp : FrequencyWarp, optional
        Of the vocal tract's length; see `warped_hertz`.

    Returns
    -------
    (n_filters, n_fft // 2 + 1) float64 array

    Raises
    ------
    OptionError
        For a bad band or warp, or when a filter is so narrow that no bin lies in it.
    """
    one_of("filter_shape", shape, SHAPES)
    one_of("filter_norm", norm, NORMS)
    corners = filter_corners(n_filters, sample_rate, low_hertz, high_hertz, scale, warp)
    low, high = band_edges(low_hertz, high_hertz, sample_rate)
    step = sample_rate / n_fft
    bins = np.arange(n_fft // 2 + 1) * step
    hertz = hertz_from_mel(corners, scale)
    in_hertz = shape in ("hertz", "talkbox")
    ramps, at = (hertz, bins) if in_hertz else (corners, mel_from_hertz(bins, scale))
    left, center, right = (ramps[i : i + n_filters, None] for i in range(3))
    rising = (at - left) / (center - left)
    falling = (right - at) / (right - center)
    filters: Float64Array = np.maximum(0.0, np.minimum(rising, falling))
    if shape == "htk":
        nearest_low, nearest_high = np.floor(np.array([low, high]) / step + 0.5)
        k = np.arange(len(bins))
        filters[:, (k <= nearest_low) | (k >= nearest_high)] = 0
    if shape == "talkbox":
        last = np.floor(right / step).astype(int)
        # Where the center's bin is the last too, none lies on the falling side.
        filters[(np.arange(len(bins)) == last) & (last > np.floor(center / step))] = 0
    empty = np.flatnonzero(~filters.any(axis=1))
    if empty.size:
        raise OptionError(
            f"n_filters must be smaller: {n_filters} filters from {low:g} to {high:g} Hz leave "
            f"filter {empty[0]} without any of the {n_fft // 2 + 1} bins of the spectrum "
            "(or raise n_fft, or widen the band)"
        )
    if norm == "area":
        filters *= (2 / (hertz[2:] - hertz[:-2]))[:, None]
    return filters
