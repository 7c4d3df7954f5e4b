"""MAP adaptation: each rule against Kaldi or the formulas written out, and what must hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm._base.options import from_mapping, to_mapping
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    EmOptions,
    FullGMM,
    MapOptions,
    SphericalGMM,
    Statistics,
    TiedGMM,
    accumulate,
    adapt,
    adapt_iterated,
    adapt_means,
    collector,
    first_from_means,
    log_density,
    maximize,
    sample,
)

seeds = st.integers(0, 2**32 - 1)
PARTS = ("means", "variances", "weights")


def draw(seed, n_frames=120, n_components=4, n_dims=3):
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        2 * rng.standard_normal((n_components, n_dims)),
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )
    return rng, gmm, sample(gmm, n_frames, rng)[0] + rng.standard_normal(n_dims)


@st.composite
def map_options(draw_from):
    """Any options that can be."""
    rule = draw_from(st.sampled_from(["reynolds", "fixed", "kaldi"]))
    parts = draw_from(st.sets(st.sampled_from(PARTS), min_size=1))
    name, values = (
        ("alpha", st.floats(0, 1)) if rule == "fixed" else ("relevance", st.floats(0, 60))
    )
    given_options = {name: draw_from(values)}
    for part in parts - {"means"}:
        if draw_from(st.booleans()):
            given_options[f"{name}_{part}"] = draw_from(values)
    return MapOptions(rule=rule, **{part: part in parts for part in PARTS}, **given_options)


# Statistics, typed in: counts 8, 2.5 and none at all.
SMALL = DiagonalGMM([0.5, 0.3, 0.2], [[0, 1], [4, -2], [10, 10]], [[1, 2], [0.5, 3], [1, 1]])
SMALL_STATISTICS = Statistics(
    np.array([8, 2.5, 0]),
    np.array([[4, 12], [12.5, -3.75], [0, 0]]),
    np.array([[14, 26], [64, 9.0], [0, 0]]),
    0.0,
    10.5,
)
# What Kaldi's MapDiagGmmUpdate made of them, through kaldi-hmm-gmm 1.1.4, in float32: parts, the
# mean, variance and weight taus, weights, means and variances of components 0 and 1.
KALDI = [
    ("m", (10, 50, 10), (0.5, 0.3, 0.2),
     [[0.2222221940755844, 1.2222222089767456], [4.199999809265137, -1.899999976158142]],
     [[1, 2], [0.5, 3]]),
    ("v", (10, 50, 10), (0.5, 0.3, 0.2), [[0, 1], [4, -2]],
     [[1.1034482717514038, 1.8965518474578857], [0.5523809790611267, 2.933333396911621]]),
    ("w", (3, 5, 20), (0.5901639461517334, 0.2786885201931, 0.13114754855632782),
     [[0, 1], [4, -2]], [[1, 2], [0.5, 3]]),
    ("mv", (3, 5, 20), (0.5, 0.3, 0.2),
     [[0.36363640427589417, 1.3636363744735718], [4.454545497894287, -1.7727272510528564]],
     [[1.319135308265686, 1.396058440208435], [0.6325069069862366, 2.4747934341430664]]),
    ("mvw", (10, 50, 10), (0.6341463327407837, 0.26829269528388977, 0.09756097942590714),
     [[0.2222221940755844, 1.2222222089767456], [4.199999809265137, -1.8999998569488525]],
     [[1.0796083211898804, 1.8727116584777832], [0.5352380871772766, 2.9290473461151123]]),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "taus", "weights", "means", "variances"), KALDI)
def test_kaldi_makes_the_same_models(parts, taus, weights, means, variances):
    chosen = {name: name[0] in parts for name in PARTS}
    own = {
        f"relevance_{name}": tau
        for name, tau in zip(PARTS[1:], taus[1:], strict=True)
        if chosen[name] and taus != (10, 50, 10)  # Kaldi's defaults are to be ours
    }
    options = MapOptions(rule="kaldi", relevance=taus[0], **chosen, **own)
    model = adapt(SMALL, SMALL_STATISTICS, options)
    np.testing.assert_allclose(model.weights, weights, rtol=3e-7)
    np.testing.assert_allclose(model.means, [*means, [10, 10]], rtol=3e-7)
    np.testing.assert_allclose(model.variances, [*variances, [1, 1]], rtol=1e-6)


def in_loops(prior, statistics, o):
    """Adapt by the rules' formulas, one number at a time."""
    K, D = prior.means.shape
    weights, means, variances = (
        np.array(getattr(prior, n)) for n in ("weights", "means", "variances")
    )
    total = sum(statistics.counts)

    def alpha_of(n, part):
        if n <= 1e-10:
            return 0.0
        if o.rule == "fixed":
            own = getattr(o, f"alpha_{part}", None)
            return o.alpha if own is None else own
        own = getattr(o, f"relevance_{part}", None)
        if own is None:
            own = 50.0 if (o.rule, part) == ("kaldi", "variances") else o.relevance
        return n / (n + own)

    for k in range(K):
        n = statistics.counts[k]
        for d in range(D):
            f, s = statistics.first[k, d], statistics.second[k, d]
            m, v = prior.means[k, d], prior.variances[k, d]
            a = alpha_of(n, "means")
            if o.means and a:
                means[k, d] = a * f / n + (1 - a) * m
            b = alpha_of(n, "variances")
            if o.variances and b:
                mu = means[k, d]
                spread = max(s / n - 2 * mu * f / n + mu * mu, 0)
                rest = v if o.rule == "kaldi" else v + (m - mu) ** 2
                variances[k, d] = max(b * spread + (1 - b) * rest, o.variance_floor * v)
            elif o.variances and o.rule != "kaldi":
                variances[k, d] = v + (m - means[k, d]) ** 2
        if o.weights and o.rule == "kaldi":
            tau = 10.0 if o.relevance_weights is None else o.relevance_weights
            weights[k] = (n + tau * prior.weights[k]) / (total + tau)
        elif o.weights:
            c = alpha_of(n, "weights")
            weights[k] = c * n / total + (1 - c) * prior.weights[k]
    return weights / weights.sum(), means, variances


