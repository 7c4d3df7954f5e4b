"""How fast EM trains, and when it pays."""

from dataclasses import dataclass

from voicegmm._base.checks import above, at_least, one_of, within

METHODS = ("dense", "fast", "auto")
MOST_COMPONENTS = 65_536  # a name on a short list has 16 bits

_PAYS_FROM = {"components": 512, "dims": 30, "frames_per_component": 100}


@dataclass(frozen=True)
class FastOptions:
    """How a large diagonal mixture is trained faster than dense EM can.

    Parameters
    ----------
    method : {"dense", "fast", "auto"}
        Plain EM; growth and short lists; whichever pays, by components, dimensions and frames.
    n_listed : int
        Most components on a frame's short list, 1 to 253: a frame takes n_listed + 3 bytes of
        memory at most. Of some thousands of components fewer have room in that, half as many at
        least.
    keep : float
        Listed is whose posterior is not less than this part of the frame's greatest; in (0, 1].
    least : float
        In passes with short lists, a posterior under this part of the greatest counts as none; in
        [0, 1].
    n_near : int
        In grouped passes, each frame is held to the components near the group it belongs to: at
        least so many, 1 or more. Growth asks for 96 at most; passes over all frames heed it where
        there are more components than `all_near`.
    near_part : int
        And at least one in so many of all components, 1 or more.
    all_near : int
        Up to so many components all are near every group: 0 or more. Such passes take longer, and
        EM comes to rest where dense EM does from the same start; with fewer near it rests
        elsewhere, some hundredths of a nat a frame lower in training, higher or lower beyond it.
    group_factor : float
        Groups are so many times the square root of the number of components; above 0.
    chunk_frames : int
        Frames that are sorted by groups together, and a work item: a limit of memory that does
        not hold them is refused. 1,024 or more.
    n_short : int
        Passes over short lists after each grouped pass; 0: all passes are full.
    max_loss : float
        The most that truncation may take off the log-likelihood, in nats per frame: where the
        audit finds more, later rounds are more careful, as `next_pass` says.
    audit_frames : int
        Frames on which the last pass with the same lists is compared with the exact likelihood; at
        least 2.
    grow_from : int
        Components that growth begins with at most; at least 1.
    grow_frames : int
        Frames a component, while it grows, but 524,288 of them at most; at least 1.
    grow_iterations : int
        Of EM after each doubling; at least 1.
    """

    method: str = "dense"
    n_listed: int = 32
    keep: float = 1e-6
    least: float = 1e-5
    n_near: int = 128
    near_part: int = 16
    all_near: int = 2048
    group_factor: float = 2.0
    chunk_frames: int = 32_768
    n_short: int = 3
    max_loss: float = 0.05
    audit_frames: int = 20_000
    grow_from: int = 64
    grow_frames: int = 200
    grow_iterations: int = 3

    def __post_init__(self) -> None:
        one_of("method", self.method, METHODS)
        within("n_listed", self.n_listed, 1, 253)
        above("keep", self.keep, 0)
        within("keep", self.keep, 0, 1)
        within("least", self.least, 0, 1)
        at_least("n_near", self.n_near, 1)
        at_least("near_part", self.near_part, 1)
        at_least("all_near", self.all_near, 0)
        above("group_factor", self.group_factor, 0)
        at_least("chunk_frames", self.chunk_frames, 1024)
        at_least("n_short", self.n_short, 0)
        above("max_loss", self.max_loss, 0)
        at_least("audit_frames", self.audit_frames, 2)
        at_least("grow_from", self.grow_from, 1)
        at_least("grow_frames", self.grow_frames, 1)
        at_least("grow_iterations", self.grow_iterations, 1)

    def near(self, n_components: int) -> int:
        """Give how many components are near a group: all, too, where that costs little more."""
        n_near = max(self.n_near, n_components // self.near_part)
        few = n_components <= max(self.all_near, 4 * n_near)
        return n_components if few else n_near


def pays(n_components: int, n_dims: int, n_frames: int) -> bool:
    """Tell whether fast EM is the faster way to the same likelihood.

    Posteriors are sparse where there are many components and many dimensions, and growth needs
    frames enough for every component.
    """
    return (
        n_components >= _PAYS_FROM["components"]
        and n_dims >= _PAYS_FROM["dims"]
        and n_frames >= _PAYS_FROM["frames_per_component"] * n_components
    )
