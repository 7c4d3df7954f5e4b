"""Subspace models on disk: total variability, factor analysis, back ends of vectors."""

import os
from collections.abc import Callable

import h5py
import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import FormatError
from voicegmm._base.options import canonical_json
from voicegmm.mixture import DiagonalGMM, FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.scoring.background import digest_of
from voicegmm.store.hdf5 import damage_named, new_file, open_file, read_array
from voicegmm.store.models import read_options
from voicegmm.subspace import (
    Affine,
    BackEnd,
    BackEndOptions,
    FactorAnalysis,
    Plda,
    TotalVariability,
)

TOTAL_VARIABILITY_FORMAT, TOTAL_VARIABILITY_VERSION = "voicegmm/total-variability", 2
FACTOR_ANALYSIS_FORMAT, FACTOR_ANALYSIS_VERSION = "voicegmm/factor-analysis", 2
BACK_END_FORMAT, BACK_END_VERSION = "voicegmm/back-end", 2

_COVARIANCES: dict[str, tuple[Callable[..., Mixture], str]] = {
    "diagonal": (DiagonalGMM, "variances"),
    "spherical": (SphericalGMM, "variances"),
    "full": (FullGMM, "covariances"),
    "tied": (TiedGMM, "covariance"),
}
_PLDA = ("mean", "within", "between")


def _write_background(group: h5py.Group, gmm: Mixture) -> None:
    """Write a mixture with covariances of any shape."""
    group.attrs["covariance_type"] = gmm.covariance_type
    for name, array in _arrays_of(gmm).items():
        group[name] = array


def _arrays_of(gmm: Mixture) -> dict[str, FloatArray]:
    names = ("weights", "means", _COVARIANCES[gmm.covariance_type][1])
    return {name: getattr(gmm, name) for name in names}


def _read_background(group: h5py.Group) -> Mixture:
    kind, name = _COVARIANCES[group.attrs["covariance_type"]]
    weights = read_array(group, "weights", (None,), np.float64)
    means = read_array(group, "means", (len(weights), None), np.float64)
    shape = group[name].shape
    return kind(weights, means, read_array(group, name, shape, np.float64))


def save_total_variability(
    path: str | os.PathLike[str], model: TotalVariability, parent: str = ""
) -> None:
    """Write the subspace of i-vectors with its background model, whole or not at all.

    Parameters
    ----------
    path : path
    model : TotalVariability
    parent : str
        Fingerprint of the `BackgroundModel` that the statistics were collected under.
    """
    text, arrays = _total_variability_content(model)
    kind, version = TOTAL_VARIABILITY_FORMAT, TOTAL_VARIABILITY_VERSION
    options = {"rank": model.rank, "n_iterations": len(model.objectives)}
    with new_file(path, kind, version, options, digest_of(text, *arrays), parent) as file:
        _write_background(file.create_group("ubm"), model.gmm)
        file["loadings"] = model.loadings
        file["objectives"] = np.array(model.objectives, np.float64)


def _total_variability_content(model: TotalVariability) -> tuple[str, list[FloatArray]]:
    return canonical_json(model.objectives), [*_arrays_of(model.gmm).values(), model.loadings]


