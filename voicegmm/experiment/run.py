"""Running a recipe on a corpus."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicegmm._base.files import write_text
from voicegmm._base.presets import SETTING
from voicegmm._base.progress import Progress, silent
from voicegmm._base.version import __version__
from voicegmm.compute import engine
from voicegmm.corpus import Protocol
from voicegmm.experiment.fused import FusedRun
from voicegmm.experiment.lists import Contents, check_data, check_lists, list_warnings, read_lists
from voicegmm.experiment.locks import at_work
from voicegmm.experiment.recipe import FusedRecipe, LoadedRecipe, Recipe
from voicegmm.experiment.stages import Decision, LastStageDone, RunFolder, run_folder
from voicegmm.experiment.system import SystemRun, read_results, write_description

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Parameters
    ----------
    folder : pathlib.Path
    results : dict
        As in results.json: name, metrics, counts, warnings, failures; and of each stage its
        fingerprint, seconds, peak_memory_mb, whether it was skipped, and why.
    """

    folder: Path
    results: dict[str, Any]


def run_recipe(
    loaded: LoadedRecipe,
    data: Path,
    out: Path,
    n_workers: int = 1,
    progress: Progress = silent,
    include_audio: bool = False,
    shared: Path | None = None,
) -> RunResult:
    """Run a recipe on a corpus; stages that are up to date are skipped.

    Parameters
    ----------
    loaded : LoadedRecipe
    data : path
        The corpus.
    out : path
        The run folder; made where it is missing.
    n_workers : int
        Threads or processes; with Dask, threads of what is done here.
    progress : callable
        See `voicegmm._base.progress`.
    include_audio : bool
        Whether the report holds the voices of the worst errors.
    shared : path, optional
        A folder where runs find stages that another has done: see `RunFolder`.

    Returns
    -------
    RunResult

    Raises
    ------
    VoicegmmError
        Anything that the user can mend, before long work where it can be known before.
    """
    with _at_work(loaded, data, out, n_workers, shared) as folder:
        _stages(loaded, data, folder, n_workers, progress, include_audio)
        return RunResult(out, read_results(folder))


def run_stages(
    loaded: LoadedRecipe,
    data: Path,
    out: Path,
    last_stage: str,
    n_workers: int = 1,
    progress: Progress = silent,
    shared: Path | None = None,
) -> None:
    """Run a recipe as `run_recipe` does, up to a stage; all of it where there is no such stage.

    Parameters
    ----------
    last_stage : str
        Of the recipe itself, not of a system that it fuses.
    loaded, data, out, n_workers, progress, shared
        As for `run_recipe`.
    """
    at_work = _at_work(loaded, data, out, n_workers, shared, last_stage)
    with at_work as folder, suppress(LastStageDone):
        _stages(loaded, data, folder, n_workers, progress, include_audio=False)


@contextmanager
def _at_work(
    loaded: LoadedRecipe,
    data: Path,
    out: Path,
    n_workers: int,
    shared: Path | None,
    last_stage: str = "",
) -> Iterator[RunFolder]:
    """Hold a run folder, with its log and the engine that the recipe asks for."""
    check_data(data)
    with run_folder(out, shared, last_stage=last_stage) as folder, _logged(out):
        log.info(
            "voicegmm %s: %s on %s, %d workers", __version__, loaded.recipe.name, data, n_workers
        )
        with _engine(loaded.recipe, out):
            yield folder


def plan_recipe(
    loaded: LoadedRecipe,
    data: Path,
    out: Path,
    n_workers: int = 1,
    progress: Progress = silent,
    include_audio: bool = False,
    shared: Path | None = None,
    contents: Contents | None = None,
) -> list[Decision]:
    """Tell what `run_recipe` would do, and why; nothing is done and nothing is written.

    The fingerprint of a stage whose inputs are yet to be made is that of what they will be made
    from: two runs that have the same one would do the same work.

    Parameters
    ----------
    loaded, data, out, n_workers, progress, include_audio, shared
        As for `run_recipe`.
    contents : Contents, optional
        What is known of the recordings: plans of one corpus read each of them once.

    Returns
    -------
    list of Decision
        In the order of the stages, those of a fused recipe's systems first.
    """
    check_data(data)
    if other := at_work(out):
        log.warning("%s: another run is at work here (%s): this is how far it has come", out, other)
    with run_folder(out, shared, dry_run=True) as folder:
        _stages(loaded, data, folder, n_workers, progress, include_audio, contents)
        return folder.all_decisions()


