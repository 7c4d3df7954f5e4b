"""Models on disk: background models, speakers with their calibration."""

import os
from typing import Any

import h5py
import msgspec
import numpy as np
import numpy.typing as npt

from voicegmm._base.errors import FormatError
from voicegmm._base.options import canonical_json, from_mapping
from voicegmm.corpus.lists import checked_name
from voicegmm.features import read_front_end
from voicegmm.metrics import Estimate
from voicegmm.mixture import MapOptions
from voicegmm.scoring import (
    BackgroundModel,
    Calibration,
    Cohort,
    EnrolledRecording,
    ForeignTraining,
    IdentificationPromise,
    OpenSetTests,
    ScoringOptions,
    SequentialTest,
    SpeakerModels,
    Subspace,
    SubspaceSpeakers,
    UbmOptions,
    Voices,
)
from voicegmm.scoring.background import digest_of
from voicegmm.scoring.models import Speakers
from voicegmm.scoring.records import Removal
from voicegmm.store.contents import read_contents, write_contents
from voicegmm.store.datasets import (
    damage_named,
    read_amount,
    read_array,
    read_integer,
    read_options,
    read_strings,
    write_strings,
)
from voicegmm.store.hdf5 import FIRST_SEALED, new_file, open_file
from voicegmm.store.mixtures import read_mixture, write_mixture
from voicegmm.store.subspace import read_subspace, write_subspace
from voicegmm.store.training import read_record, write_record

UBM_FORMAT, UBM_VERSION = "voicegmm/ubm", 2
SPEAKERS_FORMAT, SPEAKERS_VERSION = "voicegmm/speakers", 3
_WITHOUT_SUBSPACE = 2  # version: programs from before there was one read it
_ADAPTED = ("means", "counts", "seconds")
_OF_SUBSPACE = ("speaker_of", "counts", "moments", "models", "seconds")
_OPEN_SET: dict[str, npt.DTypeLike] = {
    "best_wrong": np.float64,
    "own": np.float64,
    "voice": np.int64,
    "fold": np.int64,
    "stranger": np.bool_,
}


def _write_background(group: h5py.Group, model: BackgroundModel) -> None:
    write_mixture(group, model.gmm)
    group.attrs["front_end"] = canonical_json(model.front_end)
    group.attrs["training"] = canonical_json(model.options)
    group.attrs["seed"] = model.seed
    group.attrs["n_frames"] = model.n_frames
    group.attrs["fingerprint"] = model.fingerprint
    write_record(group.create_group("record"), model.iterations)
    write_contents(group, "contents", model.contents)


def _read_background(group: h5py.Group, where: str) -> BackgroundModel:
    model = BackgroundModel(
        read_mixture(group),
        read_front_end(msgspec.json.decode(group.attrs["front_end"]), where),
        _read_training(group, where),
        read_integer(group, "seed"),
        read_record(group["record"]),
        read_amount(group, "n_frames"),
        read_contents(group, "contents"),
    )
    # By the text as it stands: options that came after the file was written are not in it.
    front_end = str(group.attrs["front_end"])
    gmm = model.gmm
    found = digest_of(front_end, gmm.weights, gmm.means, gmm.variances)
    if found != group.attrs["fingerprint"]:
        raise FormatError(f"{where}: damaged: the background model does not fit its fingerprint")
    return model


def _read_training(group: h5py.Group, where: str) -> UbmOptions | ForeignTraining:
    stated = msgspec.json.decode(group.attrs["training"])
    kind: type[Any] = ForeignTraining if "program" in stated else UbmOptions
    found: UbmOptions | ForeignTraining = from_mapping(kind, stated, where)
    return found


def save_background(path: str | os.PathLike[str], model: BackgroundModel) -> None:
    """Write a background model."""
    with new_file(path, UBM_FORMAT, UBM_VERSION, model.options, model.fingerprint) as file:
        _write_background(file.create_group("ubm"), model)


