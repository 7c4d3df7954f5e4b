"""Models of voices and what they say of a recording: scores, ratios, calibration."""

from voicegmm.scoring.calibration import Calibration, train_calibration
from voicegmm.scoring.frames import (
    OK,
    FrameLibrary,
    MemoryFrames,
    Status,
    check_front_end,
    failure_of,
    usable,
)
from voicegmm.scoring.models import (
    BackgroundModel,
    SpeakerModels,
    UbmOptions,
    enroll,
    train_background,
)
from voicegmm.scoring.ratio import log_likelihood_ratios, score_trials
from voicegmm.scoring.table import ScoreTable, read_scores, write_scores

__all__ = [
    "OK",
    "BackgroundModel",
    "Calibration",
    "FrameLibrary",
    "MemoryFrames",
    "ScoreTable",
    "SpeakerModels",
    "Status",
    "UbmOptions",
    "check_front_end",
    "enroll",
    "failure_of",
    "log_likelihood_ratios",
    "read_scores",
    "score_trials",
    "train_background",
    "train_calibration",
    "usable",
    "write_scores",
]
