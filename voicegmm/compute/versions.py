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


def check_versions(here: Mapping[str, str], there: Mapping[str, str], who: str) -> None:
    """Refuse a place with another voicegmm, or another Python.

    Parameters
    ----------
    here, there : mapping of str to str
        From `versions`.
    who : str
        Who is there, for errors.

    Raises
    ------
    MismatchError
    """
    for name in ("voicegmm", "python"):
        if here[name] != there.get(name):
            raise MismatchError(
                f"{who} has {name} {there.get(name)}, and here it is {here[name]}: install the "
                "same on all machines"
            )


def rounding_doubt(here: Mapping[str, str], workers: Mapping[str, Mapping[str, str]]) -> str:
    """Tell in one line that workers round otherwise than this machine.

    Parameters
    ----------
    here : mapping of str to str
        From `versions`.
    workers : mapping of str to mapping
        The same of each worker.

    Returns
    -------
    str
        What differs, by how much results may, and what keeps them closer; empty where nothing
        differs.
    """
    others = [there for there in workers.values() if dict(there) != dict(here)]
    if not others:
        return ""
    told = []
    for name, own in here.items():
        found = sorted({there.get(name, "not told") for there in others} - {own})
        if found:
            told.append(f"{name} {' and '.join(found)}, here {own}")
    return (
        f"{len(others)} of {len(workers)} workers have another processor or other libraries "
        f"({'; '.join(told)}): results will differ from those of one machine, scores by about 1e-6 "
        "of the largest, variances of models by about 1e-5 of themselves; all of a GMM-UBM system "
        'by less than 1e-6 with features.static.precision = "double" and ubm.precision = "double"'
    )
