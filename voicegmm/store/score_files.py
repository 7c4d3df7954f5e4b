"""Score files, keys and quality measures of any program, recognized."""

from dataclasses import replace
from pathlib import Path

from voicegmm._base.checks import one_of
from voicegmm.corpus import Trials, write_trials
from voicegmm.corpus.keys import read_key
from voicegmm.scoring import QualityTable, ScoreTable, read_quality
from voicegmm.scoring.evaluation import with_key
from voicegmm.scoring.quality import SECONDS
from voicegmm.scoring.score_lists import SCORE_LISTS, read_score_list, write_score_list
from voicegmm.store.bosaris import (
    is_hdf5,
    read_bosaris_scores,
    read_bosaris_trials,
    write_bosaris_scores,
    write_bosaris_trials,
)
from voicegmm.store.features import FeatureStore

SCORE_FILES = (*SCORE_LISTS, "bosaris")


def read_score_file(path: str | Path, are_ratios: bool = False) -> ScoreTable:
    """Read scores: our table, VoxCeleb's, Kaldi's, NIST's or ASVspoof's lists, BOSARIS' HDF5.

    Parameters
    ----------
    path : path
    are_ratios : bool
        Whether scores of others are natural-log likelihood ratios, which their files do not say.

    Raises
    ------
    ListError, FormatError
        If it is none of these, or damaged.
    """
    table = read_bosaris_scores(path) if is_hdf5(path) else read_score_list(path)
    return replace(table, llrs=table.scores) if are_ratios and table.llrs is None else table


def read_key_file(path: str | Path) -> Trials:
    """Read a key or a list of trials; see `voicegmm.corpus.keys`, and BOSARIS' Key and Ndx.

    Raises
    ------
    ListError, FormatError
        If it is none of these, or damaged.
    """
    return read_bosaris_trials(path) if is_hdf5(path) else read_key(path)


def write_key_file(path: str | Path, trials: Trials) -> None:
    """Write which trials are targets: BOSARIS' Key where the name ends in .h5, else a trial list.

    Without labels it is an Ndx, or a list of trials without them.

    Raises
    ------
    DataError, ListError
        If the trials do not fit into such a file.
    """
    if Path(path).suffix == ".h5":
        write_bosaris_trials(path, trials)
    else:
        write_trials(path, trials)


def read_labeled(path: Path, key: Path | None = None, are_ratios: bool = False) -> ScoreTable:
    """Read scores, with the labels of a key where one is given.

    Raises
    ------
    ListError, FormatError
        If a file does not fit.
    DataError
        If a trial of the table is not in the key.
    """
    table = read_score_file(path, are_ratios)
    return with_key(table, read_key_file(key), str(key)) if key else table


def read_quality_file(path: str | Path) -> QualityTable:
    """Read quality measures of trials: a table, see `read_quality`, or a feature store.

    A feature store knows the seconds of speech of each recording, for tests that bear its name.

    Raises
    ------
    ListError, FormatError
        If it is neither, or damaged.
    """
    if not is_hdf5(path):
        return read_quality(path)
    with FeatureStore(path) as store:
        known = {file: store.seconds(file) for file in store.ids}
    rows: dict[tuple[str, ...], tuple[float, ...]] = {
        (file,): (seconds,) for file, seconds in known.items() if seconds > 0
    }
    return QualityTable(str(path), ("test",), (SECONDS,), rows)


def write_score_file(path: str | Path, table: ScoreTable, kind: str) -> int:
    """Write scores as another program reads them; see `voicegmm.scoring.score_lists`.

    Parameters
    ----------
    path : path
    table : ScoreTable
    kind : {"voicegmm", "voxceleb", "kaldi", "nist", "asvspoof", "bosaris"}

    Returns
    -------
    int
        How many trials without a score are left out.

    Raises
    ------
    ListError
        If the names of the trials do not fit into such a file.
    """
    one_of("kind", kind, SCORE_FILES)
    if kind == "bosaris":
        write_bosaris_scores(path, table)
        return int((~table.scored).sum())
    return write_score_list(path, table, kind)
