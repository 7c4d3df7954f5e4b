r"""Measure MAP adaptation of many speakers in one call, beside what the machine's product allows.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        python recipes/benchmarks/map.py [--speakers M] [--frames T] [--components K] [--threads T]

Prints, all measured side by side in one process, the medians of interleaved repeats:

- seconds of `adapt_all`: M speakers of T frames each, float32, means adapted;
- the dense limit: 8 M T D K floating-point operations at the best rate of a float32 matrix product,
  as `em.py` measures it;
- seconds of two loops over speakers, both of a few speakers and scaled up: the plain formula in
  numpy in float64, and our own `accumulate` and `adapt` one speaker at a time;
- the error of means, in standard deviations of their component, against the plain formula;
- the memory that the call takes beyond frames and result.

The frames of the whole size take 720 MB, the result 123 MB.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from em import (
    LIMIT_BLOCKS,
    clustered_frames,
    peak_megabytes,
    products,
    reference,
    seconds,
    starting_point,
)
from threadpoolctl import threadpool_limits

from voicegmm.mixture import (
    AdaptedMixtures,
    ArraySource,
    DiagonalGMM,
    EmOptions,
    MapOptions,
    accumulate,
    adapt,
    adapt_all,
    collector,
    cut,
    density,
    fit,
)

OPTIONS = MapOptions(relevance=10)


def background(frames: np.ndarray, n_components: int, n_threads: int) -> DiagonalGMM:
    """Give a model after two iterations on some of the frames."""
    some = frames[: 256 * n_components]
    start = starting_point(some, n_components, seed=2)
    options = EmOptions(n_iterations=2, tolerance=0)
    return fit(start, collector(ArraySource(some), n_threads), options).gmm


def naive(gmm: DiagonalGMM, speakers: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Give each speaker's means by the plain formulas in float64."""
    means = []
    for frames in speakers:
        found = reference(gmm, frames)
        n = found.counts[:, None]
        means.append((found.first + OPTIONS.relevance * gmm.means) / (n + OPTIONS.relevance))
    return means


def one_by_one(gmm: DiagonalGMM, speakers: Sequence[np.ndarray]) -> list[DiagonalGMM]:
    """Give each speaker's model by a call of its own."""
    return [adapt(gmm, accumulate(gmm, frames), OPTIONS) for frames in speakers]


def limited(function: Callable[[], Any], n_threads: int) -> None:
    """Call with as many threads inside BLAS."""
    with threadpool_limits(n_threads):
        function()


def added_memory(run: Callable[[], AdaptedMixtures]) -> tuple[float, AdaptedMixtures]:
    """Give the megabytes that a call takes beyond its result, and the result."""
    before = peak_megabytes(restart=True)
    result = run()
    held = (result.means.nbytes + result.counts.nbytes) / 2**20
    return peak_megabytes() - before - held, result


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    n_speakers, n_each, n_threads = options.speakers, options.frames, options.threads
    n_frames = n_speakers * n_each
    frames = clustered_frames(n_frames, options.dims, seed=1)
    gmm = background(frames, options.components, n_threads)
    few = [frames[i * n_each : (i + 1) * n_each] for i in range(min(options.few, n_speakers))]
    speakers = cut(ArraySource(frames), np.arange(0, n_frames + 1, n_each))
    ours = partial(adapt_all, gmm, speakers, OPTIONS, n_threads)
    density._kernel()  # what it imports is not the call's
    memory, result = added_memory(ours)
    runs: dict[Any, Callable[[], Any]] = {
        "ours": ours,
        "naive": partial(limited, partial(naive, gmm, few), n_threads),
        "one by one": partial(limited, partial(one_by_one, gmm, few), n_threads),
    }
    operations = {}
    for size in LIMIT_BLOCKS:
        for inside in (False, True) if n_threads > 1 else (False,):
            key = size, inside
            runs[key], operations[key] = products(
                size, n_frames, options.dims, options.components, n_threads, inside
            )
    times: dict[Any, list[float]] = {key: [] for key in runs}
    for _ in range(options.repeats):
        for key, run in runs.items():
            times[key].append(seconds(run))
    median = {key: float(np.median(values)) for key, values in times.items()}
    rate = max(operations[key] / median[key] for key in operations)
    limit = 8.0 * n_frames * options.dims * options.components / rate
    share = n_speakers / len(few)
    errors = [
        np.abs((mean - exact) / np.sqrt(gmm.variances)).max()
        for mean, exact in zip(result.means, naive(gmm, few), strict=False)
    ]
    return {
        "speakers": n_speakers,
        "frames_each": n_each,
        "components": options.components,
        "dims": options.dims,
        "threads": n_threads,
        "seconds": median["ours"],
        "speakers_per_second": n_speakers / median["ours"],
        "limit_seconds": limit,
        "limit_gigaflops": rate / 1e9,
        "fraction_of_limit": limit / median["ours"],
        "ratio_to_naive": share * median["naive"] / median["ours"],
        "ratio_to_one_by_one": share * median["one by one"] / median["ours"],
        "means_error_in_deviations": float(max(errors)),
        "added_memory_mb": memory,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--speakers", type=int, default=1000, metavar="M")
    parser.add_argument("--frames", type=int, default=3000, metavar="T", help="of each speaker")
    parser.add_argument("--components", type=int, default=512, metavar="K")
    parser.add_argument("--dims", type=int, default=60, metavar="D")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--few", type=int, default=10, help="speakers of the loops, scaled up")
    parser.add_argument("--repeats", type=int, default=3)
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
