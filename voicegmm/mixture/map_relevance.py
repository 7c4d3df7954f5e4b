"""The relevance factor of MAP adaptation, chosen by the likelihood of speech that was held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError, OptionError
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture.collection import FrameSource
from voicegmm.mixture.density import log_density
from voicegmm.mixture.map import MapOptions, adapt
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import Statistics, accumulate


@dataclass(frozen=True)
class RelevanceOptions:
    """How a relevance factor is chosen.

    Parameters
    ----------
    candidates : tuple of float
        Relevance factors, 0 or more, each once.
    n_folds : int
        Stretches that a speaker's speech is cut into, at least 2: each is held out once.
    """

    candidates: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    n_folds: int = 4

    def __post_init__(self) -> None:
        if not self.candidates or len(set(self.candidates)) != len(self.candidates):
            raise OptionError(
                f"candidates must be at least one factor and differ, got {self.candidates}"
            )
        for candidate in self.candidates:
            MapOptions(relevance=candidate)
        at_least("n_folds", self.n_folds, 2)


@dataclass(frozen=True, eq=False)
class RelevanceChoice:
    """How well each relevance factor explains speech that it was not adapted to.

    Parameters
    ----------
    candidates : tuple of float
    table : (n_speakers, n_candidates) float64 array
        Mean log-likelihood of held-out frames, in nats per frame.
    background : (n_speakers,) float64 array
        That of the same frames under the background model: a relevance without end.
    """

    candidates: tuple[float, ...]
    table: Float64Array
    background: Float64Array

    @property
    def log_likelihoods(self) -> Float64Array:
        """Mean over speakers, (n_candidates,): each speaker counts the same."""
        means: Float64Array = self.table.mean(axis=0)
        return means

    @property
    def best(self) -> float:
        """The relevance of the greatest mean; of equals the first."""
        return self.candidates[int(self.log_likelihoods.argmax())]


def choose_relevance(
    prior: DiagonalGMM,
    speakers: Sequence[FrameSource],
    options: RelevanceOptions | None = None,
    adaptation: MapOptions | None = None,
    n_workers: int = 1,
) -> RelevanceChoice:
    """Choose the relevance factor under which speech that was held out is likeliest.

    Each speaker's speech is cut into stretches in a row (frames beside each other are alike, so
    single frames held out would be known almost), and each stretch is scored by the model that was
    adapted to the others. Statistics add up, so all candidates share one E-step.

    Parameters
    ----------
    prior : DiagonalGMM
        The background model, trained on other speakers.
    speakers : sequence of FrameSource
        The speech of each, one at a time in memory.
    options : RelevanceOptions, optional
    adaptation : MapOptions, optional
        What is adapted and by which rule; its `relevance` is what is chosen.
    n_workers : int
        Threads; they do not change a bit.

    Returns
    -------
    RelevanceChoice

    Raises
    ------
    DataError
        If there are no speakers, or one has too little speech to be cut.
    OptionError
        With the rule "fixed", which knows no relevance, or more than one iteration.
    """
    options, adaptation = options or RelevanceOptions(), adaptation or MapOptions()
    if adaptation.rule == "fixed" or adaptation.n_iterations != 1:
        raise OptionError(
            "rule must not be 'fixed' and n_iterations must be 1 to choose a relevance, got "
            f"{adaptation.rule!r} and {adaptation.n_iterations}"
        )
    if not speakers:
        raise DataError("speakers must be at least one, to choose a relevance from their speech")
    rules = [replace(adaptation, relevance=candidate) for candidate in options.candidates]

    def work(number: int) -> Float64Array:
        folds = _folds(speakers[number], number, options.n_folds)
        return _held_out(prior, folds, rules)

    rows = np.array(list(ordered_map(work, range(len(speakers)), n_workers)))
    return RelevanceChoice(options.candidates, rows[:, :-1], rows[:, -1])


_Fold = tuple[FloatArray, FloatArray | None]  # frames and their weights


def _folds(speaker: FrameSource, number: int, n_folds: int) -> list[_Fold]:
    n_frames = speaker.n_frames
    if n_frames < n_folds:
        raise DataError(
            f"speaker {number} (counting from 0) has {n_frames} frames, at least {n_folds} are "
            "needed: one for each fold; give more speech, or leave the speaker out"
        )
    bounds = (n_frames * fold // n_folds for fold in range(n_folds + 1))
    folds = [speaker.read(start, stop) for start, stop in pairwise(bounds)]
    if all(weights is not None and not np.any(weights) for _, weights in folds):
        raise DataError(f"speaker {number} (counting from 0) has no frame of a weight above 0")
    return folds


def _held_out(
    prior: DiagonalGMM, folds: Sequence[_Fold], rules: Sequence[MapOptions]
) -> Float64Array:
    """Give the held-out log-likelihood per frame of each rule, and last that of the prior."""
    each = [accumulate(prior, frames, weights) for frames, weights in folds]
    totals = np.zeros(len(rules) + 1)
    totals[-1] = sum(statistics.log_likelihood for statistics in each)
    for held_out, (frames, weights) in enumerate(folds):
        # Added anew for each fold: what was added cannot be taken away without loss.
        rest = tree_sum(each[:held_out] + each[held_out + 1 :])
        assert isinstance(rest, Statistics)
        for place, rule in enumerate(rules):
            likelihoods = log_density(adapt(prior, rest, rule), frames)
            totals[place] += likelihoods.sum() if weights is None else weights @ likelihoods
    mean: Float64Array = totals / sum(statistics.n_frames for statistics in each)
    return mean
