"""Speed and memory of the metrics: figures of many trials, and a bootstrap over speakers.

Prints processor seconds of one core: EER, minDCF, minCllr and the DET curve of `--trials` trials,
each step and all together, and the memory that they add to the scores; then the intervals of every
metric from `--replicates` drawings of the speakers of `--resampled` trials. With `--peer` also
scikit-learn's ROC of the same scores, after each run of ours.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from voicegmm.metrics import (
    OperatingPoint,
    det_points_of,
    evaluate,
    min_cllr_of,
    min_dcf_of,
    rocch,
    rocch_eer,
    sort_scores,
)

TARGETS = 0.05  # of all trials


def scores_of(n_trials: int, ties: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make target and non-target scores; ties as of a system that prints three decimals."""
    n_targets = round(TARGETS * n_trials)
    targets, others = rng.normal(3, 2, n_targets), rng.normal(-3, 2, n_trials - n_targets)
    return (targets.round(3), others.round(3)) if ties else (targets, others)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Give what a call gives and its processor seconds."""
    begun = time.process_time()
    found = run()
    return found, time.process_time() - begun


def figures(targets: np.ndarray, nontargets: np.ndarray) -> tuple[dict[str, float], float]:
    """Compute every figure; give the seconds of each step, and the EER."""
    times = {}
    scores, times["sort"] = timed(lambda: sort_scores(targets, nontargets))
    hull, times["convex_hull"] = timed(lambda: rocch(scores))
    equal, times["eer"] = timed(lambda: rocch_eer(hull))
    _, times["min_dcf"] = timed(lambda: min_dcf_of(hull, OperatingPoint(0.01)))
    _, times["min_cllr"] = timed(lambda: min_cllr_of(hull))
    _, times["det"] = timed(lambda: det_points_of(scores))
    return times | {"all": sum(times.values())}, equal


def in_own_process(options: argparse.Namespace) -> dict[str, float]:
    """Give the megabytes that the figures add to the scores, in a process of its own."""
    flags = ["--ties"] if options.ties else []
    command = [sys.executable, __file__, "--memory-of", str(options.trials), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def memory(options: argparse.Namespace) -> dict[str, float]:
    """Give the megabytes of the scores and those at most added to them."""
    rng = np.random.default_rng(options.seed)
    figures(*scores_of(1000, options.ties, rng))  # what is imported at the first use
    pair = scores_of(options.memory_of, options.ties, rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures(*pair)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"scores_mb": sum(each.nbytes for each in pair) / 1e6, "added_mb": after - before}


def resampled(options: argparse.Namespace) -> dict[str, float]:
    """Time the intervals of every metric."""
    rng = np.random.default_rng(options.seed)
    targets, nontargets = scores_of(options.resampled, options.ties, rng)
    speakers = rng.integers(options.speakers, size=len(targets))
    models = rng.integers(options.speakers, size=len(nontargets))
    others = (models + 1 + rng.integers(options.speakers - 1, size=len(models))) % options.speakers
    found, seconds = timed(
        lambda: evaluate(
            targets,
            nontargets,
            target_speakers=speakers,
            nontarget_model_speakers=models,
            nontarget_test_speakers=others,
            n_bootstrap=options.replicates,
        )
    )
    return {"seconds": seconds, "replicates": found.n_replicates}


def peer(targets: np.ndarray, nontargets: np.ndarray) -> tuple[dict[str, float], float]:
    """Give the seconds of scikit-learn's ROC, and the EER read from it."""
    from sklearn.metrics import roc_curve

    labels = np.repeat([1, 0], [len(targets), len(nontargets)])
    pooled = np.concatenate([targets, nontargets])
    (p_fa, p_detect, _), seconds = timed(lambda: roc_curve(labels, pooled))
    nearest = np.argmin(np.abs(p_fa - (1 - p_detect)))
    return {"roc": seconds}, float((p_fa + 1 - p_detect)[nearest] / 2)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, repeated, and give the least."""
    # First: a process begins with the peak of the one that started it.
    added = in_own_process(options)
    pair = scores_of(options.trials, options.ties, np.random.default_rng(options.seed))
    figures(*(each[:1000] for each in pair))
    runs, theirs, equal, their_equal = [], [], 0.0, 0.0
    for _ in range(options.repeats):
        times, equal = figures(*pair)
        runs.append(times)
        if options.peer:
            seconds, their_equal = peer(*pair)
            theirs.append(seconds)
    result: dict[str, Any] = {
        f"{options.trials:,} trials, seconds": {
            name: min(run[name] for run in runs) for name in runs[0]
        },
        "memory": added,
        f"{options.replicates:,} replicates of {options.resampled:,} trials": resampled(options),
    }
    if options.peer:
        roc = min(each["roc"] for each in theirs)
        result["scikit-learn"] = {"roc_seconds": roc, "eer_difference": abs(equal - their_equal)}
    return result


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--resampled", type=int, default=100_000, metavar="N")
    parser.add_argument("--replicates", type=int, default=1000, metavar="N")
    parser.add_argument("--speakers", type=int, default=200, metavar="N", help="of the resampled")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--ties", action="store_true", help="scores of three decimals")
    parser.add_argument("--peer", action="store_true", help="scikit-learn's ROC too")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parsed(arguments)
    with threadpool_limits(1):
        if options.memory_of:
            print(json.dumps(memory(options)))
            return
        result = measure(options)
    if options.json:
        print(json.dumps(result))
        return
    for name, found in result.items():
        for what, figure in found.items():
            print(f"{f'{name}: {what}':55} {figure:.4g}")


if __name__ == "__main__":
    main()
