"""The command line: translate what was typed, call the room that does it, print what it gave."""

from voicegmm.cli.main import main

__all__ = ["main"]
