"""Presets against the numbers of the toolkits they are named after.

The numbers were printed by the originals' own code, on the signal that `bursts` makes: Spear by
bob.bio.spear 5.0.1 (and bob.learn.em 3.3.1), SIDEKIT by SIDEKIT 1.4.3.2, both patched only where
today's numpy refuses them. The LFCC baseline of ASVspoof is Matlab: its steps are written out.
"""

import dataclasses
import itertools
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegmm._base.errors import OptionError
from voicegmm.audio import Signal, triangular_filters
from voicegmm.features import (
    DeltaOptions,
    Pipeline,
    PipelineOptions,
    RastaOptions,
    StaticOptions,
    Stream,
    deltas,
    frame_log_energy,
    normalize,
    static_features,
)
from voicegmm.features.presets import load_front_end
from voicegmm.features.speech import SpeechOptions, speech_weights
from voicegmm.features.speech.voting import without_short_runs

RATE = 16000


def bursts(n=16000):
    """Bursts of harmonics, a noise of a congruential generator and an offset: integers."""
    t = np.arange(n) / RATE
    state, noise = 12345, np.empty(n)
    for i in range(n):
        state = (1103515245 * state + 12345) % 2**31
        noise[i] = state / 2**30 - 1
    pitch = 2 * np.pi * (120 * t + 15 * t * t)
    voice = sum(np.sin(k * pitch) / k for k in range(1, 25))
    loud = np.clip(np.sin(2 * np.pi * 2.5 * t), 0, 1)
    return np.round(6000 * loud * voice + 40 * noise + 20)


@pytest.fixture(scope="module")
def signal():
    return Signal(bursts() / 32768, RATE)


def numbers(text):
    """Read what was printed for four frames."""
    return np.array(text.split(), dtype=float).reshape(4, -1)


# Frames 0, 1, 50 and 97: c0 to c18 (DCT normalized, which CMVN takes back), the energy.
SPEAR_STATIC = numbers("""
    44.65118 -0.76123 -1.26067 1.13041 -1.13234 0.74667 -0.68898 0.34311 -0.33097 -0.13863
    -0.08418 -0.32468 0.14165 -0.43121 0.18328 -0.39381 0.05999 -0.40142 -0.10061 19.58916
    47.45599 -0.21738 -1.77635 1.53154 -1.51595 1.09261 -1.05760 0.57549 -0.52107 -0.01357
    -0.21438 -0.25015 0.08625 -0.43220 0.18892 -0.43509 0.10827 -0.42444 -0.08022 20.53699
    54.19588 -1.08087 -1.56772 0.93861 -1.55093 0.90694 -1.49049 0.75678 -1.35469 0.57809
    -1.14982 0.43328 -0.99091 0.26001 -0.77902 0.18255 -0.49794 0.15811 -0.37884 22.99764
    49.33037 -2.49273 -0.52436 -0.41982 -0.58772 -0.34625 -0.64675 -0.31443 -0.61259 -0.35006
    -0.60483 -0.33311 -0.51759 -0.24253 -0.46824 -0.29744 -0.41718 -0.18738 -0.22584 20.66812
""")
COLUMNS = [0, 1, 7, 18, 19, 20, 38, 39, 40, 58, 59]
# The whole chain: the first and the last two frames that the detector keeps.
SPEAR = numbers("""
    -1.54051 0.56272 0.00357 0.14988 -1.29151 0.54926 0.34797 0.44950 1.24424 0.96804 1.30508
    -0.84020 1.15297 0.54562 0.25127 -0.68276 0.77844 0.91474 0.67076 0.94638 1.10680 1.11567
    -0.37220 -1.31654 -1.53020 -0.47275 -0.59854 -0.75959 0.37983 -0.70220 0.88858 -0.02857 0.92899
    -1.11899 -1.30394 -1.46050 -0.35698 -1.33551 -0.56361 0.29102 -0.51578 1.16120 -0.12933 1.17089
""")
# Frames 0, 1, 50 and 97: the energy, c1 to c19.
SIDEKIT_STATIC = numbers("""
    -3.91376 10.32080 -5.63312 -0.14969 2.81540 -2.67603 0.40992 1.17294 -1.64340 0.30889
    0.66354 -1.13312 0.11931 0.75592 -1.39250 0.67245 0.46669 -1.28073 1.30465 -0.74055
    -2.93041 13.03428 -7.10501 -0.22183 3.85071 -4.04180 1.27957 1.22221 -2.40773 1.08136
    0.31806 -1.54583 0.99879 -0.24554 -0.79168 0.65220 -0.05993 -0.50019 0.48536 -0.08306
    -0.73851 15.73158 -10.98714 2.85231 1.75705 -4.53636 2.90847 -0.59922 -2.20160 2.76319
    -1.87070 0.02290 1.58401 -1.68637 1.07630 0.26087 -0.91408 0.83157 0.23524 -0.80691
    -3.12010 8.63253 -7.19994 2.95945 -0.22952 -1.85361 2.52945 -1.98511 0.71649 0.45875
    -1.14060 1.10250 -0.54171 -0.19126 0.70274 -0.81246 0.48890 0.27268 -0.40522 0.98488
""")
SIDEKIT = numbers("""
    0.02636 0.10488 0.80987 0.49651 -0.40814 -0.01526 -0.00520 -0.01610 0.30187 0.15194 -0.20576
    0.02636 0.10488 0.80987 0.49651 -0.40814 0.05592 0.01573 -0.04070 0.49372 0.32707 -0.46989
    1.28722 1.17898 -0.21237 0.20207 -1.36689 -0.44590 0.49865 0.27456 -0.37736 -0.50566 0.70150
    0.39600 0.53910 -0.19191 0.72531 0.17353 -1.14578 -0.21706 -1.10118 1.11754 -0.26792 1.06286
""")