def load_background(path: str | os.PathLike[str]) -> BackgroundModel:
    """Read a background model.

    Raises
    ------
    FormatError
        If it is not one, or is damaged.
    """
    with damage_named(path), open_file(path, UBM_FORMAT, UBM_VERSION) as file:
        return _read_background(file["ubm"], str(path))


def save_voices(path: str | os.PathLike[str], voices: Voices, passphrase: str = "") -> None:
    """Write speakers, readable by their owner only: a model of a voice is biometric data.

    Parameters
    ----------
    path : path
    voices : Voices
    passphrase : str
        What to encrypt them by; empty: they are not encrypted.
    """
    speakers = voices.speakers
    parent = speakers.background.fingerprint
    with new_file(
        path,
        SPEAKERS_FORMAT,
        SPEAKERS_VERSION if speakers.subspace else _WITHOUT_SUBSPACE,
        speakers.adaptation,
        speakers.fingerprint,
        parent,
        mode=0o600,
        passphrase=passphrase,
    ) as file:
        _write_background(file.create_group("ubm"), speakers.background)
        if speakers.subspace:
            write_subspace(file.create_group("subspace"), speakers.subspace)
        _write_speakers(file.create_group("speakers"), speakers)
        judgment = {
            "calibration": voices.calibration,
            "promise": voices.promise,
            "n_met": voices.open_set.n_met if voices.open_set else None,
            "expected": voices.expected,
            "uncalibrated_because": voices.uncalibrated_because,
            "not_enrolled": voices.not_enrolled,
            "scoring": voices.scoring,
            "sequential": voices.sequential,
        }
        file.attrs["judgment"] = canonical_json(judgment)
        if voices.open_set:
            tests = file.create_group("open_set")
            for name in _OPEN_SET:
                tests[name] = getattr(voices.open_set, name)
        write_contents(file, "calibrated_from", voices.calibrated_from)
        write_strings(file, "removals", [canonical_json(one) for one in voices.removals])
        if voices.cohort:
            _write_cohort(file.create_group("cohort"), voices.cohort)


def _write_speakers(group: h5py.Group, speakers: Speakers) -> None:
    write_strings(group, "ids", speakers.ids)
    for name in _OF_SUBSPACE if speakers.subspace else _ADAPTED:
        group[name] = getattr(speakers, name)
    records = [canonical_json(speakers.records.get(name)) for name in speakers.ids]
    write_strings(group, "records", records)


def _read_speakers(
    group: h5py.Group,
    background: BackgroundModel,
    adaptation: MapOptions,
    subspace: Subspace | None,
) -> Speakers:
    ids = tuple(checked_name(name, "a speaker's name") for name in read_strings(group, "ids"))
    # Files from before there was an audit record have none.
    texts = read_strings(group, "records") if "records" in group else ("null",) * len(ids)
    records = {
        name: msgspec.json.decode(text, type=tuple[EnrolledRecording, ...])
        for name, text in zip(ids, texts, strict=True)
        if text != "null"
    }
    seconds = read_array(group, "seconds", (len(ids),), np.float64, least=0)
    n_components, n_dims = background.gmm.means.shape
    if subspace is None:
        means = read_array(group, "means", (len(ids), n_components, n_dims), np.float32)
        counts = read_array(group, "counts", means.shape[:2], np.float64, least=0)
        return SpeakerModels(background, ids, means, counts, seconds, adaptation, records)
    kept, model = subspace.shapes
    speaker_of = read_array(group, "speaker_of", (None,), np.int64, least=0)
    return SubspaceSpeakers(
        background,
        subspace,
        ids,
        speaker_of,
        read_array(group, "counts", (len(speaker_of), n_components), np.float64, least=0),
        read_array(group, "moments", (len(speaker_of), *kept), np.float32),
        read_array(group, "models", (len(ids), *model), np.float32),
        seconds,
        adaptation,
        records,
    )


