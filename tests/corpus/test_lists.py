import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import ListError
from voicegmm.audio import Excerpt
from voicegmm.corpus import (
    Enrollment,
    Protocol,
    Trials,
    Utterance,
    drawn,
    find_recordings,
    leakage_warnings,
    read_enrollments,
    read_files,
    read_segments,
    read_trials,
    read_utterances,
    scan_speakers,
    shared_recordings,
    speaker_of,
    trials_within,
    write_enrollments,
    write_files,
    write_paths,
    write_segments,
    write_trials,
)

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@settings(max_examples=20)
@given(st.dictionaries(names, st.lists(names, min_size=1, unique=True), min_size=1, max_size=4))
def test_lists_read_back(tmp_path_factory, groups):
    path = tmp_path_factory.mktemp("lists") / "list"
    enrollments = tuple(Enrollment(name, tuple(files)) for name, files in groups.items())
    write_enrollments(path, enrollments)
    assert read_enrollments(path) == enrollments
    write_segments(path, {name: tuple(files) for name, files in groups.items()})
    assert read_segments(path) == {name: tuple(files) for name, files in groups.items()}
    write_files(path, groups)
    assert read_files(path) == tuple(groups)
    write_paths(path, {name: name for name in groups})
    assert read_utterances(path, Path()).paths == {name: Path(name) for name in groups}


@given(st.lists(st.tuples(names, names, st.integers(0, 1)), min_size=1, unique_by=lambda r: r[:2]))
def test_trials_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("lists") / "trials"
    write_trials(path, Trials.of(rows))
    trials = read_trials(path)
    again = zip(trials.model_index, trials.test_index, trials.labels, strict=True)
    assert [(trials.models[m], trials.tests[t], label) for m, t, label in again] == rows


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("1 a x.wav\n0 b x.wav\n", [1, 0]),
        ("a x.wav target\nb x.wav nontarget\n", [1, 0]),
        ("a x.wav\r\nb x.wav\r\n", [-1, -1]),
        ("\ufeffmodel\ttest\tlabel\n\na\tx.wav\ttarget\nb\tx.wav\tnontarget", [1, 0]),
        ("model\ttest\na\tx.wav\nb\tx.wav\n", [-1, -1]),
    ],
    ids=[
        "voxceleb",
        "nist",
        "nist without labels, CRLF",
        "ours, BOM, blank line",
        "ours unlabeled",
    ],
)
def test_every_kind_of_trial_list(tmp_path, text, label):
    path = tmp_path / "trials"
    path.write_bytes(text.encode())
    trials = read_trials(path)
    assert trials.models == ("a", "b")
    assert trials.tests == ("x.wav",)
    assert trials.labels.tolist() == label


def test_voxceleb1_o(shared, tmp_path):
    import gzip

    path = tmp_path / "voxceleb1_o.txt"
    path.write_bytes(gzip.decompress(shared("oracles/trials/voxceleb1_o.txt.gz").read_bytes()))
    trials = read_trials(path)
    assert len(trials) == 37_720
    assert (trials.labels == 1).sum() == 18_860


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_trials, "1 a x\n0 a x\n", "trials: the trial of a and x stands with both labels"),
        (read_trials, "1 a x\na x target\n", "line 2: expected label model test"),
        (read_trials, "a x\na x y z\n", "line 2: expected model test"),
        (read_trials, "hello\n", "line 1: expected a trial list"),
        (read_trials, "model\ttest\tlabel\na\tx\tmaybe\n", "line 2: expected the label"),
        (read_trials, "model\ttest\n", "a header and nothing else"),
        (read_trials, "model\tfile\na\tx\n", "is a list of enrollments, and no list of trials"),
        (read_trials, "segment\tfile\na\tx\n", "is a list of segments, and no list of trials"),
        (read_trials, "file\tpath\na\tx\n", "is a list of recordings, and no list of trials"),
        (read_trials, "model\ttest\tlabel\tscore\n", "is a table of scores, and no list of trials"),
        (read_trials, "voicegmm seal 1\n", "is a file that `voicegmm info` tells about, and no"),
        (read_enrollments, "a b target\n", "must be model<TAB>file.*: this is a list of trials"),
        (read_enrollments, "segment\tfile\na\tb\n", "got 'segment.*: this is a list of segments"),
        (read_trials, "", "the list is empty"),
        (read_enrollments, "a\tx\n", "line 1: the header must be model<TAB>file, got 'a"),
        (read_enrollments, "model\tfile\na x\n", "line 2: expected 2 fields divided by tabs"),
        (read_enrollments, "model\tfile\na\tx\na\tx\n", "line 3: model a has the file x already"),
        (read_files, "x\n\nx\n", "line 3: x stands on line 1 already"),
        (read_files, "x\x00y\n", "line 1: not a text list"),
        (read_utterances, "file\tpath\na\tx\na\ty\n", "line 3: a stands in the list already"),
    ],
)
def test_a_malformed_list_is_refused_with_the_line(tmp_path, reader, text, message):
    path = tmp_path / "trials"
    path.write_text(text)
    with pytest.raises(ListError, match=message):
        reader(path)