def test_spears_cepstra_and_energy(signal):
    ours = static_features(signal.samples, RATE, load_front_end("spear").static)
    assert len(ours) == 99
    np.testing.assert_allclose(ours[[0, 1, 50, 97]], SPEAR_STATIC, atol=3e-5)


def test_spears_whole_chain(signal):
    ours = Pipeline(load_front_end("spear")).extract(signal)
    kept = [*range(20), *range(39, 60), *range(79, 99)]
    np.testing.assert_array_equal(ours.positions, kept)
    np.testing.assert_allclose(ours.frames[[0, 1, -2, -1]][:, COLUMNS], SPEAR, atol=5e-5)


def spears_smoothing(speech, window):
    """bob.bio.spear.utils.smoothing, told in loops over runs."""
    if sum(speech) < window:
        return list(speech)
    line = "".join("1" if value else "0" for value in speech)
    for k in range(1, len(line) - 1):
        line = line[: k - 1] + line[k - 1 : k + 2].replace("101", "111") + line[k + 2 :]
    for k in range(1, len(line) - 1):
        line = line[: k - 1] + line[k - 1 : k + 2].replace("010", "000") + line[k + 2 :]
    runs = ["".join(run) for _, run in itertools.groupby(line)]
    if len(runs) < 2:
        return [value == "1" for value in line]
    result = ""
    for before, run, after in zip([None, *runs], runs, [*runs[1:], None], strict=False):
        around = [len(other) > window for other in (before, after) if other is not None]
        turns = len(run) < window and all(around)
        result += run.translate(str.maketrans("01", "10")) if turns else run
    return [value == "1" for value in result]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 15)), max_size=12), st.integers(1, 10))
def test_short_stretches_change_sides_by_spears_rule(stretches, shortest):
    speech = [value for value, length in stretches for _ in range(length)]
    ours = without_short_runs(np.array(speech, dtype=bool), shortest)
    assert ours.tolist() == spears_smoothing(speech, shortest)


# Runs of speech and of pause, in turn, as Energy_2Gauss gave them before and after its smoothing.
RAW = [0, 1, 26, 27, 3, 1, 3, 2, 17, 3, 2, 2, 3, 18, 1, 8, 26, 27, 27, 26, 2, 2, 3, 3, 2, 1, 14, 2,
       3, 1, 4, 2, 1, 24, 1, 1, 11]  # fmt: skip
