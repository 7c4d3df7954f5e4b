import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, ListError
from voicegmm.cli.console import print_figures
from voicegmm.corpus import Trials
from voicegmm.scoring import ScoreTable, read_scores, write_scores
from voicegmm.scoring.evaluation import EvaluationOptions, as_mapping, evaluate_table, with_key


def table_of(scores, llrs=None, labels=None):
    n = len(scores)
    rows = [(f"m {i}", f"t{i}", 1 if labels is None else labels[i]) for i in range(n)]
    scored = np.isfinite(scores)
    statuses = tuple("ok" if good else "no speech" for good in scored)
    reasons = tuple("" if good else "silence,\tthen\nnothing" for good in scored)
    return ScoreTable(Trials.of(rows), np.array(scores, float), statuses, reasons, llrs)


numbers = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)), min_size=1, max_size=20)


@given(numbers, st.booleans())
def test_a_table_reads_back_to_the_same_bits(tmp_path_factory, scores, calibrated):
    path = tmp_path_factory.mktemp("scores") / "scores.tsv"
    llrs = np.array(scores) * 3 - 1 if calibrated and np.isfinite(scores).any() else None
    table = table_of(scores, llrs)
    write_scores(path, table)
    again = read_scores(path)
    np.testing.assert_array_equal(again.scores, table.scores)
    assert again.statuses == table.statuses
    assert again.trials.models == table.trials.models
    assert (again.llrs is None) == (llrs is None)
    if llrs is not None:
        np.testing.assert_array_equal(again.llrs, llrs)


