"""Two systems on the same trials: is one better, or is it the draw of the speakers."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm.metrics.bootstrap import (
    SpeakerTrials,
    bootstrap_together,
    percentile_interval,
    sort_trials,
    weigh,
)
from voicegmm.metrics.evaluation import DEFAULT_POINTS, FEW_SPEAKERS, Reading, finite_or_none
from voicegmm.metrics.rates import OperatingPoint


@dataclass(frozen=True)
class Difference:
    """A figure of two systems.

    Attributes
    ----------
    first, second : float
        The figure of each.
    difference : float
        second - first.
    low, high : float
        Interval of the difference.
    p_value : float in (0, 1]
        How often chance alone would give so large a difference, to either side; below
        1 - confidence just where the interval leaves out 0.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    metrics : dict of str to Difference
        As those of `evaluate`.
    n_speakers, n_replicates : int
    warnings : tuple of str
    """

    metrics: dict[str, Difference]
    n_speakers: int
    n_replicates: int
    warnings: tuple[str, ...]

    def to_mapping(self) -> dict[str, Any]:
        """Turn into what JSON can hold; None stands for an infinite figure."""
        metrics = {key: finite_or_none(asdict(value)) for key, value in self.metrics.items()}
        return asdict(self) | {"metrics": metrics, "warnings": list(self.warnings)}


def compare(
    first: tuple[npt.ArrayLike, npt.ArrayLike],
    second: tuple[npt.ArrayLike, npt.ArrayLike],
    target_speakers: npt.ArrayLike,
    nontarget_model_speakers: npt.ArrayLike,
    nontarget_test_speakers: npt.ArrayLike,
    *,
    operating_points: Sequence[OperatingPoint] = DEFAULT_POINTS,
    primary: bool = False,
    n_bootstrap: int = 1000,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two systems on the same trials, by a paired bootstrap over speakers.

    Each replicate draws speakers once for both systems, so that what makes a speaker easy for both
    cancels. The p-value is twice the share of the replicates on the rarer side of 0, one replicate
    added to each side (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 13
    and 15).

    Parameters
    ----------
    first, second : (targets, nontargets)
        The scores of each system; trial i of a class is the same for both.
    target_speakers, nontarget_model_speakers, nontarget_test_speakers, operating_points, primary
        As `evaluate` takes them.
    n_bootstrap : int >= 1
        Replicates.
    rng : numpy.random.Generator, optional
        What draws the speakers; by default one of fixed seed, so a call repeats.
    confidence : float in (0, 1)
        Of the intervals.
    progress : callable, optional
        Called with the replicates done and their number.

    Raises
    ------
    DataError
        For classes that are empty or not as long in both systems, a NaN, or so few speakers that
        most replicates leave a class without trials.
    """
    at_least("n_bootstrap", n_bootstrap, 1)
    for name, here, there in zip(("targets", "nontargets"), first, second, strict=True):
        if np.shape(here) != np.shape(there):
            raise DataError(
                f"{name} must be the same trials for both systems, got shapes {np.shape(here)} and "
                f"{np.shape(there)}"
            )
    systems = [
        sort_trials(*scores, target_speakers, nontarget_model_speakers, nontarget_test_speakers)
        for scores in (first, second)
    ]
    readings = [Reading(trials.scores, operating_points, primary) for trials in systems]
    generator = np.random.default_rng(0) if rng is None else rng
    drawn = bootstrap_together(systems, readings, generator, n_bootstrap, progress)
    n_speakers, n_replicates = systems[0].n_speakers, len(drawn[0])
    if 2 * n_replicates <= n_bootstrap:
        raise DataError(
            f"with {n_speakers} speakers most resamplings leave a class without trials; compare on "
            "trials of more speakers"
        )
    values = [_as_they_are(*pair) for pair in zip(systems, readings, strict=True)]
    with np.errstate(invalid="ignore"):  # inf - inf: no difference can be told
        differences = np.nan_to_num(drawn[1] - drawn[0], nan=0.0, posinf=np.inf, neginf=-np.inf)
    metrics = {
        name: _difference(here, there, column, confidence)
        for name, here, there, column in zip(readings[0].names, *values, differences.T, strict=True)
    }
    few = (
        f"only {n_speakers} speakers: intervals and p-values from fewer than {FEW_SPEAKERS} are "
        "rough, and tend to find differences that are none"
    )
    warnings = (few,) if n_speakers < FEW_SPEAKERS else ()
    return Comparison(metrics, n_speakers, n_replicates, warnings)


def _as_they_are(trials: SpeakerTrials, reading: Reading) -> list[float]:
    scores = weigh(trials, np.ones(trials.n_speakers))
    assert scores is not None  # every trial weighs 1, and no class is empty
    return reading(scores)


def _difference(
    first: float, second: float, replicates: Float64Array, confidence: float
) -> Difference:
    low, high = percentile_interval(replicates, confidence)
    difference = second - first if np.isfinite([first, second]).any() else 0.0
    rarer = min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    p_value = min(1.0, 2 * (rarer + 1) / (len(replicates) + 1))
    # As in `evaluate`: a reader could make nothing of an interval without its value.
    return Difference(
        first, second, difference, min(low, difference), max(high, difference), p_value
    )
