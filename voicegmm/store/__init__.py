"""Everything on disk: feature stores and models, in HDF5, whole or not at all."""

import os

from voicegmm._base.errors import FormatError
from voicegmm.scoring import BackgroundModel, Fusion, JudgedClasses, Voices
from voicegmm.store.bosaris import write_bosaris_trials
from voicegmm.store.classes import CLASSES_FORMAT, load_classes, save_classes
from voicegmm.store.comparison import FeatureComparison, RecordingComparison, compare_features
from voicegmm.store.description import describe, file_fingerprint
from voicegmm.store.extraction import ExtractionSummary, extract_to_memory, extract_to_store
from voicegmm.store.features import FORMAT as FEATURES_FORMAT
from voicegmm.store.features import FeatureStore, FeatureWriter, new_store
from voicegmm.store.fusion import FUSION_FORMAT, load_fusion, save_fusion
from voicegmm.store.hdf5 import open_file
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
    read_score_file,
    write_score_file,
)
from voicegmm.store.score_journal import ScoreJournal
from voicegmm.store.training import TrainingCheckpoint

__all__ = [
    "SCORE_FILES",
    "ExtractionSummary",
    "FeatureComparison",
    "FeatureStore",
    "FeatureWriter",
    "RecordingComparison",
    "ScoreJournal",
    "TrainingCheckpoint",
    "compare_features",
    "describe",
    "extract_to_memory",
    "extract_to_store",
    "file_fingerprint",
    "load",
    "load_background",
    "load_classes",
    "load_fusion",
    "load_voices",
    "new_store",
    "read_key_file",
    "read_labeled",
    "read_score_file",
    "save",
    "save_background",
    "save_classes",
    "save_fusion",
    "save_voices",
    "write_bosaris_trials",
    "write_score_file",
]


def load(
    path: str | os.PathLike[str],
) -> BackgroundModel | Voices | JudgedClasses | Fusion | FeatureStore:
    """Read any of our files: a model, speakers, classes, a fusion, or an open feature store.

    Raises
    ------
    FormatError
        If it is none of these, or damaged.
    """
    with open_file(path) as file:
        kind = file.attrs["format"]
    if kind == UBM_FORMAT:
        return load_background(path)
    if kind == SPEAKERS_FORMAT:
        return load_voices(path)
    if kind == FUSION_FORMAT:
        return load_fusion(path)
    if kind == CLASSES_FORMAT:
        return load_classes(path)
    if kind == FEATURES_FORMAT:
        return FeatureStore(path)
    raise FormatError(f"{path}: holds {kind}, which this voicegmm does not know; upgrade it")


def save(
    path: str | os.PathLike[str], model: BackgroundModel | Voices | JudgedClasses | Fusion
) -> None:
    """Write a background model, speakers, classes or a fusion, whole or not at all."""
    if isinstance(model, BackgroundModel):
        save_background(path, model)
    elif isinstance(model, JudgedClasses):
        save_classes(path, model)
    elif isinstance(model, Fusion):
        save_fusion(path, model)
    else:
        save_voices(path, model)
