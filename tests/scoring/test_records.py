"""What a speaker was enrolled from: kept, and never tried on its own model."""

import hashlib
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from forging import altered

from voicegmm._base.errors import DataError, FormatError, MismatchError
from voicegmm._base.options import canonical_json
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import DiagonalGMM, EmOptions, InitialOptions, MapOptions, accumulate
from voicegmm.scoring import (
    BackgroundModel,
    EnrolledRecording,
    FoldOptions,
    MemoryFrames,
    ScoreNormalizationOptions,
    ScoringOptions,
    Status,
    UbmOptions,
    Voices,
    enroll,
    explain_trial,
    make_cohort,
    rehearse,
    score_recording,
    score_trials,
)
from voicegmm.scoring.background import digest_of
from voicegmm.scoring.frames import distinct, distinct_by_speaker
from voicegmm.store import load_voices, save_voices

NOON = "2026-01-31T12:00:00Z"


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


def take(rng, center, content="", weights=None, n_frames=80):
    data = (center + 2 * rng.standard_normal((n_frames, 60))).astype(np.float32)
    weights = np.ones(n_frames) if weights is None else weights
    return FrameSet(data, weights, np.arange(n_frames), n_frames, 0.01, content=content)


@pytest.fixture
def world():
    rng = np.random.default_rng(7)
    sets = {}
    for name in "abc":
        center = rng.standard_normal(60)
        for number in range(3):
            sets[f"{name}/{number}"] = take(rng, center, sha(f"{name}/{number}"))
    sets["copy/of a0"] = sets["a/0"]
    sets["a/unhashed"] = replace(sets["a/2"], content="")
    frames = MemoryFrames(PipelineOptions(), sets, {"bad": Status("unreadable", "bad: no audio")})
    gmm = DiagonalGMM([0.5, 0.5], rng.standard_normal((2, 60)), np.full((2, 60), 4.0))
    return frames, BackgroundModel(gmm, PipelineOptions())


def made(frames, background, **wanted):
    enrollments = [Enrollment(name, tuple(files)) for name, files in wanted.items()]
    return enroll(background, frames, enrollments, MapOptions(), enrolled_at=NOON)[0]


def test_each_enrollment_is_recorded(world):
    frames, background = world
    models = made(frames, background, a=["a/0", "bad", "a/1"], b=["b/0"])
    assert models.records == {
        "a": tuple(EnrolledRecording(f, sha(f), 0.8, NOON) for f in ("a/0", "a/1")),
        "b": (EnrolledRecording("b/0", sha("b/0"), 0.8, NOON),),
    }
    assert models.owners(sha("a/1")) == {"a": models.records["a"][1]}
    assert models.owners("") == {}
    assert models.chosen(["b"]).records == {"b": models.records["b"]}
    more = accumulate(background.gmm, frames.sets["a/2"].frames)
    later = EnrolledRecording("a/2", sha("a/2"), 0.8, "2026-02-01T00:00:00Z")
    updated = models.with_speaker("a", more, 0.8, [later])
    assert updated.records == {"b": models.records["b"], "a": (*models.records["a"], later)}


def test_the_record_survives_the_disk_and_an_old_file_opens_without(world, tmp_path):
    frames, background = world
    path = tmp_path / "v.h5"
    models = made(frames, background, a=["a/0", "a/1"], b=["b/0"])
    save_voices(path, Voices(models))
    assert load_voices(path).speakers.records == models.records
    with altered(path) as file:
        del file["speakers/records"]
    old = load_voices(path)
    assert old.speakers.records == {}
    # Without it nothing is known of the recordings, and no trial is refused.
    assert score_trials(old, frames, Trials.of([("a", "a/0", 1)])).statuses == ("ok",)


def test_removal_leaves_no_byte_of_name_or_hash(world, tmp_path):
    frames, background = world
    models = made(frames, background, a=["a/0"], brunhilde=["b/0", "b/1"])
    save_voices(tmp_path / "v.h5", Voices(models))
    content = (tmp_path / "v.h5").read_bytes()
    secrets = [b"brunhilde", b"b/0", sha("b/0").encode(), sha("b/1").encode()]
    assert all(secret in content for secret in secrets)
    save_voices(tmp_path / "v.h5", Voices(models.chosen(["a"])))
    content = (tmp_path / "v.h5").read_bytes()
    assert sha("a/0").encode() in content
    assert not any(secret in content for secret in secrets)


