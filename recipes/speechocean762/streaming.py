"""Decide while a voice speaks: thresholds of the background speakers, tried on the trial speakers.

    python recipes/speechocean762/streaming.py --data DIR [--components 256]

The background speakers are cut into folds, as for the calibration. In each, the fold's speakers,
whom its background model never heard, speak their test sentences one after another; calibration and
thresholds are learned from the running scores against the models of their gender. Printed are the
error rates that were asked for, those that the same procedure achieved on folds that were left out,
and those on the trial speakers, who are heard once, at the end; and what Wald's thresholds give.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from cross_validate import RECIPE, genders
from prepare import N_ENROLL, prepare

from voicegmm.compute import available_cores
from voicegmm.corpus import Protocol, by_speaker, speaker_of
from voicegmm.experiment import load_recipe
from voicegmm.experiment.recipe import Recipe
from voicegmm.features import Pipeline
from voicegmm.metrics import cllr
from voicegmm.scoring import (
    FoldOptions,
    FoldTests,
    FrameLibrary,
    Rate,
    RunningTrials,
    SequentialOptions,
    SequentialRates,
    enroll,
    learn_sequential,
    rehearse,
    running_trials,
    train_background,
)
from voicegmm.scoring.sequential import (
    calibrate_running,
    first_decisions,
    held_out_rates,
    rates_of,
    wald_thresholds,
)
from voicegmm.store import FeatureStore, extract_to_store

ASKED = ((0.01, 0.05), (0.02, 0.02), (0.05, 0.05), (0.1, 0.1))
SHOWN_SECONDS = (1, 2, 3, 5, 8, 12)


def background_trials(
    recipe: Recipe, protocol: Protocol, frames: FrameLibrary, gender: dict[str, str], workers: int
) -> RunningTrials:
    """Let the background speakers speak, fold by fold, against the models of their gender."""
    parts: list[RunningTrials] = []

    def listen(group: FoldTests) -> None:
        parts.append(
            running_trials(
                group, frames, SequentialOptions(), recipe.scoring, n_workers=workers, n_others=1000
            )
        )

    rehearse(
        frames,
        by_speaker(protocol.background),
        FoldOptions(n_enroll=N_ENROLL),
        recipe.ubm,
        recipe.adaptation,
        recipe.seed,
        n_workers=workers,
        scoring=recipe.scoring,
        witness=listen,
    )
    found = RunningTrials.joined(parts)
    same = np.array([gender[m] == gender[v] for m, v in zip(found.model, found.voice, strict=True)])
    return found.chosen(same)


def trial_speakers(
    recipe: Recipe, protocol: Protocol, frames: FrameLibrary, workers: int
) -> RunningTrials:
    """Let the trial speakers speak, against the models that the protocol tries them on."""
    background, _ = train_background(frames, protocol.background, recipe.ubm, recipe.seed, workers)
    models, _ = enroll(background, frames, protocol.enrollments, recipe.adaptation, workers)
    tests = tuple((test, speaker_of(test)) for test in sorted(protocol.trials.tests))
    group = FoldTests(0, models, tests, frozenset(models.ids))
    found = running_trials(
        group, frames, SequentialOptions(), recipe.scoring, n_workers=workers, n_others=1000
    )
    trials = protocol.trials
    tried = {
        (trials.models[model], speaker_of(trials.tests[test]))
        for model, test in zip(trials.model_index, trials.test_index, strict=True)
    }
    return found.chosen(
        np.array([pair in tried for pair in zip(found.model, found.voice, strict=True)])
    )


def percent(rate: Rate) -> str:
    return f"{100 * rate.value:5.2f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def shown(name: str, rates: SequentialRates) -> None:
    print(
        f"  {name:34} false accept {percent(rates.false_accept):22} miss {percent(rates.miss):22} "
        f"undecided {100 * rates.stranger_undecided.value:4.1f} / "
        f"{100 * rates.speaker_undecided.value:4.1f} %  "
        f"speech {rates.stranger_seconds:.1f} / {rates.speaker_seconds:.1f} s",
        flush=True,
    )


def show_calibration(trials: RunningTrials, hop_seconds: float) -> None:
    """Print Cllr after some seconds, on folds left out: of the running ratio, and of the sum."""
    ratios = np.empty_like(trials.scores)
    for number in np.unique(trials.fold):
        inside = trials.fold == number
        calibration = calibrate_running(trials.chosen(~inside))
        ratios[inside] = calibration.apply(trials.scores[inside], trials.seconds)
    for seconds in SHOWN_SECONDS:
        look = int(np.searchsorted(trials.seconds, seconds))
        if look == len(trials.seconds):
            return
        there = np.isfinite(ratios[:, look])
        own, others = there & trials.targets, there & ~trials.targets
        raw = trials.scores[:, look] * seconds / hop_seconds
        print(
            f"  {seconds:2d} s: Cllr {cllr(ratios[own, look], ratios[others, look]):.3f}, "
            f"of the sum over frames {cllr(raw[own], raw[others]):.2f}"
        )


def wald(trials: RunningTrials, options: SequentialOptions, hop: float) -> SequentialRates:
    """Take frames for independent: their summed ratio, Wald's thresholds, a look at every step."""
    thresholds = wald_thresholds(options.false_accept, options.miss)
    sums = trials.scores * trials.seconds / hop
    return rates_of(trials, *first_decisions(sums, *thresholds))


