"""Kalman filter and smoother, held to one large Gaussian conditioned at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import Motion, MotionOptions
from voicegmm.mixture.tracking.motion import (
    at_rest,
    correct_motion,
    predict_motion,
    smooth_motion,
    transition,
)

seeds = st.integers(0, 2**32 - 1)


def random_case(seed, n_frames=6, n_dims=2):
    """Give options, a first Motion, measurements and the covariances of their errors."""
    rng = np.random.default_rng(seed)
    options = MotionOptions(rng.uniform(0.1, 1), rng.uniform(0.5, 3), rng.uniform(0, 1))
    roots = rng.standard_normal((n_frames + 1, n_dims, n_dims))
    noise = roots @ np.swapaxes(roots, 1, 2) + 0.2 * np.eye(n_dims)
    start = at_rest(rng.standard_normal((1, n_dims)), noise[:1], options)
    return options, start, rng.standard_normal((n_frames, n_dims)), noise[1:]


def filtered(options, start, measured, noise):
    motion, rows = start, []
    for z, r in zip(measured, noise, strict=True):
        motion = correct_motion(predict_motion(motion, options), z[None], r[None])
        rows.append(motion)
    return rows


def conditioned(options, start, measured, noise, known):
    """Condition the Gaussian of all states of all frames on the first `known` measurements."""
    n_frames, n_dims = measured.shape
    forward, disturbance = transition(n_dims, options)
    size = 2 * n_dims
    # Stack s_1..s_T = A s_0 + (a sum of disturbances), built by its definition.
    mean = np.concatenate(
        [np.linalg.matrix_power(forward, t + 1) @ start.states[0] for t in range(n_frames)]
    )
    joint = np.zeros((n_frames * size, n_frames * size))
    for t in range(n_frames):
        for u in range(n_frames):
            powers = [np.linalg.matrix_power(forward, n) for n in range(n_frames + 1)]
            block = powers[t + 1] @ start.covariances[0] @ powers[u + 1].T
            for k in range(min(t, u) + 1):
                block = block + powers[t - k] @ disturbance @ powers[u - k].T
            joint[t * size : (t + 1) * size, u * size : (u + 1) * size] = block
    seen = np.concatenate([t * size + np.arange(n_dims) for t in range(known)])
    of_seen = joint[np.ix_(seen, seen)]
    for t in range(known):
        rows = slice(t * n_dims, (t + 1) * n_dims)
        of_seen[rows, rows] += noise[t]
    gain = np.linalg.solve(of_seen, joint[seen]).T
    mean = mean + gain @ (measured[:known].ravel() - mean[seen])
    return mean.reshape(n_frames, size), joint - gain @ joint[seen]


@given(seeds)
@settings(max_examples=20)
def test_the_filter_is_the_gaussian_given_all_measurements_so_far(seed):
    case = random_case(seed)
    rows = filtered(*case)
    for t, row in enumerate(rows):
        mean, covariance = conditioned(*case, known=t + 1)
        np.testing.assert_allclose(row.states[0], mean[t], atol=1e-9)
        block = covariance[4 * t : 4 * t + 4, 4 * t : 4 * t + 4]
        np.testing.assert_allclose(row.covariances[0], block, atol=1e-9)


@given(seeds)
@settings(max_examples=20)
def test_the_smoother_is_the_gaussian_given_all_measurements(seed):
    options, *rest = random_case(seed)
    rows = filtered(options, *rest)
    path = Motion(
        np.concatenate([row.states for row in rows]),
        np.concatenate([row.covariances for row in rows]),
    )
    smooth = smooth_motion(path, options)
    mean, covariance = conditioned(options, *rest, known=len(rows))
    np.testing.assert_allclose(smooth.states, mean, atol=1e-7)
    for t in range(len(rows)):
        block = covariance[4 * t : 4 * t + 4, 4 * t : 4 * t + 4]
        np.testing.assert_allclose(smooth.covariances[t], block, atol=1e-7)


@given(seeds, st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=20)
def test_predictions_follow_one_another(seed, m, n):
    options, start, *_ = random_case(seed)
    once = predict_motion(start, options, m + n)
    twice = predict_motion(predict_motion(start, options, m), options, n)
    np.testing.assert_array_equal(once.states, twice.states)
    np.testing.assert_allclose(once.covariances, twice.covariances)


def test_constant_velocity_goes_straight_and_none_stays():
    motion = Motion([[1.0, 2.0, 0.5, -1.0]], [np.eye(4)])
    ahead = predict_motion(motion, MotionOptions(), 4)
    np.testing.assert_array_equal(ahead.positions, [[3.0, -2.0]])
    np.testing.assert_array_equal(ahead.velocities, motion.velocities)
    still = predict_motion(motion, MotionOptions(velocity_kept=0), 4)
    np.testing.assert_array_equal(still.positions, motion.positions)


def test_the_disturbance_is_that_of_bar_shalom():
    # Bar-Shalom et al. (2001), eq. 6.3.2-4 with T = 1: q^2 [[1/4, 1/2], [1/2, 1]].
    _, noise = transition(1, MotionOptions(acceleration_std=2.0))
    np.testing.assert_array_equal(noise, [[1.0, 2.0], [2.0, 4.0]])


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match="acceleration_std must be greater than 0, got 0"):
        MotionOptions(acceleration_std=0)
    with pytest.raises(OptionError, match="speed_std must be finite"):
        MotionOptions(speed_std=float("inf"))
    with pytest.raises(OptionError, match="velocity_kept must be between 0 and 1"):
        MotionOptions(velocity_kept=1.5)
    with pytest.raises(DataError, match="position and velocity"):
        Motion(np.zeros((1, 3)), np.zeros((1, 3, 3)))
    with pytest.raises(DataError, match=r"covariances must be \(1, 4, 4\)"):
        Motion(np.zeros((1, 4)), np.zeros((1, 3, 3)))
