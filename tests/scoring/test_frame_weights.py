"""Weights from a soft speech detector count in enrollment and test alike, in every method."""

from dataclasses import replace

import numpy as np
import pytest

from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import DiagonalGMM, MapOptions
from voicegmm.scoring import (
    BackgroundModel,
    MemoryFrames,
    ScoreNormalizationOptions,
    ScoringOptions,
    Voices,
    enroll,
    explain_trial,
    make_cohort,
    score_recording,
    score_trials,
)
from voicegmm.scoring.options import METHODS

COHORT = {f"c{number}": [f"c{number}/{take}" for take in range(3)] for number in range(4)}


def library(rng):
    """Recordings whose weights are halves and wholes; then the frames of half weight as noise."""
    sets = {}
    for name in ("a", "b", *COHORT):
        center = rng.standard_normal(60)
        for take in range(3):
            data = center + 2 * rng.standard_normal((120, 60))
            weights = rng.choice([0.25, 0.5, 1.0], 120)
            sets[f"{name}/{take}"] = FrameSet(data, weights, np.arange(120), 120, 0.01)
    return MemoryFrames(PipelineOptions(), sets)


def in_quarters(frames):
    """The same speech with each frame as often as it has quarters of a weight, a quarter each."""
    sets = {}
    for name, one in frames.sets.items():
        times = np.rint(4 * one.weights).astype(int)
        data = np.repeat(one.frames, times, axis=0)
        n = len(data)
        sets[name] = FrameSet(data, np.full(n, 0.25), np.arange(n), n, 0.01)
    return MemoryFrames(frames.front_end, sets)


def voices_of(frames, options, relevance=5.0):
    rng = np.random.default_rng(1)
    gmm = DiagonalGMM(np.full(4, 0.25), rng.standard_normal((4, 60)), np.full((4, 60), 4.0))
    wanted = [Enrollment(name, (f"{name}/0", f"{name}/1")) for name in "ab"]
    models, _ = enroll(
        BackgroundModel(gmm, PipelineOptions()), frames, wanted, MapOptions(relevance=relevance)
    )
    cohort = None
    if options.normalization.method != "none":
        cohort = make_cohort(models, frames, COHORT, 2, options)
    return Voices(models, scoring=options, cohort=cohort)


CHOICES = [
    *(ScoringOptions(method) for method in METHODS),
    ScoringOptions("top", 2),
    *(ScoringOptions(m, length_normalization=False) for m in ("exact", "top", "linear")),
    *(ScoringOptions(normalization=ScoreNormalizationOptions(m)) for m in ("z", "zt", "as")),
]


@pytest.mark.parametrize(
    "options", CHOICES, ids=lambda options: f"{options.method}-{options.normalization.method}"
)
def test_a_weight_is_a_number_of_frames(options):
    frames = library(np.random.default_rng(2))
    quarters = in_quarters(frames)
    trials = Trials.of([(m, t, 0) for m in "ab" for t in ("a/2", "b/2", "c1/2")])
    whole, parts = (
        (voices := voices_of(each, options), score_trials(voices, each, trials).scores)
        for each in (frames, quarters)
    )
    np.testing.assert_allclose(whole[0].speakers.counts, parts[0].speakers.counts, rtol=1e-5)
    np.testing.assert_allclose(
        whole[0].speakers.means, parts[0].speakers.means, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(whole[0].speakers.seconds, parts[0].speakers.seconds)
    scale = np.abs(whole[1]).max()
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-4, atol=1e-4 * scale)
    one = frames.sets["b/2"]
    alone = score_recording(whole[0], one.frames, one.weights)
    np.testing.assert_allclose(alone, whole[1][[1, 4]], rtol=1e-4, atol=1e-4 * scale)
    # And they do count: with all weights alike the scores are others.
    same = MemoryFrames(
        frames.front_end,
        {name: replace(one, weights=np.ones(len(one.frames))) for name, one in frames.sets.items()},
    )
    plain = score_trials(voices_of(same, options), same, trials).scores
    assert np.abs(plain - whole[1]).max() > 1e-3 * scale


def test_an_explanation_weighs_frames_as_the_score_does():
    frames = library(np.random.default_rng(3))
    voices = voices_of(frames, ScoringOptions())
    score = score_trials(voices, frames, Trials.of([("a", "b/2", 0)])).scores[0]
    found = explain_trial(voices.speakers, "a", frames, ["b/2"])
    assert found.ratio == pytest.approx(score, abs=1e-4)
    np.testing.assert_array_equal(found.weights, frames.sets["b/2"].weights)
