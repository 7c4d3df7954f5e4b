"""Our mixture against other programs and against the formulas written out."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    MapOptions,
    accumulate,
    adapt,
    assign,
    collector,
    fit,
    log_density,
    maximize,
    posteriors,
)


def relative(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.fixture(scope="module")
def kaldi(shared):
    data = np.load(shared("oracles/kaldi/em_k64.npz"))
    weights = data["m0.weights"].astype(float)
    return data, DiagonalGMM(weights / weights.sum(), data["m0.means"], data["m0.vars"])


def test_kaldi_frame_log_likelihoods_and_statistics(kaldi):
    data, gmm = kaldi
    frames = data["feats"].astype(np.float64)
    # Kaldi's own numbers are float32: 1e-5 relative is what they carry.
    assert relative(log_density(gmm, frames), data["m0.frame_loglik"]) < 1e-5
    statistics = accumulate(gmm, frames)
    assert relative(statistics.counts, data["m0.full.occ"]) < 1e-5
    assert relative(statistics.first, data["m0.full.mean_acc"]) < 1e-5
    assert relative(statistics.second, data["m0.full.var_acc"]) < 1e-5


def test_kaldi_update(kaldi):
    data, gmm = kaldi
    statistics = accumulate(gmm, data["feats"].astype(np.float64))
    update = maximize(gmm, statistics, EmOptions(variance_floor=1e-9, min_count=10)).gmm
    assert relative(update.weights, data["m1_full.weights"]) < 1e-5
    assert relative(update.means, data["m1_full.means"]) < 1e-5
    assert relative(update.variances, data["m1_full.vars"]) < 1e-5


def test_alize_update(kaldi, shared):
    data, gmm = kaldi
    alize = np.load(shared("oracles/alize/map_scores.npz"))
    statistics = accumulate(gmm, data["feats"].astype(np.float64))
    update = maximize(gmm, statistics, EmOptions(variance_floor=1e-12, min_count=0)).gmm
    assert relative(update.weights, alize["world_it1.weights"]) < 1e-9
    assert relative(update.means, alize["world_it1.means"]) < 1e-9
    assert relative(update.variances, alize["world_it1.vars"]) < 1e-9


@pytest.mark.parametrize("what", ["mean", "mvw"])
def test_alize_map_models(kaldi, shared, what):
    data, gmm = kaldi
    alize = np.load(shared("oracles/alize/map_scores.npz"))
    frames = data["feats"].astype(np.float64)
    options = MapOptions(relevance=14, variances=what == "mvw", weights=what == "mvw")
    for target in range(5):
        statistics = accumulate(gmm, frames[2000 * target : 2000 * target + 300])
        model = adapt(gmm, statistics, options)
        assert relative(model.weights, alize[f"map_{what}_it1.weights"][target]) < 1e-9
        assert relative(model.means, alize[f"map_{what}_it1.means"][target]) < 1e-9
        assert relative(model.variances, alize[f"map_{what}_it1.vars"][target]) < 1e-9


def random_mixture(rng, n_components, n_dims):
    return DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        3 * rng.standard_normal((n_components, n_dims)),
        rng.uniform(0.2, 3, (n_components, n_dims)),
    )


def test_density_and_posteriors_against_scipy():
    rng = np.random.default_rng(1)
    gmm = random_mixture(rng, 5, 3)
    frames = 4 * rng.standard_normal((2100, 3))
    each = np.stack(
        [
            w * multivariate_normal(m, np.diag(v)).pdf(frames)
            for w, m, v in zip(gmm.weights, gmm.means, gmm.variances, strict=True)
        ],
        axis=1,
    )
    np.testing.assert_allclose(log_density(gmm, frames), np.log(each.sum(1)), rtol=1e-11)
    expected = each / each.sum(1, keepdims=True)
    np.testing.assert_allclose(posteriors(gmm, frames), expected, rtol=1e-9, atol=1e-14)
    assert (assign(gmm, frames) == expected.argmax(1)).all()


def test_five_iterations_equal_scikit_learn():
    rng = np.random.default_rng(2)
    frames = rng.standard_normal((3000, 4)) @ rng.standard_normal((4, 4))
    frames += rng.integers(0, 5, (3000, 1))
    start = DiagonalGMM(np.full(6, 1 / 6), frames[:6], np.tile(frames.var(0), (6, 1)))
    theirs = GaussianMixture(
        6, covariance_type="diag", max_iter=5, tol=0, reg_covar=0, weights_init=start.weights,
        means_init=start.means, precisions_init=1 / start.variances,
    )  # fmt: skip
    with pytest.warns(match="converge"):
        theirs.fit(frames)
    ours = fit(
        start,
        collector(ArraySource(frames)),
        EmOptions(n_iterations=5, tolerance=0, variance_floor=1e-12, min_count=0),
    ).gmm
    assert relative(ours.weights, theirs.weights_) < 1e-10
    assert relative(ours.means, theirs.means_) < 1e-10
    assert relative(ours.variances, theirs.covariances_) < 1e-10


def test_single_precision_far_from_zero():
    """Mean 1000, standard deviation 0.1: E[x^2] - mean^2 in float32 has no digit left there."""
    rng = np.random.default_rng(3)
    frames = (1e3 + 0.1 * rng.standard_normal((5000, 3))).astype(np.float32)
    start = DiagonalGMM([0.5, 0.5], [[999.9] * 3, [1000.1] * 3], np.full((2, 3), 0.01))
    options = EmOptions(n_iterations=5, tolerance=0)
    single = fit(start, collector(ArraySource(frames)), options).gmm
    double = fit(start, collector(ArraySource(frames.astype(np.float64))), options).gmm
    np.testing.assert_allclose(single.means, double.means, rtol=1e-6)
    np.testing.assert_allclose(single.variances, double.variances, rtol=1e-4)
    np.testing.assert_allclose(single.weights, double.weights, rtol=1e-4)
