"""The glottal source: pulses of a given pitch, and the breath that goes with them."""

import numpy as np

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm.synthesis.voice import Voice


def glottal_phase(
    f0_hertz: Float64Array, jitter: float, rng: np.random.Generator, sample_rate: int
) -> Float64Array:
    """Count glottal periods along the samples.

    Parameters
    ----------
    f0_hertz : (n_samples,) float array
        Fundamental frequency at every sample, above 0.
    jitter : float
        Standard deviation of the length of a period, relative.
    rng : numpy.random.Generator
        What moves the pulses.
    sample_rate : int
        Hz.

    Returns
    -------
    (n_samples,) float64 array
        Periods since the beginning; a glottal cycle starts at every whole number.
    """
    phase: Float64Array = np.cumsum(f0_hertz / sample_rate)
    if jitter == 0.0 or phase.size == 0:
        return phase
    # Moving the onsets, not the lengths, keeps the contour from drifting; the difference of two
    # onsets moved by jitter / sqrt(2) has the spread that was asked. Onsets never change places.
    cycles = np.arange(-1.0, np.ceil(phase[-1]) + 2.0)
    moves = np.clip(jitter / np.sqrt(2.0) * rng.standard_normal(cycles.size), -0.4, 0.4)
    moves[:2] = 0.0
    moved: Float64Array = np.interp(phase, cycles + moves, cycles)
    return moved


def glottal_pulses(
    phase: Float64Array, open_quotient: float, shimmer: float, rng: np.random.Generator
) -> Float64Array:
    """Draw the derivative of the glottal flow, which is the flow as the lips radiate it.

    In the open phase the flow is t^2 - t^3, so its derivative is 2 t - 3 t^2, from 0 to -1 at the
    closure (the KLGLOTT88 source of Klatt and Klatt 1990, JASA 87, equation 1). The step back to 0
    is band-limited by a polynomial of two samples (Välimäki and Huovilainen 2007, "Antialiasing
    oscillators in subtractive synthesis", IEEE Signal Processing Magazine 24), or its aliases would
    be heard between the harmonics.

    Parameters
    ----------
    phase : (n_samples,) float64 array
        As `glottal_phase` gives it.
    open_quotient : float
        Share of the period in which the glottis is open.
    shimmer : float
        Standard deviation of the amplitude of a pulse, relative.
    rng : numpy.random.Generator
        What changes the amplitudes.

    Returns
    -------
    (n_samples,) float64 array
        Peaks of about -1.
    """
    if phase.size == 0:
        return np.zeros(0)
    cycle: IntArray = phase.astype(np.int64)
    within = phase - cycle
    opened = within / open_quotient
    pulses = np.where(opened < 1.0, opened * (2.0 - 3.0 * opened), 0.0)
    # Samples from the closure, positive after it; only the two around each closure change.
    step = np.maximum(np.diff(phase, prepend=0.0), 1e-9)  # the first may be at 0
    distance = (within - open_quotient) / step
    before = np.flatnonzero((distance > -1.0) & (distance < 0.0))
    after = np.flatnonzero((distance >= 0.0) & (distance < 1.0))
    pulses[before] += 0.5 * (1.0 + distance[before]) ** 2
    pulses[after] -= 0.5 * (1.0 - distance[after]) ** 2
    if shimmer == 0.0:
        return pulses
    amplitudes = 1.0 + shimmer * rng.standard_normal(int(cycle[-1]) + 1)
    shimmered: Float64Array = pulses * amplitudes[cycle]
    return shimmered


def excite(
    voice: Voice,
    f0_hertz: Float64Array,
    voicing: Float64Array,
    aspiration: Float64Array,
    rng: np.random.Generator,
    sample_rate: int,
) -> Float64Array:
    """Give what enters the vocal tract at the glottis: pulses and breath.

    Parameters
    ----------
    voice : Voice
        Its jitter, shimmer, open quotient and breathiness count here.
    f0_hertz, voicing, aspiration : (n_samples,) float64 arrays
        Pitch, amplitude of the pulses, amplitude of the noise that is there without pulses.
    rng : numpy.random.Generator
        Jitter, shimmer, noise.
    sample_rate : int
        Hz.

    Returns
    -------
    (n_samples,) float64 array
    """
    phase = glottal_phase(f0_hertz, voice.jitter, rng, sample_rate)
    pulses = glottal_pulses(phase, voice.open_quotient, voice.shimmer, rng)
    # Breath flows while the glottis is open (Klatt and Klatt 1990): less by half when it is shut.
    shut = (phase - np.floor(phase)) > voice.open_quotient
    breath = voice.breathiness * voicing * np.where(shut, 0.5, 1.0) + aspiration
    noise = rng.standard_normal(phase.size, dtype=np.float32)
    excitation: Float64Array = pulses * voicing + breath * noise
    return excitation
