r"""Measure fast EM: how soon it reaches the held-out likelihood of ten dense iterations.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        python recipes/benchmarks/fast_em.py FEATURES.h5 [--components K ...] [--threads T] [--json]

FEATURES is a feature store; each tenth recording of it is held out. Without one, frames are drawn
from a synthetic mixture. For each K it prints:

- dense EM from random frames, seconds an iteration, and the likelihood that ten of them reach;
- fast EM, growth and all included: seconds to that likelihood, in multiples (`sooner`) of the ten
  dense iterations and of ten times the dense limit, the best of interleaved repeats of the matrix
  products alone (see `em.py`); how far it comes in ten iterations, and with how many of them it
  passed the target;
- what passes over short lists lost, as audited, and seconds of full and of short passes.

Times are of the processor with one thread, so that other jobs on the machine count little, and of
the clock with more. Held-out likelihoods are exact and not counted.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from em import LIMIT_BLOCKS, clustered_frames, products, starting_point

from voicegmm.mixture import ArraySource, DiagonalGMM, EmOptions, collector, log_density, maximize
from voicegmm.mixture.fast import FastOptions, fast_fit, grow, growth_frames, training

ITERATIONS = 10


def real_frames(path: Path, n_frames: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Give the frames of nine recordings in ten, at most `n_frames`, and those of the others."""
    from voicegmm.store import FeatureStore

    with FeatureStore(path) as store:
        files = [file for file in store.ids if store.count(file)]
        away = store.source(files[::10])
        own = store.source([file for number, file in enumerate(files) if number % 10])
        train = own.read(0, min(own.n_frames, n_frames or own.n_frames))[0]
        return train, away.read(0, away.n_frames)[0]


class Watch:
    """A clock that does not count what is done while it is stopped."""

    def __init__(self, n_threads: int) -> None:
        self._clock = time.process_time if n_threads == 1 else time.perf_counter
        self._begun = self._clock()
        self._stopped = 0.0

    def __call__(self) -> float:
        """Give the seconds so far."""
        return self._clock() - self._begun - self._stopped

    def outside(self, frames: np.ndarray, gmm: DiagonalGMM) -> float:
        """Give the mean log-density of held-out frames, while the clock stands."""
        begun = self._clock()
        value = float(log_density(gmm, frames).mean())
        self._stopped += self._clock() - begun
        return value


def dense_curve(
    frames: np.ndarray, held_out: np.ndarray, start: DiagonalGMM, n_threads: int
) -> list[tuple[float, float]]:
    """Give (seconds, held-out likelihood) after each dense iteration."""
    collect = collector(ArraySource(frames), n_threads)
    watch, gmm, curve = Watch(n_threads), start, []
    for _ in range(ITERATIONS):
        gmm = maximize(gmm, collect(gmm), EmOptions()).gmm
        curve.append((watch(), watch.outside(held_out, gmm)))
    return curve


def fast_curve(
    frames: np.ndarray,
    held_out: np.ndarray,
    n_components: int,
    n_threads: int,
    options: FastOptions,
) -> tuple[list[tuple[float, float]], Any]:
    """Give (seconds, held-out likelihood) before each iteration and at last, and the fit."""
    watch, curve = Watch(n_threads), []
    rng = np.random.default_rng(3)
    wanted = min(len(frames), growth_frames(n_components, options))
    sample = frames[np.sort(rng.choice(len(frames), wanted, replace=False))]
    grown = grow(sample, n_components, rng, options, n_workers=n_threads)

    class Watched(training.ShortListCollector):
        def full(self, gmm: DiagonalGMM) -> Any:
            curve.append((watch(), watch.outside(held_out, gmm)))
            return super().full(gmm)

        def grouped(self, gmm: DiagonalGMM, n_near: int) -> Any:
            curve.append((watch(), watch.outside(held_out, gmm)))
            return super().grouped(gmm, n_near)

        def short(self, gmm: DiagonalGMM, audit: bool = False) -> Any:
            curve.append((watch(), watch.outside(held_out, gmm)))
            return super().short(gmm, audit)

    em = EmOptions(n_iterations=ITERATIONS, tolerance=0)
    with patch.object(training, "ShortListCollector", Watched):
        fitted = fast_fit(grown, ArraySource(frames), em, options, n_threads)
    curve.append((watch(), watch.outside(held_out, fitted.gmm)))
    return curve, fitted