def check_recipe(loaded: LoadedRecipe, data: Path) -> tuple[Protocol, list[str]]:
    """Check that a recipe can be run on a corpus, as far as can be known before any work.

    Parameters
    ----------
    loaded : LoadedRecipe
    data : path
        The corpus.

    Returns
    -------
    Protocol, list of str
        The lists, and what is doubtful about them.

    Raises
    ------
    VoicegmmError
        As `run_recipe` would at its start.
    """
    check_data(data)
    protocol = read_lists(loaded.recipe.data, loaded.folder, data)
    check_lists(loaded.recipe, protocol)
    return protocol, list_warnings(protocol)


def _stages(
    loaded: LoadedRecipe,
    data: Path,
    folder: RunFolder,
    n_workers: int,
    progress: Progress,
    include_audio: bool,
    contents: Contents | None = None,
) -> None:
    recipe, keep = loaded.recipe, not folder.dry_run
    place = folder.path / "lists" if keep else None
    protocol = read_lists(recipe.data, loaded.folder, data, place)
    check_lists(recipe, protocol)
    if keep:
        _keep_recipe(loaded, folder.path)
    write_description(folder, recipe, n_workers)
    contents = contents or Contents(folder.shared or folder.path, n_workers, progress, keep)
    if isinstance(recipe, FusedRecipe):
        FusedRun(
            recipe, folder, protocol, contents, n_workers, progress, include_audio
        ).all_stages()
    else:
        SystemRun(
            recipe, folder, protocol, contents, n_workers, progress, include_audio
        ).all_stages()


def _keep_recipe(loaded: LoadedRecipe, folder: Path) -> None:
    """Write the recipe down so that it can be run from there."""
    place = folder / "recipe.toml"
    # Run from there, it keeps what it says of where values come from.
    itself = loaded.path and loaded.path.resolve() == place.resolve()
    if not itself or SETTING in loaded.sources.values():
        write_text(place, loaded.to_toml())
    prepare = loaded.recipe.data.prepare
    if prepare and loaded.folder.resolve() != folder.resolve():
        write_text(folder / prepare, (loaded.folder / prepare).read_text("utf-8"))


@contextmanager
def _engine(recipe: Recipe | FusedRecipe, out: Path) -> Iterator[None]:
    """Let an engine work in a run folder, with a place for what is too large to be sent."""
    scratch = (out / ".scratch").resolve()
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    if recipe.compute.engine != "threads":
        scratch.mkdir()
    try:
        with engine(recipe.compute, scratch, recipe.in_double):
            yield
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _logged:  # noqa: N801 - reads as a clause of the with statement
    """Write what the package logs into the run folder too, and how the run ended."""

    def __init__(self, out: Path) -> None:
        self._path = out / "run.log"

    def __enter__(self) -> None:
        self._handler = _LogFile(self._path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("voicegmm")
        self._level = logger.level
        logger.setLevel(min(self._level or logging.INFO, logging.INFO))
        logger.addHandler(self._handler)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            reason = " ".join(str(error).split()) or type(error).__name__
            log.info("stopped: %s", reason)
        logger = logging.getLogger("voicegmm")
        logger.removeHandler(self._handler)
        logger.setLevel(self._level)
        with suppress(OSError):  # what could not be written was told already, by who needs it
            self._handler.close()


class _LogFile(logging.FileHandler):
    """A log that goes on without the lines for which a full disk has no room."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: the stage that cannot be written says what is wrong."""
