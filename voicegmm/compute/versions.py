"""What is installed here, and whether it does the same as what is installed elsewhere."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from voicegmm._base.errors import MismatchError
from voicegmm._base.version import __version__

DOUBLE = ('features.static.precision = "double"', 'ubm.precision = "double"')
"""What a recipe says to be in double precision throughout."""

WHAT_ROUNDING_CHANGES = (
    "differ from those of one machine, scores by 1e-6 to 1e-5 of the largest, variances of models "
    "by about 1e-5 of themselves"
)
"""What results do in single precision, from one of OpenBLAS' kernels to another."""

_COMPILED_FOR = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")  # where not for the processor at hand

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


def instructions() -> str:
    """Give the instructions that numpy has found here, and who is told to do without some of them.

    A guest of a virtual machine may be kept from those that the name of the processor promises.
    """
    import numpy as np

    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    told = [f"{name}={os.environ[name]}" for name in _COMPILED_FOR if name in os.environ]
    return " ".join([*found, *told]) or "none beyond the least"


def builds() -> dict[str, str]:
    """Give how numpy and scipy were built: by which compiler, with which linear algebra."""
    import numpy as np
    import scipy

    described = {}
    for library in (np, scipy):
        config = library.show_config(mode="dicts")
        compiler = config.get("Compilers", {}).get("c", {})
        blas = config.get("Build Dependencies", {}).get("blas", {})
        parts = [
            f"{one.get('name', 'unknown')} {one.get('version', '')}" for one in (compiler, blas)
        ]
        described[f"{library.__name__} build"] = " with ".join(part.strip() for part in parts)
    return described


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
        "instructions": instructions(),
        "linear algebra": linear_algebra(),
        **builds(),
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


def rounding_difference(
    here: Mapping[str, str], others: Sequence[Mapping[str, str]], who: str
) -> str:
    """Tell in one line in what others differ from this machine that may round otherwise.

    Parameters
    ----------
    here : mapping of str to str
        From `versions`.
    others : sequence of mapping
        The same of each of them.
    who : str
        Who they are, with the verb: "the worker w has".

    Returns
    -------
    str
        Empty where nothing differs.
    """
    told = []
    for name, own in here.items():
        found = sorted({there.get(name, "not told") for there in others} - {own})
        if found:
            told.append(f"{name} {' and '.join(found)}, here {own}")
    return f"{who} another processor or other libraries ({'; '.join(told)})" if told else ""


def check_rounding(here: Mapping[str, str], others: Sequence[Mapping[str, str]], who: str) -> None:
    """Refuse others that may round otherwise than this machine.

    Parameters
    ----------
    here, others, who
        As of `rounding_difference`.

    Raises
    ------
    MismatchError
        Saying what differs, what that would change, and what can be done.
    """
    if difference := rounding_difference(here, others, who):
        raise MismatchError(
            f"{difference}: results would {WHAT_ROUNDING_CHANGES}; work on machines of one kind, "
            f"this one included, or in double precision throughout ({' and '.join(DOUBLE)}: "
            "results within 1e-6, an iteration of EM takes two to three times as long), or accept "
            'it by compute.differing_workers = "accept"'
        )
