"""Fusion, and the logistic regression behind it and behind calibration."""

from dataclasses import replace

import numpy as np
import pytest
from forging import altered
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from voicegmm import store
from voicegmm._base.errors import DataError, FormatError, ListError, OptionError
from voicegmm.corpus import Trials
from voicegmm.metrics import cllr, eer
from voicegmm.scoring import (
    Fusion,
    FusionOptions,
    ScoreTable,
    align_tables,
    fuse_held_out,
    fuse_tables,
    fused_held_out,
    learn_fusion,
    learn_fusion_of,
    train_calibration,
)
from voicegmm.scoring.held_out import judge_held_out
from voicegmm.scoring.logistic import learn_logistic


def systems(n_trials, seed, n_systems=3, share=0.3):
    """Scores of systems that see the same trials, each with noise of its own."""
    rng = np.random.default_rng(seed)
    targets = rng.random(n_trials) < share
    common = np.where(targets, 1.0, -1.0) + rng.normal(0, 0.7, n_trials)
    noise = rng.normal(0, 1, (n_trials, n_systems)) * np.arange(1, n_systems + 1)
    return common[:, None] + noise, targets


def loss_by_hand(theta, columns, targets, p_target, ridge):
    """The loss of the docstring, a trial at a time."""
    n_targets, n_nontargets = targets.sum(), (~targets).sum()
    center, spread = columns.mean(axis=0), columns.std(axis=0)
    total = 0.0
    for row, is_target in zip(columns, targets, strict=True):
        ratio = ((row - center) / spread) @ theta[:-1] + theta[-1]
        p = 1 / (1 + np.exp(-(ratio + np.log(p_target / (1 - p_target)))))
        y = (n_targets + 1) / (n_targets + 2) if is_target else 1 / (n_nontargets + 2)
        share = p_target / n_targets if is_target else (1 - p_target) / n_nontargets
        total -= share * (y * np.log(p) + (1 - y) * np.log(1 - p))
    return total + ridge / 2 * np.sum(theta[:-1] ** 2)


@pytest.mark.parametrize(("p_target", "ridge"), [(0.5, 0.0), (0.1, 1e-2), (0.9, 1.0)])
def test_against_a_general_minimizer(p_target, ridge):
    columns, targets = systems(120, 0)
    weights, offset = learn_logistic(columns, targets, p_target, ridge)
    theirs = minimize(
        loss_by_hand, np.zeros(4), (columns, targets, p_target, ridge), method="BFGS",
        options={"gtol": 1e-8},
    ).x  # fmt: skip
    # BFGS takes its gradient from differences, so it stops some 1e-6 from the minimum.
    np.testing.assert_allclose(weights * columns.std(axis=0), theirs[:-1], atol=3e-6)
    assert offset + weights @ columns.mean(axis=0) == pytest.approx(theirs[-1], abs=3e-6)


def test_against_scikit_learn():
    columns, targets = systems(800, 1)
    scaled = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    ridge = 0.02
    found = learn_fusion(scaled, targets, FusionOptions(ridge=ridge))
    n_targets, n_nontargets = targets.sum(), (~targets).sum()
    # Softened labels as weighted copies; sum(loss) + |w|² / (2 C) with weights that sum to 1.
    y = np.where(targets, (n_targets + 1) / (n_targets + 2), 1 / (n_nontargets + 2))
    share = np.where(targets, 0.5 / n_targets, 0.5 / n_nontargets)
    theirs = LogisticRegression(C=1 / ridge, tol=1e-12, max_iter=10_000)
    theirs.fit(
        np.concatenate([scaled, scaled]),
        np.repeat([1, 0], 800),
        np.append(share * y, share * (1 - y)),
    )
    np.testing.assert_allclose(found.weights, theirs.coef_[0], rtol=1e-5)
    assert found.offset == pytest.approx(theirs.intercept_[0], abs=1e-6)


def test_one_system_is_calibration():
    columns, targets = systems(300, 2, n_systems=1)
    fusion = learn_fusion(columns, targets, FusionOptions(ridge=0.0))
    calibration = train_calibration(columns[targets, 0], columns[~targets, 0])
    assert fusion.weights[0] == pytest.approx(calibration.slope, rel=1e-9)
    assert fusion.offset == pytest.approx(calibration.offset, rel=1e-9)


@given(
    st.integers(0, 1000),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.lists(st.floats(-100, 100), min_size=3, max_size=3),
)
def test_the_scale_of_a_system_does_not_matter(seed, scale, shift):
    columns, targets = systems(60, seed)
    targets[:2] = True, False
    plain = learn_fusion(columns, targets).apply(columns)
    moved = columns * scale + shift
    np.testing.assert_allclose(learn_fusion(moved, targets).apply(moved), plain, atol=1e-5)


