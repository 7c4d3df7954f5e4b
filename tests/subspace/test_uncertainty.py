"""PLDA that knows how sure each vector is: against dense Gaussians of all vectors together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_recordings import draw_gmm, draw_recordings

from voicegmm._base.errors import DataError, OptionError
from voicegmm.subspace import (
    BackEnd,
    BackEndOptions,
    Evidence,
    LdaOptions,
    Plda,
    TotalVariabilityOptions,
    evidence_scores,
    extract_posteriors,
    learn_back_end,
    plda_scores,
    train_total_variability,
)


def draw_plda(rng, n_dims=4, rank=4):
    a, f = rng.standard_normal((n_dims, n_dims)), rng.standard_normal((n_dims, rank))
    return Plda(rng.standard_normal(n_dims), a @ a.T + 0.1 * np.eye(n_dims), f @ f.T)


def draw_covariances(rng, n, n_dims=4):
    a = rng.standard_normal((n, n_dims, n_dims))
    return a @ np.swapaxes(a, 1, 2) * rng.uniform(0, 3, (n, 1, 1))


def dense(plda, vectors, covariances):
    """Give the log-density of one speaker's vectors as one long Gaussian vector."""
    n, d = vectors.shape
    whole = np.kron(np.ones((n, n)), plda.between)
    for i in range(n):
        whole[i * d : (i + 1) * d, i * d : (i + 1) * d] += plda.within + covariances[i]
    x = (vectors - plda.mean).ravel()
    return -0.5 * (
        x.size * np.log(2 * np.pi) + np.linalg.slogdet(whole)[1] + x @ np.linalg.solve(whole, x)
    )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    n_model=st.integers(1, 4),
    n_test=st.integers(1, 3),
    rank=st.integers(1, 4),
)
def test_scores_are_the_ratio_of_densities_of_all_vectors_together(seed, n_model, n_test, rank):
    rng = np.random.default_rng(seed)
    plda = draw_plda(rng, rank=rank)
    sides = [(rng.standard_normal((n, 4)), draw_covariances(rng, n)) for n in (n_model, n_test)]
    found = evidence_scores(*(Evidence.of(plda, *one, np.zeros(len(one[0]), int)) for one in sides))
    both = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    expected = dense(plda, *both) - sum(dense(plda, *one) for one in sides)
    assert found[0, 0] == pytest.approx(expected, rel=1e-8, abs=1e-8)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_sure_vectors_are_those_of_plain_plda(seed, rank):
    rng = np.random.default_rng(seed)
    plda = draw_plda(rng, rank=rank)
    x, owners = rng.standard_normal((7, 4)), np.array([0, 0, 1, 2, 2, 2, 2])
    tests = rng.standard_normal((3, 4))
    models = Evidence.of(plda, x, np.zeros((7, 4, 4)), owners)
    found = evidence_scores(models, Evidence.of(plda, tests, np.zeros((3, 4, 4))))
    means = np.array([x[owners == row].mean(axis=0) for row in range(3)])
    expected = plda_scores(plda, means, tests, np.bincount(owners))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_evidence_adds_up_and_what_is_not_known_says_nothing():
    rng = np.random.default_rng(1)
    plda = draw_plda(rng)
    x, covariances = rng.standard_normal((5, 4)), draw_covariances(rng, 5)
    owners = np.array([0, 1, 0, 2, 1])
    whole = Evidence.of(plda, x, covariances, owners)
    parts = [
        Evidence.of(plda, x[some], covariances[some], owners[some], 3)
        for some in (slice(0, 2), slice(2, 5))
    ]
    np.testing.assert_allclose((parts[0] + parts[1]).precisions, whole.precisions, rtol=1e-12)
    np.testing.assert_allclose((parts[0] + parts[1]).linear, whole.linear, rtol=1e-12)
    unknown = Evidence.of(plda, x, 1e12 * np.broadcast_to(np.eye(4), (5, 4, 4)))
    np.testing.assert_allclose(evidence_scores(whole, unknown), 0, atol=1e-8)


def test_covariances_go_through_the_steps():
    """Against a cloud about each vector that goes through the steps, small enough to be linear."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((60, 5)) + 2 * rng.standard_normal((12, 5)).repeat(5, axis=0)
    options = BackEndOptions(("center", "lda", "whiten"), lda=LdaOptions(3), uncertainty=True)
    back_end = learn_back_end(x, np.arange(12).repeat(5), options)
    covariance = 1e-6 * draw_covariances(rng, 1, 5)
    cloud = rng.multivariate_normal(x[0], covariance[0], 4000)
    moved = np.cov(back_end(cloud).T)
    expected = Evidence.of(back_end.plda, back_end(x[:1]), moved[None])
    found = back_end.evidence(x[:1], covariance)
    np.testing.assert_allclose(found.linear, expected.linear, rtol=1e-3, atol=1e-4)
    to_length = BackEnd(BackEndOptions(("length",), uncertainty=True), (), draw_plda(rng, n_dims=5))
    lengths = np.linalg.norm(x[:2], axis=1)
    both = draw_covariances(rng, 2, 5)
    found = to_length.evidence(x[:2], both)
    expected = Evidence.of(
        to_length.plda, x[:2] / lengths[:, None], both / lengths[:, None, None] ** 2
    )
    np.testing.assert_allclose(found.linear, expected.linear, rtol=1e-12)
    silent = to_length.evidence(np.zeros((1, 5)), both[:1])
    assert np.isfinite(silent.linear).all()


def test_short_recordings_count_for_less():
    rng = np.random.default_rng(3)
    gmm = draw_gmm(rng)
    _, recordings, speakers = draw_recordings(rng, gmm, n_speakers=20)
    model = train_total_variability(recordings, TotalVariabilityOptions(3, 5))
    options = BackEndOptions(("center",), uncertainty=True)
    found = extract_posteriors(model, recordings)
    back_end = learn_back_end(found.means, speakers, options)
    sizes = [
        np.trace(back_end.evidence(found.means[:1], scale * found.covariances[:1]).precisions[0])
        for scale in (0, 1, 10)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_misuse_is_refused():
    plda = draw_plda(np.random.default_rng(4))
    with pytest.raises(DataError, match=r"covariances must be \(2, 4, 4\), got \(2, 4\)"):
        Evidence.of(plda, np.zeros((2, 4)), np.zeros((2, 4)))
    cosine = BackEnd(BackEndOptions((), score="cosine"), ())
    with pytest.raises(DataError, match="only the score 'plda' can propagate uncertainty"):
        cosine.evidence(np.zeros((1, 4)), np.zeros((1, 4, 4)))
    for options, message in (
        ({"score": "cosine"}, "uncertainty is for the score 'plda'"),
        ({"expected_length": True}, "expected_length must be false with uncertainty"),
    ):
        with pytest.raises(OptionError, match=message):
            BackEndOptions(uncertainty=True, **options)
