r"""Measure EM: ours, scikit-learn's, and what the machine's matrix product allows.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        python recipes/benchmarks/em.py [--components K] [--frames N] [--dims D] [--threads T]
    python recipes/benchmarks/em.py --memory [--components K] [--frames N] ...

The first prints, all measured side by side in one process, the medians of interleaved repeats:

- seconds of a full EM iteration (E-step and M-step) of voicegmm and of scikit-learn, diagonal
  covariance, float32 frames, from the same start;
- the dense limit: 8 N D K floating-point operations at the best rate of a float32 matrix product
  (block x 2D)(2D x K) over blocks of 512, 1024, 2048 and 4096 frames, results preallocated, T
  threads over blocks or T threads inside BLAS, whichever is faster; exp is not counted;
- the error of log-likelihood and statistics against the plain formula in float64;
- the peak memory that an iteration adds to the frames, from a process of its own.

The second trains two iterations from a feature store on disk, 4 million frames unless told
otherwise, and prints how much the peak memory of that process is above that of its imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    Statistics,
    collector,
    density,
    fit,
    maximize,
)

LIMIT_BLOCKS = (512, 1024, 2048, 4096)
LEAST_WORK = 2**26  # frames x components, by default: a pass long enough to be measured


def clustered_frames(n_frames: int, n_dims: int, seed: int) -> np.ndarray:
    """Make float32 frames in 300 overlapping clusters, offset and scaled as cepstra are."""
    rng = np.random.default_rng(seed)
    spread = 10.0 / (1 + np.arange(n_dims)) ** 0.5
    centers = rng.standard_normal((300, n_dims)) * spread
    widths = rng.uniform(0.4, 1.0, (300, n_dims)) * spread
    shares = rng.dirichlet(np.full(300, 2.0))
    offset = 2 * rng.standard_normal(n_dims) * spread
    frames = np.empty((n_frames, n_dims), np.float32)
    for start in range(0, n_frames, 10_000):  # small steps: the peak memory must stay the frames
        part = frames[start : start + 10_000]
        which = rng.choice(300, len(part), p=shares)
        part[:] = rng.standard_normal(part.shape) * widths[which] + centers[which] + offset
    return frames


def starting_point(frames: np.ndarray, n_components: int, seed: int) -> DiagonalGMM:
    """Give equal weights, random frames as means, and the variances of all frames."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(frames), n_components, replace=len(frames) < n_components)
    variances = frames[:10_000].var(axis=0, dtype=np.float64)
    return DiagonalGMM(
        np.full(n_components, 1 / n_components),
        frames[np.sort(chosen)],
        np.tile(variances, (n_components, 1)),
    )


def reference(gmm: DiagonalGMM, frames: np.ndarray) -> Statistics:
    """Collect statistics by the plain formula in float64, 2000 frames at a time."""
    precisions = 1 / gmm.variances
    constant = np.log(gmm.weights) + 0.5 * np.log(precisions / (2 * np.pi)).sum(axis=1)
    center = gmm.means.mean(axis=0)  # only the statistics are of x itself
    means = gmm.means - center
    counts = np.zeros(gmm.n_components)
    first, second = np.zeros_like(gmm.means), np.zeros_like(gmm.means)
    total = 0.0
    for start in range(0, len(frames), 2000):
        x = frames[start : start + 2000].astype(np.float64)
        y = x - center
        distance = y**2 @ precisions.T - 2 * y @ (means * precisions).T
        joint = constant - 0.5 * (distance + (means**2 * precisions).sum(axis=1))
        peak = joint.max(axis=1, keepdims=True)
        posterior = np.exp(joint - peak)
        sums = posterior.sum(axis=1, keepdims=True)
        total += float((peak + np.log(sums)).sum())
        posterior /= sums
        counts += posterior.sum(axis=0)
        first += posterior.T @ x
        second += posterior.T @ x**2
    return Statistics(counts, first, second, total, len(frames))


def errors(found: Statistics, exact: Statistics) -> tuple[float, float]:
    """Give the relative errors of log-likelihood and statistics.

    The error of statistics is the largest over all components with at least one frame and all
    dimensions: of counts and second moments relative to themselves; of first moments, which can be
    0, relative to sqrt(count x second moment), which bounds them.
    """
    likelihood = abs(found.log_likelihood / exact.log_likelihood - 1)
    alive = exact.counts >= 1
    bound = np.sqrt(exact.counts[:, None] * exact.second)
    parts = (
        (found.counts / exact.counts - 1)[alive],
        (found.second / exact.second - 1)[alive],
        ((found.first - exact.first) / bound)[alive],
    )
    return likelihood, max(float(np.abs(part).max()) for part in parts)


