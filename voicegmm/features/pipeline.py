"""The whole front end: a recording in, the frames that a model sees out."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from voicegmm._base.aliases import Alias
from voicegmm._base.arrays import Float32Array
from voicegmm._base.checks import within
from voicegmm._base.errors import AudioError, DataError, OptionError
from voicegmm._base.options import fingerprint, from_mapping, to_mapping
from voicegmm.audio.excerpt import WHOLE, Excerpt
from voicegmm.audio.framing import first_sample
from voicegmm.audio.reading import Recording
from voicegmm.audio.resampling import resample
from voicegmm.audio.signal import HIGHEST_RATE, LOWEST_RATE, Signal
from voicegmm.features.analysis import analyze, check_filtering
from voicegmm.features.deltas import DeltaOptions, with_deltas
from voicegmm.features.loading import load
from voicegmm.features.normalization import NormalizationOptions, normalize
from voicegmm.features.pitch import PitchOptions, pitch
from voicegmm.features.plan import prepare
from voicegmm.features.rasta import RASTA_START, RastaOptions
from voicegmm.features.speech import (
    SpeechOptions,
    block_spectra,
    labeled_frames,
    speech_weights,
)
from voicegmm.features.static_options import StaticOptions

Segments = Sequence[tuple[float, float, str]]
"""Where there is speech in a recording: start and end in seconds, and a label."""

# Raised when the same options give other frames than before: old features are then refused.
FEATURES_VERSION = 2

# Samples that are held for a detector that looks at them again: 17 minutes at 16 kHz, 64 MB.
_MOST_HELD = 1 << 24


@dataclass(frozen=True)
class PipelineOptions:
    """Everything that decides what frames a recording gives.

    The stages in their order: static features, RASTA, deltas, pitch, speech detection,
    normalization. The defaults are the preset ``conf/features/voicegmm-16k.toml``.

    Parameters
    ----------
    sample_rate : int
        Recordings are brought to this rate, in hertz, 1,000 to 768,000.
    static : StaticOptions
    rasta : RastaOptions
    deltas : DeltaOptions
    pitch : PitchOptions
    speech : SpeechOptions
    normalization : NormalizationOptions
        Configs may say ``cmvn = "mean"`` for its method, and "sliding" for "sliding_mean".

    Raises
    ------
    OptionError
        For a value outside its range, or options that do not go with the sampling rate.
    """

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        "cmvn": Alias("normalization.method", {"sliding": "sliding_mean"})
    }

    sample_rate: int = 16_000
    static: StaticOptions = field(default_factory=StaticOptions)
    rasta: RastaOptions = field(default_factory=RastaOptions)
    deltas: DeltaOptions = field(default_factory=DeltaOptions)
    pitch: PitchOptions = field(default_factory=PitchOptions)
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    normalization: NormalizationOptions = field(default_factory=NormalizationOptions)

    def __post_init__(self) -> None:
        within("sample_rate", self.sample_rate, LOWEST_RATE, HIGHEST_RATE)
        with _section("static"):
            n_fft = prepare(self.static, self.sample_rate).n_fft
        with _section("rasta"):
            check_filtering(self.static, self.rasta)
        with _section("deltas"):
            self.deltas.check_columns(self.static.n_dims)
        with _section("pitch"):
            self.pitch.check_rate(self.sample_rate)
        with _section("speech"):
            self.speech.check_bands(n_fft, self.sample_rate)

    @property
    def n_dims(self) -> int:
        """Columns of the frames."""
        return self.deltas.n_dims(self.static.n_dims) + self.pitch.n_dims

    @property
    def hop_seconds(self) -> float:
        """From one frame to the next."""
        return self.static.hop_seconds


@contextmanager
def _section(name: str) -> Iterator[None]:
    """Put the section's name before what an error says of an option in it."""
    try:
        yield
    except OptionError as error:
        raise OptionError(f"{name}.{error}") from None


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
    content : str
        SHA-256 of the file that it was read from, in hex; empty where there was none.

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
    content: str = ""

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


def front_end_fingerprint(options: PipelineOptions) -> str:
    """Give the fingerprint of options and version of the features: equal ones, equal frames."""
    return fingerprint({"features_version": FEATURES_VERSION, "options": options})


