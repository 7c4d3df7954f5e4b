"""Changing the rate of a signal, by soxr's high-quality band-limited filter."""

import dataclasses
from collections.abc import Iterable, Iterator

from voicegmm._base.arrays import Float32Array
from voicegmm._base.checks import within
from voicegmm.audio.signal import HIGHEST_RATE, LOWEST_RATE, Signal

QUALITY = "HQ"


def resample(signal: Signal, sample_rate: int) -> Signal:
    """Resample a signal; one that has the rate already is returned as it is.

    Parameters
    ----------
    signal : Signal
    sample_rate : int
        The rate to have, 1,000 to 768,000 Hz. From a lower rate, a note says that the upper
        band is empty.
    """
    within("sample_rate", sample_rate, LOWEST_RATE, HIGHEST_RATE)
    if signal.sample_rate == sample_rate:
        return signal
    import soxr

    samples = soxr.resample(signal.samples, signal.sample_rate, sample_rate, quality=QUALITY)
    notes = (*signal.notes, *rate_notes(signal.sample_rate, sample_rate))
    return dataclasses.replace(signal, samples=samples, sample_rate=sample_rate, notes=notes)


def rate_notes(own_rate: int, sample_rate: int) -> tuple[str, ...]:
    """Give the note of a recording that was made at a lower rate than the features want."""
    if own_rate >= sample_rate:
        return ()
    return (
        f"sampled at {own_rate} Hz, below the {sample_rate} Hz of the features: "
        "its upper band is empty",
    )


def resampled(
    blocks: Iterable[Float32Array], own_rate: int, sample_rate: int
) -> Iterator[Float32Array]:
    """Resample a stream of mono blocks; memory holds one block at a time."""
    if own_rate == sample_rate:
        yield from blocks
        return
    import numpy as np
    import soxr

    stream = soxr.ResampleStream(own_rate, sample_rate, 1, dtype="float32", quality=QUALITY)
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
