"""How long work tells how far it is. Library code never prints: the command line draws bars."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; a total of 0 is not known."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def counting(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """Make a callback that is told only how many are done."""
    return lambda done: progress(stage, done, total)
