"""A recipe: everything that decides what an experiment does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from voicegmm._base.aliases import aliases_of
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import OptionError
from voicegmm._base.options import from_mapping, to_mapping
from voicegmm._base.presets import SETTING, Config, load_config, preset_names, with_overrides
from voicegmm._base.toml import toml_text
from voicegmm.compute import ComputeOptions
from voicegmm.features import PipelineOptions
from voicegmm.mixture import MapOptions
from voicegmm.scoring import (
    FoldOptions,
    FusionOptions,
    ScoringOptions,
    SubspaceOptions,
    UbmOptions,
    check_subspace,
)
from voicegmm.scoring.evaluation import EvaluationOptions
from voicegmm.scoring.models import check_adaptation


@dataclass(frozen=True)
class DataOptions:
    """Where the lists of an experiment are.

    Parameters
    ----------
    prepare : str
        A Python file beside the recipe whose ``prepare(data, lists)`` writes the lists; empty:
        they lie in the data folder already.
    lists : str
        The folder with the lists, in the data folder; not used with `prepare`.
    recordings : str
        The folder that recordings are named relative to, in the data folder.
    background, enrollments, trials, segments : str
        Names of the lists; `segments` may be empty.
    min_enroll_seconds : float
        A speaker with less speech is not enrolled; 0 or more.
    """

    prepare: str = ""
    lists: str = "protocol"
    recordings: str = ""
    background: str = "ubm.txt"
    enrollments: str = "enrol.tsv"
    trials: str = "trials.txt"
    segments: str = ""
    min_enroll_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.prepare and (Path(self.prepare).name != self.prepare or self.prepare[0] == "."):
            raise OptionError(
                f"prepare must be the name of a file beside the recipe, got {self.prepare!r}"
            )
        at_least("min_enroll_seconds", self.min_enroll_seconds, 0)


@dataclass(frozen=True)
class Experiment:
    """What every experiment says, of one system or of several.

    Parameters
    ----------
    name : str
    description : str
        One line, for the report.
    seed : int
        Of the background model and the folds; 0 or more.
    data : DataOptions
    calibration : FoldOptions
    evaluation : EvaluationOptions
    compute : ComputeOptions
        Where the work is done: no result depends on it, unless differing workers are accepted.
    """

    name: str
    description: str = ""
    seed: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    calibration: FoldOptions = field(default_factory=FoldOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    compute: ComputeOptions = field(default_factory=ComputeOptions)

    def __post_init__(self) -> None:
        within("seed", self.seed, 0, 2**63 - 1)
        _check_folder("name", self.name)


def _check_folder(what: str, name: str) -> None:
    if not name or "/" in name or name.startswith("."):
        raise OptionError(f"{what} must be usable as a folder's name, got {name!r}")


@dataclass(frozen=True)
class Recipe(Experiment):
    """An experiment with one system.

    Parameters
    ----------
    name, description, seed, data, calibration, evaluation, compute
        As of an `Experiment`.
    features : PipelineOptions
    ubm : UbmOptions
    backend : SubspaceOptions
        What models a speaker: adaptation alone, or a subspace that is trained on the background's
        recordings.
    adaptation : MapOptions
    scoring : ScoringOptions
    """

    features: PipelineOptions = field(default_factory=PipelineOptions)
    ubm: UbmOptions = field(default_factory=UbmOptions)
    backend: SubspaceOptions = field(default_factory=SubspaceOptions)
    adaptation: MapOptions = field(default_factory=MapOptions)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)

    @property
    def in_double(self) -> bool:
        """Whether all that is summed is in double precision, so that any processor does."""
        return self.features.static.precision == self.ubm.precision == "double"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features.speech.method == "labels":
            raise OptionError(
                "features.speech.method must not be 'labels' in a recipe, whose lists hold none"
            )
        try:
            check_adaptation(self.adaptation)
        except OptionError as error:
            raise OptionError(f"adaptation.{error}") from None
        check_subspace(self.backend, self.adaptation, self.scoring)


ALIASES = aliases_of(Recipe)
"""Short names that recipes and settings may say."""

_OF_A_SYSTEM = ("features", "ubm", "backend", "adaptation", "scoring")
_OF_AN_EXPERIMENT = ("seed", "data", "calibration", "evaluation", "compute")


@dataclass(frozen=True)
class FusedRecipe(Experiment):
    """An experiment with several systems that are fused.

    The systems share what an `Experiment` says; the fusion is learned from the trials of the folds,
    which are the same ones for all.

    Parameters
    ----------
    name, description, seed, data, calibration, evaluation, compute
        As of an `Experiment`.
    fusion : FusionOptions
    systems : mapping of str to Recipe
    """

    fusion: FusionOptions = field(default_factory=FusionOptions)
    systems: Mapping[str, Recipe] = field(default_factory=dict)

    @property
    def in_double(self) -> bool:
        """Whether all systems are; see `Recipe`."""
        return all(system.in_double for system in self.systems.values())


@dataclass(frozen=True)
class _FusedFile(Experiment):
    """What stands in the file of a fused recipe, where its systems are not yet read; two at least.

    A system is the name of a recipe, or a table with what a recipe says of its system.
    """

    fusion: FusionOptions = field(default_factory=FusionOptions)
    systems: dict[str, str | dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.systems) < 2:
            raise OptionError(f"systems must name two recipes or more, got {len(self.systems)}")
        if self.calibration.design == "none":
            raise OptionError(
                "calibration.design must not be 'none' in a recipe with systems: the fusion is "
                "learned from its folds"
            )
        for name in self.systems:
            _check_folder("the name of a system", name)


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, and where it comes from.

    Parameters
    ----------
    recipe : Recipe or FusedRecipe
    folder : pathlib.Path
        Where its prepare.py is.
    sources : mapping of str to str
        Dotted path of each value that is given -> the file that says it, or "--set".
    path : pathlib.Path, optional
        Of the recipe itself.
    """

    recipe: Recipe | FusedRecipe
    folder: Path
    sources: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Give every option as plain values: a recipe that says the same by itself."""
        options = to_mapping(self.recipe)
        for name, system in options.get("systems", {}).items():
            kept = ("description", *_OF_A_SYSTEM)
            options["systems"][name] = {key: system[key] for key in kept if system[key] != ""}
        return options

    def to_toml(self) -> str:
        """Write every option as a recipe that says the same by itself, and where each is from."""
        presets = {str(path): name for name, path in preset_names().items()}
        notes = {key: presets.get(source, source) for key, source in self.sources.items()}
        head = (
            f"# {self.recipe.name}: every option that {self.path} and what it extends come to.\n"
            "# A comment says where a value is from; without one it is the default.\n"
        )
        return head + toml_text(self.to_mapping(), notes)


def load_recipe(name: str, settings: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe by path or preset name, with ``key=value`` settings laid over it.

    A recipe with a table ``[systems]`` is a fused one. Each of its systems is a recipe (``NAME =
    "RECIPE"``, a preset or a path beside the file that says it), or a table of its own
    (``[systems.NAME]``, which may extend a recipe). Settings of `features`, `ubm`, `backend`,
    `adaptation` and `scoring` go to each of its systems, those of ``systems.NAME.ubm`` and so on
    to one.

    Raises
    ------
    OptionError
        Naming the value that cannot be, what would be right, and where it stands.
    """
    config = load_config(name, aliases=ALIASES)
    path = config.path or Path(name)
    if "systems" in config.values:
        return _loaded(*_fused(config, settings, path), path)
    config = with_overrides(config, settings, ALIASES)
    return _loaded(_single(config, path), config.sources, path)


