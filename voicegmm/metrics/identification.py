"""How often is the right one first."""

import numpy as np
import numpy.typing as npt

from voicegmm._base.errors import DataError
from voicegmm.metrics.speakers import number_names


def identification_rate(
    tests: npt.ArrayLike, labels: npt.ArrayLike, scores: npt.ArrayLike
) -> float:
    """Compute the rank-1 identification rate of a closed set.

    Parameters
    ----------
    tests : (n_trials,) array_like of str or int
        The test of each trial; each test was scored against several models.
    labels : (n_trials,) array_like of bool
        True where the model is the test's speaker: exactly once a test.
    scores : (n_trials,) array_like
        Higher means more like the model. NaN is a failed attempt: as a target it is a test not
        identified, as a non-target it is no rival.

    Returns
    -------
    float in [0, 1]
        Share of the tests whose target model scores highest. A first place shared by m models is
        drawn by lot, and counts 1 / m: a system that cannot tell the models apart is at chance.

    Raises
    ------
    DataError
        For arrays of different length, no trials, or a test without exactly one target.
    """
    names = np.asarray(tests)
    is_target = np.asarray(labels, dtype=np.bool_)
    values = np.asarray(scores, dtype=np.float64)
    if not names.shape == is_target.shape == values.shape or names.ndim != 1:
        raise DataError(
            "tests, labels and scores must be vectors of one length, got shapes "
            f"{names.shape}, {is_target.shape} and {values.shape}"
        )
    if not len(names):
        raise DataError("tests, labels and scores must hold at least one trial, got none")
    (test,) = number_names(names)
    n_targets = np.bincount(test[is_target], minlength=test.max() + 1)
    if (n_targets != 1).any():
        wrong = int(np.flatnonzero(n_targets != 1)[0])
        raise DataError(
            f"each test must have exactly one target trial; {names[test == wrong][0]} has "
            f"{n_targets[wrong]} ({int((n_targets != 1).sum())} such tests)"
        )
    target_score = np.empty(len(n_targets))
    target_score[test[is_target]] = values[is_target]
    own = target_score[test]
    with np.errstate(invalid="ignore"):
        beaten = np.bincount(test, values > own, len(n_targets)) > 0
        first_places = np.bincount(test, values == own, len(n_targets))
    identified = ~beaten & ~np.isnan(target_score)
    return float((1.0 / first_places[identified]).sum() / len(n_targets))
