from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.synthesis import (
    NOISE_KINDS,
    ChannelOptions,
    NoiseOptions,
    ReplayOptions,
    RoomOptions,
    add_noise,
    band_pass,
    channel_filter,
    draw_voice,
    make_noise,
    replay,
    reverberate,
    room_response,
    set_level,
    speak,
    telephone_band,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def decibels(ratio):
    return 10.0 * np.log10(ratio)


@pytest.fixture(scope="module")
def speech():
    return speak(draw_voice(rng(3)), rng(4), seconds=1.5).samples


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("snr_db", [-5.0, 20.0])
def test_the_noise_is_as_far_below_as_asked(speech, kind, snr_db):
    noisy = add_noise(speech, snr_db, kind, rng())
    assert noisy.dtype == np.float32
    noise = noisy.astype(float) - speech
    assert decibels(np.mean(speech.astype(float) ** 2) / np.mean(noise**2)) == pytest.approx(
        snr_db, abs=0.01
    )
    np.testing.assert_array_equal(noisy, add_noise(speech, snr_db, kind, rng()))


def test_colors_of_noise():
    def bands(kind):
        power = np.abs(np.fft.rfft(make_noise(2**17, kind, rng()))) ** 2
        hertz = np.fft.rfftfreq(2**17, 1 / 16000)
        edges = 100.0 * 2.0 ** np.arange(7)
        return decibels(
            np.array(
                [power[(hertz >= low) & (hertz < high)].mean() for low, high in pairwise(edges)]
            )
        )

    # Each band mean has hundreds of bins or more: its standard error is below 0.2 dB.
    np.testing.assert_allclose(np.diff(bands("white")), 0.0, atol=0.6)
    np.testing.assert_allclose(np.diff(bands("pink")), -decibels(2.0), atol=0.6)


def test_hum_sits_on_its_harmonics():
    noise = make_noise(16000, "hum", rng(), options=NoiseOptions(hum_hertz=60.0, n_harmonics=3))
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert np.flatnonzero(power > 1e-6 * power.max()).tolist() == [60, 120, 180]
    assert power[60] / power[180] == pytest.approx(9.0, rel=1e-6)


@given(rms_db=st.floats(-60.0, 0.0), seed=st.integers(0, 99))
def test_level(rms_db, seed):
    scaled = set_level(rng(seed).standard_normal(500), rms_db)
    assert decibels(np.mean(scaled.astype(float) ** 2)) == pytest.approx(rms_db, abs=1e-4)


@pytest.mark.parametrize("rt60", [0.2, 0.5, 1.2])
def test_reverberation_time_by_schroeder_integration(rt60):
    response = room_response(rt60, rng(), options=RoomOptions(direct_to_reverberant_db=-10.0))
    decay = decibels(np.cumsum(response[::-1] ** 2)[::-1])
    decay -= decay[0]
    # T30 of ISO 3382: a line from -5 to -35 dB, extrapolated to 60 dB.
    used = np.flatnonzero((decay < -5.0) & (decay > -35.0))
    slope = np.polyfit(used / 16000.0, decay[used], 1)[0]
    assert -60.0 / slope == pytest.approx(rt60, rel=0.06)


def test_the_direct_sound():
    response = room_response(0.4, rng(), options=RoomOptions(8.0, gap_seconds=0.01))
    assert response[0] == 1.0
    assert not response[1:160].any()
    assert decibels(1.0 / np.sum(response[1:] ** 2)) == pytest.approx(8.0, abs=1e-9)


def test_a_click_in_a_room_is_the_response():
    click = np.zeros(20000)
    click[100] = 0.5
    wet = reverberate(click, 0.3, rng())
    response = room_response(0.3, rng())
    expected = np.zeros(20000)
    expected[100 : 100 + response.size] = 0.5 * response
    np.testing.assert_allclose(wet, expected, atol=1e-7)


def gain_db(process, hertz, sample_rate=16000):
    tone = np.sin(2.0 * np.pi * hertz * np.arange(sample_rate) / sample_rate)
    out = process(tone).astype(float)[2000:-2000]
    return decibels(np.mean(out**2) / np.mean(tone[2000:-2000] ** 2))


def test_telephone_band():
    assert gain_db(telephone_band, 300.0) == pytest.approx(-3.01, abs=0.05)
    assert gain_db(telephone_band, 3400.0) == pytest.approx(-3.01, abs=0.05)
    assert gain_db(telephone_band, 1000.0) == pytest.approx(0.0, abs=0.01)
    # Order 8: 48 dB an octave.
    assert gain_db(telephone_band, 150.0) == pytest.approx(-48.2, abs=0.3)
    assert gain_db(telephone_band, 6800.0) == pytest.approx(-48.2, abs=0.3)


def test_a_channel_is_mild_drawn_and_linear(speech):
    gains = np.array(
        [
            [
                gain_db(lambda x, s=seed: channel_filter(x, rng(s)), hertz)
                for hertz in (300, 2000, 7000)
            ]
            for seed in range(40)
        ]
    )
    assert np.abs(gains).max() < 15.0
    spread = gains.std(axis=0)
    assert np.all((spread > 0.4) & (spread < 4.0))
    flat = ChannelOptions(tilt_db=0.0, peak_db=0.0)
    np.testing.assert_allclose(channel_filter(speech, rng(), options=flat), speech, atol=1e-6)
    twice = channel_filter(2.0 * speech, rng(5))
    np.testing.assert_allclose(twice, 2.0 * channel_filter(speech, rng(5)), atol=1e-6)


def test_replay_keeps_level_narrows_and_distorts(speech):
    heard = replay(speech, rng())
    assert np.mean(heard.astype(float) ** 2) == pytest.approx(
        np.mean(speech.astype(float) ** 2), rel=1e-4
    )
    # A dry room and a tone: what is left are the tone and its harmonics, as strong as promised.
    tone = 0.3 * np.sin(2.0 * np.pi * 1000.0 * np.arange(16000) / 16000.0)
    tone *= np.minimum(1.0, np.minimum(np.arange(16000), np.arange(16000)[::-1]) / 2000.0)
    dry = ReplayOptions(distortion=0.1, rt60_seconds=0.01, room=RoomOptions(80.0))
    spectrum = np.abs(np.fft.rfft(replay(tone, rng(), options=dry)[4000:12000]))
    first, second, third = spectrum[[500, 1000, 1500]]
    # x^3 takes 3/4 of 2 d from the tone itself.
    assert second / first == pytest.approx(0.1 / 0.85, rel=0.05)
    assert third / first == pytest.approx(0.05 / 0.85, rel=0.05)
    assert gain_db(lambda x: band_pass(x, 200.0, 6500.0), 50.0) < -60.0


def test_silence_has_no_level():
    with pytest.raises(DataError, match="silence has no level"):
        set_level(np.zeros(10), -20.0)
    with pytest.raises(DataError, match="silence has no level"):
        add_noise(np.zeros(10), 10.0, "white", rng())
    with pytest.raises(DataError, match="finite"):
        set_level(np.array([1.0, np.nan]), -20.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_noise(10, "pinkish", rng()), "kind must be one of .*did you mean 'pink'"),
        (lambda: make_noise(0, "pink", rng()), "n_samples must be at least 1"),
        (lambda: room_response(0.0, rng()), "rt60_seconds must be greater than 0"),
        (lambda: NoiseOptions(n_voices=0), "n_voices must be at least 1"),
        (lambda: RoomOptions(gap_seconds=-1.0), "gap_seconds must be at least 0"),
        (lambda: ChannelOptions(peak_db=-1.0), "peak_db must be at least 0"),
        (lambda: ReplayOptions(high_hertz=100.0), "high_hertz must be greater than 200.0"),
        (lambda: band_pass(np.ones(9), 900.0, 300.0), "high_hertz must be greater than 900.0"),
    ],
)
def test_options_are_checked(make, message):
    with pytest.raises(OptionError, match=message):
        make()
