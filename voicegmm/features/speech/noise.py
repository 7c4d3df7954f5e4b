"""The noise beneath the speech: what each frequency falls back to, again and again."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import within
from voicegmm._base.errors import OptionError
from voicegmm.features.speech.spectra import Spectra


@dataclass(frozen=True)
class NoiseFloorOptions:
    """How the noise is told from the speech above it.

    Parameters
    ----------
    quantile : float
        Share of the cells that hold nothing but noise, 0.01 to 0.5.
    window_seconds : float
        How long is looked at for it, 0.5 to 60: long enough for pauses, short enough for the noise
        to stay the same.
    cell_seconds : float
        The power is averaged over so long, 0.001 to 1, and over `cell_bins` bins, 1 to 99, odd:
        without that the quantile would follow the chance of the single bin.
    """

    quantile: float = 0.1
    window_seconds: float = 4.0
    cell_seconds: float = 0.08
    cell_bins: int = 3

    def __post_init__(self) -> None:
        within("quantile", self.quantile, 0.01, 0.5)
        within("window_seconds", self.window_seconds, 0.5, 60.0)
        within("cell_seconds", self.cell_seconds, 0.001, 1.0)
        within("cell_bins", self.cell_bins, 1, 99)
        if self.cell_bins % 2 == 0:
            raise OptionError(f"cell_bins must be odd, got {self.cell_bins}")


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """The power of the noise over time.

    Parameters
    ----------
    positions : (n_knots,) float64 array
        Frames, rising.
    power : (n_knots, n_bins) float64 array
        Greater than 0. Straight lines lead from knot to knot.
    """

    positions: Float64Array
    power: Float64Array

    def at(self, start: int, stop: int) -> Float64Array:
        """Give the power in frames `start` to `stop`, (stop - start, n_bins)."""
        place = np.interp(np.arange(start, stop), self.positions, np.arange(len(self.positions)))
        before = place.astype(np.intp)
        after = np.minimum(before + 1, len(self.positions) - 1)
        share = (place - before)[:, None]
        return np.asarray((1 - share) * self.power[before] + share * self.power[after])


def noise_floor(
    blocks: Iterable[FloatArray], spectra: Spectra, least: float, options: NoiseFloorOptions
) -> NoiseFloor:
    """Track the noise by quantiles.

    Quantile-based noise estimation (Stahl, Fischer and Bippus, ICASSP 2000) over windows of time:
    even while somebody speaks, each frequency is often free of speech. As in Martin's minimum
    statistics (IEEE Trans. SAP 9(5), 2001) the power is smoothed first, and what a low quantile
    lies below the mean is made good: the mean power of a cell of Gaussian noise has a gamma
    distribution, whose shape follows from the window and the overlap of the frames.

    Parameters
    ----------
    blocks : iterable of (n, n_bins) float arrays
        Power, frame by frame.
    spectra : Spectra
        Where they come from: its window, hop and transform count.
    least : float
        The power does not fall below this.
    options : NoiseFloorOptions

    Returns
    -------
    NoiseFloor
    """
    n_cell = max(1, round(options.cell_seconds / spectra.hop_seconds))
    width = max(1, round(options.window_seconds / spectra.hop_seconds / n_cell))
    step = max(1, width // 4)
    recent: deque[Float64Array] = deque(maxlen=width)
    positions: list[float] = []
    knots: list[Float64Array] = []
    number = 0

    def knot() -> None:
        positions.append((number - len(recent) / 2) * n_cell)
        knots.append(np.quantile(np.asarray(recent), options.quantile, axis=0))

    for number, cell in enumerate(_cells(blocks, n_cell, options.cell_bins), 1):
        recent.append(cell)
        if number >= width and (number - width) % step == 0:
            knot()
    if recent and (number < width or (number - width) % step):
        knot()
    power = np.asarray(knots) / quantile_of_mean(spectra, n_cell, options)
    return NoiseFloor(np.asarray(positions), np.maximum(power, least))


def quantile_of_mean(spectra: Spectra, n_cell: int, options: NoiseFloorOptions) -> float:
    """Compute the quantile of the mean power of a cell of Gaussian noise, relative to its mean.

    The covariance of the power in two cells' members that lie m frames and j bins apart is
    |rho(m, j)|², rho the window's correlation with itself shifted in time and frequency; a gamma
    distribution with that variance is close to that of the mean.
    """
    from scipy.special import gammaincinv

    w, k = spectra.window, options.cell_bins
    turn = np.exp(-2j * np.pi * np.outer(np.arange(k), np.arange(len(w))) / spectra.n_fft)
    total = 0.0
    for m in range(min(n_cell, -(-len(w) // spectra.n_hop))):
        overlap = w[m * spectra.n_hop :] * w[: len(w) - m * spectra.n_hop]
        rho = np.abs(turn[:, : len(overlap)] @ overlap / np.sum(np.square(w)))
        pairs = (n_cell - m) * (1 + (m > 0)) * (k - np.arange(k)) * (1 + (np.arange(k) > 0))
        total += float(pairs @ np.square(rho))
    shape = (n_cell * k) ** 2 / total
    return float(gammaincinv(shape, options.quantile) / shape)


def _cells(blocks: Iterable[FloatArray], n_cell: int, n_bins: int) -> Iterator[Float64Array]:
    """Average the power over `n_cell` frames and `n_bins` bins; a short rest is left out."""
    rest: Float64Array | None = None
    given = False
    for block in blocks:
        joined = np.asarray(block, dtype=np.float64)
        if rest is not None:
            joined = np.concatenate([rest, joined])
        whole = len(joined) // n_cell * n_cell
        for cell in joined[:whole].reshape(-1, n_cell, joined.shape[1]).mean(axis=1):
            given = True
            yield _smoothed(cell, n_bins)
        rest = joined[whole:]
    if not given and rest is not None and len(rest):
        yield _smoothed(rest.mean(axis=0), n_bins)


def _smoothed(power: Float64Array, n_bins: int) -> Float64Array:
    padded = np.pad(power, n_bins // 2, mode="edge")
    return np.convolve(padded, np.full(n_bins, 1 / n_bins), mode="valid")