SMOOTH = [27, 27, 7, 2, 17, 3, 2, 2, 3, 27, 26, 27, 27, 26, 2, 2, 3, 3, 17, 2, 8, 27, 13]


@pytest.mark.parametrize(("shortest", "lengths"), [(0, RAW), (10, SMOOTH)])
def test_spears_detector_on_levels_that_wave(shortest, lengths):
    t = np.arange(300)
    energy = 15 + 4 * np.sin(0.11 * t) + 2 * np.sin(0.37 * t) + 1.5 * np.sin(1.3 * t)
    options = dataclasses.replace(load_front_end("spear").speech, shortest_frames=shortest)
    ours = speech_weights(energy, 320, 0.01, options)
    speech = np.arange(len(lengths)) % 2 == 0
    np.testing.assert_array_equal(ours == 1, np.repeat(speech, lengths))


def test_sidekits_cepstra_and_energy(signal):
    ours = static_features(signal.samples, RATE, load_front_end("sidekit").static)
    assert len(ours) == 98
    np.testing.assert_allclose(ours[[0, 1, 50, 97]], SIDEKIT_STATIC, atol=3e-5)


def test_sidekits_whole_chain(signal):
    ours = Pipeline(load_front_end("sidekit")).extract(signal)
    assert len(ours.frames) == ours.n_total == 98
    np.testing.assert_allclose(ours.frames[[0, 1, 50, 97]][:, COLUMNS], SIDEKIT, atol=3e-5)


def lfcc_of_matlab(x):
    """lfcc_bp.m of the 2021 baseline, frame by frame: buffer, hamming, fft, trimf, dct, Deltas."""
    n_window, hop, n_fft = 480, 240, 1024
    n_frames = int(np.ceil((len(x) - (n_window - hop)) / hop))
    padded = np.append(x, np.zeros(n_window))
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(n_window) / (n_window - 1))
    hertz = np.arange(257) * RATE / n_fft  # 4000 Hz is the last
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(n_window)) / n_fft)
    edges = np.linspace(0, 4000, 72)
    filters = [
        [max(min((f - a) / (b - a), (c - f) / (c - b)), 0) for f in hertz]
        for a, b, c in zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
    ]
    static = []
    for t in range(n_frames):
        power = np.abs(turns @ (padded[t * hop : t * hop + n_window] * window)) ** 2
        logs = np.log10(np.array(filters) @ power + np.finfo(float).eps)
        angles = np.pi * (np.arange(70) + 0.5) / 70
        cepstra = [np.sqrt(2 / 70) * logs @ np.cos(k * angles) for k in range(20)]
        static.append([cepstra[0] / np.sqrt(2), *cepstra[1:]])

    def slopes(rows):
        edged = np.vstack([rows[:1], rows, rows[-1:]])
        return (edged[2:] - edged[:-2]) / 2

    static = np.array(static)
    return np.hstack([static, slopes(static), slopes(slopes(static))])


