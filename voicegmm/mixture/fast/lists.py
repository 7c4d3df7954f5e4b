"""Short lists: the few components that have a share of each frame, and how they are kept."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from voicegmm._base.arrays import BoolArray, IntArray

_FAR = 2  # bytes beside one a component: 255 components that none is of are passed by one


def room(n_listed: int, n_components: int) -> int:
    """Give how many components a list may hold to take `n_listed` + 2 bytes at most.

    A byte each, and one for every 255 components there are; or two bytes each.
    """
    n_bytes = n_listed + _FAR
    return min(n_listed, max(n_bytes - n_components // 255, n_bytes // 2))


@dataclass(frozen=True, eq=False)
class ShortLists:
    """The components that matter to each frame of a work item.

    Parameters
    ----------
    ids : (n_frames, n_listed) uint16 array
        Rising in each row.
    n_ids : (n_frames,) uint8 array
        How many of each row count. 0: the frame is worked exactly.
    """

    ids: IntArray
    n_ids: IntArray

    @staticmethod
    def empty(n_frames: int, n_listed: int) -> "ShortLists":
        """Give lists to be filled."""
        return ShortLists(np.zeros((n_frames, n_listed), np.uint16), np.zeros(n_frames, np.uint8))


@dataclass(frozen=True, eq=False)
class PackedLists:
    """Short lists between two passes, in less memory.

    Parameters
    ----------
    codes : (n_codes,) uint8 or uint16 array
        What `voicegmm.mixture.fast.kernel.pack` wrote, or where there are many components their
        numbers.
    n_ids : (n_frames,) uint8 array
    n_listed : int
        The room of the lists.
    """

    codes: IntArray
    n_ids: IntArray
    n_listed: int

    @staticmethod
    def of(lists: ShortLists, n_components: int) -> "PackedLists":
        """Pack the lists of a mixture of so many components."""
        n_frames, n_listed = lists.ids.shape
        n_far = n_components // 255
        if n_far > n_listed:
            return PackedLists(lists.ids[_counted(lists)], lists.n_ids, n_listed)
        codes = np.empty(n_frames * (n_listed + n_far), np.uint8)
        n_codes = loops().pack(lists.ids, lists.n_ids, codes)
        return PackedLists(codes[:n_codes].copy(), lists.n_ids, n_listed)

    def unpacked(self) -> ShortLists:
        """Give the lists."""
        lists = ShortLists(np.empty((len(self.n_ids), self.n_listed), np.uint16), self.n_ids)
        if self.codes.dtype == np.uint8:
            loops().unpack(self.codes, self.n_ids, lists.ids)
        else:
            lists.ids[_counted(lists)] = self.codes
        return lists


def _counted(lists: ShortLists) -> BoolArray:
    return np.arange(lists.ids.shape[1]) < lists.n_ids[:, None]


def loops() -> ModuleType:
    """Give the compiled loops of all passes; the first call loads or compiles them."""
    from voicegmm.mixture.fast import kernel

    return kernel
