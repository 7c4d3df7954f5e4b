"""On what an experiment ran: versions, processor, linear algebra."""

import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from voicegmm._base.version import __version__
from voicegmm.compute import available_cores

_LIBRARIES = ("numpy", "scipy", "h5py", "soundfile", "soxr", "scikit-learn", "numba")


def describe_environment() -> dict[str, Any]:
    """Give versions, processor and linear algebra library as plain JSON types."""
    from threadpoolctl import threadpool_info

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    blas = [
        {key: info.get(key) for key in ("internal_api", "version", "architecture")}
        for info in threadpool_info()
        if info.get("user_api") == "blas"
    ]
    return {
        "voicegmm": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": available_cores(),
        "libraries": {name: installed(name) for name in _LIBRARIES},
        "blas": blas,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def peak_memory_mb() -> float:
    """Give the largest memory this process ever held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
