"""When compiled loops are loaded: once a process has had the work that repays it."""

import sys
from types import ModuleType

REPAID_FROM = 50_000  # frames: with numpy a quarter of a second

_KERNEL = "voicegmm.features.kernel"
_n_done = 0


def compiled_for(n_frames: int) -> ModuleType | None:
    """Give the compiled loops for some more frames; None where numpy is to do them.

    Both give the same bits, so that it does not matter when a process goes over to them.
    """
    global _n_done
    _n_done += n_frames
    return load() if _n_done >= REPAID_FROM or _KERNEL in sys.modules else None


def load() -> ModuleType:
    """Load the compiled loops."""
    from voicegmm.features import kernel

    return kernel
