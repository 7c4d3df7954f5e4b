"""Memory that stays with the process from one piece of work to the next."""

import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt
_MOST_KEPT, _LARGEST = 64 << 20, 32 << 20


def keep_freed_memory() -> None:
    """Let this process, and those forked from it, keep the memory that arrays give back.

    By its defaults glibc gives arrays of a few hundred kilobytes back to the system as soon as they
    are freed, and gets them anew, page by page, for the next ones: a third of the time that
    recordings of some seconds take. At most 64 MB are kept. Nothing happens where there is no
    glibc.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
