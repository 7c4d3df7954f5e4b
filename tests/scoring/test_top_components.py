"""Ratios of the best components: against loops, against the exact ratio, and their laws."""

import numpy as np
import pytest
import small_speakers
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import MeanShifts, density, sample, soft_labels
from voicegmm.scoring import ScoringOptions, log_likelihood_ratios
from voicegmm.scoring.top_components import PANEL, TopShifts

F32 = np.dtype(np.float32)


def made(seed, n_speakers=3, **shape):
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng, **shape)
    speakers, _ = small_speakers.draw_speakers(rng, gmm, n_speakers)
    return rng, gmm, speakers


def forced(monkeypatch, gmm, speakers, n_top, side_by_side=False):
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    top = TopShifts.of(gmm, speakers.means, F32, 1, n_top, side_by_side)
    assert top.kernel is not None
    return top


def by_loops(gmm, means, frames, weights, n_top):
    base = small_speakers.joint_by_loops(gmm, gmm.means, frames)
    joint = small_speakers.joint_by_loops(gmm, means, frames)
    total = 0.0
    for t in range(len(frames)):
        best = sorted(range(gmm.n_components), key=lambda k: -base[t, k])[:n_top]
        of_speaker = np.log(sum(np.exp(joint[t, k] - base[t].max()) for k in best))
        of_background = np.log(sum(np.exp(base[t, k] - base[t].max()) for k in best))
        total += weights[t] * (of_speaker - of_background)
    return total / sum(weights)


@pytest.mark.parametrize("n_top", [1, 2, 5])
@pytest.mark.parametrize("way", ["plain", "one by one", "side by side"])
def test_the_definition_by_loops(monkeypatch, way, n_top):
    rng, gmm, speakers = made(1)
    frames = sample(gmm, 20, rng)[0].astype(np.float32)
    weights = rng.uniform(0.2, 1, 20)
    if way == "plain":
        top = TopShifts.of(gmm, speakers.means, F32, 1, n_top)
        assert top.kernel is None
    else:
        top = forced(monkeypatch, gmm, speakers, n_top, way == "side by side")
    expected = [by_loops(gmm, means, frames, weights, n_top) for means in speakers.means]
    found = top.scores([(frames, weights)], np.arange(3))
    np.testing.assert_allclose(found[0], expected, atol=1e-4)  # means near 50, in float32


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_all_components_are_the_exact_ratio(seed, dtype):
    rng, gmm, speakers = made(seed)
    frames = sample(gmm, 60, rng)[0].astype(dtype)
    weights = rng.uniform(0.1, 1, 60)
    exact = log_likelihood_ratios(speakers, frames, weights)
    for n_top in (gmm.n_components, 1000):
        options = ScoringOptions("top", n_top)
        top = log_likelihood_ratios(speakers, frames, weights, options=options)
        np.testing.assert_allclose(top, exact, atol=2e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_it_exceeds_the_exact_ratio_by_no_more_than_the_background_loses(seed, n_top):
    """P and Q are left of p and q; P <= p, so that log(P / Q) <= log(p / q) + log(q / Q)."""
    rng, gmm, speakers = made(seed)
    frames = sample(gmm, 30, rng)[0]
    lost = -np.log(soft_labels(gmm, frames, n_top).kept).mean()
    top = log_likelihood_ratios(speakers, frames, options=ScoringOptions("top", n_top))
    assert (top <= log_likelihood_ratios(speakers, frames) + lost + 1e-9).all()


@settings(max_examples=15)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_the_compiled_ways_agree_with_numpy(seed, n_components, n_dims, n_top):
    n_speakers = PANEL + 3
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng, n_components, n_dims)
    means = (gmm.means + 0.3 * rng.standard_normal((n_speakers, *gmm.means.shape))).astype("f4")
    tests = [(sample(gmm, n, rng)[0].astype("f4"), None) for n in (7, 1, 30)]
    tests[1] = (tests[1][0], np.array([0.5]))
    rows = np.sort(rng.choice(n_speakers, 20, replace=False))
    plain = TopShifts.of(gmm, means, F32, 1, n_top).scores(tests, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(density, "FUSED_FROM", 0)
        for side_by_side in (False, True):
            top = TopShifts.of(gmm, means, F32, 1, n_top, side_by_side)
            found = top.scores(tests, rows)
            # The choice between components that are equal to float32 may differ.
            np.testing.assert_allclose(found, plain, atol=2e-3)
            assert np.abs(found - plain).mean() < 1e-4
            every = top.scores(tests, np.arange(n_speakers))
            np.testing.assert_allclose(every[:, rows], found, atol=1e-6)


def test_many_blocks_and_ragged_tests(monkeypatch):
    rng, gmm, speakers = made(5, 5)
    top = forced(monkeypatch, gmm, speakers, 3)
    tests = [(sample(gmm, n, rng)[0].astype("f4"), None) for n in (700, 900, 1, 1500)]
    together = top.scores(tests, np.arange(5))
    for number, test in enumerate(tests):
        np.testing.assert_allclose(together[number], top.scores([test], np.arange(5))[0], atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_frames_that_single_precision_cannot_hold(monkeypatch, compiled):
    rng, gmm, speakers = made(7)
    frames = sample(gmm, 10, rng)[0].astype(np.float32)
    frames[3] = 3e19  # its square is not a float32
    if compiled:
        monkeypatch.setattr(density, "FUSED_FROM", 0)
    top = TopShifts.of(gmm, speakers.means, F32, 1, 6)
    exact = MeanShifts.of(gmm, speakers.means, F32, 1).mean_ratios(frames, None, np.arange(3))
    found = top.scores([(frames, None)], np.arange(3))[0]
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-6)


def test_what_cannot_be_scored():
    _, gmm, speakers = made(9)
    bad = np.zeros((4, 4), np.float32)
    bad[2, 1] = np.nan
    with pytest.raises(DataError, match="the first is number 2"):
        log_likelihood_ratios(speakers, bad, options=ScoringOptions("top"))
    with pytest.raises(OptionError, match="n_top must be at least 1, got 0"):
        ScoringOptions("top", 0)
    with pytest.raises(OptionError, match="n_top must be between 1 and inf, got 0"):
        TopShifts.of(gmm, speakers.means, F32, 1, 0)


def test_the_kernel_finds_the_best_in_order():
    from voicegmm.mixture import kernel

    rng = np.random.default_rng(3)
    joint = rng.integers(-20, 20, (50, 133)).astype(np.float32)  # with many ties
    components, values = np.empty((50, 17), np.int32), np.empty((50, 17), np.float32)
    assert kernel.best(joint, joint.view(np.int32), components, values) == 0
    expected = np.argsort(-joint, axis=1, kind="stable")[:, :17]
    np.testing.assert_array_equal(components, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(joint, expected, axis=1))
    joint[[4, 9], [3, 132]] = np.nan, -np.inf
    assert kernel.best(joint, joint.view(np.int32), components, values) == 2
