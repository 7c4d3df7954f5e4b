"""The log-likelihood ratio: how much better a speaker's model explains a recording.

    llr = (1 / sum_t w_t) sum_t w_t [log p(x_t | speaker) - log p(x_t | background)]

(Reynolds 2000, eq. 1, per frame so that recordings of different lengths compare.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm.compute import ordered_map
from voicegmm.corpus import Trials
from voicegmm.mixture.collection import workers_for
from voicegmm.scoring.background import BackgroundModel, working_dtype
from voicegmm.scoring.first_order import Test
from voicegmm.scoring.frames import FrameLibrary
from voicegmm.scoring.methods import Job, Scorer, ready
from voicegmm.scoring.models import Speakers
from voicegmm.scoring.options import ScoringOptions


class ScoreKeeper(Protocol):
    """Keeps scores in the order in which they are computed, so that work can go on from there."""

    def begin(self, fingerprint: str) -> int:
        """Go to the start of what was kept for this very work; tell how many scores there are."""

    def kept(self, n_scores: int) -> Float64Array | None:
        """Give the next scores that were kept, or None where there are no more."""

    def keep(self, scores: Float64Array) -> None:
        """Keep the next scores."""


def log_likelihood_ratios(
    models: Speakers,
    frames: FloatArray,
    frame_weights: FloatArray | None = None,
    rows: IntArray | None = None,
    options: ScoringOptions | None = None,
) -> Float64Array:
    """Score one recording against many speakers.

    Parameters
    ----------
    models : Speakers
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
    alone = _Batch([0], chosen, np.arange(len(chosen))[None])
    scores = next(scorer.scores([alone], lambda _: (frames, frame_weights), 1))[0]
    length = 1.0 if options.length_normalization else _length(frames, frame_weights)
    return np.asarray(scores * length)


def _length(frames: FloatArray, frame_weights: FloatArray | None) -> float:
    return len(frames) if frame_weights is None else float(np.sum(frame_weights))


def raw_scores(
    models: Speakers,
    frames: FrameLibrary,
    trials: Trials,
    files: Sequence[tuple[str, ...]],
    good: IntArray,
    options: ScoringOptions,
    n_workers: int,
    keeper: ScoreKeeper | None = None,
) -> Iterator[tuple[IntArray, Float64Array]]:
    """Score the good trials batch by batch, not normalized.

    Which trials there are decides how the work is cut, so neither their order nor the number of
    workers, nor an interruption, changes a bit.

    Parameters
    ----------
    models : Speakers
    frames : FrameLibrary
    trials : Trials
    files : sequence of tuple of str
        The recordings that each test is made of.
    good : (n_good,) int array
        Which trials can be scored.
    options : ScoringOptions
    n_workers : int
    keeper : ScoreKeeper, optional
        What it kept is not computed again.

    Yields
    ------
    which trials they are, and their scores, both (n_tests, n_rows), batch by batch
    """
    if not len(good):
        return
    some = good if len(good) < len(trials) else slice(None)
    model_index, test_index = trials.model_index[some], trials.test_index[some]
    is_tried = np.bincount(model_index, minlength=len(trials.models)) > 0
    names = {name for name, one in zip(trials.models, is_tried, strict=True) if one}
    if len(names) < len(models.ids):  # models without a trial are not made ready
        models = models.chosen([name for name in models.ids if name in names])
    row_of = {name: row for row, name in enumerate(models.ids)}
    row = np.array([row_of.get(name, -1) for name in trials.models], np.int32)
    rows = row[model_index]
    n_models = np.bincount(test_index, minlength=len(files))
    counts = np.array([sum(map(frames.count, each)) for each in files])
    job = Job(
        working_dtype(models.background.options),
        int((n_models > 0).sum()),
        len(good),
        int(counts[n_models > 0].sum()),
        int(counts @ n_models),
    )
    scorer = ready(models, options, job, n_workers)
    by_name = np.empty(len(files), np.int64)
    by_name[sorted(range(len(files)), key=trials.tests.__getitem__)] = np.arange(len(files))
    key = by_name[test_index]
    key *= len(models.ids)
    key += rows
    order = np.argsort(key, kind="stable")
    del key
    batches = list(_batches(test_index, rows, order, counts, scorer.batch_limits))
    n_kept = 0
    if keeper:
        for batch in batches:
            known = keeper.kept(batch.places.size)
            if known is None:
                break
            n_kept += 1
            yield _these(good, batch.places, trials), known.reshape(batch.places.shape)
    rest = batches[n_kept:]
    found = _scores(models, options, job, scorer, frames, files, rest, n_workers)
    for batch, scores in zip(rest, found, strict=True):
        if keeper:
            keeper.keep(scores)
        yield _these(good, batch.places, trials), scores


