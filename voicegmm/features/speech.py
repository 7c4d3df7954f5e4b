"""Which frames hold speech, judged by their energy."""

from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import BoolArray, Float32Array, Float64Array, FloatArray
from voicegmm._base.checks import one_of, within
from voicegmm._base.errors import AudioError, DataError

_DB = 10 / np.log(10)
_INT16_FULL_SCALE = 32768.0
_QUIET_PERCENT = 10


@dataclass(frozen=True)
class SpeechOptions:
    """Which frames are kept.

    Parameters
    ----------
    method : {"energy", "kaldi", "none"}
        "energy": less than `range_db` below the loudest frame, above the quiet ones by
        `rise` of the way up to it, and above `floor_db`. "kaldi": log energy above `threshold` +
        `mean_scale` times its mean (compute-vad-energy). "none": every frame.
    range_db : float
        In dB, greater than 0 and at most 200.
    rise : float
        How far above the quiet frames (the 10th percentile of those above `floor_db`) a frame must
        lie, as a share of the way from there to the loudest, in dB; 0 to 0.99. It keeps the noise
        between words out where that is less than `range_db` below the speech. 0 does not look.
    rise_min_seconds : float
        Shorter recordings are single words, cut out: their quiet frames are speech too, and `rise`
        is not used. At least 0.
    floor_db : float
        Frames below this level never count as speech, in dB relative to full scale, -200 to 0.
        -85 lies above the last bit of 16-bit samples (-90): digital silence, dithered or not.
    threshold, mean_scale : float
        Of the rule "kaldi", in natural logarithms of the sum of squares at int16 amplitudes.
    context_frames, proportion : int, float
        A frame counts if at least this proportion of the frames up to `context_frames` (0 to
        1000) before and after it passed the rule. 0 asks the frame alone; 0.5 with one frame or
        more is a median.
    min_range_db : float
        A recording whose frames above the floor span less (5th to 95th percentile of their
        energy) is a steady noise or hum and has no speech; 0 admits it. Not for "none". White
        noise spans below 2 dB, a hum of 30 Hz or more below 3.6, the shortest spoken digits 5.
    min_speech_seconds : float
        Less speech than this is no speech, at least 0. Not for "none".
    """

    method: str = "energy"
    range_db: float = 30.0
    rise: float = 0.4
    rise_min_seconds: float = 1.0
    floor_db: float = -85.0
    threshold: float = 5.5
    mean_scale: float = 0.5
    context_frames: int = 0
    proportion: float = 0.5
    min_range_db: float = 4.0
    min_speech_seconds: float = 0.1

    def __post_init__(self) -> None:
        one_of("method", self.method, ("energy", "kaldi", "none"))
        within("range_db", self.range_db, 1e-3, 200.0)
        within("rise", self.rise, 0.0, 0.99)
        within("rise_min_seconds", self.rise_min_seconds, 0.0, 1e6)
        within("floor_db", self.floor_db, -200.0, 0.0)
        within("threshold", self.threshold, -1e3, 1e3)
        within("mean_scale", self.mean_scale, 0.0, 100.0)
        within("context_frames", self.context_frames, 0, 1000)
        within("proportion", self.proportion, 1e-6, 1.0)
        within("min_range_db", self.min_range_db, 0.0, 200.0)
        within("min_speech_seconds", self.min_speech_seconds, 0.0, 1e6)


def speech_weights(
    log_energy: FloatArray,
    n_window: int,
    hop_seconds: float,
    options: SpeechOptions | None = None,
    source: str = "the recording",
) -> Float32Array:
    """Decide for each frame whether it holds speech.

    Parameters
    ----------
    log_energy : (n_frames,) float array
        Natural logarithm of each frame's sum of squares at int16 amplitudes, as
        `voicegmm.features.detection_energy` gives it.
    n_window : int
        Samples in a frame, to tell its level from its energy.
    hop_seconds : float
        From one frame to the next.
    options : SpeechOptions, optional
    source : str
        What to call the recording in an error.

    Returns
    -------
    (n_frames,) float32 array
        1 for speech, 0 for none; at least one frame is 1.

    Raises
    ------
    AudioError
        With status "no speech", saying why and which option would admit the recording; "too
        short" when there is no frame at all.
    DataError
        When `log_energy` has more than one axis or is not finite.
    """
    options = options or SpeechOptions()
    energy = np.asarray(log_energy, dtype=np.float64)
    if energy.ndim != 1 or not np.isfinite(energy).all():
        raise DataError("log_energy must be one finite number a frame")
    if not len(energy):
        raise AudioError(f"{source}: too short for one frame", status="too short")
    if options.method == "none":
        return np.ones(len(energy), dtype=np.float32)
    level = _DB * (energy - np.log(n_window) - 2 * np.log(_INT16_FULL_SCALE))
    by_kaldi = options.method == "kaldi"
    kept = kaldi_rule(energy, options) if by_kaldi else energy_rule(level, hop_seconds, options)
    _refuse_speechless(kept, level, hop_seconds, options, source)
    return kept.astype(np.float32)


