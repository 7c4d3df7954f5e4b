r"""Measure scoring: a thousand speakers against two hundred recordings, by every method.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        python recipes/benchmarks/scoring.py [--models M] [--tests N] [--frames T] [--json] ...

All trials of all models and tests, scored by `score_trials` from frames in memory, everything
included: reading, making the models ready, the background model's pass, the score table. The
peer is scikit-learn's GaussianMixture (diagonal covariance, float32): a trial is its score of the
test under the speaker's model, less that under the background model. Two rates are given: with both
scores for each trial, as one writes it down, and with the background's kept for all trials of a
test. It is timed on some trials and scaled.

Machines are seldom idle: ours and the peer take turns, and what is printed are medians of the
ratios of neighbors. Seconds and rates are medians too. With --cpu the seconds are those that the
process had, for a machine that others use; the gain of two workers is always of the clock's, and
`two_workers_gain_of_best_times` that of the shortest run of one by the shortest of two. Beside it
stands what two processes that know nothing of each other gain, each with a job of its own; of short
jobs little, since they are copies and must copy their memory first. Two virtual cores are not
always two: before and after each run by two workers two threads do nothing but products that fit
into a core's own cache. `cores` is their gain, and `two_workers_gain_on_two_cores` that of the
repeats between two probes of 1.9 or more, `repeats_on_two_cores` of them.

    python recipes/benchmarks/scoring.py --memory 200 2000

gives the peak memory of whole jobs, each in a process of its own, with so many tests against all
models: a list of trials read from a file, scored with a journal, and written, as `voicegmm score`
does it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from voicegmm.corpus import Trials, n_parts_of, parts_folder, read_trials, split_trials
from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import DiagonalGMM, MapOptions, adapt_means
from voicegmm.scoring import (
    BackgroundModel,
    MemoryFrames,
    ScoringOptions,
    SpeakerModels,
    Voices,
    score_long_list,
    score_trials,
    write_scores,
)
from voicegmm.store import ScoreJournal

METHODS = ("exact", "top", "linear", "symmetric", "kl", "bhattacharyya")


def world(options: argparse.Namespace) -> tuple[Voices, MemoryFrames]:
    """Make a background model, speakers adapted from it, and recordings of theirs.

    The components overlap, so that a frame belongs to several, as it does in speech. A speaker's
    frames are the background's, moved by a little in each component; each model saw 3000 frames of
    its speaker, in expectation.
    """
    rng = np.random.default_rng(options.seed)
    n_components, n_dims = options.components, options.dims
    spread = 10.0 / (1 + np.arange(n_dims)) ** 0.5
    gmm = DiagonalGMM(
        rng.dirichlet(np.full(n_components, 2.0)),
        0.35 * rng.standard_normal((n_components, n_dims)) * spread,
        (rng.uniform(0.4, 1.0, (n_components, n_dims)) * spread) ** 2,
    )
    counts = np.tile(3000 * gmm.weights, (options.models, 1))
    means = np.empty((options.models, n_components, n_dims), np.float32)
    voices = []
    for number in range(options.models):
        seed = rng.integers(2**32)
        voices.append(seed)
        own = voice_of(gmm, seed)
        means[number] = adapt_means(gmm.means, counts[0], counts[0][:, None] * own, 16.0)
    sets = {}
    for number in range(options.tests):
        own = voice_of(gmm, voices[number % options.models])
        which = rng.choice(n_components, options.frames, p=gmm.weights)
        noise = rng.standard_normal((options.frames, n_dims))
        frames = (own[which] + noise * np.sqrt(gmm.variances[which])).astype(np.float32)
        places = np.arange(options.frames, dtype=np.int32)
        weights = np.ones(options.frames, np.float32)
        sets[f"t{number}"] = FrameSet(frames, weights, places, options.frames, 0.01)
    front_end = PipelineOptions()
    models = SpeakerModels(
        BackgroundModel(gmm, front_end),
        tuple(f"m{number}" for number in range(options.models)),
        means,
        counts,
        np.full(options.models, 30.0),
        MapOptions(relevance=16.0),
    )
    return Voices(models), MemoryFrames(front_end, sets)


def voice_of(gmm: DiagonalGMM, seed: int) -> np.ndarray:
    """Give the means of a speaker's own speech."""
    rng = np.random.default_rng(seed)
    return gmm.means + 0.3 * rng.standard_normal(gmm.means.shape) * np.sqrt(gmm.variances)


