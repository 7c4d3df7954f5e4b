import os
import stat

import pytest

from voicegmm._base.errors import VoicegmmError
from voicegmm._base.files import whole_file, write_text


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "naïve\n")
    assert path.read_bytes() == "naïve\n".encode()
    write_text(path, "again", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(VoicegmmError, match="the folder .*nowhere does not exist"):
        write_text(tmp_path / "nowhere" / "a.txt", "x")
    with pytest.raises(VoicegmmError, match="is a folder"):
        write_text(tmp_path, "x")


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VoicegmmError, match=r"a\.txt: cannot be written: No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
