"""Normalization of the frames of one recording: means, variances, whole distributions."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least, finite_frames, one_of, within
from voicegmm.features.blocks import blocks, deviations
from voicegmm.features.warping import decorrelate, warp

WARPING = ("warping", "gaussianization")
METHODS = (
    "none",
    "mean",
    "mean_variance",
    "sliding_mean",
    "sliding_mean_variance",
    *WARPING,
)
# The smallest variance that is divided by (Kaldi's); a constant dimension becomes zeros.
_VARIANCE_FLOOR = 1e-10


@dataclass(frozen=True)
class NormalizationOptions:
    """How the frames of a recording are normalized.

    Parameters
    ----------
    method : str
        "mean" and "mean_variance" over the whole recording; "sliding_mean" and
        "sliding_mean_variance" over a window that moves with the frame; "warping" to a standard
        normal distribution over such a window; "gaussianization", which is warping after the
        dimensions were decorrelated over the whole recording; or "none". See `normalize`.
    over : {"speech", "all"}
        Whether only the frames with speech count, and are neighbors, or all frames (Kaldi's
        order: normalize, then select).
    window_frames : int
        Length of the sliding window, 1 to 1,000,000. For warping and gaussianization an even
        window that is centered takes one frame more, so that the frame is its middle: 300 and
        301 are both the usual 301 frames, 3 s.
    centered : bool
        Whether the frame is in the middle of the window or at its end.
    min_window_frames : int
        Frames that a window which is not centered takes at the start, at least 1.
    """

    method: str = "none"
    over: str = "speech"
    window_frames: int = 300
    centered: bool = True
    min_window_frames: int = 100

    def __post_init__(self) -> None:
        one_of("method", self.method, METHODS)
        one_of("over", self.over, ("speech", "all"))
        within("window_frames", self.window_frames, 1, 1_000_000)
        at_least("min_window_frames", self.min_window_frames, 1)


def normalize(frames: FloatArray, options: NormalizationOptions | None = None) -> Float32Array:
    """Bring the frames of a recording to a common scale, each dimension by itself.

    Means are subtracted; variances, where they are asked for, become 1. Warping replaces each
    value by the normal quantile of its rank in its window (Pelecanos & Sridharan, Odyssey 2001;
    see `voicegmm.features.warping.warp`), gaussianization does so after a linear transform that
    decorrelates the dimensions (Xiang et al., ICASSP 2002; see
    `voicegmm.features.warping.decorrelate`). At the edges of a recording all sliding methods move
    the window inside, as `window_bounds` says: the first and the last frames are ranked in the
    first and the last whole window.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
    options : NormalizationOptions, optional
        `over` is the caller's business: all the frames given here count.

    Returns
    -------
    (n_frames, n_dims) float32 array
        A dimension that does not vary becomes zeros.

    Raises
    ------
    DataError
        When the frames are no matrix, or hold a NaN or an infinity.
    """
    options = options or NormalizationOptions()
    frames = np.asarray(frames, dtype=np.float32)
    finite_frames(frames)
    if options.method == "none" or not len(frames):
        return frames
    if options.method in ("mean", "mean_variance"):
        return _over_the_whole(frames, options.method == "mean_variance")
    if options.method == "gaussianization":
        frames = decorrelate(frames)
    return slide(frames, options, slice(0, len(frames)))


def slide(frames: Float32Array, options: NormalizationOptions, rows: slice) -> Float32Array:
    """Normalize some frames over the windows that move with them.

    Parameters
    ----------
    frames : (n_frames, n_dims) float32 array
        Finite; for gaussianization they have been decorrelated.
    options : NormalizationOptions
        With a sliding method.
    rows : slice
        The frames that are asked for, with a start and a stop within those there are.

    Returns
    -------
    (rows.stop - rows.start, n_dims) float32 array
    """
    if options.method in WARPING:
        return warp(frames, *window_bounds(len(frames), options), rows)
    return _over_windows(frames, options, rows)


def _over_the_whole(frames: Float32Array, variance: bool) -> Float32Array:
    # About a frame: of equal ones all differences are exactly zero.
    origin = frames[0].astype(np.float64)
    total, squares = np.zeros((2, frames.shape[1]))
    for _, part in deviations(frames, origin):
        total += part.sum(axis=0)
        squares += np.square(part, out=part).sum(axis=0)
    mean = total / len(frames)
    scale: float | Float64Array = 1.0
    if variance:
        scale = 1 / np.sqrt(np.maximum(squares / len(frames) - mean**2, _VARIANCE_FLOOR))
    result = np.empty_like(frames)
    for rows, part in deviations(frames, origin + mean):
        np.multiply(part, scale, out=result[rows], casting="same_kind")
    return result


def _over_windows(
    frames: Float32Array, options: NormalizationOptions, wanted: slice
) -> Float32Array:
    start, stop = window_bounds(len(frames), options)
    result = np.empty((wanted.stop - wanted.start, frames.shape[1]), dtype=np.float32)
    for block in blocks(len(result), options.window_frames):
        rows = slice(wanted.start + block.start, wanted.start + block.stop)
        low, high = int(start[rows][0]), int(stop[rows][-1])
        first, last = start[rows] - low, stop[rows] - low
        n = (last - first)[:, None]
        # About a mean near by, so that differences of sums and squares keep their digits.
        near = frames[low:high].astype(np.float64)
        near -= frames[low]
        near -= near.mean(axis=0)
        center = _window_sums(near, first, last) / n
        part = near[rows.start - low : rows.stop - low] - center
        if options.method == "sliding_mean_variance":
            variance = _window_sums(np.square(near), first, last) / n - np.square(center)
            part /= np.sqrt(np.maximum(variance, _VARIANCE_FLOOR))
            # One frame has no variance (Kaldi, SlidingWindowCmnInternal).
            part[n[:, 0] == 1] = 0.0
        result[block] = part
    return result


def _window_sums(values: Float64Array, start: IntArray, stop: IntArray) -> Float64Array:
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return np.asarray(sums[stop] - sums[start])


def window_bounds(n_frames: int, options: NormalizationOptions) -> tuple[IntArray, IntArray]:
    """Give the first frame and the one past the last of each frame's window.

    Kaldi's rule (``feature-functions.cc``, SlidingWindowCmnInternal): a window that would reach
    over an edge of the recording is moved inside, not shortened, unless the recording is shorter.
    A centered even window has its odd frame before; for warping it gets another one after.

    Returns
    -------
    start, stop : (n_frames,) int array
    """
    t = np.arange(n_frames)
    width = options.window_frames
    if options.centered and options.method in WARPING:
        width += 1 - width % 2
    start = t - width // 2 if options.centered else t - width
    stop = start + width if options.centered else t + 1
    stop = stop + np.maximum(-start, 0)
    start = np.maximum(start, 0)
    if not options.centered:
        stop = np.where(stop > t, np.maximum(t + 1, options.min_window_frames), stop)
    beyond = np.maximum(stop - n_frames, 0)
    return np.maximum(start - beyond, 0), np.minimum(stop, n_frames)
