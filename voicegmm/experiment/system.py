"""One system of an experiment: lists, features, background model, calibration, speakers, scores."""

import importlib.util
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

import msgspec
import numpy as np

from voicegmm._base.errors import OptionError, VoicegmmError
from voicegmm._base.files import write_text
from voicegmm._base.options import canonical_json, to_mapping
from voicegmm._base.progress import Progress, counting
from voicegmm._base.reasons import together
from voicegmm.corpus import Protocol, by_speaker, leakage_warnings
from voicegmm.experiment.environment import describe_environment
from voicegmm.experiment.recipe import DataOptions, FusedRecipe, Recipe
from voicegmm.experiment.report import write_report
from voicegmm.experiment.stages import RunFolder, stamps_of
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
    "development.tsv": "the trials of background speakers that the calibration was learned from",
    "scores.tsv": "every trial with its score, or the reason why it has none",
    "fusion.h5": "what each system weighs",
    "results.json": "all figures, with intervals, warnings and failures",
    "report.html": "the report",
    "config.json": "every option that was used",
    "environment.json": "versions, processor, linear algebra",
    "stages.json": "seconds and peak memory of each stage",
    "run.log": "what happened when",
}
"""What each file of a run folder is."""


@dataclass
class SystemRun:
    """A recipe at work in its folder."""

    recipe: Recipe
    recipe_folder: Path
    data: Path
    folder: RunFolder
    n_workers: int
    progress: Progress
    include_audio: bool = False

    def path(self, name: str) -> Path:
        """Give the path of a file of the run."""
        return self.folder.path / name

    @property
    def options(self) -> SpeakerOptions:
        """How the speakers are made."""
        recipe = self.recipe
        least = recipe.data.min_enroll_seconds
        return SpeakerOptions(recipe.adaptation, recipe.scoring, recipe.calibration, least)

    def all_stages(self) -> dict[str, Any]:
        """Do everything, and give the results."""
        protocol = self.lists()
        features = self.features(protocol)
        return self.after_features(protocol, features, protocol.background)

    def lists(self) -> Protocol:
        """Read the lists, and write down what will be done."""
        write_description(self.folder, self.recipe)
        return read_lists(self.recipe.data, self.recipe_folder, self.data, self.path("lists"))

    def after_features(
        self, protocol: Protocol, features: str, rehearsed: Sequence[str]
    ) -> dict[str, Any]:
        """Do the stages after the features, calibrating on some of the background's recordings."""
        ubm = self.background(protocol, features)
        calibration = self.calibration(protocol, ubm, rehearsed)
        speakers = self.speakers(protocol, ubm, calibration)
        scores = self.scores(protocol, speakers)
        evaluation = self.evaluation(scores, list_warnings(protocol))
        report_stage(self.folder, evaluation, protocol, self.include_audio)
        return read_results(self.folder)

    def features(self, protocol: Protocol) -> str:
        """Extract the frames of all recordings."""
        pipeline = Pipeline(self.recipe.features)

        def work() -> None:
            summary = extract_to_store(
                protocol.paths,
                pipeline,
                self.path("features.h5"),
                self.n_workers,
                counting(self.progress, "features", len(protocol.paths)),
            )
            for warning in summary.warnings():
                log.warning("%s", warning)

        stamps = stamps_of(list(protocol.paths.values()))
        parts = [pipeline.fingerprint, list(protocol.paths), stamps]
        return self.folder.stage("features", parts, ["features.h5"], work)

    def background(self, protocol: Protocol, features: str) -> str:
        """Train the background model."""
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

    def calibration(self, protocol: Protocol, ubm: str, rehearsed: Sequence[str]) -> str:
        """Learn what scores mean, from some of the background's recordings."""
        recipe = self.recipe

        def work() -> None:
            with FeatureStore(self.path("features.h5")) as frames:
                found = calibrate(
                    frames,
                    by_speaker(rehearsed),
                    self.options,
                    recipe.ubm,
                    recipe.seed,
                    protocol.enrollments,
                    self.n_workers,
                    lambda done, total: self.progress("calibration", done, total),
                )
            learned = to_mapping(found.calibration) if found.calibration else None
            self.path("development.tsv").unlink(missing_ok=True)
            if found.development:
                write_scores(self.path("development.tsv"), found.development)
            known = {"calibration": learned, "reason": found.reason}
            write_text(self.path("calibration.json"), pretty(known))

        sizes = [len(enrollment.files) for enrollment in protocol.enrollments]
        parts = [ubm, recipe.calibration, recipe.adaptation, recipe.scoring, recipe.seed, sizes]
        return self.folder.stage(
            "calibration",
            [*parts, list(rehearsed)],
            ["calibration.json"],
            work,
            may_make=["development.tsv"],
        )

    def speakers(self, protocol: Protocol, ubm: str, calibration: str) -> str:
        """Enroll the speakers."""

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
            for line in together(voices.not_enrolled, "speakers"):
                log.warning("not enrolled: %s", line)
            save_voices(self.path("speakers.h5"), voices)

        enrolled = to_mapping(protocol.enrollments)
        parts = [ubm, calibration, self.options, enrolled, protocol.background]
        return self.folder.stage("speakers", parts, ["speakers.h5"], work)

    def scores(self, protocol: Protocol, speakers: str) -> str:
        """Score the trials."""
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

    def evaluation(self, scores: str, warnings: Sequence[str]) -> str:
        """Measure the scores."""
        recipe = self.recipe

        def work() -> None:
            table = read_scores(self.path("scores.tsv"))
            failures = _failures(self.path("features.h5"), table)
            write_results(self.folder, recipe, table, warnings, failures, {})

        parts = [scores, recipe.evaluation, recipe.name, recipe.description, list(warnings)]
        return self.folder.stage("evaluation", parts, ["results.json"], work)


