"""Ratios taken apart: the parts are the whole, and silence brings nothing."""

import numpy as np
import pytest
import small_speakers
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from voicegmm._base.errors import DataError, ListError, OptionError
from voicegmm.mixture import sample
from voicegmm.plots import evidence, to_svg
from voicegmm.scoring import explain, log_likelihood_ratios, write_explanation
from voicegmm.scoring.explanation import _contributions


def draw(seed, n_frames=40):
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng)
    speakers, _ = small_speakers.draw_speakers(rng, gmm)
    return rng, gmm, speakers, sample(gmm, n_frames, rng)[0]


@given(st.integers(0, 2**32 - 1))
def test_the_parts_sum_to_the_ratio(seed):
    rng, _, speakers, frames = draw(seed)
    weights = rng.uniform(0.1, 1, len(frames))
    positions = np.sort(rng.choice(500, len(frames), replace=False))
    found = explain(speakers, "s1", frames, positions, weights)
    ratio = log_likelihood_ratios(speakers, frames, weights)[1]
    assert found.ratio == pytest.approx(ratio, abs=1e-9)
    assert found.component_ratios.sum() == pytest.approx(ratio, abs=1e-9)
    assert np.average(found.frame_ratios, weights=weights) == pytest.approx(ratio, abs=1e-9)
    starts, shares = found.over_time(0.5)
    assert shares.sum() == pytest.approx(ratio, abs=1e-9)
    assert set(starts) == set(np.floor(positions / 50) / 2)


@given(st.integers(0, 2**32 - 1))
def test_each_part_is_a_log_mean_by_quadrature(seed):
    """L(a, b) is the mean of a^s b^(1 - s) over s in [0, 1]."""
    _, gmm, speakers, frames = draw(seed, 3)
    adapted = type(gmm)(gmm.weights, speakers.means[0].astype(float), gmm.variances)
    p = small_speakers.joint_by_loops(gmm, adapted.means, frames)
    q = small_speakers.joint_by_loops(gmm, gmm.means, frames)
    ((_, ratios, parts),) = _contributions(gmm, adapted, frames)

    def log_mean(log_a, log_b):
        return quad(lambda s: np.exp(s * log_a + (1 - s) * log_b), 0, 1)[0]

    for t in range(3):
        peak = max(p[t].max(), q[t].max())
        whole_p, whole_q = np.logaddexp.reduce(p[t]) - peak, np.logaddexp.reduce(q[t]) - peak
        assert ratios[t] == pytest.approx(whole_p - whole_q, abs=1e-9)
        for k in range(gmm.n_components):
            own = log_mean(p[t, k] - peak, q[t, k] - peak) * (p[t, k] - q[t, k])
            assert parts[t, k] == pytest.approx(own / log_mean(whole_p, whole_q), abs=1e-6)


def test_a_component_that_is_shared_brings_nothing():
    _, gmm, speakers, frames = draw(4)
    means = speakers.means.astype(np.float64)
    means[0, 2] = gmm.means[2]
    adapted = type(gmm)(gmm.weights, means[0], gmm.variances)
    ((_, _, parts),) = _contributions(gmm, adapted, frames)
    np.testing.assert_allclose(parts[:, 2], 0, atol=1e-12)


def test_nothing_speaks_for_the_background_itself():
    _, gmm, _, frames = draw(5)
    ((_, ratios, parts),) = _contributions(gmm, gmm, frames)
    assert (ratios == 0).all()
    assert (parts == 0).all()


def test_a_frame_far_away_is_no_infinity():
    _, _, speakers, frames = draw(6)
    frames[3] += 1e4
    found = explain(speakers, "s0", frames)
    assert np.isfinite(found.frame_ratios).all()
    assert found.component_ratios.sum() == pytest.approx(found.ratio, rel=1e-9)


def test_files_and_figures(tmp_path):
    _, _, speakers, frames = draw(7, 300)
    found = explain(speakers, "s2", frames, np.arange(0, 600, 2))
    path = tmp_path / "why.tsv"
    write_explanation(path, found)
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[0] == ["seconds", "weight", "llr", "component"]
    table = np.array(lines[1:], float)
    np.testing.assert_allclose(table[:, 0], np.arange(300) * 0.02)
    np.testing.assert_array_equal(table[:, 2], found.frame_ratios)
    np.testing.assert_array_equal(table[:, 3], found.components)
    figure = evidence(*found.over_time())
    (axes,) = figure.axes
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(found.ratio)
    assert "seconds" in axes.get_xlabel()
    assert f"{found.ratio:.4g} nats" in to_svg(figure)
    assert to_svg(evidence(*found.over_time())) == to_svg(figure)


def test_what_cannot_be_explained():
    _, _, speakers, frames = draw(8)
    with pytest.raises(ListError, match="'who' is not enrolled"):
        explain(speakers, "who", frames)
    with pytest.raises(DataError, match=r"positions must be \(40,\), one a frame, got \(3,\)"):
        explain(speakers, "s0", frames, np.arange(3))
    with pytest.raises(DataError, match="at least to explain"):
        explain(speakers, "s0", frames[:0])
    with pytest.raises(OptionError, match="span_seconds must be greater than 0, got 0"):
        explain(speakers, "s0", frames).over_time(0)
    with pytest.raises(DataError, match="vectors of one length"):
        evidence([0.0, 1.0], [1.0])
    with pytest.raises(DataError, match="must be finite"):
        evidence([0.0], [np.nan])
