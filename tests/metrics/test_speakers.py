"""Speakers inferred from trial lists, and identification."""

import gzip
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm import metrics
from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics.speakers import number_names


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(-3, 40), min_size=1), min_size=1, max_size=3))
def test_numbers_are_numbered_as_names_are(names):
    # Indices are looked up, what else there may be is sorted: negative and large numbers too.
    for shift in (0, 10**12):
        shifted = [np.array(some) + shift for some in names]
        found = number_names(*shifted)
        distinct = sorted({name for some in shifted for name in some.tolist()})
        for numbers, some in zip(found, shifted, strict=True):
            assert numbers.tolist() == [distinct.index(name) for name in some.tolist()]


def test_target_trials_link_models_and_tests():
    trials = [
        (True, "a1", "x"),
        (True, "a2", "x"),
        (True, "a2", "y"),
        (True, "b", "z"),
        (False, "a1", "z"),
        (False, "b", "y"),
        (False, "b", "stranger"),
        (False, "a1", "b"),
    ]
    labels, models, tests = zip(*trials, strict=True)
    of_model, of_test = metrics.infer_speakers(labels, models, tests)
    speaker = dict(zip(models, of_model, strict=True))
    heard = dict(zip(tests, of_test, strict=True))
    assert speaker["a1"] == speaker["a2"] == heard["x"] == heard["y"]
    assert speaker["b"] == heard["z"]
    # A test of no target trial is a speaker of its own; so is the test that is called "b" here,
    # for models and tests have names of their own unless it is said that they share them.
    assert len({speaker["a1"], speaker["b"], heard["stranger"], heard["b"]}) == 4
    _, shared = metrics.infer_speakers(labels, models, tests, shared_names=True)
    assert shared[-1] == shared[3]


@pytest.mark.slow
def test_voxceleb_list_gives_its_forty_speakers(shared):
    with gzip.open(shared("oracles/trials/voxceleb1_o.txt.gz"), "rt") as lines:
        labels, models, tests = zip(*(line.split() for line in lines), strict=True)
    is_target = np.array(labels) == "1"
    of_model, of_test = metrics.infer_speakers(is_target, models, tests, shared_names=True)
    found = np.concatenate([of_model, of_test])
    truth = np.array([name.split("/")[0] for name in models + tests])
    assert len(set(truth)) == 40
    assert len(set(zip(found.tolist(), truth.tolist(), strict=True))) == len(set(found)) == 40


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=40))
def test_truth_is_never_split_the_wrong_way(pairs):
    # Recordings r of speaker r % 3: whatever is found as one speaker is one speaker.
    models, tests = np.array(pairs).T
    labels = models % 3 == tests % 3
    of_model, of_test = metrics.infer_speakers(labels, models, tests)
    assert (of_model[labels] == of_test[labels]).all()
    for found in np.unique(of_model):
        assert len(set(models[of_model == found] % 3)) == 1


def test_a_contradiction_is_named():
    with pytest.raises(DataError, match=r"trial 3 .* labelled non-target, .* model a and its test"):
        metrics.infer_speakers([1, 1, 1, 0], ["a", "b", "b", "a"], ["x", "x", "y", "y"])
    with pytest.raises(DataError, match="vectors of one length"):
        metrics.infer_speakers([1, 0], ["a"], ["x", "y"])
    with pytest.raises(DataError, match="at least one trial"):
        metrics.infer_speakers([], [], [])


def test_identification_rate():
    tests = ["p", "p", "p", "q", "q", "r", "r", "r"]
    labels = [1, 0, 0, 0, 1, 0, 0, 1]
    #         p: right      q: wrong   r: a tie of three
    scores = [3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 7.0, 7.0]
    assert metrics.identification_rate(tests, labels, scores) == pytest.approx((1 + 1 / 3) / 3)


def test_identification_counts_failed_attempts_as_misses():
    nan = np.nan
    assert metrics.identification_rate([0, 0, 1, 1], [1, 0, 1, 0], [nan, 1.0, 2.0, nan]) == 0.5
    assert metrics.identification_rate([0, 0], [1, 0], [nan, nan]) == 0.0


