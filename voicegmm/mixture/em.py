"""Maximum likelihood by expectation-maximization: one loop, whatever the frames come from."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Generic

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray, frozen
from voicegmm.mixture.maximization import EmOptions, M, maximize
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.statistics import Statistics

_ARRAYS: Final = {
    "counts": np.float64,
    "floored": np.intp,
    "floored_dims": np.intp,
    "starved": np.bool_,
}


@dataclass(frozen=True, eq=False)
class Iteration:
    """One line of the training record.

    Parameters
    ----------
    log_likelihood : float
        Of the model that entered the iteration, in nats per frame.
    counts : (n_components,) float64 array
        Effective frames of each component of that model: the sums of its posteriors.
    floored, floored_dims, starved : array
        What became of components: see `Update`.
    seconds : float
        0 where it is not known: files do not keep it.
    loss, loss_error : float
        By how much the log-likelihood may lie below the exact one, in nats per frame: 0 where it
        is exact; where a pass left components out, what a sample of frames showed, with its
        standard error, or NaN where nobody looked.
    """

    log_likelihood: float
    counts: Float64Array
    floored: IntArray
    floored_dims: IntArray
    starved: BoolArray
    seconds: float = 0.0
    loss: float = 0.0
    loss_error: float = 0.0

    def __post_init__(self) -> None:
        for name, kind in _ARRAYS.items():
            object.__setattr__(self, name, frozen(getattr(self, name), kind))

    @property
    def exact(self) -> bool:
        """Whether the log-likelihood is that of all components."""
        return self.loss == 0 and self.loss_error == 0

    @property
    def n_floored(self) -> int:
        """How many variances were moved to a bound."""
        return int(self.floored.sum())

    @property
    def n_starved(self) -> int:
        """How many components were starved."""
        return int(self.starved.sum())


@dataclass(frozen=True, eq=False)
class FitResult(Generic[M]):
    """A fitted mixture and how it came to be.

    Parameters
    ----------
    gmm : Mixture
    iterations : tuple of Iteration
    converged : bool
        Whether the gain fell below a tolerance before the iterations ran out.
    n_frames : float
    """

    gmm: M
    iterations: tuple[Iteration, ...] = ()
    converged: bool = False
    n_frames: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful: a likelihood that fell, components without data."""
        found = []
        lines = [(number, line) for number, line in enumerate(self.iterations, 1) if line.exact]
        for (_, before), (number, after) in pairwise(lines):
            loss = before.log_likelihood - after.log_likelihood
            if loss > 1e-6 * abs(after.log_likelihood):
                why = f": {before.n_floored} variances were moved to a bound before"
                found.append(
                    f"the likelihood fell by {loss:.3g} nats per frame in iteration {number}"
                    + (why if before.n_floored else "")
                )
        if self.iterations and (n_starved := self.iterations[-1].n_starved):
            n_components = len(self.iterations[-1].starved)
            found.append(f"{n_starved} of {n_components} components have no data")
        return tuple(found)


def fit(
    initial: M,
    collect: Callable[[Mixture], Statistics],
    options: EmOptions | None = None,
    progress: Callable[[int, Iteration], None] | None = None,
    *,
    earlier: FitResult[M] | None = None,
    keep: Callable[[FitResult[M]], None] | None = None,
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
    earlier : FitResult, optional
        What an interrupted fit had come to, as `keep` was given it: the fit goes on from there
        with the same bits, and `initial` plays no part.
    keep : callable, optional
        Called after each iteration with what has been reached.

    Returns
    -------
    FitResult
        `iterations[i].log_likelihood` belongs to the model before iteration i.
    """
    options = options or EmOptions()
    result = earlier or FitResult(initial)
    while len(result.iterations) < options.n_iterations and not result.converged:
        result = advance(result, collect, options)
        if progress:
            progress(len(result.iterations), result.iterations[-1])
        if keep:
            keep(result)
    return result


def advance(
    result: FitResult[M], collect: Callable[[M], Statistics], options: EmOptions
) -> FitResult[M]:
    """Do one iteration more."""
    begun = time.perf_counter()
    statistics = collect(result.gmm)
    update = maximize(result.gmm, statistics, options)
    line = Iteration(
        statistics.log_likelihood / statistics.n_frames,
        statistics.counts,
        update.floored,
        update.floored_dims,
        update.starved,
        time.perf_counter() - begun,
    )
    converged = False
    if result.iterations:
        before = result.iterations[-1].log_likelihood
        least = max(options.tolerance, options.tolerance_relative * abs(before))
        converged = 0 <= line.log_likelihood - before < least
    return FitResult(update.gmm, (*result.iterations, line), converged, statistics.n_frames)
