"""One system of an experiment: lists, features, background model, calibration, speakers, scores."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicegmm._base.files import content_hash, write_text
from voicegmm._base.options import fingerprint, to_mapping
from voicegmm._base.progress import Progress
from voicegmm.corpus import Protocol
from voicegmm.experiment.environment import describe_environment
from voicegmm.experiment.lists import Contents, list_warnings
from voicegmm.experiment.recipe import Experiment, Recipe
from voicegmm.experiment.stages import RunFolder, Stage
from voicegmm.experiment.steps.background import train
from voicegmm.experiment.steps.calibration import learn
from voicegmm.experiment.steps.evaluation import evaluate
from voicegmm.experiment.steps.features import extract
from voicegmm.experiment.steps.report import report
from voicegmm.experiment.steps.scores import score
from voicegmm.experiment.steps.speakers import enroll
from voicegmm.experiment.steps.subspace import train as train_subspace
from voicegmm.scoring import SpeakerOptions

FILES = {
    "features.h5": "frames of all recordings",
    "ubm.h5": "the background model",
    "subspace.h5": "the subspace of sessions or voices",
    "speakers.h5": "the speakers' models, with the calibration",
    "development.tsv": "the trials of background speakers that the calibration was learned from",
    "scores.tsv": "every trial with its score, or the reason why it has none",
    "fusion.h5": "what each system weighs",
    "results.json": "all figures, with intervals, warnings and failures",
    "report.html": "the report",
    "recipe.toml": "the recipe with every option, and where each is from; `run` takes it",
    "config.json": "every option, for programs",
    "recordings.tsv": "the SHA-256 of each recording",
    "environment.json": "versions, processor, linear algebra, threads",
    "stages.json": "seconds and peak memory of each stage",
    "run.log": "what happened when",
}
"""What each file of a run folder is."""

_SHOWN = ("features.h5", "ubm.h5", "scores.tsv", "results.json")  # by the report
_HERE = Path(__file__).parent


@dataclass
class SystemRun:
    """A recipe at work in its folder.

    Parameters
    ----------
    recipe : Recipe
    folder : RunFolder
    protocol : Protocol
        The lists.
    contents : Contents
        Of the recordings.
    n_workers : int
    progress : callable
    include_audio : bool
    """

    recipe: Recipe
    folder: RunFolder
    protocol: Protocol
    contents: Contents
    n_workers: int
    progress: Progress
    include_audio: bool = False

    def path(self, name: str) -> Path:
        """Give the path of a file of the run."""
        return self.folder.path / name

    def content(self, *names: str) -> dict[str, str]:
        """Give what files of the run hold, as the inputs of a stage."""
        return {name: self.folder.content(name) for name in names}

    @property
    def options(self) -> SpeakerOptions:
        """How the speakers are made."""
        recipe = self.recipe
        least = recipe.data.min_enroll_seconds
        return SpeakerOptions(
            recipe.adaptation, recipe.scoring, recipe.calibration, least, recipe.backend
        )

    @property
    def with_subspace(self) -> bool:
        """Whether a subspace is trained beside the background model."""
        return self.recipe.backend.method != "map"

    def all_stages(self) -> None:
        """Do everything."""
        self.features()
        self.after_features({})

    def after_features(self, others: Mapping[str, "SystemRun"]) -> None:
        """Do the stages after the features; others are systems that this one is fused with."""
        self.background()
        if self.with_subspace:
            self.subspace()
        self.calibration(others)
        self.speakers()
        self.scores()
        self.evaluation()
        report_stage(self.folder, self.recipe, self.protocol, self.include_audio)

    def features(self) -> None:
        """Extract the frames of all recordings."""
        protocol, options = self.protocol, self.recipe.features
        inputs = {"recordings": self.contents.of(protocol.paths)}
        if protocol.excerpts:
            inputs["parts of recordings"] = fingerprint(protocol.excerpts)
        stage = Stage("features", extract, {"features": options}, inputs, ("features.h5",))
        out = self.path("features.h5")
        self.folder.stage(
            stage, lambda: extract(protocol, options, out, self.n_workers, self.progress)
        )

    def background(self) -> None:
        """Train the background model."""
        recipe, files = self.recipe, self.protocol.background
        stage = Stage(
            "background model",
            train,
            {"ubm": recipe.ubm, "seed": recipe.seed},
            {"background list": fingerprint(files), **self.content("features.h5")},
            ("ubm.h5",),
        )
        self.folder.stage(
            stage,
            lambda: train(
                self.path("features.h5"),
                files,
                recipe.ubm,
                recipe.seed,
                self.path("ubm.h5"),
                self.n_workers,
                self.progress,
            ),
        )

    def subspace(self) -> None:
        """Train the subspace in which sessions, or voices, differ."""
        recipe, files = self.recipe, self.protocol.background
        stage = Stage(
            "subspace",
            train_subspace,
            {
                "backend": recipe.backend,
                "relevance": recipe.adaptation.relevance,
                "seed": recipe.seed,
            },
            {"background list": fingerprint(files), **self.content("features.h5", "ubm.h5")},
            ("subspace.h5",),
        )
        self.folder.stage(
            stage,
            lambda: train_subspace(
                self.path("ubm.h5"),
                self.path("features.h5"),
                files,
                recipe.backend,
                recipe.adaptation.relevance,
                recipe.seed,
                self.path("subspace.h5"),
                self.n_workers,
                self.progress,
            ),
        )

    def calibration(self, others: Mapping[str, "SystemRun"]) -> None:
        """Learn what scores mean, from the background's recordings."""
        recipe, protocol = self.recipe, self.protocol
        sizes = [len(enrollment.files) for enrollment in protocol.enrollments]
        stage = Stage(
            "calibration",
            learn,
            {
                "calibration": recipe.calibration,
                "backend": recipe.backend,
                "adaptation": recipe.adaptation,
                "scoring": recipe.scoring,
                "ubm": recipe.ubm,
                "seed": recipe.seed,
            },
            {
                "background list": fingerprint(protocol.background),
                "recordings that enroll": fingerprint(sizes),
                **self.content("features.h5"),
                **{
                    f"features.h5 of {name}": other.folder.content("features.h5")
                    for name, other in others.items()
                },
            },
            ("calibration.json",),
            may_make=("development.tsv",),
        )
        self.folder.stage(
            stage,
            lambda: learn(
                self.path("features.h5"),
                [other.path("features.h5") for other in others.values()],
                protocol.background,
                self.options,
                recipe.ubm,
                recipe.seed,
                protocol.enrollments,
                self.path("calibration.json"),
                self.path("development.tsv"),
                self.n_workers,
                self.progress,
            ),
        )

    def speakers(self) -> None:
        """Enroll the speakers."""
        protocol, options = self.protocol, self.options
        models = ("ubm.h5", "subspace.h5") if self.with_subspace else ("ubm.h5",)
        stage = Stage(
            "speakers",
            enroll,
            to_mapping(options),
            {
                "enrollments": fingerprint(protocol.enrollments),
                "background list": fingerprint(protocol.background),
                **self.content("features.h5", *models, "calibration.json"),
            },
            ("speakers.h5",),
        )
        self.folder.stage(
            stage,
            lambda: enroll(
                [self.path(name) for name in models],
                self.path("features.h5"),
                self.path("calibration.json"),
                protocol.enrollments,
                protocol.background,
                options,
                self.path("speakers.h5"),
                self.n_workers,
                self.progress,
            ),
        )

    def scores(self) -> None:
        """Score the trials."""
        protocol = self.protocol
        trials = protocol.trials
        pairs = [trials.model_index.tolist(), trials.test_index.tolist(), trials.labels.tolist()]
        stage = Stage(
            "scores",
            score,
            {},
            {
                "trials": fingerprint(trials.models, trials.tests, pairs),
                "segments": fingerprint(protocol.segments),
                **self.content("features.h5", "speakers.h5"),
            },
            ("scores.tsv",),
        )
        self.folder.stage(
            stage,
            lambda: score(
                self.path("speakers.h5"),
                self.path("features.h5"),
                trials,
                protocol.segments,
                self.path("scores.tsv"),
                self.n_workers,
                self.progress,
            ),
        )

    def evaluation(self) -> None:
        """Measure the scores."""
        options, warnings = self.recipe.evaluation, list_warnings(self.protocol)
        stage = Stage(
            "evaluation",
            evaluate,
            {"evaluation": options, **title(self.recipe)},
            {"lists": fingerprint(warnings), **self.content("features.h5", "scores.tsv")},
            ("results.json",),
        )
        self.folder.stage(
            stage,
            lambda: evaluate(
                self.path("scores.tsv"),
                self.path("features.h5"),
                options,
                title(self.recipe),
                warnings,
                self.path("results.json"),
            ),
        )


