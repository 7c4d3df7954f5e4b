"""Cutting a signal into overlapping frames, and the windows they are weighted with."""

import math

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import above, one_of
from voicegmm._base.errors import DataError

WINDOWS = ("hamming", "hann", "povey", "rectangular", "hamming_periodic", "hann_periodic")
PADDINGS = ("reflection", "zeros", "zeros_after")


def samples_in(seconds: float, sample_rate: int) -> int:
    """Count the samples in a stretch of time, rounded down as Kaldi does.

    A millionth of a sample forgives 0.025 s its binary fraction.
    """
    return math.floor(seconds * sample_rate + 1e-6)


def analysis_window(name: str, n_window: int) -> Float64Array:
    """Compute an analysis window.

    With a = 2 pi i / (N - 1): "hamming" 0.54 - 0.46 cos a and "hann" 0.5 - 0.5 cos a (HTK Book,
    section 5.2), "povey" hann ** 0.85 (Kaldi's, which goes to zero at the edges and is otherwise
    close to Hamming's), "rectangular" 1. "hamming_periodic" and "hann_periodic" have N for N - 1,
    as librosa's and scipy.signal's for spectra.

    Parameters
    ----------
    name : {"hamming", "hann", "povey", "rectangular", "hamming_periodic", "hann_periodic"}
    n_window : int
        Length in samples, at least 2.

    Returns
    -------
    (n_window,) float64 array

    Raises
    ------
    OptionError
        For an unknown name or a shorter window.
    """
    one_of("window", name, WINDOWS)
    above("n_window", n_window, 1)
    periodic = name.endswith("_periodic")
    angle = 2 * np.pi * np.arange(n_window) / (n_window if periodic else n_window - 1)
    if name.startswith("hamming"):
        return np.asarray(0.54 - 0.46 * np.cos(angle))
    if name == "rectangular":
        return np.ones(n_window)
    # sin² for (1 - cos) / 2: never below zero by rounding, so its power is a number.
    hann = np.square(np.sin(angle / 2))
    return hann**0.85 if name == "povey" else hann


