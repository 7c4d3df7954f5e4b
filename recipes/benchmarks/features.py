"""How fast recordings become frames, beside librosa, Kaldi's code and the bare Fourier transform.

    python recipes/benchmarks/features.py [--minutes M] [--repeats R] [--json]
    python recipes/benchmarks/features.py --files [--minutes M ...] [--repeats R] [--json]
    python recipes/benchmarks/features.py --memory [--minutes M ...] [--json]

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
feature store with one worker and with two, by the function and by `voicegmm features extract`. What
two cores of this machine give at the most is measured beside it: two processes that know nothing of
each other, each with one worker and every other recording; and two such commands. It also takes the
time of the command for one recording.

The third writes one recording of M minutes, of 16 kHz and of 44.1 kHz in stereo, and has processes
of their own extract it: how far does their memory rise above what it is after a recording of 10 s?

In memory it is the processor's time that is taken (user and system), from disk the clock's, and as
`processor` that of all processes together. Ratios are medians of the ratios of neighboring
repeats, which a busy machine disturbs less than times. `work_of_one_worker_to_half_of_two` is what
the second worker can gain at the most where no other job runs.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
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


def interleaved(
    runs: Runs, repeats: int, *clocks: Callable[[], float]
) -> list[dict[str, list[float]]]:
    """Take the times of all runs in turn, by each clock.

    Each time a run goes before that does not count: some systems take freed memory away at once,
    and the next to ask for it waits, whoever that is.
    """
    times: list[dict[str, list[float]]] = [{name: [] for name in runs} for _ in clocks]
    for _ in range(repeats):
        for name, run in runs.items():
            run()
            begun = [clock() for clock in clocks]
            run()
            for clock, taken, start in zip(clocks, times, begun, strict=True):
                taken[name].append(clock() - start)
    return times


def processor_time() -> float:
    """Give the seconds that this process and those it has waited for have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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
        (times,) = interleaved(runs, repeats, time.process_time)
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


def write_recordings(folder: Path, minutes: float) -> dict[str, Path]:
    """Write recordings into two folders in turn."""
    samples = speech_like(min(minutes, DIFFERENT_MINUTES), seed=1)
    paths = {}
    for number, second in enumerate(range(0, round(60 * minutes), FILE_SECONDS)):
        name = f"{number % 2}/{second:06d}.wav"
        paths[name] = folder / name
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        start = second * RATE % len(samples)
        soundfile.write(paths[name], samples[start : start + FILE_SECONDS * RATE], RATE)
    return paths


def apart(work: Callable[[int], Any]) -> None:
    """Call ``work(0)`` and ``work(1)`` at once, in processes that know nothing of each other."""
    context = get_context("fork")
    processes = [context.Process(target=work, args=(half,)) for half in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError("an extraction failed")


FILE_RATIOS = {
    "one_worker_to_two": ("one_worker", "two_workers"),
    "one_worker_to_two_processes_apart": ("one_worker", "apart"),
    "command_one_worker_to_two": ("command_one_worker", "command_two_workers"),
    "command_one_worker_to_two_commands_apart": ("command_one_worker", "commands_apart"),
}


def measure_files(minutes: float, repeats: int) -> dict[str, Any]:
    """Measure extraction from files to a feature store, and the start of the command."""
    pipeline = Pipeline(PipelineOptions(normalization=NormalizationOptions("mean_variance")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_recordings(folder / "all", minutes)
        halves = [{n: p for n, p in paths.items() if n.startswith(f"{half}/")} for half in (0, 1)]
        one = folder / "one.txt"
        one.write_text(f"all/{next(iter(paths))}\n")

        def extract(recordings: Mapping[str, Path], n_workers: int, out: str) -> None:
            extract_to_store(recordings, pipeline, folder / out, n_workers)

        def command(what: Path, n_workers: int, out: str) -> None:
            program = [sys.executable, "-m", "voicegmm", "features", "extract", what]
            program += ["-o", folder / out, "--workers", str(n_workers)]
            program += ["--set", "normalization.method=mean_variance"]
            subprocess.run(program, check=True, capture_output=True)

        runs: Runs = {
            "one_worker": lambda: extract(paths, 1, "f.h5"),
            "two_workers": lambda: extract(paths, 2, "f.h5"),
            "apart": lambda: apart(lambda half: extract(halves[half], 1, f"{half}.h5")),
            "command_one_worker": lambda: command(folder / "all", 1, "f.h5"),
            "command_two_workers": lambda: command(folder / "all", 2, "f.h5"),
            "commands_apart": lambda: apart(
                lambda half: command(folder / "all" / str(half), 1, f"{half}.h5")
            ),
            "command_one_recording": lambda: command(one, 1, "f.h5"),
        }
        times, worked = interleaved(runs, repeats, time.perf_counter, processor_time)
    return {
        "minutes": minutes,
        "files": len(paths),
        "seconds": {name: float(np.median(taken)) for name, taken in times.items()},
        "processor": {name: float(np.median(taken)) for name, taken in worked.items()},
        "ratios": {
            **{name: ratio(times, *pair) for name, pair in FILE_RATIOS.items()},
            "work_of_one_worker_to_half_of_two": 2 * ratio(worked, "one_worker", "two_workers"),
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
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[30.0], metavar="M", help="of sound"
    )
    parser.add_argument("--repeats", type=int, default=7, metavar="R")
    parser.add_argument("--files", action="store_true", help="from disk to a store")
    parser.add_argument("--memory", action="store_true", help="of one long recording")
    parser.add_argument("--json", action="store_true", help="an object a line for each length")
    options = parser.parse_args(arguments)
    measure = measure_files if options.files else measure_in_memory
    if options.memory:
        measure = measure_memory
    for minutes in options.minutes:
        result = measure(minutes, options.repeats)
        print(json.dumps(result) if options.json else as_text(result), flush=True)


def as_text(result: Mapping[str, Any]) -> str:
    """Give a line for each number."""
    lines = []
    for name, value in result.items():
        if isinstance(value, dict):
            lines += [f"{name:25} {inner:40} {number:.4g}" for inner, number in value.items()]
        else:
            lines.append(f"{name:66} {value}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
