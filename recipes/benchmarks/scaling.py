r"""What an hour of speech costs: time against workers and against frames on disk, and memory.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python recipes/benchmarks/scaling.py \
        [--millions 1 2 4 8] [--workers 1 2] [--components K] [--recordings DIR] [--json]
    python recipes/benchmarks/scaling.py --scheduler tcp://HOST:PORT --insecure ...

Recordings of DIR (by default those of speechocean762-adults in $VOICEGMM_SHARED, else artificial
voices) become features, by each number of workers. Their frames are repeated into a feature store
of 8 million frames. From ever more recordings of it, by each number of workers and each time in a
process of its own, with nothing of the file in the system's memory:

- `open`: opening the store and finding the recordings;
- `em`: one iteration of EM (E-step and M-step) out of core;
- `adapt`: a speaker's model from each 100 recordings in a row;
- `score`: each recording against one of these, by its ten best components.

`memory` is by how much the process grew at most since its imports. Lines are fitted to the times
and the memory, ``fixed + hourly * hours``, and followed to 100,000 hours. An hour of speech is
360,000 frames that were kept; that of `features` is one of recordings.

With --scheduler workers of Dask do the same: as many as there are, so that `workers` is idle.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm.compute import ComputeOptions, engine
from voicegmm.corpus import Enrollment, Trials
from voicegmm.features import FrameSet, Pipeline
from voicegmm.mixture import DiagonalGMM, EmOptions, MapOptions, collector, fit, sample_frames
from voicegmm.scoring import BackgroundModel, ScoringOptions, enroll, score_trials
from voicegmm.scoring.voices import Voices
from voicegmm.store import FeatureStore, extract_to_store
from voicegmm.store.features import new_store

SPEECH = "corpora/speechocean762-adults"
STAGES = ("open", "em", "adapt", "score")
FRAMES_PER_HOUR = 360_000
FAR = 100_000  # hours
PER_SPEAKER = 100  # recordings


def recordings_of(folder: Path | None, minutes: float, work: Path) -> dict[str, Path]:
    """Find recordings, or make some."""
    import soundfile

    if folder is None:
        shared = Path(os.environ.get("VOICEGMM_SHARED", "/nowhere")) / SPEECH
        folder = shared if shared.is_dir() else None
    if folder is None:
        from voicegmm.synthesis import CorpusOptions, write_corpus

        folder = work / "voices"
        folder.mkdir()
        write_corpus(folder, CorpusOptions(n_speakers=30, n_background=30, n_utterances=4))
    found: dict[str, Path] = {}
    seconds = 0.0
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".wav", ".flac")):
        if seconds >= 60 * minutes:
            break
        found[str(path.relative_to(folder))] = path
        seconds += soundfile.info(path).duration
    return found


def extraction(paths: dict[str, Path], work: Path, n_workers: int) -> dict[str, float]:
    """Measure how recordings become features."""
    import soundfile

    hours = sum(soundfile.info(path).duration for path in paths.values()) / 3600
    out = work / f"features-{n_workers}.h5"
    begun = time.perf_counter()
    extract_to_store(paths, Pipeline(), out, n_workers)
    spent = time.perf_counter() - begun
    return {
        "workers": n_workers,
        "hours": hours,
        "seconds_per_hour": spent / hours,
        "bytes_per_hour": out.stat().st_size / hours,
    }


def repeat(source: Path, out: Path, n_frames: int) -> None:
    """Write a store of the recordings of another, again and again."""
    with FeatureStore(source) as store:
        good = [file for file in store.ids if store.status(file).ok]
        pipeline, made, number = Pipeline(store.front_end), 0, 0
        with new_store(out, pipeline) as writer:
            while made < n_frames:
                file = good[number % len(good)]
                frames, weights = store.read([file])
                n = len(frames)
                each = np.ones(n) if weights is None else weights
                hop = store.front_end.static.hop_seconds
                writer.add(f"{number}", FrameSet(frames, each, np.arange(n), n, hop))
                made, number = made + n, number + 1


def child(options: argparse.Namespace) -> dict[str, float]:
    """Measure the work on some frames of a store: in a process of its own."""
    with options.store.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    found: dict[str, float] = {}
    before = held("VmRSS")
    with at_work(options):
        with measured("open", found):
            store = FeatureStore(options.store)
            files, n_frames = [], 0
            for file in store.ids:
                if n_frames >= options.frames:
                    break
                files.append(file)
                n_frames += store.count(file)
        found["frames"] = n_frames
        source = store.source(files)
        drawn = sample_frames(source, 20_000, np.random.default_rng(0))
        start = starting_point(drawn, options.components)
        warm = store.source(files[: max(len(files) // 8, 1)])
        once = EmOptions(n_iterations=1)
        start = fit(start, collector(warm, options.n_workers), once).gmm  # loads the compiled loops
        with measured("em", found):
            gmm = fit(start, collector(source, options.n_workers), once).gmm
        speakers(store, files, gmm, options.n_workers, found)
        store.close()
    found["memory"] = (held("VmHWM") - before) * 1024
    return found


def speakers(
    store: FeatureStore, files: list[str], gmm: DiagonalGMM, n_workers: int, found: dict[str, float]
) -> None:
    """Measure adaptation and scoring."""
    background = BackgroundModel(gmm, store.front_end)
    enrollments = [
        Enrollment(str(number), tuple(files[number : number + PER_SPEAKER]))
        for number in range(0, len(files), PER_SPEAKER)
    ]
    with measured("adapt", found):
        models, _ = enroll(background, store, enrollments, MapOptions(), n_workers)
    # Each on another speaker's model.
    names = np.roll([one.model for one in enrollments], 1)
    trials = Trials.of(
        (str(names[number // PER_SPEAKER]), file, -1) for number, file in enumerate(files)
    )
    with measured("score", found):
        scoring = ScoringOptions(method="top")
        score_trials(Voices(models, scoring=scoring), store, trials, n_workers=n_workers)


@contextmanager
def at_work(options: argparse.Namespace) -> Iterator[None]:
    """Let Dask work where it is asked for."""
    if not options.scheduler:
        yield
        return
    compute = ComputeOptions(
        "dask", options.scheduler, options.insecure, differing_workers="accept"
    )  # what is measured is time
    scratch = tempfile.TemporaryDirectory(dir=options.store.parent)
    with scratch, engine(compute, Path(scratch.name)):
        yield


@contextmanager
def measured(name: str, found: dict[str, float]) -> Iterator[None]:
    """Write down the seconds of a block."""
    begun = time.perf_counter()
    yield
    found[name] = time.perf_counter() - begun


def held(what: str) -> int:
    """Give this process's memory now (VmRSS) or at its peak (VmHWM), in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


