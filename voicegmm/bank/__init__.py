"""The voice bank: enroll people, ask who speaks. One file, one class."""

from voicegmm.bank.answers import Identification, Verification
from voicegmm.bank.training import BankOptions, Training
from voicegmm.bank.voicebank import VoiceBank

__all__ = ["BankOptions", "Identification", "Training", "Verification", "VoiceBank"]
