"""i-vectors: against dense Gaussians of supervectors, and laws of EM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_recordings import (
    KINDS,
    covariance_of,
    draw_gmm,
    draw_recordings,
    draw_statistics,
)

from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm.mixture import ArraySource, DiagonalGMM, accumulate, accumulate_each, sample
from voicegmm.mixture.representation import unwhitened, whitened
from voicegmm.subspace import (
    Recordings,
    TotalVariability,
    TotalVariabilityOptions,
    extract,
    extract_posteriors,
    train_total_variability,
)
from voicegmm.subspace import recordings as recordings_module
from voicegmm.subspace.factors import inverse_definite, pack, unpack
from voicegmm.subspace.total_variability import expectation


def draw(seed, kind="diagonal", rank=3, **sizes):
    rng = np.random.default_rng(seed)
    gmm = draw_gmm(rng, kind=kind)
    statistics, recordings, _ = draw_recordings(rng, gmm, **sizes)
    return statistics, recordings, TotalVariability(gmm, rng.standard_normal((3, 2, rank)))


def dense_terms(model, statistics):
    """Give T, Sigma, n and the centered moments as whole matrices, in units of the frames."""
    gmm = model.gmm
    n_dims, size = gmm.n_dims, gmm.means.size
    sigma, total = np.zeros((size, size)), np.zeros((size, model.rank))
    for k in range(gmm.n_components):
        rows = slice(k * n_dims, (k + 1) * n_dims)
        sigma[rows, rows] = covariance_of(gmm, k)
        total[rows] = np.linalg.cholesky(sigma[rows, rows]) @ model.loadings[k]
    n = np.kron(np.diag(statistics.counts), np.eye(n_dims))
    return total, sigma, n, statistics.first.ravel() - n @ gmm.means.ravel()


def dense_posterior(model, statistics):
    total, sigma, n, f = dense_terms(model, statistics)
    inverse = np.linalg.inv(sigma)
    precision = np.eye(model.rank) + total.T @ inverse @ n @ total
    return np.linalg.solve(precision, total.T @ inverse @ f), precision


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from(KINDS), st.integers(1, 5))
def test_posteriors_are_those_of_dense_supervectors(seed, kind, rank):
    statistics, recordings, model = draw(seed, kind, rank)
    means = extract(model, recordings)
    posteriors = extract_posteriors(model, recordings)
    precisions = model.ready(np.float64).precisions(recordings.counts)
    for number, one in enumerate(statistics):
        mean, precision = dense_posterior(model, one)
        np.testing.assert_allclose(means[number], mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(posteriors.means[number], mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(precisions[number], precision, rtol=1e-8, atol=1e-10)
        identity = posteriors.covariances[number] @ precision
        np.testing.assert_allclose(identity, np.eye(rank), atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_the_likelihood_of_the_mean_frames(kind):
    statistics, recordings, model = draw(1, kind)
    expected = 0.0
    for one in statistics:
        # Given w, f / n of a component is Gaussian about T w, with the covariance Sigma / n.
        total, sigma, n, f = dense_terms(model, one)
        x, noise = np.linalg.solve(n, f), np.linalg.solve(n, sigma)
        for covariance, sign in ((noise + total @ total.T, 1), (noise, -1)):
            log_det = np.linalg.slogdet(covariance)[1]
            expected -= sign * 0.5 * (log_det + x @ np.linalg.solve(covariance, x))
    assert expectation(model, recordings).objective == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("minimum_divergence", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_iteration_raises_the_objective(kind, minimum_divergence):
    _, recordings, _ = draw(2, kind, n_speakers=20)
    options = TotalVariabilityOptions(3, 15, minimum_divergence)
    objectives = np.array(train_total_variability(recordings, options).objectives)
    assert len(objectives) == 15
    assert (np.diff(objectives) > -1e-9 * np.abs(objectives[1:])).all()
    assert objectives[-1] > objectives[0] + 1


def test_minimum_divergence_gets_there_sooner_and_leaves_a_standard_prior():
    _, recordings, _ = draw(3, n_speakers=40)
    few = [
        train_total_variability(recordings, TotalVariabilityOptions(3, 4, one)).objectives[-1]
        for one in (False, True)
    ]
    assert few[1] > few[0]
    model = train_total_variability(recordings, TotalVariabilityOptions(3, 120))
    spread = expectation(model, recordings).session_spread / len(recordings)
    np.testing.assert_allclose(spread, np.eye(3), atol=1e-3)


def test_training_finds_the_subspace_that_recordings_were_drawn_from():
    rng = np.random.default_rng(4)
    gmm = draw_gmm(rng, n_components=4, n_dims=3)
    truth = rng.standard_normal((4, 3, 2))
    offsets = (truth @ w for w in rng.standard_normal((600, 2)))
    drawn = (draw_statistics(rng, gmm, unwhitened(gmm, one)) for one in offsets)
    recordings = Recordings.of(gmm, drawn)
    model = train_total_variability(recordings, TotalVariabilityOptions(2, 30))
    found, wanted = model.loadings.reshape(12, 2), truth.reshape(12, 2)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=0.4)


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_a_turn_of_the_subspace_turns_the_vectors(seed):
    _, recordings, model = draw(seed)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
    turned = TotalVariability(model.gmm, model.loadings @ turn)
    np.testing.assert_allclose(
        extract(turned, recordings), extract(model, recordings) @ turn, rtol=1e-8, atol=1e-9
    )
    objectives = [expectation(one, recordings).objective for one in (model, turned)]
    assert objectives[0] == pytest.approx(objectives[1], rel=1e-10)


def test_the_number_of_workers_does_not_change_a_bit():
    rng = np.random.default_rng(5)
    gmm = draw_gmm(rng, n_components=8, n_dims=4)
    counts = rng.uniform(0, 9, (700, 8))
    recordings = Recordings(gmm, counts, rng.standard_normal((700, 8, 4)) * counts[..., None])
    options = TotalVariabilityOptions(rank=5, n_iterations=3)
    models = [train_total_variability(recordings, options, n_workers=n) for n in (1, 2, 8)]
    vectors = [extract(models[0], recordings, n_workers=n) for n in (1, 2, 8)]
    for model, found in zip(models, vectors, strict=True):
        assert model.loadings.tobytes() == models[0].loadings.tobytes()
        assert model.objectives == models[0].objectives
        assert found.tobytes() == vectors[0].tobytes()


def test_sums_of_all_recordings_are_those_of_their_parts():
    rng = np.random.default_rng(5)
    gmm = draw_gmm(rng, n_components=5, n_dims=2)
    counts = rng.uniform(0, 9, (700, 5))
    centered = rng.standard_normal((700, 5, 2)) * counts[..., None]
    model = TotalVariability(gmm, rng.standard_normal((5, 2, 3)))
    whole, *parts = (
        expectation(model, Recordings(gmm, counts[some], centered[some]))
        for some in (slice(0, 700), slice(0, 90), slice(90, 700))
    )
    together = parts[0] + parts[1]
    for name in ("second", "cross", "session_spread", "n_sessions", "objective"):
        np.testing.assert_allclose(getattr(whole, name), getattr(together, name), rtol=1e-10)


def test_recordings_from_a_file_on_disk_give_the_same_bits(tmp_path):
    _, recordings, model = draw(6)
    file = np.memmap(tmp_path / "moments", np.float64, "w+", shape=recordings.centered.shape)
    file[:] = recordings.centered
    stored = Recordings(model.gmm, recordings.counts, file)
    options = TotalVariabilityOptions(2, 2)
    models = [train_total_variability(one, options) for one in (recordings, stored)]
    assert models[0].loadings.tobytes() == models[1].loadings.tobytes()


def test_moments_of_frames_and_single_precision():
    rng = np.random.default_rng(7)
    gmm = draw_gmm(rng)
    each = [sample(gmm, 40, rng)[0] + 0.3 for _ in range(4)]
    recordings = Recordings.of(gmm, accumulate_each(gmm, [ArraySource(one) for one in each]))
    one = accumulate(gmm, each[2])
    rest = (one.first - one.counts[:, None] * gmm.means) / np.sqrt(gmm.variances)
    np.testing.assert_allclose(recordings.centered[2], rest, rtol=1e-9, atol=1e-9)
    single = Recordings.of(gmm, [accumulate(gmm, frames) for frames in each], np.float32)
    assert single.centered.dtype == np.float32
    model = TotalVariability(gmm, rng.standard_normal((3, 2, 2)))
    np.testing.assert_allclose(extract(model, single), extract(model, recordings), rtol=1e-5)
    options = TotalVariabilityOptions(2, 5)
    exact, rounded = (train_total_variability(one, options) for one in (recordings, single))
    np.testing.assert_allclose(rounded.loadings, exact.loadings, atol=1e-4)


def test_many_moments_lie_on_disk_and_are_the_same(monkeypatch):
    rng = np.random.default_rng(6)
    gmm = draw_gmm(rng)
    statistics, kept, _ = draw_recordings(rng, gmm)
    monkeypatch.setattr(recordings_module, "_IN_MEMORY", 0)
    spooled = Recordings.of(gmm, iter(statistics), n_recordings=len(statistics))
    assert isinstance(spooled.centered, np.memmap)
    options = TotalVariabilityOptions(2, 2)
    models = [train_total_variability(one, options) for one in (kept, spooled)]
    assert models[0].loadings.tobytes() == models[1].loadings.tobytes()
    with pytest.raises(ValueError, match="shorter"):
        Recordings.of(gmm, statistics[1:], n_recordings=len(statistics))


def test_full_covariances_from_the_frames_on():
    """Frames that are turned give turned statistics: vectors of full covariances do not see it."""
    rng = np.random.default_rng(8)
    gmm = draw_gmm(rng, kind="full")
    each = [sample(gmm, 60, rng)[0] + rng.standard_normal(2) for _ in range(8)]
    turn = rng.standard_normal((2, 2)) + 2 * np.eye(2)
    turned = type(gmm)(gmm.weights, gmm.means @ turn.T, turn @ gmm.covariances @ turn.T)
    grams = []
    for model, frames in ((gmm, each), (turned, [x @ turn.T for x in each])):
        sources = [ArraySource(one) for one in frames]
        recordings = Recordings.of(model, accumulate_each(model, sources))
        # Loadings in the units of the frames that say the same of both.
        loadings = np.stack([np.linalg.inv(np.linalg.cholesky(c)) for c in model.covariances])
        if model is turned:
            loadings = loadings @ turn
        vectors = extract(TotalVariability(model, loadings), recordings)
        grams.append(vectors)
        trained = train_total_variability(recordings, TotalVariabilityOptions(2, 3))
        assert np.diff(trained.objectives).min() > 0
    np.testing.assert_allclose(grams[0], grams[1], rtol=1e-6, atol=1e-8)


def test_a_component_without_data_keeps_its_loadings_and_silence_is_the_origin():
    statistics, _, model = draw(8)
    quiet = [
        type(one)(one.counts * [1, 0, 1], one.first * [[1], [0], [1]], one.second, 0.0, 1.0)
        for one in statistics
    ]
    recordings = Recordings.of(model.gmm, quiet)
    options = TotalVariabilityOptions(2, 3, minimum_divergence=False)
    trained = train_total_variability(recordings, options, np.random.default_rng(9))
    start = 0.1 * np.random.default_rng(9).standard_normal((3, 2, 2))
    np.testing.assert_array_equal(trained.loadings[1], start[1])
    nothing = Recordings(model.gmm, np.zeros((1, 3)), np.zeros((1, 3, 2)))
    assert not extract(model, nothing).any()
    assert len(extract(model, Recordings.of(model.gmm, []))) == 0


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(0, 90))
def test_packed_matrices_and_inverses(seed, rank):
    rng = np.random.default_rng(seed)
    matrices = rng.standard_normal((2, rank, rank))
    matrices = matrices + np.swapaxes(matrices, 1, 2)
    np.testing.assert_array_equal(unpack(pack(matrices), rank), matrices)
    positive = matrices @ matrices + 0.1 * np.eye(rank)
    inverse, log_det = inverse_definite(positive)
    identity = np.broadcast_to(np.eye(rank), positive.shape)
    np.testing.assert_allclose(inverse @ positive, identity, atol=1e-8)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(positive)[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(inverse, np.swapaxes(inverse, 1, 2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("size", "condition"), [(800, 1e5), (400, 1e5), (200, 1e8)])
def test_inverses_of_large_matrices_stay_exact(size, condition):
    rng = np.random.default_rng(size)
    axes = np.linalg.qr(rng.standard_normal((size, size)))[0]
    matrix = (axes * np.geomspace(1, condition, size)) @ axes.T
    matrix = (matrix + matrix.T) / 2
    inverse, log_det = inverse_definite(matrix[None])
    exact = np.linalg.inv(matrix)
    error = abs(inverse[0] - exact).max() / abs(exact).max()
    assert error < 1e-20 * condition**2 * size + 1e-12  # of halves: the square of the condition
    np.testing.assert_allclose(log_det[0], np.log(condition) * size / 2, rtol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_whitening_of_means_is_undone(kind):
    rng = np.random.default_rng(1)
    gmm = draw_gmm(rng, kind=kind)
    x = rng.standard_normal((4, 3, 2))
    np.testing.assert_allclose(unwhitened(gmm, whitened(gmm, x)), x, rtol=1e-10)
    for k in range(3):
        distance = x[0, k] @ np.linalg.solve(covariance_of(gmm, k), x[0, k])
        assert (whitened(gmm, x)[0, k] ** 2).sum() == pytest.approx(distance, rel=1e-10)


def test_bad_input_is_named():
    statistics, recordings, model = draw(9)
    gmm = model.gmm
    other = DiagonalGMM(gmm.weights, gmm.means + 1, gmm.variances)
    foreign = Recordings(other, recordings.counts, recordings.centered)
    for call in (
        lambda: extract(model, foreign),
        lambda: extract_posteriors(model, foreign),
        lambda: expectation(model, foreign),
    ):
        with pytest.raises(MismatchError, match="another background model"):
            call()
    copy = DiagonalGMM(gmm.weights, gmm.means, gmm.variances)
    extract(model, Recordings(copy, recordings.counts, recordings.centered))
    small = Recordings(gmm, recordings.counts[:2], recordings.centered[:2])
    one = statistics[0]
    broken = type(one)(one.counts, one.first * np.nan, one.second, 0.0, 1.0)
    for call, message in (
        (lambda: train_total_variability(small, TotalVariabilityOptions(3)), "at most 2, with 2"),
        (lambda: train_total_variability(recordings, TotalVariabilityOptions(7)), "of 6; got 7"),
        (lambda: Recordings.of(draw_gmm(np.random.default_rng(0), 4), statistics), "has moments"),
        (lambda: Recordings.of(gmm, [one, broken]), "recording 1 .* not finite"),
        (lambda: Recordings(gmm, recordings.counts[1:], recordings.centered), "centered must be"),
        (lambda: TotalVariability(gmm, np.zeros((2, 3, 1))), "loadings must be"),
        (lambda: TotalVariability(gmm, np.full((3, 2, 1), np.inf)), "must be finite"),
        (lambda: expectation(model, Recordings.of(gmm, [])), "one at least"),
    ):
        with pytest.raises(DataError, match=message):
            call()
    for make in (lambda: TotalVariabilityOptions(0), lambda: TotalVariabilityOptions(1, 0)):
        with pytest.raises(OptionError, match="must be at least 1"):
            make()
