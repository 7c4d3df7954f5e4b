import stat
import subprocess

import h5py
import numpy as np
import pytest
from forging import altered
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import FormatError, VoicegmmError
from voicegmm.features import FrameSet, Pipeline, PipelineOptions
from voicegmm.metrics import Estimate, RatioBounds
from voicegmm.mixture import DiagonalGMM, Iteration, MapOptions
from voicegmm.scoring import (
    BackgroundModel,
    Calibration,
    DurationEffect,
    IdentificationPromise,
    OpenSetTests,
    Rate,
    SpeakerModels,
    Status,
    UbmOptions,
    Voices,
)
from voicegmm.store import (
    FeatureStore,
    describe,
    extract_to_store,
    load,
    load_background,
    load_voices,
    new_store,
    save,
)


def background(rng):
    gmm = DiagonalGMM(
        rng.dirichlet(np.ones(3)), rng.standard_normal((3, 60)), rng.uniform(0.1, 2, (3, 60))
    )
    record = (
        Iteration(-80.5, [600.0, 600.0, 33.0, 1.0], [1, 0, 2, 0], np.ones(60), [0, 0, 0, 1], 2.5),
        Iteration(-80.25, [700.0, 300.5, 233.5], [0, 0, 0], np.zeros(60), [0, 0, 0], 1.5),
    )
    return BackgroundModel(gmm, PipelineOptions(), UbmOptions(3), 7, record, 1234.0)