def limit_seconds(n_frames: int, n_dims: int, n_components: int, n_threads: int) -> float:
    """Give the seconds of the matrix products of a dense iteration at their best."""
    best = np.inf
    for size in LIMIT_BLOCKS:
        run, operations = products(size, n_frames // 4, n_dims, n_components, n_threads, False)
        for _ in range(3):
            watch = Watch(n_threads)
            run()
            best = min(best, watch() * 8.0 * n_frames * n_dims * n_components / operations)
    return float(best)


def measure(
    frames: np.ndarray, held_out: np.ndarray, n_components: int, n_threads: int, n_short: int
) -> dict[str, Any]:
    """Measure one number of components."""
    options = FastOptions(method="fast", n_short=n_short)
    start = starting_point(frames, n_components, seed=2)
    limits = [limit_seconds(len(frames), frames.shape[1], n_components, n_threads)]
    dense = dense_curve(frames, held_out, start, n_threads)
    curve, fitted = fast_curve(frames, held_out, n_components, n_threads, options)
    limits.append(limit_seconds(len(frames), frames.shape[1], n_components, n_threads))
    target = dense[-1][1]
    reached = [number for number, (_, value) in enumerate(curve) if value >= target]
    took = curve[reached[0]][0] if reached else float("inf")
    steps = np.diff([seconds for seconds, _ in curve])
    exact = np.array([line.exact for line in fitted.iterations])
    losses = [(line.loss, line.loss_error) for line in fitted.iterations if line.loss > 0]
    return {
        "components": n_components,
        "frames": len(frames),
        "held_out_frames": len(held_out),
        "threads": n_threads,
        "dense_seconds_per_iteration": dense[-1][0] / ITERATIONS,
        "limit_seconds_per_iteration": min(limits),
        "target": target,
        "fast_seconds_to_target": took,
        "fast_iterations_to_target": reached[0] if reached else None,
        "growth_seconds": curve[0][0],
        "full_pass_seconds": float(np.median(steps[exact])),
        "short_pass_seconds": float(np.median(steps[~exact])) if (~exact).any() else None,
        "sooner_than_dense": dense[-1][0] / took,
        "sooner_than_limit": ITERATIONS * min(limits) / took,
        "fast_held_out_after_ten": curve[-1][1],
        "fast_seconds_of_ten": curve[-1][0],
        "audited_losses": losses,
        "dense_curve": dense,
        "fast_curve": curve,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("features", type=Path, nargs="?", help="a feature store")
    parser.add_argument("--components", type=int, nargs="+", default=[512, 2048], metavar="K")
    parser.add_argument("--frames", type=int, metavar="N", help="at most; synthetic: 400,000")
    parser.add_argument("--threads", type=int, default=1, metavar="T")
    parser.add_argument("--n-short", type=int, default=FastOptions().n_short)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.features:
        frames, held_out = real_frames(options.features, options.frames)
    else:
        drawn = clustered_frames((options.frames or 400_000) + 20_000, 60, seed=1)
        frames, held_out = drawn[20_000:], drawn[:20_000]
    results = [
        measure(frames, held_out, k, options.threads, options.n_short) for k in options.components
    ]
    if options.json:
        print(json.dumps(results))
        return
    for result in results:
        for name, value in result.items():
            if not name.endswith("curve"):
                print(
                    f"{name:32} {value:.5g}" if isinstance(value, float) else f"{name:32} {value}"
                )
        for name in ("dense_curve", "fast_curve"):
            print(f"{name:32} " + " ".join(f"{s:.2f}:{v:.4f}" for s, v in result[name]))
        print()


if __name__ == "__main__":
    main()
