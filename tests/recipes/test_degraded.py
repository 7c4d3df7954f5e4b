"""The degraded condition and the cross-validation of speechocean762, on a tree of its shape."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voicegmm.corpus import Enrollment, Trials, write_enrollments, write_files, write_trials
from voicegmm.experiment import load_recipe
from voicegmm.synthesis import draw_voice, speak

FOLDER = Path(__file__).parents[2] / "recipes/speechocean762"


def script(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    sys.modules.pop("prepare", None)
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A copy of the corpus in small: ten background speakers and one more, a second a sentence."""
    root = tmp_path_factory.mktemp("corpus")
    names = [f"{number:04d}" for number in range(11)]
    files = {name: [f"{name}/{name}{take}.flac" for take in range(6)] for name in names}
    for number, (name, own) in enumerate(files.items()):
        (root / name).mkdir()
        rng = np.random.default_rng(number)
        voice = draw_voice(rng)
        for file in own:
            soundfile.write(root / file, speak(voice, rng, seconds=1.2).samples, 16000)
    lists = root / "protocol"
    lists.mkdir()
    write_files(lists / "ubm.txt", [file for name in names[:10] for file in files[name]])
    last = names[10]
    write_enrollments(lists / "enrol.tsv", [Enrollment(last, tuple(files[last][:4]))])
    write_trials(lists / "trials.txt", Trials.of((last, file, 1) for file in files[last][4:]))
    rows = "".join(f"{file}\t{name}\tf\n" for name in names for file in files[name])
    (root / "metadata.tsv").write_text("file\tspeaker\tgender\n" + rows)
    return root


@pytest.mark.slow
def test_a_degraded_copy_is_whole_and_hangs_on_seed_and_name_alone(corpus, tmp_path, monkeypatch):
    degrade = script("degrade", monkeypatch).degrade
    lots = degrade(corpus, tmp_path / "one", 0)
    assert len(lots) == 66
    assert degrade(corpus, tmp_path / "two", 0, n_workers=2) == lots
    assert degrade(corpus, tmp_path / "other", 1) != lots
    for name in lots:
        clean, rate = soundfile.read(corpus / name)
        heard, again = (soundfile.read(tmp_path / side / name)[0] for side in ("one", "two"))
        np.testing.assert_array_equal(heard, again)
        assert (len(heard), rate) == (len(clean), 16000)
        assert np.abs(np.corrcoef(heard, clean)[0, 1]) < 0.999
    for name in ("ubm.txt", "enrol.tsv", "trials.txt"):
        copied = (tmp_path / "one/protocol" / name).read_text()
        assert copied.split() == (corpus / "protocol" / name).read_text().split()
    table = (tmp_path / "one/conditions.tsv").read_text().splitlines()
    assert len(table) == 67
    assert {len(line.split("\t")) for line in table} == {7}


@pytest.mark.slow
def test_cross_validation_hears_no_trial_speaker(corpus, tmp_path, monkeypatch):
    module = script("cross_validate", monkeypatch)
    assert set(module.genders(corpus).values()) == {"f"}
    settings = ["ubm.n_components=8", "ubm.em.n_iterations=3"]
    recipe = load_recipe(str(FOLDER / "recipe.toml"), settings).recipe
    seen, backends = [], []
    original = module.rehearse

    def spy(frames, recordings, *rest, **more):
        backends.append(more["backend"].method)
        seen.append((set(recordings), more["scoring"]))
        return original(frames, recordings, *rest, **more)

    monkeypatch.setattr(module, "rehearse", spy)
    found = module.cross_validate(recipe, corpus, module.genders(corpus), (0, 1), 2)
    assert seen == [({f"{number:04d}" for number in range(10)}, recipe.scoring)] * 2
    assert len(found) == 2
    assert max(found) < 0.35  # voices far apart, a second each
    normalized = load_recipe(
        str(FOLDER / "recipe.toml"), [*settings, "scoring.normalization.method=t"]
    ).recipe
    (one,) = module.cross_validate(normalized, corpus, module.genders(corpus), (0,), 1)
    assert seen[-1][1].normalization.method == "t"
    assert one < 0.35
    isv = load_recipe("isv", [*settings, "backend.rank=2", "data.prepare=prepare.py"]).recipe
    (one,) = module.cross_validate(isv, corpus, module.genders(corpus), (0,), 1)
    assert backends == ["map"] * 3 + ["isv"]
    assert one < 0.35


@pytest.mark.slow
def test_cross_validation_fuses_by_other_speakers(corpus, tmp_path, monkeypatch):
    module = script("cross_validate", monkeypatch)
    (tmp_path / "fused.toml").write_text(
        'name = "two"\n[systems]\na = "gmm-ubm"\nb = "gmm-ubm-mean"\n'
    )
    settings = ["ubm.n_components=8", "ubm.em.n_iterations=3"]
    recipe = load_recipe(str(tmp_path / "fused.toml"), settings).recipe
    fused_of = []
    original = module.fuse_held_out

    def spy(matrix, target, models, voices, options):
        fused_of.append((matrix.shape[1], set(target[models == voices])))
        return original(matrix, target, models, voices, options)

    monkeypatch.setattr(module, "fuse_held_out", spy)
    (found,) = module.cross_validate_fused(recipe, corpus, module.genders(corpus), (0,), 2)
    assert fused_of == [(2, {True})]
    assert found < 0.35
