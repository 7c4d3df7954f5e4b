"""Components that follow what moves from frame to frame, with an identity and a forecast."""

from voicegmm.mixture.tracking.motion import Motion, MotionOptions
from voicegmm.mixture.tracking.state import TrackOptions, TrackState, track_start, track_start_with
from voicegmm.mixture.tracking.step import track_step
from voicegmm.mixture.tracking.tracks import (
    TrackPath,
    Tracks,
    forecast,
    forecast_errors,
    track,
    track_paths,
    track_table,
)

__all__ = [
    "Motion",
    "MotionOptions",
    "TrackOptions",
    "TrackPath",
    "TrackState",
    "Tracks",
    "forecast",
    "forecast_errors",
    "track",
    "track_paths",
    "track_start",
    "track_start_with",
    "track_step",
    "track_table",
]
