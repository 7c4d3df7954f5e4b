"""What the tables of a report hold: figures with intervals, errors, speakers, failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicegmm._base.arrays import BoolArray, IntArray
from voicegmm.metrics import OperatingPoint, sort_scores
from voicegmm.metrics.rates import nearest_rates
from voicegmm.scoring import ScoreTable, support

_NAMES = {
    "eer": "Equal error rate (EER)",
    "cllr": "Cllr, in bits",
    "min_cllr": "minCllr, in bits",
    "calibration_loss": "Lost to calibration (Cllr - minCllr), in bits",
    "min_c_primary": "Mean minDCF (C_primary)",
    "act_c_primary": "Mean actDCF (C_primary)",
    "auc": "Area under the ROC curve (AUC)",
    "identification_rate": "Closed-set identification rate",
    "rank_5_rate": "Own model among the best five",
}
_DETECTED = "detected_at_"  # and the share of false alarms: of an open set
_IN_PERCENT = ("eer", "identification_rate", "rank_5_rate")


@dataclass(frozen=True)
class FigureRow:
    """A figure as it is printed.

    Parameters
    ----------
    key : str
        As in results.json.
    name : str
        In words.
    value, low, high : str
        With the unit; `low` and `high` are empty where there is no interval.
    """

    key: str
    name: str
    value: str
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class DifferenceRow:
    """What a system has more or less of a figure, as it is printed.

    Parameters
    ----------
    name : str
        Of the figure, in words.
    difference, low, high, p_value : str
    """

    name: str
    difference: str
    low: str
    high: str
    p_value: str


@dataclass(frozen=True)
class TrialRow:
    """A trial whose score speaks for the wrong side.

    Parameters
    ----------
    model, test : str
    score : float
        Calibrated log-likelihood ratio (natural) where there is one, else the score.
    words : str
        What the ratio means; empty for uncalibrated scores.
    """

    model: str
    test: str
    score: float
    words: str


@dataclass(frozen=True)
class ModelRow:
    """How the trials of a model went.

    Parameters
    ----------
    model : str
    n_targets, n_nontargets : int
        Trials with a score.
    mean_target : float or None
        Mean score of the targets; None where there are none.
    misses, false_accepts : int
        Errors at the threshold of equal error.
    n_failed : int
        Trials without a score.
    """

    model: str
    n_targets: int
    n_nontargets: int
    mean_target: float | None
    misses: int
    false_accepts: int
    n_failed: int


def figure_rows(metrics: Mapping[str, Mapping[str, float | None]]) -> list[FigureRow]:
    """Give the figures of results.json in words: EER, costs by operating point, Cllr, the rest.

    Parameters
    ----------
    metrics : mapping
        Name -> {"value", "low", "high"}, fractions; None for a value stands for infinity, and for
        both ends when there is no interval.
    """
    return [_figure_row(key, metrics[key]) for key in sorted(metrics, key=_place)]


def _figure_row(key: str, estimate: Mapping[str, float | None]) -> FigureRow:
    low, high = estimate.get("low"), estimate.get("high")
    ends = ("", "") if low is None else (_printed(key, low), _printed(key, high))
    return FigureRow(key, figure_name(key), _printed(key, estimate.get("value")), *ends)


def identification_rows(results: Mapping[str, Any]) -> tuple[str, list[FigureRow]]:
    """Give the rates of identification, and which tests they are of; nothing where there are none.

    Parameters
    ----------
    results : mapping
        With "closed_set" or "open_set", as `voicegmm.scoring.evaluation.as_mapping` gives them.
    """
    if results.get("closed_set"):
        told = dict(results["closed_set"])
        tests = f"a closed set of {told.pop('n_tests'):,} tests, each of one of the models"
        return tests, [_figure_row(key, estimate) for key, estimate in told.items()]
    if results.get("open_set"):
        told = results["open_set"]
        tests = (
            f"an open set of {told['n_known']:,} tests of known speakers and "
            f"{told['n_strangers']:,} of strangers"
        )
        by_alarm = told["detection_identification"].items()
        return tests, [_figure_row(f"{_DETECTED}{alarm}", rate) for alarm, rate in by_alarm]
    return "", []


def system_rows(
    systems: Mapping[str, Mapping[str, Any]],
) -> tuple[list[str], list[tuple[str, str, list[FigureRow | None]]]]:
    """Give the figures of several systems side by side.

    Parameters
    ----------
    systems : mapping
        Name -> "metrics" as `figure_rows` takes them and, where it is part of a fusion, "weight".

    Returns
    -------
    keys : list of str
        Which figures: those that fit side by side.
    rows : list of (name, weight, figures)
        The weight in words, empty where there is none; None for a figure that a system lacks.
    """
    known = {name: figure_rows(system["metrics"]) for name, system in systems.items()}
    found = {row.key: None for rows in known.values() for row in rows}
    costs = [key for key in found if "_dcf_" in key][:2]
    shown = ("eer", "cllr", "min_cllr", *costs)
    keys = sorted((key for key in found if key in shown), key=_place)
    rows: list[tuple[str, str, list[FigureRow | None]]] = []
    for name, system in systems.items():
        by_key = {row.key: row for row in known[name]}
        weight = f"{system['weight']:.3g}" if "weight" in system else ""
        rows.append((name, weight, [by_key.get(key) for key in keys]))
    return keys, rows


def difference_rows(metrics: Mapping[str, Mapping[str, float | None]]) -> list[DifferenceRow]:
    """Give what a system has more or less of each figure, as `Comparison.to_mapping` has it."""
    rows = []
    for key in sorted(metrics, key=_place):
        found = metrics[key]
        ends = (found["difference"], found["low"], found["high"])
        # An infinite difference can be of either sign, which JSON does not keep.
        middle, low, high = (_printed(key, end, "+") for end in ends)
        p_value = f"{found['p_value']:.3f}"
        rows.append(DifferenceRow(figure_name(key), middle, low, high, p_value))
    return rows


def _place(key: str) -> tuple[int, float, str]:
    """Order figures as they are quoted, minDCF before actDCF; JSON sorts them by letter."""
    point = point_of(key)
    if point is not None:
        return 1, point.p_target, key.replace("act", "~")
    known = ("eer", "", "cllr", "min_cllr", "calibration_loss")
    return (known.index(key) if key in known else len(known)), 0.0, key


def figure_name(key: str) -> str:
    """Give the name of a figure in words."""
    for prefix, word in (("min_dcf_", "minDCF"), ("act_dcf_", "actDCF")):
        point = point_of(key) if key.startswith(prefix) else None
        if point is not None:
            equal = point.c_miss == point.c_fa
            costs = "" if equal else f", costs {point.c_miss:g} : {point.c_fa:g}"
            return f"{word} at P(target)\u00a0=\u00a0{point.p_target:g}{costs}"
    if key.startswith(_DETECTED):
        share = 100 * float(key.removeprefix(_DETECTED))
        return f"Detected and identified, with false alarms on {share:g}\u00a0%"
    return _NAMES.get(key, key)


def point_of(key: str) -> OperatingPoint | None:
    """Read the operating point from a figure's name, as min_dcf_0.01 or act_dcf_0.01_10_1."""
    _, found, name = key.partition("_dcf_")
    parts = [float(part) for part in name.split("_")] if found else []
    return OperatingPoint(*parts) if len(parts) in (1, 3) else None


