"""Artificial voices and degradations: seeded, fast, with everything known about them."""

from voicegmm.synthesis.attack import Attack, AttackRanges, Place, draw_attack, draw_place, heard
from voicegmm.synthesis.condition import ConditionOptions, degraded
from voicegmm.synthesis.corpus import CorpusOptions, corpus_voice, write_corpus
from voicegmm.synthesis.degradation import (
    NOISE_KINDS,
    ChannelOptions,
    NoiseOptions,
    ReplayOptions,
    RoomOptions,
    add_noise,
    band_pass,
    channel_filter,
    make_noise,
    replay,
    reverberate,
    room_response,
    set_level,
    telephone_band,
)
from voicegmm.synthesis.g711 import g711, g711_decode, g711_encode
from voicegmm.synthesis.phones import PHONES, VOWELS
from voicegmm.synthesis.speech import Utterance, pronounce, speak, tract_response
from voicegmm.synthesis.tracks import Segment
from voicegmm.synthesis.voice import Voice, draw_voice, vary_voice

__all__ = [
    "NOISE_KINDS",
    "PHONES",
    "VOWELS",
    "Attack",
    "AttackRanges",
    "ChannelOptions",
    "ConditionOptions",
    "CorpusOptions",
    "NoiseOptions",
    "Place",
    "ReplayOptions",
    "RoomOptions",
    "Segment",
    "Utterance",
    "Voice",
    "add_noise",
    "band_pass",
    "channel_filter",
    "corpus_voice",
    "degraded",
    "draw_attack",
    "draw_place",
    "draw_voice",
    "g711",
    "g711_decode",
    "g711_encode",
    "heard",
    "make_noise",
    "pronounce",
    "replay",
    "reverberate",
    "room_response",
    "set_level",
    "speak",
    "telephone_band",
    "tract_response",
    "vary_voice",
    "write_corpus",
]
