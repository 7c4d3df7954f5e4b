"""Against HTK's and Kaldi's own numbers (shared/oracles), through the presets users load."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from voicegmm._base.errors import AudioError
from voicegmm.audio import Signal, read_signal
from voicegmm.features import (
    NormalizationOptions,
    Pipeline,
    PipelineOptions,
    SpeechOptions,
    StaticOptions,
    deltas,
    detection_energy,
    filterbank,
    load_front_end,
    mfcc,
    normalize,
)
from voicegmm.features.speech import kaldi_rule

PRESETS = Path(__file__).parents[2] / "conf" / "features"


def preset(name):
    return load_front_end(str(PRESETS / f"{name}.toml"))


def htk_file(path):
    content = path.read_bytes()
    n_frames, _, n_bytes, _ = np.frombuffer(content[:12], ">i4,>i4,>i2,>i2")[0]
    return np.frombuffer(content[12:], ">f4").reshape(n_frames, n_bytes // 4)


@pytest.mark.parametrize(
    ("ending", "changes"),
    [
        ("fea_htk.1", {"energy": "c0", "preemphasis": 0.0}),
        ("fea_htk.2", {"preemphasis": 0.0}),
        ("fea_htk.4", {}),
    ],
)
def test_htk_mfcc(shared, ending, changes):
    options = preset("htk")
    pipeline = Pipeline(
        dataclasses.replace(options, static=dataclasses.replace(options.static, **changes))
    )
    ours = pipeline.extract_file(shared("oracles/htk/test.wav"))
    expected = htk_file(shared(f"oracles/htk/test.wav.{ending}"))
    # Float32 on both sides, on numbers up to 90.
    np.testing.assert_allclose(ours.frames, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("precision", "atol"), [("single", 1e-4), ("double", 2e-5)])
def test_htk_filterbank_in_both_precisions(shared, precision, atol):
    signal = read_signal(shared("oracles/htk/test.wav"))
    options = dataclasses.replace(preset("htk").static, preemphasis=0.0, precision=precision)
    ours = filterbank(signal.samples, signal.sample_rate, options)
    expected = htk_file(shared("oracles/htk/test.wav.fbank_htk.1"))
    # HTK's own arithmetic is single; the numbers go up to 22.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=atol)


def test_htk_filterbank_with_a_vtln_warp(shared):
    signal = read_signal(shared("oracles/htk/test.wav"))
    options = dataclasses.replace(
        preset("htk").static,
        preemphasis=0.0,
        low_hertz=25.0,
        vtln_warp=0.9,
        vtln_low_hertz=100.0,
        vtln_high_hertz=7500.0,
    )
    expected = htk_file(shared("oracles/htk/test.wav.fbank_htk.3"))
    ours = filterbank(signal.samples, signal.sample_rate, options)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
    # Without HTK's habit to leave out the bin nearest to the edge, the first filter differs.
    plain = filterbank(
        signal.samples, signal.sample_rate, dataclasses.replace(options, filter_shape="mel")
    )
    np.testing.assert_allclose(plain[:, 1:], expected[:, 1:], rtol=0, atol=1e-4)
    assert np.abs(plain[:, 0] - expected[:, 0]).max() > 1


def test_htk_plp(shared):
    options = preset("htk")
    static = dataclasses.replace(options.static, kind="plp", energy="c0", preemphasis=0.0)
    ours = Pipeline(dataclasses.replace(options, static=static)).extract_file(
        shared("oracles/htk/test.wav")
    )
    expected = htk_file(shared("oracles/htk/test.wav.plp_htk.1"))
    np.testing.assert_allclose(ours.frames, expected, rtol=0, atol=2e-5)


SID20 = preset("kaldi-sid").static
CONFS = {
    "sid20": SID20,
    "sid24": dataclasses.replace(SID20, n_cepstra=24, n_filters=30, high_hertz=7600.0),
    "sre10": dataclasses.replace(SID20, high_hertz=3700.0),
}
PAIRS = [(conf, wav) for conf in ("sid20", "sid24") for wav in ("a16k", "d16k", "e16k")] + [
    ("sre10", "c8k")
]
of_kaldi = pytest.mark.parametrize(("conf", "wav"), PAIRS)


@pytest.fixture(scope="module")
def kaldi(shared):
    features = np.load(shared("oracles/kaldi/features.npz"))
    return lambda conf, what, wav: features[f"{conf}.{what}.{wav}"]


@of_kaldi
def test_kaldi_mfcc_and_filterbank(shared, kaldi, conf, wav):
    signal = read_signal(shared(f"oracles/kaldi/wav/{wav}.wav"))
    for compute, what in ((mfcc, "mfcc"), (filterbank, "fbank")):
        ours = compute(signal.samples, signal.sample_rate, CONFS[conf])
        np.testing.assert_allclose(ours, kaldi(conf, what, wav), rtol=0, atol=1e-3)


@of_kaldi
@pytest.mark.parametrize("window", [2, 3])
def test_kaldi_deltas(kaldi, conf, wav, window):
    ours = deltas(kaldi(conf, "mfcc", wav), order=2, window=window)
    np.testing.assert_allclose(ours, kaldi(conf, f"deltas_w{window}o2", wav), rtol=0, atol=1e-4)


@of_kaldi
@pytest.mark.parametrize(
    ("what", "context", "proportion"), [("vad_default", 0, 0.6), ("vad_ctx2", 2, 0.12)]
)
def test_kaldi_speech_decisions_are_the_same_frame_by_frame(
    shared, kaldi, conf, wav, what, context, proportion
):
    options = SpeechOptions("kaldi", context_frames=context, proportion=proportion)
    expected = kaldi(conf, what, wav) == 1
    np.testing.assert_array_equal(kaldi_rule(kaldi(conf, "mfcc", wav)[:, 0], options), expected)
    signal = read_signal(shared(f"oracles/kaldi/wav/{wav}.wav"))
    energy = detection_energy(signal.samples, signal.sample_rate, CONFS[conf])
    np.testing.assert_array_equal(kaldi_rule(energy, options), expected)


@of_kaldi
@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("cmvn_c300", NormalizationOptions("sliding_mean")),
        ("cmvn_c101", NormalizationOptions("sliding_mean", window_frames=101)),
        ("cmvn_c300v", NormalizationOptions("sliding_mean_variance")),
        ("cmvn_past300", NormalizationOptions("sliding_mean", centered=False)),
        ("cmvn_past300v", NormalizationOptions("sliding_mean_variance", centered=False)),
    ],
)
def test_kaldi_sliding_normalization(kaldi, conf, wav, what, options):
    ours = normalize(kaldi(conf, "mfcc", wav), options)
    np.testing.assert_allclose(ours, kaldi(conf, what, wav), rtol=0, atol=1e-4)


@of_kaldi
def test_kaldi_front_end_from_recording_to_frames(shared, kaldi, conf, wav):
    signal = read_signal(shared(f"oracles/kaldi/wav/{wav}.wav"))
    pipeline = Pipeline(
        dataclasses.replace(preset("kaldi-sid"), sample_rate=signal.sample_rate, static=CONFS[conf])
    )
    if wav == "d16k":
        # Kaldi makes two frames of reflections of 20 ms; we call that too short.
        with pytest.raises(AudioError, match="too short") as caught:
            pipeline.extract(signal)
        assert caught.value.status == "too short"
        return
    ours = pipeline.extract(signal)
    np.testing.assert_allclose(ours.frames, kaldi(conf, "front", wav), rtol=0, atol=1e-3)
    np.testing.assert_array_equal(ours.positions, np.flatnonzero(kaldi(conf, "vad_default", wav)))
    assert ours.n_total == len(kaldi(conf, "vad_default", wav))


@pytest.mark.parametrize("wav", ["a16k", "e16k"])
def test_kaldi_front_end_for_voxceleb(shared, kaldi, wav):
    options = preset("kaldi-voxceleb")
    assert options.static == CONFS["sid24"]
    path = shared(f"oracles/kaldi/wav/{wav}.wav")
    decisions = kaldi("sid24", "vad_ctx2", wav)
    ours = Pipeline(options).extract_file(path)
    np.testing.assert_array_equal(ours.positions, np.flatnonzero(decisions))
    # Kaldi's frames of the whole chain are those that its detector without context keeps.
    alone = dataclasses.replace(options.speech, context_frames=0, proportion=0.6)
    ours = Pipeline(dataclasses.replace(options, speech=alone)).extract_file(path)
    np.testing.assert_allclose(ours.frames, kaldi("sid24", "front", wav), rtol=0, atol=1e-3)


def test_the_default_options_are_the_preset():
    assert preset("voicegmm-16k") == PipelineOptions()
    assert preset("voicegmm-16k").static == StaticOptions()


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_each_preset_says_what_it_is_for_and_works(path):
    assert path.read_text().startswith("# ")
    pipeline = Pipeline(preset(path.stem))
    rng = np.random.default_rng(5)
    loudness = np.repeat(rng.uniform(0.0005, 0.3, 20), pipeline.options.sample_rate // 10)
    frames = pipeline.extract(
        Signal(rng.uniform(-1, 1, len(loudness)) * loudness, pipeline.options.sample_rate)
    )
    assert frames.frames.shape[1] == pipeline.n_dims
    assert np.isfinite(frames.frames).all()


@pytest.mark.parametrize(
    ("corpus", "name", "low", "high"),
    [("fsdd", "voicegmm-8k", 0.7, 1.0), ("speechocean762-adults", "voicegmm-16k", 0.5, 0.8)],
)
@pytest.mark.parametrize(
    "n_files", [60, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_no_file_of_the_corpora_is_refused(shared, corpus, name, low, high, n_files):
    paths = sorted(shared(f"corpora/{corpus}").glob("*/*.flac"))
    paths = paths[:: len(paths) // n_files] if n_files else paths
    pipeline = Pipeline(preset(name))
    kept = total = 0
    for path in paths:
        frames = pipeline.extract_file(path)
        assert frames.notes == ()
        kept, total = kept + len(frames.frames), total + frames.n_total
    assert low < kept / total < high
