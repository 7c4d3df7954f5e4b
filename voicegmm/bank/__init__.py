"""From folders of recordings to answers, in one file: the voice bank, and classes of voices."""

from voicegmm.bank.answers import Identification, Verification
from voicegmm.bank.classifier import (
    ClassEvaluation,
    Classification,
    ClassifierOptions,
    ClassifierTraining,
    VoiceClassifier,
)
from voicegmm.bank.streaming import StreamState, StreamVerifier
from voicegmm.bank.training import BankOptions, Training
from voicegmm.bank.voicebank import VoiceBank

__all__ = [
    "BankOptions",
    "ClassEvaluation",
    "Classification",
    "ClassifierOptions",
    "ClassifierTraining",
    "Identification",
    "StreamState",
    "StreamVerifier",
    "Training",
    "Verification",
    "VoiceBank",
    "VoiceClassifier",
]
