"""The report of a run, or of a score table alone: one page that needs nothing but a browser."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from voicegmm._base.files import write_text
from voicegmm.corpus import Protocol
from voicegmm.experiment.environment import describe_environment
from voicegmm.experiment.report_audio import BIOMETRIC, Listening
from voicegmm.experiment.report_figures import draw_durations, draw_scores, draw_training
from voicegmm.experiment.report_run import REPORT, RunFacts, read_json, read_run
from voicegmm.experiment.report_tables import (
    FigureRow,
    both_classes,
    difference_rows,
    equal_error_threshold,
    failure_rows,
    figure_name,
    figure_rows,
    identification_rows,
    model_rows,
    operating_points,
    system_rows,
    worst_nontargets,
    worst_targets,
)
from voicegmm.scoring import ScoreTable, read_scores

N_WORST = 20
MOST_MODELS, MOST_FAILURES = 500, 200  # rows of a table, so that a page of many stays light
OWNER_ONLY = 0o600  # of a page that holds voices


def write_report(
    folder: Path,
    files: Mapping[str, str],
    protocol: Protocol | None = None,
    include_audio: bool = False,
) -> None:
    """Write report.html of a run folder: the same folder gives the same bytes.

    Parameters
    ----------
    folder : path
        With results.json, config.json, environment.json, stages.json, scores.tsv and ubm.h5.
    files : mapping of str to str
        What each file of a run folder is; those that exist are listed.
    protocol : Protocol, optional
        What was run on what: for its fingerprints, for tests of several recordings, for players.
    include_audio : bool
        Whether the worst errors can be listened to; needs the protocol. The page then holds
        voices, says so, and can be read by its owner only.

    Raises
    ------
    FormatError
        If one of the files is missing or damaged.
    ListError
        If the score table is.
    """
    results = read_json(folder / "results.json")
    table = read_scores(folder / "scores.tsv")
    title = str(results.get("name") or folder.name)
    run = read_run(folder, files, results, table, protocol)
    listening = Listening.to_protocol(protocol) if protocol and include_audio else None
    _write(folder / REPORT, table, results, title, run, listening)


def write_score_report(
    path: Path,
    table: ScoreTable,
    results: Mapping[str, Any],
    title: str,
    *,
    others: Mapping[str, ScoreTable] | None = None,
    inputs: Sequence[tuple[str, str, str]] = (),
    options: Mapping[str, Any] | None = None,
    listening: Listening | None = None,
    seconds: Mapping[str, float] | None = None,
) -> None:
    """Write the report of a score table: the page of `write_report`, with what is known.

    Parameters
    ----------
    path : path
        The HTML file.
    table : ScoreTable
        With labels.
    results : mapping
        Figures, counts and warnings as `voicegmm.scoring.evaluation.as_mapping` gives them; with
        others also "systems", what each of them does (its "metrics", and its "weight" in a
        fusion), and "differences", by how much (`voicegmm.metrics.Comparison.to_mapping`).
    title : str
        Also what the system is called among others.
    others : mapping of str to ScoreTable, optional
        Scores of other systems, to be drawn beside.
    inputs : sequence of (str, str, str)
        What went in, how much of it, and its fingerprint.
    options : mapping, optional
        How it was evaluated.
    listening : Listening, optional
        Where the voices of the worst errors can be heard: the page then holds them.
    seconds : mapping of str to float, optional
        Speech in each test, to be drawn against the scores.

    Raises
    ------
    VoicegmmError
        If the file cannot be written.
    """
    run = RunFacts(
        inputs=tuple(inputs),
        systems=others or {},
        options=options or {},
        environment=describe_environment(n_workers=1),
        seconds=seconds or {},
    )
    _write(path, table, results, title, run, listening)


def _write(
    path: Path,
    table: ScoreTable,
    results: Mapping[str, Any],
    title: str,
    run: RunFacts,
    listening: Listening | None,
) -> None:
    page = _page(table, results, title, run, listening)
    write_text(path, page, OWNER_ONLY if listening else 0o644)


def _page(
    table: ScoreTable,
    results: Mapping[str, Any],
    title: str,
    run: RunFacts,
    listening: Listening | None,
) -> str:
    metrics: Mapping[str, Any] = results.get("metrics", {})
    rows = figure_rows(metrics)
    identified_of, identification = identification_rows(results)
    warnings = results.get("warnings", [])
    return rendered(
        "report.html.j2",
        {
            "title": title,
            "description": results.get("description", ""),
            "facts": [*run.facts, *_trial_facts(table, results, run.uncalibrated_because)],
            "figures": rows,
            "cards": _cards([*rows, *identification]),
            "confidence": results.get("confidence", 0.95),
            "n_replicates": results.get("n_replicates", 0),
            "failures_rejected": figure_rows(results.get("failures_rejected", {})),
            "failure_rate": results.get("failure_rate", 0.0),
            "identified_of": identified_of,
            "identification": identification,
            "warnings": [BIOMETRIC, *warnings] if listening else warnings,
            "calibrated": table.llrs is not None,
            "run": run,
            **_compared(results, title, metrics),
            **_plotted(table, results, title, run),
            **_trial_tables(table, results, listening),
        },
    )


def _compared(results: Mapping[str, Any], title: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the tables of several systems hold."""
    others = results.get("systems", {})
    keys, rows = system_rows({title: {"metrics": metrics}} | others) if others else ([], [])
    return {
        "system_figures": [figure_name(key) for key in keys],
        "systems": rows,
        "weighed": any("weight" in other for other in others.values()),
        "differences": {
            name: difference_rows(found["metrics"])
            for name, found in results.get("differences", {}).items()
        },
    }