class Pipeline:
    """A front end that is ready to work: static features to normalization.

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
        self.n_dims = self.options.n_dims
        self.fingerprint = front_end_fingerprint(self.options)

    def load(self) -> None:
        """Load what the first recording would wait for: workers that are forked then share it."""
        load()

    def extract_file(
        self,
        path: str | os.PathLike[str],
        segments: Segments | None = None,
        excerpt: Excerpt = WHOLE,
    ) -> FrameSet:
        """Read a recording, or a part of it, and extract its frames.

        It is read in blocks: memory holds the frames, an hour of them some hundred MB, and of the
        samples at most 64 MB. A recording that is longer is read again by the methods "modulation"
        and "likelihood_ratio". The pitch alone takes the whole of it, and gigabytes an hour.

        Parameters
        ----------
        path : path
            See `voicegmm.audio.read_signal`.
        segments : sequence of (start_seconds, end_seconds, label), optional
            Where there is speech, from the beginning of the part on; see `extract`.
        excerpt : Excerpt
            The part: nothing of what lies around it is looked at.

        Raises
        ------
        AudioError
            With status "unreadable", "too short" or "no speech".
        OptionError
            As `extract`.
        """
        options = self.options
        again = options.speech.looks_at_spectra or options.pitch.method != "none"
        n_held = _MOST_HELD if again else 0
        return self._extract(Recording(path, options.sample_rate, n_held, excerpt), segments)

    def extract(self, signal: Signal, segments: Segments | None = None) -> FrameSet:
        """Extract the frames of a recording.

        Static features, filtered over time if so asked, their deltas and the pitch of all frames;
        which of them hold speech; normalization over those or over all; the speech frames. With
        RASTA the first four frames are not kept, unless it says so: they fill its filter.

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
        return self._extract(resample(signal, self.options.sample_rate), segments)

    def _extract(self, sound: Signal | Recording, segments: Segments | None) -> FrameSet:
        options, rate = self.options, self.options.sample_rate
        check_segments(options.speech, segments)
        source = sound.source or "the recording"
        found = analyze(sound.blocks(), rate, options.static, options.rasta)
        seconds = found.n_samples / rate
        if found.n_samples < prepare(options.static, rate).n_window:
            raise too_short(source, seconds, options.static)
        weights = self._speech_weights(sound, found.energy, segments, source)
        kept = np.flatnonzero(weights)
        if options.rasta.on != "none" and not options.rasta.keep_start:
            kept = kept[kept >= RASTA_START]
            if not len(kept):
                raise filter_not_filled(source, seconds)
        frames = self._with_pitch(with_deltas(found.features, options.deltas), sound)
        # One step at a time: what a step has taken is given back before the next.
        if options.normalization.over == "all":
            frames = normalize(frames, options.normalization)
        frames = frames[kept]
        if options.normalization.over == "speech":
            frames = normalize(frames, options.normalization)
        return FrameSet(
            frames,
            weights[kept],
            kept.astype(np.int32),
            n_total=len(weights),
            hop_seconds=options.static.hop_seconds,
            source=sound.source,
            notes=sound.notes,
        )

    def _with_pitch(self, frames: Float32Array, sound: Signal | Recording) -> Float32Array:
        """Append the pitch, if it was asked for."""
        options, rate = self.options, sound.sample_rate
        if options.pitch.method == "none":
            return frames
        n_hop = prepare(options.static, rate).n_hop
        center = frame_times(options)[1] * rate
        columns = pitch(sound.blocks(), rate, n_hop, len(frames), center, options.pitch)
        return np.concatenate([frames, columns], axis=1)

    def _speech_weights(
        self,
        sound: Signal | Recording,
        energy: Float32Array,
        segments: Segments | None,
        source: str,
    ) -> Float32Array:
        """Give the detector what it may look at; spectra are computed only if it does."""
        static, rate = self.options.static, sound.sample_rate
        plan = prepare(static, rate)
        size = plan.n_window, plan.n_hop, plan.n_fft
        labeled = None
        if segments is not None:
            labeled = labeled_frames(segments, len(energy), *frame_times(self.options))
        return speech_weights(
            energy,
            plan.n_window,
            static.hop_seconds,
            self.options.speech,
            source,
            spectra=block_spectra(sound.blocks, rate, *size, static.snip_edges, static.padding),
            labeled=labeled,
        )


def check_segments(speech: SpeechOptions, segments: Segments | None) -> None:
    """Refuse segments that the method does not look at, and a method that lacks them."""
    if speech.method == "labels" and segments is None:
        raise OptionError(
            'speech.method "labels" takes the speech of each recording from a file: give '
            "segments (--labels FILE), or choose another method"
        )
    if speech.method != "labels" and segments is not None:
        raise OptionError(
            f'segments are for speech.method "labels", and it is {speech.method!r}: leave them '
            "out, or choose that method"
        )


def frame_times(options: PipelineOptions) -> tuple[float, float]:
    """Give the seconds from the middle of a frame to that of the next, and where the first lies."""
    static, rate = options.static, options.sample_rate
    plan = prepare(static, rate)
    first = first_sample(plan.n_window, plan.n_hop, static.snip_edges, static.padding)
    return plan.n_hop / rate, (first + plan.n_window / 2) / rate


def too_short(source: str, seconds: float, static: StaticOptions) -> AudioError:
    """Make the error of a recording that is shorter than a window."""
    return AudioError(
        f"{source}: {seconds:.3f} s is too short: one frame takes {static.window_seconds:g} s; "
        "record more",
        status="too short",
    )


def filter_not_filled(source: str, seconds: float) -> AudioError:
    """Make the error of a recording whose speech ends before RASTA begins to give frames."""
    return AudioError(
        f"{source}: {seconds:.3f} s is too short: the first {RASTA_START} frames fill the RASTA "
        "filter and no speech follows; record more",
        status="too short",
    )
