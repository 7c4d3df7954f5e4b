"""Speaker models by commands: the audit record, posteriors, explanations, adapt as in a recipe."""

import hashlib
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from voicegmm.experiment import load_recipe, run_recipe
from voicegmm.features import FrameSet, Pipeline, PipelineOptions
from voicegmm.mixture import DiagonalGMM
from voicegmm.scoring import BackgroundModel, UbmOptions, read_scores
from voicegmm.store import load_voices, new_store, save_background


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store of drawn frames: a and b to be enrolled, twelve others; lists, a small UBM."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(5)
    with new_store(folder / "features.h5", Pipeline()) as writer:
        for name in ["a", "b", *(f"o{number:02}" for number in range(12))]:
            center = 0.6 * rng.standard_normal(60)
            for take in range(4):
                data = (center + 2 * rng.standard_normal((150, 60))).astype(np.float32)
                content = hashlib.sha256(f"{name}{take}".encode()).hexdigest()
                kept = FrameSet(data, np.ones(150), np.arange(150), 150, 0.01, content=content)
                writer.add(f"{name}/{take}", kept)
                if (name, take) == ("a", 0):
                    writer.add("copies/a0", kept)
        short = replace(kept, frames=data[:50], weights=np.ones(50), positions=np.arange(50))
        writer.add("c/0", replace(short, content=""))
    gmm = DiagonalGMM([0.5, 0.5], 0.1 * rng.standard_normal((2, 60)), np.full((2, 60), 4.0))
    save_background(folder / "ubm.h5", BackgroundModel(gmm, PipelineOptions(), UbmOptions(2)))
    rows = ["model\tfile", "a\ta/0", "a\ta/1", "b\tb/0", "b\tb/1", "c\tc/0"]
    (folder / "enrol.tsv").write_text("\n".join(rows))
    others = [f"o{number:02}/{take}" for number in range(12) for take in range(4)]
    (folder / "others.txt").write_text("\n".join(others))
    trials = ["a a/2 target", "a b/2 nontarget", "b b/2 target", "a copies/a0 target"]
    (folder / "trials.txt").write_text("\n".join([*trials, "c b/3 nontarget"]))
    return folder


def adapt(world, out):
    enrolled = ["--enroll", world / "enrol.tsv", "-o", out, "--workers", 1]
    return ["adapt", world / "ubm.h5", world / "features.h5", *enrolled]


def score(world, speakers, out, *more):
    trials = ["--trials", world / "trials.txt", "-o", out, "--workers", 1]
    return ["score", speakers, world / "features.h5", *trials, *more]


