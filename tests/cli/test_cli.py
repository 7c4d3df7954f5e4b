"""The commands as they are typed."""

import io
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import soundfile

from voicegmm.cli import main
from voicegmm.cli.console import bars
from voicegmm.scoring import read_scores


@pytest.fixture(scope="module")
def bank(speaker_folders, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "voices.h5"
    with pytest.raises(SystemExit) as stopped:
        main(["train", str(speaker_folders / "known"), "-o", str(path), "--components", "16"])
    assert stopped.value.code == 0
    return path


def test_help_of_every_command(typed):
    code, out, _ = typed("--help")
    assert code == 0
    names = ["demo", "train", "enroll", "identify", "verify", "list", "remove", "info", "run"]
    names += ["adapt", "score", "evaluate", "fuse", "features extract", "ubm train"]
    for name in names:
        assert name.split()[0] in out
        code, text, _ = typed(*name.split(), "--help")
        assert code == 0
        assert "Usage:" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["train"], "Missing argument 'WAVS'"),
        (["identify", "x.h5", "--top", "0", "x.wav"], "--top"),
        (["run", "demo"], "Missing option '--data'"),
    ],
)
def test_wrong_usage_exits_with_2(typed, arguments, message):
    code, out, err = typed(*arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_an_error_of_ours_is_one_line_and_exits_with_1(typed, tmp_path):
    code, out, err = typed("list", tmp_path / "missing.h5")
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path}/missing.h5: no such file; check the path\n"
    code, _, err = typed("list", tmp_path / "missing.h5", "--debug")
    assert code == 1
    assert "Traceback" in err