def speakers(rng, names=("Zoë B", "al")):
    n = len(names)
    voices = SpeakerModels(
        background(rng),
        tuple(names),
        rng.standard_normal((n, 3, 60)),
        rng.uniform(0, 9, (n, 3)),
        rng.uniform(1, 9, n),
        MapOptions(relevance=12.0),
    )
    rate = Rate(0.05, 0.01, 0.1, 100, 20)
    return Voices(
        voices,
        Calibration(
            2.0,
            -1.0,
            10,
            100,
            1.5,
            DurationEffect(0.1, 0.2, 1.0, 9.5),
            ((-1.0, -2.5), (0.5, 3.0)),
            RatioBounds(-2.0, 2.5),
        ),
        IdentificationPromise(1.5, 0.05, n, rate, rate),
        {"eer": Estimate(0.1, 0.05, 0.2), "n_targets": Estimate(10.0)},
        OpenSetTests(
            rng.standard_normal(4),
            np.array([1.0, -np.inf, 2.0, -np.inf]),
            np.arange(4),
            np.array([0, 0, 1, 1]),
            np.array([False, True, False, True]),
            7.5,
        ),
        not_enrolled={"x": "x: silence"},
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_models_read_back_equal(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("store") / "file.h5"
    model = background(rng)
    save(path, model)
    again = load(path)
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(again.gmm, name), getattr(model.gmm, name))
    assert again.fingerprint == model.fingerprint
    assert (again.front_end, again.options, again.seed) == (model.front_end, model.options, 7)
    for found, line in zip(again.iterations, model.iterations, strict=True):
        assert found.log_likelihood == line.log_likelihood
        for name in ("counts", "floored", "floored_dims", "starved"):
            np.testing.assert_array_equal(getattr(found, name), getattr(line, name))
        assert found.seconds == 0
    voices = speakers(rng)
    save(path, voices)
    back = load(path)
    for name in ("means", "counts", "seconds"):
        np.testing.assert_array_equal(getattr(back.speakers, name), getattr(voices.speakers, name))
    assert back.speakers.ids == voices.speakers.ids
    assert back.speakers.adaptation == voices.speakers.adaptation
    for name in ("calibration", "promise", "expected", "not_enrolled", "uncalibrated_because"):
        assert getattr(back, name) == getattr(voices, name)
    for name in ("best_wrong", "own", "voice", "fold", "stranger", "n_met"):
        np.testing.assert_array_equal(getattr(back.open_set, name), getattr(voices.open_set, name))


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        save(tmp_path / name, speakers(np.random.default_rng(0)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_voices_are_for_their_owner_only(tmp_path):
    save(tmp_path / "v.h5", speakers(np.random.default_rng(0)))
    assert stat.S_IMODE((tmp_path / "v.h5").stat().st_mode) == 0o600


def test_names_that_are_hard(tmp_path):
    names = ("a b", "ä", "<script>", "../x", "名")
    save(tmp_path / "v.h5", speakers(np.random.default_rng(0), names))
    assert load_voices(tmp_path / "v.h5").speakers.ids == names


def damage(path, change):
    with altered(path) as file:
        change(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.modify("format", "other"), "not one of voicegmm's"),
        (lambda f: f.attrs.modify("format", "voicegmm/speakers"), "where voicegmm/ubm was expect"),
        (lambda f: f.attrs.modify("format_version", 99), "version 99 .* upgrade voicegmm"),
        (lambda f: f["ubm"].pop("means"), "ubm/means is missing"),
        (lambda f: f["ubm/weights"].write_direct(np.ones(3)), "damaged: weights must be"),
        (lambda f: f["ubm/means"].write_direct(np.zeros((3, 60))), "does not fit its fingerprint"),
        (lambda f: f["ubm/means"].write_direct(np.full((3, 60), np.nan)), "NaN or an infinity"),
        (lambda f: f["ubm"].attrs.modify("front_end", "{"), "damaged"),
        (lambda f: f["ubm"].attrs.modify("front_end", '{"no":1}'), "damaged: unknown option 'no'"),
        (lambda f: f.pop("ubm"), "damaged"),
    ],
)
def test_a_damaged_model_is_one_named_error(tmp_path, change, message):
    path = tmp_path / "ubm.h5"
    save(path, background(np.random.default_rng(0)))
    damage(path, change)
    with pytest.raises(FormatError, match=rf"ubm\.h5.*{message}"):
        load_background(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"RIFF....", "not an HDF5 file"), (None, "no such file")],
)
def test_what_is_no_file_of_ours(tmp_path, content, message):
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FormatError, match=rf"x\.h5: {message}"):
        load(path)
    with pytest.raises(FormatError, match="is a folder"):
        load(tmp_path)
    with h5py.File(path, "w") as file:
        file["a"] = 1
    with pytest.raises(FormatError, match="not one of voicegmm's"):
        load(path)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "v.h5"
    save(path, speakers(np.random.default_rng(0)))
    whole = path.read_bytes()
    for part in (0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(FormatError, match=r"v\.h5"):
            load_voices(path)


def frame_set(rng, n_frames, weights=None):
    weights = np.ones(n_frames) if weights is None else weights
    positions = np.sort(rng.choice(10 * n_frames, n_frames, replace=False))
    return FrameSet(
        rng.standard_normal((n_frames, 60)), weights, positions, 10 * n_frames, 0.01, "x", ("note",)
    )


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.one_of(st.none(), st.integers(1, 60)), min_size=1, max_size=6),
    st.booleans(),
)
@settings(max_examples=25)
def test_a_feature_store_reads_back_whole_and_by_ranges(tmp_path_factory, seed, sizes, weighted):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("store") / "features.h5"
    made = {
        f"ö {i}.wav": Status("no speech", "silence")
        if size is None
        else frame_set(rng, size, rng.uniform(0.1, 1, size) if weighted else None)
        for i, size in enumerate(sizes)
    }
    with new_store(path, Pipeline()) as writer:
        for name, result in made.items():
            writer.add(name, result)
    with FeatureStore(path) as store:
        assert store.ids == tuple(made)
        assert store.front_end == PipelineOptions()
        good = {name: result for name, result in made.items() if isinstance(result, FrameSet)}
        for name, result in made.items():
            assert store.status(name) == (Status() if name in good else result)
        for name, result in good.items():
            frames, weights = store.read([name])
            np.testing.assert_array_equal(frames, result.frames)
            np.testing.assert_array_equal(store.positions(name), result.positions)
            if weights is not None:
                np.testing.assert_array_equal(weights, result.weights)
        chosen = [name for name in good if rng.random() < 0.7]
        source = store.source(chosen)
        whole = np.concatenate([good[n].frames for n in chosen] or [np.empty((0, 60))])
        assert source.n_frames == len(whole)
        for _ in range(5):
            start, stop = sorted(rng.integers(0, len(whole) + 1, 2))
            np.testing.assert_array_equal(source.read(start, stop)[0], whole[start:stop])
        assert not store.status("other.wav").ok