def _loaded(recipe: Recipe | FusedRecipe, sources: Mapping[str, str], path: Path) -> LoadedRecipe:
    said = sources.get("data.prepare", SETTING)
    return LoadedRecipe(recipe, (path if said == SETTING else Path(said)).parent, sources, path)


def _single(config: Config, path: Path, place: str = "") -> Recipe:
    """Make a recipe of a config, which stands in a file, perhaps in a table of it."""
    sources = {f"{place}.{key}".lstrip("."): source for key, source in config.sources.items()}
    return from_mapping(Recipe, config.values, str(path), place, sources)


def _fused(
    config: Config, settings: Sequence[str], path: Path
) -> tuple[FusedRecipe, dict[str, str]]:
    of_all = [setting for setting in settings if _parts(setting)[0] in _OF_A_SYSTEM]
    of_one = [
        setting for setting in settings if _parts(setting)[0] == "systems" and _parts(setting)[2:]
    ]
    shared_config = with_overrides(config, [s for s in settings if s not in (*of_all, *of_one)])
    misplaced = [key for key in _OF_A_SYSTEM if key in shared_config.values]
    if misplaced:
        raise OptionError(
            f"{path}: [{misplaced[0]}] belongs to the recipes that [systems] names, or to a "
            "recipe without [systems]"
        )
    given = from_mapping(_FusedFile, shared_config.values, str(path), sources=shared_config.sources)
    for setting in of_one:
        _, name, table, *_ = _parts(setting)
        one_of("the name of a system", name, given.systems)
        one_of(f"what is set in systems.{name}", table, (*_OF_A_SYSTEM, "description", "extends"))
    shared = {one.name: getattr(given, one.name) for one in fields(Experiment)}
    sources = dict(shared_config.sources)
    systems = {}
    for name in given.systems:
        inner, where, place = _system(shared_config, name, path)
        own = [_of_system(setting) for setting in of_one if _parts(setting)[1] == name]
        inner = with_overrides(inner, [*of_all, *own], ALIASES)
        one = _single(inner, where, place)
        systems[name] = replace(one, **shared | {"name": name, "description": one.description})
        sources |= {f"systems.{name}.{key}": source for key, source in inner.sources.items()}
    return FusedRecipe(**shared, fusion=given.fusion, systems=systems), sources


def _system(config: Config, name: str, path: Path) -> tuple[Config, Path, str]:
    """Give the config of one of the systems of a fused recipe, its file and its table there."""
    found, place = config.values["systems"][name], f"systems.{name}"
    if isinstance(found, str):
        said = config.sources.get(place, SETTING)
        inner = load_config(found, None if said == SETTING else Path(said).parent, ALIASES)
        if "systems" in inner.values:
            raise OptionError(f"{path}: {place}: {found} is a fused recipe itself")
        return inner, inner.path or Path(found), ""
    sources = {
        key.removeprefix(f"{place}."): source
        for key, source in config.sources.items()
        if key.startswith(f"{place}.")
    }
    if "systems" in found:
        raise OptionError(f"{path}: {place}: a system cannot have systems")
    for key, source in sources.items():
        table = key.partition(".")[0]
        if table in _OF_AN_EXPERIMENT and source in (str(path), SETTING):
            raise OptionError(
                f"{table} is of all systems together: it must not stand in a system ({path}: "
                f"{place}.{key})"
            )
    return Config({"name": name, **found}, sources, path), path, place


def _parts(setting: str) -> list[str]:
    return [part.strip() for part in setting.partition("=")[0].split(".")]


def _of_system(setting: str) -> str:
    """Give a setting as the recipe of the system has it: without ``systems.NAME.``."""
    key, equals, value = setting.partition("=")
    return ".".join(key.split(".")[2:]) + equals + value
