"""How a recording is scored against a speaker's model."""

from dataclasses import dataclass, field

from voicegmm._base.checks import above, at_least, one_of, within
from voicegmm._base.errors import OptionError
from voicegmm.scoring.normalization import ScoreNormalizationOptions

METHODS = ("exact", "top", "linear", "symmetric", "kl", "bhattacharyya")
"""Of speakers who were adapted, each with a mixture."""

_PER_FRAME = ("exact", "top", "linear")
RATIOS = ("exact", "top")
"""Of frames: also of speakers in a subspace that moves means."""


@dataclass(frozen=True)
class ScoringOptions:
    """How a recording is scored against a speaker's model.

    Scores of different methods do not compare: a calibration holds for one of them.

    Parameters
    ----------
    method : {"exact", "top", "linear", "symmetric", "kl", "bhattacharyya", "subspace"}
        "exact": the log-likelihood ratio; of "isv" and "jfa" with the test's own session on both
        sides of it. "top": the same from each frame's best components. Of
        the recording's statistics alone: "linear", the ratio's first-order approximation;
        "symmetric", the mean of that and its reverse, the model's speech scored on a model of the
        recording; "kl" and "bhattacharyya", kernels between the model and a model of the
        recording; "subspace", what the speakers' subspace says: "linear" without the recording's
        session, or the back end of i-vectors (see `SubspaceOptions`).
    n_top : int
        Best components of a frame, with "top", and only there; all where there are fewer.
    length_normalization : bool
        Whether scores are per frame; false only with "exact", "top" and "linear", whose scores
        then grow with the recording.
    normalization : ScoreNormalizationOptions
        By a cohort of other speakers; none by default.
    """

    method: str = "exact"
    n_top: int = 10
    length_normalization: bool = True
    normalization: ScoreNormalizationOptions = field(default_factory=ScoreNormalizationOptions)

    def __post_init__(self) -> None:
        one_of("method", self.method, (*METHODS, "subspace"))
        at_least("n_top", self.n_top, 1)
        if self.method != "top" and self.n_top != ScoringOptions.n_top:
            raise OptionError(
                f"n_top must not be given with the method {self.method!r}, got {self.n_top}: "
                "it is for the method 'top'"
            )
        if not self.length_normalization and self.method not in _PER_FRAME:
            raise OptionError(
                f"length_normalization must be true with the method {self.method!r}; "
                f"it can be false with {', '.join(_PER_FRAME)}"
            )


@dataclass(frozen=True)
class SequentialOptions:
    """How a voice is verified while it speaks.

    Parameters
    ----------
    false_accept : float
        Share of strangers who may be accepted, at whichever look, in (0, 0.5).
    miss : float
        Share of true speakers who may be rejected, at whichever look, in (0, 0.5).
    first_seconds : float
        Speech before the first look, positive.
    step_seconds : float
        Speech from one look to the next, at least 0.05.
    max_seconds : float
        Speech after which it stays undecided; sooner, where less than half of the speakers that
        thresholds are learned from speak for so long. At least `first_seconds`.
    """

    false_accept: float = 0.01
    miss: float = 0.05
    first_seconds: float = 0.5
    step_seconds: float = 0.25
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("false_accept", "miss"):
            within(name, getattr(self, name), 1e-6, 0.5)
        above("first_seconds", self.first_seconds, 0)
        at_least("step_seconds", self.step_seconds, 0.05)
        at_least("max_seconds", self.max_seconds, self.first_seconds)


def check_running(options: ScoringOptions) -> None:
    """Refuse scores that cannot be told while somebody speaks.

    Raises
    ------
    OptionError
        Naming the option, its value and what would be right.
    """
    method, normalization = options.method, options.normalization.method
    if method not in RATIOS:
        raise OptionError(
            f"method must be one of {', '.join(RATIOS)} for a running score, got {method!r}"
        )
    if normalization != "none":
        raise OptionError(
            f"normalization.method must be 'none' for a running score, got {normalization!r}"
        )
