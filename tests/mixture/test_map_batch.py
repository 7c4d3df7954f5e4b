"""Many recordings in one call: each as if it were alone."""

import numpy as np
import pytest

from voicegmm._base.errors import DataError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    accumulate,
    accumulate_each,
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
