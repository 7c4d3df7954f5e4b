"""How many components, and of which shape: candidates fitted side by side in one table."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from voicegmm._base.arrays import BoolArray, FloatArray
from voicegmm._base.checks import at_least, finite_frames, one_of, within
from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture.collection import WORK_ITEM, ArraySource, collector
from voicegmm.mixture.density import blocks, log_density, posteriors
from voicegmm.mixture.em import FitResult
from voicegmm.mixture.initial import (
    COVARIANCE_TYPES,
    InitialOptions,
    initialize,
    sample_frames,
)
from voicegmm.mixture.maximization import EmOptions
from voicegmm.mixture.model import FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.mixture.restarts import fit_best

CRITERIA = ("bic", "aic", "icl", "held_out")


def n_parameters(gmm: Mixture) -> int:
    """Count a mixture's free parameters.

    Parameters
    ----------
    gmm : Mixture
        With K components in D dimensions.

    Returns
    -------
    int
        K - 1 weights, K D means, and the covariances': K if spherical, K D if diagonal,
        D (D + 1) / 2 if tied, K times that if full.
    """
    K, D = gmm.n_components, gmm.n_dims
    if isinstance(gmm, FullGMM):
        covariances = K * D * (D + 1) // 2
    elif isinstance(gmm, TiedGMM):
        covariances = D * (D + 1) // 2
    elif isinstance(gmm, SphericalGMM):
        covariances = K
    else:
        covariances = K * D
    return K - 1 + K * D + covariances


@dataclass(frozen=True)
class SelectionOptions:
    """Which mixtures are compared, and how each is fitted.

    Parameters
    ----------
    n_components : tuple of int
        Each at least 1.
    covariance_types : tuple of {"spherical", "diagonal", "tied", "full"}
    n_starts : int
        Starts a candidate, of which the best is kept; at least 1.
    held_out : float
        Fraction of the frames that a second fit of each candidate does without, to be scored on
        them; in [0, 0.9]. 0: no second fit, and no such column.
    initial : InitialOptions
    em : EmOptions
    """

    n_components: tuple[int, ...] = (1, 2, 4, 8)
    covariance_types: tuple[str, ...] = COVARIANCE_TYPES
    n_starts: int = 1
    held_out: float = 0.2
    initial: InitialOptions = field(default_factory=lambda: InitialOptions(variance_floor=1e-3))
    em: EmOptions = field(
        default_factory=lambda: EmOptions(n_iterations=100, tolerance=1e-5, variance_floor=1e-3)
    )

    def __post_init__(self) -> None:
        if not (self.n_components and self.covariance_types):
            raise OptionError("n_components and covariance_types must name one candidate at least")
        for number in self.n_components:
            at_least("n_components", number, 1)
        for name in self.covariance_types:
            one_of("covariance_types", name, COVARIANCE_TYPES)
        at_least("n_starts", self.n_starts, 1)
        within("held_out", self.held_out, 0, 0.9)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One line of the table.

    Parameters
    ----------
    n_components : int
        As asked for; a mixture that may drop components can have fewer.
    covariance_type : str
    n_parameters : int
        Of `gmm`.
    log_likelihood : float
        Of all frames, in nats.
    bic, aic, icl : float
        Less is better: see `information_criteria`.
    held_out : float
        Mean log-density of the frames held out, in nats, under a mixture that was fitted to the
        others; more is better. NaN if none were.
    converged : bool
    gmm : Mixture
        Fitted to all frames.
    """

    n_components: int
    covariance_type: str
    n_parameters: int
    log_likelihood: float
    bic: float
    aic: float
    icl: float
    held_out: float
    converged: bool
    gmm: Mixture


@dataclass(frozen=True, eq=False)
class Selection:
    """The table of all candidates.

    Parameters
    ----------
    rows : tuple of Candidate
        By covariance type, then by number of components, in the order of the options.
    n_frames : int
    """

    rows: tuple[Candidate, ...]
    n_frames: int

    def best(self, criterion: str = "bic") -> Candidate:
        """Give the best candidate.

        Parameters
        ----------
        criterion : {"bic", "aic", "icl", "held_out"}

        Raises
        ------
        OptionError
            For another word, or "held_out" where no frames were.
        """
        one_of("criterion", criterion, CRITERIA)
        values = np.array([getattr(row, criterion) for row in self.rows])
        if np.isnan(values).any():
            raise OptionError("held_out must be above 0 in SelectionOptions to choose by it")
        return self.rows[int(values.argmax() if criterion == "held_out" else values.argmin())]


