"""What any of our files is, in words and as a mapping."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from voicegmm._base.errors import FormatError
from voicegmm._base.options import to_mapping
from voicegmm.scoring import BackgroundModel, Subspace
from voicegmm.scoring.table import SCORE_COLUMNS, SCORES_FORMAT, SCORES_VERSION, read_scores
from voicegmm.store.classes import CLASSES_FORMAT, load_classes
from voicegmm.store.datasets import damage_named
from voicegmm.store.features import FORMAT as FEATURES_FORMAT
from voicegmm.store.features import FeatureStore
from voicegmm.store.fusion import FUSION_FORMAT, load_fusion
from voicegmm.store.growing import Entry, about_growing
from voicegmm.store.hdf5 import at_hand, open_file, stored_seal
from voicegmm.store.journal import FORMAT as EXTRACTION_FORMAT
from voicegmm.store.journal import JournalEntry
from voicegmm.store.models import SPEAKERS_FORMAT, UBM_FORMAT, load_background, load_voices
from voicegmm.store.receiving import Received
from voicegmm.store.score_journal import FORMAT as SCORING_FORMAT
from voicegmm.store.score_journal import ScoreEntry
from voicegmm.store.sealing import Seal
from voicegmm.store.statistics import STATISTICS_FORMAT, load_statistics
from voicegmm.store.subspace import (
    BACK_END_FORMAT,
    FACTOR_ANALYSIS_FORMAT,
    SUBSPACE_FORMAT,
    TOTAL_VARIABILITY_FORMAT,
    load_back_end,
    load_factors,
    load_subspace,
)
from voicegmm.store.training import CHECKPOINT_FORMAT, TrainingCheckpoint
from voicegmm.subspace import BackEnd, FactorAnalysis, TotalVariability


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a file of ours.

    Parameters
    ----------
    path : path
        Also what `voicegmm.store.received` gives.

    Returns
    -------
    dict
        Plain JSON types: the header of the file, and what is in it.

    Raises
    ------
    FormatError
        If it is not one of ours, or damaged.
    """
    start = _first_bytes(path)
    if start.startswith(b"{"):
        return {"file": str(path), **about_growing(path, _UNFINISHED)}
    if start.decode(errors="replace").startswith("\t".join(SCORE_COLUMNS)):
        return {"file": str(path), **_scores(path)}
    path = at_hand(path)
    with damage_named(path), open_file(path) as file:
        kind = str(file.attrs["format"])
        header = {
            "file": str(path),
            "format": kind,
            "format_version": int(file.attrs["format_version"]),
            "created_by": str(file.attrs["created_by"]),
            "fingerprint": str(file.attrs["fingerprint"]),
            "parent": str(file.attrs["parent"]),
            "options": msgspec.json.decode(file.attrs["options"]),
            "sha256": seal.sha256 if (seal := stored_seal(path)) else "",
        }
    content = _CONTENTS[kind](path) if kind in _CONTENTS else {}
    return header | content


def verify(path: str | os.PathLike[str]) -> list[str]:
    """Compare all that a file says of itself with what is in it: digests, fingerprints, numbers.

    Returns
    -------
    list of str
        What was found to be right, and what cannot be known, in words.

    Raises
    ------
    FormatError
        If something is not as it was written.
    """
    start = _first_bytes(path)
    if start.startswith(b"{"):
        n_whole = about_growing(path, _UNFINISHED, check=True)["n_entries"]
        return [f"the checksums of the first {n_whole} entries fit; the rest will be made again"]
    if start.decode(errors="replace").startswith("\t".join(SCORE_COLUMNS)):
        return [f"{len(read_scores(Path(path)))} lines are well formed; a text has no digest"]
    path = at_hand(path)
    with open_file(path) as file:
        kind = str(file.attrs["format"])
    told = [_digest_told(stored_seal(path, check=True))]
    if kind not in _CONTENTS:
        raise FormatError(f"{path}: holds {kind}, which this voicegmm does not know; upgrade it")
    if kind == FEATURES_FORMAT:
        return [*told, *_verified_features(path)]
    _CONTENTS[kind](path)  # its reader compares the content with the fingerprint
    return [*told, f"the content fits the fingerprint {file_fingerprint(path)}"]


def _digest_told(seal: Seal | None) -> str:
    if seal is None:
        return "no digest: written by an earlier version; some damage would not be seen"
    if seal.kind == 1:
        return f"the SHA-256 of the whole file fits: {seal.sha256}"
    return f"the SHA-256 of all but the frames fits: {seal.sha256}"


