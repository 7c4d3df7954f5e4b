"""What makes a stage run: options, inputs, code, outputs that are gone; and what it leaves."""

import json
import os
import platform
import subprocess
import sys
import threading
import time

import pytest

from voicegmm._base.errors import InUseError
from voicegmm._base.files import write_text
from voicegmm.experiment import code as looked_up
from voicegmm.experiment.code import code_of
from voicegmm.experiment.environment import PeakMemory
from voicegmm.experiment.locks import held
from voicegmm.experiment.stages import Stage, run_folder
from voicegmm.experiment.steps.background import train
from voicegmm.experiment.steps.evaluation import evaluate
from voicegmm.experiment.steps.features import extract
from voicegmm.metrics import eer


def run(folder, text="a", size=1, shared=None, dry_run=False, done=None, function=eer):
    """Do two stages: one writes a text, the other as much of it as the option `size` says."""

    def first():
        done.append("first")
        write_text(folder.path / "first.txt", text)

    def second():
        done.append("second")
        write_text(folder.path / "second.txt", (folder.path / "first.txt").read_text()[:size])

    done = [] if done is None else done
    with run_folder(folder, shared, dry_run) as folder:
        folder.stage(Stage("first", function, {}, {"text": text}, ("first.txt",)), first)
        inputs = {"first.txt": folder.content("first.txt")}
        folder.stage(Stage("second", function, {"size": size}, inputs, ("second.txt",)), second)
        return folder.decisions, done


def reasons(decisions):
    return [(decision.action, decision.reason) for decision in decisions]


SAME = "options, inputs and code are what they were"


def test_a_stage_runs_once_and_again_when_something_changed(tmp_path):
    decisions, done = run(tmp_path)
    assert reasons(decisions) == [("run", "it was not done here yet")] * 2
    decisions, done = run(tmp_path)
    assert (reasons(decisions), done) == ([("skip", SAME)] * 2, [])
    decisions, done = run(tmp_path, size=2)
    assert reasons(decisions) == [("skip", SAME), ("run", "options: size 1 -> 2")]
    decisions, done = run(tmp_path, text="b", size=2)
    assert reasons(decisions) == [("run", "inputs: text"), ("run", "inputs: first.txt")]
    decisions, done = run(tmp_path, text="b", size=2, function=code_of)
    assert all("code: voicegmm." in reason for _, reason in reasons(decisions))


def test_inputs_that_come_out_as_they_were_do_not_run_what_follows(tmp_path):
    run(tmp_path)
    run(tmp_path, function=code_of)
    (tmp_path / "first.txt").unlink()
    decisions, _ = run(tmp_path, function=code_of)
    assert reasons(decisions) == [("run", "first.txt is gone"), ("skip", SAME)]


def test_an_output_is_known_by_its_content(tmp_path):
    run(tmp_path)
    os.utime(tmp_path / "second.txt", ns=(1, 1))
    assert run(tmp_path)[1] == []
    assert (
        json.loads((tmp_path / "stages.json").read_text())["second"]["outputs"]["second.txt"][
            "changed_ns"
        ]
        == 1
    )
    (tmp_path / "second.txt").write_text("c")
    decisions, done = run(tmp_path)
    assert (done, decisions[1].reason) == (["second"], "second.txt was changed since")


def test_a_stage_that_fails_runs_again(tmp_path):
    with pytest.raises(ZeroDivisionError), run_folder(tmp_path) as folder:
        folder.stage(Stage("x", eer, {}, {}, ()), lambda: 1 / 0)
    with run_folder(tmp_path) as folder:
        folder.stage(Stage("x", eer, {}, {}, ()), lambda: None)
        assert reasons(folder.decisions) == [("run", "it was interrupted")]


