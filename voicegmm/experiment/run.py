"""Running a recipe on a corpus."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicegmm._base.errors import OptionError
from voicegmm._base.progress import Progress, silent
from voicegmm.experiment.fused import FusedRun
from voicegmm.experiment.recipe import FusedRecipe, LoadedRecipe
from voicegmm.experiment.stages import run_folder
from voicegmm.experiment.system import SystemRun


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Parameters
    ----------
    folder : pathlib.Path
    results : dict
        As in results.json: name, metrics, counts, warnings, failures, stages.
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
    progress : callable
        See `voicegmm._base.progress`.
    include_audio : bool
        Whether the report holds the voices of the worst errors.

    Returns
    -------
    RunResult

    Raises
    ------
    VoicegmmError
        Anything that the user can mend, before long work where it can be known before.
    """
    if not data.is_dir():
        raise OptionError(f"--data {data}: no such folder; give the folder of the corpus")
    with run_folder(out) as folder, _logged(out):
        recipe, place = loaded.recipe, loaded.folder
        if isinstance(recipe, FusedRecipe):
            fused = FusedRun(recipe, place, data, folder, n_workers, progress, include_audio)
            return RunResult(out, fused.all_stages())
        run = SystemRun(recipe, place, data, folder, n_workers, progress, include_audio)
        return RunResult(out, run.all_stages())


class _logged:  # noqa: N801 - reads as a clause of the with statement
    """Write what the package logs into the run folder too."""

    def __init__(self, out: Path) -> None:
        self._path = out / "run.log"

    def __enter__(self) -> None:
        self._handler = logging.FileHandler(self._path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("voicegmm")
        self._level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("voicegmm")
        logger.removeHandler(self._handler)
        logger.setLevel(self._level)
        self._handler.close()
