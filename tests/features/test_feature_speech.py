"""Speech detection: what must pass, what must never pass, and what is said about it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.features import SpeechOptions, StaticOptions, detection_energy, speech_weights
from voicegmm.features.speech import kaldi_rule
from voicegmm.features.speech.energy import energy_odds
from voicegmm.features.speech.voting import passed

RATE = 16000


def weights(samples, options=None, rate=RATE):
    energy = detection_energy(np.asarray(samples, dtype=np.float32), rate)
    n_window = int(0.025 * rate)
    return speech_weights(energy, n_window, 0.01, options, "a.wav")


def energy_rule(level, hop_seconds, options):
    return passed(energy_odds(level, hop_seconds, options), options)


def bursts(seed=0, quiet=0.001, loud=0.1):
    """Half a second each of quiet and loud noise, three times."""
    noise = np.random.default_rng(seed).standard_normal(3 * RATE)
    return noise * np.tile(np.repeat([quiet, loud], RATE // 2), 3)


def refused(samples, options=None, rate=RATE):
    with pytest.raises(AudioError, match=r"^a\.wav: no speech found: ") as caught:
        weights(samples, options, rate)
    assert caught.value.status == "no speech"
    return str(caught.value)


def test_the_loud_parts_pass():
    result = weights(bursts())
    assert set(result) == {0.0, 1.0}
    loud = np.tile(np.repeat([0, 1], 50), 3)[: len(result)]
    # Frames that reach over a change of loudness may go either way.
    changes = np.abs(np.diff(loud, prepend=0)) > 0
    sure = ~np.convolve(changes, np.ones(7), mode="same").astype(bool)
    np.testing.assert_array_equal(result[sure], loud[sure])


@given(st.floats(0.1, 5), st.floats(-0.5, 0.5))
def test_loudness_and_offset_do_not_matter(gain, offset):
    samples = bursts() * gain + offset
    np.testing.assert_array_equal(weights(samples), weights(bursts()))


def test_range_is_in_db():
    # 40 dB lie between the parts.
    assert weights(bursts(), SpeechOptions(range_db=35)).mean() < 0.6
    assert weights(bursts(), SpeechOptions(range_db=45, rise=0)).mean() == 1


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE),
        np.full(RATE, 0.5),
        np.full(RATE, 1e-30),
        np.concatenate([np.zeros(RATE), np.full(RATE, 0.7)]),
        np.random.default_rng(1).integers(-1, 2, RATE) / 32768,
        np.eye(1, RATE, 5000)[0],
    ],
    ids=["zeros", "offset", "tiny", "a step of offset", "last bit", "an impulse"],
)
def test_silence_in_all_its_forms_has_no_speech(samples):
    refused(samples)
    refused(samples, SpeechOptions(min_range_db=0))


def test_the_silent_part_of_a_file_never_passes():
    samples = bursts()
    samples[RATE : 2 * RATE] = 0
    for options in (
        SpeechOptions(range_db=200),
        SpeechOptions(range_db=200, context_frames=100, proportion=0.01),
    ):
        inside = weights(samples, options)[103:197]
        assert not inside.any()


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("hertz", [30, 50, 60, 100, 440])
def test_a_hum_has_no_speech(rate, hertz):
    t = np.arange(2 * rate) / rate
    hum = sum(0.2 * np.sin(2 * np.pi * hertz * k * t + k) / k for k in (1, 2, 3))
    message = refused(hum, rate=rate)
    assert "as a steady noise or hum does" in message
    assert "lower speech.min_range_db (4)" in message
    # Digital silence around it makes it no livelier.
    refused(np.concatenate([np.zeros(rate), hum, np.zeros(rate)]), rate=rate)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_steady_noise_has_no_speech_unless_asked(rate):
    noise = 0.1 * np.random.default_rng(2).standard_normal(2 * rate)
    refused(noise, rate=rate)
    assert weights(noise, SpeechOptions(min_range_db=0, rise=0), rate).all()
    assert weights(noise, SpeechOptions("none"), rate).all()


def test_a_short_burst_is_not_enough():
    samples = bursts(loud=0.001)
    samples[8000:8400] = 0.1
    samples[8000:8400:2] *= -1
    assert "lower speech.min_speech_seconds (0.1)" in refused(
        samples, SpeechOptions(min_range_db=0)
    )
    kept = weights(samples, SpeechOptions(min_range_db=0, min_speech_seconds=0.03))
    assert 3 <= kept.sum() <= 5


def test_noise_between_words_is_kept_out_where_it_is_near_the_speech():
    rng = np.random.default_rng(3)
    speech = np.tile([True] * 30 + [False] * 20, 4)
    level = np.where(speech, -20.0, -38.0) + rng.uniform(-2, 2, len(speech))
    rise = SpeechOptions()
    np.testing.assert_array_equal(energy_rule(level, 0.01, rise), speech)
    assert energy_rule(level, 0.01, SpeechOptions(rise=0)).all()
    # Less than a second is a word cut out: its quiet frames are speech.
    assert energy_rule(level[:99], 0.01, rise).all()
    # Digital silence says nothing of the noise.
    silence = np.full(100, -200.0)
    padded = energy_rule(np.concatenate([silence, level]), 0.01, rise)
    np.testing.assert_array_equal(padded, np.concatenate([np.zeros(100, bool), speech]))


def test_context_is_a_vote():
    level = np.array([0, -50, 0, 0, 0, -50, -50, -50, 0, -50.0])
    options = SpeechOptions(context_frames=1, proportion=0.5)
    expected = [1, 1, 1, 1, 1, 0, 0, 0, 0, 1]
    np.testing.assert_array_equal(energy_rule(level, 0.01, options), expected)


@given(st.lists(st.floats(-16, 25), min_size=1, max_size=40), st.integers(0, 5), st.floats(0.01, 1))
def test_kaldis_rule_is_its_loop(energies, context, proportion):
    energies = np.array(energies)
    options = SpeechOptions("kaldi", context_frames=context, proportion=proportion)
    threshold = 5.5 + 0.5 * energies.mean()
    expected = []
    for t in range(len(energies)):
        around = energies[max(0, t - context) : t + context + 1]
        expected.append((around > threshold).sum() >= len(around) * proportion)
    np.testing.assert_array_equal(kaldi_rule(energies, options), expected)


def test_kaldis_rule_is_guarded_too():
    refused(np.zeros(RATE), SpeechOptions("kaldi"))
    assert weights(bursts(), SpeechOptions("kaldi")).mean() > 0.3


def test_the_detector_does_not_see_the_amplitude_of_the_features():
    samples = bursts().astype(np.float32)
    for changes in ({"amplitude": "unit"}, {"remove_dc": False}, {"preemphasis": 0.0}):
        np.testing.assert_allclose(
            detection_energy(samples, RATE, dataclasses.replace(StaticOptions(), **changes)),
            detection_energy(samples, RATE),
            rtol=1e-4,
        )


def test_energies_that_are_none():
    with pytest.raises(DataError, match="one finite number a frame"):
        speech_weights(np.array([1.0, np.nan]), 400, 0.01)
    with pytest.raises(DataError, match="one finite number a frame"):
        speech_weights(np.zeros((3, 2)), 400, 0.01)
    with pytest.raises(AudioError, match="too short") as caught:
        speech_weights(np.zeros(0), 400, 0.01)
    assert caught.value.status == "too short"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "energie"}, "did you mean 'energy'"),
        ({"range_db": 0.0}, "range_db must be between"),
        ({"floor_db": 3.0}, "floor_db must be between -200.0 and 0.0, got 3"),
        ({"threshold": float("nan")}, "threshold must be"),
        ({"mean_scale": -1.0}, "mean_scale must be"),
        ({"context_frames": -1}, "context_frames must be"),
        ({"proportion": 0.0}, "proportion must be"),
        ({"min_range_db": -1.0}, "min_range_db must be"),
        ({"min_speech_seconds": -1.0}, "min_speech_seconds must be"),
    ],
)
def test_options_are_checked(changes, reason):
    with pytest.raises(OptionError, match=reason):
        SpeechOptions(**changes)
