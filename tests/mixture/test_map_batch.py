"""Many recordings in one call: each as if it were alone."""

import numpy as np
import pytest

from voicegmm._base.errors import DataError
from voicegmm.mixture import (
    ArraySource,
    ChunkSource,
    DiagonalGMM,
    MapOptions,
    SphericalGMM,
    accumulate,
    accumulate_each,
    adapt,
    adapt_all,
    adapt_iterated,
    collector,
    cut,
    density,
    sample,
)

NAMES = ("counts", "first", "second", "log_likelihood", "n_frames")


def world(seed=0, n_components=5, n_dims=3, n_recordings=9, dtype=np.float32):
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        3 * rng.standard_normal((n_components, n_dims)) + 20,
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )
    each = [
        (sample(gmm, int(n), rng)[0] + rng.standard_normal(n_dims)).astype(dtype)
        for n in rng.integers(20, 200, n_recordings)
    ]
    return rng, gmm, each


@pytest.fixture(params=["plain", "compiled"])
def e_step(request, monkeypatch):
    if request.param == "compiled":
        monkeypatch.setattr(density, "FUSED_FROM", 0)
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_of_each_are_those_of_it_alone(dtype, e_step):
    rng, gmm, each = world(dtype=dtype)
    weights = [None if i % 2 else rng.uniform(0, 1, len(x)) for i, x in enumerate(each)]
    sources = [ArraySource(x, w) for x, w in zip(each, weights, strict=True)]
    found = list(accumulate_each(gmm, sources))
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    for statistics, x, w in zip(found, each, weights, strict=True):
        alone = accumulate(gmm, x.astype(float), w)
        for name in NAMES:
            ours, exact = getattr(statistics, name), getattr(alone, name)
            # Relative to the recording's whole: a posterior near 0 has few digits in float32.
            scale = np.abs(exact).max()
            np.testing.assert_allclose(ours, exact, rtol=rtol, atol=rtol * scale)


def test_neither_workers_nor_neighbors_change_a_bit(e_step):
    _, gmm, each = world(1, n_recordings=40)
    sources = [ArraySource(x) for x in each]
    one = list(accumulate_each(gmm, sources))
    for other in (accumulate_each(gmm, sources, 3), accumulate_each(gmm, sources[:7], 2)):
        for a, b in zip(one, other, strict=False):
            for name in NAMES:
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_recording_of_several_work_items_and_one_of_nothing():
    _, gmm, _ = world(2)
    frames = sample(gmm, 70_000, np.random.default_rng(0))[0]
    long, empty = accumulate_each(gmm, [ArraySource(frames), ArraySource(frames[:0])])
    np.testing.assert_allclose(long.first, accumulate(gmm, frames).first, rtol=1e-11)
    assert long.n_frames == 70_000
    assert empty.n_frames == 0
    assert (empty.counts == 0).all()


def test_no_recordings_give_no_statistics():
    _, gmm, _ = world()
    assert list(accumulate_each(gmm, [])) == []


def test_a_bad_frame_in_one_recording_is_refused(e_step):
    _, gmm, each = world()
    each[3][1, 0] = np.nan
    with pytest.raises(DataError, match="NaN or an infinity"):
        list(accumulate_each(gmm, [ArraySource(x) for x in each], 2))


@pytest.mark.parametrize(
    "options",
    [
        MapOptions(),
        MapOptions(relevance=4, variances=True, weights=True),
        MapOptions(means=False, weights=True),
        MapOptions(rule="fixed", alpha=0.3, variances=True),
        MapOptions(rule="kaldi", variances=True, weights=True),
    ],
    ids=["means", "all", "weights", "fixed", "kaldi"],
)
def test_each_model_of_a_batch_is_adapt_of_its_recording(options, e_step):
    _, gmm, each = world(4)
    each.append(np.empty((0, gmm.n_dims), np.float32))
    adapted = adapt_all(gmm, [ArraySource(x) for x in each], options, n_workers=2)
    assert adapted.means.dtype == np.float32
    assert len(adapted) == len(each)
    for number, x in enumerate(each):
        statistics = accumulate(gmm, x.astype(float))
        exact, model = adapt(gmm, statistics, options), adapted.model(number)
        np.testing.assert_allclose(adapted.counts[number], statistics.counts, rtol=1e-4, atol=1e-4)
        for name in ("means", "variances", "weights"):
            np.testing.assert_allclose(
                getattr(model, name), getattr(exact, name), rtol=2e-5, atol=1e-6
            )
    np.testing.assert_array_equal(adapted.n_frames, [len(x) for x in each])
    assert (adapted.variances is None) == (not options.variances)
    assert (adapted.weights is None) == (not options.weights)


