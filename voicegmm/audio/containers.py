"""How many bytes of sound a file's header promises, and how many the file holds.

libsndfile quietly shortens a WAV whose data chunk was cut off, so the headers are read here.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# What programs that write to a pipe put where they cannot know the size: nothing, the largest
# number, or (sox) the largest signed number rounded down to a page.
_UNKNOWN = (0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF)
_MOST_CHUNKS = 10_000
_WAVE64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"


@dataclass(frozen=True)
class SoundBytes:
    """Where the header of a file and its length agree or not.

    Parameters
    ----------
    promised : int or None
        Bytes of sound by the header; None when it says that it does not know.
    held : int
        Bytes from the start of the sound to the end of the file.
    unset_at : int or None
        Where in the file a size of sound stands that was never filled in: it is 0, and what
        follows are no further chunks.
    """

    promised: int | None
    held: int
    unset_at: int | None = None


def sound_bytes(path: Path) -> SoundBytes | None:
    """Read the header of a WAV, RF64, Wave64, AIFF, CAF, AU or NIST SPHERE file.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    SoundBytes or None
        None for other kinds of files (the reader counts their frames), and for headers that
        make no sense (libsndfile says why).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
        kind, form = head[:4], head[8:12]
        if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
            return _in_chunks(file, size, ">" if kind == b"RIFX" else "<", b"data")
        if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
            return _in_chunks(file, size, ">", b"SSND")
        if head.startswith(_WAVE64):
            return _in_wave64(file, size)
        if kind == b"caff":
            return _in_caf(file, size)
        if kind == b".snd" and len(head) >= 12:
            offset, promised = struct.unpack(">II", head[4:12])
            return SoundBytes(_if_known(promised), max(0, size - offset))
        if head.startswith(b"NIST_1A"):
            return _in_sphere(head, size)
    return None


def _if_known(length: int) -> int | None:
    return None if length in _UNKNOWN else length


def _in_chunks(file: BinaryIO, size: int, order: str, wanted: bytes) -> SoundBytes | None:
    """Walk the chunks of an IFF-like file to the one that holds the sound."""
    at, wide_length = 12, None
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return None
        name, length = header[:4], struct.unpack(order + "I", header[4:])[0]
        if name == b"ds64":
            # RF64 (EBU Tech 3306): 64-bit sizes of the file and of its data chunk.
            sizes = file.read(16)
            wide_length = struct.unpack("<QQ", sizes)[1] if len(sizes) == 16 else None
        if name == wanted:
            if length == 0xFFFFFFFF and wide_length is not None:
                length = wide_length
            held = size - at - 8
            unfinished = length == 0 < held and not _chunks_to_end(file, at + 8, size, order)
            return SoundBytes(_if_known(length), held, at + 4 if unfinished else None)
        at += 8 + length + length % 2
    return None


def _chunks_to_end(file: BinaryIO, at: int, size: int, order: str) -> bool:
    """Tell whether what stands from here to the end of the file reads as chunks."""
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8 or not header[:4].decode("latin-1").isprintable():
            return False
        length = struct.unpack(order + "I", header[4:])[0]
        at += 8 + length + length % 2
        if at >= size:
            return bool(at <= size + 1)
    return False


def _in_wave64(file: BinaryIO, size: int) -> SoundBytes | None:
    """Walk the chunks of a Sony Wave64 file: 16 bytes of name, 8 of length, these included."""
    at = 40
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(24)
        if len(header) < 24:
            return None
        length = struct.unpack("<Q", header[16:])[0]
        if header[:4] == b"data":
            return SoundBytes(_if_known(max(0, length - 24)), size - at - 24)
        at += max(24, length + -length % 8)
    return None


def _in_caf(file: BinaryIO, size: int) -> SoundBytes | None:
    """Walk the chunks of an Apple Core Audio file: 4 bytes of name, 8 of length (-1: unknown)."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(12)
        if len(header) < 12:
            return None
        length = struct.unpack(">q", header[4:])[0]
        if header[:4] == b"data":
            return SoundBytes(length if length > 0 else None, size - at - 12)
        at += 12 + max(0, length)
    return None


def _in_sphere(head: bytes, size: int) -> SoundBytes | None:
    """Read the ASCII header of a NIST SPHERE file: 'name -type value' a line."""
    lines = head.decode("ascii", "replace").split("\n")
    fields = {parts[0]: parts[2] for line in lines if len(parts := line.split(None, 2)) == 3}
    if "embedded" in fields.get("sample_coding", ""):
        return None
    try:
        promised = (
            int(fields["sample_count"])
            * int(fields["sample_n_bytes"])
            * int(fields.get("channel_count", "1"))
        )
        return SoundBytes(_if_known(promised), size - int(lines[1]))
    except (KeyError, ValueError, IndexError):
        return None
