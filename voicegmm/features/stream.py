"""The front end on a signal that arrives in pieces, in bounded memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float32Array, FloatArray
from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm.audio.framing import count_frames, first_sample
from voicegmm.audio.signal import first_not_finite
from voicegmm.features.deltas import DeltaOptions, with_deltas
from voicegmm.features.normalization import WARPING, NormalizationOptions, slide
from voicegmm.features.pipeline import FrameSet, Pipeline, PipelineOptions
from voicegmm.features.plan import prepare
from voicegmm.features.speech import SpeechOptions
from voicegmm.features.speech.energy import kaldi_odds
from voicegmm.features.speech.voting import passed, weighed
from voicegmm.features.static import analyze
from voicegmm.features.static_options import StaticOptions

Rows = npt.NDArray[Any]


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
        The samples have its rate. Only what does not look at the whole recording: no dither,
        `static.preemphasis_start` "frame", no `static.dynamic_range_db`, RASTA or pitch;
        `speech.method` "none", or "kaldi" with `mean_scale`, `min_range_db` and
        `min_speech_seconds` 0; no normalization or a sliding one.
        By default the cepstra and deltas of `PipelineOptions`, all frames.

    Raises
    ------
    OptionError
        For an option that needs the whole recording, naming it.

    Examples
    --------
    >>> stream = Stream()
    >>> sets = [stream.push(np.zeros(1000, np.float32)) for _ in range(4)] + [stream.flush()]
    >>> [len(frames.positions) for frames in sets]
    [0, 5, 6, 6, 6]
    """

    def __init__(self, options: PipelineOptions | None = None) -> None:
        if options is None:
            options = PipelineOptions(speech=SpeechOptions("none"))
        check_streamable(options)
        self.options = Pipeline(options).options
        static = self.options.static
        self._cutter = _Cutter(static, self.options.sample_rate)
        self._deltas = _delta_stage(self.options.deltas, static.n_dims)
        self._speech = _speech_stage(self.options.speech)
        self._normalization = _normalization_stage(self.options.normalization, self.options.n_dims)
        # What has come out of one stage and waits for its counterpart from the other.
        self._frames = np.zeros((0, self.options.n_dims), dtype=np.float32)
        self._weights = np.zeros(0, dtype=np.float32)
        # The frames that are kept and wait for their normalization.
        self._kept_weights = np.zeros(0, dtype=np.float32)
        self._kept_positions = np.zeros(0, dtype=np.int32)
        self._n_total = 0
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
            With status "too short" when all was less than a window, "no speech" when no frame
            passed.
        DataError
            When it has been ended before.
        """
        last = self._advance(np.zeros(0, dtype=np.float32), end=True)
        if not self._n_kept:
            raise AudioError(
                "the stream: no speech found: no frame passes the detector; lower speech.threshold",
                status="no speech",
            )
        return last

    def _advance(self, samples: FloatArray, end: bool) -> FrameSet:
        if self._ended:
            raise DataError("the stream has ended; make another one for the next recording")
        over_all = self.options.normalization.over == "all"
        static, energy = self._cutter.push(samples, end)
        self._ended = end
        frames = self._deltas.push(static, end)
        if over_all:
            frames = self._normalization.push(frames, end)
        self._frames = np.concatenate([self._frames, frames])
        self._weights = np.concatenate([self._weights, self._speech.push(energy, end)])
        n = min(len(self._frames), len(self._weights))
        frames, weights = self._frames[:n], self._weights[:n]
        self._frames, self._weights = self._frames[n:], self._weights[n:]
        kept = np.flatnonzero(weights)
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

    Raises
    ------
    OptionError
        Naming the first of them, its value and what would be right.
    """
    static, speech = options.static, options.speech
    wanted: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("static.dither", static.dither, (0,)),
        ("static.preemphasis_start", static.preemphasis_start, ("frame",)),
        ("static.dynamic_range_db", static.dynamic_range_db, (0,)),
        ("rasta.on", options.rasta.on, ("none",)),
        ("pitch.method", options.pitch.method, ("none",)),
        ("speech.method", speech.method, ("none", "kaldi")),
        (
            "normalization.method",
            options.normalization.method,
            ("none", "sliding_mean", "sliding_mean_variance", "warping"),
        ),
    ]
    if speech.method == "kaldi":
        for name in ("mean_scale", "min_range_db", "min_speech_seconds"):
            wanted.append((f"speech.{name}", getattr(speech, name), (0,)))
    for name, value, allowed in wanted:
        if value not in allowed:
            right = " or ".join(map(repr, allowed))
            raise OptionError(
                f"{name} must be {right} in a stream, which cannot look at the whole recording; "
                f"got {value!r}"
            )