def test_start_up_is_quick():
    """A guard against an import that waits: the bar itself is half of it, on a quiet machine."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "voicegmm", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - begun < 5


def test_the_folder_workflow(typed, bank, voices, speaker_folders):
    known = next((voices / "wavs/v002").glob("*.wav"))
    code, out, _ = typed("identify", bank, known, "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["ranking"][0]["name"] == "v002"
    assert answer["calibrated"] is True
    code, out, _ = typed("identify", bank, known)
    assert out.startswith(f"{known}: ")
    assert "log10 likelihood ratio" in out
    assert "support for" in out
    code, out, _ = typed("verify", bank, "v002", known)
    assert code == 0
    assert out.startswith(("yes: ", "no: ", "no answer: "))
    code, out, _ = typed("verify", bank, "v002", known, "--json")
    assert isinstance(json.loads(out)["accepted"], bool)
    name, shown = "New \u202eOne", r"New \u202eOne"  # turned around by a terminal
    stranger = sorted((voices / "wavs/b002").glob("*.wav"))
    code, out, _ = typed("enroll", bank, name, *stranger[:3])
    assert out.startswith(f"{shown} enrolled: ")
    code, out, _ = typed("enroll", bank, name, stranger[3])
    assert out.startswith(f"{shown} updated: ")
    code, out, _ = typed("list", bank)
    assert f"{shown}\t" in out
    assert len(out.splitlines()) == 13
    code, out, _ = typed("info", bank, "--json")
    assert json.loads(out)["n_speakers"] == 13
    code, out, _ = typed("info", bank)
    assert "format: voicegmm/speakers" in out
    code, out, _ = typed("remove", bank, name)
    assert out.startswith(f"{shown} removed; 12 speakers remain\n")


def test_several_files_of_which_some_are_bad(typed, bank, voices, tmp_path):
    good = next((voices / "wavs/v001").glob("*.wav"))
    (tmp_path / "text.wav").write_text("hello")
    code, out, _ = typed("identify", bank, tmp_path / "text.wav", good)
    assert code == 1
    first, second, *_ = out.splitlines()
    assert "not judged (unreadable)" in first
    assert second.startswith(f"{good}: ")
    code, out, _ = typed("identify", bank, tmp_path / "text.wav", good, "--json")
    bad, fine = map(json.loads, out.splitlines())
    assert (bad["status"], bad["ranking"]) == ("unreadable", [])
    assert fine["status"] == "ok"
    code, out, _ = typed("verify", bank, "v001", tmp_path / "text.wav")
    assert code == 1
    assert "not judged" in out


def test_train_refuses_to_replace_and_speaks_json(typed, bank, speaker_folders, tmp_path):
    code, _, err = typed("train", speaker_folders / "known", "-o", bank)
    assert code == 1
    assert "exists; add speakers with `voicegmm enroll`, or replace it with --force" in err
    code, _, err = typed("train", speaker_folders / "known", "-o", tmp_path / "no" / "x.h5")
    assert "does not exist; make it first" in err
    code, out, _ = typed(
        "train", speaker_folders / "known", "-o", tmp_path / "b.h5", "--components", 8, "--json",
        "--background", speaker_folders / "background", "--config", "voicegmm-8k",
    )  # fmt: skip
    summary = json.loads(out)
    assert (code, summary["n_components"], summary["sample_rate"]) == (0, 8, 8000)
    assert set(summary["metrics"]["eer"]) == {"value", "low", "high"}
    code, _, err = typed("train", tmp_path, "-o", tmp_path / "c.h5")
    assert code == 1
    assert "Expected" in err
    assert "one sub-folder a speaker" in err


def test_the_batch_workflow(typed, voices, tmp_path, monkeypatch):
    lists, store = voices / "lists", tmp_path / "features.h5"
    code, out, _ = typed("features", "extract", voices / "wavs", "-o", store, "--json")
    assert (code, json.loads(out)["n_recordings"]) == (0, 96)
    ubm, speakers, scores = (tmp_path / n for n in ("ubm.h5", "speakers.h5", "scores.tsv"))
    train = ["ubm", "train", store, "-o", ubm, "--components", 16, "--list", lists / "ubm.txt"]
    code, out, _ = typed(*train, "--iterations", 4)
    assert code == 0
    assert "16 components" in out
    code, out, _ = typed("adapt", ubm, store, "--enroll", lists / "enrol.tsv", "-o", speakers)
    assert out == f"{speakers}: 12 speakers\n"
    code, out, _ = typed("score", speakers, store, "--trials", lists / "trials.txt", "-o", scores)
    assert "144 of 144 trials scored, uncalibrated" in out
    monkeypatch.setattr("voicegmm.corpus.long_lists.PART_BYTES", 1000)  # as of millions of trials
    again, trials = tmp_path / "again.tsv", lists / "trials.txt"
    code, out, _ = typed("score", speakers, store, "--trials", trials, "-o", again)
    assert f"{again}: 144 of 144 trials scored, uncalibrated" in out
    np.testing.assert_allclose(read_scores(again).scores, read_scores(scores).scores, atol=1e-5)
    report = tmp_path / "report.html"
    code, out, err = typed("evaluate", scores, "--report", report)
    assert code == 0
    assert "EER" in out
    assert "not calibrated" in err
    assert "<html" in report.read_text()
    code, out, _ = typed("evaluate", scores, "--json")
    metrics = json.loads(out)["metrics"]
    assert 0 <= metrics["eer"]["low"] <= metrics["eer"]["value"] <= metrics["eer"]["high"] < 0.5


def test_lists_that_name_what_is_not_there(typed, voices, tmp_path):
    store = tmp_path / "features.h5"
    (tmp_path / "some.txt").write_text("v001/v001_01.wav\n")
    listed = tmp_path / "some.txt"
    folder = voices / "wavs"
    names = [str(p.relative_to(folder)) for p in sorted((folder / "v001").glob("*.wav"))]
    listed.write_text("\n".join([*names, "v001/missing.wav"]))
    code, _, err = typed("features", "extract", listed, "--root", folder, "-o", store)
    assert code == 0
    assert "missing.wav" in err
    (tmp_path / "enrol.tsv").write_text(f"model\tfile\nm\tother.wav\nm\t{names[0]}\n")
    ubm = tmp_path / "ubm.h5"
    assert typed("ubm", "train", store, "-o", ubm, "--components", 2)[0] == 0
    code, _, err = typed(
        "adapt", ubm, store, "--enroll", tmp_path / "enrol.tsv", "-o", tmp_path / "s.h5"
    )
    assert code == 1
    assert "names 1 recordings that the features do not hold: other.wav" in err
    code, _, err = typed("features", "extract", tmp_path / "nowhere", "-o", store)
    assert code == 1
    assert "no such list" in err


def test_a_preset_that_does_not_exist(typed, voices, tmp_path):
    arguments = ["features", "extract", voices / "wavs", "-o", tmp_path / "f.h5"]
    code, _, err = typed(*arguments, "--config", "voicegmm16k")
    assert code == 1
    assert "did you mean 'voicegmm-16k'" in err
    code, _, err = typed(*arguments, "--set", "static.n_ceps=12")
    assert "unknown option 'n_ceps' (did you mean 'n_cepstra'?) (--set: static.n_ceps)" in err
    assert not (tmp_path / "f.h5").exists()


def test_an_empty_folder(typed, tmp_path):
    (tmp_path / "e").mkdir()
    code, _, err = typed("features", "extract", tmp_path / "e", "-o", tmp_path / "f.h5")
    assert (code, err) == (1, f"error: {tmp_path}/e: no recordings in this folder or below it\n")


def test_every_kind_of_audio_goes_through(typed, bank, voices, tmp_path):
    source = next((voices / "wavs/v001").glob("*.wav"))
    samples, _ = soundfile.read(source)
    import soxr

    kinds = [(8000, "PCM_U8"), (22_050, "PCM_24"), (44_100, "FLOAT"), (96_000, "PCM_32")]
    for rate, subtype in kinds:
        path = tmp_path / f"né à {rate}.wav"
        stereo = np.stack([soxr.resample(samples, 16_000, rate)] * 2, axis=1)
        soundfile.write(path, stereo, rate, subtype)
        code, out, _ = typed("identify", bank, path, "--json")
        assert (code, json.loads(out)["status"]) == (0, "ok")
        assert json.loads(out)["notes"]
    code, out, _ = typed("identify", bank, tmp_path / "né à 8000.wav")
    assert "  note: " in out
    assert "below the 16000 Hz" in out


def in_shell(command, **more):
    return subprocess.run(
        ["bash", "-c", command.replace("voicegmm", f"{sys.executable} -m voicegmm")],
        capture_output=True, text=True, check=False, **more,
    )  # fmt: skip


@pytest.mark.slow
def test_a_disk_without_room_is_one_clear_error(voices, bank, tmp_path):
    store = tmp_path / "f.h5"
    full = in_shell(f"ulimit -f 2000; voicegmm features extract {voices}/wavs -o {store}")
    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr.startswith("error: ")
    assert "f.h5.partial: cannot be written: File too large" in full.stderr
    assert full.stderr.count("\n") == 1
    copy = tmp_path / "bank.h5"
    copy.write_bytes(bank.read_bytes())
    before = copy.read_bytes()
    wavs = " ".join(str(path) for path in sorted((voices / "wavs/b001").glob("*.wav")))
    full = in_shell(f"ulimit -f 20; voicegmm enroll {copy} x {wavs}")
    assert full.returncode == 1
    assert "bank.h5: cannot be written: File too large" in full.stderr
    assert copy.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".bank.h5.lock", "bank.h5"]


@pytest.mark.slow
def test_enrollments_at_once_lose_nobody(voices, bank, tmp_path):
    copy = tmp_path / "bank.h5"
    copy.write_bytes(bank.read_bytes())
    commands = []
    for number in (1, 2, 3):
        wavs = " ".join(map(str, sorted((voices / f"wavs/b00{number}").glob("*.wav"))))
        commands.append(f"voicegmm enroll {copy} new{number} {wavs} &")
    done = in_shell(" ".join(commands) + " wait")
    assert done.stderr == ""
    names = in_shell(f"voicegmm list {copy} --json").stdout
    assert {"new1", "new2", "new3"} <= set(json.loads(names))


def test_a_link_to_a_bank_stays_a_link(typed, voices, bank, tmp_path):
    real, link = tmp_path / "real.h5", tmp_path / "link.h5"
    real.write_bytes(bank.read_bytes())
    link.symlink_to(real)
    files = sorted((voices / "wavs/b001").glob("*.wav"))
    assert typed("enroll", link, "x", *files)[0] == 0
    assert link.is_symlink()
    assert "x\t" in typed("list", real)[1]


def test_an_input_is_never_replaced_and_a_place_that_cannot_be_is_told_at_once(
    typed, voices, tmp_path
):
    store = tmp_path / "f.h5"
    listed = tmp_path / "l.txt"
    listed.write_text("v001/x.wav\n")
    code, _, err = typed("features", "extract", listed, "-o", listed)
    assert (code, err) == (1, f"error: {listed} is read by this command; write to another file\n")
    for out, message in (("no/f.h5", "does not exist; make it first"), (".", "is a folder")):
        code, _, err = typed("features", "extract", voices / "wavs", "-o", tmp_path / out)
        assert code == 1
        assert message in err
    assert not store.exists()


@pytest.mark.parametrize(
    "arguments",
    [["train", "w", "-o", "x.h5", "--seed", "-1"], ["demo", "--seed", "99999999999999999999"]],
)
def test_seeds_that_cannot_be(typed, arguments):
    code, _, err = typed(*arguments)
    assert code == 2
    assert "--seed" in err


def test_what_the_system_refuses_is_one_line(typed, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = typed("demo", "--out", tmp_path / "file")
    assert code == 1
    assert err.startswith("error: ")
    assert "should not happen" not in err
    code, _, err = typed("run", "demo", "--data", tmp_path, "--out", tmp_path / "file")
    assert code == 1
    assert "no folder can be made there" in err


def test_a_background_model_is_trained_by_options_of_em(typed, voices, tmp_path):
    features, out = tmp_path / "f.h5", tmp_path / "ubm.h5"
    typed("features", "extract", voices, "-o", features)
    base = ["ubm", "train", features, "-o", out, "--components", "4", "--json"]
    chosen = ["--set", "em.variance_floor=0.9", "--set", "initial.method=lbg", "--memory", "20"]
    code, _, err = typed(*base, *chosen)
    assert (code, err) == (0, "")
    code, text, _ = typed("info", out, "--json")
    last = json.loads(text)["last_iteration"]
    assert len(last["floored_components"]) == 4
    assert last["dead_components"] == []
    assert last["frames_per_component"]["least"] > 3
    code, text, err = typed("info", out)
    assert (code, err) == (0, "")
    assert f"least: {last['frames_per_component']['least']}" in text
    code, _, err = typed(*base, "--set", "em.variance_flor=0.9")
    assert code == 1
    assert "unknown option 'variance_flor' (did you mean 'variance_floor'?) (--set: em." in err
    code, _, err = typed(*base, "--set", "em.variance_floor_components=7")
    assert code == 1
    assert "(--set: em.variance_floor_components)" in err
    code, _, err = typed(*base, "--memory", "1")
    assert code == 1
    assert "must be at least" in err


def test_bars_start_no_thread_which_would_be_in_the_way_of_forks(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    before = threading.active_count()
    with bars() as progress:
        progress("extracting", 1, 2)
        assert threading.active_count() == before
    assert "extracting" in terminal.getvalue()


def test_bars_go_on_from_what_was_done_and_tell_what_it_came_to(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with bars() as progress:
        progress("EM", 500, 1000, "-3.2 nats per frame")
        time.sleep(0.15)
        progress("EM", 501, 1000, "-3.1 nats per frame")
    assert "499/1000" in terminal.getvalue()
    assert "501/1000" in terminal.getvalue()
    assert "-3.1 nats per frame" in terminal.getvalue()
