"""Subspace models on disk: total variability, factor analysis, back ends of vectors, systems."""

import os
from collections.abc import Callable

import h5py
import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.errors import FormatError
from voicegmm._base.options import canonical_json
from voicegmm.mixture import DiagonalGMM, FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.scoring import Subspace, SubspaceOptions
from voicegmm.scoring.background import digest_of
from voicegmm.store.contents import read_contents, write_contents
from voicegmm.store.datasets import (
    damage_named,
    read_array,
    read_options,
    read_strings,
    write_strings,
)
from voicegmm.store.hdf5 import new_file, open_file
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
SUBSPACE_FORMAT, SUBSPACE_VERSION = "voicegmm/subspace", 2

Factors = TotalVariability | FactorAnalysis

_COVARIANCES: dict[str, tuple[Callable[..., Mixture], str]] = {
    "diagonal": (DiagonalGMM, "variances"),
    "spherical": (SphericalGMM, "variances"),
    "full": (FullGMM, "covariances"),
    "tied": (TiedGMM, "covariance"),
}
_PLDA = ("mean", "within", "between")
_FACTORS: dict[type, tuple[tuple[str, int], tuple[str, ...]]] = {
    TotalVariability: ((TOTAL_VARIABILITY_FORMAT, TOTAL_VARIABILITY_VERSION), ("rank",)),
    FactorAnalysis: (
        (FACTOR_ANALYSIS_FORMAT, FACTOR_ANALYSIS_VERSION),
        ("session_rank", "speaker_rank"),
    ),
}
_OF_VECTORS, _OF_SPEAKERS = ("loadings",), ("speaker_loadings", "session_loadings")


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


def _loadings_of(model: Factors) -> tuple[str, ...]:
    return _OF_VECTORS if isinstance(model, TotalVariability) else _OF_SPEAKERS


def _write_factors(group: h5py.Group, model: Factors) -> None:
    for name in _loadings_of(model):
        group[name] = getattr(model, name)
    group["objectives"] = np.array(model.objectives, np.float64)
    if isinstance(model, FactorAnalysis):
        group.attrs["relevance"] = model.relevance


def _read_factors(group: h5py.Group, gmm: Mixture) -> Factors:
    def loadings(name: str) -> Float64Array:
        return read_array(group, name, (*gmm.means.shape, None), np.float64)

    objectives = tuple(read_array(group, "objectives", (None,), np.float64).tolist())
    if "relevance" not in group.attrs:
        return TotalVariability(gmm, loadings("loadings"), objectives)
    relevance = float(group.attrs["relevance"])
    speaker, session = map(loadings, _OF_SPEAKERS)
    return FactorAnalysis(gmm, speaker, session, relevance, objectives)


def _content(model: Factors) -> tuple[str, list[FloatArray]]:
    """Give what the fingerprint of a file of factors is made of."""
    told: object = model.objectives
    if isinstance(model, FactorAnalysis):
        told = [str(model.relevance), model.objectives]
    loadings = [getattr(model, name) for name in _loadings_of(model)]
    return canonical_json(told), [*_arrays_of(model.gmm).values(), *loadings]


def save_factors(path: str | os.PathLike[str], model: Factors, parent: str = "") -> None:
    """Write a subspace of i-vectors, or those of ISV or JFA, with the background model.

    Parameters
    ----------
    path : path
    model : TotalVariability or FactorAnalysis
    parent : str
        Fingerprint of the `BackgroundModel` that the statistics were collected under.
    """
    (kind, version), ranks = _FACTORS[type(model)]
    text, arrays = _content(model)
    options = {name: getattr(model, name) for name in ranks}
    options |= {"n_iterations": len(model.objectives)}
    with new_file(path, kind, version, options, digest_of(text, *arrays), parent) as file:
        _write_background(file.create_group("ubm"), model.gmm)
        _write_factors(file, model)


def load_factors(path: str | os.PathLike[str]) -> Factors:
    """Read a subspace of i-vectors, or those of ISV or JFA.

    Raises
    ------
    FormatError
        If the file holds neither, or is damaged.
    """
    formats = dict(one for one, _ in _FACTORS.values())
    with open_file(path) as file:
        kind = str(file.attrs["format"])
    if kind not in formats:
        raise FormatError(f"{path}: holds {kind}, where {' or '.join(formats)} was expected")
    with damage_named(path), open_file(path, kind, formats[kind]) as file:
        model = _read_factors(file, _read_background(file["ubm"]))
        _check(file, *_content(model))
        return model


