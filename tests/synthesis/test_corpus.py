import hashlib
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from voicegmm._base.errors import OptionError
from voicegmm.synthesis import ChannelOptions, CorpusOptions, write_corpus

SMALL = CorpusOptions(
    n_speakers=4,
    n_background=2,
    n_utterances=3,
    n_enrollment=2,
    shortest_seconds=0.6,
    longest_seconds=0.9,
)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, SMALL)
    return folder


def test_same_options_same_bytes(small, tmp_path):
    write_corpus(tmp_path, SMALL)
    assert digests(tmp_path) == digests(small)


def test_another_seed_gives_other_recordings_and_the_same_lists(small, tmp_path):
    write_corpus(tmp_path, replace(SMALL, seed=1))
    first, second = digests(small), digests(tmp_path)
    assert first.keys() == second.keys()
    for name, digest in first.items():
        assert (digest == second[name]) == name.startswith("lists")


def test_a_recording_does_not_depend_on_how_many_others_there_are(small, tmp_path):
    write_corpus(
        tmp_path, replace(SMALL, n_speakers=2, n_background=1, n_utterances=2, n_enrollment=1)
    )
    whole, part = digests(small), digests(tmp_path)
    recordings = [name for name in part if name.endswith(".wav")]
    assert len(recordings) == 6
    assert all(part[name] == whole[name] for name in recordings)


def test_the_layout(small):
    recordings = sorted(str(p.relative_to(small / "wavs")) for p in small.rglob("*.wav"))
    assert recordings == [
        f"{voice}/{voice}_{number:02d}.wav"
        for voice in ("b001", "b002", "v001", "v002", "v003", "v004")
        for number in (1, 2, 3)
    ]
    ubm = (small / "lists/ubm.txt").read_text().splitlines()
    assert ubm == [name for name in recordings if name.startswith("b")]
    enrollment = (small / "lists/enrol.tsv").read_text().splitlines()
    assert enrollment[:3] == ["model\tfile", "v001\tv001/v001_01.wav", "v001\tv001/v001_02.wav"]
    assert len(enrollment) == 1 + 4 * 2
    assert (small / "lists/trials.txt").read_text().splitlines() == [
        "1 v001 v001/v001_03.wav",
        "0 v003 v001/v001_03.wav",
        "1 v002 v002/v002_03.wav",
        "0 v004 v002/v002_03.wav",
        "0 v001 v003/v003_03.wav",
        "1 v003 v003/v003_03.wav",
        "0 v002 v004/v004_03.wav",
        "1 v004 v004/v004_03.wav",
    ]
    assert not list(small.rglob(".*"))


def test_the_recordings(small):
    levels = []
    for path in small.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.subtype, info.samplerate, info.channels) == ("PCM_16", 16000, 1)
        assert 0.6 <= info.duration <= 0.9
        samples, _ = soundfile.read(path)
        assert np.max(np.abs(samples)) < 0.96
        levels.append(10.0 * np.log10(np.mean(samples**2)))
    # The quantizer moves a level by far less than 0.1 dB; only turning down can lower it.
    assert min(levels) > -36.0
    assert max(levels) < -21.9
    assert np.std(levels) > 1.0


def test_progress_counts_the_files(tmp_path):
    told = []
    write_corpus(tmp_path, SMALL, lambda done, total: told.append((done, total)))
    assert told == [(k, 18) for k in range(1, 19)]


def test_a_failure_leaves_no_half_file(tmp_path, monkeypatch):
    def broken(path, *_args, **_kwargs):
        path.write_bytes(b"RIFF")
        raise OSError("disk full")

    monkeypatch.setattr(soundfile, "write", broken)
    with pytest.raises(OSError, match="disk full"):
        write_corpus(tmp_path, SMALL)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_speakers": 1}, "n_speakers must be at least 2, got 1"),
        ({"n_enrollment": 8}, "n_enrollment must be between 1 and 7, got 8"),
        ({"longest_seconds": 1.0}, "longest_seconds must be at least 2.5, got 1.0"),
        ({"lowest_snr_db": 40.0}, "highest_snr_db must be at least 40.0"),
        ({"lowest_rt60_seconds": 0.0}, "lowest_rt60_seconds must be above 0"),
        ({"between_voices": -1.0}, "between_voices must be at least 0"),
    ],
)
def test_options_are_checked(changes, message):
    with pytest.raises(OptionError, match=message):
        CorpusOptions(**changes)


def test_without_any_room(tmp_path):
    options = CorpusOptions(
        n_speakers=2,
        n_background=1,
        n_utterances=2,
        n_enrollment=1,
        shortest_seconds=0.5,
        longest_seconds=0.5,
        lowest_rt60_seconds=0.0,
        highest_rt60_seconds=0.0,
        channel=ChannelOptions(tilt_db=0.0, peak_db=0.0),
    )
    write_corpus(tmp_path, options)
    assert len(list(tmp_path.rglob("*.wav"))) == 6
