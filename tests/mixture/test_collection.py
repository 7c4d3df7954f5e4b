"""Ways to collect statistics: they must differ in everything but the bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    ChunkSource,
    DiagonalGMM,
    EmOptions,
    FullGMM,
    accumulate,
    collector,
    density,
    fit,
)
from voicegmm.mixture.collection import WORK_ITEM

FIELDS = ("counts", "first", "second", "log_likelihood", "n_frames")


def random_gmm(rng, n_components=4, n_dims=5):
    return DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        rng.standard_normal((n_components, n_dims)),
        rng.uniform(0.5, 2, (n_components, n_dims)),
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((2 * WORK_ITEM + 5000, 5)).astype(np.float32)
    return random_gmm(rng), frames, rng.uniform(0, 1, len(frames))


def assert_same_bits(found, expected):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def uneven(frames, weights=None, seed=0):
    """Cut frames into chunks of random sizes, empty ones among them."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(frames), 20))
    for x, w in zip(
        np.split(frames, cuts),
        np.split(frames[:, 0] if weights is None else weights, cuts),
        strict=True,
    ):
        yield x if weights is None else (x, w)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_workers_chunks_and_memory_do_not_change_a_bit(data, weighted, compiled, monkeypatch):
    gmm, frames, weights = data
    monkeypatch.setattr(density, "FUSED_FROM", 1 if compiled else 2**60)
    weights = weights if weighted else None
    source = ArraySource(frames, weights)
    expected = collector(source)(gmm)
    chunks = ChunkSource(lambda: uneven(frames, weights))
    assert (chunks.n_frames, chunks.n_dims) == frames.shape
    for collect in (
        collector(source, 2),
        collector(source, 8),
        collector(source, 2, memory_mb=2),
        collector(source, memory_mb=1000),
        collector(chunks),
        collector(chunks, 3, memory_mb=40),
        collector(ChunkSource(list(uneven(frames, weights, seed=5)))),
    ):
        assert_same_bits(collect(gmm), expected)


@pytest.mark.slow
def test_processes_give_the_same_bits(data):
    gmm, frames, weights = data
    source = ArraySource(frames, weights)
    expected = collector(source)(gmm)
    for given_source in (source, ChunkSource(lambda: uneven(frames, weights))):
        collect = collector(given_source, 2, workers="processes", memory_mb=60)
        assert_same_bits(collect(gmm), expected)
        other = random_gmm(np.random.default_rng(9))  # a second pass must not see the first
        assert_same_bits(collect(other), collector(source)(other))
    bad = frames.copy()
    bad[WORK_ITEM + 77, 3] = np.nan
    with pytest.raises(DataError, match=f"the first is number {WORK_ITEM + 77} "):
        collector(ArraySource(bad), 2, workers="processes")(gmm)


def test_a_bad_frame_is_named_by_its_place_in_the_whole(data):
    gmm, frames, _ = data
    bad = frames.copy()
    bad[WORK_ITEM + 3000, 3] = np.inf
    for source in (ArraySource(bad), ChunkSource([bad[:100], bad[100:]])):
        with pytest.raises(DataError, match=f"the first is number {WORK_ITEM + 3000} "):
            collector(source, memory_mb=30)(gmm)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.data())
def test_chunks_read_as_one_array(sizes, data):
    total = sum(sizes)
    frames = np.arange(3.0 * total).reshape(-1, 3)
    source = ChunkSource(np.split(frames, np.cumsum(sizes)[:-1]))
    assert source.n_frames == total
    for _ in range(4):  # in any order, though rising is what is cheap
        start = data.draw(st.integers(0, total))
        stop = data.draw(st.integers(start, total))
        found, weights = source.read(start, stop)
        np.testing.assert_array_equal(found, frames[start:stop])
        assert (weights == 1).all()
        assert len(weights) == stop - start


def test_chunks_that_cannot_serve_are_refused():
    frames = np.zeros((10, 2))
    with pytest.raises(DataError, match="only once"):
        ChunkSource(iter([frames]))
    with pytest.raises(DataError, match="chunk 1 must have 2 columns as those before, got 3"):
        ChunkSource([frames, np.zeros((4, 3))])
    with pytest.raises(DataError, match="chunk 0 must be a matrix"):
        ChunkSource([np.zeros(4)])
    with pytest.raises(DataError, match="one a frame"):
        ChunkSource([(frames, np.ones(3))])
    supply = [[frames, frames], [frames, frames], [frames]]
    source = ChunkSource(lambda: supply.pop(0))
    with pytest.raises(DataError, match="20 frames at first and now 10"):
        collector(source)(DiagonalGMM([1.0], [[0.0, 0.0]], [[1.0, 1.0]]))


def test_a_limit_that_cannot_be_kept_is_refused_with_one_that_can(data):
    gmm, frames, _ = data
    with pytest.raises(OptionError, match=r"memory_mb must be at least \d+ for 4 components") as e:
        collector(ArraySource(frames), 2, memory_mb=0.1)(gmm)
    least = int(str(e.value).split("at least ")[1].split()[0])
    collector(ArraySource(frames), 2, memory_mb=least)(gmm)
    with pytest.raises(OptionError, match="workers"):
        collector(ArraySource(frames), 2, workers="fibers")


