"""The report of a run, or of a score table alone: one page that needs nothing but a browser."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicegmm._base.errors import FormatError
from voicegmm._base.files import write_text
from voicegmm.experiment.report_figures import draw_scores, draw_training
from voicegmm.experiment.report_tables import (
    FigureRow,
    both_classes,
    equal_error_threshold,
    figure_rows,
    model_rows,
    operating_points,
    worst_nontargets,
    worst_targets,
)
from voicegmm.scoring import BackgroundModel, ScoreTable, read_scores
from voicegmm.store import load_background

N_WORST = 20
MOST_MODELS, MOST_FAILURES = 500, 200  # rows of a table, so that a page of many stays light
REPORT = "report.html"
OWN_STAGE = "report"  # not known while the report is written: a later report shall be the same


@dataclass(frozen=True)
class _Run:
    """What a run folder knows beyond the scores.

    Parameters
    ----------
    facts : tuple of (str, str)
        What was run, in words.
    uncalibrated_because : str
        Why the scores are not calibrated, where the run knows it.
    log_likelihoods : tuple of float
        Training curve of the background model.
    options, environment : dict
    stages : dict
        Name -> seconds, peak_memory_mb, skipped.
    files : dict of str to str
        Those that exist, and what each is.
    """

    facts: tuple[tuple[str, str], ...] = ()
    uncalibrated_because: str = ""
    log_likelihoods: tuple[float, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def write_report(folder: Path, files: Mapping[str, str]) -> None:
    """Write report.html of a run folder: the same folder gives the same bytes.

    Parameters
    ----------
    folder : path
        With results.json, config.json, environment.json, stages.json, scores.tsv and ubm.h5.
    files : mapping of str to str
        What each file of a run folder is; those that exist are listed.

    Raises
    ------
    FormatError
        If one of the files is missing or damaged.
    ListError
        If the score table is.
    """
    results = _read_json(folder / "results.json")
    table = read_scores(folder / "scores.tsv")
    title = str(results.get("name") or folder.name)
    write_text(folder / REPORT, _page(table, results, title, _read_run(folder, files, results)))


def write_score_report(
    path: Path, table: ScoreTable, results: Mapping[str, Any], title: str
) -> None:
    """Write the report of a score table: the page of `write_report`, with what is known.

    Parameters
    ----------
    path : path
        The HTML file.
    table : ScoreTable
        With labels.
    results : mapping
        Figures, counts and warnings as `voicegmm.scoring.evaluation.as_mapping` gives them.
    title : str

    Raises
    ------
    VoicegmmError
        If the file cannot be written.
    """
    write_text(path, _page(table, results, title, _Run()))


def _read_run(folder: Path, files: Mapping[str, str], results: Mapping[str, Any]) -> _Run:
    options = _read_json(folder / "config.json")
    stages = _read_json(folder / "stages.json")
    calibration = folder / "calibration.json"
    curve: tuple[float, ...] = ()
    if "systems" in options:
        facts = tuple(_fused_facts(results))
    else:
        background = load_background(folder / "ubm.h5")
        facts = tuple(_model_facts(background, options))
        curve = tuple(iteration.log_likelihood for iteration in background.iterations)
    return _Run(
        facts,
        str(_read_json(calibration).get("reason", "")) if calibration.exists() else "",
        curve,
        options,
        _read_json(folder / "environment.json"),
        {name: known for name, known in stages.items() if name != OWN_STAGE},
        # The report is listed whether or not an older one stands there already.
        {name: what for name, what in files.items() if name == REPORT or (folder / name).exists()},
    )


def _model_facts(
    background: BackgroundModel, options: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    gmm = background.gmm
    yield (
        "Background model",
        f"{gmm.n_components:,} Gaussians in {gmm.n_dims} dimensions, trained on "
        f"{background.n_frames:,.0f} frames in {len(background.iterations)} iterations",
    )
    adaptation = options.get("adaptation", {})
    if adaptation.get("alpha") is not None:
        share = adaptation["alpha"]
        yield "Speaker models", f"adapted from it, {share:.0%} from the enrollment's speech"
    elif adaptation.get("relevance") is not None:
        factor = adaptation["relevance"]
        yield "Speaker models", f"adapted from it with a relevance factor of {factor:g}"
    normalization = options.get("scoring", {}).get("normalization", {}).get("method", "none")
    if normalization != "none":
        yield "Score normalization", f"{normalization} by the background speakers"
    data = options.get("data", {})
    lists = [data[name] for name in ("background", "enrollments", "trials") if data.get(name)]
    if lists:
        yield "Lists", ", ".join(lists)


def _fused_facts(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, system in results["systems"].items():
        metrics = system["metrics"]
        alone = f"EER {100 * metrics['eer']['value']:.2f} %, Cllr {metrics['cllr']['value']:.3f}"
        place = f"systems/{name}/report.html"
        yield f"System {name}", f"weight {system['weight']:.3g}; alone: {alone} ({place})"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(f"{path}: no such file; a run folder holds one, run again") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise FormatError(f"{path}: must hold a JSON object")
    return content


def _page(table: ScoreTable, results: Mapping[str, Any], title: str, run: _Run) -> str:
    metrics: Mapping[str, Any] = results.get("metrics", {})
    plots, missing = draw_scores(table, operating_points(metrics), title)
    if run.log_likelihoods:
        of_training, without = draw_training(run.log_likelihoods)
        plots, missing = plots + of_training, missing + without
    rows = figure_rows(metrics)
    threshold = equal_error_threshold(table)
    models = model_rows(table, threshold)
    failures = sorted(table.failures().values(), key=lambda failure: (-failure[2], failure))
    return _rendered(
        {
            "title": title,
            "description": results.get("description", ""),
            "facts": [*run.facts, *_trial_facts(table, results, run.uncalibrated_because)],
            "figures": rows,
            "cards": _cards(rows),
            "confidence": results.get("confidence", 0.95),
            "n_replicates": results.get("n_replicates", 0),
            "failures_rejected": figure_rows(results.get("failures_rejected", {})),
            "closed_set": results.get("closed_set", {}),
            "warnings": results.get("warnings", []),
            "plots": plots,
            "missing_plots": missing,
            "calibrated": table.llrs is not None,
            "failures": failures[:MOST_FAILURES],
            "n_failures": len(failures),
            "n_failed": int((~table.scored).sum()),
            "worst_nontargets": worst_nontargets(table, N_WORST),
            "worst_targets": worst_targets(table, N_WORST),
            "models": models[:MOST_MODELS],
            "n_models": len(models),
            "threshold": threshold,
            "run": run,
        }
    )


def _trial_facts(
    table: ScoreTable, results: Mapping[str, Any], uncalibrated_because: str
) -> Iterator[tuple[str, str]]:
    targets, nontargets = both_classes(table)
    yield (
        "Trials",
        f"{int(targets.sum()):,} target and {int(nontargets.sum()):,} non-target trials with a "
        f"score, {int((~table.scored).sum()):,} trials without",
    )
    models, tests = table.trials.models, table.trials.tests
    yield "Models", f"{len(models):,}, tried on {len(tests):,} tests"
    n_speakers = results.get("n_speakers")
    if n_speakers is not None:
        yield "Speakers", f"{n_speakers:,}"
    because = f": {uncalibrated_because}" if uncalibrated_because else ""
    calibrated = table.llrs is not None
    yield (
        "Scores",
        "calibrated log-likelihood ratios" if calibrated else f"not calibrated{because}",
    )


def _cards(rows: Sequence[FigureRow]) -> list[FigureRow]:
    """Choose what stands in large type: EER, the first costs, Cllr and minCllr."""
    shown = {"eer", "cllr", "min_cllr"}
    for kind in ("min_dcf_", "act_dcf_"):
        shown |= set([row.key for row in rows if row.key.startswith(kind)][:1])
    return [row for row in rows if row.key in shown]


def _rendered(context: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    environment.filters["fixed"] = lambda number, n=3: f"{number:.{n}f}"
    environment.filters["plain"] = _plain
    environment.tests["nested"] = _is_nested
    environment.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:].rstrip('.')}."
    return environment.get_template("report.html.j2").render(context)


def _is_nested(value: Any) -> bool:
    """Whether an option is a table, or a list of tables."""
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    )


def _plain(value: Any) -> str:
    """Write a single option as its config file does, a list without its brackets."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return str(value) if value != "" else '""'
