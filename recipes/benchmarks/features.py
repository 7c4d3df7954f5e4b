"""How fast recordings become frames, beside librosa, Kaldi's code and the bare Fourier transform.

    python recipes/benchmarks/features.py [--minutes M] [--repeats R] [--json]
    python recipes/benchmarks/features.py --files [--minutes M] [--repeats R] [--json]
    python recipes/benchmarks/features.py --memory [--minutes M] [--json]

The first measures, in one process and on one thread, with speech-like noise of 16 kHz in memory,
by interleaved repeats:

- 20 cepstra, and 20 cepstra with deltas and their deltas, by voicegmm, librosa, torchaudio
  (``compliance.kaldi``) and kaldi-native-fbank, of those that are installed, each with windows of
  25 ms every 10 ms and 30 mel filters. Of kaldi-native-fbank, which has no deltas, once the
  computation alone and once with the frames fetched;
- the limit: `scipy.fft.rfft` alone, float32, of the same length, on frames already cut and
  weighted, in blocks as large as those of ours;
- the whole chain of voicegmm: cepstra, deltas, speech detection, mean and variance normalization;
- each normalization alone, on the 60 dimensions.

The second writes recordings of 10 s (after half an hour the same ones again) and extracts them to a
feature store with one worker and with two: by the function, whose workers are there from the run
before where they are processes, and by `voicegmm features extract`, whose are not. It also takes
the time of that command for one recording.

The third writes one recording of M minutes, of 16 kHz and of 44.1 kHz in stereo, and has processes
of their own extract it: how far does their memory rise above what it is after a recording of 10 s?

In memory it is the processor's time that is taken (user and system), from disk the clock's. Ratios
are medians of the ratios of neighboring repeats, which a busy machine disturbs less than times.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
import soundfile
from threadpoolctl import threadpool_limits

from voicegmm.audio import Signal
from voicegmm.features import (
    NormalizationOptions,
    Pipeline,
    PipelineOptions,
    StaticOptions,
    deltas,
    mfcc,
    normalize,
)
from voicegmm.features.normalization import METHODS
from voicegmm.store import extract_to_store

RATE = 16_000
LIMIT_BLOCK = 256  # frames
FILE_SECONDS = 10
DIFFERENT_MINUTES = 30
Runs = dict[str, Callable[[], Any]]


def speech_like(minutes: float, seed: int) -> np.ndarray:
    """Make noise whose loudness changes every tenth of a second, by up to 50 dB."""
    rng = np.random.default_rng(seed)
    n_samples = round(minutes * 60 * RATE)
    samples = rng.standard_normal(n_samples, dtype=np.float32)
    loudness = 10 ** rng.uniform(-3.5, -1.0, n_samples // 1600 + 1)
    for number, start in enumerate(range(0, n_samples, 1600)):
        samples[start : start + 1600] *= np.float32(loudness[number])
    return samples


def our_runs(samples: np.ndarray) -> Runs:
    """Give what is measured of voicegmm."""
    static = StaticOptions()
    pipeline = Pipeline(PipelineOptions(normalization=NormalizationOptions("mean_variance")))
    signal = Signal(samples, RATE)
    return {
        "mfcc": lambda: mfcc(samples, RATE, static),
        "mfcc_deltas": lambda: deltas(mfcc(samples, RATE, static), order=2, window=3),
        "chain": lambda: pipeline.extract(signal),
    }


def limit_run(samples: np.ndarray) -> Runs:
    """Give the Fourier transforms of all frames, and nothing else."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
    frames = frames * np.hamming(400).astype(np.float32)

    def transform() -> None:
        for start in range(0, len(frames), LIMIT_BLOCK):
            scipy.fft.rfft(frames[start : start + LIMIT_BLOCK], n=512, axis=1)

    return {"fft": transform}


def librosa_runs(samples: np.ndarray) -> Runs:
    """Give librosa's cepstra, without and with deltas."""
    import librosa

    def cepstra() -> np.ndarray:
        return librosa.feature.mfcc(
            y=samples,
            sr=RATE,
            n_mfcc=20,
            n_fft=512,
            win_length=400,
            hop_length=160,
            window="hamming",
            n_mels=30,
            htk=True,
            lifter=22,
        )

    def with_deltas() -> np.ndarray:
        base = cepstra()
        first, second = (librosa.feature.delta(base, width=7, order=order) for order in (1, 2))
        return np.concatenate([base, first, second])

    return {"librosa_mfcc": cepstra, "librosa_mfcc_deltas": with_deltas}


