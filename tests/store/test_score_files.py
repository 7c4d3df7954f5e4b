"""Score files and keys of other programs: recognized, checked, read, written."""

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, FormatError, ListError, OptionError
from voicegmm.corpus import Trials
from voicegmm.scoring import ScoreTable
from voicegmm.store import (
    SCORE_FILES,
    read_key_file,
    read_labeled,
    read_score_file,
    write_bosaris_trials,
    write_key_file,
    write_score_file,
)


def rows_of(table):
    trials = table.trials
    return [
        (trials.models[m], trials.tests[t], label, score)
        for m, t, label, score in zip(
            trials.model_index, trials.test_index, trials.labels, table.scores, strict=True
        )
    ]


def put(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


TRIAL = ("m1", "t1", -1, 0.5)
TARGET = ("m1", "t1", 1, 0.5)
NIST = "modelid\tsegmentid\tside\tLLR"
# What one of them writes, and the first trial of it.
READ = {
    "VoxCeleb's challenges": (["0.5 m1 t1", "-1 m1 t2"], TRIAL),
    "VoxCeleb's trials": (["1 m1 t1 0.5", "0 m1 t2 -1"], TARGET),
    "Kaldi": (["m1 t1 0.5", "m1 t2 -1e-3"], TRIAL),
    "numbers for names": (["1001 2002 0.5", "1001 2003 -1"], ("1001", "2002", -1, 0.5)),
    "with labels": (["m1 t1 target 0.5", "m1 t2 nontarget -1"], TARGET),
    "with labels of digits": (["m1 t1 1 0.5", "m1 t2 0 -1"], TARGET),
    "compute-eer": (["0.5 target", "-1 nontarget"], ("unnamed", "line 1", 1, 0.5)),
    "NIST": ([NIST, "m1\tt1\ta\t0.5", "m1\tt1\tb\t-1"], TRIAL),
    "NIST 2010": (["core n core f m1 t1 a t 0.5", "core n core f m1 t1 b f -1"], TRIAL),
    "ASVspoof 2021": (["LA_E_1 0.5", "LA_E_2 -1"], ("bonafide", "LA_E_1", -1, 0.5)),
    "ASVspoof 2019": (["u1 - bonafide 0.5", "u2 A07 spoof -1"], ("bonafide", "u1", 1, 0.5)),
    "ASVspoof's verification": (
        ["bonafide target 0.5", "A01 spoof 9", "bonafide nontarget -1"],
        ("unnamed", "line 1", 1, 0.5),
    ),
}


@pytest.mark.parametrize(("lines", "first"), READ.values(), ids=READ.keys())
def test_lists_of_others_are_recognized(tmp_path, lines, first):
    table = read_score_file(put(tmp_path / "s.txt", *lines))
    assert rows_of(table)[0] == first
    assert len(table) == 2
    assert table.scored.all()
    assert table.scores[1] < 0
    assert (table.llrs is None) == ("LLR" not in lines[0])
    ratios = read_score_file(tmp_path / "s.txt", are_ratios=True)
    np.testing.assert_array_equal(ratios.llrs, table.scores)


def test_sides_of_a_telephone_line_are_different_tests(tmp_path):
    lines = [NIST, "m1\tt1\ta\t0.5", "m1\tt1\tb\tnan"]
    table = read_score_file(put(tmp_path / "s.tsv", *lines))
    assert table.trials.tests == ("t1", "t1:b")
    assert table.statuses == ("ok", "failed")
    assert table.reasons[1] == "s.tsv has no score for it"
    key = put(
        tmp_path / "key.tsv",
        "modelid\tsegmentid\tside\ttargettype\tgender",
        "m1\tt1\tb\tnontarget\tf",
        "m1\tt1\ta\ttarget\tf",
    )
    assert read_labeled(tmp_path / "s.tsv", key).trials.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["hello"], "line 1: a score file of no known kind: 'hello'"),
        (["a b c d e"], "line 1: a score file of no known kind"),
        (["m t 0.5", "m t2"], "line 2: expected model test score, got 'm t2'"),
        (["m t 0.5", "m t2 high"], "line 2: expected model test score"),
        (["m t 0.5", "m t2 inf"], "line 2: an infinite score; write nan"),
        (["m t 0.5", "m t 0.7"], "1 trials stand twice"),
        (["1 a b", "0 a c"], "a list of trials, not of scores; give it with --key"),
        (
            ["model\ttest\tlabel", "a\tb\ttarget"],
            "line 1: a list of trials, not of scores; give it",
        ),
        (["u1 - bonafide 0.5", "u2 - real 0.5"], "line 2: expected utterance attack bonafide"),
        (["A07 spoof 0.5", "A08 spoof 1"], "holds no trials"),
        (["modelid\tsegmentid\ttargettype", "a\tb\ttarget"], "a key goes with --key"),
        (["modelid\tsegmentid\tLLR", "a\tb"], "line 2: expected modelid segmentid llr"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, lines, message):
    with pytest.raises(ListError, match=message):
        read_score_file(put(tmp_path / "s.txt", *lines))


