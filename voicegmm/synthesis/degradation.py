"""What happens to a voice before it is a recording: noise, rooms, channels, loudspeakers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import scipy.fft

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray
from voicegmm._base.checks import above, at_least, one_of, within
from voicegmm._base.errors import DataError
from voicegmm.synthesis.speech import speak
from voicegmm.synthesis.voice import draw_voice

NoiseKind = Literal["white", "pink", "babble", "hum"]
NOISE_KINDS: Final[tuple[NoiseKind, ...]] = ("white", "pink", "babble", "hum")


@dataclass(frozen=True)
class NoiseOptions:
    """How noise is made.

    Parameters
    ----------
    n_voices : int
        Artificial voices in the babble.
    hum_hertz : float
        Frequency of the mains.
    n_harmonics : int
        Of the hum, the first included; the n-th has an amplitude of 1 / n.
    """

    n_voices: int = 6
    hum_hertz: float = 50.0
    n_harmonics: int = 12

    def __post_init__(self) -> None:
        at_least("n_voices", self.n_voices, 1)
        above("hum_hertz", self.hum_hertz, 0.0)
        at_least("n_harmonics", self.n_harmonics, 1)


@dataclass(frozen=True)
class RoomOptions:
    """The shape of a room response.

    Parameters
    ----------
    direct_to_reverberant_db : float
        Energy of the direct sound over the energy of all that follows.
    gap_seconds : float
        From the direct sound to the first reflection.
    """

    direct_to_reverberant_db: float = 6.0
    gap_seconds: float = 0.003

    def __post_init__(self) -> None:
        within("direct_to_reverberant_db", self.direct_to_reverberant_db, -40.0, 80.0)
        at_least("gap_seconds", self.gap_seconds, 0.0)


@dataclass(frozen=True)
class ChannelOptions:
    """How far microphones differ: standard deviations of a random equalizer.

    Parameters
    ----------
    tilt_db : float
        Of the slope, from the lowest to the highest frequency.
    peak_db : float
        Of the height of each peak or dip.
    n_peaks : int
        Peaks and dips, spread evenly over the logarithm of frequency at random, an octave wide.
    """

    tilt_db: float = 2.0
    peak_db: float = 1.5
    n_peaks: int = 3

    def __post_init__(self) -> None:
        at_least("tilt_db", self.tilt_db, 0.0)
        at_least("peak_db", self.peak_db, 0.0)
        at_least("n_peaks", self.n_peaks, 0)


@dataclass(frozen=True)
class ReplayOptions:
    """A small loudspeaker in a room.

    Parameters
    ----------
    low_hertz, high_hertz : float
        What the loudspeaker passes.
    distortion : float
        Share of the second harmonic of a full-scale tone, about; the third has half of it.
    rt60_seconds : float
        Reverberation time of the room.
    room : RoomOptions
        The rest of the room.
    """

    low_hertz: float = 200.0
    high_hertz: float = 6500.0
    distortion: float = 0.05
    rt60_seconds: float = 0.3
    room: RoomOptions = field(default_factory=RoomOptions)

    def __post_init__(self) -> None:
        above("low_hertz", self.low_hertz, 0.0)
        above("high_hertz", self.high_hertz, self.low_hertz)
        within("distortion", self.distortion, 0.0, 0.5)
        above("rt60_seconds", self.rt60_seconds, 0.0)


def make_noise(
    n_samples: int,
    kind: NoiseKind,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: NoiseOptions = NoiseOptions(),
) -> Float64Array:
    """Make noise of RMS 1.

    Parameters
    ----------
    n_samples : int
        At least 1.
    kind : {"white", "pink", "babble", "hum"}
        Pink falls by 3 dB per octave from 20 Hz on; babble is several artificial voices at once.
    rng : numpy.random.Generator
        What decides.
    sample_rate : int
        Hz.
    options : NoiseOptions
        Details of babble and hum.

    Returns
    -------
    (n_samples,) float64 array
    """
    at_least("n_samples", n_samples, 1)
    one_of("kind", kind, NOISE_KINDS)
    if kind == "white":
        noise = rng.standard_normal(n_samples)
    elif kind == "pink":
        # Drawn longer than asked: the transform's circle would join the two ends.
        length = scipy.fft.next_fast_len(n_samples + sample_rate // 10, real=True)
        spectrum = scipy.fft.rfft(rng.standard_normal(length))
        hertz = np.arange(spectrum.size) * sample_rate / length
        noise = scipy.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0)), length)[:n_samples]
    elif kind == "babble":
        noise = np.zeros(n_samples)
        for _ in range(options.n_voices):
            # A second more than asked, begun anywhere in it, so that the pauses do not coincide.
            talk = speak(
                draw_voice(rng), rng, seconds=n_samples / sample_rate + 1.0, sample_rate=sample_rate
            ).samples
            start = int(rng.integers(talk.size - n_samples + 1))
            noise += talk[start : start + n_samples]
    else:
        starts = np.exp(2j * np.pi * rng.random(options.n_harmonics))
        turn = np.exp(2j * np.pi * options.hum_hertz / sample_rate * np.arange(n_samples))
        noise, harmonic = np.zeros(n_samples), np.ones(n_samples, dtype=np.complex128)
        for number, start in enumerate(starts, 1):
            if number * options.hum_hertz >= 0.5 * sample_rate:
                break
            harmonic *= turn  # its powers are the harmonics: one sine to compute, not many
            noise += (start * harmonic).imag / number
    scaled: Float64Array = noise / max(_rms(noise), 1e-30)
    return scaled


def add_noise(
    samples: FloatArray,
    snr_db: float,
    kind: NoiseKind,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: NoiseOptions = NoiseOptions(),
) -> Float32Array:
    """Add noise at a given distance below the signal, both measured over their whole length.

    Parameters
    ----------
    samples : (n_samples,) float array
        Not silent.
    snr_db : float
        10 log10 of the power of the samples over the power of the noise.
    kind : {"white", "pink", "babble", "hum"}
        See `make_noise`.
    rng : numpy.random.Generator
        What decides.
    sample_rate : int
        Hz.
    options : NoiseOptions
        Details of babble and hum.

    Returns
    -------
    (n_samples,) float32 array
        May go beyond full scale: `set_level` comes last.

    Raises
    ------
    DataError
        For samples that are all zero: there is no level to be below.
    """
    level = _level(samples)
    noise = make_noise(len(samples), kind, rng, sample_rate, options)
    noisy: Float32Array = (samples + level * 10.0 ** (-snr_db / 20.0) * noise).astype(np.float32)
    return noisy


def room_response(
    rt60_seconds: float,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: RoomOptions = RoomOptions(),
) -> Float64Array:
    """Make the response of an artificial room: a direct sound, then decaying noise.

    Polack's model (1988), "La transmission de l'énergie sonore dans les salles": Gaussian noise
    times exp(-3 ln(10) t / RT60), so that the energy falls by 60 dB in RT60.

    Parameters
    ----------
    rt60_seconds : float
        Above 0.
    rng : numpy.random.Generator
        The reflections.
    sample_rate : int
        Hz.
    options : RoomOptions
        Strength of the direct sound, gap after it.

    Returns
    -------
    (n,) float64 array
        1 at time 0; as long as it takes to fall by 72 dB.
    """
    above("rt60_seconds", rt60_seconds, 0.0)
    gap = max(round(options.gap_seconds * sample_rate), 1)
    times = np.arange(max(round(1.2 * rt60_seconds * sample_rate), 1)) / sample_rate
    tail = rng.standard_normal(times.size) * np.exp(-3.0 * np.log(10.0) * times / rt60_seconds)
    tail *= 10.0 ** (-options.direct_to_reverberant_db / 20.0) / np.sqrt(np.sum(tail**2))
    response = np.zeros(gap + times.size)
    response[0] = 1.0
    response[gap:] = tail
    return response


def reverberate(
    samples: FloatArray,
    rt60_seconds: float,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: RoomOptions = RoomOptions(),
) -> Float32Array:
    """Put samples into an artificial room; what rings on after their end is cut.

    Parameters
    ----------
    samples : (n_samples,) float array
        At least one.
    rt60_seconds : float
        Reverberation time, above 0.
    rng : numpy.random.Generator
        The reflections.
    sample_rate : int
        Hz.
    options : RoomOptions
        Strength of the direct sound, gap after it.

    Returns
    -------
    (n_samples,) float32 array
        Not delayed.
    """
    at_least("n_samples", len(samples), 1)
    response = room_response(rt60_seconds, rng, sample_rate, options)
    n_fft = scipy.fft.next_fast_len(len(samples) + response.size - 1, real=True)
    spectrum = scipy.fft.rfft(samples, n_fft) * scipy.fft.rfft(response, n_fft)
    wet: Float32Array = scipy.fft.irfft(spectrum, n_fft)[: len(samples)].astype(np.float32)
    return wet


def set_level(samples: FloatArray, rms_db: float) -> Float32Array:
    """Scale samples to a level.

    Parameters
    ----------
    samples : (n_samples,) float array
        Not silent.
    rms_db : float
        20 log10 of the RMS wanted; full scale is 1. Speech above -20 dB is likely to clip.

    Returns
    -------
    (n_samples,) float32 array

    Raises
    ------
    DataError
        For samples that are all zero.
    """
    gain = 10.0 ** (rms_db / 20.0) / _level(samples)
    scaled: Float32Array = (np.asarray(samples, dtype=np.float64) * gain).astype(np.float32)
    return scaled


def channel_filter(
    samples: FloatArray,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: ChannelOptions = ChannelOptions(),
) -> Float32Array:
    """Send samples through a microphone of its own: a random tilt and random broad peaks.

    Parameters
    ----------
    samples : (n_samples,) float array
        At least one.
    rng : numpy.random.Generator
        The microphone.
    sample_rate : int
        Hz.
    options : ChannelOptions
        How far microphones differ.

    Returns
    -------
    (n_samples,) float32 array
        Zero phase: not delayed.
    """
    nyquist = 0.5 * sample_rate
    tilt = options.tilt_db * rng.standard_normal()
    centers = np.exp(rng.uniform(np.log(100.0), np.log(nyquist), options.n_peaks))
    heights = options.peak_db * rng.standard_normal(options.n_peaks)

    def response(hertz: Float64Array) -> Float64Array:
        octaves = np.log2(np.maximum(hertz, 50.0))
        gain_db = tilt * (hertz / nyquist - 0.5)
        for center, height in zip(centers, heights, strict=True):
            gain_db = gain_db + height * np.exp(-0.5 * ((octaves - np.log2(center)) / 0.5) ** 2)
        gain: Float64Array = 10.0 ** (gain_db / 20.0)
        return gain

    return _filter(samples, response, sample_rate)


def band_pass(
    samples: FloatArray, low_hertz: float, high_hertz: float, sample_rate: int = 16000
) -> Float32Array:
    """Keep a band, with the slopes of a Butterworth filter of order 8 and no phase.

    Parameters
    ----------
    samples : (n_samples,) float array
        At least one.
    low_hertz, high_hertz : float
        Where 3 dB are lost; 0 < low < high.
    sample_rate : int
        Hz.

    Returns
    -------
    (n_samples,) float32 array
    """
    above("low_hertz", low_hertz, 0.0)
    above("high_hertz", high_hertz, low_hertz)

    def response(hertz: Float64Array) -> Float64Array:
        below = (low_hertz / np.maximum(hertz, 1e-3 * low_hertz)) ** 16
        beyond = (hertz / high_hertz) ** 16
        gain: Float64Array = 1.0 / np.sqrt((1.0 + below) * (1.0 + beyond))
        return gain

    return _filter(samples, response, sample_rate)


def telephone_band(samples: FloatArray, sample_rate: int = 16000) -> Float32Array:
    """Keep what a telephone keeps: 300..3400 Hz (ITU-T G.120's band), by `band_pass`."""
    return band_pass(samples, 300.0, 3400.0, sample_rate)


def replay(
    samples: FloatArray,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: ReplayOptions = ReplayOptions(),
) -> Float32Array:
    """Play samples through a small loudspeaker into a room, as a replay attack does.

    Parameters
    ----------
    samples : (n_samples,) float array
        Not silent.
    rng : numpy.random.Generator
        The room.
    sample_rate : int
        Hz.
    options : ReplayOptions
        Loudspeaker and room.

    Returns
    -------
    (n_samples,) float32 array
        At the RMS of the samples.
    """
    level = _level(samples)
    band = band_pass(samples, options.low_hertz, options.high_hertz, sample_rate)
    # The cone is driven as hard as it goes, whatever the level of the recording. Of a tone of
    # amplitude 1, 2 d x^2 is a second harmonic of amplitude d, and 2 d x^3 a third of d / 2.
    driven = band / max(float(np.max(np.abs(band))), 1e-30)
    driven = driven + 2.0 * options.distortion * (driven**2 - np.mean(driven**2) - driven**3)
    wet = reverberate(driven, options.rt60_seconds, rng, sample_rate, options.room)
    return set_level(wet, 20.0 * np.log10(level))


def _filter(
    samples: FloatArray, response: Callable[[Float64Array], Float64Array], sample_rate: int
) -> Float32Array:
    """Multiply the spectrum; the padding keeps the two ends from ringing into each other."""
    at_least("n_samples", len(samples), 1)
    n_fft = scipy.fft.next_fast_len(len(samples) + sample_rate // 20, real=True)
    spectrum = scipy.fft.rfft(np.asarray(samples), n_fft)
    hertz = np.arange(spectrum.size) * sample_rate / n_fft
    filtered = scipy.fft.irfft(spectrum * response(hertz), n_fft)[: len(samples)]
    as_float: Float32Array = filtered.astype(np.float32)
    return as_float


def _rms(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _level(samples: FloatArray) -> float:
    level = _rms(samples) if len(samples) else 0.0
    if level == 0.0:
        raise DataError("samples must not be all zero: silence has no level")
    if not np.isfinite(level):
        raise DataError("samples must be finite")
    return level
