"""Figures of classes: against the metrics of ratios, loops and what must be."""

import numpy as np
import pytest

from voicegmm._base.errors import DataError
from voicegmm.metrics import cllr, eer, min_cllr
from voicegmm.scoring import class_figures, pooled_by_voice


def drawn(rng, n_classes, n=90, apart=1.5):
    voices = np.repeat(np.arange(n // 3), 3)
    labels = voices % n_classes
    values = rng.standard_normal((n, n_classes)) + apart * np.eye(n_classes)[labels]
    return values, labels, voices


@pytest.mark.parametrize("seed", range(3))
def test_of_two_classes_they_are_those_of_the_ratio(seed):
    rng = np.random.default_rng(seed)
    values, labels, voices = drawn(rng, 2, 30)
    found = class_figures(values, labels, voices, rng)
    ratio = values[:, 0] - values[:, 1]
    parts = ratio[labels == 0], ratio[labels == 1]
    assert found.cllr.value == pytest.approx(cllr(*parts))
    assert found.eer.value == pytest.approx(eer(*parts))
    assert found.min_cllr.value == pytest.approx(min_cllr(*parts))
    for one in (found.cllr, found.eer, found.min_cllr):
        assert one.low <= one.value <= one.high


def test_accuracy_and_confusion_by_loops():
    rng = np.random.default_rng(5)
    values, labels, voices = drawn(rng, 4)
    found = class_figures(values, labels, voices, rng)
    table = [[0] * 4 for _ in range(4)]
    for row, label in zip(values.tolist(), labels, strict=True):
        table[label][row.index(max(row))] += 1
    assert found.confusion == tuple(map(tuple, table))
    right = sum(table[c][c] for c in range(4))
    assert found.accuracy.value == pytest.approx(right / len(labels))
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    assert (found.accuracy.n_trials, found.accuracy.n_speakers) == (90, 30)
    assert (found.eer, found.min_cllr) == (None, None)


def test_no_evidence_costs_one_and_certainty_nothing():
    labels = np.arange(30) % 5
    rng = np.random.default_rng(0)
    nothing = class_figures(np.zeros((30, 5)), labels, np.arange(30), rng)
    assert nothing.cllr.value == pytest.approx(1)
    sure = class_figures(50.0 * np.eye(5)[labels], labels, np.arange(30), rng)
    assert sure.cllr.value == pytest.approx(0, abs=1e-12)
    # The rule of three: without an error among 30 voices, a tenth may still be wrong.
    assert (sure.accuracy.value, sure.accuracy.high) == (1, 1)
    assert sure.accuracy.low == pytest.approx(0.9)


def test_recordings_of_a_voice_that_repeat_widen_the_interval_instead_of_narrowing_it():
    rng = np.random.default_rng(6)
    values, labels, _ = drawn(rng, 2, 60)
    voices = np.arange(60)
    once = class_figures(values, labels, voices, np.random.default_rng(0))
    often = class_figures(
        np.repeat(values, 20, axis=0), np.repeat(labels, 20), np.repeat(voices, 20),
        np.random.default_rng(0),
    )  # fmt: skip
    for name in ("accuracy", "cllr", "eer"):
        one, other = getattr(once, name), getattr(often, name)
        assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_intervals_are_left_out_where_most_resamplings_lose_a_class():
    found = class_figures(np.eye(2)[[0, 1, 1]], [0, 1, 1], [0, 1, 2], np.random.default_rng(0))
    assert found.cllr.low is not None
    lone = class_figures(
        np.eye(6)[np.arange(6)], np.arange(6), np.arange(6), np.random.default_rng(0)
    )
    assert lone.cllr.low is None


def test_pooled_by_voice_averages():
    values = [[1.0, 0.0], [3.0, 0.0], [0.0, 5.0], [0.0, 1.0]]
    pooled, labels, voices = pooled_by_voice(values, [0, 0, 1, 1], [7, 7, 7, 8])
    assert pooled.tolist() == [[2, 0], [0, 5], [0, 1]]
    assert (labels.tolist(), voices.tolist()) == ([0, 1, 1], [7, 7, 8])


def test_arrays_that_do_not_fit():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"labels and voices \(n,\)"):
        class_figures(np.zeros((3, 2)), [0, 1], [0, 1, 2], rng)
    with pytest.raises(DataError, match="recordings of every class"):
        class_figures(np.zeros((2, 2)), [1, 1], [0, 1], rng)