def kaldi_runs(samples: np.ndarray) -> Runs:
    """Give the cepstra of kaldi-native-fbank, computed, and computed and fetched."""
    import kaldi_native_fbank

    options = kaldi_native_fbank.MfccOptions()
    options.num_ceps, options.mel_opts.num_bins = 20, 30
    options.frame_opts.dither, options.frame_opts.samp_freq = 0.0, RATE
    options.frame_opts.window_type = "hamming"
    scaled = samples * np.float32(32768)

    def computed() -> Any:
        online = kaldi_native_fbank.OnlineMfcc(options)
        online.accept_waveform(RATE, scaled)
        online.input_finished()
        return online

    def fetched() -> np.ndarray:
        online = computed()
        return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])

    return {"kaldi_mfcc": computed, "kaldi_mfcc_fetched": fetched}


def torchaudio_runs(samples: np.ndarray) -> Runs:
    """Give the cepstra of torchaudio's form of Kaldi's code."""
    import torch
    from torchaudio.compliance import kaldi

    torch.set_num_threads(1)
    wave = torch.from_numpy(samples * np.float32(32768))[None]

    def cepstra() -> Any:
        return kaldi.mfcc(
            wave, sample_frequency=RATE, num_ceps=20, num_mel_bins=30, window_type="hamming"
        )

    return {"torchaudio_mfcc": cepstra}


PEERS = {
    "librosa": librosa_runs,
    "kaldi_native_fbank": kaldi_runs,
    "torchaudio": torchaudio_runs,
}
RATIOS = {
    "librosa_to_ours": ("librosa_mfcc_deltas", "mfcc_deltas"),
    "librosa_to_ours_without_deltas": ("librosa_mfcc", "mfcc"),
    "kaldi_to_ours": ("kaldi_mfcc", "mfcc"),
    "kaldi_fetched_to_ours": ("kaldi_mfcc_fetched", "mfcc"),
    "torchaudio_to_ours": ("torchaudio_mfcc", "mfcc"),
    "ours_to_fft": ("mfcc", "fft"),
    "ours_with_deltas_to_fft": ("mfcc_deltas", "fft"),
    "chain_to_mfcc_deltas": ("chain", "mfcc_deltas"),
    "chain_to_mfcc": ("chain", "mfcc"),
}


