"""The scores of each speaker's model, a row each: whose trials make the errors.

Doddington et al., "Sheep, goats, lambs and wolves", ICSLP 1998: goats are hard to recognize, lambs
easy to imitate.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm.plots.canvas import COLORS, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELLS = 300  # targets of a row nearer than this part of the axis look as one
_LONGEST_NAME = 24


def speaker_strip(
    names: Sequence[str],
    model_index: npt.ArrayLike,
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    threshold: float | None = None,
    *,
    most: int = 40,
    score_name: str = "Log-likelihood ratio (natural)",
    title: str = "Speaker by speaker",
) -> "Figure":
    """Draw the scores of each model: its targets, and the range of its non-targets.

    Models stand in the order of their mean target score, lowest (goats) at the top. Where there
    are more than `most`, those are drawn whose mean target is least above their highest
    non-target.

    Parameters
    ----------
    names : sequence of str
        Of the models.
    model_index : (n_trials,) int array_like
        Into `names`.
    scores : (n_trials,) array_like
        Those that are not finite are left out.
    labels : (n_trials,) int array_like
        1 target, 0 non-target; others are left out.
    threshold : float, optional
        Marked; as of equal error.
    most : int >= 1
    score_name : str
        Under the axis.
    title : str

    Raises
    ------
    DataError
        If no model has a target and a non-target with a finite score.
    OptionError
        For `most` below 1.
    """
    at_least("most", most, 1)
    index, values = np.asarray(model_index), np.asarray(scores, dtype=np.float64)
    kind = np.where(np.isfinite(values), np.asarray(labels), -1)
    rows = []
    order = np.argsort(index, kind="stable")
    for which in np.split(order, np.flatnonzero(np.diff(index[order])) + 1):
        own, others = (values[which[kind[which] == label]] for label in (1, 0))
        if len(own) and len(others):
            rows.append((float(own.mean()), names[int(index[which[0]])], own, others))
    if not rows:
        raise DataError("no model has both a target and a non-target trial with a finite score")
    n_models = len(rows)
    rows = sorted(rows, key=lambda row: (row[0] - row[3].max(), row[1]))[:most]
    rows.sort(key=lambda row: row[:2])
    with style():
        figure, axes = new_figure(7.0, 1.9 + 0.19 * len(rows))
        for place, (_, _, own, others) in enumerate(rows):
            _draw_row(axes, place, own, others)
        if threshold is not None and np.isfinite(threshold):
            axes.axvline(
                threshold,
                color="black",
                linewidth=1.1,
                linestyle="--",
                label=f"Equal error at {threshold:.3g}",
            )
        axes.set_yticks(range(len(rows)), [_short(name) for _, name, *_ in rows], fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(score_name)
        axes.set_ylabel(
            "Model" if n_models == len(rows) else f"Model ({len(rows)} of {n_models:,})"
        )
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=3)
    return finish(
        figure,
        f"Scores of {len(rows)} of {n_models} models. Lowest mean target score: {rows[0][1]}, "
        f"{rows[0][0]:.3g}; highest: {rows[-1][1]}, {rows[-1][0]:.3g}.",
    )


def _draw_row(axes: "Axes", place: int, own: Float64Array, others: Float64Array) -> None:
    low, high = np.quantile(others, [0.05, 0.95])
    names = ("Non-targets, all", "5 to 95 % of them", "the highest", "Targets", "their mean")
    ranges, middle, highest, dots, mean = names if place == 0 else (None,) * 5
    axes.plot([others.min(), others.max()], [place] * 2, color=COLORS[1], linewidth=1, label=ranges)
    axes.plot([low, high], [place] * 2, color=COLORS[1], linewidth=4.5, alpha=0.45, label=middle,
              solid_capstyle="butt")  # fmt: skip
    axes.plot(others.max(), place, "x", color=COLORS[1], markersize=4.5, label=highest)
    cell = max(float(own.max() - own.min()), 1e-12) / _CELLS
    _, kept = np.unique(np.floor((own - own.min()) / cell), return_index=True)
    axes.plot(own[kept], np.full(len(kept), place), "o", color=COLORS[0], markersize=3.5, alpha=0.8,
              markeredgewidth=0, label=dots)  # fmt: skip
    axes.plot(
        own.mean(), place, "|", color=COLORS[0], markersize=9, markeredgewidth=1.4, label=mean
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
