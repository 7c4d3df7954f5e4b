"""Fast EM: against the plain formulas, against dense EM, and against itself on more threads."""

from dataclasses import replace

import numpy as np
import pytest
from fast_jobs import allow_small_jobs, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    ChunkSource,
    DiagonalGMM,
    EmOptions,
    collector,
    fit,
    log_density,
    posteriors,
)
from voicegmm.mixture.collection import WORK_ITEM
from voicegmm.mixture.fast import FastOptions, fast_fit, grow, growth_frames, pays, split, training
from voicegmm.mixture.fast.collection import ShortListCollector
from voicegmm.mixture.fast.groups import grouped
from voicegmm.mixture.fast.passes import GroupedStep, ShortStep
from voicegmm.mixture.fast.training import growth_sizes
from voicegmm.mixture.statistics import EStep

FLOAT32 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch):
    allow_small_jobs(monkeypatch)


def restricted(gmm, frames, short, weights=None):
    """Statistics by the definition, each frame with the components of its list alone."""
    x = frames.astype(np.float64)
    logs = np.log(gmm.weights) - 0.5 * np.log(2 * np.pi * gmm.variances).sum(axis=1)
    counts = np.zeros(gmm.n_components)
    first, second = np.zeros_like(gmm.means), np.zeros_like(gmm.means)
    density = np.empty(len(x))
    for t, frame in enumerate(x):
        ids = short.ids[t, : short.n_ids[t]].astype(int)
        joint = logs[ids] - 0.5 * ((frame - gmm.means[ids]) ** 2 / gmm.variances[ids]).sum(axis=1)
        density[t] = np.logaddexp.reduce(joint)
        share = np.exp(joint - density[t]) * (1 if weights is None else weights[t])
        counts[ids] += share
        first[ids] += share[:, None] * frame
        second[ids] += share[:, None] * frame**2
    return counts, first, second, density


def listed(step, frames, n_listed, keep, weights=None, first=0):
    """Statistics with all components near, and the lists that are made on the way."""
    groups = grouped(step.gmm, step.gmm.n_components, 1.0)
    options = FastOptions(n_listed=n_listed, keep=keep, least=0)
    return GroupedStep.of(step, groups).sums(frames, weights, options, first)


def test_with_all_components_near_the_likelihood_is_exact_and_whose_posteriors_count_is_listed():
    gmm, frames = draw(1)
    step = EStep.of(gmm, FLOAT32, len(frames))
    sums, short = listed(step, frames, 5, 1e-3)
    assert sums.log_likelihood == pytest.approx(step.sums(frames, None).log_likelihood, rel=1e-6)
    exact = posteriors(gmm, frames.astype(np.float64))
    relative = exact / exact.max(axis=1, keepdims=True)
    for row, ids, n in zip(relative, short.ids, short.n_ids, strict=True):
        found = set(ids[:n].tolist())
        assert len(found) == n <= 5
        assert row.argmax() in found
        assert set(np.flatnonzero(row > 0.5).tolist()) <= found
        if (row > 0.999e-3).sum() <= 5:
            assert set(np.flatnonzero(row > 1.001e-3).tolist()) <= found
            assert found <= set(np.flatnonzero(row > 0.999e-3).tolist())


def test_with_all_components_near_and_listed_statistics_are_dense_ones():
    gmm, frames = draw(1)
    step = EStep.of(gmm, FLOAT32, len(frames))
    found, dense = listed(step, frames, 20, 1e-30)[0], step.sums(frames, None)
    np.testing.assert_allclose(found.moments, dense.moments, rtol=1e-4, atol=1e-2)


