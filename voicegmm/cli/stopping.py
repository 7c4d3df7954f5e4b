"""Ctrl-C and its like: noticed wherever they come, told in one line.

Nothing is imported here that takes time: what comes meanwhile would not be noticed.
"""

import signal
import sys
from types import FrameType

_received: list[int] = []


class Stopped(Exception):  # noqa: N818 - no error
    """A command was interrupted. click, which prints a line for a KeyboardInterrupt, passes it."""


def listen() -> None:
    """Have the signals that end a command interrupt it, so that it cleans up: no files are left.

    Ctrl-C counts unless it is to be ignored, as in the background of a script; a terminal that is
    closed counts, too, unless the user said that it shall not, as `nohup` does.
    """
    _received.clear()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def stopped() -> bool:
    """Tell whether a signal came, whatever became of the interruption since."""
    return bool(_received)


def tell() -> int:
    """Say that it was interrupted, and give the exit status."""
    print("error: interrupted; what was finished is kept", file=sys.stderr)
    return 128 + (_received[0] if _received else signal.SIGINT)
