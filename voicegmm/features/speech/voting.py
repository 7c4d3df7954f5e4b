"""From each frame's own odds to its mask or weight: the vote of its neighbors."""

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray
from voicegmm.features.speech.options import SpeechOptions


def passed(log_odds: FloatArray, options: SpeechOptions) -> BoolArray:
    """Keep a frame if enough of its neighborhood has odds above 1.

    Parameters
    ----------
    log_odds : (n_frames,) float array
    options : SpeechOptions
        `context_frames` and `proportion` count.

    Returns
    -------
    (n_frames,) bool array
    """
    speech = np.asarray(log_odds) > 0
    if not options.context_frames:
        return speech
    total, n = _neighborhoods(speech, options.context_frames)
    return np.asarray(total >= options.proportion * n)


def weighed(log_odds: FloatArray, options: SpeechOptions) -> Float64Array:
    """Turn odds into probabilities, and these into what their neighborhood says.

    Parameters
    ----------
    log_odds : (n_frames,) float array
    options : SpeechOptions
        `context_frames` and `proportion` count.

    Returns
    -------
    (n_frames,) float64 array
        In [0, 1]: mean probability over twice the proportion, so that 0.5 is where as much of the
        neighborhood is speech as the proportion asks for.
    """
    # The logistic function, without overflow at either end.
    probability = np.asarray(0.5 + 0.5 * np.tanh(0.5 * np.asarray(log_odds, dtype=np.float64)))
    if not options.context_frames:
        return probability
    total, n = _neighborhoods(probability, options.context_frames)
    return np.clip(total / n / (2 * options.proportion), 0.0, 1.0)


def _neighborhoods(
    values: BoolArray | Float64Array, reach: int
) -> tuple[Float64Array, Float64Array]:
    """Sum the values up to `reach` frames away, cut off at the edges; count them too."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    t = np.arange(len(values))
    start = np.maximum(t - reach, 0)
    stop = np.minimum(t + reach + 1, len(values))
    return sums[stop] - sums[start], (stop - start).astype(np.float64)
