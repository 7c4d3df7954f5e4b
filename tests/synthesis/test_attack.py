"""Replay attacks: described, seeded, and different from a genuine voice by what was described."""

import numpy as np
import pytest

from voicegmm._base.errors import OptionError
from voicegmm.synthesis import (
    Attack,
    AttackRanges,
    Place,
    draw_attack,
    draw_place,
    draw_voice,
    heard,
    speak,
)

RATE = 16000


@pytest.fixture(scope="module")
def voice():
    rng = np.random.default_rng(0)
    return speak(draw_voice(rng), rng, seconds=2.0, sample_rate=RATE).samples


def loud(samples, low, high):
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return 10 * np.log10(power[(hertz >= low) & (hertz < high)].mean())


def test_what_is_drawn_lies_in_its_range_and_hangs_on_the_seed():
    ranges = AttackRanges()
    for seed in range(20):
        place, attack = (
            draw(np.random.default_rng(seed), ranges) for draw in (draw_place, draw_attack)
        )
        for one, prefix in ((place, ""), (attack.place, "stolen_")):
            for name in ("rt60_seconds", "direct_db", "snr_db"):
                low, high = getattr(ranges, prefix + name)
                assert low <= getattr(one, name) <= high
        for name in ("low_hertz", "high_hertz", "distortion"):
            low, high = getattr(ranges, name)
            assert low <= getattr(attack, name) <= high
        assert draw_attack(np.random.default_rng(seed), ranges) == attack
    with pytest.raises(OptionError, match="snr_db must rise, got 30 to 20"):
        AttackRanges(snr_db=(30, 20))
    with pytest.raises(OptionError, match="stolen_rt60_seconds must be at least"):
        AttackRanges(stolen_rt60_seconds=(0, 1))


def test_a_place_is_the_same_for_all_and_only_the_noise_is_the_recordings_own(voice):
    still = Place(5, 0.3, 6.0, 200.0)
    one, other = (heard(voice, still, np.random.default_rng(seed), RATE) for seed in (1, 2))
    np.testing.assert_allclose(one, other, atol=1e-5)
    elsewhere = heard(voice, Place(6, 0.3, 6.0, 200.0), np.random.default_rng(1), RATE)
    assert np.abs(one - elsewhere).max() > 0.01
    noisy = Place(5, 0.3, 6.0, 20.0)
    noisy = [heard(voice, noisy, np.random.default_rng(seed), RATE) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert np.abs(noisy[0] - noisy[2]).max() > 1e-3


def test_a_loudspeaker_takes_the_bass_and_the_level_tells_nothing(voice):
    dry = Place(1, 0.05, 60.0, 100.0)
    genuine = heard(voice, dry, np.random.default_rng(0), RATE)
    attack = Attack(dry, 500.0, 4000.0, 0.0)
    played = heard(voice, dry, np.random.default_rng(0), RATE, attack)
    for low, high in ((80, 250), (5500, 7500)):
        assert loud(played, low, high) < loud(genuine, low, high) - 10
    for sound in (genuine, played):
        assert len(sound) == len(voice)
        assert 10 * np.log10(np.mean(sound.astype(float) ** 2)) == pytest.approx(-26, abs=0.2)
