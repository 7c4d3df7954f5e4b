"""Classes of voices on disk."""

import os

import h5py
import msgspec

from voicegmm._base.errors import FormatError
from voicegmm._base.options import canonical_json
from voicegmm.features import read_front_end
from voicegmm.scoring import (
    ClassCalibration,
    ClassFigures,
    ClassModel,
    ClassModels,
    ClassOptions,
    JudgedClasses,
)
from voicegmm.store.contents import read_contents, write_contents
from voicegmm.store.datasets import damage_named, read_amount, read_integer, read_options
from voicegmm.store.hdf5 import new_file, open_file
from voicegmm.store.mixtures import read_mixture, write_mixture
from voicegmm.store.training import read_record, write_record

CLASSES_FORMAT, CLASSES_VERSION = "voicegmm/classes", 2


def save_classes(path: str | os.PathLike[str], classes: JudgedClasses) -> None:
    """Write classes of voices, with their calibration where there is one."""
    models = classes.models
    with new_file(
        path, CLASSES_FORMAT, CLASSES_VERSION, models.options, models.fingerprint
    ) as file:
        file.attrs["front_end"] = canonical_json(models.front_end)
        judgment = {
            "calibration": classes.calibration,
            "expected": classes.expected,
            "speakers_known": classes.speakers_known,
            "uncalibrated_because": classes.uncalibrated_because,
        }
        file.attrs["judgment"] = canonical_json(judgment)
        group = file.create_group("classes")
        for number, one in enumerate(models.classes):
            _write_class(group.create_group(f"{number:04d}"), one)


def _write_class(group: h5py.Group, model: ClassModel) -> None:
    group.attrs["name"] = model.name
    for name in ("n_frames", "n_recordings", "n_speakers"):
        group.attrs[name] = getattr(model, name)
    write_mixture(group, model.gmm)
    write_record(group.create_group("record"), model.iterations)
    write_contents(group, "contents", model.contents)


def _read_class(group: h5py.Group) -> ClassModel:
    return ClassModel(
        str(group.attrs["name"]),
        read_mixture(group),
        read_amount(group, "n_frames"),
        read_integer(group, "n_recordings"),
        read_integer(group, "n_speakers"),
        read_record(group["record"]),
        read_contents(group, "contents"),
    )


def load_classes(path: str | os.PathLike[str]) -> JudgedClasses:
    """Read classes of voices.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    with damage_named(path), open_file(path, CLASSES_FORMAT, CLASSES_VERSION) as file:
        group = file["classes"]
        models = ClassModels(
            tuple(_read_class(group[number]) for number in sorted(group)),
            read_front_end(msgspec.json.decode(file.attrs["front_end"]), str(path)),
            read_options(file, "options", ClassOptions, str(path)),
        )
        stated = msgspec.json.decode(file.attrs["front_end"])
        if models.fingerprint_with(stated) != file.attrs["fingerprint"]:
            raise FormatError(f"{path}: damaged: the classes do not fit their fingerprint")
        judgment = msgspec.json.decode(file.attrs["judgment"])
        return JudgedClasses(
            models,
            msgspec.convert(judgment["calibration"], ClassCalibration | None),
            msgspec.convert(judgment["expected"], ClassFigures | None),
            bool(judgment["speakers_known"]),
            str(judgment["uncalibrated_because"]),
        )
