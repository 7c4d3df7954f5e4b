"""Operating points by the name of the evaluation that set them, and NIST's weighing of trials.

The evaluation plans themselves were not at hand. Read from software or words of the organizers:

=================  =============================================================================
sre18-cmn2, -vast  NIST's own scorer, ``sre18_submission_scorer.py`` (O. Sadjadi, June 2018), as
                   kept in github.com/navealg/SRE18_BGU, ``tools/scoring_software``
sre19-cmn2         NIST's scorer of the CTS challenge (June 2019) in a participant's version; so
                   does ``egs/sre19-cmn2/v1/local/fusion_sre19cmn2_v1.sh`` of
                   github.com/hyperion-ml/hyperion (systems of Johns Hopkins University)
voxsrc             the README of github.com/a-nagrani/VoxSRC2020, which cites section 3.1 of the
                   plan of SRE18 for sound of video, and of github.com/JaesungHuh/VoxSRC2023
=================  =============================================================================

Of the second hand, from what others wrote, or ran for these evaluations:

=================  =============================================================================
sre08, 10, 12      github.com/davidavdav/ROC, ``R/zzz.R`` (D. van Leeuwen); sre10 also SIDEKIT's
                   tutorial. That SRE12 takes the mean of its two points is from memory
sre16              the pair of SRE18's telephone trials, as a summary of the plans has it
sre19-av           hyperion, ``egs/sre19-cmn2/v1/local/fusion_sre19av_a_v1.sh``
sre20-cts          hyperion, ``egs/sre20-cts/v1/local/fusion_sre20cts_v1.sh``: 0.05, where the
                   same script for SRE19 has 0.01 and 0.005
sre21              hyperion, ``egs/sre21-av-a/v1.16k/local/score_sre21.py``: the mean of the two
sitw, voxceleb     Kaldi's ``egs/sitw/v1/run.sh`` reports 0.01 and 0.001, its recipe of VoxCeleb
                   too; the papers, McLaren et al., Interspeech 2016, and Nagrani et al., 2017,
                   were not at hand
=================  =============================================================================
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array
from voicegmm._base.checks import one_of
from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics.rates import OperatingPoint
from voicegmm.metrics.speakers import number_names

_TELEPHONE = (OperatingPoint(0.01), OperatingPoint(0.005))
_VIDEO = (OperatingPoint(0.05),)

POINTS_OF = {
    "sre08": (OperatingPoint(0.01, 10.0, 1.0),),
    "sre10": (OperatingPoint(0.001),),
    "sre12": (OperatingPoint(0.01), OperatingPoint(0.001)),
    "sre16": _TELEPHONE,
    "sre18-cmn2": _TELEPHONE,
    "sre18-vast": _VIDEO,
    "sre19-cmn2": _TELEPHONE,
    "sre19-av": _VIDEO,
    "sre20-cts": (OperatingPoint(0.05),),
    "sre21": (OperatingPoint(0.01), OperatingPoint(0.05)),
    "sitw": (OperatingPoint(0.01),),
    "voxceleb": (OperatingPoint(0.01),),
    "voxsrc": _VIDEO,
}
"""NIST's primary cost is the mean over the points of an evaluation: `evaluate(..., primary=True)`.
(SRE18 then took the mean of its telephone and its video trials.) NIST's own figures weigh
partitions of the trials alike, see `equalized_weights`; those of SRE12 weigh non-targets who are
known to the system and others separately, which no trial list tells."""


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


def equalized_weights(partitions: npt.ArrayLike) -> Float64Array:
    """Weigh the trials of one class so that each partition of them counts alike, as NIST does.

    Error rates with these weights, of targets and of non-targets each, are the means of the rates
    of the partitions: NIST's equalized costs since SRE16, in which the trials are partitioned by
    sex, language, number of enrollment segments, telephone number and so on.

    Parameters
    ----------
    partitions : (n_trials,) array_like of str or int
        The partition of each trial: "female pstn 3", or any other names.

    Returns
    -------
    (n_trials,) float64 array
        The trials of the largest partition divided by those of its own: 1 and more. To be given to
        `min_dcf` and the others as target_weights or nontarget_weights.

    Raises
    ------
    DataError
        If partitions is not a vector with something in it.

    References
    ----------
    ``scoring_utils.compute_partition_weights`` of NIST's scorer of SRE18.
    """
    names = np.asarray(partitions)
    if names.ndim != 1 or not len(names):
        raise DataError(
            f"partitions must be a vector of names, one a trial; got shape {names.shape}"
        )
    (number,) = number_names(names)
    counts = np.bincount(number)
    weights: Float64Array = (counts.max() / counts)[number]
    return weights
