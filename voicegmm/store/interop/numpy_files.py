"""NumPy's files: frames in ``.npy`` and ``.npz``, mixtures in ``.npz``.

An array of a mixture's ``.npz`` is called as scikit-learn calls it: ``weights``, ``means``,
``covariances`` and ``covariance_type``. Nothing pickled is read, and a header is believed only if
the bytes it tells of are there.
"""

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError, FormatError
from voicegmm._base.files import whole_file
from voicegmm.mixture import DiagonalGMM, FullGMM, Mixture, SphericalGMM
from voicegmm.mixture.interchange import covariances_of, mixture_of
from voicegmm.store.interop.content import Content, ForeignArray, checked, opened
from voicegmm.store.interop.mixtures import shares

MAGIC, ZIP_MAGICS = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")
# What numpy.lib.format writes; read so, nothing in a header is evaluated.
_HEADER = re.compile(
    rb"\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \} *\n?"
)
_PREFIX = {1: "<H", 2: "<I"}  # version -> how the length of the header is told
_HEADER_BYTES = 12_000
_NUMBERS = re.compile(r"[<>|=]?(?:[fiu][1248]|U\d{1,6}|S\d{1,6})")
# Deflate can make 1,000 bytes of one; of numbers it makes a few.
_MOST_EXPANDED = 100
_ROOM = 1_000_000
# What comes of a damaged archive, or of one that needs what Python does not have.
_OF_ARCHIVES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_COVARIANCES = {1: "spherical", 2: "diag", 3: "full"}


def _parsed(content: bytes, where: str) -> npt.NDArray[Any]:
    """Read an array from the bytes of an ``.npy`` file."""
    prefix = _PREFIX.get(content[6] if len(content) > 6 else 0, "")
    start = 8 + struct.calcsize(prefix)
    if not content.startswith(MAGIC) or not prefix or len(content) < start:
        raise FormatError(f"{where}: not an array of NumPy's, versions 1 and 2")
    (length,) = struct.unpack(prefix, content[8:start])
    header = _HEADER.fullmatch(content[start : start + min(length, _HEADER_BYTES)])
    if not header:
        raise FormatError(f"{where}: not an array of NumPy's: its header is damaged")
    kind, shape = header[1].decode("latin-1"), tuple(map(int, re.findall(rb"\d+", header[3])))
    if not _NUMBERS.fullmatch(kind) or not np.dtype(kind).itemsize:
        raise FormatError(f"{where}: must hold numbers or text, got {kind}")
    dtype, stored = np.dtype(kind), content[start + length :]
    if math.prod(shape) * dtype.itemsize != len(stored):
        raise FormatError(
            f"{where}: {shape} of {dtype} need {math.prod(shape) * dtype.itemsize} bytes, and "
            f"{len(stored)} are there: cut off"
        )
    values = np.frombuffer(stored, dtype) if stored else np.empty(0, dtype)
    return values.reshape(shape, order="F" if header[2] == b"True" else "C")


def read_npy(path: str | os.PathLike[str]) -> Iterator[ForeignArray]:
    """Read a matrix or a vector.

    Raises
    ------
    FormatError
        If it is none of finite floats, or cut off.
    """
    with opened(path) as content:
        values = _parsed(content.take(content.size, "the array"), str(path))
        yield checked(ForeignArray(content.path.stem, values), path)


