"""A recipe: everything that decides what an experiment does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import OptionError
from voicegmm._base.options import from_mapping
from voicegmm._base.presets import Config, load_config, with_overrides
from voicegmm.features import PipelineOptions
from voicegmm.mixture import MapOptions
from voicegmm.scoring import FoldOptions, FusionOptions, ScoringOptions, UbmOptions
from voicegmm.scoring.evaluation import EvaluationOptions


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
    """

    name: str
    description: str = ""
    seed: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    calibration: FoldOptions = field(default_factory=FoldOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

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
    name, description, seed, data, calibration, evaluation
        As of an `Experiment`.
    features : PipelineOptions
    ubm : UbmOptions
    adaptation : MapOptions
    scoring : ScoringOptions
    """

    features: PipelineOptions = field(default_factory=PipelineOptions)
    ubm: UbmOptions = field(default_factory=UbmOptions)
    adaptation: MapOptions = field(default_factory=MapOptions)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)


_OF_A_SYSTEM = ("features", "ubm", "adaptation", "scoring")


@dataclass(frozen=True)
class FusedRecipe(Experiment):
    """An experiment with several systems that are fused.

    The systems share what an `Experiment` says; the fusion is learned from the trials of the folds,
    which are the same ones for all.

    Parameters
    ----------
    name, description, seed, data, calibration, evaluation
        As of an `Experiment`.
    fusion : FusionOptions
    systems : mapping of str to Recipe
    """

    fusion: FusionOptions = field(default_factory=FusionOptions)
    systems: Mapping[str, Recipe] = field(default_factory=dict)


@dataclass(frozen=True)
class _FusedFile(Experiment):
    """What stands in the file of a fused recipe: its systems are names of recipes, two at least."""

    fusion: FusionOptions = field(default_factory=FusionOptions)
    systems: dict[str, str] = field(default_factory=dict)

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
    """A recipe and the folder it was found in.

    Parameters
    ----------
    recipe : Recipe or FusedRecipe
    folder : pathlib.Path
    """

    recipe: Recipe | FusedRecipe
    folder: Path


def load_recipe(name: str, settings: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe by path or preset name, with ``key=value`` settings laid over it.

    A recipe with a table ``[systems]`` (``NAME = "RECIPE"``, a preset or a path beside it) is a
    fused one: settings of `features`, `ubm`, `adaptation` and `scoring` go to each of its systems.

    Raises
    ------
    OptionError
        Naming the value that cannot be, what would be right, and where it stands.
    """
    config = load_config(name)
    path = config.path or Path(name)
    if "systems" in config.values:
        return LoadedRecipe(_fused(config, settings, path), path.parent)
    return LoadedRecipe(_single(with_overrides(config, settings), path), path.parent)


def _single(config: Config, path: Path) -> Recipe:
    return from_mapping(Recipe, config.values, str(path), sources=config.sources)


def _fused(config: Config, settings: Sequence[str], path: Path) -> FusedRecipe:
    of_systems = [setting for setting in settings if _table(setting) in _OF_A_SYSTEM]
    rest = [setting for setting in settings if _table(setting) not in _OF_A_SYSTEM]
    shared_config = with_overrides(config, rest)
    misplaced = [key for key in _OF_A_SYSTEM if key in shared_config.values]
    if misplaced:
        raise OptionError(
            f"{path}: [{misplaced[0]}] belongs to the recipes that [systems] names, or to a "
            "recipe without [systems]"
        )
    given = from_mapping(_FusedFile, shared_config.values, str(path), sources=shared_config.sources)
    shared = {one.name: getattr(given, one.name) for one in fields(Experiment)}
    systems = {}
    for name, recipe in given.systems.items():
        inner = load_config(recipe, path.parent)
        if "systems" in inner.values:
            raise OptionError(f"{path}: systems.{name}: {recipe} is a fused recipe itself")
        one = _single(with_overrides(inner, of_systems), inner.path or Path(recipe))
        systems[name] = replace(one, **shared | {"name": name, "description": one.description})
    return FusedRecipe(**shared, fusion=given.fusion, systems=systems)


def _table(setting: str) -> str:
    return setting.partition("=")[0].partition(".")[0].strip()
