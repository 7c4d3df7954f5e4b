"""Experiments: config, stages, the run of a recipe, its report."""

from voicegmm.experiment.recipe import (
    DataOptions,
    LoadedRecipe,
    Recipe,
    load_recipe,
)
from voicegmm.experiment.run import FILES, RunResult, run_recipe

__all__ = [
    "FILES",
    "DataOptions",
    "LoadedRecipe",
    "Recipe",
    "RunResult",
    "load_recipe",
    "run_recipe",
]
