"""EM on frames with missing values: held to scipy, to sums written out, to another EM."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from test_covariance_shapes import SHAPES, full_covariances, random_mixture

from voicegmm._base.errors import DataError
from voicegmm.mixture import (
    ArraySource,
    ChunkSource,
    DiagonalGMM,
    EmOptions,
    FullGMM,
    accumulate,
    assign,
    fit,
    incomplete_accumulate,
    incomplete_assign,
    incomplete_collector,
    incomplete_initialize,
    incomplete_log_density,
    incomplete_posteriors,
    log_density,
    maximize,
    posteriors,
    sample,
)
from voicegmm.mixture.maximization import data_variance
from voicegmm.mixture.patterns import batches

FIELDS = ("counts", "first", "second", "log_likelihood", "n_frames")
FREE = EmOptions(n_iterations=8, tolerance=0, variance_floor=0, min_count=0)


def with_holes(frames, rng, share=0.4):
    """Take values away at random; the first frame keeps none, the second all."""
    holes = rng.random(frames.shape) < share
    holes[0], holes[1] = True, False
    return np.where(holes, np.nan, frames)


def joint_of(gmm, frame):
    """Give log w_k N(x_o | k) of one frame, by scipy."""
    seen = np.flatnonzero(~np.isnan(frame))
    joint = np.log(gmm.weights)
    if seen.size:
        joint = joint + [
            multivariate_normal(m[seen], c[np.ix_(seen, seen)]).logpdf(frame[seen])
            for m, c in zip(gmm.means, full_covariances(gmm), strict=True)
        ]
    return joint


def sums_of(gmm, frames, weights):
    """Give counts, sums of E[x] and of E[x x'], by the precision matrix, frame by frame."""
    K, D = gmm.means.shape
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    for frame, weight in zip(frames, weights, strict=True):
        joint = joint_of(gmm, frame)
        gamma = weight * np.exp(joint - np.logaddexp.reduce(joint))
        m = np.flatnonzero(np.isnan(frame))
        o = np.flatnonzero(~np.isnan(frame))
        for k, covariance in enumerate(full_covariances(gmm)):
            precision = np.linalg.inv(covariance)
            spread = np.linalg.inv(precision[np.ix_(m, m)])  # Bishop (2006), eq. 2.75
            x = frame.copy()
            pull = precision[np.ix_(m, o)] @ (frame[o] - gmm.means[k, o])
            x[m] = gmm.means[k, m] - spread @ pull
            counts[k] += gamma[k]
            first[k] += gamma[k] * x
            second[k] += gamma[k] * np.outer(x, x)
            second[k][np.ix_(m, m)] += gamma[k] * spread
    return counts, first, second


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_density_posteriors_and_statistics_against_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    n_components = int(rng.integers(1, 4))
    gmm = random_mixture(rng, shape, n_components, n_dims=4, center=rng.uniform(-100, 100))
    frames = with_holes(sample(gmm, 15, rng)[0], rng)
    joint = np.array([joint_of(gmm, frame) for frame in frames])
    total = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(incomplete_log_density(gmm, frames), total, rtol=1e-9, atol=1e-9)
    gamma = np.exp(joint - total[:, None])
    np.testing.assert_allclose(incomplete_posteriors(gmm, frames), gamma, atol=1e-8)
    np.testing.assert_array_equal(incomplete_assign(gmm, frames), gamma.argmax(axis=1))
    weights = rng.uniform(0, 2, len(frames))
    found = incomplete_accumulate(gmm, frames, weights)
    counts, first, second = sums_of(gmm, frames, weights)
    if shape == "tied":
        second = second.sum(axis=0)
    elif shape != "full":
        second = np.diagonal(second, axis1=1, axis2=2)
    assert found.second.shape == second.shape
    np.testing.assert_allclose(found.counts, counts, atol=1e-8)
    np.testing.assert_allclose(found.first, first, atol=1e-6)
    np.testing.assert_allclose(found.second, second, rtol=1e-8, atol=1e-4)
    np.testing.assert_allclose(found.log_likelihood, weights @ total, rtol=1e-9)
    np.testing.assert_allclose(found.n_frames, weights.sum())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_with_nothing_missing_all_is_as_ever(shape, dtype):
    rng = np.random.default_rng(0)
    gmm = random_mixture(rng, shape, center=5.0)
    frames = sample(gmm, 500, rng)[0].astype(dtype)
    weights = rng.uniform(0, 2, 500)
    for ordinary, incomplete in (
        (log_density, incomplete_log_density),
        (posteriors, incomplete_posteriors),
        (assign, incomplete_assign),
    ):
        found, wanted = incomplete(gmm, frames), ordinary(gmm, frames)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    wanted = accumulate(gmm, frames, weights)
    for found in (
        incomplete_accumulate(gmm, frames, weights),
        incomplete_collector(ArraySource(frames, weights))(gmm),
    ):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


@pytest.mark.parametrize("shape", SHAPES)
def test_complete_and_incomplete_frames_are_worked_alike(shape):
    # A dimension that no frame has a value of is as good as a mixture without it, whose frames are
    # complete and go the ordinary way.
    rng = np.random.default_rng(1)
    gmm = random_mixture(rng, shape, n_dims=3)
    frames, _ = sample(gmm, 40, rng)
    holes = np.where(np.arange(3) == 2, np.nan, frames)
    lower = {
        "spherical": lambda: replace(gmm, means=gmm.means[:, :2]),
        "diagonal": lambda: replace(gmm, means=gmm.means[:, :2], variances=gmm.variances[:, :2]),
        "tied": lambda: replace(gmm, means=gmm.means[:, :2], covariance=gmm.covariance[:2, :2]),
        "full": lambda: replace(
            gmm, means=gmm.means[:, :2], covariances=gmm.covariances[:, :2, :2]
        ),
    }[shape]()
    np.testing.assert_allclose(
        incomplete_log_density(gmm, holes), log_density(lower, frames[:, :2]), rtol=1e-10
    )
    part = accumulate(lower, frames[:, :2])
    whole = incomplete_accumulate(gmm, holes)
    np.testing.assert_allclose(whole.counts, part.counts, rtol=1e-10)
    np.testing.assert_allclose(whole.first[:, :2], part.first, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_step_raises_the_likelihood_of_what_is_observed(shape, seed):
    rng = np.random.default_rng(seed)
    frames = with_holes(sample(random_mixture(rng, shape), 120, rng)[0], rng, rng.uniform(0.1, 0.7))
    start = random_mixture(rng, shape)
    record = fit(start, incomplete_collector(ArraySource(frames)), FREE).iterations
    likelihoods = np.array([line.log_likelihood for line in record])
    assert (np.diff(likelihoods) > -1e-8 * np.abs(likelihoods[1:])).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_frames_without_a_value_change_no_maximum(shape):
    rng = np.random.default_rng(2)
    truth = random_mixture(rng, shape, n_components=2)
    frames, _ = sample(truth, 300, rng)
    nothing = np.full((60, 3), np.nan)
    np.testing.assert_allclose(incomplete_log_density(truth, nothing), 0, atol=1e-12)
    settled = EmOptions(n_iterations=60, tolerance=0, variance_floor=0)
    summit = fit(truth, incomplete_collector(ArraySource(frames)), settled).gmm
    padded = incomplete_accumulate(summit, np.concatenate([frames, nothing]))
    assert padded.n_frames == 360
    again = maximize(summit, padded, settled).gmm
    np.testing.assert_allclose(again.means, summit.means, atol=1e-6)
    np.testing.assert_allclose(again.weights, summit.weights, atol=1e-6)
    np.testing.assert_allclose(full_covariances(again), full_covariances(summit), atol=1e-6)


def em_of_one_gaussian(frames, n_iterations):
    """EM of one Gaussian by the sweep of the augmented second-moment matrix.

    Little and Rubin (2002), section 11.2.1, with the SWP operator of section 7.4: another road to
    the same numbers.
    """
    n, n_dims = frames.shape
    mean, covariance = np.nanmean(frames, axis=0), np.diag(np.nanvar(frames, axis=0))

    def sweep(matrix, j):
        pivot = matrix[j, j]
        swept = matrix - np.outer(matrix[:, j], matrix[j]) / pivot
        swept[j] = swept[:, j] = matrix[j] / pivot
        swept[j, j] = -1 / pivot
        return swept

    for _ in range(n_iterations):
        total, products = np.zeros(n_dims), np.zeros((n_dims, n_dims))
        for frame in frames:
            theta = np.block([[-np.ones((1, 1)), mean[None]], [mean[:, None], covariance]])
            seen = ~np.isnan(frame)
            for j in np.flatnonzero(seen):
                theta = sweep(theta, j + 1)
            x = np.where(seen, frame, 0.0)
            hidden = np.flatnonzero(~seen)
            x[hidden] = theta[0, hidden + 1] + x[seen] @ theta[1:][seen][:, hidden + 1]
            total += x
            products += np.outer(x, x)
            products[np.ix_(hidden, hidden)] += theta[np.ix_(hidden + 1, hidden + 1)]
        mean = total / n
        covariance = products / n - np.outer(mean, mean)
    return mean, covariance


def test_one_gaussian_against_the_sweep_of_little_and_rubin():
    rng = np.random.default_rng(3)
    truth = random_mixture(rng, "full", n_components=1, n_dims=4)
    frames, _ = sample(truth, 150, rng)
    # Missing at random, not completely: what is missing depends on what is observed.
    frames[frames[:, 0] > truth.means[0, 0], 1] = np.nan
    frames[rng.random(150) < 0.3, 2] = np.nan
    mean, covariance = np.nanmean(frames, axis=0), np.diag(np.nanvar(frames, axis=0))
    start = FullGMM([1.0], mean[None], covariance[None])
    options = replace(FREE, n_iterations=12)
    found = fit(start, incomplete_collector(ArraySource(frames)), options).gmm
    mean, covariance = em_of_one_gaussian(frames, 12)
    np.testing.assert_allclose(found.means[0], mean, rtol=1e-9)
    np.testing.assert_allclose(found.covariances[0], covariance, rtol=1e-8, atol=1e-10)


def test_two_columns_and_a_monotone_pattern_have_a_closed_form():
    # Anderson (1957): x complete, y missing for some; the slope of y on x comes of the complete
    # pairs, the mean and variance of x of all.
    rng = np.random.default_rng(4)
    x = rng.standard_normal(400)
    y = 2 + 0.8 * x + 0.5 * rng.standard_normal(400)
    frames = np.stack([x, np.where(x > 0.3, np.nan, y)], axis=1)
    pairs = frames[~np.isnan(frames[:, 1])]
    slope = np.cov(pairs.T, bias=True)[0, 1] / pairs[:, 0].var()
    rest = pairs[:, 1].var() - slope**2 * pairs[:, 0].var()
    mean = pairs[:, 1].mean() + slope * (x.mean() - pairs[:, 0].mean())
    wanted = [[x.var(), slope * x.var()], [slope * x.var(), rest + slope**2 * x.var()]]
    start = FullGMM([1.0], np.zeros((1, 2)), np.eye(2)[None])
    options = EmOptions(n_iterations=100, tolerance=0, variance_floor=0)
    found = fit(start, incomplete_collector(ArraySource(frames)), options).gmm
    np.testing.assert_allclose(found.means[0], [x.mean(), mean], rtol=1e-6)
    np.testing.assert_allclose(found.covariances[0], wanted, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_variance_that_floors_go_by_is_that_of_whole_data(shape):
    rng = np.random.default_rng(5)
    truth = random_mixture(rng, shape, n_components=2, center=50.0)
    frames, _ = sample(truth, 4000, rng)
    holes = with_holes(frames, rng, 0.5)
    result = fit(truth, incomplete_collector(ArraySource(holes)), EmOptions(tolerance=1e-6))
    found = data_variance(result.gmm, incomplete_accumulate(result.gmm, holes))
    # A column filled with its mean would have half of the variance. A spherical or tied mixture
    # smooths over dimensions, hence the width.
    np.testing.assert_allclose(found, frames.var(axis=0), rtol=0.1)
    assert not any(line.n_floored for line in result.iterations)
    floored = maximize(truth, incomplete_accumulate(truth, holes), EmOptions(variance_floor=1.0))
    assert floored.n_floored > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mixture_is_found_again_behind_the_holes(shape):
    rng = np.random.default_rng(6)
    means = 6 * np.array([[0, 0, 0], [1, 1, 0], [0, 1, 1]])
    truth = replace(random_mixture(rng, shape, n_components=3), means=means)
    holes = with_holes(sample(truth, 3000, rng)[0], rng, 0.3)
    start = incomplete_initialize(holes, 3, rng, covariance_type=shape)
    assert start.covariance_type == shape
    found = fit(start, incomplete_collector(ArraySource(holes)), EmOptions(60, 1e-6, 0)).gmm
    fresh, _ = sample(truth, 3000, rng)
    lost = log_density(truth, fresh).mean() - log_density(found, fresh).mean()
    assert lost < 0.03


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_any_workers_and_any_source_give_the_same_bits(shape, monkeypatch):
    rng = np.random.default_rng(7)
    monkeypatch.setattr("voicegmm.mixture.missing.WORK_ITEM", 50)
    gmm = random_mixture(rng, shape)
    frames = with_holes(sample(gmm, 330, rng)[0], rng)
    weights = rng.uniform(0, 2, 330)
    chunks = [(frames[:100], weights[:100]), (frames[100:], weights[100:])]
    one = incomplete_collector(ArraySource(frames, weights))(gmm)
    for other in (
        incomplete_collector(ArraySource(frames, weights), 3)(gmm),
        incomplete_collector(ChunkSource(chunks), 2)(gmm),
    ):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name))
    at_once = incomplete_accumulate(gmm, frames, weights)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(at_once, name), getattr(one, name), rtol=1e-10)
    nothing = incomplete_collector(ArraySource(frames[:0]))(gmm)
    assert nothing.n_frames == 0


