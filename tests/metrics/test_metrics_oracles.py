"""Known answers: bob.measure's scores with BOSARIS' figures, closed forms, scikit-learn."""

import numpy as np
import pytest
from scipy.stats import norm

from voicegmm import metrics
from voicegmm._base.errors import DataError, OptionError

# Ten of our own, worked by hand. Rising: n n t n t t, with one tie (t, n at 2).
TARGETS = [2.0, 3.0, 4.0, 5.0]
NONTARGETS = [0.0, 1.0, 2.0, 3.5]


@pytest.fixture
def bosaris(shared):
    def read(name):
        folder = "oracles/metrics/"
        return (
            np.loadtxt(shared(f"{folder}{name}-positives.txt")),
            np.loadtxt(shared(f"{folder}{name}-negatives.txt")),
        )

    return read


def test_bosaris_overlapping(bosaris):
    t, n = bosaris("nonsep")
    assert metrics.eer(t, n) == pytest.approx(0.116363636363636, rel=1e-13)
    assert metrics.cllr(t, n) == pytest.approx(3.618334575741369, rel=1e-13)
    # BOSARIS goes through logits of posteriors and loses three digits on the way.
    assert metrics.min_cllr(t, n) == pytest.approx(0.4030620105358706, rel=1e-11)


def test_bosaris_separable(bosaris):
    t, n = bosaris("linsep")
    assert metrics.eer(t, n) == 0.0
    assert metrics.cllr(t, n) == pytest.approx(1.2097942129, rel=1e-10)
    assert metrics.min_cllr(t, n) == 0.0
    assert metrics.auc(t, n) == 1.0
    assert metrics.min_dcf(t, n) == 0.0


def test_nan_scores_are_failed_attempts(shared):
    label, score = np.loadtxt(shared("oracles/metrics/nan_scores.txt"), unpack=True)
    result = metrics.evaluate(score[label > 0], score[label < 0])
    assert sorted([result.n_targets, result.n_nontargets]) == [451, 495]
    assert result.n_failed_targets + result.n_failed_nontargets == 1000 - 451 - 495
    with pytest.raises(DataError, match=r"targets must not be NaN: \d+ of \d+ are"):
        metrics.eer(score[label > 0], score[label < 0])


def test_by_hand():
    # (p_miss, p_fa): (0,1) (0,.75) (0,.5) (.25,.25) (.5,.25) (.5,0) ... the hull goes from (0,.5)
    # through (.25,.25) to (.5,0) in a straight line.
    for method in ("rocch", "interpolated", "nearest"):
        assert metrics.eer(TARGETS, NONTARGETS, method) == pytest.approx(0.25)
    assert metrics.auc(TARGETS, NONTARGETS) == pytest.approx((2.5 + 3 + 4 + 4) / 16)
    assert metrics.min_dcf(TARGETS, NONTARGETS, 0.5) == pytest.approx(0.5)
    # At p = 0.01 a false alarm is dear: reject all but the two best.
    assert metrics.min_dcf(TARGETS, NONTARGETS, 0.01) == pytest.approx(0.5)
    # Threshold log(99) = 4.595: only the target at 5 is accepted.
    assert metrics.act_dcf(TARGETS, NONTARGETS, 0.01) == pytest.approx(0.75)


def test_the_three_equal_error_rates_differ():
    t, n = [1.0, 4.0, 5.0], [0.0, 2.0]
    # ROC: (0,1) (0,.5) (1/3,.5) (1/3,0): the vertical step at 1/3 crosses the diagonal; the hull
    # goes from (0,.5) to (1/3,0) and crosses at x = 0.5 - 1.5 x, x = 0.2.
    assert metrics.eer(t, n, "interpolated") == pytest.approx(1 / 3)
    assert metrics.eer(t, n, "rocch") == pytest.approx(0.2)
    assert metrics.eer(t, n, "nearest") == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_normal_scores_have_a_known_equal_error_rate():
    # Scores N(+d/2, d) and N(-d/2, d) are their own log-likelihood ratios: EER = Phi(-sqrt(d)/2).
    d = 6.0
    quantiles = norm.ppf((np.arange(50_000) + 0.5) / 50_000)
    t, n = d / 2 + np.sqrt(d) * quantiles, -d / 2 + np.sqrt(d) * quantiles
    expected = norm.cdf(-np.sqrt(d) / 2)
    assert metrics.eer(t, n) == pytest.approx(expected, rel=1e-4)
    assert metrics.auc(t, n) == pytest.approx(norm.cdf(np.sqrt(d / 2)), rel=1e-4)
    # Calibrated scores: nothing to gain by calibration.
    assert metrics.min_cllr(t, n) == pytest.approx(metrics.cllr(t, n), rel=1e-3)
    assert metrics.min_dcf(t, n) == pytest.approx(metrics.act_dcf(t, n), rel=1e-3)


def test_auc_and_isotonic_blocks_against_scikit_learn():
    from sklearn.isotonic import IsotonicRegression
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    t, n = rng.normal(1, 1, 300).round(1), rng.normal(0, 1, 500).round(1)
    scores, labels = np.concatenate([t, n]), np.repeat([1, 0], [300, 500])
    assert metrics.auc(t, n) == pytest.approx(roc_auc_score(labels, scores), rel=1e-12)
    hull = metrics.rocch_points(t, n)
    posterior = hull.targets / (hull.targets + hull.nontargets)
    block = np.searchsorted(hull.thresholds[:-1], scores, side="right") - 1
    peer = IsotonicRegression().fit(scores, labels).predict(scores)
    np.testing.assert_allclose(posterior[block], peer, rtol=1e-12, atol=1e-12)


