"""Small files of ours for the tests of seals and of what reads the files of strangers."""

import numpy as np

from voicegmm.features import FrameSet, Pipeline
from voicegmm.mixture import DiagonalGMM
from voicegmm.store import new_store
from voicegmm.store.subspace import FactorAnalysis


def small_model():
    gmm = DiagonalGMM([0.25, 0.75], np.ones((2, 3)), np.ones((2, 3)))
    return FactorAnalysis(gmm, np.zeros((2, 3, 0)), np.full((2, 3, 1), 0.5), 1.0)


def write_store(path, n_frames=3000):
    pipeline = Pipeline()
    rng = np.random.default_rng(0)
    with new_store(path, pipeline) as writer:
        for name in ("a.wav", "b.wav"):
            frames = rng.standard_normal((n_frames, pipeline.n_dims))
            positions = np.arange(n_frames)
            writer.add(name, FrameSet(frames, np.ones(n_frames), positions, n_frames, 0.01, name))
    return path
