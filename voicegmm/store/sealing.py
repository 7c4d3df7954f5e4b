"""The seal of a file: its length and digests, in front of what the HDF5 library reads.

The library takes a file at its word: single flipped bits gave wrong content without a word, endless
loops and crashes. So the first 512 bytes of each of our files, which HDF5 leaves to its users, tell
how long the rest is and its SHA-256, and they are checked before the library sees the file. A file
larger than `WHOLE_UP_TO` would take too long to read at every opening: there the digest is checked
of all but the chunks of its frames, which carry a checksum each.

A seal finds damage, not malice: who changes a file can write a new seal too.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from voicegmm._base.errors import FormatError

SEAL_BYTES = 512
SEAL_START = b"voicegmm seal 1\n"
WHOLE_UP_TO = 64_000_000
"""Bytes: larger files are not read whole when they are opened."""

Extent = tuple[int, int]
"""First byte of a file's part, and the byte after it."""

_BLOCK = 4_000_000
_MOST_EXTENTS_BYTES = 64_000_000


@dataclass(frozen=True)
class Seal:
    """What stands in front of a file.

    Parameters
    ----------
    length : int
        Of the whole file, in bytes, these 512 among them.
    sha256 : str
        Of all bytes after these 512, in hex.
    structure : str
        Of `sha256`, the table and all bytes that are in none of its extents; empty for a file that
        is checked whole.
    table : int
        Where the table of extents begins, which ends the file; 0 for a file that is checked whole.
    """

    length: int
    sha256: str
    structure: str = ""
    table: int = 0

    def encode(self) -> bytes:
        """Give the 512 bytes: lines of ASCII, then zeros."""
        text = SEAL_START + f"length {self.length}\nsha256 {self.sha256}\n".encode()
        if self.structure:
            text += f"structure {self.structure}\ntable {self.table}\n".encode()
        return text.ljust(SEAL_BYTES, b"\0")


def seal_of(image: bytes) -> bytes:
    """Give what stands in front of an HDF5 file that was made in memory."""
    return Seal(SEAL_BYTES + len(image), hashlib.sha256(image).hexdigest()).encode()


def write_sealed(path: Path, image: bytes) -> None:
    """Write an HDF5 file that was made in memory, without the 512 bytes of its users, sealed."""
    with path.open("wb") as file:
        file.write(seal_of(image))
        file.write(image)


def seal(path: str | os.PathLike[str], extents: Sequence[Extent] = ()) -> None:
    """Seal an HDF5 file that was made with room for it and is closed.

    Parameters
    ----------
    path : path
        The file is changed in place: this is for one that has not taken its place yet.
    extents : sequence of (int, int)
        What carries checksums of its own and is left out of the digest that is checked when a file
        larger than `WHOLE_UP_TO` is opened.
    """
    with Path(path).open("r+b") as file:
        table = file.seek(0, os.SEEK_END)
        large = table > WHOLE_UP_TO and bool(extents)
        if large:
            file.write(msgspec.json.encode(sorted(extents)))
        length = file.tell()
        sha256 = _digest(file, [(SEAL_BYTES, length)])
        made = Seal(length, sha256)
        if large:
            rest = _between(sorted(extents), length)
            made = Seal(length, sha256, _digest(file, rest, sha256), table)
        file.seek(0)
        file.write(made.encode())


def check_seal(file: BinaryIO, path: str | os.PathLike[str], whole: bool = False) -> Seal:
    """Check that a sealed file is as it was written.

    Parameters
    ----------
    file : binary file
        Open for reading.
    path : path
        Its name, for errors.
    whole : bool
        Whether to read a large file whole, too.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    file.seek(0)
    block = file.read(SEAL_BYTES)
    found = _decode(block)
    if found is None:
        raise FormatError(f"{path}: damaged: its first {SEAL_BYTES} bytes hold no seal")
    length = file.seek(0, os.SEEK_END)
    if length != found.length:
        raise FormatError(
            f"{path}: damaged: it has {length} bytes, {found.length} were written; copy it again"
        )
    if whole or not found.structure:
        fits = _digest(file, [(SEAL_BYTES, length)]) == found.sha256
    if found.structure:
        rest = _between(_extents(file, path, found), length)
        fits = _digest(file, rest, found.sha256) == found.structure and (not whole or fits)
    if not fits:
        raise FormatError(
            f"{path}: damaged: the content does not fit the digest that was written with it; "
            "copy or make it again"
        )
    return found


def _decode(block: bytes) -> Seal | None:
    """Read a seal: what would not be written so, to the byte, is none."""
    words = dict(
        line.split(" ", 1)
        for line in block.rstrip(b"\0").decode("ascii", "replace").split("\n")
        if " " in line
    )
    try:
        found = Seal(
            int(words["length"]),
            words["sha256"],
            words.get("structure", ""),
            int(words.get("table", 0)),
        )
    except (KeyError, ValueError):
        return None
    return found if found.encode() == block else None


def _extents(file: BinaryIO, path: str | os.PathLike[str], seal: Seal) -> list[Extent]:
    """Read the table of extents; it is inside the digest, so its damage is found there at last."""
    file.seek(min(seal.table, seal.length))
    try:
        if seal.length - seal.table > _MOST_EXTENTS_BYTES:
            raise ValueError("too long")
        extents = msgspec.json.decode(file.read(), type=list[Extent])
        ends = [SEAL_BYTES, *(byte for extent in extents for byte in extent), seal.table]
        if ends != sorted(ends):
            raise ValueError("not in order")
    except ValueError as error:
        raise FormatError(f"{path}: damaged: its table of extents: {error}") from None
    return extents


def _between(extents: Sequence[Extent], length: int) -> Iterator[Extent]:
    """Give what lies outside sorted extents, from the seal to the end of the file."""
    start = SEAL_BYTES
    for low, high in extents:
        yield start, low
        start = high
    yield start, length


def _digest(file: BinaryIO, parts: Iterator[Extent] | list[Extent], text: str = "") -> str:
    """Give the SHA-256 of a text and of parts of a file, in hex."""
    digest = hashlib.sha256(text.encode())
    for start, stop in parts:
        file.seek(start)
        while start < stop and (content := file.read(min(_BLOCK, stop - start))):
            digest.update(content)
            start += len(content)
    return digest.hexdigest()
