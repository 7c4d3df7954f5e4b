"""Sums whose bits do not depend on who made the parts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from voicegmm.compute.mapping import ordered_map

T = TypeVar("T")
Item = TypeVar("Item")

_MOST_TOGETHER = 64  # items that a worker of a cluster sums before it tells
_TASKS = 512  # at least, where there are items for them: all workers have some


def tree_sum(parts: Iterable[T]) -> T | None:
    """Add parts pairwise, in a tree whose shape depends on their number alone.

    Parameters
    ----------
    parts : iterable
        Values with ``+``, in the order of their index. Only about log2(n) sums are held at once.

    Returns
    -------
    The sum, or None of nothing.
    """
    waiting: list[tuple[int, Any]] = []  # (height of the subtree, its sum), heights falling
    for part in parts:
        height, total = 0, part
        while waiting and waiting[-1][0] == height:
            total = waiting.pop()[1] + total
            height += 1
        waiting.append((height, total))
    if not waiting:
        return None
    total = waiting.pop()[1]
    while waiting:
        total = waiting.pop()[1] + total
    return total


def mapped_sum(
    function: Callable[[Item], T], items: Iterable[Item], n_items: int, n_workers: int, workers: str
) -> T | None:
    """Apply a function to each item and add the results, in the tree of `tree_sum`.

    The workers of a cluster add what belongs to one branch before they send it, so that the
    statistics of many hours of speech do not all come here.

    Parameters
    ----------
    function : callable
    items : iterable
    n_items : int
        How many they are.
    n_workers, workers
        As of `ordered_map`.

    Returns
    -------
    The sum, or None of nothing. The same bits for any workers.
    """
    if workers != "dask":
        return tree_sum(ordered_map(function, items, n_workers, workers))
    size = 1  # a power of two: then each branch is one of the whole tree
    while size < _MOST_TOGETHER and n_items >= 2 * size * _TASKS:
        size *= 2
    branches = _cut(iter(items), size)
    return tree_sum(ordered_map(_Branch(function), branches, n_workers, workers))


def _cut(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while branch := list(islice(items, size)):
        yield branch


@dataclass(frozen=True)
class _Branch(Generic[Item, T]):
    """Does the work of several items in a row, and adds the results."""

    function: Callable[[Item], T]

    def __call__(self, items: Sequence[Item]) -> T | None:
        return tree_sum(map(self.function, items))
