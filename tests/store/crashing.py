"""Stop a save at each of its system calls, or anywhere; run as a program, which forks for each.

``crashing.py KIND FOLDER STEP``: KIND "model" or "features". At each system call of a save that
replaces a file the process that saves is killed, and at each STEP-th the call fails (no space left,
or an input/output error). Prints JSON: how many calls were tried, and what went wrong.

``crashing.py KIND FOLDER kill TIMES``: a process that saves without end is killed at random.
"""

import ctypes
import errno
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from voicegmm._base.errors import VoicegmmError
from voicegmm.features import FrameSet, Pipeline
from voicegmm.mixture import DiagonalGMM
from voicegmm.store import FeatureStore, load, new_store, save
from voicegmm.subspace import FactorAnalysis

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
TRACEME, PEEKUSER, POKEUSER, SYSCALL, SETOPTIONS = 0, 3, 6, 24, 0x4200
# Where the registers of x86-64 stand in what the kernel shows of a process (sys/user.h).
RESULT, NUMBER = 10 * 8, 15 * 8
# Calls that have to do with files (asm/unistd_64.h); those may fail.
ON_FILES = {
    *(0, 1, 2, 3, 4, 5, 8, 17, 18, 20, 72, 73, 74, 75, 77),  # read to ftruncate
    *(82, 87, 90, 91, 217, 257, 262, 263, 264, 285, 316),  # rename to renameat2
}
TRACED = signal.SIGTRAP | 0x80


def ptrace(what, process, address=0, data=0):
    found = LIBC.ptrace(what, process, address, data)
    if found == -1 and what != PEEKUSER:
        raise OSError(ctypes.get_errno(), f"ptrace {what}")
    return found


def model(value):
    gmm = DiagonalGMM([0.25, 0.75], np.ones((2, 3)), np.ones((2, 3)))
    return FactorAnalysis(gmm, np.zeros((2, 3, 0)), np.full((2, 3, 1), value), 1.0)


def write(kind, path, value):
    """Write a file that holds a number."""
    if kind == "model":
        save(path, model(value))
        return
    pipeline = Pipeline()
    frames = np.full((600, pipeline.n_dims), value)
    with new_store(path, pipeline) as writer:
        writer.add("a.wav", FrameSet(frames, np.ones(600), np.arange(600), 600, 0.01, "a.wav"))


def read(kind, path):
    """Give the number that a file holds."""
    if kind == "model":
        return float(load(path).session_loadings[0, 0, 0])
    with FeatureStore(path) as store:
        return float(store.read(["a.wav"])[0].mean())


def saving(kind, path):
    """Start a process that will replace a file, and stops before it does."""
    process = os.fork()
    if process:
        os.waitpid(process, 0)
        return process
    ptrace(TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    code = 2
    try:
        write(kind, path, 2.0)
        code = 0
    except VoicegmmError as error:
        code = 1 if path.name in str(error) else 3
    finally:
        os._exit(code)


def stopped_at(kind, path, wanted, failure):
    """Save, and stop at a system call; give the exit code, None where it was killed.

    Parameters
    ----------
    wanted : int
        Which of the calls: of all, or of those on files where `failure` is given.
    failure : int
        What the call fails with; 0 kills the process.

    Returns
    -------
    (int or None, bool)
        And whether there were so many calls.
    """
    process = saving(kind, path)
    ptrace(SETOPTIONS, process, 0, 1)  # tell stops of system calls from others
    n_calls, entering, failing, reached, passed_on = 0, True, False, False, 0
    while True:
        ptrace(SYSCALL, process, 0, passed_on)
        _, status = os.waitpid(process, 0)
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status), reached
        if os.WIFSIGNALED(status):
            return -os.WTERMSIG(status), reached
        passed_on = 0
        if os.WSTOPSIG(status) != TRACED:
            passed_on = os.WSTOPSIG(status)
            continue
        if entering and (not failure or ptrace(PEEKUSER, process, NUMBER) in ON_FILES):
            if n_calls == wanted:
                reached = True
                if not failure:
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                    return None, True
                ptrace(POKEUSER, process, NUMBER, -1)  # no such call: nothing is done
                failing = True
            n_calls += 1
        elif failing:
            ptrace(POKEUSER, process, RESULT, -failure)
            failing = False
        entering = not entering


def main():
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if sys.argv[3] == "kill":
        found = killed_anywhere(kind, folder, int(sys.argv[4]))
    else:
        found = stopped_everywhere(kind, folder, int(sys.argv[3]))
    print(json.dumps(found))


def killed_anywhere(kind, folder, times):
    """Kill savers; give what the file held after each, and what is left at last."""
    path, moments, held = folder / "file.h5", random.Random(0), []
    write(kind, path, 0.0)
    for number in range(times):
        before = path.stat().st_ino
        process = os.fork()
        while not process:
            for value in range(1, 100):
                write(kind, path, float(value))
        end = time.monotonic() + 60
        # Every other one has saved before: a busy machine would kill them all in their first save.
        while number % 2 and path.stat().st_ino == before and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        held.append(read(kind, path))
    write(kind, path, 0.0)
    return {"held": held, "left": [each.name for each in folder.iterdir()]}


def stopped_everywhere(kind, folder, step):
    """Kill a saver at each system call, let each of some fail; give what was wrong after it."""
    path = folder / "file.h5"
    wrong, counts = [], {}
    write(kind, path, 1.0)
    old = path.read_bytes()
    write(kind, path, 2.0)
    new = path.read_bytes()
    assert (read(kind, path), old == new) == (2.0, False)
    for failure in (0, errno.ENOSPC, errno.EIO):
        number, reached = 0, True
        while reached:
            path.write_bytes(old)
            code, reached = stopped_at(kind, path, number, failure)
            left = [each.name for each in folder.iterdir() if each != path]
            content = path.read_bytes()
            good = content in (old, new) and read(kind, path) in (1.0, 2.0)
            told = f"{kind}, {errno.errorcode.get(failure, 'killed')} at call {number}"
            if not good:
                wrong.append(f"{told}: neither the old file nor the new")
            if code == 0 and content != new:
                wrong.append(f"{told}: went well, and the file is the old one")
            if failure and kind == "model" and code not in (0, 1):
                wrong.append(f"{told}: ends with {code}, which is no error of ours")
            write(kind, path, 2.0)  # the next one takes away what a killed one left
            rest = [each.name for each in folder.iterdir() if each != path]
            if rest or (failure and kind == "model" and left and code == 0):
                wrong.append(f"{told}: leaves {left}, after another save {rest}")
            counts[failure] = counts.get(failure, 0) + reached
            number += step if failure else 1
    return {"counts": counts, "wrong": wrong}


if __name__ == "__main__":
    main()
