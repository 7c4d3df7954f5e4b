"""Fast EM: grow a mixture by splitting, then make short lists and pass over them in turn."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm.compute.blas import single_threaded_blas
from voicegmm.mixture.collection import ArraySource, FrameSource, collector
from voicegmm.mixture.em import FitResult, Iteration, advance, fit
from voicegmm.mixture.fast.collection import Loss, ShortListCollector
from voicegmm.mixture.fast.options import FastOptions
from voicegmm.mixture.fast.plan import Plan, next_pass
from voicegmm.mixture.initial import InitialOptions, initialize
from voicegmm.mixture.maximization import EmOptions
from voicegmm.mixture.model import DiagonalGMM
from voicegmm.mixture.statistics import Statistics

_APART = 0.25  # how far the halves of a component move, in standard deviations
_DENSE_UP_TO = 256  # components: fewer are as fast with full passes alone
_GROWTH_KEEP, _GROWTH_LEAST = 1e-4, 1e-3  # at least: soon after a split short lists will do
_GROWTH_NEAR = 96  # at most, for the same reason
_GROWTH_ITEM = 4_096  # frames a work item of full passes: there are few, and workers share them
_GROWTH_ITEMS, _GROWTH_CHUNK = 8, 8_192  # of other passes: so many, if none has fewer frames
_START_FRAMES, _MOST_FRAMES = 20_000, 2**19  # of growth: they are in memory
_START_ITERATIONS = 4
_MANY = 2**40  # frames: growth is a part of what is worth compiled loops


def growth_sizes(n_components: int, grow_from: int) -> list[int]:
    """Give the numbers of components that growth goes through, the last one last."""
    sizes = [n_components]
    while sizes[-1] > grow_from:
        sizes.append(-(-sizes[-1] // 2))
    return sizes[::-1]


def growth_frames(n_components: int, options: FastOptions) -> int:
    """Give how many frames growth wants: those of the last level, within what memory may hold."""
    return max(_START_FRAMES, min(options.grow_frames * n_components, _MOST_FRAMES))


def split(gmm: DiagonalGMM, n_components: int, rng: np.random.Generator) -> DiagonalGMM:
    """Put two halves in the place of the heaviest components, until there are enough.

    Parameters
    ----------
    gmm : DiagonalGMM
    n_components : int
        From those there are to twice as many.
    rng : numpy.random.Generator
        Draws into which corner each pair moves apart.

    Returns
    -------
    DiagonalGMM
        The second halves stand behind all others.

    References
    ----------
    Linde, Buzo and Gray, "An algorithm for vector quantizer design", IEEE Transactions on
    Communications 28 (1980); with a random corner in the place of their fixed one.
    """
    n_more = n_components - gmm.n_components
    chosen = np.sort(np.argsort(-gmm.weights, kind="stable")[:n_more])
    signs = rng.choice((-1.0, 1.0), (n_more, gmm.n_dims))
    offsets = _APART * signs * np.sqrt(gmm.variances[chosen])
    weights, means = gmm.weights.copy(), gmm.means.copy()
    weights[chosen] /= 2
    means[chosen] += offsets
    return DiagonalGMM(
        np.concatenate([weights, weights[chosen]]),
        np.concatenate([means, gmm.means[chosen] - offsets]),
        np.concatenate([gmm.variances, gmm.variances[chosen]]),
    )


def grow(
    frames: FloatArray,
    n_components: int,
    rng: np.random.Generator,
    options: FastOptions | None = None,
    em: EmOptions | None = None,
    initial: InitialOptions | None = None,
    n_workers: int = 1,
) -> DiagonalGMM:
    """Grow a first mixture: few components, trained and split in turn on ever more frames.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
        A sample; `growth_frames` says how many are of use. Each level takes the first of them in a
        random order.
    n_components : int
    rng : numpy.random.Generator
    options : FastOptions, optional
    em : EmOptions, optional
        Its bounds of variances are kept; a starved component becomes half of a heavy one.
    initial : InitialOptions, optional
        For the first level.
    n_workers : int
        Threads; they do not change a bit.

    Returns
    -------
    DiagonalGMM
        To be trained on all frames.
    """
    options, initial = options or FastOptions(), initial or InitialOptions()
    keep, least = max(options.keep, _GROWTH_KEEP), max(options.least, _GROWTH_LEAST)
    n_near = min(options.n_near, _GROWTH_NEAR)
    brief = replace(options, keep=keep, least=least, n_near=n_near, all_near=0)
    frames = frames[rng.permutation(len(frames))[: growth_frames(n_components, options)]]
    sizes = growth_sizes(n_components, options.grow_from)
    plain = replace(em or EmOptions(), tolerance=0, tolerance_relative=0, starved="split")
    some = frames[: max(initial.sample_per_component * sizes[0], sizes[0])]
    with single_threaded_blas():  # whose bits do not hang on the number of cores
        gmm = initialize(some, sizes[0], rng, initial)
    if len(sizes) == 1:
        return gmm
    start = ArraySource(frames[: max(_START_FRAMES, options.grow_frames * sizes[0])])
    gmm = _trained_fully(gmm, start, replace(plain, n_iterations=_START_ITERATIONS), n_workers)
    steps = replace(plain, n_iterations=options.grow_iterations)
    for size in sizes[1:]:
        source = ArraySource(frames[: options.grow_frames * size])
        gmm = _trained(split(gmm, size, rng), source, steps, brief, n_workers)
    return gmm


def _trained(
    gmm: DiagonalGMM, source: FrameSource, steps: EmOptions, options: FastOptions, n_workers: int
) -> DiagonalGMM:
    """Train a level of growth that was just split."""
    if gmm.n_components <= _DENSE_UP_TO:
        return _trained_fully(gmm, source, steps, n_workers)
    n_together = max(_GROWTH_CHUNK, source.n_frames // _GROWTH_ITEMS)
    options = replace(options, chunk_frames=min(options.chunk_frames, n_together))
    return fast_fit(gmm, source, steps, options, n_workers, exact_end=False, job_frames=_MANY).gmm


def _trained_fully(
    gmm: DiagonalGMM, source: FrameSource, steps: EmOptions, n_workers: int
) -> DiagonalGMM:
    """Train a level of growth by full passes alone."""
    collect = collector(source, n_workers, job_frames=_MANY, item_frames=_GROWTH_ITEM)
    return fit(gmm, collect, steps).gmm


def fast_fit(
    initial: DiagonalGMM,
    source: FrameSource,
    em: EmOptions | None = None,
    options: FastOptions | None = None,
    n_workers: int = 1,
    progress: Callable[[int, Iteration], None] | None = None,
    *,
    earlier: FitResult[DiagonalGMM] | None = None,
    keep: Callable[[FitResult[DiagonalGMM]], None] | None = None,
    memory_mb: float | None = None,
    exact_end: bool = True,
    job_frames: int = 0,
) -> FitResult[DiagonalGMM]:
    """Fit a mixture by EM, most of whose passes visit only the components on short lists.

    Rounds of a grouped pass and `FastOptions.n_short` passes over the lists it made follow each
    other as `next_pass` plans them; the last iteration of all is exact. Few components (256 or
    less) and short passes have full passes alone: then this is `fit`.

    Parameters
    ----------
    initial : DiagonalGMM
        From `grow`, or any other.
    source : FrameSource
        Its frames are worked in single precision.
    em : EmOptions, optional
    options : FastOptions, optional
    n_workers : int
        They do not change a bit; see `ShortListCollector`.
    progress : callable, optional
        As in `fit`.
    earlier : FitResult, optional
        What an interrupted fit had come to, as `keep` was given it.
    keep : callable, optional
        Called with what has been reached whenever the next pass makes new lists: from there a fit
        goes on with the same bits.
    memory_mb : float, optional
        Refused, if a pass takes more, in megabytes.
    exact_end : bool
        Whether the last iteration is exact.
    job_frames : int
        As in `voicegmm.mixture.collector`.

    Returns
    -------
    FitResult
        Iterations that are not exact have a likelihood that is a lower bound, and say so in `loss`.
    """
    em, options = em or EmOptions(), options or FastOptions()
    with ShortListCollector(source, options, n_workers, memory_mb, job_frames) as collect:
        if initial.n_components <= _DENSE_UP_TO or not collect.able(initial):
            dense = collector(source, n_workers, memory_mb=memory_mb, job_frames=job_frames)
            return fit(initial, dense, em, progress, earlier=earlier, keep=keep)
        result = earlier or FitResult(initial)
        while len(result.iterations) < em.n_iterations and not result.converged:
            n_left = em.n_iterations - len(result.iterations) - exact_end  # before the exact one
            plan = next_pass(result.iterations, em, options, initial.n_components)
            if not n_left:
                plan = Plan(initial.n_components, 0)
            audit = plan.n_short_left == 1 or n_left == 1
            result = _iterated(result, collect, em, plan, audit)
            plan = next_pass(result.iterations, em, options, initial.n_components)
            result = replace(result, converged=plan.converged)
            if progress:
                progress(len(result.iterations), result.iterations[-1])
            if keep and plan.kind != "short":
                keep(result)
        return result


def _iterated(
    result: FitResult[DiagonalGMM],
    collect: ShortListCollector,
    em: EmOptions,
    plan: Plan,
    audit: bool,
) -> FitResult[DiagonalGMM]:
    """Do one iteration more."""
    loss = Loss(0.0, 0.0) if plan.kind == "full" else Loss()

    def truncated(gmm: DiagonalGMM) -> Statistics:
        nonlocal loss
        if plan.kind == "grouped":
            return collect.grouped(gmm, plan.n_near)
        statistics, loss = collect.short(gmm, audit)
        return statistics

    forever = replace(em, tolerance=0, tolerance_relative=0)
    if plan.kind == "full":
        made = advance(result, collect.full, forever)
    else:
        made = advance(result, truncated, forever)
    line = replace(made.iterations[-1], loss=loss.mean, loss_error=loss.error)
    return replace(made, iterations=(*result.iterations, line), converged=False)
