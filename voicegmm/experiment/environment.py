"""On what an experiment ran: versions, processor, linear algebra."""

import os
import platform
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from voicegmm._base.version import __version__
from voicegmm.compute import available_cores
from voicegmm.compute.versions import LIBRARIES, installed, processor

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def describe_environment(n_workers: int) -> dict[str, Any]:
    """Give versions, processor, linear algebra and threads as plain JSON types."""
    from threadpoolctl import threadpool_info

    blas = [
        {key: info.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
        for info in threadpool_info()
        if info.get("user_api") == "blas"
    ]
    return {
        "voicegmm": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": available_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "workers": n_workers,
        "threads": {name: os.environ.get(name, "not set") for name in _THREADS},
        "libraries": {name: installed(name) for name in LIBRARIES},
        "blas": blas,
    }


class PeakMemory:
    """Measure the most memory that is held while a block runs.

    Of this process, or of its largest worker process that has ended meanwhile, if that held more.
    Where the system cannot forget an earlier peak (it can on Linux), the peak of the whole life of
    the process is given.
    """

    megabytes = 0.0

    def __enter__(self) -> "PeakMemory":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._workers = _largest(resource.RUSAGE_CHILDREN)
        return self

    def __exit__(self, *_: object) -> None:
        workers = _largest(resource.RUSAGE_CHILDREN)
        self.megabytes = max(_own_peak(), workers if workers > self._workers else 0.0)


def _own_peak() -> float:
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        return next(float(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _largest(resource.RUSAGE_SELF)


def _largest(whose: int) -> float:
    return resource.getrusage(whose).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
