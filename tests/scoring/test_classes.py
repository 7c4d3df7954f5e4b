"""Classes of voices: likelihoods, training, rehearsal."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from small_speakers import draw_gmm, frame_set, joint_by_loops

from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm.corpus import ClassRecordings
from voicegmm.features import DeltaOptions, PipelineOptions, StaticOptions
from voicegmm.mixture import MapOptions
from voicegmm.scoring import (
    ClassModel,
    ClassModels,
    ClassOptions,
    MemoryFrames,
    Status,
    UbmOptions,
    class_scores,
    classes_rehearsal,
    judge_classes,
    rehearse_classes,
    score_classes,
    train_classes,
)

FRONT_END = PipelineOptions(static=StaticOptions(n_cepstra=4), deltas=DeltaOptions(order=0))


def library(n_speakers=6, n_takes=3, apart=1.0, shared_speakers=False, seed=0):
    """Make voices of three classes whose centers lie `apart`, and a recording without frames."""
    rng = np.random.default_rng(seed)
    sets, files, labels, speakers = {}, [], [], []
    for label in range(3):
        for number in range(n_speakers):
            speaker = f"s{number}" if shared_speakers else f"{label}-{number}"
            voice = 0.5 * rng.standard_normal(4)
            for take in range(n_takes):
                file = f"{label}/{speaker}/{take}"
                center = apart * np.eye(4)[label] + voice
                sets[file] = frame_set(center + rng.standard_normal((60, 4)))
                files.append(file)
                labels.append(label)
                speakers.append(speaker)
    files.append("2/lost")
    labels.append(2)
    speakers.append(speakers[-1])
    frames = MemoryFrames(FRONT_END, sets, {"2/lost": Status("no speech", "2/lost: silence")})
    made = ClassRecordings(("a", "b", "c"), tuple(files), np.array(labels), tuple(speakers))
    return frames, made


def test_scores_are_mean_log_likelihoods_by_loops():
    rng = np.random.default_rng(1)
    gmms = [draw_gmm(rng, far=0.0), draw_gmm(rng, n_components=3, far=0.0)]
    models = ClassModels((ClassModel("x", gmms[0]), ClassModel("y", gmms[1])), FRONT_END)
    frames = rng.standard_normal((17, 4))
    expected = [np.logaddexp.reduce(joint_by_loops(g, g.means, frames), axis=1) for g in gmms]
    np.testing.assert_allclose(class_scores(models, frames), np.mean(expected, axis=1), rtol=1e-12)
    weights = rng.integers(1, 3, 17).astype(float)
    twice = np.repeat(frames, weights.astype(int), axis=0)
    weighed, repeated = class_scores(models, frames, weights), class_scores(models, twice)
    np.testing.assert_allclose(weighed, repeated, rtol=1e-12)
    with pytest.raises(DataError, match="without frames"):
        class_scores(models, frames[:0])


def test_one_gaussian_a_class_is_the_mean_and_variance_of_its_frames():
    frames, recordings = library()
    seen = []
    models, warnings = train_classes(
        frames, recordings, ClassOptions(UbmOptions(1)), progress=lambda *at: seen.append(at)
    )
    assert (warnings, seen[-1]) == ((), (3, 3))
    for label, model in enumerate(models.classes):
        own = np.concatenate(
            [frames.sets[f].frames for f in recordings.of_class(label) if f in frames.sets]
        ).astype(float)
        np.testing.assert_allclose(model.gmm.means[0], own.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(model.gmm.variances[0], own.var(axis=0), rtol=1e-4)
        assert (model.n_frames, model.n_recordings, model.n_speakers) == (len(own), 18, 6)
        assert model.contents is None  # nobody hashed the recordings


def test_adapted_classes_lie_between_their_frames_and_all_frames():
    frames, recordings = library()
    options = ClassOptions(UbmOptions(1), adaptation=MapOptions(relevance=500))
    models, _ = train_classes(frames, recordings, options)
    all_frames = np.concatenate([one.frames for one in frames.sets.values()]).astype(float)
    for label, model in enumerate(models.classes):
        files = [f for f in recordings.of_class(label) if f in frames.sets]
        own = np.concatenate([frames.sets[f].frames for f in files]).astype(float)
        # Reynolds, Quatieri and Dunn 2000, eqs. 12 and 14, of one component
        expected = (own.sum(axis=0) + 500 * all_frames.mean(axis=0)) / (len(own) + 500)
        np.testing.assert_allclose(model.gmm.means[0], expected, atol=1e-5)
        np.testing.assert_allclose(model.gmm.variances[0], all_frames.var(axis=0), rtol=1e-4)
        assert model.iterations == ()


def test_each_class_knows_its_recordings():
    frames, recordings = library()
    sets = {
        f: replace(one, content=sha256(f.encode()).hexdigest()) for f, one in frames.sets.items()
    }
    hashed = replace(frames, sets=sets)
    models, _ = train_classes(hashed, recordings, ClassOptions(UbmOptions(1)))
    for label, model in enumerate(models.classes):
        own = [sets[f].content for f in recordings.of_class(label) if f in sets]
        assert model.contents == tuple(sorted(own))


def test_a_rehearsal_hears_no_speaker_twice(monkeypatch):
    frames, recordings = library(shared_speakers=True)
    heard = []
    original = classes_rehearsal.train_classes

    def spy(frames, chosen, *rest):
        heard.append(set(chosen.speakers))
        return original(frames, chosen, *rest)

    monkeypatch.setattr(classes_rehearsal, "train_classes", spy)
    options = ClassOptions(UbmOptions(2), n_folds=3)
    rehearsal = rehearse_classes(frames, recordings, options)
    assert len(heard) == 3
    usable = recordings.chosen(np.array([frames.status(f).ok for f in recordings.files]))
    for fold, names in enumerate(heard):
        tried = {usable.speakers[i] for i in np.flatnonzero(rehearsal.folds == fold)}
        assert len(tried) == 2
        assert not tried & names
        assert tried | names == set(recordings.speakers)
    # Each score is that of a model which a training without the fold gives.
    inside = rehearsal.folds == 1
    models, _ = original(frames, usable.chosen(~inside), options)
    again = score_classes(models, frames, usable.chosen(inside).files, n_workers=2)
    np.testing.assert_array_equal(rehearsal.scores[inside], again)
    assert rehearsal.scores.shape == (54, 3)
    np.testing.assert_allclose(rehearsal.seconds, 0.6)


def test_every_fold_has_its_share_of_every_class():
    frames, recordings = library(n_speakers=7)
    folds = rehearse_classes(frames, recordings, ClassOptions(UbmOptions(1), n_folds=4)).folds
    labels = recordings.labels[:-1]
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=4) // 3
        assert counts.max() - counts.min() <= 1


def test_classes_far_apart_are_told_apart_and_equal_ones_are_not():
    options = ClassOptions(UbmOptions(2))
    frames, recordings = library(apart=4.0)
    models, _ = train_classes(frames, recordings, options)
    judged = judge_classes(models, frames, recordings)
    assert judged.expected.accuracy.value == 1
    assert judged.expected.cllr.value < 0.3
    assert judged.calibration.n_voices == (6, 6, 6)
    assert judged.calibration.limit == pytest.approx(np.log(6))
    frames, recordings = library(apart=0.0, n_speakers=10)
    models, _ = train_classes(frames, recordings, options)
    judged = judge_classes(models, frames, recordings)
    # Nothing to tell them by: no calibration at all, or figures at chance.
    if judged.expected:
        assert judged.expected.cllr.value > 0.9
        assert judged.expected.accuracy.low < 0.4
    else:
        assert "cannot be calibrated" in judged.uncalibrated_because


def test_too_few_speakers_are_told():
    frames, recordings = library(n_speakers=4)
    models, _ = train_classes(frames, recordings, ClassOptions(UbmOptions(1)))
    judged = judge_classes(models, frames, recordings)
    assert (judged.calibration, judged.expected) == (None, None)
    assert "at least 5 speakers with a usable recording in each class" in (
        judged.uncalibrated_because
    )


def test_what_cannot_be_trained_or_scored_is_named():
    frames, recordings = library(n_speakers=2, n_takes=1)
    with pytest.raises(DataError, match="a: 120 speech frames cannot train 121 components"):
        train_classes(frames, recordings, ClassOptions(UbmOptions(121)))
    models, _ = train_classes(frames, recordings, ClassOptions(UbmOptions(2)))
    other = MemoryFrames(PipelineOptions(), {})
    with pytest.raises(MismatchError, match="classification: .* different front ends"):
        score_classes(models, other, [])
    assert score_classes(models, frames, []).shape == (0, 3)
    with pytest.raises(DataError, match="names of the classes must differ"):
        ClassModels((models.classes[0],) * 2, FRONT_END)
    with pytest.raises(DataError, match="at least two classes"):
        ClassModels(models.classes[:1], FRONT_END)
    with pytest.raises(DataError, match=r"must have the front end's 60 dimensions, got 4"):
        ClassModels(models.classes, PipelineOptions())
    for wrong, message in (({"n_folds": 1}, "n_folds"), ({"min_speakers": 1}, "min_speakers")):
        with pytest.raises(OptionError, match=message):
            ClassOptions(**wrong)
