"""Deltas: how the features move over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.checks import finite_frames, one_of, within
from voicegmm._base.errors import OptionError

RULES = ("kaldi", "htk", "sidekit")
# Of x_(t+j) - x_(t-j), j = 1, 2, 3: sidekit's default filter.
_SIDEKIT_WEIGHTS = (0.25, 0.5, 0.25)
_BLOCK_FRAMES = 2048  # few enough that what is computed from them stays in the cache


@dataclass(frozen=True)
class DeltaOptions:
    """Which deltas are appended.

    Parameters
    ----------
    order : int
        0 for none, 1 for deltas, 2 for deltas and their deltas; at most 4.
    window : int
        Frames on each side of a frame, 1 to 100.
    rule : {"kaldi", "htk", "sidekit", "shifted"}
        "kaldi" and "htk": what the second and higher orders see at the edges; "sidekit": its
        filter, of window 3; see `deltas`.
        "shifted": shifted delta cepstra; see `shifted_deltas`. `order` and `window` do not count
        for those, the next four options only for them.
    shifted_columns : int
        N of N-d-P-k: how many of the first columns, 1 to 1000; at most those there are.
    shifted_spread : int
        d: frames on each side of a delta, 1 to 100.
    shifted_step : int
        P: frames from one delta to the next, 1 to 100.
    shifted_blocks : int
        k: deltas for each column, 1 to 100.
    """

    order: int = 2
    window: int = 3
    rule: str = "kaldi"
    shifted_columns: int = 7
    shifted_spread: int = 1
    shifted_step: int = 3
    shifted_blocks: int = 7

    def __post_init__(self) -> None:
        within("order", self.order, 0, 4)
        within("window", self.window, 1, 100)
        one_of("rule", self.rule, (*RULES, "shifted"))
        if self.rule == "sidekit" and self.window != len(_SIDEKIT_WEIGHTS):
            raise OptionError(f'window must be 3 when rule is "sidekit", got {self.window}')
        within("shifted_columns", self.shifted_columns, 1, 1000)
        within("shifted_spread", self.shifted_spread, 1, 100)
        within("shifted_step", self.shifted_step, 1, 100)
        within("shifted_blocks", self.shifted_blocks, 1, 100)

    def check_columns(self, n_static: int) -> None:
        """Refuse to shift more columns than there are.

        Raises
        ------
        OptionError
        """
        if self.rule == "shifted":
            within("shifted_columns", self.shifted_columns, 1, n_static)

    def n_dims(self, n_static: int) -> int:
        """Count the columns that so many become."""
        if self.rule == "shifted":
            return n_static + min(self.shifted_columns, n_static) * self.shifted_blocks
        return n_static * (self.order + 1)


def with_deltas(frames: FloatArray, options: DeltaOptions | None = None) -> Float32Array:
    """Append the deltas that the options name.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    options : DeltaOptions, optional

    Returns
    -------
    (n_frames, options.n_dims(n_dims)) float32 array
        The frames first.

    Raises
    ------
    DataError
        When the frames are no matrix, or hold a NaN or an infinity.
    """
    options = options or DeltaOptions()
    if options.rule != "shifted":
        return deltas(frames, options.order, options.window, options.rule)
    base = _matrix(frames)
    shifted = shifted_deltas(
        base[:, : options.shifted_columns],
        options.shifted_spread,
        options.shifted_step,
        options.shifted_blocks,
    )
    return np.concatenate([base, shifted], axis=1)


def deltas(
    frames: FloatArray, order: int = 2, window: int = 3, rule: str = "kaldi"
) -> Float32Array:
    """Append regression deltas to frames.

    d_t = sum_j j (x_(t+j) - x_(t-j)) / (2 sum_j j²), j = 1 .. window (HTK Book, eq. 5.16), where
    frames before the first repeat it and frames after the last repeat that. Orders above the
    first apply the formula again: "kaldi" to the endlessly repeated edges of the frames
    themselves (so the base is repeated and the formula convolved with itself), "htk" to the
    deltas, whose own first and last rows are repeated. They differ only near the edges. "sidekit"
    weights the differences by 1/4, 1/2, 1/4 in the place of j / (2 sum_j j²), and takes zeros for
    what lies beyond the edges.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    order, window : int
        See `DeltaOptions`.
    rule : {"kaldi", "htk", "sidekit"}

    Returns
    -------
    (n_frames, n_dims * (order + 1)) float32 array
        The frames, then each order. Deltas of a constant are exactly zero everywhere, but for
        "sidekit" at the edges.

    Raises
    ------
    DataError
        When the frames are no matrix, or hold a NaN or an infinity.
    OptionError
        For an option outside its range.
    """
    one_of("rule", rule, RULES)
    DeltaOptions(order, window, rule)
    base = _matrix(frames)
    n_frames, n_dims = base.shape
    result = np.empty((n_frames, n_dims * (order + 1)), dtype=np.float32)
    for start in range(0, n_frames, _BLOCK_FRAMES):
        rows = slice(start, min(start + _BLOCK_FRAMES, n_frames))
        for k, part in enumerate(_orders(base, rows, order, window, rule)):
            result[rows, k * n_dims : (k + 1) * n_dims] = part
    return result


def _orders(
    base: Float32Array, rows: slice, order: int, window: int, rule: str
) -> Iterator[Float32Array]:
    """Give some rows of the frames, and of each order of their deltas."""
    yield base[rows]
    reach = order * window
    # The frames that count, as many of them as there are, and where they begin.
    first = max(rows.start - reach, 0)
    current = base[first : rows.stop + reach]
    at_start, at_end = rows.start < reach, rows.stop + reach > len(base)
    if rule == "kaldi":
        missing = max(reach - rows.start, 0), max(rows.stop + reach - len(base), 0)
        current = _edges_repeated(current, *missing)
        first = rows.start - reach
    for _ in range(order):
        if rule != "kaldi":
            mode: Literal["edge", "constant"] = "edge" if rule == "htk" else "constant"
            width = window * at_start, window * at_end
            current = np.pad(current, (width, (0, 0)), mode=mode)
            first -= window * at_start
        current = _slopes(current, _weights(window, rule))
        first += window
        yield current[rows.start - first : rows.stop - first]


def shifted_deltas(
    frames: FloatArray, spread: int = 1, step: int = 3, n_blocks: int = 7
) -> Float32Array:
    """Stack the deltas of a frame and of later ones: shifted delta cepstra.

    Block i of frame t is x_(t + i P + d) - x_(t + i P - d), i = 0 .. k - 1 (Torres-Carrasquillo
    et al., ICSLP 2002), where frames before the first repeat it and frames after the last repeat
    that.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
        The N cepstra of N-d-P-k; 7-1-3-7 is the usual choice.
    spread, step, n_blocks : int
        d, P and k, 1 to 100.

    Returns
    -------
    (n_frames, n_dims * n_blocks) float32 array
        Block after block. Those of a constant are exactly zero.

    Raises
    ------
    DataError
        When the frames are no matrix, or hold a NaN or an infinity.
    OptionError
        For an option outside its range.
    """
    DeltaOptions(shifted_spread=spread, shifted_step=step, shifted_blocks=n_blocks)
    base = _matrix(frames)
    n_frames, n_dims = base.shape
    if not n_frames:
        return np.zeros((0, n_dims * n_blocks), dtype=np.float32)
    padded = np.pad(base, ((spread, spread + (n_blocks - 1) * step), (0, 0)), mode="edge")
    slopes = padded[2 * spread :] - padded[: -2 * spread]
    starts = range(0, n_blocks * step, step)
    return np.concatenate([slopes[start : start + n_frames] for start in starts], axis=1)


def _matrix(frames: FloatArray) -> Float32Array:
    return finite_frames(np.asarray(frames, dtype=np.float32)).astype(np.float32, copy=False)


def _edges_repeated(frames: Float32Array, before: int, after: int) -> Float32Array:
    if not (before or after):
        return frames
    return np.pad(frames, ((before, after), (0, 0)), mode="edge")


def _weights(window: int, rule: str) -> tuple[float, ...]:
    """Give what the differences of the frames 1 .. window away are weighted with."""
    if rule == "sidekit":
        return _SIDEKIT_WEIGHTS
    squares = 2 * sum(j * j for j in range(1, window + 1))
    return tuple(j / squares for j in range(1, window + 1))


def _slopes(frames: Float32Array, weights: Sequence[float]) -> Float32Array:
    """Compute the slopes of the frames that have a neighbor for each weight on both sides."""
    window = len(weights)
    n = len(frames) - 2 * window
    total = step = np.empty((n, frames.shape[1]), dtype=np.float32)
    # Differences first: of equal frames they are exactly zero, as sums of products are not.
    for j, weight in enumerate(weights, start=1):
        later, earlier = frames[window + j :][:n], frames[window - j :][:n]
        step = np.subtract(later, earlier, out=step)
        step *= np.float32(weight)
        if j == 1:
            step = np.empty_like(total)
        else:
            total += step
    return total
