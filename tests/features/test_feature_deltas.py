"""Deltas and normalization against loops that follow the formulas a frame at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voicegmm._base.errors import DataError, OptionError
from voicegmm.features import (
    DeltaOptions,
    NormalizationOptions,
    deltas,
    normalize,
    shifted_deltas,
    with_deltas,
)

matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.integers(1, 3)),
    elements=st.floats(-100, 100, width=32),
)


def slow_slopes(base, window, order):
    """Kaldi's DeltaFeatures: weights convolved with themselves, rows clamped to the edges."""
    weights = np.ones(1)
    ramp = np.arange(-window, window + 1) / sum(j * j for j in range(-window, window + 1))
    for _ in range(order):
        weights = np.convolve(weights, ramp)
    reach = len(weights) // 2
    last = len(base) - 1
    return np.array(
        [
            sum(
                weights[reach + j] * base[min(max(t + j, 0), last)].astype(float)
                for j in range(-reach, reach + 1)
            )
            for t in range(len(base))
        ]
    )


@given(matrices, st.integers(0, 3), st.integers(1, 4))
def test_deltas_by_kaldis_rule(frames, order, window):
    ours = deltas(frames, order, window)
    expected = np.hstack([slow_slopes(frames, window, i) for i in range(order + 1)])
    np.testing.assert_allclose(ours, expected, atol=2e-4)


@given(matrices, st.integers(1, 3), st.integers(1, 4))
def test_deltas_by_htks_rule_are_deltas_of_deltas(frames, order, window):
    parts = [frames]
    for _ in range(order):
        parts.append(slow_slopes(parts[-1], window, 1))
    np.testing.assert_allclose(deltas(frames, order, window, "htk"), np.hstack(parts), atol=2e-4)


@pytest.mark.parametrize("rule", ["kaldi", "htk"])
@pytest.mark.parametrize("n_frames", [4096, 4097, 4105, 5000])
def test_deltas_of_many_frames_are_those_of_any_part(rule, n_frames):
    frames = np.random.default_rng(4).standard_normal((n_frames, 2)).astype(np.float32)
    whole = deltas(frames, 3, 4, rule)
    reach = 3 * 4
    for start in range(0, n_frames, 487):
        part = deltas(frames[start : start + 700], 3, 4, rule)
        inside = slice(reach * (start > 0), len(part) - reach * (start + 700 < n_frames))
        assert (part[inside] == whole[start : start + 700][inside]).all()


@given(
    st.floats(-1e4, 1e4, width=32),
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 9),
    st.sampled_from(["kaldi", "htk"]),
)
def test_deltas_of_a_constant_are_exactly_zero(value, n_frames, order, window, rule):
    frames = np.full((n_frames, 2), value, dtype=np.float32)
    result = deltas(frames, order, window, rule)
    assert (result[:, :2] == frames).all()
    assert (result[:, 2:] == 0).all()


def test_deltas_of_a_ramp_are_its_slope_away_from_the_edges():
    ramp = np.arange(50, dtype=np.float32)[:, None] * [1, -2]
    result = deltas(ramp, 2, 2)
    np.testing.assert_allclose(result[4:-4, 2:4], np.tile([1, -2], (42, 1)), rtol=1e-6)
    np.testing.assert_allclose(result[4:-4, 4:], 0, atol=1e-6)


def test_deltas_of_no_frames_and_of_no_matrix():
    assert deltas(np.zeros((0, 20)), 2).shape == (0, 60)
    with pytest.raises(DataError, match="must be a matrix"):
        deltas(np.zeros(20))
    with pytest.raises(OptionError, match="window must be between 1 and 100, got 0"):
        deltas(np.zeros((2, 2)), window=0)
    with pytest.raises(OptionError, match="order must be between 0 and 4, got 5"):
        DeltaOptions(order=5)
    with pytest.raises(OptionError, match="did you mean 'kaldi'"):
        DeltaOptions(rule="caldi")
    with pytest.raises(OptionError, match="rule must be one of kaldi, htk, sidekit; got 'shifted'"):
        deltas(np.zeros((2, 2)), rule="shifted")


@given(matrices, st.integers(1, 3), st.integers(1, 5), st.integers(1, 8))
def test_shifted_deltas_a_number_at_a_time(frames, spread, step, n_blocks):
    n_frames, n_dims = frames.shape
    last = n_frames - 1
    expected = np.zeros((n_frames, n_blocks * n_dims))
    for t in range(n_frames):
        for i in range(n_blocks):
            ahead = min(max(t + i * step + spread, 0), last)
            behind = min(max(t + i * step - spread, 0), last)
            for j in range(n_dims):
                expected[t, i * n_dims + j] = np.float32(frames[ahead, j] - frames[behind, j])
    np.testing.assert_array_equal(shifted_deltas(frames, spread, step, n_blocks), expected)