def test_adapt_calibrates_and_normalizes_from_a_background(typed, world, tmp_path):
    speakers = tmp_path / "s.h5"
    listed = ["--background", world / "others.txt", "--set", "scoring.normalization.method=s"]
    code, out, err = typed(*adapt(world, speakers), *listed)
    assert (code, out) == (0, f"{speakers}: 2 speakers, calibrated\n")
    assert "not enrolled: c: 0.50 s of speech in 1 recordings, at least 1 s are" in err
    voices = load_voices(speakers)
    assert len(voices.cohort.models.ids) == 12
    (first, second) = voices.speakers.records["a"]
    assert (first.file, second.file) == ("a/0", "a/1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.enrolled_at)
    code, out, err = typed(*score(world, speakers, tmp_path / "x.tsv"))
    assert out.endswith("3 of 5 trials scored, calibrated\n")
    table = read_scores(tmp_path / "x.tsv")
    assert table.statuses == ("ok", "ok", "ok", "self-trial", "no model")
    assert "copies/a0: a was enrolled from this recording (there a/0," in err
    assert table.scores[0] > table.scores[1]
    assert table.llrs is not None
    # The cohort's scores are of one method, and a calibration of one normalization.
    code, _, err = typed(*score(world, speakers, tmp_path / "y.tsv", "--method", "linear"))
    assert (code, "does not hold for 'linear'" in err) == (1, True)
    none = ["--set", "normalization.method=none"]
    code, _, err = typed(*score(world, speakers, tmp_path / "y.tsv", *none))
    assert (code, "does not hold for 'none'" in err) == (1, True)
    free = [*listed, "--set", "calibration.design=none"]
    assert typed(*adapt(world, speakers), *free)[0] == 0
    assert typed(*score(world, speakers, tmp_path / "y.tsv", *none))[0] == 0
    raw = read_scores(tmp_path / "y.tsv").scores
    assert typed(*adapt(world, tmp_path / "raw.h5"))[0] == 0
    assert typed(*score(world, tmp_path / "raw.h5", tmp_path / "z.tsv"))[0] == 0
    np.testing.assert_array_equal(read_scores(tmp_path / "z.tsv").scores, raw)
    for method, message in (("linear", "scored with method 'exact'"), ("exact", "")):
        chosen = score(world, speakers, tmp_path / "z.tsv", "--method", method)
        code, _, err = typed(*chosen)
        assert (code, message in err) == (bool(message), True)
    code, _, err = typed(
        *score(world, speakers, tmp_path / "z.tsv", "--set", "normalization.method=zt")
    )
    assert "'zt' needs a cohort that met itself, and this one was made for 's'" in err


def test_what_adapt_refuses(typed, world, tmp_path):
    out = tmp_path / "s.h5"
    code, _, err = typed(*adapt(world, out), "--set", "scoring.normalization.method=s")
    assert (code, "scoring.normalization.method needs other people's speech" in err) == (2, True)
    code, _, err = typed(*adapt(world, out), "--set", "calibration.n_folds=3")
    assert (code, "give --background LIST" in err) == (2, True)
    code, _, err = typed(*adapt(world, out), "--set", "adaptation.relevanse=3")
    assert (code, "did you mean 'relevance'" in err) == (1, True)
    (tmp_path / "flat.txt").write_text("x.wav\n")
    code, _, err = typed(*adapt(world, out), "--background", tmp_path / "flat.txt")
    assert (code, "x.wav does not tell whose voice it is" in err) == (1, True)
    (tmp_path / "none.txt").write_text("z/1\n")
    code, _, err = typed(*adapt(world, out), "--background", tmp_path / "none.txt")
    assert (code, "none.txt names 1 recordings that the features do not hold" in err) == (1, True)
    (tmp_path / "short.tsv").write_text("model\tfile\nc\tc/0\n")
    short = [tmp_path / "short.tsv" if x == world / "enrol.tsv" else x for x in adapt(world, out)]
    code, _, err = typed(*short)
    assert (code, "nobody could be enrolled" in err) == (1, True)
    assert not out.exists()
    assert typed(*short, "--force")[1] == f"{out}: 1 speakers\n"


def test_scores_are_explained(typed, world, tmp_path):
    speakers, why = tmp_path / "s.h5", tmp_path / "why"
    assert typed(*adapt(world, speakers))[0] == 0
    (tmp_path / "segments.tsv").write_text("segment\tfile\nb/2\tb/2\nb/2\tb/3\n")
    segments = ["--segments", tmp_path / "segments.tsv", "--explain", why]
    assert typed(*score(world, speakers, tmp_path / "x.tsv", *segments))[0] == 0
    stems = ["001_a_2", "002_a_2", "003_b_2"]
    assert sorted(os.listdir(why)) == sorted(s + e for s in stems for e in (".svg", ".tsv"))
    table = read_scores(tmp_path / "x.tsv")
    for number, stem in enumerate(stems):
        frames = np.loadtxt(why / f"{stem}.tsv", skiprows=1)
        assert frames[:, 2].mean() == pytest.approx(table.scores[number], abs=1e-4)
        assert (np.diff(frames[:, 0]) > 0).all()
    assert len(np.loadtxt(why / "003_b_2.tsv", skiprows=1)) == 300
    file = ["--explain", tmp_path / "x.tsv"]
    code, _, err = typed(*score(world, speakers, tmp_path / "y.tsv", *file))
    assert (code, "x.tsv is a file; --explain takes a folder" in err) == (1, True)


def test_a_long_list_is_not_explained(tmp_path):
    from voicegmm._base.errors import VoicegmmError
    from voicegmm.cli.explaining import check_explanations

    with pytest.raises(VoicegmmError, match="there are 201; give a list of at most 200"):
        check_explanations(tmp_path / "why", 201)
    assert not (tmp_path / "why").exists()


def test_the_record_and_posteriors_by_commands(typed, voices, world, tmp_path):
    """On a bank of the world's speakers: what `adapt` makes is a bank too."""
    bank = tmp_path / "v.h5"
    listed = ["--background", world / "others.txt"]
    assert typed(*adapt(world, bank), *listed)[0] == 0
    files = sorted((voices / "wavs/v001").glob("*.wav"))
    assert typed("enroll", bank, "Zoe", files[0], files[1])[0] == 0
    code, _, err = typed("enroll", bank, "Zoe", files[1])
    assert (code, "Zoe was enrolled from all of these already" in err) == (1, True)
    code, _, err = typed("enroll", bank, "Yan", files[1])
    assert (code, "Zoe was enrolled from this recording" in err) == (1, True)
    code, out, _ = typed("list", bank, "--audit", "--json")
    record = json.loads(out)["Zoe"]
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert record["enrolled_from"][0]["content"] == digest
    code, out, _ = typed("list", bank, "--audit")
    assert f"{digest}  {files[0]}" in out
    assert json.loads(typed("list", bank, "--json")[1])["Zoe"] == record["speech_seconds"]
    code, out, _ = typed("info", bank, "--json")
    told = json.loads(out)
    assert told["speakers"]["Zoe"]["enrolled_from"] == record["enrolled_from"]
    code, out, _ = typed("identify", bank, files[2], "--prior", "0.9")
    assert re.search(r"nobody known: posterior [\d.e-]+, prior 0.1", out)
    code, out, _ = typed("identify", bank, files[2], "--prior", "0.9", "--json")
    answer = json.loads(out)
    total = answer["nobody"] + sum(one["posterior"] for one in answer["ranking"])
    assert total == pytest.approx(1)
    why = tmp_path / "why.png"
    assert typed("verify", bank, "Zoe", files[2], "--explain", why)[0] == 0
    assert why.read_bytes().startswith(b"\x89PNG")
    code, _, err = typed("verify", bank, "Zoe", files[2], "--explain", tmp_path / "why.doc")
    assert (code, "must end in .tsv, .png or .svg, got 'why.doc'" in err) == (1, True)
    assert typed("remove", bank, "Zoe")[0] == 0
    content = bank.read_bytes()
    assert not any(secret in content for secret in (b"Zoe", digest.encode()))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["none", "as"])
