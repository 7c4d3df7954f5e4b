"""Transforms of many frames side by side against numpy's of one in double precision."""

import numpy as np
import pytest

from voicegmm.compute import compiling
from voicegmm.features import StaticOptions, analysis_frames, windowed
from voicegmm.features.plan import prepare
from voicegmm.features.power_spectra import LONGEST, SHORTEST, power_spectra
from voicegmm.features.stretch import stretches

RATE = 16_000
SMALL = {"n_filters": 2, "n_cepstra": 1}
LENGTHS = [SHORTEST << k for k in range(LONGEST.bit_length() - SHORTEST.bit_length() + 1)]


def signal(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    return (0.05 + 0.1 * rng.standard_normal(n_samples)).astype(np.float32)


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
    assert_close(spectra(samples, options), reference(samples, options))


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
    assert_close(spectra(samples, options), reference(samples, options))


@pytest.mark.parametrize("n_frames", [0, 1, 31, 32, 33, 257])
def test_a_frame_gets_the_same_bits_wherever_it_stands(n_frames):
    options = StaticOptions(remove_dc=False)  # whose sums are a library's
    samples = signal(160 * 400)
    of_all = spectra(samples, options)
    part = samples[: 400 + 160 * (n_frames - 1)] if n_frames else samples[:399]
    np.testing.assert_array_equal(spectra(part, options), of_all[:n_frames])
    if n_frames:
        np.testing.assert_array_equal(spectra(samples[160 * 5 :], options)[:9], of_all[5:14])


def test_loops_are_compiled_where_nothing_can_be_kept(monkeypatch):
    compile_function = compiling.numba.njit

    def without_folder(signature, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available")
        return compile_function(signature, **options)

    monkeypatch.setattr(compiling.numba, "njit", without_folder)
    double = compiling.compiled("f8(f8)")(lambda x: 2 * x)
    assert double(1.5) == 3.0
