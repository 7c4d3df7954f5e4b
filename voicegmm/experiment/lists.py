"""What an experiment is made on: its lists, and the content of its recordings."""

import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb

from voicegmm._base.errors import ListError, OptionError, VoicegmmError
from voicegmm._base.files import content_hash, write_text
from voicegmm._base.options import fingerprint
from voicegmm._base.progress import Progress, silent
from voicegmm.compute import ordered_map
from voicegmm.corpus import Protocol, by_speaker, leakage_warnings
from voicegmm.experiment.recipe import DataOptions, FusedRecipe, Recipe
from voicegmm.experiment.report_run import RECORDINGS
from voicegmm.scoring.cohort import cohort_size

_HEADER = "file\tbytes\tchanged_ns\tsha256"
_UNREADABLE = "unreadable"


def check_data(data: Path) -> None:
    """Refuse a corpus that is not there."""
    if not data.is_dir():
        raise OptionError(f"--data {data}: no such folder; give the folder of the corpus")


def check_prepare(options: DataOptions, recipe_folder: Path) -> None:
    """Refuse a recipe whose prepare.py is not there."""
    path = recipe_folder / options.prepare
    if options.prepare and not path.is_file():
        raise OptionError(f"{path}: no such file; data.prepare names a file beside the recipe")


def read_lists(
    options: DataOptions, recipe_folder: Path, data: Path, place: Path | None = None
) -> Protocol:
    """Read the lists of an experiment, having them made if its recipe knows how.

    Parameters
    ----------
    options : DataOptions
    recipe_folder : path
        Where `options.prepare` is.
    data : path
        The corpus.
    place : path, optional
        The folder that lists which are made are kept in, whole or not at all; else they are not.

    Raises
    ------
    ListError
        Naming all lists that are missing, or all recordings; or what cannot be used in a list.
    OptionError
        If there is no `options.prepare`.
    VoicegmmError
        If the lists cannot be made, naming the line that failed.
    """
    if not options.prepare:
        return _read(options, data / options.lists, data)
    check_prepare(options, recipe_folder)
    with made_lists(recipe_folder / options.prepare, data, place) as made:
        return _read(options, made, data)


def _read(options: DataOptions, lists: Path, data: Path) -> Protocol:
    names = [options.background, options.enrollments, options.trials, options.segments]
    missing = [name for name in names if name and not (lists / name).is_file()]
    if missing:
        raise ListError(
            f"{', '.join(missing)}: no such list in {lists}; check --data, and [data] of the recipe"
        )
    return Protocol.read(
        lists,
        data / options.recordings,
        options.background,
        options.enrollments,
        options.trials,
        options.segments,
    )


@contextmanager
def made_lists(prepare: Path, data: Path, place: Path | None) -> Iterator[Path]:
    """Have the lists made, aside; those of an earlier run stay until the new ones are whole."""
    beside = str(place.parent) if place else None
    with tempfile.TemporaryDirectory(prefix=".lists.", suffix=".part", dir=beside) as aside:
        made = Path(aside) / "lists"
        made.mkdir()
        _prepare(prepare, data, made)
        if place:
            if place.exists():
                place.rename(Path(aside) / "before")
            made = made.rename(place)
        yield made


def check_lists(recipe: Recipe | FusedRecipe, protocol: Protocol) -> None:
    """Refuse lists that a recipe cannot be run on, before hours of work.

    Raises
    ------
    ListError
        If trials have no label, or all the same.
    OptionError
        If scores are to be normalized and there is no cohort.
    """
    labels = protocol.trials.labels
    for label, kind in ((-1, "without a label"), (1, "target trials"), (0, "non-target trials")):
        count = int((labels == label).sum())
        if count == len(labels) or (label < 0 and count):
            raise ListError(
                f"{recipe.data.trials}: {count} of {len(labels)} are {kind}; an experiment needs "
                "labeled trials, target and non-target"
            )
    systems = recipe.systems if isinstance(recipe, FusedRecipe) else {"": recipe}
    for name, system in systems.items():
        place = f"systems.{name}.scoring" if name else "scoring"
        if system.scoring.normalization.method != "none":
            _check_cohort(protocol, f"{place}.normalization.method", system)


