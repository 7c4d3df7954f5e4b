"""The Gaussian mixture core: density, statistics, EM, MAP adaptation, model selection.

The loop is ``fit(initial, collect, options)`` with ``collect: gmm -> Statistics``: frames in
memory, out of core, on many workers are different ways to collect and one way to fit.
"""

from voicegmm.mixture.collection import (
    ArraySource,
    ChunkSource,
    DoubleSource,
    FrameSource,
    accumulate_each,
    collector,
)
from voicegmm.mixture.conditional import condition, marginal, sample_conditional
from voicegmm.mixture.density import assign, log_density, posteriors
from voicegmm.mixture.em import FitResult, Iteration, fit
from voicegmm.mixture.imputation import impute, incomplete_initialize
from voicegmm.mixture.initial import InitialOptions, initialize, sample_frames
from voicegmm.mixture.map import (
    MapOptions,
    adapt,
    adapt_iterated,
    adapt_means,
    first_from_means,
)
from voicegmm.mixture.map_batch import AdaptedMixtures, PartSource, adapt_all, cut
from voicegmm.mixture.map_relevance import (
    RelevanceChoice,
    RelevanceOptions,
    choose_relevance,
)
from voicegmm.mixture.maximization import EmOptions, Update, maximize
from voicegmm.mixture.missing import (
    incomplete_accumulate,
    incomplete_assign,
    incomplete_collector,
    incomplete_log_density,
    incomplete_online_step,
    incomplete_posteriors,
)
from voicegmm.mixture.model import DiagonalGMM, FullGMM, Mixture, SphericalGMM, TiedGMM
from voicegmm.mixture.online import OnlineFit, OnlineOptions, online_start, online_step
from voicegmm.mixture.ratios import MeanShifts
from voicegmm.mixture.representation import (
    SoftLabels,
    SupervectorOptions,
    fisher_vector,
    log_posteriors,
    soft_labels,
    stacked_means,
    supervector,
    supervectors,
)
from voicegmm.mixture.restarts import Restarts, fit_best
from voicegmm.mixture.sampling import sample
from voicegmm.mixture.selection import (
    Candidate,
    Selection,
    SelectionOptions,
    information_criteria,
    n_parameters,
    select,
)
from voicegmm.mixture.statistics import Statistics, accumulate
from voicegmm.mixture.tracking import (
    Motion,
    MotionOptions,
    TrackOptions,
    TrackPath,
    Tracks,
    TrackState,
    forecast,
    forecast_errors,
    track,
    track_paths,
    track_start,
    track_start_with,
    track_step,
    track_table,
)

__all__ = [
    "AdaptedMixtures",
    "ArraySource",
    "Candidate",
    "ChunkSource",
    "DiagonalGMM",
    "DoubleSource",
    "EmOptions",
    "FitResult",
    "FrameSource",
    "FullGMM",
    "InitialOptions",
    "Iteration",
    "MapOptions",
    "MeanShifts",
    "Mixture",
    "Motion",
    "MotionOptions",
    "OnlineFit",
    "OnlineOptions",
    "PartSource",
    "RelevanceChoice",
    "RelevanceOptions",
    "Restarts",
    "Selection",
    "SelectionOptions",
    "SoftLabels",
    "SphericalGMM",
    "Statistics",
    "SupervectorOptions",
    "TiedGMM",
    "TrackOptions",
    "TrackPath",
    "TrackState",
    "Tracks",
    "Update",
    "accumulate",
    "accumulate_each",
    "adapt",
    "adapt_all",
    "adapt_iterated",
    "adapt_means",
    "assign",
    "choose_relevance",
    "collector",
    "condition",
    "cut",
    "first_from_means",
    "fisher_vector",
    "fit",
    "fit_best",
    "forecast",
    "forecast_errors",
    "impute",
    "incomplete_accumulate",
    "incomplete_assign",
    "incomplete_collector",
    "incomplete_initialize",
    "incomplete_log_density",
    "incomplete_online_step",
    "incomplete_posteriors",
    "information_criteria",
    "initialize",
    "log_density",
    "log_posteriors",
    "marginal",
    "maximize",
    "n_parameters",
    "online_start",
    "online_step",
    "posteriors",
    "sample",
    "sample_conditional",
    "sample_frames",
    "select",
    "soft_labels",
    "stacked_means",
    "supervector",
    "supervectors",
    "track",
    "track_paths",
    "track_start",
    "track_start_with",
    "track_step",
    "track_table",
]
