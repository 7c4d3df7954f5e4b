"""Frames, windows, mel scales, filters and levels against slow or foreign computations."""

import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.audio import (
    FrequencyWarp,
    analysis_window,
    clipped_samples,
    count_frames,
    frame_view,
    hertz_from_mel,
    level_db,
    mel_from_hertz,
    triangular_filters,
    warped_hertz,
)
from voicegmm.audio.framing import samples_in


@given(st.integers(1, 200), st.integers(1, 50), st.integers(1, 60), st.booleans())
def test_frames_are_what_an_index_at_a_time_gives(n_samples, n_window, n_hop, snip_edges):
    x = np.arange(n_samples, dtype=np.float32)
    frames = frame_view(x, n_window, n_hop, snip_edges)
    assert frames.shape == (count_frames(n_samples, n_window, n_hop, snip_edges), n_window)
    for t, frame in enumerate(frames):
        start = t * n_hop if snip_edges else t * n_hop + n_hop // 2 - n_window // 2
        for i, value in enumerate(frame):
            at = start + i
            while not 0 <= at < n_samples:
                at = -at - 1 if at < 0 else 2 * n_samples - 1 - at
            assert value == x[at]
    if snip_edges and len(frames):
        assert (len(frames) - 1) * n_hop + n_window <= n_samples < len(frames) * n_hop + n_window


@given(st.integers(1, 200), st.integers(2, 50), st.integers(1, 60))
def test_frames_padded_with_zeros_are_those_of_librosa(n_samples, half, n_hop):
    x = np.arange(1, n_samples + 1, dtype=np.float32)
    frames = frame_view(x, 2 * half, n_hop, False, "zeros")
    padded = np.pad(x, half)
    expected = librosa.util.frame(padded, frame_length=2 * half, hop_length=n_hop, axis=0)
    np.testing.assert_array_equal(frames, expected)
    assert count_frames(n_samples, 2 * half, n_hop, False, "zeros") == len(expected)


def test_unknown_paddings_are_refused():
    with pytest.raises(OptionError, match=r"padding must be .* \(did you mean 'zeros'\?\)"):
        frame_view(np.zeros(9), 2, 1, False, "zero")
    assert count_frames(0, 400, 160, False, "zeros") == 0
    assert frame_view(np.zeros(0), 400, 160, False, "zeros").shape == (0, 400)


def test_frames_of_nothing_are_none_and_two_axes_are_refused():
    assert frame_view(np.zeros(0), 400, 160, False).shape == (0, 400)
    assert frame_view(np.zeros(399), 400, 160, True).shape == (0, 400)
    with pytest.raises(DataError, match="one axis"):
        frame_view(np.zeros((4, 4)), 2, 1, True)


@pytest.mark.parametrize(
    ("seconds", "rate", "n"),
    [(0.025, 16000, 400), (0.025, 8000, 200), (0.01, 22050, 220), (0.025, 11025, 275)],
)
def test_lengths_are_rounded_down_but_not_by_a_binary_fraction(seconds, rate, n):
    assert samples_in(seconds, rate) == n


@pytest.mark.parametrize("n", [2, 3, 200, 400])
def test_windows_are_those_of_scipy(n):
    for name in ("hamming", "hann"):
        expected = scipy.signal.get_window(name, n, fftbins=False)
        np.testing.assert_allclose(analysis_window(name, n), expected, atol=1e-15)
        periodic = scipy.signal.get_window(name, n, fftbins=True)
        np.testing.assert_allclose(analysis_window(f"{name}_periodic", n), periodic, atol=1e-15)
    hann = scipy.signal.get_window("hann", n, fftbins=False)
    np.testing.assert_allclose(analysis_window("povey", n), np.abs(hann) ** 0.85, atol=1e-12)
    np.testing.assert_array_equal(analysis_window("rectangular", n), np.ones(n))