def _verified_features(path: str | os.PathLike[str]) -> list[str]:
    with FeatureStore(path) as store:
        n_frames = store.check_rows()
        held_to = "digests" if store.digested else "checksums"
        return [
            f"the front end fits the fingerprint {store.fingerprint}",
            f"{n_frames} frames fit their {held_to} and are finite",
        ]


def _first_bytes(path: str | os.PathLike[str]) -> bytes:
    """Give what tells a text from HDF5; nothing where the reader will say what is wrong."""
    if isinstance(path, Received) or not Path(path).is_file():
        return b""
    with Path(path).open("rb") as file:
        return file.read(100)


def _scores(path: str | os.PathLike[str]) -> dict[str, Any]:
    table = read_scores(Path(path))
    labels = Counter(table.trials.labels.tolist())
    return {
        "format": SCORES_FORMAT,
        "format_version": SCORES_VERSION,
        "n_trials": len(table),
        "n_targets": labels[1],
        "n_nontargets": labels[0],
        "calibrated": table.llrs is not None,
        "status": dict(sorted(Counter(table.statuses).items())),
    }


def file_fingerprint(path: str | os.PathLike[str]) -> str:
    """Give the fingerprint that a file of ours says it has.

    Raises
    ------
    FormatError
        If it is not one of ours, or damaged.
    """
    with open_file(path) as file:
        return str(file.attrs["fingerprint"])


def _features(path: str | os.PathLike[str]) -> dict[str, Any]:
    with FeatureStore(path) as store:
        statuses = Counter(store.status(file).status for file in store.ids)
        counts = np.array([store.count(file) for file in store.ids])
        hop = store.front_end.hop_seconds
        return {
            "n_recordings": len(store.ids),
            "n_frames": int(counts.sum()),
            "n_dims": store.n_dims,
            "labels": store.labels or None,
            "speech_seconds": round(float(counts.sum() * hop), 2),
            "status": dict(sorted(statuses.items())),
            "failures": [
                store.status(file).reason for file in store.ids if not store.status(file).ok
            ],
            "doubtful": {
                file: note for file, note in zip(store.ids, store.notes, strict=True) if note
            },
        }


def _background(path: str | os.PathLike[str]) -> dict[str, Any]:
    model = load_background(path)
    return {
        "n_components": model.gmm.n_components,
        "n_dims": model.gmm.n_dims,
        "n_frames": model.n_frames,
        "seed": model.seed,
        "sample_rate": model.front_end.sample_rate,
        "front_end": to_mapping(model.front_end),
        "iterations": [
            {
                "log_likelihood": line.log_likelihood,
                "n_floored": line.n_floored,
                "n_starved": line.n_starved,
            }
            for line in model.iterations
        ],
        "last_iteration": _last_iteration(model),
    }


def _last_iteration(model: BackgroundModel) -> dict[str, Any] | None:
    """Tell what became of the components at the end of the training."""
    if not model.iterations:
        return None
    line = model.iterations[-1]
    least, median, most = np.quantile(line.counts, [0, 0.5, 1]).tolist()
    return {
        "frames_per_component": {"least": least, "median": median, "most": most},
        "dead_components": np.flatnonzero(line.starved).tolist(),
        "floored_components": np.flatnonzero(line.floored).tolist(),
        "floored_by_dimension": {
            str(dim): int(line.floored_dims[dim]) for dim in np.flatnonzero(line.floored_dims)
        },
    }


def _checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    found = TrainingCheckpoint(path).read()
    return {
        "n_components": found.gmm.n_components,
        "n_dims": found.gmm.n_dims,
        "n_iterations": len(found.iterations),
        "log_likelihood": found.iterations[-1].log_likelihood if found.iterations else None,
        "unfinished": "the same `voicegmm ubm train` goes on from here",
    }


def _speakers(path: str | os.PathLike[str]) -> dict[str, Any]:
    voices = load_voices(path)
    speakers = voices.speakers
    return {
        "n_speakers": len(speakers.ids),
        "speakers": {
            name: {
                "speech_seconds": round(float(seconds), 2),
                "enrolled_from": to_mapping(speakers.records.get(name, ())),
            }
            for name, seconds in zip(speakers.ids, speakers.seconds, strict=True)
        },
        "n_components": speakers.background.gmm.n_components,
        "n_dims": speakers.background.gmm.n_dims,
        "sample_rate": speakers.background.front_end.sample_rate,
        "backend": _told_subspace(speakers.subspace) if speakers.subspace else None,
        "calibrated": voices.calibration is not None,
        "calibration": to_mapping(voices.calibration) if voices.calibration else None,
        "identification": to_mapping(voices.promise) if voices.promise else None,
        "expected": {name: to_mapping(value) for name, value in voices.expected.items()},
        "sequential": to_mapping(voices.sequential) if voices.sequential else None,
        "uncalibrated_because": voices.uncalibrated_because,
        "not_enrolled": voices.not_enrolled,
        "removals": to_mapping(voices.removals),
        "front_end": to_mapping(speakers.background.front_end),
    }


