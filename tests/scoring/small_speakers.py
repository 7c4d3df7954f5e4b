"""A few speakers of a small background model, for tests of scores."""

import numpy as np

from voicegmm.features import FrameSet, PipelineOptions
from voicegmm.mixture import DiagonalGMM, MapOptions, accumulate, adapt, sample
from voicegmm.scoring import BackgroundModel, MemoryFrames, SpeakerModels


def frame_set(frames, weights=None):
    """Give frames in a row, all of weight 1 unless told otherwise."""
    n = len(frames)
    weights = np.ones(n) if weights is None else weights
    numbers = np.asarray(frames, np.float32), np.asarray(weights, np.float32)
    return FrameSet(*numbers, np.arange(n, dtype=np.int32), n, 0.01)


def draw_gmm(rng, n_components=6, n_dims=4, far=50.0):
    return DiagonalGMM(
        rng.dirichlet(np.ones(n_components)),
        3 * rng.standard_normal((n_components, n_dims)) + far,
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )


def draw_speakers(rng, gmm, n_speakers=3, adaptation=None, n_frames=80):
    adaptation = adaptation or MapOptions(relevance=8)
    each = [
        sample(gmm, n_frames, rng)[0] + 0.5 * rng.standard_normal(gmm.n_dims)
        for _ in range(n_speakers)
    ]
    made = [accumulate(gmm, frames) for frames in each]
    speakers = SpeakerModels(
        BackgroundModel(gmm, PipelineOptions()),
        tuple(f"s{number}" for number in range(n_speakers)),
        np.array([adapt(gmm, one, adaptation).means for one in made], np.float32),
        np.array([one.counts for one in made]),
        np.full(n_speakers, n_frames / 100),
        adaptation,
    )
    return speakers, each


def draw_recordings(n_speakers, n_files=4, spread=0.35, seed=0, prefix="s"):
    """Give frames of recordings, and the recordings of each speaker by name."""
    rng = np.random.default_rng(seed)
    sets, recordings = {}, {}
    for number in range(n_speakers):
        center = spread * rng.standard_normal(60)
        recordings[f"{prefix}{number}"] = [f"{prefix}{number}/{take}" for take in range(n_files)]
        for file in recordings[f"{prefix}{number}"]:
            session = center + 0.15 * rng.standard_normal(60)
            frames = (session + 2 * rng.standard_normal((60, 60))).astype(np.float32)
            sets[file] = FrameSet(frames, np.ones(60), np.arange(60), 60, 0.01)
    return MemoryFrames(PipelineOptions(), sets), recordings


def joint_by_loops(gmm, means, frames):
    """Give log w_k N(x | k) of each frame and component, one number at a time."""
    joint = np.empty((len(frames), gmm.n_components))
    for t, x in enumerate(np.asarray(frames, float)):
        for k in range(gmm.n_components):
            total = np.log(gmm.weights[k])
            for d in range(gmm.n_dims):
                v = gmm.variances[k, d]
                total -= 0.5 * (np.log(2 * np.pi * v) + (x[d] - means[k, d]) ** 2 / v)
            joint[t, k] = total
    return joint
