"""Real speech for `fast_em.py`: frames of a corpus, and of seeded perturbations of it.

The first copy of each recording is the recording; each further one has another speed, a noise and a
room, drawn by the recording's name and the copy's number alone. Every tenth speaker is held out,
with all copies. What has been made is kept in a folder of temporary files.
"""

import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np

from voicegmm._base.files import whole_file
from voicegmm._base.options import fingerprint
from voicegmm.audio import Signal, read_signal, resample
from voicegmm.compute import available_cores, ordered_map
from voicegmm.features import Pipeline, PipelineOptions
from voicegmm.synthesis import add_noise, reverberate

RATE = 16_000
SPEEDS = (0.9, 1.1)
SNR_DB = (10.0, 25.0)
RT60_SECONDS = (0.15, 0.5)
KINDS = ("white", "pink")  # others take a second a recording to make


def perturbed(signal: Signal, name: str, copy: int) -> Signal:
    """Give the copy of that number; copy 0 is the signal itself."""
    if copy == 0:
        return signal
    rng = np.random.default_rng(list(sha256(f"{copy} {name}".encode()).digest()))
    # Played at another rate, then brought back to the features' rate by resampling.
    faster = Signal(signal.samples, round(RATE * rng.uniform(*SPEEDS)))
    samples = resample(faster, RATE).samples
    samples = reverberate(samples, rng.uniform(*RT60_SECONDS), rng, RATE)
    samples = add_noise(samples, rng.uniform(*SNR_DB), KINDS[rng.integers(len(KINDS))], rng, RATE)
    return Signal(samples, RATE)


def copy_frames(
    folder: Path, speakers: list[str], copy: int, options: PipelineOptions, cache: Path
) -> np.ndarray:
    """Give the frames of one copy of all recordings of some speakers."""
    made = fingerprint(
        options, str(folder.resolve()), speakers, copy, SPEEDS, SNR_DB, RT60_SECONDS, KINDS
    )
    place = cache / f"{made}.npy"
    if place.exists():
        return np.load(place)
    pipeline = Pipeline(options)

    def work(path: Path) -> np.ndarray:
        name = f"{path.parent.name}/{path.stem}"
        return pipeline.extract(perturbed(read_signal(path, RATE), name, copy)).frames

    paths = [path for speaker in speakers for path in sorted((folder / speaker).glob("*.flac"))]
    frames = np.concatenate(list(ordered_map(work, paths, available_cores())))
    with whole_file(place) as aside, aside.open("wb") as file:
        np.save(file, frames)
    return frames


def speech_frames(
    folder: Path,
    n_frames: int,
    options: PipelineOptions | None = None,
    speakers: Iterable[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Give frames to train on and frames of other speakers.

    Parameters
    ----------
    folder : path
        A corpus as <speaker>/<utterance>.flac.
    n_frames : int
        Copies are made until there are so many to train on; 0: the corpus as it is.
    options : PipelineOptions, optional
    speakers : iterable of str, optional
        Those of the corpus that take part; all by default.

    Returns
    -------
    train, held_out : (n, n_dims) float32 array
    """
    options = options or PipelineOptions()
    cache = Path(tempfile.gettempdir(), "voicegmm-fast-em")
    cache.mkdir(exist_ok=True)
    speakers = sorted(set(speakers or (path.parent.name for path in folder.glob("*/*.flac"))))
    away = speakers[::10]
    own = [name for name in speakers if name not in away]
    train = [copy_frames(folder, own, 0, options, cache)]
    held_out = [copy_frames(folder, away, 0, options, cache)]
    while sum(map(len, train)) < n_frames:
        train.append(copy_frames(folder, own, len(train), options, cache))
        held_out.append(copy_frames(folder, away, len(held_out), options, cache))
    frames = np.concatenate(train)
    return frames[: n_frames or len(frames)], np.concatenate(held_out)