def test_a_store_tells_the_content_of_recordings_and_an_old_one_opens_without(voices, tmp_path):
    good = sorted((voices / "wavs/v001").glob("*.wav"))[:2]
    (tmp_path / "text.wav").write_text("hello")
    paths = {path.name: path for path in [*good, tmp_path / "text.wav"]}
    extract_to_store(paths, Pipeline(), tmp_path / "f.h5")
    printed = subprocess.run(["sha256sum", *good], capture_output=True, text=True, check=True)
    sums = [line.split()[0] for line in printed.stdout.splitlines()]
    with FeatureStore(tmp_path / "f.h5") as store:
        assert [store.content(path.name) for path in good] == sums
        assert store.content("text.wav") == store.content("other.wav") == ""
    damage(tmp_path / "f.h5", lambda f: f.pop("contents"))
    with FeatureStore(tmp_path / "f.h5") as old:
        assert [old.content(path.name) for path in good] == ["", ""]
        assert old.count(good[0].name) > 50


def test_a_store_without_recordings_is_refused(tmp_path):
    with pytest.raises(VoicegmmError, match="at least one recording"):
        extract_to_store({}, Pipeline(), tmp_path / "f.h5")
    assert list(tmp_path.iterdir()) == []


def test_features_of_another_version_are_refused(tmp_path):
    path = tmp_path / "f.h5"
    with new_store(path, Pipeline()) as writer:
        writer.add("a", frame_set(np.random.default_rng(0), 5))
    damage(path, lambda f: f.attrs.modify("fingerprint", "0" * 32))
    with pytest.raises(FormatError, match="another version of voicegmm; extract them again"):
        FeatureStore(path)


def test_a_failing_extraction_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(self, path, segments=None, excerpt=None):
        raise RuntimeError("bug")

    monkeypatch.setattr(Pipeline, "extract_file", broken)
    with pytest.raises(RuntimeError, match="bug"):
        extract_to_store({"a": tmp_path / "a.wav"}, Pipeline(), tmp_path / "f.h5", 2)
    assert list(tmp_path.iterdir()) == []


def test_recordings_that_cannot_be_used_stand_in_the_store(voices, tmp_path):
    good = sorted((voices / "wavs/v001").glob("*.wav"))[0]
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("hello")
    paths = {"good": good, "empty": tmp_path / "empty.wav", "text": tmp_path / "text.wav"}
    paths["missing"] = tmp_path / "missing.wav"
    summary = extract_to_store(paths, Pipeline(), tmp_path / "f.h5", n_workers=2)
    assert set(summary.failures) == {"empty", "text", "missing"}
    with FeatureStore(tmp_path / "f.h5") as store:
        assert store.count("good") == summary.n_frames > 50
        for name in summary.failures:
            assert str(paths[name]) in store.status(name).reason
    found = describe(tmp_path / "f.h5")
    assert found["status"] == {"ok": 1, "unreadable": 3}
    with pytest.raises(VoicegmmError, match=r"none of 1 recordings can be used; .*text\.wav"):
        extract_to_store({"text": paths["text"]}, Pipeline(), tmp_path / "g.h5")


def test_descriptions(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / "u.h5", background(rng))
    found = describe(tmp_path / "u.h5")
    assert found["format"] == "voicegmm/ubm"
    assert found["n_components"] == 3
    assert found["created_by"].startswith("voicegmm ")
    save(tmp_path / "v.h5", speakers(rng))
    found = describe(tmp_path / "v.h5")
    assert found["n_speakers"] == 2
    assert found["calibrated"] is True
    assert found["parent"] != ""
