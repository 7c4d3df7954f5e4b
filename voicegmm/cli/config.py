"""The commands that look at a recipe without running it."""

from pathlib import Path

import click

from voicegmm.cli.console import debug_option, json_option, print_json, settings_option, warn
from voicegmm.cli.terminal import say, say_data

_SETTINGS = settings_option("ubm.n_components=256")


@click.group(short_help="Show or check a recipe without running it.")
@debug_option
def config() -> None:
    """Show or check a recipe without running it."""


@config.command(short_help="Print a recipe with every option.")
@click.argument("recipe", metavar="RECIPE")
@_SETTINGS
@json_option
@debug_option
def show(recipe: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Print RECIPE with every option, and where each value comes from.

    What is printed is a recipe that `voicegmm run` takes, without what it extends; where it names a
    prepare.py, that must lie beside it.
    """
    from voicegmm.experiment import load_recipe

    loaded = load_recipe(recipe, settings)
    if as_json:
        print_json({"recipe": loaded.to_mapping(), "sources": dict(loaded.sources)})
    else:
        say_data(loaded.to_toml())


@config.command(short_help="Check a recipe, and the lists and recordings it would run on.")
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data", type=click.Path(path_type=Path), help="The folder of the corpus: check that too."
)
@_SETTINGS
@json_option
@debug_option
def check(recipe: str, data: Path | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Check RECIPE as `voicegmm run` does before it works.

    With --data its lists, and that every recording they name is there, too.
    """
    from voicegmm.experiment import check_prepare, check_recipe, load_recipe

    loaded = load_recipe(recipe, settings)
    check_prepare(loaded.recipe.data, loaded.folder)
    counts: dict[str, int] = {}
    warnings: list[str] = []
    if data is not None:
        protocol, warnings = check_recipe(loaded, data)
        counts = {
            "recordings": len(protocol.paths),
            "background": len(protocol.background),
            "models": len(protocol.enrollments),
            "tests": len(protocol.trials.tests),
            "target trials": int((protocol.trials.labels == 1).sum()),
            "non-target trials": int((protocol.trials.labels == 0).sum()),
        }
    if as_json:
        print_json({"name": loaded.recipe.name, "counts": counts, "warnings": warnings})
        return
    for warning in warnings:
        warn(warning)
    known = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    say(f"{loaded.recipe.name}: can be run" + (f" on {known}" if known else ""))
