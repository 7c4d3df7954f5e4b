"""Empirical cross-entropy, and the bounds of ratios that trials can support."""

import numpy as np
import pytest
from brute_force import isotonic_posteriors
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from voicegmm import metrics
from voicegmm._base.errors import OptionError

ratios = st.lists(st.integers(-12, 12).map(lambda i: i / 2), min_size=1, max_size=12)


def cross_entropy_by_hand(targets, nontargets, odds):
    p = np.exp(odds) / (1 + np.exp(odds))
    of_targets = [-np.log2(o / (1 + o)) for o in np.exp(np.asarray(targets) + odds)]
    of_nontargets = [-np.log2(1 / (1 + o)) for o in np.exp(np.asarray(nontargets) + odds)]
    return p * np.mean(of_targets) + (1 - p) * np.mean(of_nontargets)


@given(ratios, ratios, st.floats(-6, 6))
def test_cross_entropy_by_definition(targets, nontargets, odds):
    found = metrics.cross_entropy(targets, nontargets, [odds])
    assert found.actual[0] == pytest.approx(cross_entropy_by_hand(targets, nontargets, odds))
    p = np.exp(odds) / (1 + np.exp(odds))
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    assert found.neutral[0] == pytest.approx(entropy)
    # Isotonic regression on trials that weigh their prior is the best order-keeping calibration.
    share = len(targets) / (len(targets) + len(nontargets))
    values, posteriors = isotonic_posteriors(targets, nontargets)
    with np.errstate(divide="ignore"):
        best = np.log(posteriors / (1 - posteriors)) - np.log(share / (1 - share))
        of = dict(zip(values, best, strict=True))
        expected = p * np.mean([np.logaddexp(0, -of[s] - odds) for s in targets])
        expected += (1 - p) * np.mean([np.logaddexp(0, of[s] + odds) for s in nontargets])
    assert found.minimum[0] == pytest.approx(expected / np.log(2), abs=1e-12)
    assert found.minimum[0] <= min(found.actual[0], found.neutral[0]) + 1e-12


def test_at_even_odds_it_is_cllr():
    rng = np.random.default_rng(0)
    targets, nontargets = rng.normal(2, 2, 40), rng.normal(-2, 2, 300)
    found = metrics.cross_entropy(targets, nontargets)
    middle = len(found.prior_log_odds) // 2
    assert found.prior_log_odds[middle] == 0
    assert found.actual[middle] == pytest.approx(metrics.cllr(targets, nontargets))
    assert found.minimum[middle] == pytest.approx(metrics.min_cllr(targets, nontargets))
    assert found.neutral[middle] == 1.0
    weighted = metrics.cross_entropy(
        targets, nontargets, target_weights=np.full(40, 3.0), nontarget_weights=np.full(300, 2.0)
    )
    np.testing.assert_allclose(weighted.actual, found.actual, rtol=1e-12)


def test_infinite_ratios():
    right = metrics.cross_entropy([np.inf, 1.0], [-np.inf, -1.0], [0.0])
    assert np.isfinite(right.actual[0])
    assert metrics.cross_entropy([-np.inf, 1.0], [0.0], [0.0]).actual[0] == np.inf


def bounds_on_a_grid(targets, nontargets, n_misleading, step):
    """Vergeer et al. by a grid of thresholds; accept above it."""
    t = np.concatenate([targets, np.full(n_misleading, -np.inf)])
    n = np.concatenate([nontargets, np.full(n_misleading, np.inf)])
    lowest = min(min(targets), min(nontargets), 0.0)
    highest = max(max(targets), max(nontargets), 0.0)
    lower, upper = lowest, highest
    for x in np.arange(step / 2, highest, step):
        if np.mean(t <= x) + np.exp(x) * np.mean(n > x) > 1:
            upper = x
            break
    for x in np.arange(-step / 2, lowest, -step):
        if np.mean(t <= x) + np.exp(x) * np.mean(n > x) > np.exp(x):
            lower = x
            break
    return lower, upper


@given(ratios, ratios, st.integers(0, 3))
def test_bounds_against_a_grid(targets, nontargets, n_misleading):
    step = 5e-3
    found = metrics.empirical_bounds(targets, nontargets, n_misleading)
    lower, upper = bounds_on_a_grid(targets, nontargets, n_misleading, step)
    assert found.lower == pytest.approx(lower, abs=step)
    assert found.upper == pytest.approx(upper, abs=step)


