"""The power spectra that spectral detectors look at, a block of frames at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float32Array, Float64Array, FloatArray
from voicegmm._base.checks import within
from voicegmm._base.errors import DataError, OptionError
from voicegmm.audio.framing import FrameCutter, analysis_window
from voicegmm.audio.signal import check_finite, in_blocks
from voicegmm.features.static_options import INT16_SCALE

_BLOCK_FRAMES = 256


def check_band(low_hertz: float, high_hertz: float) -> None:
    """Refuse a band of frequencies that is empty, naming the option."""
    within("low_hertz", low_hertz, 0.0, 1e6)
    within("high_hertz", high_hertz, 0.0, 1e6)
    if low_hertz >= high_hertz:
        raise OptionError(f"low_hertz must be below high_hertz ({high_hertz:g}), got {low_hertz:g}")


def bins_between(
    low_hertz: float, high_hertz: float, n_fft: int, sample_rate: int, name: str
) -> slice:
    """Give the bins between two frequencies, neither 0 nor half of the sampling rate.

    Raises
    ------
    OptionError
        When there is none, naming the option.
    """
    first = max(1, int(np.ceil(low_hertz * n_fft / sample_rate)))
    stop = min(int(np.floor(high_hertz * n_fft / sample_rate)) + 1, (n_fft + 1) // 2)
    if first >= stop:
        raise OptionError(
            f"{name}.low_hertz and {name}.high_hertz must hold a bin of the spectrum, got "
            f"{low_hertz:g} to {high_hertz:g} Hz (a transform of {n_fft} points at {sample_rate} "
            "Hz); widen the band or the window"
        )
    return slice(first, stop)


@dataclass(frozen=True, eq=False)
class Spectra:
    """The power spectra of all frames of a recording, as often as they are asked for.

    Parameters
    ----------
    blocks : callable
        Gives an iterator over (n, n_fft // 2 + 1) float arrays: the frames in their order, at
        int16 amplitudes, each without its mean.
    window : (n_window,) float64 array
        What the frames were weighted with.
    n_hop, n_fft, sample_rate : int
    """

    blocks: Callable[[], Iterator[FloatArray]]
    window: Float64Array
    n_hop: int
    n_fft: int
    sample_rate: int

    @property
    def hop_seconds(self) -> float:
        """From one frame to the next."""
        return self.n_hop / self.sample_rate

    def power_at(self, level_db: float) -> float:
        """Give the power that white noise of a level (dB relative to full scale) has in a bin."""
        return float(10 ** (level_db / 10) * INT16_SCALE**2 * np.sum(np.square(self.window)))

    def chosen(self, frames: BoolArray, bins: slice) -> Iterator[FloatArray]:
        """Give the spectra of some frames in some bins, a block at a time.

        Parameters
        ----------
        frames : (n_frames,) bool array
        bins : slice

        Raises
        ------
        DataError
            When there are more or fewer spectra than frames.
        """
        at = 0
        for block in self.blocks():
            keep = frames[at : at + len(block)]
            at += len(block)
            if at > len(frames):
                break
            yield block[keep, bins]
        if at != len(frames):
            raise DataError(f"spectra must be one a frame: {len(frames)} frames, {at} or more")


def frame_spectra(
    samples: Float32Array,
    sample_rate: int,
    n_window: int,
    n_hop: int,
    n_fft: int,
    snip_edges: bool = True,
    padding: str = "reflection",
) -> Spectra:
    """Compute the spectra of a signal's frames under a Hann window, when they are asked for.

    Parameters
    ----------
    samples : (n_samples,) float array
        Full scale is 1. Never dithered: the detectors have a floor of their own.
    sample_rate : int
        In hertz.
    n_window, n_hop, n_fft : int
        In samples; `n_fft` is at least the window.
    snip_edges, padding
        See `voicegmm.audio.frame_view`.

    Returns
    -------
    Spectra
    """
    size = n_window, n_hop, n_fft
    return block_spectra(lambda: in_blocks(samples), sample_rate, *size, snip_edges, padding)


def block_spectra(
    sound: Callable[[], Iterator[FloatArray]],
    sample_rate: int,
    n_window: int,
    n_hop: int,
    n_fft: int,
    snip_edges: bool,
    padding: str,
) -> Spectra:
    """Compute `frame_spectra` of a signal that is given in blocks, as often as it is asked for."""
    import scipy.fft

    window = analysis_window("hann", n_window)
    weights = (window * INT16_SCALE).astype(np.float32)

    def powers(frames: FloatArray) -> Iterator[FloatArray]:
        for start in range(0, len(frames), _BLOCK_FRAMES):
            block = frames[start : start + _BLOCK_FRAMES]
            centered = (block - block.mean(axis=1, keepdims=True)) * weights
            bins = scipy.fft.rfft(centered, n=n_fft, axis=1)
            yield np.square(bins.real) + np.square(bins.imag)

    def blocks() -> Iterator[FloatArray]:
        cutter = FrameCutter(n_window, n_hop, snip_edges, padding, _BLOCK_FRAMES)
        for samples in sound():
            check_finite(samples, cutter.n_samples)
            yield from powers(cutter.push(np.asarray(samples, dtype=np.float32)))
        yield from powers(cutter.push(np.zeros(0, dtype=np.float32), end=True))

    return Spectra(blocks, window, n_hop, n_fft, sample_rate)