def test_what_is_no_text_list(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ListError, match="not UTF-8 text.*if it is a recording, give its folder"):
        read_files(path)
    with pytest.raises(ListError, match="no such list"):
        read_files(tmp_path / "nowhere")
    with pytest.raises(ListError, match="is a folder"):
        read_files(tmp_path)


def test_a_name_with_a_tab_or_newline_is_refused(tmp_path):
    for name in ("a\tb", "a\nb", "", " a", "\x1b[31m", "\udcff"):
        with pytest.raises(ListError, match="must not be empty, hold a tab or a newline"):
            write_files(tmp_path / "x", [name])


def test_such_a_name_is_refused_where_it_is_read_too(tmp_path):
    path = tmp_path / "list"
    path.write_text("model\tfile\nann\ta.wav\nb\x1b[2Jb\ta.wav\n")
    with pytest.raises(ListError, match=r"list: line 3: the model 'b\\x1b\[2Jb' must not"):
        read_enrollments(path)
    path.write_text("1 ann x.wav\n0 ann \x9b.wav\n")
    with pytest.raises(ListError, match=r"list: the test '\\x9b.wav' must not"):
        read_trials(path)


def test_duplicate_trials_count_once_and_are_told(tmp_path):
    path = tmp_path / "trials"
    path.write_text("1 a x\n1 a x\n0 b x\n")
    trials = read_trials(path)
    assert len(trials) == 2
    assert trials.n_duplicates == 1


def test_unknown_models_and_tests_are_all_counted():
    trials = Trials.of([(f"m{i}", f"t{i}", 1) for i in range(9)])
    message = (
        "trials.txt names 7 models that are not enrolled: m2, m3, m4, m5, m6, m7, m8; 1 tests that "
        "have no features or segment: t8. Mend the list or add them"
    )
    with pytest.raises(ListError, match=f"^{re.escape(message)}$"):
        trials.check_known(["m0", "m1"], [f"t{i}" for i in range(8)], "trials.txt")
    many = Trials.of([(f"m{i}", "t", 1) for i in range(150)])
    with pytest.raises(ListError, match="150 models that are not .* m98, m99 and 50 more. Mend"):
        many.check_known([], ["t"], "trials.txt")


