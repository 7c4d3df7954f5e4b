"""What stands in an HDF5 file of ours, read as what it has to be: numbers, texts, options."""

import os
from collections.abc import Sequence
from typing import Any

import h5py
import msgspec
import numpy as np
import numpy.typing as npt

from voicegmm._base.errors import EncryptionError, FormatError, VoicegmmError
from voicegmm._base.options import canonical_json, from_mapping


def write_strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Write a list of strings, as the bytes of JSON: what HDF5 has for them cannot be bounded."""
    group[name] = np.frombuffer(canonical_json(list(values)).encode(), np.uint8)


def read_strings(group: h5py.Group, name: str) -> tuple[str, ...]:
    """Read a list of strings.

    Raises
    ------
    FormatError
        If it is missing, or is none.
    """
    if name in group and isinstance(group[name], h5py.Dataset) and group[name].dtype.kind == "O":
        return tuple(group[name].asstr()[...].tolist())  # in version 1
    content = read_array(group, name, (None,), np.uint8).tobytes()
    try:
        return msgspec.json.decode(content, type=tuple[str, ...])
    except msgspec.MsgspecError as error:
        place = f"{group.file.filename}: {group.name.rstrip('/')}/{name}"
        raise FormatError(f"{place} is no list of texts: {error}") from None


def dataset_of(
    group: h5py.Group, name: str, shape: Sequence[int | None], dtype: npt.DTypeLike
) -> h5py.Dataset:
    """Give a data set whose shape is known (None: any length there), without reading it.

    Raises
    ------
    FormatError
        If it is missing, or of another shape or kind of number.
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
    return dataset


def read_array(
    group: h5py.Group,
    name: str,
    shape: Sequence[int | None],
    dtype: npt.DTypeLike,
    finite: bool = True,
    least: float | None = None,
) -> npt.NDArray[Any]:
    """Read an array whose shape is known (None: any length there).

    Parameters
    ----------
    group, name, shape, dtype
        As of `dataset_of`.
    finite : bool
        Whether infinities are refused; a NaN always is.
    least : float, optional
        What no number may be below.

    Raises
    ------
    FormatError
        If it is missing, or of another shape or kind of number, or holds what it may not.
    """
    dataset = dataset_of(group, name, shape, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # of NaNs that signal, told below
        array: npt.NDArray[Any] = dataset[...].astype(dtype, copy=False)
    if array.dtype.kind == "f" and (np.isnan(array).any() or (finite and np.isinf(array).any())):
        raise FormatError(f"{group.file.filename}: {dataset.name} holds a NaN or an infinity")
    if least is not None and (array < least).any():
        raise FormatError(f"{group.file.filename}: {dataset.name} holds a number below {least:g}")
    return array


def read_integer(group: h5py.Group, name: str) -> int:
    """Read an attribute that is a whole number.

    Raises
    ------
    KeyError
        If it is missing.
    ValueError
        If it is anything else: what looks like one may be too large for any program.
    """
    value = group.attrs[name]
    if not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    return int(value)


def read_amount(group: h5py.Group, name: str) -> float:
    """Read an attribute that is a finite number, 0 or more.

    Raises
    ------
    KeyError
        If it is missing.
    ValueError
        If it is anything else.
    """
    value = group.attrs[name]
    if not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a finite number, 0 or more, got {value!r}")
    return float(value)


# What comes of content that is not what its reader takes it for; ValueErrors are msgspec's, too.
_OF_CONTENT = (
    *(VoicegmmError, ValueError, TypeError, LookupError),
    *(AttributeError, ArithmeticError, RuntimeError),
)


class damage_named:  # noqa: N801 - reads as a clause of the with statement
    """Turn what damaged content raises into one `FormatError` that names the file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FormatError | EncryptionError):
            return
        if isinstance(error, _OF_CONTENT):
            raise FormatError(f"{self._path}: damaged: {error}") from error


def read_options(group: h5py.Group, name: str, kind: type[Any], where: str) -> Any:
    """Read options that stand as JSON in an attribute."""
    return from_mapping(kind, msgspec.json.decode(group.attrs[name]), where)
