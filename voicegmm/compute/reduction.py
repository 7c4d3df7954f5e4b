"""Sums whose bits do not depend on who made the parts."""

from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")


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
