"""Operating points by the name of the evaluation that set them."""

from collections.abc import Sequence

from voicegmm._base.checks import one_of
from voicegmm._base.errors import OptionError
from voicegmm.metrics.rates import OperatingPoint

POINTS_OF = {
    # The NIST Year 2008 Speaker Recognition Evaluation Plan.
    "sre08": (OperatingPoint(0.01, 10.0, 1.0),),
    # The NIST Year 2010 Speaker Recognition Evaluation Plan: core and 8conv/core.
    "sre10": (OperatingPoint(0.001),),
    # The NIST Year 2012 Speaker Recognition Evaluation Plan: C_primary is their mean.
    "sre12": (OperatingPoint(0.01), OperatingPoint(0.001)),
    # NIST 2016 Speaker Recognition Evaluation Plan; C_primary is their mean.
    "sre16": (OperatingPoint(0.01), OperatingPoint(0.005)),
    # NIST 2018 Speaker Recognition Evaluation Plan, and 2019 (CTS challenge), CMN2.
    "sre18-cmn2": (OperatingPoint(0.01), OperatingPoint(0.005)),
    "sre19-cmn2": (OperatingPoint(0.01), OperatingPoint(0.005)),
    # The same plans: sound of video (VAST), and the audio-visual part of 2019.
    "sre18-vast": (OperatingPoint(0.05),),
    "sre19-av": (OperatingPoint(0.05),),
    # McLaren et al., "The 2016 Speakers in the Wild speaker recognition evaluation", Interspeech.
    "sitw": (OperatingPoint(0.01),),
    # Nagrani et al., "VoxCeleb: a large-scale speaker identification dataset", Interspeech 2017.
    "voxceleb": (OperatingPoint(0.01),),
    # VoxSRC 2020 to 2023, the README of the validation toolkit: as SRE18 for sound of video.
    "voxsrc": (OperatingPoint(0.05),),
}
"""Each trial counts the same here. SRE12 weighs non-targets who are known to the system and others
separately, and SRE16 and its followers give each partition (sex, language, ...) the same weight: a
trial list tells neither, so where these matter a figure differs from NIST's own."""


def read_points(words: Sequence[str]) -> tuple[OperatingPoint, ...]:
    """Read operating points: each word a name of `POINTS_OF`, or "P_TARGET,C_MISS,C_FA".

    A number alone is a p_target with costs of 1. A point that two words name stands once.

    Raises
    ------
    OptionError
        For a name that is not known, or numbers that are no operating point.
    """
    points: dict[OperatingPoint, None] = {}
    for word in words:
        points |= dict.fromkeys(_read(word))
    return tuple(points)


def _read(word: str) -> tuple[OperatingPoint, ...]:
    try:
        numbers = [float(part) for part in word.split(",")]
    except ValueError:
        one_of("points", word, POINTS_OF)
        return POINTS_OF[word]
    if len(numbers) not in (1, 3):
        raise OptionError(f"points must be P_TARGET or P_TARGET,C_MISS,C_FA; got {word!r}")
    return (OperatingPoint(*numbers),)
