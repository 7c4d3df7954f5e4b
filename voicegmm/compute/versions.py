"""What is installed here, and whether it does the same as what is installed elsewhere."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from voicegmm._base.errors import MismatchError
from voicegmm._base.version import __version__

LIBRARIES = ("numpy", "scipy", "h5py", "librosa", "soundfile", "soxr", "scikit-learn", "numba")


def installed(library: str) -> str:
    """Give the version of a library."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Give the name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def linear_algebra() -> str:
    """Give the library of numpy's products, its version and the processors it is at work for."""
    import numpy as np  # that it is there to be looked at
    from threadpoolctl import threadpool_info

    folder = Path(np.__file__).parents[1]
    found = {
        f"{info['internal_api']} {info['version']} {info.get('architecture', '')}"
        for info in threadpool_info()
        if info["user_api"] == "blas" and Path(info["filepath"]).match(f"{folder}/numpy*/*")
    }
    return ", ".join(sorted(found)) or "unknown"


@cache
def versions() -> dict[str, str]:
    """Give what results depend on besides data and options: programs and processor."""
    package = Path(__file__).parents[1]
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return {
        "voicegmm": f"{__version__}+{code.hexdigest()[:12]}",
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: installed(name) for name in LIBRARIES},
        "processor": processor(),
        "linear algebra": linear_algebra(),
    }


def check_versions(here: Mapping[str, str], there: Mapping[str, str], who: str) -> list[str]:
    """Compare what is installed in two places.

    Parameters
    ----------
    here, there : mapping of str to str
        From `versions`.
    who : str
        Who is there, for errors.

    Returns
    -------
    list of str
        What may change the last bits of results.

    Raises
    ------
    MismatchError
        If the other has another voicegmm, or another Python.
    """
    for name in ("voicegmm", "python"):
        if here[name] != there.get(name):
            raise MismatchError(
                f"{who} has {name} {there.get(name)}, and here it is {here[name]}: install the "
                "same on all machines"
            )
    return [
        f"{who} has {name} {there.get(name)}, and here it is {here[name]}: scores may differ by "
        "1e-6 of their size from those of one machine"
        for name in here
        if here[name] != there.get(name)
    ]
