"""Several starts, and the table of candidates: held to scikit-learn, and to data of known truth."""

import numpy as np
import pytest
import sklearn.mixture
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    FullGMM,
    InitialOptions,
    SelectionOptions,
    SphericalGMM,
    TiedGMM,
    collector,
    fit,
    fit_best,
    information_criteria,
    initialize,
    log_density,
    n_parameters,
    posteriors,
    sample,
    select,
)

SHAPES = {"spherical": "spherical", "diagonal": "diag", "tied": "tied", "full": "full"}


@given(st.integers(1, 6), st.integers(1, 5))
@settings(max_examples=20)
def test_parameters_are_counted_exactly(K, D):
    weights, means, unit = np.full(K, 1 / K), np.zeros((K, D)), np.eye(D)
    made = {
        "spherical": SphericalGMM(weights, means, np.ones(K)),
        "diagonal": DiagonalGMM(weights, means, np.ones((K, D))),
        "tied": TiedGMM(weights, means, unit),
        "full": FullGMM(weights, means, np.tile(unit, (K, 1, 1))),
    }
    for shape, theirs in SHAPES.items():
        model = sklearn.mixture.GaussianMixture(K, covariance_type=theirs)
        model.means_ = means
        assert n_parameters(made[shape]) == model._n_parameters()


def truth():
    roots = np.array([[[1.0, 0], [0.9, 0.3]], [[1.0, 0], [-0.9, 0.3]], [[0.4, 0], [0, 0.4]]])
    covariances = roots @ np.swapaxes(roots, 1, 2)
    return FullGMM([0.4, 0.4, 0.2], [[0, 0], [4, 0], [2, 5]], covariances)


def test_every_criterion_finds_the_mixture_that_made_the_data():
    rng = np.random.default_rng(0)
    frames, _ = sample(truth(), 1500, rng)
    em = EmOptions(n_iterations=50, tolerance=1e-4, variance_floor=1e-3)
    options = SelectionOptions(n_components=(1, 3, 5), n_starts=2, em=em)
    done = []
    table = select(frames, rng, options, progress=done.append)
    assert table.rows == tuple(done)
    assert [(row.covariance_type, row.n_components) for row in table.rows] == [
        (shape, number) for shape in SHAPES for number in (1, 3, 5)
    ]
    for criterion in ("bic", "icl"):
        best = table.best(criterion)
        assert (best.covariance_type, best.n_components) == ("full", 3)
    for criterion in ("aic", "held_out"):  # these forgive a component too many
        best = table.best(criterion)
        assert best.covariance_type == "full"
        assert best.n_components in (3, 5)
    fresh, _ = sample(truth(), 20_000, rng)
    expected = log_density(truth(), fresh).mean()
    # 300 frames were held out: three standard errors of their mean.
    assert abs(table.best("held_out").held_out - expected) < 3 * 1.2 / np.sqrt(300)


def test_each_row_says_what_scikit_learn_says_of_the_same_mixture():
    rng = np.random.default_rng(1)
    frames, _ = sample(truth(), 500, rng)
    options = SelectionOptions(n_components=(1, 3), held_out=0)
    table = select(frames, rng, options)
    for row in table.rows:
        gmm = row.gmm
        model = sklearn.mixture.GaussianMixture(
            row.n_components, covariance_type=SHAPES[row.covariance_type]
        )
        if row.covariance_type == "full":
            factors = np.swapaxes(np.linalg.inv(np.linalg.cholesky(gmm.covariances)), 1, 2)
        elif row.covariance_type == "tied":
            factors = np.linalg.inv(np.linalg.cholesky(gmm.covariance)).T
        else:
            factors = 1 / np.sqrt(gmm.variances)
        model.weights_, model.means_, model.precisions_cholesky_ = gmm.weights, gmm.means, factors
        np.testing.assert_allclose(row.bic, model.bic(frames), rtol=1e-9)
        np.testing.assert_allclose(row.aic, model.aic(frames), rtol=1e-9)
        np.testing.assert_allclose(row.log_likelihood, model.score(frames) * 500, rtol=1e-9)
        labels = model.predict(frames)
        chosen = model.predict_proba(frames)[np.arange(500), labels]
        np.testing.assert_allclose(row.icl, row.bic - 2 * np.log(chosen).sum(), rtol=1e-9)
        assert row.icl >= row.bic - 1e-9
        assert np.isnan(row.held_out)
    with pytest.raises(OptionError, match="held_out must be above 0"):
        table.best("held_out")
    with pytest.raises(OptionError, match=r"criterion must be one of .*did you mean 'bic'"):
        table.best("bick")


