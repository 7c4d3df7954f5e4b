"""From a background model and lists to speakers that can be scored: as a recipe and `adapt` do."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from voicegmm._base.checks import at_least
from voicegmm._base.errors import DataError
from voicegmm.corpus import Enrollment
from voicegmm.mixture import MapOptions
from voicegmm.scoring.background import BackgroundModel, UbmOptions
from voicegmm.scoring.calibration import Calibration
from voicegmm.scoring.cohort import cohort_size, make_cohort
from voicegmm.scoring.folds import FoldOptions, rehearse
from voicegmm.scoring.frames import FrameLibrary, contents_of, usable
from voicegmm.scoring.models import enroll
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.subspaces import Subspace, SubspaceOptions, check_subspace
from voicegmm.scoring.table import ScoreTable
from voicegmm.scoring.voices import Voices

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeakerOptions:
    """How speakers are made: the tables of a recipe that say it.

    Parameters
    ----------
    adaptation : MapOptions
    scoring : ScoringOptions
    calibration : FoldOptions
    min_enroll_seconds : float
        A speaker with less speech is not enrolled; 0 or more.
    backend : SubspaceOptions
    """

    adaptation: MapOptions = field(default_factory=MapOptions)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    calibration: FoldOptions = field(default_factory=FoldOptions)
    min_enroll_seconds: float = 1.0
    backend: SubspaceOptions = field(default_factory=SubspaceOptions)

    def __post_init__(self) -> None:
        check_subspace(self.backend, self.adaptation, self.scoring)
        at_least("min_enroll_seconds", self.min_enroll_seconds, 0)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What came of a calibration.

    Parameters
    ----------
    calibration : Calibration, optional
    reason : str
        Why there is none.
    development : ScoreTable, optional
        The folds' trials, from which it was learned; their ratios are its own, learned from the
        same trials.
    """

    calibration: Calibration | None = None
    reason: str = ""
    development: ScoreTable | None = None


def calibrate(
    frames: FrameLibrary,
    others: Mapping[str, Sequence[str]],
    options: SpeakerOptions,
    ubm: UbmOptions,
    seed: int,
    enrollments: Sequence[Enrollment],
    n_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Learn a calibration by folds over the speakers of the background.

    Parameters
    ----------
    frames : FrameLibrary
    others : mapping of str to sequence of str
        Speaker -> recordings, of the background.
    options : SpeakerOptions
    ubm : UbmOptions
    seed : int
        Of the background model that will be used in earnest.
    enrollments : sequence of Enrollment
        In earnest: they say how many recordings enroll a speaker.
    n_workers : int
    progress : callable, optional
        Called with the folds done and their number.

    Returns
    -------
    Calibrated
    """
    folds = options.calibration
    if folds.design == "none":
        return Calibrated(reason="none was asked for")
    try:
        rehearsal = rehearse(
            frames,
            others,
            folds,
            ubm,
            options.adaptation,
            seed,
            enrollments,
            meet=False,
            n_workers=n_workers,
            progress=progress,
            scoring=options.scoring,
            backend=options.backend,
        )
        calibration = rehearsal.calibration(folds.p_target, folds.map)
    except DataError as error:
        log.warning("the scores are uncalibrated: %s", error)
        return Calibrated(reason=str(error))
    return Calibrated(calibration, development=rehearsal.table(calibration))


def make_voices(
    background: BackgroundModel,
    frames: FrameLibrary,
    enrollments: Sequence[Enrollment],
    others: Mapping[str, Sequence[str]],
    options: SpeakerOptions,
    calibration: tuple[Calibration | None, str],
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    enrolled_at: str = "",
    subspace: Subspace | None = None,
) -> Voices:
    """Enroll speakers, and give them the cohort that their scores shall be seen beside.

    Parameters
    ----------
    background : BackgroundModel
    frames : FrameLibrary
    enrollments : sequence of Enrollment
        Who cannot be enrolled stands in `not_enrolled`, with the reason.
    others : mapping of str to sequence of str
        Speaker -> recordings: who the calibration was learned from, and who the cohort is taken
        from, if the options ask for one.
    options : SpeakerOptions
    calibration : Calibration or None, and why there is none
        As `calibrate` gives them.
    n_workers : int
    progress : callable, optional
        Called with the number of speakers done.
    enrolled_at : str
        For the audit record.
    subspace : Subspace, optional
        Trained under the background model, where `options.backend` asks for one.

    Returns
    -------
    Voices

    Raises
    ------
    MismatchError
        If the frames come from another front end than the background model's.
    DataError
        If a cohort is asked for and there are too few others.
    """
    models, failures = enroll(
        background,
        frames,
        enrollments,
        options.adaptation,
        n_workers,
        progress,
        min_seconds=options.min_enroll_seconds,
        enrolled_at=enrolled_at,
        subspace=subspace,
    )
    cohort = None
    if options.scoring.normalization.method != "none":
        size = cohort_size(enrollments, others)
        cohort = make_cohort(models, frames, others, size, options.scoring, n_workers)
    learned = [file for files in others.values() for file in files]
    return Voices(
        models,
        calibration[0],
        uncalibrated_because=calibration[1],
        not_enrolled=failures,
        scoring=options.scoring,
        cohort=cohort,
        calibrated_from=contents_of(frames, usable(frames, learned)) if calibration[0] else None,
    )
