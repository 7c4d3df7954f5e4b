"""What to expect of strangers: cross-validation over speakers.

The speakers are cut into folds. In each fold a background model is trained and speakers are
enrolled without the fold's speakers, who then come as strangers: they are in neither, so what is
measured on them holds for voices that were never heard.

Two designs, by who will be enrolled in earnest:

- *insiders*: the enrolled speakers train the background model too, for there is no other speech.
  The fold's speakers are tried as strangers on models of the others that are made from as much as
  they will be in earnest. The speakers of the next fold are tried on models of themselves with a
  quarter of their recordings, which neither these models nor the background model have heard.
- *outsiders*: other people's speech trains the background model. The fold's speakers are enrolled
  (beside those who are enrolled in earnest, if any) with a background model of the other folds, so
  that everyone who is tried or enrolled is unknown to it, as in earnest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.checks import at_least, one_of, within
from voicegmm._base.errors import DataError
from voicegmm.corpus import Enrollment, Trials
from voicegmm.metrics import empirical_bounds
from voicegmm.mixture import MapOptions
from voicegmm.scoring.background import UbmOptions, train_background
from voicegmm.scoring.calibration import Calibration, CalibrationOptions, train_calibration
from voicegmm.scoring.cohort import cohort_size, make_cohort
from voicegmm.scoring.frames import OK, FrameLibrary, distinct_by_speaker
from voicegmm.scoring.models import SpeakerModels, adapted_models, enroll
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.subspaces import SubspaceOptions, train_subspace
from voicegmm.scoring.table import ScoreTable
from voicegmm.scoring.trials import score_trials
from voicegmm.scoring.voices import Voices

_SHORT_PERCENT = 5  # tests shorter than this percentile of the rehearsed ones are doubtful


@dataclass(frozen=True)
class FoldOptions:
    """How scores for calibration are made.

    Parameters
    ----------
    design : {"outsiders", "insiders", "none"}
        See the module; "none" makes no calibration.
    n_folds : int
        At least 2; fewer where there are fewer speakers.
    n_enroll : int
        Recordings that enroll a speaker in a fold. 0: as many as enroll a speaker in earnest (the
        median), where lists say so; else three of four, and all where strangers are tried.
    min_speakers : int
        With fewer speakers there is no calibration.
    p_target : float
        Prior that the calibration is trained for, in (0, 1).
    map : CalibrationOptions
        What kind of calibration.
    """

    design: str = "outsiders"
    n_folds: int = 5
    n_enroll: int = 0
    min_speakers: int = 10
    p_target: float = 0.5
    map: CalibrationOptions = field(default_factory=CalibrationOptions)

    def __post_init__(self) -> None:
        one_of("design", self.design, ("outsiders", "insiders", "none"))
        at_least("n_folds", self.n_folds, 2)
        at_least("n_enroll", self.n_enroll, 0)
        at_least("min_speakers", self.min_speakers, 2)
        within("p_target", self.p_target, 1e-6, 1 - 1e-6)


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """Scores of the folds, pooled.

    Parameters
    ----------
    speakers : tuple of str
        All speakers that take part.
    fold, test : (n,) int array
        The fold of each trial, and a number for its test, unique over folds.
    model, voice : (n,) int array
        Into `speakers`: whose model, whose voice.
    scores : (n,) float64 array
    seconds : (n_tests,) float64 array
        Speech in each test.
    files : tuple of str
        The recording that each test is.
    stranger : (n,) bool array
        Whether the background model and the enrolled speakers knew nothing of this voice (but for
        its own model, with "outsiders").
    n_enrolled : float
        Models that a stranger met in a fold, on average.
    """

    speakers: tuple[str, ...]
    fold: IntArray
    test: IntArray
    model: IntArray
    voice: IntArray
    scores: Float64Array
    seconds: Float64Array
    files: tuple[str, ...]
    stranger: BoolArray
    n_enrolled: float

    def table(self, calibration: Calibration) -> ScoreTable:
        """Lay out the trials that the calibration was learned from, with what it makes of them."""
        used = self.targets | self.nontargets
        trials = Trials.of(
            (self.speakers[model], self.files[test], int(target))
            for model, test, target in zip(
                self.model[used], self.test[used], self.targets[used], strict=True
            )
        )
        n, scores = len(trials), self.scores[used]
        ratios = calibration.apply(scores, self.seconds[self.test[used]])
        return ScoreTable(trials, scores, (OK,) * n, ("",) * n, ratios)

    @property
    def targets(self) -> BoolArray:
        """Trials of a voice with its own model, (n,)."""
        same: BoolArray = self.model == self.voice
        return same

    @property
    def nontargets(self) -> BoolArray:
        """Trials of a stranger with another's model, (n,)."""
        return self.stranger & ~self.targets

    def calibration(
        self, p_target: float = 0.5, options: CalibrationOptions | None = None
    ) -> Calibration:
        """Learn the calibration from all folds; it is good from their shortest tests on."""
        options = options or CalibrationOptions()
        unbound = replace(options, bounds="none")
        learned = self._learned(np.ones(len(self.scores), np.bool_), p_target, unbound)
        if options.bounds != "none":
            # Of ratios that their own fold had no part in: those in earnest will be such.
            ratios = self.calibrated(p_target, unbound)
            bounds = empirical_bounds(ratios[self.targets], ratios[self.nontargets])
            learned = replace(learned, bounds=bounds)
        return replace(learned, min_seconds=float(np.percentile(self.seconds, _SHORT_PERCENT)))

    def _learned(
        self, known: BoolArray, p_target: float, options: CalibrationOptions
    ) -> Calibration:
        targets, nontargets = self.targets & known, self.nontargets & known
        seconds = self.seconds[self.test]
        return train_calibration(
            self.scores[targets],
            self.scores[nontargets],
            p_target,
            options,
            seconds[targets],
            seconds[nontargets],
        )

    def calibrated(
        self, p_target: float = 0.5, options: CalibrationOptions | None = None
    ) -> Float64Array:
        """Calibrate each fold by the others: what calibrated scores will be worth, (n,)."""
        ratios = np.empty_like(self.scores)
        for fold in np.unique(self.fold):
            others = self.fold != fold
            learned = self._learned(others, p_target, options or CalibrationOptions())
            ratios[~others] = learned.apply(self.scores[~others], self.seconds[self.test[~others]])
        return ratios