def operating_points(metrics: Mapping[str, Any]) -> list[OperatingPoint]:
    """Give the operating points that figures were read at, in their order."""
    points = [point_of(key) for key in metrics if key.startswith("min_dcf_")]
    return [point for point in points if point is not None]


def _printed(key: str, value: float | None, sign: str = "") -> str:
    if value is None:
        return "∞"
    return f"{100 * value:{sign}.2f} %" if in_percent(key) else f"{value:{sign}.4f}"


def in_percent(key: str) -> bool:
    """Tell whether a figure is a rate, that is quoted in percent."""
    return key in _IN_PERCENT or key.startswith(_DETECTED)


def both_classes(table: ScoreTable) -> tuple[BoolArray, BoolArray]:
    """Give which trials are scored targets and which are scored non-targets, (n_trials,) each."""
    labels, scored = table.trials.labels, table.scored
    return scored & (labels == 1), scored & (labels == 0)


def equal_error_threshold(table: ScoreTable) -> float | None:
    """Give the score at which misses and false accepts are most nearly as frequent.

    Returns
    -------
    float or None
        Accept at or above it; infinite when only rejecting everything is as fair. None where a
        class has no score.
    """
    targets, nontargets = both_classes(table)
    if not (targets.any() and nontargets.any()):
        return None
    thresholds, *_ = nearest_rates(sort_scores(table.best[targets], table.best[nontargets]))
    return float(thresholds[0])


