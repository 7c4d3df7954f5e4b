"""Keeping a bank by commands: removal and what it tells, encryption with a passphrase."""

import getpass
import json
import stat
from dataclasses import replace

import numpy as np
import pytest

from voicegmm.features import FrameSet, Pipeline, PipelineOptions
from voicegmm.mixture import DiagonalGMM
from voicegmm.scoring import (
    BackgroundModel,
    EnrolledRecording,
    SpeakerModels,
    UbmOptions,
    Voices,
)
from voicegmm.store import encryption, is_encrypted, new_store, save_background, save_voices

HASHES = ["0a" * 32, "1b" * 32, "2c" * 32]


@pytest.fixture
def bank(tmp_path):
    """A bank of Ann and Bob; its background model heard Ann."""
    rng = np.random.default_rng(5)
    gmm = DiagonalGMM([0.5, 0.5], 0.1 * rng.standard_normal((2, 60)), np.full((2, 60), 4.0))
    background = BackgroundModel(gmm, PipelineOptions(), UbmOptions(2), contents=(HASHES[0],))
    means = rng.standard_normal((2, 2, 60)).astype(np.float32)
    records = {
        "Ann": (EnrolledRecording("a.wav", HASHES[0], 1.5), EnrolledRecording("b.wav", HASHES[1])),
        "Bob": (EnrolledRecording("c.wav", HASHES[2]),),
    }
    speakers = SpeakerModels(
        background, ("Ann", "Bob"), means, np.ones((2, 2)), np.ones(2), records=records
    )
    path = tmp_path / "v.h5"
    save_voices(path, Voices(speakers))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/stages.json").write_text("{}")
    save_background(tmp_path / "run/ubm.h5", background)
    with new_store(tmp_path / "run/features.h5", Pipeline()) as writer:
        for number, content in enumerate(HASHES[:2]):
            kept = FrameSet(np.ones((5, 60), np.float32), np.ones(5), np.arange(5), 5, 0.01)
            writer.add(f"{number}", replace(kept, content=content))
    return path


@pytest.fixture
def secret(tmp_path):
    """Give secret("words") -> a file with a passphrase; passphrases are tried fast."""
    pytest.importorskip("cryptography", reason="encryption takes voicegmm[encryption]")
    numbers = iter(range(9))

    def write(words):
        path = tmp_path / f"secret{next(numbers)}"
        path.write_text(f"{words}\n")
        path.chmod(0o600)
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "_LEAST_COST", 4)
        quick = encryption.EncryptionOptions(4)
        patch.setattr(encryption, "EncryptionOptions", lambda: quick)
        yield write


@pytest.fixture
def terminal(monkeypatch):
    """Give terminal("words", ...): what will be typed where a passphrase is asked for."""
    asked = []

    def will_be_typed(*answers):
        left = list(answers)
        asked.clear()
        monkeypatch.setattr(
            getpass, "getpass", lambda prompt: (asked.append(prompt), left.pop(0))[1]
        )
        return asked

    return will_be_typed


def test_removal_says_what_derives_from_the_voice(typed, bank, tmp_path):
    look = ["--look-in", tmp_path]
    before = bank.read_bytes()
    code, out, _ = typed("remove", bank, "Ann", *look, "--dry-run")
    told = [
        f"  {bank}: the background model derives from that voice until it is trained again",
        f"  {tmp_path}/run/features.h5: features, from 2 recordings",
        f"  {tmp_path}/run: run, from 2 recordings: its scores and its report derive from them, "
        "too",
        f"  {tmp_path}/run/ubm.h5: background model, from 1 recordings",
        "The recordings themselves, and copies of the bank, are not touched",
    ]
    assert (code, out) == (0, "\n".join(["Ann would be removed; 1 speakers remain", *told, ""]))
    assert bank.read_bytes() == before
    code, out, _ = typed("remove", bank, "Ann", *look, "--json")
    found = json.loads(out)
    assert {k: v for k, v in found.items() if k != "derived"} == {
        "bank": str(bank), "removed": True, "n_speakers": 1, "n_recordings": 2,
        "in_background": True, "in_calibration": False, "in_subspace": False,
        "untold": {},
    }  # fmt: skip
    assert {(one["what"], one["n_recordings"]) for one in found["derived"]} == {
        ("features", 2), ("run", 2), ("background model", 1)
    }  # fmt: skip
    assert "Ann" not in out.replace(str(tmp_path), "")
    content = bank.read_bytes()
    assert not any(part in content for part in (b"Ann", b"a.wav", bytes.fromhex(HASHES[0])))
    code, out, _ = typed("remove", bank, "Bob")
    assert "  elsewhere: not looked for; --look-in DIR does\n" in out
    code, out, _ = typed("list", bank, "--audit")
    first, derives, second = out.splitlines()
    assert (first[:14], second[:14]) == ("(removed)  202", "(removed)  202")
    assert derives == "  the background model derives from that voice until it is trained again"
    assert len(json.loads(typed("info", bank, "--json")[1])["removals"]) == 2


