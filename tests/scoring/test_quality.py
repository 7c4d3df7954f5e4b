"""Quality measures of trials, as side information to a fusion."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm import store
from voicegmm._base.errors import DataError, ListError, MismatchError, OptionError
from voicegmm.corpus import Trials
from voicegmm.features import FrameSet, Pipeline
from voicegmm.metrics import cllr
from voicegmm.scoring import (
    FusionOptions,
    QualityEffect,
    Status,
    TrialQuality,
    fuse_held_out,
    learn_fusion,
    read_quality,
)
from voicegmm.scoring.logistic import learn_logistic


def world(n_speakers=30, n_sessions=3, seed=0):
    """Give scores, that fall as tests get longer, of two systems, targets, speakers, seconds."""
    rng = np.random.default_rng(seed)
    model, test = np.divmod(np.arange(n_speakers**2 * n_sessions), n_speakers * n_sessions)
    targets = model == test // n_sessions
    seconds = np.exp(rng.uniform(0, 3, n_speakers * n_sessions))[test]
    means = np.where(targets, 2.0, -2.0) - 2 * np.log(seconds)
    scores = means[:, None] + rng.normal(0, 1.5, (len(model), 2))
    return scores, targets, (model, test // n_sessions), seconds


def test_a_measure_is_a_column_of_the_regression():
    scores, targets, _, seconds = world()
    noise = np.random.default_rng(1).normal(size=len(scores))
    quality = TrialQuality(("seconds", "noise"), np.column_stack([seconds, noise]))
    fusion = learn_fusion(scores, targets, FusionOptions(ridge=0.01), quality=quality)
    columns = np.column_stack([scores, np.log(seconds), noise])
    weights, offset = learn_logistic(columns, targets, 0.5, 0.01)
    of_quality = [effect.weight for effect in fusion.quality]
    np.testing.assert_allclose([*fusion.weights, *of_quality], weights, rtol=1e-12)
    np.testing.assert_allclose(fusion.apply(scores, quality), columns @ weights + offset)
    # What duration does to the scores is undone; softened labels and the ridge keep some back.
    assert 1.5 * sum(fusion.weights) < fusion.quality[0].weight < 2.2 * sum(fusion.weights)
    assert abs(fusion.quality[1].weight) < 0.2 * fusion.quality[0].weight
    # By name, whatever the order; other measures are passed over.
    turned = TrialQuality(("noise", "x", "seconds"), np.column_stack([noise, 0 * noise, seconds]))
    np.testing.assert_array_equal(fusion.apply(scores, turned), fusion.apply(scores, quality))


def test_durations_help_where_scores_hang_on_them():
    scores, targets, speakers, seconds = world()
    quality = TrialQuality.seconds(seconds)
    plain = fuse_held_out(scores, targets, *speakers)
    informed = fuse_held_out(scores, targets, *speakers, quality=quality)
    assert cllr(informed[targets], informed[~targets]) < 0.5 * cllr(plain[targets], plain[~targets])


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_what_lies_beyond_counts_as_the_nearest_that_was_learned_from(shorter, longer):
    effect = QualityEffect("test_seconds", 0.7, 2.0, 20.0)
    assert effect.measure(min(shorter, 2.0)) == np.log(2.0)
    assert effect.measure(max(longer, 20.0)) == np.log(20.0)
    assert QualityEffect("snr", 0.7, -3.0, 20.0).measure(shorter) == min(shorter, 20.0)


def test_measures_that_do_not_fit_are_refused():
    scores, targets, _, seconds = world(6, 1)
    quality = TrialQuality.seconds(seconds)
    fusion = learn_fusion(scores, targets, quality=quality)
    with pytest.raises(MismatchError, match="this fusion takes seconds of each trial"):
        fusion.apply(scores)
    with pytest.raises(MismatchError, match="takes seconds"):
        fusion.apply(scores, TrialQuality(("snr",), seconds[:, None]))
    with pytest.raises(DataError, match="quality must be of 36 trials, got 35"):
        fusion.apply(scores, quality.of(np.arange(35)))
    with pytest.raises(DataError, match="seconds is 3 in every trial; leave it out"):
        learn_fusion(scores, targets, quality=TrialQuality.seconds(np.full(36, 3.0)))
    unknown = TrialQuality.seconds(np.append(np.nan, seconds[1:]))
    with pytest.raises(DataError, match="seconds must be known of every trial"):
        learn_fusion(scores, targets, quality=unknown)
    with pytest.raises(DataError, match="seconds must be positive"):
        TrialQuality.seconds(np.zeros(3))
    with pytest.raises(DataError, match="snr must be finite"):
        TrialQuality(("snr",), np.full((3, 1), np.inf))
    with pytest.raises(DataError, match=r"quality must be a matrix \(n_trials, 1\)"):
        TrialQuality(("snr",), np.zeros((3, 2)))
    with pytest.raises(OptionError, match="the effect of snr must be of finite numbers"):
        QualityEffect("snr", np.nan, 0.0, 1.0)
    with pytest.raises(OptionError, match="lowest must be between"):
        QualityEffect("seconds", 1.0, 0.0, 1.0)


def test_a_fusion_with_measures_reads_back_as_it_was_written(tmp_path):
    scores, targets, _, seconds = world(8, 2)
    fusion = learn_fusion(scores, targets, quality=TrialQuality.seconds(seconds))
    path = tmp_path / "fusion.h5"
    store.save(path, fusion)
    assert store.load(path) == fusion
    assert store.describe(path)["of_quality"] == {"seconds": fusion.quality[0].weight}
    # Without measures it is what older programs read too.
    store.save(path, replace(fusion, quality=()))
    assert store.load(path).quality == ()
    assert store.describe(path)["format_version"] == 2


TRIALS = Trials.of([("m1", "t1", 1), ("m1", "t2", 0), ("m2", "t1", 0)])


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["test\tseconds", "t2\t3", "t1\t1.5", "t9\t1"], [1.5, 3.0, 1.5]),
        (["snr\tmodel", "-2\tm1", "7\tm2"], [-2.0, -2.0, 7.0]),
        (["model\ttest\tx", "m1\tt1\t1", "m1\tt2\t2", "m2\tt1\t3"], [1.0, 2.0, 3.0]),
    ],
)
def test_measures_of_tests_of_models_and_of_trials(tmp_path, lines, values):
    path = tmp_path / "q.tsv"
    path.write_text("\n".join(lines))
    every = np.ones(3, bool)
    assert read_quality(path).of(TRIALS, every).values[:, 0].tolist() == values
    path.write_text("\n".join(lines[:2]))
    with pytest.raises(DataError, match=r"q\.tsv does not know \w+ of [12] of the 3 trials"):
        read_quality(path).of(TRIALS, every)
    assert np.isnan(read_quality(path).of(TRIALS, ~every).values).all()


def test_a_feature_store_knows_the_seconds_of_speech(tmp_path):
    frames = np.zeros((5, 60), np.float32)
    weights = np.array([1.0, 0.5, 1.0, 1.0, 0.5], np.float32)
    path = tmp_path / "features.h5"
    with store.new_store(path, Pipeline()) as writer:
        writer.add("t1", FrameSet(frames, weights, np.arange(5), 9, 0.01))
        writer.add("t2", Status("no speech", "t2: is silent"))
    known = store.read_quality_file(path)
    assert (known.keys, known.names) == (("test",), ("seconds",))
    assert known.rows == {("t1",): pytest.approx((0.04,))}
    assert known.seconds_of(TRIALS) == {"t1": pytest.approx(0.04)}
    (tmp_path / "q.tsv").write_text("model\tseconds\nm1\t3\n")
    with pytest.raises(DataError, match="holds no seconds by test"):
        store.read_quality_file(tmp_path / "q.tsv").seconds_of(TRIALS)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file\tseconds", "a\t1"], "line 1: the header must name test or model, or both"),
        (["test", "a"], "line 1: the header must name"),
        (["test\tx\tx", "a\t1\t2"], "line 1: the header must name"),
        (["test\tseconds"], "a header and nothing else"),
        (["test\tseconds", "a\t1\t2"], "line 2: expected 2 fields with the numbers seconds"),
        (["test\tseconds", "a\tlong"], "line 2: expected 2 fields with the numbers seconds"),
        (["test\tseconds", "a\t0"], "line 2: .*seconds must be positive"),
        (["test\tsnr", "a\tinf"], "line 2: .*snr must be finite"),
        (["test\tseconds", "a\t1", "a\t2"], "line 3: a stands twice"),
    ],
)
def test_a_damaged_table_of_measures_is_refused(tmp_path, lines, message):
    path = tmp_path / "q.tsv"
    path.write_text("\n".join(lines))
    with pytest.raises(ListError, match=message):
        read_quality(path)
