"""The scripts beside the recipes, as modules."""

import importlib.util
from pathlib import Path

RECIPES = Path(__file__).parents[2] / "recipes"


def load(corpus, name="prepare"):
    place = RECIPES / corpus / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"{name}_{corpus}", place)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def prepared(corpus, data, lists):
    """Give the lists that a prepare.py writes."""
    lists.mkdir(exist_ok=True)
    load(corpus).prepare(data, lists)
    return lists