def test_a_self_trial_has_a_status_and_no_score(world):
    frames, background = world
    voices = Voices(made(frames, background, a=["a/0", "a/1"], b=["b/0"]))
    rows = [
        ("a", "a/0", 1),
        ("b", "a/0", 0),
        ("a", "copy/of a0", 1),
        ("a", "a/2", 1),
        ("a", "both", 1),
        ("b", "both", 0),
        ("b", "b/0", 1),
    ]
    table = score_trials(voices, frames, Trials.of(rows), {"both": ("a/2", "a/1")})
    own = "self-trial"
    assert table.statuses == (own, "ok", own, "ok", own, "ok", own)
    assert np.isnan(table.scores[[0, 2, 4, 6]]).all()
    assert table.reasons[0] == ("a/0: a was enrolled from this recording; try another recording")
    assert "(there a/0, with the same content)" in table.reasons[2]
    assert table.reasons[4].startswith("a/1: a was")


def test_where_a_content_is_not_known_the_name_tells(world):
    frames, background = world
    voices = Voices(made(frames, background, a=["a/unhashed", "a/0"]))
    rows = [("a", "a/unhashed", 1), ("a", "a/2", 1), ("a", "a/1", 1)]
    assert score_trials(voices, frames, Trials.of(rows)).statuses == ("self-trial", "ok", "ok")
    # The same name, but another content on both sides: another recording.
    other = {**frames.sets, "a/0": replace(frames.sets["a/2"], content=sha("new"))}
    table = score_trials(
        voices, MemoryFrames(PipelineOptions(), other), Trials.of([("a", "a/0", 1)])
    )
    assert table.statuses == ("ok",)


def test_a_recording_counts_once_in_an_enrollment(world, caplog):
    frames, background = world
    with caplog.at_level(logging.WARNING):
        twice = made(frames, background, a=["a/0", "copy/of a0", "a/1"])
    assert "a: copy/of a0 is the same recording as a/0 and counts once" in caplog.text
    once = made(frames, background, a=["a/0", "a/1"])
    np.testing.assert_array_equal(twice.means, once.means)
    assert twice.records == once.records


def test_too_little_speech_is_no_enrollment_where_so_asked(world):
    frames, background = world
    wanted = [Enrollment("a", ("a/0",)), Enrollment("b", ("b/0", "b/1"))]
    models, failures = enroll(background, frames, wanted, MapOptions(), min_seconds=1.0)
    assert models.ids == ("b",)
    assert failures == {
        "a": "a: 0.80 s of speech in 1 recordings, at least 1 s are needed; record more, or use "
        "--force"
    }
    assert enroll(background, frames, wanted, MapOptions())[0].ids == ("a", "b")


def test_seconds_are_those_of_the_weights(world):
    _, background = world
    rng = np.random.default_rng(0)
    weights = np.full(80, 0.25)
    frames = MemoryFrames(PipelineOptions(), {"a": take(rng, 0, weights=weights)})
    models = made(frames, background, a=["a"])
    assert models.seconds[0] == pytest.approx(0.2)
    assert models.records["a"][0].seconds == pytest.approx(0.2)


def test_distinct_recordings(world, caplog):
    frames, _ = world
    kept, twins = distinct(frames, ["a/0", "bad", "copy/of a0", "a/unhashed", "a/1"])
    assert kept == ["a/0", "a/unhashed", "a/1"]
    assert twins == {"copy/of a0": "a/0"}
    speakers = {"a": ["a/0", "a/1"], "b": ["b/0", "copy/of a0"], "u": ["a/unhashed"]}
    with caplog.at_level(logging.WARNING):
        found = distinct_by_speaker(frames, speakers)
    assert found == {"a": ["a/1"], "b": ["b/0"], "u": ["a/unhashed"]}
    assert "2 recordings stand under several speakers and are left out, as a/0" in caplog.text


