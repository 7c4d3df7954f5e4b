"""The rehearsal: nobody who is a stranger may be known, and what is promised must hold."""

import numpy as np
import pytest
from small_speakers import draw_recordings

from voicegmm._base.errors import DataError
from voicegmm.corpus import Enrollment
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.metrics import empirical_bounds
from voicegmm.mixture import DiagonalGMM, EmOptions, InitialOptions, MapOptions
from voicegmm.scoring import (
    BackgroundModel,
    CalibrationOptions,
    FoldOptions,
    SpeakerModels,
    UbmOptions,
    Voices,
    enroll,
    open_set_tests,
    promise_identification,
    rehearse,
    train_background,
    train_calibration,
    with_speakers,
)
from voicegmm.scoring import folds as folds_module

UBM = UbmOptions(4, InitialOptions(50, 2), EmOptions(4))


@pytest.mark.parametrize("design", ["insiders", "outsiders"])
def test_strangers_are_in_neither_background_nor_enrollment(monkeypatch, design):
    frames, recordings = draw_recordings(12)
    trained, met = [], []

    def spy_train(frames, files, *rest):
        trained.append(set(files))
        return train_background(frames, files, *rest)

    def spy_enroll(background, frames, enrollments, *rest, **more):
        met.append({e.model: set(e.files) for e in enrollments})
        return enroll(background, frames, enrollments, *rest, **more)

    monkeypatch.setattr(folds_module, "train_background", spy_train)
    monkeypatch.setattr(folds_module, "enroll", spy_enroll)
    found = rehearse(frames, recordings, FoldOptions(design, n_folds=3), UBM, MapOptions(), seed=5)
    names = np.array(found.speakers)
    per_fold = len(met) // 3
    for fold in range(3):
        here = found.fold == fold
        strangers = set(names[found.voice[here & found.stranger]])
        assert len(strangers) == 4
        assert not strangers & {file.split("/")[0] for file in trained[fold]}
        for enrolled in met[per_fold * fold : per_fold * (fold + 1)]:
            if design == "insiders":
                assert not strangers & set(enrolled)
            else:
                assert strangers == set(enrolled)
    own = found.test[found.targets]
    assert len(own) == len(set(own)), "a recording of an enrolled speaker counts once"
    assert not (found.nontargets & (found.model == found.voice)).any()
    assert set(names[found.voice[found.stranger]]) == set(recordings)
    assert np.isfinite(found.scores).all()


def test_tests_are_never_among_what_enrolled_or_trained(monkeypatch):
    frames, recordings = draw_recordings(10)
    heard = []

    def spy_train(frames, files, *rest):
        trained = set(files)
        heard.append(trained)
        return train_background(frames, files, *rest)

    enrolled = []

    def spy(background, frames, enrollments, *rest, **more):
        enrolled.append({file for e in enrollments for file in e.files})
        return enroll(background, frames, enrollments, *rest, **more)

    original = folds_module.score_trials
    tried = []

    def spy_score(voices, frames, trials, **rest):
        assert not set(trials.tests) & enrolled[-1]
        assert not set(trials.tests) & heard[-1]
        tried.extend(trials.tests)
        return original(voices, frames, trials, **rest)

    monkeypatch.setattr(folds_module, "train_background", spy_train)
    monkeypatch.setattr(folds_module, "enroll", spy)
    monkeypatch.setattr(folds_module, "score_trials", spy_score)
    for design in ("insiders", "outsiders"):
        rehearse(frames, recordings, FoldOptions(design, 2), UBM, MapOptions(), seed=1)
    assert tried


def test_each_kind_of_calibration_is_learned_from_the_folds():
    frames, recordings = draw_recordings(14, n_files=4, seed=2)
    rng = np.random.default_rng(0)
    for name, made in list(frames.sets.items()):
        kept = int(rng.integers(25, 60))
        frames.sets[name] = FrameSet(made.frames[:kept], np.ones(kept), np.arange(kept), kept, 0.01)
    found = rehearse(frames, recordings, FoldOptions("outsiders", 4), UBM, MapOptions(), seed=0)
    seconds = found.seconds[found.test]
    assert np.ptp(seconds) > 0
    kind = CalibrationOptions("pav", "offset", "empirical")
    ratios = found.calibrated(0.2, kind)
    for fold in range(4):
        there, here = found.fold != fold, found.fold == fold
        targets, nontargets = found.targets & there, found.nontargets & there
        alone = train_calibration(
            found.scores[targets], found.scores[nontargets], 0.2, kind, seconds[targets],
            seconds[nontargets],
        )  # fmt: skip
        np.testing.assert_array_equal(ratios[here], alone.apply(found.scores[here], seconds[here]))
    learned = found.calibration(0.2, kind)
    held_out = found.calibrated(0.2, CalibrationOptions("pav", "offset"))
    assert learned.bounds == empirical_bounds(held_out[found.targets], held_out[found.nontargets])
    assert learned.steps
    assert learned.duration is not None


