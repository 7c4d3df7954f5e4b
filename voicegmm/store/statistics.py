"""Statistics on disk: what one machine has collected, for another to add up."""

import os

import numpy as np

from voicegmm._base.errors import FormatError
from voicegmm._base.options import canonical_json
from voicegmm.mixture import Statistics
from voicegmm.scoring.background import digest_of
from voicegmm.store.datasets import damage_named, read_array
from voicegmm.store.hdf5 import new_file, open_file

STATISTICS_FORMAT, STATISTICS_VERSION = "voicegmm/statistics", 2  # the first: all are sealed


def save_statistics(path: str | os.PathLike[str], statistics: Statistics, parent: str = "") -> None:
    """Write statistics, whole or not at all.

    Parameters
    ----------
    path : path
    statistics : Statistics
    parent : str
        Fingerprint of the `BackgroundModel` that they were collected under: statistics of different
        models cannot be added.
    """
    kind, version, mark = STATISTICS_FORMAT, STATISTICS_VERSION, _fingerprint(statistics)
    with new_file(path, kind, version, {}, mark, parent) as file:
        for name in ("counts", "first", "second"):
            file[name] = getattr(statistics, name)
        for name in ("log_likelihood", "n_frames"):
            file[name] = np.array([getattr(statistics, name)])


def load_statistics(path: str | os.PathLike[str]) -> Statistics:
    """Read statistics.

    Raises
    ------
    FormatError
        If the file holds none, or is damaged.
    """
    kind, version = STATISTICS_FORMAT, STATISTICS_VERSION
    with damage_named(path), open_file(path, kind, version) as file:
        counts = read_array(file, "counts", (None,), np.float64, least=0)
        first = read_array(file, "first", (len(counts), None), np.float64)
        n, dims = first.shape
        found = file["second"].shape
        if found not in ((n, dims), (n, dims, dims), (dims, dims)):
            raise FormatError(f"{path}: second has shape {found}, which does not fit {first.shape}")
        statistics = Statistics(
            counts,
            first,
            read_array(file, "second", found, np.float64),
            float(read_array(file, "log_likelihood", (1,), np.float64)[0]),
            float(read_array(file, "n_frames", (1,), np.float64, least=0)[0]),
        )
        if _fingerprint(statistics) != file.attrs["fingerprint"]:
            raise FormatError(f"{path}: damaged: the statistics do not fit their fingerprint")
        return statistics


def _fingerprint(statistics: Statistics) -> str:
    text = canonical_json([statistics.log_likelihood, statistics.n_frames])
    return digest_of(text, statistics.counts, statistics.first, statistics.second)
