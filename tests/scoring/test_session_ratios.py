"""Ratios of frames beside the test's own session: against loops, and their laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_speakers import draw_gmm, frame_set, joint_by_loops

from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import PipelineOptions
from voicegmm.mixture import DiagonalGMM, MapOptions, MeanShifts, density, sample
from voicegmm.scoring import (
    BackgroundModel,
    MemoryFrames,
    ScoringOptions,
    SubspaceOptions,
    Voices,
    check_subspace,
    enroll,
    log_likelihood_ratios,
    score_trials,
)
from voicegmm.scoring.subspaces import Subspace
from voicegmm.scoring.top_components import TopShifts
from voicegmm.subspace import FactorAnalysis

EXACT = ScoringOptions("exact")
MAP = MapOptions(relevance=8)


def made(seed=0, rank=2, speaker_rank=0, session=None, far=3.0):
    """Three speakers in a subspace that was drawn, not learned, and their frames."""
    rng = np.random.default_rng(seed)
    gmm = draw_gmm(rng, far=far)
    shape = gmm.means.shape
    u = 0.3 * rng.standard_normal((*shape, rank)) if session is None else session
    v = 0.3 * rng.standard_normal((*shape, speaker_rank))
    method = "jfa" if speaker_rank else "isv"
    options = SubspaceOptions(method, rank=rank, speaker_rank=speaker_rank)
    background = BackgroundModel(gmm, PipelineOptions())
    subspace = Subspace(options, FactorAnalysis(gmm, v, u, MAP.relevance))
    sets = {}
    for name in "abc":
        moved = gmm.means + 0.5 * rng.standard_normal(shape)
        for take in range(3):
            frames = sample(DiagonalGMM(gmm.weights, moved, gmm.variances), 40, rng)[0]
            sets[f"{name}/{take}"] = frame_set(frames + 0.1 * rng.standard_normal(shape[1]))
    return subspace, background, MemoryFrames(PipelineOptions(), sets)


def enrolled(subspace, background, frames):
    wanted = [Enrollment(name, (f"{name}/0", f"{name}/1")) for name in "abc"]
    return enroll(background, frames, wanted, MAP, subspace=subspace)[0]


def by_loops(models, frames, weights):
    """Give the ratio of each model by loops over frames and components, and least squares."""
    gmm, factors = models.background.gmm, models.subspace.factors
    joint = joint_by_loops(gmm, gmm.means, frames)
    deviations = np.sqrt(gmm.variances)
    rows, seen = [], []
    for t, x in enumerate(frames):  # x is the ridge regression of all frames on U, at once
        posteriors = np.exp(joint[t] - joint[t].max())
        posteriors /= posteriors.sum()
        for k in range(gmm.n_components):
            share = np.sqrt(weights[t] * posteriors[k])
            rows.append(share * factors.session_loadings[k])
            seen.append(share * (x - gmm.means[k]) / deviations[k])
    rank = factors.session_rank
    stacked = np.concatenate([*rows, np.eye(rank)])
    wanted = np.concatenate([*seen, np.zeros(rank)])
    session = factors.session_loadings @ np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    base = joint_by_loops(gmm, gmm.means + deviations * session, frames)
    found = []
    for offset in models.models.astype(float):
        own = joint_by_loops(gmm, gmm.means + deviations * (session + offset), frames)
        total = sum(
            weights[t] * (np.logaddexp.reduce(own[t]) - np.logaddexp.reduce(base[t]))
            for t in range(len(frames))
        )
        found.append(total / sum(weights))
    return np.array(found)


@pytest.mark.parametrize("speaker_rank", [0, 2], ids=["isv", "jfa"])
def test_the_definition_by_loops(speaker_rank):
    models = enrolled(*made(1, speaker_rank=speaker_rank))
    rng = np.random.default_rng(2)
    frames, weights = sample(models.background.gmm, 25, rng)[0] + 0.4, rng.uniform(0.2, 1, 25)
    expected = by_loops(models, frames, weights)
    found = log_likelihood_ratios(models, frames, weights, options=EXACT)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
    six = ScoringOptions("top", n_top=models.background.gmm.n_components)
    found = log_likelihood_ratios(models, frames, weights, options=six)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
    whole = ScoringOptions("exact", length_normalization=False)
    found = log_likelihood_ratios(models, frames, weights, options=whole)
    np.testing.assert_allclose(found, expected * weights.sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("way", ["exact", "top, one by one", "top, side by side"])
def test_compiled_loops_are_the_definition(monkeypatch, way):
    models = enrolled(*made(3))
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    gmm, rng = models.background.gmm, np.random.default_rng(4)
    frames = sample(gmm, 30, rng)[0].astype(np.float32)
    moved = gmm.means + 0.5 * rng.standard_normal(gmm.means.shape)
    means = gmm.means + np.sqrt(gmm.variances) * models.models
    f32, n = np.dtype(np.float32), gmm.n_components
    if way == "exact":
        shifts = MeanShifts.of(gmm, means, f32, 1)
    else:
        shifts = TopShifts.of(gmm, means, f32, 1, n, way.endswith("side by side"))
    assert shifts.kernel is not None
    base = np.logaddexp.reduce(joint_by_loops(gmm, moved, frames), axis=1)
    rows = np.array([2, 0])
    expected = [
        (np.logaddexp.reduce(joint_by_loops(gmm, moved + means[row] - gmm.means, frames), axis=1))
        - base
        for row in rows
    ]
    twice = shifts.about(gmm.means + 1).about(moved)
    for about in (shifts.about(moved), twice):
        (found,) = about.scores([(frames, None)], rows)
        np.testing.assert_allclose(found, np.mean(expected, axis=1), atol=2e-5)
    # A frame that single precision does not hold takes the same road in double precision.
    frames[3] = 1e20
    (found,) = shifts.about(moved).scores([(frames, None)], rows)
    (wanted,) = (
        MeanShifts.of(gmm, means, np.dtype(float), 1)
        .about(moved)
        .scores([(frames.astype(float), None)], rows)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_without_sessions_it_is_the_ratio_of_adapted_mixtures():
    subspace, background, frames = made(5, session=np.zeros((6, 4, 1)), rank=1)
    models = enrolled(subspace, background, frames)
    adapted = enrolled(None, background, frames)
    heard = frames.sets["b/2"].frames.astype(float)
    for options in (EXACT, ScoringOptions("top", n_top=3)):
        expected = log_likelihood_ratios(adapted, heard, options=options)
        found = log_likelihood_ratios(models, heard, options=options)
        np.testing.assert_allclose(found, expected, atol=1e-6)  # models are kept in float32


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=4)
def test_a_rotation_of_the_subspace_changes_nothing(seed):
    subspace, background, frames = made(seed % 7, rank=3)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
    u = subspace.factors.session_loadings
    turned = made(seed % 7, rank=3, session=u @ rotation)[0]
    heard = frames.sets["c/2"].frames.astype(float)
    expected = log_likelihood_ratios(enrolled(subspace, background, frames), heard)
    found = log_likelihood_ratios(enrolled(turned, background, frames), heard)
    np.testing.assert_allclose(found, expected, atol=1e-5)  # models are kept in float32


def test_for_small_offsets_it_is_the_linear_score():
    """The slope at 0 of the exact ratio is the linear score of the test aligned beside its session.

    Where that is nothing, the two agree to first order.
    """
    subspace, background, frames = made(6, session=np.zeros((6, 4, 1)), rank=1)
    models = enrolled(subspace, background, frames)
    small = type(models)(
        **{name: getattr(models, name) for name in models.__dataclass_fields__}
        | {"models": 1e-4 * models.models}
    )
    heard = frames.sets["a/2"].frames.astype(float)
    exact = log_likelihood_ratios(small, heard, options=EXACT)
    linear = log_likelihood_ratios(small, heard, options=ScoringOptions("subspace"))
    np.testing.assert_allclose(exact, linear, rtol=2e-3)


@pytest.mark.parametrize("method", ["exact", "top"])
def test_workers_and_order_do_not_change_a_bit(method):
    models = enrolled(*(parts := made(7)))
    frames = parts[2]
    pairs = [(model, file) for file in frames.sets for model in models.ids]
    voices = Voices(models, scoring=ScoringOptions(method))
    tables = [
        score_trials(voices, frames, Trials.of((*pair, -1) for pair in order), n_workers=n)
        for order, n in ((pairs, 1), (pairs, 3), (pairs[::-1], 1))
    ]
    np.testing.assert_array_equal(tables[0].scores, tables[1].scores)
    np.testing.assert_array_equal(tables[0].scores, tables[2].scores[::-1])
    own = tables[0].scores.reshape(3, 3, 3).mean(axis=1)
    assert (own.argmax(axis=1) == np.arange(3)).all()


def test_what_cannot_be_is_refused():
    models = enrolled(*made(8))
    for frames, message in (
        (np.full((3, 4), np.nan), "finite"),
        (np.zeros((3, 5)), "4"),
    ):
        with pytest.raises(DataError, match=message):
            log_likelihood_ratios(models, frames, options=EXACT)
    with pytest.raises(MismatchError, match="one of subspace, exact, top for .* 'isv', got 'kl'"):
        log_likelihood_ratios(models, np.zeros((3, 4)), options=ScoringOptions("kl"))
    for backend, method, message in (
        ("ivector", "exact", "one of subspace with backend.method 'ivector', got 'exact'"),
        ("ivector", "top", "one of subspace with backend.method 'ivector', got 'top'"),
        ("jfa", "linear", "one of subspace, exact, top with backend.method 'jfa', got 'linear'"),
    ):
        with pytest.raises(OptionError, match=message):
            check_subspace(SubspaceOptions(backend), MapOptions(), ScoringOptions(method))
