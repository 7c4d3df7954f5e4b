"""voicegmm.GaussianMixture beside scikit-learn's: the same starts, the same answers, and more."""

import pickle
import subprocess
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
import sklearn.mixture
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from voicegmm import GaussianMixture
from voicegmm.mixture import (
    DiagonalGMM,
    estimator_fit,
    incomplete_log_density,
    incomplete_online_step,
    log_density,
    online_start,
    online_step,
    posteriors,
)

KINDS = ["full", "tied", "diag", "spherical"]
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]
ATTRIBUTES = ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]


def frames_of(seed=0, n=400, dtype=np.float64):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 6, (4, 3))
    parts = [c + rng.standard_normal((n // 4, 3)) @ rng.standard_normal((3, 3)) for c in centers]
    return np.concatenate(parts).astype(dtype)


# A tied covariance of single frames scikit-learn makes of the squares of all frames: left out.
ALIKE = [
    (kind, start)
    for kind in KINDS
    for start in STARTS
    if kind != "tied" or start in ("kmeans", "random")
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("kind", "init_params"), ALIKE)
def test_the_same_random_state_gives_what_scikit_learn_gives(kind, init_params):
    frames = frames_of()
    options = {
        "n_components": 4, "covariance_type": kind, "init_params": init_params, "n_init": 2,
        "random_state": 3, "max_iter": 40, "reg_covar": 1e-3,
    }  # fmt: skip
    theirs = sklearn.mixture.GaussianMixture(**options).fit(frames)
    ours = GaussianMixture(**options).fit(frames)
    # scikit-learn's tied covariance loses digits: it subtracts two large products.
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-10)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_ == theirs.converged_
    np.testing.assert_allclose(ours.lower_bounds_[1:], theirs.lower_bounds_[1:], rtol=1e-9)
    other = frames_of(1)
    np.testing.assert_array_equal(ours.predict(other), theirs.predict(other))
    np.testing.assert_allclose(ours.predict_proba(other), theirs.predict_proba(other), atol=1e-6)
    for name in ("score_samples", "score", "bic", "aic"):
        found, wanted = (getattr(model, name)(other) for model in (ours, theirs))
        np.testing.assert_allclose(found, wanted, rtol=1e-7)
    for found, wanted in zip(ours.sample(50), theirs.sample(50), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_given_parameters_are_the_start_and_none_is_computed(kind):
    frames = frames_of()
    start = sklearn.mixture.GaussianMixture(4, covariance_type=kind, random_state=0, max_iter=0)
    start.fit(frames)
    given = {
        "weights_init": start.weights_, "means_init": start.means_,
        "precisions_init": start.precisions_,
    }  # fmt: skip
    with mock.patch.object(estimator_fit, "_shares", side_effect=AssertionError):
        ours = GaussianMixture(4, covariance_type=kind, max_iter=0, **given).fit(frames)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(ours, name), getattr(start, name), rtol=1e-8, atol=1e-10)
    assert ours.n_iter_ == 0
    assert ours.lower_bounds_ == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_a_frame_of_weight_two_is_two_frames_and_of_weight_none_is_none(kind, init_params):
    frames = frames_of(2)
    times = np.random.default_rng(0).integers(0, 4, len(frames))
    options = {
        "n_components": 3, "covariance_type": kind, "init_params": init_params, "random_state": 1,
        "reg_covar": 1e-2, "max_iter": 200,
    }  # fmt: skip
    weighted = GaussianMixture(**options).fit(frames, sample_weight=times)
    ones = np.ones(times.sum())
    repeated = GaussianMixture(**options).fit(np.repeat(frames, times, axis=0), sample_weight=ones)
    for name in ATTRIBUTES:
        found, wanted = getattr(weighted, name), getattr(repeated, name)
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(weighted.lower_bound_, repeated.lower_bound_, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_far_from_zero_gives_the_double_answer(kind):
    rng = np.random.default_rng(4)
    frames = np.concatenate([rng.normal(1e3, 0.1, (500, 2)), rng.normal(1e3 + 1, 0.1, (500, 2))])
    frames = frames.astype(np.float32)
    options = {"n_components": 2, "covariance_type": kind, "random_state": 0, "reg_covar": 1e-9}
    single = GaussianMixture(**options).fit(frames)
    double = GaussianMixture(**options).fit(frames.astype(np.float64))
    for name in ATTRIBUTES:
        assert getattr(single, name).dtype == np.float32
        scale = np.abs(getattr(double, name)).max()
        np.testing.assert_allclose(getattr(single, name), getattr(double, name), atol=1e-4 * scale)
    assert single.score_samples(frames).dtype == np.float32
    assert single.predict_proba(frames).dtype == np.float32
    np.testing.assert_array_equal(
        single.predict(frames), np.repeat([0, 1], 500) ^ single.predict(frames)[0]
    )


def test_attributes_that_a_user_sets_are_used():
    frames = frames_of()
    model = GaussianMixture(4, covariance_type="full", random_state=0).fit(frames)
    made = GaussianMixture(4, covariance_type="full")
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(made, name, getattr(model, name))
    made.n_features_in_ = 3
    np.testing.assert_array_equal(made.score_samples(frames), model.score_samples(frames))
    made.means_ = made.means_ + 1.0
    np.testing.assert_allclose(made.score_samples(frames + 1), model.score_samples(frames))


def test_the_core_and_the_estimator_agree_and_survive_pickle():
    frames = frames_of()
    model = GaussianMixture(3, random_state=0).fit(frames)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(frames), model.predict_proba(frames))
    np.testing.assert_allclose(log_density(model._mixture(), frames), model.score_samples(frames))
    np.testing.assert_allclose(posteriors(model._mixture(), frames), model.predict_proba(frames))


def test_more_frames_than_a_work_item_give_the_same_as_fewer_at_a_time(monkeypatch):
    frames = frames_of(n=4000)
    options = {"n_components": 4, "covariance_type": "diag", "random_state": 0}
    whole = GaussianMixture(**options).fit(frames)
    monkeypatch.setattr(estimator_fit, "WORK_ITEM", 100)
    threaded = GaussianMixture(**options).fit(frames)
    np.testing.assert_allclose(threaded.means_, whole.means_, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_of_batches_comes_near_the_fit_of_all(kind):
    rng = np.random.default_rng(5)
    frames = rng.permutation(frames_of(3, n=20_000)) + 100
    options = {"n_components": 4, "covariance_type": kind, "random_state": 0}
    whole = GaussianMixture(**options).fit(frames)
    stream = GaussianMixture(**options)
    for batch in np.split(frames, 40):
        stream.partial_fit(batch)
    assert stream.n_iter_ == 40
    assert stream.score(frames) > whole.score(frames) - 0.02
    assert len(stream.lower_bounds_) == 40
    again = GaussianMixture(**options).fit(frames[:500]).partial_fit(frames[500:1000])
    assert again.n_iter_ == 1
    again.fit(frames[:500])
    assert again.converged_


def test_a_stream_with_a_forgetting_factor_follows_what_moves():
    rng = np.random.default_rng(6)
    still = GaussianMixture(2, random_state=0)
    agile = GaussianMixture(2, random_state=0, forgetting_factor=0.6)
    for place in np.linspace(0, 20, 60):
        batch = np.concatenate([rng.normal(place, 1, (50, 1)), rng.normal(place + 10, 1, (50, 1))])
        still.partial_fit(batch)
        agile.partial_fit(batch, sample_weight=np.ones(100))
    np.testing.assert_allclose(np.sort(agile.means_[:, 0]), [20, 30], atol=1.5)
    assert np.sort(still.means_[:, 0])[0] < 19


def test_what_cannot_be_is_refused():
    frames = frames_of()
    with pytest.raises(ValueError, match="'init_params' parameter of GaussianMixture must be"):
        GaussianMixture(init_params="lloyd").fit(frames)
    with pytest.raises(ValueError, match="'forgetting_factor' parameter"):
        GaussianMixture(forgetting_factor=1.0).partial_fit(frames)
    with pytest.raises(ValueError, match="contains NaN"):
        GaussianMixture().fit([[0.0], [np.nan], [1.0]])
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        GaussianMixture().fit(frames, sample_weight=-np.ones(len(frames)))
    with pytest.raises(ValueError, match="above 0 for one frame|at least one non-zero"):
        GaussianMixture().fit(frames, sample_weight=np.zeros(len(frames)))
    with pytest.raises(ValueError, match="'weights' should be normalized"):
        GaussianMixture(2, weights_init=[0.5, 0.6]).fit(frames)
    with pytest.raises(ValueError, match="'means' should be finite"):
        GaussianMixture(1, means_init=[[0, 0, np.inf]]).fit(frames)
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        GaussianMixture(5).partial_fit(frames[:4])
    with pytest.raises(ValueError, match="features"):
        GaussianMixture(2).partial_fit(frames).partial_fit(frames[:, :2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_collapse_is_held_and_told(kind):
    # A component that starts on one frame, narrow, shrinks to nothing unless reg_covar holds it.
    frames = np.concatenate([np.random.default_rng(7).standard_normal((50, 1)), [[99.0]]])
    precisions = {
        "full": np.ones((2, 1, 1)), "tied": np.ones((1, 1)), "diag": np.ones((2, 1)),
        "spherical": np.ones(2),
    }[kind]  # fmt: skip
    model = GaussianMixture(
        2, covariance_type=kind, reg_covar=0, weights_init=[0.5, 0.5], means_init=[[0], [99]],
        precisions_init=precisions,
    )  # fmt: skip
    if kind == "tied":  # shared with the other frames, it cannot
        model.fit(frames)
    else:
        with pytest.warns(ConvergenceWarning, match="1 variances collapsed"):
            model.fit(frames)
    assert np.isfinite(model.score_samples(frames)).all()


def test_verbose_tells_starts_and_iterations(capsys):
    GaussianMixture(2, random_state=0, verbose=2, verbose_interval=1, n_init=2).fit(frames_of())
    text = capsys.readouterr().out
    assert "Initialization 1\n" in text
    assert "  Iteration 1\t time lapse" in text
    assert "Initialization converged. time lapse" in text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        GaussianMixture(2, random_state=0, max_iter=1).fit(frames_of())
    assert capsys.readouterr().out == ""


def test_importing_the_package_does_not_import_scikit_learn():
    code = "import sys, voicegmm, voicegmm.mixture; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def holed(frames, share=0.3, seed=8):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(frames.shape) < share, np.nan, frames).astype(frames.dtype)


@pytest.mark.parametrize(("kind", "init_params"), list(zip(KINDS, STARTS, strict=True)))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_missing_values_are_summed_away_where_asked(kind, init_params):
    frames = frames_of(n=800)
    holes = holed(frames)
    options = {
        "covariance_type": kind, "init_params": init_params, "random_state": 2, "n_init": 2,
        "max_iter": 30,
    }  # fmt: skip
    with pytest.raises(ValueError, match="contains NaN"):
        GaussianMixture(4, **options).fit(holes)
    model = GaussianMixture(4, **options, missing_values="marginalize").fit(holes)
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    assert model.score(frames) > GaussianMixture(4, **options).fit(frames).score(frames) - 0.3
    np.testing.assert_allclose(
        model.score_samples(holes), incomplete_log_density(model._mixture(), holes)
    )
    np.testing.assert_array_equal(model.predict(holes), model.predict_proba(holes).argmax(axis=1))
    np.testing.assert_array_equal(model.fit_predict(holes), model.predict(holes))
    assert np.isfinite([model.score(holes), model.bic(holes), model.aic(holes)]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_marginalizing_changes_nothing_where_nothing_is_missing(dtype):
    frames = frames_of(dtype=dtype)
    plain, asked = (
        GaussianMixture(4, random_state=0, missing_values=how).fit(frames)
        for how in ("refuse", "marginalize")
    )
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(asked, name), getattr(plain, name))
    np.testing.assert_array_equal(asked.score_samples(frames), plain.score_samples(frames))


def test_impute_fills_holes_whatever_was_learned_from():
    frames = frames_of(n=1200)
    holes = holed(frames)
    lost = np.isnan(holes)
    by_column = np.where(lost, np.nanmean(holes, axis=0), holes)
    errors = []
    for model, seen in (
        (GaussianMixture(4, random_state=0), frames),
        (GaussianMixture(4, random_state=0, missing_values="marginalize"), holes),
    ):
        filled = model.fit(seen).impute(holes)
        np.testing.assert_array_equal(filled[~lost], frames[~lost])
        errors.append(np.square(filled - frames).sum())
    assert max(errors) < 0.4 * np.square(by_column - frames).sum()
    assert model.impute(holes.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="contains infinity"):
        model.impute([[0.0, np.inf, 1.0]])
    with pytest.raises(NotFittedError):
        GaussianMixture().impute(holes)


def test_a_stream_with_holes_is_learned_from_and_one_without_as_ever():
    rng = np.random.default_rng(9)
    frames = rng.permutation(frames_of(3, n=12_000)) + 100
    holes = holed(frames)
    stream = GaussianMixture(4, random_state=0, missing_values="marginalize")
    whole = GaussianMixture(4, random_state=0).fit(frames)
    for batch in np.split(np.concatenate([frames[:400], holes[400:]]), 30):
        stream.partial_fit(batch)
    assert stream.n_iter_ == 30
    assert stream.score(frames) > whole.score(frames) - 0.05
    with pytest.raises(ValueError, match="contains NaN"):
        GaussianMixture(4).partial_fit(holes)
    first = online_start(DiagonalGMM([0.5, 0.5], [[90.0] * 3, [110.0] * 3], np.full((2, 3), 50.0)))
    ordinary = online_step(online_step(first, frames[:200]), frames[200:300])
    ours = incomplete_online_step(incomplete_online_step(first, frames[:200]), frames[200:300])
    np.testing.assert_array_equal(ours.gmm.means, ordinary.gmm.means)
    assert ours.n_remembered == ordinary.n_remembered
    assert incomplete_online_step(ours, frames[:0]) is ours


def test_more_holes_than_a_work_item_and_what_cannot_be_learned(monkeypatch):
    frames = holed(frames_of(n=4000))
    options = {"n_components": 4, "covariance_type": "diag", "random_state": 0}
    options["missing_values"] = "marginalize"
    whole = GaussianMixture(**options).fit(frames)
    monkeypatch.setattr(estimator_fit, "WORK_ITEM", 100)
    np.testing.assert_allclose(GaussianMixture(**options).fit(frames).means_, whole.means_)
    frames[:, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 3 are missing in all, the first is number 1 "):
        GaussianMixture(**options).fit(frames)
    with pytest.raises(ValueError, match="'missing_values' parameter of GaussianMixture must be"):
        GaussianMixture(missing_values="ignore").fit(frames)
    with pytest.raises(ValueError, match="contains infinity"):
        GaussianMixture(missing_values="marginalize").fit([[np.inf], [1.0], [2.0]])