def test_removal_of_nobody(typed, bank, tmp_path):
    before = bank.read_bytes()
    code, _, err = typed("remove", bank, "Anna")
    assert (code, "'Anna' is not enrolled; enrolled are: Ann, Bob" in err) == (1, True)
    code, _, err = typed("remove", bank, "Ann", "--look-in", tmp_path / "nowhere")
    assert (code, "nowhere: no such folder to look in" in err) == (1, True)
    assert bank.read_bytes() == before
    assert not (tmp_path / ".v.h5.lock").exists()


@pytest.mark.slow
def test_a_bank_is_used_encrypted(typed, bank, secret, voices, tmp_path):
    words = secret("correct horse battery")
    given = ["--passphrase-file", words]
    plain = typed("list", bank)[1]
    assert typed("encrypt", bank, *given)[0] == 0
    assert is_encrypted(bank)
    assert typed("list", bank, *given)[1] == plain
    files = sorted((voices / "wavs/v001").glob("*.wav"))
    assert typed("enroll", bank, "Zoe", *files[:2], *given)[0] == 0
    code, out, _ = typed("identify", bank, files[2], *given, "--json", "--force")
    assert (code, json.loads(out)["ranking"][0]["name"]) == (0, "Zoe")
    code, out, _ = typed("verify", bank, "Zoe", files[2], *given, "--force")
    assert (code, out[:4]) == (0, "yes:")
    code, out, _ = typed("info", bank, "--verify", "--json", *given)
    told = json.loads(out)
    assert (told["encrypted"], told["n_speakers"]) == (True, 3)
    assert "the SHA-256 of the whole file fits" in told["verified"][0]
    bank.chmod(0o644)  # what it holds is private all the same
    to_npz = "convert", bank, tmp_path / "zoe.npz", "--to", "npz", "--part"
    assert typed(*to_npz, "Zoe", *given)[0] == 0
    assert stat.S_IMODE((tmp_path / "zoe.npz").stat().st_mode) == 0o600
    (tmp_path / "zoe.npz").unlink()
    assert "none is called 'Zoo' (did you mean 'Zoe'?)" in typed(*to_npz, "Zoo", *given)[2]
    assert (
        "the passphrase is wrong"
        in typed(*to_npz, "Zoe", "--passphrase-file", secret("of another"))[2]
    )
    bank.chmod(0o600)
    assert typed("remove", bank, "Zoe", *given)[0] == 0
    assert is_encrypted(bank)
    assert stat.S_IMODE(bank.stat().st_mode) == 0o600
    code, out, _ = typed("list", bank, "--untrusted", *given)
    assert (code, out) == (0, plain)
    assert typed("decrypt", bank, *given)[0] == 0
    assert stat.S_IMODE(bank.stat().st_mode) == 0o600
    assert typed("list", bank)[1] == plain
    code, out, err = typed("list", bank, *given)
    assert (out, "v.h5 is not encrypted; `voicegmm encrypt` would" in err) == (plain, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".v.h5.lock",
        "run",
        "secret0",
        "secret1",
        "v.h5",
    ]