def _these(good: IntArray, places: IntArray, trials: Trials) -> IntArray:
    """Give the numbers of trials by their places among the good ones: nearly always the same."""
    return places if len(good) == len(trials) else good[places]


def _scores(
    models: Speakers,
    options: ScoringOptions,
    job: Job,
    scorer: Scorer,
    frames: FrameLibrary,
    files: Sequence[tuple[str, ...]],
    batches: "Sequence[_Batch]",
    n_workers: int,
) -> Iterator[Float64Array]:
    """Score each batch, (n_tests, n_rows)."""
    workers = workers_for(frames.source(files[batch.tests[0]]) for batch in batches[:1])
    if workers == "threads":
        tests = _Tests(frames, files, job.dtype, options.length_normalization)
        for batch, values in zip(
            batches, scorer.scores(batches, tests.read, n_workers), strict=True
        ):
            yield tests.counted(values, batch.tests)
        return
    work = _Work(_nameless(models), options, job, frames)
    items = (([files[test] for test in batch.tests], batch.rows) for batch in batches)
    yield from ordered_map(work, items, n_workers, workers)


def _nameless(models: Speakers) -> Speakers:
    """Give the same with numbers for names, and nothing that scores do not depend on."""
    background = BackgroundModel(models.background.gmm, models.background.front_end)
    ids = tuple(map(str, range(len(models.ids))))
    return replace(models, background=background, ids=ids, records={})


@dataclass(frozen=True, eq=False)
class _Tests:
    """Reads tests by their number, and knows afterwards how much a score of each is to count."""

    frames: FrameLibrary
    files: Sequence[tuple[str, ...]]
    dtype: np.dtype
    normalized: bool
    _lengths: dict[int, float] = field(default_factory=dict)

    def read(self, test: int) -> Test:
        data, weights = self.frames.read(self.files[test])
        if not self.normalized:
            self._lengths[test] = _length(data, weights)
        return data.astype(self.dtype, copy=False), weights

    def counted(self, scores: Float64Array, tests: Sequence[int]) -> Float64Array:
        """Multiply scores per frame, (n_tests, n_rows), with what each test is to count."""
        if self.normalized:
            return scores
        return np.asarray(scores * np.array([[self._lengths.pop(test)] for test in tests]))


@dataclass(frozen=True, eq=False)
class _Work:
    """What a worker in another process does with a batch of tests.

    Models are made ready there, since machine code does not travel; of the speakers only numbers
    do, and no names.
    """

    models: Speakers
    options: ScoringOptions
    job: Job
    frames: FrameLibrary

    @cached_property
    def _scorer(self) -> Scorer:
        return ready(self.models, self.options, self.job)

    def __call__(self, item: tuple[Sequence[tuple[str, ...]], IntArray]) -> Float64Array:
        files, rows = item
        numbers = list(range(len(files)))
        tests = _Tests(self.frames, files, self.job.dtype, self.options.length_normalization)
        batch = _Batch(numbers, rows, np.empty((0, 0), int))  # the places are the caller's business
        values = next(self._scorer.scores([batch], tests.read, 1))
        return tests.counted(values, numbers)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Tests that meet the same models, which those are, and the places of the trials.

    Parameters
    ----------
    tests : list of int
    rows : (n_rows,) int array
    places : (n_tests, n_rows) int array
    """

    tests: list[int]
    rows: IntArray
    places: IntArray


def _batches(
    test_index: IntArray, rows: IntArray, order: IntArray, counts: IntArray, limits: tuple[int, int]
) -> Iterator[_Batch]:
    """Cut trials into batches of tests that meet the same models.

    Parameters
    ----------
    test_index, rows : (n_trials,) int array
    order : (n_trials,) int array
        The trials sorted by tests in any order, then by rows.
    counts : (n_tests,) int array
        Frames of each test.
    limits : (int, int)
        Tests and frames of a batch at most; a longer test stands alone.
    """
    most_tests, most_frames = limits
    sorted_tests, sorted_rows = test_index[order], rows[order]
    starts = np.append(0, np.flatnonzero(sorted_tests[1:] != sorted_tests[:-1]) + 1)
    ends = [*starts[1:].tolist(), len(order)]
    tests: list[int] = []
    first, own, n_frames = 0, sorted_rows[:0], 0
    for test, start, end in zip(sorted_tests[starts].tolist(), starts.tolist(), ends, strict=True):
        some, n_own = sorted_rows[start:end], int(counts[test])
        n_frames += n_own
        small = len(tests) < most_tests and n_frames <= most_frames
        if tests and not (small and np.array_equal(own, some)):
            yield _Batch(tests, own, order[first:start].reshape(len(tests), -1))
            tests, first, n_frames = [], start, n_own
        own = some
        tests.append(test)
    yield _Batch(tests, own, order[first:].reshape(len(tests), -1))
