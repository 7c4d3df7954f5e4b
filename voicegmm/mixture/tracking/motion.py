"""How components move: a Kalman filter of position and velocity for each.

The state of a component is s = [position, velocity], time counts in frames, and

    s_(t+1) = F s_t + G a,    F = [[1, c], [0, c]],    G = [1/2, 1],    a ~ N(0, q^2)

in each dimension: c = 1 is constant velocity disturbed by an acceleration that is constant over a
frame (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation
(2001), eqs. 6.3.2-1 to 6.3.2-4); below 1 the velocity dies away.
"""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray, IntArray, frozen
from voicegmm._base.checks import above, at_least, within
from voicegmm._base.errors import DataError, OptionError


@dataclass(frozen=True)
class MotionOptions:
    """How components are expected to move.

    Parameters
    ----------
    acceleration_std : float
        q: by how much the velocity of a component changes from one frame to the next, in units of
        the data a frame; above 0.
    speed_std : float
        How fast a component is that has just appeared, per dimension, in units of the data a
        frame; 0 or more.
    velocity_kept : float
        c: the share of the velocity that is left a frame later; 1 is constant velocity, 0 a
        random walk.
    """

    acceleration_std: float = 0.3
    speed_std: float = 2.0
    velocity_kept: float = 1.0

    def __post_init__(self) -> None:
        above("acceleration_std", self.acceleration_std, 0)
        at_least("speed_std", self.speed_std, 0)
        for name in ("acceleration_std", "speed_std"):
            if not np.isfinite(getattr(self, name)):
                raise OptionError(f"{name} must be finite, got {getattr(self, name)}")
        within("velocity_kept", self.velocity_kept, 0, 1)


@dataclass(frozen=True, eq=False)
class Motion:
    """Where things are and how fast, with how much of it is known: one row each.

    The rows are the components of one frame, or one component's frames.

    Parameters
    ----------
    states : (n_rows, 2 n_dims) array_like
        Position, then velocity in units a frame.
    covariances : (n_rows, 2 n_dims, 2 n_dims) array_like
        Of the error of `states`.
    """

    states: Float64Array
    covariances: Float64Array

    def __post_init__(self) -> None:
        states = frozen(self.states, np.float64)
        if states.ndim != 2 or states.shape[1] % 2 or states.shape[1] == 0:
            raise DataError(
                f"states must be (n_rows, 2 n_dims), position and velocity, got {states.shape}"
            )
        covariances = frozen(self.covariances, np.float64)
        if covariances.shape != (*states.shape, states.shape[1]):
            raise DataError(
                f"covariances must be {(*states.shape, states.shape[1])} to go with the states, "
                f"got {covariances.shape}"
            )
        object.__setattr__(self, "states", states)
        object.__setattr__(self, "covariances", covariances)

    @property
    def n_dims(self) -> int:
        """Dimensions of a position."""
        return int(self.states.shape[1]) // 2

    @property
    def positions(self) -> Float64Array:
        """Where, (n_rows, n_dims)."""
        return self.states[:, : self.n_dims]

    @property
    def velocities(self) -> Float64Array:
        """How fast, (n_rows, n_dims), in units a frame."""
        return self.states[:, self.n_dims :]

    @property
    def position_covariances(self) -> Float64Array:
        """Of the error of the positions, (n_rows, n_dims, n_dims)."""
        return self.covariances[:, : self.n_dims, : self.n_dims]

    def rows(self, chosen: IntArray | BoolArray) -> "Motion":
        """Give some of the rows, in the order asked for."""
        return Motion(self.states[chosen], self.covariances[chosen])


def at_rest(positions: FloatArray, covariances: FloatArray, options: MotionOptions) -> Motion:
    """Give things of known position and unknown velocity.

    Parameters
    ----------
    positions : (n_rows, n_dims) float array
    covariances : (n_rows, n_dims, n_dims) float array
        Of the positions' error.
    options : MotionOptions
        Its `speed_std`.

    Returns
    -------
    Motion
    """
    n_rows, n_dims = positions.shape
    states = np.zeros((n_rows, 2 * n_dims))
    states[:, :n_dims] = positions
    joint = np.zeros((n_rows, 2 * n_dims, 2 * n_dims))
    joint[:, :n_dims, :n_dims] = covariances
    joint[:, n_dims:, n_dims:] = options.speed_std**2 * np.eye(n_dims)
    return Motion(states, joint)


