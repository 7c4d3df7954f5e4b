"""Read an HDF5 file that nobody vouches for, in a process of its own.

The HDF5 library can be made to crash, to loop and to take all memory by what stands in a file. So
what is not sealed, or comes from a stranger, is read by this file run as a program, with limits on
its time and memory; it hands back plain arrays (see `voicegmm.store.receiving`). It knows nothing
of the rest of voicegmm, so that it starts fast.
"""

import json
import math
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import h5py
import numpy as np
import numpy.typing as npt

FileKind = Literal["sealed", "old", "foreign"]
"""Ours, ours from before there were seals, another program's."""

_MOST_DEPTH, _MOST_ATTRIBUTE = 16, 1_000_000
# Far more than any file of voices has; it takes seconds to look at so many.
_MOST_OBJECTS: dict[FileKind, int] = {"sealed": 5_000, "old": 5_000, "foreign": 20_000}
_MOST_ATTRIBUTES = 100  # of an object; the library looks for each from the first on
# What deflate can make of one byte at most; see zlib's technical details.
_MOST_INFLATION = 1032
# What is believed of it: of numbers it makes a few; of marks in matrices, mostly 0, many.
_MOST_EXPANDED, _ROOM_EXPANDED = 50, 20_000_000
_MOST_FOREIGN = 1_000_000_000  # bytes
_MOST_TEXTS = 5_000_000  # in a file: each takes far more memory than bytes on the disk
_BYTES_PER_TEXT = 16  # of what may be in a file, at least
_ROOM = 100_000_000  # bytes of memory that reading may take besides the arrays
_PLAIN = {h5py.h5z.FILTER_FLETCHER32}
_COMPRESSED = _PLAIN | {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}


def check_structure(file: h5py.File, kind: FileKind, size: int) -> list[str]:
    """Refuse what a file of voices has no use for and a trap is made of.

    Links to other places and files, contents in other files, virtual data sets, filters of other
    libraries, more than the file has bytes for, objects within objects without end.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    kind : {"sealed", "old", "foreign"}
        Sealed files hold numbers alone, uncompressed, and texts as attributes; old ones hold
        variable-length texts as well; foreign ones may be compressed by deflate, and hold types
        that nobody asks for, which are passed over.
    size : int
        Of the file, in bytes.

    Returns
    -------
    list of str
        The paths of groups and data sets, parents first.

    Raises
    ------
    ValueError
        Naming the object.
    """
    found: list[str] = []
    room = most_content(size, kind)
    most = _MOST_OBJECTS[kind]
    for path in _hard_links(file.id, most):
        found.append(path)
        if len(found) > most:
            raise ValueError(f"it holds more than {most} objects")
        item = file[path]
        _check_attributes(item, path, kind)
        if isinstance(item, h5py.Dataset):
            room -= _bytes_of(item, path, kind)
            if room < 0 and kind == "foreign":
                raise ValueError(
                    f"it holds more than {most_content(size, kind)} bytes, which is not believed "
                    f"of a file of {size}; if it is sound, `h5repack -f NONE` makes a larger one"
                )
            if room < 0:
                raise ValueError(f"{path} is larger than its file has room for")
            if _is_text(item.dtype) and math.prod(item.shape) > most_texts(size, kind):
                raise ValueError(f"{path} holds more than {most_texts(size, kind)} texts")
        elif not isinstance(item, h5py.Group):
            raise ValueError(f"{path} is neither a group nor a data set")
    return found


def _hard_links(root: Any, most: int) -> Iterator[str]:
    """Give "/" and all that it links to; groups before what is in them."""
    waiting = [("/", 0)]
    while waiting:
        path, depth = waiting.pop()
        yield path
        if depth > _MOST_DEPTH:
            raise ValueError(f"{path} lies more than {_MOST_DEPTH} groups deep")
        if h5py.h5i.get_type(opened := h5py.h5o.open(root, path.encode())) != h5py.h5i.GROUP:
            continue
        if opened.get_num_objs() > most:
            raise ValueError(f"{path} holds more than {most} objects")
        for name in opened:
            below = f"{path.rstrip('/')}/{name.decode()}"
            if opened.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise ValueError(f"{below} is a link to another place; such files are not read")
            waiting.append((below, depth + 1))


def _check_attributes(item: Any, path: str, kind: FileKind) -> None:
    n_attributes = h5py.h5a.get_num_attrs(item.id)
    if n_attributes > _MOST_ATTRIBUTES:
        raise ValueError(f"{path} has more than {_MOST_ATTRIBUTES} attributes")
    for number in range(n_attributes):
        attribute = h5py.h5a.open(item.id, index=number)
        name = attribute.name.decode()
        if attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            if kind == "foreign":
                continue
            raise ValueError(f"attribute {name} of {path} is empty")
        one = attribute.shape == ()
        if math.prod(attribute.shape) * attribute.dtype.itemsize > _MOST_ATTRIBUTE:
            raise ValueError(f"attribute {name} of {path} is too large")
        if kind != "foreign" and not (one and (_is_number(attribute) or _is_text(attribute.dtype))):
            raise ValueError(f"attribute {name} of {path} is neither one number nor one text")


