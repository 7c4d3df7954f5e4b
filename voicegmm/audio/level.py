"""How loud a signal is, and how much of it stands at full scale."""

import numpy as np

from voicegmm._base.arrays import BoolArray, FloatArray

# Runs shorter than this touch full scale without being cut off by it.
SHORTEST_RUN = 3


def level_db(samples: FloatArray) -> float:
    """Compute the root-mean-square level about zero.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1.

    Returns
    -------
    float
        dB relative to full scale: 0 for a square wave that fills it, -inf for zeros or nothing.
    """
    if not len(samples):
        return float("-inf")
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return float(10 * np.log10(power)) if power > 0 else float("-inf")


def clipped_samples(full: BoolArray, before: BoolArray | None = None) -> int:
    """Count the samples in runs of three or more at full scale.

    Counts of consecutive blocks add up to the count of the whole: a run is counted as its
    triples plus two, and each triple belongs to the block that holds its last sample.

    Parameters
    ----------
    full : (n_samples, ...) bool array
        True where a sample stands at full scale; further axes are channels.
    before : (3, ...) bool array, optional
        The three samples before these; none by default.
    """
    if before is None:
        before = np.zeros((SHORTEST_RUN, *full.shape[1:]), dtype=bool)
    if not full.any():
        return 0
    joined = np.concatenate([before, full])
    triples = joined[2:] & joined[1:-1] & joined[:-2]
    begun = triples[1:] & ~triples[:-1]
    return int(triples[1:].sum()) + 2 * int(begun.sum())
