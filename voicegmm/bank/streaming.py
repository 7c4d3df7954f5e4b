"""Verifying a voice while it speaks."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.errors import DataError, MismatchError, OptionError, VoicegmmError
from voicegmm.audio.signal import first_not_finite
from voicegmm.features import FrameSet, FrontEnd, Stream, pipeline_of
from voicegmm.features.stream import check_streamable
from voicegmm.scoring import (
    RunningScore,
    RunningTrials,
    ScoringOptions,
    SequentialOptions,
    SequentialTest,
    Voices,
    check_running,
    learn_sequential,
    looks_of,
)
from voicegmm.scoring.methods import Job, ratios
from voicegmm.scoring.models import adapted_models

log = logging.getLogger(__name__)

# Samples pass on in blocks of this length, however they came: the same sound, the same bits.
_BLOCKS_PER_SECOND = 10


@dataclass(frozen=True)
class StreamState:
    """What is known of a voice so far.

    Parameters
    ----------
    name : str
        Whose voice it is said to be.
    seconds : float
        Sound so far.
    speech_seconds : float
        Speech that was judged so far.
    score : float, optional
        Mean log-likelihood ratio per frame of speech; None before the first.
    llr : float, optional
        Natural-log likelihood ratio, calibrated for so much speech; held within what the
        calibration's trials can show.
    at_limit : bool
        Whether it was held.
    decision : {"accept", "reject", "undecided"}
        It is made at looks, after fixed seconds of speech, and stands from then on.
    reason : str
    decided_seconds, decided_speech_seconds : float, optional
        Sound and speech until the decision.
    """

    name: str
    seconds: float = 0.0
    speech_seconds: float = 0.0
    score: float | None = None
    llr: float | None = None
    at_limit: bool = False
    decision: str = "undecided"
    reason: str = ""
    decided_seconds: float | None = None
    decided_speech_seconds: float | None = None


class StreamVerifier:
    """Says whether a voice is a certain speaker's, as soon as that is certain enough.

    The state after some samples is the same, bit by bit, however they were cut into pieces.
    Memory does not grow with the recording.

    Parameters
    ----------
    voices : Voices
        Trained with a front end that takes sound in pieces.
    name : str

    Attributes
    ----------
    sample_rate : int
        In hertz: what samples must have.
    state : StreamState
        What is known so far.

    Raises
    ------
    ListError
        If nobody of that name is enrolled.
    VoicegmmError
        If there are no thresholds for voices that are still speaking, saying how to get them.

    Examples
    --------
    >>> verifier = VoiceBank.open("voices.h5").verifier("Ann")      # doctest: +SKIP
    >>> while verifier.state.decision == "undecided":               # doctest: +SKIP
    ...     verifier.push(next(pieces))
    """

    def __init__(self, voices: Voices, name: str) -> None:
        speakers = adapted_models(voices.speakers, "a voice that is still speaking")
        models = speakers.chosen([name])
        front_end = models.background.front_end
        self._test = _test_of(voices)
        self._stream = Stream(pipeline_of(front_end).options)
        self._hop = front_end.hop_seconds
        step, looks = looks_of(self._test.options, self._hop)
        self._first, self._last = looks[0] * step, self._test.max_seconds / self._hop
        # A few frames at a time never repay the loading of compiled loops.
        scorer = ratios(models, voices.scoring, Job(np.dtype(np.float32), 1, 1, 1, 1))
        self._running = RunningScore(scorer, np.array([0]), step)
        self.sample_rate = front_end.sample_rate
        self._block = front_end.sample_rate // _BLOCKS_PER_SECOND
        self._waiting = np.zeros(0, dtype=np.float32)
        self._n_samples = 0
        self._n_steps = 0
        self._decided: tuple[str, str, float, float] | None = None
        self.state = StreamState(name, reason=self._why_undecided())

    def push(self, samples: FloatArray) -> StreamState:
        """Take the next samples.

        Parameters
        ----------
        samples : (n_samples,) float array
            Of any length; mono, at `sample_rate`, full scale is 1.

        Returns
        -------
        StreamState

        Raises
        ------
        DataError
            For samples that are not finite or not mono, before anything is changed; and when the
            recording has ended.
        """
        array = np.asarray(samples, dtype=np.float32)
        if array.ndim != 1:
            raise DataError(f"samples must have one axis (mono), got {array.ndim} axes")
        if (bad := first_not_finite(array)) is not None:
            place = self._n_samples + bad
            raise DataError(f"samples must be finite: number {place} (counting from 0) is not")
        self._waiting = np.concatenate([self._waiting, array])
        n_ready = len(self._waiting) - len(self._waiting) % self._block
        before = self._n_samples - (len(self._waiting) - len(array))
        for start in range(0, n_ready, self._block):
            block = self._waiting[start : start + self._block]
            self._take(self._stream.push(block), before + start + self._block)
        self._waiting = self._waiting[n_ready:].copy()
        self._n_samples += len(array)
        return self._told()

    def flush(self) -> StreamState:
        """End the recording: its score is now that of the whole.

        Raises
        ------
        AudioError
            With status "too short" or "no speech", when nothing can be said of it.
        DataError
            When it has been ended before.
        """
        self._take(self._stream.push(self._waiting), self._n_samples)
        self._waiting = self._waiting[:0]
        self._take(self._stream.flush(), self._n_samples)
        return self._told()

    def _take(self, made: FrameSet, n_samples: int) -> None:
        """Score frames; decide at each look on the way."""
        for n_steps in self._running.push(made.frames, made.weights):
            if n_steps > self._n_steps:
                self._n_steps = n_steps
                self._look(n_samples)

    def _look(self, n_samples: int) -> None:
        n_frames, test = self._running.n_frames, self._test
        inside = self._first - 1e-6 <= n_frames <= self._last + 1
        if self._decided or not inside:
            return
        seconds = n_frames * self._hop
        (ratio,) = test.calibration.apply(self._running.scores, seconds)
        at = (n_samples / self.sample_rate, seconds)
        if ratio >= test.accept:
            why = f"log-likelihood ratio {ratio:+.2f}, {test.accept:+.2f} is asked for"
            self._decided = ("accept", f"{why}, after {seconds:.2f} s of speech", *at)
        elif ratio <= test.reject:
            why = f"log-likelihood ratio {ratio:+.2f}, at most {test.reject:+.2f} is asked for"
            self._decided = ("reject", f"{why}, after {seconds:.2f} s of speech", *at)

    def _told(self) -> StreamState:
        n_frames, calibration = self._running.n_frames, self._test.calibration
        decision, reason, *at = self._decided or ("undecided", self._why_undecided())
        score = llr = None
        at_limit = False
        if n_frames:
            score = float(self._running.scores[0])
            ratio = float(calibration.apply(score, n_frames * self._hop))
            limit = calibration.long.limit
            llr = float(np.clip(ratio, -limit, limit))
            at_limit = llr != ratio
        self.state = StreamState(
            self.state.name,
            self._n_samples / self.sample_rate,
            n_frames * self._hop,
            score,
            llr,
            at_limit,
            decision,
            reason,
            *at,
        )
        return self.state

    def _why_undecided(self) -> str:
        test, n_frames = self._test, self._running.n_frames
        if n_frames < self._first - 1e-6:
            heard = f"{n_frames * self._hop:.2f} s of speech"
            return f"{heard}; the first look is after {self._first * self._hop:.2f} s"
        if n_frames > self._last + 1:
            return f"no decision in {test.max_seconds:g} s of speech; none is made later"
        return f"the log-likelihood ratio is between {test.reject:+.2f} and {test.accept:+.2f}"


def _test_of(voices: Voices) -> SequentialTest:
    if voices.sequential is None:
        raise VoicegmmError(
            "these voices have no thresholds for sound that arrives in pieces; train them again "
            "with a front end that can take it so (--config voicegmm-16k-stream), and with as many "
            "speakers as a calibration takes"
        )
    return voices.sequential


def can_stream(front_end: FrontEnd, scoring: ScoringOptions) -> bool:
    """Tell whether scores can be told while sound arrives."""
    try:
        check_streamable(pipeline_of(front_end).options)
        check_running(scoring)
    except (MismatchError, OptionError):
        return False
    return True


def learned_from(
    streams: Sequence[RunningTrials], options: SequentialOptions, seed: int
) -> SequentialTest | None:
    """Learn when to decide on a voice that is still speaking; None where that cannot be learned."""
    if not streams:
        return None
    try:
        return learn_sequential(RunningTrials.joined(streams), options, seed)
    except DataError as error:
        log.warning("no thresholds for voices that are still speaking: %s", error)
        return None