def peer(gmm: DiagonalGMM, means: np.ndarray) -> Any:
    """Give a mixture of scikit-learn with these means."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(gmm.n_components, covariance_type="diag")
    model.weights_ = gmm.weights.astype(np.float32)
    model.means_ = means.astype(np.float32)
    model.covariances_ = gmm.variances.astype(np.float32)
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    return model


def seconds(run: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Give the seconds of a call."""
    begun = clock()
    run()
    return clock() - begun


def together(run: Callable[[], Any]) -> float:
    """Give the seconds of two calls at once, each by a copy of this process."""
    fork = get_context("fork")
    ready, begin = fork.Barrier(3), fork.Barrier(3)

    def call() -> None:
        ready.wait()
        begin.wait()
        run()

    copies = [fork.Process(target=call) for _ in range(2)]
    for copy in copies:
        copy.start()
    ready.wait()
    begun = time.perf_counter()
    begin.wait()
    for copy in copies:
        copy.join()
    return time.perf_counter() - begun


def cores() -> float:
    """Give what two threads gain over one by products that share nothing, 30 ms of them each."""
    left, right = np.ones((300, 120), np.float32), np.ones((120, 512), np.float32)
    outs = [np.empty((300, 512), np.float32) for _ in range(2)]

    def products(out: np.ndarray) -> None:
        for _ in range(60):
            np.matmul(left, right, out=out)

    with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
        list(pool.map(products, outs))
        one = seconds(partial(products, outs[0]))
        return 2 * one / seconds(lambda: list(pool.map(products, outs)))


def peak_memory(options: argparse.Namespace, n_tests: int) -> dict[str, float]:
    """Give the peak memory of a job, in a process of its own, and that before the scoring."""
    arguments = [f"--{name}={getattr(options, name)}" for name in ("models", "components", "dims")]
    command = [sys.executable, __file__, *arguments, "--memory-of", str(n_tests)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout), trials=n_tests * options.models)


