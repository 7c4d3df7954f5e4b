"""Mixtures on disk: the arrays that models and checkpoints are made of."""

import h5py
import numpy as np

from voicegmm.mixture import DiagonalGMM
from voicegmm.store.datasets import read_array


def write_mixture(group: h5py.Group, gmm: DiagonalGMM) -> None:
    """Write a mixture's arrays."""
    for name in ("weights", "means", "variances"):
        group[name] = getattr(gmm, name)


def read_mixture(group: h5py.Group) -> DiagonalGMM:
    """Read a mixture's arrays.

    Raises
    ------
    FormatError
        If one is missing, or does not fit the others.
    """
    weights = read_array(group, "weights", (None,), np.float64)
    means = read_array(group, "means", (len(weights), None), np.float64)
    return DiagonalGMM(weights, means, read_array(group, "variances", means.shape, np.float64))