class _Cutter:
    """Computes static features and energies of the frames that are complete."""

    def __init__(self, options: StaticOptions, sample_rate: int) -> None:
        self._options, self._rate = options, sample_rate
        self._plan = prepare(options, sample_rate)
        self._inside = replace(options, snip_edges=True, padding="reflection")
        self._samples = np.zeros(0, dtype=np.float32)
        self._n_samples = 0  # of the recording, so far
        self._next = 0  # where in `_samples` the next frame begins
        self._begun = False

    def push(self, samples: FloatArray, end: bool) -> tuple[Float32Array, Float32Array]:
        """Take samples; give the features and the energies of the frames that end in them."""
        self._append(samples)
        if not self._begun and self._n_samples >= self._plan.n_window:
            self._begin()
        if end:
            self._finish()
        # Until it has begun, no frame can be complete: there is less than one window.
        ready = self._samples[self._next :] if self._begun else self._samples[:0]
        features, energy = analyze(ready, self._rate, self._inside)
        self._next += len(features) * self._plan.n_hop
        # A window stays, for the reflection at the end.
        spare = min(max(0, self._next - self._plan.n_window), len(self._samples))
        if self._begun:
            self._samples = self._samples[spare:]
            self._next -= spare
        return features, energy

    def _append(self, samples: FloatArray) -> None:
        array = np.asarray(samples, dtype=np.float32)
        if array.ndim != 1:
            raise DataError(f"samples must have one axis (mono), got {array.ndim} axes")
        if (bad := first_not_finite(array)) is not None:
            place = self._n_samples + bad
            raise DataError(f"samples must be finite: number {place} (counting from 0) is not")
        self._samples = np.concatenate([self._samples, array])
        self._n_samples += len(array)

    def _begin(self) -> None:
        plan, options = self._plan, self._options
        first = first_sample(plan.n_window, plan.n_hop, options.snip_edges, options.padding)
        self._next = max(0, first)
        if first < 0:
            self._samples = np.pad(self._samples, (-first, 0), mode=_mode(options))
        self._begun = True

    def _finish(self) -> None:
        plan, options = self._plan, self._options
        if not self._begun:
            raise AudioError(
                f"the stream: {self._n_samples / self._rate:.3f} s is too short: one frame takes "
                f"{options.window_seconds:g} s; record more",
                status="too short",
            )
        if options.snip_edges:
            return
        edges = options.snip_edges, options.padding
        n_frames = count_frames(self._n_samples, plan.n_window, plan.n_hop, *edges)
        last = first_sample(plan.n_window, plan.n_hop, *edges) + (n_frames - 1) * plan.n_hop
        missing = last + plan.n_window - self._n_samples
        if missing > 0:
            self._samples = np.pad(self._samples, (0, missing), mode=_mode(options))


def _mode(options: StaticOptions) -> Any:
    return "symmetric" if options.padding == "reflection" else "constant"


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


def _speech_stage(options: SpeechOptions) -> _Stage:
    def weights(energy: Rows, part: slice) -> Rows:
        if options.method == "none":
            return np.ones(part.stop - part.start, dtype=np.float32)
        if part.start == part.stop:
            return np.zeros(0, dtype=np.float32)
        odds = kaldi_odds(energy, options)
        if options.output == "mask":
            return passed(odds, options)[part].astype(np.float32)
        found = weighed(odds, options)[part]
        return np.where(found < options.min_weight, 0.0, found).astype(np.float32)

    reach = 0 if options.method == "none" else options.context_frames
    return _Stage(weights, reach, reach, 0, np.zeros(0, dtype=np.float32))


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
