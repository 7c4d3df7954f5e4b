"""A recipe: everything that decides what an experiment does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import OptionError
from voicegmm._base.options import from_mapping
from voicegmm._base.presets import load_config, with_overrides
from voicegmm.features import PipelineOptions
from voicegmm.mixture import MapOptions
from voicegmm.scoring import FoldOptions, ScoringOptions, UbmOptions
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
class Recipe:
    """An experiment.

    Parameters
    ----------
    name : str
    description : str
        One line, for the report.
    seed : int
        Of the background model and the folds; 0 or more.
    data : DataOptions
    features : PipelineOptions
    ubm : UbmOptions
    adaptation : MapOptions
    scoring : ScoringOptions
    calibration : FoldOptions
    evaluation : EvaluationOptions
    """

    name: str
    description: str = ""
    seed: int = 0
    data: DataOptions = field(default_factory=DataOptions)
    features: PipelineOptions = field(default_factory=PipelineOptions)
    ubm: UbmOptions = field(default_factory=UbmOptions)
    adaptation: MapOptions = field(default_factory=MapOptions)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    calibration: FoldOptions = field(default_factory=FoldOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def __post_init__(self) -> None:
        within("seed", self.seed, 0, 2**63 - 1)
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise OptionError(f"name must be usable as a folder's name, got {self.name!r}")


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and the folder it was found in.

    Parameters
    ----------
    recipe : Recipe
    folder : pathlib.Path
    """

    recipe: Recipe
    folder: Path


def load_recipe(name: str, settings: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe by path or preset name, with ``key=value`` settings laid over it.

    Raises
    ------
    OptionError
        Naming the value that cannot be, what would be right, and where it stands.
    """
    config = with_overrides(load_config(name), settings)
    path = config.path or Path(name)
    recipe = from_mapping(Recipe, config.values, str(path), sources=config.sources)
    return LoadedRecipe(recipe, path.parent)
