"""A function over many items, by several workers, the results in the items' order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import WorkerError
from voicegmm.compute.blas import single_threaded_blas
from voicegmm.compute.forking import forked_workers

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = ("threads", "processes", "forks")

_DIED = "a worker process died: out of memory, or killed; use fewer workers, or threads"
_AHEAD = 2  # items in the air per worker: enough to keep all busy, few enough to bound memory


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
        At least 1.
    workers : {"threads", "processes", "forks"}
        Processes and forks get function and items pickled. Processes take half a second to start,
        and stay for the next call. Forks are copies of this process, there at once, and only to be
        had where `voicegmm.compute.can_fork` says so. One worker is the calling thread, whatever
        the kind.

    Yields
    ------
    ``function(item)`` for each item, in the order of the items.

    Raises
    ------
    WorkerError
        If a worker process dies.
    VoicegmmError
        If forks are asked for where they are not to be had.
    """
    at_least("n_workers", n_workers, 1)
    one_of("workers", workers, WORKERS)
    with single_threaded_blas():
        if n_workers == 1:
            yield from map(function, items)
        elif workers == "threads":
            pool = ThreadPoolExecutor(n_workers, thread_name_prefix="voicegmm")
            yield from _by_pool(pool, function, items, n_workers)
        elif workers == "forks":
            yield from _by_pool(forked_workers(n_workers), function, items, n_workers)
        else:
            yield from _by_processes(function, items, n_workers)


def _by_pool(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], n_workers: int
) -> Iterator[Result]:
    source = iter(items)
    try:
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(source, _AHEAD * n_workers)
        )
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
    except BrokenExecutor as error:
        raise WorkerError(_DIED) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _by_processes(
    function: Callable[[Item], Result], items: Iterable[Item], n_workers: int
) -> Iterator[Result]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = Parallel(
            n_jobs=n_workers,
            return_as="generator",
            batch_size=1,
            pre_dispatch=_AHEAD * n_workers,
            max_nbytes=None,
        )
        try:
            yield from parallel(delayed(function)(item) for item in items)
        except TerminatedWorkerError as error:
            raise WorkerError(_DIED) from error
