import contextlib
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from voicegmm._base.errors import OptionError, VoicegmmError
from voicegmm.compute import can_fork, ordered_map, single_threaded_blas, tree_sum


@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.integers(1, 4))
def test_results_come_in_order_and_sum_to_the_same_bits(values, n_workers):
    doubled = list(ordered_map(lambda v: 2 * v, values, n_workers))
    assert doubled == [2 * v for v in values]
    assert tree_sum(ordered_map(lambda v: 2 * v, values, n_workers)) == tree_sum(doubled)


def test_tree_has_the_shape_that_the_number_of_parts_gives():
    class Term(str):
        def __add__(self, other):
            return Term(f"({self}{other})")

    assert tree_sum(Term(c) for c in "abcdefg") == "(((ab)(cd))((ef)g))"
    assert tree_sum([]) is None


def test_an_error_arises_at_its_item_and_stops_the_rest():
    done = []

    def work(item):
        if item == 3:
            raise ValueError("item 3")
        time.sleep(0.001)
        done.append(item)
        return item

    results = ordered_map(work, range(1000), n_workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        list(results)
    assert len(done) < 100
    assert not [t for t in threading.enumerate() if t.name.startswith("voicegmm")]


def test_items_are_read_only_a_little_ahead():
    read = []
    results = ordered_map(lambda item: item, (read.append(i) or i for i in range(1000)), 2)
    next(results)
    assert len(read) <= 10
    results.close()


def test_the_caller_is_one_of_the_threads_that_work():
    both = threading.Barrier(2, timeout=10)

    def work(_):
        both.wait()
        return threading.get_ident()

    found = set(ordered_map(work, range(20), 2))
    assert len(found) == 2
    assert threading.get_ident() in found


def test_no_workers_is_refused():
    with pytest.raises(OptionError, match="n_workers must be at least 1, got 0"):
        list(ordered_map(str, [1], 0))


# In a process of its own, because forks take one without other threads. A child ends itself at item
# 7. At last the children print their numbers, and wait.
FORKING = """
import os, sys, time
from voicegmm._base.errors import WorkerError
from voicegmm.compute import can_fork, ordered_map

caller = os.getpid()

def work(item):
    if item < 8 and item >= 0 and os.getpid() != caller:
        os._exit(1)
    if item < 0:
        raise ValueError(f"item {item}")
    return item, os.getpid()

assert can_fork()
pairs = list(ordered_map(work, range(8, 60), 3, "forks"))
assert [item for item, _ in pairs] == list(range(8, 60))
assert len({pid for _, pid in pairs} | {caller}) > 1
failing = [(range(40), WorkerError, "worker process died"), ([8, -1], ValueError, "item -1")]
for items, kind, told in failing:
    try:
        list(ordered_map(work, items, 2, "forks"))
    except kind as error:
        assert told in str(error)
    else:
        raise AssertionError("no error")

def wait(item):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once, unlike print
    time.sleep(100)

list(ordered_map(wait, range(9), 2, "forks"))  # more than the copy is given
"""


def test_forks_do_the_same_and_end_with_their_parent():
    command = [sys.executable, "-c", FORKING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        children = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (left := [pid for pid in children if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


# With a thread that Python does not know of, as libraries have them.
BESIDE_A_LIBRARY = """
import ctypes, os
from voicegmm.compute import can_fork, ordered_map

libc = ctypes.CDLL(None)
assert libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None) == 0
assert len(os.listdir("/proc/self/task")) > 1
assert can_fork()
assert list(ordered_map(abs, range(-4, 0), 2, "forks")) == [4, 3, 2, 1]
"""


def test_forks_beside_threads_of_libraries_warn_of_nothing():
    command = [sys.executable, "-W", "error", "-c", BESIDE_A_LIBRARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Of a recording after the other, each array is freed before the next one comes.
KEEPING = """
import resource
import numpy as np
from voicegmm.compute import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        parts = [np.ones(100_000) for _ in range(4)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
at_first = faults()
keep_freed_memory()
faults()
print(at_first, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc")
def test_memory_that_is_kept_is_not_asked_for_again():
    command = [sys.executable, "-c", KEEPING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    at_first, later = map(int, done.stdout.split())
    # 20 times four arrays of 195 pages.
    assert at_first > 2000
    assert later < 200


def test_forks_are_refused_beside_threads():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    try:
        assert not can_fork()
        with pytest.raises(VoicegmmError, match="take Linux and no other thread"):
            list(ordered_map(str, [1, 2], 2, "forks"))
    finally:
        go_on.set()
        thread.join()


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blas_is_held_until_the_last_holder_has_left():
    with threadpool_limits(3, user_api="blas"):
        first, second = single_threaded_blas(), single_threaded_blas()
        first.__enter__()
        second.__enter__()
        assert blas_threads() == {1}
        # Not as a stack: the first to come is the first to leave.
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {3}


def test_blas_has_its_threads_back_after_many_threads_and_errors():
    @single_threaded_blas()
    def work(item):
        time.sleep(0.0005 * (item % 3))
        assert blas_threads() == {1}
        if item % 7 == 0:
            raise ValueError("seventh")

    def several(start):
        for item in range(start, start + 15):
            with contextlib.suppress(ValueError):
                work(item)

    with threadpool_limits(2, user_api="blas"):
        threads = [threading.Thread(target=several, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert blas_threads() == {2}
