"""Corpora of every layout, and what is refused of them."""

import gzip
import json
import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import ListError, OptionError
from voicegmm.audio import Excerpt
from voicegmm.corpus import (
    Enrollment,
    Utterance,
    read_corpus,
    read_models,
    read_speakers,
    read_utterances,
    recognize,
    scan_classes,
    scan_speakers,
    shared_recordings,
    write_utterances,
)


def tree(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(file.encode())
    return root


def names(corpus):
    return [one.name for one in corpus.utterances]


# ------------------------------------------------------------------------------------- our lists

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
seconds = st.floats(0, 1e4).filter(lambda value: value == 0 or value > 1e-6)


@st.composite
def excerpts(draw):
    start, length = draw(seconds), draw(st.floats(0.01, 1e4) | st.just(math.inf))
    return Excerpt(start, start + length, draw(st.integers(0, 64)))


@settings(max_examples=6)
@given(st.data())
def test_lists_of_utterances_read_back(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("lists")
    written = tuple(
        Utterance(
            name,
            folder / data.draw(words | st.just(name)),
            data.draw(words),
            data.draw(excerpts()),
            data.draw(words | st.just("")),
        )
        for name in data.draw(st.lists(words, min_size=1, max_size=4, unique=True))
    )
    write_utterances(folder / "list.tsv", written)
    assert read_utterances(folder / "list.tsv").utterances == written


def test_a_plain_list_and_one_of_enrollments(tmp_path):
    (tmp_path / "plain.txt").write_bytes("\ufeffZoë 1/a b.wav\r\n\r\nx.wav\r\n".encode())
    plain = read_corpus(tmp_path / "plain.txt")
    assert plain.layout == "list"
    assert plain.utterances == (
        Utterance("Zoë 1/a b.wav", tmp_path / "Zoë 1/a b.wav", "Zoë 1"),
        Utterance("x.wav", tmp_path / "x.wav", ""),
    )
    (tmp_path / "enrol.tsv").write_text("model\tfile\nann\tx.wav\nbob\ty.wav\n")
    enrolled = read_corpus(tmp_path / "enrol.tsv", root=tmp_path / "wavs")
    assert [(one.speaker, one.path) for one in enrolled.utterances] == [
        ("ann", tmp_path / "wavs/x.wav"),
        ("bob", tmp_path / "wavs/y.wav"),
    ]
    with pytest.raises(ListError, match=r"plain\.txt: x\.wav does not tell whose voice it is"):
        scan_speakers(tmp_path / "plain.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file\tspeeker\nx\ty\n",
            r"line 1: no column is called 'speeker' \(did you mean 'speaker'",
        ),
        ("path\tspeaker\nx\ty\n", "line 1: the header must name file"),
        ("file\tpath\tpath\nx\ty\tz\n", "line 1: the header must name file, and no column twice"),
        ("file\tstart\nx\n", "line 2: expected 2 fields divided by tabs"),
        ("file\tstart\nx\t1.5 s\n", "line 2: start must be a number, got '1.5 s'"),
        ("file\tstart\tend\nx\t3\t2\n", r"line 2: end_seconds must be greater than start.* \(3\)"),
        ("file\tchannel\nx\t65\n", "line 2: channel must be between 0 and 64"),
        ("file\tchannel\nx\t1\nx\t2\n", "line 3: x stands in the list already"),
        ("file\tstart\n", "the list holds a header and nothing else"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, text, message):
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(ListError, match=r"list\.tsv: " + message):
        read_corpus(tmp_path / "list.tsv")


# ----------------------------------------------------------------------------------------- Kaldi


@pytest.fixture
def kaldi(tmp_path):
    """data/train of a Kaldi recipe whose paths start from the recipe's folder."""
    tree(tmp_path, "wavs/Zoë 1/long one.sph", "wavs/b.wav")
    folder = tmp_path / "data/train"
    folder.mkdir(parents=True)
    (folder / "wav.scp").write_text("r1 wavs/Zoë 1/long one.sph\nr2\twavs/b.wav\n")
    (folder / "segments").write_text("ann-1 r1 0.5 2.25\nann-2 r1 3 -1\nbob-1 r2 0 1.5\n")
    (folder / "utt2spk").write_text("ann-1 ann\nann-2 ann\nbob-1 bob\n")
    return folder


def test_kaldi_segments_are_parts_of_recordings(kaldi):
    corpus = read_corpus(kaldi)
    root = kaldi.resolve().parents[1]
    assert corpus.layout == "kaldi"
    assert corpus.utterances == (
        Utterance("ann-1", root / "wavs/Zoë 1/long one.sph", "ann", Excerpt(0.5, 2.25)),
        Utterance("ann-2", root / "wavs/Zoë 1/long one.sph", "ann", Excerpt(3)),
        Utterance("bob-1", root / "wavs/b.wav", "bob", Excerpt(0, 1.5)),
    )
    assert corpus.excerpts["ann-2"] == Excerpt(3, math.inf)
    assert read_corpus(kaldi / "wav.scp") == corpus
    assert read_speakers(kaldi) == {"ann": ["ann-1", "ann-2"], "bob": ["bob-1"]}
    assert read_models(kaldi) == (
        Enrollment("ann", ("ann-1", "ann-2")), Enrollment("bob", ("bob-1",)),
    )  # fmt: skip
    elsewhere = read_corpus(kaldi, root=kaldi / "other")
    assert elsewhere.paths["bob-1"] == kaldi / "other/wavs/b.wav"


def test_kaldi_without_segments_and_speakers(kaldi):
    (kaldi / "segments").unlink()
    with pytest.raises(ListError, match=r"2 utterances are not in utt2spk: r1, r2; mend"):
        read_corpus(kaldi)
    (kaldi / "utt2spk").unlink()
    corpus = read_corpus(kaldi)
    assert (names(corpus), corpus.excerpts) == (["r1", "r2"], {})
    with pytest.raises(ListError, match="r1 does not tell whose voice it is"):
        corpus.by_speaker()


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("wav.scp", "r1 touch RUN |\nr2 x.wav\n", r"r1: a command, not a path; commands are never "
         r"run: 'touch RUN \|'; write"),
        ("wav.scp", "r1 | touch RUN\nr2 cat x|\n", r"r1: a command.* \(and 1 more such lines\)"),
        ("wav.scp", "r1 -\nr2 x\n", "r1: a command"),
        ("wav.scp", "r1 raw.ark:17\nr2 x\n", "r1: a place in a Kaldi archive: 'raw.ark:17'"),
        ("wav.scp", "r1\n", r"wav\.scp: line 1: expected a name and a value, got 'r1'"),
        ("wav.scp", "r1 x\nr1 y\n", r"wav\.scp: line 2: r1 stands in the list already"),
        ("wav.scp", "r2 b.wav\n", r"segments: 1 recordings are not in wav\.scp: r1"),
        ("segments", "a r1 1\n", "segments: line 1: expected utterance recording start end"),
        ("segments", "a r1 2 2\n", r"segments: a: end_seconds must be greater than start.* \(2\)"),
        ("segments", "a r1 1 2\na r2 1 2\n", "the utterance a stands in it twice"),
        ("utt2spk", "ann-1 ann\nann-2 ann\n", "1 utterances are not in utt2spk: bob-1"),
        ("utt2spk", "ann-1 a\nann-2 a\nbob-1 b\nx b\n", "1 utterances stand in utt2spk alone: x"),
    ],
)  # fmt: skip
def test_kaldi_tables_that_do_not_fit(kaldi, monkeypatch, table, text, message):
    monkeypatch.chdir(kaldi)
    (kaldi / table).write_text(text)
    with pytest.raises(ListError, match=message):
        read_corpus(kaldi)
    assert not list(kaldi.parent.rglob("RUN"))


