"""Reading: every good file gives its samples, every bad one its reason."""

import os
import struct

import numpy as np
import pytest
import soundfile
import soxr

from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.audio import Recording, Signal, read_signal, resample


def tone(n_samples=4000, sample_rate=16000, hertz=440.0, amplitude=0.25):
    t = np.arange(n_samples) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


@pytest.fixture
def wav(tmp_path):
    """Give wav(bytes changed as {offset: bytes}) -> path of a 16-bit WAV of 4000 samples."""

    def make(changes=None, name="a.wav", keep=None):
        path = tmp_path / name
        soundfile.write(path, tone(), 16000, subtype="PCM_16", format="WAV")
        content = bytearray(path.read_bytes())
        assert content[36:40] == b"data"
        for at, new in (changes or {}).items():
            content[at : at + len(new)] = new
        path.write_bytes(content[:keep])
        return path

    return make


@pytest.mark.parametrize(
    ("ending", "subtype", "steps"),
    [
        ("wav", "PCM_U8", 128),
        ("wav", "PCM_16", 2**15),
        ("wav", "PCM_24", 2**23),
        ("wav", "PCM_32", 2**24),
        ("wav", "FLOAT", 2**24),
        ("wav", "DOUBLE", 2**24),
        ("flac", "PCM_16", 2**15),
        ("flac", "PCM_24", 2**23),
        ("aiff", "PCM_16", 2**15),
        ("au", "PCM_16", 2**15),
        ("w64", "PCM_16", 2**15),
        ("rf64", "PCM_16", 2**15),
        ("caf", "PCM_16", 2**15),
    ],
)
def test_each_coding_gives_the_samples_to_its_own_precision(tmp_path, ending, subtype, steps):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(), 16000, subtype=subtype)
    signal = read_signal(path)
    assert (signal.sample_rate, signal.source, signal.notes) == (16000, str(path), ())
    assert signal.samples.dtype == np.float32
    np.testing.assert_allclose(signal.samples, tone(), atol=1.01 / steps)


def test_sixteen_bits_are_fractions_of_32768_exactly(tmp_path):
    numbers = np.array([0, 1, -1, 12345, -32768, 32767], dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", numbers, 16000)
    np.testing.assert_array_equal(read_signal(tmp_path / "a.wav").samples * 32768, numbers)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_each_rate_is_read_and_brought_to_16_khz(tmp_path, sample_rate):
    path = tmp_path / "a.wav"
    samples = tone(sample_rate, sample_rate)
    soundfile.write(path, samples, sample_rate, subtype="FLOAT")
    assert len(read_signal(path).samples) == sample_rate
    signal = read_signal(path, 16000)
    assert signal.sample_rate == 16000
    assert len(signal.samples) == 16000
    # Away from the ends, where the filter sees what is not there, the tone is the same tone.
    np.testing.assert_allclose(signal.samples[500:-500], tone(16000)[500:-500], atol=2e-4)
    assert (signal.notes != ()) == (sample_rate < 16000)


def test_resampling_in_blocks_is_resampling(tmp_path):
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 700_001).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 44100, subtype="FLOAT")
    whole = soxr.resample(samples, 44100, 16000, quality="HQ")
    np.testing.assert_array_equal(read_signal(tmp_path / "a.wav", 16000).samples, whole)
    np.testing.assert_array_equal(resample(Signal(samples, 44100), 16000).samples, whole)


def test_a_lower_rate_is_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(8000, 8000), 8000)
    note = "sampled at 8000 Hz, below the 16000 Hz of the features: its upper band is empty"
    assert read_signal(tmp_path / "a.wav", 16000).notes == (note,)
    assert resample(read_signal(tmp_path / "a.wav"), 16000).notes == (note,)


def test_channels_are_averaged_and_told(tmp_path):
    channels = np.stack([tone(), -tone(), tone(hertz=1000.0)], axis=1)
    soundfile.write(tmp_path / "a.wav", channels, 16000, subtype="FLOAT")
    signal = read_signal(tmp_path / "a.wav")
    np.testing.assert_allclose(signal.samples, channels.mean(axis=1), atol=1e-7)
    assert signal.notes == ("3 channels averaged",)


@pytest.mark.parametrize("name", ["with space.wav", "Zoë Ümlaut.wav", "声.wav", "no ending"])
def test_names_are_only_names(wav, name):
    assert len(read_signal(wav(name=name)).samples) == 4000


def test_a_name_that_is_not_utf8_is_only_a_name(wav, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    wav().rename(path)
    assert len(read_signal(path).samples) == 4000


def test_a_long_file_is_read_over_many_blocks(tmp_path):
    samples = np.random.default_rng(2).integers(-9999, 9999, 600_007).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 16000)
    np.testing.assert_array_equal(read_signal(tmp_path / "a.flac").samples * 32768, samples)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_clipping_is_told_with_its_share(tmp_path, subtype):
    samples = tone(16000)
    samples[1000:1080] = 1.0
    samples[2000:2040] = -1.0
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype=subtype)
    # On the file's own samples: after resampling none stands at full scale.
    for rate in (None, 8000):
        notes = read_signal(tmp_path / "a.wav", rate).notes
        assert notes == ("clipped: 0.8 % of the samples stand at full scale",)