def starting_point(frames: np.ndarray, n_components: int) -> DiagonalGMM:
    """Give equal weights, some frames as means, and the variances of all."""
    variances = frames.var(axis=0, dtype=np.float64)
    means = frames[:: len(frames) // n_components][:n_components]
    return DiagonalGMM(
        np.full(n_components, 1 / n_components), means, np.tile(variances, (n_components, 1))
    )


def line(hours: list[float], values: list[float]) -> dict[str, float]:
    """Fit ``fixed + hourly * hours``, and follow it."""
    hourly, fixed = np.polyfit(hours, values, 1) if len(hours) > 1 else (values[0] / hours[0], 0.0)
    return {"fixed": fixed, "hourly": hourly, "far": fixed + FAR * hourly}


def fits(rows: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Fit the cost of each stage, by each number of workers."""
    made = []
    for n_workers in dict.fromkeys(row["workers"] for row in rows):
        own = [row for row in rows if row["workers"] == n_workers]
        hours = [row["frames"] / FRAMES_PER_HOUR for row in own]
        names = (*STAGES, "memory")
        fitted = {name: line(hours, [row[name] for row in own]) for name in names}
        made.append({"workers": n_workers, **fitted})
    return made


def measure(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        work = Path(name)
        paths = recordings_of(options.recordings, options.minutes, work)
        extraction(dict(list(paths.items())[:5]), work, 1)  # loads the compiled loops
        features = []
        for n_workers in options.workers:
            features.append(extraction(paths, work, n_workers))
            tell(f"features, {n_workers} workers: {features[-1]['seconds_per_hour']:.2f} s an hour")
        store = work / "repeated.h5"
        repeat(work / f"features-{options.workers[0]}.h5", store, int(1e6 * max(options.millions)))
        os.sync()
        rows = []
        for million in options.millions:
            for n_workers in options.workers:
                rows.append({"workers": n_workers, **asked(options, store, million, n_workers)})
                tell(json.dumps(rows[-1]))
        size = store.stat().st_size / rows[-1]["frames"] * FRAMES_PER_HOUR
    return {
        "components": options.components,
        "engine": "dask" if options.scheduler else "threads",
        "features": features,
        "store_bytes_per_hour": size,
        "rows": rows,
        "fits": fits(rows),
    }


def asked(
    options: argparse.Namespace, store: Path, million: float, n_workers: int
) -> dict[str, float]:
    """Ask a new process; of several repeats give the least of each figure."""
    command = [
        sys.executable, __file__, "--store", str(store), "--frames", str(int(1e6 * million)),
        "--n-workers", str(n_workers), "--components", str(options.components),
        *(["--scheduler", options.scheduler] if options.scheduler else []),
        *(["--insecure"] if options.insecure else []),
    ]  # fmt: skip
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(options.repeats)
    ]
    return {name: min(one[name] for one in found) for name in found[0]}


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{result['components']} components, engine {result['engine']}")
    for row in result["features"]:
        print(
            f"features, {row['workers']} workers: {row['seconds_per_hour']:.2f} s and "
            f"{row['bytes_per_hour'] / 1e6:.0f} MB an hour of recordings"
        )
    print(f"store: {result['store_bytes_per_hour'] / 1e6:.1f} MB an hour of speech")
    print("workers  frames     " + "".join(f"{name:>10}" for name in STAGES) + "  memory, MB")
    for row in result["rows"]:
        cells = "".join(f"{row[name]:10.2f}" for name in STAGES)
        print(f"{row['workers']:7}  {row['frames']:9} {cells}  {row['memory'] / 1e6:10.0f}")
    print(f"workers  stage    fixed     an hour   {FAR} hours")
    for each in result["fits"]:
        for name in STAGES:
            one = each[name]
            print(
                f"{each['workers']:7}  {name:6} {one['fixed']:7.2f} s {one['hourly']:9.4f} s"
                f" {one['far'] / 3600:9.1f} h"
            )
        one = each["memory"]
        fixed, hourly, far = one["fixed"] / 1e6, one["hourly"] / 1e3, one["far"] / 1e9
        print(f"{each['workers']:7}  memory {fixed:6.0f} MB {hourly:8.1f} kB {far:8.1f} GB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0, help="of recordings, for features")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--scheduler", default="")
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--work", type=Path, help="where the store of 2 GB is written, for a while")
    parser.add_argument("--json", action="store_true")
    for name, kind in (("--store", Path), ("--frames", int), ("--n-workers", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.store:
        print(json.dumps(child(options)))
        return
    result = measure(options, lambda text: print(text, file=sys.stderr))
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
