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
        `context_frames`, `proportion` and `shortest_frames` count.

    Returns
    -------
    (n_frames,) bool array
    """
    speech = np.asarray(log_odds) > 0
    if options.context_frames:
        total, n = _neighborhoods(speech, options.context_frames)
        speech = np.asarray(total >= options.proportion * n)
    return (
        without_short_runs(speech, options.shortest_frames) if options.shortest_frames else speech
    )


def without_short_runs(speech: BoolArray, shortest: int) -> BoolArray:
    """Let short stretches of speech or of pause be what lies around them.

    The rule of Spear's detectors (bob.bio.spear): pauses of one frame are filled, then single
    frames of speech dropped; of what stretches there are then, those shorter than `shortest`
    between two that are longer change sides, and so do the first and the last one beside a longer
    one. Where all the speech is shorter than that, nothing changes.

    Parameters
    ----------
    speech : (n_frames,) bool array
    shortest : int
        In frames.

    Returns
    -------
    (n_frames,) bool array
    """
    result = np.array(speech, dtype=bool)
    if np.count_nonzero(result) < shortest or len(result) < 2:
        return result
    result[1:-1] |= result[:-2] & result[2:]
    result[1:-1] &= result[:-2] | result[2:]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(result)) + 1])
    lengths = np.diff(np.append(starts, len(result)))
    if len(lengths) < 2:
        return result
    longer = np.concatenate([[True], lengths > shortest, [True]])
    flips = (lengths < shortest) & longer[:-2] & longer[2:]
    return np.asarray(result ^ np.repeat(flips, lengths))


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
