"""Experiments: config, stages, the run of a recipe, its report, sweeps."""

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
from voicegmm.experiment.sweep import SweepResult, explain_sweep, run_sweep
from voicegmm.experiment.sweep_plan import Sweep, SweepOptions, plan_sweep
from voicegmm.experiment.system import FILES

__all__ = [
    "FILES",
    "DataOptions",
    "Decision",
    "FusedRecipe",
    "LoadedRecipe",
    "Recipe",
    "RunResult",
    "Sweep",
    "SweepOptions",
    "SweepResult",
    "check_prepare",
    "check_recipe",
    "explain_sweep",
    "load_recipe",
    "made_lists",
    "plan_recipe",
    "plan_sweep",
    "run_recipe",
    "run_sweep",
]