def test_unknown_windows_are_refused():
    with pytest.raises(OptionError, match=r"did you mean 'hamming'\?"):
        analysis_window("haming", 400)
    with pytest.raises(OptionError, match="n_window must be greater than 1"):
        analysis_window("hann", 1)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mels_are_those_of_librosa(scale):
    hertz = np.array([0.0, 20.0, 440.0, 999.9, 1000.0, 1000.1, 3999.0, 8000.0, 24000.0])
    htk = scale == "htk"
    # librosa writes HTK's scale as 2595 log10, which is 1126.994 ln: 5e-6 less.
    rtol = 1e-5 if htk else 1e-12
    np.testing.assert_allclose(
        mel_from_hertz(hertz, scale), librosa.hz_to_mel(hertz, htk=htk), rtol=rtol
    )
    np.testing.assert_allclose(hertz_from_mel(mel_from_hertz(hertz, scale), scale), hertz)
    np.testing.assert_array_equal(mel_from_hertz(hertz, "linear"), hertz)
    np.testing.assert_array_equal(hertz_from_mel(hertz, "linear"), hertz)


@pytest.mark.parametrize(
    ("n_filters", "n_fft", "rate", "low", "high"),
    [
        (23, 512, 16000, 20, 0),
        (30, 512, 16000, 20, 7600),
        (23, 256, 8000, 0, -100),
        (40, 1024, 44100, 300, 8000),
        (5, 201, 8000, 100, 3000),
    ],
)
def test_filters_are_what_a_bin_at_a_time_gives(n_filters, n_fft, rate, low, high):
    def mel(f):
        return 1127 * np.log(1 + f / 700)

    top = high if high > 0 else rate / 2 + high
    step = (mel(top) - mel(low)) / (n_filters + 1)
    expected = np.zeros((n_filters, n_fft // 2 + 1))
    for j in range(n_filters):
        left = mel(low) + j * step
        for k in range(n_fft // 2 + 1):
            m = mel(k * rate / n_fft)
            if left < m <= left + step:
                expected[j, k] = (m - left) / step
            elif left + step < m < left + 2 * step:
                expected[j, k] = (left + 2 * step - m) / step
    np.testing.assert_allclose(
        triangular_filters(n_filters, n_fft, rate, low, high), expected, atol=1e-9
    )


@pytest.mark.parametrize("norm", ["none", "area"])
@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize(
    ("n_filters", "n_fft", "rate", "low", "high"),
    [(128, 2048, 22050, 0, 11025), (40, 512, 16000, 133.3333, 6955.4976), (13, 301, 8000, 50, 0)],
)
def test_filters_straight_in_hertz_are_those_of_librosa(
    n_filters, n_fft, rate, low, high, scale, norm
):
    ours = triangular_filters(n_filters, n_fft, rate, low, high, scale, "hertz", norm)
    expected = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_filters, fmin=low, fmax=high or rate / 2,
        htk=scale == "htk", norm={"none": None, "area": "slaney"}[norm], dtype=np.float64,
    )  # fmt: skip
    # The two write HTK's scale with constants that differ by 5e-6.
    np.testing.assert_allclose(ours, expected, atol=1e-6 if norm == "area" else 2e-4)


def test_htk_counts_bins_strictly_between_those_nearest_to_the_edges():
    # Bins every 31.25 Hz: the edges lie nearest to bins 1 and 224.
    plain = triangular_filters(23, 512, 16000, 25, 7010)
    ours = triangular_filters(23, 512, 16000, 25, 7010, shape="htk")
    assert plain[0, 1] > 0
    assert plain[-1, 224] > 0
    plain[:, [1, 224]] = 0
    np.testing.assert_array_equal(ours, plain)


@given(st.floats(0.8, 1.25), st.floats(60, 500), st.floats(4000, 6500))
def test_a_warp_keeps_the_order_the_edges_and_the_slope_between_its_knees(factor, low, high):
    f = np.linspace(20, 7600, 500)
    warped = warped_hertz(f, FrequencyWarp(factor, low, high), 16000, (20, 7600))
    assert (np.diff(warped) > 0).all()
    np.testing.assert_allclose(warped[[0, -1]], f[[0, -1]])
    between = (f > 1.2 * low) & (f < high / 1.2)
    np.testing.assert_allclose(warped[between], f[between] / factor)
    above = triangular_filters(23, 512, 16000, 20, 7600, warp=FrequencyWarp(factor, low, high))
    assert above.shape == (23, 257)
    same = FrequencyWarp(1.0, low, high)
    np.testing.assert_array_equal(warped_hertz(f, same, 16000, (20, 7600)), f)


@pytest.mark.parametrize(
    ("warp", "reason"),
    [
        (FrequencyWarp(0.9, 10, 6000), "must lie inside the band from 20 to 7600"),
        (FrequencyWarp(0.9, 100, 7500), "also when warped by 0.9; got 100 and 7500"),
        (FrequencyWarp(0.9, 100, -100), "got 100 and 7900"),
        (FrequencyWarp(0.9, 5000, 4000), "vtln_low_hertz must be below .* got 5000"),
    ],
)
def test_warps_that_leave_the_band_are_refused(warp, reason):
    with pytest.raises(OptionError, match=reason):
        triangular_filters(23, 512, 16000, 20, 7600, warp=warp)
    with pytest.raises(OptionError, match=r"factor must be between 0\.5 and 2\.0, got 3"):
        FrequencyWarp(3)


@given(
    st.integers(1, 60),
    st.sampled_from([256, 512, 1000, 2048]),
    st.floats(0, 1000),
    st.sampled_from(["htk", "slaney", "linear"]),
)
def test_filters_share_each_bin_between_their_centers(n_filters, n_fft, low, scale):
    try:
        filters = triangular_filters(n_filters, n_fft, 16000, low, 0, scale)
    except OptionError:
        assume(False)
    assert (filters >= 0).all()
    assert (filters <= 1).all()
    corners = np.linspace(*mel_from_hertz([low, 8000], scale), n_filters + 2)
    bins = mel_from_hertz(np.arange(n_fft // 2 + 1) * 16000 / n_fft, scale)
    inside = (bins >= corners[1]) & (bins <= corners[-2])
    np.testing.assert_allclose(filters.sum(axis=0)[inside], 1, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((23, 256, 8000, 20, 7600), "high_hertz must be at most 4000"),
        ((23, 256, 8000, 3900, 3800), "low_hertz must be at least 0 and below .* 3800"),
        ((23, 256, 8000, -1, 3800), "low_hertz must be at least 0"),
        ((23, 256, 8000, 20, -4000), "low_hertz must be at least 0 and below"),
        ((0, 256, 8000), "n_filters must be at least 1"),
        ((100, 256, 8000), "leave filter 1 without any of the 129 bins"),
    ],
)
def test_bands_that_cannot_work_are_refused(arguments, reason):
    with pytest.raises(OptionError, match=reason):
        triangular_filters(*arguments)
    with pytest.raises(OptionError, match=r"did you mean 'slaney'"):
        triangular_filters(10, 512, 16000, scale="slanei")


def test_levels():
    assert level_db(np.ones(10)) == 0
    assert level_db(np.zeros(10)) == level_db(np.zeros(0)) == float("-inf")
    np.testing.assert_allclose(level_db(np.sin(np.arange(80000) * np.pi / 40)), -3.0103, atol=1e-4)


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 10))
def test_clipped_samples_are_those_in_runs_of_three_however_cut(flags, n_block):
    text = "".join("x" if flag else "." for flag in flags)
    expected = sum(len(run) for run in text.split(".") if len(run) >= 3)
    full = np.array(flags, dtype=bool)
    assert clipped_samples(full) == expected
    total, before = 0, np.zeros(3, dtype=bool)
    for start in range(0, len(full), n_block):
        block = full[start : start + n_block]
        total += clipped_samples(block, before)
        before = np.concatenate([before, block])[-3:]
    assert total == expected
