"""Trials beside a cohort: the whole way from recordings to normalized scores, and to disk."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from voicegmm._base.errors import DataError, MismatchError
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import DiagonalGMM, EmOptions, InitialOptions, MapOptions, accumulate
from voicegmm.scoring import (
    BackgroundModel,
    Calibration,
    EnrolledRecording,
    FoldOptions,
    MemoryFrames,
    ScoreNormalizationOptions,
    ScoringOptions,
    UbmOptions,
    Voices,
    cohort_size,
    enroll,
    log_likelihood_ratios,
    make_cohort,
    rehearse,
    score_recording,
    score_trials,
    with_speakers,
)
from voicegmm.store import load_voices, save_voices

COHORT = [f"c{i}" for i in range(5)]


def options_for(method, n_top=100):
    return ScoringOptions(normalization=ScoreNormalizationOptions(method, n_top))


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    sets = {}
    for name in ["a", "b", "d", *COHORT]:
        center = rng.standard_normal(60)
        for take in range(4):
            data = (center + 2 * rng.standard_normal((80, 60))).astype(np.float32)
            sets[f"{name}/{take}"] = FrameSet(data, np.ones(80), np.arange(80), 80, 0.01)
    frames = MemoryFrames(PipelineOptions(), sets)
    gmm = DiagonalGMM([0.5, 0.5], rng.standard_normal((2, 60)), np.full((2, 60), 4.0))
    models, _ = enroll(
        BackgroundModel(gmm, PipelineOptions()),
        frames,
        [Enrollment(name, (f"{name}/0", f"{name}/1")) for name in ("a", "b")],
        MapOptions(),
    )
    return frames, models, {name: [f"{name}/{take}" for take in range(4)] for name in COHORT}


@pytest.mark.parametrize("method", ["z", "t", "zt", "s", "as"])
def test_scores_of_trials_are_normalized_as_by_hand(world, method):
    frames, models, recordings = world
    options = options_for(method, 3)
    cohort = make_cohort(models, frames, recordings, 2, options)
    voices = Voices(models, scoring=options, cohort=cohort)
    # One test is a cohort speaker's: its own model must not judge it.
    trials = Trials.of([(m, t, 0) for m in ("a", "b") for t in ("a/2", "d/3", "c1/3")])
    table = score_trials(voices, frames, trials, n_workers=2)

    def raw(some, file):
        return log_likelihood_ratios(some, frames.sets[file].frames)

    others = [f"{name}/{take}" for name in COHORT for take in (2, 3)]
    of_models = np.array([raw(models, file) for file in others]).T
    of_cohort = np.array([raw(cohort.models, file) for file in others]).T
    for row, name in enumerate(COHORT):
        of_cohort[row, [file.startswith(name) for file in others]] = np.nan

    def moments(values):
        kept = values[np.isfinite(values)]
        kept = np.sort(kept)[::-1][:3] if method == "as" else kept
        return kept.mean(), kept.std()

    for number, (m, t) in enumerate(zip(trials.model_index, trials.test_index, strict=True)):
        test = trials.tests[t]
        score = raw(models, test)[m]
        against = raw(cohort.models, test)
        against[[test.startswith(name) for name in COHORT]] = np.nan
        mean, sd = moments(of_models[m])
        z = (score - mean) / sd
        if method == "zt":
            by_row = [moments(row) for row in of_cohort]
            against = np.array([(s - u) / d for s, (u, d) in zip(against, by_row, strict=True)])
        mean, sd = moments(against)
        normal = ((z if method == "zt" else score) - mean) / sd
        expected = {"z": z, "t": normal, "zt": normal}.get(method, (z + normal) / 2)
        assert table.scores[number] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_cohort_survives_the_disk(world, tmp_path):
    frames, models, recordings = world
    options = options_for("zt")
    cohort = make_cohort(models, frames, recordings, 2, options)
    save_voices(tmp_path / "v.h5", Voices(models, scoring=options, cohort=cohort))
    again = load_voices(tmp_path / "v.h5")
    trials = Trials.of([("a", "a/2", 1), ("b", "d/3", 0)])
    assert again.scoring == options
    np.testing.assert_array_equal(
        score_trials(again, frames, trials).scores,
        score_trials(Voices(models, scoring=options, cohort=cohort), frames, trials).scores,
    )


def test_who_is_enrolled_is_no_cohort(world):
    frames, models, recordings = world
    with_a = {"a": ["a/0", "a/1", "a/2"], **recordings}
    assert make_cohort(models, frames, with_a, 2, options_for("t")).models.ids == tuple(COHORT)
    with pytest.raises(DataError, match="a cohort needs two speakers with 3 usable recordings"):
        make_cohort(models, frames, {"c0": recordings["c0"]}, 2, options_for("t"))


def test_a_changed_speaker_must_meet_the_cohort_anew(world):
    frames, models, recordings = world
    options = options_for("s")
    cohort = make_cohort(models, frames, recordings, 2, options)
    voices = Voices(models, scoring=options, cohort=cohort)
    speech = accumulate(models.background.gmm, frames.sets["b/2"].frames)
    changed = with_speakers(voices, models.with_speaker("b", speech, 0.8))
    assert changed.cohort.enrolled == ("a",)
    score_trials(changed, frames, Trials.of([("a", "a/2", 1)]))
    with pytest.raises(MismatchError, match="b: not scored on the cohort's recordings"):
        score_trials(changed, frames, Trials.of([("b", "b/3", 1)]))
    by_tests = replace(changed, scoring=options_for("t"))
    score_trials(by_tests, frames, Trials.of([("b", "b/3", 1)]))


def test_normalization_without_a_cohort_or_with_another_calibration_is_refused(world):
    frames, models, _ = world
    trials = Trials.of([("a", "a/2", 1)])
    with pytest.raises(MismatchError, match="normalization 't' needs a cohort"):
        score_trials(Voices(models, scoring=options_for("t")), frames, trials)
    calibrated = Voices(models, Calibration(1.0, 0.0))
    with pytest.raises(MismatchError, match=r"normalization\.method 'none' .* not hold for 't'"):
        score_trials(calibrated, frames, trials, options=options_for("t"))


def test_folds_make_a_cohort_of_their_background(world):
    rng = np.random.default_rng(5)
    sets, recordings = {}, {}
    for number in range(12):
        center = 0.5 * rng.standard_normal(60)
        recordings[f"s{number}"] = [f"s{number}/{take}" for take in range(4)]
        for file in recordings[f"s{number}"]:
            data = (center + 2 * rng.standard_normal((60, 60))).astype(np.float32)
            sets[file] = FrameSet(data, np.ones(60), np.arange(60), 60, 0.01)
    frames = MemoryFrames(PipelineOptions(), sets)
    ubm = UbmOptions(2, InitialOptions(50, 2), EmOptions(3))
    found = rehearse(
        frames, recordings, FoldOptions(n_folds=3, n_enroll=2), ubm, MapOptions(), 0,
        scoring=options_for("t"),
    )  # fmt: skip
    nontargets = found.scores[found.nontargets]
    # Strangers score as the cohort does: about 0 on average, about 1 in spread.
    assert abs(nontargets.mean()) < 0.5
    assert 0.6 < nontargets.std() < 2
    assert found.scores[found.targets].mean() > 2


def hashed(frames, **names):
    """Give recordings contents; those with a name in `names` have the content of that name."""
    sets = {
        file: replace(one, content=sha256(names.get(file, file).encode()).hexdigest())
        for file, one in frames.sets.items()
    }
    return MemoryFrames(frames.front_end, sets)


def test_a_cohort_speaker_who_is_enrolled_under_another_name_is_left_out(world):
    """Told by the content of a recording."""
    frames, models, recordings = world
    frames = hashed(frames, **{"c2/3": "a/1"})
    wanted = [Enrollment(name, (f"{name}/0", f"{name}/1")) for name in ("a", "b")]
    models, _ = enroll(models.background, frames, wanted, MapOptions())
    cohort = make_cohort(models, frames, recordings, 2, options_for("s"))
    assert cohort.models.ids == ("c0", "c1", "c3", "c4")
    assert "c2" not in cohort.voices
    assert cohort.contents[0] == sha256(b"c0/2").hexdigest()


@pytest.mark.parametrize("heard", ["c1/0", "c1/3"])
def test_who_is_enrolled_from_the_cohort_later_leaves_it(world, heard):
    frames, models, recordings = world
    frames = hashed(frames)
    options = options_for("s")
    cohort = make_cohort(models, frames, recordings, 2, options)
    voices = Voices(models, scoring=options, cohort=cohort)
    speech = accumulate(models.background.gmm, frames.sets[heard].frames)
    record = EnrolledRecording("elsewhere.wav", frames.content(heard))
    for added in (
        models.with_speaker("zoe", speech, 0.8, [record]),
        models.with_speaker("c1", speech, 0.8),
    ):
        left = with_speakers(voices, added).cohort
        assert left.models.ids == ("c0", "c2", "c3", "c4")
        kept = [place for place, voice in enumerate(cohort.voices) if voice != "c1"]
        assert left.voices == tuple(cohort.voices[place] for place in kept)
        np.testing.assert_array_equal(left.of_enrolled, cohort.of_enrolled[:, kept])
        assert left.contents == tuple(cohort.contents[place] for place in kept)
    assert with_speakers(voices, models).cohort.models.ids == cohort.models.ids


def test_a_test_from_the_cohort_is_not_judged_by_its_own_model(world):
    frames, models, recordings = world
    frames = hashed(frames)
    sets = {**frames.sets, "d/as c1": frames.sets["c1/3"]}
    frames = MemoryFrames(frames.front_end, sets)
    options = options_for("t")
    cohort = make_cohort(models, frames, recordings, 2, options)
    voices = Voices(models, scoring=options, cohort=cohort)
    table = score_trials(voices, frames, Trials.of([("a", "c1/3", 0), ("a", "d/as c1", 0)]))
    assert table.scores[0] == table.scores[1]


@pytest.mark.parametrize("method", ["none", "z", "t", "zt", "s", "as"])
def test_one_recording_is_scored_as_in_a_list(world, method, tmp_path):
    frames, models, recordings = world
    options = options_for(method, 3)
    cohort = make_cohort(models, frames, recordings, 2, options) if method != "none" else None
    voices = Voices(models, scoring=options, cohort=cohort)
    save_voices(tmp_path / "v.h5", voices)
    voices = load_voices(tmp_path / "v.h5")
    table = score_trials(voices, frames, Trials.of([("a", "d/3", 0), ("b", "d/3", 0)]))
    one = frames.sets["d/3"]
    found = score_recording(voices, one.frames, one.weights)
    np.testing.assert_allclose(found, table.scores, rtol=1e-5, atol=1e-5)
    only = score_recording(voices, one.frames, one.weights, ["b"])
    np.testing.assert_allclose(only, table.scores[1:], rtol=1e-5, atol=1e-5)


def test_the_size_of_a_cohorts_models():
    def enrollments(*sizes):
        return [Enrollment(str(n), ("x",) * size) for n, size in enumerate(sizes)]

    assert cohort_size(enrollments(4, 4, 9), {"a": range(20), "b": range(8), "c": range(9)}) == 4
    assert cohort_size(enrollments(20, 20), {"a": range(5), "b": range(8), "c": range(5)}) == 4
    assert cohort_size(enrollments(3), {}) == 1