def test_gaussian_systems_get_the_ratio_of_both():
    # Independent scores N(+m/2, m) and N(-m/2, m) are ratios already, and ratios add up.
    rng = np.random.default_rng(3)
    targets = np.arange(6_000) % 2 == 0
    means = np.array([3.0, 5.0])
    scores = np.where(targets[:, None], means, -means) / 2 + rng.normal(
        0, np.sqrt(means), (6_000, 2)
    )
    fusion = learn_fusion(10 * scores + 7, targets)
    np.testing.assert_allclose(np.array(fusion.weights) * 10, [1, 1], atol=0.08)
    fused = fusion.apply(10 * scores + 7)
    np.testing.assert_allclose(fused.mean(), scores.sum(axis=1).mean(), atol=0.1)
    alone = [eer(column[targets], column[~targets]) for column in scores.T]
    assert eer(fused[targets], fused[~targets]) < min(alone) - 0.02


def test_a_system_twice_shares_its_weight():
    columns, targets = systems(400, 4, n_systems=1)
    twice = learn_fusion(np.hstack([columns, columns]), targets)
    once = learn_fusion(columns, targets)
    assert twice.weights[0] == pytest.approx(twice.weights[1], rel=1e-6)
    assert sum(twice.weights) == pytest.approx(once.weights[0], rel=1e-3)


def test_no_fusion_has_seen_a_speaker_that_it_judges():
    rng = np.random.default_rng(0)
    models, tests = rng.integers(12, size=(2, 500))
    targets = models == tests

    def learn(known):
        seen = {*models[known], *tests[known]}

        def judge(judged):
            assert not seen & {*models[judged], *tests[judged]}
            return np.full(len(judged), len(known))

        return judge

    judged = judge_held_out(learn, targets, models, tests, rng, 4)
    assert np.isfinite(judged).all()


def trial_world(n_speakers=14, n_sessions=3, seed=0):
    """Every session against every model: (scores of 2 systems, targets, models, tests)."""
    rng = np.random.default_rng(seed)
    model, test = np.divmod(np.arange(n_speakers**2 * n_sessions), n_speakers * n_sessions)
    targets = model == test // n_sessions
    clean = np.where(targets, 2.0, -2.0)
    scores = clean[:, None] + rng.normal(0, 2, (len(model), 2))
    return scores, targets, model, test // n_sessions


def test_fusion_of_other_speakers_is_worth_what_it_is_on_new_ones():
    scores, targets, models, tests = trial_world(40)
    held_out = fuse_held_out(scores, targets, models, tests)
    fresh, of_fresh, _, _ = trial_world(60, 2, 1)
    new = learn_fusion(scores, targets).apply(fresh)
    own = learn_fusion(scores, targets).apply(scores)
    here = cllr(held_out[targets], held_out[~targets])
    assert here > cllr(own[targets], own[~targets])
    assert here == pytest.approx(cllr(new[of_fresh], new[~of_fresh]), abs=0.06)
    again = fuse_held_out(scores, targets, models, tests)
    np.testing.assert_array_equal(again, held_out)


def test_what_cannot_be_fused_is_refused():
    scores, targets, _, _ = trial_world(6, 1)
    with pytest.raises(DataError, match=r"scores must be a matrix.*got shape \(36,\)"):
        learn_fusion(scores[:, 0], targets)
    with pytest.raises(DataError, match="targets must be a vector of 36 labels"):
        learn_fusion(scores, targets[1:])
    with pytest.raises(DataError, match="target and non-target scores, got 0 and 36"):
        learn_fusion(scores, np.zeros(36))
    with pytest.raises(DataError, match="must be finite"):
        learn_fusion(np.where(targets[:, None], np.nan, scores), targets)
    with pytest.raises(DataError, match=r"b\.tsv gives every trial the score 0\.1; leave it out"):
        learn_fusion(
            np.column_stack([scores[:, 0], np.full(36, 0.1)]), targets, None, ["a", "b.tsv"]
        )
    with pytest.raises(DataError, match="systems must be 2 names"):
        learn_fusion(scores, targets, None, ["a"])
    with pytest.raises(DataError, match="at least 4 of them, got 3"):
        fuse_held_out(scores[:3], targets[:3], [0, 0, 1], [0, 2, 1])
    with pytest.raises(DataError, match="4 speakers in 5 folds are too few"):
        fuse_held_out(scores[:4], [True, False, False, False], [0, 0, 1, 1], [0, 2, 2, 3])
    with pytest.raises(OptionError, match="n_folds must be at least 3, got 2"):
        FusionOptions(n_folds=2)
    with pytest.raises(OptionError, match="p_target must be between"):
        FusionOptions(p_target=1.0)
    with pytest.raises(DataError, match="a column for each of system 1, system 2"):
        learn_fusion(scores, targets).apply(scores[:, :1])
    with pytest.raises(OptionError, match="weights and offset must be finite"):
        Fusion((np.nan,), 0.0, ("a",), (False,), 1, 1)
    with pytest.raises(OptionError, match="needs as many systems, got 2 names"):
        Fusion((1.0,), 0.0, ("a", "b"), (False,), 1, 1)