def test_bounds_of_separated_ratios():
    # No error but the one that is added: t / (n + 1) passes 1 - 1 / (m + 1) at m (n + 1) / (m + 1).
    found = metrics.empirical_bounds(np.full(50, 30.0), np.full(2000, -30.0))
    assert found.upper == pytest.approx(np.log(50 / 51 * 2001))
    assert found.lower == pytest.approx(-np.log(2000 / 2001 * 51))
    assert metrics.empirical_bounds([30.0], [-30.0], 0) == metrics.RatioBounds(-30.0, 30.0)
    # Evidence for the wrong side supports nothing.
    wrong = metrics.empirical_bounds(np.full(9, -3.0), np.full(9, 3.0))
    assert (wrong.lower, wrong.upper) == (0.0, 0.0)
    assert np.isfinite(metrics.empirical_bounds([np.inf] * 9, [-np.inf] * 9).upper)
    with pytest.raises(OptionError, match="n_misleading must be at least 0"):
        metrics.empirical_bounds([1.0], [0.0], -1)


def test_figures_of_lir():
    # NFI's lir: cllr and cllr_min (0.1.29 and 1.3.1 alike), calculate_ece of the ratios and of
    # those of its IsotonicCalibrator (0.1.29), and elub (1.3.1) with a step of 0.0005 decades.
    t = [2.5, 0.3, -0.4, 1.7, 3.1, 0.3]
    n = [-2.0, 0.3, -0.7, -3.5, 1.1, -1.2, -0.4, -2.2]
    assert metrics.cllr(t, n) == pytest.approx(0.6100998076536084, rel=1e-13)
    assert metrics.min_cllr(t, n) == pytest.approx(0.431037309514985, rel=1e-13)
    found = metrics.cross_entropy(t, n, [-1.5, 0.0, 0.8])
    actual = [0.4349393063914935, 0.6100998076536084, 0.5464838379867656]
    least = [0.30900302374603295, 0.43103730951498503, 0.3756943005388943]
    np.testing.assert_allclose(found.actual, actual, rtol=1e-13)
    np.testing.assert_allclose(found.minimum, least, rtol=1e-13)
    t = 3 + 2 * norm.ppf((np.arange(40) + 0.5) / 40)
    n = -3 + 2 * norm.ppf((np.arange(200) + 0.5) / 200)
    bounds = metrics.empirical_bounds(t, n)
    assert (bounds.lower, bounds.upper) == pytest.approx(
        (-3.0117813, 4.0744243), abs=5e-4 * np.log(10)
    )


def test_figures_of_pyllr():
    # Brümmer's PYLLR (commit 0d1eb04): tarnon_2_eer, cllr, min_cllr, PAV.llrs, ROCCH, and
    # Bayes_error_rate_analysis, whose rates are not normalized, of the scores above.
    t = [2.5, 0.3, -0.4, 1.7, 3.1, 0.3]
    n = [-2.0, 0.3, -0.7, -3.5, 1.1, -1.2, -0.4, -2.2]
    # It finds the EER by a search that stops at 1e-8.
    assert metrics.eer(t, n) == pytest.approx(0.21428571409188546, abs=1e-8)
    assert metrics.cllr(t, n) == pytest.approx(0.6100998076536084, rel=1e-14)
    assert metrics.min_cllr(t, n) == pytest.approx(0.43103730951498503, rel=1e-14)
    hull = metrics.rocch_points(t, n)
    np.testing.assert_array_equal(hull.p_miss, [0.0, 0.0, 0.5, 1.0])
    np.testing.assert_array_equal(hull.p_fa, [1.0, 0.375, 0.0, 0.0])
    np.testing.assert_array_equal(hull.thresholds[:-1], [-3.5, -0.4, 1.7])
    ratio = np.log(hull.targets[1] / 6) - np.log(hull.nontargets[1] / 8)
    assert ratio == pytest.approx(0.2876820724517809, rel=1e-14)
    found = metrics.bayes_error(t, n, [-2.0, -0.25, 0.5, 1.5])
    p = 1 / (1 + np.exp(-found.prior_log_odds))
    alone = np.minimum(p, 1 - p)
    least = [0.05960146101105877, 0.21081618783217426, 0.1415777507993045, 0.06840957142738363]
    actual = [0.0794686146814117, 0.21351470840714984, 0.1415777507993045, 0.11401595237897272]
    np.testing.assert_allclose(found.minimum * alone, least, rtol=1e-13)
    np.testing.assert_allclose(found.actual * alone, actual, rtol=1e-13)
