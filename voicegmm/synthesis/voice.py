"""What makes one voice differ from another, and one session of a voice from the next."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import above, at_least, one_of, within
from voicegmm._base.errors import OptionError
from voicegmm.synthesis.phones import N_FORMANTS, PHONES

Sex = Literal["female", "male"]
SEXES: Final[tuple[Sex, ...]] = ("female", "male")


@dataclass(frozen=True)
class Voice:
    """A speaker: larynx, vocal tract and habits.

    Parameters
    ----------
    f0_hertz : float
        Mean fundamental frequency, 40..500.
    f0_spread_semitones : float
        Standard deviation of the intonation about its falling line.
    jitter, shimmer : float
        Standard deviation of one period's length and of one pulse's amplitude, relative.
    open_quotient : float
        Share of the period in which the glottis is open, 0.2..0.95 (Klatt and Klatt 1990).
    tilt_db : float
        Attenuation of the glottal source at 3 kHz, 0..40 dB (TL of Klatt and Klatt 1990).
    breathiness : float
        RMS of the aspiration noise in a vowel; the glottal pulses have a peak of 1.
    formant_scale : float
        Formants relative to an average man: 1 / relative length of the vocal tract, 0.6..1.8.
    formant_ratios : tuple of 5 floats
        What is the speaker's own in F1..F5, on top of `formant_scale`.
    bandwidth_scale : float
        Widths of the formants, relative to `speech.BANDWIDTHS_HERTZ`.
    noise_scale : float
        Frequency of the frication bands, relative to `phones.PHONES`.
    rate : float
        Speaking rate; 1 is about four and a half syllables a second.
    phone_ratios : tuple of n_phones tuples of 5 floats
        The speaker's own pronunciation: a factor on each formant target, in the order of `PHONES`.
        Empty for none.
    """

    f0_hertz: float = 125.0
    f0_spread_semitones: float = 1.5
    jitter: float = 0.006
    shimmer: float = 0.03
    open_quotient: float = 0.55
    tilt_db: float = 6.0
    breathiness: float = 0.01
    formant_scale: float = 1.0
    formant_ratios: tuple[float, ...] = (1.0,) * N_FORMANTS
    bandwidth_scale: float = 1.0
    noise_scale: float = 1.0
    rate: float = 1.0
    phone_ratios: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        within("f0_hertz", self.f0_hertz, 40.0, 500.0)
        for name in ("f0_spread_semitones", "jitter", "shimmer", "breathiness"):
            at_least(name, getattr(self, name), 0.0)
        within("open_quotient", self.open_quotient, 0.2, 0.95)
        within("tilt_db", self.tilt_db, 0.0, 40.0)
        within("formant_scale", self.formant_scale, 0.6, 1.8)
        for name in ("bandwidth_scale", "noise_scale", "rate"):
            above(name, getattr(self, name), 0.0)
        if len(self.formant_ratios) != N_FORMANTS:
            raise OptionError(
                f"formant_ratios must have {N_FORMANTS} values, got {len(self.formant_ratios)}"
            )
        if self.phone_ratios and (
            len(self.phone_ratios) != len(PHONES)
            or any(len(row) != N_FORMANTS for row in self.phone_ratios)
        ):
            raise OptionError(
                f"phone_ratios must have {len(PHONES)} rows of {N_FORMANTS} values, or none"
            )


@dataclass(frozen=True)
class _Population:
    """Means and standard deviations (of logarithms where the value is a ratio)."""

    f0_hertz: tuple[float, float]
    open_quotient: tuple[float, float]
    tilt_db: tuple[float, float]
    breathiness: tuple[float, float]
    formant_scale: tuple[float, float]


# F0: Peterson and Barney (1952) and Hillenbrand et al. (1995), men 130 Hz, women 220 Hz, with a
# spread between speakers of some two and a half semitones. Formant scale: the ratio of the women's
# to the men's F3 in Hillenbrand et al. is about 1.15; Fant (1975), "Non-uniform vowel
# normalization", has 1.12..1.18. Open quotient, tilt and aspiration: Klatt and Klatt (1990),
# "Analysis, synthesis, and perception of voice quality variations among female and male talkers",
# JASA 87: women more open, more tilted, breathier.
_POPULATIONS: Final[dict[str, _Population]] = {
    "male": _Population((125.0, 0.15), (0.55, 0.06), (6.0, 3.0), (0.010, 0.5), (1.0, 0.045)),
    "female": _Population((210.0, 0.13), (0.65, 0.07), (9.0, 3.5), (0.018, 0.5), (1.15, 0.045)),
}
# Within a sex and a vowel, F1 of real speakers spreads by roughly 10 %, F2 by 8 to 9 %, F3 by 7 %
# (Peterson and Barney 1952; Hillenbrand et al. 1995). Three things share this, in quadrature: the
# length of the tract, the speaker's own cavities, the speaker's own vowels.
_FORMANT_SPREAD: Final = np.array([0.05, 0.045, 0.045, 0.05, 0.05])
_PHONE_SPREAD: Final = np.array([0.07, 0.06, 0.04, 0.03, 0.03])


def draw_voice(rng: np.random.Generator, sex: Sex | None = None, spread: float = 1.0) -> Voice:
    """Draw a plausible adult voice.

    Parameters
    ----------
    rng : numpy.random.Generator
        What decides.
    sex : {"female", "male"}, optional
        Of which population; drawn if not given.
    spread : float
        How far voices lie from the mean of their sex; 1 is what the literature reports, 0 gives
        the same voice each time.

    Returns
    -------
    Voice

    Raises
    ------
    OptionError
        For another sex or a negative spread.
    """
    at_least("spread", spread, 0.0)
    chosen: str = sex if sex is not None else SEXES[int(rng.integers(2))]
    one_of("sex", chosen, SEXES)
    people = _POPULATIONS[chosen]
    z = iter(spread * rng.standard_normal(12))

    def ratio(mean_and_spread: tuple[float, float]) -> float:
        return float(mean_and_spread[0] * np.exp(mean_and_spread[1] * next(z)))

    def shifted(mean_and_spread: tuple[float, float]) -> float:
        return float(mean_and_spread[0] + mean_and_spread[1] * next(z))

    return Voice(
        f0_hertz=float(np.clip(ratio(people.f0_hertz), 60.0, 400.0)),
        f0_spread_semitones=ratio((1.6, 0.25)),
        # Healthy voices: Baken and Orlikoff (2000), "Clinical measurement of speech and voice".
        jitter=ratio((0.006, 0.3)),
        shimmer=ratio((0.03, 0.3)),
        open_quotient=float(np.clip(shifted(people.open_quotient), 0.35, 0.9)),
        tilt_db=float(np.clip(shifted(people.tilt_db), 0.0, 20.0)),
        breathiness=ratio(people.breathiness),
        formant_scale=float(np.clip(ratio(people.formant_scale), 0.8, 1.4)),
        bandwidth_scale=ratio((1.0, 0.15)),
        noise_scale=ratio((1.0 if chosen == "male" else 1.08, 0.06)),
        rate=ratio((1.0, 0.10)),
        formant_ratios=_ratios(rng, spread * _FORMANT_SPREAD),
        phone_ratios=tuple(_ratios(rng, spread * _PHONE_SPREAD) for _ in PHONES),
    )


def vary_voice(voice: Voice, rng: np.random.Generator, amount: float = 1.0) -> Voice:
    """Give the same speaker on another day: mood, effort, posture.

    Parameters
    ----------
    voice : Voice
        The speaker.
    rng : numpy.random.Generator
        What decides.
    amount : float
        1 moves the mean F0 by a semitone, the formants by 1 % and the tilt by 1.5 dB (standard
        deviations); 0 gives the voice back unchanged.

    Returns
    -------
    Voice
    """
    at_least("amount", amount, 0.0)
    z = amount * rng.standard_normal(7)
    own = amount * rng.standard_normal(N_FORMANTS)
    ratios = np.array(voice.formant_ratios) * np.exp(0.01 * own)
    return replace(
        voice,
        f0_hertz=float(np.clip(voice.f0_hertz * np.exp(0.06 * z[0]), 40.0, 500.0)),
        f0_spread_semitones=float(voice.f0_spread_semitones * np.exp(0.25 * z[1])),
        open_quotient=float(np.clip(voice.open_quotient + 0.03 * z[2], 0.2, 0.95)),
        tilt_db=float(np.clip(voice.tilt_db + 1.5 * z[3], 0.0, 40.0)),
        breathiness=float(voice.breathiness * np.exp(0.3 * z[4])),
        bandwidth_scale=float(voice.bandwidth_scale * np.exp(0.08 * z[5])),
        rate=float(voice.rate * np.exp(0.08 * z[6])),
        formant_ratios=tuple(ratios.tolist()),
    )


def _ratios(rng: np.random.Generator, spread: Float64Array) -> tuple[float, ...]:
    return tuple(np.exp(spread * rng.standard_normal(N_FORMANTS)).tolist())
