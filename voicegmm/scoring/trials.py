"""Score a list of trials."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, IntArray
from voicegmm._base.errors import MismatchError
from voicegmm._base.options import differences
from voicegmm.corpus import Trials, speaker_of
from voicegmm.scoring.cohort import score_all
from voicegmm.scoring.frames import OK, FrameLibrary, Status, check_front_end
from voicegmm.scoring.normalization import CohortScores, normalize_scores, without_own
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.ratio import raw_scores
from voicegmm.scoring.self_trials import self_trials
from voicegmm.scoring.table import ScoreTable
from voicegmm.scoring.voices import Voices


def score_trials(
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    segments: dict[str, tuple[str, ...]] | None = None,
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    options: ScoringOptions | None = None,
) -> ScoreTable:
    """Score a list of trials; each test is read once and passes the background model once.

    Beside models and score table only a few tests are in memory at a time. The number of workers
    does not change a bit of the scores.

    Parameters
    ----------
    voices : Voices
        A trial of a model that could not be made gets a status, not a score.
    frames : FrameLibrary
    trials : Trials
    segments : dict, optional
        What each test is made of; a test that is not here is a recording itself.
    n_workers : int
    progress : callable, optional
        Called with the number of trials done.
    options : ScoringOptions, optional
        Those of the voices by default.

    Returns
    -------
    ScoreTable
        Scores, and calibrated ones where there is a calibration; a trial that cannot be scored has
        NaN, a status and a reason.

    Raises
    ------
    ListError
        If a trial names a model or a test that does not exist.
    MismatchError
        If the frames come from another front end than the models, or the calibration was learned
        from scores of another kind, or scores shall be normalized and there is no cohort.
    """
    options = options or voices.scoring
    _check_calibrated(voices, options)
    models = voices.speakers
    check_front_end(models.background.front_end, frames.front_end, "scoring")
    segments = segments or {}
    known_tests = {*frames.ids, *segments}
    trials.check_known({*models.ids, *voices.not_enrolled}, known_tests, "the trial list")
    files = [segments.get(test, (test,)) for test in trials.tests]
    statuses, reasons = _obstacles(voices, frames, trials, files)
    good = np.flatnonzero(statuses == OK)
    scores = np.full(len(trials), np.nan)
    done = len(trials) - len(good)
    for places, values in raw_scores(models, frames, trials, files, good, options, n_workers):
        scores[places] = values
        done += len(places)
        if progress:
            progress(done)
    if options.normalization.method != "none":
        scores = _normalized(scores, good, voices, frames, trials, files, options, n_workers)
    llrs = voices.calibration.apply(scores) if voices.calibration else None
    return ScoreTable(trials, scores, tuple(statuses), tuple(reasons), llrs)


def _check_calibrated(voices: Voices, options: ScoringOptions) -> None:
    """Refuse to apply a calibration to scores of another kind."""
    if voices.calibration is None or options == voices.scoring:
        return
    name, (learned, asked) = next(iter(differences(voices.scoring, options).items()))
    raise MismatchError(
        f"the calibration was learned from scores with {name} {learned!r} and does not hold for "
        f"{asked!r}; score with {learned!r}, or make the calibration anew"
    )


def _obstacles(
    voices: Voices, frames: FrameLibrary, trials: Trials, files: list[tuple[str, ...]]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Give the status of each trial, and the reason where it cannot be scored."""
    statuses = np.full(len(trials), OK, dtype=object)
    reasons = np.full(len(trials), "", dtype=object)
    of_test = [next((s for s in map(frames.status, each) if not s.ok), Status()) for each in files]
    bad = np.array([not status.ok for status in of_test], bool)
    for number in np.flatnonzero(bad[trials.test_index]):
        status = of_test[trials.test_index[number]]
        statuses[number], reasons[number] = status.status, status.reason
    enrolled = set(voices.speakers.ids)
    missing = np.array([model not in enrolled for model in trials.models], bool)
    for number in np.flatnonzero(missing[trials.model_index]):
        model = trials.models[trials.model_index[number]]
        statuses[number], reasons[number] = "no model", voices.not_enrolled[model]
    for place, status in self_trials(voices.speakers, frames, trials, files):
        statuses[place], reasons[place] = status.status, status.reason
    return statuses, reasons


def _normalized(
    scores: Float64Array,
    good: IntArray,
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    files: Sequence[tuple[str, ...]],
    options: ScoringOptions,
    n_workers: int,
) -> Float64Array:
    """Put each good trial's score beside those of the cohort, without the trial's own speakers."""
    cohort = voices.needed_cohort(options.normalization)
    models, rows = np.unique(trials.model_index[good], return_inverse=True)
    tests, columns = np.unique(trials.test_index[good], return_inverse=True)
    own = [speaker_of(files[test][0]) for test in tests]
    found = CohortScores(cohort=cohort.of_cohort)
    if options.normalization.needs_recordings:
        names = [trials.models[model] for model in models]
        found = replace(found, models=cohort.of_models(names))
    if options.normalization.needs_models:
        tried = [files[test] for test in tests]
        table = score_all(cohort.models, frames, tried, options, n_workers)
        table = without_own(table, own, cohort.models.ids)
        # A test may be a recording of the cohort under another name.
        for row, each in enumerate(tried):
            for name in {n for file in each for n in cohort.speakers_of(frames.content(file))}:
                table[row, cohort.models.index(name)] = np.nan
        found = replace(found, tests=table)
    result = np.full(len(scores), np.nan)
    result[good] = normalize_scores(scores[good], rows, columns, found, options.normalization)
    return result
