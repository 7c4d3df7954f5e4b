"""Frames that another program made: what can be known of them, and that they are not ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicegmm._base.checks import at_least, within
from voicegmm._base.errors import MismatchError, OptionError
from voicegmm._base.options import fingerprint, from_mapping
from voicegmm.audio.signal import HIGHEST_RATE, LOWEST_RATE
from voicegmm.features.pipeline import Pipeline, PipelineOptions, front_end_fingerprint


@dataclass(frozen=True)
class ForeignFrontEnd:
    """What stands in the place of the options of a front end that is not ours.

    Frames and models go together where all of it is equal; that the same was done to the
    recordings is the word of whoever named the origin.

    Parameters
    ----------
    origin : str
        What made the frames, in the words of whoever converted them, as "kaldi sre16 mfcc".
    n_dims : int
        Columns of the frames; at least 1.
    hop_seconds : float
        From one frame to the next, 1e-4 to 1.
    sample_rate : int
        Of the recordings that they were made from, in hertz, 1,000 to 768,000.

    Raises
    ------
    OptionError
        For a value outside its range.
    """

    origin: str
    n_dims: int
    hop_seconds: float
    sample_rate: int

    def __post_init__(self) -> None:
        if not self.origin.strip() or not self.origin.isprintable():
            raise OptionError(f"origin must be a name in words, got {self.origin!r}")
        at_least("n_dims", self.n_dims, 1)
        within("hop_seconds", self.hop_seconds, 1e-4, 1.0)
        within("sample_rate", self.sample_rate, LOWEST_RATE, HIGHEST_RATE)
        # 1 and 1.0 must have one fingerprint.
        object.__setattr__(self, "hop_seconds", float(self.hop_seconds))


FrontEnd = PipelineOptions | ForeignFrontEnd
"""What made frames: our pipeline, or something else."""


def pipeline_of(front_end: FrontEnd) -> Pipeline:
    """Give the pipeline that makes such frames of recordings.

    Raises
    ------
    MismatchError
        If another program made them.
    """
    if isinstance(front_end, ForeignFrontEnd):
        raise MismatchError(
            f"the model was made on frames of elsewhere ({front_end.origin}), and voicegmm cannot "
            "make such of a recording: convert their frames too, and use adapt and score"
        )
    return Pipeline(front_end)


def fingerprint_of(front_end: FrontEnd) -> str:
    """Give a pipeline's fingerprint, or that of what is known of frames of elsewhere."""
    if isinstance(front_end, ForeignFrontEnd):
        return fingerprint({"foreign": front_end})
    return front_end_fingerprint(front_end)


def read_front_end(mapping: Mapping[str, Any], where: str = "") -> FrontEnd:
    """Read a front end, ours or another's, from what stands in a file.

    Raises
    ------
    OptionError
        If it is neither.
    """
    kind: type[FrontEnd] = ForeignFrontEnd if "origin" in mapping else PipelineOptions
    return from_mapping(kind, mapping, where)