@pytest.mark.parametrize("n_samples", [480, 3840, 4000])
def test_the_lfcc_of_asvspoof(signal, n_samples):
    samples = signal.samples[:n_samples]
    ours = Pipeline(load_front_end("asvspoof-lfcc")).extract(Signal(samples, RATE)).frames
    expected = lfcc_of_matlab(samples.astype(np.float64))
    assert len(ours) == 1 + -(-(n_samples - 480) // 240)
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def warping_of_msr(frames, width=301):
    """fea_warping.m for recordings of `width` frames or more, or of an odd number of them."""
    n = len(frames)
    width = min(width, n)
    half = (width - 1) // 2
    ranks = np.empty(frames.shape)
    ranks[:half] = frames[:width].argsort(axis=0).argsort(axis=0)[:half]
    for t in range(half, n - half):
        ranks[t] = (frames[t - half : t + half + 1] < frames[t]).sum(axis=0)
    ranks[n - half :] = frames[n - width :].argsort(axis=0).argsort(axis=0)[half + 1 :]
    return np.vectorize(NormalDist().inv_cdf)((ranks + 0.5) / width)


@pytest.mark.parametrize("n_frames", [1, 3, 151, 301, 302, 700])
def test_the_warping_of_msr(n_frames):
    t = np.arange(n_frames)
    frames = np.stack([np.sin(0.37 * t * t % 7 + 0.01 * t), np.cos(0.05 * t) * np.sin(1.7 * t)], 1)
    frames[:, 0] += 0.3 * np.sin(2.1 * t)
    ours = normalize(frames, load_front_end("msr").normalization)
    np.testing.assert_allclose(ours, warping_of_msr(frames.astype(np.float32)), atol=1e-6)
    if n_frames == 700:
        # SIDEKIT's `stg` is a port of the same program.
        printed = [[-0.13364, 0], [0.47533, 2.93623], [-0.30443, -0.41101], [0.86197, -1.16870]]
        np.testing.assert_allclose(ours[[0, 1, 350, 699]], printed, atol=1e-5)


@pytest.mark.parametrize("n_frames", [1, 255, 256, 257, 600])
def test_preemphasis_that_looks_before_the_frame(n_frames):
    rng = np.random.default_rng(1)
    options = StaticOptions(
        preemphasis_start="signal", remove_dc=False, window="rectangular", raw_energy=False,
        energy="log_energy", precision="double", amplitude="unit",
    )  # fmt: skip
    x = rng.normal(0, 0.1, 400 + 160 * (n_frames - 1))
    y = x - 0.97 * np.append(0, x[:-1])
    frames = np.array([y[160 * t : 160 * t + 400] for t in range(n_frames)])
    ours = static_features(x, RATE, options)
    np.testing.assert_allclose(ours[:, 0], np.log((frames**2).sum(axis=1)), atol=1e-5)


@pytest.mark.parametrize(
    "static",
    [
        StaticOptions(preemphasis_start="signal", dc_divisor="n_fft", energy="both"),
        StaticOptions(snip_edges=False, padding="zeros_after"),
        StaticOptions(dither=3.0, dither_generator="mt19937"),
    ],
)
def test_pieces_of_a_signal_give_the_frames_of_the_whole(signal, static):
    options = PipelineOptions(
        static=static, speech=SpeechOptions("none"), deltas=DeltaOptions(rule="sidekit")
    )
    stream = Stream(options)
    pieces = [stream.push(signal.samples[i : i + 777]) for i in range(0, 16000, 777)]
    frames = np.concatenate([piece.frames for piece in (*pieces, stream.flush())])
    # Float32, of numbers up to 100.
    np.testing.assert_allclose(frames, Pipeline(options).extract(signal).frames, atol=2e-4)


def test_a_mean_over_the_transform_leaves_some_of_the_offset():
    static = StaticOptions(dc_divisor="n_fft", energy="log_energy", amplitude="unit")
    ours = static_features(np.full(400, 0.5), RATE, static)
    left = 0.5 * (1 - 400 / 512)
    np.testing.assert_allclose(ours[0, 0], np.log(400 * left**2), atol=1e-5)


def test_an_energy_between_preemphasis_and_window():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 0.1, 400)
    static = StaticOptions(
        raw_energy=False, windowed_energy=False, energy="log_energy", remove_dc=False
    )
    emphasized = 32768 * (x - 0.97 * np.append(x[0], x[:-1]))
    ours = static_features(x, RATE, static)
    np.testing.assert_allclose(ours[0, 0], np.log((emphasized**2).sum()), atol=1e-5)
    weighted = dataclasses.replace(static, windowed_energy=True)
    windowed = (emphasized * np.hamming(400))[None]
    np.testing.assert_allclose(
        static_features(x, RATE, weighted)[0, 0], frame_log_energy(windowed, weighted)[0], atol=1e-5
    )


