"""A function over many items, by several workers, the results in the items' order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import VoicegmmError, WorkerError
from voicegmm.compute.blas import single_threaded_blas
from voicegmm.compute.engines import engine_in_force
from voicegmm.compute.forking import forked_workers
from voicegmm.compute.processes import AHEAD, DIED, map_by_processes

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items in the air for each copy of a caller that works, too: they last while it does one and what
# becomes of the results.
_AHEAD_OF_CALLER = 3
WORKERS = ("threads", "processes", "forks", "dask")


def available_cores() -> int:
    """Give the number of cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    n_workers: int = 1,
    workers: str = "threads",
) -> Generator[Result, None, None]:
    """Apply a function to each item, by `n_workers` workers; yield the results in order.

    BLAS is held to one thread meanwhile, with one worker too: workers over items are faster than
    threads inside each product, and the bits are the same for any number of workers.

    Parameters
    ----------
    function : callable
        Called as ``function(item)``. What it raises is raised here, at that item's place.
    items : iterable
        Read only a few items ahead of the consumer, in the calling thread.
    n_workers : int
        At least 1; with "dask" there are as many as the scheduler has.
    workers : {"threads", "processes", "forks", "dask"}
        All but threads get function and items pickled: that of `engine_in_force` is for those that
        can be. Processes take half a second to start, and stay for the next call. Forks are copies
        of this process, there at once, and only to be had where `voicegmm.compute.can_fork` says
        so. The calling thread is one of the threads or forks, and the only worker of one, whatever
        the kind, but with "dask", whose are to be had in a block of `engine`.

    Yields
    ------
    ``function(item)`` for each item, in the order of the items.

    Raises
    ------
    WorkerError
        If a worker process dies; with "dask", if all of them do, or the scheduler.
    MismatchError
        If a worker does not see a file, or has another version of voicegmm.
    VoicegmmError
        If forks or Dask are asked for where they are not to be had.
    """
    at_least("n_workers", n_workers, 1)
    one_of("workers", workers, WORKERS)
    at_work = engine_in_force()
    with single_threaded_blas():
        if workers == "dask":
            if at_work.cluster is None:
                raise VoicegmmError('workers "dask" are to be had in a block of `engine` alone')
            yield from at_work.cluster.map(function, items, at_work.scratch)
        elif n_workers == 1:
            yield from map(function, items)
        elif workers == "threads":
            yield from _by_threads(function, items, n_workers)
        elif workers == "forks":
            yield from _by_forks(function, items, n_workers - 1)
        else:
            yield from map_by_processes(function, items, n_workers, at_work.scratch)


def _by_threads(
    function: Callable[[Item], Result], items: Iterable[Item], n_workers: int
) -> Iterator[Result]:
    """Work here, too: a thread that only waits is woken for each result, in the others' way."""
    pool = ThreadPoolExecutor(n_workers - 1, thread_name_prefix="voicegmm")
    source = iter(items)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        while True:
            n_due = AHEAD * n_workers - len(waiting)
            waiting.extend((item, pool.submit(function, item)) for item in islice(source, n_due))
            if not waiting:
                return
            if not waiting[0][1].done():
                # What nobody has begun is done here, the first of it.
                free = (number for number, (_, one) in enumerate(waiting) if one.cancel())
                number = next(free, None)
                if number is not None:
                    item = waiting[number][0]
                    waiting[number] = item, _done_here(function, item)
                    continue
            yield waiting.popleft()[1].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _by_forks(
    function: Callable[[Item], Result], items: Iterable[Item], n_forks: int
) -> Iterator[Result]:
    """Work here, too, while the copies do: another process would only be in their way."""
    pool = forked_workers(n_forks)
    source = iter(items)
    most = _AHEAD_OF_CALLER * n_forks  # in the air
    waiting: deque[Future[Result]] = deque()
    try:
        while True:
            n_due = most - sum(not future.done() for future in waiting)
            waiting.extend(pool.submit(function, item) for item in islice(source, n_due))
            if not waiting:
                return
            if not waiting[0].done() and len(waiting) < 2 * most:
                here = [_done_here(function, item) for item in islice(source, 1)]
                waiting.extend(here)
                if here:
                    continue
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise WorkerError(DIED) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _done_here(function: Callable[[Item], Result], item: Item) -> Future[Result]:
    done: Future[Result] = Future()
    try:
        done.set_result(function(item))
    except Exception as error:  # raised at its place
        done.set_exception(error)
    return done
