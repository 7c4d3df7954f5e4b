"""The commands about features as they are typed."""

import json

import numpy as np
import pytest
import soundfile


@pytest.fixture
def wavs(tmp_path):
    folder = tmp_path / "wavs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        loudness = np.repeat(rng.uniform(0.001, 0.3, 10), 1600)
        soundfile.write(folder / f"{name}.wav", rng.uniform(-1, 1, 16_000) * loudness, 16_000)
    return folder


@pytest.fixture
def stores(typed, wavs, tmp_path):
    for name, more in (("a", ()), ("b", ("--set", "normalization.method=mean"))):
        typed("features", "extract", wavs, "-o", tmp_path / f"{name}.h5", *more)
    return tmp_path / "a.h5", tmp_path / "b.h5"


@pytest.mark.parametrize("command", ["extract", "plot", "compare"])
def test_help(typed, command):
    code, out, _ = typed("features", command, "--help")
    assert code == 0
    assert "Usage: voicegmm features" in out
    assert command in typed("features", "--help")[1]


def test_extract_tells_what_it_did(typed, wavs, tmp_path):
    code, out, err = typed("features", "extract", wavs, "-o", tmp_path / "f.h5", "--json")
    told = json.loads(out)
    assert (code, err, told["n_recordings"], told["n_resumed"]) == (0, "", 2, 0)
    assert not (tmp_path / "f.h5.partial").exists()


def test_what_many_recordings_share_is_told_once(typed, wavs, tmp_path):
    for name in ("c", "d", "e", "f"):
        samples = np.random.default_rng(0).uniform(-0.3, 0.3, 8_000)
        samples[:4_000] *= 0.001
        soundfile.write(wavs / f"{name}.wav", samples, 8_000)
    for name in ("x", "y"):
        (wavs / f"{name}.wav").write_bytes(b"")
    code, _, err = typed("features", "extract", wavs, "-o", tmp_path / "f.h5")
    assert code == 0
    assert err.splitlines() == [
        "warning: unreadable: 2 recordings (x.wav, y.wav): is empty (0 bytes); copy or record it "
        "again",
        "warning: 4 recordings (c.wav, d.wav, e.wav ...): sampled at 8000 Hz, below the 16000 Hz "
        "of the features: its upper band is empty",
    ]


def test_extract_goes_on_after_an_interruption(typed, wavs, tmp_path, monkeypatch):
    from voicegmm.features import Pipeline

    extract = Pipeline.extract_file

    def interrupted(self, path, *which):
        if path.name == "b.wav":
            raise KeyboardInterrupt
        return extract(self, path, *which)

    command = ("features", "extract", wavs, "-o", tmp_path / "f.h5", "--workers", "1")
    monkeypatch.setattr(Pipeline, "extract_file", interrupted)
    code, _, err = typed(*command)
    assert (code, err) == (130, "error: interrupted; what was finished is kept\n")
    monkeypatch.setattr(Pipeline, "extract_file", extract)
    code, out, _ = typed(*command)
    assert code == 0
    assert "2 recordings, 1 kept from an interrupted run; " in out


def test_compare_the_same(typed, stores):
    code, out, _ = typed("features", "compare", stores[0], stores[0])
    assert code == 0
    assert out.startswith("same: 2 recordings, ")
    assert out.count("\n") == 1


def test_compare_what_differs(typed, stores, tmp_path):
    code, out, _ = typed("features", "compare", *stores)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "different: 2 of 2 recordings that both have"
    assert "largest difference" in lines[1]
    assert "option normalization.method: none, mean" in lines
    assert any(line.startswith("a.wav: ") for line in lines)
    code, out, _ = typed("features", "compare", *stores, "--json")
    told = json.loads(out)
    assert (code, told["same"], told["first"]) == (0, False, str(stores[0]))
    assert told["max_difference"] >= told["mean_difference"] > 0
    assert len(told["correlations"]) == told["n_dims"][0] == 60
    assert [recording["file"] for recording in told["recordings"]] == ["a.wav", "b.wav"]
    tolerance = str(told["max_difference"])
    code, out, _ = typed("features", "compare", *stores, "--tolerance", tolerance)
    assert out.startswith("same: ")
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    code, out, _ = typed("features", "compare", stores[0], tmp_path / "a.npy")
    assert "dimensions: 60, 4" in out
    assert "only in the first: b.wav (1)" in out


def test_compare_what_cannot_be(typed, stores, tmp_path):
    code, out, err = typed("features", "compare", stores[0], tmp_path / "x.h5")
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path}/x.h5: no such file; check the path\n"
    assert typed("features", "compare", *stores, "--tolerance", "-1")[0] == 2


def test_plot(typed, wavs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = typed("features", "plot", wavs / "a.wav")
    assert (code, out) == (0, "a.png\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "all.txt").write_text("")
    labels = tmp_path / "labels.rttm"
    labels.write_text("SPEAKER a 1 0.20 0.30 <NA> <NA> x <NA> <NA>\n")
    svg = tmp_path / "a.svg"
    code, out, _ = typed(
        "features", "plot", wavs / "a.wav", "-o", svg, "--config", "voicegmm-8k", "--labels", labels
    )
    assert (code, out) == (0, f"{svg}\n")
    text = svg.read_text()
    assert "0.30 s of speech" in text
    assert "at 8000 Hz" in text
    assert "<title>a.wav</title>" in text


@pytest.mark.parametrize(
    ("out", "message"),
    [("a.txt", "must end in .png or .svg"), ("no/a.png", "does not exist; make it first")],
)
def test_plot_to_where_it_cannot(typed, wavs, tmp_path, out, message):
    code, told, err = typed("features", "plot", wavs / "a.wav", "-o", tmp_path / out)
    assert (code, told) == (1, "")
    assert message in err


def test_plot_of_what_is_no_recording(typed, tmp_path):
    (tmp_path / "a.wav").write_text("hello")
    code, _, err = typed("features", "plot", tmp_path / "a.wav", "-o", tmp_path / "a.png")
    assert code == 1
    assert "is not audio that can be read" in err
    assert not (tmp_path / "a.png").exists()