# ---------------------------------------------------------------------------------------- lhotse


def lines(path, *entries):
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def recording(name, *sources, **more):
    """Make a recording of (type, channels, source)."""
    keys = ("type", "channels", "source")
    told = [dict(zip(keys, source, strict=True)) for source in sources]
    return {"id": name, "sources": told, "sampling_rate": 16000, "num_samples": 160000,
            "duration": 10.0, **more}  # fmt: skip


def supervision(name, of, start, duration, speaker="", channel=0):
    return {"id": name, "recording_id": of, "start": start, "duration": duration,
            "channel": channel, "speaker": speaker, "text": "so it is"}  # fmt: skip


TWO_FILES = recording("call", ("file", [0], "wavs/a.wav"), ("file", [1], "wavs/b.wav"))
STEREO = recording("talk", ("file", [0, 1], "wavs/stereo.flac"))


@pytest.fixture
def manifests(tmp_path):
    folder = tree(tmp_path, "wavs/a.wav") / "data/manifests"
    folder.mkdir(parents=True)
    lines(folder / "x_recordings_train.jsonl.gz", TWO_FILES, STEREO)
    lines(
        folder / "x_supervisions_train.jsonl.gz",
        supervision("s1", "call", 1.1, 2.2, "ann"),
        supervision("s2", "call", 0, 10.0, "bob", 1),
        supervision("s3", "talk", 0, 10.0, "eve", [0, 1]),
        supervision("s4", "talk", 5, 2, "bob", 1),
    )
    return folder


