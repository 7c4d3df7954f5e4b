"""Ask whether fast EM changes what a system is worth: dense and fast background models, in pairs.

    python recipes/benchmarks/fast_em_systems.py FEATURES.h5 PROTOCOL [--components K] [--seeds N]

FEATURES is a feature store and PROTOCOL a folder with ubm.txt, enrol.tsv and trials.txt, as a run
of a recipe leaves them. For each seed one background model is trained each way by the same number
of iterations, speakers are adapted from it and trials scored by their ten best components. Printed
are EER and Cllr of both (calibrated by what other speakers' trials teach, five folds), their
differences, and means and standard errors of the differences over seeds.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from voicegmm.corpus import read_enrollments, read_files, read_trials
from voicegmm.corpus.trials import TARGET
from voicegmm.metrics import cllr, eer, min_cllr
from voicegmm.mixture import MapOptions
from voicegmm.mixture.fast import FastOptions
from voicegmm.scoring import (
    ScoringOptions,
    UbmOptions,
    Voices,
    calibrate_held_out,
    enroll,
    score_trials,
    train_background,
)
from voicegmm.store import FeatureStore

NAMES = ("EER", "min Cllr", "Cllr")


def worth(frames: FeatureStore, protocol: Path, options: UbmOptions, seed: int) -> np.ndarray:
    """Give EER, min Cllr and Cllr of a system."""
    trials = read_trials(protocol / "trials.txt")
    background, _ = train_background(frames, read_files(protocol / "ubm.txt"), options, seed)
    enrollments = read_enrollments(protocol / "enrol.tsv")
    speakers, _ = enroll(background, frames, enrollments, MapOptions())
    voices = Voices(speakers, scoring=ScoringOptions("top"))
    scores = score_trials(voices, frames, trials).scores
    targets = trials.labels == TARGET
    of_models = np.array(trials.models)[trials.model_index]
    of_tests = np.array([name.split("/")[0] for name in trials.tests])[trials.test_index]
    rng = np.random.default_rng(seed)
    calibrated = calibrate_held_out(scores, targets, of_models, of_tests, rng)
    sides = scores[targets], scores[~targets]
    return np.array(
        [eer(*sides), min_cllr(*sides), cllr(calibrated[targets], calibrated[~targets])]
    )


def main() -> None:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("protocol", type=Path)
    parser.add_argument("--components", type=int, default=512, metavar="K")
    parser.add_argument("--seeds", type=int, default=4, metavar="N")
    options = parser.parse_args()
    dense = UbmOptions(options.components)
    fast = replace(dense, fast=FastOptions(method="fast"))
    print(f"{'seed':6}" + "".join(f"{name:>30}" for name in NAMES))
    gaps = []
    with FeatureStore(options.features) as frames:
        for seed in range(options.seeds):
            pair = [worth(frames, options.protocol, way, seed) for way in (dense, fast)]
            gaps.append(pair[1] - pair[0])
            cells = [f"{a:.4f} -> {b:.4f} ({b - a:+.4f})" for a, b in zip(*pair, strict=True)]
            print(f"{seed:<6}" + "".join(f"{cell:>30}" for cell in cells), flush=True)
    mean, error = np.mean(gaps, axis=0), np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    cells = [f"{a:+.4f} +- {b:.4f}" for a, b in zip(mean, error, strict=True)]
    print(f"{'mean':6}" + "".join(f"{cell:>30}" for cell in cells))


if __name__ == "__main__":
    main()
