"""The seal of a file: its length and digests, in front of what the HDF5 library reads.

The library takes a file at its word: single flipped bits gave wrong content without a word, endless
loops and crashes. So the first 512 bytes of each of our files, which HDF5 leaves to its users, tell
how long the rest is and its SHA-256, and they are checked before the library sees the file. A file
larger than `WHOLE_UP_TO` would take too long to read at every opening: there the digest is of all
but the chunks of its frames, which carry a checksum each, and whose digests are among the rest.

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
SEAL_START = b"voicegmm seal "
WHOLE_UP_TO = 16_000_000
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
        Of all bytes after these 512, in hex; of a large file, of those in none of its extents.
    table : int
        Where the table of extents begins, which ends a large file; 0 for one that is checked whole.
    structure : str
        Of large files of the first kind alone, whose `sha256` is of all bytes: what the `sha256` of
        one of the second kind is, but of the text of `sha256` first.
    """

    length: int
    sha256: str
    table: int = 0
    structure: str = ""

    @property
    def kind(self) -> int:
        """Which kind of seal: 1, or 2 for a large file whose rows have digests of their own."""
        return 2 if self.table and not self.structure else 1

    def encode(self) -> bytes:
        """Give the 512 bytes: lines of ASCII, then zeros."""
        lines = [f"{self.kind}", f"length {self.length}", f"sha256 {self.sha256}"]
        lines += [f"structure {self.structure}"] if self.structure else []
        lines += [f"table {self.table}"] if self.table else []
        return SEAL_START + "\n".join([*lines, ""]).encode().ljust(
            SEAL_BYTES - len(SEAL_START), b"\0"
        )


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
        What carries checksums and digests of its own: left out of the digest of a file larger than
        `WHOLE_UP_TO`.
    """
    with Path(path).open("r+b") as file:
        table = file.seek(0, os.SEEK_END)
        left_out = sorted(extents) if table > WHOLE_UP_TO else []
        if left_out:
            file.write(msgspec.json.encode(left_out))
        length = file.tell()
        sha256 = _digest(file, _between(left_out, length))
        file.seek(0)
        file.write(Seal(length, sha256, table if left_out else 0).encode())


def check_seal(file: BinaryIO, path: str | os.PathLike[str], whole: bool = False) -> Seal:
    """Check that a sealed file is as it was written.

    Parameters
    ----------
    file : binary file
        Open for reading.
    path : path
        Its name, for errors.
    whole : bool
        Whether to read a large file of the first kind whole, too.

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
    fits = True
    if whole or not found.table:
        fits = found.kind == 2 or _digest(file, [(SEAL_BYTES, length)]) == found.sha256
    if found.table:
        rest = _between(_extents(file, path, found), length)
        digest = _digest(file, rest, found.sha256 if found.structure else "")
        fits = fits and digest == (found.structure or found.sha256)
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
            int(words.get("table", 0)),
            words.get("structure", ""),
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