def test_lhotse_supervisions_are_parts_of_channels(manifests):
    root = manifests.resolve().parents[1]
    corpus = read_corpus(manifests)
    assert corpus.layout == "lhotse"
    assert corpus.utterances == (
        Utterance("s1", root / "wavs/a.wav", "ann", Excerpt(1.1, 3.3)),
        Utterance("s2", root / "wavs/b.wav", "bob"),
        Utterance("s3", root / "wavs/stereo.flac", "eve"),
        Utterance("s4", root / "wavs/stereo.flac", "bob", Excerpt(5, 7, 2)),
    )
    for kind in ("recordings", "supervisions"):
        alone = read_corpus(manifests / f"x_{kind}_train.jsonl.gz")
        assert alone.utterances == corpus.utterances
    assert [*corpus.by_speaker()] == ["ann", "bob", "eve"]


def test_lhotse_recordings_alone_are_whole(manifests):
    (manifests / "x_supervisions_train.jsonl.gz").unlink()
    lines(manifests / "x_recordings_train.jsonl.gz", STEREO)
    (one,) = read_corpus(manifests, root=manifests).utterances
    assert one == Utterance("talk", manifests / "wavs/stereo.flac")


def test_lhotse_cuts(manifests):
    of = {"recording": TWO_FILES, "type": "MonoCut", "channel": 1}
    talk = supervision("u", "call", 0, 1, "ann")
    cuts = manifests / "cuts.jsonl"
    lines(
        cuts,
        {"id": "c1", "start": 2, "duration": 3.5, "supervisions": [talk], **of},
        {"id": "c2", "start": 0, "duration": 10.0, "supervisions": [talk, {**talk, "speaker": "b"}],
         **of},
        {"id": "c3", "start": 0, "duration": 1, **of, "channel": 0},
    )  # fmt: skip
    root = manifests.resolve().parents[1] / "wavs"
    assert read_corpus(cuts).utterances == (
        Utterance("c1", root / "b.wav", "ann", Excerpt(2, 5.5)),
        Utterance("c2", root / "b.wav", ""),  # two speakers
        Utterance("c3", root / "a.wav", "", Excerpt(0, 1)),
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([recording("r", ("command", [0], "touch RUN"))], "r: a source of type 'command' is refus"),
        ([recording("r", ("url", [0], "http://x/y.wav"))], "r: a source of type 'url' is refused"),
        ([recording("r", ("memory", [0], "AAAA"))], "r: a source of type 'memory' is refused"),
        ([recording("r", ("file", [0], None))], "r: a source of type 'file' is refused"),
        ([recording("r")], "r: has no sources"),
        ([{"id": "r", "sources": [{"type": "file"}]}], "r: object missing required field `source`"),
        ([{"id": "a\tb", "sources": []}], "must not be empty, hold a tab"),
        ([TWO_FILES], r"call: has 2 files, and no single one with the channels of all"),
        ([recording("r", ("file", [0], "a"), transforms=[{"name": "Speed"}])], "to be transformed"),
        ([{"id": "m", "type": "MixedCut", "tracks": [], "supervisions": []}], "m is a MixedCut"),
        ([{"id": "m", "start": 0, "duration": 1, "supervisions": []}], "m is a cut without a reco"),
        ([{"id": "f", "features_type": "x", "storage_path": "y"}], "a kind that is features, not"),
        ([{"id": "f"}], "a kind that is not known"),
        ([supervision("s", "r", 0, 1)], "the recordings of these supervisions are missing"),
        ([{"no": "id"}], "line 1: expected an object with an id"),
        ([["a"]], "line 1: expected an object with an id"),
        ([STEREO, STEREO], "line 2: talk stands in it already"),
        ([], "the manifest is empty"),
    ],
)
def test_lhotse_manifests_that_are_refused(tmp_path, monkeypatch, entries, message):
    monkeypatch.chdir(tmp_path)
    lines(tmp_path / "m.jsonl", *entries)
    with pytest.raises(ListError, match=message):
        read_corpus(tmp_path / "m.jsonl")
    assert not list(tmp_path.rglob("RUN"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "soon"}, r"s: expected `float`, got `str` - at `\$\.start`"),
        ({"duration": None}, r"s: expected `float`, got `null` - at `\$\.duration`"),
        ({"duration": math.nan}, "cannot be read as lines of JSON"),
        ({"speaker": ["a"]}, "s: expected `str | null`, got `array`"),
        ({"duration": 0}, "s: end_seconds must be greater than start_seconds"),
        ({"start": -1}, "s: start_seconds must be at least 0"),
        ({"recording_id": "gone"}, "the recording 'gone' of the supervision s is not in it"),
        ({"channel": 2}, r"talk: has 1 files, and no single one with the channels \[2\]"),
    ],
)
def test_lhotse_supervisions_that_cannot_be(manifests, changes, message):
    lines(manifests / "y_recordings.jsonl", STEREO)
    lines(manifests / "y_supervisions.jsonl", {**supervision("s", "talk", 0, 1), **changes})
    with pytest.raises(ListError, match=message):
        read_corpus(manifests / "y_recordings.jsonl")


