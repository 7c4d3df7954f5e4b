"""Maximum likelihood by expectation-maximization: one loop, whatever the frames come from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import DataError
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import Statistics


@dataclass(frozen=True)
class EmOptions:
    """How a mixture is fitted.

    Parameters
    ----------
    n_iterations : int
        The most iterations; at least 1.
    tolerance : float
        Stop when an iteration gains less than this, in nats per frame; 0 runs all iterations.
    variance_floor : float
        No variance falls below this fraction of the data's variance in that dimension; in (0, 1].
    min_count : float
        A component that answers for fewer frames keeps its mean and variances.
    """

    n_iterations: int = 20
    tolerance: float = 1e-3
    variance_floor: float = 1e-2
    min_count: float = 3.0

    def __post_init__(self) -> None:
        at_least("n_iterations", self.n_iterations, 1)
        at_least("tolerance", self.tolerance, 0)
        within("variance_floor", self.variance_floor, 1e-12, 1)
        at_least("min_count", self.min_count, 0)


@dataclass(frozen=True, eq=False)
class Update:
    """An M-step's result.

    Parameters
    ----------
    gmm : DiagonalGMM
    n_floored : int
        How many variances were raised to the floor.
    n_starved : int
        How many components had fewer than `min_count` frames and kept mean and variances.
    """

    gmm: DiagonalGMM
    n_floored: int
    n_starved: int


@dataclass(frozen=True)
class Iteration:
    """One line of the training record.

    Parameters
    ----------
    log_likelihood : float
        Of the model that entered the iteration, in nats per frame.
    n_floored, n_starved : int
        As in `Update`.
    seconds : float
        0 where it is not known: files do not keep it.
    """

    log_likelihood: float
    n_floored: int
    n_starved: int
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted mixture and how it came to be.

    Parameters
    ----------
    gmm : DiagonalGMM
    iterations : tuple of Iteration
    converged : bool
        Whether the gain fell below the tolerance before the iterations ran out.
    n_frames : float
    warnings : tuple of str
        What is doubtful: a likelihood that fell, components without data.
    """

    gmm: DiagonalGMM
    iterations: tuple[Iteration, ...]
    converged: bool
    n_frames: float
    warnings: tuple[str, ...] = field(default=())


def data_variance(statistics: Statistics) -> Float64Array:
    """Give the variance of the data behind statistics, (n_dims,): posteriors sum to one."""
    n = statistics.counts.sum()
    mean = statistics.first.sum(axis=0) / n
    variance = statistics.second.sum(axis=0) / n - mean**2
    # A dimension that never changes has no scale of its own; rounding must not make one.
    floored: Float64Array = np.maximum(variance, np.maximum(1e-12 * mean**2, 1e-12))
    return floored


def maximize(gmm: DiagonalGMM, statistics: Statistics, options: EmOptions | None = None) -> Update:
    """Give the mixture of the greatest likelihood for statistics: the M-step.

    Parameters
    ----------
    gmm : DiagonalGMM
        The mixture the statistics were collected with.
    statistics : Statistics
    options : EmOptions, optional

    Returns
    -------
    Update

    Raises
    ------
    DataError
        If the statistics hold no frames.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), eqs. 9.24 to 9.26.
    """
    options = options or EmOptions()
    if not statistics.n_frames > 0:
        raise DataError("there are no frames to train on")
    starved = statistics.counts < max(options.min_count, 1e-10)
    n = np.where(starved, 1.0, statistics.counts)[:, None]
    means = statistics.first / n  # 9.24
    variances = statistics.second / n - means**2  # 9.25, diagonal
    floor = options.variance_floor * data_variance(statistics)
    floored = (variances < floor) & ~starved[:, None]
    variances = np.maximum(variances, floor)
    means = np.where(starved[:, None], gmm.means, means)
    variances = np.where(starved[:, None], gmm.variances, variances)
    weights = statistics.counts / statistics.counts.sum()  # 9.26
    return Update(DiagonalGMM(weights, means, variances), int(floored.sum()), int(starved.sum()))


def fit(
    initial: DiagonalGMM,
    collect: Callable[[DiagonalGMM], Statistics],
    options: EmOptions | None = None,
    progress: Callable[[int, Iteration], None] | None = None,
) -> FitResult:
    """Fit a mixture by EM.

    Parameters
    ----------
    initial : DiagonalGMM
    collect : callable
        gmm -> Statistics of the whole data under it: see `collector`.
    options : EmOptions, optional
    progress : callable, optional
        Called with the number of the iteration (from 1) and its record.

    Returns
    -------
    FitResult
        `iterations[i].log_likelihood` belongs to the model before iteration i.
    """
    options = options or EmOptions()
    gmm, converged, n_frames = initial, False, 0.0
    record: list[Iteration] = []
    warnings: list[str] = []
    for number in range(1, options.n_iterations + 1):
        begun = time.perf_counter()
        statistics = collect(gmm)
        update = maximize(gmm, statistics, options)
        n_frames = statistics.n_frames
        line = Iteration(
            statistics.log_likelihood / n_frames,
            update.n_floored,
            update.n_starved,
            time.perf_counter() - begun,
        )
        if record:
            gain = line.log_likelihood - record[-1].log_likelihood
            if gain < -1e-6 * abs(line.log_likelihood) and record[-1].n_floored == 0:
                warnings.append(f"the likelihood fell by {-gain:.3g} nats per frame at {number}")
            converged = 0 <= gain < options.tolerance
        record.append(line)
        if progress:
            progress(number, line)
        gmm = update.gmm
        if converged:
            break
    if record[-1].n_starved:
        warnings.append(f"{record[-1].n_starved} of {gmm.n_components} components have no data")
    return FitResult(gmm, tuple(record), converged, n_frames, tuple(warnings))
