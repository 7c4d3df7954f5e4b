"""Several starts, the best fit kept: EM climbs to the nearest summit only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

import numpy as np

from voicegmm._base.checks import at_least
from voicegmm.mixture.em import FitResult, Iteration, fit
from voicegmm.mixture.maximization import EmOptions, M
from voicegmm.mixture.model import Mixture
from voicegmm.mixture.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Restarts(Generic[M]):
    """What came of several starts.

    Parameters
    ----------
    best : FitResult
    chosen : int
        The number of the best start, from 0.
    log_likelihoods : tuple of float
        Of each start's fitted mixture, in nats per frame.
    """

    best: FitResult[M]
    chosen: int
    log_likelihoods: tuple[float, ...]


def fit_best(
    start: Callable[[np.random.Generator], M],
    collect: Callable[[Mixture], Statistics],
    rng: np.random.Generator,
    n_starts: int = 10,
    options: EmOptions | None = None,
    progress: Callable[[int, int, Iteration], None] | None = None,
) -> Restarts[M]:
    """Fit a mixture from several starts and keep the one of the greatest likelihood.

    Parameters
    ----------
    start : callable
        rng -> the mixture to start from, such as
        ``lambda rng: initialize(frames, 64, rng, options)``.
    collect : callable
        gmm -> Statistics of the whole data: as in `fit`.
    rng : numpy.random.Generator
        Each start gets a child of its own (`numpy.random.Generator.spawn`), so start i is the
        same however many there are.
    n_starts : int
        At least 1.
    options : EmOptions, optional
    progress : callable, optional
        Called with the number of the start (from 0), that of the iteration (from 1), its record.

    Returns
    -------
    Restarts
        The likelihoods compared are those of the final mixtures: a pass over the data each.
    """
    at_least("n_starts", n_starts, 1)
    best: FitResult[M] | None = None
    chosen, found = 0, []
    for number, child in enumerate(rng.spawn(n_starts)):

        def report(iteration: int, line: Iteration, number: int = number) -> None:
            if progress:
                progress(number, iteration, line)

        result = fit(start(child), collect, options, report)
        statistics = collect(result.gmm)
        found.append(statistics.log_likelihood / statistics.n_frames)
        if best is None or found[-1] > found[chosen]:
            best, chosen = result, number
    assert best is not None
    return Restarts(best, chosen, tuple(found))
