"""BLAS held to one thread, where threads inside each product only get in the way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class _Hold:
    """BLAS is held while anyone asks for it: the first to come limits it, the last frees it.

    Limits taken and given back by several threads in any order would otherwise leave the process
    with another number of threads than it had.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._libraries: list[Any] = []
        self._n_modules = -1
        self._before: list[tuple[Any, int]] = []

    def take(self) -> None:
        with self._lock:
            # A module loaded since may have brought a BLAS of its own.
            changed = self._n_modules != len(sys.modules)
            if changed:
                self._libraries = _blas_libraries()
                self._n_modules = len(sys.modules)
            if changed or not self._holders:
                for library in self._libraries:
                    self._before.append((library, library.num_threads))
                    _set_threads(library, 1)
            self._holders += 1

    def give_back(self) -> None:
        with self._lock:
            self._holders -= 1
            while self._before and not self._holders:
                _set_threads(*self._before.pop())


def _blas_libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers
    return [library for library in libraries if library.user_api == "blas"]


def _set_threads(library: Any, n_threads: int) -> None:
    # From 3.8 on threadpoolctl heeds the first thread that sets a limit, and silently no other,
    # until that is cleared. Here the lock keeps them apart, and the last may not be the first.
    clear = getattr(library, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    library.set_num_threads(n_threads)
    clear(force=True)


_HOLD = _Hold()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold the products of matrices to one thread, in the whole process.

    For many small products in a row: threads make each slower, and may change its last bits. It
    may be nested and entered by several threads at once; the number of threads from before is
    back when the last of them has left.
    """
    _HOLD.take()
    try:
        yield
    finally:
        _HOLD.give_back()