def report(background: RunningTrials, tried: Callable[[], RunningTrials], hop: float) -> None:
    """Print the tables: first all of the background speakers, then of the trial speakers."""
    print("running log-likelihood ratio, background speakers, folds left out:")
    show_calibration(background, hop)
    asked = [SequentialOptions(false_accept=alpha, miss=beta) for alpha, beta in ASKED]
    learned = [learn_sequential(background, options) for options in asked]
    heard = tried()
    n_looks = len(heard.seconds)
    for options, test in zip(asked, learned, strict=True):
        print(
            f"asked for: false accept {100 * options.false_accept:g} %, miss "
            f"{100 * options.miss:g} %; accept {test.accept:.2f}, reject {test.reject:.2f}, "
            f"to {test.max_seconds:g} s (undecided, seconds: strangers / speakers)"
        )
        shown("background, folds left out", test.achieved)
        n_looks = int((heard.seconds <= test.max_seconds).sum())
        last = replace(heard, scores=heard.scores[:, :n_looks], seconds=heard.seconds[:n_looks])
        ratios = test.calibration.apply(last.scores, last.seconds)
        shown("trial speakers", rates_of(last, *first_decisions(ratios, test.accept, test.reject)))
        until = background.until_half_are_silent()
        thresholds = wald_thresholds(options.false_accept, options.miss)
        calibrated = held_out_rates(until, options, thresholds=lambda *_, t=thresholds: t)
        shown("Wald's, ratio calibrated, background", calibrated)
        shown("Wald's, sum over frames, background", wald(until, options, hop))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the corpus")
    parser.add_argument("--components", type=int, default=256)
    options = parser.parse_args()
    settings = ["features.extends=voicegmm-16k-stream", f"ubm.n_components={options.components}"]
    recipe = load_recipe(str(RECIPE), settings).recipe
    workers = available_cores()
    with tempfile.TemporaryDirectory() as work:
        prepare(options.data, Path(work))
        protocol = Protocol.read(Path(work), options.data)
        store = Path(work, "features.h5")
        extract_to_store(protocol.paths, Pipeline(recipe.features), store, workers)
        with FeatureStore(store) as frames:
            background = background_trials(recipe, protocol, frames, genders(options.data), workers)
            hop = recipe.features.static.hop_seconds
            report(background, lambda: trial_speakers(recipe, protocol, frames, workers), hop)


if __name__ == "__main__":
    main()
