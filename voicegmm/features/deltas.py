"""Regression deltas: how the features move over time."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.checks import one_of, within
from voicegmm._base.errors import DataError

RULES = ("kaldi", "htk")


@dataclass(frozen=True)
class DeltaOptions:
    """Which deltas are appended.

    Parameters
    ----------
    order : int
        0 for none, 1 for deltas, 2 for deltas and their deltas; at most 4.
    window : int
        Frames on each side of a frame, 1 to 100.
    rule : {"kaldi", "htk"}
        What the second and higher orders see at the edges; see `deltas`.
    """

    order: int = 2
    window: int = 3
    rule: str = "kaldi"

    def __post_init__(self) -> None:
        within("order", self.order, 0, 4)
        within("window", self.window, 1, 100)
        one_of("rule", self.rule, RULES)


def deltas(
    frames: FloatArray, order: int = 2, window: int = 3, rule: str = "kaldi"
) -> Float32Array:
    """Append regression deltas to frames.

    d_t = sum_j j (x_(t+j) - x_(t-j)) / (2 sum_j j²), j = 1 .. window (HTK Book, eq. 5.16), where
    frames before the first repeat it and frames after the last repeat that. Orders above the
    first apply the formula again: "kaldi" to the endlessly repeated edges of the frames
    themselves (so the base is repeated and the formula convolved with itself), "htk" to the
    deltas, whose own first and last rows are repeated. They differ only near the edges.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    order, window, rule
        See `DeltaOptions`.

    Returns
    -------
    (n_frames, n_dims * (order + 1)) float32 array
        The frames, then each order. Deltas of a constant are exactly zero everywhere.

    Raises
    ------
    DataError
        When the frames are no matrix.
    OptionError
        For an option outside its range.
    """
    DeltaOptions(order, window, rule)
    base = np.asarray(frames, dtype=np.float32)
    if base.ndim != 2:
        raise DataError(f"frames must be a matrix (n_frames, n_dims), got {base.ndim} axes")
    if not len(base):
        return np.zeros((0, base.shape[1] * (order + 1)), dtype=np.float32)
    parts = [base]
    current = _edges_repeated(base, order * window) if rule == "kaldi" else base
    for done in range(1, order + 1):
        if rule == "htk":
            current = _edges_repeated(current, window)
        current = _slopes(current, window)
        margin = (order - done) * window if rule == "kaldi" else 0
        parts.append(current[margin : margin + len(base)])
    return np.concatenate(parts, axis=1)


def _edges_repeated(frames: Float32Array, n: int) -> Float32Array:
    return np.pad(frames, ((n, n), (0, 0)), mode="edge")


def _slopes(frames: Float32Array, window: int) -> Float32Array:
    """Compute the regression slopes of the frames that have `window` neighbors on each side."""
    n = len(frames) - 2 * window
    total = np.zeros((n, frames.shape[1]), dtype=np.float32)
    # Differences first: of equal frames they are exactly zero, as sums of products are not.
    for j in range(1, window + 1):
        step = frames[window + j : window + j + n] - frames[window - j : window - j + n]
        step *= np.float32(j)
        total += step
    total /= np.float32(2 * sum(j * j for j in range(1, window + 1)))
    return total