def read_lists(options: DataOptions, recipe_folder: Path, data: Path, place: Path) -> Protocol:
    """Read the lists of an experiment, having them made in a place if a recipe knows how."""
    if options.prepare:
        place.mkdir(exist_ok=True)
        _prepare(recipe_folder / options.prepare, data, place)
    else:
        place = data / options.lists
    return Protocol.read(
        place,
        data / options.recordings,
        options.background,
        options.enrollments,
        options.trials,
        options.segments,
    )


def list_warnings(protocol: Protocol) -> list[str]:
    """Say what is doubtful about the lists of an experiment."""
    warnings = list(leakage_warnings(protocol))
    if protocol.trials.n_duplicates:
        count = protocol.trials.n_duplicates
        warnings.append(f"{count} trials stand twice in the list and count once")
    return warnings


def write_description(folder: RunFolder, options: Any) -> None:
    """Write what will be done, and by what, into a run folder."""
    write_text(folder.path / "config.json", pretty(to_mapping(options)))
    write_text(folder.path / "environment.json", pretty(describe_environment()))


def write_results(
    folder: RunFolder,
    recipe: Recipe | FusedRecipe,
    table: ScoreTable,
    warnings: Sequence[str],
    failures: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> None:
    """Write all figures of an experiment's score table, and what else is known."""
    figures = as_mapping(*evaluate_table(table, recipe.evaluation))
    figures["warnings"] = [*warnings, *figures["warnings"]]
    results = {
        "name": recipe.name,
        "description": recipe.description,
        "n_models": len(np.unique(table.trials.model_index)),
        **figures,
        **more,
        "failures": failures,
    }
    write_text(folder.path / "results.json", pretty(results))


def report_stage(
    folder: RunFolder, evaluation: str, protocol: Protocol, include_audio: bool
) -> None:
    """Write the report, as the last stage."""
    folder.stage(
        "report",
        [evaluation, include_audio],
        ["report.html"],
        lambda: write_report(folder.path, FILES, protocol, include_audio),
    )


def read_results(folder: RunFolder) -> dict[str, Any]:
    """Give the results of a run that is finished, with its stages."""
    text = (folder.path / "results.json").read_text("utf-8")
    return {**json.loads(text), "stages": folder.stages}


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


def pretty(value: Any) -> str:
    """Write a value as JSON that can be read."""
    return json.dumps(to_mapping(value), indent=1, ensure_ascii=False) + "\n"