def test_steps_give_the_scores_of_a_recipe(typed, voices, tmp_path, method):
    asked = [f"scoring.normalization.method={method}", "calibration.n_folds=3"]
    settings = [*asked, "ubm.n_components=16", "ubm.em.n_iterations=3"]
    run = run_recipe(load_recipe("demo", settings), voices, tmp_path / "run", n_workers=2)
    lists, chosen = voices / "lists", run.folder
    config = json.loads((chosen / "config.json").read_text())
    more = [f"--set=adaptation.relevance={config['adaptation']['relevance']}"]
    more += [f"--set=calibration.n_enroll={config['calibration']['n_enroll']}"]
    if method != "none":
        more.append(f"--set={asked[0]}")
    speakers, scores = tmp_path / "s.h5", tmp_path / "x.tsv"
    code, _, err = typed(
        "adapt", chosen / "ubm.h5", chosen / "features.h5", "--enroll", lists / "enrol.tsv",
        "--background", lists / "ubm.txt", f"--set={asked[1]}", *more, "-o", speakers,
    )  # fmt: skip
    assert code == 0, err
    trials = ["--trials", lists / "trials.txt", "-o", scores]
    assert typed("score", speakers, chosen / "features.h5", *trials)[0] == 0
    assert scores.read_bytes() == (chosen / "scores.tsv").read_bytes()
