"""From phones to tracks: what the articulators do, frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.checks import above, did_you_mean
from voicegmm._base.errors import OptionError
from voicegmm.synthesis.phones import (
    CODAS,
    N_FORMANTS,
    ONSETS,
    PAUSE,
    PHONES,
    VOWELS,
    Band,
    Part,
)
from voicegmm.synthesis.voice import Voice

HOP_SECONDS: Final = 0.005
_FORMANT_SMOOTHING: Final = 17  # frames: an articulator needs some 80 ms to get there
_AMPLITUDE_SMOOTHING: Final = 3
_NASAL_SMOOTHING: Final = 9
_F0_SMOOTHING: Final = 25
_CLOSEST_HERTZ: Final = 150.0


@dataclass(frozen=True)
class Segment:
    """One phone of an utterance and when it sounds."""

    phone: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, eq=False)
class Tracks:
    """All that is rendered, per frame; `bands[frame]` indexes `noises` (-1: no noise)."""

    formants_hertz: Float64Array
    f0_hertz: Float64Array
    voicing: Float64Array
    aspiration: Float64Array
    frication: Float64Array
    bands: IntArray
    noises: tuple[tuple[Band, ...], ...]
    nasality: Float64Array
    nasal_zero_hertz: Float64Array
    segments: tuple[Segment, ...]


def draw_phones(
    rng: np.random.Generator,
    voice: Voice,
    seconds: float | None = None,
    n_syllables: int | None = None,
) -> list[str]:
    """Draw syllables in phrases, with a pause before, between and after the phrases.

    Parameters
    ----------
    rng : numpy.random.Generator
        What decides.
    voice : Voice
        Its rate says how many syllables fill the time.
    seconds : float, optional
        About how long the utterance shall be.
    n_syllables : int, optional
        Or how many syllables it shall have. Exactly one of the two.

    Returns
    -------
    list of str
        Keys of `phones.PHONES`.
    """
    if (seconds is None) == (n_syllables is None):
        raise OptionError("give exactly one of seconds and n_syllables")
    if seconds is not None:
        above("seconds", seconds, 0.0)
    if n_syllables is not None:
        above("n_syllables", n_syllables, 0)
    phones = [PAUSE]
    passed, count, left = 2.0 * _nominal(PAUSE), 0, int(rng.integers(4, 9))
    while True:
        syllable = _draw_syllable(rng)
        passed += sum(_nominal(phone) for phone in syllable) / voice.rate
        full = passed > seconds if seconds is not None else count == n_syllables
        if full and count > 0:
            break
        if left == 0:
            phones.append(PAUSE)
            passed += _nominal(PAUSE)
            left = int(rng.integers(4, 9))
        phones += syllable
        count, left = count + 1, left - 1
    return [*phones, PAUSE]


def make_tracks(
    voice: Voice, phones: Sequence[str], rng: np.random.Generator, seconds: float | None = None
) -> Tracks:
    """Lay phones out in time and move between their targets.

    Targets are steps; smoothing them gives the transitions, and with them the undershoot of short
    vowels (Lindblom 1963, "Spectrographic study of vowel reduction", JASA 35).

    Parameters
    ----------
    voice : Voice
        Who speaks.
    phones : sequence of str
        Keys of `phones.PHONES`.
    rng : numpy.random.Generator
        Lengths, stress and intonation.
    seconds : float, optional
        Stretch or squeeze the whole to this length.

    Returns
    -------
    Tracks
        Frame t is centered on t * HOP_SECONDS.

    Raises
    ------
    OptionError
        For a phone that is not in the table, or none at all.
    """
    if len(phones) == 0:
        raise OptionError("phones must hold at least one phone")
    for phone in phones:
        if phone not in PHONES:
            raise OptionError(f"unknown phone {phone!r}{did_you_mean(phone, PHONES)}")
    parts = [part for phone in phones for part in PHONES[phone]]
    owner = np.repeat(np.arange(len(phones)), [len(PHONES[phone]) for phone in phones])
    pauses = np.array([phones[index] == PAUSE for index in owner.tolist()])
    ends = _draw_ends(parts, pauses, voice, rng, seconds)
    n_frames = max(int(np.ceil(ends[-1] / HOP_SECONDS)), 1)
    times = HOP_SECONDS * np.arange(n_frames, dtype=np.float64)
    at = np.minimum(np.searchsorted(ends, times, side="right"), len(parts) - 1)

    targets = _formant_targets(voice, phones, parts, owner)
    formants = np.exp(_smooth(np.log(targets)[at], _FORMANT_SMOOTHING))
    is_vowel = np.array([phones[index] in VOWELS for index in owner.tolist()])
    stress = np.where(is_vowel, np.exp(0.2 * rng.standard_normal(len(parts))), 1.0)
    f0 = _draw_f0(voice, ends, is_vowel, pauses, times, rng)
    noises = tuple(dict.fromkeys(part.bands for part in parts if part.bands))
    bands = np.array([noises.index(part.bands) if part.bands else -1 for part in parts])
    zeros = np.array([part.nasal_zero_hertz for part in parts])
    # Between nasals the zero stays where the next one needs it; nasality decides if it is heard.
    held = _fill_backward(zeros, zeros > 0.0)

    def amplitude(values: list[float], smoothing: int = _AMPLITUDE_SMOOTHING) -> Float64Array:
        return _smooth((np.array(values) * stress)[at], smoothing)

    # Smoothing spills frication a frame over its edges, where it still needs a spectrum.
    noise_at = bands[at]
    for shift in (1, -1):
        noise_at = np.where(noise_at < 0, np.roll(noise_at, shift), noise_at)
    starts = np.concatenate([[0.0], ends[:-1]])
    segments = tuple(
        Segment(phone, float(starts[mine[0]]), float(ends[mine[-1]]))
        for phone, mine in (
            (phone, np.flatnonzero(owner == index)) for index, phone in enumerate(phones)
        )
    )
    return Tracks(
        formants_hertz=formants,
        f0_hertz=f0,
        voicing=amplitude([part.voicing for part in parts], 7),
        aspiration=amplitude([part.aspiration for part in parts]),
        frication=amplitude([part.frication for part in parts]),
        bands=noise_at,
        noises=noises,
        nasality=_smooth((zeros > 0.0).astype(np.float64)[at], _NASAL_SMOOTHING),
        nasal_zero_hertz=held[at] * voice.formant_scale,
        segments=segments,
    )


def _nominal(phone: str) -> float:
    return sum(part.seconds for part in PHONES[phone])


def _draw_syllable(rng: np.random.Generator) -> list[str]:
    onset = [str(rng.choice(ONSETS))] if rng.random() < 0.85 else []
    coda = [str(rng.choice(CODAS))] if rng.random() < 0.3 else []
    return [*onset, str(rng.choice(VOWELS)), *coda]


def _draw_ends(
    parts: Sequence[Part],
    pauses: BoolArray,
    voice: Voice,
    rng: np.random.Generator,
    seconds: float | None,
) -> Float64Array:
    """Draw where each part ends; speech follows the speaker's rate, pauses do not."""
    nominal = np.array([part.seconds for part in parts])
    spread = np.where(pauses, 0.3, 0.15)
    lengths = nominal * np.exp(spread * rng.standard_normal(len(parts)))
    lengths = np.where(pauses, lengths, lengths / voice.rate)
    ends: Float64Array = np.cumsum(lengths)
    return ends if seconds is None else ends * (seconds / ends[-1])


