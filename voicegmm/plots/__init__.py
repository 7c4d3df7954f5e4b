"""Figures: DET, Tippett, cross-entropy, Bayes error, histograms, speakers, training, sweeps.

Each function takes plain arrays and returns a `matplotlib.figure.Figure` of its own, without
pyplot, a display or a setting left behind: they can run in threads. `save` and `to_svg` write one
and the same figure as one and the same bytes. matplotlib is loaded by the first figure, not before.

The colors are those of Okabe and Ito, which people with color-deficient vision can tell apart;
line styles and markers repeat what a color says.
"""

from voicegmm.plots.calibration import bayes_error, cross_entropy
from voicegmm.plots.canvas import save, to_svg
from voicegmm.plots.corpus import corpus_summary
from voicegmm.plots.det import det
from voicegmm.plots.duration import duration_against_score
from voicegmm.plots.explanation import evidence
from voicegmm.plots.features import recording
from voicegmm.plots.scores import score_histogram, tippett
from voicegmm.plots.speakers import speaker_strip
from voicegmm.plots.sweep import metric_against_options
from voicegmm.plots.training import training_curve

__all__ = [
    "bayes_error",
    "corpus_summary",
    "cross_entropy",
    "det",
    "duration_against_score",
    "evidence",
    "metric_against_options",
    "recording",
    "save",
    "score_histogram",
    "speaker_strip",
    "tippett",
    "to_svg",
    "training_curve",
]
