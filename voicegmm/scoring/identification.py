"""Who is this, or is it nobody I know: open-set identification and what to expect of it."""

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm.scoring.calibration import Calibration
from voicegmm.scoring.folds import Rehearsal
from voicegmm.scoring.voices import IdentificationPromise, Rate


def promise_identification(
    rehearsal: Rehearsal,
    calibration: Calibration,
    n_enrolled: int,
    max_false_accept: float,
    seed: int = 0,
) -> IdentificationPromise:
    """Choose the threshold of `identify` and state what it will do.

    The threshold is the lowest at which at most `max_false_accept` of the strangers' recordings
    pass. A stranger meets a few models less in a fold than in earnest: the rate is scaled by the
    number of models, which it cannot exceed (the union bound). The rates are measured fold by
    fold, each with the threshold that the other folds choose.

    Parameters
    ----------
    rehearsal : Rehearsal
    calibration : Calibration
        Learned from all folds; it only says what threshold a score is.
    n_enrolled : int
        Number of speakers that are enrolled in earnest.
    max_false_accept : float
        In (0, 1).
    seed : int
        Of the bootstrap.

    Returns
    -------
    IdentificationPromise
    """
    ratios = calibration.apply(rehearsal.scores)
    best_wrong, own, voice, fold, stranger = _per_test(rehearsal, ratios)
    growth = max(n_enrolled / max(rehearsal.n_enrolled, 1.0), 1.0)
    accepted_share = min(max_false_accept / growth, 1.0)

    def threshold_for(tests: BoolArray) -> float:
        # At least zero: below it the evidence speaks against the speaker.
        highest = np.sort(best_wrong[tests & stranger])[::-1]
        allowed = int(np.floor(accepted_share * len(highest)))
        return max(float(np.nextafter(highest[min(allowed, len(highest) - 1)], np.inf)), 0.0)

    by_fold = np.empty(len(best_wrong))
    for number in np.unique(fold):
        by_fold[fold == number] = threshold_for(fold != number)
    known = np.isfinite(own)
    fooled = best_wrong > by_fold
    lost = (own <= by_fold) | (own < best_wrong)
    rng = np.random.default_rng(seed)
    false_accept = rate_of(fooled[stranger], voice[stranger], rng, growth)
    miss = rate_of(lost[known], voice[known], rng)
    everything = np.ones(len(fold), bool)
    return IdentificationPromise(threshold_for(everything), n_enrolled, false_accept, miss)


def _per_test(
    rehearsal: Rehearsal, ratios: Float64Array
) -> tuple[Float64Array, Float64Array, IntArray, IntArray, BoolArray]:
    """Give, for each test: best ratio of another's model, of its own, voice, fold, stranger."""
    n_tests = int(rehearsal.test.max()) + 1
    best_wrong = np.full(n_tests, -np.inf)
    own = np.full(n_tests, -np.inf)
    wrong = ~rehearsal.targets
    np.maximum.at(best_wrong, rehearsal.test[wrong], ratios[wrong])
    np.maximum.at(own, rehearsal.test[~wrong], ratios[~wrong])
    voice = np.empty(n_tests, np.int64)
    fold = np.empty(n_tests, np.int64)
    stranger = np.empty(n_tests, bool)
    voice[rehearsal.test] = rehearsal.voice
    fold[rehearsal.test] = rehearsal.fold
    stranger[rehearsal.test] = rehearsal.stranger
    return best_wrong, own, voice, fold, stranger


def rate_of(
    errors: BoolArray, voice: IntArray, rng: np.random.Generator, scale: float = 1.0
) -> Rate:
    """Measure a rate of errors over recordings; its interval resamples their speakers."""
    speakers, index = np.unique(voice, return_inverse=True)
    wrong = np.bincount(index, errors, len(speakers))
    tried = np.bincount(index, minlength=len(speakers)).astype(float)
    drawn = rng.multinomial(len(speakers), np.full(len(speakers), 1 / len(speakers)), size=2000)
    rates = (drawn @ wrong) / np.maximum(drawn @ tried, 1)
    # The rule of three: no error in n speakers still allows a rate of 3 / n.
    high = max(float(np.quantile(rates, 0.975)), 3 / len(speakers) if not errors.any() else 0.0)
    return Rate(
        min(scale * float(errors.mean()), 1.0),
        scale * float(np.quantile(rates, 0.025)),
        min(scale * high, 1.0),
        len(errors),
        len(speakers),
    )
