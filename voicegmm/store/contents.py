"""The SHA-256 of recordings in our files: what something was learned from."""

import h5py
import numpy as np

from voicegmm.store.datasets import read_array
from voicegmm.store.rows import DIGEST_BYTES


def write_contents(group: h5py.Group, name: str, contents: tuple[str, ...] | None) -> None:
    """Write the SHA-256 of recordings, where they are known."""
    if contents is not None:
        digests = np.frombuffer(b"".join(map(bytes.fromhex, contents)), np.uint8)
        group[name] = digests.reshape(-1, DIGEST_BYTES)


def read_contents(group: h5py.Group, name: str) -> tuple[str, ...] | None:
    """Read the SHA-256 of recordings, in hex; None where they are not known."""
    # Files from before it was kept have none.
    if name not in group:
        return None
    digests = read_array(group, name, (None, DIGEST_BYTES), np.uint8)
    return tuple(digest.tobytes().hex() for digest in digests)