def score_lists(options: argparse.Namespace) -> dict[str, float]:
    """Read trials, score and write them, and give the megabytes this took at most."""
    options.tests = 20
    voices, frames = world(options)
    names = [f"t{number}" for number in range(options.memory_of)]
    same = dict(zip(names, islice(cycle(frames.sets.values()), len(names)), strict=True))
    frames = MemoryFrames(frames.front_end, same)
    with tempfile.TemporaryDirectory() as folder:
        listed, out = Path(folder) / "trials.tsv", Path(folder) / "scores.tsv"
        with listed.open("w") as file:
            file.write("model\ttest\n")
            file.writelines(f"{m}\t{t}\n" for t in names for m in voices.speakers.ids)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        scoring = ScoringOptions("linear")
        if (n_parts := n_parts_of(listed)) > 1:
            with parts_folder(out) as parts:
                split = split_trials(listed, parts, n_parts)
                score_long_list(voices, frames, split, out, ScoreJournal, options=scoring)
        else:
            with ScoreJournal(out) as journal:
                trials = read_trials(listed)
                table = score_trials(voices, frames, trials, options=scoring, keeper=journal)
                write_scores(out, table)
    return {"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "mb_before": before}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every method beside the peer."""
    voices, frames = world(options)
    speakers, gmm = voices.speakers, voices.speakers.background.gmm
    trials = Trials.of((m, t, -1) for t in frames.sets for m in speakers.ids)
    rng = np.random.default_rng(1)
    background = peer(gmm, gmm.means)
    some = [peer(gmm, speakers.means[m]) for m in rng.integers(options.models, size=4)]
    tests = [one.frames for one in list(frames.sets.values())[: options.peer_trials]]

    clock = time.process_time if options.cpu else time.perf_counter

    def theirs() -> tuple[float, float]:
        """Give the seconds of a speaker's and of the background's score of a test."""
        pairs = [(some[i % len(some)], tests[i % len(tests)]) for i in range(options.peer_trials)]
        with threadpool_limits(1):
            speaker = seconds(lambda: [model.score(x) for model, x in pairs], clock)
            world = seconds(lambda: [background.score(x) for _, x in pairs], clock)
        return speaker / len(pairs), world / len(pairs)

    def ours(method: str, n_workers: int = 1) -> Any:
        scoring = ScoringOptions(method, options.top if method == "top" else 10)
        return score_trials(voices, frames, trials, n_workers=n_workers, options=scoring).scores

    small = Trials.of((m, t, -1) for t in list(frames.sets)[:1] for m in speakers.ids)
    for method in options.methods:  # numba is loaded, or compiles
        scoring = ScoringOptions(method)
        score_trials(voices, frames, small, options=scoring)
    theirs()
    result: dict[str, Any] = {
        name: getattr(options, name) for name in ("models", "tests", "frames", "components", "dims")
    }
    result["n_top"] = options.top
    result["trials"] = len(trials)
    result["sklearn_trials_per_second"] = 0.0
    scores = {}
    all_theirs = []
    for method in options.methods:
        times, ratios, ratios_kept, pairs, limits, probes = [], [], [], [], [], []
        for _ in range(options.repeats):
            before = theirs()
            begun, begun_clock = time.perf_counter(), clock()
            scores[method] = ours(method)
            elapsed = time.perf_counter() - begun
            times.append(clock() - begun_clock)
            after = theirs()
            all_theirs += [before, after]
            speaker, world_ = np.mean([before, after], axis=0)
            ratios.append((speaker + world_) * len(trials) / times[-1])
            kept = speaker * len(trials) + world_ * options.tests
            ratios_kept.append(kept / times[-1])
            if method in options.two_workers:
                probe = cores()
                pairs.append([seconds(partial(ours, method, n)) for n in (1, 2)])
                probes.append(min(probe, cores()))
                limits.append(2 * elapsed / together(partial(ours, method)))
        result[method] = {
            "seconds": float(np.median(times)),
            "trials_per_second": len(trials) / float(np.median(times)),
            "ratio_to_sklearn": float(np.median(ratios)),
            "ratio_to_sklearn_background_kept": float(np.median(ratios_kept)),
        }
        if pairs:
            one, two = np.array(pairs).T
            gains = one / two
            result[method]["two_workers_gain"] = float(np.median(gains))
            result[method]["two_workers_gain_of_best_times"] = float(one.min() / two.min())
            result[method]["two_processes_gain"] = float(np.median(limits))
            result[method]["cores"] = float(np.median(probes))
            on_two = gains[np.array(probes) >= 1.9]
            result[method]["repeats_on_two_cores"] = len(on_two)
            if len(on_two):
                result[method]["two_workers_gain_on_two_cores"] = float(np.median(on_two))
    result["sklearn_trials_per_second"] = 1 / float(np.median([sum(pair) for pair in all_theirs]))
    if "exact" in scores:
        few = [(float(some[0].score(x)), float(background.score(x))) for x in tests[:1]]
        row = int(np.flatnonzero((speakers.means == some[0].means_).all(axis=(1, 2)))[0])
        result["exact"]["difference_to_sklearn"] = abs(
            scores["exact"][row] - (few[0][0] - few[0][1])
        )
    if {"exact", "top"} <= set(scores):
        apart = np.abs(scores["top"] - scores["exact"])
        result["top"]["largest_difference_to_exact"] = float(apart.max())
    result["blas"] = [
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    return result


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=1000, metavar="M")
    parser.add_argument("--tests", type=int, default=200, metavar="N")
    parser.add_argument("--frames", type=int, default=300, metavar="T", help="of each test")
    parser.add_argument("--components", type=int, default=512, metavar="K")
    parser.add_argument("--dims", type=int, default=60, metavar="D")
    parser.add_argument("--top", type=int, default=10, metavar="C")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-trials", type=int, default=100, help="that are timed at a time")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument(
        "--two-workers", nargs="*", default=["exact", "top", "linear"], choices=METHODS
    )
    parser.add_argument("--cpu", action="store_true", help="time of the process, not of the clock")
    parser.add_argument("--memory", nargs="+", type=int, metavar="N", help="numbers of tests")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parsed(arguments)
    if options.memory_of:
        print(json.dumps(score_lists(options)))
        return
    if options.memory:
        each = {f"memory_{n}": peak_memory(options, n) for n in options.memory}
        result: dict[str, Any] = dict(each)
    else:
        result = measure(options)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        figures = value if isinstance(value, dict) else {"": value}
        for what, figure in figures.items():
            text = f"{figure:.4g}" if isinstance(figure, float) else str(figure)
            print(f"{f'{name} {what}':50} {text}")


if __name__ == "__main__":
    main()