@dataclass(frozen=True, eq=False)
class _Fold:
    background: tuple[str, ...]
    # What is tried on what: enrollments, and (recording, whose voice) of the tests.
    groups: tuple[tuple[tuple[Enrollment, ...], tuple[tuple[str, str], ...]], ...]
    strangers: frozenset[str]
    n_met: int  # models of others that a stranger meets


@dataclass(frozen=True, eq=False)
class FoldTests:
    """Models of a fold, and what is tried on them.

    Parameters
    ----------
    fold : int
    models : SpeakerModels
    tests : tuple of (str, str)
        Recording, and whose voice.
    strangers : frozenset of str
        Speakers whom the background model does not know, nor any model but their own.
    """

    fold: int
    models: SpeakerModels
    tests: tuple[tuple[str, str], ...]
    strangers: frozenset[str]


@dataclass(frozen=True)
class _Parts:
    """A speaker's recordings: those that enroll, those that are tried, and any others."""

    enroll: tuple[str, ...]
    test: tuple[str, ...]
    other: tuple[str, ...]


def _parted(files: Sequence[str], n_enroll: int, n_test: int, rng: np.random.Generator) -> _Parts:
    """Cut a speaker's recordings into parts.

    Recordings of one folder are one session and stay together, in their order: what is tried comes
    from another day than what enrolled. Where there is only one folder they are drawn at random,
    since lists are often sorted by what was said.
    """
    sessions = {str(PurePosixPath(file).parent) for file in files}
    ordered = list(files) if len(sessions) > 1 else [files[i] for i in rng.permutation(len(files))]
    enroll = ordered[:n_enroll]
    if len(sessions) > 1:
        last = str(PurePosixPath(enroll[-1]).parent)
        later = [f for f in ordered[n_enroll:] if str(PurePosixPath(f).parent) != last]
        rest = later or ordered[n_enroll:]
    else:
        rest = ordered[n_enroll:]
    test = rest[-n_test:]
    chosen = {*enroll, *test}
    return _Parts(tuple(enroll), tuple(test), tuple(f for f in ordered if f not in chosen))


