"""The log-likelihood ratio: how much better a speaker's model explains a recording.

    llr = (1 / sum_t w_t) sum_t w_t [log p(x_t | speaker) - log p(x_t | background)]

(Reynolds 2000, eq. 1, per frame so that recordings of different lengths compare.)
"""

from collections.abc import Callable

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm.compute import ordered_map
from voicegmm.corpus import Trials
from voicegmm.mixture import MeanShifts
from voicegmm.scoring.frames import OK, FrameLibrary, Status, check_front_end
from voicegmm.scoring.models import SpeakerModels
from voicegmm.scoring.table import ScoreTable
from voicegmm.scoring.voices import Voices


def log_likelihood_ratios(
    models: SpeakerModels,
    frames: FloatArray,
    frame_weights: FloatArray | None = None,
    rows: IntArray | None = None,
) -> Float64Array:
    """Score one recording against many speakers.

    Parameters
    ----------
    models : SpeakerModels
    frames : (n_frames, n_dims) float array
        At least one frame.
    frame_weights : (n_frames,) float array, optional
        Positive; 1 for every frame by default.
    rows : (n_models,) int array, optional
        Which speakers; all by default.

    Returns
    -------
    (n_models,) float64 array
        Mean log-likelihood ratio, in nats per frame.
    """
    chosen = np.arange(len(models.ids)) if rows is None else rows
    frames = finite_frames(frames, models.background.gmm.n_dims)
    shifts = _shifts(models, frames.dtype, len(frames) * len(chosen))
    return shifts.mean_ratios(frames, frame_weights, chosen)


def _shifts(models: SpeakerModels, dtype: np.dtype, n_frames: int) -> MeanShifts:
    return MeanShifts.of(models.background.gmm, models.means, dtype, n_frames)


def score_trials(
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    segments: dict[str, tuple[str, ...]] | None = None,
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> ScoreTable:
    """Score a list of trials; each test is read once and passes the background model once.

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

    Returns
    -------
    ScoreTable
        Mean log-likelihood ratios, and calibrated ones where there is a calibration; a trial that
        cannot be scored has NaN, a status and a reason.

    Raises
    ------
    ListError
        If a trial names a model or a test that does not exist.
    MismatchError
        If the frames come from another front end than the models.
    """
    models = voices.speakers
    check_front_end(models.background.front_end, frames.front_end, "scoring")
    segments = segments or {}
    known_tests = {*frames.ids, *segments}
    trials.check_known({*models.ids, *voices.not_enrolled}, known_tests, "the trial list")
    row_of = {name: row for row, name in enumerate(models.ids)}
    rows = np.array([row_of.get(name, -1) for name in trials.models])[trials.model_index]
    order = np.argsort(trials.test_index, kind="stable")
    bounds = np.searchsorted(trials.test_index[order], np.arange(len(trials.tests) + 1))
    counts = [sum(map(frames.count, segments.get(test, (test,)))) for test in trials.tests]
    shifts = _shifts(models, np.dtype(np.float32), int(np.diff(bounds) @ counts))

    def score(test: int) -> tuple[IntArray, Float64Array, Status]:
        places = order[bounds[test] : bounds[test + 1]]
        places = places[rows[places] >= 0]
        files = segments.get(trials.tests[test], (trials.tests[test],))
        failed = next((s for s in map(frames.status, files) if not s.ok), None)
        if failed:
            return places, np.full(len(places), np.nan), failed
        data, weights = frames.read(files)
        data = data.astype(np.float32, copy=False)
        return places, shifts.mean_ratios(data, weights, rows[places]), Status()

    scores = np.full(len(trials), np.nan)
    statuses = np.full(len(trials), OK, dtype=object)
    reasons = np.full(len(trials), "", dtype=object)
    for number in np.flatnonzero(rows < 0):
        model = trials.models[trials.model_index[number]]
        statuses[number], reasons[number] = "no model", voices.not_enrolled[model]
    done = 0
    for places, values, status in ordered_map(score, range(len(trials.tests)), n_workers):
        scores[places] = values
        if not status.ok:
            statuses[places], reasons[places] = status.status, status.reason
        done += len(places)
        if progress:
            progress(done)
    llrs = voices.calibration.apply(scores) if voices.calibration else None
    return ScoreTable(trials, scores, tuple(statuses), tuple(reasons), llrs)
