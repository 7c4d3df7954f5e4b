"""One recording's fate: a noise, a room, a microphone, a line and a level, drawn by lot."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.checks import one_of, within
from voicegmm._base.errors import OptionError
from voicegmm.synthesis.degradation import (
    NOISE_KINDS,
    NoiseKind,
    RoomOptions,
    add_noise,
    channel_filter,
    reverberate,
    set_level,
    telephone_band,
)
from voicegmm.synthesis.g711 import LAWS, Law, g711

_LINE_RATE = 8000
_LINE_DB = -26.0  # the nominal level of a digital line (ITU-T P.56 practice)


@dataclass(frozen=True)
class ConditionOptions:
    """What is drawn for each recording, evenly from each range.

    Parameters
    ----------
    noises : tuple of {"white", "pink", "babble", "hum"}
    snr_db : (float, float)
        Speech over noise, both over the whole recording.
    rt60_seconds : (float, float)
        Reverberation time, above 0.
    direct_db : (float, float)
        Direct over reverberant sound.
    level_db : (float, float)
        RMS of what comes out, relative to full scale.
    telephone : float
        Share of the recordings that pass a telephone line: its band, 8 kHz, G.711 by either law.
    """

    noises: tuple[NoiseKind, ...] = NOISE_KINDS
    snr_db: tuple[float, float] = (5.0, 20.0)
    rt60_seconds: tuple[float, float] = (0.15, 0.6)
    direct_db: tuple[float, float] = (0.0, 9.0)
    level_db: tuple[float, float] = (-40.0, -22.0)
    telephone: float = 0.5

    def __post_init__(self) -> None:
        if not self.noises:
            raise OptionError("noises must name one kind at least")
        for kind in self.noises:
            one_of("noises", kind, NOISE_KINDS)
        limits = {
            "snr_db": (-40.0, 100.0),
            "rt60_seconds": (0.01, 10.0),
            "direct_db": (-40.0, 80.0),
            "level_db": (-80.0, -10.0),
        }
        for name, (low, high) in limits.items():
            for value in getattr(self, name):
                within(name, value, low, high)
        within("telephone", self.telephone, 0.0, 1.0)


def degraded(
    samples: FloatArray,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    options: ConditionOptions = ConditionOptions(),
) -> tuple[Float32Array, dict[str, float | str]]:
    """Degrade a recording: a room, noise in it, a microphone, perhaps a telephone line, a level.

    Parameters
    ----------
    samples : (n_samples,) float array
        Not silent.
    rng : numpy.random.Generator
        The lot.
    sample_rate : int
        Hz.
    options : ConditionOptions

    Returns
    -------
    samples : (n_samples,) float32 array
        At the same rate and within full scale.
    drawn : dict
        What was drawn, by the names of the options.
    """
    kind = options.noises[rng.integers(len(options.noises))]
    snr, rt60, direct, level = (
        float(rng.uniform(*limits))
        for limits in (options.snr_db, options.rt60_seconds, options.direct_db, options.level_db)
    )
    law = LAWS[rng.integers(len(LAWS))] if rng.random() < options.telephone else None
    wet = reverberate(samples, rt60, rng, sample_rate, RoomOptions(direct))
    noisy = add_noise(wet, snr, kind, rng, sample_rate)
    heard = channel_filter(noisy, rng, sample_rate)
    if law:
        heard = _telephone(heard, law, sample_rate)
    result = np.clip(set_level(heard, level), -1.0, 1.0)
    drawn = {"noise": kind, "snr_db": snr, "rt60_seconds": rt60, "direct_db": direct}
    return result, {**drawn, "level_db": level, "telephone": law or ""}


def _telephone(samples: Float32Array, law: Law, sample_rate: int) -> Float32Array:
    import soxr

    band = set_level(telephone_band(samples, sample_rate), _LINE_DB)
    line = soxr.resample(band, sample_rate, _LINE_RATE)
    back = soxr.resample(g711(line, law), _LINE_RATE, sample_rate)
    fitted = np.zeros(len(samples), np.float32)
    n = min(len(samples), len(back))
    fitted[:n] = back[:n]
    return fitted