def _check_cohort(protocol: Protocol, place: str, recipe: Recipe) -> None:
    background = by_speaker(protocol.background)
    n_enroll = cohort_size(protocol.enrollments, background)
    enrolled = {enrollment.model for enrollment in protocol.enrollments}
    able = [name for name, files in background.items() if len(files) > n_enroll]
    n_cohort = len(set(able) - enrolled)
    if n_cohort < 2:
        raise OptionError(
            f"{place} must be 'none' with these lists, got "
            f"{recipe.scoring.normalization.method!r}: its cohort takes two speakers of "
            f"{recipe.data.background} who are not enrolled, with {n_enroll + 1} recordings or "
            f"more; there are {n_cohort}"
        )


def list_warnings(protocol: Protocol) -> list[str]:
    """Say what is doubtful about the lists of an experiment."""
    warnings = list(leakage_warnings(protocol))
    if protocol.trials.n_duplicates:
        count = protocol.trials.n_duplicates
        warnings.append(f"{count} trials stand twice in the list and count once")
    return warnings


@dataclass
class Contents:
    """What recordings hold: their SHA-256, read anew where size or time of change are others.

    Parameters
    ----------
    place : path
        The folder where what was read is kept, in `RECORDINGS`.
    n_workers : int
    progress : callable
    keep : bool
        Whether to write it down.
    """

    place: Path
    n_workers: int = 1
    progress: Progress = silent
    keep: bool = True
    _known: dict[Path, tuple[str, str]] = field(default_factory=dict)

    def of(self, paths: Mapping[str, Path]) -> str:
        """Give a fingerprint of the content of recordings, wherever they lie.

        Parameters
        ----------
        paths : mapping of str to path
            Name -> recording.
        """
        if not self._known:
            self._known = self._read()
        stamps = {path: _stamp(path) for path in paths.values()}
        new = [path for path, stamp in stamps.items() if self._known.get(path, ("",))[0] != stamp]
        hashes = ordered_map(_content, new, self.n_workers)
        for number, (path, content) in enumerate(zip(new, hashes, strict=True), 1):
            self._known[path] = stamps[path], content
            self.progress("recordings", number, len(new))
        if new and self.keep:
            lines = ("\t".join([str(path), *known]) for path, known in self._known.items())
            write_text(self.place / RECORDINGS, "\n".join([_HEADER, *lines]) + "\n")
        return fingerprint([[name, self._known[path][1]] for name, path in paths.items()])

    def _read(self) -> dict[Path, tuple[str, str]]:
        try:
            lines = (self.place / RECORDINGS).read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return {}
        rows = (line.split("\t") for line in lines[1:])
        return {Path(row[0]): ("\t".join(row[1:3]), row[3]) for row in rows if len(row) == 4}


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return _UNREADABLE
    return f"{status.st_size}\t{status.st_mtime_ns}"


def _content(path: Path) -> str:
    try:
        return content_hash(path)
    except OSError:  # whoever wants its frames says what is wrong with it
        return _UNREADABLE


def _prepare(path: Path, data: Path, lists: Path) -> None:
    """Run a recipe's prepare.py: the only code that knows the corpus."""
    specification = importlib.util.spec_from_file_location(f"prepare_{path.parent.name}", path)
    if specification is None or specification.loader is None:
        raise OptionError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(specification)
    try:
        with redirect_stdout(sys.stderr):  # where a result is printed, nothing else may be
            specification.loader.exec_module(module)
            if not hasattr(module, "prepare"):
                raise OptionError(f"{path}: defines no function prepare(data, lists)")
            module.prepare(data, lists)
    except VoicegmmError:
        raise
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in extract_tb(error.__traceback__) if f.filename == str(path)]
        place = f"line {lines[-1]}: " if lines else ""
        raise VoicegmmError(f"{path}: {place}{type(error).__name__}: {error}") from error