def _formant_targets(
    voice: Voice, phones: Sequence[str], parts: Sequence[Part], owner: IntArray
) -> Float64Array:
    """Give the (n_parts, 5) targets of this voice in Hz."""
    known = np.array([bool(part.formants_hertz) for part in parts])
    table = np.ones((len(parts), N_FORMANTS))
    # A pause at the very end has nothing after it: the tongue goes to rest.
    rest = np.array([500.0, 1500.0, 2500.0, 3500.0, 4500.0])
    table[-1] = rest
    own = np.array(voice.phone_ratios or ((1.0,) * N_FORMANTS,) * len(PHONES))
    rows = {phone: index for index, phone in enumerate(PHONES)}
    for index in np.flatnonzero(known).tolist():
        table[index] = own[rows[phones[int(owner[index])]]] * parts[index].formants_hertz
    known[-1] = True
    filled = _fill_backward(table, known)
    targets: Float64Array = filled * voice.formant_scale * np.array(voice.formant_ratios)
    # Two resonances of one tube repel each other; a drawn voice must not let them change places.
    for k in range(1, N_FORMANTS):
        targets[:, k] = np.maximum(targets[:, k], targets[:, k - 1] + _CLOSEST_HERTZ)
    return targets


def _draw_f0(
    voice: Voice,
    ends: Float64Array,
    is_vowel: BoolArray,
    pauses: BoolArray,
    times: Float64Array,
    rng: np.random.Generator,
) -> Float64Array:
    """Draw the intonation: a falling line per phrase, accents on its vowels, a final fall."""
    starts = np.concatenate([[0.0], ends[:-1]])
    anchors, semitones = [0.0], [0.0]
    phrase = np.cumsum(pauses)
    accents = voice.f0_spread_semitones * rng.standard_normal(len(ends))
    for number in np.unique(phrase):
        vowels = np.flatnonzero(is_vowel & (phrase == number))
        if vowels.size == 0:
            continue
        begin, end = starts[vowels[0]], ends[vowels[-1]]
        middles = 0.5 * (starts[vowels] + ends[vowels])
        line = 1.0 - 2.0 * (middles - begin) / (end - begin)
        anchors += [*middles.tolist(), float(end)]
        semitones += [*(voice.f0_spread_semitones * line + accents[vowels]).tolist(), 0.0]
        semitones[-1] = semitones[-2] - voice.f0_spread_semitones
    contour = _smooth(np.interp(times, anchors, semitones), _F0_SMOOTHING)
    f0: Float64Array = np.clip(voice.f0_hertz * 2.0 ** (contour / 12.0), 30.0, 800.0)
    return f0


def _fill_backward(values: Float64Array, known: BoolArray) -> Float64Array:
    """Give every unknown row the value of the next known one (or of the last)."""
    if not known.any():
        return values
    where = np.flatnonzero(known)
    following = np.minimum(np.searchsorted(where, np.arange(len(values))), where.size - 1)
    filled: Float64Array = values[where[following]]
    return filled


def _smooth(track: Float64Array, n_frames: int) -> Float64Array:
    """Average over a Hann window of an odd number of frames; the edges are held."""
    half = n_frames // 2
    window = np.hanning(n_frames + 2)[1:-1]
    window /= window.sum()
    padded = np.concatenate([track[:1].repeat(half, 0), track, track[-1:].repeat(half, 0)])
    if track.ndim == 1:
        return np.convolve(padded, window, mode="valid")
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)