@given(st.integers(2, 6), st.integers(1, 8), st.randoms(use_true_random=False))
def test_identification_against_a_plain_loop(n_models, n_tests, random):
    table = np.array([[random.randint(0, 4) for _ in range(n_models)] for _ in range(n_tests)])
    truth = [random.randrange(n_models) for _ in range(n_tests)]
    won = [
        (row[i] == row.max()) / (row == row.max()).sum()
        for row, i in zip(table, truth, strict=True)
    ]
    order = list(range(table.size))
    random.shuffle(order)
    tests, models = np.divmod(np.array(order), n_models)
    labels = np.array(truth)[tests] == models
    rate = metrics.identification_rate(tests, labels, table[tests, models])
    assert rate == pytest.approx(np.mean(won))


def test_identification_refuses_open_or_doubled_tests():
    with pytest.raises(DataError, match=r"exactly one target trial; q has 0 \(1 such tests\)"):
        metrics.identification_rate(["p", "q"], [1, 0], [1.0, 2.0])
    with pytest.raises(DataError, match="p has 2"):
        metrics.identification_rate(["p", "p"], [1, 1], [1.0, 2.0])
    with pytest.raises(DataError, match="one length"):
        metrics.identification_rate(["p"], [1, 1], [1.0, 2.0])
    with pytest.raises(DataError, match="at least one trial"):
        metrics.identification_rate([], [], [])


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_ranks_and_the_open_set_against_their_definitions(n_models, n_tests, rank, random):
    """Each probe sorted in every order that its ties allow, each threshold tried."""
    table = [[random.randint(0, 3) for _ in range(n_models)] for _ in range(n_tests + 2)]
    truth = [0, None, *(random.choice([*range(n_models), None]) for _ in range(n_tests))]

    def chance(row, own):
        orders = [
            order
            for order in permutations(range(n_models))
            if all(row[a] >= row[b] for a, b in pairwise(order))
        ]
        return np.mean([order.index(own) < rank for order in orders])

    trials = [(t, m) for t in range(len(table)) for m in range(n_models)]
    random.shuffle(trials)
    tests, labels = [t for t, _ in trials], [truth[t] == m for t, m in trials]
    scores = [float(table[t][m]) for t, m in trials]
    known = [t for t, own in enumerate(truth) if own is not None]
    strangers = [t for t, own in enumerate(truth) if own is None]
    curve = metrics.open_set_curve(tests, labels, scores, rank)
    assert (curve.n_known, curve.n_strangers) == (len(known), len(strangers))
    for threshold, found, alarm in zip(
        curve.thresholds, curve.detection, curve.false_alarm, strict=True
    ):
        detected = [chance(table[t], truth[t]) * (table[t][truth[t]] >= threshold) for t in known]
        assert found == pytest.approx(np.mean(detected))
        assert alarm == np.mean([max(table[t]) >= threshold for t in strangers])
    assert (np.diff(curve.thresholds) < 0).all()
    values = {s for t, s in zip(tests, scores, strict=True)}
    assert set(curve.thresholds[1:]) <= values
    closed = [i for i, t in enumerate(tests) if t in known]
    rate = metrics.identification_rate(
        [tests[i] for i in closed], [labels[i] for i in closed], [scores[i] for i in closed], rank
    )
    assert rate == pytest.approx(np.mean([chance(table[t], truth[t]) for t in known]))
    assert curve.detection[-1] <= rate + 1e-12
    at = random.random()
    assert curve.detection_at(at) == max(
        d for d, f in zip(curve.detection, curve.false_alarm, strict=True) if f <= at
    )


def test_failed_attempts_of_an_open_set_are_neither_detected_nor_alarms():
    nan = np.nan
    tests, labels = list("ppqqrr"), [1, 0, 1, 0, 0, 0]
    curve = metrics.open_set_curve(tests, labels, [nan, 1.0, 2.0, nan, nan, nan])
    assert curve.thresholds.tolist() == [np.inf, 2.0]
    assert curve.detection.tolist() == [0.0, 0.5]
    assert curve.false_alarm.tolist() == [0.0, 0.0]


