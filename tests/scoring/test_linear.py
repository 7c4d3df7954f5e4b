"""Linear scoring: against Idiap's Matlab code, loops, and the slope of the exact ratio."""

import numpy as np
import pytest
import small_speakers
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError
from voicegmm.mixture import (
    DiagonalGMM,
    Statistics,
    accumulate,
    density,
    log_density,
    sample,
)
from voicegmm.scoring import ScoringOptions, linear_scores, log_likelihood_ratios
from voicegmm.scoring.first_order import FirstOrder

F32 = np.dtype(np.float32)


def test_the_published_small_case():
    # Values of bob.learn.em, tests/test_linearscoring.py (Francois Moulin, Laurent El Shafey),
    # "from Idiap internal matlab implementation".
    ubm = DiagonalGMM(np.array([0.5, 0.5]), [[3.0, 70], [4, 72]], [[1.0, 10], [2, 5]])
    means = np.array([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])
    firsts = [[[1.0, 2], [3, 4]], [[5, 6], [7, 8]], [[5, 6], [7, 3]]]
    counts = [[1.0, 2], [3, 4], [3, 4]]
    tests = [
        Statistics(np.array(n), np.array(f), np.zeros((2, 2)), 0.0, sum(n))
        for n, f in zip(counts, firsts, strict=True)
    ]
    channels = np.array([[[9.0, 8], [7, 6]], [[5, 4], [3, 2]], [[1, 0], [1, 2]]])
    for channel, per_frame, expected in (
        (None, False, [[2372.9, 5207.7, 5275.7], [2215.7, 4868.1, 4932.1]]),
        (
            None,
            True,
            [
                [790.9666666666667, 743.9571428571428, 753.6714285714285],
                [738.5666666666667, 695.4428571428572, 704.5857142857144],
            ],
        ),
        (channels, False, [[2615.5, 5434.1, 5392.5], [2381.5, 4999.3, 5022.5]]),
        (
            channels,
            True,
            [
                [871.8333333333332, 776.3000000000001, 770.3571428571427],
                [793.8333333333333, 714.1857142857143, 717.5000000000000],
            ],
        ),
    ):
        found = linear_scores(ubm, means, tests, per_frame, channel)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def draw(seed):
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng)
    speakers, _ = small_speakers.draw_speakers(rng, gmm)
    return rng, gmm, speakers


