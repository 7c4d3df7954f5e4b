"""The methods of scoring behind one seam: models made ready once, tried on batches of tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm.mixture import MeanShifts
from voicegmm.scoring import supervectors, top_components
from voicegmm.scoring.models import SpeakerModels
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.supervectors import SupervectorProducts
from voicegmm.scoring.top_components import TopShifts

Test = tuple[FloatArray, FloatArray | None]
"""Frames, (n_frames, n_dims), and their weights (None: all 1)."""

_SIDE_BY_SIDE = 16  # models a test, and tests: from here on it is repaid to lay models together


class Scorer(Protocol):
    """Models made ready to be tried."""

    def scores(self, tests: Sequence[Test], rows: IntArray) -> Float64Array:
        """Score some tests against the models in these rows, (n_tests, n_rows), per frame."""


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
class _Exact:
    """Log-likelihood ratios over all components."""

    shifts: MeanShifts

    def scores(self, tests: Sequence[Test], rows: IntArray) -> Float64Array:
        return np.stack([self.shifts.mean_ratios(*test, rows) for test in tests])


def ready(models: SpeakerModels, options: ScoringOptions, job: Job) -> Scorer:
    """Make models ready for a job: work that all its tests share."""
    gmm = models.background.gmm
    if options.method == "exact":
        return _Exact(MeanShifts.of(gmm, models.means, job.dtype, job.n_tried))
    if options.method == "top":
        together = min(job.n_trials / max(job.n_tests, 1), job.n_tests) >= _SIDE_BY_SIDE
        return TopShifts.of(gmm, models.means, job.dtype, job.n_tried, options.n_top, together)
    return SupervectorProducts.of(
        gmm,
        models.means,
        models.counts,
        models.adaptation,
        options.method,
        job.dtype,
        # A trial's product takes as long as half a frame's pass.
        job.n_frames + job.n_trials // 2,
    )


def batch_limits(options: ScoringOptions) -> tuple[int, int]:
    """Give how many tests, and frames of them, are best scored at once."""
    if options.method == "exact":
        return 1, 0
    if options.method == "top":
        return top_components.BATCH, top_components.BATCH
    return supervectors.BATCH_TESTS, supervectors.BATCH_FRAMES


def scored(
    scorer: Scorer, options: ScoringOptions, tests: Sequence[Test], rows: IntArray
) -> Float64Array:
    """Score some tests against some models.

    Parameters
    ----------
    scorer : Scorer
        Made `ready` with these options.
    options : ScoringOptions
    tests : sequence of (frames, frame weights or None)
        At least one frame each.
    rows : (n_rows,) int array
        Which models.

    Returns
    -------
    (n_tests, n_rows) float64 array
    """
    scores = scorer.scores(tests, rows)
    if options.length_normalization:
        return scores
    lengths = [len(x) if weights is None else float(np.sum(weights)) for x, weights in tests]
    return np.asarray(scores * np.array(lengths)[:, None])
