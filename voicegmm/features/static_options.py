"""What `mfcc` computes, and what of it is known before any audio is seen."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, frozen
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import OptionError
from voicegmm.audio.filterbank import MEL_SCALES, triangular_filters
from voicegmm.audio.framing import WINDOWS, analysis_window, samples_in

# Amplitudes are those of 16-bit integers inside, as in HTK and Kaldi, whatever comes out.
INT16_SCALE = 32768.0
# The smallest energy whose logarithm is taken (float32's epsilon, as in Kaldi).
EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class StaticOptions:
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
    filter_floor: float = EPSILON
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
class Plan:
    """What the options and the sampling rate determine before any audio is seen."""

    n_window: int
    n_hop: int
    n_fft: int
    window: Float32Array
    filters: Float32Array
    first_bin: int
    last_bin: int
    log_offset: float
    energy_offset: float


@lru_cache(maxsize=32)
def prepare(options: StaticOptions, sample_rate: int) -> Plan:
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
        options.n_filters,
        n_fft,
        sample_rate,
        options.low_hertz,
        options.high_hertz,
        options.mel_scale,
    )
    used = np.flatnonzero(filters.any(axis=0))
    first_bin, last_bin = int(used[0]), int(used[-1]) + 1
    log_scale = float(np.log(INT16_SCALE)) if options.amplitude == "unit" else 0.0
    return Plan(
        n_window,
        n_hop,
        n_fft,
        window=frozen(analysis_window(options.window, n_window), np.float32),
        filters=frozen(filters[:, first_bin:last_bin].T, np.float32),
        first_bin=first_bin,
        last_bin=last_bin,
        log_offset=log_scale * (2 if options.spectrum == "power" else 1),
        energy_offset=log_scale * 2,
    )


@lru_cache(maxsize=32)
def cosine_transform(options: StaticOptions) -> Float32Array:
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
        matrix = matrix[:, 1:]
    elif options.energy_place == "last":
        matrix = np.roll(matrix, -1, axis=1)
    return frozen(matrix, np.float32)