@given(seeds, map_options())
def test_every_rule_equals_its_formulas_in_loops(seed, options):
    _, gmm, frames = draw(seed, n_frames=25)
    statistics = accumulate(gmm, frames)
    model = adapt(gmm, statistics, options)
    for ours, theirs in zip(
        (model.weights, model.means, model.variances),
        in_loops(gmm, statistics, options),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@given(seeds, map_options())
def test_a_model_is_one_whatever_the_options(seed, options):
    rng, gmm, _ = draw(seed)
    for frames in (5 * rng.standard_normal((2, 3)), np.zeros((1, 3)), np.empty((0, 3))):
        model = adapt(gmm, accumulate(gmm, frames), options)
        assert (model.variances >= options.variance_floor * gmm.variances * (1 - 1e-12)).all()
        assert (model.weights >= 0).all()
        assert model.weights.sum() == pytest.approx(1, abs=1e-12)
        if not len(frames):
            np.testing.assert_array_equal(model.means, gmm.means)
            np.testing.assert_array_equal(model.variances, gmm.variances)
            np.testing.assert_allclose(model.weights, gmm.weights, rtol=1e-12)


@given(seeds, map_options())
def test_the_order_of_recordings_does_not_matter(seed, options):
    rng, gmm, frames = draw(seed)
    parts = np.array_split(frames, 5)
    total = sum((accumulate(gmm, p) for p in parts), Statistics.zero(gmm))
    other = sum((accumulate(gmm, parts[i]) for i in rng.permutation(5)), Statistics.zero(gmm))
    a, b = adapt(gmm, total, options), adapt(gmm, other, options)
    for name in PARTS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-10)


@given(seeds, st.sampled_from(["reynolds", "kaldi"]))
def test_relevance_without_end_gives_the_prior_and_none_maximum_likelihood(seed, rule):
    _, gmm, frames = draw(seed)
    statistics = accumulate(gmm, frames)
    parts = {"variances": True, "weights": True}

    def with_relevance(r):
        own = {f"relevance_{part}": r for part in parts}
        return adapt(gmm, statistics, MapOptions(rule=rule, relevance=r, **parts, **own))

    ml = maximize(gmm, statistics, EmOptions(variance_floor=1e-12, min_count=0)).gmm
    for name in PARTS:
        far, near = getattr(with_relevance(1e13), name), getattr(with_relevance(0.0), name)
        np.testing.assert_allclose(far, getattr(gmm, name), rtol=1e-6, atol=1e-8)
        # Tiny counts leave few digits in E[x^2] - mean^2, in either function.
        np.testing.assert_allclose(near, getattr(ml, name), rtol=1e-5, atol=1e-8)


