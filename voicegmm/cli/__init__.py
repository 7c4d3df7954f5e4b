"""The command line: translate what was typed, call the room that does it, print what it gave."""

import signal
import sys

from voicegmm.cli import stopping


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit with 0, with 1 for an error of ours, with 2 for wrong usage.

    Who ends it by a signal gets one line, wherever it was, and 128 and the signal's number: 130
    after Ctrl-C.
    """
    stopping.listen()
    try:
        from voicegmm.cli.commands import run_command  # here, where an interruption is noticed

        status = run_command(sys.argv[1:] if arguments is None else arguments)
    except BaseException:
        if not stopping.stopped():
            raise
        status = stopping.tell()
    if arguments is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left that could be told
    sys.exit(status)


__all__ = ["main"]
