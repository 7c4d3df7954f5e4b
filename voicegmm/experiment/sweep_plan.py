"""What a sweep will do: its points, what they are compared by, which work they have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voicegmm._base.checks import did_you_mean, one_of
from voicegmm._base.errors import OptionError
from voicegmm.experiment.recipe import FusedRecipe, LoadedRecipe, load_recipe
from voicegmm.experiment.stages import Decision
from voicegmm.experiment.sweep_grid import Axis, Point, grid_points, read_axis

ON = ("trials", "background")
_LARGER_IS_BETTER = ("auc",)


@dataclass(frozen=True)
class SweepOptions:
    """What the points of a sweep are compared by.

    Parameters
    ----------
    metric : str
        As in results.json: "eer", "min_dcf_0.01", "cllr" ...
    baseline : str
        Name of the point that the others are tested against; empty: the one that is the recipe as
        it stands, else the first.
    on : {"trials", "background"}
        The recipe's trials; or the trials among the speakers of the background that its
        calibration is learned from, so that nothing is chosen on the speakers of the trials.
    """

    metric: str = "eer"
    baseline: str = ""
    on: str = "trials"

    def __post_init__(self) -> None:
        one_of("on", self.on, ON)


@dataclass(frozen=True)
class Sweep:
    """A sweep whose every option has been checked; see `plan_sweep`.

    Parameters
    ----------
    recipe : str
        Path or preset name.
    axes : tuple of Axis
    settings : tuple of str
        ``key=value``, of all points.
    points : tuple of Point
    options : SweepOptions
        With the name of the baseline.
    """

    recipe: str
    axes: tuple[Axis, ...]
    settings: tuple[str, ...]
    points: tuple[Point, ...]
    options: SweepOptions = field(default_factory=SweepOptions)

    @property
    def name(self) -> str:
        """What the recipe is called."""
        return self.points[0].loaded.recipe.name

    @property
    def smaller_is_better(self) -> bool:
        """Whether the best point has the smallest figure."""
        return self.options.metric not in _LARGER_IS_BETTER

    @property
    def last_stage(self) -> str:
        """The last stage that the comparison needs; empty for all of them."""
        fused = any(isinstance(point.loaded.recipe, FusedRecipe) for point in self.points)
        return "calibration" if self.options.on == "background" and not fused else ""


def plan_sweep(
    recipe: str,
    grid: Sequence[str],
    settings: Sequence[str] = (),
    options: SweepOptions | None = None,
) -> Sweep:
    """Check a sweep, every option of every point, and name its points.

    Parameters
    ----------
    recipe : str
        Path or preset name.
    grid : sequence of str
        ``key=value,value`` each, values as TOML writes them; ``features.extends=NAME,NAME`` tries
        presets.
    settings : sequence of str
        ``key=value``, for all points.
    options : SweepOptions, optional

    Returns
    -------
    Sweep

    Raises
    ------
    OptionError
        Naming what cannot be, and what would be right.
    """
    options = options or SweepOptions()
    base = load_recipe(recipe, settings)
    points = grid_points(recipe, grid, settings)
    for point in points:
        _check_measured(point, options)
    baseline = _baseline(points, base, options.baseline)
    return Sweep(
        recipe,
        tuple(map(read_axis, grid)),
        tuple(settings),
        tuple(points),
        SweepOptions(options.metric, baseline, options.on),
    )


def _check_measured(point: Point, options: SweepOptions) -> None:
    """Refuse a metric that a point will not have."""
    recipe = point.loaded.recipe
    calibrated = recipe.calibration.design != "none"
    if options.on == "background" and not calibrated:
        raise OptionError(
            f"{point.name}: calibration.design must not be 'none' with --on background: the trials "
            "of background speakers are those of its folds"
        )
    of_folds = options.on == "background" and not isinstance(recipe, FusedRecipe)
    known = recipe.evaluation.metric_names(calibrated and not of_folds)
    if options.metric in known:
        return
    if options.metric in recipe.evaluation.metric_names():
        because = (
            "the ratios of the folds were learned from themselves"
            if of_folds
            else "calibration.design is 'none'"
        )
        raise OptionError(
            f"{point.name}: metric {options.metric} is of calibrated ratios, and {because}; take "
            f"one of {', '.join(known)}"
        )
    raise OptionError(
        f"{point.name}: metric must be one of {', '.join(known)}; got {options.metric!r}"
        f"{did_you_mean(options.metric, known)}"
    )


def _baseline(points: Sequence[Point], base: LoadedRecipe, wanted: str) -> str:
    names = [point.name for point in points]
    if wanted:
        one_of("baseline", wanted, names)
        return wanted
    same = (point.name for point in points if point.loaded.recipe == base.recipe)
    return next(same, names[0])


@dataclass(frozen=True)
class SharedWork:
    """A stage that several points have in common.

    Parameters
    ----------
    stage : str
    points : tuple of str
        Whose it is; the first of them does it for all.
    done : bool
        Whether it is there already.
    """

    stage: str
    points: tuple[str, ...]
    done: bool


def shared_work(decisions: Mapping[str, Sequence[Decision]]) -> list[SharedWork]:
    """Find the stages that points have in common, in the order in which they are to be done.

    Parameters
    ----------
    decisions : mapping of str to sequence of Decision
        Point -> what becomes of each of its stages.
    """
    groups: dict[tuple[str, str], dict[str, Decision]] = {}
    for point, stages in decisions.items():
        for decision in stages:
            key = decision.stage, decision.fingerprint
            groups.setdefault(key, {})[point] = decision
    order = list(dict.fromkeys(stage for stage, _ in groups))
    return [
        SharedWork(
            stage,
            tuple(members),
            any(decision.action in ("skip", "take") for decision in members.values()),
        )
        for (stage, _), members in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
        if len(members) > 1
    ]
