"""Speed and memory of the metrics: figures of many trials, and a bootstrap over speakers.

Prints processor seconds of one core: EER, minDCF, minCllr and the DET curve of `--trials` trials,
each step and all together; the memory that they add to the scores at their peak, in bytes a trial,
for each number of `--memory`, in a process of its own; then the intervals of every metric from
`--replicates` drawings of the speakers of `--resampled` trials. With `--peer` also scikit-learn's
ROC of the same scores, after each run of ours.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
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


def scores_of(
    n_trials: int, options: argparse.Namespace, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Make target and non-target scores; ties as of a system that prints three decimals."""
    n_targets = round(options.targets * n_trials)
    kind = np.float32 if options.single else np.float64
    made = []
    for mean, n_scores in ((3, n_targets), (-3, n_trials - n_targets)):
        scores = rng.standard_normal(n_scores, kind)
        scores *= 2
        scores += mean
        made.append(scores.round(3, out=scores) if options.ties else scores)
    return made[0], made[1]


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


def memory_of(n_trials: int, options: argparse.Namespace) -> dict[str, float]:
    """Give the memory that the figures add to the scores, in a process of its own."""
    flags = [f"--{name}" for name in ("ties", "single") if getattr(options, name)]
    command = [sys.executable, __file__, "--memory-of", str(n_trials), *flags]
    command += ["--targets", str(options.targets)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def memory(options: argparse.Namespace) -> dict[str, float]:
    """Measure the peak of this process while it computes every figure, beyond what it held."""
    rng = np.random.default_rng(options.seed)
    figures(*scores_of(200_000, options, rng))  # what is imported at the first use
    pair = scores_of(options.memory_of, options, rng)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew, at what is held now
    before = peak()
    figures(*pair)
    added = peak() - before
    return {
        "scores_bytes_a_trial": sum(each.nbytes for each in pair) / options.memory_of,
        "added_mb": added / 1e6,
        "added_bytes_a_trial": added / options.memory_of,
        "corners_of_the_det_curve": len(det_points_of(sort_scores(*pair)).p_miss),
    }


def peak() -> int:
    """Give the most bytes of memory that this process has held (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0])


def resampled(options: argparse.Namespace) -> dict[str, float]:
    """Time the intervals of every metric."""
    rng = np.random.default_rng(options.seed)
    targets, nontargets = scores_of(options.resampled, options, rng)
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
    added = {f"{n:,} trials, memory": memory_of(n, options) for n in options.memory}
    pair = scores_of(options.trials, options, np.random.default_rng(options.seed))
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
        **added,
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
    parser.add_argument(
        "--memory", type=int, nargs="*", metavar="N", default=[1_000_000, 5_000_000, 10_000_000]
    )
    parser.add_argument(
        "--targets", type=float, default=0.05, metavar="SHARE", help="of all trials"
    )
    parser.add_argument("--ties", action="store_true", help="scores of three decimals")
    parser.add_argument("--single", action="store_true", help="scores in single precision")
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