@given(seeds)
def test_alpha_goes_from_the_prior_to_maximum_likelihood(seed):
    _, gmm, frames = draw(seed)
    statistics = accumulate(gmm, frames)
    ml = maximize(gmm, statistics, EmOptions(variance_floor=1e-12, min_count=0)).gmm
    for alpha, expected in ((0.0, gmm), (1.0, ml)):
        options = MapOptions(rule="fixed", alpha=alpha, variances=True, weights=True)
        model = adapt(gmm, statistics, options)
        for name in PARTS:
            np.testing.assert_allclose(
                getattr(model, name), getattr(expected, name), rtol=1e-5, atol=1e-8
            )


@pytest.mark.parametrize(
    "options",
    [
        MapOptions(relevance=0, variances=True, weights=True),
        MapOptions(relevance=4, variances=True, relevance_variances=0),
        MapOptions(rule="fixed", alpha=1, variances=True, weights=True),
        MapOptions(rule="kaldi", relevance=0, variances=True, relevance_variances=0),
    ],
    ids=["relevance 0", "variances' relevance 0", "alpha 1", "kaldi"],
)
@pytest.mark.parametrize("count", [0.0, 1e-11])
def test_a_component_without_data_keeps_the_prior(options, count):
    s = SMALL_STATISTICS
    counts = np.array([8, 2.5, count])
    model = adapt(SMALL, replace(s, counts=counts), options)
    np.testing.assert_array_equal(model.means[2], [10, 10])
    np.testing.assert_array_equal(model.variances[2], [1, 1])
    assert model.weights[2] > 0.1


def test_reynolds_variances_are_his_equation_where_means_have_the_same_alpha():
    s = SMALL_STATISTICS
    model = adapt(SMALL, s, MapOptions(relevance=16, variances=True))
    n = s.counts[:2, None]
    alpha = n / (n + 16)
    old = SMALL.variances[:2] + SMALL.means[:2] ** 2
    eq_13 = alpha * s.second[:2] / n + (1 - alpha) * old - model.means[:2] ** 2
    np.testing.assert_allclose(model.variances[:2], eq_13, rtol=1e-12)


@given(seeds, map_options(), st.floats(0, 1))
def test_statistics_come_back_from_means(seed, options, share):
    _, gmm, frames = draw(seed)
    options = replace(options, means=True, variances=False, weights=False, relevance_variances=None,
                      relevance_weights=None, alpha_variances=None, alpha_weights=None)  # fmt: skip
    cut = int(share * len(frames))
    old, new = accumulate(gmm, frames[:cut]), accumulate(gmm, frames[cut:])
    means = adapt(gmm, old, options).means
    first = first_from_means(gmm.means, old.counts, means, options)
    if options.alpha is None or options.alpha > 0.01:
        np.testing.assert_allclose(first, old.first, rtol=1e-9, atol=1e-7)
    # What matters in the end: the model of both is the model of all.
    both = replace(new, counts=new.counts + old.counts, first=new.first + first)
    expected = adapt(gmm, old + new, options).means
    np.testing.assert_allclose(adapt(gmm, both, options).means, expected, rtol=1e-9, atol=1e-7)


def test_means_of_many_at_once_are_those_of_each():
    rng, gmm, _ = draw(5)
    each = [accumulate(gmm, rng.standard_normal((30, 3))) for _ in range(3)]
    counts, first = np.array([s.counts for s in each]), np.array([s.first for s in each])
    many = adapt_means(gmm.means, counts, first, 6.0)
    for means, statistics in zip(many, each, strict=True):
        np.testing.assert_array_equal(means, adapt(gmm, statistics, MapOptions(6.0)).means)


def test_other_shapes_of_covariance():
    _, gmm, frames = draw(6)
    spherical = SphericalGMM(gmm.weights, gmm.means, gmm.variances.mean(1))
    full = FullGMM(gmm.weights, gmm.means, [np.diag(v) for v in gmm.variances])
    tied = TiedGMM(gmm.weights, gmm.means, np.diag(gmm.variances.mean(0)))
    for prior in (spherical, full, tied):
        statistics = accumulate(prior, frames)
        model = adapt(prior, statistics, MapOptions(relevance=5, weights=True))
        assert type(model) is type(prior)
        expected = adapt_means(gmm.means, statistics.counts, statistics.first, 5)
        np.testing.assert_allclose(model.means, expected, rtol=1e-12)
    with pytest.raises(OptionError, match="variances must be false .* this one is full"):
        adapt(full, accumulate(full, frames), MapOptions(variances=True))
    # A spherical variance is the mean of what each dimension's would be.
    statistics = accumulate(spherical, frames)
    wide = DiagonalGMM(gmm.weights, gmm.means, np.array(spherical.variances_by_dim()))
    options = MapOptions(variances=True)
    np.testing.assert_allclose(
        adapt(spherical, statistics, options).variances,
        adapt(wide, statistics, options).variances.mean(1),
    )