def _fusion(path: str | os.PathLike[str]) -> dict[str, Any]:
    fusion = load_fusion(path)
    return {
        "weights": dict(zip(fusion.systems, fusion.weights, strict=True)),
        "of_calibrated_ratios": dict(zip(fusion.systems, fusion.calibrated, strict=True)),
        "of_quality": {each.name: each.weight for each in fusion.quality},
        "offset": fusion.offset,
        "n_targets": fusion.n_targets,
        "n_nontargets": fusion.n_nontargets,
    }


def _classes(path: str | os.PathLike[str]) -> dict[str, Any]:
    judged = load_classes(path)
    models, expected = judged.models, judged.expected
    described: dict[str, Any] = {
        "classes": {
            one.name: {
                "n_components": one.gmm.n_components,
                "n_speakers": one.n_speakers,
                "n_recordings": one.n_recordings,
                "n_frames": one.n_frames,
            }
            for one in models.classes
        },
        "n_dims": models.front_end.n_dims,
        "sample_rate": models.front_end.sample_rate,
        "speakers_known": judged.speakers_known,
        "calibration": to_mapping(judged.calibration) if judged.calibration else None,
        "uncalibrated_because": judged.uncalibrated_because,
        "front_end": to_mapping(models.front_end),
    }
    if expected:
        table = {
            name: dict(zip(models.names, row, strict=True))
            for name, row in zip(models.names, expected.confusion, strict=True)
        }
        described["expected"] = to_mapping(expected) | {"confusion": table}
    return described


def _factors(path: str | os.PathLike[str]) -> dict[str, Any]:
    return _told_factors(load_factors(path))


def _told_factors(model: TotalVariability | FactorAnalysis) -> dict[str, Any]:
    told: dict[str, Any] = {
        "n_components": model.gmm.n_components,
        "n_dims": model.gmm.n_dims,
        "covariance_type": model.gmm.covariance_type,
        "objectives": list(model.objectives),
    }
    if isinstance(model, TotalVariability):
        return told | {"rank": model.rank}
    ranks = {"speaker_rank": model.speaker_rank, "session_rank": model.session_rank}
    return told | ranks | {"relevance": model.relevance}


def _back_end(path: str | os.PathLike[str]) -> dict[str, Any]:
    return _told_back_end(load_back_end(path))


def _told_back_end(back_end: BackEnd) -> dict[str, Any]:
    told: dict[str, Any] = {
        "steps": list(back_end.options.steps),
        "score": back_end.options.score,
        "n_dims": [len(one.mean) for one in back_end.maps[:1]]
        + [len(one.matrix) for one in back_end.maps],
    }
    if back_end.plda:
        told["speaker_variances"] = back_end.plda.psi.tolist()
    return told


def _subspace(path: str | os.PathLike[str]) -> dict[str, Any]:
    return _told_subspace(load_subspace(path))


def _told_subspace(subspace: Subspace) -> dict[str, Any]:
    told = {"backend": subspace.options.method, **_told_factors(subspace.factors)}
    if subspace.back_end:
        told |= _told_back_end(subspace.back_end)
    return told | {"notes": list(subspace.notes)}


def _statistics(path: str | os.PathLike[str]) -> dict[str, Any]:
    found = load_statistics(path)
    return {
        "n_components": found.first.shape[0],
        "n_dims": found.first.shape[1],
        "n_frames": found.n_frames,
        "log_likelihood": found.log_likelihood,
    }


_UNFINISHED: dict[str, type[Entry]] = {
    EXTRACTION_FORMAT: JournalEntry,
    SCORING_FORMAT: ScoreEntry,
}
_CONTENTS = {
    BACK_END_FORMAT: _back_end,
    FACTOR_ANALYSIS_FORMAT: _factors,
    TOTAL_VARIABILITY_FORMAT: _factors,
    SUBSPACE_FORMAT: _subspace,
    CLASSES_FORMAT: _classes,
    FEATURES_FORMAT: _features,
    UBM_FORMAT: _background,
    SPEAKERS_FORMAT: _speakers,
    CHECKPOINT_FORMAT: _checkpoint,
    FUSION_FORMAT: _fusion,
    STATISTICS_FORMAT: _statistics,
}
