"""How long work tells how far it is. Library code never prints: the command line draws bars."""

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Is told how far a stage is; a total of 0 is not known."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell how far a stage is, and with a note what it has come to."""


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Tell nobody."""


def counting(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """Make a callback that is told only how many are done."""
    return lambda done: progress(stage, done, total)
