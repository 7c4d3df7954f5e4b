"""A fusion of systems on disk."""

import os
from typing import Any

import msgspec
import numpy as np

from voicegmm._base.options import canonical_json, fingerprint, to_mapping
from voicegmm.scoring.fusion import Fusion, FusionOptions, QualityEffect
from voicegmm.store.datasets import (
    damage_named,
    read_array,
    read_options,
    read_strings,
    write_strings,
)
from voicegmm.store.hdf5 import new_file, open_file

FUSION_FORMAT, FUSION_VERSION = "voicegmm/fusion", 4
_OLDER = {True: 3, False: 2}  # with quality measures or without: what older programs read too


def save_fusion(path: str | os.PathLike[str], fusion: Fusion) -> None:
    """Write a fusion, whole or not at all."""
    known = _options(fusion.options)
    version = FUSION_VERSION if "toward" in known else _OLDER[bool(fusion.quality)]
    with new_file(path, FUSION_FORMAT, version, known, _mark(fusion)) as file:
        write_strings(file, "systems", fusion.systems)
        file["weights"] = np.array(fusion.weights)
        file["calibrated"] = np.array(fusion.calibrated, np.uint8)
        file["offset"] = np.array([fusion.offset])
        file.attrs["n_trials"] = canonical_json([fusion.n_targets, fusion.n_nontargets])
        if fusion.quality:
            file.attrs["quality"] = canonical_json(fusion.quality)


def _mark(fusion: Fusion) -> str:
    """Give the fingerprint; of a fusion without quality measures as before there were any."""
    parts = to_mapping(fusion) | {"options": _options(fusion.options)}
    if not fusion.quality:
        del parts["quality"]
    return fingerprint(parts)


def _options(options: FusionOptions) -> dict[str, Any]:
    """Give what is written of the options: where a ridge pulls to 0, as before it could else."""
    told = to_mapping(options)
    if options.toward == "zero":
        del told["toward"]
    return told


def load_fusion(path: str | os.PathLike[str]) -> Fusion:
    """Read a fusion.

    Raises
    ------
    FormatError
        If it is not one, or is damaged.
    """
    with damage_named(path), open_file(path, FUSION_FORMAT, FUSION_VERSION) as file:
        options = read_options(file, "options", FusionOptions, str(path))
        n_targets, n_nontargets = msgspec.json.decode(file.attrs["n_trials"], type=tuple[int, int])
        systems = read_strings(file, "systems")
        fusion = Fusion(
            tuple(read_array(file, "weights", (len(systems),), np.float64).tolist()),
            float(read_array(file, "offset", (1,), np.float64)[0]),
            systems,
            tuple(map(bool, read_array(file, "calibrated", (len(systems),), np.uint8).tolist())),
            n_targets,
            n_nontargets,
            options,
            msgspec.json.decode(file.attrs.get("quality", "[]"), type=tuple[QualityEffect, ...]),
        )
        if _mark(fusion) != file.attrs["fingerprint"]:
            raise ValueError("the fusion does not fit its fingerprint")
        return fusion