def test_touching_full_scale_now_and_then_is_no_clipping(tmp_path):
    samples = tone(16000)
    samples[::100] = 1.0
    samples[1::100] = 1.0
    samples[5000:5016] = 1.0
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    assert read_signal(tmp_path / "a.wav").notes == ()


def test_peaks_above_full_scale_are_kept_and_told(tmp_path):
    samples = tone(amplitude=1.0) * np.float32(1.5)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    signal = read_signal(tmp_path / "a.wav")
    np.testing.assert_array_equal(signal.samples, samples)
    assert "peaks at 1.50 times full scale" in signal.notes
    soundfile.write(tmp_path / "a.wav", samples * 32768, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="times full scale; float samples must lie between"):
        read_signal(tmp_path / "a.wav")


def refusal(path, **options):
    with pytest.raises(AudioError) as caught:
        read_signal(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return caught.value.status, message


def test_what_is_no_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.wav")[1]
    assert "is a folder" in refusal(tmp_path)[1]
    (tmp_path / "nothing.wav").write_bytes(b"")
    assert refusal(tmp_path / "nothing.wav")[0] == "unreadable"
    assert "is empty (0 bytes)" in refusal(tmp_path / "nothing.wav")[1]
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in refusal(tmp_path / "pipe.wav")[1]


@pytest.mark.parametrize("name", ["text.wav", "text.raw", "text.txt", "text.flac"])
def test_text_is_not_audio(tmp_path, name):
    (tmp_path / name).write_text("not a recording\n" * 50)
    status, message = refusal(tmp_path / name)
    assert status == "unreadable"
    assert "is not audio that can be read" in message
    assert "convert it to WAV or FLAC" in message


@pytest.mark.parametrize(
    ("bad", "seconds"), [(np.nan, "0.125"), (np.inf, "0.125"), (-np.inf, "0.125")]
)
def test_a_sample_that_is_no_number_is_found(tmp_path, bad, seconds):
    samples = tone()
    samples[2000] = bad
    samples[3000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    assert f"the first at {seconds} s" in refusal(tmp_path / "a.wav")[1]


@pytest.mark.parametrize(
    "format_and_subtype",
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "IMA_ADPCM"),
        ("WAVEX", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("NIST", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("CAF", "PCM_16"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused(tmp_path, format_and_subtype, share):
    kind, subtype = format_and_subtype
    path = tmp_path / "a"
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, 20_000)
    soundfile.write(path, noise, 16000, format=kind, subtype=subtype)
    assert len(read_signal(path).samples) >= 20_000
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert refusal(path)[0] == "unreadable"


def test_a_cut_off_wav_says_so(wav):
    _, message = refusal(wav(keep=5000))
    assert "truncated: its header promises 8000 bytes of sound, the file holds 4956" in message


def test_one_byte_less_is_less(wav):
    assert "truncated" in refusal(wav(keep=44 + 7999))[1]
    assert len(read_signal(wav(keep=44 + 8000)).samples) == 4000


def test_a_big_endian_wav_is_measured_too(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16000, format="WAV", endian="BIG")
    assert path.read_bytes()[:4] == b"RIFX"
    assert len(read_signal(path).samples) == 4000
    path.write_bytes(path.read_bytes()[:5000])
    assert "truncated" in refusal(path)[1]


@pytest.mark.parametrize("whole", [0, 36, 8036, 0xFFFFFFFF])
@pytest.mark.parametrize("sound", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_stream_that_does_not_know_its_length_is_read(wav, whole, sound):
    path = wav({4: struct.pack("<I", whole), 40: struct.pack("<I", sound)})
    np.testing.assert_allclose(read_signal(path).samples, tone(), atol=1 / 32768)


def test_a_wav_without_sound_is_too_short_whatever_follows(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 16000)
    assert refusal(path)[0] == "too short"
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert refusal(path)[0] == "too short"


def flac_with_length(path, n_samples):
    """Write a FLAC whose header claims another number of samples (36 bits from byte 21)."""
    soundfile.write(path, tone(), 16000, format="FLAC")
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | n_samples >> 32
    content[22:26] = struct.pack(">I", n_samples & 0xFFFFFFFF)
    path.write_bytes(content)
    return path


def test_a_flac_from_a_pipe_is_read(tmp_path):
    path = flac_with_length(tmp_path / "a.flac", 0)
    np.testing.assert_allclose(read_signal(path).samples, tone(), atol=1 / 32768)


@pytest.mark.parametrize("claimed", [4001, 100_000, 2**36 - 1])
def test_a_flac_that_promises_more_is_refused(tmp_path, claimed):
    assert refusal(flac_with_length(tmp_path / "a.flac", claimed))[0] == "unreadable"


def test_a_damaged_flac_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(4).uniform(-1, 1, 50_000), 16000)
    content = bytearray(path.read_bytes())
    content[50_000:50_200] = bytes(200)
    path.write_bytes(content)
    assert "damaged or truncated" in refusal(path)[1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({24: struct.pack("<I", 999)}, "999 samples a second, outside 1000 to 768000"),
        ({24: struct.pack("<I", 10**9)}, "1000000000 samples a second"),
        ({24: struct.pack("<I", 0)}, "is not audio that can be read"),
        ({22: struct.pack("<H", 65)}, "65 channels, more than 64"),
        ({22: struct.pack("<H", 0)}, "is not audio that can be read"),
    ],
)
def test_an_absurd_header_is_refused(wav, changes, reason):
    status, message = refusal(wav(changes))
    assert status == "unreadable"
    assert reason in message


def test_a_rate_nobody_has_is_refused_before_the_file_is_opened():
    with pytest.raises(OptionError, match="sample_rate must be between 1000 and 768000, got 16"):
        read_signal("nowhere.wav", 16)


def test_one_sample_is_a_signal_and_none_after_resampling_is_too_short(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1), 96000)
    assert len(read_signal(tmp_path / "a.wav").samples) == 1
    assert refusal(tmp_path / "a.wav", sample_rate=1000)[0] == "too short"


def test_a_signal_is_checked_and_cannot_be_written():
    with pytest.raises(DataError, match=r"number 2 \(counting from 0\) is not"):
        Signal(np.array([0, 0, np.nan, 0], dtype=np.float32), 16000)
    with pytest.raises(DataError, match="one axis"):
        Signal(np.zeros((4, 2), dtype=np.float32), 16000)
    with pytest.raises(OptionError, match="sample_rate must be between"):
        Signal(np.zeros(4, dtype=np.float32), 16)
    signal = Signal(np.zeros(4000, dtype=np.float32), 16000)
    assert signal.seconds == 0.25
    with pytest.raises(ValueError, match="read-only"):
        signal.samples[0] = 1


def test_a_recording_of_the_corpus_is_read_to_its_own_length(shared):
    signal = read_signal(shared("oracles/htk/test.wav"))
    assert (len(signal.samples), signal.sample_rate, signal.notes) == (23001, 16000, ())


def test_channels_that_cancel_are_refused_and_one_can_be_chosen(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(), -tone()], axis=1), 16000)
    status, message = refusal(path)
    assert status == "unreadable"
    assert "its 2 channels cancel each other when they are averaged" in message
    for channel, sign in ((1, 1), (2, -1)):
        signal = read_signal(path, channel=channel)
        np.testing.assert_allclose(signal.samples, sign * tone(), atol=1 / 32768)
        assert signal.notes == (f"channel {channel} of 2",)
    with pytest.raises(AudioError, match="has 2 channels, and channel 3 was asked for"):
        read_signal(path, channel=3)
    soundfile.write(path, tone(), 16000)
    with pytest.raises(AudioError, match="has 1 channel, and channel 2 was asked for"):
        read_signal(path, channel=2)
    assert read_signal(path, channel=1).notes == ()
    with pytest.raises(OptionError, match="channel must be between 0 and 64, got -1"):
        read_signal(path, channel=-1)