def worst_nontargets(table: ScoreTable, n_rows: int) -> list[TrialRow]:
    """Give the non-targets that score highest, highest first."""
    _, nontargets = both_classes(table)
    which = np.flatnonzero(nontargets)
    return _trial_rows(table, which[np.argsort(-table.best[which], kind="stable")][:n_rows])


def worst_targets(table: ScoreTable, n_rows: int) -> list[TrialRow]:
    """Give the targets that score lowest, lowest first."""
    targets, _ = both_classes(table)
    which = np.flatnonzero(targets)
    return _trial_rows(table, which[np.argsort(table.best[which], kind="stable")][:n_rows])


def failure_rows(
    table: ScoreTable, known: Sequence[Mapping[str, Any]] = ()
) -> list[tuple[str, str, int]]:
    """Give what could not be used: status, reason, trials lost; what cost most trials first.

    Parameters
    ----------
    table : ScoreTable
    known : sequence of mapping
        "status", "reason", "n_trials" of what a run knows beyond its trials: recordings of the
        background and of enrollments, which cost none.
    """
    rows = {row[1]: row for row in table.failures().values()}
    for failure in known:
        reason = str(failure["reason"])
        rows.setdefault(reason, (str(failure["status"]), reason, int(failure["n_trials"])))
    return sorted(rows.values(), key=lambda row: (-row[2], row))


def _trial_rows(table: ScoreTable, which: IntArray) -> list[TrialRow]:
    trials = table.trials
    rows = []
    for i in which.tolist():
        score = float(table.best[i])
        model, test = trials.models[trials.model_index[i]], trials.tests[trials.test_index[i]]
        rows.append(TrialRow(model, test, score, "" if table.llrs is None else support(score)))
    return rows


def model_rows(table: ScoreTable, threshold: float | None) -> list[ModelRow]:
    """Give how the trials of each model went: most errors first, then by name."""
    trials = table.trials
    n_models = len(trials.models)
    targets, nontargets = both_classes(table)
    # A trial without a score is an error of neither kind: a comparison with NaN is false.
    accepted = table.best >= (np.inf if threshold is None else threshold)
    missed, falsely = targets & ~accepted, nontargets & accepted
    if threshold is None:
        missed = np.zeros_like(missed)

    def count(which: BoolArray) -> IntArray:
        return np.bincount(trials.model_index[which], minlength=n_models)

    total = np.bincount(trials.model_index[targets], table.best[targets], n_models)
    columns = [count(which) for which in (targets, nontargets, missed, falsely, ~table.scored)]
    rows = []
    for model, mean_of, n_targets, n_nontargets, misses, accepts, n_failed in zip(
        trials.models, total.tolist(), *(column.tolist() for column in columns), strict=True
    ):
        mean = mean_of / n_targets if n_targets else None
        rows.append(ModelRow(model, n_targets, n_nontargets, mean, misses, accepts, n_failed))
    return sorted(rows, key=lambda row: (-row.misses - row.false_accepts, row.model))
