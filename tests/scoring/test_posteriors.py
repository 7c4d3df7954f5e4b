"""A posterior for a stated prior, by Bayes' rule with exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.scoring import posteriors

ratios = st.lists(st.integers(1, 10**6), min_size=1, max_size=6)


@given(ratios, st.integers(1, 99))
def test_posteriors_are_those_of_exact_fractions(times, percent):
    prior = Fraction(percent, 100)
    joint = [prior / len(times) * one for one in times]
    whole = sum(joint) + 1 - prior
    each, nobody = posteriors(np.log(times), percent / 100)
    np.testing.assert_allclose(each, [float(one / whole) for one in joint], rtol=1e-9)
    assert nobody == pytest.approx(float((1 - prior) / whole), rel=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), max_size=6), st.floats(1e-12, 1 - 1e-12))
def test_posteriors_sum_to_one_however_extreme(llrs, prior):
    each, nobody = posteriors(llrs, prior)
    assert each.sum() + nobody == pytest.approx(1)
    assert (each >= 0).all()
    assert (np.diff(each[np.argsort(llrs)]) >= 0).all()


def test_no_evidence_leaves_the_prior():
    each, nobody = posteriors([0.0, 0.0, 0.0, 0.0], 0.6)
    np.testing.assert_allclose([*each, nobody], [0.15] * 4 + [0.4])
    assert posteriors([], 0.9)[1] == 1.0


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, float("nan")])
def test_a_prior_that_is_no_doubt_is_refused(prior):
    with pytest.raises(OptionError, match="prior must be greater than 0 and less than 1"):
        posteriors([0.0], prior)


def test_ratios_must_be_finite():
    with pytest.raises(DataError, match="must be finite"):
        posteriors([0.0, np.inf], 0.5)