def _bytes_of(dataset: h5py.Dataset, path: str, kind: FileKind) -> int:
    """Give how much memory a data set takes, having checked that the file can hold so much."""
    plan = dataset.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or dataset.is_virtual:
        raise ValueError(f"{path} is a virtual data set; such files are not read")
    if plan.get_external_count():
        raise ValueError(f"{path} is kept in another file; such files are not read")
    filters = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())}
    if unknown := filters - (_COMPRESSED if kind == "foreign" else _PLAIN):
        raise ValueError(f"{path} needs the filter {min(unknown)}, which is not used here")
    if dataset.shape is None:
        raise ValueError(f"{path} is empty")
    if not (_is_number(dataset) or (_is_text(dataset.dtype) and kind != "sealed")):
        if kind == "foreign":
            return 0
        raise ValueError(f"{path} holds {dataset.dtype}, which is not read")
    n_bytes: int = math.prod(dataset.shape) * dataset.dtype.itemsize
    room = dataset.id.get_storage_size() * (_MOST_INFLATION if filters - _PLAIN else 1)
    if n_bytes > room:
        raise ValueError(f"{path} says it is larger than what is stored of it")
    # A chunk is read whole, however little of it is asked for.
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if chunk > max(room, _MOST_ATTRIBUTE):
        raise ValueError(f"{path} has chunks larger than what is stored of it")
    return n_bytes


def _is_number(item: Any) -> bool:
    return item.dtype.kind in "iufb" and item.dtype.itemsize <= 8


def _is_text(dtype: npt.DTypeLike) -> bool:
    return h5py.check_string_dtype(dtype) is not None


def main() -> None:
    """Write what is in a file to standard output: lines of JSON, each before some bytes.

    The file is a path, or the number of an open handle.
    """
    path, seconds = sys.argv[1], float(sys.argv[3])
    kind: FileKind = cast(FileKind, sys.argv[2])
    out = sys.stdout.buffer
    try:
        handle = os.fdopen(int(path), "rb") if path.isdecimal() else None
        size = os.fstat(handle.fileno()).st_size if handle else Path(path).stat().st_size
        _limit(size, kind, seconds)
        with h5py.File(handle or path, "r") as file:
            for place in check_structure(file, kind, size):
                _send(out, file, place, kind)
        _record(out, "end")
    except MemoryError:
        _record(out, "error", "it takes more memory than its size allows for")
    except Exception as error:  # whatever it is, it is the file's fault
        _record(out, "error", f"{error}" or type(error).__name__)
    out.flush()


def most_content(size: int, kind: FileKind) -> int:
    """Give how many bytes a file may hold at most, by its size.

    Of a small file few are believed, so that a trap ends soon and takes little memory.
    """
    if kind != "foreign":
        return size
    return min(_MOST_EXPANDED * size + _ROOM_EXPANDED, _MOST_INFLATION * size, _MOST_FOREIGN)


def most_texts(size: int, kind: FileKind) -> int:
    """Give how many texts a file may hold at most, by its size."""
    return min(most_content(size, kind) // _BYTES_PER_TEXT, _MOST_TEXTS)


def _limit(size: int, kind: FileKind, seconds: float) -> None:
    """Leave this process what it takes to read such a file, and no more."""
    content = most_content(size, kind)
    memory = Path("/proc/self/statm")
    taken = 0
    if memory.exists():
        taken = int(memory.read_text().split()[0]) * resource.getpagesize()
    # Of the processor's time; nobody listens to the signal at its end, so it ends the process.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    limits = {
        resource.RLIMIT_AS: taken + _ROOM + 3 * content,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))


def _send(out: BinaryIO, file: h5py.File, path: str, kind: FileKind) -> None:
    item = file[path]
    if isinstance(item, h5py.Group):
        _record(out, "group", path)
    elif _is_text(item.dtype):
        _send_text(out, path, "", item.asstr()[()])
    elif kind != "foreign" or _is_number(item):
        _send_array(out, path, "", item[()])
    else:
        return
    for name, value in item.attrs.items():
        if isinstance(value, str):
            _send_text(out, path, name, value)
        elif np.asarray(value).dtype.kind in "iufb":
            _send_array(out, path, name, np.asarray(value))


def _send_text(out: BinaryIO, path: str, attribute: str, value: Any) -> None:
    shape = () if isinstance(value, str) else value.shape
    texts = [value] if isinstance(value, str) else value.ravel().tolist()
    content = json.dumps(texts, ensure_ascii=False).encode()
    _record(out, "text", path, attribute, "", shape, content)


def _send_array(out: BinaryIO, path: str, attribute: str, value: Any) -> None:
    array = np.ascontiguousarray(value)
    content = array.reshape(-1).view(np.uint8).data if array.size else b""
    _record(out, "array", path, attribute, array.dtype.str, np.shape(value), content)


def _record(
    out: BinaryIO,
    what: str,
    path: str = "",
    attribute: str = "",
    dtype: str = "",
    shape: tuple[int, ...] = (),
    content: bytes | memoryview = b"",
) -> None:
    """Write what there is to know of some bytes, and the bytes."""
    line = {
        "what": what,
        "path": path,
        "attribute": attribute,
        "dtype": dtype,
        "shape": shape,
        "n_bytes": len(content),
    }
    out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    out.write(content)


if __name__ == "__main__":
    main()