def test_channels_that_differ_otherwise_are_averaged(tmp_path):
    """One is dead, all are silent, their offsets are opposite, 64 know nothing of each other."""
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(5).uniform(-0.5, 0.5, (4000, 64))
    dead = np.stack([tone(), np.zeros(4000)], axis=1)
    offsets = np.stack([tone() / 100 + 0.5, tone() / 100 - 0.5], axis=1)
    for channels in (dead, np.zeros((4000, 2)), offsets, noise):
        soundfile.write(path, channels, 16000, subtype="FLOAT")
        samples = read_signal(path).samples
        np.testing.assert_allclose(samples, channels.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("n_held", [0, 200_000, 10**6])
def test_blocks_are_the_signal_as_often_as_they_are_asked_for(tmp_path, n_held):
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(6).uniform(-1, 1, (700_000, 2))
    noise[:1000] = 1.0
    soundfile.write(path, noise, 44100)
    whole = read_signal(path, 16000)
    recording = Recording(path, 16000, n_held=n_held)
    for _ in range(2):
        blocks = list(recording.blocks())
        assert len(blocks) > 2
        np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
        assert recording.notes == whole.notes
    path.unlink()
    if n_held == 10**6:
        assert len(list(recording.blocks())) == len(blocks)
    else:
        with pytest.raises(AudioError, match="no such file"):
            next(recording.blocks())
    long = Signal(np.arange(5_000_000), 16000)
    assert len(list(long.blocks())) == 2
    np.testing.assert_array_equal(np.concatenate(list(long.blocks())), long.samples)
