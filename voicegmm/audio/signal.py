"""What a recording is once it has been read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.errors import DataError, OptionError

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
# Parts of a signal in memory: each but the first is copied once, which most recordings are spared.
_BLOCK_SAMPLES = 1 << 22


@dataclass(frozen=True, eq=False)
class Signal:
    """A mono recording.

    Parameters
    ----------
    samples : (n_samples,) float32 array
        Amplitudes; full scale is [-1, 1). Kept as a read-only view.
    sample_rate : int
        In hertz, 1,000 to 768,000.
    source : str
        The path or the name it came from, for messages and tables.
    notes : tuple of str
        What is doubtful about it, one short sentence each.

    Raises
    ------
    DataError
        For samples with more than one axis, a NaN or an infinity.
    OptionError
        For an impossible rate.
    """

    samples: Float32Array
    sample_rate: int
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        samples = np.ascontiguousarray(self.samples, dtype=np.float32)
        if np.ndim(self.samples) != 1:
            raise DataError(f"samples must have one axis (mono), got {np.ndim(self.samples)} axes")
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise OptionError(
                f"sample_rate must be between {LOWEST_RATE} and {HIGHEST_RATE} Hz, "
                f"got {self.sample_rate}"
            )
        check_finite(samples)
        view = samples.view()
        view.flags.writeable = False
        object.__setattr__(self, "samples", view)
        object.__setattr__(self, "notes", tuple(self.notes))

    def blocks(self) -> Iterator[Float32Array]:
        """Give the samples in their order in parts, as often as they are asked for."""
        return in_blocks(self.samples)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate


def in_blocks(samples: FloatArray) -> Iterator[Any]:
    """Give samples in parts, of which what is computed takes little memory.

    Raises
    ------
    DataError
        When they have more than one axis.
    """
    if np.ndim(samples) != 1:
        raise DataError(f"samples must have one axis (mono), got {np.ndim(samples)} axes")
    for start in range(0, len(samples), _BLOCK_SAMPLES):
        yield samples[start : start + _BLOCK_SAMPLES]


def check_finite(samples: FloatArray, n_before: int = 0) -> None:
    """Refuse a NaN or an infinity, telling its number, counted on from the samples before these.

    Raises
    ------
    DataError
    """
    if (bad := first_not_finite(samples)) is not None:
        raise DataError(f"samples must be finite: number {n_before + bad} (counting from 0) is not")


def first_not_finite(samples: FloatArray) -> int | None:
    """Give the index along the first axis of the first NaN or infinity, or None."""
    # A sum is finite if its terms are (float32 terms cannot overflow a float64 sum).
    with np.errstate(invalid="ignore"):
        if np.isfinite(samples.sum(dtype=np.float64)):
            return None
    flat = np.isfinite(samples).reshape(len(samples), -1).all(axis=1)
    return int(np.argmin(flat))
