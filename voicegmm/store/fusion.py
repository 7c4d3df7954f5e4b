"""A fusion of systems on disk."""

import os

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

FUSION_FORMAT, FUSION_VERSION = "voicegmm/fusion", 3
_WITHOUT_QUALITY = 2  # what older programs read as well


def save_fusion(path: str | os.PathLike[str], fusion: Fusion) -> None:
    """Write a fusion, whole or not at all."""
    version = FUSION_VERSION if fusion.quality else _WITHOUT_QUALITY
    with new_file(path, FUSION_FORMAT, version, fusion.options, _mark(fusion)) as file:
        write_strings(file, "systems", fusion.systems)
        file["weights"] = np.array(fusion.weights)
        file["calibrated"] = np.array(fusion.calibrated, np.uint8)
        file["offset"] = np.array([fusion.offset])
        file.attrs["n_trials"] = canonical_json([fusion.n_targets, fusion.n_nontargets])
        if fusion.quality:
            file.attrs["quality"] = canonical_json(fusion.quality)


def _mark(fusion: Fusion) -> str:
    """Give the fingerprint; of a fusion without quality measures as before there were any."""
    parts = to_mapping(fusion)
    if not fusion.quality:
        del parts["quality"]
    return fingerprint(parts)


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