def energy_rule(level_db: FloatArray, hop_seconds: float, options: SpeechOptions) -> BoolArray:
    """Keep frames near the loudest one and above the floor.

    Parameters
    ----------
    level_db : (n_frames,) float array
        Level of each frame in dB relative to full scale.
    hop_seconds : float
        From one frame to the next.
    options : SpeechOptions
        All but `threshold`, `mean_scale` and what refuses a recording count.
    """
    audible = np.asarray(level_db > options.floor_db)
    loudest = float(np.max(level_db))
    threshold = loudest - options.range_db
    long_enough = len(level_db) * hop_seconds >= options.rise_min_seconds
    if options.rise and long_enough and audible.any():
        quiet = float(np.percentile(level_db[audible], _QUIET_PERCENT))
        threshold = max(threshold, quiet + options.rise * (loudest - quiet))
    near = level_db > threshold
    # Neighbors can vouch for a frame, but not for one of digital silence.
    return _agreed(near & audible, options) & audible


def kaldi_rule(log_energy: FloatArray, options: SpeechOptions) -> BoolArray:
    """Keep frames by Kaldi's energy rule (``ivector/voice-activity-detection.cc``).

    Parameters
    ----------
    log_energy : (n_frames,) float array
        Natural logarithms; in Kaldi the first column of the features.
    options : SpeechOptions
        `threshold`, `mean_scale`, `context_frames` and `proportion` count.
    """
    threshold = options.threshold + options.mean_scale * np.mean(log_energy, dtype=np.float64)
    return _agreed(np.asarray(log_energy > threshold), options)


def _agreed(passed: BoolArray, options: SpeechOptions) -> BoolArray:
    """Keep a frame if enough of its neighborhood, cut off at the edges, passed."""
    if not options.context_frames:
        return passed
    sums = np.concatenate([[0], np.cumsum(passed)])
    t = np.arange(len(passed))
    start = np.maximum(t - options.context_frames, 0)
    stop = np.minimum(t + options.context_frames + 1, len(passed))
    return np.asarray(sums[stop] - sums[start] >= options.proportion * (stop - start))


def _refuse_speechless(
    kept: BoolArray, level: Float64Array, hop_seconds: float, options: SpeechOptions, source: str
) -> None:
    audible = level[level > options.floor_db]
    reason = ""
    if options.method == "energy" and not audible.size:
        reason = (
            f"no frame is above {options.floor_db:g} dB of full scale; record louder, or lower "
            "speech.floor_db"
        )
    elif options.min_range_db > 0 and (span := _span(audible)) < options.min_range_db:
        reason = (
            f"its level varies by only {span:.1f} dB, as a steady noise or hum does; check the "
            f"microphone, or lower speech.min_range_db ({options.min_range_db:g})"
        )
    # A billionth forgives 0.1 s its binary fraction.
    elif not kept.any() or kept.sum() * hop_seconds < options.min_speech_seconds - 1e-9:
        reason = (
            f"only {kept.sum() * hop_seconds:.2f} s pass the speech detector; record more, or "
            f"lower speech.min_speech_seconds ({options.min_speech_seconds:g})"
        )
    if reason:
        raise AudioError(f"{source}: no speech found: {reason}", status="no speech")


def _span(level: Float64Array) -> float:
    if not level.size:
        return 0.0
    low, high = np.percentile(level, [5, 95])
    return float(high - low)
