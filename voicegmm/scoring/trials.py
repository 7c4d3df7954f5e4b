"""Score a list of trials."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, IntArray
from voicegmm._base.errors import MismatchError
from voicegmm._base.options import differences, fingerprint
from voicegmm._base.version import __version__
from voicegmm.corpus import Trials, speaker_of
from voicegmm.scoring.cohort import score_all
from voicegmm.scoring.frames import OK, FrameLibrary, Status, check_front_end
from voicegmm.scoring.normalization import CohortScores, normalize_scores, without_own
from voicegmm.scoring.options import ScoringOptions
from voicegmm.scoring.ratio import ScoreKeeper, raw_scores
from voicegmm.scoring.self_trials import self_trials
from voicegmm.scoring.table import ScoreTable
from voicegmm.scoring.voices import Voices

log = logging.getLogger(__name__)

_SOME = 16  # tests whose frames tell whether they are those from before


def score_trials(
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    segments: dict[str, tuple[str, ...]] | None = None,
    n_workers: int = 1,
    progress: Callable[[int], None] | None = None,
    options: ScoringOptions | None = None,
    keeper: ScoreKeeper | None = None,
) -> ScoreTable:
    """Score a list of trials; each test is read once and passes the background model once.

    Beside models and score table only a few tests are in memory at a time. Neither the number of
    workers nor the order of the trials changes a bit of the scores.

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
    keeper : ScoreKeeper, optional
        Keeps the scores as they come, for a job that may be interrupted: what it kept of the same
        models, options, trials and frames is not computed again.

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
    failed = _obstacles(voices, frames, trials, files)
    good = np.arange(len(trials), dtype=np.int32)
    if failed:
        good = np.delete(good, list(failed))
    scores = np.full(len(trials), np.nan)
    done = len(failed)
    if keeper:
        n_kept = keeper.begin(_mark(voices, frames, trials, files, good, options))
        if n_kept:
            log.warning("an interrupted scoring goes on after %d scores", n_kept)
    found = raw_scores(models, frames, trials, files, good, options, n_workers, keeper)
    for places, values in found:
        scores[places] = values
        done += places.size
        if progress:
            progress(done)
    if options.normalization.method != "none":
        scores = _normalized(
            scores, good, voices, frames, trials, files, options, n_workers, keeper
        )
    llrs = _calibrated(scores, voices, frames, trials, files)
    statuses = _spread({place: status.status for place, status in failed.items()}, OK, len(trials))
    reasons = _spread({place: status.reason for place, status in failed.items()}, "", len(trials))
    return ScoreTable(trials, scores, statuses, reasons, llrs)


def _spread(exceptions: dict[int, str], usual: str, n: int) -> tuple[str, ...]:
    if not exceptions:
        return (usual,) * n
    words = [usual] * n
    for place, word in exceptions.items():
        words[place] = word
    return tuple(words)


def _calibrated(
    scores: Float64Array,
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    files: Sequence[tuple[str, ...]],
) -> Float64Array | None:
    calibration = voices.calibration
    if calibration is None:
        return None
    if calibration.duration is None:
        return calibration.apply(scores)
    seconds = np.array([sum(map(frames.seconds, each)) for each in files])
    return calibration.apply(scores, seconds[trials.test_index])


def _mark(
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    files: Sequence[tuple[str, ...]],
    good: IntArray,
    options: ScoringOptions,
) -> str:
    """Give the fingerprint of all that the scores of some trials depend on."""
    digest = hashlib.sha256()
    cohorts = [voices.cohort.models] if voices.cohort else []
    for models in (voices.speakers, *cohorts):
        digest.update(models.fingerprint.encode())
    for numbers in (trials.model_index, trials.test_index, good):
        digest.update(numbers.data)
    tried = np.unique(trials.test_index[good])
    # Where the content of a recording is not known, some frames of some tests must do.
    for test in tried[:: -(-len(tried) // _SOME) or 1]:
        for part in frames.read(files[test]):
            digest.update(b"" if part is None else np.ascontiguousarray(part).data)
    recordings = [[(file, frames.content(file), frames.count(file)) for file in x] for x in files]
    adaptation = voices.speakers.adaptation
    names = [voices.speakers.ids, trials.models, recordings]
    return fingerprint(
        __version__, frames.front_end, options, adaptation, names, digest.hexdigest()
    )


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
) -> dict[int, Status]:
    """Give the trials that cannot be scored, with the reason."""
    failed: dict[int, Status] = {}
    of_test = [next((s for s in map(frames.status, each) if not s.ok), Status()) for each in files]
    bad = np.array([not status.ok for status in of_test], bool)
    for number in _where(bad, trials.test_index):
        failed[number] = of_test[trials.test_index[number]]
    enrolled = set(voices.speakers.ids)
    missing = np.array([model not in enrolled for model in trials.models], bool)
    for number in _where(missing, trials.model_index):
        model = trials.models[trials.model_index[number]]
        failed[number] = Status("no model", voices.not_enrolled[model])
    return failed | dict(self_trials(voices.speakers, frames, trials, files))


def _where(some: BoolArray, index: IntArray) -> list[int]:
    """Give the places in an index that point to some; nearly always there is none."""
    return np.flatnonzero(some[index]).tolist() if some.any() else []


def _normalized(
    scores: Float64Array,
    good: IntArray,
    voices: Voices,
    frames: FrameLibrary,
    trials: Trials,
    files: Sequence[tuple[str, ...]],
    options: ScoringOptions,
    n_workers: int,
    keeper: ScoreKeeper | None,
) -> Float64Array:
    """Put each good trial's score beside those of the cohort, without the trial's own speakers."""
    cohort = voices.needed_cohort(options)
    models, rows = np.unique(trials.model_index[good], return_inverse=True)
    tests, columns = np.unique(trials.test_index[good], return_inverse=True)
    own = [speaker_of(files[test][0]) for test in tests]
    found = CohortScores(cohort=cohort.of_cohort)
    if options.normalization.needs_recordings:
        names = [trials.models[model] for model in models]
        found = replace(found, models=cohort.of_models(names))
    if options.normalization.needs_models:
        tried = [files[test] for test in tests]
        table = score_all(cohort.models, frames, tried, options, n_workers, keeper)
        table = without_own(table, own, cohort.models.ids)
        # A test may be a recording of the cohort under another name.
        for row, each in enumerate(tried):
            for name in {n for file in each for n in cohort.speakers_of(frames.content(file))}:
                table[row, cohort.models.index(name)] = np.nan
        found = replace(found, tests=table)
    result = np.full(len(scores), np.nan)
    result[good] = normalize_scores(scores[good], rows, columns, found, options.normalization)
    return result
