"""From a recording to the frames a model sees: cepstra, deltas, speech detection, normalization."""

from voicegmm.features.deltas import DeltaOptions, deltas
from voicegmm.features.mfcc import (
    analysis_frames,
    cepstra,
    detection_energy,
    filterbank,
    frame_log_energy,
    log_filterbank,
    mfcc,
    spectrum,
    windowed,
)
from voicegmm.features.normalization import NormalizationOptions, normalize
from voicegmm.features.pipeline import (
    FEATURES_VERSION,
    FrameSet,
    Pipeline,
    PipelineOptions,
)
from voicegmm.features.presets import front_end_for, load_front_end
from voicegmm.features.speech import SpeechOptions, speech_weights
from voicegmm.features.static_options import StaticOptions

__all__ = [
    "FEATURES_VERSION",
    "DeltaOptions",
    "FrameSet",
    "NormalizationOptions",
    "Pipeline",
    "PipelineOptions",
    "SpeechOptions",
    "StaticOptions",
    "analysis_frames",
    "cepstra",
    "deltas",
    "detection_energy",
    "filterbank",
    "frame_log_energy",
    "front_end_for",
    "load_front_end",
    "log_filterbank",
    "mfcc",
    "normalize",
    "spectrum",
    "speech_weights",
    "windowed",
]
