"""Work in processes of its own: an item that fails, or whose process dies, fails alone."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from voicegmm._base.errors import DataError, OptionError
from voicegmm.compute import Outcome, map_apart


def _do(what):
    if what == "fail":
        raise DataError("too few\nspeakers")
    if what == "break":
        raise KeyError("x")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "leave":
        os._exit(3)
    return what, os.getpid()


@pytest.mark.slow
def test_each_item_has_its_process_and_its_outcome():
    found = dict(map_apart(_do, ["fine", "fail", "break", "die", "leave"], 2))
    assert found["fine"].error == ""
    assert found["fine"].value[0] == "fine"
    assert found["fine"].value[1] != os.getpid()
    assert found["fail"] == Outcome(error="too few speakers")
    assert found["break"] == Outcome(error="KeyError: 'x'")
    assert "killed by signal 9" in found["die"].error
    assert "exit code 3" in found["leave"].error


@pytest.mark.slow
def test_a_process_that_dies_takes_no_other_with_it():
    found = dict(map_apart(_do, ["die", "fine"]))
    assert "killed by signal 9" in found["die"].error
    assert found["fine"].value[0] == "fine"


def test_at_least_one_worker():
    with pytest.raises(OptionError, match="n_workers must be at least 1"):
        next(map_apart(_do, ["fine"], 0))


def _sleep(path):
    with open(path, "w") as file:  # noqa: PTH123
        file.write(str(os.getpid()))
    time.sleep(60)


def _wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends children with their parent")
def test_processes_end_with_who_started_them(tmp_path):
    """However it ends: here by kill -9."""
    script = tmp_path / "starter.py"
    script.write_text(
        textwrap.dedent("""
            import sys, time
            from pathlib import Path
            from voicegmm.compute import map_apart

            def work(path):
                import os
                Path(path + ".part").write_text(str(os.getpid()))
                Path(path + ".part").rename(path)
                time.sleep(60)

            if __name__ == "__main__":
                list(map_apart(work, sys.argv[1:], 2))
        """)
    )
    marks = [tmp_path / "a", tmp_path / "b"]
    starter = subprocess.Popen(
        [sys.executable, script, *marks], env=os.environ | {"PYTHONPATH": "."}
    )
    _wait_for(lambda: all(mark.exists() for mark in marks))
    starter.kill()
    starter.wait()
    _wait_for(lambda: all(_gone(int(mark.read_text())) for mark in marks))
