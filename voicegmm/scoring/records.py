"""The audit record: what a speaker was enrolled from, and when."""

import re
from dataclasses import dataclass
from datetime import datetime

from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""UTC to the second, as ISO 8601 writes it."""


@dataclass(frozen=True)
class EnrolledRecording:
    """A recording that a speaker was enrolled from.

    Parameters
    ----------
    file : str
        As it was given: a path, or its id in a feature store.
    content : str
        SHA-256 of the file, in hex; empty where it is not known.
    seconds : float
        Speech that was found in it: frames kept, times the hop.
    enrolled_at : str
        UTC, as "2026-01-31T12:00:00Z"; empty where nobody told the time.

    Raises
    ------
    DataError
        For what is no SHA-256 or no time.
    """

    file: str
    content: str = ""
    seconds: float = 0.0
    enrolled_at: str = ""

    def __post_init__(self) -> None:
        at_least("seconds", self.seconds, 0)
        if self.content and not is_sha256(self.content):
            raise DataError(f"content must be a SHA-256, 64 hex digits, got {self.content!r}")
        checked_time(self.enrolled_at)


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 as we write it."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


@dataclass(frozen=True)
class Removal:
    """That somebody was removed, and nothing of whom.

    Parameters
    ----------
    removed_at : str
        UTC, as "2026-01-31T12:00:00Z"; empty where nobody told the time.
    in_background, in_calibration, in_subspace : bool, optional
        Whether the background model, the calibration and the subspace, if there is one, were
        learned from that voice too; None where that is not known. They go on to derive from it
        until they are trained again.
    """

    removed_at: str = ""
    in_background: bool | None = None
    in_calibration: bool | None = None
    in_subspace: bool | None = False

    def __post_init__(self) -> None:
        checked_time(self.removed_at, "removed_at")


def checked_time(text: str, name: str = "enrolled_at") -> str:
    """Refuse a time that is not written as "2026-01-31T12:00:00Z"; empty is none."""
    try:
        if text:
            datetime.strptime(text, TIME_FORMAT)
    except ValueError:
        raise DataError(
            f"{name} must be a time in UTC as 2026-01-31T12:00:00Z, got {text!r}"
        ) from None
    return text
