"""Subspace models: vectors of one length a recording, and back ends that compare them."""

from voicegmm.subspace.back_end import BackEnd, BackEndOptions, learn_back_end, speaker_means
from voicegmm.subspace.plda import (
    Plda,
    PldaOptions,
    plda_log_likelihood,
    plda_scores,
    train_plda,
)
from voicegmm.subspace.vectors import (
    Affine,
    LdaOptions,
    centering,
    cosine_scores,
    lda,
    nap,
    normalize_length,
    wccn,
    whitening,
)

__all__ = [
    "Affine",
    "BackEnd",
    "BackEndOptions",
    "LdaOptions",
    "Plda",
    "PldaOptions",
    "centering",
    "cosine_scores",
    "lda",
    "learn_back_end",
    "nap",
    "normalize_length",
    "plda_log_likelihood",
    "plda_scores",
    "speaker_means",
    "train_plda",
    "wccn",
    "whitening",
]
