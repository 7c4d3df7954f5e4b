"""Experiments: config, stages, the run of a recipe, its report."""

from voicegmm.experiment.recipe import (
    DataOptions,
    FusedRecipe,
    LoadedRecipe,
    Recipe,
    load_recipe,
)
from voicegmm.experiment.run import RunResult, run_recipe
from voicegmm.experiment.system import FILES

__all__ = [
    "FILES",
    "DataOptions",
    "FusedRecipe",
    "LoadedRecipe",
    "Recipe",
    "RunResult",
    "load_recipe",
    "run_recipe",
]
