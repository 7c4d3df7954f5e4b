"""Files that nobody vouches for: read by another process, handed over as plain arrays."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import h5py
import msgspec
import numpy as np

from voicegmm._base.errors import FormatError
from voicegmm.store import parsing
from voicegmm.store.parsing import FileKind
from voicegmm.store.sealing import Seal

STRING = h5py.string_dtype("utf-8")
_SECONDS, _BYTES_PER_SECOND = 1.0, 50_000_000
_MOST_BYTES = 500_000_000  # of a file: what is in it is held in memory
_PATIENCE = 15  # a busy machine gives a process that small a part of its time
_MOST_LINE, _MOST_TEXT = 1_000_000, 4
_NUMBER = re.compile(r"[<>|][iufb][1248]")


@dataclass(frozen=True, eq=False)
class Received:
    """What was in a file, taken out of it by a process with limits and put together anew.

    Or what was in an encrypted one. It goes wherever a path of a file goes that is read.

    Parameters
    ----------
    path : Path
        Where it came from.
    image : bytes
        Of an HDF5 file of our own making, with the same content; or, of an encrypted file, what was
        in it, seal and all.
    seal : Seal, optional
        Of the file that it was taken out of, which fits it; None where there was none.
    """

    path: Path
    image: bytes
    seal: Seal | None = None

    def __fspath__(self) -> str:
        """Give the path, for errors."""
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)


@contextmanager
def _readable(source: str | os.PathLike[str] | Received) -> Iterator[tuple[str, list[int]]]:
    """Give what `parsing` opens a file by, and the handles that its process needs for that."""
    if not isinstance(source, Received):
        yield str(Path(source).resolve()), []
        return
    # A file in memory alone: nothing of what was encrypted reaches the disk.
    with os.fdopen(os.memfd_create("received"), "wb", buffering=0) as file:
        shutil.copyfileobj(BytesIO(source.image), file)
        yield str(file.fileno()), [file.fileno()]


def receive(source: str | os.PathLike[str] | Received, kind: FileKind = "sealed") -> Received:
    """Read an HDF5 file in a process of its own, with limits on its time and memory.

    Whatever the file does to that process, this one gets numbers and texts, or an error.

    Parameters
    ----------
    source : path or Received
        What was encrypted is handed over in memory.
    kind : {"sealed", "old", "foreign"}
        See `voicegmm.store.parsing.check_structure`.

    Raises
    ------
    FormatError
        If it is damaged, or holds what is refused, or reading it takes too long or too much memory.
    """
    path, seal = Path(source), None
    size = path.stat().st_size
    if isinstance(source, Received):
        size, seal = len(source.image), source.seal
    if size > _MOST_BYTES:
        raise FormatError(
            f"{path}: too large to be read with care, which takes {_MOST_BYTES // 10**6} MB at most"
        )
    seconds = _SECONDS + parsing.most_content(size, kind) / _BYTES_PER_SECOND
    # No threads, whose stacks would count as memory, and no filters of other libraries.
    environment = os.environ | {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "HDF5_PLUGIN_PRELOAD": "::",
    }
    with (
        _readable(source) as (name, handles),
        subprocess.Popen(
            [sys.executable, "-I", parsing.__file__, name, kind, str(seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            pass_fds=handles,
        ) as process,
    ):
        assert process.stdout is not None
        clock = threading.Timer(_PATIENCE * seconds, process.kill)
        clock.start()
        try:
            return Received(path, _assembled(path, process.stdout, size, kind), seal)
        except EOFError:
            process.wait()
            told = "took too long" if process.returncode in _TOO_LONG else "crashed"
            raise FormatError(f"{path}: damaged: what read it {told}") from None
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise FormatError(f"{path}: damaged: {error}") from error
        finally:
            clock.cancel()
            process.kill()


_TOO_LONG = (-signal.SIGKILL, -signal.SIGPROF)  # killed by us, or by its clock


@dataclass(frozen=True)
class _Record:
    """The line before some bytes."""

    what: Literal["group", "array", "text", "error", "end"]
    path: str
    attribute: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int


def _assembled(path: Path, stream: IO[bytes], size: int, kind: FileKind) -> bytes:
    """Put a file together in memory."""
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        for record, content in _records(stream, size, kind):
            if record.what == "error":
                raise FormatError(f"{path}: damaged: {' '.join(record.path.split())}")
            value: Any
            if record.what == "group":
                file.require_group(record.path)
                continue
            if record.what == "text":
                texts = msgspec.json.decode(content, type=list[str])
                value = np.array(texts, object).reshape(record.shape)
            else:
                if not _NUMBER.fullmatch(record.dtype):
                    raise ValueError(f"{record.path} holds {record.dtype}")
                value = np.frombuffer(content, record.dtype).reshape(record.shape)
            if record.attribute:
                single = value.item() if record.what == "text" and not record.shape else value
                file[record.path].attrs[record.attribute] = single
            else:
                dtype = STRING if record.what == "text" else value.dtype
                file.create_dataset(record.path, data=value, dtype=dtype)
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def _records(stream: IO[bytes], size: int, kind: FileKind) -> Iterator[tuple[_Record, bytes]]:
    """Read what the process hands over; what it says is believed no more than the file."""
    room = _MOST_TEXT * parsing.most_content(size, kind) + _MOST_LINE
    texts = parsing.most_texts(size, kind)
    while True:
        line = stream.readline(_MOST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        record = msgspec.json.decode(line, type=_Record)
        if record.what == "end":
            return
        room -= record.n_bytes
        n_values = prod(record.shape) if record.what in ("array", "text") else 0
        texts -= n_values if record.what == "text" else 0
        if min(room, texts, record.n_bytes - n_values) < 0:
            raise ValueError(f"{record.path} is larger than its file has room for")
        content = stream.read(record.n_bytes)
        if len(content) < record.n_bytes:
            raise EOFError
        yield record, content
