from dataclasses import replace

import msgspec
import numpy as np
import pytest
from forging import altered

from voicegmm._base.errors import FormatError
from voicegmm._base.options import canonical_json
from voicegmm.features import DeltaOptions, PipelineOptions, StaticOptions
from voicegmm.metrics import Estimate
from voicegmm.mixture import DiagonalGMM, Iteration, MapOptions
from voicegmm.scoring import (
    ClassCalibration,
    ClassFigures,
    ClassModel,
    ClassModels,
    ClassOptions,
    JudgedClasses,
    Rate,
    UbmOptions,
)
from voicegmm.store import (
    Trace,
    describe,
    find_traces,
    load,
    load_background,
    load_classes,
    save,
)

FRONT_END = PipelineOptions(static=StaticOptions(n_cepstra=4), deltas=DeltaOptions(order=0))


def draw(n_components, seed):
    rng = np.random.default_rng(seed)
    shape = (n_components, 4)
    return DiagonalGMM(
        rng.dirichlet(np.ones(n_components)), rng.normal(size=shape), rng.uniform(1, 2, shape)
    )


@pytest.fixture
def judged():
    return judged_classes()


def judged_classes():
    record = (Iteration(-3.5, np.ones(3), np.zeros(3), np.zeros(4), np.zeros(3)),)
    classes = (
        ClassModel("genuine", draw(3, 0), 1200.0, 12, 6, record, ("a" * 64, "b" * 64)),
        ClassModel("né / spoofed", draw(2, 1), 900.0, 9, 5),
    )
    options = ClassOptions(UbmOptions(3), MapOptions(7.0), n_folds=4, seed=9)
    figures = ClassFigures(
        Rate(0.9, 0.8, 0.95, 21, 11), ((11, 1), (1, 8)), Estimate(0.3, 0.2, 0.4),
        Estimate(0.1), Estimate(0.2),
    )  # fmt: skip
    calibration = ClassCalibration(2.5, (0.5, -0.5), (6, 5), 1.2, (-9.0, -8.0))
    return JudgedClasses(ClassModels(classes, FRONT_END, options), calibration, figures, False)


@pytest.mark.parametrize("calibrated", [True, False])
def test_what_is_read_is_what_was_written(judged, tmp_path, calibrated):
    if not calibrated:
        judged = JudgedClasses(judged.models, uncalibrated_because="too few speakers")
    path = tmp_path / "c.h5"
    save(path, judged)
    found = load(path)
    for one, other in zip(found.models.classes, judged.models.classes, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.gmm.means, other.gmm.means)
        np.testing.assert_array_equal(one.gmm.variances, other.gmm.variances)
        assert (one.n_frames, one.n_recordings) == (other.n_frames, other.n_recordings)
        assert one.contents == other.contents
        assert [i.log_likelihood for i in one.iterations] == [
            i.log_likelihood for i in other.iterations
        ]
    assert found.models.options == judged.models.options
    assert found.models.front_end == FRONT_END
    for name in ("calibration", "expected", "speakers_known", "uncalibrated_because"):
        assert getattr(found, name) == getattr(judged, name)
    again = tmp_path / "again.h5"
    save(again, found)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_recordings", 1e308, r"n_recordings must be an integer, got .*1e\+308"),
        ("n_speakers", "2", "n_speakers must be an integer"),
        ("n_frames", np.nan, "n_frames must be a finite number, 0 or more, got .*nan"),
        ("n_frames", "5", "n_frames must be a finite number"),
        ("n_frames", -1, "n_frames must be a finite number"),
    ],
)
def test_numbers_are_what_they_should_be(judged, tmp_path, name, value, message):
    path = tmp_path / "c.h5"
    save(path, judged)
    with altered(path) as file:
        file["classes/0000"].attrs[name] = value
    with pytest.raises(FormatError, match=rf"c\.h5: damaged: {message}"):
        load(path)


def test_it_is_described(judged, tmp_path):
    save(tmp_path / "c.h5", judged)
    found = describe(tmp_path / "c.h5")
    assert found["format"] == "voicegmm/classes"
    assert found["classes"]["genuine"] == {
        "n_components": 3, "n_speakers": 6, "n_recordings": 12, "n_frames": 1200.0,
    }  # fmt: skip
    assert found["expected"]["confusion"]["genuine"] == {"genuine": 11, "né / spoofed": 1}
    assert found["expected"]["accuracy"]["value"] == 0.9
    save(tmp_path / "c.h5", JudgedClasses(judged.models, uncalibrated_because="why"))
    assert describe(tmp_path / "c.h5")["uncalibrated_because"] == "why"


def test_damage_and_other_files_are_told(judged, tmp_path):
    path = tmp_path / "c.h5"
    save(path, judged)
    with pytest.raises(FormatError, match=r"holds voicegmm/classes, where voicegmm/ubm was"):
        load_background(path)
    with altered(path) as file:
        file["classes/0000/means"][0, 0] += 1
    with pytest.raises(FormatError, match="do not fit their fingerprint"):
        load_classes(path)
    for spoil in (
        lambda file: file.attrs.__setitem__("judgment", "{"),
        lambda file: file.__delitem__("classes/0001/weights"),
        lambda file: file.attrs.__delitem__("front_end"),
        lambda file: file["classes/0000"].attrs.__delitem__("name"),
    ):
        save(path, judged)
        with altered(path) as file:
            spoil(file)
        with pytest.raises(FormatError, match=r"c\.h5"):
            load_classes(path)
    save(path, judged)
    with altered(path) as file:
        file.attrs["format_version"] = 3
    with pytest.raises(FormatError, match="version 3 .* upgrade voicegmm"):
        load_classes(path)


def test_a_file_from_before_an_option_came_is_read(judged, tmp_path):
    path = tmp_path / "c.h5"
    save(path, judged)
    with altered(path) as file:
        stated = msgspec.json.decode(file.attrs["front_end"])
        del stated["pitch"]
        file.attrs["front_end"] = canonical_json(stated)
        file.attrs["fingerprint"] = judged.models.fingerprint_with(stated)
    assert load_classes(path).models.front_end == FRONT_END


def test_what_trained_them_can_be_traced(judged, tmp_path):
    path = str(tmp_path / "c.h5")
    genuine, spoofed = judged.models.classes

    def traced(other, adaptation, calibrated=True):
        classes = genuine, replace(spoofed, contents=other)
        options = replace(judged.models.options, adaptation=adaptation)
        models = ClassModels(classes, FRONT_END, options)
        save(path, JudgedClasses(models, judged.calibration if calibrated else None))
        return find_traces([tmp_path], ["a" * 64])

    whole = [Trace(path, what, 1) for what in ("class genuine", "calibration")]
    assert traced(("c" * 64,), None).found == (whole[0], whole[1])
    assert traced(("c" * 64,), None, calibrated=False).found == (whole[0],)
    # Adapted from one model of all of them, each has heard all.
    heard = Trace(path, "class né / spoofed", 1)
    assert traced(("c" * 64,), MapOptions(7.0)).found == (whole[0], heard, whole[1])
    found = traced(None, None)
    assert found.found == (whole[0],)
    reason = "class né / spoofed and calibration: what it was learned from is not on record"
    assert found.untold == {path: reason}