def count_frames(
    n_samples: int, n_window: int, n_hop: int, snip_edges: bool, padding: str = "reflection"
) -> int:
    """Count the frames of a signal.

    Parameters
    ----------
    n_samples, n_window, n_hop : int
        Lengths in samples.
    snip_edges : bool
        True: only frames that lie wholly inside the signal (HTK). False: one frame for each hop,
        whatever the window (Kaldi with ``--snip-edges=false``; librosa with ``center=True``,
        which has one more).
    padding : {"reflection", "zeros", "zeros_after"}
        Without snipping: whose count, Kaldi's, librosa's or Matlab's; see `frame_view`.
    """
    one_of("padding", padding, PADDINGS)
    if snip_edges:
        return 0 if n_samples < n_window else 1 + (n_samples - n_window) // n_hop
    if padding == "zeros":
        return 1 + n_samples // n_hop if n_samples else 0
    if padding == "zeros_after":
        after_first = -(-max(0, n_samples - n_window) // n_hop)
        # Where the hop is longer than the window, the last may lie wholly behind the end.
        return min(1 + after_first, -(-n_samples // n_hop))
    return (n_samples + n_hop // 2) // n_hop


def first_sample(n_window: int, n_hop: int, snip_edges: bool, padding: str = "reflection") -> int:
    """Give the sample that the first frame begins with; below 0 is before the signal.

    Frame t begins t * n_hop samples later. See `frame_view`.
    """
    if snip_edges or padding == "zeros_after":
        return 0
    return (0 if padding == "zeros" else n_hop // 2) - n_window // 2


def frame_view(
    samples: FloatArray,
    n_window: int,
    n_hop: int,
    snip_edges: bool,
    padding: str = "reflection",
) -> FloatArray:
    """Cut a signal into frames without copying them.

    Without snipping, by "reflection": frame t is centered on sample (t + 1/2) n_hop and what lies
    outside the signal is its reflection, the end sample repeated: ... x1 x0 | x0 x1 ... (Kaldi,
    ``feature-window.cc``, ExtractWindow). By "zeros": frame t is centered on sample t n_hop and
    outside is silence (librosa). By "zeros_after": frame t begins with sample t n_hop, and the
    last one is filled up with zeros (Matlab's ``buffer`` with "nodelay", python_speech_features).

    Parameters
    ----------
    samples : (n_samples,) float array
    n_window, n_hop : int
        Lengths in samples, at least 1.
    snip_edges : bool
        See `count_frames`.
    padding : {"reflection", "zeros", "zeros_after"}

    Returns
    -------
    (n_frames, n_window) array
        A read-only view; frames share their samples.

    Raises
    ------
    DataError
        When the samples have more than one axis.
    """
    if samples.ndim != 1:
        raise DataError(f"samples must have one axis (mono), got {samples.ndim} axes")
    n_frames = count_frames(len(samples), n_window, n_hop, snip_edges, padding)
    if n_frames == 0:
        return np.zeros((0, n_window), dtype=samples.dtype)
    if not snip_edges:
        start = first_sample(n_window, n_hop, snip_edges, padding)
        missing = start + (n_frames - 1) * n_hop + n_window - len(samples)
        samples = _padded(samples, max(0, -start), max(0, missing), padding)
        samples = samples[max(0, start) :]
    every = np.lib.stride_tricks.sliding_window_view(samples, n_window)
    return every[: (n_frames - 1) * n_hop + 1 : n_hop]


class FrameCutter:
    """Cuts a signal that arrives in pieces into the frames that `frame_view` cuts the whole into.

    Memory holds the last piece and what waits for the next: a window or two.

    Parameters
    ----------
    n_window, n_hop, snip_edges, padding
        See `frame_view`.
    n_together : int
        Frames are given in multiples of so many, but for the last.

    Attributes
    ----------
    n_samples : int
        That have come.
    """

    def __init__(
        self, n_window: int, n_hop: int, snip_edges: bool, padding: str, n_together: int = 1
    ) -> None:
        self.n_samples = 0
        self._size = n_window, n_hop
        self._edges = snip_edges, padding
        self._n_together = n_together
        self._samples: FloatArray | None = None
        self._next = 0  # where in `_samples` the next frame begins
        self._begun = False

    def push(self, samples: FloatArray, end: bool = False) -> FloatArray:
        """Take the next samples; give the frames that are complete, at the end all that are left.

        Parameters
        ----------
        samples : (n_samples,) float array
            Always of the same type.
        end : bool
            Whether these are the last.

        Returns
        -------
        (n_frames, n_window) array
            A read-only view; frames share their samples.
        """
        n_window, n_hop = self._size
        waiting = self._samples
        joined = samples if waiting is None else np.concatenate([waiting, samples])
        self.n_samples += len(samples)
        if not self._begun:
            if end:
                return frame_view(joined, n_window, n_hop, *self._edges)
            self._samples = joined.copy()
            if self.n_samples < n_window:
                return joined[:0].reshape(0, n_window)
            joined = self._with_start(joined)
        if end:
            joined = self._with_end(joined)
        ready = joined[self._next :]
        n_frames = count_frames(len(ready), n_window, n_hop, snip_edges=True)
        if not end:
            n_frames -= n_frames % self._n_together
        frames = frame_view(ready, n_window, n_hop, snip_edges=True)[:n_frames]
        self._next += n_frames * n_hop
        # A window stays, for the reflection at the end.
        spare = min(max(0, self._next - n_window), len(joined))
        self._samples = joined[spare:].copy()  # the caller's own may change
        self._next -= spare
        return frames

    def _with_start(self, samples: FloatArray) -> FloatArray:
        self._begun = True
        first = first_sample(*self._size, *self._edges)
        self._next = max(0, first)
        return _padded(samples, max(0, -first), 0, self._edges[1])

    def _with_end(self, samples: FloatArray) -> FloatArray:
        n_window, n_hop = self._size
        if self._edges[0]:
            return samples
        n_frames = count_frames(self.n_samples, *self._size, *self._edges)
        last = first_sample(*self._size, *self._edges) + (n_frames - 1) * n_hop
        return _padded(samples, 0, max(0, last + n_window - self.n_samples), self._edges[1])


def _padded(samples: FloatArray, before: int, after: int, padding: str) -> FloatArray:
    """Put silence or the reflection of the samples before and after them."""
    if not (before or after):
        return samples
    if padding == "reflection":
        return np.pad(samples, (before, after), mode="symmetric")
    return np.pad(samples, (before, after))