KEYS = {
    "NIST": ["modelid\tsegmentid\tside\ttargettype", "m\tt1\ta\ttarget", "m\tt2\ta\tnontarget"],
    "VoxCeleb": ["1 m t1", "0 m t2"],
    "Kaldi": ["m t1 target", "m t2 nontarget"],
    "ours": ["model\ttest\tlabel", "m\tt1\ttarget", "m\tt2\tnontarget"],
}


@pytest.mark.parametrize("lines", KEYS.values(), ids=KEYS.keys())
def test_keys_are_recognized(tmp_path, lines):
    key = read_key_file(put(tmp_path / "key", *lines))
    assert (key.models, key.tests, key.labels.tolist()) == (("m",), ("t1", "t2"), [1, 0])


@pytest.mark.parametrize(
    "lines",
    [
        ["s1 u1 - - bonafide", "s1 u2 - A07 spoof"],
        ["s1 u1 alaw ita_tx bonafide bonafide notrim eval", "s1 u2 alaw x A07 spoof notrim eval"],
    ],
)
def test_protocols_of_countermeasures_are_keys(tmp_path, lines):
    key = put(tmp_path / "key", *lines)
    scores = put(tmp_path / "s.txt", "u2 -3", "u1 2")
    table = read_labeled(scores, key)
    assert rows_of(table) == [("bonafide", "u2", 0, -3.0), ("bonafide", "u1", 1, 2.0)]
    put(key, lines[0], "s1 u2 - A07")
    with pytest.raises(ListError, match="line 2: expected . fields with bonafide or spoof"):
        read_key_file(key)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["modelid\tsegmentid\tLLR", "a\tb\t1"], "a key of NIST's has the column targettype"),
        (["modelid\tsegmentid\ttargettype"], "holds a header and nothing else"),
        (["modelid\tsegmentid\ttargettype", "a\tb\tmaybe"], "line 2: expected 3 fields and the"),
    ],
)
def test_a_damaged_key_is_refused(tmp_path, lines, message):
    with pytest.raises(ListError, match=message):
        read_key_file(put(tmp_path / "key", *lines))


def small_table(labels=(1, 0, 0), scores=(2.0, -1.0, np.nan)):
    trials = Trials.of([("m1", "t1", labels[0]), ("m2", "t1", labels[1]), ("m1", "t2", labels[2])])
    failed = [bool(np.isnan(score)) for score in scores]
    statuses = tuple("no speech" if none else "ok" for none in failed)
    reasons = tuple("silence" if none else "" for none in failed)
    return ScoreTable(trials, np.array(scores), statuses, reasons)


@pytest.mark.parametrize("kind", SCORE_FILES)
def test_what_is_written_reads_back(tmp_path, kind):
    table = small_table()
    if kind == "asvspoof":
        trials = Trials.of([("m1", f"t{i}", 1) for i in range(3)])
        table = ScoreTable(trials, table.scores, table.statuses, table.reasons)
    out = tmp_path / "out"
    assert write_score_file(out, table, kind) == (0 if kind == "voicegmm" else 1)
    again = read_score_file(out)
    wanted = [row[1::2] for row in rows_of(table) if np.isfinite(row[3])]
    got = [row[1::2] for row in rows_of(again) if np.isfinite(row[3])]
    assert sorted(got) == sorted(wanted)
    if kind == "nist":  # its scores are ratios by its header
        np.testing.assert_array_equal(again.llrs, again.scores)


# BOSARIS once: another process reads it, which takes a tenth of a second.
@example([1e300, -0.1, 1 / 3, 5e-324], "bosaris")
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8),
    st.sampled_from([kind for kind in SCORE_FILES if kind != "bosaris"]),
)
def test_numbers_read_back_to_the_same_bits(tmp_path_factory, scores, kind):
    path = tmp_path_factory.mktemp("s") / "s"
    trials = Trials.of([("m", f"t{i}", -1) for i in range(len(scores))])
    ok = ("ok",) * len(scores)
    write_score_file(path, ScoreTable(trials, np.array(scores), ok, ("",) * len(scores)), kind)
    np.testing.assert_array_equal(read_score_file(path).scores, scores)


def test_what_a_list_cannot_hold_is_refused(tmp_path):
    trials = Trials.of([("m 1", "t1", 1)])
    table = ScoreTable(trials, np.ones(1), ("ok",), ("",))
    with pytest.raises(ListError, match="'m 1' has a space in it"):
        write_score_file(tmp_path / "x", table, "kaldi")
    with pytest.raises(ListError, match="the table has several models"):
        write_score_file(tmp_path / "x", small_table(), "asvspoof")
    with pytest.raises(OptionError, match=r"kind must be one of .* \(did you mean 'kaldi'\?\)"):
        write_score_file(tmp_path / "x", small_table(), "kald")
    assert list(tmp_path.iterdir()) == []


def sidekit(path, **datasets):
    """Write what SIDEKIT 1.4 does: byte strings, gzip, checksums, room to grow."""
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            array = np.array(values)
            file.create_dataset(
                name.replace("__", "/"),
                data=array.astype("S") if array.dtype.kind == "U" else array,
                maxshape=(None,) * array.ndim,
                compression="gzip",
                fletcher32=True,
            )
    return path


