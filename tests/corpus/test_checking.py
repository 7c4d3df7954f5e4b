"""A corpus with one of everything that can be wrong: all of it is told, and nothing else."""

import numpy as np
import pytest
import soundfile

from voicegmm._base.errors import OptionError
from voicegmm.audio import Excerpt
from voicegmm.corpus import (
    CheckOptions,
    Corpus,
    ProtocolFolder,
    Split,
    Utterance,
    check_corpus,
    read_corpus,
    write_utterances,
)

RATE = 16000


def noise(seed, seconds=0.6):
    samples = np.random.default_rng(seed).normal(0, 3000, int(RATE * seconds))
    return samples.astype(np.int16)


def write(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Four speakers with two good recordings each, and lists."""
    root = tmp_path_factory.mktemp("corpus")
    for number in range(8):
        write(root / f"s{number % 4}/ü {number}.wav", noise(number))
    return root


@pytest.fixture
def copy(sound, tmp_path):
    """The same, to be spoiled."""
    for path in sound.rglob("*.wav"):
        there = tmp_path / path.relative_to(sound)
        there.parent.mkdir(exist_ok=True)
        there.hardlink_to(path)
    return tmp_path


def told(check):
    return {(one.kind, one.name, one.serious): one.reason for one in check.problems}


def test_nothing_is_wrong(sound):
    for n_workers in (1, 2):
        check = check_corpus(read_corpus(sound), n_workers=n_workers)
        assert (check.ok, check.problems, len(check.measures)) == (True, (), 8)
    summary = check.summary()
    assert (summary["n_recordings"], summary["n_speakers"]) == (8, 4)
    assert summary["seconds"] == pytest.approx(4.8)
    assert summary["sample_rates"] == {"16000": 8}
    assert summary["recording_seconds"] == {"least": 0.6, "median": 0.6, "most": 0.6}
    level = 20 * np.log10(np.sqrt(np.mean(noise(0).astype(float) ** 2)) / 32768)
    assert summary["level_db"]["median"] == pytest.approx(level, abs=0.1)
    assert check.seconds_by_speaker()["s1"] == [0.6, 0.6]


def test_everything_that_is_wrong_is_told_at_once(copy):
    (copy / "s0/empty.wav").touch()
    (copy / "s0/broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEnonsense")
    soundfile.write(copy / "s0/none.wav", np.zeros(0), RATE)
    write(copy / "s0/zeros.wav", np.zeros(RATE, np.int16))
    write(copy / "s0/zeros too.wav", np.zeros(RATE, np.int16))  # silence has no twins
    write(copy / "s0/faint.wav", np.resize(np.int16([0, 1]), RATE))
    write(copy / "s1/short.wav", noise(20, 0.1))
    write(copy / "s1/clipped.wav", np.clip(noise(21).astype(int) * 30, -32768, 32767).astype("i2"))
    write(copy / "s1/narrow.wav", noise(22), 8000)
    write(copy / "s2/again.flac", noise(2))  # the sound of s2/ü 2.wav
    (copy / "s3/stolen.wav").write_bytes((copy / "s2/ü 6.wav").read_bytes())
    (copy / "s3/phone.m4a").touch()
    check = check_corpus(read_corpus(copy))
    assert not check.ok
    found = told(check)
    expected = {
        ("unreadable", "s0/empty.wav", True): "is empty",
        ("unreadable", "s0/broken.wav", True): "not audio that can be read",
        ("too short", "s0/none.wav", True): "holds no samples",
        ("silent", "s0/zeros.wav", True): "all zeros",
        ("silent", "s0/zeros too.wav", True): "all zeros",
        ("silent", "s0/faint.wav", True): "-93.3 dB of full scale",
        ("too short", "s1/short.wav", False): "0.100 s; at least 0.5 s were asked for",
        ("clipped", "s1/clipped.wav", False): "% of the samples stand at full scale",
        ("rates", "s1/narrow.wav", False): "8000 Hz, where most have 16000 Hz",
        ("duplicate", "s2/ü 2.wav", False): "the same sound, in another file, as s2/again.flac",
        ("duplicate", "s3/stolen.wav", True): "a copy of the file of s2/ü 6.wav, under another",
        ("not read", "*.m4a", False): "passed over, 1 in all",
    }
    assert found.keys() == expected.keys()
    for key, part in expected.items():
        assert part in found[key]


def test_a_list_may_name_what_is_not_there(copy):
    (copy / "list.txt").write_text("s0/ü 0.wav\ns9/gone.wav\n")
    check = check_corpus(read_corpus(copy / "list.txt"))
    assert [(one.kind, one.name) for one in check.problems] == [("missing", "s9/gone.wav")]
    assert "no such file" in check.problems[0].reason


def test_parts_of_recordings_are_looked_at_alone(copy):
    half = np.concatenate([noise(30), np.zeros(RATE, np.int16)])
    write(copy / "call.wav", half)
    path = copy / "call.wav"
    corpus = Corpus(
        copy,
        "list",
        (
            Utterance("voice", path, "a", Excerpt(0, 0.6)),
            Utterance("pause", path, "a", Excerpt(0.6, 1.6)),
            Utterance("twice", path, "b", Excerpt(0, 0.6)),
            Utterance("beyond", path, "b", Excerpt(5, 6)),
        ),
    )
    check = check_corpus(corpus)
    assert check.measures["voice"].seconds == pytest.approx(0.6)
    assert {key[:2] for key in told(check)} == {
        ("silent", "pause"), ("duplicate", "twice"), ("unreadable", "beyond"),
    }  # fmt: skip
    reason = told(check)["duplicate", "twice", True]
    assert reason.startswith("the part of the same file as voice, under another speaker (a)")


def test_sides_of_a_split_share_no_speaker_and_no_sound(copy):
    write(copy / "s3/same.flac", noise(0))
    corpus = read_corpus(copy)
    train = Split("train", ("s0/ü 0.wav", "s1/ü 1.wav", "s1/ü 5.wav"))
    test = Split("test", ("s1/ü 5.wav", "s3/same.flac", "s7/x.wav"))
    problems = [one for one in check_corpus(corpus, splits=[train, test]).problems
                if one.kind == "split"]  # fmt: skip
    assert [(one.name, one.serious) for one in problems] == [("test", True)] * 3
    reasons = " ".join(one.reason for one in problems)
    assert "1 recordings are not in the corpus: s7/x.wav" in reasons
    assert "shares 1 speakers with train: s1; a voice must be on one side" in reasons
    assert "shares 2 recordings with train: s0/ü 0.wav, s1/ü 5.wav" in reasons
    apart = [Split("a", ("s0/ü 0.wav",)), Split("b", ("s1/ü 1.wav", "s2/ü 2.wav"))]
    check = check_corpus(corpus, splits=apart)
    assert not [one for one in check.problems if one.kind == "split"]


def lists(folder, ubm="s0/ü 0.wav\ns0/ü 4.wav\n", enrol="s1\ts1/ü 1.wav\ns2\ts2/ü 2.wav\n",
          trials="1\ts1\ts1/ü 5.wav\n0\ts2\ts1/ü 5.wav\n"):  # fmt: skip
    folder.mkdir()
    (folder / "ubm.txt").write_text(ubm)
    (folder / "enrol.tsv").write_text("model\tfile\n" + enrol)
    rows = [line.split("\t") for line in trials.splitlines()]
    told = "".join(f"{m}\t{t}\t{('nontarget', 'target')[int(label)]}\n" for label, m, t in rows)
    (folder / "trials.txt").write_text("model\ttest\tlabel\n" + told)
    return folder


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({"ubm": "s0/ü 0.wav\ns2/ü 6.wav\n"}, "enrol.tsv and trials.txt", "shares 1 speakers"),
        ({"ubm": "s0/ü 0.wav\ns0/gone.wav\n"}, "ubm.txt", "not in the corpus: s0/gone.wav"),
        ({"ubm": ""}, "ubm.txt", "the list is empty"),
        ({"enrol": ""}, "enrol.tsv", "a header and nothing else"),
        ({"trials": ""}, "trials.txt", "a header and nothing else"),
        ({"trials": "1\ts1\ts1/ü 5.wav\n"}, "trials.txt", "there is no non-target trial"),
        ({"trials": "0\ts2\ts1/ü 5.wav\n"}, "trials.txt", "there is no target trial"),
        ({"trials": "1\ts1\ts1/ü 5.wav\n0\tx y\ts1/ü 5.wav\n"}, "trials.txt",
         "1 models are not enrolled: x y"),
        ({"trials": "1\ts1\ts1/ü 5.wav\n1\ts2\ts1/ü 5.wav\n0\ts1\ts2/ü 6.wav\n"}, "trials.txt",
         "1 trials have a label that the speakers belie: s2 s1/ü 5.wav"),
        ({"trials": "1\ts1\ts1/ü 1.wav\n0\ts2\ts1/ü 5.wav\n"}, "trials.txt",
         "1 trials are of a recording that enrolled the model: s1 s1/ü 1.wav"),
    ],
)  # fmt: skip
def test_a_protocol_that_does_not_fit(copy, changes, name, message):
    check = check_corpus(
        read_corpus(copy), protocol=ProtocolFolder(lists(copy / ".lists", **changes))
    )
    found = [one for one in check.problems if message in one.reason]
    assert [one.name for one in found] == [name]
    assert not check.ok or "enrolled the model" in message


def test_a_protocol_that_fits(copy):
    folder = lists(copy / ".lists")
    assert check_corpus(read_corpus(copy), protocol=ProtocolFolder(folder)).problems == ()
    (folder / "ubm.txt").unlink()
    (folder / "segments.tsv").write_text("nonsense\n")
    reasons = [
        one.reason
        for one in check_corpus(read_corpus(copy), protocol=ProtocolFolder(folder)).problems
    ]
    assert len(reasons) == 2
    assert "segments.tsv: line 1: the header must be" in reasons[0]
    assert "ubm.txt: no such list" in reasons[1]


def test_a_protocol_may_say_where_recordings_lie(copy):
    renamed = {"s0/ü 0.wav": "b/1", "s0/ü 4.wav": "b/2", "s1/ü 1.wav": "e/1", "s1/ü 5.wav": "e/2",
               "s2/ü 2.wav": "f/1"}  # fmt: skip
    folder = lists(copy / ".lists", "b/1\nb/2\n", "e\te/1\nf\tf/1\n", "1\te\te/2\n0\tf\te/2\n")
    places = read_corpus(copy).paths
    write_utterances(
        folder / "files.tsv",
        (Utterance(new, places[old].relative_to(copy), new[0]) for old, new in renamed.items()),
    )
    check = check_corpus(read_corpus(copy), protocol=ProtocolFolder(folder))
    assert (check.problems, len(check.measures)) == ((), 5)
    # A recording that has no place of its own lies where its name says.
    (folder / "ubm.txt").write_text("b/1\nb/2\ns3/ü 3.wav\n")
    check = check_corpus(read_corpus(copy), protocol=ProtocolFolder(folder))
    assert (check.problems, len(check.measures)) == ((), 6)


def test_options_that_cannot_be():
    with pytest.raises(OptionError, match="min_seconds must be greater than 0"):
        CheckOptions(min_seconds=0)
    with pytest.raises(OptionError, match="silence_db must be at most 0, got 3"):
        CheckOptions(silence_db=3)
