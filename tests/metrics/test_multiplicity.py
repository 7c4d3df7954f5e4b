"""Adjusted p-values: Holm's procedure is closed testing by Bonferroni."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError
from voicegmm.metrics import holm


def _closed(p_values):
    """The largest Bonferroni p-value of all sets of tests that a test is in."""
    numbers = range(len(p_values))
    sets = [s for size in numbers for s in combinations(numbers, size + 1)]
    whole = {s: min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets}
    return [max(whole[s] for s in sets if i in s) for i in numbers]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_it_is_closed_testing_by_bonferroni(p_values):
    np.testing.assert_allclose(holm(p_values), _closed(p_values), rtol=1e-12)


def test_of_the_paper():
    # Worked by hand: 3 p, then 2 p, then p, none below the one before.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    assert holm([]).shape == (0,)
    assert holm([0.2]).tolist() == [0.2]


@pytest.mark.parametrize("bad", [1.1, -0.1, np.nan])
def test_no_probability(bad):
    with pytest.raises(DataError, match="p_values must be between 0 and 1"):
        holm([0.5, bad])
