"""Which seconds of a recording spoke for a speaker, and which against."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.checks import above
from voicegmm._base.errors import DataError
from voicegmm.plots.canvas import COLORS, GRAY, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def evidence(
    starts: npt.ArrayLike,
    ratios: npt.ArrayLike,
    span_seconds: float = 1.0,
    *,
    title: str = "Evidence over time",
) -> "Figure":
    """Draw what each span of a recording brings to a log-likelihood ratio.

    Parameters
    ----------
    starts : (n_spans,) array_like
        In seconds, rising.
    ratios : (n_spans,) array_like
        In nats per frame of the whole recording, as `Explanation.over_time` gives them.
    span_seconds : float
        Greater than 0.
    title : str

    Raises
    ------
    DataError
        For no spans, or values that are not finite or do not fit.
    """
    above("span_seconds", span_seconds, 0)
    x, y = np.asarray(starts, np.float64), np.asarray(ratios, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise DataError(
            f"starts and ratios must be vectors of one length of at least 1, got shapes {x.shape} "
            f"and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("starts and ratios must be finite")
    total = float(y.sum())
    with style():
        figure, axes = new_figure(7.0, 4.0)
        for chosen, color, hatch, label in (
            (y >= 0, COLORS[0], "", "for the speaker"),
            (y < 0, COLORS[1], "///", "against"),
        ):
            if not chosen.any():  # nor does the legend tell of it
                continue
            axes.bar(
                x[chosen],
                y[chosen],
                width=0.9 * span_seconds,
                align="edge",
                color=color,
                hatch=hatch,
                edgecolor="white",
                label=label,
            )
        axes.axhline(0.0, color=GRAY, linewidth=0.8)
        axes.legend(loc="best")
        axes.set_xlabel("Time in the recording (seconds)")
        axes.set_ylabel("Share of the log ratio (nats per frame)")
        axes.set_title(title)
    n_for = int((y >= 0).sum())
    return finish(
        figure,
        f"What each of {len(x)} spans of {span_seconds:g} s brings to a mean log-likelihood ratio "
        f"of {total:.4g} nats per frame: {n_for} speak for the speaker, {len(x) - n_for} against.",
    )
