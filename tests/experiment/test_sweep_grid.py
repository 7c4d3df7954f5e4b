"""The points of a sweep: every combination once, named; what cannot be is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import OptionError
from voicegmm.experiment.sweep_grid import Axis, grid_points, read_axis, short_keys


def test_every_combination_the_last_option_fastest():
    points = grid_points(
        "demo",
        ["ubm.n_components=8,16", "features.normalization.method=none,mean"],
        ["ubm.em.n_iterations=3"],
    )
    assert [point.name for point in points] == [
        "n_components=8,method=none",
        "n_components=8,method=mean",
        "n_components=16,method=none",
        "n_components=16,method=mean",
    ]
    recipes = [point.loaded.recipe for point in points]
    assert [recipe.ubm.n_components for recipe in recipes] == [8, 8, 16, 16]
    assert [recipe.features.normalization.method for recipe in recipes] == ["none", "mean"] * 2
    assert {recipe.ubm.em.n_iterations for recipe in recipes} == {3}


def test_presets_are_values_too():
    points = grid_points("demo", ["features.extends=voicegmm-16k,sidekit"])
    assert [point.name for point in points] == ["features=voicegmm-16k", "features=sidekit"]
    first, second = (point.loaded.recipe.features for point in points)
    assert first != second


def test_values_are_laid_over_presets_whichever_is_named_first():
    grid = ["features.normalization.method=none,mean", "features.extends=voicegmm-16k,sidekit"]
    points = grid_points("demo", grid, ["features.static.n_cepstra=12"])
    features = [point.loaded.recipe.features for point in points]
    assert [each.normalization.method for each in features] == ["none"] * 2 + ["mean"] * 2
    assert {each.static.n_cepstra for each in features} == {12}


def test_lists_and_texts_with_commas():
    assert read_axis("evaluation.p_targets=[0.01],[0.01, 0.05]").values == (
        "[0.01]",
        "[0.01, 0.05]",
    )
    assert read_axis("description='a,b',\"c,]\",d").values == ("'a,b'", '"c,]"', "d")
    points = grid_points("demo", ["evaluation.p_targets=[0.01],[0.01,0.05]"])
    assert [p.loaded.recipe.evaluation.p_targets for p in points] == [(0.01,), (0.01, 0.05)]
    assert all("/" not in p.name and "[" not in p.name for p in points)
    assert len({p.name for p in points}) == 2


@settings(max_examples=20)
@given(st.lists(st.integers(-99, 99) | st.lists(st.integers(0, 9), max_size=3), unique_by=str))
def test_values_come_out_as_they_went_in(values):
    texts = [str(value).replace(" ", "") for value in values]
    if texts:
        assert read_axis(f"a.b = {' , '.join(texts)}") == Axis("a.b", tuple(texts))


def test_short_names_tell_options_apart():
    assert short_keys(["ubm.seed", "features.seed"]) == {
        "ubm.seed": "ubm.seed",
        "features.seed": "features.seed",
    }
    assert short_keys(["seed", "ubm.n"]) == {"seed": "seed", "ubm.n": "n"}


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ([], "at least one --grid"),
        (["ubm.n_components"], "--grid takes key=value,value, .*got 'ubm.n_components'"),
        (["ubm.n_components=8,"], "--grid takes key=value,value"),
        (["=8"], "--grid takes key=value,value"),
        (["ubm.n_components=8, 8"], "ubm.n_components has the value 8 twice"),
        (["ubm.n_components=8", "ubm.n_components=9"], "--grid ubm.n_components stands twice"),
        (["ubm.n_componets=8"], "n_componets=8: unknown option .*did you mean 'n_components'"),
        (["umb.n_components=8"], "did you mean 'ubm'"),
        (["ubm.n_components=8,0"], "=0: n_components must be at least 1, got 0"),
        (["features.normalization.method=none,maen"], "got 'maen' .did you mean 'mean'"),
        (["features.extends=sidekiit"], "no preset is called 'sidekiit' .did you mean 'sidekit'"),
        (["adaptation.relevance=10,10.0"], "relevance=10 and relevance=10.0 are the same exp"),
    ],
)
def test_refusals_come_before_any_work(grid, said):
    with pytest.raises(OptionError, match=said):
        grid_points("demo", grid)


def test_an_option_is_not_set_and_swept():
    with pytest.raises(OptionError, match="ubm.n_components stands in --grid and in --set"):
        grid_points("demo", ["ubm.n_components=8,16"], ["ubm.n_components = 8"])


def test_true_is_not_one():
    assert read_axis("a=1,true").values == ("1", "true")
