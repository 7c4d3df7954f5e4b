"""Subspace models: session variability, i-vectors, and back ends that compare vectors."""

from voicegmm.subspace.back_end import BackEnd, BackEndOptions, learn_back_end, speaker_means
from voicegmm.subspace.enrollment import enroll, speaker_offsets
from voicegmm.subspace.factor_analysis import (
    FactorAnalysis,
    FactorAnalysisOptions,
    channel_offsets,
    session_offsets,
    train_factor_analysis,
)
from voicegmm.subspace.factors import Posteriors
from voicegmm.subspace.plda import (
    Plda,
    PldaOptions,
    plda_log_likelihood,
    plda_scores,
    train_plda,
)
from voicegmm.subspace.recordings import Recordings
from voicegmm.subspace.total_variability import (
    TotalVariability,
    TotalVariabilityOptions,
    extract,
    extract_posteriors,
    train_total_variability,
)
from voicegmm.subspace.uncertainty import Evidence, evidence_scores
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
    "Evidence",
    "FactorAnalysis",
    "FactorAnalysisOptions",
    "LdaOptions",
    "Plda",
    "PldaOptions",
    "Posteriors",
    "Recordings",
    "TotalVariability",
    "TotalVariabilityOptions",
    "centering",
    "channel_offsets",
    "cosine_scores",
    "enroll",
    "evidence_scores",
    "extract",
    "extract_posteriors",
    "lda",
    "learn_back_end",
    "nap",
    "normalize_length",
    "plda_log_likelihood",
    "plda_scores",
    "session_offsets",
    "speaker_means",
    "speaker_offsets",
    "train_factor_analysis",
    "train_plda",
    "train_total_variability",
    "wccn",
    "whitening",
]
