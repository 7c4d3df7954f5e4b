"""HDF5 files that say what they are, and appear whole or not at all."""

import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import numpy.typing as npt

from voicegmm._base.errors import FormatError, VoicegmmError
from voicegmm._base.files import whole_file
from voicegmm._base.options import canonical_json
from voicegmm._base.version import __version__

_CHUNK_CACHE = 32_000_000  # bytes: a few minutes of speech, read again without another look
_ROOM = 4_000_000  # bytes that HDF5 may want for itself
STRING = h5py.string_dtype("utf-8")


@contextmanager
def new_file(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    options: Any,
    fingerprint: str,
    parent: str = "",
    mode: int = 0o644,
    in_memory: bool = True,
) -> Iterator[h5py.File]:
    """Open a new file of one of our formats; it takes its place when the block ends well.

    Files are put together in memory and written in one go: when a disk is full, it is our write
    that fails, with a clear error, and not the HDF5 library, which does not survive it.

    Parameters
    ----------
    path : path
    kind : str
        The format's name, as "voicegmm/ubm".
    version : int
        The format's version.
    options : dataclass or mapping
        What made the content; written as canonical JSON.
    fingerprint, parent : str
        Of the content, and of what it was made from.
    mode : int
        Permissions of the finished file.
    in_memory : bool
        False for files that may be larger than the memory; see `check_room`.
    """
    driver: dict[str, Any] = {"driver": "core", "backing_store": False} if in_memory else {}
    with whole_file(path, mode) as temporary:
        with h5py.File(temporary, "w", libver=("earliest", "v110"), **driver) as file:
            file.attrs["format"] = kind
            file.attrs["format_version"] = version
            file.attrs["created_by"] = f"voicegmm {__version__}"
            file.attrs["options"] = canonical_json(options)
            file.attrs["fingerprint"] = fingerprint
            file.attrs["parent"] = parent
            yield file
            file.flush()
            image = file.id.get_file_image() if in_memory else None
        if image is not None:
            temporary.write_bytes(image)


def check_room(file: h5py.File, n_bytes: int) -> None:
    """Refuse to write what would not fit, before the HDF5 library tries.

    Raises
    ------
    VoicegmmError
        If the disk, or the limit on the size of files, has no room for so much more.
    """
    path = Path(file.filename)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    room = shutil.disk_usage(path.parent).free
    if limit != resource.RLIM_INFINITY:
        room = min(room, limit - path.stat().st_size)
    if room < n_bytes + _ROOM:
        raise VoicegmmError(f"{path.parent}: no space left on the disk for the features")


@contextmanager
def open_file(path: str | os.PathLike[str], kind: str = "", newest: int = 0) -> Iterator[h5py.File]:
    """Open one of our files for reading.

    Parameters
    ----------
    path : path
    kind : str
        The format that is expected; empty for any of ours.
    newest : int
        The newest version this program reads; 0 does not look.

    Raises
    ------
    FormatError
        If the file is missing, is not HDF5 or not ours, is of another kind, or is too new; and if
        something inside is missing or damaged when it is read.
    """
    path = Path(path)
    file = _opened(path)
    try:
        found = file.attrs.get("format")
        if not isinstance(found, str) or not found.startswith("voicegmm/"):
            raise FormatError(f"{path}: an HDF5 file, but not one of voicegmm's")
        if kind and found != kind:
            raise FormatError(f"{path}: holds {found}, where {kind} was expected")
        version = int(file.attrs.get("format_version", 0))
        if newest and not 1 <= version <= newest:
            raise FormatError(
                f"{path}: version {version} of {found} cannot be read by voicegmm {__version__} "
                f"(it knows 1 to {newest}); upgrade voicegmm"
            )
        yield file
    except (KeyError, OSError, TypeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: damaged: {error}") from error
    finally:
        file.close()


@contextmanager
def open_foreign(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open the HDF5 file of another program for reading.

    Raises
    ------
    FormatError
        If it is missing or not HDF5; and if something inside is missing or damaged when it is
        read.
    """
    file = _opened(Path(path))
    try:
        yield file
    except (KeyError, OSError, TypeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: damaged: {error}") from error
    finally:
        file.close()


def _opened(path: Path) -> h5py.File:
    if path.is_dir():
        raise FormatError(f"{path} is a folder, not a file")
    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise FormatError(f"{path}: the file is empty")
    try:
        return h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)
    except OSError as error:
        reason = "not an HDF5 file" if not h5py.is_hdf5(path) else f"damaged: {error}"
        raise FormatError(f"{path}: {reason}") from error


def write_strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Write a list of strings."""
    group.create_dataset(name, data=np.array(list(values), dtype=object), dtype=STRING)


def read_strings(group: h5py.Group, name: str) -> tuple[str, ...]:
    """Read a list of strings."""
    return tuple(group[name].asstr()[...].tolist())


def read_array(
    group: h5py.Group, name: str, shape: Sequence[int | None], dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """Read an array whose shape is known (None: any length there).

    Raises
    ------
    FormatError
        If it is missing, or of another shape or kind of number, or not finite.
    """
    place = f"{group.file.filename}: {group.name.rstrip('/')}/{name}"
    if name not in group or not isinstance(group[name], h5py.Dataset):
        raise FormatError(f"{place} is missing")
    dataset = group[name]
    if len(dataset.shape) != len(shape) or any(
        wanted is not None and wanted != found
        for wanted, found in zip(shape, dataset.shape, strict=True)
    ):
        raise FormatError(f"{place} has shape {dataset.shape}, expected {tuple(shape)}")
    if dataset.dtype.kind != np.dtype(dtype).kind:
        raise FormatError(f"{place} holds {dataset.dtype}, expected {np.dtype(dtype)}")
    array: npt.NDArray[Any] = dataset[...].astype(dtype, copy=False)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FormatError(f"{place} holds a NaN or an infinity")
    return array


class damage_named:  # noqa: N801 - reads as a clause of the with statement
    """Turn what damaged content raises into one `FormatError` that names the file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FormatError):
            return
        if isinstance(error, VoicegmmError | msgspec.MsgspecError | ValueError | KeyError):
            raise FormatError(f"{self._path}: damaged: {error}") from error
