import numpy as np
import pytest
from forging import altered
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import FormatError
from voicegmm.mixture import DiagonalGMM, FullGMM, Statistics, TiedGMM, accumulate
from voicegmm.store import describe, load, save, save_statistics

EYE = np.eye(2)
MIXTURES = [
    DiagonalGMM([0.5, 0.5], EYE, EYE + 1),
    FullGMM([0.5, 0.5], EYE, [EYE, 2 * EYE]),
    TiedGMM([0.5, 0.5], EYE, EYE),
]
ARRAYS = ("counts", "first", "second")


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1), st.sampled_from(MIXTURES), st.integers(0, 9))
def test_what_two_machines_collect_adds_up(tmp_path_factory, seed, gmm, n_frames):
    folder = tmp_path_factory.mktemp("statistics")
    frames = np.random.default_rng(seed).standard_normal((2 * n_frames, 2))
    halves = [accumulate(gmm, part) for part in np.split(frames, 2)]
    for name, half in zip("ab", halves, strict=True):
        save(folder / name, half)
    total, wanted = load(folder / "a") + load(folder / "b"), halves[0] + halves[1]
    assert isinstance(total, Statistics)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(total, name), getattr(wanted, name))
    assert (total.n_frames, total.log_likelihood) == (wanted.n_frames, wanted.log_likelihood)


def test_they_are_described_and_damage_is_named(tmp_path):
    path = tmp_path / "s.h5"
    statistics = accumulate(MIXTURES[0], np.ones((3, 2)))
    save_statistics(path, statistics, parent="abc")
    told = describe(path)
    assert (told["format"], told["parent"]) == ("voicegmm/statistics", "abc")
    assert (told["n_components"], told["n_dims"], told["n_frames"]) == (2, 2, 3.0)
    with altered(path) as file:
        file["first"][0, 0] += 1
    with pytest.raises(FormatError, match="do not fit their fingerprint"):
        load(path)
    save(path, statistics)
    with altered(path) as file:
        del file["second"]
        file["second"] = np.ones((2, 2, 3))
    with pytest.raises(FormatError, match=r"second has shape \(2, 2, 3\)"):
        load(path)
    save(path, statistics)
    with altered(path) as file:
        file["counts"][0] = -1
    with pytest.raises(FormatError, match="/counts holds a number below 0"):
        load(path)
