"""Subspace models on disk: what was written is read back; what is damaged is named."""

import numpy as np
import pytest
from forging import altered
from small_recordings import KINDS, draw_gmm, draw_recordings

from voicegmm._base.errors import FormatError
from voicegmm.mixture import SphericalGMM
from voicegmm.store import describe, load, load_factors, save, save_back_end, save_factors
from voicegmm.subspace import (
    BackEnd,
    BackEndOptions,
    FactorAnalysis,
    FactorAnalysisOptions,
    LdaOptions,
    PldaOptions,
    TotalVariability,
    TotalVariabilityOptions,
    extract,
    learn_back_end,
    train_factor_analysis,
    train_total_variability,
)


def draw(kind="diagonal"):
    rng = np.random.default_rng(0)
    gmm = draw_gmm(rng, kind=kind)
    return draw_recordings(rng, gmm, n_speakers=10)[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_subspace_of_i_vectors(kind, tmp_path):
    recordings, _ = draw(kind)
    model = train_total_variability(recordings, TotalVariabilityOptions(3, 2))
    path = tmp_path / "t.h5"
    save(path, model)
    found = load(path)
    assert isinstance(found, TotalVariability)
    assert found.objectives == model.objectives
    assert extract(found, recordings).tobytes() == extract(model, recordings).tobytes()
    told = describe(path)
    assert told["format"] == "voicegmm/total-variability"
    assert (told["rank"], told["n_components"], told["covariance_type"]) == (3, 3, kind)
    assert told["objectives"] == list(model.objectives)


@pytest.mark.parametrize("relevance", [4.0, np.inf])
def test_factor_analysis(relevance, tmp_path):
    recordings, speakers = draw()
    options = FactorAnalysisOptions(2, 1, relevance, 2)
    model = train_factor_analysis(recordings, speakers, options)
    path = tmp_path / "f.h5"
    save(path, model)
    found = load(path)
    assert isinstance(found, FactorAnalysis)
    assert found.loadings.tobytes() == model.loadings.tobytes()
    assert (found.relevance, found.objectives) == (relevance, model.objectives)
    told = describe(path)
    assert (told["session_rank"], told["speaker_rank"]) == (2, 1)


def test_spherical_background_and_rank_zero(tmp_path):
    gmm = SphericalGMM([0.5, 0.5], np.zeros((2, 3)), [1.0, 2.0])
    model = FactorAnalysis(gmm, np.zeros((2, 3, 0)), np.zeros((2, 3, 1)), 1.0)
    save(tmp_path / "f.h5", model)
    found = load(tmp_path / "f.h5")
    assert isinstance(found.gmm, SphericalGMM)
    assert found.speaker_loadings.shape == (2, 3, 0)


@pytest.mark.parametrize(
    "options",
    [
        BackEndOptions(("center", "lda", "length"), lda=LdaOptions(2), plda=PldaOptions(rank=1)),
        BackEndOptions(("center", "wccn", "nap"), score="cosine", n_removed=1),
        BackEndOptions((), score="cosine"),
    ],
)
def test_back_ends(options, tmp_path):
    rng = np.random.default_rng(1)
    speakers = np.repeat(["a", "b", "c", "d", "e"], 5)
    x = rng.standard_normal((25, 4)) + 2 * rng.standard_normal((5, 4)).repeat(5, axis=0)
    back_end = learn_back_end(x, speakers, options)
    path = tmp_path / "b.h5"
    save_back_end(path, back_end, parent="abc")
    found = load(path)
    assert found.options == options
    y = back_end(x)
    assert found(x).tobytes() == y.tobytes()
    assert found.scores(y, y).tobytes() == back_end.scores(y, y).tobytes()
    told = describe(path)
    assert told["parent"] == "abc"
    assert told["steps"] == list(options.steps)
    assert told["n_dims"][-1:] == ([y.shape[1]] if options.steps else [])
    assert ("speaker_variances" in told) == (options.score == "plda")


def test_damage_is_named(tmp_path):
    recordings, _ = draw()
    model = train_total_variability(recordings, TotalVariabilityOptions(2, 1))
    path = tmp_path / "t.h5"

    def broken(change, message):
        save_factors(path, model)
        with altered(path) as file:
            change(file)
        with pytest.raises(FormatError, match=message):
            load(path)

    def other_number(file):
        file["loadings"][0, 0, 0] += 1

    def other_version(file):
        file.attrs["format_version"] = 9

    def other_kind(file):
        file["ubm"].attrs["covariance_type"] = "round"

    save_back_end(path, BackEnd(BackEndOptions((), score="cosine"), ()))
    with pytest.raises(FormatError, match="back-end, where voicegmm/total-variability or"):
        load_factors(path)
    broken(other_number, "does not fit its fingerprint")
    broken(other_version, "version 9")
    broken(other_kind, "damaged")
    broken(lambda file: file.pop("loadings"), "loadings is missing")
    broken(lambda file: file["ubm"].pop("variances"), "variances")
