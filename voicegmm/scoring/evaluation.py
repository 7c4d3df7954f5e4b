"""From a score table to the figures that are quoted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from voicegmm._base.arrays import IntArray
from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import DataError, OptionError
from voicegmm._base.options import to_mapping
from voicegmm.corpus import Trials
from voicegmm.metrics import (
    Comparison,
    Difference,
    Estimate,
    Evaluation,
    OperatingPoint,
    compare,
    evaluate,
    identification_estimates,
    infer_speakers,
    metric_names,
    open_set_estimates,
    read_points,
)
from voicegmm.metrics.evaluation import FEW_ERRORS
from voicegmm.scoring.alignment import AlignedTables, number_trials, rows_of
from voicegmm.scoring.table import ScoreTable

Figure = TypeVar("Figure", Estimate, Difference)
_FALSE_ALARMS = (0.01, 0.05, 0.1)
_RANKS = {"identification_rate": 1, "rank_5_rate": 5}
_OF_RATIOS = ("cllr", "act_dcf", "act_c_primary", "calibration_loss")


@dataclass(frozen=True)
class EvaluationOptions:
    """How scores are evaluated.

    Parameters
    ----------
    p_targets : tuple of float
        Priors at which the detection cost is read, each in (0, 1).
    points : tuple of str
        Operating points in the place of `p_targets`: names of evaluations, as "sre16", or
        "P_TARGET,C_MISS,C_FA". The costs of a name that stands for several, alone, are averaged
        too.
    n_bootstrap : int
        Replicates behind the intervals; 0 for none.
    seed : int
        Of the bootstrap.
    """

    p_targets: tuple[float, ...] = (0.01, 0.05)
    points: tuple[str, ...] = ()
    n_bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for p_target in self.p_targets:
            within("p_targets", p_target, 1e-9, 1 - 1e-9)
        if len(set(self.p_targets)) < len(self.p_targets):
            raise OptionError(f"p_targets must differ, got {self.p_targets}")
        read_points(self.points)
        at_least("n_bootstrap", self.n_bootstrap, 0)

    @property
    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """Where costs are read."""
        return read_points(self.points) or tuple(map(OperatingPoint, self.p_targets))

    @property
    def primary(self) -> bool:
        """Whether costs are averaged over the operating points."""
        return len(self.points) == 1 and len(self.operating_points) > 1

    def metric_names(self, calibrated: bool = True) -> list[str]:
        """Name the metrics that come out; some are of calibrated ratios alone."""
        names = metric_names(self.operating_points, self.primary)
        return [name for name in names if calibrated or not name.startswith(_OF_RATIOS)]


def with_key(table: ScoreTable, key: Trials, where: str) -> ScoreTable:
    """Take the labels of a table's trials from a key.

    Raises
    ------
    DataError
        If a trial of the table is not in the key.
    """
    trials = table.trials
    (wanted, known), names = number_trials([trials, key])
    missing = wanted[~np.isin(wanted, known)]
    if len(missing):
        raise DataError(
            f"{where} has no label for {len(missing)} of {len(trials)} trials, "
            f"the first is {' with '.join(names(int(missing[0])))}"
        )
    return replace(table, trials=replace(trials, labels=key.labels[rows_of(wanted, known)]))


def known_figures(
    table: ScoreTable,
    options: EvaluationOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluate a table, as `as_mapping` gives it, where its labels allow any figures.

    Without metrics and warnings where a label is missing, or a class has no trial with a score.
    """
    labels = table.trials.labels
    if (labels < 0).any() or not all((table.scored & (labels == kind)).any() for kind in (0, 1)):
        return {"metrics": {}, "warnings": []}
    return as_mapping(*evaluate_table(table, options, progress))


def evaluate_table(
    table: ScoreTable,
    options: EvaluationOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Evaluation, dict[str, dict[str, Any]]]:
    """Evaluate a score table.

    Parameters
    ----------
    table : ScoreTable
        With labels. Trials without a score are counted as failed.
    options : EvaluationOptions, optional
    progress : callable, optional
        Called with the bootstrap's replicates done and their number.

    Returns
    -------
    evaluation : Evaluation
        Without cllr and act_dcf where the scores are not calibrated.
    identification : dict of str to dict
        "closed_set": identification_rate, rank_5_rate and n_tests, where each test was tried on
        several models of which one is its own. "open_set": detection_identification (of rank 1, by
        the rate of false alarms), n_known and n_strangers, where each test was tried on all models
        and some on none of their own. Empty otherwise. Each rate is an `Estimate`.

    Raises
    ------
    DataError
        If labels are missing, or a class has no score.
    """
    options = options or EvaluationOptions()
    trials, scores = table.trials, table.best
    _check_labels(trials)
    target = trials.labels == 1
    speakers: dict[str, Any] = {}
    several = len(np.unique(trials.model_index)) > 1
    identification: dict[str, dict[str, Any]] = {}
    if several:
        models, tests = infer_speakers(target, trials.model_index, trials.test_index)
        identification = _identification(table, tests, options)
        speakers = {
            "target_speakers": models[target],
            "nontarget_model_speakers": models[~target],
            "nontarget_test_speakers": tests[~target],
        }
    evaluation = evaluate(
        scores[target],
        scores[~target],
        **speakers,
        operating_points=options.operating_points,
        primary=options.primary,
        n_bootstrap=options.n_bootstrap,
        rng=np.random.default_rng(options.seed),
        progress=progress,
    )
    if not several:
        alone = "no intervals: with one model alone it is not known who the speakers are"
        evaluation = replace(evaluation, warnings=(*evaluation.warnings, alone))
    if table.llrs is None:
        evaluation = replace(
            evaluation,
            metrics=_without_ratios(evaluation.metrics),
            failures_rejected=_without_ratios(evaluation.failures_rejected),
            warnings=(
                *evaluation.warnings,
                "the scores are not calibrated: cllr and act_dcf would mean nothing and are left "
                "out",
            ),
        )
    few = _few_errors(identification)
    return replace(evaluation, warnings=(*evaluation.warnings, *few)), identification