def test_equal_components_fill_a_list_and_no_more():
    means = np.zeros((40, 3))
    gmm = DiagonalGMM(np.full(40, 1 / 40), means, np.ones((40, 3)))
    frames = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    _, short = listed(EStep.of(gmm, FLOAT32, 50), frames, 8, 1e-4)
    assert (short.n_ids == 8).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_pass_over_short_lists_gives_what_the_definition_does(weighted):
    gmm, frames = draw(2, 800, offset=50)
    weights = np.random.default_rng(3).uniform(0, 1, len(frames)) if weighted else None
    step = EStep.of(gmm, FLOAT32, len(frames))
    _, short = listed(step, frames, 6, 1e-3, weights)
    sums, truncated = ShortStep.of(step).sums(frames, weights, short, 0.0)
    found = step.statistics(sums)
    counts, first, second, density = restricted(gmm, frames, short, weights)
    np.testing.assert_allclose(truncated, density, rtol=1e-5)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.first, first, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found.second, second, rtol=1e-4, atol=1)
    weighted_density = density if weights is None else weights @ density
    np.testing.assert_allclose(found.log_likelihood, np.sum(weighted_density), rtol=1e-5)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_listed=st.integers(1, 20),
    keep=st.floats(1e-6, 1),
    least=st.floats(0, 1),
)
def test_a_truncated_likelihood_is_a_bound_and_no_frame_is_lost(seed, n_listed, keep, least):
    gmm, frames = draw(seed, 300, offset=10)
    step = EStep.of(gmm, FLOAT32, len(frames))
    _, short = listed(step, frames, n_listed, keep)
    sums, truncated = ShortStep.of(step).sums(frames, None, short, least)
    exact = log_density(gmm, frames.astype(np.float64))
    assert (truncated <= exact + 2e-5 * (1 + abs(exact))).all()
    assert step.statistics(sums).counts.sum() == pytest.approx(len(frames), rel=1e-5)
    if n_listed == 20 and keep < 1e-5 and least < 1e-5:
        np.testing.assert_allclose(truncated, exact, rtol=2e-4)


def test_frames_that_single_precision_cannot_hold_are_worked_exactly():
    gmm, frames = draw(4, 100)
    frames[17] = 1e25
    step = EStep.of(gmm, FLOAT32, len(frames))
    _, short = listed(step, frames, 8, 1e-4)
    sums, truncated = ShortStep.of(step).sums(frames, None, short, 0.0)
    exact = log_density(gmm, frames.astype(np.float64))
    np.testing.assert_allclose(truncated[17], exact[17], rtol=1e-12)
    assert sums.moments[:, -1].sum() == pytest.approx(100, rel=1e-5)


def test_a_frame_that_is_not_finite_is_named():
    gmm, frames = draw(5, 3000)
    step = EStep.of(gmm, FLOAT32, len(frames))
    _, short = listed(step, frames, 8, 1e-4)
    frames[2500, 1] = np.nan
    with pytest.raises(DataError, match="number 3500"):
        ShortStep.of(step).sums(frames, None, short, 0.0, first=1000)
    with pytest.raises(DataError, match="number 3500"):
        listed(step, frames, 8, 1e-4, first=1000)


@pytest.fixture(scope="module")
def many():
    _, frames = draw(6, WORK_ITEM + 5000)
    start = DiagonalGMM(
        np.full(32, 1 / 32), frames[:32], np.tile(frames.var(axis=0, dtype=float), (32, 1))
    )
    return frames, start


EM = EmOptions(n_iterations=8, tolerance=0)


def same(found, expected):
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(found.gmm, name), getattr(expected.gmm, name))
    lines = [
        [(line.log_likelihood, line.loss, line.loss_error) for line in one.iterations]
        for one in (found, expected)
    ]
    np.testing.assert_array_equal(*lines)  # NaN where nobody looked


def test_workers_and_readers_do_not_change_a_bit(many):
    frames, start = many
    em = EmOptions(n_iterations=3, tolerance=0)
    alone = fast_fit(start, ArraySource(frames), em)
    for n_workers in (2, 8):
        same(fast_fit(start, ArraySource(frames), em, n_workers=n_workers), alone)
    chunks = ChunkSource([frames[:777], frames[777:30_000], frames[30_000:]])
    weighed = ArraySource(frames, np.ones(len(frames)))
    same(fast_fit(start, chunks, em, n_workers=2), fast_fit(start, weighed, em))


