"""The log-likelihood ratio: how much better a speaker's model explains a recording.

    llr = (1 / sum_t w_t) sum_t w_t [log p(x_t | speaker) - log p(x_t | background)]

(Reynolds 2000, eq. 1, per frame so that recordings of different lengths compare.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import MismatchError
from voicegmm.compute import ordered_map
from voicegmm.corpus import Trials
from voicegmm.scoring.frames import OK, FrameLibrary, Status, check_front_end
from voicegmm.scoring.methods import Job, batch_limits, ready, scored
from voicegmm.scoring.models import SpeakerModels
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.table import ScoreTable
from voicegmm.scoring.voices import Voices


def log_likelihood_ratios(
    models: SpeakerModels,
    frames: FloatArray,
    frame_weights: FloatArray | None = None,
    rows: IntArray | None = None,
    options: ScoringOptions | None = None,
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
    options : ScoringOptions, optional
        Mean log-likelihood ratios, in nats per frame, by default.

    Returns
    -------
    (n_models,) float64 array
    """
    chosen = np.arange(len(models.ids)) if rows is None else rows
    frames = finite_frames(frames, models.background.gmm.n_dims)
    options = options or ScoringOptions()
    job = Job(frames.dtype, 1, len(chosen), len(frames), len(frames) * len(chosen))
    scorer = ready(models, options, job)
    return np.asarray(scored(scorer, options, [(frames, frame_weights)], chosen)[0])


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
        from scores of another kind.
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
    for places, values in _scores(models, frames, trials, files, good, options, n_workers):
        scores[places] = values
        done += len(places)
        if progress:
            progress(done)
    llrs = voices.calibration.apply(scores) if voices.calibration else None
    return ScoreTable(trials, scores, tuple(statuses), tuple(reasons), llrs)


def _check_calibrated(voices: Voices, options: ScoringOptions) -> None:
    """Refuse to apply a calibration to scores of another kind."""
    if voices.calibration is None or options == voices.scoring:
        return
    learned, asked = voices.scoring, options
    name = next(n for n in vars(asked) if getattr(asked, n) != getattr(learned, n))
    raise MismatchError(
        f"the calibration was learned from scores with {name} {getattr(learned, name)!r} and does "
        f"not hold for {getattr(asked, name)!r}; score with {getattr(learned, name)!r}, or make "
        "the calibration anew"
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
    return statuses, reasons


def _scores(
    models: SpeakerModels,
    frames: FrameLibrary,
    trials: Trials,
    files: list[tuple[str, ...]],
    good: IntArray,
    options: ScoringOptions,
    n_workers: int,
) -> Iterator[tuple[IntArray, Float64Array]]:
    """Score the good trials: give, test by test, which trials they are and their scores."""
    if not len(good):
        return
    is_tried = np.bincount(trials.model_index[good], minlength=len(trials.models)) > 0
    names = [name for name, one in zip(trials.models, is_tried, strict=True) if one]
    if len(names) < len(models.ids):  # models without a trial are not made ready
        models = models.chosen(names)
    row_of = {name: row for row, name in enumerate(models.ids)}
    rows = np.array([row_of.get(name, -1) for name in trials.models])[trials.model_index[good]]
    n_models = np.bincount(trials.test_index[good], minlength=len(files))
    counts = np.array([sum(map(frames.count, each)) for each in files])
    job = Job(
        np.dtype(np.float32),
        int((n_models > 0).sum()),
        len(good),
        int(counts[n_models > 0].sum()),
        int(counts @ n_models),
    )
    scorer = ready(models, options, job)

    def score(batch: _Batch) -> tuple[_Batch, Float64Array]:
        parts = []
        for test in batch.tests:
            data, weights = frames.read(files[test])
            parts.append((data.astype(np.float32, copy=False), weights))
        return batch, scored(scorer, options, parts, batch.rows)

    batches = _batches(trials.test_index[good], rows, counts, batch_limits(options))
    for batch, values in ordered_map(score, batches, n_workers):
        for places, line in zip(batch.places, values, strict=True):
            yield good[places], line


@dataclass(frozen=True, eq=False)
class _Batch:
    """Tests that meet the same models, which those are, and the places of each test's scores."""

    tests: list[int]
    rows: IntArray
    places: list[IntArray]


def _batches(
    test_index: IntArray, rows: IntArray, counts: IntArray, limits: tuple[int, int]
) -> Iterator[_Batch]:
    """Cut trials into batches of tests that meet the same models, in the order of the tests.

    Parameters
    ----------
    test_index, rows : (n_trials,) int array
    counts : (n_tests,) int array
        Frames of each test.
    limits : (int, int)
        Tests and frames of a batch at most; a longer test stands alone.
    """
    most_tests, most_frames = limits
    # A stable sort of keys that are sorted already, as in most lists, takes no time.
    order = np.argsort(test_index * (rows.max() + 1) + rows, kind="stable")
    starts = np.flatnonzero(np.diff(test_index[order], prepend=-1))
    batch, n_frames = None, 0
    for places in np.split(order, starts[1:]):
        test = int(test_index[places[0]])
        n_frames += int(counts[test])
        small = batch is not None and len(batch.tests) < most_tests and n_frames <= most_frames
        if batch is None or not small or not np.array_equal(batch.rows, rows[places]):
            if batch is not None:
                yield batch
            batch, n_frames = _Batch([], rows[places], []), int(counts[test])
        batch.tests.append(test)
        batch.places.append(places)
    if batch is not None:
        yield batch
