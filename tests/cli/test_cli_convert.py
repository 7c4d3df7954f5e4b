"""`voicegmm convert`: frames and mixtures of other programs, and what they are good for then."""

import os
import stat

import numpy as np
import pytest

from voicegmm.features import ForeignFrontEnd, PipelineOptions
from voicegmm.mixture import DiagonalGMM, MapOptions, accumulate, adapt, log_density
from voicegmm.scoring import BackgroundModel
from voicegmm.store import FeatureStore, load_background, load_voices, read_score_file
from voicegmm.store.interop import ForeignArray, read_mixtures, write_archive, write_mixture
from voicegmm.store.models import save_background

SPEAKERS = ("ann", "bob")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """An archive of Kaldi's (ann/0 to bob/2), a mixture of Kaldi's, and lists."""
    folder = tmp_path_factory.mktemp("theirs")
    rng = np.random.default_rng(0)
    gmm = DiagonalGMM([0.25, 0.75], rng.normal(0, 2, (2, 3)), rng.uniform(0.5, 2, (2, 3)))
    write_mixture(folder / "final.dubm", gmm, "kaldi")
    arrays = [
        ForeignArray(f"{name}/{n}", (rng.normal(shift, 1, (150, 3))).astype(np.float32))
        for shift, name in enumerate(SPEAKERS)
        for n in range(3)
    ]
    write_archive(folder / "f.ark", arrays, script=folder / "f.scp")
    write_archive(folder / "v.ark", [ForeignArray("v", np.ones(3, np.float32))])
    lines = [f"{name}\t{name}/{n}" for name in SPEAKERS for n in (0, 1)]
    (folder / "enrol.tsv").write_text("\n".join(["model\tfile", *lines]) + "\n")
    pairs = [(a, b) for a in SPEAKERS for b in SPEAKERS]
    trials = [f"{a} {b}/2 {'target' if a == b else 'nontarget'}\n" for a, b in pairs]
    (folder / "trials.txt").write_text("".join(trials))
    return folder


@pytest.fixture
def store(theirs, typed, tmp_path):
    path = tmp_path / "f.h5"
    options = ("--hop", 0.01, "--rate", 8000, "--origin", "kaldi toy")
    assert typed("convert", theirs / "f.scp", path, *options)[0] == 0
    return path


def frames_of(path):
    with FeatureStore(path) as frames:
        return {name: frames.read([name])[0] for name in frames.ids}


def test_a_mixture_of_kaldis_adapts_and_scores(theirs, store, typed, tmp_path):
    ubm, speakers, scores = (tmp_path / name for name in ("ubm.h5", "spk.h5", "scores.tsv"))
    code, text, _ = typed("convert", theirs / "final.dubm", ubm, "--features", store)
    assert (code, text) == (0, f"{ubm}: 2 components of 3 dimensions, diagonal\n")
    assert typed("adapt", ubm, store, "--enroll", theirs / "enrol.tsv", "-o", speakers)[0] == 0
    code, *_ = typed("score", speakers, store, "--trials", theirs / "trials.txt", "-o", scores)
    assert code == 0
    # By hand, from the file that Kaldi would have written.
    (gmm,) = read_mixtures(theirs / "final.dubm").values()
    frames = frames_of(store)
    table = read_score_file(scores)
    for model, test, score in zip(
        table.trials.model_index, table.trials.test_index, table.scores, strict=True
    ):
        name, heard = table.trials.models[model], frames[table.trials.tests[test]]
        spoken = np.concatenate([frames[f"{name}/{n}"] for n in (0, 1)])
        own = adapt(gmm, accumulate(gmm, spoken), MapOptions())
        expected = (log_density(own, heard) - log_density(gmm, heard)).mean()
        np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)
    origin = load_voices(speakers).speakers.background.options
    assert (origin.program, origin.file) == ("kaldi", "final.dubm")
    # Nothing here can make such frames of a recording, nor train such a model again.
    recording = tmp_path / "x.wav"
    recording.write_bytes(b"")
    for command in (("verify", speakers, "ann", recording), ("identify", speakers, recording)):
        code, _, err = typed(*command)
        assert (code, "made on frames of elsewhere (kaldi toy)" in err) == (1, True)
    (tmp_path / "bg.txt").write_text("ann/0\nbob/0\n")
    arguments = ("--enroll", theirs / "enrol.tsv", "--background", tmp_path / "bg.txt")
    code, _, err = typed("adapt", ubm, store, *arguments, "-o", tmp_path / "x.h5")
    assert (code, "trained by another program (kaldi)" in err) == (1, True)


def test_frames_of_elsewhere_never_meet_ours(theirs, store, typed, tmp_path):
    """A model on our frames refuses theirs, and theirs those of another origin."""
    gmm = DiagonalGMM([1.0], np.zeros((1, 60)), np.ones((1, 60)))
    save_background(tmp_path / "ours.h5", BackgroundModel(gmm, PipelineOptions()))
    arguments = (store, "--enroll", theirs / "enrol.tsv", "-o", tmp_path / "x.h5")
    code, _, err = typed("adapt", tmp_path / "ours.h5", *arguments)
    assert code == 1
    assert "the frames were made by kaldi toy, the model on frames of voicegmm's own" in err
    ubm, dubm = tmp_path / "ubm.h5", theirs / "final.dubm"
    assert typed("convert", dubm, ubm, "--hop", 0.01, "--rate", 8000)[0] == 0
    assert load_background(ubm).front_end == ForeignFrontEnd("kaldi: final.dubm", 3, 0.01, 8000)
    code, _, err = typed("adapt", ubm, *arguments)
    assert code == 1
    assert "origin is 'kaldi toy' in the frames, 'kaldi: final.dubm' in the model" in err
    assert not (tmp_path / "x.h5").exists()


