"""A figure of merit against each option of a sweep."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.errors import DataError
from voicegmm.plots.canvas import COLORS, GRAY, LINES, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = len(COLORS)  # lines of a panel that can be told apart
_BACKED = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")
# Bars of one value stand beside each other: so far, and all within so much of the way to the next.
_STEP, _SPREAD = 0.09, 0.4


def metric_against_options(
    options: Mapping[str, Sequence[str]],
    choices: npt.ArrayLike,
    values: npt.ArrayLike,
    intervals: npt.ArrayLike,
    *,
    best: int | None = None,
    baseline: int | None = None,
    metric: str = "EER",
    title: str = "Sweep",
) -> "Figure":
    """Draw a figure of merit with its interval against each option, one panel an option.

    A line joins neighbors that share the values of all other options. The best point has a ring,
    the baseline a dotted line through all panels.

    Parameters
    ----------
    options : mapping of str to sequence of str
        Option -> its values, in the order of the axis.
    choices : (n_points, n_options) array_like of int
        Which value of each option a point has.
    values : (n_points,) array_like
        NaN or infinite: not drawn.
    intervals : (n_points, 2) array_like
        Low and high; NaN for none.
    best, baseline : int, optional
        Numbers of points.
    metric : str
        Beside the axis, with its unit.
    title : str

    Raises
    ------
    DataError
        If no point has a finite value, or shapes do not fit.
    """
    chosen, heights = np.asarray(choices, np.int64), np.asarray(values, np.float64)
    ends = np.asarray(intervals, np.float64)
    if chosen.shape != (len(heights), len(options)) or ends.shape != (len(heights), 2):
        raise DataError(
            f"choices must be ({len(heights)}, {len(options)}) and intervals ({len(heights)}, 2), "
            f"got {chosen.shape} and {ends.shape}"
        )
    if not np.isfinite(heights).any():
        raise DataError("no point of the sweep has a finite value to be drawn")
    panels = [place for place, tried in enumerate(options.values()) if len(tried) > 1] or [0]
    n_marks = max(len(options[key]) for key in options)
    with style():
        width = max(3.4, 1.5 + 0.75 * n_marks)
        figure, spare = new_figure(min(1.2 + width * len(panels), 16.0), 4.6)
        figure.delaxes(spare)
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, place in zip(drawn, panels, strict=True):
            _draw_panel(axes, options, place, (chosen, heights, ends), best)
            if baseline is not None and np.isfinite(heights[baseline]):
                axes.axhline(heights[baseline], color=GRAY, linewidth=1.0, linestyle=(0, (1, 2)))
                axes.annotate("baseline", (1.0, heights[baseline]), (-2, 2), color=GRAY, ha="right",
                              xycoords=("axes fraction", "data"), textcoords="offset points",
                              fontsize="small")  # fmt: skip
        drawn[0].set_ylabel(metric)
        drawn[0].set_title(title)
    return finish(figure, _told(options, chosen, heights, best, baseline, metric))


def _draw_panel(
    axes: "Axes",
    options: Mapping[str, Sequence[str]],
    place: int,
    points: tuple[IntArray, Float64Array, Float64Array],
    best: int | None,
) -> None:
    chosen, heights, ends = points
    key, tried = list(options.items())[place]
    others = np.delete(chosen, place, axis=1)
    lines, of_line = np.unique(others, axis=0, return_inverse=True)
    of_line = of_line.reshape(-1)  # numpy 2.0 gives it another shape
    named = len(lines) <= MOST_NAMED
    other_options = [item for number, item in enumerate(options.items()) if number != place]
    step = min(_STEP, _SPREAD / max(len(lines) - 1, 1))
    shifts = step * (np.arange(len(lines)) - (len(lines) - 1) / 2)
    for number, line in enumerate(lines):
        points_of_line = np.flatnonzero(of_line == number)
        points_of_line = points_of_line[np.argsort(chosen[points_of_line, place])]
        x = chosen[points_of_line, place] + shifts[number]
        color = COLORS[number] if named else GRAY
        marker = _MARKERS[number % len(_MARKERS)]
        label = ", ".join(
            f"{name} = {other[which]}"
            for (name, other), which in zip(other_options, line, strict=True)
        )
        y, (low, high) = heights[points_of_line], ends[points_of_line].T
        y = np.where(np.isfinite(y), y, np.nan)  # a gap in the line
        style_of_line = LINES[number % len(LINES)] if named else "-"
        axes.plot(x, y, style_of_line, color=color, marker=marker, markersize=5, zorder=3,
                  alpha=1.0 if named else 0.5, label=label)  # fmt: skip
        known = np.isfinite(y) & np.isfinite(low) & np.isfinite(high)
        axes.vlines(x[known], low[known], high[known], color=color, alpha=0.45, linewidth=1.6)
        if best in points_of_line:
            here = int(np.flatnonzero(points_of_line == best)[0])
            axes.plot(x[here], y[here], "o", markersize=13, markerfacecolor="none",
                      markeredgecolor=COLORS[-1], markeredgewidth=1.4, zorder=4)  # fmt: skip
            # On the side where fewer lines have their points.
            left = shifts[number] < 0
            axes.annotate("best", (x[here], y[here]), (-9 if left else 9, 3),
                          textcoords="offset points", ha="right" if left else "left",
                          fontsize="small", zorder=5, bbox=_BACKED)  # fmt: skip
    axes.set_xticks(range(len(tried)), tried, rotation=_rotation(tried))
    axes.set_xlim(-0.5, len(tried) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(key)
    if named and other_options and len(lines) > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22 - 0.1 * bool(_rotation(tried))))


def _rotation(tried: Sequence[str]) -> float:
    """Slant names that would run into each other."""
    return 20.0 if max(map(len, tried)) > 10 else 0.0


def _told(
    options: Mapping[str, Sequence[str]],
    chosen: IntArray,
    heights: Float64Array,
    best: int | None,
    baseline: int | None,
    metric: str,
) -> str:
    def point(number: int) -> str:
        named = zip(options.items(), chosen[number].tolist(), strict=True)
        told = ", ".join(f"{key} = {tried[which]}" for (key, tried), which in named)
        return f"{heights[number]:.4g} ({told})"

    finite = heights[np.isfinite(heights)]
    text = f"{metric} of {len(finite)} points, from {finite.min():.4g} to {finite.max():.4g}"
    if best is not None:
        text += f"; best {point(best)}"
    if baseline is not None:
        text += f"; baseline {point(baseline)}"
    return f"{text}."
