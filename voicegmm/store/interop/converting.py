"""Between files of other programs and ours: frames into a feature store, mixtures into models.

What another program's file does not tell (hop, sampling rate) is stated by whoever converts it, or
refused; what it was made by stands in the file that is made of it, so that frames of ours and
theirs never meet in one model.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from voicegmm._base.errors import FormatError, MismatchError, OptionError
from voicegmm._base.files import content_hash
from voicegmm.features import ForeignFrontEnd, FrameSet, FrontEnd
from voicegmm.mixture import DiagonalGMM, Mixture
from voicegmm.scoring import BackgroundModel, ForeignTraining, Status
from voicegmm.scoring.models import adapted_models
from voicegmm.store.classes import CLASSES_FORMAT, load_classes
from voicegmm.store.features import FeatureStore, new_store
from voicegmm.store.hdf5 import open_file
from voicegmm.store.interop.content import ForeignArray
from voicegmm.store.models import SPEAKERS_FORMAT, UBM_FORMAT, load_background, load_voices

_SAME_HOP = 1e-9  # seconds


def write_foreign_store(
    path: str | os.PathLike[str],
    arrays: Iterable[ForeignArray],
    origin: str,
    hop_seconds: float | None,
    sample_rate: int,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write frames of another program into a feature store, whole or not at all.

    All frames are kept, with weight 1; their numbers are rounded to single precision. The content
    of a recording is told by the SHA-256 of its frames.

    Parameters
    ----------
    path : path
    arrays : iterable of ForeignArray
        Matrices, taken one by one.
    origin : str
        What made them: see `voicegmm.features.ForeignFrontEnd`.
    hop_seconds : float or None
        None where the arrays tell.
    sample_rate : int
        Of the recordings, in hertz.
    progress : callable, optional
        Called with how many are done.

    Returns
    -------
    int
        How many recordings.

    Raises
    ------
    FormatError
        If there is none, one is no matrix, or they have not all the same columns, hop, or names of
        their own.
    OptionError
        If the hop is not known, or is another than the arrays tell.
    """
    waiting = iter(arrays)
    start: list[ForeignArray] = []  # up to the first that has a frame
    while not (start and start[-1].values.size):
        following = next(waiting, None)
        if following is None:
            raise FormatError(f"{origin}: no recording in it has a frame")
        start.append(following)
    first = start[-1]
    hop = hop_seconds if first.hop_seconds is None else first.hop_seconds
    if hop is None:
        raise OptionError("hop_seconds is not told by the file; state it (--hop SECONDS)")
    if hop_seconds is not None and abs(hop - hop_seconds) > _SAME_HOP:
        raise OptionError(f"hop_seconds is {hop:g} in the file, and {hop_seconds:g} was stated")
    front_end = ForeignFrontEnd(origin, first.values.shape[-1], hop, sample_rate)
    names: set[str] = set()
    with new_store(path, front_end) as writer:
        for number, array in enumerate(chain(start, waiting), 1):
            if array.name in names:
                raise FormatError(f"{array.place}: stands there twice; give each its own name")
            names.add(array.name)
            writer.add(array.name, _frame_set(array, front_end))
            if progress:
                progress(number)
    return len(names)


def _frame_set(array: ForeignArray, front_end: ForeignFrontEnd) -> FrameSet | Status:
    if not array.values.size:
        return Status("no speech", f"{array.place}: there is no frame in it")
    if array.values.ndim != 2:
        raise FormatError(f"{array.place}: frames must be a matrix, got a vector")
    if array.hop_seconds is not None and abs(array.hop_seconds - front_end.hop_seconds) > _SAME_HOP:
        raise FormatError(
            f"{array.place}: its hop is {array.hop_seconds:g} s, those before have "
            f"{front_end.hop_seconds:g} s"
        )
    if array.values.shape[1] != front_end.n_dims:
        raise FormatError(
            f"{array.place}: has {array.values.shape[1]} columns, those before {front_end.n_dims}"
        )
    with np.errstate(over="ignore"):
        frames = array.values.astype(np.float32)
    if not np.isfinite(frames).all():
        raise FormatError(f"{array.place}: a number is too large for single precision")
    count = len(frames)
    return FrameSet(
        frames,
        np.ones(count, np.float32),
        np.arange(count, dtype=np.int32),
        count,
        front_end.hop_seconds,
        array.name,
        content=hashlib.sha256(frames.tobytes()).hexdigest(),
    )


def store_arrays(store: FeatureStore) -> Iterator[ForeignArray]:
    """Give the frames of each recording of a store that has any."""
    for file in store.ids:
        if store.status(file).ok:
            yield ForeignArray(file, store.read([file])[0], store.front_end.hop_seconds)


def foreign_background(
    path: str | os.PathLike[str], gmm: Mixture, program: str, front_end: FrontEnd
) -> BackgroundModel:
    """Make a background model of another program's mixture.

    Parameters
    ----------
    path : path
        The file it was read from: its name and SHA-256 stand in the model.
    gmm : Mixture
        Diagonal: see `voicegmm.store.interop.diagonal_of`.
    program : str
        What wrote the file, as "kaldi".
    front_end : FrontEnd
        What makes the frames that it was trained on.

    Returns
    -------
    BackgroundModel

    Raises
    ------
    MismatchError
        If its covariances are not diagonal, or the frames have another number of dimensions.
    """
    if type(gmm) is not DiagonalGMM:
        raise MismatchError(
            f"{path}: background models have diagonal covariances, these are "
            f"{gmm.covariance_type}; --diagonal keeps their diagonals"
        )
    if gmm.n_dims != front_end.n_dims:
        raise MismatchError(
            f"{path}: the mixture has {gmm.n_dims} dimensions, the frames {front_end.n_dims}"
        )
    training = ForeignTraining(program, Path(path).name, content_hash(path))
    return BackgroundModel(gmm, front_end, training)


def own_mixtures(path: str | os.PathLike[str]) -> dict[str, Mixture]:
    """Give the mixtures in a background model, speakers or classes of ours, by name.

    Raises
    ------
    FormatError
        If there is none in the file, or it is damaged.
    """
    kind = own_kind(path)
    if kind == UBM_FORMAT:
        return {Path(path).stem: load_background(path).gmm}
    if kind == SPEAKERS_FORMAT:
        speakers = adapted_models(load_voices(path).speakers, f"{path}: to convert speakers")
        prior = speakers.background.gmm
        return {
            name: DiagonalGMM(prior.weights, means, prior.variances)
            for name, means in zip(speakers.ids, speakers.means, strict=True)
        }
    if kind == CLASSES_FORMAT:
        return {one.name: one.gmm for one in load_classes(path).models.classes}
    raise FormatError(
        f"{path}: holds {kind}, and no mixture; a background model, speakers and classes do"
    )


def own_kind(path: str | os.PathLike[str]) -> str:
    """Give the format that a file of ours says it has, as "voicegmm/ubm"."""
    with open_file(path) as file:
        return str(file.attrs["format"])