def test_what_is_no_open_set():
    with pytest.raises(DataError, match="of known speakers and of strangers; no strangers"):
        metrics.open_set_curve([0, 1], [1, 1], [1.0, 2.0])
    with pytest.raises(DataError, match="no known speakers"):
        metrics.open_set_curve([0, 1], [0, 0], [1.0, 2.0])
    with pytest.raises(DataError, match="at most one target trial; p has 2"):
        metrics.open_set_curve(["p", "p", "q"], [1, 1, 0], [1.0, 2.0, 3.0])
    with pytest.raises(OptionError, match="rank must be at least 1, got 0"):
        metrics.identification_rate([0, 0], [1, 0], [1.0, 0.0], rank=0)
    curve = metrics.open_set_curve([0, 1], [1, 0], [1.0, 2.0])
    with pytest.raises(OptionError, match="false_alarm must be between 0 and 1, got 2"):
        curve.detection_at(2)


def identification_world(seed, n_speakers=8, n_strangers=4):
    """Three tests of each speaker and stranger against the speakers' models; scores tie."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(n_speakers + n_strangers), 3)
    tests, models = np.divmod(np.arange(len(who) * n_speakers), n_speakers)
    labels = who[tests] == models
    return tests, labels, np.round(rng.normal(1.5 * labels, 1), 1), who[tests]


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_a_replicate_of_identification_is_a_set_of_copied_tests(kind):
    tests, labels, scores, who = identification_world(0)
    if kind == "closed":
        known = who < 8
        tests, labels, scores, who = (each[known] for each in (tests, labels, scores, who))
    n_speakers, n_drawn = len(set(who)), 30
    rng = np.random.default_rng(2)
    by_hand = []
    for _ in range(n_drawn):
        drawn = np.bincount(rng.integers(n_speakers, size=n_speakers), minlength=n_speakers)
        rows = [
            (f"{test} copy {copy}", label, score)
            for test, label, score, speaker in zip(tests, labels, scores, who, strict=True)
            for copy in range(drawn[speaker])
        ]
        copied = [list(column) for column in zip(*rows, strict=True)]
        if kind == "closed":
            by_hand.append([metrics.identification_rate(*copied, rank) for rank in (1, 3)])
        else:
            curve = metrics.open_set_curve(*copied)
            by_hand.append([curve.detection_at(share) for share in (0.1, 0.5)])
    options = {"n_bootstrap": n_drawn, "rng": np.random.default_rng(2)}
    if kind == "closed":
        found = metrics.identification_estimates(tests, labels, scores, who, (1, 3), **options)
        alone = [metrics.identification_rate(tests, labels, scores, rank) for rank in (1, 3)]
    else:
        found = metrics.open_set_estimates(tests, labels, scores, who, (0.1, 0.5), **options)
        curve = metrics.open_set_curve(tests, labels, scores)
        alone = [curve.detection_at(share) for share in (0.1, 0.5)]
    for estimate, value, column in zip(found, alone, np.array(by_hand).T, strict=True):
        low, high = metrics.percentile_interval(column)
        assert estimate.value == pytest.approx(value)
        assert estimate.low == pytest.approx(min(low, value))
        assert estimate.high == pytest.approx(max(high, value))
        assert estimate.low < estimate.high


def test_identification_without_intervals():
    tests, labels, scores, who = identification_world(1, 2, 1)
    (alone,) = metrics.open_set_estimates(tests, labels, scores, who, n_bootstrap=0)
    assert (alone.low, alone.high) == (None, None)
    # Of one stranger and two known speakers a third of the drawings leave a kind out.
    rng = np.random.default_rng(0)
    found = [
        metrics.open_set_estimates(tests, labels, scores, who, n_bootstrap=3, rng=rng)[0]
        for _ in range(20)
    ]
    assert {estimate.value for estimate in found} == {alone.value}
    assert None in {estimate.low for estimate in found}
    with pytest.raises(DataError, match="test_speakers must be a vector of 18 speakers"):
        metrics.open_set_estimates(tests, labels, scores, who[1:])
    with pytest.raises(OptionError, match="rank must be at least 1, got 0"):
        metrics.identification_estimates(tests, labels, scores, who, (0,))
    with pytest.raises(OptionError, match="false_alarm must be between 0 and 1, got 2"):
        metrics.open_set_estimates(tests, labels, scores, who, (2,))