@given(seeds, map_options())
def test_one_iteration_is_adapt(seed, options):
    _, gmm, frames = draw(seed)
    collect = collector(ArraySource(frames))
    model, statistics = adapt_iterated(gmm, collect, options)
    once = adapt(gmm, statistics, options)
    for name in PARTS:
        np.testing.assert_array_equal(getattr(model, name), getattr(once, name))
    np.testing.assert_array_equal(statistics.first, collect(gmm).first)


@given(seeds)
def test_each_iteration_collects_anew_and_adapts_the_same_prior(seed):
    _, gmm, frames = draw(seed)
    options = MapOptions(relevance=3, variances=True, n_iterations=4)
    model, _ = adapt_iterated(gmm, lambda m: accumulate(m, frames), options)
    by_hand = gmm
    for _ in range(4):
        by_hand = adapt(gmm, accumulate(by_hand, frames), replace(options, n_iterations=1))
    np.testing.assert_array_equal(model.means, by_hand.means)
    np.testing.assert_array_equal(model.variances, by_hand.variances)


@settings(max_examples=15)
@given(seeds)
def test_iterations_raise_the_log_posterior_of_the_means(seed):
    rng, gmm, _ = draw(seed)
    frames = sample(gmm, 60, rng)[0] + 1
    relevance, reached = 5.0, []
    for n in range(1, 6):
        options = MapOptions(relevance, n_iterations=n)
        model, _ = adapt_iterated(gmm, collector(ArraySource(frames)), options)
        prior = -0.5 * relevance * ((model.means - gmm.means) ** 2 / gmm.variances).sum()
        reached.append(log_density(model, frames).sum() + prior)
    assert (np.diff(reached) > -1e-9 * np.abs(reached[1:])).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"relevance": -1}, "relevance must be at least 0, got -1"),
        ({"relevance": np.inf}, "relevance must be finite, got inf"),
        ({"relevance": np.nan}, "relevance must be at least 0, got nan"),
        ({"means": False}, "nothing would be adapted"),
        ({"rule": "reynold"}, "rule must be one of .*did you mean 'reynolds'"),
        ({"variances": True, "relevance_variances": -2}, "relevance_variances must be at least 0"),
        ({"relevance_variances": 2}, "variances must be true where relevance_variances is given"),
        ({"alpha": 0.5}, "alpha must not be given with the rule 'reynolds', got 0.5"),
        ({"rule": "fixed"}, "alpha must be given with the rule 'fixed'"),
        ({"rule": "fixed", "alpha": 1.5}, "alpha must be between 0 and 1, got 1.5"),
        ({"rule": "fixed", "alpha": 0.5, "relevance": 3}, "relevance must not be given"),
        (
            {"rule": "fixed", "alpha": 0.5, "weights": True, "relevance_weights": 3},
            "relevance_weights must not be given with the rule 'fixed', got 3; give alpha_weights",
        ),
        ({"weights": True, "alpha_weights": 0.1}, "give relevance_weights"),
        ({"variance_floor": 0}, "variance_floor must be greater than 0"),
        ({"n_iterations": 0}, "n_iterations must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(OptionError, match=message):
        MapOptions(**wrong)


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(OptionError, match="n_iterations must be 1 .* got 3; adapt_iterated"):
        adapt(SMALL, SMALL_STATISTICS, MapOptions(n_iterations=3))
    other = DiagonalGMM([1.0], [[0.0, 0.0]], [[1.0, 1.0]])
    with pytest.raises(DataError, match=r"statistics must be of .* = \(1, 2\)"):
        adapt(other, SMALL_STATISTICS)


@given(map_options())
def test_options_pass_through_a_file(options):
    assert from_mapping(MapOptions, to_mapping(options)) == options
    assert from_mapping(MapOptions, {"relevance": 10.0, "means": True}) == MapOptions()
