"""Frames that other programs wrote: NumPy's files, HTK's and Kaldi's."""

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import FormatError

# Bit 10 of an HTK parameter kind: compressed (HTK Book, section 5.10.1).
_HTK_COMPRESSED = 0o2000
_HTK_WAVEFORM, _HTK_DISCRETE = 0, 10
_KALDI_MATRICES: dict[bytes, np.dtype[Any]] = {b"FM ": np.dtype("<f4"), b"DM ": np.dtype("<f8")}


def read_foreign_frames(path: str | os.PathLike[str]) -> dict[str, FloatArray]:
    """Read frames that another program wrote.

    Parameters
    ----------
    path : path
        ``.npy``: one matrix. ``.npz``: one of each name. ``.ark``: Kaldi's archive of binary
        matrices, not compressed (of compressed ones ``copy-feats --compress=false`` makes such).
        Anything else: an HTK parameter file, not compressed.

    Returns
    -------
    dict of str to (n_frames, n_dims) float array
        By recording; of files that hold one, by the file's name without its suffix.

    Raises
    ------
    FormatError
        If the file cannot be read as what its name says, or holds no matrices of finite floats.
    """
    path = Path(path)
    readers = {".npy": _numpy, ".npz": _numpy, ".ark": _kaldi}
    try:
        found = readers.get(path.suffix.lower(), _htk)(path)
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError, EOFError, struct.error, BadZipFile) as error:
        raise FormatError(f"{path}: cannot be read as frames: {error}") from None
    for name, frames in found.items():
        if frames.ndim != 2 or frames.dtype.kind != "f" or not np.isfinite(frames).all():
            raise FormatError(f"{path}: {name} must be a matrix of finite floats, frames by rows")
    widths = sorted({frames.shape[1] for frames in found.values()})
    if len(widths) != 1:
        raise FormatError(f"{path}: its matrices must have as many columns each, got {widths}")
    return found


def _numpy(path: Path) -> dict[str, FloatArray]:
    with path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {path.stem: content}
        return {name: content[name] for name in content.files}


def _htk(path: Path) -> dict[str, FloatArray]:
    """Read an HTK parameter file (HTK Book, section 5.10.1): 12 bytes, then big-endian floats."""
    content = path.read_bytes()
    n_frames, _, n_bytes, kind = struct.unpack(">iihH", content[:12])
    if kind & _HTK_COMPRESSED or kind & 0o77 in (_HTK_WAVEFORM, _HTK_DISCRETE):
        raise ValueError("not an HTK file of parameters that are not compressed")
    if min(n_frames, n_bytes) < 1 or n_bytes % 4 or len(content) < 12 + n_frames * n_bytes:
        raise ValueError("neither one of voicegmm's files nor one of HTK's")
    values = np.frombuffer(content, ">f4", n_frames * n_bytes // 4, 12)
    return {path.stem: values.reshape(n_frames, n_bytes // 4).astype(np.float32)}


def _key(file: BinaryIO) -> str:
    key = bytearray()
    while (byte := file.read(1)) not in (b"", b" "):
        key += byte
    return key.decode()


def _kaldi(path: Path) -> dict[str, FloatArray]:
    """Read a binary archive of Kaldi's: key, space, then 0 B FM 4 rows 4 columns numbers."""
    found: dict[str, FloatArray] = {}
    with path.open("rb") as file:
        while name := _key(file):
            if file.read(2) != b"\0B":
                raise ValueError("not a binary archive of Kaldi's")
            kind = file.read(3)
            if kind not in _KALDI_MATRICES:
                raise ValueError(f"{name} is no matrix of floats, or compressed ({kind!r})")
            four, n_rows, again, n_columns = struct.unpack("<bibi", file.read(10))
            if (four, again) != (4, 4) or min(n_rows, n_columns) < 0:
                raise ValueError(f"the size of {name} is damaged")
            dtype = _KALDI_MATRICES[kind]
            content = file.read(n_rows * n_columns * dtype.itemsize)
            found[name] = np.frombuffer(content, dtype).reshape(n_rows, n_columns)
    return found