def test_scores_and_key_of_bosaris(tmp_path):
    names = {"modelset": ["m1", "m2"], "segset": ["t1", "t2", "t3"]}
    scores = sidekit(
        tmp_path / "scores.h5",
        **names,
        score_mask=np.array([[1, 0, 1], [1, 1, 0]], np.int8),
        scores=np.array([[2.0, 9.0, np.nan], [-1.0, -2.5, 9.0]]),
    )
    key = sidekit(
        tmp_path / "key.h5",
        ID__row_ids=["m2", "m1"],
        ID__column_ids=["t1", "t2", "t3"],
        trial_mask=np.array([[-1, -1, 0], [1, 0, -1]], np.int8),
    )
    table = read_labeled(scores, key)
    assert rows_of(table)[0] == ("m1", "t1", 1, 2.0)
    assert [row[:3] for row in rows_of(table)[1:]] == [
        ("m1", "t3", 0),
        ("m2", "t1", 0),
        ("m2", "t2", 0),
    ]
    assert table.statuses == ("ok", "failed", "ok", "ok")
    index = sidekit(
        tmp_path / "ndx.h5", **names, trial_mask=np.array([[1, 0, 1], [1, 1, 0]], np.int8)
    )
    assert read_key_file(index).labels.tolist() == [-1] * 4


def test_what_is_written_is_what_sidekit_reads(tmp_path):
    write_score_file(tmp_path / "s.h5", small_table(), "bosaris")
    write_bosaris_trials(tmp_path / "k.h5", small_table().trials)
    with h5py.File(tmp_path / "s.h5") as file:
        assert file["modelset"][()].astype("U100").tolist() == ["m1", "m2"]
        assert file["segset"][()].astype("U100").tolist() == ["t1", "t2"]
        assert file["score_mask"][()].tolist() == [[1, 0], [1, 0]]
        assert file["scores"][()].tolist() == [[2.0, 0.0], [-1.0, 0.0]]
    with h5py.File(tmp_path / "k.h5") as file:
        assert file["trial_mask"][()].tolist() == [[1, -1], [-1, 0]]
    assert read_labeled(tmp_path / "s.h5", tmp_path / "k.h5").trials.labels.tolist() == [1, 0]


@pytest.mark.parametrize("name", ["key.h5", "key.tsv"])
@pytest.mark.parametrize("labels", [(1, 0, 0), (-1, -1, -1)])
def test_keys_read_back(tmp_path, name, labels):
    trials = small_table(labels).trials
    write_key_file(tmp_path / name, trials)
    again = read_key_file(tmp_path / name)
    triples = [
        sorted(
            (of.models[m], of.tests[t], label)
            for m, t, label in zip(of.model_index, of.test_index, of.labels.tolist(), strict=True)
        )
        for of in (trials, again)
    ]
    assert triples[0] == triples[1]
    with pytest.raises(DataError, match="1 of 3 trials have no label: a Key of BOSARIS has one"):
        write_key_file(tmp_path / "mixed.h5", small_table((1, 0, -1)).trials)


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"other": [1]}, "neither scores nor trials of BOSARIS"),
        ({"modelset": ["a"], "segset": ["b"], "trial_mask": [[1]]}, "score_mask is missing"),
        (
            {"modelset": ["a"], "segset": ["b"], "score_mask": [[1]], "scores": [[1.0, 2.0]]},
            "scores must be numbers, models by segments",
        ),
        (
            {"modelset": ["a"], "segset": ["b"], "score_mask": [[0]], "scores": [[1.0]]},
            "no trial is in its mask",
        ),
        (
            {"modelset": ["a", "a"], "segset": ["b"], "scores": [[1.0]] * 2},
            "named twice",
        ),
        (
            {"modelset": ["a"], "segset": ["b"], "score_mask": [[1]], "scores": [[np.inf]]},
            "an infinite score",
        ),
    ],
)
def test_a_damaged_matrix_is_refused(tmp_path, datasets, message):
    with pytest.raises(FormatError, match=message):
        read_score_file(sidekit(tmp_path / "s.h5", **datasets))
    with pytest.raises(FormatError, match="1, 0 and -1 alone"):
        read_key_file(sidekit(tmp_path / "k.h5", modelset=["a"], segset=["b"], trial_mask=[[3]]))


def test_another_file_of_ours_is_named(tmp_path):
    path = sidekit(tmp_path / "s.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "voicegmm/ubm"
    with pytest.raises(FormatError, match="holds voicegmm/ubm, where scores or trials were expec"):
        read_score_file(path)


def test_a_matrix_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "s.h5"
    write_score_file(path, small_table(), "bosaris")
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 3)):
        path.write_bytes(whole[:length])
        with pytest.raises((FormatError, ListError)):
            read_score_file(path)


def test_a_key_that_contradicts_itself_is_named(tmp_path):
    (tmp_path / "key.txt").write_text("LA_0 u1 - - bonafide\nLA_0 u1 - A07 spoof\n")
    with pytest.raises(ListError, match=r"key\.txt: the trial of .* stands with both labels"):
        read_key_file(tmp_path / "key.txt")
