"""Maximum likelihood by expectation-maximization: one loop, whatever the frames come from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from voicegmm.mixture.maximization import EmOptions, M, maximize
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.statistics import Statistics


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
class FitResult(Generic[M]):
    """A fitted mixture and how it came to be.

    Parameters
    ----------
    gmm : Mixture
    iterations : tuple of Iteration
    converged : bool
        Whether the gain fell below the tolerance before the iterations ran out.
    n_frames : float
    warnings : tuple of str
        What is doubtful: a likelihood that fell, components without data.
    """

    gmm: M
    iterations: tuple[Iteration, ...]
    converged: bool
    n_frames: float
    warnings: tuple[str, ...] = field(default=())


def fit(
    initial: M,
    collect: Callable[[Mixture], Statistics],
    options: EmOptions | None = None,
    progress: Callable[[int, Iteration], None] | None = None,
) -> FitResult[M]:
    """Fit a mixture by EM.

    Parameters
    ----------
    initial : Mixture
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
