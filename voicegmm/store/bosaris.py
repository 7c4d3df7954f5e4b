"""Scores, keys and trial lists in the HDF5 of BOSARIS, as SIDEKIT writes it.

A matrix of models by segments, with a mask of the trials in it. SIDEKIT calls the names
``modelset`` and ``segset``, BOSARIS itself and its ports ``ID/row_ids`` and ``ID/column_ids``; both
are read, and SIDEKIT's are written. Scores: ``scores`` and ``score_mask``. Key: ``trial_mask`` with
1 for a target and -1 for a non-target. Ndx: ``trial_mask`` with 1 for a trial, whatever it is.
"""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from voicegmm._base.errors import DataError, FormatError
from voicegmm._base.files import whole_file
from voicegmm.corpus import Trials
from voicegmm.scoring import OK, ScoreTable
from voicegmm.store.hdf5 import open_foreign

_NAMES = (("modelset", "segset"), ("ID/row_ids", "ID/column_ids"))
_MOST_CELLS = 2_000_000_000


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as HDF5 does."""
    return Path(path).is_file() and bool(h5py.is_hdf5(path))


def read_bosaris_scores(path: str | os.PathLike[str]) -> ScoreTable:
    """Read Scores: a trial whose score is NaN has failed.

    Raises
    ------
    FormatError
        If the file is damaged or is not Scores.
    """
    with open_foreign(path) as file:
        models, segments = _names(file, path)
        shape = (len(models), len(segments))
        mask = _matrix(file, "score_mask", shape, path) != 0
        scores = _matrix(file, "scores", shape, path)[mask].astype(np.float64)
    if np.isinf(scores).any():
        raise FormatError(f"{path}: holds an infinite score; write NaN where there is none")
    trials = _trials(models, segments, mask, np.full(len(scores), -1, np.int8), path)
    failed = np.isnan(scores).tolist()
    name = Path(path).name
    return ScoreTable(
        trials,
        scores,
        tuple("failed" if none else OK for none in failed),
        tuple(f"{name} has no score for it" if none else "" for none in failed),
    )


def read_bosaris_trials(path: str | os.PathLike[str]) -> Trials:
    """Read a Key, or an Ndx, whose trials then have no label.

    A mask without -1 is an Ndx: a key of targets alone would be of no use.

    Raises
    ------
    FormatError
        If the file is damaged or is neither.
    """
    with open_foreign(path) as file:
        models, segments = _names(file, path)
        values = _matrix(file, "trial_mask", (len(models), len(segments)), path)
    mask = values != 0
    kinds = values[mask]
    if not np.isin(kinds, (-1, 1)).all():
        raise FormatError(f"{path}: trial_mask must hold 1, 0 and -1 alone")
    is_key = bool((kinds < 0).any())
    labels = np.where(kinds > 0, 1, 0) if is_key else np.full(len(kinds), -1)
    return _trials(models, segments, mask, labels.astype(np.int8), path)


def write_bosaris_scores(path: str | os.PathLike[str], table: ScoreTable) -> None:
    """Write Scores, whole or not at all: ratios where there are any; what failed is masked."""
    trials = table.trials
    shape = (len(trials.models), len(trials.tests))
    scores, mask = np.zeros(shape), np.zeros(shape, np.int8)
    place = trials.model_index, trials.test_index
    scores[place] = np.where(table.scored, table.best, 0.0)
    mask[place] = table.scored
    _write(path, trials, {"score_mask": mask, "scores": scores})


def write_bosaris_trials(path: str | os.PathLike[str], trials: Trials) -> None:
    """Write a Key, or an Ndx where no trial has a label; whole or not at all.

    Raises
    ------
    DataError
        If some trials have a label and some have none, which neither can hold.
    """
    n_unlabeled = int((trials.labels < 0).sum())
    if 0 < n_unlabeled < len(trials):
        raise DataError(
            f"{n_unlabeled} of {len(trials)} trials have no label: a Key of BOSARIS has one for "
            "each, an Ndx for none"
        )
    mask = np.zeros((len(trials.models), len(trials.tests)), np.int8)
    mask[trials.model_index, trials.test_index] = np.where(trials.labels == 0, -1, 1)
    _write(path, trials, {"trial_mask": mask})


def _write(
    path: str | os.PathLike[str], trials: Trials, matrices: dict[str, npt.NDArray[Any]]
) -> None:
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in zip(_NAMES[0], (trials.models, trials.tests), strict=True):
            names = np.array([value.encode() for value in values])
            file.create_dataset(name, data=names, compression="gzip", fletcher32=True)
        for name, matrix in matrices.items():
            file.create_dataset(name, data=matrix, compression="gzip", fletcher32=True)


def _names(file: h5py.File, path: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    for pair in _NAMES:
        if all(name in file for name in pair):
            models, segments = ([_text(value) for value in file[name][()]] for name in pair)
            if len(models) * len(segments) > _MOST_CELLS:
                raise FormatError(f"{path}: {len(models)} x {len(segments)} trials are too many")
            for names in (models, segments):
                if len(set(names)) < len(names):
                    raise FormatError(f"{path}: a model or a segment is named twice")
            return models, segments
    ours = file.attrs.get("format")
    if isinstance(ours, str) and ours.startswith("voicegmm/"):
        raise FormatError(f"{path}: holds {ours}, where scores or trials were expected")
    raise FormatError(
        f"{path}: holds neither scores nor trials of BOSARIS (modelset and segset, or ID/row_ids "
        "and ID/column_ids)"
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _matrix(
    file: h5py.File, name: str, shape: tuple[int, int], path: str | os.PathLike[str]
) -> npt.NDArray[Any]:
    if name not in file:
        raise FormatError(f"{path}: {name} is missing; is it another of Scores, Key and Ndx?")
    if file[name].shape != shape or file[name].dtype.kind not in "biuf":
        raise FormatError(
            f"{path}: {name} must be numbers, models by segments {shape}, got {file[name].shape}"
        )
    found: npt.NDArray[Any] = file[name][()]
    return found


def _trials(
    models: list[str],
    segments: list[str],
    mask: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.int8],
    path: str | os.PathLike[str],
) -> Trials:
    model_index, test_index = np.nonzero(mask)
    if not len(labels):
        raise FormatError(f"{path}: no trial is in its mask")
    return Trials(tuple(models), tuple(segments), model_index, test_index, labels)