def transition(n_dims: int, options: MotionOptions) -> tuple[Float64Array, Float64Array]:
    """Give F and the covariance q^2 G G' of one frame, (2 n_dims, 2 n_dims) each."""
    kept, unit = options.velocity_kept, np.eye(n_dims)
    forward = np.kron([[1.0, kept], [0.0, kept]], unit)
    noise = np.kron([[0.25, 0.5], [0.5, 1.0]], options.acceleration_std**2 * unit)
    return np.asarray(forward, np.float64), np.asarray(noise, np.float64)


def predict_motion(
    motion: Motion, options: MotionOptions | None = None, n_frames: int = 1
) -> Motion:
    """Give where things will be `n_frames` later, and how sure that is.

    Parameters
    ----------
    motion : Motion
    options : MotionOptions, optional
    n_frames : int
        0 or more.

    Returns
    -------
    Motion
        s <- F s, P <- F P F' + q^2 G G', once a frame.
    """
    at_least("n_frames", n_frames, 0)
    forward, noise = transition(motion.n_dims, options or MotionOptions())
    states, covariances = motion.states, motion.covariances
    for _ in range(n_frames):
        states = states @ forward.T
        covariances = forward @ covariances @ forward.T + noise
    return Motion(states, covariances)


def correct_motion(motion: Motion, measured: FloatArray, noise: FloatArray) -> Motion:
    """Give what is known of things once their positions have been measured.

    Parameters
    ----------
    motion : Motion
        What was known before.
    measured : (n_rows, n_dims) float array
        Positions.
    noise : (n_rows, n_dims, n_dims) float array
        Covariances of the error of `measured`.

    Returns
    -------
    Motion
        With the gain K = P H' (H P H' + R)^-1: s + K (z - H s), and (I - K H) P in Joseph's form,
        which stays symmetric and positive (Bar-Shalom et al. 2001, eqs. 5.2.3-11 to 5.2.3-17).
    """
    n_dims, covariances = motion.n_dims, motion.covariances
    innovation = motion.position_covariances + noise
    gain = np.swapaxes(np.linalg.solve(innovation, covariances[:, :n_dims, :]), 1, 2)
    states = motion.states + np.einsum("kij,kj->ki", gain, measured - motion.positions)
    left = np.tile(np.eye(2 * n_dims), (len(states), 1, 1))
    left[:, :, :n_dims] -= gain
    joseph = left @ covariances @ np.swapaxes(left, 1, 2) + gain @ noise @ np.swapaxes(gain, 1, 2)
    return Motion(states, (joseph + np.swapaxes(joseph, 1, 2)) / 2)


def smooth_motion(filtered: Motion, options: MotionOptions | None = None) -> Motion:
    """Give what all frames together tell of one thing in each of its frames.

    Parameters
    ----------
    filtered : Motion
        One thing's frames in a row, each knowing itself and those before.
    options : MotionOptions, optional
        The same that the filter had.

    Returns
    -------
    Motion

    References
    ----------
    Rauch, Tung and Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA
    Journal 3 (1965), eqs. 3.29 to 3.31.
    """
    forward, noise = transition(filtered.n_dims, options or MotionOptions())
    states, covariances = filtered.states.copy(), filtered.covariances.copy()
    for t in range(len(states) - 2, -1, -1):
        ahead = forward @ covariances[t] @ forward.T + noise
        gain = np.linalg.solve(ahead, forward @ covariances[t]).T
        states[t] += gain @ (states[t + 1] - forward @ states[t])
        covariances[t] += gain @ (covariances[t + 1] - ahead) @ gain.T
    return Motion(states, covariances)
