"""The figures of an experiment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voicegmm._base.files import write_text
from voicegmm._base.options import to_mapping
from voicegmm.scoring import ScoreTable, read_scores
from voicegmm.scoring.evaluation import EvaluationOptions, as_mapping, evaluate_table
from voicegmm.store import FeatureStore, load_fusion


def evaluate(
    scores: Path,
    features: Path,
    options: EvaluationOptions,
    title: Mapping[str, str],
    warnings: Sequence[str],
    out: Path,
) -> None:
    """Write all figures of a score table, with what could not be used.

    Parameters
    ----------
    title : mapping
        Name and description of the experiment.
    """
    table = read_scores(scores)
    _write(out, table, options, title, warnings, {}, _failures(table, features))


def evaluate_fused(
    scores: Path,
    fusion: Path,
    results: Mapping[str, Path],
    options: EvaluationOptions,
    title: Mapping[str, str],
    warnings: Sequence[str],
    out: Path,
) -> None:
    """Write all figures of a fused score table, and what each system does alone."""
    weighed = load_fusion(fusion)
    alone = {name: json.loads(results[name].read_text("utf-8")) for name in weighed.systems}
    systems = {
        name: {"weight": weight, "metrics": alone[name]["metrics"]}
        for name, weight in zip(weighed.systems, weighed.weights, strict=True)
    }
    table = read_scores(scores)
    # Recordings that cost no trial are of the background or of enrollments: each told once.
    idle = {
        failure["reason"]: failure
        for told in alone.values()
        for failure in told["failures"]
        if not failure["n_trials"]
    }
    failures = [*_failures(table), *idle.values()]
    _write(out, table, options, title, warnings, {"systems": systems}, failures)


def _write(
    out: Path,
    table: ScoreTable,
    options: EvaluationOptions,
    title: Mapping[str, str],
    warnings: Sequence[str],
    more: Mapping[str, Any],
    failures: Sequence[Mapping[str, Any]],
) -> None:
    figures = as_mapping(*evaluate_table(table, options))
    figures["warnings"] = [*warnings, *figures["warnings"]]
    n_models = len(np.unique(table.trials.model_index))
    results = {**title, "n_models": n_models, **figures, **more, "failures": failures}
    write_text(out, json.dumps(to_mapping(results), indent=1, ensure_ascii=False) + "\n")


def _failures(table: ScoreTable, store: Path | None = None) -> list[dict[str, Any]]:
    """List what could not be used: what cost trials, then recordings that cost none."""
    costly = table.failures()
    found = [
        {"status": status, "reason": reason, "n_trials": count}
        for status, reason, count in costly.values()
    ]
    if store is None:
        return found
    with FeatureStore(store) as frames:
        statuses = [frames.status(file) for file in frames.ids]
    return found + [
        {"status": status.status, "reason": status.reason, "n_trials": 0}
        for status in statuses
        if not status.ok and " ".join(status.reason.split()) not in costly
    ]