def test_the_promise_holds_for_new_strangers():
    """Enroll 20 voices; the promised rates hold on 60 strangers and on new recordings."""
    frames, everyone = draw_recordings(80, n_files=6, seed=3)
    names = list(everyone)
    known = {name: everyone[name][:4] for name in names[:20]}
    found = rehearse(frames, known, FoldOptions("insiders", 5), UBM, MapOptions(), seed=0)
    calibration = found.calibration()
    promise = promise_identification(open_set_tests(found), found.calibration(), 20, 0.1)
    files = [file for group in known.values() for file in group]
    background, _ = train_background(frames, files, UBM, 0)
    models, _ = enroll(
        background, frames, [Enrollment(n, tuple(f)) for n, f in known.items()], MapOptions()
    )
    from voicegmm.scoring import log_likelihood_ratios

    def best(file):
        ratios = calibration.apply(log_likelihood_ratios(models, frames.sets[file].frames))
        return models.ids[int(ratios.argmax())], ratios.max()

    accepted = [best(f)[1] > promise.threshold for n in names[20:] for f in everyone[n]]
    missed = [
        best(f)[0] != n or best(f)[1] <= promise.threshold for n in known for f in everyone[n][4:]
    ]
    low, high = promise.false_accept.low, promise.false_accept.high
    assert low - 0.05 <= np.mean(accepted) <= high + 0.05
    assert np.mean(missed) <= promise.miss.high + 0.05
    assert promise.false_accept.n_speakers == 20


def background_of():
    return BackgroundModel(
        DiagonalGMM([1.0], np.zeros((1, 60)), np.ones((1, 60))), PipelineOptions()
    )


def test_more_enrolled_speakers_raise_the_promised_false_accepts():
    frames, recordings = draw_recordings(12)
    found = rehearse(frames, recordings, FoldOptions("outsiders", 3), UBM, MapOptions(), seed=0)
    few = promise_identification(open_set_tests(found), found.calibration(), 3, 0.1)
    many = promise_identification(open_set_tests(found), found.calibration(), 300, 0.1)
    assert many.threshold >= few.threshold
    assert many.n_enrolled == 300
    voices = Voices(
        SpeakerModels(background_of(), (), np.empty((0, 1, 60)), np.empty((0, 1)), np.empty(0)),
        found.calibration(),
        few,
        open_set=open_set_tests(found),
    )
    more = with_speakers(
        voices,
        SpeakerModels(
            background_of(), tuple("abcde"), np.zeros((5, 1, 60)), np.ones((5, 1)), np.ones(5)
        ),
    )
    assert more.promise == promise_identification(
        voices.open_set, found.calibration(), 5, few.max_false_accept
    )


def test_those_who_are_enrolled_in_earnest_meet_the_strangers():
    frames, recordings = draw_recordings(22, seed=2)
    names = list(recordings)
    earnest = [Enrollment(name, tuple(recordings[name])) for name in names[:10]]
    others = {name: recordings[name] for name in names[10:]}
    found = rehearse(
        frames, others, FoldOptions("outsiders", 3), UBM, MapOptions(), 0, in_earnest=earnest
    )
    assert set(names[:10]) <= set(found.speakers)
    assert found.n_enrolled == 10 + 4 - 1


def test_folds_enroll_as_in_earnest(monkeypatch):
    frames, recordings = draw_recordings(12)
    sizes = []

    def spy(background, frames, enrollments, *rest, **more):
        sizes.append({len(e.files) for e in enrollments})
        return enroll(background, frames, enrollments, *rest, **more)

    monkeypatch.setattr(folds_module, "enroll", spy)
    earnest = [Enrollment("x", ("s0/0",))]
    for design, options, wanted in (
        # On themselves from three of four, as strangers' opponents from all.
        ("insiders", {}, [{3}, {4}]),
        ("outsiders", {"in_earnest": earnest, "meet": False}, [{1}]),
    ):
        sizes.clear()
        folds = FoldOptions(design, 2)
        found = rehearse(frames, recordings, folds, UBM, MapOptions(), 0, **options)
        assert sizes == wanted * 2
        assert "x" not in found.speakers
    sizes.clear()
    rehearse(frames, recordings, FoldOptions("insiders", 2, n_enroll=2), UBM, MapOptions(), 0)
    assert sizes == [{2}, {2}] * 2


def test_sessions_stay_together_and_single_ones_are_drawn():
    rng = np.random.default_rng(0)
    sessions = [f"id/{day}/{take}.wav" for day in "abcd" for take in range(3)]
    parts = folds_module._parted(sessions, 4, 3, rng)
    days = [{file.split("/")[1] for file in group} for group in (parts.enroll, parts.test)]
    assert days == [{"a", "b"}, {"d"}]
    assert len(parts.enroll) + len(parts.test) + len(parts.other) == 12
    single = [f"id/{digit}_{take}.wav" for digit in range(10) for take in range(5)]
    parts = folds_module._parted(single, 10, 12, rng)
    assert len({file.split("_")[0] for file in parts.enroll}) > 4
    assert not set(parts.enroll) & set(parts.test)
    assert (len(parts.test), len(parts.other)) == (12, 28)


def test_too_few_speakers_are_refused():
    frames, recordings = draw_recordings(9)
    with pytest.raises(DataError, match="at least 10 speakers with two usable .* there are 9"):
        rehearse(frames, recordings, FoldOptions("insiders"), UBM, MapOptions(), 0)
    single = {name: files[:1] for name, files in recordings.items()}
    with pytest.raises(DataError, match="there are 0"):
        rehearse(frames, single, FoldOptions("insiders", min_speakers=2), UBM, MapOptions(), 0)


def test_the_same_seed_gives_the_same_bits():
    frames, recordings = draw_recordings(10)
    one, two = (
        rehearse(
            frames, recordings, FoldOptions("insiders", 2), UBM, MapOptions(), 4, n_workers=workers
        )
        for workers in (1, 2)
    )
    assert (one.scores == two.scores).all()
    assert (one.fold == two.fold).all()
