"""The plots of a report, as SVG that can stand several in one page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm._base.errors import DataError
from voicegmm.experiment.report_tables import both_classes, equal_error_threshold
from voicegmm.metrics import DetBand, OperatingPoint, det_band, infer_speakers, sort_trials
from voicegmm.plots import (
    bayes_error,
    cross_entropy,
    det,
    duration_against_score,
    score_histogram,
    speaker_strip,
    tippett,
    to_svg,
    training_curve,
)
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
_BAND = (
    " The shade is where the line would lie for other speakers: 95 of 100 drawings of those who "
    "took part stay within it at each point."
)
_CROSS_ENTROPY = (
    "How much is still not known of the speaker after hearing the ratios, for every prior. A line "
    "above the dotted one does harm; what lies between these ratios and the best calibration is "
    "lost to calibration. At even odds they are Cllr and minCllr."
)
_BAYES_ERROR = (
    "The cost of the decisions that the ratios ask for, for every prior, beside the cost at the "
    "best threshold. At 1 the ratios are of no use there, and above it they mislead."
)
_SPEAKERS = (
    "The trials of each model in a row. Dots left of the line are misses: goats, whom the system "
    "finds hard. Crosses right of it are false alarms: lambs, whom others pass for."
)
_DURATION = (
    "Scores by how much speech the test holds: medians of groups of like duration, with 5 to 95 % "
    "of each group in the shade. Where more speech helps, the lines part to the right."
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
    table: ScoreTable,
    points: Sequence[OperatingPoint],
    name: str,
    others: Mapping[str, ScoreTable] | None = None,
    with_band: bool = False,
) -> tuple[list[ReportFigure], list[str]]:
    """Draw what the scores of a table allow.

    Parameters
    ----------
    table : ScoreTable
    points : sequence of OperatingPoint
        To be marked.
    name : str
        Of the system, for the legend.
    others : mapping of str to ScoreTable, optional
        Other systems whose DET curves stand beside.
    with_band : bool
        Whether the DET curve gets its confidence band.

    Returns
    -------
    figures : list of ReportFigure
    missing : list of str
        Which plot is left out and why, a sentence each.
    """
    targets, nontargets = _classes(table)
    if not (len(targets) and len(nontargets)):
        absent = "target" if not len(targets) else "non-target"
        return [], [f"There are no plots of the scores: no {absent} trial has one."]
    curves = {name: (targets, nontargets)}
    for other, scores in (others or {}).items():
        both = _classes(scores)
        if all(map(len, both)):
            curves[other] = both
    band = _band(table) if with_band else None
    bands = {name: band} if band else {}
    calibrated = table.llrs is not None
    shown, score_name = (list(points), LLR) if calibrated else ([], SCORE)
    figures = [
        _drawn("det", lambda: det(curves, points, bands=bands), _DET + (_BAND if band else "")),
        _drawn(
            "histogram",
            lambda: score_histogram(targets, nontargets, shown, score_name=score_name),
            _HISTOGRAM + (_THRESHOLDS if shown else ""),
        ),
    ]
    missing = []
    if calibrated:
        figures += [
            _drawn("tippett", lambda: tippett(targets, nontargets), _TIPPETT),
            _drawn("ece", lambda: cross_entropy(targets, nontargets), _CROSS_ENTROPY),
            _drawn("bayes", lambda: bayes_error(targets, nontargets), _BAYES_ERROR),
        ]
    else:
        missing.append(
            "There are no plots of Tippett, cross-entropy and Bayes error: the scores are not "
            "calibrated, so they are no likelihood ratios."
        )
    try:
        figures.append(_drawn("speakers", lambda: _strip(table, score_name), _SPEAKERS))
    except DataError as error:
        missing.append(f"There is no plot of the speakers: {error}.")
    return figures, missing


def _classes(table: ScoreTable) -> tuple[Float64Array, Float64Array]:
    of_targets, of_nontargets = both_classes(table)
    return table.best[of_targets], table.best[of_nontargets]


def _band(table: ScoreTable) -> DetBand | None:
    """Find the band of the DET curve; the speakers are those of the intervals."""
    trials = table.trials
    models, tests = infer_speakers(trials.labels == 1, trials.model_index, trials.test_index)
    of_targets, of_nontargets = both_classes(table)
    return det_band(
        sort_trials(
            table.best[of_targets],
            table.best[of_nontargets],
            models[of_targets],
            models[of_nontargets],
            tests[of_nontargets],
        ),
        np.random.default_rng(0),
    )


def _strip(table: ScoreTable, score_name: str) -> "Figure":
    trials = table.trials
    return speaker_strip(
        trials.models,
        trials.model_index,
        table.best,
        trials.labels,
        equal_error_threshold(table),
        score_name=score_name,
    )


def draw_durations(
    table: ScoreTable, seconds: Float64Array | None
) -> tuple[list[ReportFigure], list[str]]:
    """Draw the scores over the speech in the test; as `draw_scores`.

    Parameters
    ----------
    table : ScoreTable
    seconds : (n_trials,) float64 array or None
        Speech in the test of each trial.
    """
    of_targets, of_nontargets = both_classes(table)
    if seconds is None or not (of_targets.any() and of_nontargets.any()):
        return [], ["There is no plot of durations: it is not known how long the tests are."]
    score_name = SCORE if table.llrs is None else LLR
    arrays = (table.best[of_targets], table.best[of_nontargets])
    lengths = (seconds[of_targets], seconds[of_nontargets])
    return [
        _drawn(
            "duration",
            lambda: duration_against_score(*arrays, *lengths, score_name=score_name),
            _DURATION,
        )
    ], []


def draw_training(
    log_likelihoods: Sequence[float], exact: Sequence[bool]
) -> tuple[list[ReportFigure], list[str]]:
    """Draw the training curve of a background model, where it has one; as `draw_scores`."""
    if not len(log_likelihoods) or not np.isfinite(log_likelihoods).all():
        return [], ["There is no training curve: the background model holds no training record."]
    title = "Training of the background model"

    def draw() -> "Figure":
        return training_curve(log_likelihoods, exact=exact or None, title=title)

    return [_drawn("training", draw, _TRAINING)], []


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
