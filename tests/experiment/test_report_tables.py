"""The tables of a report against the same counted slowly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm.corpus import Trials
from voicegmm.experiment.report_tables import (
    equal_error_threshold,
    figure_name,
    figure_rows,
    model_rows,
    operating_points,
    point_of,
    worst_nontargets,
    worst_targets,
)
from voicegmm.metrics import OperatingPoint, eer
from voicegmm.scoring import ScoreTable


def table_of(rows, calibrated=False):
    """Make a table of (model, test, label, score or None)."""
    trials = Trials.of((model, test, label) for model, test, label, _ in rows)
    scores = np.array([np.nan if score is None else score for *_, score in rows])
    statuses = tuple("unreadable" if score is None else "ok" for *_, score in rows)
    reasons = tuple("broken" if score is None else "" for *_, score in rows)
    return ScoreTable(trials, scores, statuses, reasons, scores if calibrated else None)


@st.composite
def score_rows(draw):
    """Draw trials of a few models; scores from a coarse grid, so that there are ties."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, unique=True))
    score = st.one_of(st.none(), st.integers(-6, 6).map(lambda n: n / 2))
    return [
        (f"m{model}", f"t{test}", draw(st.sampled_from([0, 1])), draw(score))
        for model, test in pairs
    ]


@given(score_rows())
def test_model_rows_are_what_one_counts(rows):
    table = table_of(rows)
    threshold = equal_error_threshold(table)
    found = {row.model: row for row in model_rows(table, threshold)}
    assert sorted(found) == sorted({model for model, *_ in rows})
    for model, row in found.items():
        of = {
            kind: [s for m, _, label, s in rows if m == model and label == kind and s is not None]
            for kind in (0, 1)
        }
        assert (row.n_nontargets, row.n_targets) == (len(of[0]), len(of[1]))
        assert row.n_failed == sum(m == model and s is None for m, _, _, s in rows)
        if of[1]:
            assert row.mean_target == pytest.approx(np.mean(of[1]), rel=1e-12, abs=1e-12)
        else:
            assert row.mean_target is None
        if threshold is None:
            assert row.misses == row.false_accepts == 0
        else:
            assert row.misses == sum(s < threshold for s in of[1])
            assert row.false_accepts == sum(s >= threshold for s in of[0])


@given(score_rows())
def test_threshold_is_the_fairest_there_is(rows):
    table = table_of(rows)
    threshold = equal_error_threshold(table)
    targets = np.array([s for *_, label, s in rows if label == 1 and s is not None])
    nontargets = np.array([s for *_, label, s in rows if label == 0 and s is not None])
    if not (len(targets) and len(nontargets)):
        assert threshold is None
        return

    def unfair(at):
        return abs((targets < at).mean() - (nontargets >= at).mean())

    best = min(unfair(at) for at in [*targets, *nontargets, np.inf])
    assert unfair(threshold) == pytest.approx(best, abs=1e-12)
    mean = ((targets < threshold).mean() + (nontargets >= threshold).mean()) / 2
    # Two thresholds can be as fair as one another; where they are not, this is the "nearest" EER.
    if best == 0.0:
        assert mean == pytest.approx(eer(targets, nontargets, "nearest"), abs=1e-12)


@given(score_rows(), st.integers(1, 8))
def test_worst_errors_are_those_that_sorting_gives(rows, n):
    table = table_of(rows, calibrated=True)
    for label, found, best in (
        (0, worst_nontargets(table, n), lambda score: -score),
        (1, worst_targets(table, n), lambda score: score),
    ):
        of = [(m, t, s) for m, t, kind, s in rows if kind == label and s is not None]
        wanted = sorted(of, key=lambda row: best(row[2]))[:n]
        assert [(row.model, row.test, row.score) for row in found] == wanted


def test_uncalibrated_scores_get_no_words():
    rows = [("a", "x", 1, -1.0), ("a", "y", 0, 7.0)]
    assert worst_targets(table_of(rows), 1)[0].words == ""
    assert worst_nontargets(table_of(rows, True), 1)[0].words.startswith("strong support for")


def test_models_with_most_errors_come_first():
    rows = [
        ("good", "x", 1, 3.0),
        ("good", "y", 0, -3.0),
        ("bad", "y", 1, -2.0),
        ("bad", "x", 0, 2.0),
        ("also good", "z", 1, 3.0),
    ]
    ordered = model_rows(table_of(rows), 0.0)
    assert [row.model for row in ordered] == ["bad", "also good", "good"]
    assert (ordered[0].misses, ordered[0].false_accepts) == (1, 1)


@given(
    st.integers(1, 999).map(lambda n: n / 1000),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(["min", "act"]),
)
def test_operating_point_is_read_back_from_the_name_of_its_cost(p_target, c_miss, c_fa, kind):
    point = OperatingPoint(p_target, c_miss, c_fa)
    assert point_of(f"{kind}_dcf_{point.name}") == point


def test_names_in_words():
    assert figure_name("min_dcf_0.01") == "minDCF at P(target)\u00a0=\u00a00.01"
    assert figure_name("act_dcf_0.05_10_1") == (
        "actDCF at P(target)\u00a0=\u00a00.05, costs 10 : 1"
    )
    assert figure_name("something else") == "something else"


def test_figures_stand_in_the_order_they_are_quoted_in():
    names = [
        "act_dcf_0.01",
        "act_dcf_0.05",
        "auc",
        "cllr",
        "eer",
        "min_cllr",
        "min_dcf_0.01",
        "min_dcf_0.05",
    ]
    rows = figure_rows({name: {"value": 0.5, "low": None, "high": None} for name in names})
    assert [row.key for row in rows] == [
        "eer",
        "min_dcf_0.01",
        "act_dcf_0.01",
        "min_dcf_0.05",
        "act_dcf_0.05",
        "cllr",
        "min_cllr",
        "auc",
    ]
    assert {row.low for row in rows} == {""}
    points = [OperatingPoint(0.01), OperatingPoint(0.05)]
    assert operating_points(dict.fromkeys(names)) == points
