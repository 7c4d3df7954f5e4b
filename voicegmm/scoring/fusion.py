"""Fusion: one log-likelihood ratio from the scores of several systems.

Brümmer et al., "Fusion of heterogeneous speaker recognition systems in the STBU submission for the
NIST SRE 2006", IEEE Trans. Audio, Speech and Language Processing 15, 2007. Quality measures as side
information: Mandasari et al., "Quality measure functions for calibration of speaker recognition
systems in various duration conditions", the same journal 21, 2013. Weights pulled towards one
another: the egalitarian ridge of Diebold and Shin, "Machine learning for regularized survey
forecast combination: partially-egalitarian LASSO and its derivatives", International Journal of
Forecasting 35, 2019; what the weights have in common is free here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import DataError, MismatchError, OptionError
from voicegmm.scoring.held_out import Judge, judge_held_out
from voicegmm.scoring.logistic import learn_logistic
from voicegmm.scoring.quality import TrialQuality, in_logarithm

TOWARD = ("zero", "equal")
"""What weights a ridge can pull towards; see `FusionOptions`."""


@dataclass(frozen=True)
class FusionOptions:
    """How systems are fused.

    Parameters
    ----------
    p_target : float
        Prior that the fusion is learned for, in (0, 1).
    ridge : float
        Weight of half the squares that `toward` names beside the cross-entropy in nats; at least 0.
        It shares out the weight among systems that say the same.
    n_folds : int
        Folds of speakers when a fusion is tried on those it was learned from; at least 3.
    seed : int
        Of the folds.
    toward : str
        "zero": the squares are |w|², of the weights of scores of deviation 1, those of quality
        measures among them. "equal": sum (a_i - mean a)², where a_i is the weight of the log ratio
        that system i gives alone, calibrated on the same trials; quality measures are free. The
        larger the ridge, the nearer to the sum of these ratios, calibrated: what systems that err
        independently would get, but for a factor. One that knows nothing adds nothing to the sum.
    """

    p_target: float = 0.5
    ridge: float = 1e-5
    n_folds: int = 5
    seed: int = 0
    toward: str = "zero"

    def __post_init__(self) -> None:
        within("p_target", self.p_target, 1e-6, 1 - 1e-6)
        at_least("ridge", self.ridge, 0)
        at_least("n_folds", self.n_folds, 3)
        at_least("seed", self.seed, 0)
        one_of("toward", self.toward, TOWARD)


@dataclass(frozen=True)
class QualityEffect:
    """What a quality measure adds to the ratio of a trial: weight times the measure.

    Parameters
    ----------
    name : str
        A duration counts by its natural logarithm; see `voicegmm.scoring.quality`.
    weight : float
        Finite.
    lowest, highest : float
        What it was learned from, before the logarithm; what lies beyond counts as these.
    """

    name: str
    weight: float
    lowest: float
    highest: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.weight, self.lowest, self.highest]).all():
            raise OptionError(f"the effect of {self.name} must be of finite numbers, got {self}")
        within("lowest", self.lowest, 1e-300 if in_logarithm(self.name) else -np.inf, self.highest)

    def measure(self, values: npt.ArrayLike) -> Float64Array:
        """Give the measure as it counts: within what was learned from, durations in logarithm."""
        held = np.clip(np.asarray(values, np.float64), self.lowest, self.highest)
        return np.log(held) if in_logarithm(self.name) else held


@dataclass(frozen=True)
class Fusion:
    """An affine map from the scores of several systems to natural-log likelihood ratios.

    Parameters
    ----------
    weights : tuple of float
        One a system, finite.
    offset : float
    systems : tuple of str
        What the systems are called, in order.
    calibrated : tuple of bool
        Whether it takes each system's calibrated ratios, not its scores.
    n_targets, n_nontargets : int
        Trials it was learned from.
    options : FusionOptions
        How it was learned.
    quality : tuple of QualityEffect
        What quality measures add; empty where there are none.
    """

    weights: tuple[float, ...]
    offset: float
    systems: tuple[str, ...]
    calibrated: tuple[bool, ...]
    n_targets: int
    n_nontargets: int
    options: FusionOptions = FusionOptions()
    quality: tuple[QualityEffect, ...] = ()

    def __post_init__(self) -> None:
        if not self.weights or not np.isfinite([*self.weights, self.offset]).all():
            raise OptionError(
                f"weights and offset must be finite numbers, got {self.weights} and {self.offset}"
            )
        if not len(self.weights) == len(self.systems) == len(self.calibrated):
            raise OptionError(
                f"a fusion of {len(self.weights)} weights needs as many systems, got "
                f"{len(self.systems)} names"
            )

    def apply(self, scores: npt.ArrayLike, quality: TrialQuality | None = None) -> Float64Array:
        """Give the fused ratios.

        Parameters
        ----------
        scores : (n_trials, n_systems) array_like
            Columns in the order of `systems`. A NaN makes the ratio of its trial NaN.
        quality : TrialQuality, optional
            Of the same trials; needed where the fusion knows any. Measures it does not know are
            passed over.

        Returns
        -------
        (n_trials,) float64 array

        Raises
        ------
        DataError
            For another number of systems, or quality of other trials.
        MismatchError
            If a measure that the fusion knows is not given.
        """
        matrix = np.asarray(scores, np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != len(self.weights):
            raise DataError(
                f"scores must be a matrix (n_trials, {len(self.weights)}), a column for each of "
                f"{', '.join(self.systems)}; got shape {matrix.shape}"
            )
        # Column by column, not a product of matrices: the same bits whatever the number of threads.
        ratios = np.full(len(matrix), self.offset)
        for weight, column in zip(self.weights, matrix.T, strict=True):
            ratios += weight * column
        for effect in self.quality:
            if quality is None or effect.name not in quality.names:
                raise MismatchError(
                    f"this fusion takes {effect.name} of each trial beside the scores; give them "
                    "together"
                )
            _check_length(quality, len(matrix))
            column = quality.values[:, quality.names.index(effect.name)]
            ratios += effect.weight * effect.measure(column)
        return ratios


def learn_fusion(
    scores: npt.ArrayLike,
    targets: npt.ArrayLike,
    options: FusionOptions | None = None,
    systems: Sequence[str] = (),
    calibrated: Sequence[bool] = (),
    quality: TrialQuality | None = None,
) -> Fusion:
    """Learn a fusion by prior-weighted logistic regression; see `learn_logistic` for the loss.

    Parameters
    ----------
    scores : (n_trials, n_systems) array_like
        Finite.
    targets : (n_trials,) array_like of bool
        True for a target trial.
    options : FusionOptions, optional
    systems : sequence of str, optional
        Their names: "system 1", ... by default.
    calibrated : sequence of bool, optional
        Whether each column holds calibrated ratios; False by default. A record: it changes nothing.
    quality : TrialQuality, optional
        Quality measures of the trials, all known: side information to the regression.

    Returns
    -------
    Fusion

    Raises
    ------
    DataError
        For a class without trials, scores that are not finite, arrays of different length, or a
        system that gives all trials one score, or a measure that is the same for all; with
        ``toward="equal"`` for a system that alone weighs nothing.
    """
    options = options or FusionOptions()
    matrix, is_target = _checked(scores, targets, systems)
    names = tuple(systems) or tuple(f"system {i + 1}" for i in range(matrix.shape[1]))
    for name, column in zip(names, matrix.T, strict=True):
        if len(column) and np.ptp(column) == 0:
            raise DataError(f"{name} gives every trial the score {column[0]:g}; leave it out")
    effects = _unweighted(quality, len(matrix))
    measures = quality.values.T if quality is not None else ()
    counted = [each.measure(column) for each, column in zip(effects, measures, strict=True)]
    slopes = _slopes(matrix, is_target, options, names)
    found, offset = learn_logistic(
        np.column_stack([matrix * slopes, *counted]),
        is_target,
        options.p_target,
        options.ridge,
        n_alike=len(names) if options.toward == "equal" else 0,
    )
    weights, of_quality = np.split(found, [len(names)])
    weights *= slopes
    n_targets = int(is_target.sum())
    return Fusion(
        tuple(weights.tolist()),
        offset,
        names,
        tuple(calibrated) or (False,) * len(names),
        n_targets,
        len(is_target) - n_targets,
        options,
        tuple(
            replace(each, weight=weight)
            for each, weight in zip(effects, of_quality.tolist(), strict=True)
        ),
    )


def _slopes(
    matrix: Float64Array, is_target: BoolArray, options: FusionOptions, names: Sequence[str]
) -> Float64Array:
    """Give what each system's scores are multiplied by before they stand side by side.

    What they weigh in its own calibration, whose offset goes into the common one; 1 where their
    scale does not matter.
    """
    if options.toward == "zero":
        return np.ones(len(names))
    slopes = np.array(
        [learn_logistic(each[:, None], is_target, options.p_target)[0][0] for each in matrix.T]
    )
    for name, slope in zip(names, slopes, strict=True):
        if slope == 0:
            raise DataError(f"{name} scores both classes alike, and alone weighs 0; leave it out")
    return slopes


def _unweighted(quality: TrialQuality | None, n_trials: int) -> list[QualityEffect]:
    """Give the range of each measure, which weighs nothing yet."""
    if quality is None:
        return []
    _check_length(quality, n_trials)
    effects = []
    for name, column in zip(quality.names, quality.values.T, strict=True):
        if not np.isfinite(column).all():
            raise DataError(f"{name} must be known of every trial to learn from")
        if np.ptp(column) == 0:
            raise DataError(f"{name} is {column[0]:g} in every trial; leave it out")
        effects.append(QualityEffect(name, 0.0, float(column.min()), float(column.max())))
    return effects


def _check_length(quality: TrialQuality, n_trials: int) -> None:
    if len(quality.values) != n_trials:
        raise DataError(f"quality must be of {n_trials} trials, got {len(quality.values)}")


def fuse_held_out(
    scores: npt.ArrayLike,
    targets: npt.ArrayLike,
    model_speakers: npt.ArrayLike,
    test_speakers: npt.ArrayLike,
    options: FusionOptions | None = None,
    quality: TrialQuality | None = None,
) -> Float64Array:
    """Fuse each trial by what was learned from the trials of other speakers.

    What a fusion is worth where there are no other trials to learn it from: no trial is judged by a
    fusion that has seen one of its two speakers.

    Parameters
    ----------
    scores, targets, options, quality
        As `learn_fusion` takes them.
    model_speakers, test_speakers : (n_trials,) array_like of str or int
        As `voicegmm.metrics.infer_speakers` finds them from a trial list.

    Returns
    -------
    (n_trials,) float64 array
        Natural-log likelihood ratios.

    Raises
    ------
    DataError
        As `learn_fusion`, and with too few speakers; see `judge_held_out`.
    """
    options = options or FusionOptions()
    matrix, is_target = _checked(scores, targets)

    def measured(which: IntArray) -> TrialQuality | None:
        return None if quality is None else quality.of(which)

    def learn(known: IntArray) -> Judge:
        learned = learn_fusion(matrix[known], is_target[known], options, quality=measured(known))
        return lambda judged: learned.apply(matrix[judged], measured(judged))

    return judge_held_out(
        learn,
        is_target,
        model_speakers,
        test_speakers,
        np.random.default_rng(options.seed),
        options.n_folds,
    )


def _checked(
    scores: npt.ArrayLike, targets: npt.ArrayLike, systems: Sequence[str] = ()
) -> tuple[Float64Array, BoolArray]:
    matrix, is_target = np.asarray(scores, np.float64), np.asarray(targets, np.bool_)
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise DataError(f"scores must be a matrix (n_trials, n_systems), got shape {matrix.shape}")
    if is_target.shape != (len(matrix),):
        raise DataError(
            f"targets must be a vector of {len(matrix)} labels, got shape {is_target.shape}"
        )
    if systems and len(systems) != matrix.shape[1]:
        raise DataError(
            f"systems must be {matrix.shape[1]} names, one a column; got {len(systems)}"
        )
    return matrix, is_target