def make_tree(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def test_speaker_folders(tmp_path):
    make_tree(tmp_path, "Zoë B/1.wav", "Zoë B/session 2/2.FLAC", "al/x.wav", "al/notes.txt")
    make_tree(tmp_path, ".hidden/x.wav", "al/.x.wav", "empty/readme.md", "loose.wav")
    speakers = scan_speakers(tmp_path)
    assert {name: len(own) for name, own in speakers.items()} == {"Zoë B": 2, "al": 1, "empty": 0}
    assert speakers["al"] == (Utterance("al/x.wav", tmp_path / "al/x.wav", "al"),)
    assert len(find_recordings(tmp_path)) == 4


def test_folders_that_look_alike_are_refused(tmp_path):
    make_tree(tmp_path, "Zo\u00eb/x.wav", "Zoe\u0308/x.wav")
    with pytest.raises(ListError, match="two sub-folders look the same"):
        scan_speakers(tmp_path)


def test_a_recording_under_two_speakers_is_found(tmp_path):
    make_tree(tmp_path, "a/1.wav", "a/2.wav", "b/1.wav", "b/empty.wav", "c/empty.wav")
    (tmp_path / "a/1.wav").write_bytes(b"one")
    (tmp_path / "a/2.wav").write_bytes(b"one")
    (tmp_path / "b/1.wav").write_bytes(b"two")
    assert shared_recordings(scan_speakers(tmp_path)) == []
    (tmp_path / "b/1.wav").write_bytes(b"one")
    found = shared_recordings(scan_speakers(tmp_path))
    assert found == [(tmp_path / "b/1.wav", tmp_path / "a/1.wav")]


def test_the_speaker_of_a_recording_is_its_first_folder():
    assert speaker_of("id10270/5r0dWxy17C8/00001.wav") == "id10270"
    assert speaker_of("x.wav") == ""


def test_links_to_folders_are_followed_and_circles_end(tmp_path):
    make_tree(tmp_path, "real/s1/x.wav", "real/s1/y.wav")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/s1").symlink_to(tmp_path / "real/s1")
    (tmp_path / "real/s1/again").symlink_to(tmp_path / "real")
    (linked,) = scan_speakers(tmp_path / "linked").items()
    assert (linked[0], len(linked[1])) == ("s1", 2)
    assert len(find_recordings(tmp_path / "real")) == 2


def test_folders_without_recordings_are_refused(tmp_path):
    with pytest.raises(ListError, match="no recordings in sub-folders"):
        scan_speakers(tmp_path)
    make_tree(tmp_path, "a.wav")
    with pytest.raises(ListError, match="1 lie in the folder itself"):
        scan_speakers(tmp_path)
    with pytest.raises(ListError, match="no such folder"):
        scan_speakers(tmp_path / "nowhere")
    with pytest.raises(ListError, match="is a file, not a folder"):
        scan_speakers(tmp_path / "a.wav", "folder")
    make_tree(tmp_path, "tab\tbed/x.wav")
    with pytest.raises(ListError, match="rename it"):
        scan_speakers(tmp_path)


@pytest.fixture
def protocol_folder(tmp_path):
    make_tree(tmp_path, "b1/1.wav", "s1/1.wav", "s1/2.wav", "s2/1.wav", "s2/2.wav")
    (tmp_path / "ubm.txt").write_text("b1/1.wav\n")
    (tmp_path / "enrol.tsv").write_text("model\tfile\ns1\ts1/1.wav\ns2\ts2/1.wav\n")
    (tmp_path / "trials.txt").write_text("1 s1 s1/2.wav\n0 s2 s1/2.wav\n1 s2 s2/2.wav\n")
    return tmp_path


def test_a_protocol_without_leaks(protocol_folder):
    protocol = Protocol.read(protocol_folder, protocol_folder)
    assert len(protocol.paths) == 5
    assert leakage_warnings(protocol) == ()


def test_leaks_are_told(protocol_folder):
    (protocol_folder / "ubm.txt").write_text("s1/2.wav\n")
    (protocol_folder / "enrol.tsv").write_text("model\tfile\ns1\ts1/2.wav\ns2\ts2/1.wav\n")
    warnings = leakage_warnings(Protocol.read(protocol_folder, protocol_folder))
    assert len(warnings) == 3
    assert "the background list and the tests share 1 recordings" in warnings[0]
    assert "the enrollments and the tests share 1 recordings" in warnings[1]
    assert "holds 1 speakers of the trials, as s1" in warnings[2]


def test_a_missing_recording_or_model_stops_before_any_work(protocol_folder):
    (protocol_folder / "s1/1.wav").unlink()
    with pytest.raises(ListError, match=r"1 of 5 recordings .* are not in .*: s1/1\.wav; check"):
        Protocol.read(protocol_folder, protocol_folder)
    (protocol_folder / "trials.txt").write_text("1 s3 s1/2.wav\n")
    with pytest.raises(ListError, match=r"trials\.txt names 1 models that are not enrolled: s3"):
        Protocol.read(protocol_folder, protocol_folder)


def test_segments_and_paths(protocol_folder):
    (protocol_folder / "segments.tsv").write_text("segment\tfile\nlong\ts1/2.wav\nlong\ts2/2.wav\n")
    (protocol_folder / "trials.txt").write_text("1 s1 long\n")
    (protocol_folder / "files.tsv").write_text("file\tpath\nb1/1.wav\ts1/1.wav\n")
    protocol = Protocol.read(protocol_folder, protocol_folder, segments="segments.tsv")
    assert protocol.test_files("long") == ("s1/2.wav", "s2/2.wav")
    assert protocol.paths["b1/1.wav"] == protocol_folder / "s1/1.wav"
    assert protocol.excerpts == {}


def test_recordings_of_a_protocol_may_be_parts(protocol_folder):
    rows = "b1/1.wav\ts1/1.wav\t1.5\t\t\nunused\tb1/1.wav\t\t2\t\ns2/1.wav\ts2/1.wav\t\t\t2\n"
    (protocol_folder / "files.tsv").write_text("file\tpath\tstart\tend\tchannel\n" + rows)
    protocol = Protocol.read(protocol_folder, protocol_folder)
    assert protocol.excerpts == {"b1/1.wav": Excerpt(1.5), "s2/1.wav": Excerpt(channel=2)}
    assert protocol.paths["b1/1.wav"] == protocol_folder / "s1/1.wav"
    (protocol_folder / "files.tsv").write_text("file\tspeaker\nb1/1.wav\tann\n")
    with pytest.raises(ListError, match=r"files\.tsv: b1/1\.wav: this list tells where"):
        Protocol.read(protocol_folder, protocol_folder)


def test_names_are_drawn_by_lot_and_stay():
    names = [f"s{number}" for number in range(40)]
    few = drawn(names, 5)
    assert few == tuple(sorted(few))
    assert drawn(reversed(names), 5) == few
    assert set(few) < set(drawn(names, 6))  # more are these and others
    assert drawn(names, 99) == tuple(sorted(names))


def test_trials_within_groups():
    tests = {"ann": ["a1", "a2"], "eve": ["e1"], "bob": ["b1"], "max": ["m1"]}
    trials = trials_within(tests, {"ann": "f", "eve": "f", "bob": "m"})  # of max nothing is known
    rows = zip(trials.model_index, trials.test_index, trials.labels, strict=True)
    assert {(trials.models[m], trials.tests[t], int(label)) for m, t, label in rows} == {
        ("ann", "a1", 1), ("ann", "a2", 1), ("ann", "e1", 0), ("eve", "a1", 0), ("eve", "a2", 0),
        ("eve", "e1", 1), ("bob", "b1", 1), ("max", "m1", 1),
    }  # fmt: skip


def test_arrays_of_trials_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        Trials.of([("a", "b", 1)]).labels[0] = 0
    assert isinstance(Trials.of([]).labels, np.ndarray)
