"""Replay attacks: a voice that is heard directly, and the same voice from a loudspeaker.

A genuine voice passes one room and one microphone, the system's. A replayed one passes two: the
attacker records it in a room of their own, and plays that through a loudspeaker in the system's.
Both end in the same noise and at the same level, so that nothing tells them apart but the second
room, the second microphone and the loudspeaker. (The design of ASVspoof 2019's physical access:
Wang et al., "ASVspoof 2019: a large-scale public database of synthesized, converted and replayed
speech", Computer Speech and Language 64, 2020.)
"""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import OptionError
from voicegmm.synthesis.degradation import (
    ReplayOptions,
    RoomOptions,
    add_noise,
    channel_filter,
    replay,
    reverberate,
    set_level,
)

_ROOM, _MICROPHONE = 0, 1  # branches of a place's seed
_LEVEL_DB = -26.0

Range = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """Where a voice is heard: a room and a microphone of its own.

    Parameters
    ----------
    seed : int
        The reflections and the microphone; the same for every recording made there.
    rt60_seconds : float
        Reverberation time, above 0.
    direct_db : float
        Direct over reverberant sound.
    snr_db : float
        Signal over the pink noise of the place.
    """

    seed: int
    rt60_seconds: float
    direct_db: float
    snr_db: float

    def generator(self, branch: int) -> np.random.Generator:
        """Start what draws the room (0) or the microphone (1)."""
        return np.random.default_rng([self.seed, branch])


@dataclass(frozen=True)
class Attack:
    """How a voice is stolen and played: the place where it is recorded, the loudspeaker.

    Parameters
    ----------
    place : Place
    low_hertz, high_hertz, distortion : float
        Of the loudspeaker, as in `ReplayOptions`.
    """

    place: Place
    low_hertz: float
    high_hertz: float
    distortion: float


@dataclass(frozen=True)
class AttackRanges:
    """What places and loudspeakers are drawn from, evenly.

    Parameters
    ----------
    rt60_seconds, direct_db, snr_db : (float, float)
        Of the system's places.
    stolen_rt60_seconds, stolen_direct_db, stolen_snr_db : (float, float)
        Of the attackers' places: a hidden recorder is near, or the room is quiet.
    low_hertz, high_hertz, distortion : (float, float)
        Of the loudspeakers: from a telephone's to a good one.
    """

    rt60_seconds: Range = (0.1, 0.5)
    direct_db: Range = (2.0, 12.0)
    snr_db: Range = (20.0, 35.0)
    stolen_rt60_seconds: Range = (0.1, 0.4)
    stolen_direct_db: Range = (4.0, 15.0)
    stolen_snr_db: Range = (25.0, 40.0)
    low_hertz: Range = (60.0, 400.0)
    high_hertz: Range = (4500.0, 7900.0)
    distortion: Range = (0.0, 0.08)

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            low, high = getattr(self, name)
            if not low <= high:
                raise OptionError(f"{name} must rise, got {low} to {high}")
        for name in ("rt60_seconds", "stolen_rt60_seconds", "low_hertz"):
            at_least(name, getattr(self, name)[0], 0.01)


def draw_place(rng: np.random.Generator, ranges: AttackRanges = AttackRanges()) -> Place:
    """Draw a place where a system hears voices."""
    return _place(rng, ranges.rt60_seconds, ranges.direct_db, ranges.snr_db)


def draw_attack(rng: np.random.Generator, ranges: AttackRanges = AttackRanges()) -> Attack:
    """Draw an attacker's recorder and loudspeaker."""
    place = _place(rng, ranges.stolen_rt60_seconds, ranges.stolen_direct_db, ranges.stolen_snr_db)
    return Attack(
        place,
        low_hertz=float(rng.uniform(*ranges.low_hertz)),
        high_hertz=float(rng.uniform(*ranges.high_hertz)),
        distortion=float(rng.uniform(*ranges.distortion)),
    )


def _place(rng: np.random.Generator, rt60: Range, direct: Range, snr: Range) -> Place:
    drawn = (float(rng.uniform(*limits)) for limits in (rt60, direct, snr))
    return Place(int(rng.integers(2**32)), *drawn)


def heard(
    samples: FloatArray,
    place: Place,
    rng: np.random.Generator,
    sample_rate: int = 16000,
    attack: Attack | None = None,
) -> Float32Array:
    """Let a voice be heard at a place: itself, or stolen and played there.

    Parameters
    ----------
    samples : (n_samples,) float array
        Not silent.
    place : Place
    rng : numpy.random.Generator
        The noise.
    sample_rate : int
        Hz.
    attack : Attack, optional
        None: a genuine voice.

    Returns
    -------
    (n_samples,) float32 array
        At -26 dB, within full scale.
    """
    room = place.generator(_ROOM)
    if attack is None:
        direct = RoomOptions(place.direct_db)
        sound = reverberate(samples, place.rt60_seconds, room, sample_rate, direct)
    else:
        stolen = heard(samples, attack.place, rng, sample_rate)
        loudspeaker = ReplayOptions(
            attack.low_hertz,
            attack.high_hertz,
            attack.distortion,
            place.rt60_seconds,
            RoomOptions(place.direct_db),
        )
        sound = replay(stolen, room, sample_rate, loudspeaker)
    noisy = add_noise(sound, place.snr_db, "pink", rng, sample_rate)
    recorded = channel_filter(noisy, place.generator(_MICROPHONE), sample_rate)
    return np.clip(set_level(recorded, _LEVEL_DB), -1.0, 1.0)
