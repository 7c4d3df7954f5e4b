"""Speak: the source through the tract, all frames at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from voicegmm._base.arrays import Float32Array, Float64Array
from voicegmm._base.checks import above, within
from voicegmm._base.errors import OptionError
from voicegmm.synthesis.phones import N_FORMANTS, Band
from voicegmm.synthesis.source import excite
from voicegmm.synthesis.tracks import HOP_SECONDS, Segment, Tracks, draw_phones, make_tracks
from voicegmm.synthesis.voice import Voice

ComplexArray = npt.NDArray[np.complex128]

# Klatt (1980), "Software for a cascade/parallel formant synthesizer", JASA 67, table II: the middle
# of what its vowels have.
BANDWIDTHS_HERTZ: Final = np.array([60.0, 90.0, 150.0, 200.0, 250.0])
LEVEL_DB: Final = -26.0
# The formants above the fifth are those of the tube; they only keep the slope right up to 8 kHz.
_UPPER_HERTZ: Final = (5500.0, 6500.0, 7500.0)
_UPPER_BANDWIDTH_HERTZ: Final = 400.0
# Klatt (1980), section "Nasals": a fixed pole at 270 Hz, and a zero that moves away from it.
_NASAL_POLE_HERTZ: Final = 270.0
_NASAL_BANDWIDTH_HERTZ: Final = 100.0
# A frame and its ringing take this many hops: 20 ms after the frame's end, a formant 60 Hz wide
# has fallen by 33 dB.
_RING_HOPS: Final = 6
_BLOCK_FRAMES: Final = 1024


@dataclass(frozen=True, eq=False)
class Utterance:
    """What was said, with what is known about it.

    Parameters
    ----------
    samples : (n_samples,) float32 array
        Peak below 1.
    sample_rate : int
        Hz.
    formants_hertz : (n_frames, 5) float64 array
        The resonances F1..F5 that were used; frame t is centered on t * hop_seconds.
    f0_hertz : (n_frames,) float64 array
        Fundamental frequency; 0 where there are no glottal pulses.
    hop_seconds : float
        From one frame to the next.
    segments : tuple of Segment
        The phones and their times.
    """

    samples: Float32Array
    sample_rate: int
    formants_hertz: Float64Array
    f0_hertz: Float64Array
    hop_seconds: float
    segments: tuple[Segment, ...]


def speak(
    voice: Voice,
    rng: np.random.Generator,
    *,
    seconds: float | None = None,
    n_syllables: int | None = None,
    sample_rate: int = 16000,
) -> Utterance:
    """Say random syllables.

    Parameters
    ----------
    voice : Voice
        Who speaks.
    rng : numpy.random.Generator
        What is said, and how.
    seconds, n_syllables : float or int
        How much: exactly one of the two.
    sample_rate : int
        Hz, 8000..48000, a multiple of 200; nothing sounds above 8 kHz.

    Returns
    -------
    Utterance

    Raises
    ------
    OptionError
        For a length or a sample rate that cannot be.
    """
    phones = draw_phones(rng, voice, seconds, n_syllables)
    return pronounce(voice, phones, rng, seconds=seconds, sample_rate=sample_rate)


def pronounce(
    voice: Voice,
    phones: Sequence[str],
    rng: np.random.Generator,
    *,
    seconds: float | None = None,
    sample_rate: int = 16000,
) -> Utterance:
    """Say given phones; a single vowel is a sustained one.

    Parameters
    ----------
    voice : Voice
        Who speaks.
    phones : sequence of str
        Keys of `phones.PHONES`.
    rng : numpy.random.Generator
        Timing, intonation, noise.
    seconds : float, optional
        Length of the whole; the phones' own if not given.
    sample_rate : int
        Hz, 8000..48000, a multiple of 200.

    Returns
    -------
    Utterance

    Raises
    ------
    OptionError
        For an unknown phone, or a length or a sample rate that cannot be.
    """
    within("sample_rate", sample_rate, 8000, 48000)
    if sample_rate % 200:
        # So that a hop is a whole number of samples.
        raise OptionError(f"sample_rate must be a multiple of 200, got {sample_rate}")
    if seconds is not None:
        above("seconds", seconds, 0.0)
    tracks = make_tracks(voice, phones, rng, seconds)
    length = seconds if seconds is not None else len(tracks.f0_hertz) * HOP_SECONDS
    samples = _render(voice, tracks, max(round(length * sample_rate), 1), rng, sample_rate)
    return Utterance(
        samples=samples,
        sample_rate=sample_rate,
        formants_hertz=tracks.formants_hertz,
        f0_hertz=np.where(tracks.voicing > 0.05, tracks.f0_hertz, 0.0),
        hop_seconds=HOP_SECONDS,
        segments=tracks.segments,
    )


def tract_response(
    formants_hertz: Float64Array, bandwidths_hertz: Float64Array, n_fft: int, sample_rate: int
) -> ComplexArray:
    """Give the transfer function of resonators in cascade, each with gain 1 at 0 Hz.

    Klatt (1980), equations 1 and 2: A / (1 - B z^-1 - C z^-2) with C = -exp(-2 pi BW T),
    B = 2 exp(-pi BW T) cos(2 pi F T), A = 1 - B - C.

    Parameters
    ----------
    formants_hertz, bandwidths_hertz : (n_frames, n_formants) float array
        Resonances; one above 8 kHz, or close to half the sample rate, is left out.
    n_fft : int
        Length of the transform.
    sample_rate : int
        Hz.

    Returns
    -------
    (n_frames, 1 + n_fft // 2) complex128 array
    """
    n_frames, n_formants = formants_hertz.shape
    radius = np.exp(-np.pi * bandwidths_hertz / sample_rate)
    radius = np.where(formants_hertz < min(0.49 * sample_rate, 8000.0), radius, 0.0)
    b = -2.0 * radius * np.cos(2.0 * np.pi * formants_hertz / sample_rate)
    c = radius**2
    polynomial = np.zeros((n_frames, 2 * n_formants + 1))
    polynomial[:, 0] = 1.0
    for k in range(n_formants):
        one, two = polynomial[:, :-1] * b[:, k, None], polynomial[:, :-2] * c[:, k, None]
        polynomial[:, 1:] += one
        polynomial[:, 2:] += two
    gain = polynomial.sum(axis=1, keepdims=True)
    response: ComplexArray = gain / scipy.fft.rfft(polynomial, n_fft, axis=1)
    return response


def _render(
    voice: Voice, tracks: Tracks, n_samples: int, rng: np.random.Generator, sample_rate: int
) -> Float32Array:
    hop = round(HOP_SECONDS * sample_rate)
    n_frames = len(tracks.f0_hertz)
    positions = np.arange(n_samples)
    centers = hop * np.arange(n_frames)

    def at_samples(track: Float64Array) -> Float64Array:
        values: Float64Array = np.interp(positions, centers, track)
        return values

    excitation = excite(
        voice,
        at_samples(tracks.f0_hertz),
        at_samples(tracks.voicing),
        at_samples(tracks.aspiration),
        rng,
        sample_rate,
    )
    # Padded so that frame t is centered on sample t * hop.
    padded = np.zeros((n_frames + 1) * hop, dtype=np.float32)
    stop = min(n_samples, n_frames * hop)
    padded[hop : hop + stop] = excitation[:stop]
    noise = rng.standard_normal(padded.size, dtype=np.float32)
    fixed = _fixed_response(voice, sample_rate, hop)
    shapes = np.array(
        [_noise_response(bands, voice, sample_rate, hop) for bands in tracks.noises]
    ).reshape(-1, fixed.size)
    # The vowels come first, alone: frication is measured against them.
    voiced = np.zeros((n_frames + _RING_HOPS + 1) * hop, dtype=np.float32)
    hissed = np.zeros_like(voiced)
    for start in range(0, n_frames, _BLOCK_FRAMES):
        block = slice(start, min(start + _BLOCK_FRAMES, n_frames))
        _add_frames(voiced, start, _voiced_frames(voice, tracks, block, padded, fixed, sample_rate))
        _add_frames(hissed, start, _noise_frames(tracks, block, noise, shapes))
    loud = np.repeat(tracks.voicing > 0.7, hop)
    body = voiced[hop : hop + loud.size]
    power = float(np.mean(body[loud] ** 2)) if loud.any() else float(np.mean(body**2))
    # Only noise, and nothing to compare it with: any level will do, it is set at the end.
    reference = np.sqrt(power) if power > 0.0 else 1.0
    out = (voiced + np.float32(reference) * hissed)[hop : hop + n_samples]
    return _to_level(np.pad(out, (0, max(n_samples - out.size, 0))))


def _voiced_frames(
    voice: Voice,
    tracks: Tracks,
    block: slice,
    padded: Float32Array,
    fixed: ComplexArray,
    sample_rate: int,
) -> Float32Array:
    """Filter the excitation of a block of frames with the tract of each frame."""
    n_fft = 2 * (fixed.size - 1)
    frames = np.zeros((block.stop - block.start, n_fft), dtype=np.float32)
    windows = _windows(padded, block, n_fft)
    sounding = np.flatnonzero(windows.any(axis=1))
    if sounding.size == 0:
        return frames
    nasality = tracks.nasality[block][sounding]
    # A nasal's walls swallow more: its formants are two to three times as wide (Klatt 1980).
    bandwidths = BANDWIDTHS_HERTZ * voice.bandwidth_scale * (1.0 + 1.5 * nasality[:, None])
    bandwidths[:, 0] /= 1.0 + 1.5 * nasality
    formants = tracks.formants_hertz[block][sounding]
    response = tract_response(formants, bandwidths, n_fft, sample_rate)
    response *= fixed
    nasal = np.flatnonzero(nasality > 0.01)
    if nasal.size:
        pole = np.full(nasal.size, _NASAL_POLE_HERTZ)
        zero = pole + nasality[nasal] * (tracks.nasal_zero_hertz[block][sounding][nasal] - pole)
        width = np.full((nasal.size, 1), _NASAL_BANDWIDTH_HERTZ)
        response[nasal] *= tract_response(pole[:, None], width, n_fft, sample_rate)
        response[nasal] /= tract_response(zero[:, None], width, n_fft, sample_rate)
    spectrum = scipy.fft.rfft(windows[sounding], n_fft, axis=1)
    spectrum *= response.astype(np.complex64)
    frames[sounding] = scipy.fft.irfft(spectrum, n_fft, axis=1, overwrite_x=True)
    return frames


def _noise_frames(
    tracks: Tracks, block: slice, noise: Float32Array, shapes: ComplexArray
) -> Float32Array:
    """Shape the noise of those frames of a block that have a constriction; 0 elsewhere."""
    n_fft = 2 * (shapes.shape[1] - 1)
    frames = np.zeros((block.stop - block.start, n_fft), dtype=np.float32)
    level, bands = tracks.frication[block], tracks.bands[block]
    hissing = np.flatnonzero((level > 1e-4) & (bands >= 0))
    if hissing.size:
        spectrum = scipy.fft.rfft(_windows(noise, block, n_fft)[hissing], n_fft, axis=1)
        spectrum *= (shapes[bands[hissing]] * level[hissing, None]).astype(np.complex64)
        frames[hissing] = scipy.fft.irfft(spectrum, n_fft, axis=1)
    return frames


def _windows(padded: Float32Array, block: slice, n_fft: int) -> Float32Array:
    """Cut frames two hops long under a Hann window, which adds up to 1 at this hop."""
    hop = n_fft // _RING_HOPS
    window = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)).astype(np.float32)
    frames: Float32Array = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop][block]
    return frames * window


def _add_frames(out: Float32Array, start: int, frames: Float32Array) -> None:
    """Overlap and add, a hop of all frames at a time."""
    hop = frames.shape[1] // _RING_HOPS
    rows = out.reshape(-1, hop)
    for k in range(_RING_HOPS):
        rows[start + k : start + k + len(frames)] += frames[:, k * hop : (k + 1) * hop]


def _fixed_response(voice: Voice, sample_rate: int, hop: int) -> ComplexArray:
    """Give the part of the filter that does not move: the upper formants and the source's tilt."""
    n_fft = _RING_HOPS * hop
    last = voice.formant_scale * voice.formant_ratios[N_FORMANTS - 1]
    upper = last * np.array([_UPPER_HERTZ])
    widths = np.full(upper.shape, _UPPER_BANDWIDTH_HERTZ)
    response = tract_response(upper, widths, n_fft, sample_rate)[0]
    # One real pole p that takes `tilt_db` at 3 kHz (TL of Klatt and Klatt 1990):
    # (1 - p)^2 / |1 - p e^-iw|^2 = 10^(-tilt / 10) gives p^2 - 2 (1 + q) p + 1 = 0
    # with q = (1 - cos w) / (10^(tilt / 10) - 1).
    loss = 10.0 ** (voice.tilt_db / 10.0) - 1.0
    if loss > 0.0:
        q = (1.0 - np.cos(2.0 * np.pi * 3000.0 / sample_rate)) / loss
        pole = 1.0 + q - np.sqrt(q * (q + 2.0))
        angles = 2.0 * np.pi * np.arange(response.size) / n_fft
        response = response * (1.0 - pole) / (1.0 - pole * np.exp(-1j * angles))
    fixed: ComplexArray = response
    return fixed


def _noise_response(
    bands: tuple[Band, ...], voice: Voice, sample_rate: int, hop: int
) -> ComplexArray:
    """Give a noise spectrum that turns unit white noise into noise of RMS 1."""
    n_fft = _RING_HOPS * hop
    hertz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    shape = np.zeros(hertz.size)
    for band in bands:
        distance = (hertz / voice.noise_scale - band.center_hertz) / band.width_hertz
        shape += band.gain * np.exp(-0.5 * distance**2)
    shape[(hertz > 7800.0) | (hertz < 60.0)] = 0.0
    shape /= np.sqrt(np.mean(shape**2))
    # Zero phase would put half of the response before its frame; half a hop later it is all inside.
    delayed: ComplexArray = shape * np.exp(-2j * np.pi * np.arange(hertz.size) * (hop // 2) / n_fft)
    return delayed


def _to_level(samples: Float32Array) -> Float32Array:
    """Scale to `LEVEL_DB` RMS, or to a peak of 0.95 where that is less."""
    power = float(np.mean(samples.astype(np.float64) ** 2))
    if power == 0.0:
        return samples.astype(np.float32)
    gain = 10.0 ** (LEVEL_DB / 20.0) / np.sqrt(power)
    gain = min(gain, 0.95 / float(np.max(np.abs(samples))))
    return (samples * np.float32(gain)).astype(np.float32)
