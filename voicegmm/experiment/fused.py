"""Several systems on the same trials, fused into one."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from voicegmm._base.options import fingerprint
from voicegmm._base.progress import Progress
from voicegmm.corpus import Protocol
from voicegmm.experiment.lists import Contents, list_warnings
from voicegmm.experiment.recipe import FusedRecipe, Recipe
from voicegmm.experiment.stages import RunFolder, Stage
from voicegmm.experiment.steps.evaluation import evaluate_fused
from voicegmm.experiment.steps.fusion import fuse
from voicegmm.experiment.system import SystemRun, report_stage, title, write_description


@dataclass
class FusedRun:
    """A fused recipe at work in its folder; each system has a run folder in it.

    Parameters
    ----------
    recipe, folder, protocol, contents, n_workers, progress, include_audio
        As of a `SystemRun`.
    """

    recipe: FusedRecipe
    folder: RunFolder
    protocol: Protocol
    contents: Contents
    n_workers: int
    progress: Progress
    include_audio: bool = False

    def all_stages(self) -> None:
        """Run every system, and fuse them."""
        with ExitStack() as held:
            systems = {
                name: self._system(name, recipe, held.enter_context(self.folder.inner(name)))
                for name, recipe in self.recipe.systems.items()
            }
            for system in systems.values():
                system.features()
            for name, system in systems.items():
                system.after_features({other: systems[other] for other in systems if other != name})
        self._fusion(systems)
        self._evaluation(systems)
        report_stage(self.folder, self.recipe, self.protocol, self.include_audio)

    def _system(self, name: str, recipe: Recipe, folder: RunFolder) -> SystemRun:
        write_description(folder, recipe, self.n_workers)
        told = partial(_named_progress, self.progress, name)
        return SystemRun(
            recipe, folder, self.protocol, self.contents, self.n_workers, told, self.include_audio
        )

    def _fusion(self, systems: Mapping[str, SystemRun]) -> None:
        scores = {name: system.path("scores.tsv") for name, system in systems.items()}
        development = {name: system.path("development.tsv") for name, system in systems.items()}
        stage = Stage(
            "fusion",
            fuse,
            {"fusion": self.recipe.fusion, "systems": list(systems)},
            _of_each(systems, "scores.tsv", "development.tsv"),
            ("fusion.h5", "development.tsv", "scores.tsv"),
        )
        self.folder.stage(
            stage, lambda: fuse(scores, development, self.recipe.fusion, self.folder.path)
        )

    def _evaluation(self, systems: Mapping[str, SystemRun]) -> None:
        recipe, path = self.recipe, self.folder.path
        results = {name: system.path("results.json") for name, system in systems.items()}
        warnings = list_warnings(self.protocol)
        stage = Stage(
            "evaluation",
            evaluate_fused,
            {"evaluation": recipe.evaluation, **title(recipe)},
            {
                "lists": fingerprint(warnings),
                "fusion.h5": self.folder.content("fusion.h5"),
                "scores.tsv": self.folder.content("scores.tsv"),
                **_of_each(systems, "results.json"),
            },
            ("results.json",),
        )
        self.folder.stage(
            stage,
            lambda: evaluate_fused(
                path / "scores.tsv",
                path / "fusion.h5",
                results,
                recipe.evaluation,
                title(recipe),
                warnings,
                path / "results.json",
            ),
        )


def _of_each(systems: Mapping[str, SystemRun], *files: str) -> dict[str, str]:
    return {
        f"{file} of {name}": system.folder.content(file)
        for name, system in systems.items()
        for file in files
    }


def _named_progress(
    progress: Progress, name: str, stage: str, done: int, total: int, note: str = ""
) -> None:
    progress(f"{name}: {stage}", done, total, note)