def _members(content: Content) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of an ``.npz`` file."""
    try:
        archive = zipfile.ZipFile(content.stream)
        found = {}
        total = 0
        for member in archive.infolist():
            where = f"{content.path}: {member.filename}"
            if not member.filename.endswith(".npy"):
                raise FormatError(f"{where}: an .npz holds arrays alone")
            if member.compress_type not in _COMPRESSIONS:
                raise FormatError(f"{where}: compressed in a way that NumPy does not")
            total += member.file_size
            if total > _MOST_EXPANDED * content.size + _ROOM:
                raise FormatError(f"{where}: {content.size} bytes would become {total}")
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise FormatError(f"{where}: stands there twice")
            with archive.open(member) as stream:  # no more than it says: it may become any number
                found[name] = _parsed(stream.read(member.file_size), where)
        return found
    except _OF_ARCHIVES as error:
        raise FormatError(f"{content.path}: damaged: {error}") from None


def read_npz(path: str | os.PathLike[str]) -> Iterator[ForeignArray]:
    """Read the matrices and vectors of an ``.npz`` file, by name.

    Raises
    ------
    FormatError
        If one is not of finite floats, or the file is damaged.
    """
    with opened(path) as content:
        for name, values in _members(content).items():
            yield checked(ForeignArray(name, values), path)


def is_npz_mixture(path: str | os.PathLike[str]) -> bool:
    """Whether an ``.npz`` file holds weights and means, by the names in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"weights.npy", "means.npy"} <= set(archive.namelist())
    except _OF_ARCHIVES:
        return False


def read_npz_mixture(path: str | os.PathLike[str]) -> Mixture:
    """Read a mixture: `weights`, `means`, and `covariances` of scikit-learn's shapes.

    `variances` will do in their place. ``covariance_type`` ("full", "tied", "diag" or "spherical")
    may be missing where the shape of the covariances tells.

    Raises
    ------
    FormatError
        If an array is missing, or they are no mixture.
    """
    with opened(path) as content:
        arrays = _members(content)

    def complain(message: str) -> FormatError:
        return FormatError(f"{path}: {message}")

    if "variances" in arrays and "covariances" not in arrays:
        arrays["covariances"] = arrays["variances"]
    missing = [name for name in ("weights", "means", "covariances") if name not in arrays]
    if missing:
        raise complain(f"{missing[0]} is missing; a mixture is weights, means and covariances")
    weights, means, covariances = (arrays[n] for n in ("weights", "means", "covariances"))
    if any(array.dtype.kind not in "fiu" for array in (weights, means, covariances)):
        raise complain("weights, means and covariances must be numbers")
    if "covariance_type" in arrays:
        kind = str(arrays["covariance_type"])
    elif covariances.shape == (means.shape[-1],) * 2 and len(means) == means.shape[-1]:
        raise complain("covariance_type is missing: diag and tied have the same shape here")
    else:
        tied = covariances.ndim == 2 and covariances.shape != means.shape
        kind = "tied" if tied else _COVARIANCES.get(covariances.ndim, "")
    kind = "diag" if kind == "diagonal" else kind
    if kind not in ("full", "tied", "diag", "spherical"):
        raise complain(f"covariance_type must be full, tied, diag or spherical, got {kind!r}")
    try:
        return mixture_of(shares(weights, complain), means, covariances, kind)
    except ValueError as error:
        raise complain(str(error)) from None


def write_npz(path: str | os.PathLike[str], arrays: Iterable[ForeignArray]) -> int:
    """Write an array of each name into an ``.npz`` file, whole or not at all.

    Returns
    -------
    int
        How many.

    Raises
    ------
    DataError
        If two have one name.
    """
    return _written(path, ((array.name, array.values) for array in arrays))


def write_npz_mixture(path: str | os.PathLike[str], gmm: Mixture) -> None:
    """Write a mixture of any covariance type; in double precision, so nothing is lost."""
    names = {DiagonalGMM: "diag", SphericalGMM: "spherical", FullGMM: "full"}
    kind = names.get(type(gmm), "tied")
    arrays: Mapping[str, FloatArray | npt.NDArray[np.str_]] = {
        "weights": gmm.weights,
        "means": gmm.means,
        "covariances": covariances_of(gmm),
        "covariance_type": np.array(kind),
    }
    _written(path, arrays.items())


def _written(path: str | os.PathLike[str], arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> int:
    names: set[str] = set()
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, values in arrays:
            if name in names:
                raise DataError(f"{name!r} stands there twice")
            names.add(name)
            # A fixed time: the same content gives the same bytes.
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(values, order="C"), allow_pickle=False)
    return len(names)
