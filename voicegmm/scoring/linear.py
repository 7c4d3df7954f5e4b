"""Linear scoring: the log-likelihood ratio to first order in the means, a matrix product.

With n and f the statistics of the test under the background model (weights w, means m, variances
v), and mu the means of a speaker's model,

    score = sum_kd (mu_kd - m_kd) (f_kd - n_k m_kd) / v_kd

is the slope of the log-likelihood at the background model, in the direction of the speaker's
(Glembek, Burget, Dehak, Brummer, Kenny, "Comparison of scoring methods used in speaker recognition
with joint factor analysis", ICASSP 2009, eq. 15).
"""

from collections.abc import Sequence

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.errors import DataError
from voicegmm.mixture import DiagonalGMM, Statistics


def linear_scores(
    gmm: DiagonalGMM,
    means: FloatArray,
    statistics: Sequence[Statistics],
    length_normalization: bool = True,
    channel_offsets: FloatArray | None = None,
) -> Float64Array:
    """Score many tests against many models by one matrix product, in float64.

    Parameters
    ----------
    gmm : DiagonalGMM
        The background model.
    means : (n_models, n_components, n_dims) float array
        Of models adapted from it.
    statistics : sequence of Statistics
        Of each test under `gmm`.
    length_normalization : bool
        Whether scores are divided by the number of the test's frames.
    channel_offsets : (n_tests, n_components, n_dims) float array, optional
        What the channel of each test adds to the means.

    Returns
    -------
    (n_models, n_tests) float64 array
        In nats, per frame where so asked; 0 for a model that is the background model.

    Raises
    ------
    DataError
        For means or channel offsets that are not of the background model's shape, or a test
        without frames whose length is to be normalized.
    """
    offsets = _checked("means", means, len(means), gmm) - gmm.means
    channels = np.zeros((len(statistics), 1, 1))
    if channel_offsets is not None:
        channels = _checked("channel_offsets", channel_offsets, len(statistics), gmm)
    centered = np.empty((len(statistics), gmm.means.size))
    for number, (test, channel) in enumerate(zip(statistics, channels, strict=True)):
        rest = test.first - test.counts[:, None] * (gmm.means + channel)
        centered[number] = (rest / gmm.variances).ravel()
        if length_normalization:
            if not test.n_frames > 0:
                raise DataError(f"test {number} (counting from 0) has no frames to be scored")
            centered[number] /= test.n_frames
    return np.asarray(offsets.reshape(len(offsets), -1) @ centered.T)


def _checked(name: str, array: FloatArray, n_rows: int, gmm: DiagonalGMM) -> Float64Array:
    wanted = (n_rows, *gmm.means.shape)
    if np.shape(array) != wanted:
        raise DataError(f"{name} must be {wanted}, got {np.shape(array)}")
    return np.asarray(array, np.float64)
