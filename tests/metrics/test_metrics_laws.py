"""Laws that the metrics obey whatever the scores, and brute force beside them."""

from unittest.mock import patch

import brute_force
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm import metrics
from voicegmm.metrics import pooling

EXACT = 1e-12  # sums of at most some tens of terms of size one, in double precision

# Small integers tie often; floats seldom do. (Subnormal scores have no room for increasing maps.)
tied = st.integers(-4, 4).map(float)
free = st.floats(-30, 30, allow_subnormal=False)
scores = st.lists(st.one_of(tied, free), min_size=1, max_size=25)
priors = st.floats(0.001, 0.999)
costs = st.floats(0.1, 10.0)


def order_metrics(t, n, **weights):
    return np.array(
        [
            metrics.eer(t, n, **weights),
            metrics.eer(t, n, "interpolated", **weights),
            metrics.eer(t, n, "nearest", **weights),
            metrics.min_dcf(t, n, 0.1, **weights),
            metrics.min_cllr(t, n, **weights),
            metrics.auc(t, n, **weights),
        ]
    )


@given(scores, scores, priors, costs, costs, st.integers(1, 30))
def test_brute_force_agrees(t, n, p, c_miss, c_fa, size):
    with patch.object(pooling, "PIECE", size):  # scores are merged piece by piece
        check_by_brute_force(t, n, p, c_miss, c_fa)


def check_by_brute_force(t, n, p, c_miss, c_fa):
    assert metrics.eer(t, n) == pytest.approx(brute_force.eer_rocch(t, n), abs=EXACT)
    assert metrics.eer(t, n, "interpolated") == pytest.approx(
        brute_force.eer_interpolated(t, n), abs=EXACT
    )
    points = brute_force.rates(t, n)
    gaps = np.abs(points[:, 0] - points[:, 1])
    nearest = points[gaps <= gaps.min() + EXACT].mean(axis=1).min()
    assert metrics.eer(t, n, "nearest") == pytest.approx(nearest, abs=EXACT)
    assert metrics.min_dcf(t, n, p, c_miss, c_fa) == pytest.approx(
        brute_force.min_dcf(t, n, p, c_miss, c_fa), rel=EXACT, abs=EXACT
    )
    assert metrics.min_cllr(t, n) == pytest.approx(brute_force.min_cllr(t, n), abs=EXACT)
    assert metrics.auc(t, n) == pytest.approx(brute_force.auc(t, n), abs=EXACT)
    assert metrics.cllr(t, n) == pytest.approx(brute_force.cllr(t, n), rel=EXACT)


@given(scores, scores, st.randoms(use_true_random=False))
def test_increasing_maps_change_nothing(t, n, random):
    values = np.unique(t + n)
    mapped = np.cumsum([random.uniform(0.1, 9.0) for _ in values]) - 20.0
    t2, n2 = mapped[np.searchsorted(values, t)], mapped[np.searchsorted(values, n)]
    np.testing.assert_array_equal(order_metrics(t2, n2), order_metrics(t, n))
    ours, theirs = metrics.rocch_points(t, n), metrics.rocch_points(t2, n2)
    np.testing.assert_array_equal(theirs.p_miss, ours.p_miss)
    np.testing.assert_array_equal(theirs.p_fa, ours.p_fa)
    kept = np.searchsorted(values, ours.thresholds[:-1])
    np.testing.assert_array_equal(theirs.thresholds[:-1], mapped[kept])


@given(scores, scores, priors)
def test_swapping_and_negating_the_classes_is_symmetric(t, n, p):
    t2, n2 = -np.array(n), -np.array(t)
    swapped = order_metrics(t2, n2)
    ours = order_metrics(t, n)
    np.testing.assert_allclose(swapped[[0, 1, 2, 4, 5]], ours[[0, 1, 2, 4, 5]], atol=EXACT)
    assert metrics.cllr(t2, n2) == pytest.approx(metrics.cllr(t, n), rel=EXACT)
    assert metrics.min_dcf(t2, n2, 1 - p) == pytest.approx(
        metrics.min_dcf(t, n, p), rel=1e-9, abs=EXACT
    )


@given(scores, scores, priors, costs, costs)
def test_the_best_is_not_worse_than_the_actual(t, n, p, c_miss, c_fa):
    assert metrics.min_cllr(t, n) <= metrics.cllr(t, n) + EXACT
    low = metrics.min_dcf(t, n, p, c_miss, c_fa)
    assert low <= metrics.act_dcf(t, n, p, c_miss, c_fa) + EXACT
    assert -EXACT <= low <= 1 + EXACT
    assert 0 <= metrics.eer(t, n) <= 0.5 + EXACT
    assert metrics.eer(t, n) <= metrics.eer(t, n, "interpolated") + EXACT


