"""Decisions on a voice that is still speaking: running scores, their calibration, thresholds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_speakers import draw_gmm, draw_speakers

from voicegmm._base.errors import DataError, OptionError
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.metrics import cllr
from voicegmm.mixture import sample
from voicegmm.scoring import (
    Calibration,
    FoldTests,
    MemoryFrames,
    RunningCalibration,
    RunningScore,
    RunningTrials,
    ScoringOptions,
    SequentialOptions,
    learn_sequential,
    log_likelihood_ratios,
    looks_of,
    running_trials,
    train_calibration,
    train_running_calibration,
)
from voicegmm.scoring.methods import Job, ratios
from voicegmm.scoring.sequential import (
    choose_thresholds,
    first_decisions,
    rates_of,
    wald_thresholds,
)


def decided_by_loops(ratio, accept, reject):
    """One trial, one look after the other."""
    for look, value in enumerate(ratio):
        if value >= accept and not value <= reject:
            return 1, look
        if value <= reject and not value >= accept:
            return -1, look
    return 0, int(np.isfinite(ratio).sum()) - 1


def draw_trials(rng, n_speakers=30, n_others=6, n_looks=24, far=3.0):
    """Mean scores that spread over voices and, by 1 / seconds, within: neighbors depend."""
    seconds = 0.5 * np.arange(1, n_looks + 1)
    model, voice, scores = [], [], []
    for one in range(n_speakers):
        for other in [one, *rng.choice(n_speakers, n_others)]:
            walk = np.cumsum(rng.standard_normal(n_looks)) / np.sqrt(0.5) * 0.5 / seconds
            center = far if one == other else 0.0
            scores.append(center + 0.7 * rng.standard_normal() + walk)
            model.append(f"s{other}")
            voice.append(f"s{one}")
    fold = np.array([int(name[1:]) % 5 for name in voice])
    return RunningTrials(np.array(scores), seconds, fold, np.array(model), np.array(voice))


@given(seed=st.integers(0, 999), accept=st.floats(0, 3), reject=st.floats(-3, 0))
def test_the_first_look_that_decides_decides(seed, accept, reject):
    rng = np.random.default_rng(seed)
    ratios = rng.normal(0, 2, (20, 6))
    for row, silent in enumerate(rng.integers(0, 7, 20)):
        ratios[row, silent:] = np.nan
    decisions, looks = first_decisions(ratios, accept, reject)
    wanted = [decided_by_loops(row, accept, reject) for row in ratios]
    assert [*zip(decisions.tolist(), looks.tolist(), strict=True)] == wanted


@given(
    seed=st.integers(0, 999),
    false_accept=st.sampled_from([0.01, 0.05, 0.2]),
    miss=st.sampled_from([0.02, 0.1, 0.3]),
)
def test_on_what_they_were_learned_from_thresholds_err_as_often_as_was_asked_and_no_more(
    seed, false_accept, miss
):
    rng = np.random.default_rng(seed)
    targets = np.repeat([True, False], [60, 140])
    walks = np.cumsum(rng.normal(np.where(targets, 0.3, -0.3)[:, None], 1.0, (200, 12)), axis=1)
    accept, reject = choose_thresholds(walks, targets, false_accept, miss)
    assert accept >= 0 >= reject
    decisions, _ = first_decisions(walks, accept, reject)
    accepted, rejected = (decisions > 0)[~targets], (decisions < 0)[targets]
    assert accepted.mean() <= false_accept
    assert rejected.mean() <= miss
    # Any lower, and one more stranger would pass.
    if accept > 0:
        lower = first_decisions(walks, accept * (1 - 1e-12), reject)[0]
        assert (lower > 0)[~targets].sum() == int(false_accept * 140) + 1
    if reject < 0:
        higher = first_decisions(walks, accept, reject * (1 - 1e-12))[0]
        assert (higher < 0)[targets].sum() == int(miss * 60) + 1


@given(seed=st.integers(0, 999))
def test_who_asks_for_fewer_errors_gets_wider_thresholds(seed):
    rng = np.random.default_rng(seed)
    targets = np.repeat([True, False], [60, 140])
    walks = np.cumsum(rng.normal(np.where(targets, 0.3, -0.3)[:, None], 1.0, (200, 12)), axis=1)
    rates = [0.3, 0.1, 0.03, 0.005]
    found = [choose_thresholds(walks, targets, rate, rate) for rate in rates]
    assert (np.diff([accept for accept, _ in found]) >= 0).all()
    assert (np.diff([reject for _, reject in found]) <= 0).all()


def test_wald_holds_for_independent_observations_and_ours_agree_with_it():
    """What a step goes beyond a threshold makes errors rarer, by exp(-0.583 d) (Siegmund 1985)."""
    rng = np.random.default_rng(0)
    n, d = 4000, 0.25  # N(+-d^2/2, d^2) is a log-ratio between two normal densities
    targets = np.repeat([True, False], [n, n])
    steps = rng.normal(np.where(targets, 1, -1)[:, None] * d**2 / 2, d, (2 * n, 400))
    walks = np.cumsum(steps, axis=1)
    wald = np.array(wald_thresholds(0.05, 0.1))
    np.testing.assert_allclose(wald, (np.log(0.9 / 0.05), np.log(0.1 / 0.95)))
    decisions, _ = first_decisions(walks, *wald)
    high, low = np.exp(wald + 0.583 * d * np.array([1, -1]))
    false_accept, miss = (1 - low) / (high - low), low * (high - 1) / (high - low)
    assert (decisions > 0)[~targets].mean() == pytest.approx(false_accept, abs=0.01)
    assert (decisions < 0)[targets].mean() == pytest.approx(miss, abs=0.015)
    ours = choose_thresholds(walks, targets, 0.05, 0.1)
    np.testing.assert_allclose(ours, wald - 0.583 * d * np.array([1, -1]), atol=0.25)


def test_wald_does_not_hold_for_dependent_ones_and_ours_do():
    trials = draw_trials(np.random.default_rng(1), n_speakers=60, far=2.0)
    options = SequentialOptions(false_accept=0.05, miss=0.1, max_seconds=12, step_seconds=0.5)
    frame_sums = trials.scores * trials.seconds * 100
    decisions, looks = first_decisions(frame_sums, *wald_thresholds(0.05, 0.1))
    naive = rates_of(trials, decisions, looks)
    assert naive.false_accept.value > 0.2
    test = learn_sequential(trials, options)
    assert test.accept > 0 > test.reject
    assert test.achieved.false_accept.low <= 0.05 <= test.achieved.false_accept.high
    assert test.achieved.miss.low <= 0.1 <= test.achieved.miss.high
    assert test.achieved.speaker_seconds > naive.speaker_seconds


def test_rates_on_other_speakers_are_near_those_that_were_asked_for():
    rng = np.random.default_rng(2)
    test = learn_sequential(
        draw_trials(rng, n_speakers=100), SequentialOptions(0.05, 0.05, 0.5, 0.5, 12)
    )
    others = draw_trials(rng, n_speakers=400)
    ratio = test.calibration.apply(others.scores, others.seconds)
    found = rates_of(others, *first_decisions(ratio, test.accept, test.reject))
    assert found.false_accept.value == pytest.approx(0.05, abs=0.035)
    assert found.miss.value == pytest.approx(0.05, abs=0.035)


def test_a_running_calibration_finds_the_one_it_was_drawn_from():
    """Between normal classes of equal spread the ratio is affine in the score (by hand)."""
    rng = np.random.default_rng(3)
    n, voices, within = 4000, 0.4, 1.2
    seconds = rng.choice([0.5, 1, 2, 4, 8, 16.0], (2, n))
    spread = np.sqrt(voices**2 + within**2 / seconds)
    scores = np.array([[1.0], [-0.5]]) + spread * rng.standard_normal((2, n))
    learned = train_running_calibration(*scores, *seconds)
    assert learned.half_seconds == pytest.approx(within**2 / voices**2, rel=0.25)
    assert learned.long.slope == pytest.approx(1.5 / voices**2, rel=0.15)
    assert learned.long.offset / learned.long.slope == pytest.approx(-0.25, abs=0.06)
    true = (1.5 * scores - 0.375) / spread**2
    found = learned.apply(scores, seconds)
    assert cllr(*found) == pytest.approx(cllr(*true), abs=0.005)


def test_a_running_calibration_of_long_recordings_is_a_calibration():
    rng = np.random.default_rng(4)
    targets, nontargets = rng.normal(2, 1, 100), rng.normal(0, 1, 300)
    plain = train_calibration(targets, nontargets)
    long = RunningCalibration(plain, 0.5)
    np.testing.assert_allclose(long.apply(targets, 1e9), plain.apply(targets), rtol=1e-6)
    np.testing.assert_allclose(long.apply(targets, 0.5), plain.apply(targets) / 2)
    learned = train_running_calibration(targets, nontargets, np.full(100, 3.0), np.full(300, 3.0))
    np.testing.assert_allclose(learned.apply(targets, 3.0), plain.apply(targets), rtol=1e-4)
    assert np.isnan(learned.apply(np.nan, 1.0))


def test_a_running_calibration_refuses_what_cannot_be_learned():
    with pytest.raises(DataError, match="targets do not score above"):
        train_running_calibration([0.0, 1.0], [2.0, 3.0], [1.0, 1.0], [1.0, 1.0])
    with pytest.raises(OptionError, match="half_seconds must be greater than 0, got 0"):
        RunningCalibration(Calibration(1, 0), 0)


@pytest.mark.parametrize("method", ["exact", "top"])
@pytest.mark.parametrize("soft", [False, True])
def test_a_running_score_is_that_of_the_beginning_however_it_is_cut(method, soft):
    rng = np.random.default_rng(5)
    gmm = draw_gmm(rng, n_components=12)
    models, _ = draw_speakers(rng, gmm)
    frames = sample(gmm, 90, rng)[0].astype(np.float32)
    weights = rng.uniform(0.1, 1, 90).astype(np.float32) if soft else np.ones(90, np.float32)
    scoring = ScoringOptions(method)
    scorer = ratios(models, scoring, Job(frames.dtype, 1, 1, 1, 1))
    rows, step = np.array([0, 2]), 7.0
    seen = []
    for cuts in ([], [1, 2, 3], [40], [*range(1, 90)]):
        running, before, looks = RunningScore(scorer, rows, step), 0, []
        assert np.isnan(running.scores).all()
        for part in np.split(np.arange(90), cuts):
            for full in running.push(frames[part], weights[part] if soft else None):
                if full > before:
                    looks.append((full, running.n_frames, *running.scores))
                before = full
        seen.append(looks)
        whole = log_likelihood_ratios(models, frames, weights, rows, scoring)
        np.testing.assert_allclose(running.scores, whole, rtol=1e-4, atol=1e-6)
    for looks in seen[1:]:
        np.testing.assert_allclose(looks, seen[0], rtol=1e-4, atol=1e-6)
    totals = np.cumsum(weights, dtype=float)
    for full, n_frames, *scores in seen[0]:
        first = int(np.flatnonzero(totals >= full * step - 1e-9)[0]) + 1
        assert n_frames == pytest.approx(totals[first - 1])
        wanted = log_likelihood_ratios(models, frames[:first], weights[:first], rows, scoring)
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-6)
    assert [full for full, *_ in seen[0]] == [*range(1, int(totals[-1] / step + 1e-9) + 1)]


def test_voices_of_a_fold_speak_their_recordings_in_turn():
    rng = np.random.default_rng(6)
    gmm = draw_gmm(rng)
    models, _ = draw_speakers(rng, gmm, 3)
    files = ["a/1", "a/2", "b/1", "c/1"]
    sets = {}
    for file in files:
        frames = sample(gmm, 60, rng)[0]
        sets[file] = FrameSet(frames, np.ones(60), np.arange(60), 60, 0.01)
    library = MemoryFrames(PipelineOptions(), sets)
    # s0 speaks a/1 and a/2 and is a stranger, s1 speaks b/1 and is none, "x" has no model.
    tests = (("a/1", "s0"), ("a/2", "s0"), ("b/1", "s1"), ("c/1", "x"))
    group = FoldTests(3, models, tests, frozenset({"s0", "x"}))
    options = SequentialOptions(first_seconds=0.2, step_seconds=0.1, max_seconds=1.0)
    found = running_trials(group, library, options)
    pairs = sorted(zip(found.voice, found.model, strict=True))
    own = [("s0", "s0")] * 2 + [("s1", "s1")]
    others = [("s0", "s1")] * 2 + [("s0", "s2")] * 2 + [("x", name) for name in models.ids]
    assert pairs == sorted(own + others)
    assert (found.fold == 3).all()
    np.testing.assert_allclose(found.seconds, np.arange(2, 11) / 10)
    together = np.concatenate([sets["a/2"].frames, sets["a/1"].frames])
    is_own = np.flatnonzero((found.voice == "s0") & found.targets)
    wanted = [log_likelihood_ratios(models, together[:n], rows=[0])[0] for n in range(20, 101, 10)]
    np.testing.assert_allclose(found.scores[is_own[1]], wanted, rtol=1e-4, atol=1e-6)
    silent = found.scores[found.voice == "s1"][0]
    assert np.isfinite(silent).tolist() == [True] * 5 + [False] * 4
    fewer = running_trials(group, library, options, n_others=1, n_streams=1)
    assert len(fewer.model) == 2 + 1 + 1
    parted = RunningTrials.joined([found, found])
    assert len(parted.model) == 2 * len(found.model)


def test_looks_that_hardly_anybody_reaches_are_left_out():
    trials = draw_trials(np.random.default_rng(7), n_speakers=10)
    scores = trials.scores.copy()
    own = np.flatnonzero(trials.targets)
    scores[own[: len(own) // 2 + 1], 15:] = np.nan
    short = replace(trials, scores=scores)
    test = learn_sequential(short, SequentialOptions(0.1, 0.1, 0.5, 0.5, 12))
    assert test.max_seconds == 7.5
    scores[own] = np.nan
    with pytest.raises(DataError, match=r"speak for 0.5 s, where the first look is"):
        learn_sequential(replace(trials, scores=scores), SequentialOptions())


def test_a_decision_takes_evidence_of_its_own_side():
    """Classes far apart err less than was asked for; still nobody is accepted below one."""
    trials = draw_trials(np.random.default_rng(8), far=30.0)
    test = learn_sequential(trials, SequentialOptions(0.2, 0.2, 0.5, 0.5, 12))
    assert (test.accept, test.reject) == (0, 0)
    assert test.achieved.speaker_seconds == 0.5


def test_options_are_checked():
    with pytest.raises(OptionError, match=r"false_accept must be between 1e-06 and 0.5, got 0"):
        SequentialOptions(false_accept=0)
    with pytest.raises(OptionError, match=r"max_seconds must be at least 2, got 1"):
        SequentialOptions(first_seconds=2, max_seconds=1)
    with pytest.raises(OptionError, match=r"step_seconds must be at least the hop"):
        looks_of(SequentialOptions(step_seconds=0.05), 0.1)
    step, looks = looks_of(SequentialOptions(0.01, 0.05, 0.5, 0.25, 1.1), 0.01)
    assert (step, looks.tolist()) == (25.0, [2, 3, 4])


@settings(max_examples=4)
@given(method=st.sampled_from(["linear", "symmetric", "kl", "bhattacharyya"]))
def test_scores_that_do_not_add_up_over_frames_are_refused(method):
    rng = np.random.default_rng(9)
    models, _ = draw_speakers(rng, draw_gmm(rng))
    library = MemoryFrames(PipelineOptions(), {})
    group = FoldTests(0, models, (), frozenset())
    with pytest.raises(OptionError, match=f"for a running score, got '{method}'"):
        running_trials(group, library, SequentialOptions(), ScoringOptions(method))
