"""RASTA: what moves slower or faster than speech is filtered out of each column."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames, one_of, within

# The first frames fill the filter; what comes out of it is zero there and no feature.
RASTA_START = 4
_SLOPE = np.array([0.2, 0.1, 0.0, -0.1, -0.2])
# Frames whose recursion is one product of matrices.
_BLOCK_FRAMES = 64


@dataclass(frozen=True)
class RastaOptions:
    """Whether and where the columns are band-pass filtered over time.

    Parameters
    ----------
    on : {"none", "filterbank", "static"}
        "filterbank": the log filterbank, before any transform (RASTA-PLP and its kin; not for
        kind "centroids"). "static": the static features, energy included (sidekit).
    pole : float
        Of the recursion, 0 to 0.99: the larger, the slower the movements that pass. 0.94 in
        Ellis's rastafilt and sidekit, 0.98 in Hermansky & Morgan's paper and earlier sidekits.
    keep_start : bool
        Keep the first four frames, the zeros that fill the filter, where they hold speech, and
        normalize over them too, as sidekit does.
    """

    on: str = "none"
    pole: float = 0.94
    keep_start: bool = False

    def __post_init__(self) -> None:
        one_of("on", self.on, ("none", "filterbank", "static"))
        within("pole", self.pole, 0.0, 0.99)


def rasta(frames: FloatArray, pole: float = 0.94) -> FloatArray:
    """Filter each column over time.

    H(z) = (0.2 + 0.1 z^-1 - 0.1 z^-3 - 0.2 z^-4) / (1 - pole z^-1) (Hermansky & Morgan, IEEE
    Trans. Speech and Audio Processing 2(4), 1994, without its look-ahead of four frames).
    As in Ellis's rastafilt, the first four frames fill the numerator's memory and come out as
    zeros, and the recursion starts from zero after them: a constant comes out as zeros everywhere.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    pole : float
        0 to 0.99.

    Returns
    -------
    (n_frames, n_dims) float array
        float32 stays float32. All zeros when there are four frames or fewer.

    Raises
    ------
    DataError
        When the frames are no matrix, or hold a NaN or an infinity.
    """
    return RastaFilter(pole).push(frames)


class RastaFilter:
    """Filters columns whose frames arrive in pieces, as `rasta` does those of the whole.

    Parameters
    ----------
    pole : float
        0 to 0.99.
    """

    def __init__(self, pole: float = 0.94) -> None:
        self._pole = RastaOptions(pole=pole).pole
        self._before: FloatArray | None = None  # the last four frames, or all there were
        self._last: Float64Array | None = None  # what came out last

    def push(self, frames: FloatArray) -> FloatArray:
        """Take the next frames; give what comes out for each.

        Raises
        ------
        DataError
            When the frames are no matrix, or hold a NaN or an infinity.
        """
        frames = finite_frames(frames)
        joined = frames if self._before is None else np.concatenate([self._before, frames])
        self._before = joined[-RASTA_START:]
        result = np.zeros_like(frames)
        n = min(len(joined) - RASTA_START, len(frames))
        if n > 0:
            # Differences first: of equal frames they are exactly zero, as sums of products are not.
            wide = joined[4:].astype(np.float64) - joined[:-4]
            narrow = joined[3:-1].astype(np.float64) - joined[1:-3]
            filtered = _recursed(_SLOPE[0] * wide + _SLOPE[1] * narrow, self._pole, self._last)
            self._last = filtered[-1]
            result[-n:] = filtered
        return result


def _recursed(driven: Float64Array, pole: float, last: Float64Array | None) -> Float64Array:
    """Solve y_t = x_t + pole y_(t-1), y_(-1) = last or 0, a block of frames at a time."""
    lag = np.arange(_BLOCK_FRAMES)[:, None] - np.arange(_BLOCK_FRAMES)
    response = np.where(lag >= 0, float(pole) ** np.maximum(lag, 0), 0.0)
    decay = float(pole) ** np.arange(1, _BLOCK_FRAMES + 1)[:, None]
    result = np.empty_like(driven)
    last = np.zeros(driven.shape[1]) if last is None else last
    for start in range(0, len(driven), _BLOCK_FRAMES):
        block = driven[start : start + _BLOCK_FRAMES]
        n = len(block)
        result[start : start + n] = response[:n, :n] @ block + decay[:n] * last
        last = result[start + n - 1]
    return result
