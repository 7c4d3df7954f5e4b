"""The record of a training on disk, and the state of one that has not ended."""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np

from voicegmm._base.errors import FormatError
from voicegmm.mixture import DiagonalGMM, FitResult, Iteration
from voicegmm.store.datasets import damage_named, read_amount, read_array
from voicegmm.store.hdf5 import new_file, open_file
from voicegmm.store.mixtures import read_mixture, write_mixture

CHECKPOINT_FORMAT, CHECKPOINT_VERSION = "voicegmm/checkpoint", 2
_RAGGED = {"counts": np.float64, "floored": np.int64, "floored_dims": np.int64, "starved": np.int8}
_LOSSES = ("loss", "loss_error")
_UNKNOWN = -1.0  # a loss that nobody looked at


def write_record(group: h5py.Group, iterations: tuple[Iteration, ...]) -> None:
    """Write a training record, without its seconds: the same training gives the same bytes.

    The arrays of all iterations stand one after the other, since components can be dropped. Losses
    are there only where a pass left components out.
    """
    group["log_likelihood"] = np.array([line.log_likelihood for line in iterations], np.float64)
    for name, kind in _RAGGED.items():
        parts = [getattr(line, name) for line in iterations]
        group[name] = np.concatenate([np.empty(0, kind), *parts]).astype(kind)
        group[f"{name}_sizes"] = np.array([len(part) for part in parts], np.int64)
    if not all(line.exact for line in iterations):
        for name in _LOSSES:
            values = np.array([getattr(line, name) for line in iterations], np.float64)
            group[name] = np.where(np.isnan(values), _UNKNOWN, values)  # no file holds a NaN


def read_record(group: h5py.Group) -> tuple[Iteration, ...]:
    """Read a training record.

    Raises
    ------
    FormatError
        If its parts do not fit together.
    """
    likelihoods = read_array(group, "log_likelihood", (None,), np.float64)
    columns = {}
    for name, kind in _RAGGED.items():
        sizes = read_array(group, f"{name}_sizes", likelihoods.shape, np.int64, least=0)
        values = read_array(group, name, (None,), kind, least=0)
        if sizes.sum() != len(values):
            raise FormatError(f"{group.file.filename}: damaged: {name} and its sizes do not fit")
        columns[name] = np.split(values, np.cumsum(sizes)[:-1]) if len(sizes) else []
    zeros = np.zeros(len(likelihoods))
    losses = {
        name: read_array(group, name, likelihoods.shape, np.float64) if name in group else zeros
        for name in _LOSSES
    }
    return tuple(
        Iteration(
            float(likelihood),
            counts=columns["counts"][number],
            floored=columns["floored"][number],
            floored_dims=columns["floored_dims"][number],
            starved=columns["starved"][number],
            loss=_known(losses["loss"][number]),
            loss_error=_known(losses["loss_error"][number]),
        )
        for number, likelihood in enumerate(likelihoods)
    )


def _known(loss: float) -> float:
    return np.nan if loss == _UNKNOWN else float(loss)


class TrainingCheckpoint:
    """Keeps the last finished iteration of a training in a file until the training has ended.

    Parameters
    ----------
    path : path
        Of the checkpoint: see `beside`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @staticmethod
    def beside(out: str | os.PathLike[str]) -> "TrainingCheckpoint":
        """Give the checkpoint of the training that will write `out`: ``out`` + ".partial"."""
        return TrainingCheckpoint(f"{os.fspath(out)}.partial")

    def load(self, fingerprint: str) -> FitResult[DiagonalGMM] | None:
        """Give what a training had come to, or None if there is nothing of this very training.

        Parameters
        ----------
        fingerprint : str
            Of options, seed and data.
        """
        if not self.path.exists():
            return None
        try:
            with open_file(self.path, CHECKPOINT_FORMAT, CHECKPOINT_VERSION) as file:
                same = file.attrs["fingerprint"] == fingerprint
            return self.read() if same else None
        except FormatError:  # it is only a help: without it the training starts anew
            return None

    def read(self) -> FitResult[DiagonalGMM]:
        """Give what the training had come to, whichever it was.

        Raises
        ------
        FormatError
            If the file holds no checkpoint, or is damaged.
        """
        with (
            damage_named(self.path),
            open_file(self.path, CHECKPOINT_FORMAT, CHECKPOINT_VERSION) as file,
        ):
            result = FitResult(
                read_mixture(file),
                read_record(file["record"]),
                bool(file.attrs["converged"]),
                read_amount(file, "n_frames"),
            )
            if _digest(result) != file.attrs["digest"]:
                raise FormatError(f"{self.path}: damaged: the content does not fit its digest")
            return result

    def save(self, fingerprint: str, result: FitResult[DiagonalGMM]) -> None:
        """Write down what a training has come to, whole or not at all."""
        kind = CHECKPOINT_FORMAT, CHECKPOINT_VERSION
        with new_file(self.path, *kind, {}, fingerprint, mode=0o600) as file:
            write_mixture(file, result.gmm)
            file.attrs["digest"] = _digest(result)
            file.attrs["converged"] = result.converged
            file.attrs["n_frames"] = result.n_frames
            write_record(file.create_group("record"), result.iterations)

    def remove(self) -> None:
        """Forget it: the training has ended, and its model is written."""
        self.path.unlink(missing_ok=True)


def _digest(result: FitResult[DiagonalGMM]) -> str:
    """Give the SHA-256 of what the rest of a training hangs on."""
    gmm = result.gmm
    digest = hashlib.sha256(f"{result.converged} {result.n_frames!r}".encode())
    for array in (gmm.weights, gmm.means, gmm.variances):
        digest.update(array.tobytes())
    for line in result.iterations:
        digest.update(np.float64(line.log_likelihood).tobytes())
        for name, kind in _RAGGED.items():
            digest.update(getattr(line, name).astype(kind).tobytes())
        if not line.exact:
            digest.update(np.array([line.loss, line.loss_error]).tobytes())
    return digest.hexdigest()