def test_a_failure_can_never_stand_with_a_number():
    trials = Trials.of([("a", "b", 1)])
    with pytest.raises(DataError, match="a score exactly where its status is ok"):
        ScoreTable(trials, np.array([0.0]), ("unreadable",), ("x",))
    with pytest.raises(DataError, match="a score exactly where its status is ok"):
        ScoreTable(trials, np.array([np.nan]), ("ok",), ("",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\tb\ttarget\t1.0\t\tno speech\tx", "line 2: a score belongs to the status ok alone"),
        ("a\tb\ttarget\t\t\tok\t", "line 2: a score belongs to the status ok alone"),
        ("a\tb\tmaybe\t1.0\t\tok\t", "line 2: expected 7 fields"),
        ("a\tb\ttarget\tone\t\tok\t", "line 2: 'one' is not a finite number"),
        ("a\tb\ttarget\t1\tinf\tok\t", "line 2: 'inf' is not a finite number"),
        ("a\tb\ttarget\t1.0\t\tok\t\na\tb\ttarget\t1.0\t\tok\t", "1 trials stand twice"),
        (
            "a\tb\ttarget\t1\t1\tok\t\na\tc\ttarget\t1\t\tok\t",
            "some scored trials have a calibrated",
        ),
        ("", "a header and nothing else"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, line, message):
    path = tmp_path / "scores.tsv"
    path.write_text("model\ttest\tlabel\tscore\tllr\tstatus\treason\n" + line + "\n")
    with pytest.raises(ListError, match=message):
        read_scores(path)
    path.write_text("hello\n")
    with pytest.raises(ListError, match="not a score table"):
        read_scores(path)


def closed_set_table(llrs=False):
    rng = np.random.default_rng(0)
    models, tests = [f"m{i}" for i in range(25)], [f"t{i}" for i in range(50)]
    rows = [(m, t, int(i == j // 2)) for j, t in enumerate(tests) for i, m in enumerate(models)]
    scores = np.array([label + 0.25 * rng.standard_normal() for *_, label in rows])
    ok = ("ok",) * len(rows)
    table = ScoreTable(Trials.of(rows), scores, ok, ("",) * len(rows))
    return replace(table, llrs=5 * scores - 3) if llrs else table


def test_uncalibrated_scores_have_no_cllr():
    options = EvaluationOptions(n_bootstrap=50)
    evaluation, found = evaluate_table(closed_set_table(), options)
    closed = found["closed_set"]
    assert "eer" in evaluation.metrics
    assert not [name for name in evaluation.metrics if name.startswith(("cllr", "act_dcf"))]
    assert any("not calibrated" in line for line in evaluation.warnings)
    assert closed["n_tests"] == 50
    first, five = closed["identification_rate"], closed["rank_5_rate"]
    assert 0.8 < first.value <= five.value <= 1
    assert first.low < first.value < first.high <= five.high
    assert "of identification behind identification_rate (" in " ".join(evaluation.warnings)
    calibrated, _ = evaluate_table(closed_set_table(llrs=True), options)
    assert calibrated.metrics["eer"] == evaluation.metrics["eer"]
    assert calibrated.metrics["cllr"].low < calibrated.metrics["cllr"].value


def test_strangers_among_the_tests_make_an_open_set(capsys):
    closed = closed_set_table()
    known = np.array([name not in ("m0", "m7") for name in closed.trials.models])
    chosen = np.flatnonzero(known[closed.trials.model_index])
    trials = closed.trials
    rows = [
        (trials.models[trials.model_index[i]], trials.tests[trials.test_index[i]], trials.labels[i])
        for i in chosen
    ]
    ok = ("ok",) * len(rows)
    table = ScoreTable(Trials.of(rows), closed.scores[chosen], ok, ("",) * len(rows))
    evaluation, found = evaluate_table(table, EvaluationOptions(n_bootstrap=0))
    (name,) = found
    told = found[name]
    assert (name, told["n_known"], told["n_strangers"]) == ("open_set", 46, 4)
    rates = [rate.value for rate in told["detection_identification"].values()]
    assert rates == sorted(rates)
    best: dict[str, float] = {}
    for (_, test, _), value in zip(rows, table.scores, strict=True):
        best[test] = max(best.get(test, -np.inf), value)
    strangers = [best[f"t{number}"] for number in (0, 1, 14, 15)]
    named = [
        s > max(strangers) and s == best[t]
        for (_, t, label), s in zip(rows, table.scores, strict=True)
        if label
    ]
    assert rates[0] == np.mean(named)
    print_figures(as_mapping(evaluation, found))
    out = capsys.readouterr().out
    assert "open set, 46 tests of known speakers, 4 of strangers: detected and identified" in out
    assert f"{100 * rates[0]:.2f} %  with false alarms on 1 %" in out
    print_figures(as_mapping(*evaluate_table(table, EvaluationOptions(n_bootstrap=50))))
    assert re.search(
        r" %  \[\d+\.\d\d, \d+\.\d\d\]  with false alarms on 1 %", capsys.readouterr().out
    )
    partial = ScoreTable(Trials.of(rows[1:]), table.scores[1:], ok[1:], ("",) * (len(rows) - 1))
    assert evaluate_table(partial, EvaluationOptions(n_bootstrap=0))[1] == {}


def test_failures_are_counted_beside_the_figures():
    labels = [1, 1, 1, 0, 0, 0]
    table = table_of([3.0, 2.0, np.nan, 0.0, -1.0, np.nan], labels=labels)
    evaluation, _ = evaluate_table(table, EvaluationOptions(n_bootstrap=0))
    assert (evaluation.n_targets, evaluation.n_failed_targets) == (2, 1)
    assert (evaluation.n_nontargets, evaluation.n_failed_nontargets) == (2, 1)
    assert evaluation.metrics["eer"].value == 0
    assert evaluation.failures_rejected["eer"].value > 0
    assert evaluation.to_mapping()["failure_rate"] == pytest.approx(2 / 6)


def test_labels_from_a_key():
    table = table_of([2.0, 1.0], labels=[-1, -1])
    with pytest.raises(DataError, match="2 of 2 trials have no label"):
        evaluate_table(table)
    key = Trials.of([("m 1", "t1", 0), ("m 0", "t0", 1), ("x", "y", 1)])
    assert with_key(table, key, "key").trials.labels.tolist() == [1, 0]
    with pytest.raises(DataError, match=r"key\.tsv has no label for 1 of 2 trials"):
        with_key(table, Trials.of([("m 0", "t0", 1)]), "key.tsv")
