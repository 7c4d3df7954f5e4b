"""Short lists between two passes: nothing is lost, and they take the memory they may."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm.mixture.fast import FastOptions
from voicegmm.mixture.fast.lists import PackedLists, ShortLists, room

FRAMES = 40


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_components=st.sampled_from([1, 2, 254, 255, 256, 512, 4096, 4600, 65_536]),
    n_listed=st.integers(1, 253),
    at_the_end=st.booleans(),
)
def test_packed_lists_hold_the_same_in_few_bytes(seed, n_components, n_listed, at_the_end):
    rng = np.random.default_rng(seed)
    width = room(n_listed, n_components)
    assert (n_listed + 2) // 2 <= width <= n_listed or width == n_listed
    lists = ShortLists.empty(FRAMES, width)
    most = min(width, n_components)
    for row in range(FRAMES):
        n = lists.n_ids[row] = rng.integers(0, most + 1) if row else most
        some = rng.choice(n_components, n, replace=False)
        if at_the_end:  # all the components before are passed over
            some = n_components - 1 - np.arange(n)
        lists.ids[row, :n] = np.sort(some)
    packed = PackedLists.of(lists, n_components)
    again = packed.unpacked()
    for before, after, n in zip(lists.ids, again.ids, lists.n_ids, strict=True):
        np.testing.assert_array_equal(after[:n], before[:n])
    np.testing.assert_array_equal(again.n_ids, lists.n_ids)
    assert packed.codes.nbytes <= FRAMES * (n_listed + 2)


def test_by_default_they_take_35_bytes_a_frame_and_hold_half_of_these():
    for n_components in (512, 2048, 4096, 8192, 65_536):
        n_listed = room(FastOptions().n_listed, n_components)
        assert n_listed >= 17
        lists = ShortLists.empty(1000, n_listed)
        lists.n_ids[:] = n_listed
        lists.ids[:] = n_components - n_listed + np.arange(n_listed)
        packed = PackedLists.of(lists, n_components)
        assert packed.codes.nbytes + packed.n_ids.nbytes <= 35 * 1000