def _plotted(
    table: ScoreTable, results: Mapping[str, Any], title: str, run: RunFacts
) -> dict[str, Any]:
    points = operating_points(results.get("metrics", {}))
    with_band = bool(results.get("n_replicates"))
    plots, missing = draw_scores(table, points, title, run.systems, with_band)
    if run.stages or run.seconds:
        figures, sentences = draw_durations(table, run.seconds_of(table))
        plots, missing = plots + figures, missing + sentences
    if run.log_likelihoods:
        figures, sentences = draw_training(run.log_likelihoods, run.exact)
        plots, missing = plots + figures, missing + sentences
    return {"plots": plots, "missing_plots": missing}


def _trial_tables(
    table: ScoreTable, results: Mapping[str, Any], listening: Listening | None
) -> dict[str, Any]:
    threshold = equal_error_threshold(table)
    models = model_rows(table, threshold)
    failures = failure_rows(table, results.get("failures", ()))
    worst = {
        "worst_nontargets": worst_nontargets(table, N_WORST),
        "worst_targets": worst_targets(table, N_WORST),
    }
    heard = {}
    if listening:
        pairs = [(row.model, row.test) for rows in worst.values() for row in rows]
        heard = {pair: listening.clips(*pair) for pair in pairs}
    return {
        "failures": failures[:MOST_FAILURES],
        "n_failures": len(failures),
        "n_idle": sum(count == 0 for *_, count in failures),
        "n_failed": int((~table.scored).sum()),
        "models": models[:MOST_MODELS],
        "n_models": len(models),
        "threshold": threshold,
        "heard": heard,
        **worst,
    }


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
    """Choose what stands in large type: EER, the first costs, Cllr, minCllr, identification."""
    shown = {"eer", "cllr", "min_cllr", "identification_rate"}
    for kind in ("min_dcf_", "act_dcf_"):
        shown |= set([row.key for row in rows if row.key.startswith(kind)][:1])
    return [row for row in rows if row.key in shown]


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """Fill in a template that stands beside this file."""
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
    return environment.get_template(template).render(context)


def _is_nested(value: Any) -> bool:
    """Whether an option is a table, or a list of tables."""
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    )


def _plain(value: Any) -> str:
    """Write a single option as its config file does, a list without its brackets."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return str(value) if value != "" else '""'
