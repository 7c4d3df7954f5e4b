"""The scores themselves: histogram and Tippett plot."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import at_least
from voicegmm.metrics import curves
from voicegmm.metrics.pooling import score_array
from voicegmm.metrics.rates import OperatingPoint
from voicegmm.plots.canvas import COLORS, GRAY, finish, new_figure, style, thinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THRESHOLD_LINES = ("--", ":", "-.")


def score_histogram(
    targets: npt.ArrayLike,
    nontargets: npt.ArrayLike,
    operating_points: Sequence[OperatingPoint] = (OperatingPoint(),),
    *,
    n_bins: int = 60,
    score_name: str = "Log-likelihood ratio (natural)",
    title: str = "Scores",
) -> "Figure":
    """Draw how the scores of both classes are spread, with the Bayes thresholds.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Scores; infinite ones are counted in the legend, for they have no place on the axis.
    operating_points : sequence of OperatingPoint
        Whose Bayes threshold is marked, which has a meaning for natural-log likelihood ratios
        only: give () for other scores.
    n_bins : int >= 1
        Over the range of both classes together.
    score_name : str
        Under the axis.
    title : str

    Raises
    ------
    DataError
        For an empty class or a NaN.
    OptionError
        For n_bins below 1.
    """
    at_least("n_bins", n_bins, 1)
    classes = (
        ("Non-targets", score_array("nontargets", nontargets), COLORS[1], "--"),
        ("Targets", score_array("targets", targets), COLORS[0], "-"),
    )
    edges = _edges(np.concatenate([scores for _, scores, _, _ in classes]), n_bins)
    widths = np.diff(edges)
    with style():
        figure, axes = new_figure(7.0, 4.2)
        for name, scores, color, line in classes:
            finite = scores[np.isfinite(scores)]
            # A share of all trials of the class, so that infinite scores are missed in the area.
            density = np.histogram(finite, edges)[0] / (widths * len(scores))
            endless = len(scores) - len(finite)
            label = f"{name} ({len(scores):,})" + (f", {endless:,} infinite" if endless else "")
            axes.stairs(density, edges, fill=True, color=color, alpha=0.25)
            axes.stairs(density, edges, color=color, linestyle=line, linewidth=1.5, label=label)
        for i, point in enumerate(operating_points):
            axes.axvline(
                point.threshold,
                color="black",
                linewidth=1.1,
                linestyle=THRESHOLD_LINES[i % len(THRESHOLD_LINES)],
                label=f"Bayes threshold {point.threshold:.3g}, P(target) = {point.p_target:g}",
            )
        axes.set_xlabel(score_name)
        axes.set_ylabel("Density (per unit of score)")
        axes.set_ylim(bottom=0.0)
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=2)
    (_, n, _, _), (_, t, _, _) = classes
    return finish(
        figure,
        f"Histogram of {len(t)} target scores, median {np.median(t):.3g}, and {len(n)} non-target "
        f"scores, median {np.median(n):.3g}.",
    )


def _edges(scores: Float64Array, n_bins: int) -> Float64Array:
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return np.linspace(-1.0, 1.0, n_bins + 1)
    low, high = float(finite.min()), float(finite.max())
    if high - low < 1e-9 * max(1.0, abs(low)):  # all the same: some room around it
        low, high = low - 1.0, high + 1.0
    return np.linspace(low, high, n_bins + 1)


def tippett(
    targets: npt.ArrayLike, nontargets: npt.ArrayLike, *, title: str = "Tippett plot"
) -> "Figure":
    """Draw how often the evidence is at least so strong, for both classes.

    Parameters
    ----------
    targets, nontargets : (n_targets,), (n_nontargets,) array_like
        Natural-log likelihood ratios; drawn as log10, as forensic reports have them.
    title : str

    Raises
    ------
    DataError
        For an empty class or a NaN.
    """
    lines = curves.tippett(targets, nontargets)
    x, share_targets, share_nontargets = _to_the_edges(lines)
    drawn = (
        ("Same speaker", share_targets, lines.misleading_targets, COLORS[0], "-"),
        ("Different speakers", share_nontargets, lines.misleading_nontargets, COLORS[1], "--"),
    )
    said = []
    with style():
        figure, axes = new_figure(7.0, 4.4)
        for name, share, misleading, color, line in drawn:
            label = f"{name}: {100 * misleading:.3g} % misleading"
            kept = thinned(x, share, np.ptp(x) / 1500, 1 / 1500)
            # The share of scores at or above x is the same back to the score before: "pre".
            axes.step(
                x[kept], 100.0 * share[kept], where="pre", color=color, linestyle=line, label=label
            )
            said.append(label)
        axes.axvline(0.0, color=GRAY, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.set_xlabel("Likelihood ratio, log₁₀")
        axes.set_ylabel("Trials with at least this ratio (%)")
        axes.set_ylim(-2.0, 102.0)
        axes.set_xlim(x[0], x[-1])
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=2)
    return finish(figure, f"Tippett plot. {'; '.join(said)}.")


def _to_the_edges(lines: curves.Tippett) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Lead the lines beyond the lowest and highest finite score; the axis in log10."""
    finite = np.isfinite(lines.scores)
    x = lines.scores[finite] / np.log(10.0)
    low, high = (float(x[0]), float(x[-1])) if len(x) else (0.0, 0.0)
    room = 0.04 * (high - low) or 1.0
    shares = []
    for share in (lines.targets, lines.nontargets):
        # Below every finite score only -inf is missing, and above only inf is left.
        above = share[-1] if lines.scores[-1] == np.inf else 0.0
        within = share[finite]
        below = within[0] if len(x) else above
        shares.append(np.concatenate([[below], within, [above]]))
    return np.concatenate([[low - room], x, [high + room]]), shares[0], shares[1]