def our_iteration(frames: np.ndarray, start: DiagonalGMM, n_threads: int) -> Callable[[], Any]:
    """Give one full EM iteration of voicegmm."""
    collect = collector(ArraySource(frames), n_threads)
    return lambda: maximize(start, collect(start), EmOptions())


def sklearn_iteration(frames: np.ndarray, start: DiagonalGMM, n_threads: int) -> Callable[[], Any]:
    """Give one full EM iteration of scikit-learn: the two steps of its `fit`."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(start.n_components, covariance_type="diag")

    def iterate() -> None:
        model.weights_ = start.weights.astype(frames.dtype)
        model.means_ = start.means.astype(frames.dtype)
        model.covariances_ = start.variances.astype(frames.dtype)
        model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
        with threadpool_limits(n_threads):
            _, log_responsibilities = model._e_step(frames)
            model._m_step(frames, log_responsibilities)

    return iterate


def products(
    size: int, n_frames: int, n_dims: int, n_components: int, n_threads: int, inside: bool
) -> tuple[Callable[[], Any], float]:
    """Give a run of matrix products (size x 2D)(2D x K), and its floating-point operations.

    Those of all frames once, half of an iteration: on a busy machine a shorter run would be
    disturbed less than an iteration, and flatter the limit.

    Parameters
    ----------
    inside : bool
        Whether the threads are BLAS's own, or ours over blocks.
    """
    rng = np.random.default_rng(0)
    right = rng.standard_normal((2 * n_dims, n_components), np.float32)
    n_lanes = 1 if inside else n_threads
    lefts = [rng.standard_normal((size, 2 * n_dims), np.float32) for _ in range(n_lanes)]
    outs = [np.zeros((size, n_components), np.float32) for _ in range(n_lanes)]
    operations = 4.0 * size * n_dims * n_components
    repeats = max(1, round(n_frames / size / n_lanes))

    def lane(number: int) -> None:
        for _ in range(repeats):
            np.matmul(lefts[number], right, out=outs[number])

    def run() -> None:
        with threadpool_limits(n_threads if inside else 1):
            if n_lanes == 1:
                lane(0)
            else:
                with ThreadPoolExecutor(n_lanes) as pool:
                    list(pool.map(lane, range(n_lanes)))

    return run, operations * repeats * n_lanes


def seconds(run: Callable[[], Any]) -> float:
    """Give the seconds of a call, begun when the threads of the last one have gone to sleep.

    BLAS's own threads wait for more work with open eyes for some 20 ms, on a core that is needed.
    """
    time.sleep(0.1)
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything but memory."""
    n_frames, n_dims, n_components = options.frames, options.dims, options.components
    frames = clustered_frames(n_frames, n_dims, seed=1)
    # A second iteration's model: the first one's is flat, and its posteriors are easy.
    start = fit(
        starting_point(frames, n_components, seed=2),
        collector(ArraySource(frames), options.threads),
        EmOptions(n_iterations=2, tolerance=0),
    ).gmm
    ours = our_iteration(frames, start, options.threads)
    theirs = sklearn_iteration(frames, start, options.threads)
    limits = {
        (size, inside): products(size, n_frames, n_dims, n_components, options.threads, inside)
        for size in LIMIT_BLOCKS
        for inside in ((False, True) if options.threads > 1 else (False,))
    }
    times: dict[Any, list[float]] = {key: [] for key in ("ours", "theirs", *limits)}
    for repeat in range(options.repeats):
        for key, (run, _) in limits.items():
            times[key].append(seconds(run))
        times["ours"].append(seconds(ours))
        if repeat < options.peer_repeats:
            times["theirs"].append(seconds(theirs))
        times["ours"].append(seconds(ours))
    median = {key: float(np.median(values)) for key, values in times.items()}
    rates = {key: operations / median[key] for key, (_, operations) in limits.items()}
    best = max(rates, key=lambda key: rates[key])
    limit = 8.0 * n_frames * n_dims * n_components / rates[best]
    exact = reference(start, frames)
    likelihood_error, statistics_error = errors(
        collector(ArraySource(frames), options.threads)(start), exact
    )
    return {
        "components": n_components,
        "frames": n_frames,
        "dims": n_dims,
        "threads": options.threads,
        "seconds_per_iteration": median["ours"],
        "sklearn_seconds_per_iteration": median["theirs"],
        "limit_seconds_per_iteration": limit,
        "limit_gigaflops": rates[best] / 1e9,
        "limit_block": best[0],
        "frames_per_second": n_frames / median["ours"],
        "fraction_of_limit": limit / median["ours"],
        "ratio_to_sklearn": median["theirs"] / median["ours"],
        "log_likelihood_error": likelihood_error,
        "statistics_error": statistics_error,
        "blas": [
            f"{library['internal_api']} {library['version']} {library.get('architecture', '')}"
            for library in threadpool_info()
            if library["user_api"] == "blas"
        ],
    }


