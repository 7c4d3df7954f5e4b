"""RASTA against scipy's filter, and its place in the pipeline."""

import dataclasses

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.audio import Signal
from voicegmm.features import (
    DeltaOptions,
    Pipeline,
    PipelineOptions,
    RastaOptions,
    SpeechOptions,
    StaticOptions,
    filterbank,
    plp_cepstra,
    rasta,
    static_features,
)

RATE = 16000


def voice(seconds=2.0, seed=0):
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    loudness = np.exp(np.interp(np.arange(n), np.linspace(0, n, 20), rng.uniform(-8, -2, 20)))
    return np.clip(rng.standard_normal(n) * loudness, -1, 1).astype(np.float32)


def ellis(x, pole):
    """rastafilt.m, as sidekit has it too: the numerator's state from the first four frames."""
    numerator = -np.arange(-2, 3) / 10
    _, state = scipy.signal.lfilter(numerator, 1, x[:4], axis=0, zi=np.zeros((4, x.shape[1])))
    rest, _ = scipy.signal.lfilter(numerator, [1, -pole], x[4:], axis=0, zi=state)
    return np.vstack([np.zeros((4, x.shape[1])), rest])


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(5, 200), st.just(2)), elements=st.floats(-100, 100)
    ),
    st.sampled_from([0.0, 0.5, 0.94, 0.98, 0.99]),
)
def test_rasta_is_scipys_filter(frames, pole):
    np.testing.assert_allclose(rasta(frames, pole), ellis(frames, pole), atol=1e-9)


@given(st.floats(-1e4, 1e4, width=32), st.integers(0, 300))
def test_a_constant_and_four_frames_come_out_as_zeros(value, n_frames):
    frames = np.full((n_frames, 2), value, dtype=np.float32)
    result = rasta(frames)
    assert result.dtype == np.float32
    assert (result == 0).all()
    assert (rasta(frames[:4] * np.arange(2, dtype=np.float32)) == 0).all()


def test_the_band_that_passes():
    # Response at 1 Hz, in the middle of the band, to a slow drift, and to a flutter of 28.9 Hz,
    # which the filter has a zero at.
    t = np.arange(4000) / 100
    for hertz, low, high in ((0.01, 0.0, 0.05), (4.0, 0.7, 1.3), (28.93, 0.0, 0.02)):
        wave = np.sin(2 * np.pi * hertz * t)[:, None]
        assert low <= np.abs(rasta(wave)[2000:]).max() <= high


@pytest.mark.parametrize("kind", ["mfcc", "filterbank", "plp"])
def test_on_the_filterbank_it_acts_before_the_transform(kind):
    samples = voice()
    options = StaticOptions(kind=kind, energy="none", lifter=0.0, precision="double")
    filtered = ellis(filterbank(samples, RATE, options).astype(float), 0.98)
    expected = {
        "filterbank": lambda: filtered,
        "mfcc": lambda: scipy.fft.dct(filtered, axis=1, norm="ortho")[:, 1:21],
        "plp": lambda: plp_cepstra(filtered, RATE, options),
    }[kind]()
    ours = static_features(samples, RATE, options, RastaOptions("filterbank", 0.98))
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_on_the_static_features_it_acts_after_it_energy_included():
    samples = voice()
    options = StaticOptions(energy="log_energy")
    ours = static_features(samples, RATE, options, RastaOptions("static"))
    expected = ellis(static_features(samples, RATE, options).astype(float), 0.94)
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_the_pipeline_keeps_none_of_the_frames_that_fill_the_filter():
    everything = SpeechOptions("none")
    plain = Pipeline(PipelineOptions(speech=everything)).extract(Signal(voice(), RATE))
    options = PipelineOptions(rasta=RastaOptions("static"), speech=everything)
    result = Pipeline(options).extract(Signal(voice(), RATE))
    np.testing.assert_array_equal(result.positions, plain.positions[4:])
    assert result.n_total == plain.n_total
    with pytest.raises(AudioError, match="first 4 frames fill the RASTA filter") as caught:
        Pipeline(options).extract(Signal(voice()[: 400 + 3 * 160], RATE))
    assert caught.value.status == "too short"
    only = Pipeline(options).extract(Signal(voice()[: 400 + 4 * 160], RATE))
    assert len(only.frames) == 1


def test_options_are_checked():
    with pytest.raises(OptionError, match="on must be one of none, filterbank, static"):
        RastaOptions("cepstra")
    with pytest.raises(OptionError, match="pole must be between 0.0 and 0.99, got 1"):
        rasta(np.zeros((9, 2)), 1.0)
    with pytest.raises(DataError, match="must be a matrix"):
        rasta(np.zeros(9))
    centroids = PipelineOptions(static=StaticOptions(kind="centroids"))
    with pytest.raises(OptionError, match=r'rasta\.on must be "none" or "static" when'):
        dataclasses.replace(centroids, rasta=RastaOptions("filterbank"))
    dataclasses.replace(centroids, rasta=RastaOptions("static"), deltas=DeltaOptions(0))
