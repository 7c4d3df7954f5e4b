"""Everything that is needed to judge a voice: speakers, calibration, what to expect."""

from dataclasses import dataclass, field

from voicegmm.metrics import Estimate
from voicegmm.scoring.calibration import Calibration
from voicegmm.scoring.identification import IdentificationPromise
from voicegmm.scoring.models import SpeakerModels


@dataclass(frozen=True, eq=False)
class Voices:
    """Speaker models with what their scores mean.

    Parameters
    ----------
    speakers : SpeakerModels
    calibration : Calibration, optional
        None: scores are uncalibrated.
    promise : IdentificationPromise, optional
        Threshold of `identify`, and its error rates.
    expected : dict of str to Estimate
        Figures of verification on strangers (eer, cllr, ...), as `voicegmm.metrics.evaluate`.
    uncalibrated_because : str
        The reason where there is no calibration.
    """

    speakers: SpeakerModels
    calibration: Calibration | None = None
    promise: IdentificationPromise | None = None
    expected: dict[str, Estimate] = field(default_factory=dict)
    uncalibrated_because: str = ""
