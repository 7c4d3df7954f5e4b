"""The DET plot.

Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import DataError
from voicegmm.metrics.curves import det_points_of
from voicegmm.metrics.det_band import DetBand
from voicegmm.metrics.hull import Rocch, rocch
from voicegmm.metrics.pooling import Scores, sort_scores
from voicegmm.metrics.rates import OperatingPoint, rocch_eer
from voicegmm.plots.canvas import COLORS, GRAY, LINES, finish, new_figure, style, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Rates where an axis may begin, end and have a tick; where there is no room, the later in the
# second list give way.
TICKS = (
    1e-5,
    2e-5,
    5e-5,
    1e-4,
    2e-4,
    5e-4,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
)
BY_WEIGHT = (0.001, 0.01, 0.1, 0.4, 1e-4, 0.05, 0.2, 0.02, 0.005, 0.8, 0.6, *TICKS)
NEAREST_TICKS = 0.045  # of the length of the axis: labels do not touch
MARKERS = ("v", "s", "D", "^", "P", "X")


def det(
    systems: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    operating_points: Sequence[OperatingPoint] = (OperatingPoint(),),
    *,
    bands: Mapping[str, DetBand] | None = None,
    title: str = "Detection error trade-off",
) -> "Figure":
    """Draw the DET curves of one or more systems.

    Both axes are error rates on a probit scale, on which normal scores give a straight line. The
    equal error rate (of the convex hull of the ROC) is marked on the diagonal, and minDCF of each
    operating point where it is attained.

    Parameters
    ----------
    systems : mapping of name to (targets, nontargets)
        Arrays of scores; higher means more like a target.
    operating_points : sequence of OperatingPoint
        Whose minDCF is marked; may be empty.
    bands : mapping of name to DetBand, optional
        Drawn behind the curve of the system of that name; see `voicegmm.metrics.det_band`.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        For no systems, an empty class or a NaN.
    """
    if not systems:
        raise DataError("systems must hold at least one pair of score arrays, got none")
    scores = {name: sort_scores(*pair) for name, pair in systems.items()}
    hulls = {name: rocch(of_system) for name, of_system in scores.items()}
    best = {name: _best_points(hull, operating_points) for name, hull in hulls.items()}
    low, high = _limits(hulls.values(), best.values())
    said = []
    with style():
        # The legend stands below: a poor system's curve would run through any corner.
        n_rows = max(len(systems), 1 + len(operating_points))
        figure, axes = new_figure(6.2, 6.2 + 0.22 * n_rows)
        _probit_axes(axes, low, high)
        for i, (name, hull) in enumerate(hulls.items()):
            equal = rocch_eer(hull)
            # matplotlib leaves out of a legend what begins with an underscore.
            label = f"{' ' * name.startswith('_')}{name}: EER {100 * equal:.3g} %"
            color = COLORS[i % len(COLORS)]
            if bands and name in bands:
                _fill(axes, bands[name], color, low, high)
            x, y = _curve(scores[name], low, high)
            axes.plot(x, y, color=color, linestyle=LINES[i % len(LINES)], label=label)
            _mark(axes, [(equal, equal)], "o", color, low, high)
            for j, point in enumerate(best[name]):
                _mark(axes, [point], MARKERS[j % len(MARKERS)], color, low, high)
            said.append(label)
        # Columns are filled in turn: systems on the left, what the marks mean on the right.
        for _ in range(n_rows - len(systems)):
            axes.plot([], [], " ", label=" ")
        axes.plot([], [], "o", color=GRAY, label="EER (of the convex hull)")
        for j, operating_point in enumerate(operating_points):
            axes.plot(
                [],
                [],
                MARKERS[j % len(MARKERS)],
                color=GRAY,
                label=f"minDCF, {_in_words(operating_point)}",
            )
        for _ in range(n_rows - 1 - len(operating_points)):
            axes.plot([], [], " ", label=" ")
        figure.legend(loc="outside lower center", ncols=2)
        axes.set_title(title)
    return finish(figure, f"DET curves, false alarm rate against miss rate. {'; '.join(said)}.")


def _in_words(point: OperatingPoint) -> str:
    costs = (
        "" if point.c_miss == point.c_fa == 1.0 else (f", costs {point.c_miss:g} : {point.c_fa:g}")
    )
    return f"P(target) = {point.p_target:g}{costs}"


def _best_points(hull: Rocch, points: Sequence[OperatingPoint]) -> list[tuple[float, float]]:
    at = [int(np.argmin(point.cost(hull.p_miss, hull.p_fa))) for point in points]
    return [(float(hull.p_fa[i]), float(hull.p_miss[i])) for i in at]


def _limits(
    hulls: Iterable[Rocch], marked: Iterable[list[tuple[float, float]]]
) -> tuple[float, float]:
    """Choose the range of both axes: what the field shows, wider where a mark needs it."""
    rates = [rocch_eer(hull) for hull in hulls]
    rates += [rate for points in marked for point in points for rate in point]
    # A rate of exactly 0 or 1 has no place on a probit axis: its mark stands on the edge.
    inside = [rate for rate in rates if 0.0 < rate < 1.0]
    low, high = min([0.002, *inside]), max([0.3, *inside])
    below = [tick for tick in TICKS if tick < low * 0.9]
    above = [tick for tick in TICKS if tick > high * 1.1]
    return (below[-1] if below else TICKS[0]), (above[0] if above else TICKS[-1])


def _curve(scores: Scores, low: float, high: float) -> tuple[Float64Array, Float64Array]:
    from scipy.special import ndtri

    points = det_points_of(scores)
    # Just beyond the axes is as good as at infinity, where rates of 0 and 1 would be.
    x = ndtri(np.clip(points.p_fa, low / 10, 1 - (1 - high) / 10))
    y = ndtri(np.clip(points.p_miss, low / 10, 1 - (1 - high) / 10))
    step = (ndtri(high) - ndtri(low)) / 1500
    kept = thinned(x, y, step, step)
    return x[kept], y[kept]


def _fill(axes: "Axes", band: DetBand, color: str, low: float, high: float) -> None:
    from scipy.special import ndtri

    least, most = ndtri(low / 10), ndtri(1 - (1 - high) / 10)
    better = np.clip(ndtri([band.low_fa, band.low_miss]), least, most)
    worse = np.clip(ndtri([band.high_fa, band.high_miss]), least, most)
    x, y = np.concatenate([better, worse[:, ::-1]], axis=1)
    axes.fill(x, y, color=color, alpha=0.16, linewidth=0.0, zorder=1)


def _mark(
    axes: "Axes",
    points: Sequence[tuple[float, float]],
    marker: str,
    color: str,
    low: float,
    high: float,
) -> None:
    from scipy.special import ndtri

    x, y = ndtri(np.clip(np.array(points), low, high)).T
    axes.plot(
        x, y, marker, color=color, markersize=8, markeredgecolor="white", zorder=3, clip_on=False
    )


def _probit_axes(axes: "Axes", low: float, high: float) -> None:
    from scipy.special import ndtri

    ends = ndtri([low, high])
    room = NEAREST_TICKS * (ends[1] - ends[0])
    ticks = [low, high]
    for tick in BY_WEIGHT:
        if low < tick < high and np.abs(ndtri(ticks) - ndtri(tick)).min() >= room:
            ticks.append(tick)
    names = [f"{100 * tick:g}" for tick in ticks]
    axes.plot(ends, ends, color=GRAY, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_xticks(ndtri(ticks), names)
    axes.set_yticks(ndtri(ticks), names)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.set_xlabel("False alarm rate (%)")
    axes.set_ylabel("Miss rate (%)")
