"""Classes of voices from labeled folders: gender, language, genuine or spoofed, anything heard."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from voicegmm._base.checks import at_least
from voicegmm._base.errors import ListError, VoicegmmError
from voicegmm._base.files import work_folder
from voicegmm._base.progress import Progress, counting, silent
from voicegmm._base.reasons import together
from voicegmm.bank.training import choose_components
from voicegmm.corpus import ClassRecordings, scan_classes
from voicegmm.features import FrameSet, Pipeline, PipelineOptions, front_end_for, pipeline_of
from voicegmm.scoring import (
    OK,
    ClassFigures,
    ClassOptions,
    FrameLibrary,
    JudgedClasses,
    class_figures,
    class_posteriors,
    class_priors,
    class_ratios,
    class_scores,
    judge_classes,
    pooled_by_voice,
    score_classes,
    train_classes,
    usable,
)
from voicegmm.store import (
    ExtractionSummary,
    FeatureStore,
    extract_to_memory,
    extract_to_store,
    load_classes,
    save_classes,
)


@dataclass(frozen=True)
class ClassifierOptions:
    """How a classifier of voices is trained.

    Parameters
    ----------
    features : PipelineOptions, optional
        None: our front end for 16 kHz or for 8 kHz, as the recordings are.
    n_components : int
        Gaussians of each class; 0: chosen from the amount of speech of the smallest class.
    frames_per_component : int
        Speech frames that each Gaussian should have, when their number is chosen.
    classes : ClassOptions
        Its `gmm.n_components` is not used here.
    """

    features: PipelineOptions | None = None
    n_components: int = 0
    frames_per_component: int = 250
    classes: ClassOptions = field(default_factory=ClassOptions)

    def __post_init__(self) -> None:
        at_least("n_components", self.n_components, 0)
        at_least("frames_per_component", self.frames_per_component, 1)


@dataclass(frozen=True, eq=False)
class ClassifierTraining:
    """What came of a training.

    Parameters
    ----------
    n_recordings : int
    speech_seconds : float
    failures : dict of str to str
        Recordings that could not be used, with the reason.
    warnings : tuple of str
    """

    n_recordings: int
    speech_seconds: float
    failures: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ClassCandidate:
    """One class in a ranking.

    Parameters
    ----------
    name : str
    score : float
        Mean log-likelihood per frame under the class's mixture.
    posterior : float, optional
        Probability of the class, if one of the classes it is; None where nothing is calibrated.
    llr : float, optional
        Calibrated natural-log likelihood ratio of the class against all others together.
    """

    name: str
    score: float
    posterior: float | None
    llr: float | None


@dataclass(frozen=True)
class Classification:
    """Which class a recording belongs to, if it belongs to one of them.

    Likelihoods compare the classes and know no other: a voice of none of them gets a label too.

    Parameters
    ----------
    file : str
    status, reason : str
        "ok", or why the recording could not be judged.
    label : str, optional
        The most probable class; uncalibrated, the likeliest; None: not judged.
    ranking : tuple of ClassCandidate
        All classes, the best first.
    prior : dict of str to float
        What the posteriors assume.
    at_limit : bool
        Whether the evidence was held within what the calibration's voices can show
        (`ClassCalibration.limit`): it is at least this strong.
    seconds : float
        Speech that was judged.
    notes : tuple of str
        What is doubtful about the recording or the answer.
    """

    file: str
    status: str = OK
    reason: str = ""
    label: str | None = None
    ranking: tuple[ClassCandidate, ...] = ()
    prior: dict[str, float] = field(default_factory=dict)
    at_limit: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassEvaluation:
    """What a classifier did with recordings whose class is known.

    Parameters
    ----------
    recordings : ClassFigures
        Each by itself.
    speakers : ClassFigures, optional
        Each speaker by the mean of the log-likelihoods of their recordings; None where speakers are
        not known.
    failures : dict of str to str
        Recordings that could not be judged, with the reason; they are in no figure.
    """

    recordings: ClassFigures
    speakers: ClassFigures | None
    failures: dict[str, str]


@dataclass(frozen=True, eq=False)
class VoiceClassifier:
    """Classes of voices in one file: which of them is this?

    Parameters
    ----------
    classes : JudgedClasses
    training : ClassifierTraining, optional
        How it was trained; None for a classifier that was opened.

    Examples
    --------
    >>> classifier = VoiceClassifier.train("GENDER")            # doctest: +SKIP
    >>> classifier.save("classes.h5")                           # doctest: +SKIP
    >>> VoiceClassifier.open("classes.h5").classify("x.wav").label   # doctest: +SKIP
    """

    classes: JudgedClasses
    training: ClassifierTraining | None = None

    @staticmethod
    def train(
        folder: str | os.PathLike[str],
        options: ClassifierOptions | None = None,
        n_workers: int = 1,
        progress: Progress = silent,
    ) -> "VoiceClassifier":
        """Train from ``folder/<class>/<speaker>/<recording>``, or ``folder/<class>/<recording>``.

        Parameters
        ----------
        folder : path
            Or a list with the columns ``file`` and ``class``; see `voicegmm.corpus.scan_classes`.
        options : ClassifierOptions, optional
        n_workers : int
        progress : callable
            See `voicegmm._base.progress`.

        Raises
        ------
        VoicegmmError
            If there are no two classes, or one of them has too little speech.
        """
        options = options or ClassifierOptions()
        recordings = scan_classes(Path(folder))
        with work_folder() as work:
            return _trained(recordings, work, options, n_workers, progress)

    @staticmethod
    def open(path: str | os.PathLike[str]) -> "VoiceClassifier":
        """Open a classifier from its file."""
        return VoiceClassifier(load_classes(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier, whole or not at all."""
        save_classes(path, self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes.models.names

    @property
    def calibrated(self) -> bool:
        """Whether there are probabilities."""
        return self.classes.calibration is not None

    def classify(
        self, file: str | os.PathLike[str], prior: Mapping[str, float] | None = None
    ) -> Classification:
        """Say which class a recording belongs to, if it belongs to one of them.

        Parameters
        ----------
        file : path
        prior : mapping of str to float, optional
            Probabilities of classes before the recording was heard; the classes that are not named
            share the rest evenly.

        Raises
        ------
        OptionError
            For a prior that cannot be.
        """
        priors = class_priors(self.names, prior)
        stated = dict(zip(self.names, priors.tolist(), strict=True))
        pipeline = pipeline_of(self.classes.models.front_end)
        made = extract_to_memory({str(file): Path(file)}, pipeline)
        if str(file) not in made.sets:
            failure = made.failures[str(file)]
            return Classification(str(file), failure.status, failure.reason, prior=stated)
        return self._judged(str(file), made.sets[str(file)], priors, stated)

    def evaluate(
        self,
        folder: str | os.PathLike[str],
        n_workers: int = 1,
        progress: Progress = silent,
    ) -> "ClassEvaluation":
        """Measure how well the classes of other recordings are told, laid out as for `train`.

        Parameters
        ----------
        folder : path
            Of the same classes. Speakers that trained the classifier would flatter it.
        n_workers : int
        progress : callable
            See `voicegmm._base.progress`.

        Raises
        ------
        VoicegmmError
            If the folder has other classes, or one of them no usable recording.
        """
        recordings = scan_classes(Path(folder))
        if recordings.names != self.names:
            raise ListError(
                f"{folder}: its classes are {', '.join(recordings.names)}; those that were "
                f"trained are {', '.join(self.names)}"
            )
        features = pipeline_of(self.classes.models.front_end).options
        with (
            work_folder() as work,
            _extracted(recordings, features, work, n_workers, progress) as (frames, summary),
        ):
            kept = recordings.usable(lambda file: frames.status(file).ok)
            scores = score_classes(self.classes.models, frames, kept.files, n_workers)
        return self._evaluation(kept, scores, summary.reasons())

    def _evaluation(
        self, recordings: ClassRecordings, scores: np.ndarray, failures: dict[str, str]
    ) -> "ClassEvaluation":
        calibration = self.classes.calibration
        values = calibration.apply(scores) if calibration else scores
        judged = values, recordings.labels, recordings.voices()
        sets = [judged]
        if recordings.speakers_known:
            sets.append(pooled_by_voice(*judged))
        found = [class_figures(*one, np.random.default_rng(0)) for one in sets]
        if not calibration:
            found = [replace(one, cllr=None) for one in found]
        return ClassEvaluation(found[0], found[1] if len(found) > 1 else None, failures)

    def _judged(
        self, file: str, made: FrameSet, priors: np.ndarray, stated: dict[str, float]
    ) -> Classification:
        scores = class_scores(self.classes.models, made.frames, made.weights)
        calibration = self.classes.calibration
        at_limit = False
        if calibration is None:
            order = np.argsort(-scores, kind="stable")
            shown = [ClassCandidate(self.names[i], float(scores[i]), None, None) for i in order]
        else:
            held = calibration.held(scores)
            at_limit = bool((held != calibration.apply(scores)).any())
            probable, ratios = class_posteriors(held, priors), class_ratios(held, priors)
            order = np.argsort(-probable, kind="stable")
            shown = [
                ClassCandidate(
                    self.names[i], float(scores[i]), float(probable[i]), float(ratios[i])
                )
                for i in order
            ]
        return Classification(
            file,
            label=shown[0].name,
            ranking=tuple(shown),
            prior=stated,
            at_limit=at_limit,
            seconds=made.speech_seconds,
            notes=(*made.notes, *self._doubts(made, scores)),
        )

    def _doubts(self, made: FrameSet, scores: np.ndarray) -> tuple[str, ...]:
        calibration = self.classes.calibration
        if calibration is None:
            return ()
        doubts = []
        if made.speech_seconds < calibration.min_seconds:
            doubts.append(
                f"{made.speech_seconds:.1f} s of speech: these classes know what their likelihoods "
                f"mean from {calibration.min_seconds:.1f} s on, with less the probabilities are "
                "too extreme"
            )
        if calibration.usual and (scores < np.array(calibration.usual)).all():
            doubts.append(
                "unlike every class: under each it is less likely than 99 of 100 of the class's "
                "own recordings; perhaps it belongs to none"
            )
        return tuple(doubts)


@contextmanager
def _extracted(
    recordings: ClassRecordings,
    features: PipelineOptions,
    work: Path,
    n_workers: int,
    progress: Progress,
) -> Iterator[tuple[FeatureStore, ExtractionSummary]]:
    """Give the frames of recordings, in a store that lies in `work`."""
    paths = recordings.places()
    told = counting(progress, "features", len(paths))
    store = work / "features.h5"
    summary = extract_to_store(
        paths, Pipeline(features), store, n_workers, told, excerpts=recordings.excerpts
    )
    with FeatureStore(store) as frames:
        yield frames, summary


def _trained(
    recordings: ClassRecordings,
    work: Path,
    options: ClassifierOptions,
    n_workers: int,
    progress: Progress,
) -> VoiceClassifier:
    features = options.features or front_end_for(list(recordings.places().values()))
    with _extracted(recordings, features, work, n_workers, progress) as (frames, summary):
        n_frames = _fewest_frames(frames, recordings)
        n_components = options.n_components or choose_components(
            n_frames, options.frames_per_component
        )
        gmm = replace(options.classes.gmm, n_components=n_components)
        models, warnings = train_classes(
            frames,
            recordings,
            replace(options.classes, gmm=gmm),
            n_workers,
            lambda done, total: progress("classes", done, total),
        )
        judged = judge_classes(
            models,
            frames,
            recordings,
            n_workers,
            lambda done, total: progress("calibration", done, total),
        )
    if judged.uncalibrated_because:
        warnings += (f"there are no probabilities: {judged.uncalibrated_because}",)
    elif not judged.speakers_known:
        warnings += (
            "the speakers of some recordings are not known: if one speaker made several, what to "
            "expect is flattered; lay them out as <class>/<speaker>/<recording>",
        )
    warnings = (*together(summary.notes), *warnings)
    training = ClassifierTraining(summary.n_files, summary.seconds, summary.reasons(), warnings)
    return VoiceClassifier(judged, training)


def _fewest_frames(frames: FrameLibrary, recordings: ClassRecordings) -> int:
    """Count the frames of the class that has the fewest, which must be some."""
    counts = []
    for label, name in enumerate(recordings.names):
        files = recordings.of_class(label)
        counts.append(sum(map(frames.count, files)))
        if not usable(frames, files):
            reason = frames.status(files[0]).reason
            raise VoicegmmError(f"{name}: no usable recording; {reason}")
    return min(counts)
