import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from voicegmm._base.errors import DataError
from voicegmm.metrics import cllr, min_cllr
from voicegmm.scoring import Calibration, support, train_calibration


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 20), st.floats(-50, 50))
def test_gaussian_scores_get_their_own_ratios_back(seed, scale, shift):
    """Scores N(+m/2, m) against N(-m/2, m) are log-likelihood ratios; any affine map is undone."""
    rng = np.random.default_rng(seed)
    m = 6.0
    targets = m / 2 + np.sqrt(m) * rng.standard_normal(4000)
    nontargets = -m / 2 + np.sqrt(m) * rng.standard_normal(4000)
    found = train_calibration(scale * targets + shift, scale * nontargets + shift)
    assert found.slope * scale == pytest.approx(1, abs=0.15)
    assert found.offset + found.slope * shift == pytest.approx(0, abs=0.3)


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    targets, nontargets = rng.normal(1, 1, 200), rng.normal(-1, 1.5, 3000)
    found = train_calibration(targets, nontargets, p_target=0.5)
    # Softened labels as weighted copies of both classes; each class weighs one half.
    scores = np.concatenate([targets, targets, nontargets, nontargets])[:, None]
    labels = np.repeat([1, 0, 1, 0], [200, 200, 3000, 3000])
    weights = np.concatenate(
        [
            np.full(200, 201 / 202 / 200),
            np.full(200, 1 / 202 / 200),
            np.full(3000, 1 / 3002 / 3000),
            np.full(3000, 3001 / 3002 / 3000),
        ]
    )
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    theirs.fit(scores, labels, sample_weight=weights * 3000)
    assert found.slope == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
    assert found.offset == pytest.approx(theirs.intercept_[0], rel=1e-3, abs=1e-4)


def test_calibration_lowers_cllr_to_near_its_minimum():
    rng = np.random.default_rng(1)
    targets, nontargets = rng.normal(0.9, 0.3, 500), rng.normal(0.1, 0.2, 5000)
    found = train_calibration(targets, nontargets)
    after = cllr(found.apply(targets), found.apply(nontargets))
    assert after < cllr(targets, nontargets)
    assert after < min_cllr(targets, nontargets) + 0.03


def test_separable_scores_get_a_finite_ratio():
    found = train_calibration([3.0, 4.0, 5.0], [0.0, 1.0])
    assert np.isfinite(found.slope)
    # Five trials cannot show a ratio of thousands.
    assert found.apply(5.0) < np.log(1000)


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(DataError, match="needs target and non-target scores"):
        train_calibration([], [1.0])
    with pytest.raises(DataError, match="must be finite"):
        train_calibration([np.nan], [1.0])
    with pytest.raises(DataError, match="targets do not score above"):
        train_calibration([0.0, 0.1], [1.0, 1.1])
    with pytest.raises(ValueError, match="slope must be greater than 0"):
        Calibration(0.0, 0.0)


@pytest.mark.parametrize(
    ("llr", "words"),
    [
        (0.0, "no support either way"),
        (np.log(1.9), "no support either way"),
        (
            np.log(5.04),
            "weak support for this speaker: such a recording is about 5.0 times likelier",
        ),
        (-np.log(47.3), "moderate support for another speaker: such a recording is about 47 times"),
        (np.log(2345), "strong support for this speaker: such a recording is about 2,300 times"),
        (np.log(2e6), "extremely strong support for this speaker: such a recording is over a mill"),
        (-99.0, "extremely strong support for another speaker: such a recording is over a million"),
    ],
)
def test_words(llr, words):
    assert support(llr).startswith(words)


def test_words_at_the_limit_and_beyond_words():
    assert "is at least 3,500 times likelier from this voice than from another" in support(
        np.log(3456), at_limit=True
    )
    with pytest.raises(ValueError, match="must be finite"):
        support(np.nan)


def test_a_calibration_shows_no_more_than_its_trials_can():
    assert Calibration(1.0, 0.0, 50, 2000).limit == pytest.approx(np.log(2000))
    assert Calibration(1.0, 0.0).limit == 0
