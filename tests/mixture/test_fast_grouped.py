"""Fast EM's grouped passes: groups by brute force, statistics by the definition."""

import fast_jobs
import numpy as np
import pytest
from fast_jobs import allow_small_jobs
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import ArraySource, DiagonalGMM, EmOptions, log_density
from voicegmm.mixture.em import Iteration
from voicegmm.mixture.fast import FastOptions, fast_fit
from voicegmm.mixture.fast.collection import ShortListCollector
from voicegmm.mixture.fast.groups import grouped
from voicegmm.mixture.fast.passes import GroupedStep
from voicegmm.mixture.fast.plan import next_pass
from voicegmm.mixture.statistics import EStep

FLOAT32 = np.dtype(np.float32)
ALL = FastOptions(n_listed=40, keep=1e-30, least=0)


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch):
    allow_small_jobs(monkeypatch)


def draw(seed, n_frames=1500, n_components=40, n_dims=4, offset=0.0):
    return fast_jobs.draw(seed, n_frames, n_components, n_dims, offset)


def joint_of(gmm, frames):
    x = frames[:, None].astype(np.float64)
    return (
        np.log(gmm.weights)
        - 0.5 * np.log(2 * np.pi * gmm.variances).sum(axis=1)
        - 0.5 * ((x - gmm.means) ** 2 / gmm.variances).sum(axis=2)
    )


def divergence(gmm, a, b):
    """The symmetric Kullback-Leibler divergence of two components, by the textbook."""
    v, w, gap = gmm.variances[a], gmm.variances[b], (gmm.means[a] - gmm.means[b]) ** 2
    return 0.5 * ((v + gap) / w + (w + gap) / v - 2).sum()


def test_near_components_are_those_of_least_divergence_from_a_member():
    gmm, _ = draw(1, offset=30)
    groups = grouped(gmm, 12, 1.5)
    assert groups.near.shape == (len(groups.centers.weights), 12)
    assert groups.centers.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(groups.centers.spread(), gmm.spread(), rtol=1e-9)
    own = 0
    for near, weight in zip(groups.near, groups.centers.weights, strict=True):
        # Which of the near are members shows in their weights, no two sums of which are the same.
        members = members_of(gmm, near, weight)
        own += len(members)
        gaps = [min(divergence(gmm, m, k) for m in members) for k in range(40)]
        assert max(gaps[k] for k in near) <= min(
            gap for k, gap in enumerate(gaps) if k not in near
        ) * (1 + 1e-3)
    assert own == 40


def test_where_all_components_are_near_there_is_one_group():
    gmm, _ = draw(1)
    assert grouped(gmm, 40, 1.5).near.tolist() == [list(range(40))]


def members_of(gmm, near, weight):
    from itertools import combinations

    for size in range(1, 9):
        for some in combinations(near.tolist(), size):
            if abs(gmm.weights[list(some)].sum() - weight) < 1e-12:
                return some
    raise AssertionError("a group holds components that are not near it")


@pytest.mark.parametrize("weighted", [False, True])
def test_a_grouped_pass_gives_what_the_definition_does(weighted):
    gmm, frames = draw(2, offset=50)
    weights = np.random.default_rng(3).uniform(0, 1, len(frames)) if weighted else None
    step, groups = EStep.of(gmm, FLOAT32, len(frames)), grouped(gmm, 10, 1.5)
    sums, short = GroupedStep.of(step, groups).sums(frames, weights, ALL)
    found = step.statistics(sums)
    factors = np.ones(len(frames)) if weights is None else weights
    near = groups.near[joint_of(groups.centers, frames).argmax(axis=1)].astype(int)
    joint = np.take_along_axis(joint_of(gmm, frames), near, axis=1)
    log_density = np.logaddexp.reduce(joint, axis=1)
    dense = np.zeros((len(frames), 40))
    np.put_along_axis(dense, near, np.exp(joint - log_density[:, None]) * factors[:, None], axis=1)
    x = frames.astype(np.float64)
    np.testing.assert_allclose(found.log_likelihood, log_density @ factors, rtol=1e-5)
    np.testing.assert_allclose(found.counts, dense.sum(axis=0), rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(found.first, dense.T @ x, rtol=1e-3, atol=0.5)
    np.testing.assert_allclose(found.second, dense.T @ x**2, rtol=1e-3, atol=25)
    assert found.n_frames == pytest.approx(factors.sum())
    for row, ids, n in zip(near, short.ids, short.n_ids, strict=True):
        assert set(ids[:n].tolist()) <= set(row.tolist())


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1), n_near=st.integers(1, 40), factor=st.floats(0.2, 5))
def test_a_grouped_likelihood_is_a_bound_and_no_frame_is_lost(seed, n_near, factor):
    gmm, frames = draw(seed, 300, offset=10)
    step = EStep.of(gmm, FLOAT32, len(frames))
    options = FastOptions(n_listed=5)
    sums, short = GroupedStep.of(step, grouped(gmm, n_near, factor)).sums(frames, None, options)
    exact = log_density(gmm, frames.astype(np.float64)).sum()
    assert sums.log_likelihood <= exact + 1e-5 * abs(exact)
    assert step.statistics(sums).counts.sum() == pytest.approx(len(frames), rel=1e-5)
    assert (short.n_ids > 0).all()
    if n_near == 40:
        assert sums.log_likelihood == pytest.approx(exact, rel=1e-5)


