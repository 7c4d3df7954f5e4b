"""How training went."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.errors import DataError
from voicegmm.plots.canvas import COLORS, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_curve(
    log_likelihoods: npt.ArrayLike,
    *,
    exact: npt.ArrayLike | None = None,
    title: str = "Training",
) -> "Figure":
    """Draw the log-likelihood over the iterations of EM; a fall is marked, for it is news.

    Parameters
    ----------
    log_likelihoods : (n_iterations,) array_like
        Mean log-likelihood of a frame before each iteration's update, in nats.
    exact : (n_iterations,) array_like of bool, optional
        Where it is not, it is a lower bound, drawn hollow, whose falls tell nothing. By default all
        are exact.
    title : str

    Raises
    ------
    DataError
        For no iterations, or a value that is not finite.
    """
    values = np.asarray(log_likelihoods, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(
            f"log_likelihoods must be a vector of at least one value, got shape {values.shape}"
        )
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            f"log_likelihoods must be finite, got {values[bad]} at number {bad} (counting from 0)"
        )
    from matplotlib.ticker import MaxNLocator

    iterations = np.arange(1, len(values) + 1)
    bound = np.zeros(len(values), np.bool_) if exact is None else ~np.asarray(exact, np.bool_)
    known = np.flatnonzero(~bound)
    fell = known[1:][np.diff(values[known]) < 0.0]
    with style():
        figure, axes = new_figure(7.0, 4.0)
        axes.plot(iterations, values, "o-", color=COLORS[0], markersize=4)
        if bound.any():
            axes.plot(
                iterations[bound],
                values[bound],
                "o",
                color=COLORS[0],
                markerfacecolor="white",
                markersize=4,
                label="lower bound",
            )
            axes.legend(loc="lower right")
        if len(fell):
            axes.plot(
                iterations[fell],
                values[fell],
                "X",
                color=COLORS[1],
                markersize=9,
                markeredgecolor="white",
                label=f"lower than the one before ({len(fell)})",
            )
            axes.legend(loc="lower right")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.ticklabel_format(useOffset=False)
        axes.set_xlabel("Iteration")
        axes.set_ylabel("Mean log-likelihood of a frame (nats)")
        axes.set_title(title)
    falls = f"; it fell {len(fell)} times" if len(fell) else ""
    return finish(
        figure,
        f"Mean log-likelihood of a frame over {len(values)} iterations, from {values[0]:.6g} to "
        f"{values[-1]:.6g} nats{falls}.",
    )
