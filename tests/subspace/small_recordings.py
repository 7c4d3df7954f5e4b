"""A few recordings of speakers whose means really lie in a subspace."""

import numpy as np

from voicegmm.mixture import DiagonalGMM, FullGMM, Statistics, TiedGMM
from voicegmm.subspace import Recordings

KINDS = ("diagonal", "full", "tied")


def draw_gmm(rng, n_components=3, n_dims=2, kind="diagonal"):
    weights = rng.dirichlet(np.full(n_components, 5.0))
    means = 3 * rng.standard_normal((n_components, n_dims))
    if kind == "diagonal":
        return DiagonalGMM(weights, means, rng.uniform(0.5, 2, means.shape))
    turns = rng.standard_normal((n_components, n_dims, n_dims))
    covariances = turns @ np.swapaxes(turns, 1, 2) + np.eye(n_dims)
    if kind == "full":
        return FullGMM(weights, means, covariances)
    return TiedGMM(weights, means, covariances[0])


def covariance_of(gmm, k):
    if isinstance(gmm, FullGMM):
        return gmm.covariances[k]
    return gmm.covariance if isinstance(gmm, TiedGMM) else np.diag(gmm.variances[k])


def draw_statistics(rng, gmm, offsets, least=5, most=30):
    """Give the statistics of a recording whose frames are drawn component by component."""
    counts = rng.uniform(least, most, gmm.n_components)
    first = np.empty(gmm.means.shape)
    for k, n in enumerate(counts):
        noise = np.linalg.cholesky(covariance_of(gmm, k)) @ rng.standard_normal(gmm.n_dims)
        first[k] = n * (gmm.means[k] + offsets[k]) + np.sqrt(n) * noise
    return Statistics(counts, first, np.zeros(gmm.means.shape), 0.0, counts.sum())


def draw_recordings(rng, gmm, n_speakers=6, n_each=3, speaker_rank=2, session_rank=1):
    """Give statistics, their `Recordings` and speakers; speakers and sessions move the means."""
    shape = gmm.means.shape
    voices, rooms = rng.standard_normal((2, *shape, max(speaker_rank, session_rank, 1)))
    statistics, speakers = [], []
    for number in range(n_speakers):
        voice = voices[..., :speaker_rank] @ rng.standard_normal(speaker_rank)
        for _ in range(n_each):
            room = rooms[..., :session_rank] @ rng.standard_normal(session_rank)
            statistics.append(draw_statistics(rng, gmm, voice + room))
            speakers.append(f"s{number}")
    return statistics, Recordings.of(gmm, statistics), speakers