def test_frames_far_away_are_worked_exactly_and_bad_ones_named():
    gmm, frames = draw(4, 100)
    frames[17] = 1e25
    step, groups = EStep.of(gmm, FLOAT32, len(frames)), grouped(gmm, 40, 1.0)
    sums, short = GroupedStep.of(step, groups).sums(frames, None, ALL)
    assert short.n_ids[17] == 0
    exact = log_density(gmm, frames.astype(np.float64)).sum()
    assert sums.log_likelihood == pytest.approx(exact, rel=1e-9)
    frames[23, 1] = np.nan
    with pytest.raises(DataError, match="number 1023"):
        GroupedStep.of(step, groups).sums(frames, None, ALL, first=1000)


def test_components_without_weight_and_equal_ones_can_be_grouped():
    gmm, frames = draw(5, 200)
    weights = np.where(np.arange(40) < 30, gmm.weights, 0)
    means = np.concatenate([gmm.means[:35], np.tile(gmm.means[:1], (5, 1))])
    odd = DiagonalGMM(weights / weights.sum(), means, gmm.variances)
    groups = grouped(odd, 40, 2.0)
    step = EStep.of(odd, FLOAT32, len(frames))
    sums, _ = GroupedStep.of(step, groups).sums(frames, None, ALL)
    exact = log_density(odd, frames.astype(np.float64)).sum()
    assert sums.log_likelihood == pytest.approx(exact, rel=1e-5)


GROUPED = FastOptions(n_near=9, all_near=0, max_loss=99, chunk_frames=1024)


def kinds(result):
    return "".join("f" if line.exact else "." for line in result.iterations)


def test_a_fit_by_groups_has_the_same_bits_for_any_workers_and_comes_as_far():
    gmm, frames = draw(6, 3000)
    em, start = EmOptions(7, tolerance=0), DiagonalGMM(gmm.weights, gmm.means, 2 * gmm.variances)
    fits = [fast_fit(start, ArraySource(frames), em, GROUPED, n) for n in (1, 2)]
    assert kinds(fits[0]) == "......f"
    for other in fits[1:]:
        np.testing.assert_array_equal(other.gmm.means, fits[0].gmm.means)
    dense = fast_fit(start, ArraySource(frames), em, FastOptions(n_short=0))
    lost = dense.iterations[-1].log_likelihood - fits[0].iterations[-1].log_likelihood
    assert lost < 0.05  # each frame is held to a quarter of the components
    kept = []
    fast_fit(start, ArraySource(frames), em, GROUPED, keep=kept.append)
    again = fast_fit(start, ArraySource(frames), em, GROUPED, earlier=kept[0])
    np.testing.assert_array_equal(again.gmm.means, fits[0].gmm.means)


def test_chunks_and_their_memory_count(monkeypatch):
    gmm, frames = draw(7, 5000)
    few = ShortListCollector(ArraySource(frames), GROUPED).grouped(gmm, 10)
    many = ShortListCollector(ArraySource(frames), FastOptions(n_near=10)).grouped(gmm, 10)
    np.testing.assert_allclose(few.first, many.first, rtol=1e-4, atol=1e-2)
    large = FastOptions(chunk_frames=10**6)
    with pytest.raises(OptionError, match="memory_mb must be at least .* in chunks of 1000000 "):
        ShortListCollector(ArraySource(frames), large, memory_mb=30).grouped(gmm, 10)


def line(log_likelihood, loss=np.nan):
    nothing = np.empty(0)
    error = 0.0 if loss == 0 else np.nan
    return Iteration(log_likelihood, nothing, nothing, nothing, nothing, 0.0, loss, error)


def planned(losses, n_passes, gain=1.0, **options):
    """Letters of the passes that follow, each with the next of the losses where it is audited."""
    options = FastOptions(n_short=2, max_loss=0.1, n_near=64, all_near=0, **options)
    em = EmOptions(tolerance=1)
    lines, letters, losses = [], "", iter(losses)
    for number in range(n_passes):
        plan = next_pass(lines, em, options, 512)
        if plan.converged:
            return letters
        letters += f"{plan.n_near} " if plan.kind == "grouped" else plan.kind[0]
        loss = 0 if plan.kind == "full" else np.nan
        if plan.n_short_left == 1:
            loss = next(losses, 0.05)
        lines.append(line(gain * number, loss))
    return letters


def test_losses_put_more_components_near_then_all_then_make_rounds_shorter():
    assert planned([], 9, gain=2) == "64 ss64 ss64 ss"
    assert planned([0.5, 0.5, 0.5, 0.5, 0.5, 0.5], 16, gain=2) == "64 ss128 ss256 ss512 ss512 sff"
    assert planned([0.5], 6, gain=2, near_part=1) == "512 ss512 s512 "


def test_rounds_without_gain_have_all_near_then_full_passes_alone_judge_convergence():
    assert planned([], 99, gain=0.5) == "64 ss64 ss512 ssff"
    assert planned([], 7, gain=-1) == "64 ss64 ss64 "


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_near", 0),
        ("near_part", 0),
        ("all_near", -1),
        ("group_factor", 0.0),
        ("chunk_frames", 1023),
    ],
)
def test_options_are_checked(name, value):
    with pytest.raises(OptionError, match=f"{name} must be"):
        FastOptions(**{name: value})