def test_zeros_say_nothing():
    assert metrics.cllr(np.zeros(7), np.zeros(3)) == 1.0
    assert metrics.min_cllr(np.zeros(7), np.zeros(3)) == pytest.approx(1.0, rel=1e-14)
    assert metrics.auc(np.zeros(7), np.zeros(3)) == 0.5
    for method in ("rocch", "interpolated", "nearest"):
        assert metrics.eer(np.zeros(7), np.zeros(3), method) == 0.5
    assert metrics.min_dcf(np.zeros(7), np.zeros(3)) == 1.0


def test_ties_do_not_favor_the_system():
    # Sorted in the system's favor, these would be without errors.
    t, n = [1.0, 1.0, 2.0], [1.0, 0.0, 0.0]
    assert metrics.min_cllr(t, n) > 0.3
    assert metrics.eer(t, n) > 0.1


def test_a_reversed_system_is_useless_and_not_good():
    t, n = [0.0, 1.0], [2.0, 3.0]
    assert metrics.eer(t, n) == 0.5
    assert metrics.eer(t, n, "interpolated") == 1.0
    assert metrics.min_cllr(t, n) == pytest.approx(1.0)
    assert metrics.min_dcf(t, n) == 1.0
    assert metrics.auc(t, n) == 0.0


def test_infinite_scores():
    inf = np.inf
    assert metrics.eer([inf, 1.0], [-inf, 0.0]) == 0.0
    assert metrics.cllr([inf], [-inf]) == 0.0
    assert metrics.cllr([-inf, 3.0], [0.0]) == inf
    assert metrics.min_cllr([-inf, 3.0], [0.0]) < 1.0
    # A false alarm nobody can be rid of, except by rejecting all.
    assert metrics.min_dcf([inf], [inf, 0.0], 0.5) == 0.5
    assert metrics.min_dcf([inf], [inf, 0.0], 0.01) == 1.0


def test_a_cost_of_a_miss_counts():
    point = metrics.OperatingPoint(0.01, c_miss=10.0)
    assert point.name == "0.01_10_1"
    assert point.threshold == pytest.approx(np.log(9.9))
    assert metrics.OperatingPoint().name == "0.01"
    assert metrics.act_dcf([2.2, 2.4], [0.0], 0.01, 10.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "function",
    [
        metrics.eer,
        metrics.min_dcf,
        metrics.act_dcf,
        metrics.cllr,
        metrics.min_cllr,
        metrics.auc,
        metrics.det_points,
        metrics.rocch_points,
        metrics.tippett,
        metrics.bayes_error,
        metrics.evaluate,
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(function):
    with pytest.raises(DataError, match="nontargets must hold at least one score, got none"):
        function([1.0], [])
    with pytest.raises(DataError, match="targets must be a vector of scores, got 2 axes"):
        function([[1.0]], [0.0])
    with pytest.raises(DataError, match="targets must be numbers"):
        function(["high"], [0.0])
    with pytest.raises(DataError, match="targets must be real numbers, got complex ones"):
        function(np.array([1j]), [0.0])
    if function is metrics.evaluate:
        with pytest.raises(DataError, match="all 2 attempts failed"):
            function([np.nan, np.nan], [0.0])
        return
    with pytest.raises(DataError, match="nontargets must not be NaN: 1 of 2 are, the first is nu"):
        function([1.0], [0.0, np.nan])
    with pytest.raises(DataError, match="target_weights must be numbers"):
        function([1.0], [0.0], target_weights=["heavy"])
    with pytest.raises(DataError, match="target_weights must be a vector of 1 weights"):
        function([1.0], [0.0], target_weights=[1.0, 2.0])
    with pytest.raises(DataError, match=r"nontarget_weights must be finite and at least 0, got -1"):
        function([1.0], [0.0], nontarget_weights=[-1.0])


def test_options_out_of_range_are_refused():
    with pytest.raises(OptionError, match=r"method must be one of .*did you mean 'nearest'"):
        metrics.eer([1.0], [0.0], "nearst")
    with pytest.raises(OptionError, match="p_target must be between 0 and 1"):
        metrics.min_dcf([1.0], [0.0], 1.0)
    with pytest.raises(OptionError, match="p_target must be between 0 and 1"):
        metrics.min_dcf([1.0], [0.0], float("nan"))
    with pytest.raises(OptionError, match="c_fa must be greater than 0"):
        metrics.act_dcf([1.0], [0.0], c_fa=0.0)
    with pytest.raises(DataError, match="targets must have a positive finite total weight, got 0"):
        metrics.eer([1.0], [0.0], target_weights=[0.0])


def test_a_million_scores():
    rng = np.random.default_rng(0)
    t, n = rng.normal(3, 2.5, 500_000), rng.normal(-3, 2.5, 500_000).astype(np.float32)
    scores = metrics.sort_scores(t, n)
    hull = metrics.rocch(scores)
    assert metrics.rocch_eer(hull) == pytest.approx(norm.cdf(-3 / 2.5), rel=0.01)
    assert metrics.rocch_eer(hull) == pytest.approx(metrics.eer_of(scores, "nearest"), rel=1e-3)
    assert metrics.min_cllr_of(hull) <= metrics.cllr_of(scores)
