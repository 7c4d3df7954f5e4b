"""The plots of a report, as SVG that can stand several in one page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicegmm.experiment.report_tables import both_classes
from voicegmm.metrics import OperatingPoint
from voicegmm.plots import det, score_histogram, tippett, to_svg, training_curve
from voicegmm.scoring import ScoreTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LLR = "Log-likelihood ratio (natural)"
SCORE = "Score: mean log-likelihood ratio of a frame (nats)"

_DET = (
    "Each point of the line is a threshold: how many strangers it lets in (across) and how many "
    "true speakers it turns away (up). Nearer to the lower left corner is better. The circle is "
    "the equal error rate; the other marks are where the detection cost is lowest."
)
_HISTOGRAM = (
    "How the scores of the two kinds of trial are spread. The less the two hills overlap, the "
    "fewer errors."
)
_THRESHOLDS = " The upright lines are the thresholds that calibrated ratios ask for."
_TIPPETT = (
    "How large a share of the trials has at least this likelihood ratio. Where the lines cross "
    "the upright line at 0, evidence points to the wrong side: same-speaker trials left of it, "
    "different-speaker trials right of it."
)
_TRAINING = (
    "How well the background model fits its training frames, iteration by iteration of EM. The "
    "line must rise, and flatten where more iterations no longer pay."
)


@dataclass(frozen=True)
class ReportFigure:
    """A plot with what is written below it.

    Parameters
    ----------
    key : str
        Its id in the page.
    svg : str
        An <svg> element whose title and desc say what it shows.
    caption : str
    """

    key: str
    svg: str
    caption: str


def draw_scores(
    table: ScoreTable, points: Sequence[OperatingPoint], name: str
) -> tuple[list[ReportFigure], list[str]]:
    """Draw what the scores of a table allow.

    Parameters
    ----------
    table : ScoreTable
    points : sequence of OperatingPoint
        To be marked.
    name : str
        Of the system, for the legend.

    Returns
    -------
    figures : list of ReportFigure
    missing : list of str
        Which plot is left out and why, a sentence each.
    """
    of_targets, of_nontargets = both_classes(table)
    targets, nontargets = table.best[of_targets], table.best[of_nontargets]
    if not (len(targets) and len(nontargets)):
        absent = "target" if not len(targets) else "non-target"
        return [], [f"There are no plots of the scores: no {absent} trial has one."]
    calibrated = table.llrs is not None
    shown = list(points) if calibrated else []
    figures = [
        _drawn("det", lambda: det({name: (targets, nontargets)}, points), _DET),
        _drawn(
            "histogram",
            lambda: score_histogram(
                targets, nontargets, shown, score_name=LLR if calibrated else SCORE
            ),
            _HISTOGRAM + (_THRESHOLDS if shown else ""),
        ),
    ]
    if not calibrated:
        return figures, [
            "There is no Tippett plot: the scores are not calibrated, so they are no likelihood "
            "ratios."
        ]
    return [*figures, _drawn("tippett", lambda: tippett(targets, nontargets), _TIPPETT)], []


def draw_training(log_likelihoods: Sequence[float]) -> tuple[list[ReportFigure], list[str]]:
    """Draw the training curve of a background model, where it has one; as `draw_scores`."""
    if not len(log_likelihoods) or not np.isfinite(log_likelihoods).all():
        return [], ["There is no training curve: the background model holds no training record."]
    title = "Training of the background model"
    return [_drawn("training", lambda: training_curve(log_likelihoods, title=title), _TRAINING)], []


def _drawn(key: str, draw: "Callable[[], Figure]", caption: str) -> ReportFigure:
    return ReportFigure(key, with_own_ids(to_svg(draw()), key), caption)


def with_own_ids(svg: str, prefix: str) -> str:
    """Rename the ids of an SVG, which matplotlib gives anew in each, so that a page has each once.

    Its <metadata> says nothing that the page does not, and is left out.
    """
    svg = re.sub(r"(?s)\s*<metadata>.*?</metadata>", "", svg)

    def renamed(tag: re.Match[str]) -> str:
        text = re.sub(r'(\sid=")', rf"\1{prefix}-", tag[0])
        return re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", text)

    # Only inside of tags: a name may hold anything. In an SVG's text "<" is always escaped.
    return re.sub(r"<[a-zA-Z][^<>]*>", renamed, svg)
