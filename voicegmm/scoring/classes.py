"""Classes of voices: a mixture of each, and how likely it makes a recording."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import DataError
from voicegmm._base.options import canonical_json
from voicegmm.compute import ordered_map
from voicegmm.corpus import ClassRecordings
from voicegmm.features import FrontEnd
from voicegmm.mixture import (
    DiagonalGMM,
    FitResult,
    Iteration,
    MapOptions,
    adapt_iterated,
    collector,
    log_density,
)
from voicegmm.scoring.background import UbmOptions, digest_of, train_background
from voicegmm.scoring.frames import FrameLibrary, check_front_end, contents_of, usable


@dataclass(frozen=True)
class ClassOptions:
    """How classes of voices are modeled and what they do is foretold.

    Parameters
    ----------
    gmm : UbmOptions
        The mixture of each class, of greatest likelihood by EM; with `adaptation` the one of all
        classes together.
    adaptation : MapOptions, optional
        Adapt a background model of all classes to each; None trains each on its own.
    n_folds : int
        Folds of speakers for calibration; at least 2. Fewer where there are fewer speakers.
    min_speakers : int
        With fewer speakers in a class nothing is calibrated; at least 2.
    seed : int
        Of samples, of the start of EM and of the folds.
    """

    gmm: UbmOptions = field(default_factory=UbmOptions)
    adaptation: MapOptions | None = None
    n_folds: int = 5
    min_speakers: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("n_folds", self.n_folds, 2)
        at_least("min_speakers", self.min_speakers, 2)
        within("seed", self.seed, 0, 2**63 - 1)


@dataclass(frozen=True, eq=False)
class ClassModel:
    """The model of one class.

    Parameters
    ----------
    name : str
    gmm : DiagonalGMM
    n_frames : float
        Frames it was made from.
    n_recordings, n_speakers : int
    iterations : tuple of Iteration
        The training record; empty where the model was adapted.
    contents : tuple of str, optional
        SHA-256 of the recordings it was made from; None where they are not known. What it was
        adapted from has heard those of all classes.
    """

    name: str
    gmm: DiagonalGMM
    n_frames: float = 0.0
    n_recordings: int = 0
    n_speakers: int = 0
    iterations: tuple[Iteration, ...] = ()
    contents: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class ClassModels:
    """Classes of voices, with the front end their frames must come from.

    Parameters
    ----------
    classes : tuple of ClassModel
        At least two, each name once.
    front_end : FrontEnd
    options : ClassOptions
    """

    classes: tuple[ClassModel, ...]
    front_end: FrontEnd
    options: ClassOptions = field(default_factory=ClassOptions)

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise DataError(f"at least two classes are needed, got {len(self.classes)}")
        if len(set(self.names)) != len(self.names):
            raise DataError("the names of the classes must differ")
        for one in self.classes:
            if one.gmm.n_dims != self.front_end.n_dims:
                raise DataError(
                    f"the model of {one.name!r} must have the front end's {self.front_end.n_dims} "
                    f"dimensions, got {one.gmm.n_dims}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """What the classes are called."""
        return tuple(one.name for one in self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of front end, names and mixtures."""
        return self.fingerprint_with(self.front_end)

    def fingerprint_with(self, front_end: FrontEnd | Mapping[str, Any]) -> str:
        """Give the fingerprint for a front end as a file states it.

        An older file does not state the options that came later: its fingerprint is of what it
        states.
        """
        gmms = [one.gmm for one in self.classes]
        arrays = [array for gmm in gmms for array in (gmm.weights, gmm.means, gmm.variances)]
        return digest_of(canonical_json([front_end, self.names]), *arrays)


