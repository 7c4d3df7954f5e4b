"""What tracking found: the path of each component, and how well its future was foretold."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm.mixture.tracking.motion import Motion, predict_motion, smooth_motion
from voicegmm.mixture.tracking.state import TrackOptions, TrackState, track_start
from voicegmm.mixture.tracking.step import track_step


@dataclass(frozen=True, eq=False)
class TrackPath:
    """One component's way through the frames, from its birth to when it was last seen.

    Parameters
    ----------
    identity : int
    times : (n_frames,) int array
        Numbers of the frames, from 0, without a gap.
    motion : Motion
        Position and velocity, a row each frame.
    spreads : (n_frames, n_dims, n_dims) float array
        Covariances of its points.
    masses : (n_frames,) float array
        Its weight.
    seen : (n_frames,) bool array
        False where it was not seen, and stands where it was predicted.
    """

    identity: int
    times: IntArray
    motion: Motion
    spreads: Float64Array
    masses: Float64Array
    seen: BoolArray


@dataclass(frozen=True, eq=False)
class Tracks:
    """The states of a tracker, frame after frame, and what it was told.

    Parameters
    ----------
    states : tuple of TrackState
        One a frame.
    options : TrackOptions
    """

    states: tuple[TrackState, ...]
    options: TrackOptions


def track(
    frames: Iterable[tuple[FloatArray, FloatArray | None]],
    options: TrackOptions | None = None,
    start: TrackState | None = None,
) -> Tracks:
    """Follow what moves through all frames.

    Parameters
    ----------
    frames : iterable of (points, weights)
        As `track_step` takes them.
    options : TrackOptions, optional
    start : TrackState, optional
        Without components by default.

    Returns
    -------
    Tracks

    Raises
    ------
    DataError
        As `track_step` does.
    """
    options = options or TrackOptions()
    states: list[TrackState] = []
    state = start
    for points, weights in frames:
        if state is None:
            if np.ndim(points) != 2:
                raise DataError(
                    f"points must be a matrix (n_points, n_dims), got {np.ndim(points)} axes"
                )
            state = track_start(np.shape(points)[1])
        state = track_step(state, points, options, weights)
        states.append(state)
    return Tracks(tuple(states), options)


def track_paths(tracks: Tracks, smooth: bool = False) -> tuple[TrackPath, ...]:
    """Give the path of each component that was ever confirmed, in the order of birth.

    Parameters
    ----------
    tracks : Tracks
    smooth : bool
        Let each frame know those after it too (`smooth_motion`); positions in frames where the
        component was not seen then lie between those where it was.

    Returns
    -------
    tuple of TrackPath
        From the birth, though it was confirmed only later, to the frame where it was last seen.
    """
    rows: dict[int, list[tuple[int, int]]] = {}
    confirmed: set[int] = set()
    for time, state in enumerate(tracks.states):
        for row, identity in enumerate(state.identities.tolist()):
            rows.setdefault(identity, []).append((time, row))
        confirmed |= set(state.identities[state.confirmed].tolist())
    found = (_path(tracks, identity, rows[identity], smooth) for identity in sorted(confirmed))
    return tuple(path for path in found if path.times.size)


def _path(tracks: Tracks, identity: int, places: list[tuple[int, int]], smooth: bool) -> TrackPath:
    at = [(tracks.states[time], row) for time, row in places]
    seen = np.array([state.n_unseen[row] == 0 for state, row in at])
    n = int(np.flatnonzero(seen)[-1]) + 1 if seen.any() else 0
    at, shape = at[:n], tracks.states[0].motion.states.shape[1]
    motion = Motion(
        np.array([state.motion.states[row] for state, row in at]).reshape(n, shape),
        np.array([state.motion.covariances[row] for state, row in at]).reshape(n, shape, shape),
    )
    return TrackPath(
        identity=identity,
        times=np.array([time for time, _ in places[:n]], np.int64),
        motion=smooth_motion(motion, tracks.options.motion) if smooth else motion,
        spreads=np.array([state.spreads[row] for state, row in at]),
        masses=np.array([state.masses[row] for state, row in at]),
        seen=seen[:n],
    )


def track_table(found: Iterable[TrackPath]) -> tuple[IntArray, IntArray, Float64Array]:
    """Write paths as one table, for `metrics.Sightings` and for files.

    Parameters
    ----------
    found : iterable of TrackPath
        At least one.

    Returns
    -------
    times, identities : (n_rows,) int array
    positions : (n_rows, n_dims) float array

    Raises
    ------
    DataError
        For no path: it is not known how many dimensions there are.
    """
    several = list(found)
    if not several:
        raise DataError("there are no paths to write")
    return (
        np.concatenate([path.times for path in several]),
        np.concatenate([np.full(len(path.times), path.identity) for path in several]),
        np.concatenate([path.motion.positions for path in several]),
    )


def forecast(state: TrackState, n_frames: int, options: TrackOptions | None = None) -> Motion:
    """Foretell where the components will be.

    Parameters
    ----------
    state : TrackState
    n_frames : int
        How many frames ahead; 0 or more.
    options : TrackOptions, optional
        Those that the state was made with.

    Returns
    -------
    Motion
        A row for each component of the state, with the covariance of its error.
    """
    return predict_motion(state.motion, (options or TrackOptions()).motion, n_frames)


def forecast_errors(tracks: Tracks, n_frames: int) -> Float64Array:
    """Measure forecasts against where the components were later found to be.

    Parameters
    ----------
    tracks : Tracks
    n_frames : int
        How many frames ahead; at least 1.

    Returns
    -------
    (n_forecasts, n_dims) float64 array
        Position found minus position foretold, for each path and each two of its frames
        `n_frames` apart in both of which it was seen, path after path. A frame's position was
        itself drawn towards the forecast: against a known truth errors are larger.
    """
    at_least("n_frames", n_frames, 1)
    parts = []
    for path in track_paths(tracks):
        told = predict_motion(path.motion, tracks.options.motion, n_frames).positions[:-n_frames]
        both = path.seen[n_frames:] & path.seen[:-n_frames]
        parts.append((path.motion.positions[n_frames:] - told)[both])
    n_dims = tracks.states[0].n_dims if tracks.states else 0
    return np.concatenate(parts) if parts else np.zeros((0, n_dims))