@pytest.mark.slow
def test_processes_give_the_same_bits(monkeypatch):
    rng = np.random.default_rng(8)
    monkeypatch.setattr("voicegmm.mixture.missing.WORK_ITEM", 100)
    gmm = random_mixture(rng, "full")
    source = ArraySource(with_holes(sample(gmm, 330, rng)[0], rng))
    one = incomplete_collector(source)(gmm)
    two = incomplete_collector(source, 2, workers="processes")(gmm)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name))


@pytest.mark.parametrize("shape", SHAPES)
def test_far_from_zero_no_digit_is_lost(shape):
    rng = np.random.default_rng(9)
    gmm = random_mixture(rng, shape)
    frames = with_holes(sample(gmm, 50, rng)[0], rng)
    far = replace(gmm, means=gmm.means + 2.0**20)
    np.testing.assert_allclose(
        incomplete_log_density(far, frames + 2.0**20), incomplete_log_density(gmm, frames),
        rtol=1e-7, atol=1e-7,
    )  # fmt: skip


@pytest.mark.parametrize("entries", [2**20, 100])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 1.0])
def test_batches_hold_all_frames_once_with_their_patterns(entries, share, monkeypatch):
    monkeypatch.setattr("voicegmm.mixture.patterns._ENTRIES", entries)
    rng = np.random.default_rng(10)
    observed = rng.random((300, 11)) < share
    seen = []
    for batch in batches(observed, 3):
        assert (observed[batch.rows] == batch.observed[:, None]).all()
        assert batch.filled[:, 0].all()
        assert batch.filled.mean() >= 0.5
        assert batch.rows.size * 33 <= entries or len(batch.rows) == 1
        seen += batch.rows[batch.filled].tolist()
    assert sorted(seen) == list(range(300))
    assert list(batches(observed[:0], 3)) == []


