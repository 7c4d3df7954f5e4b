"""The phones of the artificial language: formant targets, noise bands, timing.

Every phone is a short sequence of parts; a vowel is one part, a stop is closure, burst and
aspiration. Everything after this table works on parts and knows nothing of phones.

Vowels: Hillenbrand, Getty, Clark and Wheeler (1995), "Acoustic characteristics of American English
vowels", JASA 97, table V, men. Consonants: formants of Klatt (1980), "Software for a
cascade/parallel formant synthesizer", JASA 67, table III. F4 and F5 are those of a uniform tube
17.5 cm long (Fant 1960, "Acoustic theory of speech production"). The noise bands are rounded from
Stevens (1998), "Acoustic phonetics", chapters 7 and 8; the nasal zeros from Fujimura (1962),
"Analysis of nasal consonants", JASA 34: lower for the lips than for the teeth.
"""

from dataclasses import dataclass
from typing import Final

N_FORMANTS: Final = 5
_TUBE_HERTZ: Final = (3500.0, 4500.0)


@dataclass(frozen=True)
class Band:
    """One hump of a noise spectrum: exp(-((f - center) / width)^2 / 2), in amplitude."""

    center_hertz: float
    width_hertz: float
    gain: float = 1.0


@dataclass(frozen=True)
class Part:
    """A stretch of speech with one set of targets.

    Parameters
    ----------
    seconds : float
        Nominal length.
    formants_hertz : tuple of 5 floats, or empty
        Targets of F1..F5 of an average man; empty takes those of the part that follows.
    voicing, aspiration : float
        Amplitudes of the glottal pulses and of the noise at the glottis; a vowel's voicing is 1.
    frication : float
        Amplitude of the noise at the constriction, relative to the level of the vowels.
    bands : tuple of Band
        The spectrum of that noise.
    nasal_zero_hertz : float
        Where the nasal zero stands; 0 for an oral part.
    """

    seconds: float
    formants_hertz: tuple[float, ...] = ()
    voicing: float = 0.0
    aspiration: float = 0.0
    frication: float = 0.0
    bands: tuple[Band, ...] = ()
    nasal_zero_hertz: float = 0.0


def _vowel(f1: float, f2: float, f3: float, seconds: float = 0.13) -> tuple[Part, ...]:
    return (Part(seconds, (f1, f2, f3, *_TUBE_HERTZ), voicing=1.0),)


def _sonorant(
    f1: float, f2: float, f3: float, voicing: float, seconds: float, nasal_zero_hertz: float = 0.0
) -> tuple[Part, ...]:
    formants = (f1, f2, f3, *_TUBE_HERTZ)
    return (Part(seconds, formants, voicing, nasal_zero_hertz=nasal_zero_hertz),)


def _fricative(
    f1: float,
    f2: float,
    f3: float,
    level: float,
    bands: tuple[Band, ...],
    voicing: float = 0.0,
    seconds: float = 0.11,
) -> tuple[Part, ...]:
    return (Part(seconds, (f1, f2, f3, *_TUBE_HERTZ), voicing, 0.0, level, bands),)


def _stop(
    f1: float, f2: float, f3: float, level: float, bands: tuple[Band, ...], *, voiced: bool
) -> tuple[Part, ...]:
    formants = (f1, f2, f3, *_TUBE_HERTZ)
    closure = Part(0.06, formants, voicing=0.2 if voiced else 0.0)
    burst = Part(0.012, formants, frication=level, bands=bands, aspiration=0.02)
    release = Part(0.035, (), aspiration=0.09)
    return (closure, burst) if voiced else (closure, burst, release)


_F = (Band(2500.0, 2000.0, 0.7), Band(6500.0, 1800.0))
_S = (Band(4600.0, 600.0, 0.5), Band(6200.0, 900.0))
_SH = (Band(2700.0, 450.0), Band(4200.0, 900.0, 0.6))
_LIPS = (Band(900.0, 600.0), Band(2500.0, 1500.0, 0.3))
_TEETH = (Band(3800.0, 900.0), Band(6000.0, 1200.0, 0.6))
_VELUM = (Band(1900.0, 350.0), Band(4000.0, 700.0, 0.3))

PAUSE: Final = "_"
PHONES: Final[dict[str, tuple[Part, ...]]] = {
    PAUSE: (Part(0.2),),
    "i": _vowel(342, 2322, 3000),
    "ɪ": _vowel(427, 2034, 2684, 0.10),
    "ɛ": _vowel(580, 1799, 2605, 0.12),
    "æ": _vowel(588, 1952, 2601, 0.15),
    "ɑ": _vowel(768, 1333, 2522, 0.15),
    "ɔ": _vowel(652, 997, 2538, 0.15),
    "o": _vowel(497, 910, 2459),
    "ʊ": _vowel(469, 1122, 2434, 0.10),
    "u": _vowel(378, 997, 2343),
    "ʌ": _vowel(623, 1200, 2550, 0.11),
    "ɝ": _vowel(474, 1379, 1710),
    "w": _sonorant(290, 610, 2150, 0.7, 0.07),
    "j": _sonorant(260, 2070, 3020, 0.7, 0.07),
    "r": _sonorant(310, 1060, 1380, 0.7, 0.07),
    "l": _sonorant(310, 1050, 2880, 0.7, 0.07),
    "m": _sonorant(480, 1270, 2130, 0.6, 0.08, nasal_zero_hertz=900.0),
    "n": _sonorant(480, 1340, 2470, 0.6, 0.08, nasal_zero_hertz=1500.0),
    "f": _fricative(340, 1100, 2080, 0.07, _F),
    "s": _fricative(320, 1390, 2530, 0.28, _S),
    "ʃ": _fricative(300, 1840, 2750, 0.35, _SH),
    "v": _fricative(220, 1100, 2080, 0.04, _F, voicing=0.4, seconds=0.07),
    "z": _fricative(240, 1390, 2530, 0.15, _S, voicing=0.4, seconds=0.08),
    "h": (Part(0.06, (), aspiration=0.12),),
    "p": _stop(400, 1100, 2150, 0.20, _LIPS, voiced=False),
    "t": _stop(400, 1600, 2600, 0.35, _TEETH, voiced=False),
    "k": _stop(300, 1990, 2850, 0.35, _VELUM, voiced=False),
    "b": _stop(200, 1100, 2150, 0.15, _LIPS, voiced=True),
    "d": _stop(200, 1600, 2600, 0.25, _TEETH, voiced=True),
    "g": _stop(200, 1990, 2850, 0.25, _VELUM, voiced=True),
}
VOWELS: Final = ("i", "ɪ", "ɛ", "æ", "ɑ", "ɔ", "o", "ʊ", "u", "ʌ", "ɝ")
ONSETS: Final = tuple("wjrlmnfsʃvzhptkbdg")
CODAS: Final = tuple("lmnsztkp")
