"""Scores of tests against speakers in a subspace."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm.compute import tree_sum
from voicegmm.mixture import Mixture
from voicegmm.mixture.density import blocks
from voicegmm.mixture.representation import whitened
from voicegmm.scoring.first_order import FirstOrder, Ratios, Test
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.subspace import (
    BackEnd,
    Evidence,
    FactorAnalysis,
    Recordings,
    TotalVariability,
    channel_offsets,
    evidence_scores,
    extract,
    extract_posteriors,
    session_offsets,
)
from voicegmm.subspace.factors import inverse_definite

BATCH = 64  # tests: enough to make products of it, few enough for their moments to be small


class Shifts(Protocol):
    """Mixtures that differ from one in their means, made ready to be scored."""

    def about(self, means: FloatArray) -> "Shifts":
        """Move all of them alike, to where the one has these means."""

    def scores(self, tests: Sequence[Test], rows: IntArray) -> Float64Array:
        """Give the mean log-likelihood ratio of some tests, (n_tests, n_rows)."""


def ready(models: SubspaceSpeakers, dtype: np.dtype, n_frames: int) -> Ratios:
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
        moments, lengths = _moments(factors.gmm, collect, dtype, tests)
        if isinstance(factors, FactorAnalysis):
            rest = moments.centered - moments.counts[..., None] * session_offsets(factors, moments)
            rest /= lengths[:, None, None]
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


def ready_beside_sessions(
    models: SubspaceSpeakers, shifts: Shifts, dtype: np.dtype, n_frames: int
) -> Ratios:
    """Make speakers of "isv" and "jfa" ready for likelihood ratios beside the test's own session.

    With the means m of the background model, the offsets o of a speaker and u of the session of a
    test of T frames, all in the units of the frames,

        score = (1 / T) sum_t [log p(x_t | m + o + u) - log p(x_t | m + u)]

    frame by frame, u by its point estimate under the background model (Glembek, Burget, Dehak,
    Brummer, Kenny, "Comparison of scoring methods used in speaker recognition with joint factor
    analysis", ICASSP 2009). Its first-order term is what `ready` gives.

    Parameters
    ----------
    models : SubspaceSpeakers
    shifts : Shifts
        Of the means m + o, about m.
    dtype, n_frames
        As of `ready`.
    """
    gmm, factors = models.background.gmm, models.subspace.factors
    assert isinstance(factors, FactorAnalysis)  # vectors have no means
    collect = FirstOrder.of(gmm, dtype, n_frames)

    def scores(tests: Sequence[Test], rows: IntArray) -> Float64Array:
        moments, _ = _moments(factors.gmm, collect, dtype, tests)
        sessions = gmm.means + channel_offsets(factors, moments)
        return np.concatenate(
            [
                shifts.about(means).scores([test], rows)
                for means, test in zip(sessions, tests, strict=True)
            ]
        )

    return scores


def _moments(
    gmm: Mixture, collect: FirstOrder, dtype: np.dtype, tests: Sequence[Test]
) -> tuple[Recordings, Float64Array]:
    """Give the moments of tests, and how many frames each has, by their weights."""
    each = [collect(*test) for test in tests]
    centered = [whitened(gmm, f * collect.scale).astype(dtype) for _, f, _ in each]
    moments = Recordings(gmm, np.array([n for n, _, _ in each]), np.array(centered, dtype))
    return moments, np.array([length for _, _, length in each])


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
