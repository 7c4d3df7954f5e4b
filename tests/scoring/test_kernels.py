"""Supervector kernels: against loops, and the distances they come from."""

import numpy as np
import pytest
import small_speakers
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import MapOptions, accumulate, adapt, sample
from voicegmm.scoring import ScoringOptions, log_likelihood_ratios, supervector_kernel


def draw(seed):
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng)
    a, b = gmm.means + 0.5 * rng.standard_normal((2, 3, *gmm.means.shape))
    return rng, gmm, a, b


@pytest.mark.parametrize("kernel", ["kl", "bhattacharyya"])
def test_the_definition_by_loops(kernel):
    _, gmm, a, b = draw(1)
    found = supervector_kernel(gmm, a, b[:2], kernel)
    for i in range(3):
        for j in range(2):
            total = 0.0
            for k in range(gmm.n_components):
                for d in range(gmm.n_dims):
                    m, v = gmm.means[k, d], gmm.variances[k, d]
                    product = (a[i, k, d] - m) * (b[j, k, d] - m) / v
                    total += product * (gmm.weights[k] if kernel == "kl" else 1.0)
            assert found[i, j] == pytest.approx(total, rel=1e-9)


def bhattacharyya_distance(m, n, v, w):
    """Give the distance of two diagonal Gaussians (Kailath 1967)."""
    mean = (v + w) / 2
    return 0.125 * ((m - n) ** 2 / mean).sum() + 0.5 * np.log(mean / np.sqrt(v * w)).sum()


@given(st.integers(0, 2**32 - 1))
def test_the_squared_distance_is_eight_bhattacharyya_distances(seed):
    _, gmm, a, b = draw(seed)
    one, other = a[:1], b[:1]
    k = [
        supervector_kernel(gmm, x, y, "bhattacharyya")[0, 0]
        for x in (one, other)
        for y in (one, other)
    ]
    by_kernel = k[0] + k[3] - k[1] - k[2]
    by_gaussians = sum(
        bhattacharyya_distance(m, n, v, v)
        for m, n, v in zip(one[0], other[0], gmm.variances, strict=True)
    )
    assert by_kernel == pytest.approx(8 * by_gaussians, rel=1e-7)


@given(st.integers(0, 2**32 - 1))
def test_half_the_squared_distance_bounds_the_divergence(seed):
    # By the log-sum inequality: sum_k w_k KL(N_k | M_k) (Campbell, Sturim, Reynolds 2006, eq. 4).
    _, gmm, a, b = draw(seed)
    one, other = a[:1], b[:1]
    k = [supervector_kernel(gmm, x, y)[0, 0] for x in (one, other) for y in (one, other)]
    bound = 0.5 * (gmm.weights * ((one[0] - other[0]) ** 2 / gmm.variances).sum(axis=1)).sum()
    assert 0.5 * (k[0] + k[3] - k[1] - k[2]) == pytest.approx(bound, rel=1e-7)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["kl", "bhattacharyya"]))
def test_a_kernel_is_symmetric_and_positive(seed, kernel):
    _, gmm, a, b = draw(seed)
    both = np.concatenate([a, b])
    gram = supervector_kernel(gmm, both, both, kernel)
    np.testing.assert_allclose(gram, gram.T, rtol=1e-9, atol=1e-9)
    assert np.linalg.eigvalsh(gram).min() > -1e-8
    np.testing.assert_allclose(supervector_kernel(gmm, a, gmm.means[None], kernel), 0, atol=1e-9)


@pytest.mark.parametrize("kernel", ["kl", "bhattacharyya"])
@pytest.mark.parametrize(
    "adaptation", [MapOptions(relevance=8), MapOptions(rule="fixed", alpha=0.4)]
)
def test_a_recording_is_scored_as_a_model_of_its_own(kernel, adaptation):
    rng = np.random.default_rng(4)
    gmm = small_speakers.draw_gmm(rng)
    speakers, _ = small_speakers.draw_speakers(rng, gmm, adaptation=adaptation)
    frames = sample(gmm, 70, rng)[0]
    test = adapt(gmm, accumulate(gmm, frames), adaptation).means
    expected = supervector_kernel(gmm, speakers.means, test[None], kernel)[:, 0]
    found = log_likelihood_ratios(speakers, frames, options=ScoringOptions(kernel))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit():
    _, gmm, a, _ = draw(1)
    with pytest.raises(OptionError, match="kernel must be one of kl, bhattacharyya; got 'kll'"):
        supervector_kernel(gmm, a, a, "kll")
    with pytest.raises(DataError, match="means must be"):
        supervector_kernel(gmm, a[..., :2], a)
