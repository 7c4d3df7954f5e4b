"""What a tracker knows from one frame to the next, how it is told to follow, and how it begins."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray, frozen
from voicegmm._base.checks import above, at_least, within
from voicegmm._base.errors import OptionError
from voicegmm.mixture.model import FullGMM, Mixture, TiedGMM
from voicegmm.mixture.tracking.motion import Motion, MotionOptions, at_rest


@dataclass(frozen=True)
class TrackOptions:
    """How components follow what moves.

    Parameters
    ----------
    motion : MotionOptions
        How they move.
    n_iterations : int
        Rounds of EM in each frame; at least 1.
    quantum : float
        Weight that tells as much as one independent point: a position measured from a weight of n
        has the covariance S quantum / n; above 0.
    mass_memory, spread_memory : float
        How much of a component's weight and of its covariance is kept from the frame before, in
        [0, 1]; 1 leaves them as they were at birth.
    least_std, greatest_std : float
        Bounds of a component's standard deviations, in units of the data; above 0. One that grows
        wider covers two things: it is split along its length, if there may be births.
    clutter_volume : float, optional
        V, over which the clutter is spread, in units of the data to the power of n_dims; by
        default the box around the points of the first frame that has any.
    clutter_share : float
        The clutter's part of the weight in the first frame, and the least that it ever has; in
        (0, 1).
    birth_std : float
        The standard deviation a component starts from, in units of the data; above 0.
    n_births : int
        Most births in one frame; 0 keeps the components that there are, and splits none.
    confirm_frames : int
        Frames in a row in which a component must be seen before it counts; at least 1.
    least_share : float
        A component is not born, and is not seen in a frame, where it explains less than this part
        of the frame's weight; in [0, 1].
    least_evidence : float
        Nor where the clutter could explain that weight nearly as well: with less evidence than
        this against it, in nats (`clutter.evidence`); 0 or more.
    seen_part : float
        Nor is a component seen when it explains less than this part of the weight it is expected
        to; in [0, 1].
    death_frames : int, optional
        It dies when it has not been seen for so many frames in a row (one not yet confirmed: at
        the first); at least 1. None: never.
    merge_distance : float
        Two components coincide when they are less than this many of their standard deviations
        apart; 0 or more, 0 merges none.
    merge_frames : int
        They merge if by their velocities they will coincide so many frames later too: what only
        crosses does not; 0 or more.
    """

    motion: MotionOptions = field(default_factory=MotionOptions)
    n_iterations: int = 4
    quantum: float = 1.0
    mass_memory: float = 0.8
    spread_memory: float = 0.9
    least_std: float = 0.5
    greatest_std: float = 20.0
    clutter_volume: float | None = None
    clutter_share: float = 0.05
    birth_std: float = 3.0
    n_births: int = 8
    confirm_frames: int = 3
    least_share: float = 0.02
    least_evidence: float = 8.0
    seen_part: float = 0.2
    death_frames: int | None = 8
    merge_distance: float = 1.0
    merge_frames: int = 8

    def __post_init__(self) -> None:
        at_least("n_iterations", self.n_iterations, 1)
        for name in ("quantum", "least_std", "birth_std"):
            above(name, getattr(self, name), 0)
        for name in ("mass_memory", "spread_memory", "seen_part", "least_share"):
            within(name, getattr(self, name), 0, 1)
        if not self.greatest_std >= self.least_std:
            raise OptionError(
                f"greatest_std must be at least least_std, {self.least_std}, "
                f"got {self.greatest_std}"
            )
        if self.clutter_volume is not None:
            above("clutter_volume", self.clutter_volume, 0)
        within("clutter_share", self.clutter_share, 1e-12, 1 - 1e-12)
        at_least("n_births", self.n_births, 0)
        at_least("least_evidence", self.least_evidence, 0)
        at_least("confirm_frames", self.confirm_frames, 1)
        if self.death_frames is not None:
            at_least("death_frames", self.death_frames, 1)
        at_least("merge_distance", self.merge_distance, 0)
        at_least("merge_frames", self.merge_frames, 0)


@dataclass(frozen=True, eq=False)
class TrackState:
    """The components of one frame, one row each, the oldest first.

    Parameters
    ----------
    identities : (n_components,) int array
        Never given twice; in the order of birth.
    motion : Motion
        Positions (the means of the components), velocities, and how well both are known.
    spreads : (n_components, n_dims, n_dims) float array
        Covariances of the components' points about their positions.
    masses : (n_components,) float array
        The weight each is expected to explain in a frame.
    n_seen : (n_components,) int array
        Frames in which it was seen.
    n_unseen : (n_components,) int array
        Frames in a row, up to this one, in which it was not.
    confirmed : (n_components,) bool array
        Whether it counts.
    clutter_mass : float
        The weight the clutter is expected to explain; NaN before the first points.
    clutter_volume : float
        Over which it is spread; NaN before the first points.
    n_identities : int
        Components born so far: the next identity.
    n_frames : int
        Frames so far.
    log_likelihood : float
        Of the last frame under its prediction, in nats per unit of weight; NaN without points.
    """

    identities: IntArray
    motion: Motion
    spreads: Float64Array
    masses: Float64Array
    n_seen: IntArray
    n_unseen: IntArray
    confirmed: BoolArray
    clutter_mass: float = float("nan")
    clutter_volume: float = float("nan")
    n_identities: int = 0
    n_frames: int = 0
    log_likelihood: float = float("nan")

    def __post_init__(self) -> None:
        for name, kind in (
            ("identities", np.int64),
            ("spreads", np.float64),
            ("masses", np.float64),
            ("n_seen", np.int64),
            ("n_unseen", np.int64),
            ("confirmed", np.bool_),
        ):
            object.__setattr__(self, name, frozen(getattr(self, name), kind))

    @property
    def n_components(self) -> int:
        """Number of components, confirmed or not."""
        return len(self.identities)

    @property
    def n_dims(self) -> int:
        """Dimensions of a point."""
        return self.motion.n_dims

    def rows(self, chosen: IntArray | BoolArray) -> "TrackState":
        """Keep some of the components."""
        columns: dict[str, Any] = {name: getattr(self, name)[chosen] for name in BY_COMPONENT}
        return replace(self, motion=self.motion.rows(chosen), **columns)


BY_COMPONENT = ("identities", "spreads", "masses", "n_seen", "n_unseen", "confirmed")


def track_start(n_dims: int) -> TrackState:
    """Begin without components: they will be born.

    Parameters
    ----------
    n_dims : int
        Dimensions of a point; at least 1.

    Returns
    -------
    TrackState
    """
    at_least("n_dims", n_dims, 1)
    none = np.zeros(0, np.int64)
    return TrackState(
        identities=none,
        motion=Motion(np.zeros((0, 2 * n_dims)), np.zeros((0, 2 * n_dims, 2 * n_dims))),
        spreads=np.zeros((0, n_dims, n_dims)),
        masses=np.zeros(0),
        n_seen=none,
        n_unseen=none,
        confirmed=np.zeros(0, np.bool_),
    )


def track_start_with(gmm: Mixture, mass: float, options: TrackOptions | None = None) -> TrackState:
    """Begin with the components of a mixture, all confirmed.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape. A position is known as well as its component is narrow; the
        velocity is unknown.
    mass : float
        The weight they shall explain in a frame, all together; above 0.
    options : TrackOptions, optional

    Returns
    -------
    TrackState
    """
    options = options or TrackOptions()
    above("mass", mass, 0)
    spreads = _covariances(gmm)
    n = gmm.n_components
    return TrackState(
        identities=np.arange(n),
        motion=at_rest(gmm.means, spreads, options.motion),
        spreads=spreads,
        masses=mass * np.maximum(gmm.weights, 1e-12),
        n_seen=np.zeros(n, np.int64),
        n_unseen=np.zeros(n, np.int64),
        confirmed=np.ones(n, np.bool_),
        n_identities=n,
    )


def _covariances(gmm: Mixture) -> Float64Array:
    if isinstance(gmm, FullGMM):
        return gmm.covariances
    if isinstance(gmm, TiedGMM):
        return np.tile(gmm.covariance, (gmm.n_components, 1, 1))
    covariances: Float64Array = gmm.variances_by_dim()[:, :, None] * np.eye(gmm.n_dims)
    return covariances
