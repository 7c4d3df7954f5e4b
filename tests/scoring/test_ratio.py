"""Log-likelihood ratios: against ALIZE, against the formula written out, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, ListError, MismatchError
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import FrameSet, PipelineOptions, StaticOptions
from voicegmm.mixture import (
    DiagonalGMM,
    EmOptions,
    InitialOptions,
    MapOptions,
    accumulate,
    adapt,
    log_density,
    sample,
)
from voicegmm.scoring import (
    BackgroundModel,
    Calibration,
    DurationEffect,
    MemoryFrames,
    SpeakerModels,
    Status,
    UbmOptions,
    Voices,
    enroll,
    log_likelihood_ratios,
    score_trials,
    train_background,
)

FRONT_END = PipelineOptions()


def background_of(gmm):
    return BackgroundModel(gmm, FRONT_END)


def speakers_from(gmm, each, relevance):
    made = [accumulate(gmm, frames) for frames in each]
    models = [adapt(gmm, statistics, MapOptions(relevance=relevance)) for statistics in made]
    return SpeakerModels(
        background_of(gmm),
        tuple(f"s{i}" for i in range(len(each))),
        np.array([model.means for model in models], np.float32),
        np.array([statistics.counts for statistics in made]),
        np.array([len(frames) / 100 for frames in each]),
        MapOptions(relevance=relevance),
    ), models


def test_alize_mean_log_likelihood_ratios(shared):
    data = np.load(shared("oracles/kaldi/em_k64.npz"))
    alize = np.load(shared("oracles/alize/map_scores.npz"))
    weights = data["m0.weights"].astype(float)
    gmm = DiagonalGMM(weights / weights.sum(), data["m0.means"], data["m0.vars"])
    frames = data["feats"].astype(np.float64)
    speakers, _ = speakers_from(gmm, [frames[2000 * i : 2000 * i + 300] for i in range(5)], 14)
    ours = np.array(
        [
            log_likelihood_ratios(speakers, frames[2000 * i + 500 : 2000 * i + 900])
            for i in range(10)
        ]
    )
    # ALIZE prints six digits, and our models of speakers are float32.
    np.testing.assert_allclose(ours, alize["scores_top64_PARTIAL"], atol=2e-5)


def draw(seed, n_components=6, n_dims=4):
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        3 * rng.standard_normal((n_components, n_dims)) + 50,
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )
    each = [sample(gmm, 80, rng)[0] + rng.standard_normal(n_dims) for _ in range(3)]
    return rng, gmm, each


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_the_ratio_is_the_difference_of_mean_log_densities(seed, dtype):
    rng, gmm, each = draw(seed)
    speakers, models = speakers_from(gmm, each, 8)
    frames = sample(gmm, 150, rng)[0].astype(dtype)
    weights = rng.uniform(0.1, 1, 150)
    expected = [
        weights
        @ (log_density(model, frames.astype(float)) - log_density(gmm, frames.astype(float)))
        for model in models
    ]
    ours = log_likelihood_ratios(speakers, frames, weights)
    np.testing.assert_allclose(ours, np.array(expected) / weights.sum(), atol=2e-4)
    chosen = log_likelihood_ratios(speakers, frames, weights, rows=np.array([2, 0]))
    np.testing.assert_array_equal(chosen, ours[[2, 0]])


def test_a_model_that_is_the_background_scores_zero():
    rng, gmm, each = draw(3)
    speakers, _ = speakers_from(gmm, each, 1e15)
    scores = log_likelihood_ratios(speakers, sample(gmm, 50, rng)[0].astype(np.float32))
    np.testing.assert_allclose(scores, 0, atol=1e-5)


def library(sets, failures=None, front_end=FRONT_END):
    made = {
        name: FrameSet(frames, np.ones(len(frames)), np.arange(len(frames)), len(frames), 0.01)
        for name, frames in sets.items()
    }
    return MemoryFrames(front_end, made, failures or {})


@pytest.fixture
def small_world():
    rng = np.random.default_rng(11)
    voices = {f"s{i}": 2 * rng.standard_normal(60) for i in range(4)}
    sets = {
        f"{name}/{take}": (center + rng.standard_normal((120, 60))).astype(np.float32)
        for name, center in voices.items()
        for take in range(3)
    }
    failures = {
        "s0/bad": Status("no speech", "s0/bad: silence; record again"),
        "s4/bad": Status("unreadable", "s4/bad: not audio; convert it"),
    }
    frames = library(sets, failures)
    options = UbmOptions(2, InitialOptions(50, 2), EmOptions(5))
    background, _ = train_background(frames, [f"s{i}/0" for i in range(4)], options, seed=1)
    return background, frames


def enrolled(background, frames):
    wanted = [Enrollment(f"s{i}", (f"s{i}/1",)) for i in range(4)]
    wanted += [Enrollment("s4", ("s4/bad",))]
    models, failures = enroll(background, frames, wanted, MapOptions(), n_workers=2)
    return Voices(models, not_enrolled=failures)


def test_enrollment_leaves_out_who_cannot_be_and_says_why(small_world):
    background, frames = small_world
    wanted = [Enrollment("s0", ("s0/1", "s0/bad")), Enrollment("s4", ("s4/bad",))]
    models, failures = enroll(background, frames, wanted, MapOptions())
    alone, _ = enroll(background, frames, [Enrollment("s0", ("s0/1",))], MapOptions())
    assert failures == {"s4": "s4/bad: not audio; convert it"}
    assert models.ids == ("s0",)
    np.testing.assert_array_equal(models.means, alone.means)


def test_scores_statuses_and_reasons(small_world):
    background, frames = small_world
    voices = enrolled(background, frames)
    rows = [("s0", "s0/2", 1), ("s1", "s0/2", 0), ("s0", "s0/bad", 1), ("s4", "s1/2", 0)]
    table = score_trials(
        voices, frames, Trials.of([*rows, ("s0", "pair", 1)]), {"pair": ("s0/0", "s0/2")}
    )
    assert table.statuses == ("ok", "ok", "no speech", "no model", "ok")
    assert table.reasons[2:4] == ("s0/bad: silence; record again", "s4/bad: not audio; convert it")
    assert np.isnan(table.scores[2:4]).all()
    assert table.scores[0] > table.scores[1]
    assert table.llrs is None
    data = np.concatenate([frames.sets["s0/0"].frames, frames.sets["s0/2"].frames])
    assert table.scores[4] == log_likelihood_ratios(voices.speakers.chosen(["s0"]), data)[0]


@pytest.mark.parametrize("n_workers", [2, 8])
def test_workers_give_the_same_bits(small_world, n_workers):
    background, frames = small_world
    voices = enrolled(background, frames)
    trials = Trials.of([(m, t, 0) for m in voices.speakers.ids for t in frames.sets])
    one = score_trials(voices, frames, trials)
    many = score_trials(voices, frames, trials, n_workers=n_workers)
    np.testing.assert_array_equal(one.scores, many.scores)


def test_a_calibration_is_applied(small_world):
    background, frames = small_world
    voices = enrolled(background, frames)
    voices = Voices(voices.speakers, Calibration(2.0, -1.0), not_enrolled=voices.not_enrolled)
    table = score_trials(voices, frames, Trials.of([("s0", "s0/2", 1), ("s0", "s0/bad", 1)]))
    assert table.llrs[0] == 2 * table.scores[0] - 1
    assert np.isnan(table.llrs[1])


def test_a_calibration_by_duration_hears_the_seconds_of_the_test(small_world):
    background, frames = small_world
    voices = enrolled(background, frames)
    effect = DurationEffect(0.5, 0.25, 0.01, 99.0)
    known = Calibration(2.0, -1.0, duration=effect)
    voices = Voices(voices.speakers, known, not_enrolled=voices.not_enrolled)
    trials = Trials.of([("s0", "s0/2", 1), ("s0", "two", 1), ("s0", "s0/bad", 1)])
    table = score_trials(voices, frames, trials, {"two": ("s0/2", "s0/1")})
    seconds = [frames.seconds("s0/2"), frames.seconds("s0/2") + frames.seconds("s0/1")]
    expected = (2 + 0.25 * np.log(seconds)) * table.scores[:2] - 1 + 0.5 * np.log(seconds)
    np.testing.assert_allclose(table.llrs[:2], expected, rtol=1e-12)
    assert np.isnan(table.llrs[2])


def test_unknown_names_are_refused_before_any_work(small_world):
    background, frames = small_world
    voices = enrolled(background, frames)
    with pytest.raises(ListError, match="1 models that are not enrolled: who"):
        score_trials(voices, frames, Trials.of([("who", "s0/2", 1)]))
    with pytest.raises(ListError, match="1 tests that have no features or segment: what"):
        score_trials(voices, frames, Trials.of([("s0", "what", 1)]))


def test_frames_of_another_front_end_are_refused(small_world):
    background, frames = small_world
    another = PipelineOptions(static=StaticOptions(lifter=0.0))
    other = library({"x": np.zeros((5, 60), np.float32)}, front_end=another)
    with pytest.raises(
        MismatchError, match=r"static\.lifter is 0\.0 in the frames, 22\.0 in the model"
    ):
        enroll(background, other, [Enrollment("x", ("x",))], MapOptions())
    with pytest.raises(MismatchError, match="different front ends"):
        score_trials(enrolled(background, frames), other, Trials.of([("s0", "x", 1)]))


def test_too_little_speech_for_a_background_model(small_world):
    _, frames = small_world
    with pytest.raises(DataError, match="360 speech frames cannot train 1000 components"):
        train_background(frames, ["s0/0", "s1/0", "s0/bad", "s2/0"], UbmOptions(1000), seed=0)


def test_a_speaker_is_updated_without_the_old_recordings(small_world):
    background, frames = small_world
    both, _ = enroll(background, frames, [Enrollment("s0", ("s0/1", "s0/2"))], MapOptions())
    first, _ = enroll(background, frames, [Enrollment("s0", ("s0/1",))], MapOptions())
    statistics = accumulate(background.gmm, frames.sets["s0/2"].frames)
    updated = first.with_speaker("s0", statistics, 1.2)
    np.testing.assert_allclose(updated.means, both.means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(updated.counts, both.counts, rtol=1e-6)
    assert updated.seconds[0] == pytest.approx(2.4)
    added = first.with_speaker("s9", statistics, 1.2)
    assert added.ids == ("s0", "s9")
    np.testing.assert_array_equal(added.means[0], first.means[0])


def test_relevance_zero_keeps_the_prior_where_there_is_no_data(small_world):
    background, frames = small_world
    models, _ = enroll(background, frames, [Enrollment("s0", ("s0/1",))], MapOptions(relevance=0))
    untouched = models.counts[0] == 0
    np.testing.assert_allclose(
        models.means[0][untouched], background.gmm.means[untouched], rtol=1e-6
    )
    assert np.isfinite(models.means).all()
