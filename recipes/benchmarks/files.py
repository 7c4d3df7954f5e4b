r"""Measure what trust in a file costs: seconds of processor time, the least of some repeats.

    python recipes/benchmarks/files.py [--hours H] [--folder DIR]

Prints one JSON object: writing a feature store, checking its seal as opening it does, opening it,
reading all of it, and checking all of it as `voicegmm info --verify` does; and for a bank-sized
model: opening it plainly, and by a process with limits (`--untrusted`; seconds by the clock).
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from voicegmm.features import FrameSet, Pipeline
from voicegmm.mixture import Statistics
from voicegmm.store import FeatureStore, load, new_store, received, save, verify
from voicegmm.store.hdf5 import stored_seal

_FRAMES = 3000  # of a recording


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.667, help="of speech [%(default)s]")
    parser.add_argument("--folder", help="where the files are made [the system's for temporary]")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        print(json.dumps(_measured(Path(folder), given.hours, given.repeats), indent=2))


def _measured(folder: Path, hours: float, repeats: int) -> dict[str, float]:
    pipeline, rng = Pipeline(), np.random.default_rng(0)
    noise = rng.standard_normal((_FRAMES, pipeline.n_dims)).astype(np.float32)
    frames = FrameSet(noise, np.ones(_FRAMES), np.arange(_FRAMES), _FRAMES, 0.01, "noise")
    n_recordings = round(hours * 3600 * 100 / _FRAMES)
    path, model = folder / "features.h5", folder / "model.h5"

    def write() -> None:
        with new_store(path, pipeline) as writer:
            for number in range(n_recordings):
                writer.add(f"{number}.wav", frames)

    def read() -> None:
        with FeatureStore(path) as store:
            store.read(store.ids)

    found = {"write": _least(write, repeats)}
    found["store_megabytes"] = path.stat().st_size / 1e6
    found["seal"] = _least(lambda: stored_seal(path), repeats)
    found["open"] = _least(lambda: FeatureStore(path).close(), repeats)
    found["open_and_read"] = _least(read, repeats)
    found["verify"] = _least(lambda: verify(path), repeats)
    sums = rng.standard_normal((2048, 60))
    save(model, Statistics(np.ones(2048), sums, sums**2, -1.0, 2048.0))
    found["model_megabytes"] = model.stat().st_size / 1e6
    found["load_model"] = _least(lambda: load(model), repeats)
    found["load_untrusted_by_the_clock"] = _least(
        lambda: load(received(model)), repeats, time.perf_counter
    )
    return {name: round(value, 5) for name, value in found.items()}


def _least(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time
) -> float:
    seconds = []
    for _ in range(repeats):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
