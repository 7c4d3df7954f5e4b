"""Back ends on vectors: against Kaldi, dense Gaussians of all vectors together, and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.subspace import (
    Affine,
    BackEnd,
    BackEndOptions,
    LdaOptions,
    Plda,
    PldaOptions,
    centering,
    cosine_scores,
    lda,
    learn_back_end,
    nap,
    normalize_length,
    plda_log_likelihood,
    plda_scores,
    speaker_means,
    train_plda,
    wccn,
    whitening,
)


def draw(seed=0, n_speakers=30, n_dims=5, rank=None, least=1, most=6):
    rng = np.random.default_rng(seed)
    counts = rng.integers(least, most + 1, n_speakers)
    counts[0] = most
    speakers = np.repeat(np.arange(n_speakers), counts)
    loadings = rng.standard_normal((n_dims, rank or n_dims))
    noise = rng.standard_normal((n_dims, n_dims)) + 2 * np.eye(n_dims)
    y = rng.standard_normal((n_speakers, loadings.shape[1])) @ loadings.T
    x = 3 + y[speakers] + rng.standard_normal((len(speakers), n_dims)) @ noise.T
    return x, [f"s{number}" for number in speakers]


def log_normal(x, covariance):
    return -0.5 * (
        x.size * np.log(2 * np.pi)
        + np.linalg.slogdet(covariance)[1]
        + x @ np.linalg.solve(covariance, x)
    )


def dense(plda, vectors):
    """Give the log-density of one speaker's vectors as one long Gaussian vector."""
    n = len(vectors)
    covariance = np.kron(np.eye(n), plda.within) + np.kron(np.ones((n, n)), plda.between)
    return log_normal((vectors - plda.mean).ravel(), covariance)


def of_each(x, speakers):
    return [x[np.array(speakers) == name] for name in dict.fromkeys(speakers)]


def same_but_for_signs(found, expected, **tolerances):
    signs = np.sign((found * expected).sum(axis=1))[:, None]
    np.testing.assert_allclose(signs * found, expected, **tolerances)


@pytest.fixture(scope="module")
def kaldi(shared):
    with np.load(shared("oracles/kaldi/plda.npz")) as values:
        return dict(values)


class TestKaldi:
    def test_plda(self, kaldi):
        found = train_plda(kaldi["plda_train"], kaldi["plda_train_spk"])
        np.testing.assert_allclose(found.mean, kaldi["plda.mean"], atol=1e-6)
        np.testing.assert_allclose(found.psi, kaldi["plda.psi"], rtol=1e-5)
        same_but_for_signs(found.transform, kaldi["plda.transform"], atol=1e-5)

    @pytest.mark.parametrize("expected_length", [False, True])
    def test_scores(self, kaldi, expected_length):
        plda = train_plda(kaldi["plda_train"], kaldi["plda_train_spk"])
        found = plda_scores(
            plda,
            kaldi["enrol_mean"],
            kaldi["test_utts"],
            np.full(20, 3),
            expected_length=expected_length,
        )
        name = f"plda_scores_normlen_{str(expected_length).lower()}"
        np.testing.assert_allclose(found, kaldi[name], atol=1e-3)

    def test_lda(self, kaldi):
        options = LdaOptions(n_dims=10, total_share=0.1)
        found = lda(kaldi["plda_train"], kaldi["plda_train_spk"], options)
        offset = -(found.matrix @ found.mean)[:, None]
        expected = kaldi["lda_d10_tcf0.1"]
        same_but_for_signs(np.hstack([found.matrix, offset]), expected, atol=1e-4)

    def test_cosine_is_the_dot_product_of_what_was_normalized(self, kaldi):
        models, tests = kaldi["enrol_mean"], kaldi["test_utts"]
        lengths = np.linalg.norm(models, axis=1)[:, None] * np.linalg.norm(tests, axis=1)
        np.testing.assert_allclose(
            cosine_scores(models, tests), models @ tests.T / lengths, atol=1e-6
        )


@given(
    seed=st.integers(0, 1000),
    n_model=st.integers(1, 4),
    n_test=st.integers(1, 3),
    rank=st.integers(1, 4),
)
def test_scores_are_the_ratio_of_densities_of_all_vectors_together(seed, n_model, n_test, rank):
    rng = np.random.default_rng(seed)
    a, f = rng.standard_normal((4, 4)), rng.standard_normal((4, rank))
    plda = Plda(rng.standard_normal(4), a @ a.T + 0.1 * np.eye(4), f @ f.T)
    model, test = rng.standard_normal((n_model, 4)), rng.standard_normal((n_test, 4))
    found = plda_scores(
        plda,
        model.mean(axis=0)[None],
        test.mean(axis=0)[None],
        np.array([n_model]),
        np.array([n_test]),
    )[0, 0]
    together = dense(plda, np.vstack([model, test]))
    expected = together - dense(plda, model) - dense(plda, test)
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_scores_of_any_numbers_of_vectors_stand_in_their_places():
    x, _ = draw(3)
    plda = Plda(x.mean(axis=0), np.cov(x.T), 0.5 * np.cov(x.T))
    n, m = np.array([2, 1, 2, 5]), np.array([1, 3, 1])
    found = plda_scores(plda, x[:4], x[4:7], n, m)
    for row in range(4):
        for column in range(3):
            one = plda_scores(plda, x[[row]], x[[4 + column]], n[[row]], m[[column]])
            assert found[row, column] == pytest.approx(one[0, 0], rel=1e-12)
    np.testing.assert_allclose(found.T, plda_scores(plda, x[4:7], x[:4], m, n), rtol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2, 4])
