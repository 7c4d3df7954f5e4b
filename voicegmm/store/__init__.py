"""Everything on disk: feature stores and models, in HDF5, whole or not at all."""

import os
from collections.abc import Callable

from voicegmm._base.errors import FormatError
from voicegmm.mixture import Statistics
from voicegmm.scoring import BackgroundModel, Fusion, JudgedClasses, Subspace, Voices
from voicegmm.store.bosaris import write_bosaris_trials
from voicegmm.store.classes import CLASSES_FORMAT, load_classes, save_classes
from voicegmm.store.comparison import FeatureComparison, RecordingComparison, compare_features
from voicegmm.store.description import describe, file_fingerprint, verify
from voicegmm.store.encryption import is_encrypted
from voicegmm.store.extraction import ExtractionSummary, extract_to_memory, extract_to_store
from voicegmm.store.features import FORMAT as FEATURES_FORMAT
from voicegmm.store.features import FeatureStore, FeatureWriter, new_store
from voicegmm.store.fusion import FUSION_FORMAT, load_fusion, save_fusion
from voicegmm.store.hdf5 import (
    at_hand,
    decrypted,
    distrusting,
    open_file,
    received,
    write_decrypted,
)
from voicegmm.store.models import (
    SPEAKERS_FORMAT,
    UBM_FORMAT,
    load_background,
    load_voices,
    save_background,
    save_voices,
)
from voicegmm.store.score_files import (
    SCORE_FILES,
    read_key_file,
    read_labeled,
    read_quality_file,
    read_score_file,
    write_key_file,
    write_score_file,
)
from voicegmm.store.score_journal import ScoreJournal
from voicegmm.store.statistics import STATISTICS_FORMAT, load_statistics, save_statistics
from voicegmm.store.subspace import (
    BACK_END_FORMAT,
    FACTOR_ANALYSIS_FORMAT,
    SUBSPACE_FORMAT,
    TOTAL_VARIABILITY_FORMAT,
    load_back_end,
    load_factors,
    load_subspace,
    save_back_end,
    save_factors,
    save_subspace,
)
from voicegmm.store.tracing import Trace, Traces, find_traces
from voicegmm.store.training import TrainingCheckpoint
from voicegmm.subspace import BackEnd, FactorAnalysis, TotalVariability

__all__ = [
    "SCORE_FILES",
    "ExtractionSummary",
    "FeatureComparison",
    "FeatureStore",
    "FeatureWriter",
    "RecordingComparison",
    "ScoreJournal",
    "Trace",
    "Traces",
    "TrainingCheckpoint",
    "compare_features",
    "decrypted",
    "describe",
    "distrusting",
    "extract_to_memory",
    "extract_to_store",
    "file_fingerprint",
    "find_traces",
    "is_encrypted",
    "load",
    "load_back_end",
    "load_background",
    "load_classes",
    "load_factors",
    "load_fusion",
    "load_statistics",
    "load_subspace",
    "load_voices",
    "new_store",
    "read_key_file",
    "read_labeled",
    "read_quality_file",
    "read_score_file",
    "received",
    "save",
    "save_back_end",
    "save_background",
    "save_classes",
    "save_factors",
    "save_fusion",
    "save_statistics",
    "save_subspace",
    "save_voices",
    "verify",
    "write_bosaris_trials",
    "write_decrypted",
    "write_key_file",
    "write_score_file",
]


Model = (
    BackgroundModel
    | Voices
    | JudgedClasses
    | Fusion
    | TotalVariability
    | FactorAnalysis
    | BackEnd
    | Subspace
    | Statistics
)
"""What a file of ours can hold beside features."""

_LOADERS: dict[str, Callable[[str | os.PathLike[str]], Model | FeatureStore]] = {
    UBM_FORMAT: load_background,
    SPEAKERS_FORMAT: load_voices,
    FUSION_FORMAT: load_fusion,
    CLASSES_FORMAT: load_classes,
    FEATURES_FORMAT: FeatureStore,
    STATISTICS_FORMAT: load_statistics,
    TOTAL_VARIABILITY_FORMAT: load_factors,
    FACTOR_ANALYSIS_FORMAT: load_factors,
    BACK_END_FORMAT: load_back_end,
    SUBSPACE_FORMAT: load_subspace,
}
_SAVERS: dict[type, Callable[..., None]] = {
    BackgroundModel: save_background,
    Voices: save_voices,
    JudgedClasses: save_classes,
    Fusion: save_fusion,
    Statistics: save_statistics,
    TotalVariability: save_factors,
    FactorAnalysis: save_factors,
    BackEnd: save_back_end,
    Subspace: save_subspace,
}


def load(path: str | os.PathLike[str]) -> Model | FeatureStore:
    """Read any of our files: a model, speakers, classes, a fusion, or an open feature store.

    Raises
    ------
    FormatError
        If it is none of these, or damaged.
    """
    path = at_hand(path)
    with open_file(path) as file:
        kind = file.attrs["format"]
    if kind not in _LOADERS:
        raise FormatError(f"{path}: holds {kind}, which this voicegmm does not know; upgrade it")
    return _LOADERS[kind](path)


def save(path: str | os.PathLike[str], model: Model) -> None:
    """Write a model, speakers, classes or a fusion, whole or not at all."""
    _SAVERS[type(model)](path, model)