def test_what_was_begun_is_gone_on_with_by_the_same_work_alone(tmp_path):
    def stop():
        (tmp_path / "x.txt.partial").write_text("begun")
        raise KeyboardInterrupt

    def attempt(size, work):
        with run_folder(tmp_path) as folder:
            folder.stage(Stage("x", eer, {"size": size}, {}, ("x.txt",)), work)

    def goes_on():
        found.append((tmp_path / "x.txt.partial").exists())
        stop()

    found = []
    for size in (1, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            attempt(size, goes_on)
    assert found == [False, True, False]


def test_a_dry_run_tells_and_does_nothing(tmp_path):
    out = tmp_path / "run"
    decisions, done = run(out, dry_run=True)
    assert reasons(decisions) == [("run", "it was not done here yet")] * 2
    assert (done, out.exists()) == ([], False)
    run(out)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert reasons(run(out, dry_run=True)[0]) == [("skip", SAME)] * 2
    decisions, done = run(out, text="b", dry_run=True)
    assert reasons(decisions) == [("run", "inputs: text"), ("depends", "inputs: first.txt")]
    assert done == []
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_runs_share_what_is_the_same(tmp_path):
    shared = tmp_path / "shared"
    assert run(tmp_path / "one", shared=shared)[1] == ["first", "second"]
    decisions, _ = run(tmp_path / "two", size=2, shared=shared, dry_run=True)
    assert [decision.action for decision in decisions] == ["take", "run"]
    assert run(tmp_path / "two", size=2, shared=shared)[1] == ["second"]
    assert (tmp_path / "one/first.txt").samefile(tmp_path / "two/first.txt")
    assert run(tmp_path / "two", size=2)[1] == []  # the folder stands by itself
    # What a run replaces stays with the others.
    run(tmp_path / "two", text="b", shared=shared)
    assert (tmp_path / "one/first.txt").read_text() == "a"
    assert run(tmp_path / "one", text="b", shared=shared)[1] == []
    assert (tmp_path / "one/first.txt").read_text() == "b"
    # A shared file that somebody changed is not taken.
    place = next(path for path in shared.glob("first-*") if (path / "first.txt").read_text() == "b")
    (place / "first.txt").unlink()
    (place / "first.txt").write_text("c")
    assert run(tmp_path / "three", text="b", shared=shared)[1] == ["first"]


def test_of_two_runs_at_once_one_does_what_they_share(tmp_path):
    shared, done = tmp_path / "shared", []

    def both(name):
        with run_folder(tmp_path / name, shared) as folder:

            def work():
                done.append(name)
                time.sleep(0.1)
                (folder.path / "x.txt").write_text("x")

            folder.stage(Stage("x", eer, {}, {}, ("x.txt",)), work)

    threads = [threading.Thread(target=both, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
    assert (tmp_path / "one/x.txt").read_text() == (tmp_path / "two/x.txt").read_text() == "x"


def test_the_code_of_a_stage_is_what_it_uses():
    extracted = code_of(extract)
    assert {"voicegmm.features.plp", "voicegmm.store.features", "soundfile"} <= extracted.keys()
    trained = code_of(train)
    assert {"voicegmm.mixture.em", "voicegmm.mixture.kernel", "numba", "numpy"} <= trained.keys()
    unused = {"voicegmm.features.plp", "voicegmm.scoring.folds", "voicegmm.metrics.eer"}
    assert not unused & trained.keys()
    assert "voicegmm.mixture.em" not in code_of(evaluate)
    assert code_of(lambda: None) == {}


def test_a_change_of_a_definition_counts_where_it_is_used(tmp_path, monkeypatch):
    package = tmp_path / "voicegmm"
    package.mkdir()
    source = {
        "one": "from voicegmm.two import used\n\n\ndef stage():\n    return used()\n",
        "two": "import numpy\n\nNUMBER = 1\n\n\ndef used():\n    return NUMBER\n\n\n"
        "def unused():\n    return numpy.pi\n",
    }
    monkeypatch.setattr(looked_up, "_ROOT", tmp_path)

    def code(**changed):
        for name, text in (source | changed).items():
            (package / f"{name}.py").write_text(text)
        forget()

        def stage():
            pass

        stage.__module__, stage.__qualname__ = "voicegmm.one", "stage"
        return code_of(stage)

    def forget():
        for cached in (looked_up._module, looked_up._uses, looked_up._defined):
            cached.cache_clear()

    try:
        first = code()
        assert set(first) == {"voicegmm.one", "voicegmm.two"}
        assert code(two=source["two"].replace("numpy.pi", "0")) == first
        changed = code(two=source["two"].replace("= 1", "= 2"))
        assert changed["voicegmm.one"] == first["voicegmm.one"]
        assert changed["voicegmm.two"] != first["voicegmm.two"]
        assert "numpy" in code(two=source["two"].replace("return NUM", "return numpy.pi + NUM"))
    finally:
        forget()


# Not ours, to be there at once; what ours writes is looked at below.
HOLDER = """
import fcntl, json, os, sys, time
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.write(handle, json.dumps({"host": os.uname().nodename, "process": os.getpid()}).encode())
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_names_its_owner_and_dies_with_it(tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / ".lock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout.readline() == "held\n"
        told = rf"another run is at work here \(process {owner.pid} on {platform.node()}, since"
        with pytest.raises(InUseError, match=told), held(tmp_path):
            pass
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    assert json.loads((tmp_path / ".lock").read_text())["process"] == owner.pid
    with held(tmp_path):
        signed = json.loads((tmp_path / ".lock").read_text())
        assert (signed["host"], signed["process"]) == (platform.node(), os.getpid())
        assert signed["since"].startswith("20")
    assert (tmp_path / ".lock").read_text() == ""


def test_a_lock_of_another_host_is_not_taken_over(tmp_path, monkeypatch):
    owner = {"host": "elsewhere", "process": 1, "since": "then"}
    (tmp_path / ".lock").write_text(json.dumps(owner))
    message = r"run on another host .*process 1 on elsewhere, since then.*remove \S*\.lock"
    with pytest.raises(InUseError, match=message), held(tmp_path):
        pass
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    with held(tmp_path):
        pass


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux tells it")
def test_the_memory_of_a_stage_is_its_own():
    with PeakMemory() as large:
        len(b"x" * 100_000_000)
    with PeakMemory() as small:
        pass
    assert small.megabytes > 10
    assert large.megabytes - small.megabytes > 80
