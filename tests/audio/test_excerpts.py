"""Parts of recordings, and what is measured of them."""

import hashlib
import math

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import AudioError, OptionError
from voicegmm.audio import Excerpt, Recording, measure, read_signal

RATE = 8000


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).uniform(-0.5, 0.5, (4 * RATE, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def written(noise, tmp_path_factory):
    """The same sound in several containers, among them a FLAC that does not say how long it is."""
    folder = tmp_path_factory.mktemp("excerpts")
    for name, subtype in (("a.wav", "FLOAT"), ("a.flac", "PCM_24"), ("a.sph", "PCM_16")):
        form = "NIST" if name == "a.sph" else None
        soundfile.write(folder / name, noise, RATE, subtype=subtype, format=form)
    piped = bytearray((folder / "a.flac").read_bytes())
    # STREAMINFO: 36 bits of the number of samples stand from bit 172 of the file on.
    piped[21] &= 0xF0
    piped[22:26] = bytes(4)
    (folder / "piped.flac").write_bytes(piped)
    return folder


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "piped.flac", "a.sph"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4 * RATE - 2), st.integers(1, 4 * RATE), st.integers(0, 2))
def test_a_part_is_cut_by_samples(written, noise, name, start, length, channel):
    stop = min(start + length, 4 * RATE)
    part = read_signal(written / name, None, channel, start / RATE, stop / RATE)
    whole = noise.mean(axis=1) if channel == 0 else noise[:, channel - 1]
    exact = whole[start:stop]
    tolerance = {"a.wav": 0, "a.sph": 2**-15}.get(name, 2**-23)
    assert part.samples.shape == exact.shape
    np.testing.assert_allclose(part.samples, exact, rtol=1e-6, atol=tolerance)


def test_a_part_is_resampled_as_if_it_were_a_file(written, noise, tmp_path):
    soundfile.write(tmp_path / "part.wav", noise[1000:9000], RATE, subtype="FLOAT")
    alone = read_signal(tmp_path / "part.wav", 16000)
    part = read_signal(written / "a.wav", 16000, start_seconds=1000 / RATE, end_seconds=9000 / RATE)
    np.testing.assert_array_equal(part.samples, alone.samples)
    again = Recording(written / "a.wav", 16000, 1 << 20, Excerpt(1000 / RATE, 9000 / RATE))
    for _ in range(2):  # read, then held
        np.testing.assert_array_equal(np.concatenate(list(again.blocks())), alone.samples)


@pytest.mark.parametrize("name", ["a.wav", "piped.flac"])
def test_a_rounded_end_is_the_end_and_a_far_one_is_refused(written, name):
    assert len(read_signal(written / name, end_seconds=4.4).samples) == 4 * RATE
    for start, end in ((4.0, 5.0), (9.0, math.inf), (1.0, 4.6)):
        with pytest.raises(AudioError, match="the part from .* is not within"):
            read_signal(written / name, start_seconds=start, end_seconds=end)


def test_a_part_without_a_sample_is_too_short(written):
    with pytest.raises(AudioError, match="holds no samples") as raised:
        read_signal(written / "a.wav", start_seconds=1.0, end_seconds=1.00001)
    assert raised.value.status == "too short"


def test_a_part_of_a_truncated_file(written, tmp_path):
    whole = (written / "a.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    assert len(read_signal(tmp_path / "cut.flac", end_seconds=0.5).samples) == RATE // 2
    for start in (1.0, 3.5):
        with pytest.raises(AudioError, match="truncated"):
            read_signal(tmp_path / "cut.flac", start_seconds=start)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1.0,), "start_seconds must be at least 0, got -1"),
        ((2.0, 2.0), r"end_seconds must be greater than start_seconds \(2\), got 2"),
        ((math.nan,), "start_seconds must be at least 0, got nan"),
        ((0.0, math.nan), "end_seconds must be greater"),
        ((0.0, 1.0, 65), "channel must be between 0 and 64, got 65"),
    ],
)
def test_a_part_that_cannot_be_is_refused(values, message):
    with pytest.raises(OptionError, match=message):
        Excerpt(*values)


def test_a_part_says_what_it_is():
    assert str(Excerpt(1.5, 3)) == "the part from 1.5 to 3 s"
    assert str(Excerpt(1.5, channel=2)) == "the part from 1.5 to the end of channel 2"


def test_measures_are_those_of_the_samples(written, noise):
    found = measure(written / "a.wav", Excerpt(0.5, 1.5, 2))
    exact = noise[RATE // 2 : 3 * RATE // 2, 1]
    assert (found.seconds, found.sample_rate, found.n_channels) == (1.0, RATE, 2)
    assert found.level_db == pytest.approx(
        20 * np.log10(np.sqrt(np.mean(exact.astype(float) ** 2)))
    )
    assert found.peak == np.abs(noise[RATE // 2 : 3 * RATE // 2]).max()
    assert found.samples_hash == hashlib.sha256(exact.tobytes()).hexdigest()
    assert not found.clipped


def test_measures_of_one_sound_are_the_same_in_wav_and_flac(noise, tmp_path):
    whole = np.round(noise[:, 0] * 2**15).astype(np.int16)
    whole[100:200] = 32767
    for name in ("a.wav", "a.flac", "a.sph"):
        form = "NIST" if name == "a.sph" else None
        soundfile.write(tmp_path / name, whole, RATE, format=form, subtype="PCM_16")
    one, other, third = (measure(tmp_path / name) for name in ("a.wav", "a.flac", "a.sph"))
    assert one == other == third
    assert one.clipped
    assert one.clipped_share == 100 / len(whole)


def test_silence_has_no_level(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), RATE)
    assert measure(tmp_path / "a.wav").level_db == -math.inf
