"""From a recording to the frames a model sees: cepstra, deltas, speech detection, normalization."""

from voicegmm.features.columns import band_centroids, cepstra
from voicegmm.features.deltas import DeltaOptions, deltas, shifted_deltas, with_deltas
from voicegmm.features.foreign import (
    ForeignFrontEnd,
    FrontEnd,
    fingerprint_of,
    pipeline_of,
    read_front_end,
)
from voicegmm.features.linear_prediction import predictor_cepstra, predictors
from voicegmm.features.normalization import NormalizationOptions, normalize
from voicegmm.features.pipeline import (
    FEATURES_VERSION,
    FrameSet,
    Pipeline,
    PipelineOptions,
)
from voicegmm.features.pitch import PitchOptions, pitch
from voicegmm.features.plp import auditory_spectrum, equal_loudness, plp_cepstra
from voicegmm.features.presets import front_end_for, load_front_end
from voicegmm.features.rasta import RastaOptions, rasta
from voicegmm.features.spectral import (
    analysis_frames,
    frame_log_energy,
    log_filterbank,
    spectrum,
    windowed,
)
from voicegmm.features.speech import (
    LikelihoodRatioOptions,
    ModulationOptions,
    NoiseFloorOptions,
    Spectra,
    SpeechOptions,
    frame_spectra,
    labeled_frames,
    noise_floor,
    speech_weights,
)
from voicegmm.features.static import (
    detection_energy,
    filterbank,
    lfcc,
    mfcc,
    plp,
    spectral_centroids,
    static_features,
)
from voicegmm.features.static_options import StaticOptions
from voicegmm.features.stream import Stream

__all__ = [
    "FEATURES_VERSION",
    "DeltaOptions",
    "ForeignFrontEnd",
    "FrameSet",
    "FrontEnd",
    "LikelihoodRatioOptions",
    "ModulationOptions",
    "NoiseFloorOptions",
    "NormalizationOptions",
    "Pipeline",
    "PipelineOptions",
    "PitchOptions",
    "RastaOptions",
    "Spectra",
    "SpeechOptions",
    "StaticOptions",
    "Stream",
    "analysis_frames",
    "auditory_spectrum",
    "band_centroids",
    "cepstra",
    "deltas",
    "detection_energy",
    "equal_loudness",
    "filterbank",
    "fingerprint_of",
    "frame_log_energy",
    "frame_spectra",
    "front_end_for",
    "labeled_frames",
    "lfcc",
    "load_front_end",
    "log_filterbank",
    "mfcc",
    "noise_floor",
    "normalize",
    "pipeline_of",
    "pitch",
    "plp",
    "plp_cepstra",
    "predictor_cepstra",
    "predictors",
    "rasta",
    "read_front_end",
    "shifted_deltas",
    "spectral_centroids",
    "spectrum",
    "speech_weights",
    "static_features",
    "windowed",
    "with_deltas",
]
