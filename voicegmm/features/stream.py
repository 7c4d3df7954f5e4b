"""The front end on a signal that arrives in pieces, in bounded memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.features.analysis import Analyzer
from voicegmm.features.deltas import DeltaOptions, with_deltas
from voicegmm.features.normalization import WARPING, NormalizationOptions, slide
from voicegmm.features.pipeline import (
    FrameSet,
    Pipeline,
    PipelineOptions,
    Segments,
    check_segments,
    filter_not_filled,
    frame_times,
    too_short,
)
from voicegmm.features.plan import prepare
from voicegmm.features.rasta import RASTA_START
from voicegmm.features.speech import SpeechOptions, labeled_frames
from voicegmm.features.speech.energy import frame_level_db, kaldi_odds
from voicegmm.features.speech.voting import passed, weighed

Rows = npt.NDArray[Any]

# The methods that decide on each frame by itself and its neighbors, and those of their options that
# judge the whole recording.
_GUARDS = {
    "none": (),
    "kaldi": ("mean_scale", "min_range_db", "min_speech_seconds", "shortest_frames"),
    "labels": ("min_speech_seconds",),
}
_NORMALIZATIONS = ("none", "sliding_mean", "sliding_mean_variance", "warping")
_THRESHOLD = "which cannot look at the levels of the whole recording"
_NOISE = "where windows of the noise around a frame may never fill up"
_MOMENTS = "which cannot look at the moments of the whole recording"
# By the value of an option, or else by its name.
_REASONS = {
    "dynamic_range_db": "whose loudest part may be still to come",
    "pyin": "as the path through the pitches is decided from the end backwards",
    "energy": _THRESHOLD,
    "two_gaussian": _THRESHOLD,
    "three_gaussian": _THRESHOLD,
    "mean_scale": _THRESHOLD,
    "modulation": _NOISE,
    "likelihood_ratio": _NOISE,
    "min_range_db": _THRESHOLD,
    "min_speech_seconds": "which cannot tell how much speech will have come",
    "shortest_frames": "where a stretch may be longer than what is kept of it",
    "mean": _MOMENTS,
    "mean_variance": _MOMENTS,
    "gaussianization": _MOMENTS,
}


class Stream:
    """A front end for one recording that arrives in pieces.

    The pieces' frames, one after the other, are those that `Pipeline.extract` gives for the whole
    recording, to the rounding of float32, however it is cut. A frame is given when the signal has
    come as far as it looks ahead: half a window for the cepstra, the deltas' windows, the vote of
    the speech detector, half a sliding window where that is centered (and at the start a whole
    one). Memory holds so much and no more.

    Parameters
    ----------
    options : PipelineOptions, optional
        The samples have its rate. Only what does not look at the whole recording; see
        `check_streamable`. By default the cepstra and deltas of `PipelineOptions`, all frames.
    segments : sequence of (start_seconds, end_seconds, label), optional
        Where there is speech: with speech.method "labels", and only with that.

    Raises
    ------
    OptionError
        For an option that needs the whole recording, naming it; when segments are missing, or the
        method does not look at them.

    Examples
    --------
    >>> stream = Stream()
    >>> sets = [stream.push(np.zeros(1000, np.float32)) for _ in range(4)] + [stream.flush()]
    >>> [len(frames.positions) for frames in sets]
    [0, 5, 6, 6, 6]
    """

    def __init__(
        self, options: PipelineOptions | None = None, segments: Segments | None = None
    ) -> None:
        if options is None:
            options = PipelineOptions(speech=SpeechOptions("none"))
        check_streamable(options)
        check_segments(options.speech, segments)
        self.options = Pipeline(options).options
        static, rate = self.options.static, self.options.sample_rate
        self._n_window = prepare(static, rate).n_window
        self._analyzer = Analyzer(rate, static, self.options.rasta)
        self._deltas = _delta_stage(self.options.deltas, static.n_dims)
        self._speech = _speech_stage(self.options, segments)
        self._normalization = _normalization_stage(self.options.normalization, self.options.n_dims)
        # What has come out of one stage and waits for its counterpart from the other.
        self._frames = np.zeros((0, self.options.n_dims), dtype=np.float32)
        self._weights = np.zeros(0, dtype=np.float32)
        # The frames that are kept and wait for their normalization.
        self._kept_weights = np.zeros(0, dtype=np.float32)
        self._kept_positions = np.zeros(0, dtype=np.int32)
        self._n_total = 0
        self._n_passed = 0
        self._n_kept = 0
        self._ended = False

    def push(self, samples: FloatArray) -> FrameSet:
        """Take the next piece of the recording.

        Parameters
        ----------
        samples : (n_samples,) float array
            Of any length, 0 too; full scale is 1.

        Returns
        -------
        FrameSet
            The frames that are now known, often none. `positions` count from the recording's first
            frame, `n_total` the frames that were decided on so far.

        Raises
        ------
        DataError
            For samples that are not finite, more than a million times full scale, or not mono,
            and when the recording has ended.
        """
        return self._advance(samples, end=False)

    def flush(self) -> FrameSet:
        """End the recording: give the frames that were waiting for more.

        Raises
        ------
        AudioError
            With status "too short" when all was less than a window, or no speech followed the
            frames that fill the RASTA filter; "no speech" when no frame passed.
        DataError
            When it has been ended before.
        """
        last = self._advance(np.zeros(0, dtype=np.float32), end=True)
        if self._n_kept:
            return last
        if self._n_passed:
            raise filter_not_filled(
                "the stream", self._analyzer.n_samples / self.options.sample_rate
            )
        remedy = {"kaldi": "lower speech.threshold", "labels": "mend the labels"}
        raise AudioError(
            "the stream: no speech found: no frame passes the detector; "
            + remedy.get(self.options.speech.method, "record more"),
            status="no speech",
        )

    def _advance(self, samples: FloatArray, end: bool) -> FrameSet:
        if self._ended:
            raise DataError("the stream has ended; make another one for the next recording")
        over_all = self.options.normalization.over == "all"
        static, energy = self._analyzer.push(samples, end)
        self._ended = end
        if end and self._analyzer.n_samples < self._n_window:
            seconds = self._analyzer.n_samples / self.options.sample_rate
            raise too_short("the stream", seconds, self.options.static)
        frames = self._deltas.push(static, end)
        if over_all:
            frames = self._normalization.push(frames, end)
        self._frames = np.concatenate([self._frames, frames])
        self._weights = np.concatenate([self._weights, self._speech.push(energy, end)])
        n = min(len(self._frames), len(self._weights))
        frames, weights = self._frames[:n], self._weights[:n]
        self._frames, self._weights = self._frames[n:], self._weights[n:]
        kept = np.flatnonzero(weights)
        self._n_passed += len(kept)
        if self.options.rasta.on != "none" and not self.options.rasta.keep_start:
            kept = kept[kept + self._n_total >= RASTA_START]
        positions = np.concatenate([self._kept_positions, kept + self._n_total])
        weights = np.concatenate([self._kept_weights, weights[kept]])
        self._n_total += n
        self._n_kept += len(kept)
        given = frames[kept] if over_all else self._normalization.push(frames[kept], end)
        m = len(given)
        self._kept_positions, self._kept_weights = positions[m:], weights[m:]
        hop = self.options.static.hop_seconds
        return FrameSet(given, weights[:m], positions[:m], self._n_total, hop)


def check_streamable(options: PipelineOptions) -> None:
    """Refuse options that need the whole recording.

    What can be had of a signal that goes on: all static features, dithered or not, RASTA, deltas
    and shifted deltas; speech by "kaldi" with a fixed threshold, by "labels", or "none"; sliding
    means and variances and warping, over the speech or over all frames. What cannot, and why:

    - `static.dynamic_range_db`: the loudest filter may be the last;
    - `pitch`: pYIN's path through the pitches is decided from the end backwards;
    - the methods "energy", "two_gaussian" and "three_gaussian", and `mean_scale` of "kaldi": their
      thresholds follow from the levels of all frames;
    - "modulation" and "likelihood_ratio": they learn the noise from quantiles around each frame, in
      windows of audible frames that may never fill up;
    - `min_range_db` and `min_speech_seconds`: they judge the recording; `shortest_frames`: whether
      a stretch turns depends on how long its neighbors will be;
    - "mean", "mean_variance" and "gaussianization": their moments are those of all frames.

    Raises
    ------
    OptionError
        Naming the first of them, its value, what would be right and the reason.
    """
    speech = options.speech
    wanted: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("static.dynamic_range_db", options.static.dynamic_range_db, (0,)),
        ("pitch.method", options.pitch.method, ("none",)),
        ("speech.method", speech.method, tuple(_GUARDS)),
        ("normalization.method", options.normalization.method, _NORMALIZATIONS),
        *(
            (f"speech.{name}", getattr(speech, name), (0,))
            for name in _GUARDS.get(speech.method, ())
        ),
    ]
    for name, value, allowed in wanted:
        if value not in allowed:
            right = " or ".join(map(repr, allowed))
            reason = _REASONS.get(value, _REASONS.get(name.split(".")[-1], ""))
            raise OptionError(f"{name} must be {right} in a stream, {reason}; got {value!r}")


class _Stage:
    """Applies a function over time to rows that arrive in pieces, as if all had been there.

    Parameters
    ----------
    function : callable
        Called as ``function(rows, part)``; gives the results of a part of the rows. A result may
        look at so many rows before and after it, and treats the first and the last row that it
        sees as those of the recording.
    n_before, n_after : int
        How far a result looks.
    n_first : int
        How many rows the very first result needs.
    empty : array
        No rows.
    """

    def __init__(
        self,
        function: Callable[[Rows, slice], Rows],
        n_before: int,
        n_after: int,
        n_first: int,
        empty: Rows,
    ) -> None:
        self._function = function
        self._n_before, self._n_after, self._n_first = n_before, n_after, n_first
        self._rows = empty
        self._done = 0  # of `_rows`: their results have been given
        self._begun = False

    def push(self, rows: Rows, end: bool) -> Rows:
        """Take rows; give the results that look no further than these."""
        self._rows = np.concatenate([self._rows, rows])
        n = len(self._rows)
        self._begun = self._begun or n >= self._n_first or end
        ready = n if end else n - self._n_after
        part = slice(self._done, max(self._done, ready if self._begun else 0))
        results = self._function(self._rows, part)
        spare = max(0, part.stop - self._n_before)
        self._rows = self._rows[spare:]
        self._done = part.stop - spare
        return results


def _delta_stage(options: DeltaOptions, n_static: int) -> _Stage:
    before = after = options.order * options.window
    if options.rule == "shifted":
        before = options.shifted_spread
        after = before + (options.shifted_blocks - 1) * options.shifted_step
    empty = np.zeros((0, n_static), dtype=np.float32)
    return _Stage(lambda rows, part: with_deltas(rows, options)[part], before, after, 0, empty)


def _speech_stage(options: PipelineOptions, segments: Segments | None) -> _Stage:
    speech, empty = options.speech, np.zeros(0, dtype=np.float32)
    if speech.method == "kaldi":
        reach = speech.context_frames
        return _Stage(lambda rows, part: _kaldi_weights(rows, part, speech), reach, reach, 0, empty)
    if speech.method == "labels":
        return _Stage(_Labeled(options, segments or ()), 0, 0, 0, empty)
    return _Stage(lambda rows, part: np.ones_like(rows[part]), 0, 0, 0, empty)


def _kaldi_weights(energy: Rows, part: slice, options: SpeechOptions) -> Rows:
    if part.start == part.stop:
        return np.zeros(0, dtype=np.float32)
    odds = kaldi_odds(energy, options)
    if options.output == "mask":
        return passed(odds, options)[part].astype(np.float32)
    found = weighed(odds, options)[part]
    return np.where(found < options.min_weight, 0.0, found).astype(np.float32)


class _Labeled:
    """Counts the frames that go by, to tell which of them lie in a segment and are no silence."""

    def __init__(self, options: PipelineOptions, segments: Segments) -> None:
        self._segments, self._floor_db = segments, options.speech.floor_db
        self._n_window = prepare(options.static, options.sample_rate).n_window
        self._hop, self._first = frame_times(options)
        self._n_done = 0

    def __call__(self, energy: Rows, part: slice) -> Rows:
        first = self._first + self._n_done * self._hop
        inside = labeled_frames(self._segments, part.stop - part.start, self._hop, first)
        self._n_done += part.stop - part.start
        audible = frame_level_db(energy[part], self._n_window) > self._floor_db
        return (inside & audible).astype(np.float32)


def _normalization_stage(options: NormalizationOptions, n_dims: int) -> _Stage:
    empty = np.zeros((0, n_dims), dtype=np.float32)
    if options.method == "none":
        return _Stage(lambda rows, part: rows[part], 0, 0, 0, empty)
    width = options.window_frames
    if options.method in WARPING and options.centered:
        width += 1 - width % 2

    def normalized(rows: Rows, part: slice) -> Rows:
        return slide(rows, options, part)

    if options.centered:
        return _Stage(normalized, width, width - width // 2 - 1, width, empty)
    # Rows that were let go must not be taken for missing ones at the start.
    first = options.min_window_frames
    return _Stage(normalized, max(width, first), 0, first, empty)
