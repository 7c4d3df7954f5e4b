"""The whole front end: a recording in, the frames that a model sees out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float32Array
from voicegmm._base.checks import within
from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm._base.options import fingerprint, from_mapping, to_mapping
from voicegmm.audio.reading import read_signal
from voicegmm.audio.resampling import resample
from voicegmm.audio.signal import HIGHEST_RATE, LOWEST_RATE, Signal
from voicegmm.features.deltas import DeltaOptions, deltas
from voicegmm.features.mfcc import analyze
from voicegmm.features.normalization import NormalizationOptions, normalize
from voicegmm.features.speech import (
    SpeechOptions,
    frame_spectra,
    labeled_frames,
    speech_weights,
)
from voicegmm.features.static_options import StaticOptions, prepare

Segments = Sequence[tuple[float, float, str]]
"""Where there is speech in a recording: start and end in seconds, and a label."""

# Raised when the same options give other frames than before: old features are then refused.
FEATURES_VERSION = 1


@dataclass(frozen=True)
class PipelineOptions:
    """Everything that decides what frames a recording gives.

    The defaults are the preset ``conf/features/voicegmm-16k.toml``.

    Parameters
    ----------
    sample_rate : int
        Recordings are brought to this rate, in hertz, 1,000 to 768,000.
    static : StaticOptions
    deltas : DeltaOptions
    speech : SpeechOptions
    normalization : NormalizationOptions

    Raises
    ------
    OptionError
        For a value outside its range, or options that do not go with the sampling rate.
    """

    sample_rate: int = 16_000
    static: StaticOptions = field(default_factory=StaticOptions)
    deltas: DeltaOptions = field(default_factory=DeltaOptions)
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    normalization: NormalizationOptions = field(default_factory=NormalizationOptions)

    def __post_init__(self) -> None:
        within("sample_rate", self.sample_rate, LOWEST_RATE, HIGHEST_RATE)
        try:
            prepare(self.static, self.sample_rate)
        except OptionError as error:
            raise OptionError(f"static.{error}") from None
        try:
            self.speech.check_bands(prepare(self.static, self.sample_rate).n_fft, self.sample_rate)
        except OptionError as error:
            raise OptionError(f"speech.{error}") from None


@dataclass(frozen=True, eq=False)
class FrameSet:
    """The frames of one recording that are kept.

    Parameters
    ----------
    frames : (n_frames, n_dims) float32 array
        Read-only, as all arrays here.
    weights : (n_frames,) float32 array
        Of speech, in (0, 1].
    positions : (n_frames,) int32 array
        Which frame of the recording each one was, counting from 0, rising.
    n_total : int
        Frames in the recording, kept or not.
    hop_seconds : float
        From one frame of the recording to the next.
    source : str
    notes : tuple of str
        What is doubtful about the recording.

    Raises
    ------
    DataError
        When the shapes do not go together, or a weight or position is outside its range.
    """

    frames: Float32Array
    weights: Float32Array
    positions: npt.NDArray[np.int32]
    n_total: int
    hop_seconds: float
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames, dtype=np.float32)
        weights = np.asarray(self.weights, dtype=np.float32)
        positions = np.asarray(self.positions, dtype=np.int32)
        if frames.ndim != 2 or weights.shape != (len(frames),) or positions.shape != weights.shape:
            raise DataError(
                "frames, weights and positions must have the shapes (n, n_dims), (n,), (n,), "
                f"got {frames.shape}, {weights.shape}, {positions.shape}"
            )
        if not ((weights > 0) & (weights <= 1)).all():
            raise DataError("weights must be greater than 0 and at most 1")
        if len(frames) and not (
            positions[0] >= 0 and positions[-1] < self.n_total and (np.diff(positions) > 0).all()
        ):
            raise DataError(f"positions must rise from 0 or more to below {self.n_total}")
        for name, array in (("frames", frames), ("weights", weights), ("positions", positions)):
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def n_dims(self) -> int:
        """Columns of the frames."""
        return int(self.frames.shape[1])

    @property
    def speech_seconds(self) -> float:
        """How much speech was kept: the sum of the weights, in seconds."""
        return float(self.weights.sum(dtype=np.float64)) * self.hop_seconds


class Pipeline:
    """A front end that is ready to work: cepstra, deltas, speech detection, normalization.

    It holds nothing that changes, so threads can share one.

    Parameters
    ----------
    options : PipelineOptions, optional

    Attributes
    ----------
    options : PipelineOptions
    n_dims : int
        Columns of the frames it gives.
    fingerprint : str
        Of the options and the version of the features: equal fingerprints, equal frames.
    """

    def __init__(self, options: PipelineOptions | None = None) -> None:
        # Through plain values and back: 20 and 20.0 hertz must have one fingerprint.
        self.options = from_mapping(PipelineOptions, to_mapping(options or PipelineOptions()))
        self.n_dims = self.options.static.n_cepstra * (self.options.deltas.order + 1)
        self.fingerprint = fingerprint(
            {"features_version": FEATURES_VERSION, "options": self.options}
        )

    def extract_file(
        self, path: str | os.PathLike[str], segments: Segments | None = None
    ) -> FrameSet:
        """Read a recording and extract its frames.

        Parameters
        ----------
        path : path
            See `voicegmm.audio.read_signal`.
        segments : sequence of (start_seconds, end_seconds, label), optional
            Where there is speech; see `extract`.

        Raises
        ------
        AudioError
            With status "unreadable", "too short" or "no speech".
        OptionError
            As `extract`.
        """
        return self.extract(read_signal(path, self.options.sample_rate), segments)

    def extract(self, signal: Signal, segments: Segments | None = None) -> FrameSet:
        """Extract the frames of a recording.

        Cepstra and their deltas of all frames; which of them hold speech; normalization over
        those or over all; the speech frames.

        Parameters
        ----------
        signal : Signal
            Of any rate; it is resampled when needed.
        segments : sequence of (start_seconds, end_seconds, label), optional
            Where there is speech, as `voicegmm.corpus.read_labels` gives it for each recording:
            with speech.method "labels", and only with that.

        Returns
        -------
        FrameSet
            At least one frame, all finite.

        Raises
        ------
        AudioError
            With status "too short" (less than a window) or "no speech".
        OptionError
            When segments are missing, or the method does not look at them.
        """
        options = self.options
        self._check_segments(segments)
        signal = resample(signal, options.sample_rate)
        source = signal.source or "the recording"
        n_window = prepare(options.static, options.sample_rate).n_window
        if len(signal.samples) < n_window:
            raise AudioError(
                f"{source}: {signal.seconds:.3f} s is too short: one frame takes "
                f"{options.static.window_seconds:g} s; record more",
                status="too short",
            )
        base, energy = analyze(signal.samples, options.sample_rate, options.static)
        weights = self._speech_weights(signal, energy, segments, source)
        rule = options.deltas
        frames = deltas(base, rule.order, rule.window, rule.rule)
        kept = np.flatnonzero(weights)
        if options.normalization.over == "all":
            frames = normalize(frames, options.normalization)[kept]
        else:
            frames = normalize(frames[kept], options.normalization)
        return FrameSet(
            frames,
            weights[kept],
            kept.astype(np.int32),
            n_total=len(weights),
            hop_seconds=options.static.hop_seconds,
            source=signal.source,
            notes=signal.notes,
        )

    def _check_segments(self, segments: Segments | None) -> None:
        method = self.options.speech.method
        if method == "labels" and segments is None:
            raise OptionError(
                'speech.method "labels" takes the speech of each recording from a file: give '
                "segments (--labels FILE), or choose another method"
            )
        if method != "labels" and segments is not None:
            raise OptionError(
                f'segments are for speech.method "labels", and it is {method!r}: leave them out, '
                "or choose that method"
            )

    def _speech_weights(
        self, signal: Signal, energy: Float32Array, segments: Segments | None, source: str
    ) -> Float32Array:
        """Give the detector what it may look at; spectra are computed only if it does."""
        static, rate = self.options.static, signal.sample_rate
        plan = prepare(static, rate)
        size = plan.n_window, plan.n_hop, plan.n_fft
        labeled = None
        if segments is not None:
            first = plan.n_window if static.snip_edges else plan.n_hop
            labeled = labeled_frames(segments, len(energy), plan.n_hop / rate, first / 2 / rate)
        return speech_weights(
            energy,
            plan.n_window,
            static.hop_seconds,
            self.options.speech,
            source,
            spectra=frame_spectra(signal.samples, rate, *size, static.snip_edges),
            labeled=labeled,
        )