@pytest.mark.parametrize("place", ["first", "last"])
def test_c0_and_the_log_energy_together(signal, place):
    both, c0, energy = (
        static_features(
            signal.samples, RATE, StaticOptions(energy=kind, energy_place=where, n_cepstra=n)
        )
        for kind, where, n in (
            ("both", place, 14),
            ("c0", "first", 13),
            ("log_energy", "first", 13),
        )
    )
    column = energy[:, :1]
    parts = [column, c0] if place == "first" else [c0, column]
    np.testing.assert_array_equal(both, np.hstack(parts))


def test_talkbox_filters_lack_the_last_bin_of_each_fall():
    band = {"n_filters": 40, "n_fft": 512, "sample_rate": RATE, "low_hertz": 133.3333}
    whole = triangular_filters(**band, high_hertz=6955.4976, shape="hertz")
    ours = triangular_filters(**band, high_hertz=6955.4976, shape="talkbox")
    for full, short in zip(whole, ours, strict=True):
        peak, last = full.argmax(), np.flatnonzero(full)[-1]
        gone = np.flatnonzero(full != short)
        assert list(gone) in ([], [last])
        assert len(gone) == 1 or last == peak


def test_sidekits_deltas_see_zeros_beyond_the_edges():
    x = np.random.default_rng(3).normal(size=(12, 2)).astype(np.float32)
    filtered = np.array([0.25, 0.5, 0.25, 0, -0.25, -0.5, -0.25])
    first = np.stack([np.convolve(column, filtered, "same") for column in x.T], axis=1)
    second = np.stack([np.convolve(column, filtered, "same") for column in first.T], axis=1)
    np.testing.assert_allclose(deltas(x, 2, 3, "sidekit"), np.hstack([x, first, second]), atol=1e-6)
    with pytest.raises(OptionError, match='window must be 3 when rule is "sidekit", got 2'):
        DeltaOptions(window=2, rule="sidekit")


def test_the_legacy_generator_draws_numpys_old_noise():
    static = StaticOptions(
        dither=3.0, dither_generator="mt19937", dither_seed=7, energy="log_energy", remove_dc=False
    )
    noise = 3.0 * np.random.RandomState(7).randn(400)
    ours = static_features(np.zeros(400), RATE, static)
    np.testing.assert_allclose(ours[0, 0], np.log((noise**2).sum()), atol=1e-5)


def test_the_frames_that_fill_rastas_filter_can_be_kept(signal):
    options = dataclasses.replace(load_front_end("sidekit"), rasta=RastaOptions("static"))
    dropped = Pipeline(options).extract(signal)
    assert list(dropped.positions[:2]) == [4, 5]
    kept = dataclasses.replace(options, rasta=RastaOptions("static", keep_start=True))
    assert list(Pipeline(kept).extract(signal).positions[:2]) == [0, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"energy": "both", "kind": "plp"}, "energy must not be \"both\" when kind is 'plp'"),
        ({"energy": "both", "n_cepstra": 32}, "n_cepstra must be between 2 and 31"),
        ({"energy": "both", "n_cepstra": 1}, "n_cepstra must be between 2 and 31"),
        ({"preemphasis_start": "sample"}, "preemphasis_start must be one of frame, signal"),
        (
            {"preemphasis_start": "signal", "hop_seconds": 0.03},
            'preemphasis_start must be "frame" when hop_seconds is longer',
        ),
        ({"dc_divisor": "fft"}, "dc_divisor must be one of window, n_fft; .*mean 'n_fft'"),
        ({"dither_generator": "pcg"}, "dither_generator must be one of pcg64, mt19937"),
    ],
)
def test_options_of_other_toolkits_are_checked(changes, reason):
    with pytest.raises(OptionError, match=reason):
        StaticOptions(**changes)


def test_a_rule_for_masks_is_refused_for_weights():
    with pytest.raises(OptionError, match='shortest_frames must be 0 when output is "weight"'):
        SpeechOptions(output="weight", shortest_frames=10)
    with pytest.raises(OptionError, match="gaussian_fit must be one of converged, spear"):
        SpeechOptions(gaussian_fit="sphere")
