"""How a recording is scored against a speaker's model."""

from dataclasses import dataclass, field

from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import OptionError
from voicegmm.scoring.normalization import ScoreNormalizationOptions

METHODS = ("exact", "top", "linear", "symmetric", "kl", "bhattacharyya")
_PER_FRAME = ("exact", "top", "linear")


@dataclass(frozen=True)
class ScoringOptions:
    """How a recording is scored against a speaker's model.

    Scores of different methods do not compare: a calibration holds for one of them.

    Parameters
    ----------
    method : {"exact", "top", "linear", "symmetric", "kl", "bhattacharyya"}
        "exact": the log-likelihood ratio. "top": the same from each frame's best components. Of
        the recording's statistics alone: "linear", the ratio's first-order approximation;
        "symmetric", the mean of that and its reverse, the model's speech scored on a model of the
        recording; "kl" and "bhattacharyya", kernels between the model and a model of the
        recording.
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
        one_of("method", self.method, METHODS)
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
