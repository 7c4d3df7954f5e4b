"""Calibration of classes: against the two-class one, brute force and truth; laws of Bayes' rule."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.scoring import (
    ClassCalibration,
    class_posteriors,
    class_priors,
    class_ratios,
    train_calibration,
    train_class_calibration,
)


def drawn(rng, n=60, n_classes=3, apart=1.0):
    labels = rng.integers(n_classes, size=n)
    labels[:n_classes] = np.arange(n_classes)
    scores = rng.standard_normal((n, n_classes)) + apart * np.eye(n_classes)[labels]
    return scores, labels


def loss_by_loops(slope, offsets, scores, labels, voices):
    """Give the weighted cross-entropy with softened labels, one number at a time."""
    n_classes = len(offsets)
    total = 0.0
    for row, label in zip(scores, labels, strict=True):
        logits = [slope * s + b for s, b in zip(row, offsets, strict=True)]
        norm = math.log(sum(map(math.exp, logits)))
        weight = 1 / (n_classes * sum(other == label for other in labels))
        n = voices[label]
        for c, logit in enumerate(logits):
            wanted = (n + 1 if c == label else 1) / (n + n_classes)
            total -= weight * wanted * (logit - norm)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_of_two_classes_it_is_the_two_class_calibration(seed):
    rng = np.random.default_rng(seed)
    scores, labels = drawn(rng, 80, 2, 0.8)
    found = train_class_calibration(5 * scores - 300, labels)
    difference = 5 * (scores[:, 0] - scores[:, 1])
    expected = train_calibration(difference[labels == 0], difference[labels == 1])
    assert found.slope == pytest.approx(expected.slope, rel=1e-5)
    offset = found.offsets[0] - found.offsets[1]
    assert offset == pytest.approx(expected.offset, abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_no_neighbor_is_better(seed, n_classes):
    rng = np.random.default_rng(seed)
    scores, labels = drawn(rng, 40, n_classes, 2.0)
    voices = rng.integers(2, 9, n_classes)
    found = train_class_calibration(scores, labels, voices)
    assert found.n_voices == tuple(voices)
    least = loss_by_loops(found.slope, found.offsets, scores, labels, voices)
    for _ in range(5):
        slope = found.slope * (1 + 0.01 * rng.standard_normal())
        offsets = np.array(found.offsets) + 0.01 * rng.standard_normal(n_classes)
        assert loss_by_loops(slope, offsets, scores, labels, voices) >= least - 1e-9


def test_known_slope_and_offsets_come_back():
    rng = np.random.default_rng(3)
    # Unit Gaussians about the corners e_c: log p(x | c) = x_c + constants.
    labels = np.repeat(np.arange(3), [30_000, 10_000, 20_000])
    points = rng.standard_normal((len(labels), 3)) + np.eye(3)[labels]
    found = train_class_calibration(points / 4 + [0.2, 0, -0.2], labels)
    assert found.slope == pytest.approx(4, rel=0.03)
    np.testing.assert_allclose(found.offsets, [-0.8, 0, 0.8], atol=0.05)


def test_what_is_common_to_a_recording_does_not_count():
    rng = np.random.default_rng(4)
    scores, labels = drawn(rng)
    shifted = scores + 1000 * rng.standard_normal((len(scores), 1))
    one, other = (train_class_calibration(s, labels) for s in (scores, shifted))
    assert one.slope == pytest.approx(other.slope, rel=1e-6)
    np.testing.assert_allclose(one.apply(scores), other.apply(shifted), atol=1e-6)
    assert (one.apply(scores).max(axis=1) == 0).all()


def test_separable_classes_get_a_finite_slope_and_evidence_is_held():
    labels = np.repeat(np.arange(3), 10)
    found = train_class_calibration(100 * np.eye(3)[labels], labels)
    shares = class_posteriors(found.apply(100 * np.eye(3)[labels]), np.full(3, 1 / 3))
    np.testing.assert_allclose(shares[0, 0], 11 / 13, rtol=1e-4)  # the rule of succession
    assert found.limit == pytest.approx(np.log(10))
    assert found.held([1e6, 0.0, 0.0]).tolist() == pytest.approx([0, -found.limit, -found.limit])
    assert ClassCalibration(1.0, (0.0, 0.0)).limit == 0


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.ones((4, 2)), [0, 0, 1, 1], "all classes score the same"),
        ([[0, 1], [1, 0], [0, 1], [1, 0]], [0, 1, 0, 1], "do not score higher on their own"),
        ([[0, 1], [1, 0]], [0, 0], "scores of every class"),
        ([[0, np.nan], [1, 0]], [0, 1], "must be finite"),
        ([[0, 1], [1, 0]], [0, 2], "labels must be between 0 and 1"),
        ([[0], [1]], [0, 0], "at least two classes"),
        ([[0, 1], [1, 0]], [0, 1, 1], "labels"),
    ],
)
def test_scores_that_cannot_be_calibrated(scores, labels, message):
    with pytest.raises(DataError, match=message):
        train_class_calibration(scores, labels)


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_posterior_odds_are_prior_odds_times_the_ratio(likelihoods, seed):
    priors = np.random.default_rng(seed).dirichlet(np.full(len(likelihoods), 2.0)) + 1e-6
    priors /= priors.sum()
    shares, ratios = class_posteriors(likelihoods, priors), class_ratios(likelihoods, priors)
    assert shares.sum() == pytest.approx(1)
    for c, share in enumerate(shares):
        others = shares.sum() - share if share < 0.5 else np.delete(shares, c).sum()
        odds = np.log(share) - np.log(others)
        prior_odds = np.log(priors[c]) - np.log1p(-priors[c])
        assert odds == pytest.approx(prior_odds + ratios[c], abs=1e-6)
    if len(likelihoods) == 2:
        assert ratios[0] == pytest.approx(likelihoods[0] - likelihoods[1], abs=1e-6)
        assert ratios[1] == pytest.approx(-ratios[0], abs=1e-6)


def test_priors_are_completed_and_checked():
    names = ("a", "b", "c", "d")
    np.testing.assert_allclose(class_priors(names), 0.25)
    np.testing.assert_allclose(class_priors(names, {"b": 0.4}), [0.2, 0.4, 0.2, 0.2])
    full = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    np.testing.assert_allclose(class_priors(names, full), [0.1, 0.2, 0.3, 0.4])
    for wrong, message in (
        ({"bb": 0.1}, r"no class is called 'bb' \(did you mean 'b'\?\)"),
        ({"a": 0.0}, r"a must be between 0 and 1 \(exclusive\), got 0.0"),
        ({"a": float("nan")}, "a must be between"),
        ({"a": 0.6, "b": 0.4}, "sum to less than 1, got 1"),
        (full | {"d": 0.5}, "sum to 1, got 1.1"),
    ):
        with pytest.raises(OptionError, match=message):
            class_priors(names, wrong)
