"""What the static features are: the options of a frame's spectrum and of what is made of it."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.checks import one_of, within
from voicegmm._base.errors import OptionError
from voicegmm.audio.filterbank import MEL_SCALES, NORMS, SHAPES, FrequencyWarp
from voicegmm.audio.framing import PADDINGS, WINDOWS

# Amplitudes are those of 16-bit integers inside, as in HTK and Kaldi, whatever comes out.
INT16_SCALE = 32768.0
# The smallest energy whose logarithm is taken (float32's epsilon, as in Kaldi).
EPSILON = float(np.finfo(np.float32).eps)

KINDS = ("mfcc", "lfcc", "filterbank", "plp", "centroids")
CEPSTRA = ("mfcc", "lfcc", "plp")


@dataclass(frozen=True)
class StaticOptions:
    """What is computed from each frame of a signal, by itself.

    Parameters
    ----------
    kind : {"mfcc", "lfcc", "filterbank", "plp", "centroids"}
        Cepstra of the filterbank; the same with filters equally spaced in hertz, whatever
        `mel_scale` is; the log filterbank itself; cepstra of perceptual linear prediction; the
        filters' centers of gravity in hertz. See `voicegmm.features.static_features`.
    window_seconds, hop_seconds : float
        Length of a frame and from one to the next, in seconds, greater than 0 and at most 1.
        Rounded down to samples.
    window : {"hamming", "hann", "povey", "rectangular", "hamming_periodic", "hann_periodic"}
        See `voicegmm.audio.analysis_window`.
    preemphasis : float
        x[n] - preemphasis * x[n - 1] in each frame, 0 to 1.
    preemphasis_start : {"frame", "signal"}
        What stands before a frame's first sample: itself (HTK, Kaldi), or the sample that the
        frame before has there, 0 before the first frame (Spear). The latter takes a hop that is
        no longer than the window.
    remove_dc : bool
        Subtract each frame's mean first.
    dc_divisor : {"window", "n_fft"}
        What the sum of a frame is divided by to be that mean: its length, or that of the
        transform, so that some of the mean stays (Spear).
    dither : float
        Standard deviation of the Gaussian noise that is added to the signal, in steps of 16-bit
        samples, 0 to 1000. 0 adds nothing.
    dither_seed : int
        Of that noise, at least 0: the same signal always gives the same frames.
    dither_generator : {"pcg64", "mt19937"}
        What draws it: numpy's generator of today, or the one of `numpy.random.seed` (SIDEKIT).
    n_fft : int
        Length of the Fourier transform; 0 for the window's length rounded up to a power of two.
    spectrum : {"power", "magnitude"}
        What the filters sum.
    amplitude : {"int16", "unit"}
        Whether full scale counts as 32768 (HTK, Kaldi) or as 1. Moves logarithms by a constant:
        only c0, log energies and log filterbanks change.
    n_filters : int
        Of the filterbank, 1 to 1000.
    low_hertz, high_hertz : float
        Edges of the filterbank; `high_hertz` 0 or negative is that much below half of the
        sampling rate.
    mel_scale : {"htk", "slaney", "linear"}
        See `voicegmm.audio.mel_from_hertz`.
    filter_shape : {"mel", "htk", "hertz", "talkbox"}
    filter_norm : {"none", "area"}
        See `voicegmm.audio.triangular_filters`.
    filter_floor : float
        Smallest filter output that is passed to the logarithm, greater than 0, stated at int16
        amplitudes whatever `amplitude` is. Kaldi: 1.1920929e-07; HTK: 1. For "centroids" it is
        added to each filter's output instead, in its middle: silence has no other center.
    log : {"natural", "log10", "db"}
        Of the filterbank; "db" is 10 log10 of powers, 20 log10 of magnitudes. Natural for "plp".
        Log energies are always natural.
    dynamic_range_db : float
        The log filterbank is kept from falling more than this below its maximum over the whole
        recording, in dB, 0 to 1000 (librosa's top_db); 0 for no limit. Not for "centroids".
    vtln_warp : float
        Factor of vocal tract length normalization, 0.5 to 2; 1 for none.
    vtln_low_hertz, vtln_high_hertz : float
        Its cut-offs; see `voicegmm.audio.warped_hertz`.
    n_cepstra : int
        Columns of the cepstral kinds, the energy included: with energy "none" c1 .. c_n; with
        "c0" or "log_energy" that one and c1 .. c_(n-1), as Kaldi counts (HTK's NUMCEPS is one
        less); with "both" c0 .. c_(n-2) and the log energy. The others have a column for each
        filter, and one more for the energy.
    lifter : float
        L of the weights 1 + L / 2 sin(pi k / L) (HTK Book, eq. 5.12), at least 0; 0 for none.
    lpc_order : int
        Order of the prediction in "plp", 1 to `n_filters`.
    compression : float
        Exponent that turns intensity into loudness in "plp", 0.01 to 1. Hermansky and HTK: 0.33.
    centroid_exponent : float
        Of the spectrum that "centroids" weights frequencies with, 0.01 to 1; Paliwal's gamma.
    energy : {"none", "c0", "log_energy", "both"}
        What stands for the loudness; "both" only for "mfcc" and "lfcc". The c0 of "plp" is the
        logarithm of the prediction error, that of "filterbank" and "centroids" the first cepstrum
        of the log filterbank (which the columns of "filterbank" hold already).
    energy_place : {"first", "last"}
        Kaldi puts it first, HTK last. With "both" it is the log energy's, and c0 is first of
        the cepstra.
    c0 : {"orthonormal", "htk"}
        sqrt(1/N) or sqrt(2/N) times the sum of the log filterbank. Not for "plp".
    raw_energy : bool
        Take the log energy before pre-emphasis and window rather than after.
    windowed_energy : bool
        Take a log energy that is not raw after the window too, rather than between the two.
    energy_floor : float
        Smallest energy, stated at int16 amplitudes, at least 0.
    snip_edges : bool
        Only frames that lie inside the signal; see `voicegmm.audio.frame_view`.
    padding : {"reflection", "zeros", "zeros_after"}
        What the frames see outside of the signal, and where they lie, when edges are not snipped;
        see `voicegmm.audio.frame_view`.
    precision : {"single", "double"}
        Of the arithmetic; the frames are single precision either way.

    Raises
    ------
    OptionError
        For a value outside its range.
    """

    kind: str = "mfcc"
    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    window: str = "hamming"
    preemphasis: float = 0.97
    preemphasis_start: str = "frame"
    remove_dc: bool = True
    dc_divisor: str = "window"
    dither: float = 0.0
    dither_seed: int = 0
    dither_generator: str = "pcg64"
    n_fft: int = 0
    spectrum: str = "power"
    amplitude: str = "int16"
    n_filters: int = 30
    low_hertz: float = 20.0
    high_hertz: float = -400.0
    mel_scale: str = "htk"
    filter_shape: str = "mel"
    filter_norm: str = "none"
    filter_floor: float = EPSILON
    log: str = "natural"
    dynamic_range_db: float = 0.0
    vtln_warp: float = 1.0
    vtln_low_hertz: float = 100.0
    vtln_high_hertz: float = -1300.0
    n_cepstra: int = 20
    lifter: float = 22.0
    lpc_order: int = 12
    compression: float = 0.33
    centroid_exponent: float = 1.0
    energy: str = "c0"
    energy_place: str = "first"
    c0: str = "orthonormal"
    raw_energy: bool = True
    windowed_energy: bool = True
    energy_floor: float = 0.0
    snip_edges: bool = True
    padding: str = "reflection"
    precision: str = "single"

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        self._check_frames()
        self._check_filters()
        self._check_columns()

    def _check_frames(self) -> None:
        within("window_seconds", self.window_seconds, 1e-4, 1.0)
        within("hop_seconds", self.hop_seconds, 1e-4, 1.0)
        one_of("window", self.window, WINDOWS)
        within("preemphasis", self.preemphasis, 0.0, 1.0)
        one_of("preemphasis_start", self.preemphasis_start, ("frame", "signal"))
        if self.preemphasis_start == "signal" and self.hop_seconds > self.window_seconds:
            raise OptionError(
                'preemphasis_start must be "frame" when hop_seconds is longer than window_seconds, '
                "got 'signal'"
            )
        one_of("dc_divisor", self.dc_divisor, ("window", "n_fft"))
        within("dither", self.dither, 0.0, 1000.0)
        within("dither_seed", self.dither_seed, 0, 2**32 - 1)
        one_of("dither_generator", self.dither_generator, ("pcg64", "mt19937"))
        within("n_fft", self.n_fft, 0, 1 << 20)
        one_of("spectrum", self.spectrum, ("power", "magnitude"))
        one_of("amplitude", self.amplitude, ("int16", "unit"))
        one_of("padding", self.padding, PADDINGS)
        one_of("precision", self.precision, ("single", "double"))

    def _check_filters(self) -> None:
        within("n_filters", self.n_filters, 1, 1000)
        within("low_hertz", self.low_hertz, 0.0, 1e6)
        within("high_hertz", self.high_hertz, -1e6, 1e6)
        one_of("mel_scale", self.mel_scale, MEL_SCALES)
        one_of("filter_shape", self.filter_shape, SHAPES)
        one_of("filter_norm", self.filter_norm, NORMS)
        within("filter_floor", self.filter_floor, 1e-30, 1e30)
        one_of("log", self.log, ("natural", "log10", "db"))
        within("dynamic_range_db", self.dynamic_range_db, 0.0, 1000.0)
        within("vtln_warp", self.vtln_warp, 0.5, 2.0)
        within("vtln_low_hertz", self.vtln_low_hertz, 0.0, 1e6)
        within("vtln_high_hertz", self.vtln_high_hertz, -1e6, 1e6)
        if self.kind == "plp" and self.log != "natural":
            raise OptionError(f'log must be "natural" when kind is "plp", got {self.log!r}')
        if self.kind == "centroids" and self.dynamic_range_db:
            raise OptionError(
                'dynamic_range_db must be 0 when kind is "centroids", which has no logarithms, '
                f"got {self.dynamic_range_db:g}"
            )

    def _check_columns(self) -> None:
        one_of("energy", self.energy, ("none", "c0", "log_energy", "both"))
        if self.energy == "both" and self.kind not in ("mfcc", "lfcc"):
            raise OptionError(f'energy must not be "both" when kind is {self.kind!r}')
        one_of("energy_place", self.energy_place, ("first", "last"))
        one_of("c0", self.c0, ("orthonormal", "htk"))
        within("energy_floor", self.energy_floor, 0.0, 1e30)
        within("lifter", self.lifter, 0.0, 1e6)
        within("compression", self.compression, 0.01, 1.0)
        within("centroid_exponent", self.centroid_exponent, 0.01, 1.0)
        if self.kind == "plp":
            within("lpc_order", self.lpc_order, 1, self.n_filters)
        else:
            within("lpc_order", self.lpc_order, 1, 1000)
        least, most = 1, self.n_filters - (self.energy == "none")
        if self.energy == "both":
            least, most = 2, self.n_filters + 1
        if self.kind not in CEPSTRA:
            within("n_cepstra", self.n_cepstra, 1, 1000)
        elif not least <= self.n_cepstra <= most:
            raise OptionError(
                f"n_cepstra must be between {least} and {most} (n_filters is {self.n_filters}, "
                f"energy {self.energy!r}), got {self.n_cepstra}"
            )

    @property
    def n_dims(self) -> int:
        """Columns of the static features."""
        if self.kind in CEPSTRA:
            return self.n_cepstra
        return self.n_filters + (self.energy != "none")

    @property
    def has_log_energy(self) -> bool:
        """Whether one of the columns is the log energy."""
        return self.energy in ("log_energy", "both")

    @property
    def filter_scale(self) -> str:
        """The scale that the filters are equally spaced on."""
        return "linear" if self.kind == "lfcc" else self.mel_scale

    @property
    def warp(self) -> FrequencyWarp:
        """The warp of the vocal tract's length."""
        return FrequencyWarp(self.vtln_warp, self.vtln_low_hertz, self.vtln_high_hertz)
