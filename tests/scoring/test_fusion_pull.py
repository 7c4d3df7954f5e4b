"""A ridge that pulls the weights of a fusion towards one another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from voicegmm import store
from voicegmm._base.errors import DataError, OptionError
from voicegmm.scoring import FusionOptions, TrialQuality, learn_fusion, train_calibration
from voicegmm.scoring.logistic import learn_logistic


def systems(n_trials=240, seed=0, noise=(1.0, 2.0, 3.0)):
    """Scores of systems of different worth and scale, and a quality that moves them all."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n_trials) % 3 == 0
    seconds = rng.uniform(1, 9, n_trials)
    truth = np.where(targets, 1.0, -1.0) + 0.1 * seconds
    scores = truth[:, None] + rng.normal(0, noise, (n_trials, len(noise)))
    return scores * np.arange(1, len(noise) + 1) - 3, targets, seconds


def equal(ridge, **others):
    return FusionOptions(ridge=ridge, toward="equal", **others)


def ratios_alone(scores, targets):
    """The ratios that each system gives alone, and what its scores weigh in them."""
    alone = [train_calibration(each[targets], each[~targets]) for each in scores.T]
    return np.column_stack([c.apply(s) for c, s in zip(alone, scores.T, strict=True)]), np.array(
        [each.slope for each in alone]
    )


def loss_by_hand(theta, ratios, counted, targets, ridge):
    """The loss of the docstring at a prior of one half: weights, those of quality, offset."""
    weights, of_quality, offset = np.split(theta, [ratios.shape[1], len(theta) - 1])
    fused = ratios @ weights + counted @ of_quality + offset
    total = 0.0
    for of_class, sign in ((targets, 1), (~targets, -1)):
        n = of_class.sum()
        right, wrong = np.log1p(np.exp([-sign * fused[of_class], sign * fused[of_class]]))
        total += ((n + 1) * right + wrong).mean() / (n + 2) / 2
    return total + ridge / 2 * sum((w - weights.mean()) ** 2 for w in weights)


@pytest.mark.parametrize("ridge", [0.0, 0.05, 2.0])
@pytest.mark.parametrize("informed", [False, True])
def test_against_a_general_minimizer(ridge, informed):
    scores, targets, seconds = systems()
    quality = TrialQuality.seconds(seconds) if informed else None
    fusion = learn_fusion(scores, targets, equal(ridge), quality=quality)
    ratios, slopes = ratios_alone(scores, targets)
    counted = np.log(seconds)[:, None] if informed else np.empty((len(seconds), 0))
    theirs = minimize(
        loss_by_hand,
        np.zeros(ratios.shape[1] + counted.shape[1] + 1),
        (ratios, counted, targets, ridge),
        method="BFGS",
        options={"gtol": 1e-8},
    ).x
    found = [*(fusion.weights / slopes), *(effect.weight for effect in fusion.quality)]
    # BFGS takes its gradient from differences, so it stops some 1e-6 from the minimum.
    np.testing.assert_allclose(found, theirs[:-1], atol=2e-5)


def test_without_a_ridge_it_pulls_nowhere():
    scores, targets, seconds = systems()
    quality = TrialQuality.seconds(seconds)
    pulled = learn_fusion(scores, targets, equal(0.0), quality=quality)
    free = learn_fusion(scores, targets, FusionOptions(ridge=0.0), quality=quality)
    np.testing.assert_allclose(pulled.weights, free.weights, rtol=1e-6)
    assert pulled.quality[0].weight == pytest.approx(free.quality[0].weight, rel=1e-6)


def test_a_large_ridge_leaves_the_calibrated_sum_of_the_ratios():
    scores, targets, seconds = systems()
    ratios, slopes = ratios_alone(scores, targets)
    total = ratios.sum(axis=1)
    fusion = learn_fusion(scores, targets, equal(1e6))
    of_total = train_calibration(total[targets], total[~targets])
    np.testing.assert_allclose(fusion.weights / slopes, of_total.slope, rtol=1e-5)
    np.testing.assert_allclose(fusion.apply(scores), of_total.apply(total), rtol=1e-4, atol=1e-5)
    # Quality measures are not pulled: they weigh what they weigh beside the sum alone.
    quality = TrialQuality.seconds(seconds)
    beside = learn_fusion(total[:, None], targets, FusionOptions(ridge=0.0), quality=quality)
    informed = learn_fusion(scores, targets, equal(1e6), quality=quality)
    assert informed.quality[0].weight == pytest.approx(beside.quality[0].weight, rel=1e-5)


@settings(max_examples=10)
@given(
    st.integers(0, 1000),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.lists(st.floats(-100, 100), min_size=3, max_size=3),
    st.permutations(range(3)),
)
def test_neither_scale_nor_sign_nor_order_of_the_systems_matters(seed, scale, shift, order):
    scores, targets, _ = systems(60, seed)
    moved = (scores * scale * [1, -1, 1] + shift)[:, order]
    plain = learn_fusion(scores, targets, equal(0.05)).apply(scores)
    found = learn_fusion(moved, targets, equal(0.05)).apply(moved)
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_systems_that_say_the_same_weigh_the_same_and_one_is_its_calibration():
    scores, targets, _ = systems()
    twice = np.column_stack([scores[:, 0], scores])
    fusion = learn_fusion(twice, targets, equal(0.01))
    assert fusion.weights[0] == pytest.approx(fusion.weights[1], rel=1e-6)
    alone = train_calibration(scores[targets, 0], scores[~targets, 0])
    found = learn_fusion(scores[:, :1], targets, equal(5.0))
    assert (found.weights[0], found.offset) == pytest.approx((alone.slope, alone.offset), rel=1e-8)


def test_a_system_that_knows_nothing_does_no_harm():
    scores, targets, _ = systems(6_000)
    noise = np.random.default_rng(1).normal(0, 50, (len(scores), 1))
    known = learn_fusion(scores, targets, equal(10.0)).apply(scores)
    with_noise = np.column_stack([scores, noise])
    found = learn_fusion(with_noise, targets, equal(10.0)).apply(with_noise)
    assert np.corrcoef(known, found)[0, 1] > 0.999


def test_what_cannot_be_pulled_is_refused():
    with pytest.raises(OptionError, match=r"toward must be one of zero, equal; got 'equals' \(did"):
        FusionOptions(toward="equals")
    with pytest.raises(OptionError, match="n_alike must be between 0 and 3, got 4"):
        learn_logistic(*systems()[:2], n_alike=4)
    scores, targets = np.array([[-1.0, 2], [1, 3], [-1, 0], [1, 1]]), np.array([1, 1, 0, 0]) == 1
    with pytest.raises(DataError, match=r"a\.tsv scores both classes alike, and alone weighs 0"):
        learn_fusion(scores, targets, equal(0.1), ["a.tsv", "b.tsv"])


def test_it_reads_back_and_files_of_other_fusions_are_as_they_were(tmp_path):
    scores, targets, seconds = systems()
    quality = TrialQuality.seconds(seconds)
    path = tmp_path / "fusion.h5"
    versions = []
    for options in (equal(0.05, p_target=0.1), FusionOptions()):
        for measures in (None, quality):
            fusion = learn_fusion(scores, targets, options, quality=measures)
            store.save(path, fusion)
            assert store.load(path) == fusion
            told = store.describe(path)
            assert ("toward" in told["options"]) == (options.toward == "equal")
            versions.append(told["format_version"])
    # Older programs read what they know.
    assert versions == [4, 4, 2, 3]
