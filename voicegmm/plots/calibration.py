"""How well ratios are calibrated, prior by prior: cross-entropy and Bayes error."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm.metrics import curves
from voicegmm.plots.canvas import COLORS, GRAY, finish, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cross_entropy(
    targets: npt.ArrayLike, nontargets: npt.ArrayLike, *, title: str = "Empirical cross-entropy"
) -> "Figure":
    """Draw the empirical cross-entropy (ECE) over priors, as forensic reports have it.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios.
    title : str

    Raises
    ------
    DataError
        For an empty class or a NaN.
    """
    found = curves.cross_entropy(targets, nontargets)
    lines = (
        ("These ratios", found.actual, COLORS[1], "-"),
        ("Best calibration", found.minimum, COLORS[0], "--"),
        ("No evidence", found.neutral, GRAY, ":"),
    )
    middle = len(found.prior_log_odds) // 2
    return _over_priors(
        found.prior_log_odds,
        lines,
        "Empirical cross-entropy (bits)",
        title,
        f"Empirical cross-entropy. At even odds {found.actual[middle]:.3g} bits, after the best "
        f"calibration {found.minimum[middle]:.3g}, without evidence 1.",
    )


def bayes_error(
    targets: npt.ArrayLike, nontargets: npt.ArrayLike, *, title: str = "Bayes error"
) -> "Figure":
    """Draw the normalized Bayes error rate over priors: actDCF and minDCF with costs of 1.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios.
    title : str

    Raises
    ------
    DataError
        For an empty class or a NaN.
    """
    found = curves.bayes_error(targets, nontargets)
    lines = (
        ("These ratios", found.actual, COLORS[1], "-"),
        ("Best threshold", found.minimum, COLORS[0], "--"),
        ("No evidence", np.ones(len(found.actual)), GRAY, ":"),
    )
    return _over_priors(
        found.prior_log_odds,
        lines,
        "Detection cost (normalized)",
        title,
        f"Normalized Bayes error over priors: at most {found.actual.max():.3g}, with the best "
        f"thresholds {found.minimum.max():.3g}.",
    )


def _over_priors(
    log_odds: Float64Array,
    lines: tuple[tuple[str, Float64Array, str, str], ...],
    y_name: str,
    title: str,
    description: str,
) -> "Figure":
    neutral = lines[-1][1]
    with style():
        figure, axes = new_figure(7.0, 4.2)
        for name, values, color, line in lines:
            x = log_odds / np.log(10.0)
            axes.plot(x, values, color=color, linestyle=line, linewidth=1.6, label=name)
        axes.axvline(0.0, color=GRAY, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.set_xlabel("Prior odds of a target, log₁₀")
        axes.set_ylabel(y_name)
        axes.set_xlim(log_odds[0] / np.log(10.0), log_odds[-1] / np.log(10.0))
        # Far worse than no evidence is only that: the rest would be flat with it in full.
        axes.set_ylim(0.0, 1.25 * float(neutral.max()))
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=3)
    return finish(figure, description)
