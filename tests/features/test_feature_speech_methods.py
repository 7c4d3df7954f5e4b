"""Every detector: what all of them promise, as masks and as weights."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import AudioError, DataError, OptionError, VoicegmmError
from voicegmm.audio import Signal
from voicegmm.features import (
    NoiseFloorOptions,
    Pipeline,
    PipelineOptions,
    SpeechOptions,
    StaticOptions,
    detection_energy,
    frame_spectra,
    speech_weights,
)
from voicegmm.features.speech.energy import energy_odds
from voicegmm.features.speech.gaussians import gaussian_odds
from voicegmm.features.speech.modulation import modulation_depth
from voicegmm.features.speech.voting import passed, weighed
from voicegmm.synthesis import draw_voice, make_noise, speak

RATE = 16000
GAUSSIANS = ("two_gaussian", "three_gaussian")
SPECTRAL = ("modulation", "likelihood_ratio")
FOUND = ("energy", *GAUSSIANS, *SPECTRAL)
OUTPUTS = ("mask", "weight")


def weights(samples, options, rate=RATE):
    samples = np.asarray(samples, dtype=np.float32)
    n_window, n_hop = rate // 40, rate // 100
    return speech_weights(
        detection_energy(samples, rate),
        n_window,
        n_hop / rate,
        options,
        "a.wav",
        spectra=frame_spectra(samples, rate, n_window, n_hop, 1 << (n_window - 1).bit_length()),
    )


def spoken(seed, snr_db, kind="white", rate=RATE):
    """A second of noise, three of a voice in it, another second; and the truth of each frame."""
    rng = np.random.default_rng(seed)
    said = speak(draw_voice(rng), rng, seconds=3.0, sample_rate=rate)
    speech = np.zeros(5 * rate, dtype=bool)
    for segment in said.segments:
        begin, end = segment.start_seconds + 1, segment.end_seconds + 1
        speech[round(begin * rate) : round(end * rate)] = segment.phone != "_"
    samples = np.pad(said.samples, rate).astype(np.float64)
    level = np.sqrt(np.mean(samples[speech] ** 2)) * 10 ** (-snr_db / 20)
    samples += level * make_noise(len(samples), kind, rng, rate)
    truth = speech[np.arange(0, len(samples) - rate // 40 + 1, rate // 100) + rate // 80]
    return samples.astype(np.float32), truth


def error(found, truth):
    """Give the mean of the miss and the false-alarm rate."""
    kept = found >= 0.5
    return ((~kept[truth]).mean() + kept[~truth].mean()) / 2


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("method", FOUND)
def test_each_finds_speech_in_a_little_noise(method, output):
    # 30 dB: room for the energy detector's 30 dB; each must beat chance by far.
    most = 0.12 if method in ("energy", "three_gaussian") else 0.08
    for seed in range(2):
        samples, truth = spoken(seed, 30)
        assert error(weights(samples, SpeechOptions(method, output=output)), truth) < most


@pytest.mark.parametrize("kind", ["white", "pink"])
def test_the_likelihood_ratio_finds_speech_in_much_noise_where_energy_does_not(kind):
    for seed in range(3):
        samples, truth = spoken(seed, 5, kind)
        ratio = error(weights(samples, SpeechOptions("likelihood_ratio")), truth)
        energy = error(weights(samples, SpeechOptions("energy")), truth)
        assert ratio < 0.09
        assert ratio < energy / 2


def test_the_two_gaussians_and_modulation_hold_out_in_noise_too():
    for seed in range(2):
        samples, truth = spoken(seed, 10)
        energy = error(weights(samples, SpeechOptions("energy")), truth)
        for method in ("two_gaussian", "modulation"):
            assert error(weights(samples, SpeechOptions(method)), truth) < energy


@pytest.mark.parametrize("method", FOUND)
def test_a_telephone_rate_works_too(method):
    samples, truth = spoken(7, 20, rate=8000)
    assert error(weights(samples, SpeechOptions(method), 8000), truth) < 0.15


def refused(samples, options):
    with pytest.raises(AudioError, match=r"^a\.wav: no speech found: ") as caught:
        weights(samples, options)
    assert caught.value.status == "no speech"


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("method", FOUND)
def test_silence_steady_noise_and_hum_have_no_speech(method, output):
    options = SpeechOptions(method, output=output)
    t = np.arange(2 * RATE) / RATE
    hum = sum(0.1 * np.sin(2 * np.pi * 50 * k * t + k) / k for k in (1, 2, 3))
    noise = 0.1 * np.random.default_rng(2).standard_normal(2 * RATE)
    for samples in (np.zeros(RATE), np.full(RATE, 0.5), np.eye(1, RATE, 5000)[0], noise, hum):
        refused(samples, options)


@pytest.mark.parametrize("method", SPECTRAL)
def test_the_spectral_ones_need_no_guard_against_steady_noise(method):
    # Not even where the loudness drifts by 5 dB, which passes for speech by the level.
    drift = 10 ** (0.25 * np.arange(20 * RATE) / (20 * RATE))
    for kind in ("white", "pink", "hum"):
        noise = 0.01 * make_noise(20 * RATE, kind, np.random.default_rng(3), RATE)
        refused(noise, SpeechOptions(method, min_range_db=0))
        refused(noise * drift, SpeechOptions(method))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("method", [*GAUSSIANS, *SPECTRAL])
def test_loudness_and_offset_do_not_matter(method, output):
    samples, _ = spoken(1, 15)
    options = SpeechOptions(method, output=output)
    found = weights(samples, options)
    # Levels are single-precision logarithms; the iterations of EM magnify their rounding.
    quieter = weights(samples * np.float32(2**-4), options)
    np.testing.assert_allclose(quieter, found, atol=1e-3 if method in GAUSSIANS else 1e-6)
    # Other gains and an offset leave the rounding of the samples.
    for other in (samples * 0.3, samples * 0.1 + 0.2):
        np.testing.assert_allclose(weights(other, options), found, atol=0.02)


@pytest.mark.parametrize("method", FOUND)
def test_the_silent_part_of_a_file_never_passes_nor_matters_to_the_noise(method):
    samples, _ = spoken(2, 20)
    cut = np.concatenate([samples[: 2 * RATE], np.zeros(2 * RATE), samples[2 * RATE :]])
    wide = SpeechOptions(method, context_frames=100, proportion=0.01)
    assert not weights(cut, wide)[203:397].any()
    if method != "modulation":  # which sees the silence as a rest of the rhythm
        options = SpeechOptions(method)
        whole, gap = weights(samples, options), weights(cut, options)
        joined = np.concatenate([gap[:195], gap[405:]])
        assert abs(joined - np.concatenate([whole[:195], whole[205:]])).mean() < 0.03


@pytest.mark.parametrize("method", FOUND)
def test_weights_are_half_where_the_mask_changes(method):
    samples, _ = spoken(3, 15)
    mask = weights(samples, SpeechOptions(method))
    soft = weights(samples, SpeechOptions(method, output="weight", min_weight=1e-6))
    assert soft.min() >= 0
    assert soft.max() <= 1
    assert ((soft > 0) & (soft < 1)).any()
    np.testing.assert_array_equal(soft > 0.5, mask == 1)
    small = weights(samples, SpeechOptions(method, output="weight", min_weight=0.3))
    np.testing.assert_array_equal(small, np.where(soft < 0.3, 0, soft))


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=40), st.integers(0, 5), st.floats(0.05, 1))
def test_neighbors_vote_with_their_weights(odds, context, proportion):
    options = SpeechOptions(context_frames=context, proportion=proportion)
    single = [1 / (1 + np.exp(-o)) for o in odds]
    expected = single
    if context:
        around = [single[max(0, t - context) : t + context + 1] for t in range(len(odds))]
        expected = [min(1, sum(a) / len(a) / (2 * proportion)) for a in around]
    np.testing.assert_allclose(weighed(odds, options), expected, atol=1e-12)
    # Where each is sure, the vote of weights is the vote of decisions.
    sure = np.where(np.array(odds) > 0, 1e3, -1e3)
    np.testing.assert_array_equal(
        weighed(sure, options) >= 0.5 - 1e-12,
        passed(sure, options) | (weighed(sure, options) == 0.5),
    )


def test_softness_is_stated_in_db():
    level = np.array([-60.0, -40.0, -37.0, -43.0, -10.0])
    options = SpeechOptions(rise=0, softness_db=3)  # the threshold: -40
    np.testing.assert_allclose(energy_odds(level, 0.01, options), [-20 / 3, 0, 1, -1, 10])
    assert weighed([1.0], options)[0] == pytest.approx(1 / (1 + np.exp(-1)))


def two_levels(rng, quiet=-50.0, loud=-25.0, n=300):
    speech = rng.random(n) < 0.6
    return np.where(
        speech, loud + 4 * rng.standard_normal(n), quiet + rng.standard_normal(n)
    ), speech


@pytest.mark.parametrize("method", GAUSSIANS)
def test_the_gaussians_are_the_classes(method):
    level, speech = two_levels(np.random.default_rng(0))
    odds = gaussian_odds(level, 0.01, SpeechOptions(method))
    assert ((odds > 0) == speech).mean() > 0.98
    # Never less likely for being louder, at both ends too.
    order = np.argsort(level)
    assert (np.diff(odds[order]) >= 0).all()


def test_two_gaussians_are_a_plain_em():
    level, _ = two_levels(np.random.default_rng(1), n=500)
    mean, deviation, share = [-55.0, -20.0], [5.0, 5.0], [0.5, 0.5]
    for _ in range(200):
        density = [
            share[k] / deviation[k] * np.exp(-0.5 * ((level - mean[k]) / deviation[k]) ** 2)
            for k in range(2)
        ]
        loud = density[1] / (density[0] + density[1])
        for k, p in enumerate((1 - loud, loud)):
            share[k], mean[k] = p.mean(), np.average(level, weights=p)
            deviation[k] = np.sqrt(np.average((level - mean[k]) ** 2, weights=p))
    between = (level > mean[0]) & (level < mean[1])
    ours = weighed(gaussian_odds(level, 0.01, SpeechOptions("two_gaussian")), SpeechOptions())
    np.testing.assert_allclose(ours[between], loud[between], atol=0.01)


@pytest.mark.parametrize("method", GAUSSIANS)
def test_one_class_is_all_speech(method):
    level = -30 + 2 * np.random.default_rng(2).standard_normal(500)
    one = SpeechOptions(method, separation=1.5 if method == "two_gaussian" else 2.2)
    assert (gaussian_odds(level, 0.01, one) > 0).all()
    split = gaussian_odds(level, 0.01, SpeechOptions(method, separation=0))
    assert 0 < (split > 0).mean() < 1
    # A word cut out: two levels, and less than a second.
    level, _ = two_levels(np.random.default_rng(0), n=90)
    assert (gaussian_odds(level, 0.01, SpeechOptions(method)) > 0).all()
    assert (gaussian_odds(np.full(300, -20.0), 0.01, SpeechOptions(method)) > 0).all()


@pytest.mark.parametrize("depth", [0.3, 0.9])
def test_modulation_depth_of_a_known_envelope(depth):
    t = np.arange(400) * 0.01
    energies = np.outer(1 + depth * np.cos(2 * np.pi * 4 * t), [1.0, 1e-6, 1e6])
    found = modulation_depth(energies, 0.01, 1.0)[100:300]
    np.testing.assert_allclose(found, depth / np.sqrt(2), rtol=0.03)
    assert modulation_depth(np.full((400, 3), 7.0), 0.01, 1.0).max() < 1e-12
    for hertz, most in ((1.0, 0.3), (8.0, 0.15), (15.0, 0.02)):
        slow = np.outer(1 + depth * np.cos(2 * np.pi * hertz * t), [1.0])
        assert modulation_depth(slow, 0.01, 1.0)[100:300].max() < most * depth


def test_what_a_method_needs_must_be_given():
    energy = np.log(np.repeat([1e4, 1e8], 50))
    for method in SPECTRAL:
        with pytest.raises(DataError, match=f"spectra must be given for the method '{method}'"):
            speech_weights(energy, 400, 0.01, SpeechOptions(method))
        short = frame_spectra(np.zeros(4000, dtype=np.float32), RATE, 400, 160, 512)
        with pytest.raises(DataError, match="spectra must be one a frame: 100 frames"):
            speech_weights(energy, 400, 0.01, SpeechOptions(method), spectra=short)
    with pytest.raises(DataError, match="labeled must be one truth value .* got none"):
        speech_weights(energy, 400, 0.01, SpeechOptions("labels"))
    with pytest.raises(DataError, match=r"labeled must be one truth value .* got \(3,\)"):
        speech_weights(energy, 400, 0.01, SpeechOptions("labels"), labeled=np.ones(3, bool))


@pytest.mark.parametrize("padding", ["reflection", "zeros"])
@pytest.mark.parametrize("method", SPECTRAL)
def test_spectra_are_of_the_frames_of_the_features(method, padding):
    samples, _ = spoken(4, 20)
    static = StaticOptions(snip_edges=False, padding=padding)
    padded = Pipeline(PipelineOptions(static=static, speech=SpeechOptions(method)))
    plain = Pipeline(PipelineOptions(speech=SpeechOptions(method)))
    found, expected = (p.extract(Signal(samples, RATE)).positions for p in (padded, plain))
    # About one frame later, since the first is centered on the start.
    shift = 1 if padding == "zeros" else 0.75
    assert abs(np.median(found) - np.median(expected) - shift) < 6
    assert abs(len(found) - len(expected)) < 12


def test_a_method_that_looks_at_the_level_computes_no_spectra():
    def never():
        raise AssertionError

    samples, _ = spoken(0, 20)
    spectra = dataclasses.replace(frame_spectra(samples, RATE, 400, 160, 512), blocks=never)
    energy = detection_energy(samples, RATE)
    for method in ("energy", "kaldi", *GAUSSIANS, "none"):
        speech_weights(energy, 400, 0.01, SpeechOptions(method), spectra=spectra)


def test_bands_without_a_bin_are_refused_before_any_audio():
    for method in SPECTRAL:
        speech = SpeechOptions(method)
        band = dataclasses.replace(getattr(speech, method), low_hertz=7990, high_hertz=7995)
        with pytest.raises(OptionError, match=rf"speech\.{method}\.low_hertz .* must hold a bin"):
            PipelineOptions(speech=dataclasses.replace(speech, **{method: band}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"output": "masks"}, "did you mean 'mask'"),
        ({"min_weight": 0.0}, "min_weight must be"),
        ({"softness_db": 0.0}, "softness_db must be"),
        ({"separation": -1.0}, "separation must be"),
        ({"method": "two_gausian"}, "did you mean 'two_gaussian'"),
    ],
)
def test_options_are_checked(changes, reason):
    with pytest.raises(OptionError, match=reason):
        SpeechOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantile": 0.0}, "quantile must be"),
        ({"window_seconds": 0.1}, "window_seconds must be"),
        ({"cell_seconds": 0.0}, "cell_seconds must be"),
        ({"cell_bins": 0}, "cell_bins must be"),
        ({"cell_bins": 4}, "cell_bins must be odd"),
    ],
)
def test_noise_options_are_checked(changes, reason):
    with pytest.raises(OptionError, match=reason):
        NoiseFloorOptions(**changes)


@st.composite
def signals(draw):
    n = draw(st.sampled_from([400, 401, 560, 1600, 8000, 24000]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    steps = rng.uniform(0, 1, n // 2000 + 2) ** 4
    kinds = {
        "silence": lambda: np.zeros(n),
        "offset": lambda: np.full(n, draw(st.floats(-1, 1))),
        "impulse": lambda: np.eye(1, n, draw(st.integers(0, n - 1)))[0],
        "clipped": lambda: np.sign(rng.standard_normal(n)) * (steps[np.arange(n) // 2000] > 0.3),
        "tiny": lambda: 1e-42 * rng.standard_normal(n),
        "huge": lambda: 9e5 * rng.uniform(-1, 1, n) * steps[np.arange(n) // 2000],
        "steps": lambda: rng.standard_normal(n) * steps[np.arange(n) // 2000],
        "half": lambda: rng.standard_normal(n) * (np.arange(n) > n // 2),
        "tone": lambda: (
            np.sin(np.arange(n) * draw(st.floats(0, np.pi))) * steps[np.arange(n) // 2000]
        ),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]()


@settings(max_examples=100)
@given(
    signals(),
    st.sampled_from([*FOUND, "kaldi", "none"]),
    st.sampled_from(OUTPUTS),
    st.sampled_from([0.0, 4.0]),
    st.integers(0, 3),
    st.sampled_from([8000, 16000]),
)
def test_finite_weights_or_a_named_error(samples, method, output, span, context, rate):
    options = SpeechOptions(
        method, output=output, min_range_db=span, context_frames=context, rise_min_seconds=0
    )
    pipeline = Pipeline(PipelineOptions(**({"sample_rate": rate} | _narrow(rate)), speech=options))
    try:
        found = pipeline.extract(Signal(np.asarray(samples, dtype=np.float32), rate))
    except VoicegmmError as error:
        message = str(error)
        assert message
        assert "\n" not in message
        return
    assert len(found.weights)
    assert np.isfinite(found.weights).all()
    if output == "mask":
        assert (found.weights == 1).all()
    else:
        assert found.weights.min() >= (0 if method == "none" else options.min_weight)


def _narrow(rate):
    return {} if rate == RATE else {"static": StaticOptions(n_filters=24, high_hertz=3800)}


@pytest.mark.parametrize("fit", ["converged", "spear"])
@pytest.mark.parametrize("method", ["two_gaussian", "three_gaussian"])
def test_a_class_that_loses_its_last_frame_decides_nothing(method, fit):
    options = SpeechOptions(method, gaussian_fit=fit, separation=0, rise_min_seconds=0)
    rng = np.random.default_rng(8)
    for n in range(2, 8):
        for _ in range(10):
            level = np.where(rng.uniform(size=n) < 0.5, -80.0, rng.uniform(-30, -20, n))
            odds = gaussian_odds(level, 0.01, options)
            assert not np.isnan(odds).any()
            assert (np.diff(odds[np.argsort(level)]) >= 0).all()
