import fcntl
import os
import stat
import subprocess
import sys
import tempfile

import pytest

from voicegmm._base import files
from voicegmm._base.errors import InUseError, VoicegmmError
from voicegmm._base.files import locked, read_secret, whole_file, work_folder, write_text


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


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_private_file_is_private_at_every_moment(tmp_path, umask):
    path = tmp_path / "voices.h5"
    for _ in range(2):  # new, and in the place of another
        with whole_file(path, mode=0o600) as temporary:
            assert mode_of(temporary) == 0o600
            temporary.write_text("voice")
        assert mode_of(path) == 0o600
    write_text(tmp_path / "list.txt", "x")
    assert mode_of(tmp_path / "list.txt") == 0o644 & ~(umask & 0o077)


def test_a_folder_appears_whole_and_leaves_nothing(tmp_path):
    path = tmp_path / "out"
    with files.whole_folder(path) as made:
        assert mode_of(made) == 0o700
        (made / "a").write_text("Zoe")
        with files.whole_folder(tmp_path / "other") as theirs:  # takes away nobody's work
            (theirs / "b").write_text("Al")
        assert (made / "a").exists()
    assert mode_of(path) == 0o777 & ~files.current_umask()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b", "other", "out"]
    with pytest.raises(VoicegmmError, match="out is there already"), files.whole_folder(path):
        raise AssertionError
    left, foreign = tmp_path / ".new.abcd_123.part", tmp_path / ".new.er.abcd_123.part"
    for one in (left, foreign):
        one.mkdir()
        (one / "x").write_text("Zoe")

    def fail():
        with files.whole_folder(tmp_path / "new") as made:
            assert not left.exists()
            (made / "x").write_text("half")
            raise KeyError("power cut")

    with pytest.raises(KeyError, match="power cut"):
        fail()
    assert sorted(os.listdir(tmp_path)) == [foreign.name, "other", "out"]


def test_a_umask_is_never_loose_while_it_is_looked_at(umask, monkeypatch):
    seen, plain = [], os.umask
    monkeypatch.setattr(os, "umask", lambda mask: seen.append(mask) or plain(mask))
    assert files.current_umask() == umask
    assert seen == [0o077, umask]


def test_a_permission_that_was_taken_away_does_not_come_back(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old", mode=0o600)
    write_text(path, "new", mode=0o644)
    assert (mode_of(path), path.read_text()) == (0o600, "new")
    path.chmod(0o644)
    write_text(path, "newer", mode=0o600)
    assert mode_of(path) == 0o600
    path.chmod(0o440)
    write_text(path, "newest")
    assert mode_of(path) == 0o440


def test_what_a_killed_writer_left_goes_with_the_next_and_nothing_else_does(tmp_path):
    path = tmp_path / "a"
    left = tmp_path / ".a.abcd_123.part"
    others = [tmp_path / n for n in (".a.h5.abcd_123.part", "a.abcd_123.part", ".a.abc.part")]
    for one in (left, *others):
        one.write_text("Zoe")
    with whole_file(path) as mine:
        assert not left.exists()
        mine.write_text("first")
        with mine.open("rb") as file:  # as the HDF5 library does
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with whole_file(path) as theirs:  # as another process might: who writes loses nothing
            theirs.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, *(one.name for one in others)])


def test_a_temporary_that_was_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    taken = []
    hold = files._hold

    def late(handle):
        if not taken:  # another writer comes between the making of the file and its being held
            taken.extend(tmp_path.glob("*.part"))
            taken[0].unlink()
        return hold(handle)

    monkeypatch.setattr(files, "_hold", late)
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
    assert len(taken) == 1


def test_who_waits_for_a_file_in_use_is_told(tmp_path):
    path = tmp_path / "voices.h5"
    with locked(path):
        assert mode_of(tmp_path / ".voices.h5.lock") == 0o600
        message = r"voices\.h5: another process has been changing it for 0\.1 s; try again"
        with pytest.raises(InUseError, match=message), locked(path, seconds=0.1):
            pass
    with locked(path, seconds=0):
        pass


def test_a_passphrase_is_read_from_a_file_of_its_owner(tmp_path):
    path = tmp_path / "pass"
    write_text(path, "correct horse\n", mode=0o600)
    assert read_secret(path) == "correct horse"
    for content, message in (
        (b"", "holds nothing"),
        (b"\n", "holds nothing"),
        (b"one\ntwo\n", "holds more than a line"),
        (b"x" * 5000, "at most 4096 bytes"),
        (b"\xff\xfe", "a line of UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(VoicegmmError, match=message):
            read_secret(path)
    path.write_text("correct horse")
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(VoicegmmError, match=f"mode {mode:04o}.*chmod 600"):
            read_secret(path)
    with pytest.raises(VoicegmmError, match="nowhere: cannot be read: No such file"):
        read_secret(tmp_path / "nowhere")
    reading, writing = os.pipe()
    os.write(writing, b"from a command\n")
    os.close(writing)
    assert read_secret(f"/dev/fd/{reading}") == "from a command"
    os.close(reading)


def test_a_work_folder_goes_and_so_does_that_of_a_killed_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "voicegmm-results").mkdir()  # somebody's own
    (tmp_path / "voicegmm-link").symlink_to(tmp_path / "voicegmm-results")
    code = """if True:
        from voicegmm._base.files import work_folder
        with work_folder() as work:
            (work / "features.h5").write_text("speech")
            print(flush=True)
            input()
    """
    there = os.environ | {"TMPDIR": str(tmp_path)}
    command, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=there) as child:
        child.stdout.readline()
        with work_folder() as mine:
            assert mode_of(mine) == 0o700
            (theirs,) = {p.parent for p in tmp_path.glob("*/features.h5")}  # alive: left alone
            with work_folder() as other:
                assert mine.exists()
            assert not other.exists()
        child.kill()
    assert theirs.exists()
    with work_folder():
        assert not theirs.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["voicegmm-link", "voicegmm-results"]


def test_the_reason_is_what_the_system_said(tmp_path):
    told = "Can't close file (errno = 28, error message = 'No space left on device', buf = 0x1)"
    message = "cannot be written: No space left on device$"
    with pytest.raises(VoicegmmError, match=message), whole_file(tmp_path / "x"):
        raise OSError(told)