def table_of(scores, targets, models, tests, order=None, labels=True, llrs=False):
    order = np.arange(len(scores)) if order is None else order
    rows = [(f"m{models[i]}", f"t{i}", int(targets[i]) if labels else -1) for i in order]
    values = scores[order]
    ok = np.isfinite(values)
    return ScoreTable(
        Trials.of(rows),
        values,
        tuple(np.where(ok, "ok", "no speech")),
        tuple(np.where(ok, "", "t is silent")),
        values if llrs else None,
    )


def test_tables_are_aligned_by_trial():
    scores, targets, models, tests = trial_world()
    shuffled = np.random.default_rng(5).permutation(len(scores))
    first = table_of(scores[:, 0], targets, models, tests, labels=False)
    second = table_of(scores[:, 1], targets, models, tests, shuffled, llrs=True)
    aligned = align_tables([first, second], ["a.tsv", "b.tsv"])
    np.testing.assert_array_equal(aligned.scores, scores)
    np.testing.assert_array_equal(aligned.trials.labels == 1, targets)
    assert aligned.calibrated == (False, True)
    fusion = learn_fusion_of(aligned)
    assert fusion.systems == ("a.tsv", "b.tsv")
    fused = fuse_tables(aligned, fusion)
    np.testing.assert_array_equal(fused.llrs, fusion.apply(scores))
    held_out = fused_held_out(aligned)
    assert 0.9 < np.corrcoef(held_out.llrs, fused.llrs)[0, 1] < 1
    with pytest.raises(ListError, match=r"b\.tsv has calibrated ratios, and .* had none"):
        fuse_tables(aligned, replace(fusion, calibrated=(False, False)))
    with pytest.raises(ListError, match=r"is of 2 systems \(a\.tsv, b\.tsv\), got 1"):
        fuse_tables(align_tables([first], ["a.tsv"]), fusion)


def test_a_trial_that_one_system_failed_keeps_the_reason():
    scores, targets, models, tests = trial_world()
    scores[7, 1] = np.nan
    tables = [table_of(column, targets, models, tests) for column in scores.T]
    aligned = align_tables(tables, ["a.tsv", "b.tsv"])
    for fused in (fuse_tables(aligned, learn_fusion_of(aligned)), fused_held_out(aligned)):
        assert fused.failures() == {"b.tsv: t is silent": ("no speech", "b.tsv: t is silent", 1)}
        assert np.flatnonzero(~fused.scored).tolist() == [7]


def test_missing_trials_are_listed_at_once():
    scores, targets, models, tests = trial_world(4, 2)
    whole = table_of(scores[:, 0], targets, models, tests)
    less = table_of(scores[:, 1], targets, models, tests, np.arange(3, len(scores)))
    least = table_of(scores[:, 1], targets, models, tests, np.arange(9))
    with pytest.raises(ListError) as caught:
        align_tables([less, whole, least], ["less", "whole", "least"])
    message = str(caught.value)
    assert message.startswith("less lacks 3 of 32 trials (m0 with t0, m0 with t1, m0 with t2); ")
    assert "least lacks 23 of 32 trials (" in message
    assert " and 18 more)" in message
    other = table_of(scores[:, 1], ~targets, models, tests)
    with pytest.raises(ListError, match="b labels 32 trials otherwise .* m0 with t0"):
        align_tables([whole, other], ["a", "b"])
    unlabeled = table_of(scores[:, 0], targets, models, tests, labels=False)
    with pytest.raises(DataError, match="32 of 32 trials have no label"):
        fused_held_out(align_tables([unlabeled], ["a"]))


def test_a_fusion_reads_back_as_it_was_written(tmp_path):
    scores, targets, _, _ = trial_world()
    fusion = learn_fusion(
        scores, targets, FusionOptions(p_target=0.1), ["a b.tsv", "ü"], [True, False]
    )
    path = tmp_path / "fusion.h5"
    store.save(path, fusion)
    assert store.load(path) == fusion
    found = store.describe(path)
    assert found["format"] == "voicegmm/fusion"
    assert found["weights"]["ü"] == fusion.weights[1]
    with altered(path) as file:
        file["weights"][0] = 5.0
    with pytest.raises(FormatError, match="damaged: the fusion does not fit its fingerprint"):
        store.load(path)