def title(recipe: Experiment) -> dict[str, str]:
    """Give what an experiment is called."""
    return {"name": recipe.name, "description": recipe.description}


def report_stage(
    folder: RunFolder, recipe: Experiment, protocol: Protocol, include_audio: bool
) -> None:
    """Write the report, as the last stage."""
    stage = Stage(
        "report",
        report,
        {"recipe": recipe, "include_audio": include_audio},
        {
            **{name: folder.content(name) for name in _SHOWN},
            **{path.name: content_hash(path) for path in sorted(_HERE.glob("report.*.j2"))},
        },
        ("report.html",),
    )
    folder.stage(stage, lambda: report(folder.path, FILES, protocol, include_audio))


def write_description(folder: RunFolder, recipe: Experiment, n_workers: int) -> None:
    """Write what will be done into a run folder, and by what when there is something to do.

    Nothing is written on a dry run.
    """
    if folder.dry_run:
        return
    place = folder.path / "environment.json"
    write_text(folder.path / "config.json", pretty(recipe))
    folder.at_work = lambda: write_text(place, pretty(describe_environment(n_workers)))


def read_results(folder: RunFolder) -> dict[str, Any]:
    """Give the results of a run that is finished, with its stages."""
    text = (folder.path / "results.json").read_text("utf-8")
    return {**json.loads(text), "stages": folder.stages}


def pretty(value: Any) -> str:
    """Write a value as JSON that can be read."""
    return json.dumps(to_mapping(value), indent=1, ensure_ascii=False) + "\n"