def information_criteria(
    log_likelihood: float, parameters: int, n_frames: float, certainty: float
) -> tuple[float, float, float]:
    """Give BIC, AIC and ICL; less is better.

    Parameters
    ----------
    log_likelihood : float
        Of all frames, L, in nats.
    parameters : int
        Free parameters, p.
    n_frames : float
        n.
    certainty : float
        Sum over frames of the log of the greatest posterior, 0 or less.

    Returns
    -------
    bic : float
        -2 L + p log n (Schwarz 1978).
    aic : float
        -2 L + 2 p (Akaike 1974).
    icl : float
        BIC - 2 certainty: BIC of frames together with their most probable components (Biernacki,
        Celeux and Govaert, IEEE Transactions on Pattern Analysis and Machine Intelligence 22
        (2000)).
    """
    bic = -2 * log_likelihood + parameters * float(np.log(n_frames))
    return bic, -2 * log_likelihood + 2 * parameters, bic - 2 * certainty


def select(
    frames: FloatArray,
    rng: np.random.Generator,
    options: SelectionOptions | None = None,
    groups: Sequence[Hashable] | None = None,
    n_workers: int = 1,
    progress: Callable[[Candidate], None] | None = None,
) -> Selection:
    """Fit mixtures of several sizes and shapes, and tell how well each explains the frames.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    rng : numpy.random.Generator
        Chooses what is held out, and the starts.
    options : SelectionOptions, optional
    groups : sequence, optional
        What each frame belongs to (a recording, a speaker): held out whole or not at all, since
        neighboring frames are alike. By default each frame is its own.
    n_workers : int
    progress : callable, optional
        Called with each candidate when it is done.

    Returns
    -------
    Selection

    Raises
    ------
    DataError
        If frames are not finite, if groups do not fit, or if there are fewer frames to fit than
        components.
    """
    options = options or SelectionOptions()
    frames = finite_frames(frames)
    kept = _training_part(len(frames), groups, options.held_out, rng)
    n_least, n_most = int(kept.sum()), max(options.n_components)
    if n_least < n_most:
        raise DataError(f"{n_least} frames cannot train {n_most} components")
    rows = []
    for covariance_type in options.covariance_types:
        for n_components in options.n_components:
            shape = (n_components, covariance_type)
            result = _fitted(frames, shape, rng, options, n_workers)
            held_out = float("nan")
            if not kept.all():
                trained = _fitted(frames[kept], shape, rng, options, n_workers)
                held_out = float(log_density(trained.gmm, frames[~kept]).mean())
            rows.append(_candidate(shape, result, frames, held_out))
            if progress:
                progress(rows[-1])
    return Selection(tuple(rows), len(frames))


def _training_part(
    n_frames: int,
    groups: Sequence[Hashable] | None,
    held_out: float,
    rng: np.random.Generator,
) -> BoolArray:
    """Say of each frame whether it stays when some are held out."""
    if groups is not None and len(groups) != n_frames:
        raise DataError(f"groups must be {n_frames}, one a frame, got {len(groups)}")
    if held_out == 0:
        return np.ones(n_frames, bool)
    numbers: dict[Hashable, int] = {}
    labels = (
        np.arange(n_frames)
        if groups is None
        else np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    )
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        raise DataError(f"{len(sizes)} groups cannot be parted: give two, or hold out nothing")
    order = rng.permutation(len(sizes))
    # The groups that come nearest to the fraction, at least one, and not all.
    reach = np.cumsum(sizes[order])
    n_out = int(np.abs(reach[:-1] - held_out * n_frames).argmin()) + 1
    left = np.ones(len(sizes), bool)
    left[order[:n_out]] = False
    return np.asarray(left[labels])


def _fitted(
    frames: FloatArray,
    shape: tuple[int, str],
    rng: np.random.Generator,
    options: SelectionOptions,
    n_workers: int,
) -> FitResult[Mixture]:
    n_components, covariance_type = shape
    source = ArraySource(frames)

    def start(child: np.random.Generator) -> Mixture:
        drawn = sample_frames(source, options.initial.sample_per_component * n_components, child)
        return initialize(
            drawn, n_components, child, options.initial, covariance_type=covariance_type
        )

    return fit_best(start, collector(source, n_workers), rng, options.n_starts, options.em).best


def _candidate(
    shape: tuple[int, str], result: FitResult[Mixture], frames: FloatArray, held_out: float
) -> Candidate:
    gmm = result.gmm
    log_likelihood = certainty = 0.0
    for block in blocks(len(frames), WORK_ITEM):
        log_likelihood += float(log_density(gmm, frames[block]).sum())
        greatest = posteriors(gmm, frames[block]).max(axis=1)
        certainty += float(np.log(greatest, dtype=np.float64).sum())
    parameters = n_parameters(gmm)
    bic, aic, icl = information_criteria(log_likelihood, parameters, len(frames), certainty)
    return Candidate(
        shape[0], shape[1], parameters, log_likelihood, bic, aic, icl, held_out,
        result.converged, gmm,
    )  # fmt: skip
