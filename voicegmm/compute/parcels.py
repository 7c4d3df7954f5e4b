"""Functions that go to other processes: once for all their items, their large arrays by a file.

Pickle is only on the way, between processes that trust each other; the file holds plain numbers.
"""

import mmap
import os
import pickle
import socket
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from voicegmm._base.errors import MismatchError
from voicegmm.compute.blas import single_threaded_blas

_LARGE = 1 << 16  # bytes of an array that goes by the file
_ALIGNED = 64
_MOST_OPEN = 4  # functions that a worker keeps: several may use a cluster at once


@dataclass(frozen=True)
class Parcel:
    """A function on its way.

    Parameters
    ----------
    name : str
        No other has it.
    content : bytes
        The function, without its large arrays.
    path : str
        The file with these; empty if there are none.
    places : tuple of (int, int)
        Where each array begins in it, and ends.
    """

    name: str
    content: bytes
    path: str
    places: tuple[tuple[int, int], ...]


@contextmanager
def parcel(function: Callable[..., Any], scratch: Path | None = None) -> Iterator[Parcel]:
    """Pack a function; what lies on disk for it is gone when the block ends.

    Parameters
    ----------
    function : callable
        One that can be pickled: of a module, or an object of a class of one.
    scratch : path, optional
        A folder that those who unpack see: that of temporary files by default.
    """
    arrays: list[memoryview] = []

    def stays(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= _LARGE:
            arrays.append(raw)
            return False
        return True

    content = pickle.dumps(function, protocol=5, buffer_callback=stays)
    name = uuid4().hex
    if not arrays:
        yield Parcel(name, content, "", ())
        return
    handle, path = tempfile.mkstemp(prefix=f"arrays-{name}-", dir=scratch)
    try:
        places = []
        with os.fdopen(handle, "wb") as file:
            for array in arrays:
                file.write(bytes(-file.tell() % _ALIGNED))
                start = file.tell()
                file.write(array)
                places.append((start, file.tell()))
            file.flush()
            os.fsync(file.fileno())  # before another machine looks for it
        yield Parcel(name, content, path, tuple(places))
    finally:
        Path(path).unlink(missing_ok=True)


_opened: OrderedDict[str, Callable[..., Any]] = OrderedDict()
_lock = Lock()


def work_on(sent: Parcel, item: bytes) -> Any:
    """Do a parcel's work on a pickled item: what a worker is asked for."""
    with single_threaded_blas():
        return _function_of(sent)(pickle.loads(item))


def _function_of(sent: Parcel) -> Callable[..., Any]:
    """Unpack a function, or give the one that was unpacked before."""
    with _lock:
        if sent.name not in _opened:
            _opened[sent.name] = pickle.loads(sent.content, buffers=_arrays(sent))
            while len(_opened) > _MOST_OPEN:
                _opened.popitem(last=False)
        _opened.move_to_end(sent.name)
        return _opened[sent.name]


def _arrays(sent: Parcel) -> list[memoryview]:
    if not sent.path:
        return []
    with check_seen(sent.path).open("rb") as file:
        # A private copy of what is written to: arrays that can be written at home can be here, too,
        # as the compiled loops want them.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    return [content[start:stop] for start, stop in sent.places]


def check_seen(path: str | os.PathLike[str], n_bytes: int | None = None) -> Path:
    """Give a path that another process has named, if this one sees the file too.

    Parameters
    ----------
    path : path
    n_bytes : int, optional
        The size that the other sees.

    Raises
    ------
    MismatchError
        Naming the path and this machine.
    """
    found = Path(path)
    here = f"the worker on {socket.gethostname()}"
    share = "workers must share a file system, under the same paths, with who asks them"
    try:
        size = found.stat().st_size
    except OSError as error:
        raise MismatchError(
            f"{path}: {here} cannot see it ({error.strerror}): {share} (shared file system)"
        ) from None
    if n_bytes is not None and size != n_bytes:
        raise MismatchError(
            f"{path}: {here} sees another file there, of {size} bytes, not {n_bytes}: {share} "
            "(shared file system)"
        )
    return found