def interleaved(runs: Runs, repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Take the times of all runs in turn.

    Each time a run goes before that does not count: some systems take freed memory away at once,
    and the next to ask for it waits, whoever that is.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            run()
            begun = clock()
            run()
            times[name].append(clock() - begun)
    return times


def ratio(times: Mapping[str, Sequence[float]], upper: str, lower: str) -> float:
    """Give the median of the ratios of times that were taken in the same turn."""
    return float(np.median(np.divide(times[upper], times[lower])))


def measure_in_memory(minutes: float, repeats: int) -> dict[str, Any]:
    """Measure ours, the peers that are installed, and the limit."""
    samples = speech_like(minutes, seed=1)
    runs = our_runs(samples) | limit_run(samples)
    missing = []
    for name, peer in PEERS.items():
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
            continue
        runs |= peer(samples)
    frames = deltas(mfcc(samples, RATE), order=2, window=3)
    for method in METHODS[1:]:
        options = NormalizationOptions(method)
        runs[f"normalize_{method}"] = lambda options=options: normalize(frames, options)
    with threadpool_limits(1):
        times = interleaved(runs, repeats, time.process_time)
    return {
        "minutes": minutes,
        "frames": len(frames),
        "not_installed": missing,
        "seconds": {name: float(np.median(taken)) for name, taken in times.items()},
        "ratios": {
            name: ratio(times, *pair) for name, pair in RATIOS.items() if times.keys() >= set(pair)
        },
        "hours_of_speech_per_second": minutes / 60 / float(np.median(times["chain"])),
    }


def measure_files(minutes: float, repeats: int) -> dict[str, Any]:
    """Measure extraction from files to a feature store, and the start of the command."""
    pipeline = Pipeline(PipelineOptions(normalization=NormalizationOptions("mean_variance")))
    with tempfile.TemporaryDirectory() as folder:
        samples = speech_like(min(minutes, DIFFERENT_MINUTES), seed=1)
        paths = {}
        for second in range(0, round(60 * minutes), FILE_SECONDS):
            name = f"{second:06d}.wav"
            paths[name] = Path(folder, name)
            start = second * RATE % len(samples)
            soundfile.write(paths[name], samples[start : start + FILE_SECONDS * RATE], RATE)
        store, one = Path(folder, "features.h5"), Path(folder, "one.txt")
        one.write_text(next(iter(paths)) + "\n")
        command = [sys.executable, "-m", "voicegmm", "features", "extract", "-o", f"{folder}/c.h5"]
        command += ["--set", "normalization.method=mean_variance"]
        run = partial(subprocess.run, check=True, capture_output=True)
        runs: Runs = {
            "one_worker": lambda: extract_to_store(paths, pipeline, store, 1),
            "two_workers": lambda: extract_to_store(paths, pipeline, store, 2),
            "command_one_worker": lambda: run([*command, folder, "--workers", "1"]),
            "command_two_workers": lambda: run([*command, folder, "--workers", "2"]),
            "command_one_recording": lambda: run([*command, str(one)]),
        }
        times = interleaved(runs, repeats, time.perf_counter)
    return {
        "minutes": minutes,
        "files": len(paths),
        "seconds": {name: float(np.median(taken)) for name, taken in times.items()},
        "ratios": {
            "one_worker_to_two": ratio(times, "one_worker", "two_workers"),
            "command_one_worker_to_two": ratio(times, "command_one_worker", "command_two_workers"),
        },
    }


# Prints MB: the peak of this process's memory over what it was before the recording.
EXTRACT_ONE = """
import sys
from voicegmm.features import Pipeline, load_front_end

def mega(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

short, path, *settings = sys.argv[1:]
pipeline = Pipeline(load_front_end("voicegmm-16k", settings))
pipeline.extract_file(short)
before = mega("VmRSS:")
frames = pipeline.extract_file(path).frames
print(mega("VmHWM:") - before, frames.nbytes / 2**20)
"""


def measure_memory(minutes: float, repeats: int) -> dict[str, Any]:
    """Measure what the extraction of one long recording takes (on Linux)."""
    del repeats  # what memory rises to is much the same each time
    cases: dict[str, tuple[str, ...]] = {
        "default": (),
        "mean_variance": ("normalization.method=mean_variance",),
        "likelihood_ratio": ("speech.method=likelihood_ratio",),
    }
    result: dict[str, Any] = {"minutes": minutes, "megabytes": {}, "megabytes_of_frames": {}}
    with tempfile.TemporaryDirectory() as folder:
        for rate, n_channels in ((RATE, 1), (44_100, 2)):
            paths = Path(folder, "short.wav"), Path(folder, "long.wav")
            for path, length in zip(paths, (10 / 60, minutes), strict=True):
                _write_slowly(path, rate, n_channels, round(60 * length))
            for name, settings in cases.items():
                command = [sys.executable, "-c", EXTRACT_ONE, *map(str, paths), *settings]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                peak, frames = map(float, done.stdout.split())
                result["megabytes"][f"{name}_{rate}_{n_channels}"] = peak
                result["megabytes_of_frames"][f"{name}_{rate}_{n_channels}"] = frames
    return result


def _write_slowly(path: Path, rate: int, n_channels: int, n_seconds: int) -> None:
    """Write noise whose loudness changes each quarter of a second, a second at a time."""
    rng = np.random.default_rng(1)
    with soundfile.SoundFile(path, "w", rate, n_channels) as file:
        for _ in range(n_seconds):
            loudness = np.repeat(10 ** rng.uniform(-3.5, -1.0, 4), -(-rate // 4))[:rate, None]
            file.write(loudness * rng.standard_normal((rate, n_channels)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, metavar="M", help="of sound")
    parser.add_argument("--repeats", type=int, default=7, metavar="R")
    parser.add_argument("--files", action="store_true", help="from disk to a store")
    parser.add_argument("--memory", action="store_true", help="of one long recording")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    measure = measure_files if options.files else measure_in_memory
    if options.memory:
        measure = measure_memory
    result = measure(options.minutes, options.repeats)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if isinstance(value, dict):
            for inner, number in value.items():
                print(f"{name:8} {inner:32} {number:.4g}")
        else:
            print(f"{name:41} {value}")


if __name__ == "__main__":
    main()