def _write_cohort(group: h5py.Group, cohort: Cohort) -> None:
    _write_speakers(group.create_group("speakers"), cohort.models)
    write_strings(group, "voices", cohort.voices)
    write_strings(group, "enrolled", cohort.enrolled)
    write_strings(group, "contents", cohort.contents)
    # Where a speaker would meet itself there is no score: NaN in memory, a mask in the file.
    group["met"] = np.isfinite(cohort.of_cohort).astype(np.uint8)
    group["of_cohort"] = np.nan_to_num(cohort.of_cohort, nan=0.0)
    group["of_enrolled"] = cohort.of_enrolled


def _read_cohort(group: h5py.Group, speakers: Speakers) -> Cohort:
    shared = speakers.background, speakers.adaptation, speakers.subspace
    models = _read_speakers(group["speakers"], *shared)
    voices, enrolled = read_strings(group, "voices"), read_strings(group, "enrolled")
    contents = read_strings(group, "contents") if "contents" in group else ()
    if len(contents) != len(voices) and group.file.attrs["format_version"] < FIRST_SEALED:
        contents = ()  # of which voice each is, the first files do not always tell
    shape = (len(models.ids), len(voices))
    met = read_array(group, "met", shape, np.uint8).astype(bool)
    of_cohort = np.where(met, read_array(group, "of_cohort", shape, np.float64), np.nan)
    of_enrolled = read_array(group, "of_enrolled", (len(enrolled), len(voices)), np.float64)
    return Cohort(models, voices, of_cohort, enrolled, of_enrolled, contents)


def load_voices(path: str | os.PathLike[str]) -> Voices:
    """Read speakers, with their calibration where there is one.

    Raises
    ------
    FormatError
        If the file holds no speakers, or is damaged.
    """
    with damage_named(path), open_file(path, SPEAKERS_FORMAT, SPEAKERS_VERSION) as file:
        background = _read_background(file["ubm"], str(path))
        adaptation = read_options(file, "options", MapOptions, str(path))
        subspace, made_from = None, [str(file["ubm"].attrs["fingerprint"])]
        if "subspace" in file:
            subspace = read_subspace(file["subspace"], background.gmm, str(path))
            text = str(file["subspace"].attrs["options"])
            made_from.append(digest_of(text, *subspace.arrays))
        speakers = _read_speakers(file["speakers"], background, adaptation, subspace)
        text = canonical_json([*made_from, speakers.ids])
        if digest_of(text, *speakers.numbers) != file.attrs["fingerprint"]:
            raise FormatError(f"{path}: damaged: the speakers do not fit their fingerprint")
        judgment = msgspec.json.decode(file.attrs["judgment"])
        tests = None
        if "open_set" in file:
            tests = _read_open_set(file["open_set"], float(judgment["n_met"]))
        return Voices(
            speakers,
            msgspec.convert(judgment["calibration"], Calibration | None),
            msgspec.convert(judgment["promise"], IdentificationPromise | None),
            msgspec.convert(judgment["expected"], dict[str, Estimate]),
            tests,
            str(judgment["uncalibrated_because"]),
            msgspec.convert(judgment["not_enrolled"], dict[str, str]),
            # Files from before there was a choice say nothing of it.
            from_mapping(ScoringOptions, judgment.get("scoring", {}), str(path)),
            _read_cohort(file["cohort"], speakers) if "cohort" in file else None,
            msgspec.convert(judgment.get("sequential"), SequentialTest | None),
            read_contents(file, "calibrated_from"),
            _read_removals(file),
        )


def _read_open_set(group: h5py.Group, n_met: float) -> OpenSetTests:
    n_tests = len(read_array(group, "fold", (None,), np.int64))
    columns = {
        name: read_array(group, name, (n_tests,), dtype, finite=False)
        for name, dtype in _OPEN_SET.items()
    }
    return OpenSetTests(**columns, n_met=n_met)


def _read_removals(file: h5py.File) -> tuple[Removal, ...]:
    texts = read_strings(file, "removals") if "removals" in file else ()
    return tuple(msgspec.json.decode(text, type=Removal) for text in texts)
