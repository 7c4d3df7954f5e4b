"""The background model: what it is, and how it is trained."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import FloatArray, IntArray
from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import DataError, OptionError, VoicegmmError
from voicegmm._base.options import canonical_json, fingerprint
from voicegmm._base.version import __version__
from voicegmm.features import FrontEnd
from voicegmm.mixture import (
    DiagonalGMM,
    DoubleSource,
    EmOptions,
    FitResult,
    FrameSource,
    InitialOptions,
    Iteration,
    collector,
    fit,
    initialize,
    sample_frames,
)
from voicegmm.mixture.fast import FastOptions, fast_fit, grow, growth_frames, pays
from voicegmm.scoring.frames import FrameLibrary, contents_of, usable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UbmOptions:
    """How a universal background model is trained.

    Parameters
    ----------
    n_components : int
        Number of Gaussians; at least 1.
    initial : InitialOptions
    em : EmOptions
    fast : FastOptions
        Whether EM is dense or fast.
    precision : {"single", "double"}
        Of the arithmetic on frames: of dense EM, of the posteriors that speakers are adapted by and
        a subspace is learned from, and of scores. Another kind of processor rounds otherwise: in
        single precision variances may come out different by 1e-5 of themselves; in double, which
        takes two to three times as long, by 1e-12, if the frames are the same (see
        `StaticOptions.precision`).
    draw : int
        Which draw of the random start, of all that a seed gives; 0 or more. Systems of a fused
        recipe share the seed, for their folds must be the same: with different draws they are a
        committee of one system, whose mean depends less on the draw than any one of them does.
    """

    n_components: int = 256
    initial: InitialOptions = field(default_factory=InitialOptions)
    em: EmOptions = field(default_factory=lambda: EmOptions(n_iterations=10))
    fast: FastOptions = field(default_factory=FastOptions)
    precision: str = "single"
    draw: int = 0

    def __post_init__(self) -> None:
        at_least("n_components", self.n_components, 1)
        at_least("draw", self.draw, 0)
        one_of("precision", self.precision, ("single", "double"))
        if self.precision == "double" and self.fast.method == "fast":
            raise OptionError(
                "precision must be single where fast.method is fast, got double: passes over "
                "short lists are in single precision"
            )


@dataclass(frozen=True)
class ForeignTraining:
    """What stands in the place of the options of a training that was not ours.

    Parameters
    ----------
    program : str
        Whose file the mixture was taken from, as "kaldi".
    file : str
        Its name.
    content : str
        Its SHA-256, in hex.
    """

    program: str
    file: str
    content: str


def digest_of(text: str, *arrays: FloatArray | IntArray) -> str:
    """Give the first 32 hex digits of the SHA-256 of a text and the numbers of some arrays."""
    digest = hashlib.sha256(text.encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class BackgroundModel:
    """A universal background model, with the front end its frames must come from.

    Parameters
    ----------
    gmm : DiagonalGMM
    front_end : FrontEnd
    options : UbmOptions or ForeignTraining
        How it was trained, or what other program did.
    seed : int
    iterations : tuple of Iteration
        The training record.
    n_frames : float
    contents : tuple of str, optional
        SHA-256 of the recordings it was trained from; None where they are not known.
    """

    gmm: DiagonalGMM
    front_end: FrontEnd
    options: UbmOptions | ForeignTraining = field(default_factory=UbmOptions)
    seed: int = 0
    iterations: tuple[Iteration, ...] = ()
    n_frames: float = 0.0
    contents: tuple[str, ...] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of front end, weights, means and variances."""
        gmm = self.gmm
        return digest_of(canonical_json(self.front_end), gmm.weights, gmm.means, gmm.variances)


def training_of(model: BackgroundModel) -> UbmOptions:
    """Give how a background model was trained, for others like it.

    Raises
    ------
    VoicegmmError
        If another program trained it.
    """
    if isinstance(model.options, ForeignTraining):
        raise VoicegmmError(
            f"the background model was trained by another program ({model.options.program}), and "
            "none like it can be trained for the folds of a calibration; leave out --background, "
            "and calibrate the scores of other trials"
        )
    return model.options


def working_dtype(training: UbmOptions | ForeignTraining) -> np.dtype:
    """Give the precision of work on frames, for a background model and all that is under it."""
    double = isinstance(training, UbmOptions) and training.precision == "double"
    return np.dtype(np.float64 if double else np.float32)


