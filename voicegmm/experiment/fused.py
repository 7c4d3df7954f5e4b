"""Several systems on the same trials, fused into one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from voicegmm._base.errors import DataError
from voicegmm._base.progress import Progress
from voicegmm.experiment.recipe import FusedRecipe, Recipe
from voicegmm.experiment.stages import RunFolder, run_folder
from voicegmm.experiment.system import (
    SystemRun,
    list_warnings,
    read_results,
    report_stage,
    write_description,
    write_results,
)
from voicegmm.scoring import (
    AlignedTables,
    align_tables,
    fuse_tables,
    fused_held_out,
    learn_fusion_of,
    read_scores,
    write_scores,
)
from voicegmm.store import FeatureStore, load_fusion, save_fusion


@dataclass
class FusedRun:
    """A fused recipe at work in its folder; each system has a run folder in it."""

    recipe: FusedRecipe
    recipe_folder: Path
    data: Path
    folder: RunFolder
    n_workers: int
    progress: Progress
    include_audio: bool = False

    def all_stages(self) -> dict[str, Any]:
        """Run every system, fuse them, and give the results."""
        with ExitStack() as held:
            systems = {
                name: self._system(name, recipe, held.enter_context(run_folder(self._place(name))))
                for name, recipe in self.recipe.systems.items()
            }
            return self._fused_stages(systems)

    def _place(self, name: str) -> Path:
        return self.folder.path / "systems" / name

    def _system(self, name: str, recipe: Recipe, folder: RunFolder) -> SystemRun:
        told = partial(_named_progress, self.progress, name)
        return SystemRun(
            recipe,
            self.recipe_folder,
            self.data,
            folder,
            self.n_workers,
            told,
            self.include_audio,
        )

    def _fused_stages(self, systems: Mapping[str, SystemRun]) -> dict[str, Any]:
        write_description(self.folder, self.recipe)
        lists = {name: system.lists() for name, system in systems.items()}
        features = {name: system.features(lists[name]) for name, system in systems.items()}
        protocol = next(iter(lists.values()))
        # The folds are drawn from what is usable: all systems must draw the same.
        rehearsed = self._usable_by_all(protocol.background)
        results = {
            name: system.after_features(lists[name], features[name], rehearsed)
            for name, system in systems.items()
        }
        marks = [
            [system.folder.stages[stage]["fingerprint"] for stage in ("calibration", "scores")]
            for system in systems.values()
        ]
        fusion = self.folder.stage(
            "fusion",
            [marks, list(systems), self.recipe.fusion],
            ["fusion.h5", "development.tsv", "scores.tsv"],
            self._fuse,
        )
        warnings = list_warnings(protocol)
        recipe = self.recipe

        def evaluate() -> None:
            table = read_scores(self.folder.path / "scores.tsv")
            failures = [
                {"status": status, "reason": reason, "n_trials": count}
                for status, reason, count in table.failures().values()
            ]
            write_results(
                self.folder, recipe, table, warnings, failures, {"systems": self._told(results)}
            )

        parts = [fusion, recipe.evaluation, recipe.name, recipe.description, warnings]
        evaluation = self.folder.stage("evaluation", parts, ["results.json"], evaluate)
        report_stage(self.folder, evaluation, protocol, self.include_audio)
        stages = dict(_all_stages(systems)) | self.folder.stages
        return read_results(self.folder) | {"stages": stages}

    def _usable_by_all(self, files: Sequence[str]) -> list[str]:
        with ExitStack() as held:
            stores = [
                held.enter_context(FeatureStore(self._place(name) / "features.h5"))
                for name in self.recipe.systems
            ]
            return [file for file in files if all(store.status(file).ok for store in stores)]

    def _fuse(self) -> None:
        development = self._aligned("development.tsv")
        fusion = learn_fusion_of(development, self.recipe.fusion)
        path = self.folder.path
        save_fusion(path / "fusion.h5", fusion)
        write_scores(path / "development.tsv", fused_held_out(development, self.recipe.fusion))
        write_scores(path / "scores.tsv", fuse_tables(self._aligned("scores.tsv"), fusion))

    def _aligned(self, name: str) -> AlignedTables:
        paths = [self._place(system) / name for system in self.recipe.systems]
        for path in paths:
            if not path.exists():
                raise DataError(
                    f"{path} is missing: the system has no calibration, and a fusion is learned "
                    "from its trials; see calibration.json beside it"
                )
        return align_tables([read_scores(path) for path in paths], list(self.recipe.systems))

    def _told(self, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Give what each system does alone, and its weight."""
        fusion = load_fusion(self.folder.path / "fusion.h5")
        return {
            name: {"weight": weight, "metrics": results[name]["metrics"]}
            for name, weight in zip(fusion.systems, fusion.weights, strict=True)
        }


def _named_progress(progress: Progress, name: str, stage: str, done: int, total: int) -> None:
    progress(f"{name}: {stage}", done, total)


def _all_stages(systems: Mapping[str, SystemRun]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, system in systems.items():
        for stage, known in system.folder.stages.items():
            yield f"{name}: {stage}", known
