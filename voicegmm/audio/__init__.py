"""Signals: reading, resampling, framing, windows, filterbanks, clipping."""

from voicegmm.audio.clip import flac_clip
from voicegmm.audio.excerpt import WHOLE, Excerpt
from voicegmm.audio.filterbank import (
    FrequencyWarp,
    hertz_from_mel,
    mel_from_hertz,
    triangular_filters,
    warped_hertz,
)
from voicegmm.audio.framing import analysis_window, count_frames, frame_view
from voicegmm.audio.level import clipped_samples, level_db
from voicegmm.audio.measures import SoundMeasures, measure
from voicegmm.audio.reading import Recording, read_signal
from voicegmm.audio.resampling import resample
from voicegmm.audio.signal import Signal

__all__ = [
    "WHOLE",
    "Excerpt",
    "FrequencyWarp",
    "Recording",
    "Signal",
    "SoundMeasures",
    "analysis_window",
    "clipped_samples",
    "count_frames",
    "flac_clip",
    "frame_view",
    "hertz_from_mel",
    "level_db",
    "measure",
    "mel_from_hertz",
    "read_signal",
    "resample",
    "triangular_filters",
    "warped_hertz",
]
