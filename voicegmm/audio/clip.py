"""The beginning of a recording as a small file that every browser plays."""

import io
from pathlib import Path

import numpy as np

from voicegmm.audio.excerpt import WHOLE, Excerpt
from voicegmm.audio.reading import read_signal
from voicegmm.audio.resampling import resample

HIGHEST_CLIP_RATE = 16_000


def flac_clip(path: str | Path, most_seconds: float = 15.0, excerpt: Excerpt = WHOLE) -> bytes:
    """Read the beginning of a recording and give it as FLAC, mono, 16 bits, 16 kHz at most.

    Parameters
    ----------
    path : path
    most_seconds : float > 0
        How much of it.
    excerpt : Excerpt
        The part whose beginning it is.

    Raises
    ------
    AudioError
        As `read_signal`.
    """
    import soundfile

    signal = read_signal(path, None, excerpt.channel, excerpt.start_seconds, excerpt.end_seconds)
    if signal.sample_rate > HIGHEST_CLIP_RATE:
        signal = resample(signal, HIGHEST_CLIP_RATE)
    heard = signal.samples[: round(most_seconds * signal.sample_rate)]
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(heard, -1, 1), signal.sample_rate, "PCM_16", format="FLAC")
    return buffer.getvalue()
