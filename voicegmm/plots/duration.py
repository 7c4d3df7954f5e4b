"""How the scores hang on the length of the test."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array
from voicegmm._base.errors import DataError
from voicegmm.metrics.pooling import score_array
from voicegmm.plots.canvas import COLORS, GRAY, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_GROUPS = 8
FEWEST_IN_GROUP = 10
_CELLS = (70, 50)  # dots nearer than such a part of the axes look as one
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200)


def duration_against_score(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    target_seconds: npt.ArrayLike,
    nontarget_seconds: npt.ArrayLike,
    *,
    score_name: str = "Log-likelihood ratio (natural)",
    title: str = "Duration against score",
) -> "Figure":
    """Draw the scores of both classes over the seconds of speech in the test.

    A line joins the medians of groups of trials of like duration; the band holds 5 to 95 % of each
    group.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Scores; infinite ones are left out.
    target_seconds, nontarget_seconds : array_like
        Speech in the test of each trial, above 0.
    score_name : str
        Beside the axis.
    title : str

    Raises
    ------
    DataError
        For an empty class, a NaN, seconds that are not as many as the scores or not above 0.
    """
    classes = (
        ("Non-targets", "nontargets", nontargets, nontarget_seconds, COLORS[1], "s", "--"),
        ("Targets", "targets", targets, target_seconds, COLORS[0], "o", "-"),
    )
    with style():
        figure, axes = new_figure(7.0, 4.6)
        said = []
        for name, argument, given, lengths, color, marker, line in classes:
            scores, seconds = _checked(argument, given, lengths)
            kept = _apart(seconds, scores)
            axes.plot(seconds[kept], scores[kept], marker, color=color, markersize=2.2,
                      markeredgewidth=0, alpha=0.35, zorder=1)  # fmt: skip
            _draw_groups(axes, seconds, scores, (color, line), f"{name} ({len(scores):,}), median")
            said.append(
                f"{len(scores)} {name.lower()} of {seconds.min():.3g} to {seconds.max():.3g} s, "
                f"median score {np.median(scores):.3g}"
            )
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [tick for tick in _TICKS if low <= tick <= high]
        if len(ticks) < 2:
            ticks = [float(f"{tick:.2g}") for tick in (low, (low * high) ** 0.5, high)]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("Speech in the test (s)")
        axes.set_ylabel(score_name)
        axes.set_title(title)
        axes.axhline(0.0, color=GRAY, linewidth=0.9, linestyle=(0, (1, 2)))
        figure.legend(loc="outside lower center", ncols=2)
    return finish(figure, f"Scores over the duration of the test: {'; '.join(said)}.")


def _checked(
    name: str, scores: npt.ArrayLike, seconds: npt.ArrayLike
) -> tuple[Float64Array, Float64Array]:
    values, lengths = score_array(name, scores), np.asarray(seconds, dtype=np.float64)
    if lengths.shape != values.shape or not (lengths > 0).all():
        raise DataError(f"the seconds of {name} must be {len(values)} numbers above 0")
    kept = np.isfinite(values)
    if not kept.any():
        raise DataError(f"{name} must hold at least one finite score")
    return values[kept], lengths[kept]


def _apart(seconds: Float64Array, scores: Float64Array) -> BoolArray:
    """Keep one of the dots that would stand in one place."""
    cells = []
    for values, n_cells in zip((np.log(seconds), scores), _CELLS, strict=True):
        step = max(float(np.ptp(values)), 1e-12) / n_cells
        cells.append(np.floor((values - values.min()) / step).astype(np.int64))
    _, first = np.unique(cells[0] * (_CELLS[1] + 1) + cells[1], return_index=True)
    kept = np.zeros(len(scores), dtype=np.bool_)
    kept[first] = True
    return kept


def _draw_groups(
    axes: "Axes", seconds: Float64Array, scores: Float64Array, look: tuple[str, str], label: str
) -> None:
    n_groups = int(np.clip(len(scores) // FEWEST_IN_GROUP, 1, MOST_GROUPS))
    groups = np.array_split(np.argsort(seconds, kind="stable"), n_groups)
    x = np.array([np.median(seconds[group]) for group in groups])
    low, middle, high = np.array([np.quantile(scores[g], [0.05, 0.5, 0.95]) for g in groups]).T
    color, line = look
    # A pale edge below the line: it stands out among the dots.
    axes.plot(x, middle, color="white", linewidth=4.0, zorder=2)
    axes.plot(x, middle, line, color=color, marker="D", markersize=4, zorder=3, label=label)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0.0, zorder=0)
