"""The methods of scoring behind one seam: models made ready once, tried on batches of tests."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.errors import MismatchError
from voicegmm.compute import ordered_map
from voicegmm.mixture import DiagonalGMM, MeanShifts
from voicegmm.mixture.representation import unwhitened
from voicegmm.scoring import subspace_scores, top_components
from voicegmm.scoring.first_order import Ratios, Test
from voicegmm.scoring.models import SpeakerModels, Speakers
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.subspace_scores import Shifts
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.scoring.subspaces import methods_of
from voicegmm.scoring.supervectors import Batch, SupervectorProducts
from voicegmm.scoring.top_components import TopShifts

_SIDE_BY_SIDE = 16  # models a test, and tests: from here on it is repaid to lay models together


class Scorer(Protocol):
    """Models made ready to be tried."""

    @property
    def batch_limits(self) -> tuple[int, int]:
        """How many tests, and frames of them, are best scored at once."""

    def scores(
        self, batches: Sequence[Batch], read: Callable[[int], Test], n_workers: int
    ) -> Iterator[Float64Array]:
        """Score each batch, (n_tests, n_rows), per frame; `read` gives a test by its number."""


@dataclass(frozen=True)
class Job:
    """How large a job is: it decides how the models are made ready, and so the last bits.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the frames.
    n_tests, n_trials : int
    n_frames : int
        Of all tests.
    n_tried : int
        Frames, each as often as it has trials.
    """

    dtype: np.dtype
    n_tests: int
    n_trials: int
    n_frames: int
    n_tried: int


@dataclass(frozen=True, eq=False)
class _ByFrames:
    """Scores of a batch by one function of its frames."""

    function: Ratios
    batch_limits: tuple[int, int]

    def scores(
        self, batches: Sequence[Batch], read: Callable[[int], Test], n_workers: int
    ) -> Iterator[Float64Array]:
        def score(batch: Batch) -> Float64Array:
            return self.function([read(test) for test in batch.tests], batch.rows)

        return ordered_map(score, batches, n_workers)


def check_method(models: Speakers, options: ScoringOptions) -> None:
    """Refuse a method that is not for such models.

    Raises
    ------
    MismatchError
        Saying which are.
    """
    made = models.subspace.options.method if models.subspace else "map"
    known = methods_of(made)
    if options.method not in known:
        raise MismatchError(
            f"scoring.method must be one of {', '.join(known)} for speakers of the backend "
            f"{made!r}, got {options.method!r}"
        )


def ready(models: Speakers, options: ScoringOptions, job: Job, n_workers: int = 1) -> Scorer:
    """Make models ready for a job, by so many threads: work that all its tests share.

    Raises
    ------
    MismatchError
        For a method that is not for such models.
    """
    check_method(models, options)
    if isinstance(models, SubspaceSpeakers):
        scores = _in_subspace(models, options, job, n_workers)
        return _ByFrames(scores, (subspace_scores.BATCH, sys.maxsize))
    if options.method == "exact":
        return _ByFrames(ratios(models, options, job), (1, 0))
    if options.method == "top":
        limits = top_components.BATCH, top_components.BATCH
        return _ByFrames(ratios(models, options, job, n_workers), limits)
    return SupervectorProducts.of(
        models.background.gmm,
        models.means,
        models.counts,
        models.adaptation,
        options.method,
        job.dtype,
        # A trial's product takes as long as half a frame's pass.
        job.n_frames + job.n_trials // 2,
    )


def ratios(models: SpeakerModels, options: ScoringOptions, job: Job, n_workers: int = 1) -> Ratios:
    """Make models ready for log-likelihood ratios, by the method "exact" or "top"."""
    return _shifts(models.background.gmm, models.means, options, job, n_workers).scores


def _shifts(
    gmm: DiagonalGMM, means: FloatArray, options: ScoringOptions, job: Job, n_workers: int
) -> Shifts:
    if options.method == "exact":
        return MeanShifts.of(gmm, means, job.dtype, job.n_tried)
    together = min(job.n_trials / max(job.n_tests, 1), job.n_tests) >= _SIDE_BY_SIDE
    return TopShifts.of(gmm, means, job.dtype, job.n_tried, options.n_top, together, n_workers)


def _in_subspace(
    models: SubspaceSpeakers, options: ScoringOptions, job: Job, n_workers: int
) -> Ratios:
    if options.method == "subspace":
        return subspace_scores.ready(models, job.dtype, job.n_frames)
    gmm = models.background.gmm
    means = gmm.means + unwhitened(gmm, models.models.astype(np.float64))
    shifts = _shifts(gmm, means, options, job, n_workers)
    return subspace_scores.ready_beside_sessions(models, shifts, job.dtype, job.n_frames)