def _write_back_end(group: h5py.Group, back_end: BackEnd) -> None:
    for number, one in enumerate(back_end.maps):
        step = group.create_group(f"maps/{number:04d}")
        step["mean"], step["matrix"] = one.mean, one.matrix
    if back_end.plda:
        plda = group.create_group("plda")
        for name in _PLDA:
            plda[name] = getattr(back_end.plda, name)


def _read_back_end(group: h5py.Group, options: BackEndOptions) -> BackEnd:
    maps = [_read_map(group["maps"][name]) for name in sorted(group.get("maps", ()))]
    plda = None
    if "plda" in group:
        n = len(read_array(group["plda"], "mean", (None,), np.float64))
        shapes = zip(_PLDA, ((n,), (n, n), (n, n)), strict=True)
        plda = Plda(*(read_array(group["plda"], name, shape, np.float64) for name, shape in shapes))
    return BackEnd(options, tuple(maps), plda)


def _read_map(group: h5py.Group) -> Affine:
    mean = read_array(group, "mean", (None,), np.float64)
    return Affine(mean, read_array(group, "matrix", (None, len(mean)), np.float64))


def save_back_end(path: str | os.PathLike[str], back_end: BackEnd, parent: str = "") -> None:
    """Write the steps of a back end, whole or not at all.

    Parameters
    ----------
    path : path
    back_end : BackEnd
    parent : str
        Fingerprint of the model that the vectors were extracted by.
    """
    digest = digest_of(canonical_json(back_end.options), *back_end.arrays)
    with new_file(
        path, BACK_END_FORMAT, BACK_END_VERSION, back_end.options, digest, parent
    ) as file:
        _write_back_end(file, back_end)


def load_back_end(path: str | os.PathLike[str]) -> BackEnd:
    """Read the steps of a back end.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    with damage_named(path), open_file(path, BACK_END_FORMAT, BACK_END_VERSION) as file:
        back_end = _read_back_end(file, read_options(file, "options", BackEndOptions, str(path)))
        # By the text as it stands: options that came after the file was written are not in it.
        _check(file, str(file.attrs["options"]), back_end.arrays)
        return back_end


def write_subspace(group: h5py.Group, subspace: Subspace) -> None:
    """Write a subspace beside the background model that it was trained under."""
    group.attrs["options"] = canonical_json(subspace.options)
    write_strings(group, "notes", subspace.notes)
    write_contents(group, "contents", subspace.contents)
    _write_factors(group, subspace.factors)
    if subspace.back_end:
        _write_back_end(group.create_group("back_end"), subspace.back_end)


def read_subspace(group: h5py.Group, gmm: Mixture, where: str) -> Subspace:
    """Read a subspace that was trained under a background model."""
    options = read_options(group, "options", SubspaceOptions, where)
    back_end = None
    if "back_end" in group:
        back_end = _read_back_end(group["back_end"], options.vectors)
    notes = read_strings(group, "notes")
    contents = read_contents(group, "contents")
    return Subspace(options, _read_factors(group, gmm), back_end, notes, contents)


def save_subspace(path: str | os.PathLike[str], subspace: Subspace, parent: str = "") -> None:
    """Write a subspace with its background model, whole or not at all.

    Parameters
    ----------
    path : path
    subspace : Subspace
    parent : str
        Fingerprint of the `BackgroundModel` that it was trained under.
    """
    kind, version = SUBSPACE_FORMAT, SUBSPACE_VERSION
    with new_file(path, kind, version, subspace.options, subspace.fingerprint, parent) as file:
        _write_background(file.create_group("ubm"), subspace.factors.gmm)
        write_subspace(file.create_group("subspace"), subspace)


def load_subspace(path: str | os.PathLike[str]) -> Subspace:
    """Read a subspace.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    with damage_named(path), open_file(path, SUBSPACE_FORMAT, SUBSPACE_VERSION) as file:
        subspace = read_subspace(file["subspace"], _read_background(file["ubm"]), str(path))
        _check(file, str(file["subspace"].attrs["options"]), subspace.arrays)
        return subspace


def _check(file: h5py.File, text: str, arrays: list[FloatArray]) -> None:
    if digest_of(text, *arrays) != file.attrs["fingerprint"]:
        raise FormatError(f"{file.filename}: damaged: the model does not fit its fingerprint")
