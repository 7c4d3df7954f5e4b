"""ISV and JFA: against one dense system of all factors, and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_recordings import KINDS, draw_gmm, draw_recordings

from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm.metrics import eer
from voicegmm.mixture import DiagonalGMM, MapOptions, adapt
from voicegmm.mixture.representation import unwhitened
from voicegmm.scoring import linear_scores
from voicegmm.subspace import (
    FactorAnalysis,
    FactorAnalysisOptions,
    Recordings,
    TotalVariabilityOptions,
    channel_offsets,
    enroll,
    train_factor_analysis,
    train_total_variability,
)
from voicegmm.subspace.factor_analysis import expectation
from voicegmm.subspace.recordings import rows_by_speaker
from voicegmm.subspace.total_variability import expectation as total_expectation


def draw(seed, kind="diagonal", ranks=(2, 1), relevance=4.0, **sizes):
    rng = np.random.default_rng(seed)
    gmm = draw_gmm(rng, kind=kind)
    statistics, recordings, speakers = draw_recordings(rng, gmm, **sizes)
    v, u = (rng.standard_normal((3, 2, rank)) for rank in ranks)
    return statistics, recordings, speakers, FactorAnalysis(gmm, v, u, relevance)


def dense_speaker(model, counts, centered):
    """Give E[y], E[x], E[z] and the log-evidence of one speaker, from one system for all."""
    n_y, n_x, size = model.speaker_rank, model.session_rank, model.gmm.means.size
    n = len(counts)
    total = n_y + n * n_x + size
    precision, linear = np.eye(total), np.zeros(total)
    for h in range(n):
        design = np.zeros((size, total))
        design[:, :n_y] = model.speaker_loadings.reshape(size, n_y)
        at = n_y + h * n_x
        design[:, at : at + n_x] = model.session_loadings.reshape(size, n_x)
        design[:, n_y + n * n_x :] = np.eye(size) / np.sqrt(model.relevance)
        noise = np.repeat(counts[h], model.gmm.n_dims)
        precision += (design.T * noise) @ design
        linear += design.T @ centered[h].ravel()
    mean = np.linalg.solve(precision, linear)
    z = mean[n_y + n * n_x :].reshape(model.gmm.means.shape) / np.sqrt(model.relevance)
    evidence = 0.5 * (linear @ mean - np.linalg.slogdet(precision)[1])
    return mean[:n_y], mean[n_y : n_y + n * n_x].reshape(n, n_x), z, evidence


@pytest.mark.parametrize("relevance", [0.5, 8.0, 1e12])
def test_many_recordings_of_one_speaker(relevance):
    """Models are found step by step, and are those of one dense system all the same."""
    _, recordings, speakers, model = draw(
        4, ranks=(2, 2), relevance=relevance, n_speakers=1, n_each=60
    )
    y, _, z, _ = dense_speaker(model, *recordings.part(slice(0, 60)))
    (found,) = enroll(model, recordings, speakers)[1]
    expected = model.gmm.means + unwhitened(model.gmm, model.speaker_loadings @ y + z)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_who_has_many_recordings_counts_as_several_in_training():
    _, recordings, speakers, _ = draw(5, n_speakers=3, n_each=5)
    options = FactorAnalysisOptions(2, 1, n_iterations=2, most_recordings=3)
    parts = [f"{name} {number % 5 // 3}" for number, name in enumerate(speakers)]
    found = train_factor_analysis(recordings, speakers, options)
    expected = train_factor_analysis(recordings, parts, options)
    np.testing.assert_array_equal(found.loadings, expected.loadings)
    with pytest.raises(OptionError, match="most_recordings must be at least 2"):
        FactorAnalysisOptions(most_recordings=1)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from(KINDS), st.integers(0, 2), st.integers(0, 2))
def test_speakers_and_evidence_are_those_of_one_dense_system(seed, kind, n_y, n_x):
    _, recordings, speakers, model = draw(seed, kind, (n_y, n_x), n_speakers=3)
    names, means = enroll(model, recordings, speakers)
    empty = FactorAnalysis(model.gmm, np.zeros((3, 2, 0)), np.zeros((3, 2, 0)), model.relevance)
    assert names == ("s0", "s1", "s2")
    evidence = 0.0
    for rows, found in zip(rows_by_speaker(speakers, len(recordings)).values(), means, strict=True):
        part = recordings.part(rows)
        y, _, z, one = dense_speaker(model, *part)
        expected = model.gmm.means + unwhitened(model.gmm, model.speaker_loadings @ y + z)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
        evidence += one - dense_speaker(empty, *part)[3]
    rows = list(rows_by_speaker(speakers, len(recordings)).values())
    assert expectation(model, recordings, rows).objective == pytest.approx(evidence, abs=1e-7)


@pytest.mark.parametrize("minimum_divergence", [False, True])
@pytest.mark.parametrize("ranks", [(0, 2), (2, 0), (2, 1)])
def test_every_iteration_raises_the_objective(ranks, minimum_divergence):
    _, recordings, speakers, _ = draw(1, n_speakers=12)
    options = FactorAnalysisOptions(ranks[1], ranks[0], 4.0, 10, minimum_divergence)
    objectives = np.array(train_factor_analysis(recordings, speakers, options).objectives)
    assert (np.diff(objectives) > -1e-9 * np.abs(objectives[1:])).all()
    assert objectives[-1] > objectives[0] + 0.1


def test_training_tells_speakers_from_sessions():
    rng = np.random.default_rng(2)
    gmm = draw_gmm(rng, n_components=4, n_dims=3)
    _, recordings, speakers = draw_recordings(rng, gmm, 100, 4, 1, 1)
    options = FactorAnalysisOptions(1, 1, relevance=1e4, n_iterations=8)
    model = train_factor_analysis(recordings, speakers, options)
    again = np.random.default_rng(2)
    draw_gmm(again, n_components=4, n_dims=3)
    truth = again.standard_normal((2, 4, 3, 1)) / np.sqrt(gmm.variances)[..., None]
    for wanted, found in zip(truth, (model.speaker_loadings, model.session_loadings), strict=True):
        cosine = (wanted * found).sum() / np.linalg.norm(wanted) / np.linalg.norm(found)
        assert abs(cosine) > 0.97
        assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(wanted), rel=0.15)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_rank_zero_gives_map_adaptation_and_linear_scoring(seed):
    statistics, recordings, speakers, model = draw(seed, ranks=(0, 0), relevance=7.0)
    gmm = model.gmm
    _, means = enroll(model, recordings, speakers)
    adapted = []
    for rows in rows_by_speaker(speakers, len(recordings)).values():
        total = sum((statistics[row] for row in rows[1:]), statistics[rows[0]])
        adapted.append(adapt(gmm, total, MapOptions(relevance=7.0)).means)
    np.testing.assert_allclose(means, adapted, rtol=1e-10)
    offsets = channel_offsets(model, recordings)
    assert not offsets.any()
    found = linear_scores(gmm, means, statistics, channel_offsets=offsets)
    np.testing.assert_allclose(found, linear_scores(gmm, np.array(adapted), statistics), rtol=1e-7)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_turns_of_the_subspaces_change_nothing(seed):
    statistics, recordings, speakers, model = draw(seed, ranks=(2, 2))
    rng = np.random.default_rng(seed)
    v, u = (np.linalg.qr(rng.standard_normal((2, 2)))[0] for _ in range(2))
    turned = FactorAnalysis(
        model.gmm, model.speaker_loadings @ v, model.session_loadings @ u, model.relevance
    )
    scores = [
        linear_scores(
            one.gmm,
            enroll(one, recordings, speakers)[1],
            statistics,
            channel_offsets=channel_offsets(one, recordings),
        )
        for one in (model, turned)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-7, atol=1e-8)


def test_one_recording_a_speaker_without_z_is_total_variability():
    _, recordings, _, _ = draw(3, n_speakers=20, n_each=1)
    speakers = [str(number) for number in range(len(recordings))]
    options = FactorAnalysisOptions(0, 3, relevance=np.inf, n_iterations=5)
    joint = train_factor_analysis(recordings, speakers, options)
    total = train_total_variability(recordings, TotalVariabilityOptions(3, 5))
    np.testing.assert_allclose(joint.objectives, total.objectives, rtol=1e-9)
    np.testing.assert_allclose(joint.speaker_loadings, total.loadings, rtol=1e-6, atol=1e-9)
    rows = list(rows_by_speaker(speakers, len(recordings)).values())
    found = expectation(joint, recordings, rows)
    np.testing.assert_allclose(
        found.second, total_expectation(total, recordings).second, rtol=1e-6, atol=1e-9
    )


def test_the_channel_is_taken_out_of_models_and_tests():
    rng = np.random.default_rng(4)
    gmm = draw_gmm(rng, n_components=12, n_dims=6)
    statistics, recordings, speakers = draw_recordings(rng, gmm, 40, 4, 8, 2)
    train = np.arange(len(speakers)) < 80
    background = Recordings(gmm, recordings.counts[train], recordings.centered[train])
    options = FactorAnalysisOptions(2, relevance=4.0, n_iterations=10)
    isv = train_factor_analysis(background, speakers[:80], options)
    plain = FactorAnalysis(gmm, np.zeros((12, 6, 0)), np.zeros((12, 6, 0)), 4.0)
    enrolled, tests = np.arange(80, 160, 4), np.setdiff1d(np.arange(80, 160), np.arange(80, 160, 4))
    rates = {}
    for name, model in (("isv", isv), ("map", plain)):
        one = Recordings(gmm, recordings.counts[enrolled], recordings.centered[enrolled])
        other = Recordings(gmm, recordings.counts[tests], recordings.centered[tests])
        names, means = enroll(model, one, [speakers[row] for row in enrolled])
        scores = linear_scores(
            gmm,
            means,
            [statistics[row] for row in tests],
            channel_offsets=channel_offsets(model, other),
        )
        same = np.array([[one == speakers[row] for row in tests] for one in names])
        rates[name] = eer(scores[same], scores[~same])
    assert rates["isv"] < 0.85 * rates["map"]


def test_the_number_of_workers_does_not_change_a_bit():
    rng = np.random.default_rng(5)
    gmm = draw_gmm(rng, n_components=8, n_dims=4)
    _, recordings, speakers = draw_recordings(rng, gmm, 70, 5)
    options = FactorAnalysisOptions(3, 2, n_iterations=2)
    models = [train_factor_analysis(recordings, speakers, options, n_workers=n) for n in (1, 2, 8)]
    offsets = [channel_offsets(models[0], recordings, n) for n in (1, 2, 8)]
    for model, offset in zip(models, offsets, strict=True):
        assert model.loadings.tobytes() == models[0].loadings.tobytes()
        assert offset.tobytes() == offsets[0].tobytes()


def test_bad_input_is_named():
    _, recordings, speakers, model = draw(6)
    gmm = model.gmm
    other = DiagonalGMM(gmm.weights, gmm.means + 1, gmm.variances)
    foreign = Recordings(other, recordings.counts, recordings.centered)
    for call in (
        lambda: enroll(model, foreign, speakers),
        lambda: channel_offsets(model, foreign),
    ):
        with pytest.raises(MismatchError, match="another background model"):
            call()
    one_each = [str(number) for number in range(len(recordings))]
    options = FactorAnalysisOptions
    for call, message in (
        (lambda: train_factor_analysis(recordings, one_each), "second recording shows"),
        (lambda: train_factor_analysis(recordings, speakers, options(7)), "must be at most 6"),
        (lambda: train_factor_analysis(recordings, speakers, options(1, 7)), "must be at most 6"),
        (lambda: train_factor_analysis(recordings, ["a"], options(1)), "one a recording, 18"),
        (lambda: enroll(model, recordings, ["a"]), "one a recording, 18; got 1"),
        (lambda: expectation(model, recordings, []), "one at least"),
        (
            lambda: FactorAnalysis(gmm, np.zeros((3, 2, 1)), np.zeros((2, 2, 1)), 1.0),
            "session_loadings must be",
        ),
    ):
        with pytest.raises(DataError, match=message):
            call()
    for make, message in (
        (lambda: options(0), "above 0: nothing"),
        (lambda: options(-1), "session_rank must be at least 0"),
        (lambda: options(relevance=0), "relevance must be greater than 0"),
        (lambda: options(n_iterations=0), "n_iterations must be at least 1"),
        (
            lambda: FactorAnalysis(gmm, np.zeros((3, 2, 1)), np.zeros((3, 2, 1)), np.nan),
            "relevance must be greater",
        ),
    ):
        with pytest.raises(OptionError, match=message):
            make()
