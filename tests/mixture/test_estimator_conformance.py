"""scikit-learn's own judgment: its checks of any estimator, and its tests of GaussianMixture."""

import importlib.util
from unittest import mock

import numpy as np
import pytest
import sklearn.mixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from voicegmm import GaussianMixture

# Its tests provoke fits that do not converge; every other warning is an error here too.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

_ARITHMETIC = "calls private arithmetic of scikit-learn, none of the estimator"
_ARRAY_API = "for arrays that are not numpy's, which our core does not take"
_DESELECTED = {
    "test_suffstat_sk_full": _ARITHMETIC,
    "test_suffstat_sk_tied": _ARITHMETIC,
    "test_suffstat_sk_diag": _ARITHMETIC,
    "test_gaussian_suffstat_sk_spherical": _ARITHMETIC,
    "test_compute_log_det_cholesky": _ARITHMETIC,
    "test_gaussian_mixture_log_probabilities": _ARITHMETIC,
    "test_gaussian_mixture_precisions_init": "calls _set_parameters and _initialize; "
    "test_estimator.py tests the same of the public interface",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "counts calls of a "
    "private function of scikit-learn; test_estimator.py tests that no start is computed",
    "test_gaussian_mixture_array_api_compliance": _ARRAY_API,
    "test_gaussian_mixture_raises_where_array_api_not_implemented": _ARRAY_API,
}


@pytest.fixture(params=[np.float32, np.float64])
def global_dtype(request):
    return request.param


@pytest.fixture
def global_random_seed():
    return 42


def _tests_of(name):
    """Load a test file of the installed scikit-learn with our class in the place of theirs."""
    spec = importlib.util.find_spec(f"sklearn.mixture.tests.{name}")
    if spec is None:  # a distribution of scikit-learn without its tests
        return {}
    module = importlib.util.module_from_spec(spec)
    with mock.patch.object(sklearn.mixture, "GaussianMixture", GaussianMixture):
        spec.loader.exec_module(module)
    return {key: test for key, test in vars(module).items() if key.startswith("test_")}


_THEIRS = _tests_of("test_gaussian_mixture") | _tests_of("test_mixture")
globals().update(
    {key: pytest.mark.slow(test) for key, test in _THEIRS.items() if key not in _DESELECTED}
)


def test_their_tests_are_there_and_test_ours():
    if not _THEIRS:
        pytest.skip("the installed scikit-learn has no tests in it")
    taken = set(_THEIRS) - set(_DESELECTED)
    assert len(taken) > 25
    for key in taken - {"test_gaussian_mixture_n_iter"} & set(_THEIRS):
        assert _THEIRS[key].__globals__["GaussianMixture"] is GaussianMixture


@parametrize_with_checks([GaussianMixture(), GaussianMixture(missing_values="marginalize")])
def test_checks_of_any_estimator(estimator, check):
    check(estimator)
