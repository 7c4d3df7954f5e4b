"""Experiments: config, stages, the run of a recipe, its report."""

from voicegmm.experiment.presets import find_config, load_config, preset_names, with_overrides
from voicegmm.experiment.recipe import (
    DataOptions,
    LoadedRecipe,
    Recipe,
    load_front_end,
    load_recipe,
)
from voicegmm.experiment.run import FILES, RunResult, run_recipe

__all__ = [
    "FILES",
    "DataOptions",
    "LoadedRecipe",
    "Recipe",
    "RunResult",
    "find_config",
    "load_config",
    "load_front_end",
    "load_recipe",
    "preset_names",
    "run_recipe",
    "with_overrides",
]