def test_a_copy_never_calibrates(caplog):
    """The same recording in enrollment and test of a fold would flatter what is promised."""
    rng = np.random.default_rng(5)
    sets, recordings = {}, {}
    for number in range(10):
        center = 0.5 * rng.standard_normal(60)
        recordings[f"s{number}"] = [f"s{number}/{i}" for i in range(4)]
        for file in recordings[f"s{number}"]:
            sets[file] = take(rng, center, sha(file), n_frames=60)
        sets[f"s{number}/1"] = sets[f"s{number}/0"]
    frames = MemoryFrames(PipelineOptions(), sets)
    found = rehearse(
        frames, recordings, FoldOptions(n_folds=2, n_enroll=2),
        UbmOptions(2, InitialOptions(50, 2), EmOptions(3)), MapOptions(), 0,
    )  # fmt: skip
    assert found.targets.sum() == 10  # of three recordings, two enroll
    assert np.isfinite(found.scores).all()
    assert "10 recordings stand twice and count once" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"content": "abc"}, "content must be a SHA-256, 64 hex digits, got 'abc'"),
        ({"enrolled_at": "today"}, "must be a time in UTC as 2026-01-31T12:00:00Z, got 'today'"),
        ({"seconds": -1.0}, "seconds must be at least 0, got -1"),
    ],
)
def test_what_is_no_record(wrong, message):
    with pytest.raises((DataError, ValueError), match=message):
        EnrolledRecording("a.wav", **wrong)


def test_records_of_nobody_are_refused(world):
    frames, background = world
    models = made(frames, background, a=["a/0"])
    with pytest.raises(DataError, match="records must be of speakers, 'z' is none"):
        replace(models, records={"z": ()})


def test_what_does_not_belong_together_is_refused_with_both_sides_named(world):
    frames, background = world
    narrow = PipelineOptions(sample_rate=8000)
    telephone = MemoryFrames(narrow, frames.sets, frames.failures)
    sides = "sample_rate is 8000 in the frames, 16000 in the model"
    with pytest.raises(MismatchError, match=f"enrollment: .* different front ends: {sides}"):
        made(telephone, background, a=["a/0"])
    models = made(frames, background, a=["a/0"])
    with pytest.raises(MismatchError, match=f"scoring: .* different front ends: {sides}"):
        score_trials(Voices(models), telephone, Trials.of([("a", "a/1", 1)]))
    with pytest.raises(MismatchError, match=f"explanation: .* different front ends: {sides}"):
        explain_trial(models, "a", telephone, ["a/1"])
    few = frames.sets["a/1"].frames[:, :20]
    with pytest.raises(DataError, match="frames must have 60 columns, got 20"):
        score_recording(Voices(models), few)
    other = BackgroundModel(
        DiagonalGMM([0.5, 0.5], np.ones((2, 60)), np.full((2, 60), 4.0)), PipelineOptions()
    )
    options = ScoringOptions(normalization=ScoreNormalizationOptions("t"))
    cohorts = {name: [f"{name}/{i}" for i in range(3)] for name in "bc"}
    cohort = make_cohort(made(frames, other, a=["a/0"]), frames, cohorts, 1, options)
    both = f"background model {background.fingerprint}, the cohort from {other.fingerprint}"
    with pytest.raises(MismatchError, match=both):
        Voices(models, scoring=options, cohort=cohort)


def test_a_file_from_before_an_option_of_the_front_end_opens(world, tmp_path):
    frames, background = world
    path = tmp_path / "v.h5"
    models = made(frames, background, a=["a/0"])
    save_voices(path, Voices(models))
    with altered(path) as file:
        options = json.loads(file["ubm"].attrs["front_end"])
        del options["static"]["lifter"]
        text = canonical_json(options)
        gmm = background.gmm
        mark = digest_of(text, gmm.weights, gmm.means, gmm.variances)
        file["ubm"].attrs["front_end"], file["ubm"].attrs["fingerprint"] = text, mark
        whole = digest_of(canonical_json([mark, models.ids]), models.means, models.counts)
        file.attrs["fingerprint"] = whole
    assert load_voices(path).speakers.background.front_end == PipelineOptions()
    with altered(path) as file:
        file["ubm"].attrs["front_end"] = text.replace("16000", "8000")
    with pytest.raises(FormatError, match="does not fit its fingerprint"):
        load_voices(path)