def test_full_passes_alone_are_dense_em(many):
    frames, start = many
    em = EmOptions(n_iterations=4, tolerance=0)
    same(
        fast_fit(start, ArraySource(frames), em, FastOptions(n_short=0)),
        fit(start, collector(ArraySource(frames)), em),
    )


def test_short_passes_are_told_from_exact_ones_and_come_as_far(many):
    frames, start = many
    shown = []
    found = fast_fit(start, ArraySource(frames), EM, None, 1, lambda *line: shown.append(line))
    dense = fit(start, collector(ArraySource(frames)), EM)
    kinds = "".join("f" if line.exact else "s" for line in found.iterations)
    assert kinds == "sssssssf"
    assert [number for number, _ in shown] == list(range(1, 9))
    audited = [np.isfinite(line.loss) for line in found.iterations]
    assert audited == [False, False, False, True, False, False, True, True]
    assert not found.warnings
    reached, expected = (one.iterations[-1].log_likelihood for one in (found, dense))
    assert abs(reached - expected) < 0.1
    exact = log_density(found.gmm, frames).mean()
    assert exact >= reached - 1e-6


def test_the_audit_tells_the_loss(many):
    frames, start = many
    options = FastOptions(n_listed=2, keep=0.5, least=0.5, audit_frames=10_000)
    collect = ShortListCollector(ArraySource(frames), options)
    exact = collect.full(start).log_likelihood / len(frames)
    collect.grouped(start, start.n_components)
    statistics, loss = collect.short(start, audit=True)
    truth = exact - statistics.log_likelihood / len(frames)
    assert truth > 0.01
    assert 0 < loss.error < 0.1 * truth
    assert abs(loss.mean - truth) < 4 * loss.error
    _, unseen = collect.short(start)
    assert np.isnan(unseen.mean)


def test_too_great_a_loss_makes_rounds_shorter_and_then_passes_full(many):
    frames, start = many
    options = FastOptions(max_loss=1e-9, n_listed=2, keep=0.5, n_short=4)
    found = fast_fit(start, ArraySource(frames), EmOptions(n_iterations=12, tolerance=0), options)
    kinds = "".join("f" if line.exact else "s" for line in found.iterations)
    assert kinds == "ssssssssssff"  # rounds of five, three, two


def test_it_stops_at_a_full_pass_that_gained_little(many):
    frames, start = many
    found = fast_fit(start, ArraySource(frames), EmOptions(n_iterations=50, tolerance=0.01))
    assert found.converged
    assert found.iterations[-1].exact
    assert found.iterations[-2].exact  # a round of full and short passes has not converged yet


@pytest.mark.slow
def test_it_comes_to_rest_where_dense_em_does(many):
    frames, start = many
    dense = fit(start, collector(ArraySource(frames)), EmOptions(n_iterations=99, tolerance=1e-3))
    found = fast_fit(start, ArraySource(frames), EmOptions(n_iterations=99, tolerance=1e-3))
    ends = [one.iterations[-1].log_likelihood for one in (found, dense)]
    assert ends[0] == pytest.approx(ends[1], abs=0.02)


def test_an_interrupted_fit_goes_on_with_the_same_bits(many):
    frames, start = many
    options = FastOptions(max_loss=1e-9, n_listed=2, keep=0.5, n_short=4)
    kept = []
    whole = fast_fit(start, ArraySource(frames), EM, options, keep=kept.append)
    assert [len(one.iterations) for one in kept] == [5]
    same(fast_fit(start, ArraySource(frames), EM, options, earlier=kept[0]), whole)


def test_little_memory_is_refused(many):
    frames, start = many
    collect = ShortListCollector(ArraySource(frames), FastOptions(), memory_mb=1)
    with pytest.raises(OptionError, match="memory_mb must be at least .* got 1;"):
        collect.full(start)


