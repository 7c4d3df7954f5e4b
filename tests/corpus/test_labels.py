"""Labeled segments: three kinds of file, and the recordings they belong to."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    LabeledSegment,
    labels_of,
    read_audacity_labels,
    read_kaldi_segments,
    read_labels,
    read_rttm,
)

# As md-eval's and pyannote's files look.
RTTM = """;; a comment
SPKR-INFO meeting 1 <NA> <NA> <NA> adult_female ann <NA>
SPEAKER meeting 1 0.50 1.25 <NA> <NA> ann <NA> <NA>
SPEAKER meeting 1 3 0.0 <NA> <NA> bob <NA>
NON-SPEECH meeting 1 4 1 <NA> music <NA> <NA>
SPEAKER other 1 0.1 2.4 <NA> <NA> bob <NA> <NA>
"""
# As Audacity exports them, one of them from a spectral selection.
AUDACITY = (
    "0.500000\t1.750000\tann\n3,000000\t3,250000\tb ob\n\\\t100.0\t2000.0\n5.000000\t5.000000\t\n"
)
KALDI = "ann-1 meeting 0.5 1.75\nbob-1 meeting 3 -1\nbob-2 other 0.1 2.5\n"


def written(folder, text, name="rec 1.txt"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rttm(tmp_path):
    path = written(tmp_path, RTTM)
    expected = {
        "meeting": [LabeledSegment(0.5, 1.75, "ann"), LabeledSegment(3.0, 3.0, "bob")],
        "other": [(0.1, 2.5, "bob")],
    }
    assert read_rttm(path) == expected
    assert read_labels(path) == expected


def test_audacity(tmp_path):
    path = written(tmp_path, AUDACITY)
    expected = {"rec 1": [(0.5, 1.75, "ann"), (3.0, 3.25, "b ob"), (5.0, 5.0, "")]}
    assert read_audacity_labels(path) == expected
    assert read_labels(path) == expected
    (tmp_path / "ann").mkdir()
    written(tmp_path / "ann", "0\t1\n", "b.txt")
    assert read_labels(tmp_path) == {**expected, "ann/b": [(0.0, 1.0, "")]}


def test_kaldi_segments(tmp_path):
    path = written(tmp_path, KALDI)
    expected = {
        "meeting": [(0.5, 1.75, "ann-1"), (3.0, math.inf, "bob-1")],
        "other": [(0.1, 2.5, "bob-2")],
    }
    assert read_kaldi_segments(path) == expected
    assert read_labels(path) == expected


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 10**6), st.integers(0, 10**6)),
        min_size=1,
        max_size=20,
    )
)
def test_all_kinds_say_the_same(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("labels")
    rows = [(file, start / 1000, (start + length) / 1000) for file, start, length in rows]
    rttm = "".join(f"SPEAKER {f} 1 {s} {e - s:.3f} <NA> <NA> x <NA> <NA>\n" for f, s, e in rows)
    kaldi = "".join(f"x {file} {start} {end}\n" for file, start, end in rows)
    for file in {row[0] for row in rows}:
        track = "".join(f"{s}\t{e}\tx\n" for f, s, e in rows if f == file)
        written(folder, track, f"{file}.txt")
    tracks = read_labels(folder)
    assert read_labels(written(folder, kaldi, "segments")) == tracks
    near = read_labels(written(folder, rttm, "x.rttm"))
    assert near.keys() == tracks.keys()
    for file, segments in near.items():
        for one, other in zip(segments, tracks[file], strict=True):
            assert one.start_seconds == other.start_seconds
            assert one.end_seconds == pytest.approx(other.end_seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SPEAKER a 1 0 1 <NA> <NA> x\nSPEAKR a 1 0 1 <NA> <NA> x\n", "line 2: expected an RTTM"),
        ("SPEAKER a 1 0 1\n", "line 1: expected at least 8 fields, got 5"),
        (
            "SPEAKER a 1 x 1 <NA> <NA> x\n",
            "line 1: expected a start in seconds, 0 or more, got 'x'",
        ),
        ("SPEAKER a 1 0 -1 <NA> <NA> x\n", "line 1: expected a duration in seconds.* got '-1'"),
        ("SPEAKER a 1 0 nan <NA> <NA> x\n", "line 1: expected a duration in seconds.* got 'nan'"),
        ("0\t1\tx\n1\t2\tx\ty\n", r"line 2: expected start<TAB>end<TAB>label, got '1\\t2\\tx\\ty'"),
        ("0\t1\tx\n2\t1\tx\n", r"line 2: expected an end after the start \(2\), got 1"),
        ("-1\t1\tx\n", "line 1: expected a start in seconds, 0 or more, got '-1'"),
        ("u a 0 1\nu a 0\n", "line 2: expected utterance recording start end"),
        ("u a 3 1\n", r"line 1: expected an end after the start \(3\), got 1"),
        ("u a 0 inf\n", "line 1: expected an end in seconds, 0 or more, got 'inf'"),
        ("hello\n", "line 1: expected labels .RTTM, an Audacity label track, or Kaldi's segments"),
        ("", "the list is empty"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, reason):
    path = written(tmp_path, text)
    with pytest.raises(ListError, match=reason) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_a_folder_without_tracks(tmp_path):
    with pytest.raises(ListError, match="no label tracks"):
        read_labels(tmp_path)


def test_recordings_find_their_labels():
    one, two, three = ([LabeledSegment(0.0, float(n), "")] for n in (1, 2, 3))
    labels = {"s1/a.wav": one, "s1/b": two, "c": three}
    files = ["s1/a.wav", "s1/b.flac", "s2/c.wav", "s2/d.wav"]
    assert labels_of(labels, files) == dict(zip(files, [one, two, three, []], strict=True))
    assert labels_of(labels, []) == {}
    with pytest.raises(ListError, match="'c' would be those of s2/c.wav and of s3/c.wav"):
        labels_of(labels, ["s2/c.wav", "s3/c.wav"])
    with pytest.raises(ListError, match=r"none of 1 recordings has labels: .* s1/a\.wav.* is x"):
        labels_of(labels, ["x.wav"])
