"""Enrollment by each rule of MAP adaptation, all at once and later, speech by speech."""

from dataclasses import replace

import numpy as np
import pytest

from voicegmm._base.errors import OptionError
from voicegmm.corpus import Enrollment
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    MapOptions,
    Statistics,
    accumulate,
    adapt,
    collector,
    density,
    fit,
    initialize,
    sample,
    sample_frames,
)
from voicegmm.mixture.fast import FastOptions
from voicegmm.scoring import (
    BackgroundModel,
    MemoryFrames,
    SpeakerModels,
    Status,
    UbmOptions,
    Voices,
    enroll,
    train_background,
)
from voicegmm.store import load_voices, save_voices

RULES = {
    "reynolds": MapOptions(relevance=7),
    "no relevance": MapOptions(relevance=0),
    "kaldi": MapOptions(relevance=12, rule="kaldi"),
    "fixed": MapOptions(rule="fixed", alpha=0.25),
    "alpha 0": MapOptions(rule="fixed", alpha=0.0),
}


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    n_dims = 60
    gmm = DiagonalGMM(
        [0.4, 0.35, 0.25], 2 * rng.standard_normal((3, n_dims)), rng.uniform(0.5, 2, (3, n_dims))
    )
    sets = {}
    for speaker in range(5):
        center = rng.standard_normal(n_dims)
        for take in range(3):
            frames = (sample(gmm, 90, rng)[0] + center).astype(np.float32)
            weights = rng.uniform(0.2, 1, 90) if take == 2 else np.ones(90)
            sets[f"s{speaker}/{take}"] = FrameSet(frames, weights, np.arange(90), 90, 0.01)
    silence = Status("no speech", "s0/bad: silence; record again")
    frames = MemoryFrames(PipelineOptions(), sets, {"s0/bad": silence})
    return BackgroundModel(gmm, PipelineOptions()), frames


def all_enrollments(takes=(0, 1, 2)):
    return [Enrollment(f"s{i}", tuple(f"s{i}/{take}" for take in takes)) for i in range(5)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("compiled", [False, True])
def test_enrolled_models_are_adapt_of_all_speech(world, rule, compiled, monkeypatch):
    background, frames = world
    if compiled:
        monkeypatch.setattr(density, "FUSED_FROM", 0)
    models, failures = enroll(background, frames, all_enrollments(), RULES[rule], n_workers=2)
    assert not failures
    for row in range(5):
        each = [frames.sets[f"s{row}/{take}"] for take in range(3)]
        statistics = sum(
            (accumulate(background.gmm, one.frames.astype(float), one.weights) for one in each),
            Statistics.zero(background.gmm),
        )
        expected = adapt(background.gmm, statistics, RULES[rule])
        np.testing.assert_allclose(models.means[row], expected.means, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(models.counts[row], statistics.counts, rtol=1e-4, atol=1e-4)
        assert models.seconds[row] == pytest.approx(statistics.n_frames * 0.01)


@pytest.mark.parametrize("rule", RULES)
def test_speech_that_comes_later_gives_the_model_of_all(world, rule, tmp_path):
    background, frames = world
    together, _ = enroll(background, frames, all_enrollments(), RULES[rule])
    models, _ = enroll(background, frames, all_enrollments((0,)), RULES[rule])
    for take in (1, 2):
        # Through a file: what stands there must be enough to go on from.
        save_voices(tmp_path / "s.h5", Voices(models))
        models = load_voices(tmp_path / "s.h5").speakers
        assert models.adaptation == RULES[rule]
        for name in models.ids:
            new = frames.sets[f"{name}/{take}"]
            statistics = accumulate(background.gmm, new.frames, new.weights)
            models = models.with_speaker(name, statistics, statistics.n_frames * 0.01)
    assert models.ids == together.ids
    np.testing.assert_allclose(models.means, together.means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(models.counts, together.counts, rtol=1e-5)
    np.testing.assert_allclose(models.seconds, together.seconds, rtol=1e-9)


def test_progress_counts_those_who_cannot_be_enrolled_too(world):
    background, frames = world
    told = []
    wanted = [*all_enrollments(), Enrollment("s9", ("s0/bad",))]
    models, failures = enroll(background, frames, wanted, MapOptions(), progress=told.append)
    assert told[-1] == 6
    assert len(models.ids) == 5
    assert failures == {"s9": "s0/bad: silence; record again"}


def test_nobody_to_enroll(world):
    background, frames = world
    models, failures = enroll(background, frames, [Enrollment("s9", ("s0/bad",))], MapOptions())
    assert models.ids == ()
    assert models.means.shape == (0, 3, 60)
    assert list(failures) == ["s9"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (MapOptions(variances=True), "variances must be false: speaker models adapt the means"),
        (MapOptions(means=False, weights=True), "weights must be false"),
        (MapOptions(n_iterations=2), "n_iterations must be 1, got 2"),
    ],
)
def test_what_speaker_models_cannot_be_is_refused(world, options, message):
    background, frames = world
    with pytest.raises(OptionError, match=message):
        enroll(background, frames, all_enrollments(), options)
    with pytest.raises(OptionError, match=message):
        SpeakerModels(background, (), np.empty((0, 3, 60)), np.empty((0, 3)), np.empty(0), options)


def test_double_precision_is_what_a_library_of_doubles_would_give(world):
    _, frames = world
    files = [file for file in frames.ids if frames.status(file).ok]
    options = UbmOptions(4, em=EmOptions(n_iterations=3), precision="double")
    trained, result = train_background(frames, files, options, seed=0)
    rng = np.random.default_rng(0)
    data, weights = frames.read(files)
    source = ArraySource(data.astype(np.float64), weights)
    drawn = sample_frames(source, options.initial.sample_per_component * 4, rng)
    own = fit(initialize(drawn, 4, rng), collector(source), options.em)
    np.testing.assert_array_equal(result.gmm.variances, own.gmm.variances)
    single, _ = train_background(frames, files, replace(options, precision="single"), seed=0)
    assert (trained.gmm.variances != single.gmm.variances).any()

    models, _ = enroll(trained, frames, all_enrollments(), MapOptions(relevance=7))
    for row in range(5):
        data, weights = frames.read([f"s{row}/{take}" for take in range(3)])
        expected = accumulate(trained.gmm, data.astype(np.float64), weights)
        np.testing.assert_allclose(models.counts[row], expected.counts, rtol=1e-14)


def test_precision_that_cannot_be_is_refused():
    with pytest.raises(OptionError, match="precision must be one of single, double; got 'duoble'"):
        UbmOptions(precision="duoble")
    with pytest.raises(OptionError, match=r"precision must be single where fast\.method is fast"):
        UbmOptions(precision="double", fast=FastOptions("fast"))
