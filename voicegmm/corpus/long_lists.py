"""Trial lists that are too long for memory, in parts of which each has all trials of its tests."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voicegmm._base.errors import ListError, VoicegmmError
from voicegmm.corpus.trials import Trials, each_trial

PART_BYTES = 2**22  # of a list that make one part: some 200,000 trials, and 12 MB at work
_MOST_PARTS = 512  # files that are open at once


def n_parts_of(path: str | Path) -> int:
    """Tell in how many parts a list is worked on: 1 where it is short."""
    path = Path(path)
    n_bytes = path.stat().st_size if path.is_file() else 0
    return min(max(-(-n_bytes // PART_BYTES), 1), _MOST_PARTS)


@contextmanager
def parts_folder(out: str | Path) -> Iterator[Path]:
    """Make the folder ``out`` + ".parts", for the parts of a list and what becomes of them.

    It goes when the block ends well. Otherwise finished work in it stays (files whose names end in
    ".partial"), and the same work goes on from there.

    Raises
    ------
    VoicegmmError
        If it cannot be made.
    """
    folder = Path(f"{out}.parts")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise VoicegmmError(f"{folder}: cannot be made: {error.strerror}") from error
    done = False
    try:
        yield folder
        done = True
    finally:
        for path in folder.iterdir():
            if done or path.suffix != ".partial":
                path.unlink()
        with suppress(OSError):
            folder.rmdir()


@dataclass(frozen=True)
class TrialParts:
    """A list of trials in parts, each in a file.

    Parameters
    ----------
    source : Path
        The list.
    files : tuple of Path
        A line a trial: its place in the list, model, test and label.
    models, tests : tuple of str
        Each name once.
    n_trials : int
        Lines of the list, with those that stand twice.
    """

    source: Path
    files: tuple[Path, ...]
    models: tuple[str, ...]
    tests: tuple[str, ...]
    n_trials: int

    def check_known(self, models: set[str], tests: set[str], where: str) -> None:
        """Do what `Trials.check_known` does, for all parts at once."""
        none = np.zeros(0, dtype=np.int64)
        names = Trials(self.models, self.tests, none, none, none.astype(np.int8))
        names.check_known(models, tests, where)

    def rows(self, part: int) -> Iterator[tuple[int, str, str, int]]:
        """Give place, model, test and label of the trials of a part, in the list's order."""
        with self.files[part].open(encoding="utf-8", newline="\n") as file:
            for line in file:
                place, model, test, label = line.removesuffix("\n").split("\t")
                yield int(place), model, test, int(label)

    def trials(self, part: int) -> Trials:
        """Give the trials of a part, each once.

        Raises
        ------
        ListError
            If a trial stands with both labels.
        """
        try:
            return Trials.of(row[1:] for row in self.rows(part))
        except ListError as error:
            raise ListError(f"{self.source}: {error}") from None


def split_trials(path: str | Path, folder: Path, n_parts: int) -> TrialParts:
    """Read a trial list of any kind and write it into parts; memory does not grow with its length.

    Which part a trial belongs to depends on its test alone.

    Parameters
    ----------
    path : path
    folder : Path
        Is there; gets the files.
    n_parts : int

    Raises
    ------
    ListError
        Naming the line that does not fit.
    """
    models: dict[str, None] = {}
    tests: dict[str, int] = {}
    files = tuple(folder / f"{part}.trials" for part in range(n_parts))
    place = -1
    with ExitStack() as stack:
        parts = [stack.enter_context(f.open("w", encoding="utf-8", newline="\n")) for f in files]
        for place, (model, test, label) in enumerate(each_trial(path)):
            models[model] = None
            if test not in tests:
                tests[test] = zlib.crc32(test.encode()) % n_parts
            parts[tests[test]].write(f"{place}\t{model}\t{test}\t{label}\n")
    return TrialParts(Path(path), files, tuple(models), tuple(tests), place + 1)