def anything():
    return st.recursive(
        st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | words,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
        max_leaves=3,
    )


@settings(max_examples=20)
@given(st.data())
def test_lhotse_manifests_with_a_value_that_is_another(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("mutants")
    entry = {**recording("r", ("file", [0], "a.wav")), "channel": 0, "start": 0}
    kind = data.draw(st.sampled_from(["recording", "supervision", "cut"]))
    if kind == "supervision":
        entry = supervision("s", "r", 0, 1, "ann")
        lines(folder / "recordings.jsonl", recording("r", ("file", [0], "a.wav")))
    if kind == "cut":
        entry = {"id": "c", "start": 0, "duration": 1, "type": "MonoCut", "channel": 0,
                 "recording": entry, "supervisions": [supervision("s", "r", 0, 1)]}  # fmt: skip
    place = entry
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(anything())
        break
    lines(folder / f"{kind}s.jsonl", entry)
    with suppress(ListError):  # and no other error
        (one,) = read_corpus(folder / f"{kind}s.jsonl").utterances
        assert one.path.name


def test_lhotse_files_that_are_no_json(tmp_path):
    (tmp_path / "a.jsonl").write_text("{]\n")
    (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip")
    for name in ("a.jsonl", "b.jsonl.gz"):
        with pytest.raises(ListError, match=rf"{name}: cannot be read as lines of JSON"):
            read_corpus(tmp_path / name)


# --------------------------------------------------------------- VoxCeleb, LibriSpeech, folders

VOX = ("id10001/1zcIwhmdeo4/00001.wav", "id10270/5r0dWxy17C8/00002.wav")


@pytest.mark.parametrize("parts", [("", ""), ("wav/",) * 2, ("dev/wav/", "test/wav/"),
                                   ("vox1_dev_wav/", "vox1_test_wav/wav/")])  # fmt: skip
def test_voxceleb_wherever_its_parts_lie(tmp_path, parts):
    tree(tmp_path, *(part + file for part, file in zip(parts, VOX, strict=True)))
    corpus = read_corpus(tmp_path)
    assert (corpus.layout, names(corpus)) == ("voxceleb", list(VOX))
    assert [one.speaker for one in corpus.utterances] == ["id10001", "id10270"]
    assert [one.path for one in corpus.utterances] == [
        tmp_path / (part + file) for part, file in zip(parts, VOX, strict=True)
    ]


def test_voxceleb_2_must_be_converted(tmp_path):
    tree(tmp_path, "dev/aac/id00012/21Uxsk56VDQ/00001.m4a")
    with pytest.raises(ListError, match=r"no recordings .*; convert VoxCeleb2's \.m4a to WAV"):
        read_corpus(tmp_path / "dev/aac")


LIBRI = ("19/198/19-198-0000.flac", "26/495/26-495-0001.flac", "61/70968/61-70968-0000.flac")


@pytest.mark.parametrize("above", ["", "LibriSpeech/"])
def test_librispeech_and_its_subsets(tmp_path, above):
    subsets = ("train-clean-100", "train-clean-100", "test-clean")
    tree(tmp_path, *(f"{above}{s}/{f}" for s, f in zip(subsets, LIBRI, strict=True)))
    tree(tmp_path, f"{above}train-clean-100/19/198/19-198.trans.txt", f"{above}SPEAKERS.TXT")
    corpus = read_corpus(tmp_path)
    assert (corpus.layout, [*corpus.by_speaker()]) == ("librispeech", ["61", "19", "26"])
    assert {*names(corpus)} == {*LIBRI}
    assert names(read_corpus(tmp_path / above / "train-clean-100")) == list(LIBRI[:2])
    assert names(read_corpus(tmp_path, "folder")) != names(corpus)


def test_a_folder_is_what_it_was(tmp_path):
    tree(tmp_path, "Zoë B/session 2/2.FLAC", "7/8/x.wav", "id1/y.wav", "z.wav")
    corpus = read_corpus(tmp_path)
    assert corpus.layout == recognize(tmp_path) == "folder"
    assert [(one.name, one.speaker) for one in corpus.utterances] == [
        ("7/8/x.wav", "7"), ("Zoë B/session 2/2.FLAC", "Zoë B"), ("id1/y.wav", "id1"),
        ("z.wav", ""),
    ]  # fmt: skip


def test_what_cannot_be_read_as_asked(tmp_path):
    tree(tmp_path, "a/x.wav")
    with pytest.raises(
        OptionError, match=r"layout must be one of auto, .*'kadli' \(did you mean 'k"
    ):
        read_corpus(tmp_path, "kadli")
    with pytest.raises(OptionError, match="root goes with lists"):
        read_corpus(tmp_path, root=tmp_path)
    with pytest.raises(ListError, match=r"wav\.scp: no such list"):
        read_corpus(tmp_path, "kaldi")
    with pytest.raises(ListError, match="no recordings"):
        read_corpus(tmp_path, "librispeech")
    with pytest.raises(ListError, match="nowhere: no such list or folder"):
        read_corpus(tmp_path / "nowhere")
    tree(tmp_path, "one/id10001/v/1.wav", "two/id10001/v/1.wav")
    with pytest.raises(ListError, match=r"1 names stand for two recordings each: id10001/v/1\.wav"):
        read_corpus(tmp_path)


# -------------------------------------------------------------------------- classes, and who shares


def test_parts_of_one_file_may_be_of_two_speakers(tmp_path):
    tree(tmp_path, "call.wav")
    ann = Utterance("a", tmp_path / "call.wav", "a", Excerpt(channel=1))
    bob = Utterance("b", tmp_path / "call.wav", "b", Excerpt(channel=2))
    assert shared_recordings({"a": (ann,), "b": (bob,)}) == []
    assert shared_recordings({"a": (ann,), "b": (ann,)}) == [(ann.path, ann.path)]


def test_classes_from_a_list_and_from_kaldi_directories(tmp_path, kaldi):
    wavs = tmp_path / "wavs"
    (tmp_path / "list.tsv").write_text(
        "file\tclass\tspeaker\tpath\tend\nx\tspoof\tann\twavs/b.wav\t1.5\n"
        "y\tbonafide\tbob\twavs/Zoë 1/long one.sph\t\n"
    )
    found = scan_classes(tmp_path / "list.tsv")
    assert (found.names, found.files, found.labels.tolist()) == (
        ("bonafide", "spoof"), ("y", "x"), [0, 1],
    )  # fmt: skip
    assert found.places() == {"x": wavs / "b.wav", "y": wavs / "Zoë 1/long one.sph"}
    assert (found.excerpts, found.speakers) == ({"x": Excerpt(0, 1.5)}, ("bob", "ann"))
    tree(tmp_path, "classes/male/c.wav")
    (tmp_path / "classes/female").mkdir()
    for name in ("segments", "utt2spk"):
        (tmp_path / "classes/female" / name).write_text((kaldi / name).read_text())
    scp = (kaldi / "wav.scp").read_text().replace("wavs/", f"{wavs}/")
    (tmp_path / "classes/female/wav.scp").write_text(scp)
    mixed = scan_classes(tmp_path / "classes")
    assert mixed.names == ("female", "male")
    assert mixed.speakers[:3] == ("ann", "ann", "bob")
    part = f"{tmp_path}/classes/female/ann-1"
    assert mixed.excerpts[part] == Excerpt(0.5, 2.25)
    assert not mixed.speakers_known
    (tmp_path / "list.tsv").write_text("file\tclass\nx\tspoof\ny\t\n")
    with pytest.raises(ListError, match=r"list\.tsv: y has no class"):
        scan_classes(tmp_path / "list.tsv")


def test_what_unpacks_to_far_too_much_is_no_manifest(tmp_path):
    path = tmp_path / "b.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n" * 3000))
    with pytest.raises(ListError, match=r"b\.jsonl\.gz: line 1001: unpacks to far too much"):
        read_corpus(path)
    path.write_bytes(gzip.compress((b" " * 1_000_000 + b"\n") * 12))
    with pytest.raises(ListError, match=r"b\.jsonl\.gz: line 12: unpacks to far too much"):
        read_corpus(path)