def test_an_interrupted_fit_goes_on_with_the_same_bits():
    rng = np.random.default_rng(3)
    frames = rng.standard_normal((500, 3))
    start, collect = random_gmm(rng, 5, 3), None
    collect = collector(ArraySource(frames))
    options = EmOptions(n_iterations=7, tolerance=0)
    kept = []
    whole = fit(start, collect, options, keep=kept.append)
    assert [len(result.iterations) for result in kept] == [1, 2, 3, 4, 5, 6, 7]
    for earlier in kept:
        seen = []
        again = fit(start, collect, options, lambda n, _: seen.append(n), earlier=earlier)  # noqa: B023
        assert seen == list(range(len(earlier.iterations) + 1, 8))
        np.testing.assert_array_equal(again.gmm.means, whole.gmm.means)
        np.testing.assert_array_equal(again.gmm.weights, whole.gmm.weights)
        np.testing.assert_array_equal(again.gmm.variances, whole.gmm.variances)
        assert [line.log_likelihood for line in again.iterations] == [
            line.log_likelihood for line in whole.iterations
        ]


def test_em_stops_at_a_gain_relative_to_the_likelihood():
    rng = np.random.default_rng(8)
    frames = rng.standard_normal((400, 2)) * 1e3
    frames[:200] += 4000
    start = DiagonalGMM([0.5, 0.5], [[0, 0], [9e3, 9e3]], np.full((2, 2), 1e6))
    collect = collector(ArraySource(frames))
    whole = fit(start, collect, EmOptions(30, tolerance=0))
    likelihoods = np.array([line.log_likelihood for line in whole.iterations])
    gains = np.diff(likelihoods) / np.abs(likelihoods[:-1])
    for share in (1e-3, 1e-5):
        result = fit(start, collect, EmOptions(30, tolerance=0, tolerance_relative=share))
        assert result.converged
        assert len(result.iterations) == 2 + int(np.flatnonzero(gains < share)[0])
    assert not fit(start, collect, EmOptions(3, tolerance=0)).converged


def test_the_record_tells_what_was_floored_where_and_who_is_dead():
    rng = np.random.default_rng(2)
    frames = np.concatenate([rng.standard_normal((300, 2)), 50 + rng.standard_normal((100, 2))])
    frames[300:, 1] = 7.0  # the second cluster is flat in its second dimension
    start = DiagonalGMM([0.5, 0.3, 0.2], [[0, 0], [50, 7], [900, 0]], np.ones((3, 2)))
    options = EmOptions(n_iterations=2, tolerance=0, variance_floor=1e-3)
    line = fit(start, collector(ArraySource(frames)), options).iterations[-1]
    np.testing.assert_allclose(line.counts, [300, 100, 0], atol=1e-6)
    np.testing.assert_array_equal(line.floored, [0, 1, 0])
    np.testing.assert_array_equal(line.floored_dims, [0, 1])
    np.testing.assert_array_equal(line.starved, [False, False, True])


def test_a_falling_likelihood_is_told():
    rng = np.random.default_rng(4)
    frames = np.concatenate([rng.normal(0, 0.01, (200, 1)), rng.normal(9, 1, (200, 1))])
    start = DiagonalGMM([0.5, 0.5], [[0.0], [9.0]], [[1e-4], [1.0]])
    options = EmOptions(n_iterations=3, tolerance=0, variance_floor=0.5)
    result = fit(start, collector(ArraySource(frames)), options)
    assert any("the likelihood fell by" in text for text in result.warnings)
    assert any("moved to a bound" in text for text in result.warnings)
    clean = fit(start, collector(ArraySource(frames)), EmOptions(3, 0, variance_floor=0))
    assert clean.warnings == ()


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4096, 80), (2048, 80), (4096, 1)])
def test_the_largest_models_agree_with_double_precision(shape):
    """Statistics by components and dimensions of the largest size that is promised."""
    n_components, n_dims = shape
    rng = np.random.default_rng(5)
    gmm = DiagonalGMM(
        rng.dirichlet(np.full(n_components, 5.0)),
        3 * rng.standard_normal((n_components, n_dims)),
        rng.uniform(0.5, 2, (n_components, n_dims)),
    )
    frames = (3 * rng.standard_normal((20_000, n_dims))).astype(np.float32)
    found = collector(ArraySource(frames), 2)(gmm)
    exact = accumulate(gmm, frames.astype(np.float64))
    assert abs(found.log_likelihood / exact.log_likelihood - 1) < 1e-6
    alive = exact.counts > 1
    np.testing.assert_allclose(found.counts[alive], exact.counts[alive], rtol=3e-4)
    np.testing.assert_allclose(found.second[alive], exact.second[alive], rtol=3e-4)
    bound = np.sqrt(exact.counts[:, None] * exact.second)[alive]
    assert (np.abs(found.first - exact.first)[alive] <= 3e-4 * bound).all()
    assert found.counts.sum() == pytest.approx(len(frames), rel=1e-6)
    updated = fit(gmm, collector(ArraySource(frames), 2), EmOptions(1)).gmm
    assert np.isfinite(updated.variances).all()


def test_a_full_mixture_collects_in_parts_too():
    rng = np.random.default_rng(6)
    frames = rng.standard_normal((5000, 3))
    gmm = FullGMM([0.5, 0.5], rng.standard_normal((2, 3)), np.tile(np.eye(3), (2, 1, 1)))
    whole = collector(ArraySource(frames))(gmm)
    assert_same_bits(collector(ArraySource(frames), memory_mb=1.5)(gmm), whole)
