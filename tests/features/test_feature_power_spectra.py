"""Transforms of many frames side by side, compiled and in numpy, against those of one in double."""

import sys

import numpy as np
import pytest

from voicegmm.compute import compiling
from voicegmm.features import StaticOptions, analysis_frames, detection_energy, loading, windowed
from voicegmm.features import power_spectra as power_spectra_module
from voicegmm.features import stretch as stretch_module
from voicegmm.features.plan import prepare
from voicegmm.features.power_spectra import LONGEST, SHORTEST, power_spectra
from voicegmm.features.stretch import stretches

RATE = 16_000
SMALL = {"n_filters": 2, "n_cepstra": 1}
LENGTHS = [SHORTEST << k for k in range(LONGEST.bit_length() - SHORTEST.bit_length() + 1)]


def signal(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    return (0.05 + 0.1 * rng.standard_normal(n_samples)).astype(np.float32)


def both(function, *arguments):
    """Give what the compiled loops give, which is to the bit what numpy gives."""
    results = []
    for kernel in (None, loading.load()):
        with pytest.MonkeyPatch.context() as patch:
            for module in (power_spectra_module, stretch_module):
                patch.setattr(module, "compiled_for", lambda n_frames, kernel=kernel: kernel)
            results.append(function(*arguments))
    np.testing.assert_array_equal(*results)
    return results[1]


def spectra(samples, options, rate=RATE):
    plan = prepare(options, rate)
    compute = power_spectra(plan, options)
    return np.concatenate(
        [compute(stretch).copy() for stretch in stretches(samples, plan, options)]
    )


def reference(samples, options, rate=RATE):
    frames = analysis_frames(samples, rate, options).astype(np.float64)
    weighted = windowed(frames, rate, options).astype(np.float64)
    return np.abs(np.fft.rfft(weighted, prepare(options, rate).n_fft, axis=1)) ** 2


def assert_close(ours, expected):
    # Rounding of a transform is a part of its loudest bins.
    loud = expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(ours / loud, expected / loud, rtol=0, atol=3e-5)


@pytest.mark.parametrize("n_fft", LENGTHS)
def test_every_length_that_the_compiled_loops_know(n_fft):
    seconds = min(n_fft, 401) / RATE
    options = StaticOptions(window_seconds=seconds, n_fft=n_fft, **SMALL)
    samples = signal(7000)
    assert_close(both(spectra, samples, options), reference(samples, options))


@pytest.mark.parametrize(
    "changes",
    [
        {"preemphasis": 0.0},
        {"remove_dc": False},
        {"preemphasis_start": "signal"},
        {"hop_seconds": 0.03},
        {"window_seconds": 0.0201, "hop_seconds": 0.0003},
        {"n_fft": 400},
        {"n_fft": 2 * LONGEST},
        {"precision": "double"},
    ],
)
def test_whatever_is_done_to_frames_before(changes):
    options = StaticOptions(**changes)
    samples = signal(3000)
    assert_close(both(spectra, samples, options), reference(samples, options))


@pytest.mark.parametrize("n_frames", [0, 1, 31, 32, 33, 257])
def test_a_frame_gets_the_same_bits_wherever_it_stands(n_frames):
    options = StaticOptions(remove_dc=False)  # whose sums are a library's
    samples = signal(160 * 400)
    of_all = spectra(samples, options)
    part = samples[: 400 + 160 * (n_frames - 1)] if n_frames else samples[:399]
    np.testing.assert_array_equal(spectra(part, options), of_all[:n_frames])
    if n_frames:
        np.testing.assert_array_equal(spectra(samples[160 * 5 :], options)[:9], of_all[5:14])


@pytest.mark.parametrize(
    "changes",
    [{}, {"hop_seconds": 0.03}, {"hop_seconds": 0.0251}, {"precision": "double"}],
    ids=str,
)
def test_energies_are_those_of_the_frames(changes):
    options = StaticOptions(**changes)
    samples = signal(20_000) + 0.5
    samples[4000:9000] *= 1e-3
    frames = analysis_frames(samples, RATE, StaticOptions(**{**changes, "precision": "double"}))
    frames -= frames.mean(axis=1, keepdims=True)
    expected = np.log(np.maximum(np.square(frames).sum(axis=1), np.finfo(np.float32).eps))
    np.testing.assert_allclose(both(detection_energy, samples, RATE, options), expected, atol=2e-6)


def test_loops_are_loaded_when_they_are_repaid(monkeypatch):
    kernel = loading.load()
    monkeypatch.setattr(loading, "_n_done", 0)
    assert loading.compiled_for(1) is kernel  # as it is there already
    monkeypatch.delitem(sys.modules, "voicegmm.features.kernel")
    monkeypatch.setattr(loading, "load", lambda: kernel)
    found = [loading.compiled_for(loading.REPAID_FROM // 2) for _ in range(2)]
    assert found == [None, kernel]


def test_loops_are_compiled_where_nothing_can_be_kept(monkeypatch):
    compile_function = compiling.numba.njit

    def without_folder(signature, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available")
        return compile_function(signature, **options)

    monkeypatch.setattr(compiling.numba, "njit", without_folder)
    double = compiling.compiled("f8(f8)")(lambda x: 2 * x)
    assert double(1.5) == 3.0
