"""Models of voices and what they say of a recording: scores, ratios, calibration."""

from voicegmm.scoring.alignment import (
    AlignedTables,
    align_tables,
    fuse_tables,
    fused_held_out,
    learn_fusion_of,
)
from voicegmm.scoring.background import (
    BackgroundModel,
    ForeignTraining,
    UbmOptions,
    train_background,
)
from voicegmm.scoring.calibration import (
    Calibration,
    CalibrationOptions,
    DurationEffect,
    calibrate_held_out,
    isotonic_steps,
    train_calibration,
)
from voicegmm.scoring.classes import (
    ClassModel,
    ClassModels,
    ClassOptions,
    class_scores,
    score_classes,
    train_classes,
)
from voicegmm.scoring.classes_calibration import (
    ClassCalibration,
    class_posteriors,
    class_priors,
    class_ratios,
    train_class_calibration,
)
from voicegmm.scoring.classes_figures import ClassFigures, class_figures, pooled_by_voice
from voicegmm.scoring.classes_rehearsal import (
    ClassRehearsal,
    JudgedClasses,
    judge_classes,
    rehearse_classes,
)
from voicegmm.scoring.cohort import Cohort, cohort_size, make_cohort
from voicegmm.scoring.explanation import Explanation, explain, explain_trial, write_explanation
from voicegmm.scoring.folds import FoldOptions, FoldTests, Rehearsal, rehearse
from voicegmm.scoring.frames import (
    OK,
    FrameLibrary,
    MemoryFrames,
    Status,
    check_front_end,
    failure_of,
    usable,
)
from voicegmm.scoring.fusion import (
    Fusion,
    FusionOptions,
    QualityEffect,
    fuse_held_out,
    learn_fusion,
)
from voicegmm.scoring.identification import (
    open_set_tests,
    posteriors,
    promise_identification,
    with_speakers,
)
from voicegmm.scoring.kernels import supervector_kernel
from voicegmm.scoring.linear import linear_scores
from voicegmm.scoring.long_lists import ScoredList, score_long_list
from voicegmm.scoring.models import SpeakerModels, enroll
from voicegmm.scoring.normalization import (
    CohortScores,
    ScoreNormalizationOptions,
    normalize_scores,
)
from voicegmm.scoring.options import ScoringOptions, SequentialOptions, check_running
from voicegmm.scoring.preparation import Calibrated, SpeakerOptions, calibrate, make_voices
from voicegmm.scoring.quality import QualityTable, TrialQuality, read_quality
from voicegmm.scoring.ratio import ScoreKeeper, log_likelihood_ratios
from voicegmm.scoring.recording import score_recording
from voicegmm.scoring.records import EnrolledRecording, Removal
from voicegmm.scoring.removal import without_speaker
from voicegmm.scoring.running import RunningScore, RunningTrials, looks_of, running_trials
from voicegmm.scoring.running_calibration import RunningCalibration, train_running_calibration
from voicegmm.scoring.sequential import learn_sequential
from voicegmm.scoring.subspace_speakers import SubspaceSpeakers
from voicegmm.scoring.subspaces import (
    Subspace,
    SubspaceOptions,
    check_subspace,
    load_backend,
    train_subspace,
)
from voicegmm.scoring.table import ScoreTable, read_scores, write_scores
from voicegmm.scoring.trials import score_trials
from voicegmm.scoring.voices import (
    IdentificationPromise,
    OpenSetTests,
    Rate,
    SequentialRates,
    SequentialTest,
    Voices,
)
from voicegmm.scoring.words import support

__all__ = [
    "OK",
    "AlignedTables",
    "BackgroundModel",
    "Calibrated",
    "Calibration",
    "CalibrationOptions",
    "ClassCalibration",
    "ClassFigures",
    "ClassModel",
    "ClassModels",
    "ClassOptions",
    "ClassRehearsal",
    "Cohort",
    "CohortScores",
    "DurationEffect",
    "EnrolledRecording",
    "Explanation",
    "FoldOptions",
    "FoldTests",
    "ForeignTraining",
    "FrameLibrary",
    "Fusion",
    "FusionOptions",
    "IdentificationPromise",
    "JudgedClasses",
    "MemoryFrames",
    "OpenSetTests",
    "QualityEffect",
    "QualityTable",
    "Rate",
    "Rehearsal",
    "Removal",
    "RunningCalibration",
    "RunningScore",
    "RunningTrials",
    "ScoreKeeper",
    "ScoreNormalizationOptions",
    "ScoreTable",
    "ScoredList",
    "ScoringOptions",
    "SequentialOptions",
    "SequentialRates",
    "SequentialTest",
    "SpeakerModels",
    "SpeakerOptions",
    "Status",
    "Subspace",
    "SubspaceOptions",
    "SubspaceSpeakers",
    "TrialQuality",
    "UbmOptions",
    "Voices",
    "align_tables",
    "calibrate",
    "calibrate_held_out",
    "check_front_end",
    "check_running",
    "check_subspace",
    "class_figures",
    "class_posteriors",
    "class_priors",
    "class_ratios",
    "class_scores",
    "cohort_size",
    "enroll",
    "explain",
    "explain_trial",
    "failure_of",
    "fuse_held_out",
    "fuse_tables",
    "fused_held_out",
    "isotonic_steps",
    "judge_classes",
    "learn_fusion",
    "learn_fusion_of",
    "learn_sequential",
    "linear_scores",
    "load_backend",
    "log_likelihood_ratios",
    "looks_of",
    "make_cohort",
    "make_voices",
    "normalize_scores",
    "open_set_tests",
    "pooled_by_voice",
    "posteriors",
    "promise_identification",
    "read_quality",
    "read_scores",
    "rehearse",
    "rehearse_classes",
    "running_trials",
    "score_classes",
    "score_long_list",
    "score_recording",
    "score_trials",
    "supervector_kernel",
    "support",
    "train_background",
    "train_calibration",
    "train_class_calibration",
    "train_classes",
    "train_running_calibration",
    "train_subspace",
    "usable",
    "with_speakers",
    "without_speaker",
    "write_explanation",
    "write_scores",
]
