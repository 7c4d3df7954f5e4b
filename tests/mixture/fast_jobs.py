"""Small jobs that fast EM takes for large ones."""

import numpy as np

from voicegmm.mixture import DiagonalGMM, density, sample
from voicegmm.mixture.fast import training


def allow_small_jobs(monkeypatch):
    """Let jobs that a test can wait for be large enough."""
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    monkeypatch.setattr(training, "_DENSE_UP_TO", 0)


def draw(seed, n_frames=3000, n_components=20, n_dims=6, offset=0.0):
    """Give a mixture of parts that overlap, and frames of it."""
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.full(n_components, 5.0)),
        3 * rng.standard_normal((n_components, n_dims)) + offset,
        rng.uniform(0.3, 2, (n_components, n_dims)),
    )
    return gmm, sample(gmm, n_frames, rng)[0].astype(np.float32)
