"""The t-DCF against the papers' formulas, written out trial by trial."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics import TandemOptions, act_t_dcf, min_t_dcf, tandem_cost

LEGACY = TandemOptions(form="legacy")


def world(seed, ties=False):
    rng = np.random.default_rng(seed)
    scores = [
        rng.normal(mean, 1.5, size)
        for mean, size in ((3, 40), (-3, 90), (1.5, 60), (2, 70), (-1, 50))
    ]
    return [np.round(s) for s in scores] if ties else scores


def cost_of_decisions(asv, cm, threshold, threshold_cm, options):
    """What the decisions cost, each kind of trial by itself (2020, eq. 6), not normalized."""
    targets, nontargets, spoofs = (np.asarray(s) >= threshold for s in asv)
    humans, fakes = (np.asarray(s) >= threshold_cm for s in cm)
    p_spoof, p_target = options.p_spoof, (1 - options.p_spoof) * options.p_target
    p_other = (1 - options.p_spoof) * (1 - options.p_target)
    lost = 1 - humans.mean() * targets.mean()  # either stage rejects
    let_in = humans.mean() * nontargets.mean()
    fooled = fakes.mean() * spoofs.mean()
    return (
        p_target * options.c_miss * lost
        + p_other * options.c_fa * let_in
        + p_spoof * options.c_fa_spoof * fooled
    )


def thresholds_of(*scores):
    return [*np.unique(np.concatenate(scores)), np.inf]


@given(st.integers(0, 500), st.booleans())
def test_revised_is_the_cost_of_decisions(seed, ties):
    *asv, humans, fakes = world(seed, ties)
    options = TandemOptions(0.1, 0.9, 2.0, 7.0, 3.0)
    costs = [
        cost_of_decisions(asv, (humans, fakes), 0.5, t, options)
        for t in thresholds_of(humans, fakes)
    ]
    trivial = min(costs[0], costs[-1])  # pass everything, or nothing
    found = min_t_dcf(*asv, humans, fakes, options, threshold=0.5)
    assert found == pytest.approx(min(costs) / trivial, rel=1e-12)
    at = act_t_dcf(*asv, humans, fakes, 0.25, options, threshold=0.5)
    here = cost_of_decisions(asv, (humans, fakes), 0.5, 0.25, options)
    assert at == pytest.approx(here / trivial, rel=1e-12)


def test_legacy_formula():
    """ASVspoof 2019: C1 P_miss + C2 P_fa over min(C1, C2), its constants in place."""
    *asv, humans, fakes = world(3)
    p_miss = np.mean(asv[0] < 0.5)
    p_fa = np.mean(asv[1] >= 0.5)
    p_miss_spoof = np.mean(asv[2] < 0.5)
    p_target, p_other, p_spoof = 0.95 * 0.99, 0.95 * 0.01, 0.05
    c1 = p_target * (1 - 1 * p_miss) - p_other * 10 * p_fa
    c2 = 10 * p_spoof * (1 - p_miss_spoof)
    curve = [
        c1 * np.mean(humans < t) + c2 * np.mean(fakes >= t) for t in thresholds_of(humans, fakes)
    ]
    expected = min(curve) / min(c1, c2)
    assert min_t_dcf(*asv, humans, fakes, LEGACY, 0.5) == pytest.approx(expected, rel=1e-12)


def test_a_perfect_countermeasure_leaves_the_verification():
    *asv, _, _ = world(5)
    options = TandemOptions()
    found = min_t_dcf(*asv, [2.0, 3.0], [0.0, 1.0], options, 0.5)
    p_miss, p_fa, p_spoof = np.mean(asv[0] < 0.5), np.mean(asv[1] >= 0.5), np.mean(asv[2] >= 0.5)
    cost = tandem_cost(p_miss, p_fa, p_spoof, options)
    own = 0.95 * (0.99 * p_miss + 0.01 * 10 * p_fa)
    assert found == pytest.approx(own / (own + min(cost.miss, cost.fa)), rel=1e-12)
    assert min_t_dcf(*asv, [2.0, 3.0], [0.0, 1.0], LEGACY, 0.5) == 0.0


@pytest.mark.parametrize("options", [TandemOptions(), LEGACY])
def test_a_countermeasure_that_knows_nothing_costs_1(options):
    *asv, _, _ = world(6)
    assert min_t_dcf(*asv, [1.0] * 5, [1.0] * 7, options) == 1.0
    assert min_t_dcf(*asv, [0.0, 1.0], [2.0, 3.0], options) == 1.0
    assert act_t_dcf(*asv, [0.0, 1.0], [2.0, 3.0], 1.5, options) > 1.0


def test_the_usual_threshold_is_that_of_equal_errors():
    *asv, humans, fakes = world(7)
    pooled = thresholds_of(*asv[:2])
    gaps = [abs(np.mean(asv[0] < t) - np.mean(asv[1] >= t)) for t in pooled]
    threshold = pooled[int(np.argmin(gaps))]
    assert min_t_dcf(*asv, humans, fakes) == min_t_dcf(*asv, humans, fakes, threshold=threshold)


def test_what_says_nothing_is_refused():
    *asv, humans, fakes = world(8)
    with pytest.raises(DataError, match="accepting every spoof costs no more"):
        min_t_dcf(asv[0], asv[1], [-99.0], humans, fakes)
    with pytest.raises(DataError, match="rejecting every human costs no more"):
        min_t_dcf(*asv, humans, fakes, threshold=-99.0, options=TandemOptions(p_target=0.05))
    with pytest.raises(OptionError, match="form must be one of revised, legacy; got 'new'"):
        replace(LEGACY, form="new")
    with pytest.raises(OptionError, match=r"p_spoof must be between 0 and 1 \(exclusive\), got 1"):
        TandemOptions(p_spoof=1.0)
    with pytest.raises(OptionError, match=r"c_fa must be greater than 0\.0, got 0"):
        TandemOptions(c_fa=0)
    with pytest.raises(DataError, match="spoofs must hold at least one score"):
        min_t_dcf(asv[0], asv[1], [], humans, fakes)
