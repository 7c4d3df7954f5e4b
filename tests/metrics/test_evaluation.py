"""evaluate() and the intervals behind it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from voicegmm import metrics
from voicegmm._base.errors import DataError, OptionError


def trials_of(n_speakers, n_sessions, rng, speaker_spread=0.0):
    """Scores of every speaker's sessions against every speaker's model.

    Non-targets are N(-1.5, 1.5²), targets N(1.5 + ease of the speaker, 1.5²), the ease of a
    speaker N(0, speaker_spread²).
    """
    model, test = np.divmod(np.arange(n_speakers**2 * n_sessions), n_speakers * n_sessions)
    test = test // n_sessions
    ease = rng.normal(0, speaker_spread, n_speakers)
    same = model == test
    score = rng.normal(0, 1.5, len(model)) + np.where(same, 1.5 + ease[model], -1.5)
    return {
        "targets": score[same],
        "nontargets": score[~same],
        "target_speakers": model[same],
        "nontarget_model_speakers": model[~same],
        "nontarget_test_speakers": test[~same],
    }


def evaluated(trials, **options):
    given_trials = dict(trials)
    return metrics.evaluate(
        given_trials.pop("targets"), given_trials.pop("nontargets"), **given_trials, **options
    )


KEYS = [
    "eer",
    "min_dcf_0.01",
    "act_dcf_0.01",
    "min_dcf_0.05",
    "act_dcf_0.05",
    "cllr",
    "min_cllr",
    "calibration_loss",
    "auc",
]


def test_figures_are_those_of_the_functions():
    trials = trials_of(25, 3, np.random.default_rng(0))
    t, n = trials["targets"], trials["nontargets"]
    result = evaluated(trials, n_bootstrap=20)
    expected = [
        metrics.eer(t, n),
        metrics.min_dcf(t, n),
        metrics.act_dcf(t, n),
        metrics.min_dcf(t, n, 0.05),
        metrics.act_dcf(t, n, 0.05),
        metrics.cllr(t, n),
        metrics.min_cllr(t, n),
        metrics.cllr(t, n) - metrics.min_cllr(t, n),
        metrics.auc(t, n),
    ]
    assert list(result.metrics) == KEYS
    found = [estimate.value for estimate in result.metrics.values()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (result.n_targets, result.n_nontargets, result.n_speakers) == (75, 1800, 25)
    assert result.n_replicates == 20
    for estimate in result.metrics.values():
        assert estimate.low <= estimate.value <= estimate.high


def test_a_replicate_is_a_set_of_copies():
    trials = trials_of(6, 2, np.random.default_rng(1))
    trials = {name: np.round(a, 0) if a.dtype == float else a for name, a in trials.items()}  # ties
    ready = metrics.sort_trials(*trials.values())
    k = np.array([0, 1, 2, 0, 3, 1])
    weighed = metrics.weigh(ready, k)
    t = np.repeat(trials["targets"], k[trials["target_speakers"]])
    n = np.repeat(
        trials["nontargets"],
        k[trials["nontarget_model_speakers"]] * k[trials["nontarget_test_speakers"]],
    )
    assert metrics.eer_of(weighed) == pytest.approx(metrics.eer(t, n), abs=1e-14)
    assert metrics.auc_of(weighed) == pytest.approx(metrics.auc(t, n), abs=1e-14)
    assert metrics.cllr_of(weighed) == pytest.approx(metrics.cllr(t, n), rel=1e-13)
    one = metrics.weigh(ready, np.ones(6))
    assert metrics.min_cllr_of(metrics.rocch(one)) == pytest.approx(
        metrics.min_cllr(trials["targets"], trials["nontargets"]), rel=1e-13
    )
    # One speaker drawn six times leaves no non-target trial.
    assert metrics.weigh(ready, [6, 0, 0, 0, 0, 0]) is None


def test_names_and_order_of_trials_do_not_matter():
    trials = trials_of(8, 2, np.random.default_rng(2))
    names = np.array([f"speaker {i}" for i in range(8)])
    shuffled = {}
    for kind, columns in (
        ("target", ["targets", "target_speakers"]),
        ("nontarget", ["nontargets", "nontarget_model_speakers", "nontarget_test_speakers"]),
    ):
        order = np.random.default_rng(len(kind)).permutation(len(trials[f"{kind}s"]))
        for column in columns:
            values = trials[column]
            shuffled[column] = (names[values] if "speaker" in column else values)[order]
    ours = evaluated(trials, n_bootstrap=50, rng=np.random.default_rng(5)).metrics
    theirs = evaluated(shuffled, n_bootstrap=50, rng=np.random.default_rng(5)).metrics
    for name in KEYS:
        assert theirs[name].low == pytest.approx(ours[name].low, rel=1e-12)
        assert theirs[name].high == pytest.approx(ours[name].high, rel=1e-12)


def test_the_generator_decides_and_nothing_else():
    trials = trials_of(12, 2, np.random.default_rng(3))
    first = evaluated(trials, n_bootstrap=50, rng=np.random.default_rng(7))
    again = evaluated(trials, n_bootstrap=50, rng=np.random.default_rng(7))
    other = evaluated(trials, n_bootstrap=50, rng=np.random.default_rng(8))
    assert first == again
    assert first.metrics["cllr"] != other.metrics["cllr"]
    assert evaluated(trials, n_bootstrap=50) == evaluated(trials, n_bootstrap=50)


@pytest.mark.slow
def test_intervals_hold_the_truth_where_drawing_trials_would_not():
    # Speakers differ a good deal, so the trials of one are far from independent: an interval that
    # draws trials as if they were is too narrow. The truth is the AUC of endless speakers.
    spread, n_runs = 3.0, 40
    truth = norm.cdf(3.0 / np.sqrt(2 * 1.5**2 + spread**2))
    held, held_by_trials = 0, 0
    for run in range(n_runs):
        rng = np.random.default_rng(run)
        trials = trials_of(25, 8, rng, spread)
        ready = metrics.sort_trials(*trials.values())
        values = metrics.bootstrap(ready, metrics.auc_of, rng, 100)[:, 0]
        low, high = metrics.percentile_interval(values)
        held += low <= truth <= high
        t, n = trials["targets"], trials["nontargets"]
        naive = [metrics.auc(rng.choice(t, len(t)), rng.choice(n, len(n))) for _ in range(60)]
        low, high = metrics.percentile_interval(naive)
        held_by_trials += low <= truth <= high
    # Of 40 runs, 38 and 27 when this was written.
    assert held >= 0.83 * n_runs
    assert held_by_trials <= 0.75 * n_runs


def test_percentile_interval_is_of_order_statistics():
    values = np.arange(1000.0)[::-1]
    assert metrics.percentile_interval(values) == (25.0, 974.0)
    assert metrics.percentile_interval(values, 0.9) == (50.0, 949.0)
    assert metrics.percentile_interval([1.0, np.inf, 2.0], 0.95) == (1.0, np.inf)
    with pytest.raises(OptionError, match="confidence must be between 0 and 1"):
        metrics.percentile_interval(values, 1.0)


@given(st.integers(0, 10_000), st.integers(2, 7))
def test_every_interval_contains_its_value(seed, n_speakers):
    trials = trials_of(n_speakers, 1, np.random.default_rng(seed))
    result = evaluated(trials, n_bootstrap=12, rng=np.random.default_rng(seed))
    for estimate in result.metrics.values():
        assert (estimate.low is None) == (estimate.high is None) == (result.n_replicates == 0)
        if estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high


def test_without_speakers_there_are_no_intervals():
    result = metrics.evaluate([1.0, 2.0], [0.0, -1.0])
    assert result.n_speakers is None
    assert result.n_replicates == 0
    assert result.metrics["eer"] == metrics.Estimate(0.0, None, None)
    with pytest.raises(OptionError, match="nontarget_test_speakers is missing"):
        metrics.evaluate([1.0], [0.0], target_speakers=[0], nontarget_model_speakers=[0])
    with pytest.raises(DataError, match="target_speakers must be a vector of 2 speakers"):
        metrics.evaluate(
            [1.0, 2.0],
            [0.0],
            target_speakers=[0],
            nontarget_model_speakers=[0],
            nontarget_test_speakers=[1],
        )


def test_too_few_speakers_to_resample():
    # Of two speakers half the drawings take the same one twice, and no non-target is left.
    trials = trials_of(2, 3, np.random.default_rng(0))
    result = evaluated(trials, n_bootstrap=9, rng=np.random.default_rng(4))
    if result.n_replicates == 0:
        assert any("no intervals: with 2 speakers" in line for line in result.warnings)
    assert any("only 2 speakers" in line for line in result.warnings)


def test_warnings_of_few_speakers_and_few_errors():
    few = evaluated(trials_of(19, 2, np.random.default_rng(0)), n_bootstrap=5).warnings
    assert any("only 19 speakers" in line for line in few)
    enough = evaluated(trials_of(20, 2, np.random.default_rng(0)), n_bootstrap=5).warnings
    assert not any("speakers:" in line for line in enough)
    # 40 targets are rejected and 40 non-targets accepted, at any threshold that parts them.
    t, n = np.repeat([-1.0, 1.0], [40, 60]), np.repeat([-1.0, 1.0], [60, 40])
    options = {"operating_points": [metrics.OperatingPoint(0.5)]}
    assert metrics.evaluate(t, n, **options).warnings == ()
    (line,) = metrics.evaluate(t[11:], n, **options).warnings
    assert line.startswith("fewer than 30 errors of a kind behind min_dcf_0.5 (29 misses")
    assert "act_dcf_0.5 (29 misses, 40 false alarms)" in line


def test_failed_attempts_are_counted_and_can_be_rejections():
    nan = np.nan
    t, n = [2.0, nan, 3.0, 1.0], [0.0, nan, nan, 1.5]
    result = metrics.evaluate(t, n, n_failed_targets=2, n_failed_nontargets=1)
    assert (result.n_targets, result.n_failed_targets) == (3, 3)
    assert (result.n_nontargets, result.n_failed_nontargets) == (2, 3)
    filled_t, filled_n = [2.0, 3.0, 1.0] + [-np.inf] * 3, [0.0, 1.5] + [-np.inf] * 3
    rejected = result.failures_rejected
    assert rejected["eer"].value == pytest.approx(metrics.eer(filled_t, filled_n))
    assert rejected["min_dcf_0.01"].value == pytest.approx(metrics.min_dcf(filled_t, filled_n))
    assert rejected["act_dcf_0.05"].value == pytest.approx(
        metrics.act_dcf(filled_t, filled_n, 0.05)
    )
    assert any("3 target and 3 non-target trials failed" in line for line in result.warnings)
    assert metrics.evaluate([1.0], [0.0]).failures_rejected == {}
    # A score of -inf that is a score stands beside the failures.
    both = metrics.evaluate([-np.inf, 1.0, 2.0], [0.0, 1.5], n_failed_targets=1)
    assert both.failures_rejected["eer"].value == pytest.approx(
        metrics.eer([-np.inf, -np.inf, 1.0, 2.0], [0.0, 1.5])
    )


def test_failures_that_count_as_rejections_have_intervals_too():
    trials = trials_of(22, 2, np.random.default_rng(0))
    trials["targets"][::5] = np.nan
    filled = trials | {"targets": np.where(np.isnan(trials["targets"]), -np.inf, trials["targets"])}
    # No failure before the one drawing of the other: the same speakers are drawn.
    result = evaluated(trials, n_bootstrap=30, rng=np.random.default_rng(4))
    rng = np.random.default_rng(4)
    evaluated(trials_of(22, 2, np.random.default_rng(0)), n_bootstrap=30, rng=rng)
    expected = evaluated(filled, n_bootstrap=30, rng=rng).metrics
    assert list(result.failures_rejected) == [
        name for name in KEYS if name == "eer" or "_dcf_" in name
    ]
    for name, estimate in result.failures_rejected.items():
        assert estimate == expected[name]
    assert result.failures_rejected["eer"].low < result.failures_rejected["eer"].high
    assert result.failure_rate == pytest.approx(9 / (44 + 22 * 21 * 2))
    unknown = evaluated(trials, n_bootstrap=30, n_failed_nontargets=1).failures_rejected
    assert {estimate.low for estimate in unknown.values()} == {None}


def test_failed_trials_leave_their_speakers_out_too():
    trials = trials_of(10, 2, np.random.default_rng(0))
    trials["targets"] = np.where(trials["target_speakers"] == 3, np.nan, trials["targets"])
    result = evaluated(trials, n_bootstrap=10)
    assert result.n_failed_targets == 2
    assert result.n_replicates == 10


def test_to_mapping_is_json():
    result = metrics.evaluate([np.inf, 2.0, -np.inf], [0.0, -1.0])
    assert result.metrics["cllr"].value == np.inf
    assert any(line.startswith("cllr is infinite") for line in result.warnings)
    mapping = json.loads(json.dumps(result.to_mapping(), allow_nan=False))
    assert mapping["metrics"]["cllr"] == {"value": None, "low": None, "high": None}
    assert list(mapping["metrics"]) == KEYS
    assert mapping["n_targets"] == 3
    assert mapping["n_speakers"] is None
    assert mapping["warnings"] == list(result.warnings)


def test_options_of_evaluate():
    point = metrics.OperatingPoint(0.2, 5.0, 1.0)
    result = metrics.evaluate([1.0], [0.0], operating_points=[point])
    assert "act_dcf_0.2_5_1" in result.metrics
    with pytest.raises(OptionError, match=r"operating_points must differ, got two named 0\.01"):
        metrics.evaluate([1.0], [0.0], operating_points=[metrics.OperatingPoint()] * 2)
    with pytest.raises(OptionError, match="n_bootstrap must be at least 0, got -1"):
        metrics.evaluate([1.0], [0.0], n_bootstrap=-1)
    with pytest.raises(OptionError, match="confidence must be between 0 and 1"):
        metrics.evaluate([1.0], [0.0], confidence=95.0)
    with pytest.raises(OptionError, match="n_failed_targets must be at least 0"):
        metrics.evaluate([1.0], [0.0], n_failed_targets=-1)


def test_progress_is_told():
    told = []
    trials = trials_of(5, 2, np.random.default_rng(0))
    evaluated(trials, n_bootstrap=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