def test_workers_and_neighbors_do_not_change_a_bit_of_a_model(e_step):
    _, gmm, each = world(5, n_recordings=30)
    sources = [ArraySource(x) for x in each]
    told = []
    one = adapt_all(gmm, sources, progress=told.append)
    assert told == list(range(1, 31))
    for other in (adapt_all(gmm, sources, n_workers=3), adapt_all(gmm, sources[:4], n_workers=2)):
        np.testing.assert_array_equal(other.means, one.means[: len(other)])
        np.testing.assert_array_equal(other.counts, one.counts[: len(other)])


def test_a_small_batch_and_a_large_one_differ_by_rounding_alone(monkeypatch):
    _, gmm, each = world(6)
    sources = [ArraySource(x) for x in each]
    plain = adapt_all(gmm, sources)
    monkeypatch.setattr(density, "FUSED_FROM", sum(map(len, each)) * gmm.n_components)
    compiled, alone = adapt_all(gmm, sources), adapt_all(gmm, sources[:1])
    np.testing.assert_array_equal(alone.means[0], plain.means[0])
    assert (compiled.means != plain.means).any()
    np.testing.assert_allclose(compiled.means, plain.means, rtol=2e-6, atol=2e-6)


def test_parts_of_one_source_are_as_recordings():
    _, gmm, each = world(7)
    weights = [np.linspace(0.1, 1, len(x)) for x in each]
    whole = ArraySource(np.concatenate(each), np.concatenate(weights))
    parts = cut(whole, np.cumsum([0, *map(len, each)]))
    ours = adapt_all(gmm, parts, n_workers=2)
    theirs = adapt_all(gmm, [ArraySource(*pair) for pair in zip(each, weights, strict=True)])
    np.testing.assert_array_equal(ours.means, theirs.means)
    assert [part.n_frames for part in parts] == [len(x) for x in each]
    assert parts[0].n_dims == gmm.n_dims
    # A part ends where it ends.
    assert len(parts[2].read(1, 10**6)[0]) == len(each[2]) - 1


def test_more_iterations_are_adapt_iterated_of_each():
    _, gmm, each = world(8, dtype=np.float64)
    options = MapOptions(relevance=3, variances=True, n_iterations=3)
    adapted = adapt_all(gmm, [ArraySource(x) for x in each], options, 2)
    for number, x in enumerate(each):
        exact, statistics = adapt_iterated(gmm, collector(ArraySource(x)), options)
        np.testing.assert_allclose(adapted.model(number).means, exact.means, rtol=1e-6)
        np.testing.assert_allclose(adapted.model(number).variances, exact.variances, rtol=1e-6)
        np.testing.assert_array_equal(adapted.counts[number], statistics.counts)


def test_a_spherical_batch_stays_spherical():
    _, gmm, each = world(9)
    prior = SphericalGMM(gmm.weights, gmm.means, gmm.variances.mean(axis=1))
    options = MapOptions(variances=True)
    adapted = adapt_all(prior, [ArraySource(x) for x in each], options)
    exact = adapt(prior, accumulate(prior, each[2]), options)
    assert isinstance(adapted.model(2), SphericalGMM)
    np.testing.assert_allclose(adapted.model(2).variances, exact.variances, rtol=1e-5)


def test_offsets_that_cannot_be_are_refused():
    source = ArraySource(np.zeros((10, 2)))
    with pytest.raises(DataError, match="at most 10, the frames there are; they go from 0 to 11"):
        cut(source, np.array([0, 5, 11]))
    with pytest.raises(DataError, match="offsets must rise"):
        cut(source, np.array([0, 5, 4]))
    with pytest.raises(DataError, match="whole numbers, one more than recordings, got float64"):
        cut(source, np.array([0.0, 5.0]))
    with pytest.raises(DataError, match="by several threads at once"):
        cut(ChunkSource([np.zeros((10, 2))]), np.array([0, 5]))