def test_splitting_keeps_weight_and_mean_and_takes_the_heaviest():
    gmm, _ = draw(7, 10)
    made = split(gmm, 27, np.random.default_rng(0))
    heavy = np.sort(np.argsort(-gmm.weights)[:7])
    assert made.n_components == 27
    np.testing.assert_allclose(made.spread()[0], gmm.spread()[0], rtol=1e-12)
    np.testing.assert_allclose(made.weights[20:], gmm.weights[heavy] / 2)
    apart = (made.means[heavy] - made.means[20:]) / np.sqrt(gmm.variances[heavy])
    np.testing.assert_allclose(abs(apart), 0.5)
    others = np.setdiff1d(np.arange(20), heavy)
    np.testing.assert_array_equal(made.means[others], gmm.means[others])


def test_growth_goes_by_doubling():
    assert growth_sizes(512, 64) == [64, 128, 256, 512]
    assert growth_sizes(1000, 64) == [63, 125, 250, 500, 1000]
    assert growth_sizes(5, 64) == [5]
    assert [growth_frames(n, FastOptions()) for n in (64, 2048, 65_536)] == [20_000, 409_600, 2**19]


def test_a_grown_mixture_is_a_good_start():
    _, frames = draw(8, 20_000)
    options = FastOptions(grow_from=8)
    grown = grow(frames, 50, np.random.default_rng(1), options)
    again = grow(frames, 50, np.random.default_rng(1), options, n_workers=2)
    np.testing.assert_array_equal(grown.means, again.means)
    assert grown.n_components == 50
    variances = np.tile(frames.var(axis=0, dtype=float), (50, 1))
    flat = DiagonalGMM(np.full(50, 1 / 50), frames[:50], variances)
    two = EmOptions(n_iterations=2, tolerance=0)
    from_flat = fit(flat, collector(ArraySource(frames)), two).gmm
    assert log_density(grown, frames).mean() > log_density(from_flat, frames).mean()


@pytest.mark.parametrize("all_near", [0, 48])
def test_growth_trains_its_last_level_too_and_visits_few_components(all_near, monkeypatch):
    monkeypatch.setattr(training, "_DENSE_UP_TO", 12)
    _, frames = draw(9, 4000)
    options = FastOptions(grow_from=12, n_near=4, all_near=all_near)
    grown = grow(frames, 48, np.random.default_rng(1), options)
    halves = np.isin(grown.variances[24:], grown.variances[:24]).all(axis=1)
    assert not halves.any()
    as_few = grow(frames, 48, np.random.default_rng(1), replace(options, all_near=0))
    np.testing.assert_array_equal(grown.means, as_few.means)


def test_up_to_so_many_components_all_are_near():
    options = FastOptions(n_near=128, near_part=16, all_near=2048)
    assert [options.near(n) for n in (300, 2048, 2049, 8192)] == [300, 2048, 128, 512]
    assert [replace(options, all_near=0).near(n) for n in (512, 513, 2048)] == [512, 128, 128]


def test_small_jobs_are_dense(many, monkeypatch):
    frames, start = many
    monkeypatch.setattr(training, "_DENSE_UP_TO", 256)
    em = EmOptions(n_iterations=2)
    same(
        fast_fit(start, ArraySource(frames), em),
        fit(start, collector(ArraySource(frames)), em),
    )


def test_it_pays_where_components_dimensions_and_frames_are_many():
    assert pays(512, 60, 51_200)
    assert not pays(256, 60, 10**6)
    assert not pays(512, 20, 10**6)
    assert not pays(512, 60, 51_199)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "fats"),
        ("n_listed", 0),
        ("n_listed", 254),
        ("keep", 0.0),
        ("least", 1.5),
        ("n_short", -1),
        ("max_loss", 0.0),
        ("audit_frames", 1),
        ("grow_from", 0),
        ("grow_frames", 0),
        ("grow_iterations", 0),
    ],
)
def test_options_are_checked(name, value):
    with pytest.raises(OptionError, match=f"{name} must be"):
        FastOptions(**{name: value})
