"""Short names of options: spelled out wherever they stand, and never beside the full ones."""

import pytest

from voicegmm._base.aliases import aliases_of, full_name, spelled_out
from voicegmm._base.errors import OptionError
from voicegmm.experiment import load_recipe
from voicegmm.experiment.recipe import ALIASES
from voicegmm.experiment.sweep_grid import grid_points
from voicegmm.features import PipelineOptions, load_front_end


def method(recipe):
    return recipe.features.normalization.method


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine"):
        file = tmp_path / f"{name}.toml"
        file.write_text(text)
        return str(file)

    return write


@pytest.mark.parametrize(
    ("value", "meant"), [("none", "none"), ("mean", "mean"), ("sliding", "sliding_mean")]
)
def test_a_short_name_is_spelled_out_in_settings_and_files(write, value, meant):
    loaded = load_recipe("demo", [f"features.cmvn={value}"])
    assert method(loaded.recipe) == meant
    assert loaded.sources["features.normalization.method"] == "--set"
    shown = loaded.to_toml()
    assert f'method = "{meant}"  # --set' in shown
    assert "cmvn" not in shown
    file = write(f'extends = "demo"\n[features]\ncmvn = "{value}"\n')
    assert load_recipe(file).recipe.features == loaded.recipe.features
    assert load_front_end("voicegmm-16k", [f"cmvn={value}"]) == loaded.recipe.features
    front_end = write(f'extends = "voicegmm-16k"\ncmvn = "{value}"\n', "front")
    assert load_front_end(front_end) == loaded.recipe.features
    inside = write(f'extends = "demo"\n[features]\nextends = "{front_end}"\n', "inside")
    assert load_recipe(inside).recipe.features == loaded.recipe.features


def test_what_is_laid_over_counts_by_whichever_name(write):
    short = write('extends = "demo"\n[features]\ncmvn = "sliding"\n')
    full = write('extends = "demo"\n[features.normalization]\nmethod = "mean"\n', "full")
    assert method(load_recipe(short, ["features.normalization.method=warping"]).recipe) == "warping"
    assert method(load_recipe(full, ["features.cmvn=none"]).recipe) == "none"
    over = write(f'extends = "{full}"\n[features]\ncmvn = "none"\n', "over")
    assert method(load_recipe(over).recipe) == "none"


def test_systems_of_a_fused_recipe_have_them_too(write):
    file = write(
        'name = "two"\n[systems]\na = "demo"\n[systems.b]\nextends = "demo"\n'
        '[systems.b.features]\ncmvn = "mean"\n'
    )
    systems = load_recipe(file, ["systems.a.features.cmvn=sliding"]).recipe.systems
    assert [method(systems[name]) for name in "ab"] == ["sliding_mean", "mean"]
    systems = load_recipe(file, ["features.cmvn=none"]).recipe.systems
    assert [method(systems[name]) for name in "ab"] == ["none", "none"]


def test_both_names_at_once_are_refused(write):
    file = write('name="x"\n[features]\ncmvn="none"\n[features.normalization]\nmethod="mean"\n')
    with pytest.raises(OptionError, match=r"cmvn is short for normalization\.method.*mine\.toml"):
        load_recipe(file)
    both = ["features.cmvn=none", "features.normalization.method=mean"]
    with pytest.raises(OptionError, match=r"--set: features\.cmvn and features\.norm.*one option"):
        load_recipe("demo", both)
    with pytest.raises(OptionError, match=r"--grid features\.normalization\.method stands twice"):
        grid_points("demo", [f"{setting},warping" for setting in both])
    with pytest.raises(OptionError, match=r"features\.cmvn stands in --grid and in --set"):
        grid_points("demo", ["features.cmvn=none,sliding"], both[1:])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("features.cmvm=none", "unknown option 'cmvm' .did you mean 'cmvn'"),
        ("ubm.cmvn=none", "unknown option 'cmvn' .did you mean 'features.cmvn'"),
        ("features.cmvn=slidin", r"'slidin' .did you mean .* \(--set: features\.normalization"),
        ("features.cmvn=[1]", r"method: expected `str`.*--set: features\.normalization\.method"),
        ("features.normalization.method=sliding", "must be one of none, mean.*got 'sliding'"),
    ],
)
def test_what_is_no_name_is_refused(setting, said):
    with pytest.raises(OptionError, match=said):
        load_recipe("demo", [setting])


def test_the_line_of_a_sweep():
    points = grid_points("demo", ["ubm.n_components=64,128", "features.cmvn=none,sliding"])
    assert [point.name for point in points][:2] == [
        "n_components=64,cmvn=none",
        "n_components=64,cmvn=sliding",
    ]
    assert [method(point.loaded.recipe) for point in points] == ["none", "sliding_mean"] * 2
    with pytest.raises(OptionError, match=r"\(--grid: features\.normalization\.method\)$"):
        grid_points("demo", ["features.cmvn=none,maen"], ["ubm.n_components=8"])
    with pytest.raises(OptionError, match=r"\(--set: ubm\.n_components\)$"):
        grid_points("demo", ["features.cmvn=none,mean"], ["ubm.n_components=0"])


def test_every_short_name_is_of_an_option_and_hides_none():
    for dotted, alias in ALIASES.items():
        *tables, name = dotted.split(".")
        kind = load_recipe("demo").recipe
        for table in tables:
            kind = getattr(kind, table)
        assert not hasattr(kind, name)
        for step in alias.option.split("."):
            kind = getattr(kind, step)
        assert isinstance(kind, str)
    assert full_name("features.cmvn", ALIASES) == "features.normalization.method"
    assert full_name("ubm.n_components", ALIASES) == "ubm.n_components"
    assert full_name("cmvn", aliases_of(PipelineOptions)) == "normalization.method"
    assert spelled_out({"cmvn": "mean"}, ALIASES, "", "x") == {"cmvn": "mean"}  # not of the root
