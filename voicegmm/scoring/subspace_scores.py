"""Scores of tests against speakers in a subspace."""

from collections.abc import Callable, Sequence

import numpy as np

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm.compute import tree_sum
from voicegmm.mixture.density import blocks
from voicegmm.mixture.representation import whitened
from voicegmm.scoring.first_order import FirstOrder, Test
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.subspace import (
    BackEnd,
    Evidence,
    FactorAnalysis,
    Recordings,
    TotalVariability,
    evidence_scores,
    extract,
    extract_posteriors,
    session_offsets,
)
from voicegmm.subspace.factors import inverse_definite

BATCH = 64  # tests: enough to make products of it, few enough for their moments to be small


def ready(
    models: SubspaceSpeakers, dtype: np.dtype, n_frames: int
) -> Callable[[Sequence[Test], IntArray], Float64Array]:
    """Make speakers ready for scores by their subspace.

    With the offsets o of a speaker and, of a test, the counts n, the centered moments f, the
    offsets u of its session and T frames, all in deviations, "isv" and "jfa" give

        score = o' (f - n u) / T

    linear scoring per frame (Glembek, Burget, Dehak, Brummer, Kenny, "Comparison of scoring methods
    used in speaker recognition with joint factor analysis", ICASSP 2009). "ivector" gives what
    `BackEnd.scores` says of the speaker's vectors and the test's.

    Parameters
    ----------
    models : SubspaceSpeakers
    dtype : numpy.dtype
        Of the frames.
    n_frames : int
        Of the whole job: see `FirstOrder.of`.

    Returns
    -------
    callable
        From tests and the rows of the models to scores, (n_tests, n_rows).
    """
    gmm = models.background.gmm
    collect = FirstOrder.of(gmm, dtype, n_frames)
    factors, back_end = models.subspace.factors, models.subspace.back_end
    enrolled = None
    if back_end and back_end.options.uncertainty and isinstance(factors, TotalVariability):
        enrolled = _evidence(models, factors, back_end, dtype)

    def scores(tests: Sequence[Test], rows: IntArray) -> Float64Array:
        each = [collect(*test) for test in tests]
        centered = [whitened(gmm, f * collect.scale).astype(dtype) for _, f, _ in each]
        moments = Recordings(
            factors.gmm, np.array([n for n, _, _ in each]), np.array(centered, dtype)
        )
        if isinstance(factors, FactorAnalysis):
            rest = moments.centered - moments.counts[..., None] * session_offsets(factors, moments)
            rest /= np.array([n for _, _, n in each])[:, None, None]
            flat = rest.reshape(len(tests), -1).astype(dtype)
            chosen = models.models[rows].reshape(len(rows), -1)
            return np.asarray(flat @ chosen.T, np.float64)
        assert back_end is not None  # a subspace of vectors has one
        if enrolled is not None:
            heard = extract_posteriors(factors, moments)
            tried = back_end.evidence(heard.means, heard.covariances)
            return evidence_scores(enrolled.chosen(rows), tried).T
        vectors = back_end(extract(factors, moments))
        counts = models.n_recordings[rows]
        return np.asarray(back_end.scores(models.models[rows], vectors, counts).T)

    return scores


def _evidence(
    models: SubspaceSpeakers, factors: TotalVariability, back_end: BackEnd, dtype: np.dtype
) -> Evidence:
    """Give what the recordings of each speaker say; their counts tell how surely."""
    precisions, n = factors.ready(dtype).precisions, len(models.ids)
    parts = (
        back_end.evidence(
            models.moments[some],
            inverse_definite(precisions(models.counts[some]))[0],
            models.speaker_of[some],
            n,
        )
        for some in blocks(len(models.moments), BATCH)
    )
    return tree_sum(parts) or Evidence(np.zeros((0, 0, 0)), np.zeros((0, 0)))
