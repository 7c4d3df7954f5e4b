"""Everything that is needed to judge a voice: speakers, calibration, what to expect."""

from dataclasses import dataclass, field, replace

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.checks import at_least
from voicegmm._base.errors import MismatchError
from voicegmm._base.options import differences
from voicegmm.metrics import Estimate
from voicegmm.scoring.calibration import Calibration
from voicegmm.scoring.cohort import Cohort
from voicegmm.scoring.models import Speakers
from voicegmm.scoring.options import ScoringOptions, SequentialOptions
from voicegmm.scoring.records import Removal
from voicegmm.scoring.running_calibration import RunningCalibration


@dataclass(frozen=True)
class Rate:
    """A rate of errors, with its 95 % interval.

    Parameters
    ----------
    value, low, high : float
        Fractions; the interval resamples speakers.
    n_trials, n_speakers : int
        What it was measured on.
    """

    value: float
    low: float
    high: float
    n_trials: int
    n_speakers: int


@dataclass(frozen=True)
class IdentificationPromise:
    """What `identify` can be expected to do, measured on speakers left out.

    Parameters
    ----------
    threshold : float
        Natural-log likelihood ratio that the best speaker must pass; otherwise nobody is known.
    max_false_accept : float
        What was asked for.
    n_enrolled : int
        Number of enrolled speakers the rates hold for.
    false_accept : Rate
        Of recordings of strangers that are given a name.
    miss : Rate
        Of recordings of enrolled speakers that are given no name, or another's.
    """

    threshold: float
    max_false_accept: float
    n_enrolled: int
    false_accept: Rate
    miss: Rate


@dataclass(frozen=True)
class SequentialRates:
    """What became of the voices that a sequential test was tried on.

    Parameters
    ----------
    false_accept : Rate
        Of strangers who were accepted, at whichever look.
    miss : Rate
        Of true speakers who were rejected, at whichever look.
    stranger_undecided, speaker_undecided : Rate
        Of those who were neither, when they fell silent or after the last look.
    stranger_seconds, speaker_seconds : float
        Speech until the decision, or the end, in the mean.
    """

    false_accept: Rate
    miss: Rate
    stranger_undecided: Rate
    speaker_undecided: Rate
    stranger_seconds: float
    speaker_seconds: float


@dataclass(frozen=True)
class SequentialTest:
    """When a voice that is still speaking is accepted or rejected.

    Parameters
    ----------
    calibration : RunningCalibration
    accept, reject : float
        Calibrated natural-log ratios to reach at a look: `accept` at least 0, `reject` at most 0.
    max_seconds : float
        Speech at the last look.
    options : SequentialOptions
        The rates that were asked for, and when the looks are.
    achieved : SequentialRates
        The rates that thresholds learned in this way did achieve, on speakers left out.
    """

    calibration: RunningCalibration
    accept: float
    reject: float
    max_seconds: float
    options: SequentialOptions
    achieved: SequentialRates

    def __post_init__(self) -> None:
        at_least("accept", self.accept, 0)
        at_least("-reject", -self.reject, 0)


@dataclass(frozen=True, eq=False)
class OpenSetTests:
    """What became of each recording that was tried in the folds.

    Parameters
    ----------
    best_wrong, own : (n_tests,) float64 array
        The best score of another's model, and that of its own (-inf where it has none).
    voice, fold : (n_tests,) int64 array
        Whose voice, and in which fold.
    stranger : (n_tests,) bool array
    n_met : float
        Models of others that a stranger met.
    """

    best_wrong: Float64Array
    own: Float64Array
    voice: IntArray
    fold: IntArray
    stranger: BoolArray
    n_met: float


@dataclass(frozen=True, eq=False)
class Voices:
    """Speaker models with what their scores mean.

    Parameters
    ----------
    speakers : SpeakerModels or SubspaceSpeakers
    calibration : Calibration, optional
        None: scores are uncalibrated.
    promise : IdentificationPromise, optional
        Threshold of `identify`, and its error rates.
    expected : dict of str to Estimate
        Figures of verification on strangers (eer, cllr, ...), as `voicegmm.metrics.evaluate`.
    open_set : OpenSetTests, optional
        What `promise` was made from: it is made again when speakers come or go.
    uncalibrated_because : str
        The reason where there is no calibration.
    not_enrolled : dict of str to str
        Models that were asked for and could not be made, with the reason.
    scoring : ScoringOptions
        How recordings are scored: the calibration and all that follows from it holds for no other
        scores.
    cohort : Cohort, optional
        What scores are normalized by, where they are.
    sequential : SequentialTest, optional
        Thresholds for a voice that is still speaking, where the front end takes sound in pieces.
    calibrated_from : tuple of str, optional
        SHA-256 of the recordings that the calibration, and all that goes with it, was learned from;
        None where they are not known.
    removals : tuple of Removal
        Of whom there was something in it, the earliest first.
    """

    speakers: Speakers
    calibration: Calibration | None = None
    promise: IdentificationPromise | None = None
    expected: dict[str, Estimate] = field(default_factory=dict)
    open_set: OpenSetTests | None = None
    uncalibrated_because: str = ""
    not_enrolled: dict[str, str] = field(default_factory=dict)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    cohort: Cohort | None = None
    sequential: SequentialTest | None = None
    calibrated_from: tuple[str, ...] | None = None
    removals: tuple[Removal, ...] = ()

    def __post_init__(self) -> None:
        if self.cohort is None:
            return
        one, other = self.speakers.background, self.cohort.models.background
        if one is not other and one.fingerprint != other.fingerprint:
            raise MismatchError(
                f"the speakers were made from the background model {one.fingerprint}, the cohort "
                f"from {other.fingerprint}; make the cohort anew"
            )

    def needed_cohort(self, options: ScoringOptions) -> Cohort:
        """Give the cohort that scores are normalized by.

        Raises
        ------
        MismatchError
            If there is none, or it keeps scores that were made otherwise.
        """
        normalization = options.normalization
        if self.cohort is None:
            raise MismatchError(
                f"normalization {normalization.method!r} needs a cohort, and these speakers were "
                "made without one; make them anew with it, or score without normalization"
            )
        raw, asked = (replace(one, normalization=normalization) for one in (self.scoring, options))
        if normalization.needs_recordings and raw != asked:
            name, (kept, wanted) = next(iter(differences(raw, asked).items()))
            raise MismatchError(
                f"the cohort was scored with {name} {kept!r}, which does not hold for {wanted!r}; "
                "make the speakers anew with it, or normalize by 't'"
            )
        if normalization.method == "zt" and self.scoring.normalization.method != "zt":
            raise MismatchError(
                "normalization 'zt' needs a cohort that met itself, and this one was made for "
                f"{self.scoring.normalization.method!r}; make the speakers anew"
            )
        return self.cohort
