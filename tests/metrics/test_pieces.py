"""Scores are merged piece by piece: where the pieces end, no figure can tell."""

from unittest.mock import patch

import brute_force
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm import metrics
from voicegmm._base.errors import DataError
from voicegmm.metrics import pooling

EXACT = 1e-12  # sums of at most some tens of terms of size one, in double precision

# Small integers tie often, within a piece and across its ends.
values = st.one_of(st.integers(-4, 4).map(float), st.floats(-30, 30, width=32))
scores = st.lists(values, min_size=1, max_size=25)
sizes = st.integers(1, 6)


def in_pieces(size):
    return patch.object(pooling, "PIECE", size)


def everything(t, n, w_t=None, w_n=None):
    weights = {"target_weights": w_t, "nontarget_weights": w_n}
    odds = np.array([-2.0, 0.0, 1.0])
    entropy = metrics.cross_entropy(t, n, odds, **weights)
    errors = metrics.bayes_error(t, n, odds, **weights)
    lines = metrics.tippett(t, n, **weights)
    corners, hull = metrics.det_points(t, n, **weights), metrics.rocch_points(t, n, w_t, w_n)
    return [
        *(metrics.eer(t, n, method, **weights) for method in ("rocch", "interpolated", "nearest")),
        metrics.min_dcf(t, n, 0.1, **weights),
        metrics.act_dcf(t, n, 0.1, **weights),
        metrics.cllr(t, n, **weights),
        metrics.min_cllr(t, n, **weights),
        metrics.auc(t, n, **weights),
        *(entropy.actual, entropy.minimum, errors.actual, errors.minimum),
        *(lines.scores, lines.targets, lines.nontargets),
        *(corners.thresholds[:-1], corners.p_miss, corners.p_fa),
        *(hull.thresholds[:-1], hull.p_miss, hull.p_fa),
    ]


@settings(max_examples=25)
@given(scores, scores, sizes, st.booleans(), st.data())
def test_pieces_change_nothing(t, n, size, weighted, data):
    def weights(length):
        few = st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=length, max_size=length)
        return np.array(data.draw(few.filter(any))) if weighted else None

    given_weights = weights(len(t)), weights(len(n))
    with in_pieces(size):
        found = everything(t, n, *given_weights)
    for ours, whole in zip(found, everything(t, n, *given_weights), strict=True):
        np.testing.assert_allclose(ours, whole, rtol=EXACT, atol=EXACT)


@settings(max_examples=25)
@given(scores, scores, sizes)
def test_pieces_are_small_and_hold_each_score_once(t, n, size):
    with in_pieces(size):
        pieces = list(metrics.sort_scores(t, n).pieces())
    assert max(len(piece.scores) for piece in pieces) <= 2 * size + 1
    found = np.concatenate([piece.scores for piece in pieces])
    np.testing.assert_array_equal(found, np.unique(t + n))
    for counts, those in ((1, t), (2, n)):
        found = np.concatenate([piece[counts] for piece in pieces])
        np.testing.assert_array_equal(found, [np.sum(np.equal(those, x)) for x in np.unique(t + n)])


@settings(max_examples=12)
@given(scores, scores, sizes)
def test_single_precision_stays_and_changes_nothing(t, n, size):
    single = np.array(t, np.float32), np.array(n, np.float32)
    kept = metrics.sort_scores(*single)
    assert kept.targets.dtype == kept.nontargets.dtype == np.float32
    assert metrics.sort_scores(single[0], n).targets.dtype == np.float64
    with in_pieces(size):
        found = everything(*single)
    # The values have single precision already, so both are the same numbers.
    for ours, double in zip(found, everything(t, n), strict=True):
        np.testing.assert_allclose(ours, double, rtol=EXACT, atol=EXACT)
    evaluations = [metrics.evaluate(*pair).metrics for pair in (single, (t, n))]
    for name, estimate in evaluations[0].items():
        assert estimate.value == pytest.approx(evaluations[1][name].value, rel=EXACT, abs=EXACT)


def test_a_threshold_between_two_numbers_of_single_precision():
    low, high = np.float32([0.1]), np.float32([0.7])  # 0.1000000015 and 0.6999999881
    single = metrics.sort_scores(low, high)
    double = metrics.sort_scores(low.astype(np.float64), high.astype(np.float64))
    for threshold in (0.1, 0.7, float(low[0]), float(high[0]), 1e300, -1e300):
        assert single.errors_at(threshold) == double.errors_at(threshold)
    assert single.errors_at(0.1) == (0.0, 1.0)
    assert single.errors_at(0.7) == (1.0, 0.0)


def test_more_ties_than_a_piece_holds():
    t, n = np.repeat([0.0, 1.0], [200_000, 100_000]), np.repeat([0.0, 1.0], [500_000, 70_000])
    pieces = list(metrics.sort_scores(t, n).pieces())
    assert sum(len(piece.scores) for piece in pieces) == 2
    assert metrics.eer(t, n) == pytest.approx(brute_force.eer_rocch(t[::1000], n[::1000]))
    with pytest.raises(DataError, match="nontargets must have a positive finite total weight"):
        metrics.sort_scores(t, n, None, np.zeros(len(n)))
