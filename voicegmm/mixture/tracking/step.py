"""One frame of tracking: EM with a memory and a motion.

A frame is a set of weighted points: the pixels of a picture with their intensities, the bins of a
spectrum with their energies. Its expected weight per unit of volume is that of a mixture and of a
uniform clutter,

    lambda(x) = M_0 / V + sum_k M_k N(x | m_k, S_k + P_k),

M the expected weight of each and P_k what is not known of the position m_k. Between two frames the
components move as a Kalman filter predicts (`motion`); in a frame, EM with that prediction as the
prior of the means gives them their new positions: the probabilistic multi-hypothesis tracker of
Streit and Luginbuhl, "Probabilistic multi-hypothesis tracking" (NUWC-NPT 10,428, 1995), on weighted
points as in Streit, "Tracking on intensity-modulated data streams" (NUWC-NPT 11,221, 2000).
Components are born, split, merge and die by the rules of `population`.
"""

from dataclasses import replace

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError
from voicegmm.mixture.model import FullGMM
from voicegmm.mixture.tracking.clutter import Explained, bounded, evidence, explain, moments
from voicegmm.mixture.tracking.motion import Motion, correct_motion, predict_motion
from voicegmm.mixture.tracking.population import merged, split, survivors, with_births
from voicegmm.mixture.tracking.state import TrackOptions, TrackState


def track_step(
    state: TrackState,
    points: FloatArray,
    options: TrackOptions | None = None,
    weights: FloatArray | None = None,
) -> TrackState:
    """Follow the components into the next frame.

    Parameters
    ----------
    state : TrackState
        From `track_start` or from the frame before.
    points : (n_points, n_dims) float array
        None at all: all components go on as predicted, unseen.
    options : TrackOptions, optional
    weights : (n_points,) float array, optional
        0 or more; 1 for every point by default.

    Returns
    -------
    TrackState

    Raises
    ------
    DataError
        For a point that is not finite or of another dimension, or weights that do not fit.
    """
    options = options or TrackOptions()
    checked = finite_frames(points, state.n_dims, "points").astype(np.float64)
    weight = _checked_weights(weights, len(checked))
    checked, weight = checked[weight > 0], weight[weight > 0]
    state = replace(
        state,
        motion=predict_motion(state.motion, options.motion),
        n_frames=state.n_frames + 1,
        log_likelihood=float("nan"),
    )
    if not len(checked):
        return survivors(replace(state, n_unseen=state.n_unseen + 1), options)
    total = float(weight.sum())
    state = _with_clutter(state, checked, total, options)
    state, left = _followed(state, checked, weight, options)
    state = split(survivors(state, options), options)
    return merged(with_births(state, checked, left, total, options), options)


def _checked_weights(weights: FloatArray | None, n_points: int) -> Float64Array:
    checked = np.ones(n_points) if weights is None else np.asarray(weights, np.float64)
    if checked.shape != (n_points,):
        raise DataError(f"weights must be ({n_points},), one a point, got {checked.shape}")
    if not (np.isfinite(checked).all() and (checked >= 0).all()):
        raise DataError("weights must be finite and 0 or more")
    return checked


def _with_clutter(
    state: TrackState, points: Float64Array, total: float, options: TrackOptions
) -> TrackState:
    """Give the clutter its volume and its weight, where it has none."""
    volume, mass = state.clutter_volume, state.clutter_mass
    least = options.clutter_share * total
    if np.isnan(volume):
        # A box without thickness in some dimension has that of a newborn component.
        box = np.maximum(np.ptp(points, axis=0), options.birth_std)
        volume = options.clutter_volume or float(box.prod())
    mass = least if np.isnan(mass) else max(mass, least)
    return replace(state, clutter_volume=volume, clutter_mass=mass)


def _followed(
    prior: TrackState, points: Float64Array, weights: Float64Array, options: TrackOptions
) -> tuple[TrackState, Float64Array]:
    """Move the components to where the points are; give also the weights left to the clutter."""
    total = float(weights.sum())
    if not prior.n_components:
        uniform = -float(np.log(prior.clutter_volume))
        return replace(_clutter_updated(prior, total, options), log_likelihood=uniform), weights
    state, log_likelihood = prior, float("nan")
    left = weights
    for _ in range(options.n_iterations):
        found = _explained(state, points, weights)
        left = weights * found.clutter
        if state is prior:
            expected = np.log(prior.masses.sum() + prior.clutter_mass)
            log_likelihood = float(weights @ found.log_intensity) / total - float(expected)
        state = _corrected(prior, found, total, options)
        state = _clutter_updated(state, float(left.sum()), options)
    return replace(state, log_likelihood=log_likelihood), left


def _explained(state: TrackState, points: Float64Array, weights: Float64Array) -> Explained:
    mass = float(state.masses.sum())
    # A point lies about a position that is itself uncertain: both covariances add.
    covariances = state.spreads + state.motion.position_covariances
    gmm = FullGMM(state.masses / mass, state.motion.positions, covariances)
    return explain(gmm, mass, state.clutter_mass / state.clutter_volume, points, weights)


def _corrected(
    prior: TrackState, found: Explained, total: float, options: TrackOptions
) -> TrackState:
    """Give the components of greatest posterior: prediction and memory, and what was seen."""
    counts = found.statistics.counts
    seen = counts > np.maximum(options.seen_part * prior.masses, options.least_share * total)
    density = prior.clutter_mass / prior.clutter_volume
    seen &= evidence(counts, prior.spreads, density, options.quantum) > options.least_evidence
    centers, scatters = moments(found.statistics)
    n = np.where(seen, counts, 1.0)
    off = _off_center(1 - counts / prior.masses)
    noise = prior.spreads * (options.quantum / n + off**2)[:, None, None]
    corrected = correct_motion(prior.motion, centers, noise)
    keep = np.where(seen, options.spread_memory, 1.0)[:, None, None]
    spreads = bounded(scatters, options.least_std, np.inf)  # too wide a one will be split
    return replace(
        prior,
        motion=Motion(
            np.where(seen[:, None], corrected.states, prior.motion.states),
            np.where(seen[:, None, None], corrected.covariances, prior.motion.covariances),
        ),
        spreads=keep * prior.spreads + (1 - keep) * spreads,
        masses=np.where(seen, _blended(prior.masses, counts, options), prior.masses),
        n_seen=prior.n_seen + seen,
        n_unseen=np.where(seen, 0, prior.n_unseen + 1),
        confirmed=prior.confirmed | (prior.n_seen + seen >= options.confirm_frames),
    )


def _off_center(hidden: Float64Array) -> Float64Array:
    """Give how far off its center a Gaussian's visible part lies, in standard deviations.

    Where a straight edge hides a part h of it, that is phi(z) / (1 - h) with Phi(z) = h, the mean
    of a truncated normal distribution; of what slides behind something, a tracker must not believe
    that it slows down.
    """
    from scipy.special import ndtri

    h = np.clip(hidden, 0, 0.99)
    edge = np.exp(-0.5 * ndtri(h) ** 2) / np.sqrt(2 * np.pi)
    return np.asarray(edge / (1 - h), np.float64)


def _blended(old: Float64Array, new: Float64Array, options: TrackOptions) -> Float64Array:
    mixed: Float64Array = options.mass_memory * old + (1 - options.mass_memory) * new
    return mixed


def _clutter_updated(state: TrackState, left: float, options: TrackOptions) -> TrackState:
    memory = options.mass_memory
    return replace(state, clutter_mass=memory * state.clutter_mass + (1 - memory) * left)
