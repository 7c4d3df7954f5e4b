"""The pitch of the voice and how surely there is one, a pair of columns a frame."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.checks import one_of, within
from voicegmm._base.errors import DataError, OptionError
from voicegmm.audio.signal import check_finite

N_COLUMNS = 2
# The fastest that the pitch moves: librosa's default, Mauch & Dixon's.
_OCTAVES_PER_SECOND = 35.92
_PIECE_FRAMES, _AROUND = 2000, 200  # tracked at once, and beside them


@dataclass(frozen=True)
class PitchOptions:
    """Whether the pitch is appended, and where it is looked for.

    Parameters
    ----------
    method : {"none", "pyin"}
        "pyin" is slow: it takes hundreds of times as long as the rest of the front end, about an
        eighth of the recording's own length.
    low_hertz, high_hertz : float
        20 to 2000, at least a quarter tone apart.
    """

    method: str = "none"
    low_hertz: float = 60.0
    high_hertz: float = 400.0

    def __post_init__(self) -> None:
        one_of("method", self.method, ("none", "pyin"))
        within("low_hertz", self.low_hertz, 20.0, 2000.0)
        within("high_hertz", self.high_hertz, 20.0, 2000.0)
        if not self.high_hertz >= 2 ** (1 / 24) * self.low_hertz:
            raise OptionError(
                f"high_hertz must be at least a quarter tone above low_hertz "
                f"({self.low_hertz:g}), got {self.high_hertz:g}"
            )

    @property
    def n_dims(self) -> int:
        """Columns that are appended."""
        return 0 if self.method == "none" else N_COLUMNS

    def check_rate(self, sample_rate: int) -> None:
        """Refuse a pitch that the sampling rate cannot hold.

        Raises
        ------
        OptionError
        """
        if self.method != "none" and self.high_hertz > sample_rate / 4:
            raise OptionError(
                f"high_hertz must be at most {sample_rate / 4:g} (a quarter of the sample rate "
                f"{sample_rate}), got {self.high_hertz:g}"
            )


def pitch(
    samples: FloatArray | Iterable[FloatArray],
    sample_rate: int,
    n_hop: int,
    n_frames: int,
    first_center: float,
    options: PitchOptions | None = None,
) -> Float32Array:
    """Track the pitch by probabilistic YIN.

    Mauch & Dixon, ICASSP 2014, as librosa's `pyin` computes it, with frames of four periods of
    `low_hertz` in the middle of ours. More than 2,000 frames are tracked in pieces, each with 200
    frames more on both sides, where paths that began differently have met: the memory that it takes
    does not grow with the recording.

    Parameters
    ----------
    samples : (n_samples,) float array, or iterable of such
        Full scale is 1. Of a long recording blocks of any lengths, one after the other.
    sample_rate : int
        In hertz.
    n_hop : int
        Samples from one frame to the next.
    n_frames : int
    first_center : float
        The sample in the middle of the first frame.
    options : PitchOptions, optional
        `method` does not count.

    Returns
    -------
    (n_frames, 2) float32 array
        Natural logarithm of the pitch in hertz, and the probability that the frame is voiced.
        Frames without voice lie on the line between their voiced neighbors, before the first and
        after the last at its pitch; without any voice, at the geometric mean of the band.

    Raises
    ------
    DataError
        For samples that are not finite or not mono.
    """
    options = options or PitchOptions("pyin")
    length = int(np.ceil(4 * sample_rate / options.low_hertz))
    length += length % 2
    start = int(np.floor(first_center)) - length // 2
    pieces = list(_pieces(n_frames))
    bounds = [(start + low * n_hop, start + (high - 1) * n_hop + length) for _, low, high in pieces]
    hertz, voiced = np.zeros(n_frames), np.zeros(n_frames)
    blocks = [samples] if isinstance(samples, np.ndarray) else samples
    for (rows, low, _), part in zip(pieces, _excerpts(_checked(blocks), bounds), strict=True):
        found = _track(part, sample_rate, n_hop, length, options)
        hertz[rows], voiced[rows] = (x[rows.start - low : rows.stop - low] for x in found)
    known = np.isfinite(hertz)
    logs = np.full(n_frames, np.log(options.low_hertz * options.high_hertz) / 2)
    if known.any():
        t = np.arange(n_frames)
        logs = np.interp(t, t[known], np.log(hertz[known]))
    return np.column_stack([logs, voiced]).astype(np.float32)


def _track(
    samples: FloatArray, sample_rate: int, n_hop: int, length: int, options: PitchOptions
) -> tuple[FloatArray, FloatArray]:
    """Give the pitch of each frame, NaN where there is no voice, and how probable a voice is."""
    import librosa

    # No frame moves the pitch across more than the band: librosa refuses a path that could.
    band = np.floor(12 * np.log2(options.high_hertz / options.low_hertz))
    hertz, _, voiced = librosa.pyin(
        samples.astype(np.float64),
        fmin=options.low_hertz,
        fmax=options.high_hertz,
        sr=sample_rate,
        frame_length=length,
        hop_length=n_hop,
        center=False,
        max_transition_rate=min(_OCTAVES_PER_SECOND, band * sample_rate / (12 * n_hop)),
    )
    return hertz, voiced


def _pieces(n_frames: int) -> Iterator[tuple[slice, int, int]]:
    """Cut frames into pieces; give each, and where it begins and ends with its neighbors."""
    for low in range(0, n_frames, _PIECE_FRAMES):
        high = min(low + _PIECE_FRAMES, n_frames)
        yield slice(low, high), max(low - _AROUND, 0), min(high + _AROUND, n_frames)


def _checked(blocks: Iterable[FloatArray]) -> Iterator[FloatArray]:
    n_before = 0
    for block in blocks:
        if np.ndim(block) != 1:
            raise DataError(f"samples must have one axis (mono), got {np.ndim(block)} axes")
        check_finite(np.asarray(block), n_before)
        n_before += len(block)
        yield block


def _excerpts(
    blocks: Iterable[FloatArray], bounds: Iterable[tuple[int, int]]
) -> Iterator[FloatArray]:
    """Cut excerpts, of which none begins before another that comes first; zeros beyond the ends."""
    rest = iter(blocks)
    held, first = np.zeros(0, dtype=np.float32), 0  # what may still be needed, and where it begins
    for low, high in bounds:
        while first + len(held) < high and (block := next(rest, None)) is not None:
            done = min(max(low - first, 0), len(held))
            held, first = np.concatenate([held[done:], block]), first + done
        inside = held[max(low - first, 0) : max(high - first, 0)]
        before = max(-low, 0)
        yield np.pad(inside, (before, high - low - before - len(inside)))
