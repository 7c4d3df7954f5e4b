"""Files of earlier versions are read, and mean what they meant."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from voicegmm._base.errors import FormatError
from voicegmm.features import DeltaOptions, PipelineOptions, StaticOptions
from voicegmm.scoring import without_speaker
from voicegmm.store import FeatureStore, TrainingCheckpoint, describe, load, save, verify
from voicegmm.store.hdf5 import is_sealed

DATA = Path(__file__).with_name("data")
# What `describe` of the version that wrote the files told of them.
TOLD = json.loads((DATA / "version_1.json").read_text())


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(DATA / "version_1.zip") as archive:
        archive.extractall(folder)
    return folder


def told_of(path, keys):
    """Give some of what `describe` tells, as JSON has it."""
    told = json.loads(json.dumps(describe(path)))
    assert told["file"] == str(path)
    return {key: told.get(key) for key in keys}


def kept(options, old):
    """Whether options still have the values they had; others may have come since."""
    if not isinstance(old, dict):
        return json.loads(json.dumps(options)) == old
    return all(name in options and kept(options[name], value) for name, value in old.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLD)
def test_files_of_version_1_are_described_as_they_were(old, name):
    assert told_of(old / name, TOLD[name]) == TOLD[name]


MODELS = sorted(set(TOLD) - {"features.h5", "checkpoint.h5"})


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "speakers.h5" else pytest.mark.slow)
        for name in MODELS
    ],
)
def test_models_of_version_1_are_the_same_when_written_again(old, tmp_path, name):
    assert not is_sealed(old / name)
    save(tmp_path / name, load(old / name))
    assert is_sealed(tmp_path / name)
    keys = set(TOLD[name]) - {"format_version", "created_by", "parent", "options"}
    # The fingerprint stands for every number of the model; that of a back end for all its options
    # as well, among them those that have come since.
    if name == "back_end.h5":
        keys -= {"fingerprint"}
        old_arrays, new_arrays = load(old / name).arrays, load(tmp_path / name).arrays
        assert [a.tobytes() for a in old_arrays] == [b.tobytes() for b in new_arrays]
    assert told_of(tmp_path / name, keys) == {key: TOLD[name][key] for key in keys}
    assert kept(describe(tmp_path / name)["options"], TOLD[name]["options"])
    assert describe(tmp_path / name)["format_version"] == 2


def test_frames_of_version_1_are_read(old):
    with FeatureStore(old / "features.h5") as store:
        frames, weights = store.read(["ö 1.wav"])
        # Typed from what the version that wrote the file read.
        first = [-1.328055739402771, -1.9638224840164185, 0.05716666579246521, -0.2933800518512726]
        assert frames[0].tolist() == first
        assert weights[1] == np.float32(0.7701920866966248)
        assert store.positions("b.wav").tolist() == [0, 1, 2]
        assert store.content("b.wav") == "2" * 64
        assert store.front_end == PipelineOptions(
            static=StaticOptions(n_cepstra=4), deltas=DeltaOptions(order=0)
        )


@pytest.mark.parametrize("name", ["features.h5", "large.h5"])
def test_frames_of_version_2_are_read(tmp_path, name):
    """The second was written as if it were large: its seal has a structure and a table."""
    with zipfile.ZipFile(DATA / "version_2.zip") as archive:
        path = Path(archive.extract(name, tmp_path))
    assert (b"structure" in path.read_bytes()[:512]) == (name == "large.h5")
    with FeatureStore(path) as store:
        # Typed from what the version that wrote the file read.
        first = [0.18905338644981384, -0.5227484703063965, -0.41306355595588684, -2.44146728515625]
        assert store.read(["ö 1.wav"])[0][0].tolist() == first
        assert store.status("c.wav").status == "too_short"
        assert not store.digested
    assert verify(path)[-1] == "8 frames fit their checksums and are finite"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="damaged"):
        FeatureStore(path)


@pytest.mark.parametrize("name", ["features.h5", "large.h5"])
def test_frames_of_version_3_without_hdf5s_checksums_are_read(tmp_path, name):
    with zipfile.ZipFile(DATA / "version_3.zip") as archive:
        path = Path(archive.extract(name, tmp_path))
    assert path.read_bytes().startswith(b"voicegmm seal " + (b"2" if name == "large.h5" else b"1"))
    with h5py.File(path) as file:
        assert not file["frames"].fletcher32
    with FeatureStore(path) as store:
        # Typed from what the version that wrote the file read.
        last = [-0.19949175417423248, 0.6726115345954895, -1.1815745830535889, -0.6927294731140137]
        assert store.read(["ö 1.wav"])[0][129].tolist() == last
        assert store.read(["b.wav"])[1][0] == np.float32(0.7540861368179321)
        assert store.positions("b.wav").tolist() == [0, 1, 2]
    assert verify(path)[-1] == "133 frames fit their digests and are finite"


def test_somebody_of_version_1_is_removed(old):
    voices = replace(load(old / "speakers.h5"), open_set=None)
    left = without_speaker(voices, "c1")
    assert (left.cohort.voices, left.cohort.contents) == (("c2",), ("",))


@pytest.mark.slow
def test_a_training_of_version_1_goes_on(old):
    found = TrainingCheckpoint(old / "checkpoint.h5").load("mine")
    assert found is not None
    assert found.iterations[1].counts.tolist() == [10.0, 30.0]