def in_precision(source: FrameSource, training: UbmOptions | ForeignTraining) -> FrameSource:
    """Give the frames of a source in the precision that a background model works in."""
    return DoubleSource(source) if working_dtype(training) == np.float64 else source


class Checkpoint(Protocol):
    """Keeps the last finished iteration of a training."""

    def load(self, fingerprint: str) -> FitResult[DiagonalGMM] | None:
        """Give what a training had come to, or None if there is nothing of this very training."""

    def save(self, fingerprint: str, result: FitResult[DiagonalGMM]) -> None:
        """Write down what a training has come to."""


def train_background(
    frames: FrameLibrary,
    files: Sequence[str],
    options: UbmOptions,
    seed: int,
    n_workers: int = 1,
    progress: Callable[[int, Iteration], None] | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    workers: str | None = None,
    memory_mb: float | None = None,
) -> tuple[BackgroundModel, FitResult[DiagonalGMM]]:
    """Train a universal background model.

    Parameters
    ----------
    frames : FrameLibrary
    files : sequence of str
        Recordings to train on; those without frames are passed over.
    options : UbmOptions
    seed : int
        Of the sample and of k-means++, beside `UbmOptions.draw`.
    n_workers : int
    progress : callable, optional
        As in `voicegmm.mixture.fit`.
    checkpoint : Checkpoint, optional
        Where each finished iteration is kept (fast EM: each round of passes over the same short
        lists): an interrupted training goes on from there and ends with the same bits. Removing it,
        once the model is safe, is the caller's business.
    workers, memory_mb
        As in `voicegmm.mixture.collector`; fast EM takes no `workers` but threads.

    Returns
    -------
    BackgroundModel, FitResult

    Raises
    ------
    DataError
        If there are fewer frames than components.
    """
    rng = np.random.default_rng((seed, options.draw) if options.draw else seed)
    heard = usable(frames, files)
    source = in_precision(frames.source(heard), options)
    if source.n_frames < options.n_components:
        raise DataError(
            f"{source.n_frames} speech frames cannot train {options.n_components} components; "
            "give more speech, or ask for fewer components"
        )
    fast = _chosen(options, source)
    if fast and workers not in (None, "threads"):
        raise OptionError(f"workers must be threads where fast.method is fast, got {workers}")
    wanted = options.initial.sample_per_component * options.n_components
    if fast:
        wanted = growth_frames(options.n_components, options.fast)
    drawn = sample_frames(source, wanted, rng)
    earlier, keep = None, None
    if checkpoint:
        content = hashlib.sha256(np.ascontiguousarray(drawn).tobytes()).hexdigest()
        mark = fingerprint(
            __version__, frames.front_end, options, seed, list(files), source.n_frames, content
        )
        earlier, keep = checkpoint.load(mark), partial(checkpoint.save, mark)
    if earlier:
        done = len(earlier.iterations)
        log.warning("an interrupted training goes on after its iteration %d", done)
        initial = earlier.gmm
    elif fast:
        shape = (rng, options.fast, options.em, options.initial)
        initial = grow(drawn, options.n_components, *shape, n_workers)
    else:
        initial = initialize(drawn, options.n_components, rng, options.initial)
    if fast:
        result = fast_fit(
            initial, source, options.em, options.fast, n_workers, progress,
            earlier=earlier, keep=keep, memory_mb=memory_mb,
        )  # fmt: skip
    else:
        collect = collector(source, n_workers, workers=workers, memory_mb=memory_mb)
        result = fit(initial, collect, options.em, progress, earlier=earlier, keep=keep)
    model = BackgroundModel(
        result.gmm,
        frames.front_end,
        options,
        seed,
        result.iterations,
        result.n_frames,
        contents_of(frames, heard),
    )
    return model, result


def _chosen(options: UbmOptions, source: FrameSource) -> bool:
    """Tell whether a training is to be fast; where that was left to us, say so in the log."""
    if options.fast.method != "auto" or options.precision == "double":
        return options.fast.method == "fast"
    fast = pays(options.n_components, source.n_dims, source.n_frames)
    log.info(
        "EM is %s: %d components, %d dimensions, %d frames",
        "fast" if fast else "dense",
        options.n_components,
        source.n_dims,
        source.n_frames,
    )
    return fast
