"""Decisions on a voice that is still speaking: accept, reject, or listen on.

Wald ("Sequential tests of statistical hypotheses", Ann. Math. Statist. 16, 1945) listens until the
summed log-likelihood ratio leaves the interval

    log(miss / (1 - false_accept)) < ratio < log((1 - miss) / false_accept)

and errs as seldom as was asked, where observations are independent and the two densities are the
true ones. The frames of a voice are neither: neighbors say nearly the same, and what a sentence
shows of a voice does not average out over the rest of it. So the running score is calibrated by the
seconds of speech behind it (`RunningCalibration`), looks are taken at fixed seconds of speech, and
the two thresholds are those at which the whole procedure, all its looks together, erred as often as
was asked on voices that were left out of the background model.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm.scoring.identification import rate_of
from voicegmm.scoring.options import SequentialOptions
from voicegmm.scoring.running import RunningTrials
from voicegmm.scoring.running_calibration import RunningCalibration, train_running_calibration
from voicegmm.scoring.voices import Rate, SequentialRates, SequentialTest

_CALIBRATED_AT = 8  # looks, evenly spread in the logarithm of time: neighbors say nearly the same

Thresholds = Callable[[Float64Array, BoolArray], tuple[float, float]]
"""From ratios, (n_trials, n_looks), and which are targets, (n_trials,), to accept and reject."""


def calibrate_running(trials: RunningTrials) -> RunningCalibration:
    """Learn what a running score is worth from trials at some of their looks.

    Raises
    ------
    DataError
        If a class is empty, or targets do not score above non-targets.
    """
    n_looks = len(trials.seconds)
    chosen = np.unique(np.geomspace(1, n_looks, _CALIBRATED_AT).round().astype(int)) - 1
    scores = trials.scores[:, chosen]
    seconds = np.broadcast_to(trials.seconds[chosen], scores.shape)
    there = np.isfinite(scores)
    own, others = there & trials.targets[:, None], there & ~trials.targets[:, None]
    learned = train_running_calibration(scores[own], scores[others], seconds[own], seconds[others])
    n_targets = int(trials.targets.sum())
    # Looks of one voice are no more trials than the voice is.
    long = replace(learned.long, n_targets=n_targets, n_nontargets=len(trials.model) - n_targets)
    return replace(learned, long=long)


def first_decisions(
    ratios: Float64Array, accept: float, reject: float
) -> tuple[IntArray, IntArray]:
    """Tell what is decided at the first look at which something is.

    Parameters
    ----------
    ratios : (n_trials, n_looks) float64 array
        NaN after the voice fell silent.
    accept, reject : float

    Returns
    -------
    decisions : (n_trials,) int array
        1 accepted, -1 rejected, 0 undecided.
    looks : (n_trials,) int array
        The look; where undecided, the last one that there was (-1: none).
    """
    crossed = (ratios >= accept).astype(int) - (ratios <= reject)
    first = np.argmax(crossed != 0, axis=1)
    decisions = crossed[np.arange(len(ratios)), first]
    last = np.isfinite(ratios).sum(axis=1) - 1
    return decisions, np.where(decisions != 0, first, last)


def choose_thresholds(
    ratios: Float64Array, targets: BoolArray, false_accept: float, miss: float
) -> tuple[float, float]:
    """Choose the thresholds at which the whole procedure errs as often as was asked.

    The lowest `accept` at which at most so many strangers ever reach it before they reach `reject`,
    and the highest `reject` with as much for true speakers, found in turn, from the outside, until
    both stand. `accept` is at least 0 and `reject` at most 0: nobody is accepted on evidence
    against.

    Parameters
    ----------
    ratios : (n_trials, n_looks) float64 array
        Calibrated; NaN after the voice fell silent. Trials of both kinds.
    targets : (n_trials,) bool array
    false_accept, miss : float

    Returns
    -------
    accept, reject : float
    """
    strangers, speakers = ratios[~targets], -ratios[targets]
    accept, reject = np.inf, -np.inf
    while True:
        before = accept, reject
        accept = _rarely_reached(strangers, -reject, false_accept)
        reject = -_rarely_reached(speakers, accept, miss)
        if (accept, reject) == before:
            return accept, reject


def _rarely_reached(ratios: Float64Array, other: float, share: float) -> float:
    """Give the lowest threshold that few reach before they fall to minus the other."""
    fallen = np.logical_or.accumulate(ratios <= -other, axis=1)
    open_ = ~fallen & np.isfinite(ratios)
    highest = np.sort(np.where(open_, ratios, -np.inf).max(axis=1))[::-1]
    allowed = min(int(np.floor(share * len(highest))), len(highest) - 1)
    return max(float(np.nextafter(highest[allowed], np.inf)), 0.0)


def wald_thresholds(false_accept: float, miss: float) -> tuple[float, float]:
    """Give the thresholds for independent observations (Wald 1945, eq. 3.27 and 3.28).

    Returns
    -------
    accept, reject : float
        Natural-log ratios.
    """
    accept = np.log((1 - miss) / false_accept)
    reject = np.log(miss / (1 - false_accept))
    return float(accept), float(reject)


def learn_sequential(
    trials: RunningTrials, options: SequentialOptions, seed: int = 0
) -> SequentialTest:
    """Learn calibration and thresholds, and tell the rates that they achieve on others.

    Parameters
    ----------
    trials : RunningTrials
        Of several folds.
    options : SequentialOptions
    seed : int
        Of the bootstrap.

    Returns
    -------
    SequentialTest
        `achieved` is measured fold by fold, with calibration and thresholds of the other folds.

    Raises
    ------
    DataError
        If a class is empty, targets do not score above non-targets, or hardly anybody speaks until
        the first look.
    """
    trials = trials.until_half_are_silent()
    achieved = held_out_rates(trials, options, seed)
    calibration = calibrate_running(trials)
    ratios = calibration.apply(trials.scores, trials.seconds)
    accept, reject = choose_thresholds(ratios, trials.targets, options.false_accept, options.miss)
    last = float(trials.seconds[-1])
    return SequentialTest(calibration, accept, reject, last, options, achieved)


def held_out_rates(
    trials: RunningTrials,
    options: SequentialOptions,
    seed: int = 0,
    thresholds: Thresholds | None = None,
) -> SequentialRates:
    """Measure the whole procedure on each fold, learned from the others.

    Parameters
    ----------
    trials : RunningTrials
    options : SequentialOptions
    seed : int
        Of the bootstrap.
    thresholds : callable, optional
        `choose_thresholds` by default.

    Returns
    -------
    SequentialRates
    """

    def chosen(ratios: Float64Array, targets: BoolArray) -> tuple[float, float]:
        return choose_thresholds(ratios, targets, options.false_accept, options.miss)

    decisions = np.zeros(len(trials.model), int)
    looks = np.zeros(len(trials.model), int)
    for number in np.unique(trials.fold):
        inside = trials.fold == number
        others, tried = trials.chosen(~inside), trials.chosen(inside)
        calibration = calibrate_running(others)
        known = calibration.apply(others.scores, others.seconds)
        accept, reject = (thresholds or chosen)(known, others.targets)
        ratios = calibration.apply(tried.scores, tried.seconds)
        decisions[inside], looks[inside] = first_decisions(ratios, accept, reject)
    return rates_of(trials, decisions, looks, seed)


def rates_of(
    trials: RunningTrials, decisions: IntArray, looks: IntArray, seed: int = 0
) -> SequentialRates:
    """Count errors and seconds; intervals resample the speakers of the voices.

    Parameters
    ----------
    trials : RunningTrials
        Of both kinds.
    decisions, looks : (n_trials,) int array
        As `first_decisions` gives them.
    seed : int
        Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    own = trials.targets
    heard = np.where(looks >= 0, trials.seconds[looks], 0.0)

    def rate(errors: BoolArray, which: BoolArray) -> Rate:
        return rate_of(errors[which], trials.voice[which], rng)

    return SequentialRates(
        rate(decisions > 0, ~own),
        rate(decisions < 0, own),
        rate(decisions == 0, ~own),
        rate(decisions == 0, own),
        float(heard[~own].mean()),
        float(heard[own].mean()),
    )
