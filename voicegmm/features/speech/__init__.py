"""Which frames hold speech: detectors by level, rhythm and likelihood ratio, and labels."""

from voicegmm.features.speech.detection import speech_weights
from voicegmm.features.speech.energy import kaldi_rule
from voicegmm.features.speech.labels import labeled_frames
from voicegmm.features.speech.likelihood_ratio import LikelihoodRatioOptions
from voicegmm.features.speech.modulation import ModulationOptions
from voicegmm.features.speech.noise import NoiseFloorOptions, noise_floor
from voicegmm.features.speech.options import SpeechOptions
from voicegmm.features.speech.spectra import Spectra, block_spectra, frame_spectra

__all__ = [
    "LikelihoodRatioOptions",
    "ModulationOptions",
    "NoiseFloorOptions",
    "Spectra",
    "SpeechOptions",
    "block_spectra",
    "frame_spectra",
    "kaldi_rule",
    "labeled_frames",
    "noise_floor",
    "speech_weights",
]