def test_a_passphrase_is_asked_for(typed, bank, secret, terminal):
    asked = terminal("battery staple", "battery staple")
    assert typed("encrypt", bank)[0] == 0
    assert asked == [f"New passphrase of {bank}: ", "The same again: "]
    asked = terminal("battery staple", "something new", "something new")
    assert typed("encrypt", bank)[1] == f"{bank}: encrypted with the new passphrase\n"
    assert asked[0] == f"Passphrase of {bank}: "
    terminal("something new")
    assert typed("list", bank, "--json")[1].startswith('{"Ann"')
    for words, message in (
        (["battery staple"], "the passphrase is wrong"),
        (["something new", "a first one", "and another"], "the two passphrases differ"),
        (["something new", "short"], "passphrase must have at least 8 characters, got 5"),
    ):
        before = bank.read_bytes()
        terminal(*words)
        code, _, err = typed("encrypt", bank)
        assert (code, message in err) == (1, True)
        assert bank.read_bytes() == before


def test_a_passphrase_is_not_asked_for_where_it_would_be_seen(typed, bank, secret, monkeypatch):
    assert typed("encrypt", bank, "--passphrase-file", secret("battery staple"))[0] == 0

    def no_terminal(prompt, stream=None):
        return getpass.fallback_getpass(prompt, stream)

    monkeypatch.setattr(getpass, "getpass", no_terminal)
    code, _, err = typed("list", bank)
    assert (code, "there is no terminal to ask for the passphrase at" in err) == (1, True)


def test_a_passphrase_is_changed_from_files(typed, bank, secret, tmp_path):
    one, two = secret("the first words"), secret("the second words")
    code, _, err = typed("encrypt", bank, "--new-passphrase-file", two)
    assert (code, "has no passphrase yet; give one by --passphrase-file" in err) == (2, True)
    assert typed("encrypt", bank, "--passphrase-file", one)[0] == 0
    new = ["--passphrase-file", one, "--new-passphrase-file", two]
    assert typed("encrypt", bank, *new)[0] == 0
    assert "the passphrase is wrong" in typed("encrypt", bank, *new)[2]
    code, _, err = typed("decrypt", bank, "-o", tmp_path / "run/ubm.h5", *new[:2])
    assert (code, "ubm.h5 exists; name a file that does not" in err) == (1, True)
    plain = tmp_path / "plain.h5"
    assert typed("decrypt", bank, "-o", plain, "--passphrase-file", two)[0] == 0
    assert (is_encrypted(bank), typed("list", plain)[0]) == (True, 0)
    assert "is not encrypted" in typed("decrypt", plain)[2]
    assert "no such file" in typed("decrypt", tmp_path / "nowhere.h5")[2]
    two.chmod(0o640)
    code, _, err = typed("list", bank, "--passphrase-file", two)
    assert (code, "others than its owner can open it (mode 0640)" in err) == (1, True)


def test_other_commands_say_that_a_bank_is_encrypted(typed, bank, secret, tmp_path):
    assert typed("encrypt", bank, "--passphrase-file", secret("battery staple"))[0] == 0
    (tmp_path / "trials.txt").write_text("Ann 0 target\n")
    features, trials = tmp_path / "run/features.h5", ["--trials", tmp_path / "trials.txt"]
    code, _, err = typed("score", bank, features, *trials, "-o", tmp_path / "x.tsv")
    assert (code, "v.h5: is encrypted, and this needs its passphrase" in err) == (1, True)


def test_training_does_not_replace_an_encrypted_bank_by_a_plain_one(typed, bank, secret, tmp_path):
    words = secret("battery staple")
    assert typed("encrypt", bank, "--passphrase-file", words)[0] == 0
    wavs = ["train", tmp_path / "nowhere", "-o", bank]
    code, _, err = typed(*wavs, "--force")  # said before any work
    assert (code, "v.h5 is encrypted, and would not be any more: --encrypt" in err) == (2, True)
    code, _, err = typed(*wavs, "--force", "--passphrase-file", words)
    assert (code, "--passphrase-file goes with --encrypt" in err) == (2, True)


@pytest.mark.slow
def test_training_encrypts_at_once(typed, bank, speaker_folders, secret, tmp_path):
    out, words = tmp_path / "new.h5", secret("battery staple")
    given = ["--encrypt", "--passphrase-file", words]
    assert typed("train", speaker_folders / "known", "-o", out, "--components", 8, *given)[0] == 0
    assert is_encrypted(out)
    _, found, _ = typed("list", out, "--json", "--passphrase-file", words)
    assert len(json.loads(found)) == 12