def test_a_mixture_on_frames_that_ours_are_too(typed, tmp_path):
    """With --config the word of the user is taken that a front end of ours makes the same."""
    gmm = DiagonalGMM([1.0], np.zeros((1, 60)), np.ones((1, 60)))
    write_mixture(tmp_path / "m.h5", gmm, "bob")
    arguments = (tmp_path / "m.h5", tmp_path / "ubm.h5", "--config", "voicegmm-16k")
    assert typed("convert", *arguments)[0] == 0
    found = load_background(tmp_path / "ubm.h5")
    assert found.front_end == PipelineOptions()
    assert found.options.program == "bob"


def test_frames_go_round(theirs, store, typed, tmp_path):
    expected = frames_of(store)
    assert next(iter(expected)) == "ann/0"
    steps = [
        (store, tmp_path / "a.ark", "kaldi", "--scp", tmp_path / "a.scp"),
        (tmp_path / "a.scp", tmp_path / "b.ark", "kaldi", "--text"),
        (tmp_path / "b.ark", tmp_path / "c.npz", "npz"),
        (tmp_path / "c.npz", tmp_path / "folder", "htk", "--hop", 0.01),
    ]
    for source, out, kind, *options in steps:
        code, text, err = typed("convert", source, out, "--to", kind, *options)
        assert (code, text, err) == (0, f"{out}: 6 recordings\n", "")
    code, *_ = typed("convert", tmp_path / "folder", tmp_path / "again.h5", "--rate", 8000)
    assert code == 0
    found = frames_of(tmp_path / "again.h5")
    assert found.keys() == expected.keys()
    for name, frames in expected.items():
        np.testing.assert_array_equal(found[name], frames)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("f.ark", "x.h5", "--rate", 8000), 1, "hop_seconds is not told by the file; state it"),
        (("f.ark", "x.h5", "--hop", 0.01), 1, "does not tell the sampling rate; state it (--rate"),
        (("f.ark", "x.h5", "--hop", 9, "--rate", 8000), 1, "hop_seconds must be between"),
        (("f.ark", "x", "--to", "bob"), 2, "holds frames, which are written --to voicegmm, kaldi"),
        (("f.ark", "x", "--to", "npz", "--text"), 2, "--text goes with frames --to kaldi or mixtu"),
        (("f.ark",), 2, "name the file to write once"),
        (("f.ark", "x", "-o", "y"), 2, "name the file to write once"),
        (("final.dubm", "x.h5"), 1, "state it: --features STORE"),
        (("final.dubm", "x.h5", "--config", "voicegmm-16k"), 1, "3 dimensions, the frames 60"),
        (("final.dubm", "x.h5", "--config", "htk", "--hop", 1), 2, "--config says it all"),
        (("final.dubm", "x", "--to", "sidekit", "--hop", 1), 2, "--hop goes with frames --to voi"),
        (("final.dubm", "x", "--to", "npz", "--part", "y"), 1, "none is called 'y'; it holds"),
        (("nothing", "x"), 1, "nothing: no such file"),
        (("v.ark", "x.h5", "--hop", 1, "--rate", 8000), 1, "v.ark: v: frames must be a matrix"),
        (("f.ark", "f.ark", "--to", "kaldi"), 1, "is read by this command; write to another"),
        (("f.ark", "no/x", "--to", "kaldi"), 1, "does not exist; make it first"),
        (("f.ark", "x", "--to", "kaldi", "--scp", "x"), 1, "x is read by this command"),
        (("f.ark", "x", "--to", "npz", "--hop", 0), 2, "--hop goes with frames --to voicegmm, htk"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(theirs, typed, monkeypatch, arguments, code, message):
    monkeypatch.chdir(theirs)
    found, _, err = typed("convert", *arguments)
    assert (found, message in err) == (code, True), err
    assert not any((theirs / name).exists() for name in ("x", "x.h5", "y"))


def test_what_is_private_stays_so(theirs, store, typed, tmp_path):
    """A model of a voice for its owner only is not written for all by another name."""
    private = tmp_path / "ubm.h5"
    assert typed("convert", theirs / "final.dubm", private, "--features", store)[0] == 0
    private.chmod(0o600)
    for out in ("m.npz", "m.dubm"):
        kind = "npz" if out.endswith("npz") else "kaldi"
        before = os.umask(0o022)
        try:
            assert typed("convert", private, tmp_path / out, "--to", kind)[0] == 0
        finally:
            assert os.umask(before) == 0o022
        assert stat.S_IMODE((tmp_path / out).stat().st_mode) == 0o600
    code, _, err = typed("convert", private, tmp_path / "x.h5")
    assert (code, "--to is missing: kaldi, bob, sidekit, npz" in err) == (2, True)