def test_the_7_1_3_7_deltas_of_a_square_law():
    t = np.arange(100.0)
    frames = np.outer(t**2, np.arange(1, 11))
    options = DeltaOptions(rule="shifted")
    result = with_deltas(frames, options)
    assert result.shape == (100, options.n_dims(10)) == (100, 10 + 49)
    np.testing.assert_array_equal(result[:, :10], frames)
    # (t + 3i + 1)² - (t + 3i - 1)² = 4 (t + 3i)
    blocks = result[:, 10:].reshape(100, 7, 7)
    slope = 4 * (t[:, None] + 3 * np.arange(7))
    inside = slice(1, 80)
    np.testing.assert_allclose(
        blocks[inside], (slope[:, :, None] * np.arange(1, 8))[inside], rtol=1e-6
    )


def test_shifted_deltas_of_a_constant_of_nothing_and_of_no_matrix():
    assert (shifted_deltas(np.full((30, 2), 0.1)) == 0).all()
    assert shifted_deltas(np.zeros((0, 2))).shape == (0, 14)
    assert with_deltas(np.zeros((0, 3)), DeltaOptions(rule="shifted")).shape == (0, 24)
    assert with_deltas(np.ones((4, 3))).shape == (4, 9)
    with pytest.raises(DataError, match="must be a matrix"):
        shifted_deltas(np.zeros(20))
    for name in ("shifted_columns", "shifted_spread", "shifted_step", "shifted_blocks"):
        with pytest.raises(OptionError, match=f"{name} must be between 1 and"):
            DeltaOptions(**{name: 0})


def slow_sliding(frames, options):
    """Kaldi's SlidingWindowCmnInternal, a frame at a time, each sum taken anew."""
    n = len(frames)
    result = np.zeros(frames.shape)
    for t in range(n):
        if options.centered:
            start = t - options.window_frames // 2
            stop = start + options.window_frames
        else:
            start, stop = t - options.window_frames, t + 1
        if start < 0:
            stop -= start
            start = 0
        if not options.centered and stop > t:
            stop = max(t + 1, options.min_window_frames)
        if stop > n:
            start -= stop - n
            stop = n
            start = max(start, 0)
        part = frames[start:stop].astype(float)
        result[t] = frames[t] - part.mean(axis=0)
        if options.method == "sliding_mean_variance":
            variance = np.maximum(part.var(axis=0), 1e-10)
            result[t] = 0 if len(part) == 1 else result[t] / np.sqrt(variance)
    return result


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(1, 40), st.just(2))),
    st.integers(1, 50),
    st.booleans(),
    st.integers(1, 20),
    st.booleans(),
)
def test_sliding_normalization(numbers, width, centered, least, variance):
    frames = numbers.astype(np.float32) + 1000
    options = NormalizationOptions(
        "sliding_mean_variance" if variance else "sliding_mean",
        window_frames=width,
        centered=centered,
        min_window_frames=least,
    )
    # Steps of 1 on top of 1000: a variance is 0 or far above the floor.
    np.testing.assert_allclose(
        normalize(frames, options), slow_sliding(frames, options), rtol=1e-4, atol=1e-4
    )


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 40), st.just(3))))
def test_normalization_of_the_whole(numbers):
    frames = numbers.astype(np.float32)
    frames[:, 2] = 0.1
    centered = normalize(frames, NormalizationOptions("mean"))
    np.testing.assert_allclose(centered, frames - frames.mean(axis=0, dtype=float), atol=4e-3)
    scaled = normalize(frames, NormalizationOptions("mean_variance"))
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    varied = frames.std(axis=0, dtype=float) > 0.1
    np.testing.assert_allclose(scaled[:, varied].std(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(scaled[:, 2], 0)


@pytest.mark.parametrize(
    "method", ["none", "mean", "mean_variance", "sliding_mean", "sliding_mean_variance"]
)
def test_constants_one_frame_and_no_frame(method):
    options = NormalizationOptions(method, window_frames=5)
    for frames in (np.full((30, 3), 0.1), np.full((1, 3), 7.0), np.zeros((0, 3))):
        result = normalize(frames, options)
        assert result.shape == frames.shape
        if method != "none":
            np.testing.assert_allclose(result, 0, atol=1e-6)
    with pytest.raises(DataError, match="must be a matrix"):
        normalize(np.zeros(3), options)


def test_a_large_mean_costs_the_sliding_variance_no_digits():
    rng = np.random.default_rng(6)
    base = rng.integers(-50, 50, (2000, 2)).astype(np.float32)
    options = NormalizationOptions("sliding_mean_variance", window_frames=100)
    np.testing.assert_allclose(
        normalize(base + np.float32(1e5), options), normalize(base, options), atol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "sliding"}, "did you mean"),
        ({"over": "everything"}, "over must be one of speech, all"),
        ({"window_frames": 0}, "window_frames must be between 1"),
        ({"min_window_frames": 0}, "min_window_frames must be at least 1"),
    ],
)
def test_normalization_options_are_checked(changes, reason):
    with pytest.raises(OptionError, match=reason):
        NormalizationOptions(**changes)
