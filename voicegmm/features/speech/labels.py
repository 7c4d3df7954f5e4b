"""Speech where somebody wrote down that it is."""

from collections.abc import Iterable

import numpy as np

from voicegmm._base.arrays import BoolArray
from voicegmm._base.errors import DataError


def labeled_frames(
    segments: Iterable[tuple[float, float, str]],
    n_frames: int,
    hop_seconds: float,
    first_seconds: float,
) -> BoolArray:
    """Tell which frames have their center inside a segment.

    Parameters
    ----------
    segments : iterable of (start_seconds, end_seconds, label)
        They may overlap and reach beyond the recording; the end is not inside. Every label counts.
    n_frames : int
    hop_seconds, first_seconds : float
        From one center to the next, and where the first lies.

    Returns
    -------
    (n_frames,) bool array

    Raises
    ------
    DataError
        For a segment that ends before it starts, or times that are no numbers. An infinite end is
        that of the recording.
    """
    inside = np.zeros(n_frames, dtype=bool)
    for start, end, label in segments:
        if not (np.isfinite(start) and start <= end):
            raise DataError(
                f"a segment must end after it starts, got {start} to {end} s ({label!r})"
            )
        # A millionth of a frame forgives times their binary fraction.
        edges = (np.array([start, end]) - first_seconds) / hop_seconds - 1e-6
        first, stop = np.clip(np.ceil(edges), 0, n_frames).astype(int)
        inside[first:stop] = True
    return inside
