"""Worker processes that are copies of this one, and there at once."""

import os
import signal
import sys
import threading
import warnings
from concurrent.futures import Executor

from voicegmm._base.errors import VoicegmmError

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


def can_fork() -> bool:
    """Tell whether this process can be copied: on Linux, and while it has no other thread.

    A copy has the calling thread alone, and what another held would be held there forever.
    """
    return sys.platform == "linux" and threading.active_count() == 1


def forked_workers(n_workers: int) -> Executor:
    """Make a pool of copies of this process, which end with it, however it ends.

    Raises
    ------
    VoicegmmError
        If this process cannot be copied.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    if not can_fork():
        raise VoicegmmError('workers "forks" take Linux and no other thread; use "processes"')
    context = get_context("fork")
    pool = ProcessPoolExecutor(n_workers, context, _begin, (os.getpid(),))
    with warnings.catch_warnings():
        # Python 3.12 and later warn where the system counts threads that Python does not: those of
        # OpenBLAS, which ends them before a fork, or of OpenMP, which no function of ours that is
        # given to forks calls.
        told = r"This process .* is multi-threaded, use of fork\(\)"
        warnings.filterwarnings("ignore", told, DeprecationWarning)
        pool.submit(os.getpid)  # the first item is when all are forked
    return pool


def _begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and die with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)


def die_with(parent: int) -> None:
    """Have the system kill this process when its parent ends, however that ends; on Linux alone."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os._exit(1)
