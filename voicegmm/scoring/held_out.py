"""Judging trials by what was learned from other speakers: cross-validation of maps of scores.

A trial has two speakers, so the speakers are cut into folds and each pair of folds is a case: its
trials, one speaker in either, are judged by what was learned from the trials that have no speaker
in the two.
"""

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm.metrics.speakers import number_names

Judge = Callable[[IntArray], npt.ArrayLike]
"""Gives the ratios of the trials whose numbers it is told."""


def judge_held_out(
    learn: Callable[[IntArray], Judge],
    targets: BoolArray,
    model_speakers: npt.ArrayLike,
    test_speakers: npt.ArrayLike,
    rng: np.random.Generator,
    n_folds: int = 5,
) -> Float64Array:
    """Judge each trial by what was learned from trials of other speakers.

    Parameters
    ----------
    learn : callable
        From the numbers of the trials to learn from to what judges others.
    targets : (n_trials,) bool array
    model_speakers, test_speakers : (n_trials,) array_like of str or int
        As `voicegmm.metrics.infer_speakers` finds them from a trial list.
    rng : numpy.random.Generator
        What cuts the speakers into folds.
    n_folds : int
        At least 3: with two, no trial is without a speaker of both. Fewer where there are fewer
        speakers.

    Returns
    -------
    (n_trials,) float64 array

    Raises
    ------
    DataError
        With fewer than four speakers, or so few that some folds leave a class without trials.
    OptionError
        With fewer than three folds.
    """
    ratios = np.empty(len(targets))
    for known, judged in _cases(targets, model_speakers, test_speakers, rng, n_folds):
        ratios[judged] = learn(known)(judged)
    return ratios


def _cases(
    targets: BoolArray,
    model_speakers: npt.ArrayLike,
    test_speakers: npt.ArrayLike,
    rng: np.random.Generator,
    n_folds: int,
) -> Iterator[tuple[IntArray, IntArray]]:
    at_least("n_folds", n_folds, 3)
    models, tests = number_names(model_speakers, test_speakers)
    n_speakers = 1 + int(max(models.max(), tests.max()))
    if n_speakers < 4:
        raise DataError(
            f"cross-validation over speakers needs at least 4 of them, got {n_speakers}"
        )
    fold = np.empty(n_speakers, np.int64)
    fold[rng.permutation(n_speakers)] = np.arange(n_speakers) % n_folds
    of_model, of_test = fold[models], fold[tests]
    for pair in combinations_with_replacement(range(n_folds), 2):
        first, second = np.minimum(of_model, of_test), np.maximum(of_model, of_test)
        judged = np.flatnonzero((first == pair[0]) & (second == pair[1]))
        if not len(judged):
            continue
        known = np.flatnonzero(~np.isin(of_model, pair) & ~np.isin(of_test, pair))
        n_targets = int(targets[known].sum())
        if not 0 < n_targets < len(known):
            raise DataError(
                f"{n_speakers} speakers in {n_folds} folds are too few to cross-validate: without "
                f"two of the folds {n_targets} target and {len(known) - n_targets} non-target "
                "trials are left; learn from other trials"
            )
        yield known, judged