def compare_tables(
    aligned: AlignedTables,
    options: EvaluationOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two systems on the trials that both could score; see `voicegmm.metrics.compare`.

    Raises
    ------
    DataError
        If labels are missing, a class has no trial that both scored, or the speakers are too few.
    """
    options = options or EvaluationOptions()
    _check_labels(aligned.trials)
    usable, trials = aligned.usable, aligned.trials
    target = trials.labels[usable] == 1
    models, tests = infer_speakers(target, trials.model_index[usable], trials.test_index[usable])
    first, second = ((column[target], column[~target]) for column in aligned.scores[usable].T)
    found = compare(
        first,
        second,
        models[target],
        models[~target],
        tests[~target],
        operating_points=options.operating_points,
        primary=options.primary,
        n_bootstrap=max(options.n_bootstrap, 1),
        rng=np.random.default_rng(options.seed),
        progress=progress,
    )
    n_left = int((~usable).sum())
    if n_left:
        left = f"{n_left} trials that not both systems could score are left out"
        found = replace(found, warnings=(*found.warnings, left))
    if all(aligned.calibrated):
        return found
    return replace(found, metrics=_without_ratios(found.metrics))


def _check_labels(trials: Trials) -> None:
    if (trials.labels < 0).any():
        raise DataError(
            f"{int((trials.labels < 0).sum())} of {len(trials)} trials have no label; "
            "give them with a key"
        )


def _without_ratios(metrics: dict[str, Figure]) -> dict[str, Figure]:
    return {name: value for name, value in metrics.items() if not name.startswith(_OF_RATIOS)}


def _identification(
    table: ScoreTable, test_speakers: IntArray, options: EvaluationOptions
) -> dict[str, dict[str, Any]]:
    trials, labels = table.trials, table.trials.labels == 1
    n_tests = len(trials.tests)
    tried = np.bincount(trials.test_index, minlength=n_tests)
    own = np.bincount(trials.test_index, labels, n_tests)
    attempts = trials.test_index, labels, table.best, test_speakers
    n_bootstrap, rng = options.n_bootstrap, np.random.default_rng(options.seed)
    if (tried > 1).all() and (own == 1).all():
        ranks = {name: rank for name, rank in _RANKS.items() if rank < tried.min()}
        rates = identification_estimates(
            *attempts, tuple(ranks.values()), n_bootstrap=n_bootstrap, rng=rng
        )
        return {"closed_set": {**dict(zip(ranks, rates, strict=True)), "n_tests": n_tests}}
    # An open set: every test meets all models, and some are of none of them.
    if len(trials) == n_tests * len(trials.models) > n_tests and own.max() == 1 > own.min():
        rates = open_set_estimates(*attempts, _FALSE_ALARMS, n_bootstrap=n_bootstrap, rng=rng)
        by_alarm = {f"{alarm:g}": rate for alarm, rate in zip(_FALSE_ALARMS, rates, strict=True)}
        n_known = int(own.sum())
        counts = {"n_known": n_known, "n_strangers": n_tests - n_known}
        return {"open_set": {"detection_identification": by_alarm, **counts}}
    return {}


def _few_errors(identification: dict[str, dict[str, Any]]) -> list[str]:
    """Warn of rates of identification with too few errors behind them."""
    errors = {}
    if "closed_set" in identification:
        told = identification["closed_set"]
        found = {name: told[name] for name in _RANKS if name in told}
        errors = {name: (1 - rate.value) * told["n_tests"] for name, rate in found.items()}
    if "open_set" in identification:
        told = identification["open_set"]
        errors = {
            f"detection at {alarm} false alarms": min(
                (1 - rate.value) * told["n_known"], float(alarm) * told["n_strangers"]
            )
            for alarm, rate in told["detection_identification"].items()
        }
    few = [f"{name} ({round(n)})" for name, n in errors.items() if round(n) < FEW_ERRORS]
    if not few:
        return []
    return [
        f"fewer than {FEW_ERRORS} errors of identification behind {', '.join(few)}: too few to "
        "tell systems apart"
    ]


def as_mapping(evaluation: Evaluation, identification: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Give the figures as plain JSON types: what ``--json`` prints."""
    return to_mapping(evaluation.to_mapping() | identification)
