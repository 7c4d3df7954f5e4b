"""The rows of a recording, as files hold them: their bytes, and the digest of these."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicegmm.features import FrameSet

ROW_TYPES: dict[str, np.dtype[Any]] = {
    "frames": np.dtype("<f4"),
    "weights": np.dtype("<f4"),
    "positions": np.dtype("<i4"),
}
"""What stands in a file for each frame, in this order."""
DIGEST_BYTES = 32


@dataclass(frozen=True)
class Digested:
    """The frames of a recording, and the SHA-256 of their rows.

    Parameters
    ----------
    frames : FrameSet
    sha256 : bytes
        See `digest_of_rows`.
    """

    frames: FrameSet
    sha256: bytes


def bytes_of_rows(frames: FrameSet) -> list[memoryview]:
    """Give the bytes of frames, weights and positions, each as files hold them."""
    return [
        np.ascontiguousarray(getattr(frames, name), dtype).reshape(-1).view(np.uint8).data
        for name, dtype in ROW_TYPES.items()
    ]


def digest_of_rows(parts: Iterable[memoryview | bytes]) -> bytes:
    """Give the SHA-256 of the rows of a recording, from what `bytes_of_rows` gives."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def digested(frames: FrameSet) -> Digested:
    """Give frames with the SHA-256 of their rows."""
    return Digested(frames, digest_of_rows(bytes_of_rows(frames)))
