"""Running a recipe: lists, features, background model, calibration, speakers, scores, figures."""

import importlib.util
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

import msgspec
import numpy as np

from voicegmm._base.errors import OptionError, VoicegmmError
from voicegmm._base.files import write_text
from voicegmm._base.options import canonical_json, to_mapping
from voicegmm._base.progress import Progress, counting, silent
from voicegmm.corpus import Protocol, by_speaker, leakage_warnings
from voicegmm.experiment.environment import describe_environment
from voicegmm.experiment.recipe import LoadedRecipe, Recipe
from voicegmm.experiment.report import write_report
from voicegmm.experiment.stages import RunFolder, run_folder, stamps_of
from voicegmm.features import Pipeline
from voicegmm.scoring import (
    Calibration,
    ScoreTable,
    SpeakerOptions,
    calibrate,
    make_voices,
    read_scores,
    score_trials,
    train_background,
    write_scores,
)
from voicegmm.scoring.evaluation import as_mapping, evaluate_table
from voicegmm.store import (
    FeatureStore,
    ScoreJournal,
    TrainingCheckpoint,
    extract_to_store,
    load_background,
    load_voices,
    save_background,
    save_voices,
)

log = logging.getLogger(__name__)

FILES = {
    "features.h5": "frames of all recordings",
    "ubm.h5": "the background model",
    "speakers.h5": "the speakers' models, with the calibration",
    "scores.tsv": "every trial with its score, or the reason why it has none",
    "results.json": "all figures, with intervals, warnings and failures",
    "report.html": "the report",
    "config.json": "every option that was used",
    "environment.json": "versions, processor, linear algebra",
    "stages.json": "seconds and peak memory of each stage",
    "run.log": "what happened when",
}
"""What each file of a run folder is."""


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Parameters
    ----------
    folder : pathlib.Path
    results : dict
        As in results.json: name, metrics, counts, warnings, failures, stages.
    """

    folder: Path
    results: dict[str, Any]


def run_recipe(
    loaded: LoadedRecipe,
    data: Path,
    out: Path,
    n_workers: int = 1,
    progress: Progress = silent,
) -> RunResult:
    """Run a recipe on a corpus; stages that are up to date are skipped.

    Parameters
    ----------
    loaded : LoadedRecipe
    data : path
        The corpus.
    out : path
        The run folder; made where it is missing.
    n_workers : int
    progress : callable
        See `voicegmm._base.progress`.

    Returns
    -------
    RunResult

    Raises
    ------
    VoicegmmError
        Anything that the user can mend, before long work where it can be known before.
    """
    if not data.is_dir():
        raise OptionError(f"--data {data}: no such folder; give the folder of the corpus")
    with run_folder(out) as folder, _logged(out):
        run = _Run(loaded.recipe, loaded.folder, data, folder, n_workers, progress)
        return RunResult(out, run.all_stages())


class _logged:  # noqa: N801 - reads as a clause of the with statement
    """Write what the package logs into the run folder too."""

    def __init__(self, out: Path) -> None:
        self._path = out / "run.log"

    def __enter__(self) -> None:
        self._handler = logging.FileHandler(self._path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("voicegmm")
        self._level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("voicegmm")
        logger.removeHandler(self._handler)
        logger.setLevel(self._level)
        self._handler.close()


@dataclass
class _Run:
    recipe: Recipe
    recipe_folder: Path
    data: Path
    folder: RunFolder
    n_workers: int
    progress: Progress

    def path(self, name: str) -> Path:
        return self.folder.path / name

    @property
    def options(self) -> SpeakerOptions:
        recipe = self.recipe
        least = recipe.data.min_enroll_seconds
        return SpeakerOptions(recipe.adaptation, recipe.scoring, recipe.calibration, least)

    def all_stages(self) -> dict[str, Any]:
        write_text(self.path("config.json"), _pretty(to_mapping(self.recipe)))
        write_text(self.path("environment.json"), _pretty(describe_environment()))
        protocol = self.lists()
        warnings = list(leakage_warnings(protocol))
        if protocol.trials.n_duplicates:
            count = protocol.trials.n_duplicates
            warnings.append(f"{count} trials stand twice in the list and count once")
        features = self.features(protocol)
        ubm = self.background(protocol, features)
        calibration = self.calibration(protocol, ubm)
        speakers = self.speakers(protocol, ubm, calibration)
        scores = self.scores(protocol, speakers)
        evaluation = self.evaluation(scores, warnings)
        self.report(evaluation)
        results: dict[str, Any] = json.loads(self.path("results.json").read_text("utf-8"))
        return results | {"stages": self.folder.stages}

    def lists(self) -> Protocol:
        options = self.recipe.data
        if options.prepare:
            place = self.path("lists")
            place.mkdir(exist_ok=True)
            _prepare(self.recipe_folder / options.prepare, self.data, place)
        else:
            place = self.data / options.lists
        return Protocol.read(
            place,
            self.data / options.recordings,
            options.background,
            options.enrollments,
            options.trials,
            options.segments,
        )

    def features(self, protocol: Protocol) -> str:
        pipeline = Pipeline(self.recipe.features)

        def work() -> None:
            summary = extract_to_store(
                protocol.paths,
                pipeline,
                self.path("features.h5"),
                self.n_workers,
                counting(self.progress, "features", len(protocol.paths)),
            )
            for status in summary.failures.values():
                log.warning("%s: %s", status.status, status.reason)
            for file, note in summary.notes.items():
                log.warning("%s: %s", file, note)

        stamps = stamps_of(list(protocol.paths.values()))
        parts = [pipeline.fingerprint, list(protocol.paths), stamps]
        return self.folder.stage("features", parts, ["features.h5"], work)

    def background(self, protocol: Protocol, features: str) -> str:
        recipe = self.recipe

        def work() -> None:
            n_iterations = recipe.ubm.em.n_iterations
            checkpoint = TrainingCheckpoint.beside(self.path("ubm.h5"))
            with FeatureStore(self.path("features.h5")) as frames:
                model, fitted = train_background(
                    frames,
                    protocol.background,
                    recipe.ubm,
                    recipe.seed,
                    self.n_workers,
                    lambda number, _: self.progress("background model", number, n_iterations),
                    checkpoint=checkpoint,
                )
            self.progress("background model", n_iterations, n_iterations)
            for number, line in enumerate(fitted.iterations, 1):
                log.info(
                    "background model: iteration %d: %.5f nats per frame, %d floored, %d starved",
                    number,
                    line.log_likelihood,
                    line.n_floored,
                    line.n_starved,
                )
            for warning in fitted.warnings:
                log.warning("background model: %s", warning)
            save_background(self.path("ubm.h5"), model)
            checkpoint.remove()

        parts = [features, recipe.ubm, recipe.seed, protocol.background]
        return self.folder.stage("background model", parts, ["ubm.h5"], work)

    def calibration(self, protocol: Protocol, ubm: str) -> str:
        recipe = self.recipe

        def work() -> None:
            with FeatureStore(self.path("features.h5")) as frames:
                learned, reason = calibrate(
                    frames,
                    by_speaker(protocol.background),
                    self.options,
                    recipe.ubm,
                    recipe.seed,
                    protocol.enrollments,
                    self.n_workers,
                    lambda done, total: self.progress("calibration", done, total),
                )
            found = {"calibration": to_mapping(learned) if learned else None, "reason": reason}
            write_text(self.path("calibration.json"), _pretty(found))

        sizes = [len(enrollment.files) for enrollment in protocol.enrollments]
        parts = [ubm, recipe.calibration, recipe.adaptation, recipe.scoring, recipe.seed, sizes]
        return self.folder.stage("calibration", parts, ["calibration.json"], work)

    def speakers(self, protocol: Protocol, ubm: str, calibration: str) -> str:

        def work() -> None:
            found = json.loads(self.path("calibration.json").read_text("utf-8"))
            background = load_background(self.path("ubm.h5"))
            with FeatureStore(self.path("features.h5")) as frames:
                voices = make_voices(
                    background,
                    frames,
                    protocol.enrollments,
                    by_speaker(protocol.background),
                    self.options,
                    (msgspec.convert(found["calibration"], Calibration | None), found["reason"]),
                    self.n_workers,
                    counting(self.progress, "speakers", len(protocol.enrollments)),
                )
            for name, reason in voices.not_enrolled.items():
                log.warning("%s cannot be enrolled: %s", name, reason)
            save_voices(self.path("speakers.h5"), voices)

        enrolled = to_mapping(protocol.enrollments)
        parts = [ubm, calibration, self.options, enrolled, protocol.background]
        return self.folder.stage("speakers", parts, ["speakers.h5"], work)

    def scores(self, protocol: Protocol, speakers: str) -> str:
        trials = protocol.trials

        def work() -> None:
            voices = load_voices(self.path("speakers.h5"))
            out = self.path("scores.tsv")
            with FeatureStore(self.path("features.h5")) as frames, ScoreJournal(out) as journal:
                table = score_trials(
                    voices,
                    frames,
                    trials,
                    protocol.segments,
                    self.n_workers,
                    counting(self.progress, "scores", len(trials)),
                    keeper=journal,
                )
                write_scores(out, table)

        pairs = [trials.model_index.tolist(), trials.test_index.tolist(), trials.labels.tolist()]
        parts = [speakers, trials.models, trials.tests, canonical_json(pairs), protocol.segments]
        return self.folder.stage("scores", parts, ["scores.tsv"], work)

    def evaluation(self, scores: str, warnings: list[str]) -> str:
        recipe = self.recipe

        def work() -> None:
            table = read_scores(self.path("scores.tsv"))
            figures = as_mapping(*evaluate_table(table, recipe.evaluation))
            failures = _failures(self.path("features.h5"), table)
            figures["warnings"] = [*warnings, *figures["warnings"]]
            results = {
                "name": recipe.name,
                "description": recipe.description,
                "n_models": len(np.unique(table.trials.model_index)),
                **figures,
                "failures": failures,
            }
            write_text(self.path("results.json"), _pretty(results))

        parts = [scores, recipe.evaluation, recipe.name, recipe.description, warnings]
        return self.folder.stage("evaluation", parts, ["results.json"], work)

    def report(self, evaluation: str) -> str:
        return self.folder.stage(
            "report", [evaluation], ["report.html"], lambda: write_report(self.folder.path, FILES)
        )


def _failures(store: Path, table: ScoreTable) -> list[dict[str, Any]]:
    """List what could not be used: what cost trials, then recordings that cost none."""
    costly = table.failures()
    found = [
        {"status": status, "reason": reason, "n_trials": count}
        for status, reason, count in costly.values()
    ]
    with FeatureStore(store) as frames:
        statuses = [frames.status(file) for file in frames.ids]
    found += [
        {"status": status.status, "reason": status.reason, "n_trials": 0}
        for status in statuses
        if not status.ok and " ".join(status.reason.split()) not in costly
    ]
    return found


def _prepare(path: Path, data: Path, lists: Path) -> None:
    """Run a recipe's prepare.py: the only code that knows the corpus."""
    if not path.is_file():
        raise OptionError(f"{path}: no such file; data.prepare names a file beside the recipe")
    specification = importlib.util.spec_from_file_location(f"prepare_{path.parent.name}", path)
    if specification is None or specification.loader is None:
        raise OptionError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        if not hasattr(module, "prepare"):
            raise OptionError(f"{path}: defines no function prepare(data, lists)")
        module.prepare(data, lists)
    except VoicegmmError:
        raise
    except Exception as error:
        lines = [f.lineno for f in extract_tb(error.__traceback__) if f.filename == str(path)]
        place = f"line {lines[-1]}: " if lines else ""
        raise VoicegmmError(f"{path}: {place}{type(error).__name__}: {error}") from error


def _pretty(value: Any) -> str:
    return json.dumps(to_mapping(value), indent=1, ensure_ascii=False) + "\n"
