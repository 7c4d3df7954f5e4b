"""What a corpus is made of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import DataError
from voicegmm.plots.canvas import COLORS, GRAY, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOWEST_DB = -80.0  # fainter recordings are drawn here
_BINS = 40


def corpus_summary(
    seconds: npt.ArrayLike,
    level_db: npt.ArrayLike,
    speaker_seconds: Mapping[str, Sequence[float]],
    sample_rates: Mapping[int, int],
    *,
    title: str = "Corpus",
) -> "Figure":
    """Draw what a corpus is made of: durations, levels, speakers, sample rates.

    Parameters
    ----------
    seconds : (n_recordings,) array_like
        Their durations, above 0.
    level_db : (n_recordings,) array_like
        Their levels in dB of full scale; -inf is drawn at the left edge.
    speaker_seconds : mapping of str to sequence of float
        Of each speaker, the seconds of each recording; may be empty.
    sample_rates : mapping of int to int
        Hertz -> how many recordings.
    title : str

    Raises
    ------
    DataError
        For no recordings, or arrays that do not go together.
    """
    lengths = np.asarray(seconds, dtype=np.float64)
    levels = np.asarray(level_db, dtype=np.float64)
    if not lengths.size or lengths.shape != levels.shape or not (lengths > 0).all():
        raise DataError(
            f"seconds must be one or more numbers above 0, and level_db as many; got shapes "
            f"{lengths.shape} and {levels.shape}"
        )
    amounts = np.sort([sum(own) for own in speaker_seconds.values()])[::-1]
    with style():
        figure, spare = new_figure(9.0, 6.4)
        figure.delaxes(spare)
        ((duration, level), (speakers, rates)) = figure.subplots(2, 2)
        _draw_durations(duration, lengths)
        _draw_levels(level, levels)
        _draw_speakers(speakers, amounts)
        _draw_rates(rates, sample_rates)
        figure.suptitle(title, x=0.01, ha="left")
    told = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(sample_rates.items()))
    return finish(
        figure,
        f"{len(lengths)} recordings, {lengths.sum() / 3600:.3g} hours: durations of "
        f"{lengths.min():.3g} to {lengths.max():.3g} s, median {np.median(lengths):.3g} s; levels "
        f"with a median of {np.median(levels):.3g} dB; {len(amounts)} speakers; {told}.",
    )


def _draw_durations(axes: "Axes", seconds: Float64Array) -> None:
    low, high = float(seconds.min()), float(seconds.max())
    wide = high > 20 * low
    edges = np.geomspace(low, high, _BINS + 1) if wide else np.linspace(low, high, _BINS + 1)
    axes.hist(seconds, edges.tolist() if high > low else 1, color=COLORS[0])
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title("Durations")
    axes.set_xlabel("Seconds")
    axes.set_ylabel("Recordings")


def _draw_levels(axes: "Axes", level_db: Float64Array) -> None:
    axes.hist(np.maximum(level_db, LOWEST_DB), _BINS, color=COLORS[0])
    axes.set_title("Levels")
    axes.set_xlabel("Root mean square (dB of full scale)")
    axes.set_ylabel("Recordings")


def _draw_speakers(axes: "Axes", amounts: Float64Array) -> None:
    axes.set_title("Speakers, by amount")
    axes.set_xlabel("Speaker (number, the one with the most first)")
    if not amounts.size:
        axes.text(0.5, 0.5, "no speaker is known", transform=axes.transAxes, ha="center",
                  color=GRAY)  # fmt: skip
    unit, scale = ("Minutes", 60.0) if amounts.size and amounts.max() > 180 else ("Seconds", 1.0)
    axes.fill_between(
        np.arange(len(amounts) + 1) + 0.5,
        np.append(amounts, amounts[-1:]) / scale,
        step="post",
        color=COLORS[0],
        linewidth=0.0,
    )
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel(unit)


def _draw_rates(axes: "Axes", sample_rates: Mapping[int, int]) -> None:
    rates = sorted(sample_rates)
    bars = axes.barh([f"{rate:,}" for rate in rates], [sample_rates[rate] for rate in rates],
                     color=COLORS[0], height=min(0.6, 0.2 * len(rates)))  # fmt: skip
    axes.bar_label(bars, fmt="{:,.0f}", padding=3, color=GRAY)
    axes.set_ylim(-0.6, len(rates) - 0.4)
    axes.margins(x=0.15)
    axes.set_title("Sample rates")
    axes.set_xlabel("Recordings")
    axes.set_ylabel("Hz")
