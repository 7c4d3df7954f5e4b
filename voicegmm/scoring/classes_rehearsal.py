"""What to expect of classes of voices: cross-validation that leaves speakers out.

The speakers are cut into folds. In each, the classes are trained without the fold's speakers, whose
recordings then come as what they will be in earnest: voices that were never heard.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.errors import DataError
from voicegmm.corpus import ClassRecordings
from voicegmm.scoring.classes import ClassModels, ClassOptions, score_classes, train_classes
from voicegmm.scoring.classes_calibration import ClassCalibration, train_class_calibration
from voicegmm.scoring.classes_figures import ClassFigures, class_figures
from voicegmm.scoring.frames import FrameLibrary

_SHORT_PERCENT = 5  # recordings shorter than this percentile of the rehearsed ones are doubtful
_UNUSUAL_PERCENT = 1


@dataclass(frozen=True, eq=False)
class JudgedClasses:
    """Classes of voices, with what their likelihoods mean.

    Parameters
    ----------
    models : ClassModels
    calibration : ClassCalibration, optional
        None: likelihoods give an order and no probability.
    expected : ClassFigures, optional
        Measured on speakers left out, each fold calibrated by the others.
    speakers_known : bool
        Whether folds and intervals went by speakers; else by recordings, and flatter.
    uncalibrated_because : str
        The reason where there is no calibration.
    """

    models: ClassModels
    calibration: ClassCalibration | None = None
    expected: ClassFigures | None = None
    speakers_known: bool = True
    uncalibrated_because: str = ""


@dataclass(frozen=True, eq=False)
class ClassRehearsal:
    """Scores of recordings by classes that did not hear their speakers.

    Parameters
    ----------
    labels, voices, folds : (n,) int array
        Class, speaker and fold of each recording.
    scores : (n, n_classes) float64 array
    seconds : (n,) float64 array
        Speech in each.
    n_voices : (n_classes,) int array
        Speakers of each class.
    """

    labels: IntArray
    voices: IntArray
    folds: IntArray
    scores: Float64Array
    seconds: Float64Array
    n_voices: IntArray

    def calibration(self) -> ClassCalibration:
        """Learn the calibration from all folds; it is good from their shortest recordings on."""
        learned = train_class_calibration(self.scores, self.labels, self.n_voices)
        usual = [
            float(np.percentile(self.scores[self.labels == label, label], _UNUSUAL_PERCENT))
            for label in range(self.scores.shape[1])
        ]
        least = float(np.percentile(self.seconds, _SHORT_PERCENT))
        return replace(learned, min_seconds=least, usual=tuple(usual))

    def calibrated(self) -> Float64Array:
        """Calibrate each fold by the others: what probabilities will be worth, (n, n_classes)."""
        found = np.empty_like(self.scores)
        for fold in np.unique(self.folds):
            others = self.folds != fold
            learned = train_class_calibration(
                self.scores[others], self.labels[others], self.n_voices
            )
            found[~others] = learned.apply(self.scores[~others])
        return found


def rehearse_classes(
    frames: FrameLibrary,
    recordings: ClassRecordings,
    options: ClassOptions,
    n_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ClassRehearsal:
    """Train and score in folds that leave speakers out.

    Parameters
    ----------
    frames : FrameLibrary
    recordings : ClassRecordings
        Those without frames are passed over.
    options : ClassOptions
    n_workers : int
    progress : callable, optional
        Called with the folds done and their number.

    Raises
    ------
    DataError
        If a class has too few speakers, or all of them lie in one fold, or too few frames.
    """
    kept = recordings.usable(lambda file: frames.status(file).ok)
    n_voices = kept.n_voices()
    few = int(n_voices.argmin())
    if n_voices[few] < options.min_speakers:
        what = "speakers" if kept.speakers_known else "speakers (or recordings of unknown ones)"
        raise DataError(
            f"calibration needs at least {options.min_speakers} {what} with a usable recording in "
            f"each class, {kept.names[few]!r} has {n_voices[few]}"
        )
    folds = _folds(kept, options)
    scores = np.empty((len(kept.files), len(kept.names)))
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        inside = folds == fold
        heard = kept.chosen(~inside)
        for label in np.flatnonzero(heard.n_voices() == 0):
            raise DataError(
                f"all speakers of {kept.names[label]!r} fell into one fold; fewer folds are needed"
            )
        models, _ = train_classes(frames, heard, options, n_workers)
        scores[inside] = score_classes(models, frames, kept.chosen(inside).files, n_workers)
        if progress:
            progress(fold + 1, n_folds)
    hop = frames.front_end.hop_seconds
    seconds = np.array([frames.count(file) * hop for file in kept.files])
    return ClassRehearsal(kept.labels, kept.voices(), folds, scores, seconds, n_voices)


def _folds(recordings: ClassRecordings, options: ClassOptions) -> IntArray:
    """Deal the speakers into folds, those of each class evenly; give the fold of each recording."""
    voices = recordings.voices()
    n_voices = int(voices.max()) + 1
    member = np.zeros((n_voices, len(recordings.names)), np.intp)
    member[voices, recordings.labels] = 1
    # Speakers of the same classes are dealt one after the other, each time in another order.
    shuffled = np.random.default_rng(options.seed).permutation(n_voices)
    order = shuffled[np.lexsort(member[shuffled].T)]
    n_folds = min(options.n_folds, int(recordings.n_voices().min()))
    fold = np.empty(n_voices, np.intp)
    fold[order] = np.arange(n_voices) % n_folds
    dealt: IntArray = fold[voices]
    return dealt


def judge_classes(
    models: ClassModels,
    frames: FrameLibrary,
    recordings: ClassRecordings,
    n_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> JudgedClasses:
    """Calibrate classes by cross-validation over their own recordings, and state what they will do.

    Parameters
    ----------
    models : ClassModels
        What all recordings made.
    frames : FrameLibrary
    recordings : ClassRecordings
    n_workers : int
    progress : callable, optional
        As in `rehearse_classes`.

    Returns
    -------
    JudgedClasses
        Uncalibrated, with the reason, where there are too few speakers or nothing tells them apart.
    """
    known = recordings.speakers_known
    try:
        rehearsal = rehearse_classes(frames, recordings, models.options, n_workers, progress)
        calibration, ratios = rehearsal.calibration(), rehearsal.calibrated()
    except DataError as error:
        return JudgedClasses(models, speakers_known=known, uncalibrated_because=str(error))
    rng = np.random.default_rng(models.options.seed)
    expected = class_figures(ratios, rehearsal.labels, rehearsal.voices, rng)
    return JudgedClasses(models, calibration, expected, known)