def by_loops(gmm, means, frames, weights):
    joint = small_speakers.joint_by_loops(gmm, gmm.means, frames)
    total = 0.0
    for t, x in enumerate(frames):
        share = np.exp(joint[t] - np.logaddexp.reduce(joint[t])) * weights[t]
        for k in range(gmm.n_components):
            for d in range(gmm.n_dims):
                offset = means[k, d] - gmm.means[k, d]
                total += share[k] * offset * (x[d] - gmm.means[k, d]) / gmm.variances[k, d]
    return total / sum(weights)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_definition_by_loops(monkeypatch, compiled, dtype):
    if compiled:
        monkeypatch.setattr(density, "FUSED_FROM", 0)
    rng, gmm, speakers = draw(3)
    frames = sample(gmm, 25, rng)[0].astype(dtype)
    weights = rng.uniform(0.2, 1, 25)
    expected = [by_loops(gmm, m, frames.astype(float), weights) for m in speakers.means]
    matrix = linear_scores(gmm, speakers.means, [accumulate(gmm, frames.astype(float), weights)])
    np.testing.assert_allclose(matrix[:, 0], expected, rtol=1e-9, atol=1e-12)
    found = log_likelihood_ratios(speakers, frames, weights, options=ScoringOptions("linear"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # float32, means near 50


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_slope_of_the_exact_ratio(seed):
    rng, gmm, speakers = draw(seed)
    frames = sample(gmm, 40, rng)[0]
    offsets = speakers.means.astype(float) - gmm.means
    step = 1e-5

    def ratio(offset):
        moved = DiagonalGMM(gmm.weights, gmm.means + offset, gmm.variances)
        return float(log_density(moved, frames).mean())

    slopes = [(ratio(step * o) - ratio(-step * o)) / (2 * step) for o in offsets]
    found = linear_scores(gmm, speakers.means, [accumulate(gmm, frames)])[:, 0]
    np.testing.assert_allclose(found, slopes, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 9))
def test_the_compiled_statistics_are_those_of_numpy(seed, n_components, n_dims):
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng, n_components, n_dims)
    frames = sample(gmm, 50, rng)[0].astype(np.float32)
    weights = rng.uniform(0.1, 1, 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(density, "FUSED_FROM", 0)
        fast = FirstOrder.of(gmm, F32, 1)
    assert fast.kernel is not None
    counts, centered, n_frames = fast(frames, weights)
    unit = fast.scale / np.sqrt(gmm.variances)
    exact = accumulate(gmm, frames.astype(float), weights)
    wanted = (exact.first - exact.counts[:, None] * gmm.means) / np.sqrt(gmm.variances)
    np.testing.assert_allclose(counts, exact.counts, atol=2e-4)
    np.testing.assert_allclose(centered * unit, wanted, atol=2e-3)
    assert n_frames == pytest.approx(weights.sum())
    plain = FirstOrder.of(gmm, F32, 1)
    np.testing.assert_allclose(plain(frames, weights)[1] * unit, wanted, atol=2e-3)
    factor = rng.uniform(0.5, 2, gmm.means.shape)
    for ready in (fast, plain):
        found = np.empty(gmm.means.shape, np.float32)
        ready.mean_offsets(frames, weights, factor, found)
        wanted = ready(frames, weights)[1] * factor / n_frames
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


def test_long_tests_are_summed_in_blocks(monkeypatch):
    rng, gmm, _ = draw(5)
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    ready = FirstOrder.of(gmm, F32, 1)
    frames = sample(gmm, 2500, rng)[0].astype(np.float32)
    counts, centered, _ = ready(frames)
    exact = accumulate(gmm, frames.astype(float))
    np.testing.assert_allclose(counts, exact.counts, rtol=1e-4)
    rest = exact.first - exact.counts[:, None] * gmm.means
    np.testing.assert_allclose(centered * ready.scale, rest, rtol=1e-3, atol=0.05)
    found = np.empty(gmm.means.shape, np.float32)
    ready.mean_offsets(frames, None, np.ones(gmm.means.shape), found)
    np.testing.assert_allclose(found, centered / 2500, rtol=1e-6)
    frames[1500, 0] = np.nan
    with pytest.raises(DataError, match="the first is number 1500"):
        ready(frames)


def test_frames_that_single_precision_cannot_hold(monkeypatch):
    rng, gmm, speakers = draw(7)
    frames = sample(gmm, 10, rng)[0].astype(np.float32)
    frames[3] = 3e19
    exact = linear_scores(gmm, speakers.means, [accumulate(gmm, frames.astype(float))])[:, 0]
    for threshold in (0, 2**60):
        monkeypatch.setattr(density, "FUSED_FROM", threshold)
        found = log_likelihood_ratios(speakers, frames, options=ScoringOptions("linear"))
        np.testing.assert_allclose(found, exact, rtol=1e-4)


def test_what_does_not_fit():
    _, gmm, speakers = draw(1)
    nothing = Statistics.zero(gmm)
    with pytest.raises(DataError, match=r"test 0 \(counting from 0\) has no frames"):
        linear_scores(gmm, speakers.means, [nothing])
    with pytest.raises(DataError, match=r"means must be \(3, 6, 4\), got \(3, 6, 3\)"):
        linear_scores(gmm, speakers.means[..., :3], [nothing])
    with pytest.raises(DataError, match="channel_offsets must be"):
        linear_scores(gmm, speakers.means, [nothing], False, np.zeros((2, 6, 4)))
    empty = np.empty((0, 4), np.float32)
    with pytest.raises(DataError, match="a test must have one frame at least"):
        log_likelihood_ratios(speakers, empty, options=ScoringOptions("linear"))
