"""Feature warping and short-time Gaussianization."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import sqrtm
from scipy.stats import rankdata

from voicegmm._base.errors import DataError
from voicegmm.audio import Signal
from voicegmm.features import NormalizationOptions, Pipeline, PipelineOptions, normalize
from voicegmm.features import warping as warping_module
from voicegmm.features.normalization import window_bounds
from voicegmm.features.warping import decorrelate

METHODS = ("warping", "gaussianization")

# Few different values, so that ties abound.
tied = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 3)),
    elements=st.integers(-4, 4).map(float),
)


def warp_slowly(frames, options):
    """Warp a value at a time, with the ranks of scipy and the quantiles of the standard library."""
    reach = options.window_frames // 2
    result = np.zeros(frames.shape)
    for t in range(len(frames)):
        if options.centered:
            start = min(max(t - reach, 0), max(len(frames) - 2 * reach - 1, 0))
            stop = min(start + 2 * reach + 1, len(frames))
        else:
            start, stop = (low[t] for low in window_bounds(len(frames), options))
        for d in range(frames.shape[1]):
            window = frames[start:stop, d]
            rank = rankdata(window)[t - start]
            result[t, d] = NormalDist().inv_cdf((rank - 0.5) / len(window))
    return result


@given(tied, st.integers(1, 50), st.booleans(), st.integers(1, 20))
def test_warping_is_the_quantile_of_the_rank_in_the_window(frames, width, centered, least):
    options = NormalizationOptions(
        "warping", window_frames=width, centered=centered, min_window_frames=least
    )
    # Quantiles in float32, on numbers up to 3.
    np.testing.assert_allclose(
        normalize(frames, options), warp_slowly(frames, options), rtol=0, atol=1e-6
    )


def test_warping_over_block_borders(monkeypatch):
    """A recording of many blocks, windows longer than a block, counts above a byte."""
    frames = np.random.default_rng(0).integers(-50, 50, (700, 2)).astype(np.float32)
    for width, centered in ((301, True), (301, False), (64, True), (699, True)):
        options = NormalizationOptions("warping", window_frames=width, centered=centered)
        monkeypatch.setattr(warping_module, "_BLOCK_VALUES", 1 << 16)
        whole = normalize(frames, options)
        np.testing.assert_allclose(whole, warp_slowly(frames, options), rtol=0, atol=1e-6)
        monkeypatch.setattr(warping_module, "_BLOCK_VALUES", 94)
        np.testing.assert_array_equal(normalize(frames, options), whole)


def test_an_even_window_takes_one_frame_more():
    frames = np.random.default_rng(1).standard_normal((500, 3))
    even, odd = (
        normalize(frames, NormalizationOptions("warping", window_frames=width))
        for width in (300, 301)
    )
    np.testing.assert_array_equal(even, odd)
    start, stop = window_bounds(500, NormalizationOptions("warping"))
    assert set(stop - start) == {301}
    assert (start[150], stop[150]) == (0, 301)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 3)), elements={
        "min_value": -10, "max_value": 10}),
    st.integers(1, 80),
    st.booleans(),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_only_the_order_of_the_values_counts(frames, width, centered, random):
    """Any strictly increasing map of a dimension leaves its warped values as they are."""
    options = NormalizationOptions(
        "warping", window_frames=width, centered=centered, min_window_frames=5
    )
    mapped = np.empty_like(frames)
    for d in range(frames.shape[1]):
        values, places = np.unique(frames[:, d], return_inverse=True)
        steps = [random.uniform(0.01, 100) for _ in values]
        mapped[:, d] = (np.cumsum(steps) - 1000)[places]
    np.testing.assert_array_equal(normalize(mapped, options), normalize(frames, options))
    np.testing.assert_allclose(
        normalize(-mapped, options), -normalize(frames, options), rtol=0, atol=1e-6
    )


@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_a_window_over_the_whole_recording_gives_the_quantiles_themselves(n_frames, seed):
    rng = np.random.default_rng(seed)
    frames = np.stack([rng.permutation(n_frames), rng.permutation(n_frames) ** 3], axis=1)
    result = normalize(frames, NormalizationOptions("warping", window_frames=2 * n_frames))
    expected = [NormalDist().inv_cdf((r + 0.5) / n_frames) for r in range(n_frames)]
    np.testing.assert_allclose(np.sort(result, axis=0), np.stack([expected] * 2, axis=1), atol=1e-6)


@given(tied, st.integers(1, 30), st.booleans(), st.sampled_from(METHODS))
def test_always_finite_and_bounded_by_the_window(frames, width, centered, method):
    frames = frames * np.float32(1e30)
    frames[:, 0] = -7.3
    options = NormalizationOptions(
        method, window_frames=width, centered=centered, min_window_frames=1
    )
    result = normalize(frames, options)
    assert result.dtype == np.float32
    assert result.shape == frames.shape
    assert np.abs(result).max() <= NormalDist().inv_cdf(1 - 0.5 / (width + 1)) + 1e-6
    np.testing.assert_array_equal(result[:, 0], 0)


@pytest.mark.parametrize("method", METHODS)
def test_constants_one_frame_and_no_frame(method):
    options = NormalizationOptions(method, window_frames=5)
    for frames in (np.full((30, 3), 0.1), np.full((1, 3), 7.0), np.zeros((0, 3))):
        np.testing.assert_array_equal(normalize(frames, options), np.zeros_like(frames))


@pytest.mark.parametrize("method", ["none", "sliding_mean", *METHODS])
def test_what_is_not_finite_is_refused(method):
    frames = np.zeros((5, 2))
    frames[3, 1] = np.nan
    with pytest.raises(DataError, match="1 of 5 hold a NaN or an infinity, the first is number 3"):
        normalize(frames, NormalizationOptions(method))


def mixed(rng, n_frames=4000, n_dims=6):
    """Frames with correlations of all sizes, scales from 0.01 to 100 and far means."""
    mixing = np.eye(n_dims) + 0.3 * rng.standard_normal((n_dims, n_dims))
    frames = rng.standard_normal((n_frames, n_dims)) @ mixing
    frames = frames * np.logspace(-2, 2, n_dims) + 50 * rng.standard_normal(n_dims)
    return frames.astype(np.float32)


def test_decorrelation_whitens():
    white = decorrelate(mixed(np.random.default_rng(2)))
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(6), atol=1e-6)


def test_decorrelation_stays_nearest_to_the_dimensions():
    """No rotation of the whitened frames is closer to the standardized ones: Kessy et al. 2018."""
    rng = np.random.default_rng(3)
    frames = mixed(rng)
    frames = frames.astype(np.float64)
    z = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    white = decorrelate(frames)
    best = np.square(white - z).sum()
    for _ in range(50):
        turn = np.linalg.qr(np.eye(6) + rng.uniform(0.001, 2) * rng.standard_normal((6, 6)))[0]
        assert np.square(white @ turn - z).sum() >= best
    # The square root of the correlation matrix by another road: scipy's Schur form.
    root = sqrtm(np.corrcoef(frames.T))
    np.testing.assert_allclose(white, z @ np.linalg.inv(root), atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-100, 100))
def test_gaussianization_knows_no_scale_and_no_offset(seed, scale, offset):
    rng = np.random.default_rng(seed)
    frames = mixed(rng, n_frames=100)
    scales = np.array([scale, 1, 2, 1, 1 / scale, 1])
    order = rng.permutation(6)
    changed = (frames * scales + offset)[:, order]
    np.testing.assert_allclose(decorrelate(changed), decorrelate(frames)[:, order], atol=1e-5)


def test_gaussianization_is_warping_of_what_is_uncorrelated():
    frames = mixed(np.random.default_rng(4))
    options = NormalizationOptions("gaussianization", window_frames=2 * len(frames) + 1)
    result = normalize(frames, options)
    expected = normalize(decorrelate(frames), NormalizationOptions("warping", window_frames=8001))
    np.testing.assert_array_equal(result, expected)
    # Of normal frames that are uncorrelated the ranks are so too, but for sampling: 1/sqrt(4000).
    np.testing.assert_allclose(np.corrcoef(result.T), np.eye(6), atol=0.05)
    warped = normalize(frames, NormalizationOptions("warping", window_frames=8001))
    assert np.abs(np.corrcoef(warped.T) - np.eye(6)).max() > 0.3


def test_dimensions_that_follow_from_others_stay_finite():
    rng = np.random.default_rng(5)
    frames = rng.standard_normal((50, 3))
    frames = np.hstack([frames, frames[:, :1], -2 * frames[:, 1:2] + 3, np.full((50, 1), 4.0)])
    white = decorrelate(frames)
    assert np.isfinite(white).all()
    assert np.abs(white).max() < 10
    np.testing.assert_array_equal(white[:, 5], 0)
    # Fewer frames than dimensions.
    few = decorrelate(rng.standard_normal((4, 60)))
    assert np.abs(few).max() < 100


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("over", ["speech", "all"])
def test_the_pipeline_gives_normal_frames_whatever_the_channel(method, over):
    rng = np.random.default_rng(6)
    loudness = np.repeat(rng.uniform(0.0005, 0.3, 60), 1600)
    samples = rng.uniform(-1, 1, len(loudness)) * loudness
    pipeline = Pipeline(PipelineOptions(normalization=NormalizationOptions(method, over)))
    frames = pipeline.extract(Signal(samples, 16_000)).frames
    assert np.isfinite(frames).all()
    if over == "speech":
        np.testing.assert_allclose(frames.mean(axis=0), 0, atol=0.15)
        np.testing.assert_allclose(frames.std(axis=0), 1, atol=0.1)
    # A gain only moves c0, by a constant: it leaves the frames as they were but for rounding.
    quieter = pipeline.extract(Signal(samples * np.float32(0.25), 16_000)).frames
    assert np.abs(quieter - frames).mean() < 1e-3
