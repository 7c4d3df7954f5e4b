"""Speech by its rhythm and its color: loudness that moves as syllables do, a spectrum with peaks.

Scheirer and Slaney, "Construction and evaluation of a robust multifeature speech/music
discriminator", ICASSP 1997.
"""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array
from voicegmm._base.checks import within
from voicegmm.features.speech.noise import NoiseFloorOptions, noise_floor
from voicegmm.features.speech.spectra import Spectra, bins_between, check_band

_SYLLABLE_HERTZ = 4.0
# Half-width of the band around it: from 2 to 6 Hz, where speech moves most (Houtgast and
# Steeneken, JASA 77, 1985).
_KERNEL_SECONDS = 0.5
# What the flatness is measured above, relative to the noise's mean: between the lines of a hum
# there is nothing, and that is no color.
_FLATNESS_FLOOR = 1e-4


@dataclass(frozen=True)
class ModulationOptions:
    """What counts as speech by rhythm and color.

    Parameters
    ----------
    low_hertz, high_hertz : float
        The band that is looked at, as far as the sampling rate reaches.
    n_bands : int
        In which the modulation is measured, 1 to 100.
    window_seconds : float
        How long is looked at for it, 0.1 to 60.
    depth : float
        Modulation around 4 Hz relative to the mean energy, above which a stretch may be speech,
        0.01 to 2. White and pink noise have 0.15, at most 0.25; speech in as much noise as itself
        0.36 and more.
    depth_width : float
        How far above it the weight is 0.73, 0.001 to 1.
    flatness_db : float
        Spectral flatness (geometric over arithmetic mean of the power, over the noise's) below
        which a frame is other than the noise, in dB, -60 to 0. Gaussian noise has -2.5, the pauses
        of real recordings down to -4; -3 finds more where the noise is strong and even.
    flatness_width_db : float
        How far below it the weight is 0.73, in dB, 0.01 to 60.
    flatness_seconds : float
        The flatness is averaged over so long, 0 to 10.
    """

    low_hertz: float = 90.0
    high_hertz: float = 4000.0
    n_bands: int = 20
    window_seconds: float = 1.0
    depth: float = 0.3
    depth_width: float = 0.03
    flatness_db: float = -4.0
    flatness_width_db: float = 0.5
    flatness_seconds: float = 0.11

    def __post_init__(self) -> None:
        check_band(self.low_hertz, self.high_hertz)
        within("n_bands", self.n_bands, 1, 100)
        within("window_seconds", self.window_seconds, 0.1, 60.0)
        within("depth", self.depth, 0.01, 2.0)
        within("depth_width", self.depth_width, 1e-3, 1.0)
        within("flatness_db", self.flatness_db, -60.0, 0.0)
        within("flatness_width_db", self.flatness_width_db, 0.01, 60.0)
        within("flatness_seconds", self.flatness_seconds, 0.0, 10.0)

    def bins(self, n_fft: int, sample_rate: int) -> slice:
        """Give the bins of the band; see `bins_between`."""
        return bins_between(self.low_hertz, self.high_hertz, n_fft, sample_rate, "modulation")


def modulation_odds(
    spectra: Spectra,
    audible: BoolArray,
    floor_db: float,
    options: ModulationOptions,
    noise_options: NoiseFloorOptions,
) -> Float64Array:
    """Compute the log odds of speech in each audible frame: the weaker of rhythm and color.

    Parameters
    ----------
    spectra : Spectra
        Of all frames.
    audible : (n_frames,) bool array
        The others are digital silence.
    floor_db : float
        Quieter than white noise of this level is silent, in dB relative to full scale.
    options, noise_options

    Returns
    -------
    (n_audible,) float64 array
    """
    bins = options.bins(spectra.n_fft, spectra.sample_rate)
    least = spectra.power_at(floor_db)
    energies = band_energies(spectra, len(audible), bins, options.n_bands)
    depth = modulation_depth(energies + least, spectra.hop_seconds, options.window_seconds)
    flatness = flatness_db(spectra, audible, bins, least, noise_options)
    width = round(options.flatness_seconds / spectra.hop_seconds) | 1
    rhythm = (depth[audible] - options.depth) / options.depth_width
    color = (options.flatness_db - _average(flatness, width)) / options.flatness_width_db
    return np.minimum(rhythm, color)