@given(st.data(), scores, scores)
def test_integer_weights_are_copies(data, t, n):
    def weights(length):
        few = st.lists(st.integers(0, 3), min_size=length, max_size=length)
        return np.array(data.draw(few.filter(any)))

    w_t, w_n = weights(len(t)), weights(len(n))
    given_weights = {"target_weights": w_t, "nontarget_weights": w_n}
    t2, n2 = np.repeat(t, w_t), np.repeat(n, w_n)
    np.testing.assert_allclose(
        order_metrics(t, n, **given_weights), order_metrics(t2, n2), atol=EXACT
    )
    for curve in (
        metrics.det_points,
        lambda *scores, **w: metrics.rocch_points(*scores, *w.values()),
    ):
        ours, theirs = curve(t, n, **given_weights), curve(t2, n2)
        for name in ("thresholds", "p_miss", "p_fa"):
            found, wanted = getattr(ours, name), getattr(theirs, name)
            np.testing.assert_allclose(found, wanted, atol=EXACT)
    assert metrics.cllr(t, n, **given_weights) == pytest.approx(metrics.cllr(t2, n2), rel=EXACT)
    assert metrics.act_dcf(t, n, 0.3, **given_weights) == pytest.approx(
        metrics.act_dcf(t2, n2, 0.3), rel=EXACT
    )


@given(scores, scores)
def test_curves_go_from_accept_all_to_reject_all(t, n):
    for curve in (metrics.det_points(t, n), metrics.rocch_points(t, n)):
        assert (curve.p_miss[0], curve.p_fa[0]) == (0.0, 1.0)
        assert (curve.p_miss[-1], curve.p_fa[-1]) == (1.0, 0.0)
        assert (np.diff(curve.p_miss) >= 0).all()
        assert (np.diff(curve.p_fa) <= 0).all()
        for threshold, p_miss, p_fa in zip(
            curve.thresholds[:-1], curve.p_miss[:-1], curve.p_fa[:-1], strict=True
        ):
            assert p_miss == pytest.approx(np.mean(np.array(t) < threshold), abs=EXACT)
            assert p_fa == pytest.approx(np.mean(np.array(n) >= threshold), abs=EXACT)


@given(scores, scores)
def test_the_hull_is_convex(t, n):
    hull = metrics.rocch_points(t, n)
    miss, fa = np.diff(hull.p_miss), np.diff(hull.p_fa)
    assert (miss[:-1] * fa[1:] - miss[1:] * fa[:-1] >= -EXACT).all()


@given(scores, scores)
def test_no_corner_of_the_det_curve_is_lost(t, n):
    kept = metrics.det_points(t, n)
    for p_miss, p_fa in brute_force.rates(t, n):
        after = int(np.searchsorted(kept.p_miss - kept.p_fa, p_miss - p_fa - EXACT))
        low = max(after - 1, 0)
        a = np.array([kept.p_miss[low], kept.p_fa[low]])
        b = np.array([kept.p_miss[after], kept.p_fa[after]])
        off = (b - a)[0] * (p_fa - a[1]) - (b - a)[1] * (p_miss - a[0])
        assert abs(off) < EXACT


@given(scores, scores)
def test_tippett_counts_what_is_at_least_so_strong(t, n):
    lines = metrics.tippett(t, n)
    t, n = np.array(t), np.array(n)
    for x, at_targets, at_nontargets in zip(
        lines.scores, lines.targets, lines.nontargets, strict=True
    ):
        assert at_targets == pytest.approx(np.mean(t >= x), abs=EXACT)
        assert at_nontargets == pytest.approx(np.mean(n >= x), abs=EXACT)
    assert lines.misleading_targets == pytest.approx(np.mean(t < 0), abs=EXACT)
    assert lines.misleading_nontargets == pytest.approx(np.mean(n > 0), abs=EXACT)


@given(scores, scores, st.lists(st.floats(-6, 6), min_size=1, max_size=4))
def test_bayes_error_is_the_detection_cost_at_each_prior(t, n, odds):
    curve = metrics.bayes_error(t, n, odds)
    for i, odd in enumerate(odds):
        p = 1 / (1 + np.exp(-odd))
        assert curve.actual[i] == pytest.approx(metrics.act_dcf(t, n, p))
        assert curve.minimum[i] == pytest.approx(metrics.min_dcf(t, n, p))
    assert (curve.minimum <= curve.actual + EXACT).all()
