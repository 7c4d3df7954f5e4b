"""EM on a stream: each batch is seen once, its statistics blended into those remembered.

With s the statistics of one average frame (Cappe and Moulines 2009, eqs. 12 and 13):

    s_t = (1 - gamma_t) s_(t-1) + gamma_t s(batch t; theta_(t-1)),    theta_t = M-step(s_t)
"""

from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import OptionError
from voicegmm.mixture.maximization import EmOptions, M, maximize
from voicegmm.mixture.model import FullGMM, TiedGMM
from voicegmm.mixture.statistics import Statistics, accumulate


@dataclass(frozen=True)
class OnlineOptions:
    """How a mixture learns from a stream.

    Parameters
    ----------
    decay : float
        kappa of the step gamma_t = (t + offset)^-kappa of batch t = 1, 2, ...; above 0.5, at
        most 1: then the steps forget the start, and yet settle.
    offset : float
        0 or more; 0 forgets the first mixture with the first batch.
    forgetting_factor : float, optional
        How much of the past each batch leaves in place, in [0, 1): gamma is 1 minus this, always,
        for data that change. None: steps that decrease.
    em : EmOptions
        Bounds of the M-step. A stream has no last iteration: `n_iterations` and `tolerance` play
        no part, and `starved` cannot be "drop".
    """

    decay: float = 0.7
    offset: float = 1.0
    forgetting_factor: float | None = None
    em: EmOptions = field(default_factory=EmOptions)

    def __post_init__(self) -> None:
        if not 0.5 < self.decay <= 1:
            raise OptionError(f"decay must be above 0.5 and at most 1, got {self.decay}")
        at_least("offset", self.offset, 0)
        if self.forgetting_factor is not None:
            within("forgetting_factor", self.forgetting_factor, 0, np.nextafter(1.0, 0.0))
        if self.em.starved == "drop":
            raise OptionError(
                "em.starved must be keep or split on a stream, got 'drop': what is remembered "
                "belongs to the components"
            )

    def step(self, n_updates: int) -> float:
        """Give gamma of the batch that follows `n_updates` others."""
        if self.forgetting_factor is not None:
            return 1 - self.forgetting_factor
        return float((n_updates + 1 + self.offset) ** -self.decay)


@dataclass(frozen=True, eq=False)
class OnlineFit(Generic[M]):
    """A mixture that learns from a stream, and what it remembers of it.

    Parameters
    ----------
    gmm : Mixture
    average : Statistics
        Of one average frame: the counts sum to 1.
    n_updates : int
        Batches seen.
    n_frames : float
        Frames seen, each as much as its weight.
    n_remembered : float
        How many frames of equal weight would tell as much as those remembered (Kish's effective
        sample size): what the M-step takes for the number of frames.
    log_likelihood : float
        Of the last batch under the mixture before it, in nats per frame; NaN before any.
    """

    gmm: M
    average: Statistics
    n_updates: int = 0
    n_frames: float = 0.0
    n_remembered: float = 0.0
    log_likelihood: float = float("nan")


def online_start(gmm: M) -> OnlineFit[M]:
    """Begin a stream with a mixture, which counts as much as the first batch will.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape.

    Returns
    -------
    OnlineFit
        It remembers the statistics that the mixture itself expects of a frame.
    """
    means, weights = gmm.means, gmm.weights
    if isinstance(gmm, FullGMM):
        products = gmm.covariances + means[:, :, None] * means[:, None, :]
        second = weights[:, None, None] * products
    elif isinstance(gmm, TiedGMM):
        second = gmm.covariance + (weights[:, None] * means).T @ means
    else:
        second = weights[:, None] * (gmm.variances_by_dim() + means**2)
    return OnlineFit(gmm, Statistics(weights, weights[:, None] * means, second, 0.0, 1.0))


def online_step(
    state: OnlineFit[M],
    frames: FloatArray,
    options: OnlineOptions | None = None,
    frame_weights: FloatArray | None = None,
) -> OnlineFit[M]:
    """Learn from one batch of a stream.

    Parameters
    ----------
    state : OnlineFit
        From `online_start` or from the batch before.
    frames : (n_frames, n_dims) float array
        Best at least a few times as many as there are components. None at all change nothing.
    options : OnlineOptions, optional
    frame_weights : (n_frames,) float array, optional
        0 or more; 1 for every frame by default.

    Returns
    -------
    OnlineFit

    Raises
    ------
    DataError
        For a frame that is not finite or of another dimension, or weights that do not fit.

    References
    ----------
    Cappe and Moulines, "On-line expectation-maximization algorithm for latent data models",
    Journal of the Royal Statistical Society B 71 (2009).
    """
    return blend(state, accumulate(state.gmm, frames, frame_weights), options)


def blend(
    state: OnlineFit[M], batch: Statistics, options: OnlineOptions | None = None
) -> OnlineFit[M]:
    """Learn from the statistics of one batch, collected with the mixture as it is.

    Parameters
    ----------
    state : OnlineFit
    batch : Statistics
        Of no frames at all, they change nothing.
    options : OnlineOptions, optional

    Returns
    -------
    OnlineFit
    """
    options = options or OnlineOptions()
    n = batch.n_frames
    if n == 0:
        return state
    gamma = options.step(state.n_updates)
    average = _scaled(state.average, 1 - gamma) + _scaled(batch, gamma / n)
    past = state.n_remembered if state.n_updates else n
    remembered = 1 / ((1 - gamma) ** 2 / past + gamma**2 / n)
    update = maximize(state.gmm, _scaled(average, remembered), options.em)
    return replace(
        state,
        gmm=update.gmm,
        average=average,
        n_updates=state.n_updates + 1,
        n_frames=state.n_frames + n,
        n_remembered=remembered,
        log_likelihood=batch.log_likelihood / n,
    )


def _scaled(statistics: Statistics, factor: float) -> Statistics:
    return Statistics(
        statistics.counts * factor,
        statistics.first * factor,
        statistics.second * factor,
        statistics.log_likelihood * factor,
        statistics.n_frames * factor,
    )