def band_energies(spectra: Spectra, n_frames: int, bins: slice, n_bands: int) -> Float64Array:
    """Average the power of neighboring bins into bands of about equal width.

    Returns
    -------
    (n_frames, n_bands) float64 array
        Fewer bands where there are fewer bins.
    """
    n_bins = bins.stop - bins.start
    edges = np.unique(np.linspace(0, n_bins, min(n_bands, n_bins) + 1).astype(np.intp))
    everything = np.ones(n_frames, dtype=bool)
    parts = [
        np.add.reduceat(block, edges[:-1], axis=1, dtype=np.float64) / np.diff(edges)
        for block in spectra.chosen(everything, bins)
    ]
    return np.concatenate(parts)


def modulation_depth(
    energies: Float64Array, hop_seconds: float, window_seconds: float
) -> Float64Array:
    """Measure how much the energy around each frame moves at the rate of syllables.

    Scheirer and Slaney's 4 Hz modulation energy: each band's energy through a band pass at 4 Hz
    (a Hann window half a second long, times a turning phase, less its mean), relative to the
    energy, root-mean-square over the window and the bands.

    Parameters
    ----------
    energies : (n_frames, n_bands) float array
        Greater than 0.
    hop_seconds, window_seconds : float

    Returns
    -------
    (n_frames,) float64 array
        0 for a constant; the depth over sqrt(2) for an energy 1 + depth cos(2 pi 4 t).
    """
    reach = max(1, round(_KERNEL_SECONDS / 2 / hop_seconds))
    k = np.arange(-reach, reach + 1)
    hann = 0.5 + 0.5 * np.cos(np.pi * k / (reach + 1))
    hann /= hann.sum()
    turn = np.exp(2j * np.pi * _SYLLABLE_HERTZ * hop_seconds * k)
    kernel = hann * (turn - hann @ turn)
    # Two for the half of the energy that turns the other way.
    kernel *= 2 / abs(kernel @ turn.conj())
    width = round(window_seconds / hop_seconds) | 1
    total = np.zeros(len(energies))
    for band in energies.T:
        padded = np.pad(band / band.max(), reach, mode="edge")
        moving = np.square(np.abs(np.convolve(padded, kernel, mode="valid"))) / 2
        mean = np.square(np.convolve(padded, hann, mode="valid"))
        total += _average(moving, width) / _average(mean, width)
    return np.asarray(np.sqrt(np.maximum(total, 0.0) / energies.shape[1]))


def flatness_db(
    spectra: Spectra,
    audible: BoolArray,
    bins: slice,
    least: float,
    noise_options: NoiseFloorOptions,
) -> Float64Array:
    """Measure how flat each audible frame's spectrum is once the noise is made flat.

    Returns
    -------
    (n_audible,) float64 array
        Geometric over arithmetic mean, in dB: 0 for a spectrum just like the noise's, about -2.5
        for Gaussian noise, less for anything with peaks of its own.
    """
    noise = noise_floor(spectra.chosen(audible, bins), spectra, least, noise_options)
    parts = []
    at = 0
    for block in spectra.chosen(audible, bins):
        below = noise.at(at, at + len(block))
        floor = _FLATNESS_FLOOR * below.mean(axis=1, keepdims=True)
        ratio = (block + floor) / (below + floor)
        at += len(block)
        parts.append(10 * (np.log10(ratio).mean(axis=1) - np.log10(ratio.mean(axis=1))))
    return np.concatenate(parts)


def _average(values: Float64Array, width: int) -> Float64Array:
    """Average over an odd number of frames; the ends are repeated."""
    padded = np.pad(values, width // 2, mode="edge")
    # Not by differences of running sums: next to loud speech they would lose the quiet parts.
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")
