"""Who is this, or is it nobody I know: open-set identification and what to expect of it."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.errors import DataError, OptionError
from voicegmm.scoring.calibration import Calibration
from voicegmm.scoring.folds import Rehearsal
from voicegmm.scoring.models import Speakers
from voicegmm.scoring.voices import IdentificationPromise, OpenSetTests, Rate, Voices


def open_set_tests(rehearsal: Rehearsal) -> OpenSetTests:
    """Reduce a rehearsal to one line a test: the best wrong score, and its own."""
    n_tests = int(rehearsal.test.max()) + 1
    best_wrong = np.full(n_tests, -np.inf)
    own = np.full(n_tests, -np.inf)
    wrong = ~rehearsal.targets
    np.maximum.at(best_wrong, rehearsal.test[wrong], rehearsal.scores[wrong])
    np.maximum.at(own, rehearsal.test[~wrong], rehearsal.scores[~wrong])
    voice = np.empty(n_tests, np.int64)
    fold = np.empty(n_tests, np.int64)
    stranger = np.empty(n_tests, bool)
    voice[rehearsal.test] = rehearsal.voice
    fold[rehearsal.test] = rehearsal.fold
    stranger[rehearsal.test] = rehearsal.stranger
    return OpenSetTests(best_wrong, own, voice, fold, stranger, rehearsal.n_enrolled)


def promise_identification(
    tests: OpenSetTests,
    calibration: Calibration,
    n_enrolled: int,
    max_false_accept: float,
    seed: int = 0,
) -> IdentificationPromise:
    """Choose the threshold of `identify` and state what it will do.

    The threshold is the lowest at which at most `max_false_accept` of the strangers' recordings
    pass, and never below a ratio of one. Where more models are enrolled in earnest than a stranger
    met in a fold, the rate is scaled by their number, which it cannot exceed (the union bound).
    The rates are measured fold by fold, each with the threshold that the other folds choose.

    Parameters
    ----------
    tests : OpenSetTests
    calibration : Calibration
        Says which ratio a score is.
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
    best_wrong, own = calibration.apply(tests.best_wrong), calibration.apply(tests.own)
    growth = max(n_enrolled / max(tests.n_met, 1.0), 1.0)
    share = max_false_accept / growth

    def threshold_for(chosen: BoolArray) -> float:
        highest = np.sort(best_wrong[chosen & tests.stranger])[::-1]
        allowed = min(int(np.floor(share * len(highest))), len(highest) - 1)
        return max(float(np.nextafter(highest[allowed], np.inf)), 0.0)

    by_fold = np.empty(len(best_wrong))
    for number in np.unique(tests.fold):
        by_fold[tests.fold == number] = threshold_for(tests.fold != number)
    known = np.isfinite(own)
    fooled = best_wrong > by_fold
    lost = (own <= by_fold) | (own < best_wrong)
    rng = np.random.default_rng(seed)
    false_accept = rate_of(fooled[tests.stranger], tests.voice[tests.stranger], rng, growth)
    miss = rate_of(lost[known], tests.voice[known], rng)
    threshold = threshold_for(np.ones(len(best_wrong), bool))
    return IdentificationPromise(threshold, max_false_accept, n_enrolled, false_accept, miss)


def posteriors(llrs: npt.ArrayLike, prior: float) -> tuple[Float64Array, float]:
    """Weigh likelihood ratios by what was known before: whose voice is it, or nobody's known?

    Before the recording was heard, the voice is one of the n enrolled with the probability P, each
    alike, and somebody unknown with 1 - P. With r_i the likelihood ratio of speaker i against the
    unknown, Bayes' rule gives

        P(i | recording)       = (P / n) r_i / ((1 - P) + (P / n) sum_j r_j),
        P(nobody | recording)  = (1 - P)     / ((1 - P) + (P / n) sum_j r_j)

    Parameters
    ----------
    llrs : (n,) array_like
        Calibrated natural-log likelihood ratios of all enrolled speakers; n may be 0.
    prior : float
        P, in (0, 1).

    Returns
    -------
    each : (n,) float64 array
    nobody : float
        With `each` it sums to 1.

    Raises
    ------
    OptionError
        For a prior outside (0, 1).
    DataError
        For a ratio that is not finite.
    """
    if not 0 < prior < 1:
        raise OptionError(f"prior must be greater than 0 and less than 1, got {prior}")
    ratios = np.asarray(llrs, np.float64)
    if not np.isfinite(ratios).all():
        raise DataError("likelihood ratios must be finite to be weighed by a prior")
    if not len(ratios):
        return np.empty(0), 1.0
    logs = np.append(np.log(prior / len(ratios)) + ratios, np.log1p(-prior))
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    return shares[:-1], float(shares[-1])


def with_speakers(voices: Voices, speakers: Speakers) -> Voices:
    """Put other speakers in the place of those of some voices; what is promised is stated anew."""
    promise = voices.promise
    if promise and voices.open_set and voices.calibration:
        promise = promise_identification(
            voices.open_set, voices.calibration, len(speakers.ids), promise.max_false_accept
        )
    cohort = voices.cohort
    if cohort:
        before = voices.speakers
        same = [
            name
            for name in set(before.ids) & set(speakers.ids)
            if before.chosen([name]).fingerprint == speakers.chosen([name]).fingerprint
        ]
        cohort = cohort.kept(same).without(speakers)
    failed = {
        name: reason for name, reason in voices.not_enrolled.items() if name not in speakers.ids
    }
    return replace(voices, speakers=speakers, promise=promise, cohort=cohort, not_enrolled=failed)


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
