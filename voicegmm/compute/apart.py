"""Work in processes of its own: what dies there takes nothing else with it."""

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from voicegmm._base.checks import at_least
from voicegmm._base.errors import VoicegmmError
from voicegmm.compute.forking import die_with

Item = TypeVar("Item")

_PATIENCE_SECONDS = 10.0  # with a process that was asked to end, until it is made to


@dataclass(frozen=True)
class Outcome:
    """What came of an item.

    Parameters
    ----------
    value : object
        What the function returned; None if it failed.
    error : str
        Why it failed, in a line; empty if it did not.
    """

    value: Any = None
    error: str = ""


def map_apart(
    function: Callable[[Item], Any], items: Iterable[Item], n_workers: int = 1
) -> Generator[tuple[Item, Outcome], None, None]:
    """Apply a function to each item in a new process, at most `n_workers` at once.

    For few and long pieces of work, each of which may fail: an exception, or the death of its
    process, is the outcome of that item and of no other. The processes end with this one, however
    it ends (on Linux at once), and when the generator is closed. They read the main script anew:
    one that calls this does so below ``if __name__ == "__main__":``.

    Parameters
    ----------
    function : callable
        Called as ``function(item)``; function, item and result are sent from process to process,
        so that the function must stand at the top level of a module.
    items : iterable
    n_workers : int
        At least 1.

    Yields
    ------
    (item, Outcome), in the order in which they finish
    """
    at_least("n_workers", n_workers, 1)
    context = multiprocessing.get_context("spawn")  # with no lock or thread of this process
    waiting = deque(items)
    running: dict[Connection, tuple[BaseProcess, Item]] = {}
    process: BaseProcess
    try:
        while waiting or running:
            while waiting and len(running) < n_workers:
                item = waiting.popleft()
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(there, function, item, os.getpid()))
                process.start()
                there.close()  # so that its death shows as the end of what can be read
                running[here] = process, item
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)  # nothing else is waited for
                process, item = running[ready]
                outcome = _received(ready, process)
                del running[ready]
                yield item, outcome
    finally:
        for process, _ in running.values():
            process.terminate()
        for connection, (process, _) in running.items():
            process.join(_PATIENCE_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            connection.close()


def _received(connection: Connection, process: BaseProcess) -> Outcome:
    try:
        outcome = connection.recv()
        assert isinstance(outcome, Outcome)  # nothing else is sent
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        outcome = Outcome(error=f"its process died ({how}): out of memory, or killed")
    process.join()
    connection.close()
    return outcome


def _work(connection: Connection, function: Callable[[Any], Any], item: Any, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the affair of who started us
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, clean up
    die_with(parent)
    logging.getLogger("voicegmm").addHandler(logging.NullHandler())
    try:
        outcome = Outcome(function(item))
    except KeyboardInterrupt:
        return
    except VoicegmmError as error:
        outcome = Outcome(error=" ".join(str(error).split()))
    except Exception as error:
        outcome = Outcome(error=f"{type(error).__name__}: {' '.join(str(error).split())}")
    connection.send(outcome)