def _insiders(
    recordings: Mapping[str, Sequence[str]],
    folds: Sequence[Sequence[str]],
    n_enroll: int,
    rng: np.random.Generator,
) -> list[_Fold]:
    parts = {}
    for name, files in recordings.items():
        n_test = max(len(files) // 4, 1)
        parts[name] = _parted(files, min(n_enroll or len(files), len(files) - n_test), n_test, rng)
    made = []
    for number, strangers in enumerate(folds):
        known = [name for name in recordings if name not in strangers]
        # Each speaker's own recordings are tried in one fold only: tried in all, they would count
        # as so much more evidence than they are.
        tried = folds[(number + 1) % len(folds)]
        own = (
            tuple(Enrollment(name, parts[name].enroll) for name in known),
            tuple((file, name) for name in tried for file in parts[name].test),
        )
        others = (
            tuple(
                Enrollment(name, tuple(recordings[name]) if not n_enroll else parts[name].enroll)
                for name in known
            ),
            tuple((file, name) for name in strangers for file in recordings[name]),
        )
        # In the lists' order: what lies together on disk is read together.
        background = tuple(
            f for name in known for f in recordings[name] if f not in parts[name].test
        )
        made.append(_Fold(background, (own, others), frozenset(strangers), len(known)))
    return made


def _outsiders(
    recordings: Mapping[str, Sequence[str]],
    folds: Sequence[Sequence[str]],
    n_enroll: int,
    in_earnest: Sequence[Enrollment],
    rng: np.random.Generator,
) -> list[_Fold]:
    parts = {}
    for name, files in recordings.items():
        n_own = min(n_enroll or (3 * len(files) + 2) // 4, len(files) - 1)
        parts[name] = _parted(files, n_own, len(files) - n_own, rng)
    made = []
    for members in folds:
        others = (files for name, files in recordings.items() if name not in members)
        background = tuple(file for files in others for file in files)
        enrollments = (*(Enrollment(name, parts[name].enroll) for name in members), *in_earnest)
        tests = tuple((file, name) for name in members for file in parts[name].test)
        groups = ((enrollments, tests),)
        made.append(_Fold(background, groups, frozenset(members), len(enrollments) - 1))
    return made


def rehearse(
    frames: FrameLibrary,
    recordings: Mapping[str, Sequence[str]],
    options: FoldOptions,
    ubm: UbmOptions,
    adaptation: MapOptions,
    seed: int,
    in_earnest: Sequence[Enrollment] = (),
    meet: bool = True,
    n_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    scoring: ScoringOptions | None = None,
    witness: Callable[[FoldTests], None] | None = None,
    backend: SubspaceOptions | None = None,
) -> Rehearsal:
    """Train, enroll and score in folds that leave speakers out.

    Parameters
    ----------
    frames : FrameLibrary
    recordings : mapping of str to sequence of str
        Speaker -> recordings; those without frames are passed over, and so are speakers without
        two usable ones (one enrolls, one is tried).
    options : FoldOptions
    ubm : UbmOptions
    adaptation : MapOptions
    seed : int
        Of the folds and of each background model.
    in_earnest : sequence of Enrollment
        With "outsiders": the speakers who are enrolled in earnest.
    meet : bool
        Whether the fold's speakers are tried on the models of those too.
    n_workers : int
    progress : callable, optional
        Called with the folds done and their number.
    scoring : ScoringOptions, optional
        How recordings will be scored in earnest.
    witness : callable, optional
        Shown the models of each fold and what is tried on them, while they are there.
    backend : SubspaceOptions, optional
        How speakers will be modeled in earnest; by adaptation alone by default.

    Returns
    -------
    Rehearsal

    Raises
    ------
    DataError
        If there are too few speakers with two usable recordings.
    """
    several = distinct_by_speaker(frames, recordings)
    several = {name: files for name, files in several.items() if len(files) > 1}
    n_enroll = options.n_enroll
    if in_earnest and not n_enroll:
        n_enroll = int(np.median([len(enrollment.files) for enrollment in in_earnest]))
    if len(several) < options.min_speakers:
        raise DataError(
            f"calibration needs at least {options.min_speakers} speakers with two usable "
            f"recordings each, there are {len(several)}"
        )
    n_folds = min(options.n_folds, len(several))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(several))
    names = [list(several)[place] for place in order]
    members = [names[start::n_folds] for start in range(n_folds)]
    if options.design == "insiders":
        folds = _insiders(several, members, n_enroll, rng)
    else:
        folds = _outsiders(several, members, n_enroll, in_earnest if meet else (), rng)
    parts: list[_Part] = []
    for number, fold in enumerate(folds):
        parts += _fold_scores(
            frames,
            several,
            number,
            fold,
            ubm,
            adaptation,
            seed,
            n_workers,
            scoring or ScoringOptions(),
            witness,
            backend or SubspaceOptions(),
        )
        if progress:
            progress(number + 1, n_folds)
    return _pooled(parts, folds)


@dataclass(frozen=True, eq=False)
class _Part:
    """The trials of one group of a fold."""

    fold: int
    trials: Trials
    voices: tuple[str, ...]  # of each test
    scores: Float64Array
    seconds: Float64Array  # of each test
    strangers: frozenset[str]


def _fold_scores(
    frames: FrameLibrary,
    recordings: Mapping[str, Sequence[str]],
    number: int,
    fold: _Fold,
    ubm: UbmOptions,
    adaptation: MapOptions,
    seed: int,
    n_workers: int,
    scoring: ScoringOptions,
    witness: Callable[[FoldTests], None] | None,
    backend: SubspaceOptions,
) -> list[_Part]:
    background, _ = train_background(frames, fold.background, ubm, seed, n_workers)
    # Subspace and cohort are of those who train the fold's background model, as in earnest.
    heard = set(fold.background)
    known = {name: [f for f in of if f in heard] for name, of in recordings.items()}
    subspace = None
    if backend.method != "map":
        relevance = adaptation.relevance
        subspace = train_subspace(background, frames, known, backend, relevance, seed, n_workers)
    parts = []
    for enrollments, tests in fold.groups:
        models, _ = enroll(
            background, frames, enrollments, adaptation, n_workers, subspace=subspace
        )
        trials = Trials.of(
            (name, file, int(name == voice)) for file, voice in tests for name in models.ids
        )
        voices = Voices(models, scoring=scoring)
        if scoring.normalization.method != "none":
            n_enroll = cohort_size(enrollments, known)
            cohort = make_cohort(models, frames, known, n_enroll, scoring, n_workers)
            voices = replace(voices, cohort=cohort)
        scores = score_trials(voices, frames, trials, n_workers=n_workers).scores
        seconds = np.array([frames.seconds(file) for file in trials.tests])
        whose = tuple(dict(tests)[file] for file in trials.tests)
        parts.append(_Part(number, trials, whose, scores, seconds, fold.strangers))
        if witness:
            shown = adapted_models(models, "a running score")
            witness(FoldTests(number, shown, tests, fold.strangers))
    return parts


def _pooled(parts: Sequence[_Part], folds: Sequence[_Fold]) -> Rehearsal:
    speakers: dict[str, int] = {}

    def numbered(names: Sequence[str]) -> IntArray:
        return np.array([speakers.setdefault(name, len(speakers)) for name in names])

    columns = []
    n_tests = 0
    for part in parts:
        trials = part.trials
        unknown = np.array([voice in part.strangers for voice in part.voices])
        columns.append(
            (
                np.full(len(trials), part.fold),
                trials.test_index + n_tests,
                numbered(trials.models)[trials.model_index],
                numbered(part.voices)[trials.test_index],
                part.scores,
                unknown[trials.test_index],
            )
        )
        n_tests += len(trials.tests)
    fold, test, model, voice, scores, stranger = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    seconds = np.concatenate([part.seconds for part in parts])
    files = tuple(file for part in parts for file in part.trials.tests)
    n_met = float(np.mean([one.n_met for one in folds]))
    return Rehearsal(
        tuple(speakers), fold, test, model, voice, scores, seconds, files, stranger, n_met
    )