def test_every_iteration_of_plda_raises_the_likelihood(rank):
    x, speakers = draw(rank)
    last = -np.inf
    for n_iterations in range(1, 12):
        plda = train_plda(x, speakers, PldaOptions(rank, n_iterations))
        found = plda_log_likelihood(plda, x, speakers)
        assert found > last - 1e-9 * abs(found)
        last = found
    assert found == pytest.approx(sum(dense(plda, one) for one in of_each(x, speakers)), rel=1e-10)
    assert np.linalg.matrix_rank(plda.between, tol=1e-8) == (rank or 5)


def test_both_kinds_of_plda_go_to_the_same_maximum():
    rng = np.random.default_rng(7)
    speakers = np.repeat(np.arange(60), 5)
    x = rng.standard_normal((300, 3)) + 2 * rng.standard_normal((60, 3))[speakers]
    two = train_plda(x, speakers, PldaOptions(0, 100))
    simplified = train_plda(x, speakers, PldaOptions(3, 100))
    one = plda_log_likelihood(two, x, speakers)
    assert plda_log_likelihood(simplified, x, speakers) == pytest.approx(one, rel=1e-10)
    np.testing.assert_allclose(simplified.psi, two.psi, rtol=1e-4)


def test_plda_finds_the_subspace_that_the_speakers_were_drawn_from():
    rng = np.random.default_rng(1)
    loadings = rng.standard_normal((6, 2)) * 2
    speakers = np.repeat(np.arange(2000), 4)
    x = rng.standard_normal((2000, 2))[speakers] @ loadings.T + rng.standard_normal((8000, 6))
    plda = train_plda(x, speakers, PldaOptions(rank=2, n_iterations=50))
    np.testing.assert_allclose(plda.between, loadings @ loadings.T, atol=0.5)
    np.testing.assert_allclose(plda.within, np.eye(6), atol=0.06)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_plda_does_not_depend_on_the_basis(seed):
    rng = np.random.default_rng(seed)
    x, speakers = draw(seed)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    plain, turned = (train_plda(y, speakers, PldaOptions(2, 3)) for y in (x, x @ turn + 1))
    found = plda_scores(turned, x[:3] @ turn + 1, x[3:6] @ turn + 1)
    np.testing.assert_allclose(found, plda_scores(plain, x[:3], x[3:6]), rtol=1e-6, atol=1e-8)


def test_lda_gives_speakers_apart_and_unit_within():
    x, speakers = draw(2, n_speakers=40, least=2)
    y = lda(x, speakers, LdaOptions(3))(x)
    rest = np.vstack([one - one.mean(axis=0) for one in of_each(y, speakers)])
    np.testing.assert_allclose(rest.T @ rest / len(y), np.eye(3), atol=1e-9)
    between = np.cov(y.T, bias=True) - np.eye(3)
    np.testing.assert_allclose(between, np.diag(np.diagonal(between)), atol=1e-9)
    assert (np.diff(np.diagonal(between)) <= 0).all()


@pytest.mark.slow
def test_lda_is_scikit_learns():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x, speakers = draw(2, n_speakers=40, least=2)
    y = lda(x, speakers, LdaOptions(3))(x)
    z = LinearDiscriminantAnalysis(solver="eigen", n_components=3).fit(x, speakers).transform(x)
    z -= z.mean(axis=0)
    same_but_for_signs((y / y.std(axis=0)).T, (z / z.std(axis=0)).T, rtol=1e-6, atol=1e-8)


def test_whitening_wccn_and_nap_do_what_they_promise():
    x, speakers = draw(4)
    np.testing.assert_allclose(np.cov(whitening(x)(x).T, bias=True), np.eye(5), atol=1e-9)
    np.testing.assert_allclose(centering(x)(x).mean(axis=0), 0, atol=1e-12)
    y = wccn(x, speakers)(x)
    rest = np.vstack([one - one.mean(axis=0) for one in of_each(y, speakers)])
    np.testing.assert_allclose(rest.T @ rest / len(y), np.eye(5), atol=1e-9)
    learned = nap(x, speakers, 2)
    np.testing.assert_allclose(learned.matrix @ learned.matrix, learned.matrix, atol=1e-12)
    assert np.trace(learned.matrix) == pytest.approx(3)
    rest = np.vstack([one - one.mean(axis=0) for one in of_each(x, speakers)])
    worst = np.linalg.svd(rest)[2][:2]
    np.testing.assert_allclose(learned.matrix @ worst.T, 0, atol=1e-9)
    np.testing.assert_array_equal(nap(x, speakers, 0)(x), x)


