"""The t-DCF against the papers' formulas, written out trial by trial."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics import (
    TandemOptions,
    TandemTrials,
    act_t_dcf,
    eer,
    evaluate_tandem,
    min_t_dcf,
    percentile_interval,
    tandem_cost,
)

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


def tandem_of(n_speakers, seed, n_each=4, ease=0.0):
    """Trials of every speaker; the ease of a speaker moves what is said in their name."""
    rng = np.random.default_rng(seed)
    names = np.array([f"speaker {i}" for i in range(n_speakers)])
    moved = dict(zip(names, rng.normal(0, ease, n_speakers), strict=True)) if ease else {}
    speakers = np.repeat(names, n_each)
    models, tests = np.repeat(names, n_speakers), np.tile(names, n_speakers)
    other = models != tests

    def scores(mean, of):
        return rng.normal(mean, 1.5, len(of)) + [moved.get(name, 0.0) for name in of]

    return TandemTrials(
        targets=scores(2, speakers),
        nontargets=scores(-1, models[other]),
        spoofs=scores(1.5, speakers),
        humans_cm=scores(2, speakers),
        spoofs_cm=scores(-1, speakers),
        target_speakers=speakers,
        nontarget_model_speakers=models[other],
        nontarget_test_speakers=tests[other],
        spoof_speakers=speakers,
        human_cm_speakers=speakers,
        spoof_cm_speakers=speakers,
    )


def test_a_replicate_of_the_tandem_is_a_set_of_copies():
    trials = tandem_of(9, 3)
    found = evaluate_tandem(trials, threshold_cm=0.4, n_bootstrap=40, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    by_hand = []
    for _ in range(40):
        drawn = rng.integers(9, size=9)
        k = {f"speaker {i}": int((drawn == i).sum()) for i in range(9)}

        def copies(scores, *speakers, k=k):
            return np.repeat(scores, np.prod([[k[n] for n in each] for each in speakers], axis=0))

        asv = (
            copies(trials.targets, trials.target_speakers),
            copies(
                trials.nontargets, trials.nontarget_model_speakers, trials.nontarget_test_speakers
            ),
            copies(trials.spoofs, trials.spoof_speakers),
        )
        cm = (
            copies(trials.humans_cm, trials.human_cm_speakers),
            copies(trials.spoofs_cm, trials.spoof_cm_speakers),
        )
        by_hand.append([min_t_dcf(*asv, *cm), act_t_dcf(*asv, *cm, 0.4), eer(*asv[:2]), eer(*cm)])
    assert list(found.metrics) == ["min_t_dcf", "act_t_dcf", "eer_asv", "eer_cm"]
    for estimate, column in zip(found.metrics.values(), np.array(by_hand).T, strict=True):
        low, high = percentile_interval(column)
        assert estimate.low == pytest.approx(min(low, estimate.value), rel=1e-12)
        assert estimate.high == pytest.approx(max(high, estimate.value), rel=1e-12)
    asv = (trials.targets, trials.nontargets, trials.spoofs)
    alone = min_t_dcf(*asv, trials.humans_cm, trials.spoofs_cm)
    assert found.metrics["min_t_dcf"].value == alone
    assert (found.n_speakers, found.n_replicates) == (9, 40)
    assert json.loads(json.dumps(found.to_mapping()))["metrics"]["min_t_dcf"]["value"] == alone


@pytest.mark.slow
def test_intervals_of_the_tandem_hold_the_truth():
    # The mean of four worlds of 300 speakers each stands for the truth of endless ones.
    worlds = [tandem_of(300, 1_000_000 + i, ease=1.0) for i in range(4)]
    found = [evaluate_tandem(world, n_bootstrap=0).metrics["min_t_dcf"] for world in worlds]
    truth = np.mean([estimate.value for estimate in found])
    held = 0
    for seed in range(1, 41):
        found = evaluate_tandem(tandem_of(25, seed, ease=1.0), n_bootstrap=100).metrics["min_t_dcf"]
        held += found.low <= truth <= found.high
    # Of 40 runs, 38 when this was written.
    assert held >= 33


def test_warnings_of_the_tandem():
    few, many = evaluate_tandem(tandem_of(19, 0), n_bootstrap=2).warnings
    assert few.startswith("only 19 speakers: intervals from fewer than 20")
    assert many.startswith("fewer than 30 errors of a kind behind min_t_dcf (")
    assert evaluate_tandem(tandem_of(60, 0, 10), n_bootstrap=2).warnings == ()
    # Of two speakers half the drawings leave no non-target.
    lines = [
        evaluate_tandem(tandem_of(2, 0), n_bootstrap=9, rng=np.random.default_rng(seed)).warnings[1]
        for seed in range(8)
    ]
    assert any(line.startswith("no intervals: most resamplings of the speakers") for line in lines)


def test_what_no_tandem_is():
    trials = tandem_of(4, 0)
    with pytest.raises(DataError, match="spoof_speakers must be a vector of 16 speakers"):
        replace(trials, spoof_speakers=["a"])
    with pytest.raises(DataError, match="humans_cm must not be NaN: 1 of 1 are"):
        replace(trials, humans_cm=[np.nan])
    with pytest.raises(DataError, match="accepting every spoof costs no more"):
        evaluate_tandem(replace(trials, spoofs=np.full(16, -99.0)))
    with pytest.raises(OptionError, match="n_bootstrap must be at least 0, got -1"):
        evaluate_tandem(trials, n_bootstrap=-1)
