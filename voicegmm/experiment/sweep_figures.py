"""The figures of a point of a sweep, and by how much they differ from the baseline's."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voicegmm._base.errors import DataError, ListError, VoicegmmError
from voicegmm._base.files import content_hash, write_text
from voicegmm.experiment.stages import Stage, run_folder
from voicegmm.scoring import ScoreTable, align_tables, read_scores
from voicegmm.scoring.evaluation import (
    EvaluationOptions,
    as_mapping,
    compare_tables,
    evaluate_table,
)

FIGURES = "sweep_figures.json"
SCORES = {"trials": "scores.tsv", "background": "development.tsv"}


@dataclass(frozen=True)
class Measurement:
    """A point to be measured.

    Parameters
    ----------
    name : str
    folder : path
        Of its run.
    baseline : (str, path), optional
        Name and folder of the point that it is compared with.
    on : {"trials", "background"}
    ratios : bool
        Whether the ratios in the scores can be taken at their word: not those of folds, which
        were learned from themselves.
    evaluation : EvaluationOptions
    """

    name: str
    folder: Path
    baseline: tuple[str, Path] | None
    on: str
    ratios: bool
    evaluation: EvaluationOptions


def measure(point: Measurement) -> dict[str, Any]:
    """Give the figures of a point; what was measured before is read.

    Returns
    -------
    dict
        As `voicegmm.scoring.evaluation.as_mapping`, with "comparison" (as `Comparison.to_mapping`,
        or None) and "not_compared", why not.

    Raises
    ------
    VoicegmmError
        If the point has no scores, or they cannot be evaluated.
    """
    scores = point.folder / SCORES[point.on]
    if not scores.exists():
        raise VoicegmmError(f"{scores} is missing: {_why_missing(point.folder)}")
    with run_folder(point.folder) as folder:
        folder.stage(_stage(point), lambda: _write_figures(point, point.folder / FIGURES))
    return _read_figures(point)


def measured(point: Measurement) -> dict[str, Any] | None:
    """Give the figures of a point as `measure` does, if they are there; None if they are not."""
    if not (point.folder / SCORES[point.on]).exists():
        return None
    with run_folder(point.folder, dry_run=True) as folder:
        folder.stage(_stage(point), lambda: None)
        return _read_figures(point) if folder.decisions[-1].action == "skip" else None


def _stage(point: Measurement) -> Stage:
    read = [SCORES[point.on], *(["results.json"] if point.on == "trials" else [])]
    inputs = {name: content_hash(point.folder / name) for name in read}
    if point.baseline:
        inputs["baseline"] = content_hash(point.baseline[1] / SCORES[point.on])
    options = {"evaluation": point.evaluation, "ratios": point.ratios}
    return Stage("figures of the sweep", _write_figures, options, inputs, (FIGURES,))


def _read_figures(point: Measurement) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((point.folder / FIGURES).read_text("utf-8"))
    return found


def _why_missing(folder: Path) -> str:
    try:
        reason = json.loads((folder / "calibration.json").read_text("utf-8"))["reason"]
    except (OSError, ValueError, KeyError):
        return "the run made none"
    return f"there is no calibration: {reason}"


def _write_figures(point: Measurement, out: Path) -> None:
    table = _table(point, point.folder)
    if point.on == "trials":  # the run has evaluated them
        figures = json.loads((point.folder / "results.json").read_text("utf-8"))
    else:
        figures = as_mapping(*evaluate_table(table, point.evaluation))
    comparison, trouble = None, ""
    if point.baseline and not point.evaluation.n_bootstrap:
        trouble = "evaluation.n_bootstrap is 0, and the test draws speakers"
    elif point.baseline:
        name, folder = point.baseline
        try:
            aligned = align_tables([_table(point, folder), table], [name, point.name])
            comparison = compare_tables(aligned, point.evaluation).to_mapping()
        except (DataError, ListError) as error:
            trouble = " ".join(str(error).split())
    known = {**figures, "comparison": comparison, "not_compared": trouble}
    write_text(out, json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def _table(point: Measurement, folder: Path) -> ScoreTable:
    table = read_scores(folder / SCORES[point.on])
    return table if point.ratios else replace(table, llrs=None)
