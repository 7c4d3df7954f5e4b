"""Scores of tests against speakers in a subspace."""

from collections.abc import Callable, Sequence

import numpy as np

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm.mixture.representation import whitened
from voicegmm.scoring.first_order import FirstOrder, Test
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.subspace import FactorAnalysis, Recordings, extract, session_offsets

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

    def scores(tests: Sequence[Test], rows: IntArray) -> Float64Array:
        each = [collect(*test) for test in tests]
        centered = [whitened(gmm, f * collect.scale).astype(np.float32) for _, f, _ in each]
        moments = Recordings(
            factors.gmm, np.array([n for n, _, _ in each]), np.array(centered, np.float32)
        )
        if isinstance(factors, FactorAnalysis):
            rest = moments.centered - moments.counts[..., None] * session_offsets(factors, moments)
            rest /= np.array([n for _, _, n in each])[:, None, None]
            flat = rest.reshape(len(tests), -1).astype(np.float32)
            chosen = models.models[rows].reshape(len(rows), -1)
            return np.asarray(flat @ chosen.T, np.float64)
        assert back_end is not None  # a subspace of vectors has one
        vectors = back_end(extract(factors, moments))
        counts = models.n_recordings[rows]
        return np.asarray(back_end.scores(models.models[rows], vectors, counts).T)

    return scores
