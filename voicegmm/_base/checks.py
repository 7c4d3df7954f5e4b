"""Checks of arguments: each returns its value or says what was wrong and what would be right."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError, OptionError


def at_least(name: str, value: float, low: float) -> None:
    """Refuse a value below `low`, or one that is not a number."""
    if not value >= low:
        raise OptionError(f"{name} must be at least {low}, got {value}")


def above(name: str, value: float, low: float) -> None:
    """Refuse a value that is not greater than `low`."""
    if not value > low:
        raise OptionError(f"{name} must be greater than {low}, got {value}")


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high]."""
    if not low <= value <= high:
        raise OptionError(f"{name} must be between {low} and {high}, got {value}")


def one_of(name: str, value: str, allowed: Collection[str]) -> None:
    """Refuse a word that is not among `allowed`, naming the nearest that is."""
    if value not in allowed:
        nearest = did_you_mean(value, allowed)
        raise OptionError(f"{name} must be one of {', '.join(allowed)}; got {value!r}{nearest}")


def did_you_mean(word: str, allowed: Collection[str]) -> str:
    """Give " (did you mean 'x'?)" for the nearest allowed word, or nothing."""
    near = get_close_matches(word, list(allowed), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(names: Collection[str], most: int = 100) -> str:
    """Give names in a row: all of them, unless there are more than one would read."""
    shown = ", ".join(list(names)[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def finite_frames(
    frames: Any, n_dims: int | None = None, name: str = "frames", first: int = 0
) -> FloatArray:
    """Check that frames are a finite float matrix.

    Parameters
    ----------
    frames : (n_frames, n_dims) array_like
        float32 stays float32; anything else becomes float64.
    n_dims : int, optional
        The number of columns that is expected.
    name : str
        What to call them in an error.
    first : int
        The number of the first of them, for an error.

    Returns
    -------
    (n_frames, n_dims) float32 or float64 array

    Raises
    ------
    DataError
        For another shape, a NaN or an infinity; the first bad frame is named.
    """
    array = np.asarray(frames)
    if array.dtype != np.float32:
        array = np.asarray(array, dtype=np.float64)
    if array.ndim != 2:
        raise DataError(f"{name} must be a matrix (n_frames, n_dims), got {array.ndim} axes")
    if n_dims is not None and array.shape[1] != n_dims:
        raise DataError(f"{name} must have {n_dims} columns, got {array.shape[1]}")
    # A sum is finite only if its terms are; the slow look for the culprit runs only when it is not.
    with np.errstate(over="ignore", invalid="ignore"):
        clean = np.isfinite(array.sum(dtype=np.float64))
    if not clean:
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if bad.size:
            hint = "; where NaN stands for a missing value, see voicegmm.mixture.incomplete_*"
            raise DataError(
                f"{name} must be finite: {bad.size} of {len(array)} hold a NaN or an infinity, "
                f"the first is number {first + bad[0]} (counting from 0)"
                f"{hint if np.isnan(array).any() else ''}"
            )
    return array