@pytest.mark.parametrize("shape", ["tied", "full"])
def test_small_batches_and_long_patterns_give_the_same_statistics(shape, monkeypatch):
    rng = np.random.default_rng(12)
    gmm = random_mixture(rng, shape)
    frames = with_holes(sample(gmm, 200, rng)[0], rng)
    wanted, densities = incomplete_accumulate(gmm, frames), incomplete_log_density(gmm, frames)
    monkeypatch.setattr("voicegmm.mixture.patterns._ENTRIES", 60)
    found = incomplete_accumulate(gmm, frames)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-10)
    np.testing.assert_allclose(incomplete_log_density(gmm, frames), densities, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_cannot_be_is_refused_by_name(shape):
    rng = np.random.default_rng(11)
    gmm = random_mixture(rng, shape)
    frames = np.array([[0.0, np.nan, 1.0], [np.nan, 1.0, -np.inf]])
    message = "NaN where a value is missing: 1 of 2 hold an infinity, the first is number 1 "
    for function in (incomplete_log_density, incomplete_posteriors, incomplete_accumulate):
        with pytest.raises(DataError, match=message):
            function(gmm, frames)
    many = np.concatenate([np.zeros((32_768, 3)), frames])
    with pytest.raises(DataError, match="the first is number 32769 "):
        incomplete_collector(ArraySource(many))(gmm)
    with pytest.raises(DataError, match="frames must have 3 columns, got 2"):
        incomplete_log_density(gmm, frames[:, :2])
    with pytest.raises(DataError, match=r"must be a matrix \(n_frames, n_dims\), got 1 axes"):
        incomplete_log_density(gmm, frames[0])
    with pytest.raises(DataError, match=r"frame_weights must be \(1,\)"):
        incomplete_accumulate(gmm, frames[:1], np.ones(2))
    far = np.array([[1e200, np.nan, 0.0]])
    with pytest.raises(DataError, match=r"a frame holds 1e\+200, too far from every component"):
        incomplete_log_density(gmm, far)
    with pytest.raises(DataError, match=r"1 of 3 are missing in all, the first is number 1 "):
        incomplete_initialize(frames[:1], 2, rng, covariance_type=shape)
    with pytest.raises(DataError, match="there are no frames to train on"):
        incomplete_initialize(frames[:0], 2, rng, covariance_type=shape)


def test_the_ordinary_functions_refuse_nan_and_say_what_takes_it():
    gmm = DiagonalGMM([1.0], [[0.0, 0.0]], [[1.0, 1.0]])
    for function in (log_density, posteriors, assign, accumulate):
        with pytest.raises(DataError, match="NaN .*missing value.* voicegmm.mixture.incomplete_"):
            function(gmm, np.array([[0.0, np.nan]]))
        with pytest.raises(DataError, match=r"counting from 0\)$"):
            function(gmm, np.array([[0.0, np.inf]]))
