"""Scores of a voice that is still speaking: its mean ratio, read at fixed seconds of speech."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray, IntArray
from voicegmm._base.errors import DataError, OptionError
from voicegmm.compute import ordered_map
from voicegmm.scoring.first_order import Ratios
from voicegmm.scoring.folds import FoldTests
from voicegmm.scoring.frames import FrameLibrary
from voicegmm.scoring.methods import Job, ratios
from voicegmm.scoring.models import SpeakerModels
from voicegmm.scoring.options import ScoringOptions, SequentialOptions, check_running

# A billionth of a frame forgives sums of weights their rounding.
_FORGIVEN = 1e-9


class RunningScore:
    """The mean log-likelihood ratio of a voice against some models, as its frames come in.

    Parameters
    ----------
    ratios : callable
        Models made ready, as `voicegmm.scoring.methods.ratios` does it.
    rows : (n_models,) int array
        Which of them.
    step : float
        Frames from one look to the next, each counting its weight; at least 1.

    Attributes
    ----------
    n_frames : float
        Sum of the weights so far.
    """

    def __init__(self, ratios: Ratios, rows: IntArray, step: float) -> None:
        self._ratios, self._rows, self._step = ratios, rows, step
        self._sums = np.zeros(len(rows))
        self.n_frames = 0.0

    @property
    def scores(self) -> Float64Array:
        """Mean ratios in nats per frame, (n_models,); NaN before the first frame."""
        return self._sums / self.n_frames if self.n_frames else np.full(len(self._rows), np.nan)

    def push(self, frames: FloatArray, weights: FloatArray | None) -> Iterator[int]:
        """Take the next frames; stop at each look on the way, and at the end.

        Parameters
        ----------
        frames : (n_frames, n_dims) float array
        weights : (n_frames,) float array, optional
            In (0, 1]; 1 for every frame by default.

        Yields
        ------
        int
            Steps that are full: where it is one more than before, this is a look, and `scores` and
            `n_frames` are those of the look.
        """
        each = np.ones(len(frames)) if weights is None else np.asarray(weights, float)
        totals = np.cumsum(np.concatenate([[self.n_frames], each]))
        steps = np.floor(totals / self._step + _FORGIVEN).astype(int)
        ends = np.flatnonzero(np.diff(steps)) + 1
        for start, stop in zip([0, *ends], [*ends, len(frames)], strict=True):
            if start < stop:
                part = slice(start, stop)
                (means,) = self._ratios([(frames[part], each[part])], self._rows)
                self._sums += means * each[part].sum()
                self.n_frames = float(totals[stop])
            yield int(steps[stop])


@dataclass(frozen=True, eq=False)
class RunningTrials:
    """Scores of voices at each look.

    Parameters
    ----------
    scores : (n_trials, n_looks) float64 array
        Mean ratios per frame; NaN after the voice fell silent.
    seconds : (n_looks,) float64 array
        Speech at each look, rising.
    fold : (n_trials,) int array
    model, voice : (n_trials,) str array
        Whose model, whose voice. They differ only where the voice is a stranger.
    """

    scores: Float64Array
    seconds: Float64Array
    fold: IntArray
    model: np.ndarray
    voice: np.ndarray

    @property
    def targets(self) -> BoolArray:
        """Trials of a voice with its own model, (n_trials,)."""
        return np.asarray(self.model == self.voice)

    def chosen(self, trials: BoolArray) -> "RunningTrials":
        """Give only some of the trials."""
        return replace(
            self,
            scores=self.scores[trials],
            fold=self.fold[trials],
            model=self.model[trials],
            voice=self.voice[trials],
        )

    def until_half_are_silent(self) -> "RunningTrials":
        """Leave out the looks that less than half of the true speakers reach."""
        reached = np.isfinite(self.scores[self.targets]).mean(axis=0) >= 0.5
        n_looks = int(reached.sum())  # who reaches a look has reached all before it
        if not n_looks:
            raise DataError(
                f"less than half of the speakers speak for {self.seconds[0]:g} s, where the first "
                "look is; record more, or lower first_seconds"
            )
        return replace(self, scores=self.scores[:, :n_looks], seconds=self.seconds[:n_looks])

    @staticmethod
    def joined(parts: Sequence["RunningTrials"]) -> "RunningTrials":
        """Put trials with the same looks together."""
        return RunningTrials(
            np.concatenate([part.scores for part in parts]),
            parts[0].seconds,
            np.concatenate([part.fold for part in parts]),
            np.concatenate([part.model for part in parts]),
            np.concatenate([part.voice for part in parts]),
        )


def looks_of(options: SequentialOptions, hop_seconds: float) -> tuple[float, IntArray]:
    """Give the frames of a step, and the looks as numbers of steps.

    Raises
    ------
    OptionError
        If a step is shorter than a frame.
    """
    if options.step_seconds < hop_seconds:
        raise OptionError(
            f"step_seconds must be at least the hop of the front end, {hop_seconds:g} s, "
            f"got {options.step_seconds:g}"
        )
    first = int(np.ceil(options.first_seconds / options.step_seconds - _FORGIVEN))
    last = int(np.floor(options.max_seconds / options.step_seconds + _FORGIVEN))
    return options.step_seconds / hop_seconds, np.arange(first, max(first, last) + 1)


def running_trials(
    group: FoldTests,
    frames: FrameLibrary,
    options: SequentialOptions,
    scoring: ScoringOptions | None = None,
    seed: int = 0,
    n_workers: int = 1,
    n_streams: int = 10,
    n_others: int = 20,
) -> RunningTrials:
    """Let the voices of a fold speak: their recordings one after another, scored at each look.

    A speaker's recordings go round, each the first of one stream: as many beginnings as recordings.

    Parameters
    ----------
    group : FoldTests
    frames : FrameLibrary
    options : SequentialOptions
    scoring : ScoringOptions, optional
        The method "exact" or "top".
    seed : int
        Of the draw of others.
    n_workers : int
    n_streams : int
        Streams of a speaker, at most.
    n_others : int
        Other people's models that a stranger's stream meets, at most; they are drawn.

    Returns
    -------
    RunningTrials
        Of each voice with its own model, where there is one, and of strangers with others'.
    """
    scoring = scoring or ScoringOptions()
    check_running(scoring)
    models = group.models
    step, looks = looks_of(options, frames.front_end.hop_seconds)
    spoken: dict[str, list[str]] = {}
    for file, voice in group.tests:
        spoken.setdefault(voice, []).append(file)
    rng = np.random.default_rng([seed, group.fold])
    streams: list[_Stream] = []
    for voice, files in spoken.items():
        own = [models.ids.index(voice)] if voice in models.ids else []
        others = [row for row in range(len(models.ids)) if row not in own]
        for start in range(min(len(files), n_streams)):
            drawn = rng.permutation(others)[:n_others] if voice in group.strangers else others[:0]
            rows = np.array([*own, *drawn], dtype=int)
            if len(rows):
                streams.append(_Stream(voice, (*files[start:], *files[:start]), rows))
    if not streams:
        nothing = np.empty(0, int), np.empty(0, str), np.empty(0, str)
        return RunningTrials(np.empty((0, len(looks))), np.empty(len(looks)), *nothing)
    scorer = _ready(models, scoring, frames, streams)

    def listened(stream: _Stream) -> Float64Array:
        return _at_looks(scorer, frames, stream, step, looks)

    names = np.array(models.ids)
    return RunningTrials(
        np.concatenate([*ordered_map(listened, streams, n_workers)]),
        np.asarray(looks * options.step_seconds, np.float64),
        np.full(sum(len(stream.rows) for stream in streams), group.fold),
        np.concatenate([names[stream.rows] for stream in streams]),
        np.concatenate([np.full(len(stream.rows), stream.voice) for stream in streams]),
    )


@dataclass(frozen=True, eq=False)
class _Stream:
    """A voice that speaks recordings in a row, and the rows of the models that it meets."""

    voice: str
    files: tuple[str, ...]
    rows: IntArray


def _ready(
    models: SpeakerModels,
    scoring: ScoringOptions,
    frames: FrameLibrary,
    streams: Sequence[_Stream],
) -> Ratios:
    counts = [sum(map(frames.count, stream.files)) for stream in streams]
    n_tried = sum(n * len(stream.rows) for n, stream in zip(counts, streams, strict=True))
    # Few frames at a time, so no trials to lay models side by side for.
    return ratios(models, scoring, Job(np.dtype(np.float32), len(streams), 0, sum(counts), n_tried))


def _at_looks(
    scorer: Ratios,
    frames: FrameLibrary,
    stream: _Stream,
    step: float,
    looks: IntArray,
) -> Float64Array:
    """Give the running scores of a stream, (n_rows, n_looks)."""
    running = RunningScore(scorer, stream.rows, step)
    found = np.full((len(stream.rows), len(looks)), np.nan)
    before = 0
    for file in stream.files:
        data, weights = frames.read([file])
        for full in running.push(data.astype(np.float32, copy=False), weights):
            if full > before and full >= looks[0]:
                found[:, full - looks[0]] = running.scores
            before = full
            if full >= looks[-1]:
                return found
    return found
