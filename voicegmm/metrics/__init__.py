"""How good are the scores: EER, minDCF, actDCF, Cllr, minCllr, AUC, DET, intervals.

And how well were moving things followed: `clear_mot` and `idf1`, which take `Sightings`, no scores.

Conventions
-----------
- The first two arguments are the scores of the `targets` (same speaker) and of the `nontargets`
  (different speakers): vectors, higher means more like a target.
- A trial is accepted when score >= threshold. "Accept all" and "reject all" are operating points.
- Tied scores are one operating point: no threshold can part them, and none is sorted in the
  system's favor.
- `cllr`, `act_dcf`, `bayes_error`, `cross_entropy`, `empirical_bounds` and `tippett` read the
  scores as natural-log likelihood ratios; the other metrics see only their order.
- Rates and costs are fractions, not percent; Cllr is in bits; detection costs are normalized, so
  that 1 is a system that is not worth having.
- -inf and inf are scores (never, always), NaN is not: a DataError, but in `evaluate`, which counts
  NaN as failed attempts.
- A weight per trial can be given; weight 3 is the trial three times.
"""

from voicegmm.metrics.bootstrap import (
    SpeakerTrials,
    bootstrap,
    bootstrap_together,
    percentile_interval,
    sort_trials,
    weigh,
)
from voicegmm.metrics.bounds import RatioBounds, empirical_bounds
from voicegmm.metrics.comparison import Comparison, Difference, compare
from voicegmm.metrics.curves import (
    BayesError,
    CrossEntropy,
    DetPoints,
    Tippett,
    bayes_error,
    cross_entropy,
    det_points,
    det_points_of,
    tippett,
)
from voicegmm.metrics.det_band import DetBand, det_band
from voicegmm.metrics.evaluation import Estimate, Evaluation, evaluate, metric_names
from voicegmm.metrics.hull import Rocch, rocch, rocch_points
from voicegmm.metrics.identification import (
    OpenSetCurve,
    identification_estimates,
    identification_rate,
    open_set_curve,
    open_set_estimates,
)
from voicegmm.metrics.likelihood_ratios import cllr, cllr_of, min_cllr, min_cllr_of
from voicegmm.metrics.multiplicity import holm
from voicegmm.metrics.operating_points import POINTS_OF, equalized_weights, read_points
from voicegmm.metrics.pooling import PooledScores, SortedScores, pool_scores, sort_scores
from voicegmm.metrics.rates import (
    OperatingPoint,
    act_dcf,
    act_dcf_of,
    auc,
    auc_of,
    eer,
    eer_of,
    min_dcf,
    min_dcf_of,
    rates_at,
    rocch_eer,
)
from voicegmm.metrics.speakers import infer_speakers
from voicegmm.metrics.tandem import (
    TandemCost,
    TandemOptions,
    act_t_dcf,
    min_t_dcf,
    tandem_cost,
    tandem_cost_of,
)
from voicegmm.metrics.tandem_evaluation import TandemEvaluation, TandemTrials, evaluate_tandem
from voicegmm.metrics.tracking import ClearMot, Sightings, clear_mot, idf1

__all__ = [
    "POINTS_OF",
    "BayesError",
    "ClearMot",
    "Comparison",
    "CrossEntropy",
    "DetBand",
    "DetPoints",
    "Difference",
    "Estimate",
    "Evaluation",
    "OpenSetCurve",
    "OperatingPoint",
    "PooledScores",
    "RatioBounds",
    "Rocch",
    "Sightings",
    "SortedScores",
    "SpeakerTrials",
    "TandemCost",
    "TandemEvaluation",
    "TandemOptions",
    "TandemTrials",
    "Tippett",
    "act_dcf",
    "act_dcf_of",
    "act_t_dcf",
    "auc",
    "auc_of",
    "bayes_error",
    "bootstrap",
    "bootstrap_together",
    "clear_mot",
    "cllr",
    "cllr_of",
    "compare",
    "cross_entropy",
    "det_band",
    "det_points",
    "det_points_of",
    "eer",
    "eer_of",
    "empirical_bounds",
    "equalized_weights",
    "evaluate",
    "evaluate_tandem",
    "holm",
    "identification_estimates",
    "identification_rate",
    "idf1",
    "infer_speakers",
    "metric_names",
    "min_cllr",
    "min_cllr_of",
    "min_dcf",
    "min_dcf_of",
    "min_t_dcf",
    "open_set_curve",
    "open_set_estimates",
    "percentile_interval",
    "pool_scores",
    "rates_at",
    "read_points",
    "rocch",
    "rocch_eer",
    "rocch_points",
    "sort_scores",
    "sort_trials",
    "tandem_cost",
    "tandem_cost_of",
    "tippett",
    "weigh",
]
