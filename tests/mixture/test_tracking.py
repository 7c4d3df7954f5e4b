"""Components that follow what moves: one step written out, laws, and small known worlds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import multivariate_normal, norm, truncnorm

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    DiagonalGMM,
    FullGMM,
    MotionOptions,
    TrackOptions,
    forecast,
    forecast_errors,
    track,
    track_paths,
    track_start,
    track_start_with,
    track_step,
    track_table,
)
from voicegmm.mixture.tracking.clutter import evidence, explain, find_lump

seeds = st.integers(0, 2**32 - 1)
OPTIONS = TrackOptions(
    motion=MotionOptions(acceleration_std=0.1, speed_std=1.0),
    birth_std=1.0, least_std=0.3, greatest_std=2.5, clutter_volume=40.0 * 40.0,
    death_frames=8, merge_frames=8,
)  # fmt: skip


def cloud(rng, center, n=80):
    return np.asarray(center) + rng.standard_normal((n, 2))


def noise(rng, n=30):
    return rng.uniform(-20, 20, (n, 2))


def world(seed, routes, n_frames=40, n_noise=30):
    """Draw frames of points about routes, functions of time that give a place or None."""
    rng = np.random.default_rng(seed)
    for t in range(n_frames):
        places = [route(t) for route in routes]
        parts = [cloud(rng, place) for place in places if place is not None]
        yield np.concatenate([*parts, noise(rng, n_noise)]), None


def at(found, time):
    return {
        path.identity: path.motion.positions[time - path.times[0]]
        for path in found
        if path.times[0] <= time <= path.times[-1]
    }


# ------------------------------------------------------------------------ the E-step with clutter


@given(seeds)
@settings(max_examples=20)
def test_points_are_shared_out_by_bayes_rule(seed):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((2, 2, 2))
    gmm = FullGMM(
        rng.dirichlet([3, 3]),
        3 * rng.standard_normal((2, 2)),
        roots @ np.swapaxes(roots, 1, 2) + 0.3 * np.eye(2),
    )
    points, weights = 4 * rng.standard_normal((25, 2)), rng.uniform(0, 2, 25)
    mass, density = rng.uniform(1, 50), rng.uniform(0.01, 1)
    found = explain(gmm, mass, density, points, weights)
    expected = np.array(
        [
            mass * w * multivariate_normal(m, c).pdf(points)
            for w, m, c in zip(gmm.weights, gmm.means, gmm.covariances, strict=True)
        ]
        + [np.full(25, density)]
    )
    shares = expected / expected.sum(axis=0)
    np.testing.assert_allclose(found.clutter, shares[2], rtol=1e-7)
    np.testing.assert_allclose(found.log_intensity, np.log(expected.sum(axis=0)), rtol=1e-7)
    np.testing.assert_allclose(found.statistics.counts, shares[:2] @ weights, rtol=1e-7)
    np.testing.assert_allclose(found.statistics.first, (shares[:2] * weights) @ points, rtol=1e-6)


def test_a_lump_is_found_in_noise_and_not_drawn_by_it():
    rng = np.random.default_rng(0)
    points = np.concatenate([cloud(rng, [7, -4], 100), noise(rng, 300)])
    lump = find_lump(points, np.ones(len(points)), 300 / 1600, 1.0)
    np.testing.assert_allclose(lump.center, [7, -4], atol=0.4)  # standard error 0.1
    assert 85 < lump.mass < 115


def test_evidence_is_the_ratio_of_two_poisson_probabilities():
    counts, covariances = np.array([5.0, 2.0, 0.1]), np.array([np.eye(2), 4 * np.eye(2), np.eye(2)])
    nats = evidence(3 * counts, covariances, 3 * 0.05, 3.0)
    for n, covariance, found in zip(counts, covariances, nats, strict=True):
        # The effective volume, by the density of the difference of two draws at 0.
        chance = 0.05 / multivariate_normal([0, 0], 2 * covariance).pdf([0, 0])
        wanted = poisson_log_pmf(n, max(n, chance)) - poisson_log_pmf(n, chance)
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def poisson_log_pmf(n, rate):
    return n * np.log(rate) - rate - gammaln(n + 1)


# ----------------------------------------------------------------------------------- one step


@given(seeds)
@settings(max_examples=15)
def test_a_step_is_what_its_equations_say(seed):
    rng = np.random.default_rng(seed)
    options = replace(OPTIONS, n_iterations=1, n_births=0, merge_distance=0, quantum=1.7)
    gmm = DiagonalGMM([0.4, 0.6], [[-2, 0], [3, 1]], [[1, 2], [0.5, 1]])
    before = track_start_with(gmm, 50.0, options)
    points = np.concatenate([cloud(rng, [-1.5, 0], 40), cloud(rng, [3, 0], 60), noise(rng, 10)])
    weights = rng.uniform(0.5, 1.5, len(points))
    after = track_step(before, points, options, weights)

    total, speed, q = weights.sum(), 1.0, 0.1
    clutter = 0.05 * total
    for k, (mass, m, v) in enumerate(zip(50 * gmm.weights, gmm.means, gmm.variances, strict=True)):
        # Prediction, dimension by dimension: position variance, covariance, velocity variance.
        prior = [
            np.array([[s + speed**2 + q**2 / 4, speed**2 + q**2 / 2], [0, speed**2 + q**2]])
            for s in v
        ]
        pdfs = [
            weight * multivariate_normal(mean, np.diag(2 * var + speed**2 + q**2 / 4)).pdf(points)
            for weight, mean, var in zip(50 * gmm.weights, gmm.means, gmm.variances, strict=True)
        ]
        share = weights * pdfs[k] / (sum(pdfs) + clutter / 1600)
        n = share.sum()
        center = share @ points / n
        # What an edge that hides as much would leave to see is off by this.
        hidden = min(max(1 - n / mass, 0), 0.99)
        off = truncnorm(norm.ppf(hidden), np.inf).mean() if hidden else 0.0
        for d in range(2):
            r = v[d] * (1.7 / n + off**2)
            gain = prior[d][0, 0] / (prior[d][0, 0] + r)
            expected = m[d] + gain * (center[d] - m[d])
            np.testing.assert_allclose(after.motion.positions[k, d], expected)
            slope = prior[d][0, 1] / (prior[d][0, 0] + r)
            velocity = slope * (center[d] - m[d])
            np.testing.assert_allclose(after.motion.velocities[k, d], velocity)
        scatter = ((points - center).T * share) @ (points - center) / n
        assert np.linalg.eigvalsh(scatter).min() > 0.3**2
        blended = 0.9 * np.diag(v) + 0.1 * scatter
        np.testing.assert_allclose(after.spreads[k], blended, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(after.masses[k], 0.8 * mass + 0.2 * n)


@given(seeds, st.floats(0.1, 10), st.floats(-50, 50), st.floats(0.1, 10))
@settings(max_examples=4)
def test_units_are_only_units(seed, scale, shift, heavier):
    frames = [points for points, _ in world(seed, [lambda t: (t / 4, 0)], 8)]
    plain = track([(points, None) for points in frames], OPTIONS)
    options = replace(
        OPTIONS,
        motion=MotionOptions(acceleration_std=0.1 * scale, speed_std=scale),
        birth_std=scale, least_std=0.3 * scale, greatest_std=2.5 * scale,
        clutter_volume=1600 * scale**2, quantum=heavier,
    )  # fmt: skip
    other = track(
        [(scale * points + shift, np.full(len(points), heavier)) for points in frames], options
    )
    for one, two in zip(plain.states, other.states, strict=True):
        np.testing.assert_array_equal(one.identities, two.identities)
        wanted = scale * one.motion.positions + shift
        np.testing.assert_allclose(two.motion.positions, wanted, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(two.masses, heavier * one.masses, rtol=1e-6)
        if not np.isnan(one.log_likelihood):
            wanted = one.log_likelihood - 2 * np.log(scale)
            np.testing.assert_allclose(two.log_likelihood, wanted, rtol=1e-6, atol=1e-6)


def test_a_point_of_weight_three_is_three_points_and_of_weight_zero_none():
    rng = np.random.default_rng(3)
    points = np.concatenate([cloud(rng, [0, 0]), noise(rng, 20)])
    weights = rng.integers(0, 4, len(points))
    start = track_start_with(FullGMM([1.0], [[0.5, 0]], [np.eye(2)]), 80.0, OPTIONS)
    one = track_step(start, points, OPTIONS, weights)
    other = track_step(start, np.repeat(points, weights, axis=0), OPTIONS)
    np.testing.assert_allclose(one.motion.states, other.motion.states)
    np.testing.assert_allclose(one.spreads, other.spreads)
    np.testing.assert_allclose(one.clutter_mass, other.clutter_mass)


def test_the_same_frames_give_the_same_bits():
    frames = list(world(5, [lambda t: (t / 3 - 5, 0), lambda t: (0, t / 3 - 5)], 20))
    one, other = track(frames, OPTIONS).states[-1], track(frames, OPTIONS).states[-1]
    assert one.motion.states.tobytes() == other.motion.states.tobytes()
    assert one.log_likelihood == other.log_likelihood


# ----------------------------------------------------------------------------------- small worlds


@pytest.mark.parametrize("seed", [0, 1])
def test_two_that_cross_keep_their_identities(seed):
    routes = [lambda t: (0.5 * t - 10, 0.4 * t - 8), lambda t: (0.5 * t - 10, 8 - 0.4 * t)]
    found = track_paths(track(world(seed, routes), OPTIONS))
    assert len(found) == 2
    for time in (2, 39):
        places = at(found, time)
        for path, route in zip(_in_order(found, routes), routes, strict=True):
            np.testing.assert_allclose(places[path.identity], route(time), atol=0.6)


def _in_order(found, routes):
    """Give for each route the path that is nearest to it at time 2."""
    return [
        min(found, key=lambda path: np.linalg.norm(at([path], 2)[path.identity] - route(2)))
        for route in routes
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_one_that_is_hidden_for_a_while_comes_back_as_itself(seed):
    def route(t):
        return None if 18 <= t < 24 else (0.6 * t - 12, 1)

    (path,) = track_paths(track(world(seed, [route]), OPTIONS))
    np.testing.assert_array_equal(np.flatnonzero(~path.seen), np.arange(18, 24))
    places = np.array([(0.6 * t - 12, 1) for t in range(40)])
    np.testing.assert_allclose(path.motion.positions, places, atol=1.5)
    smooth = track_paths(track(world(seed, [route]), OPTIONS), smooth=True)[0].motion.positions
    assert np.abs(smooth - places).mean() < np.abs(path.motion.positions - places).mean()


def test_births_are_confirmed_and_deaths_come_when_they_should():
    routes = [lambda t: (-5, 0.1 * t), lambda t: (6, 0.1 * t) if 10 <= t < 25 else None]
    tracks = track(world(0, routes), OPTIONS)
    n_confirmed = np.array([state.confirmed.sum() for state in tracks.states])
    np.testing.assert_array_equal(n_confirmed[[1, 2, 11, 12]], [0, 1, 1, 2])
    # Unseen from 25 on: after 8 frames, at 32, it is gone.
    np.testing.assert_array_equal(n_confirmed[[31, 32, 39]], [2, 1, 1])
    _, second = track_paths(tracks)
    np.testing.assert_array_equal(second.times[[0, -1]], [10, 24])
    assert second.seen.all()
    immortal = track(world(0, routes), replace(OPTIONS, death_frames=None))
    assert immortal.states[-1].n_components == 2


def test_noise_alone_confirms_nothing():
    assert track_paths(track(world(1, [], n_frames=60), OPTIONS)) == ()


def test_the_clutter_keeps_noise_from_drawing_a_component():
    rng = np.random.default_rng(4)
    points = np.concatenate([cloud(rng, [0, 0], 200), rng.uniform(5, 15, (400, 2))])
    start = track_start_with(FullGMM([1.0], [[0, 0]], [np.eye(2)]), 200.0, OPTIONS)
    (place,) = track_step(start, points, replace(OPTIONS, n_births=0)).motion.positions
    np.testing.assert_allclose(place, [0, 0], atol=0.3)


def test_components_on_the_same_thing_become_one_and_those_that_cross_do_not():
    rng = np.random.default_rng(5)
    twins = DiagonalGMM([0.5, 0.5], [[0.2, 0], [-0.2, 0]], np.ones((2, 2)))
    state = track_start_with(twins, 80.0, OPTIONS)
    merged = state
    for _ in range(15):
        merged = track_step(merged, cloud(rng, [0, 0]), OPTIONS)
    np.testing.assert_array_equal(merged.identities, [0])
    np.testing.assert_allclose(merged.masses, 80, rtol=0.1)
    apart = replace(
        state.motion,
        states=[[0.2, 0, 0.5, 0], [-0.2, 0, -0.5, 0]],
        covariances=1e-4 * np.tile(np.eye(4), (2, 1, 1)),
    )
    crossing = track_step(replace(state, motion=apart), cloud(rng, [0, 0]), OPTIONS)
    np.testing.assert_array_equal(crossing.identities, [0, 1])


@pytest.mark.parametrize("seed", [0, 1])
def test_one_that_turns_out_to_be_two_is_split(seed):
    routes = [lambda t: (0, 1.5 + 0.2 * t), lambda t: (0, -1.5 - 0.2 * t)]
    tracks = track(world(seed, routes), OPTIONS)
    final = tracks.states[-1]
    assert final.confirmed.sum() == 2
    places = final.motion.positions[final.confirmed]
    wanted = np.array([(0, -9.3), (0, 9.3)])
    np.testing.assert_allclose(places[places[:, 1].argsort()], wanted, atol=0.6)


def test_a_frame_without_points_leaves_all_where_they_were_expected():
    tracks = track(world(2, [lambda t: (0.3 * t - 6, 0)], 20), OPTIONS)
    last = tracks.states[-1]
    for points, weights in ((np.zeros((0, 2)), None), (np.ones((5, 2)), np.zeros(5))):
        blind = track_step(last, points, OPTIONS, weights)
        expected = forecast(last, 1, OPTIONS)
        np.testing.assert_array_equal(blind.motion.states, expected.states)
        np.testing.assert_array_equal(blind.n_unseen, last.n_unseen + 1)
        assert np.isnan(blind.log_likelihood)


# ----------------------------------------------------------------------------------- forecasts


@pytest.mark.slow
def test_forecasts_come_true_as_often_as_their_covariance_says():
    # A walk drawn from the very model: squared errors over their expectation average to 1.
    options = replace(OPTIONS, motion=MotionOptions(acceleration_std=0.1, speed_std=0.5))
    ratios = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        push = 0.1 * rng.standard_normal((60, 2))
        velocity = np.cumsum(push, axis=0)
        place = np.cumsum(velocity - push / 2, axis=0)
        frames = [(cloud(rng, center), None) for center in place]
        tracks = track(frames, replace(options, clutter_volume=1e4))
        for t in range(8, 57):
            told = forecast(tracks.states[t], 3, options)
            if tracks.states[t].n_components == 1:
                error = place[t + 3] - told.positions[0]
                ratios.append(error @ np.linalg.solve(told.position_covariances[0], error) / 2)
    assert len(ratios) > 130
    assert 0.6 < np.mean(ratios) < 1.5  # neighbors overlap: some 50 of them are independent


def test_forecast_errors_are_found_minus_foretold():
    tracks = track(world(6, [lambda t: (0.4 * t - 8, 0)], 30), OPTIONS)
    (path,) = track_paths(tracks)
    errors = forecast_errors(tracks, 5)
    assert errors.shape == (25, 2)
    p, v = path.motion.positions, path.motion.velocities
    np.testing.assert_allclose(errors, p[5:] - (p[:-5] + 5 * v[:-5]), atol=1e-12)
    assert np.abs(errors[10:]).mean() < 0.5
    none = track([], OPTIONS)
    assert forecast_errors(none, 1).shape == (0, 0)


def test_paths_make_a_table():
    tracks = track(world(7, [lambda t: (0, 0.2 * t), lambda t: (9, 0)], 10), OPTIONS)
    found = track_paths(tracks)
    times, identities, positions = track_table(found)
    assert times.shape == identities.shape == (len(positions),)
    for path in found:
        np.testing.assert_array_equal(times[identities == path.identity], path.times)
        np.testing.assert_array_equal(positions[identities == path.identity], path.motion.positions)
    with pytest.raises(DataError, match="no paths"):
        track_table([])


# ----------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("n_iterations", 0, "n_iterations must be at least 1"),
        ("quantum", 0.0, "quantum must be greater than 0"),
        ("spread_memory", 1.1, "spread_memory must be between 0 and 1"),
        ("greatest_std", 0.1, "greatest_std must be at least least_std, 0.3"),
        ("clutter_volume", -1.0, "clutter_volume must be greater than 0"),
        ("clutter_share", 0.0, "clutter_share must be between"),
        ("least_share", 2.0, "least_share must be between"),
        ("least_evidence", -1.0, "least_evidence must be at least 0"),
        ("death_frames", 0, "death_frames must be at least 1"),
        ("merge_distance", -1.0, "merge_distance must be at least 0"),
    ],
)
def test_options_that_cannot_work_are_refused(name, value, said):
    with pytest.raises(OptionError, match=said):
        replace(OPTIONS, **{name: value})


def test_points_that_cannot_be_are_refused():
    start = track_start(2)
    with pytest.raises(DataError, match="points must have 2 columns, got 3"):
        track_step(start, np.zeros((4, 3)))
    with pytest.raises(DataError, match=r"weights must be \(4,\)"):
        track_step(start, np.zeros((4, 2)), weights=np.ones(3))
    with pytest.raises(DataError, match="finite and 0 or more"):
        track_step(start, np.zeros((4, 2)), weights=-np.ones(4))
    with pytest.raises(DataError, match="points must be a matrix"):
        track([(np.zeros(3), None)])
    with pytest.raises(OptionError, match="n_dims must be at least 1"):
        track_start(0)
    with pytest.raises(OptionError, match="mass must be greater than 0"):
        track_start_with(FullGMM([1.0], [[0.0]], [[[1.0]]]), 0.0)