def test_the_criteria_by_hand():
    bic, aic, icl = information_criteria(-100.0, 7, 50, -3.0)
    np.testing.assert_allclose([bic, aic, icl], [200 + 7 * np.log(50), 214, 206 + 7 * np.log(50)])


def test_groups_are_held_out_whole():
    # Each group repeats one frame: held out by the frame, the others would give it away.
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 10)
    frames = rng.standard_normal((40, 2))[groups] + 1e-3 * rng.standard_normal((400, 2))
    options = SelectionOptions((1, 30), ("spherical",), held_out=0.25)
    leaky = select(frames, np.random.default_rng(3), options)
    fair = select(frames, np.random.default_rng(3), options, groups=[f"g{k}" for k in groups])
    assert leaky.best("held_out").n_components == 30
    assert fair.best("held_out").n_components == 1


def test_the_same_seed_gives_the_same_table_for_any_number_of_workers():
    frames, _ = sample(truth(), 400, np.random.default_rng(4))
    options = SelectionOptions((2,), ("full", "diagonal"), n_starts=2)
    tables = [
        select(frames, np.random.default_rng(5), options, n_workers=workers) for workers in (1, 2)
    ]
    for one, two in zip(tables[0].rows, tables[1].rows, strict=True):
        assert (one.bic, one.held_out) == (two.bic, two.held_out)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_more_starts_never_end_lower_and_start_alike(seed):
    frames, _ = sample(truth(), 200, np.random.default_rng(seed))
    options = EmOptions(n_iterations=30, variance_floor=1e-3)
    poor = InitialOptions(method="frames", n_kmeans_iterations=0)
    collect = collector(ArraySource(frames))

    def start(rng):
        return initialize(frames, 4, rng, poor, covariance_type="full")

    few = fit_best(start, collect, np.random.default_rng(seed), 2, options)
    many = fit_best(start, collect, np.random.default_rng(seed), 5, options)
    assert many.log_likelihoods[:2] == few.log_likelihoods
    assert max(many.log_likelihoods) == many.log_likelihoods[many.chosen]
    found = log_density(many.best.gmm, frames).mean()
    np.testing.assert_allclose(found, many.log_likelihoods[many.chosen], rtol=1e-12)
    child = np.random.default_rng(seed).spawn(1)[0]
    alone = fit(start(child), collect, options)
    np.testing.assert_allclose(
        log_density(alone.gmm, frames).mean(), few.log_likelihoods[0], rtol=1e-12
    )


def test_progress_tells_start_and_iteration():
    frames, _ = sample(truth(), 100, np.random.default_rng(6))
    seen = []
    fit_best(
        lambda rng: initialize(frames, 2, rng), collector(ArraySource(frames)),
        np.random.default_rng(0), 2, EmOptions(n_iterations=2, tolerance=0),
        lambda number, iteration, line: seen.append((number, iteration)),
    )  # fmt: skip
    assert seen == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_single_precision_frames_make_the_same_choice():
    frames, _ = sample(truth(), 1000, np.random.default_rng(7))
    options = SelectionOptions((1, 3), ("full",), held_out=0)
    table = select(frames.astype(np.float32), np.random.default_rng(0), options)
    assert table.best("icl").n_components == 3
    assert posteriors(table.rows[1].gmm, frames.astype(np.float32)).dtype == np.float32


def test_what_cannot_be_is_refused():
    rng = np.random.default_rng(0)
    frames = np.zeros((10, 2))
    with pytest.raises(OptionError, match="n_components and covariance_types must name one"):
        SelectionOptions(n_components=())
    with pytest.raises(OptionError, match="did you mean 'diagonal'"):
        SelectionOptions(covariance_types=("diagonl",))
    with pytest.raises(OptionError, match="n_components must be at least 1, got 0"):
        SelectionOptions(n_components=(0,))
    with pytest.raises(OptionError, match="held_out must be between 0 and 0.9"):
        SelectionOptions(held_out=1)
    with pytest.raises(OptionError, match="n_starts must be at least 1"):
        fit_best(lambda rng: None, lambda gmm: None, rng, 0)
    with pytest.raises(DataError, match="groups must be 10, one a frame, got 3"):
        select(frames, rng, groups=[1, 2, 3])
    with pytest.raises(DataError, match="1 groups cannot be parted"):
        select(frames, rng, groups=[1] * 10)
    with pytest.raises(DataError, match="8 frames cannot train 9 components"):
        select(frames, rng, SelectionOptions((9,)))
