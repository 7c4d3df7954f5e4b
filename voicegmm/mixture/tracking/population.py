"""Which components there are: births, splits, merges and deaths.

Components are born where the clutter has to explain too much, split when they grow too wide, merge
when they coincide and will go on to, and die when nothing is left for them to explain.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from voicegmm._base.arrays import Float64Array
from voicegmm.mixture.tracking.clutter import bounded, evidence, find_lump
from voicegmm.mixture.tracking.motion import Motion, at_rest, predict_motion
from voicegmm.mixture.tracking.state import BY_COMPONENT, TrackOptions, TrackState


def survivors(state: TrackState, options: TrackOptions) -> TrackState:
    """Leave out what has not been seen for too long; what was never confirmed, at once."""
    dead = ~state.confirmed & (state.n_unseen > 0)
    if options.death_frames is not None:
        dead |= state.n_unseen >= options.death_frames
    return state.rows(~dead)


def with_births(
    state: TrackState,
    points: Float64Array,
    left: Float64Array,
    total: float,
    options: TrackOptions,
) -> TrackState:
    """Add components where the clutter had to explain too much."""
    density = state.clutter_mass / state.clutter_volume
    spread = options.birth_std**2 * np.eye(state.n_dims)[None]
    for _ in range(options.n_births):
        if not left.sum() > options.least_share * total:
            break
        lump = find_lump(points, left, density, options.birth_std)
        proof = evidence(np.array([lump.mass]), spread, density, options.quantum)[0]
        if not (lump.mass > options.least_share * total and proof > options.least_evidence):
            break
        left = left * (1 - lump.posteriors)
        center = lump.center[None]
        together = _distances(
            np.concatenate([state.motion.positions, center]),
            np.concatenate([state.spreads, spread]),
        )
        if (together[-1, :-1] < options.merge_distance).any():
            continue  # the ragged edge of a component that is there already
        motion = at_rest(center, spread * options.quantum / lump.mass, options.motion)
        state = _joined(state, motion, spread, lump.mass, options)
    return state


def split(state: TrackState, options: TrackOptions) -> TrackState:
    """Make two of each component that grew too wide, along its length.

    The halves lie where two equal things would, one standard deviation off the center on either
    side; one keeps the identity, the other is newborn. Where it was no two, they merge again.
    """
    values, vectors = np.linalg.eigh(state.spreads)
    wide = values[:, -1] > options.greatest_std**2
    spreads = bounded(state.spreads, options.least_std, options.greatest_std)
    state = replace(state, spreads=spreads)
    n_dims = state.n_dims
    half = options.birth_std**2 * np.eye(n_dims)
    for row in np.flatnonzero(wide)[: options.n_births]:
        step = np.sqrt(values[row, -1]) * vectors[row, :, -1]
        positions = state.motion.positions[row] + np.stack([step, -step])
        fresh = at_rest(positions, np.stack([half, half]), options.motion)
        one, other = np.array(fresh.states)
        one[n_dims:] = other[n_dims:] = state.motion.velocities[row]
        states, covariances, spreads, masses = (
            np.array(array)
            for array in (
                state.motion.states,
                state.motion.covariances,
                state.spreads,
                state.masses,
            )
        )
        states[row], covariances[row], spreads[row] = one, fresh.covariances[0], half
        masses[row] /= 2
        state = replace(state, motion=Motion(states, covariances), spreads=spreads, masses=masses)
        newborn = Motion(other[None], fresh.covariances[1:])
        state = _joined(state, newborn, half[None], float(masses[row]), options)
    return state


def _joined(
    state: TrackState, motion: Motion, spread: Float64Array, mass: float, options: TrackOptions
) -> TrackState:
    """Add one component, seen for the first time."""
    newborn = {
        "identities": [state.n_identities],
        "spreads": spread,
        "masses": [mass],
        "n_seen": [1],
        "n_unseen": [0],
        "confirmed": [options.confirm_frames == 1],
    }
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(state, name), newborn[name]]) for name in BY_COMPONENT
    }
    motion = Motion(
        np.concatenate([state.motion.states, motion.states]),
        np.concatenate([state.motion.covariances, motion.covariances]),
    )
    return replace(state, motion=motion, n_identities=state.n_identities + 1, **columns)


def _distances(positions: Float64Array, spreads: Float64Array) -> Float64Array:
    """Give the distances of components, in standard deviations of their mean covariance."""
    apart = positions[:, None] - positions
    mean = (spreads[:, None] + spreads) / 2
    squares = (apart * np.linalg.solve(mean, apart[..., None])[..., 0]).sum(axis=2)
    distances: Float64Array = np.sqrt(np.maximum(squares, 0))
    return distances


def merged(state: TrackState, options: TrackOptions) -> TrackState:
    """Make one of each two components that coincide, and by their velocities will go on to."""
    while state.n_components > 1 and options.merge_distance > 0:
        later = predict_motion(state.motion, options.motion, options.merge_frames)
        apart = np.maximum(
            _distances(state.motion.positions, state.spreads),
            _distances(later.positions, state.spreads),
        )
        apart[np.tril_indices(len(apart))] = np.inf
        if apart.min() >= options.merge_distance:
            break
        elder, younger = np.unravel_index(apart.argmin(), apart.shape)
        state = _fused(state, int(elder), int(younger))
    return state


def _fused(state: TrackState, elder: int, younger: int) -> TrackState:
    """Put one component in the place of two: their weight, mean and covariance together."""
    pair = np.array([elder, younger])
    masses = state.masses[pair]
    shares = masses / masses.sum()
    states, spreads = state.motion.states.copy(), state.spreads.copy()
    states[elder] = shares @ states[pair]
    apart = state.motion.positions[elder] - state.motion.positions[younger]
    between = shares[0] * shares[1] * np.outer(apart, apart)
    spreads[elder] = np.tensordot(shares, spreads[pair], 1) + between
    columns: dict[str, Any] = {
        name: np.array(getattr(state, name))
        for name in ("masses", "n_seen", "n_unseen", "confirmed")
    }
    columns["masses"][elder] = masses.sum()
    columns["n_seen"][elder] = state.n_seen[pair].max()
    columns["n_unseen"][elder] = state.n_unseen[pair].min()
    columns["confirmed"][elder] = state.confirmed[pair].any()
    motion = Motion(states, state.motion.covariances)
    fused = replace(state, motion=motion, spreads=spreads, **columns)
    return fused.rows(np.delete(np.arange(state.n_components), younger))