def peak_megabytes(restart: bool = False) -> float:
    """Give the largest resident memory of this process so far; `restart` forgets it first.

    The `ru_maxrss` of `getrusage` will not do: a process inherits it from its parent.
    """
    if restart:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def child(task: str, *arguments: object) -> float:
    """Run a task of this file in a process of its own; give the number that it prints."""
    command = [sys.executable, __file__, "--child", task, *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def iteration_memory(n_components: int, n_frames: int, n_dims: int, n_threads: int) -> float:
    """Give the megabytes that an iteration adds to frames in memory."""
    frames = clustered_frames(n_frames, n_dims, seed=1)
    start = starting_point(frames, n_components, seed=2)
    density._kernel()  # numba is an import too
    before = peak_megabytes(restart=True)
    our_iteration(frames, start, n_threads)()
    return peak_megabytes() - before


def write_store(path: Path, n_frames: int) -> None:
    """Write synthetic frames as a feature store of recordings of 3000 frames."""
    from voicegmm.features import FrameSet, Pipeline, PipelineOptions
    from voicegmm.store import new_store

    pipeline = Pipeline(PipelineOptions())
    with new_store(path, pipeline) as writer:
        for number, start in enumerate(range(0, n_frames, 3000)):
            n = min(3000, n_frames - start)
            frames = clustered_frames(n, pipeline.n_dims, seed=number)
            weights, positions = np.ones(n, np.float32), np.arange(n, dtype=np.int32)
            writer.add(f"{number:06d}.wav", FrameSet(frames, weights, positions, n, 0.01))


def training_memory(path: str, n_components: int, n_threads: int) -> float:
    """Give the megabytes that training from a store takes beyond the imports."""
    from voicegmm.scoring import UbmOptions, train_background
    from voicegmm.store import FeatureStore

    density._kernel()  # numba is an import too
    before = peak_megabytes(restart=True)
    options = UbmOptions(n_components=n_components, em=EmOptions(n_iterations=2, tolerance=0))
    with FeatureStore(path) as store:
        train_background(store, store.ids, options, seed=1, n_workers=n_threads)
    return peak_megabytes() - before


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--components", type=int, default=512, metavar="K")
    parser.add_argument("--frames", type=int, metavar="N", help="default: 2^26 / K, 131072 or more")
    parser.add_argument("--dims", type=int, default=60, metavar="D")
    parser.add_argument("--threads", type=int, default=1, metavar="T")
    parser.add_argument("--repeats", type=int, default=7, help="of which ours runs twice in each")
    parser.add_argument("--peer-repeats", type=int, default=3, help="repeats with scikit-learn")
    parser.add_argument("--memory", action="store_true", help="train from a store; print memory")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.frames is None:
        least = max(LEAST_WORK // options.components, 2**17)
        options.frames = 4_000_000 if options.memory else least
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parsed(arguments)
    if options.memory:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "features.h5")
            write_store(path, options.frames)
            extra = child("training", path, options.components, options.threads)
        result: dict[str, Any] = {
            "components": options.components,
            "frames": options.frames,
            "threads": options.threads,
            "training_peak_memory_mb": extra,
        }
    else:
        result = measure(options)
        result["peak_memory_mb"] = child(
            "iteration", options.components, options.frames, options.dims, options.threads
        )
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:32} {value:.4g}" if isinstance(value, float) else f"{name:32} {value}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        if sys.argv[2] == "iteration":
            print(iteration_memory(*map(int, sys.argv[3:])))
        else:
            print(training_memory(sys.argv[3], *map(int, sys.argv[4:])))
    else:
        main()
