"""A function over many items, on several threads, the results in the items' order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from voicegmm._base.checks import at_least

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items in the air per worker: enough to keep all busy, few enough to bound memory


def available_cores() -> int:
    """Give the number of cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], n_workers: int = 1
) -> Iterator[Result]:
    """Apply a function to each item on `n_workers` threads; yield the results in order.

    BLAS is held to one thread meanwhile, with one worker too: threads over items are faster than
    threads inside each product, and the bits are the same for any number of workers.

    Parameters
    ----------
    function : callable
        Called as ``function(item)``. What it raises is raised here, at that item's place.
    items : iterable
        Read only a few items ahead of the consumer.
    n_workers : int
        At least 1.

    Yields
    ------
    ``function(item)`` for each item, in the order of the items.
    """
    at_least("n_workers", n_workers, 1)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        if n_workers == 1:
            yield from map(function, items)
            return
        source = iter(items)
        pool = ThreadPoolExecutor(n_workers, thread_name_prefix="voicegmm")
        try:
            waiting: deque[Future[Result]] = deque(
                pool.submit(function, item) for item in islice(source, _AHEAD * n_workers)
            )
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(source, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