def load_total_variability(path: str | os.PathLike[str]) -> TotalVariability:
    """Read the subspace of i-vectors.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    kind, version = TOTAL_VARIABILITY_FORMAT, TOTAL_VARIABILITY_VERSION
    with damage_named(path), open_file(path, kind, version) as file:
        gmm = _read_background(file["ubm"])
        loadings = read_array(file, "loadings", (*gmm.means.shape, None), np.float64)
        model = TotalVariability(gmm, loadings, _read_objectives(file))
        _check(file, *_total_variability_content(model))
        return model


def save_factor_analysis(
    path: str | os.PathLike[str], model: FactorAnalysis, parent: str = ""
) -> None:
    """Write the subspaces of ISV or JFA with their background model, whole or not at all.

    Parameters
    ----------
    path : path
    model : FactorAnalysis
        Its relevance finite.
    parent : str
        Fingerprint of the `BackgroundModel` that the statistics were collected under.
    """
    text, arrays = _factor_analysis_content(model)
    kind, version = FACTOR_ANALYSIS_FORMAT, FACTOR_ANALYSIS_VERSION
    options = {
        "session_rank": model.session_rank,
        "speaker_rank": model.speaker_rank,
        "n_iterations": len(model.objectives),
    }
    with new_file(path, kind, version, options, digest_of(text, *arrays), parent) as file:
        _write_background(file.create_group("ubm"), model.gmm)
        file["speaker_loadings"] = model.speaker_loadings
        file["session_loadings"] = model.session_loadings
        file["objectives"] = np.array(model.objectives, np.float64)
        file.attrs["relevance"] = model.relevance


def _factor_analysis_content(model: FactorAnalysis) -> tuple[str, list[FloatArray]]:
    text = canonical_json([str(model.relevance), model.objectives])
    arrays = [*_arrays_of(model.gmm).values(), model.speaker_loadings, model.session_loadings]
    return text, arrays


def load_factor_analysis(path: str | os.PathLike[str]) -> FactorAnalysis:
    """Read the subspaces of ISV or JFA.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    kind, version = FACTOR_ANALYSIS_FORMAT, FACTOR_ANALYSIS_VERSION
    with damage_named(path), open_file(path, kind, version) as file:
        gmm = _read_background(file["ubm"])
        shape = (*gmm.means.shape, None)
        model = FactorAnalysis(
            gmm,
            read_array(file, "speaker_loadings", shape, np.float64),
            read_array(file, "session_loadings", shape, np.float64),
            float(file.attrs["relevance"]),
            _read_objectives(file),
        )
        _check(file, *_factor_analysis_content(model))
        return model


def save_back_end(path: str | os.PathLike[str], back_end: BackEnd, parent: str = "") -> None:
    """Write the steps of a back end, whole or not at all.

    Parameters
    ----------
    path : path
    back_end : BackEnd
    parent : str
        Fingerprint of the model that the vectors were extracted by.
    """
    text, arrays = _back_end_content(back_end)
    digest = digest_of(text, *arrays)
    with new_file(
        path, BACK_END_FORMAT, BACK_END_VERSION, back_end.options, digest, parent
    ) as file:
        for number, one in enumerate(back_end.maps):
            group = file.create_group(f"maps/{number:04d}")
            group["mean"], group["matrix"] = one.mean, one.matrix
        if back_end.plda:
            group = file.create_group("plda")
            for name in _PLDA:
                group[name] = getattr(back_end.plda, name)


def _back_end_content(back_end: BackEnd) -> tuple[str, list[FloatArray]]:
    arrays: list[FloatArray] = [array for one in back_end.maps for array in (one.mean, one.matrix)]
    if back_end.plda:
        arrays += [getattr(back_end.plda, name) for name in _PLDA]
    return canonical_json(back_end.options), arrays


def load_back_end(path: str | os.PathLike[str]) -> BackEnd:
    """Read the steps of a back end.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    with damage_named(path), open_file(path, BACK_END_FORMAT, BACK_END_VERSION) as file:
        options = read_options(file, "options", BackEndOptions, str(path))
        maps = [_read_map(file["maps"][name]) for name in sorted(file.get("maps", ()))]
        plda = None
        if "plda" in file:
            group = file["plda"]
            n = len(read_array(group, "mean", (None,), np.float64))
            shapes = ((n,), (n, n), (n, n))
            plda = Plda(
                *(
                    read_array(group, name, shape, np.float64)
                    for name, shape in zip(_PLDA, shapes, strict=True)
                )
            )
        back_end = BackEnd(options, tuple(maps), plda)
        _check(file, *_back_end_content(back_end))
        return back_end


def _read_map(group: h5py.Group) -> Affine:
    mean = read_array(group, "mean", (None,), np.float64)
    return Affine(mean, read_array(group, "matrix", (None, len(mean)), np.float64))


def _read_objectives(file: h5py.File) -> tuple[float, ...]:
    return tuple(read_array(file, "objectives", (None,), np.float64).tolist())


def _check(file: h5py.File, text: str, arrays: list[FloatArray]) -> None:
    if digest_of(text, *arrays) != file.attrs["fingerprint"]:
        raise FormatError(f"{file.filename}: damaged: the model does not fit its fingerprint")