def train_classes(
    frames: FrameLibrary,
    recordings: ClassRecordings,
    options: ClassOptions,
    n_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ClassModels, tuple[str, ...]]:
    """Train a mixture for each class.

    Parameters
    ----------
    frames : FrameLibrary
        Read by ranges, as EM goes.
    recordings : ClassRecordings
        Those without frames are passed over.
    options : ClassOptions
    n_workers : int
    progress : callable, optional
        Called with the trainings done and their number.

    Returns
    -------
    models : ClassModels
    warnings : tuple of str
        What is doubtful about the trainings.

    Raises
    ------
    DataError
        Naming a class that has fewer frames than components.
    """
    gmms, warnings = (_adapted if options.adaptation else _fitted)(
        frames, recordings, options, n_workers, progress or (lambda done, total: None)
    )
    n_voices = recordings.n_voices()
    classes = []
    for label, (name, (gmm, iterations)) in enumerate(zip(recordings.names, gmms, strict=True)):
        files = usable(frames, recordings.of_class(label))
        n_frames = float(sum(map(frames.count, files)))
        classes.append(
            ClassModel(
                name,
                gmm,
                n_frames,
                len(files),
                int(n_voices[label]),
                iterations,
                contents_of(frames, files),
            )
        )
    return ClassModels(tuple(classes), frames.front_end, options), warnings


# Of each class its mixture and training record; warnings.
_Trained = tuple[list[tuple[DiagonalGMM, tuple[Iteration, ...]]], tuple[str, ...]]


def _fitted(
    frames: FrameLibrary,
    recordings: ClassRecordings,
    options: ClassOptions,
    n_workers: int,
    progress: Callable[[int, int], None],
) -> _Trained:
    """Fit each class by EM, on its own frames alone."""
    made, warnings = [], []
    for label, name in enumerate(recordings.names):
        fitted = _trained(frames, recordings.of_class(label), options, n_workers, name)
        made.append((fitted.gmm, fitted.iterations))
        warnings += [f"{name}: {warning}" for warning in fitted.warnings]
        progress(label + 1, len(recordings.names))
    return made, tuple(warnings)


def _adapted(
    frames: FrameLibrary,
    recordings: ClassRecordings,
    options: ClassOptions,
    n_workers: int,
    progress: Callable[[int, int], None],
) -> _Trained:
    """Fit one mixture to the frames of all classes, and adapt it to each."""
    total = len(recordings.names) + 1
    fitted = _trained(frames, recordings.files, options, n_workers, "the background model")
    progress(1, total)
    made: list[tuple[DiagonalGMM, tuple[Iteration, ...]]] = []
    for label, name in enumerate(recordings.names):
        files = usable(frames, recordings.of_class(label))
        if not files:
            raise DataError(f"{name}: no recording has frames")
        collect = collector(frames.source(files), n_workers)
        gmm, _ = adapt_iterated(fitted.gmm, collect, options.adaptation)
        made.append((gmm, ()))
        progress(label + 2, total)
    return made, fitted.warnings


def _trained(
    frames: FrameLibrary, files: Sequence[str], options: ClassOptions, n_workers: int, what: str
) -> FitResult[DiagonalGMM]:
    try:
        return train_background(frames, files, options.gmm, options.seed, n_workers)[1]
    except DataError as error:
        raise DataError(f"{what}: {error}") from None


def class_scores(
    models: ClassModels, frames: FloatArray, weights: FloatArray | None = None
) -> Float64Array:
    """Give the mean log-likelihood per frame of a recording under each class.

    Parameters
    ----------
    models : ClassModels
    frames : (n_frames, n_dims) float array
        From the models' front end; at least one.
    weights : (n_frames,) float array, optional
        Of speech; None: all 1.

    Returns
    -------
    (n_classes,) float64 array
        Nats per frame.

    Raises
    ------
    DataError
        For no frames, a frame that is not finite or of another dimension.
    """
    if not len(frames):
        raise DataError("a recording without frames has no likelihood")
    densities = [log_density(one.gmm, frames) for one in models.classes]
    return np.array([np.average(density, weights=weights) for density in densities])


def score_classes(
    models: ClassModels, frames: FrameLibrary, files: Sequence[str], n_workers: int = 1
) -> Float64Array:
    """Give `class_scores` of many recordings, each of which has frames.

    Returns
    -------
    (n_files, n_classes) float64 array

    Raises
    ------
    MismatchError
        If the frames come from another front end than the models'.
    """
    check_front_end(models.front_end, frames.front_end, "classification")

    def score(file: str) -> Float64Array:
        return class_scores(models, *frames.read([file]))

    rows = list(ordered_map(score, files, n_workers))
    return np.array(rows).reshape(len(files), len(models.classes))
