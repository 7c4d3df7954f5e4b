"""Names for the arrays that flow between the rooms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


def frozen(array: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Copy an array and forbid writing into the copy, for the fields of frozen dataclasses."""
    copy = np.array(array, dtype=dtype, order="C")
    copy.flags.writeable = False
    return copy


def joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Join arrays along their first axis; one that is alone, perhaps a long one, is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
