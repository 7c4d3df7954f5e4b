"""The commands on corpora, as typed; and what other commands make of each layout."""

import gzip
import json

import numpy as np
import pytest
import soundfile

from voicegmm.store import FeatureStore

RATE = 16000


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Two recordings of four parts each, as Kaldi's and lhotse's lists have them."""
    root = tmp_path_factory.mktemp("calls")
    rng = np.random.default_rng(0)
    (root / "wavs").mkdir()
    recordings, supervisions, segments = [], [], []
    for call in range(2):
        loudness = np.repeat(rng.uniform(0.01, 0.3, 48), RATE // 10)
        soundfile.write(
            root / f"wavs/c {call}.wav", rng.uniform(-1, 1, len(loudness)) * loudness, RATE
        )
        source = {"type": "file", "channels": [0], "source": f"wavs/c {call}.wav"}
        recordings.append({"id": f"c{call}", "sources": [source], "duration": 4.8})
        for part in range(4):
            name, start, speaker = f"c{call}-{part}", 1.2 * part, f"s{part % 2}"
            segments.append((name, f"c{call}", f"{start:.2f} {start + 1.2:.2f}", speaker))
            supervisions.append({"id": name, "recording_id": f"c{call}", "start": start,
                                 "duration": 1.2, "channel": 0, "speaker": speaker})  # fmt: skip
    kaldi = root / "data/all"
    kaldi.mkdir(parents=True)
    (kaldi / "wav.scp").write_text("c0 wavs/c 0.wav\r\nc1 wavs/c 1.wav\r\n")
    (kaldi / "segments").write_text("".join(f"{n} {r} {when}\n" for n, r, when, _ in segments))
    (kaldi / "utt2spk").write_text("".join(f"{n} {speaker}\n" for n, _, _, speaker in segments))
    for name, entries in (("recordings", recordings), ("supervisions", supervisions)):
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (root / f"data/{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return root


def test_kaldi_lhotse_and_our_list_give_the_same_features(calls, typed, tmp_path):
    code, out, err = typed("corpus", "list", calls / "data/all", "-o", tmp_path / "l.tsv")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path}/l.tsv: 8 recordings of 2 speakers (kaldi)\n"
    stores = []
    for what in (calls / "data/all", calls / "data/recordings.jsonl.gz", tmp_path / "l.tsv"):
        stores.append(tmp_path / f"{len(stores)}.h5")
        extract = ("features", "extract", what, "-o", stores[-1], "--workers", "1", "--json")
        code, out, err = typed(*extract, "--set", "speech.method=none")
        assert (code, err, json.loads(out)["n_recordings"]) == (0, "", 8)
    whole, rate = soundfile.read(calls / "wavs/c 1.wav")
    soundfile.write(tmp_path / "c1-2.wav", whole[int(2.4 * rate) : int(3.6 * rate)], rate)
    typed("features", "extract", tmp_path, "-o", tmp_path / "alone.h5", "--layout", "folder",
          "--set", "speech.method=none")  # fmt: skip
    with FeatureStore(tmp_path / "alone.h5") as alone:
        exact = alone.read(["c1-2.wav"])[0]
    for path in stores:
        with FeatureStore(path) as store:
            assert sorted(store.ids) == sorted(f"c{c}-{p}" for c in range(2) for p in range(4))
            np.testing.assert_array_equal(store.read(["c1-2"])[0], exact)
            assert len({store.content(file) for file in store.ids}) == 8
    code, _, err = typed("ubm", "train", stores[0], "-o", tmp_path / "ubm.h5", "--components", "2",
                         "--iterations", "1", "--list", calls / "data/all")  # fmt: skip
    assert (code, err) == (0, "")


@pytest.mark.slow
def test_train_and_classify_take_corpora(calls, typed, tmp_path):
    code, out, err = typed("train", calls / "data/all", "-o", tmp_path / "b.h5", "--json",
                           "--components", "2")  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    assert (told["speakers"], told["n_recordings"]) == (["s0", "s1"], 8)
    code, out, err = typed("list", tmp_path / "b.h5", "--audit", "--json")
    assert "c1-3" in out
    rows = [f"c{c}-{p}\t../wavs/c {c}.wav\t{'ab'[c]}\ts{p}\t{1.2 * p}\t{1.2 * p + 1.2}"
            for c in range(2) for p in range(4)]  # fmt: skip
    header = "file\tpath\tclass\tspeaker\tstart\tend"
    listed = calls / "data/classes.tsv"
    listed.write_text("\n".join([header, *rows]) + "\n")
    code, out, err = typed("classify", "train", listed, "-o", tmp_path / "c.h5", "--json",
                           "--components", "2")  # fmt: skip
    assert code == 0, err
    assert [*json.loads(out)["classes"]] == ["a", "b"]
    code, out, _ = typed("classify", "evaluate", tmp_path / "c.h5", listed, "--json")
    assert (code, json.loads(out)["recordings"]["accuracy"]["n_trials"]) == (0, 8)


def test_check_tells_figures_and_problems(calls, typed, tmp_path):
    code, out, err = typed("corpus", "check", calls / "data/all", "--json")
    told = json.loads(out)
    assert (code, err, told["ok"], told["problems"]) == (0, "", True, [])
    assert (told["layout"], told["n_recordings"], told["n_speakers"]) == ("kaldi", 8, 2)
    (tmp_path / "l.txt").write_text("gone.wav\naway.wav\n")
    picture = tmp_path / "q.png"
    code, out, err = typed("corpus", "check", tmp_path / "l.txt", "--plot", picture)
    assert code == 1
    assert err == f"warning: {picture} was not drawn: no recording could be read\n"
    assert "error: missing: " in out
    assert out.splitlines()[-1] == "2 errors, 0 warnings"
    assert not picture.exists()
    (tmp_path / "many.tsv").write_text(
        "file\tpath\n" + "".join(f"u{number}\t{number}.wav\n" for number in range(150))
    )
    code, out, _ = typed("corpus", "check", tmp_path / "many.tsv")
    assert (code, out.count("error: ")) == (1, 101)
    assert "error: missing: 50 more lines; --json has all of them" in out


@pytest.mark.slow
def test_check_draws(calls, typed, tmp_path):
    picture = tmp_path / "p.svg"
    code, out, _ = typed("corpus", "check", calls / "data/all", "--plot", picture)
    assert (code, out.splitlines()[-1]) == (0, f"picture: {picture}")
    assert "8 recordings" in picture.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{data}/all", "--split", "a={data}/all"], 2, "a split has two sides or more"),
        (["{data}/all", "--split", "all"], 2, "takes NAME=LIST, as train=train.txt; got 'all'"),
        (["{data}/all", "--split", "a=b", "--split", "a=c"], 2, "a is given twice"),
        (["{data}/all", "--plot", "x.pdf"], 1, "--plot draws .png or .svg, got 'x.pdf'"),
        (["{data}/all", "--protocol", "nowhere"], 1, "--protocol nowhere: no such folder"),
        (["{data}/all", "--layout", "kadli"], 1, "layout must be one of auto, folder"),
        (["nowhere"], 1, "nowhere: no such list or folder; check the path"),
        (["{data}/all/wav.scp", "--min-seconds", "0"], 1, "min_seconds must be greater than 0"),
        (["{data}/all", "--layout", "folder"], 1, "no recordings in this folder or below it"),
        (["{data}/all", "--layout", "folder", "--root", "x"], 1, "root goes with lists"),
    ],
)
def test_what_check_cannot_do(calls, typed, arguments, code, message):
    given = [argument.format(data=calls / "data") for argument in arguments]
    found, out, err = typed("corpus", "check", *given)
    assert (found, out) == (code, "")
    assert message in err


def test_a_split_with_one_speaker_on_both_sides(calls, typed):
    given = ("--split", f"a={calls}/data/all", "--split", f"b={calls}/data/recordings.jsonl.gz")
    code, out, _ = typed("corpus", "check", calls / "data/all", *given)
    assert code == 1
    assert "error: b: shares 2 speakers with a: s0, s1" in out
    assert "error: b: shares 8 recordings with a: " in out


def test_the_lists_of_a_recipe_are_checked_before_its_run(typed, tmp_path):
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        for take in range(2):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / f"data/{name}/{take}.wav", rng.normal(0, 0.1, 9600), RATE)
    (tmp_path / "prepare.py").write_text(
        "def prepare(data, lists):\n"
        "    (lists / 'ubm.txt').write_text('a/0.wav\\na/1.wav\\n')\n"
        "    (lists / 'enrol.tsv').write_text('model\\tfile\\nb\\tb/0.wav\\n')\n"
        "    (lists / 'dev.txt').write_text('1 b b/1.wav\\n0 b a/1.wav\\n')\n"
    )
    (tmp_path / "recipe.toml").write_text(
        'name = "x"\n[data]\nprepare = "prepare.py"\ntrials = "dev.txt"\n'
    )
    check = ("corpus", "check", tmp_path / "data", "--protocol", tmp_path / "recipe.toml")
    code, out, err = typed(*check)
    assert (code, err) == (1, "")
    assert "error: enrol.tsv and dev.txt: shares 1 speakers with ubm.txt: a; a voice" in out
    assert out.splitlines()[-1] == "2 errors, 0 warnings"
    (tmp_path / "prepare.py").write_text("def prepare(data, lists):\n    1 / 0\n")
    code, _, err = typed(*check)
    told = "line 2: ZeroDivisionError: division by zero"
    assert (code, err) == (1, f"error: {tmp_path}/prepare.py: {told}\n")
