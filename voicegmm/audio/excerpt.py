"""Which part of a recording is meant: from when to when, and which channel."""

import math
from dataclasses import dataclass

from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import OptionError

MOST_CHANNELS = 64


@dataclass(frozen=True)
class Excerpt:
    """A part of a recording, cut by samples: the first is that nearest to the start.

    Parameters
    ----------
    start_seconds : float >= 0
    end_seconds : float > start_seconds
        Infinity is the end of the recording. Half a second behind it counts as the end: lists of
        segments are rounded.
    channel : int
        1 for the first, up to 64; 0 for the average of all channels.

    Raises
    ------
    OptionError
    """

    start_seconds: float = 0.0
    end_seconds: float = math.inf
    channel: int = 0

    def __post_init__(self) -> None:
        at_least("start_seconds", self.start_seconds, 0)
        if not self.end_seconds > self.start_seconds:
            raise OptionError(
                f"end_seconds must be greater than start_seconds ({self.start_seconds:g}), got "
                f"{self.end_seconds:g}"
            )
        within("channel", self.channel, 0, MOST_CHANNELS)

    def __str__(self) -> str:
        """Say it in words: "the part from 1.5 to 3 s"."""
        end = f"{self.end_seconds:.10g} s" if math.isfinite(self.end_seconds) else "the end"
        part = f"the part from {self.start_seconds:.10g} to {end}"
        return f"{part} of channel {self.channel}" if self.channel else part

    def samples(self, rate: int) -> tuple[int, int | None]:
        """Give the first sample at a rate and the one behind the last; None where that is the end.

        Python's slices take both.
        """
        end = round(self.end_seconds * rate) if math.isfinite(self.end_seconds) else None
        return round(self.start_seconds * rate), end


WHOLE = Excerpt()
"""A recording from its beginning to its end, all channels averaged."""
