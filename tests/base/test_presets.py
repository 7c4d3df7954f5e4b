import subprocess
import sys

import pytest

from voicegmm._base.errors import OptionError
from voicegmm._base.presets import find_config, load_config, preset_names, with_overrides
from voicegmm.experiment import load_recipe
from voicegmm.features import PipelineOptions, load_front_end


def test_every_preset_is_valid_and_has_a_name_of_its_own():
    names = preset_names()
    assert {"voicegmm-16k", "voicegmm-8k", "gmm-ubm", "demo"} <= set(names)
    for name, path in names.items():
        if path.parent.name == "features":
            assert load_front_end(name).sample_rate > 0
        else:
            assert load_recipe(name).recipe.name == name
    stems = [path.stem for path in find_config("demo").parents[1].rglob("*.toml")]
    assert len(stems) == len(set(stems))


def test_the_default_front_end_is_the_preset():
    assert load_front_end("voicegmm-16k") == PipelineOptions()


def test_a_file_extends_a_preset_and_a_table_does_too(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "gmm-ubm"\nname = "mine"\n'
        '[features]\nextends = "voicegmm-8k"\n[features.static]\nn_cepstra = 12\n'
        "[ubm]\nn_components = 8\n"
    )
    recipe = load_recipe(str(file)).recipe
    narrow = load_front_end("voicegmm-8k")
    assert recipe.ubm.n_components == 8
    assert recipe.adaptation.relevance == load_recipe("gmm-ubm").recipe.adaptation.relevance
    assert recipe.features.sample_rate == 8000
    assert recipe.features.static.n_cepstra == 12
    assert recipe.features.static.high_hertz == narrow.static.high_hertz


def test_settings_are_laid_over_and_named_in_errors(tmp_path):
    loaded = load_recipe("demo", ["ubm.n_components=16", "features.normalization.method=mean"])
    assert loaded.recipe.ubm.n_components == 16
    assert loaded.recipe.features.normalization.method == "mean"
    swapped = load_recipe("demo", ["features.extends=voicegmm-8k"]).recipe
    assert swapped.features == load_front_end("voicegmm-8k")
    with pytest.raises(OptionError, match=r"at least 1, got 0 \(--set: ubm\.n_components\)"):
        load_recipe("demo", ["ubm.n_components=0"])
    with pytest.raises(OptionError, match=r"'n_component' \(did you mean 'n_components'\?\)"):
        load_recipe("demo", ["ubm.n_component=4"])
    with pytest.raises(OptionError, match="takes key=value"):
        load_recipe("demo", ["ubm.n_components"])


def test_errors_name_the_file_that_holds_the_value(tmp_path):
    base = tmp_path / "base.toml"
    base.write_text('name = "b"\n[ubm]\nn_components = -3\n')
    (tmp_path / "top.toml").write_text('extends = "base.toml"\nseed = 1\n')
    with pytest.raises(OptionError, match=r"base\.toml: ubm\.n_components"):
        load_recipe(str(tmp_path / "top.toml"))
    base.write_text('extends = "top.toml"\n')
    with pytest.raises(OptionError, match="extends itself"):
        load_config(str(base))
    base.write_text("name = \n")
    with pytest.raises(OptionError, match=r"base\.toml: not TOML"):
        load_config(str(base))
    with pytest.raises(OptionError, match=r"did you mean 'voicegmm-16k'"):
        find_config("voicegm-16k")
    with pytest.raises(OptionError, match="no such config file"):
        find_config("missing.toml")
    base.write_text("extends = 3\n")
    with pytest.raises(OptionError, match="extends must be the name of a preset, got 3"):
        load_config(str(base))


def test_overriding_leaves_the_config_as_it_was():
    config = load_config("demo")
    before = str(config.values)
    with_overrides(config, ["ubm.n_components=3", "seed=9"])
    assert str(config.values) == before


def test_importing_loads_no_numeric_library():
    code = (
        "import sys, voicegmm, voicegmm.cli;"
        "print(*[m for m in ('numpy', 'scipy', 'librosa', 'matplotlib', 'numba', 'h5py', 'sklearn')"
        " if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == ""


def test_what_no_config_is_called_is_told_by_kind(tmp_path):
    with pytest.raises(OptionError, match=r"no preset is called 'x'; there are of features: asv.*"):
        find_config("x")
    with pytest.raises(OptionError, match=r"; of recipes: demo, .*\(a path to a file ends in"):
        find_config("x")
    with pytest.raises(OptionError, match=r"results\.json: the name of a config file ends in"):
        find_config(str(tmp_path / "results.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = " + "[" * 3900, "not TOML: maximum recursion"),
        ("x = " + ",\n".join("[" * 3000), "not TOML"),
        (".".join("a" * 20_000) + " = 1", "at most 1000000 bytes, and 4000 in a line"),
        ("x = [\n" + "1,\n" * 400_000 + "]", "at most 1000000 bytes"),
        ("x = 1" + "0" * 3900 + "\ny = 0x" + "f" * 3900, ""),
        ("x = " + "9" * 3999, "a line"),
    ],
)  # fmt: skip
def test_a_config_that_takes_python_to_its_limits_is_one_error(tmp_path, text, message):
    path = tmp_path / "x.toml"
    path.write_text(text)
    if not message:
        assert set(load_config(str(path)).values) == {"x", "y"}
        return
    with pytest.raises(OptionError, match=rf"x\.toml: .*{message}"):
        load_config(str(path))
