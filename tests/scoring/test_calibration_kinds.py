"""Calibrations other than a line: by duration, by steps, with bounds."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm._base.options import canonical_json
from voicegmm.metrics import RatioBounds, cllr, empirical_bounds, min_cllr
from voicegmm.scoring import (
    Calibration,
    CalibrationOptions,
    DurationEffect,
    calibrate_held_out,
    isotonic_steps,
    train_calibration,
)

PAV = CalibrationOptions("pav")
numbers = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=15)


@given(numbers, numbers)
def test_steps_against_scikit_learn(targets, nontargets):
    """Isotonic regression of trials, and a target and a non-target beyond either end."""
    scores = np.array([-99.0, -99.0, 99.0, 99.0, *targets, *nontargets])
    labels = np.array([1, 0, 1, 0] + [1] * len(targets) + [0] * len(nontargets))
    share = IsotonicRegression().fit(scores, labels).predict(np.unique(scores)[1:-1])
    odds = (len(targets) + 2) / (len(nontargets) + 2)
    expected = np.log(share / (1 - share)) - np.log(odds)
    found = np.interp(np.unique(scores)[1:-1], *np.array(isotonic_steps(targets, nontargets)).T)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_pav_mends_what_a_line_cannot():
    rng = np.random.default_rng(0)
    ratios = [rng.normal(2, 2, 3000), rng.normal(-2, 2, 3000)]
    bent = [np.where(r > 0, r**3, r / 5) for r in ratios]
    ratios = [rng.normal(2, 2, 4000), rng.normal(-2, 2, 4000)]
    fresh = [np.where(r > 0, r**3, r / 5) for r in ratios]
    line, steps = train_calibration(*bent), train_calibration(*bent, options=PAV)
    least = min_cllr(*fresh)
    assert cllr(*map(steps.apply, fresh)) < least + 0.02 < cllr(*map(line.apply, fresh))
    # Flat beyond what was seen, and never infinite.
    assert steps.apply(1e9) == steps.apply(max(map(np.max, bent)))
    assert np.isnan(steps.apply(np.nan))
    trained = cllr(*map(steps.apply, bent))
    assert trained == pytest.approx(min_cllr(*bent), abs=2e-3)


def duration_world(n, rng):
    """Scores whose ratio is known, and falls apart with duration: llr = score * (1 + log d)."""
    seconds = rng.uniform(1, 20, 2 * n)
    spread = 0.8 * (1 + np.log(seconds))  # llr ~ N(+-spread / 2, spread)
    sign = np.repeat([1.0, -1.0], n)
    llr = sign * spread / 2 + rng.normal(0, np.sqrt(spread))
    return llr / (1 + np.log(seconds)), seconds, llr


def test_duration_is_learned():
    rng = np.random.default_rng(1)
    scores, seconds, _ = duration_world(20_000, rng)
    split = (scores[:20_000], scores[20_000:], 0.5)
    given_seconds = {"target_seconds": seconds[:20_000], "nontarget_seconds": seconds[20_000:]}
    found = train_calibration(
        *split, CalibrationOptions(duration="offset_and_slope"), **given_seconds
    )
    assert found.slope == pytest.approx(1, abs=0.15)
    assert found.duration.slope == pytest.approx(1, abs=0.15)
    assert found.duration.offset == pytest.approx(0, abs=0.15)
    fresh, lengths, truth = duration_world(20_000, rng)
    plain = train_calibration(*split)
    by_duration = found.apply(fresh, lengths)
    assert np.abs(by_duration - truth).mean() < 0.4 * np.abs(plain.apply(fresh) - truth).mean()
    here, there = (
        cllr(by_duration[:20_000], by_duration[20_000:]),
        cllr(truth[:20_000], truth[20_000:]),
    )
    assert here < there + 0.002
    # Beyond what was learned from, a duration counts as the nearest that was.
    assert found.apply(2.0, 500.0) == found.apply(2.0, seconds.max()) > found.apply(2.0, 9.0)


def test_offset_alone():
    rng = np.random.default_rng(2)
    seconds = rng.uniform(1, 9, 4000)
    scores = np.repeat([1.5, -1.5], 2000) + rng.normal(0, 1.7, 4000) - np.log(seconds)
    found = train_calibration(
        scores[:2000], scores[2000:], 0.5, CalibrationOptions(duration="offset"),
        seconds[:2000], seconds[2000:],
    )  # fmt: skip
    assert found.duration.slope == 0
    assert found.duration.offset == pytest.approx(found.slope, rel=0.1)


def test_bounds_hold():
    rng = np.random.default_rng(3)
    targets, nontargets = rng.normal(3, 1, 60), rng.normal(-3, 1, 900)
    free = train_calibration(targets, nontargets)
    bound = train_calibration(targets, nontargets, options=CalibrationOptions(bounds="empirical"))
    assert bound.bounds == empirical_bounds(free.apply(targets), free.apply(nontargets))
    assert replace(bound, bounds=None) == free
    assert bound.apply(1e6) == bound.bounds.upper <= np.log(901)
    assert bound.apply(-1e6) == bound.bounds.lower >= -np.log(61)
    inside = (bound.bounds.lower + bound.bounds.upper) / 2 / free.slope
    assert bound.apply(inside) == free.apply(inside)


def test_every_kind_reads_back():
    made = Calibration(
        2.0, -1.0, 10, 100, 1.5,
        DurationEffect(0.25, 0.1, 1.0, 9.0), ((-1.0, -2.0), (1.5, 3.25)), RatioBounds(-2.5, 3.0),
    )  # fmt: skip
    assert msgspec.convert(msgspec.json.decode(canonical_json(made)), Calibration) == made
    # As it was written before there were kinds.
    old = b'{"slope":2.0,"offset":-1.0,"n_targets":10,"n_nontargets":100,"min_seconds":1.5}'
    assert msgspec.json.decode(old, type=Calibration) == Calibration(2.0, -1.0, 10, 100, 1.5)


def test_held_out_calibration_has_not_seen_the_speakers():
    rng = np.random.default_rng(4)
    models, tests = np.divmod(np.arange(30 * 30 * 2), 60)
    tests = tests // 2
    targets = models == tests
    own = rng.normal(0, 1, 30)
    scores = np.where(targets, 2.0, -2.0) + own[models] + rng.normal(0, 1, len(models))
    seconds = rng.uniform(1, 5, len(models))
    for options in (CalibrationOptions(), replace(PAV, bounds="empirical", duration="offset")):
        found = calibrate_held_out(
            scores, targets, models, tests, np.random.default_rng(0), 0.5, options, seconds
        )
        learned = train_calibration(
            scores[targets], scores[~targets], 0.5, options, seconds[targets], seconds[~targets]
        ).apply(scores, seconds)
        here = cllr(found[targets], found[~targets])
        assert cllr(learned[targets], learned[~targets]) < here < 0.45


def test_what_cannot_be_learned_is_refused():
    by_duration = CalibrationOptions(duration="offset")
    with pytest.raises(OptionError, match="method must be one of linear, pav; got 'pava'"):
        CalibrationOptions("pava")
    with pytest.raises(DataError, match="needs the seconds of speech in each test"):
        train_calibration([1.0, 2.0], [0.0], 0.5, by_duration)
    with pytest.raises(DataError, match=r"seconds must be one a trial, 2 and 1; got shapes \(1,\)"):
        train_calibration([1.0, 2.0], [0.0], 0.5, by_duration, [1.0], [1.0])
    with pytest.raises(DataError, match="must be positive numbers"):
        train_calibration([1.0, 2.0], [0.0], 0.5, by_duration, [1.0, 0.0], [1.0])
    with pytest.raises(DataError, match="every test holds 3 s of speech"):
        train_calibration([1.0, 2.0], [0.0], 0.5, by_duration, [3.0, 3.0], [3.0])
    known = Calibration(1.0, 0.0, duration=DurationEffect(0.1, 0.0, 1.0, 5.0))
    with pytest.raises(MismatchError, match="hangs on the seconds of speech"):
        known.apply([1.0])
    with pytest.raises(ValueError, match="slope must be greater than 0"):
        Calibration(1.0, 0.0, duration=DurationEffect(0.0, -1.0, 1.0, 5.0))
    with pytest.raises(ValueError, match="steps must be finite and rise"):
        Calibration(1.0, 0.0, steps=((0.0, 1.0), (1.0, 0.0)))
    with pytest.raises(ValueError, match="shortest must be greater than 0"):
        DurationEffect(0.0, 0.0, 0.0, 1.0)
    # Longer tests of the wrong voice score higher: no line that rises at every duration.
    rng = np.random.default_rng(0)
    seconds = np.tile(np.linspace(1, 30, 300), 2)
    sign = np.repeat([1.0, -1.0], 300) * np.where(seconds < 12, 1.0, -0.8)
    scores = 2 * sign + rng.normal(0, 0.5, 600) + np.repeat([1.0, 0.0], 300)
    with pytest.raises(DataError, match="targets do not score above"):
        train_calibration(
            scores[:300], scores[300:], 0.5, CalibrationOptions(duration="offset_and_slope"),
            seconds[:300], seconds[300:],
        )  # fmt: skip


def test_isotonic_steps_of_lir():
    # NFI's lir 1.3.1: IsotonicCalibrator(add_misleading=1), given a target above all scores and a
    # non-target below beside those of its own, in natural logarithms.
    t = [2.5, 0.3, -0.4, 1.7, 3.1, 0.3]
    n = [-2.0, 0.3, -0.7, -3.5, 1.1, -1.2, -0.4, -2.2]
    scores, ratios = np.array(isotonic_steps(t, n)).T
    assert scores.tolist() == [-3.5, -0.7, -0.4, 1.1, 1.7, 3.1]
    lir = [-1.5686159179138452, 0.22314355131420988, 1.6094379124340998]
    np.testing.assert_allclose(ratios, np.repeat(lir, 2), rtol=1e-14)
