"""What can be told of a recording without a front end: length, level, clipping, identity."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicegmm.audio.excerpt import WHOLE, Excerpt
from voicegmm.audio.reading import CLIPPED_SHARE, Tally, read_blocks


@dataclass(frozen=True)
class SoundMeasures:
    """A recording in numbers.

    Parameters
    ----------
    seconds : float
    sample_rate : int
        Of the file, in hertz.
    n_channels : int
        Of the file.
    level_db : float
        Root mean square about zero of what a front end hears (the average of the channels, or the
        chosen one), in dB relative to full scale; -inf for zeros.
    peak : float
        The largest sample of any channel; full scale is 1.
    clipped_share : float in [0, 1]
        Of all samples, those in runs of three or more at full scale.
    samples_hash : str
        SHA-256 of the samples as 32-bit floats, in hex: the same for a WAV and a FLAC of the same
        sound.
    """

    seconds: float
    sample_rate: int
    n_channels: int
    level_db: float
    peak: float
    clipped_share: float
    samples_hash: str

    @property
    def clipped(self) -> bool:
        """Whether so much is clipped that it can be heard: more than 0.1 %."""
        return self.clipped_share > CLIPPED_SHARE


def measure(path: str | os.PathLike[str], excerpt: Excerpt = WHOLE) -> SoundMeasures:
    """Read a recording, or a part of it, once, in blocks, and measure it.

    Raises
    ------
    AudioError
        As `read_signal`.
    """
    tally, digest = Tally(), hashlib.sha256()
    n_samples, squares = 0, 0.0
    for block in read_blocks(Path(path), None, excerpt, tally):
        samples = np.ascontiguousarray(block, dtype="<f4")
        digest.update(samples.data)
        n_samples += len(samples)
        squares += float(np.einsum("i,i->", samples, samples, dtype=np.float64))
    power = squares / n_samples
    return SoundMeasures(
        seconds=n_samples / tally.rate,
        sample_rate=tally.rate,
        n_channels=tally.n_channels,
        level_db=float(10 * np.log10(power)) if power > 0 else float("-inf"),
        peak=tally.peak,
        clipped_share=tally.clipped_share,
        samples_hash=digest.hexdigest(),
    )
