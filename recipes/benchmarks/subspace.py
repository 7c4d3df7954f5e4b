r"""Measure i-vectors: their extraction and the training of the subspace, beside products alone.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        python recipes/benchmarks/subspace.py [--recordings N] [--components K] [--rank R] \
        [--no-training]

Prints, all measured in one process, the least of interleaved repeats:

- seconds of `extract` over N recordings whose statistics are in memory, one worker, BLAS on one
  thread, and recordings a second; what says `cpu`, and the fractions, count the processor's
  seconds, which other jobs on the machine disturb less;
- the limit: 2 K R (R + 1) / 2 + 2 K D R floating-point operations a recording, what the products of
  counts with packed A'A and of first moments with A take, at the best rate of a float32 matrix
  product in the same run, as `em.py` measures it; the Cholesky factors are not counted;
- the largest error of an i-vector against a plain loop of dense float64 systems;
- of an iteration of training: its seconds on N recordings; the limit likewise, of twice as many
  operations a recording; whether the second half of the recordings takes as long as the two
  quarters before it (1: training is linear; what an iteration does once counts in neither); how
  many times faster two workers are, beside two threads that do nothing but float32 products; the
  share of the processor's seconds that no worker took part in, which says how many times faster two
  workers can be where two cores are free (Amdahl); and the memory that training adds to the
  statistics.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from em import LIMIT_BLOCKS, peak_megabytes, products, seconds

from voicegmm.mixture import DiagonalGMM
from voicegmm.subspace import (
    Recordings,
    TotalVariability,
    TotalVariabilityOptions,
    extract,
    train_total_variability,
)


def draw(options: argparse.Namespace) -> tuple[TotalVariability, Recordings]:
    """Give a subspace, and recordings that lie about it: 300 frames each."""
    rng = np.random.default_rng(1)
    shape = options.components, options.dims
    gmm = DiagonalGMM(
        rng.dirichlet(np.full(shape[0], 5.0)),
        rng.standard_normal(shape),
        rng.uniform(0.5, 2, shape),
    )
    loadings = 0.1 * rng.standard_normal((*shape, options.rank))
    counts = rng.multinomial(300, gmm.weights, options.recordings).astype(float)
    centered = np.empty((options.recordings, *shape), options.dtype)
    for number, n in enumerate(counts):
        moved = loadings @ rng.standard_normal(options.rank)
        centered[number] = n[:, None] * moved
        centered[number] += np.sqrt(n)[:, None] * rng.standard_normal(shape)
    return TotalVariability(gmm, loadings), Recordings(gmm, counts, centered)


def naive(model: TotalVariability, recordings: Recordings, number: int) -> np.ndarray:
    """Give one i-vector by the plain formula."""
    counts, centered = recordings.counts[number], recordings.centered[number].astype(float)
    flat = model.loadings.reshape(-1, model.rank)
    noise = np.repeat(counts, model.gmm.n_dims)[:, None]
    precision = np.eye(model.rank) + flat.T @ (noise * flat)
    return np.linalg.solve(precision, flat.T @ centered.ravel())


def some(recordings: Recordings, n: int) -> Recordings:
    """Give the first of the recordings."""
    return Recordings(recordings.gmm, recordings.counts[:n], recordings.centered[:n])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    n, n_components, n_dims = options.recordings, options.components, options.dims
    model, recordings = draw(options)
    one_iteration = TotalVariabilityOptions(options.rank, 1)
    train = partial(train_total_variability, recordings, one_iteration)
    parts = {
        name: partial(train_total_variability, some(recordings, n // share), one_iteration)
        for name, share in (("train half", 2), ("train quarter", 4))
    }
    runs: dict[Any, Callable[[], Any]] = {
        "extract": partial(extract, model, recordings),
        "extract by two": partial(extract, model, recordings, 2),
    }
    if not options.no_training:
        runs |= {"train": train, "train by two": partial(train, n_workers=2), **parts}
    operations = {}
    for size in LIMIT_BLOCKS:
        runs[size], operations[size] = products(size, 10 * n, n_dims, n_components, 1, False)
        runs[size, 2], _ = products(size, 10 * n, n_dims, n_components, 2, False)
    times: dict[Any, list[float]] = {key: [] for key in runs}
    cpu: dict[Any, list[float]] = {key: [] for key in runs}
    for _ in range(options.repeats):
        for key, run in runs.items():
            begun = time.process_time()
            times[key].append(seconds(run))
            cpu[key].append(time.process_time() - begun)
    least = {key: min(values) for key, values in times.items()}
    least_cpu = {key: min(values) for key, values in cpu.items()}
    best = max(LIMIT_BLOCKS, key=lambda size: operations[size] / least_cpu[size])
    rate = operations[best] / least_cpu[best]
    rank = options.rank
    flops = n_components * rank * (rank + 1) + 2 * n_components * n_dims * rank
    limit = flops * n / rate
    few = range(min(n, 5))
    exact = np.array([naive(model, recordings, number) for number in few])
    error = np.abs(extract(model, some(recordings, len(few))) - exact).max()
    result = {
        "recordings": n,
        "components": n_components,
        "dims": n_dims,
        "rank": rank,
        "statistics": str(np.dtype(options.dtype)),
        "extract_seconds": least["extract"],
        "extract_per_second": n / least["extract"],
        "extract_per_cpu_second": n / least_cpu["extract"],
        "limit_per_cpu_second": n / limit,
        "limit_gigaflops": rate / 1e9,
        "fraction_of_limit": limit / least_cpu["extract"],
        "extract_two_workers_ratio": least["extract"] / least["extract by two"],
        "error": float(error),
    }
    if options.no_training:
        return result
    before = peak_megabytes(restart=True)
    train()
    added = peak_megabytes() - before
    own, all_threads = time.thread_time(), time.process_time()
    train(n_workers=2)
    alone = (time.thread_time() - own) / (time.process_time() - all_threads)
    return result | {
        "train_seconds": least["train"],
        "train_cpu_seconds": least_cpu["train"],
        "train_cpu_second_each": (least_cpu["train"] - least_cpu["train half"]) / (n - n // 2),
        "train_limit_cpu_second_each": 2 * limit / n,
        "train_linear_ratio": (least_cpu["train"] - least_cpu["train half"])
        / (2 * (least_cpu["train half"] - least_cpu["train quarter"])),
        "train_two_workers_ratio": least["train"] / least["train by two"],
        "products_two_threads_ratio": least[best] / least[best, 2],
        "train_serial_share": alone,
        "train_two_workers_at_most": 2 / (1 + alone),
        "train_added_memory_mb": added,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recordings", type=int, default=2048, metavar="N")
    parser.add_argument("--components", type=int, default=512, metavar="K")
    parser.add_argument("--dims", type=int, default=60, metavar="D")
    parser.add_argument("--rank", type=int, default=200, metavar="R")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-training", action="store_true", help="measure extraction alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = measure(options)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:32} {value:.4g}" if isinstance(value, float) else f"{name:32} {value}")


if __name__ == "__main__":
    main()
