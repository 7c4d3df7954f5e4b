"""How many bytes of sound a file's header promises, and how many the file holds.

libsndfile quietly shortens a WAV whose data chunk was cut off, so the headers are read here.
"""

import struct
from pathlib import Path
from typing import BinaryIO

# What programs that write to a pipe put where they cannot know the size: nothing, the largest
# number, or (sox) the largest signed number rounded down to a page.
_UNKNOWN = (0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF)
_MOST_CHUNKS = 10_000


def promised_and_held(path: Path) -> tuple[int, int] | None:
    """Compare the header of a WAV, RF64, AIFF, AU or NIST SPHERE file with its length.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    (promised, held) : tuple of int, or None
        Bytes of sound; None when the header does not say, or is of another kind (those count
        their frames, which the reader checks).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
        kind, form = head[:4], head[8:12]
        if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
            return _in_chunks(file, size, ">" if kind == b"RIFX" else "<", b"data")
        if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
            return _in_chunks(file, size, ">", b"SSND")
        if kind == b".snd" and len(head) >= 12:
            offset, promised = struct.unpack(">II", head[4:12])
            return None if promised in _UNKNOWN else (promised, max(0, size - offset))
        if head.startswith(b"NIST_1A"):
            return _in_sphere(head, size)
    return None


def _in_chunks(file: BinaryIO, size: int, order: str, wanted: bytes) -> tuple[int, int] | None:
    """Walk the chunks of an IFF-like file to the one that holds the sound."""
    at, wide_size = 12, None
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return None
        name, length = header[:4], struct.unpack(order + "I", header[4:])[0]
        if name == b"ds64":
            # RF64 (EBU Tech 3306): 64-bit sizes of the file and of its data chunk.
            sizes = file.read(16)
            wide_size = struct.unpack("<QQ", sizes)[1] if len(sizes) == 16 else None
        if name == wanted:
            if length == 0xFFFFFFFF and wide_size is not None:
                length = wide_size
            return None if length in _UNKNOWN else (length, size - at - 8)
        at += 8 + length + length % 2
    return None


def _in_sphere(head: bytes, size: int) -> tuple[int, int] | None:
    """Read the ASCII header of a NIST SPHERE file: 'name -type value' a line."""
    lines = head.decode("ascii", "replace").split("\n")
    fields = {parts[0]: parts[2] for line in lines if len(parts := line.split(None, 2)) == 3}
    if "pcm,embedded" in fields.get("sample_coding", ""):
        return None
    try:
        promised = (
            int(fields["sample_count"])
            * int(fields["sample_n_bytes"])
            * int(fields.get("channel_count", "1"))
        )
        return promised, size - int(lines[1])
    except (KeyError, ValueError, IndexError):
        return None
