r"""Measure fast EM: how soon it reaches the held-out likelihood of ten dense iterations.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        python recipes/benchmarks/fast_em.py --data DIR [--components K ...] [--threads T ...]
    python recipes/benchmarks/fast_em.py --data DIR --converge --components 512

DIR is a corpus as <speaker>/<utterance>.flac. Up to 1,024 components it is taken as it is; for more
there are seeded perturbations of it too (speed, room, noise), until 200 frames a component are had.
Every tenth speaker is held out. Without DIR, frames are drawn from a synthetic mixture. For each
number of components and threads it prints:

- dense EM from random frames, seconds an iteration, and the likelihood that ten of them reach;
- how sparse the posteriors are then;
- fast EM, growth and all included: seconds to that likelihood, in multiples (`sooner`) of the ten
  dense iterations and of ten times the dense limit, the best of interleaved repeats of the matrix
  products alone (see `em.py`); how far it comes in ten iterations, and after how many it passed
  the target;
- what passes over short lists lost, as audited.

`--converge` trains by both from the same grown mixture until the likelihood has gained less than
1e-5 of itself in each of three passes, and prints what both reached. `--plot` draws the likelihood
against time.

`seconds` are of the processor with one thread, so that other jobs on the machine count little, and
of the clock with more; `clock` are of the clock always. Held-out likelihoods are exact and not
counted, nor is loading the compiled loops.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from em import LIMIT_BLOCKS, clustered_frames, products, starting_point
from fast_em_frames import speech_frames

from voicegmm.compute.blas import single_threaded_blas
from voicegmm.features.presets import load_front_end
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    FitResult,
    collector,
    fit,
    log_density,
    maximize,
    posteriors,
)
from voicegmm.mixture.fast import FastOptions, fast_fit, grow, growth_frames, training
from voicegmm.plots.canvas import COLORS, finish, new_figure, save, style

ITERATIONS = 10
AS_IT_IS = 1024  # components for which the corpus is large enough
FRAMES_PER_COMPONENT = 200
CONVERGED = 1e-5  # of the likelihood, in each of three passes
MOST_HELD_OUT = 40_000  # frames: likelihoods of them are not what is measured

Curve = list[tuple[float, float, float]]
"""Seconds, seconds of the clock, and the held-out likelihood reached by then."""


class Watch:
    """Two clocks that do not count what is done while they are stopped."""

    def __init__(self, n_threads: int) -> None:
        clocks = (time.process_time, time.perf_counter)
        self._clocks = clocks if n_threads == 1 else (time.perf_counter, time.perf_counter)
        self._begun = self._now()

    def _now(self) -> np.ndarray:
        return np.array([clock() for clock in self._clocks])

    def __call__(self) -> float:
        """Give the seconds so far."""
        return float((self._now() - self._begun)[0])

    def look(self, curve: Curve, frames: np.ndarray, gmm: DiagonalGMM) -> None:
        """Write down the mean log-density of held-out frames, while the clocks stand."""
        at = self._now()
        seconds, clock = (at - self._begun).tolist()
        with single_threaded_blas():
            curve.append((seconds, clock, float(log_density(gmm, frames).mean())))
        self._begun += self._now() - at


def dense_curve(
    frames: np.ndarray, held_out: np.ndarray, start: DiagonalGMM, n_threads: int
) -> tuple[Curve, DiagonalGMM]:
    """Give what is reached after each dense iteration, and the mixture."""
    collect = collector(ArraySource(frames), n_threads)
    watch, gmm, curve = Watch(n_threads), start, []
    for _ in range(ITERATIONS):
        gmm = maximize(gmm, collect(gmm), EmOptions()).gmm
        watch.look(curve, held_out, gmm)
    return curve, gmm


def grown(
    frames: np.ndarray, n_components: int, n_threads: int, options: FastOptions, seed: int
) -> DiagonalGMM:
    """Give a mixture to start from."""
    rng = np.random.default_rng(seed)
    wanted = min(len(frames), growth_frames(n_components, options))
    sample = frames[np.sort(rng.choice(len(frames), wanted, replace=False, shuffle=False))]
    return grow(sample, n_components, rng, options, n_workers=n_threads)


def fast_curve(
    frames: np.ndarray,
    held_out: np.ndarray,
    n_components: int,
    n_threads: int,
    options: FastOptions,
    seed: int = 3,
) -> tuple[Curve, FitResult[DiagonalGMM]]:
    """Give what is reached before each iteration and at last, and the fit."""
    watch, curve = Watch(n_threads), []
    start = grown(frames, n_components, n_threads, options, seed)

    class Watched(training.ShortListCollector):
        def full(self, gmm: DiagonalGMM) -> Any:
            watch.look(curve, held_out, gmm)
            return super().full(gmm)

        def grouped(self, gmm: DiagonalGMM, n_near: int) -> Any:
            watch.look(curve, held_out, gmm)
            return super().grouped(gmm, n_near)

        def short(self, gmm: DiagonalGMM, audit: bool = False) -> Any:
            watch.look(curve, held_out, gmm)
            return super().short(gmm, audit)

    em = EmOptions(n_iterations=ITERATIONS, tolerance=0)
    with patch.object(training, "ShortListCollector", Watched):
        fitted = fast_fit(start, ArraySource(frames), em, options, n_threads)
    watch.look(curve, held_out, fitted.gmm)
    return curve, fitted


def limit_seconds(n_frames: int, n_dims: int, n_components: int, n_threads: int) -> float:
    """Give the seconds of the matrix products of a dense iteration at their best."""
    best = np.inf
    part = min(n_frames, 2**27 // n_components)
    for size in LIMIT_BLOCKS:
        run, operations = products(size, part, n_dims, n_components, n_threads, False)
        for _ in range(3):
            watch = Watch(n_threads)
            run()
            best = min(best, watch() * 8.0 * n_frames * n_dims * n_components / operations)
    return float(best)


def sparsity(gmm: DiagonalGMM, frames: np.ndarray) -> dict[str, float]:
    """Tell how many posteriors of a frame count, and what the greatest hold."""
    with single_threaded_blas():
        found = -np.sort(-posteriors(gmm, frames), axis=1)
    counts = {f"posteriors_above_{at:g}": float((found > at).sum(1).mean()) for at in (1e-2, 1e-3)}
    return counts | {f"top_{n}_mass": float(found[:, :n].sum(1).mean()) for n in (1, 8, 16)}


def measure(
    frames: np.ndarray,
    held_out: np.ndarray,
    n_components: int,
    n_threads: int,
    options: FastOptions,
    seed: int,
) -> dict[str, Any]:
    """Measure how soon the target is reached."""
    start = starting_point(frames, n_components, seed=2)
    limits = [limit_seconds(len(frames), frames.shape[1], n_components, n_threads)]
    dense, reached = dense_curve(frames, held_out, start, n_threads)
    curve, fitted = fast_curve(frames, held_out, n_components, n_threads, options, seed)
    limits.append(limit_seconds(len(frames), frames.shape[1], n_components, n_threads))
    target = dense[-1][-1]
    passed = [number for number, point in enumerate(curve) if point[-1] >= target]
    took, took_clock = curve[passed[0]][:2] if passed else (float("inf"), float("inf"))
    return {
        "components": n_components,
        "dims": frames.shape[1],
        "frames": len(frames),
        "held_out_frames": len(held_out),
        "threads": n_threads,
        "limit_seconds_per_iteration": min(limits),
        "dense_seconds_per_iteration": dense[-1][0] / ITERATIONS,
        "dense_clock_per_iteration": dense[-1][1] / ITERATIONS,
        "target": target,
        **sparsity(reached, frames[:: len(frames) // 4096]),
        "growth_seconds": curve[0][0],
        "fast_seconds_to_target": took,
        "fast_clock_to_target": took_clock,
        "fast_iterations_to_target": passed[0] if passed else None,
        "sooner_than_dense": dense[-1][0] / took,
        "sooner_than_limit": ITERATIONS * min(limits) / took,
        "fast_seconds_of_ten": curve[-1][0],
        "fast_held_out_after_ten": curve[-1][-1],
        "audited_losses": [(x.loss, x.loss_error) for x in fitted.iterations if x.loss > 0],
        "dense_curve": dense,
        "fast_curve": curve,
    }


def until_converged(start: DiagonalGMM, frames: np.ndarray, n_threads: int) -> FitResult:
    """Train by dense EM until three passes have gained little each."""
    result, collect = FitResult(start), collector(ArraySource(frames), n_threads)
    while True:
        em = EmOptions(n_iterations=len(result.iterations) + 1, tolerance=0)
        result = fit(start, collect, em, earlier=result)
        values = [line.log_likelihood for line in result.iterations[-4:]]
        if len(values) == 4 and all(b - a < CONVERGED * abs(a) for a, b in pairwise(values)):
            return result


def converge(
    frames: np.ndarray,
    held_out: np.ndarray,
    n_components: int,
    n_threads: int,
    options: FastOptions,
    seed: int,
) -> dict[str, Any]:
    """Train by both to convergence, from the same start."""
    start = grown(frames, n_components, n_threads, options, seed)
    em = EmOptions(n_iterations=1000, tolerance=0, tolerance_relative=CONVERGED)
    ways: dict[str, Callable[[], FitResult]] = {
        "dense": lambda: until_converged(start, frames, n_threads),
        "fast": lambda: fast_fit(start, ArraySource(frames), em, options, n_threads),
    }
    result: dict[str, Any] = {"components": n_components, "frames": len(frames), "seed": seed}
    result["threads"] = n_threads
    for name, way in ways.items():
        watch, curve = Watch(n_threads), []
        fitted = way()
        watch.look(curve, held_out, fitted.gmm)
        result[f"{name}_seconds"], _, result[f"{name}_held_out"] = curve[0]
        result[f"{name}_iterations"] = len(fitted.iterations)
        result[f"{name}_trained"] = fitted.iterations[-1].log_likelihood
    result["held_out_difference"] = result["fast_held_out"] - result["dense_held_out"]
    result["trained_difference"] = result["fast_trained"] - result["dense_trained"]
    result["sooner_than_dense"] = result["dense_seconds"] / result["fast_seconds"]
    return result


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw how far above the target the held-out likelihood is, against time."""
    with style():
        figure, axes = new_figure(7.5, 4.5)
        for result, color in zip(results, COLORS, strict=False):
            limit, target = result["limit_seconds_per_iteration"], result["target"]
            for kind, line in (("dense", "o--"), ("fast", "o-")):
                points = np.array(result[f"{kind}_curve"])
                label = f"{result['components']} components, {kind}"
                x, y = points[:, 0] / limit, points[:, 2] - target
                axes.plot(x, y, line, color=color, markersize=3, label=label)
        axes.axhline(0, color="black", linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
        axes.set_ylim(-2, 0.6)
        axes.set_xlabel("Time, in iterations at the dense limit")
        axes.set_ylabel("Held-out nats per frame above\nten dense iterations")
        axes.set_title("Fast and dense EM")
        axes.legend(loc="lower right", handlelength=4)
        save(finish(figure, "Held-out likelihood of fast and of dense EM against time."), path)


def frames_for(options: argparse.Namespace, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Give frames to train on and held-out ones."""
    wanted = FRAMES_PER_COMPONENT * n_components if n_components > AS_IT_IS else 0
    if options.data is None:
        drawn = clustered_frames((options.frames or wanted or 400_000) + 20_000, 60, seed=1)
        return drawn[20_000:], drawn[:20_000]
    front_end = load_front_end(options.features, options.settings)
    frames, held_out = speech_frames(options.data, options.frames or wanted, front_end)
    return frames, held_out[:: -(-len(held_out) // MOST_HELD_OUT)]


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="<speaker>/<utterance>.flac")
    parser.add_argument("--components", type=int, nargs="+", default=[512, 1024], metavar="K")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="T")
    parser.add_argument("--frames", type=int, metavar="N", help="to train on, instead of the above")
    parser.add_argument("--features", default="voicegmm-16k", help="a preset of conf/features")
    parser.add_argument("--set", nargs="+", default=[], dest="settings", metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=3, help="of the growth")
    parser.add_argument("--converge", action="store_true", help="compare at convergence")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=".svg or .png")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parsed(arguments)
    fast_curve(*[clustered_frames(40_000, 60, seed=1)] * 2, 1024, 1, FastOptions())  # loads loops
    results = []
    for n_components in options.components:
        frames, held_out = frames_for(options, n_components)
        for n_threads in options.threads:
            work = converge if options.converge else measure
            shape = (frames, held_out, n_components, n_threads, FastOptions(method="fast"))
            results.append(work(*shape, options.seed))
            if not options.json:
                show(results[-1])
    if options.plot:
        draw(
            [result for result in results if result["threads"] == options.threads[0]], options.plot
        )
    if options.json:
        print(json.dumps(results))


def show(result: dict[str, Any]) -> None:
    """Print a result, a line a number."""
    for name, value in result.items():
        if name.endswith("curve"):
            text = " ".join(f"{point[0]:.2f}:{point[-1]:.4f}" for point in value)
        elif name == "audited_losses":
            text = ", ".join(f"{loss:.4f} +- {error:.4f}" for loss, error in value)
        else:
            text = f"{value:.5g}" if isinstance(value, float) else str(value)
        print(f"{name:32} {text}")
    print(flush=True)


if __name__ == "__main__":
    main()
