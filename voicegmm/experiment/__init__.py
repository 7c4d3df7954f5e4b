"""Experiments: config, stages, the run of a recipe, its report."""

from voicegmm.experiment.lists import check_prepare, made_lists
from voicegmm.experiment.recipe import (
    DataOptions,
    FusedRecipe,
    LoadedRecipe,
    Recipe,
    load_recipe,
)
from voicegmm.experiment.run import RunResult, check_recipe, plan_recipe, run_recipe
from voicegmm.experiment.stages import Decision
from voicegmm.experiment.system import FILES

__all__ = [
    "FILES",
    "DataOptions",
    "Decision",
    "FusedRecipe",
    "LoadedRecipe",
    "Recipe",
    "RunResult",
    "check_prepare",
    "check_recipe",
    "load_recipe",
    "made_lists",
    "plan_recipe",
    "run_recipe",
]