@given(st.integers(0, 1000), st.sampled_from([1e-300, 1e-9, 1.0, 1e200]))
def test_lengths_are_one_whatever_they_were(seed, scale):
    x = scale * np.random.default_rng(seed).standard_normal((3, 4))
    np.testing.assert_allclose(np.linalg.norm(normalize_length(x), axis=1), 1, rtol=1e-12)
    assert not normalize_length(np.zeros((1, 4))).any()


def test_a_chain_of_steps_is_the_steps_one_by_one():
    x, speakers = draw(5)
    options = BackEndOptions(
        steps=("center", "nap", "whiten", "length", "lda", "wccn"),
        n_removed=1,
        score="cosine",
        lda=LdaOptions(3, total_share=0.1),
    )
    with pytest.raises(DataError, match="do not vary|singular"):
        learn_back_end(x, speakers, options)  # what NAP removed cannot be whitened
    options = BackEndOptions(
        ("center", "length", "lda", "nap"), n_removed=1, score="cosine", lda=LdaOptions(3)
    )
    found = learn_back_end(x, speakers, options)
    y = normalize_length(centering(x)(x))
    y = lda(y, speakers, LdaOptions(3))(y)
    y = nap(y, speakers, 1)(y)
    np.testing.assert_allclose(found(x), y, atol=1e-12)
    np.testing.assert_allclose(found.scores(y[:2], y[2:]), cosine_scores(y[:2], y[2:]))


def test_plda_at_the_end_knows_how_many_vectors_a_model_has():
    x, speakers = draw(6)
    options = BackEndOptions(("center", "length"), plda=PldaOptions(rank=2))
    back_end = learn_back_end(x, speakers, options)
    y = back_end(x)
    names, means, counts = speaker_means(y, speakers)
    assert names[0] == "s0"
    assert counts.sum() == len(x)
    found = back_end.scores(means, y, counts)
    np.testing.assert_allclose(found, plda_scores(back_end.plda, means, y, counts))
    assert (np.diff(back_end.plda.psi) <= 0).all()


def test_bad_vectors_are_named():
    x, speakers = draw()
    cases = [
        (lambda: train_plda(x, ["a"] * len(x)), "two speakers or more"),
        (lambda: wccn(x, [str(i) for i in range(len(x))]), "one vector only"),
        (lambda: wccn(x, speakers[1:]), "one a vector"),
        (lambda: wccn(x[:, [0, 0]], speakers), "within speakers is singular: only 1 of 2"),
        (lambda: train_plda(x[:, [0, 0]], speakers), "LDA first"),
        (lambda: lda(x[:, [0, 0]], speakers, LdaOptions(1)), "total_share above 0"),
        (lambda: lda(x, speakers, LdaOptions(6)), "n_dims must be at most 5"),
        (lambda: train_plda(x, speakers, PldaOptions(rank=6)), "rank must be at most 5"),
        (lambda: whitening(x[:3]), "singular"),
        (lambda: centering(x[:0]), "at least"),
        (lambda: wccn(np.full_like(x, np.nan), speakers), "vectors must be finite"),
        (lambda: Plda(np.zeros(2), np.eye(3), np.eye(2)), "within must be finite and of shape"),
        (lambda: Plda(np.zeros(2), np.zeros((2, 2)), np.eye(2)), "singular"),
        (lambda: Affine(np.zeros(2), np.eye(3)), "to go with the mean"),
        (lambda: centering(x)(x[:, :2]), "must have 5 columns"),
        (lambda: speaker_means(x, ["a"]), "one a vector"),
        (lambda: BackEnd(BackEndOptions(), ()), "maps must be 3"),
        (lambda: BackEnd(BackEndOptions(steps=()), ()), "plda must be given"),
    ]
    for call, message in cases:
        with pytest.raises(DataError, match=message):
            call()
    plda = train_plda(x, speakers)
    for counts in (np.array([0, 1]), np.array([1.0, 1.0]), np.array([1])):
        with pytest.raises(DataError, match="model_counts must be"):
            plda_scores(plda, x[:2], x[2:3], counts)


def test_bad_options_are_named():
    for make, message in (
        (lambda: LdaOptions(0), "n_dims must be at least 1"),
        (lambda: LdaOptions(total_share=2), "total_share must be between"),
        (lambda: PldaOptions(rank=-1), "rank must be at least 0"),
        (lambda: PldaOptions(n_iterations=0), "n_iterations must be"),
        (lambda: BackEndOptions(("lenght",)), "did you mean 'length'"),
        (lambda: BackEndOptions(score="pdla"), "did you mean 'plda'"),
        (lambda: BackEndOptions(("nap",)), "n_removed must be above 0"),
        (lambda: BackEndOptions(n_removed=2), "n_removed must be above 0"),
        (lambda: BackEndOptions(score="cosine", expected_length=True), "expected_length is for"),
    ):
        with pytest.raises(OptionError, match=message):
            make()
