"""Which frames hold speech: the detector that is asked for, its guards, its mask or weights."""

import numpy as np

from voicegmm._base.arrays import BoolArray, Float32Array, Float64Array, FloatArray
from voicegmm._base.errors import AudioError, DataError
from voicegmm.features.speech.energy import energy_odds, frame_level_db, kaldi_odds
from voicegmm.features.speech.gaussians import gaussian_odds
from voicegmm.features.speech.likelihood_ratio import likelihood_ratio_odds
from voicegmm.features.speech.modulation import modulation_odds
from voicegmm.features.speech.options import SpeechOptions
from voicegmm.features.speech.spectra import Spectra
from voicegmm.features.speech.voting import passed, weighed


def speech_weights(
    log_energy: FloatArray,
    n_window: int,
    hop_seconds: float,
    options: SpeechOptions | None = None,
    source: str = "the recording",
    *,
    spectra: Spectra | None = None,
    labeled: BoolArray | None = None,
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
    spectra : Spectra, optional
        Needed by "modulation" and "likelihood_ratio", which alone ask for its blocks.
    labeled : (n_frames,) bool array, optional
        Needed by "labels": as `labeled_frames` gives it.

    Returns
    -------
    (n_frames,) float32 array
        In [0, 1]; 0 where a frame is dropped. At least one frame is not.

    Raises
    ------
    AudioError
        With status "no speech", saying why and which option would admit the recording; "too
        short" when there is no frame at all.
    DataError
        When `log_energy` has more than one axis or is not finite, or what the method needs is
        missing or of another length.
    """
    options = options or SpeechOptions()
    energy = np.asarray(log_energy, dtype=np.float64)
    if energy.ndim != 1 or not np.isfinite(energy).all():
        raise DataError("log_energy must be one finite number a frame")
    if not len(energy):
        raise AudioError(f"{source}: too short for one frame", status="too short")
    if options.method == "none":
        return np.ones(len(energy), dtype=np.float32)
    level = frame_level_db(energy, n_window)
    audible = level > options.floor_db
    _refuse_steady(level[audible], options, source)
    if options.method == "labels":
        weights = _checked_labels(labeled, len(level)).astype(np.float64)
    else:
        odds = _log_odds(energy, level, audible, hop_seconds, options, spectra)
        decide = passed if options.output == "mask" else weighed
        weights = decide(odds, options).astype(np.float64)
    if options.method != "kaldi":
        # Neighbors can vouch for a frame, but not for one of digital silence.
        weights[~audible] = 0.0
    if options.output == "weight":
        weights[weights < options.min_weight] = 0.0
    _refuse_short(float(weights.sum()) * hop_seconds, options, source)
    return weights.astype(np.float32)


def _log_odds(
    energy: Float64Array,
    level: Float64Array,
    audible: BoolArray,
    hop_seconds: float,
    options: SpeechOptions,
    spectra: Spectra | None,
) -> Float64Array:
    """Give each frame's log odds of speech, before its neighbors are asked."""
    if options.method == "kaldi":
        return kaldi_odds(energy, options)
    if options.method == "energy":
        return np.where(audible, energy_odds(level, hop_seconds, options), -np.inf)
    odds = np.full(len(level), -np.inf)
    if options.method in ("two_gaussian", "three_gaussian"):
        odds[audible] = gaussian_odds(level[audible], hop_seconds, options)
        return odds
    if spectra is None:
        raise DataError(f"spectra must be given for the method {options.method!r}")
    if options.method == "modulation":
        odds[audible] = modulation_odds(
            spectra, audible, options.floor_db, options.modulation, options.noise
        )
    else:
        odds[audible] = likelihood_ratio_odds(
            spectra, audible, options.floor_db, options.likelihood_ratio, options.noise
        )
    return odds


def _checked_labels(labeled: BoolArray | None, n_frames: int) -> BoolArray:
    if labeled is None or np.shape(labeled) != (n_frames,):
        got = "none" if labeled is None else str(np.shape(labeled))
        raise DataError(f"labeled must be one truth value for each of {n_frames} frames, got {got}")
    return np.asarray(labeled, dtype=bool)


def _refuse_steady(audible_db: Float64Array, options: SpeechOptions, source: str) -> None:
    """Refuse silence, and what is as loud all the time."""
    reason = ""
    if options.method != "kaldi" and not audible_db.size:
        reason = (
            f"no frame is above {options.floor_db:g} dB of full scale; record louder, or lower "
            "speech.floor_db"
        )
    elif options.method != "labels" and (span := _span(audible_db)) < options.min_range_db:
        reason = (
            f"its level varies by only {span:.1f} dB, as a steady noise or hum does; check the "
            f"microphone, or lower speech.min_range_db ({options.min_range_db:g})"
        )
    if reason:
        raise AudioError(f"{source}: no speech found: {reason}", status="no speech")


def _refuse_short(seconds: float, options: SpeechOptions, source: str) -> None:
    # A billionth forgives 0.1 s its binary fraction.
    if seconds > 0 and seconds >= options.min_speech_seconds - 1e-9:
        return
    lower = f"lower speech.min_speech_seconds ({options.min_speech_seconds:g})"
    if options.method == "labels":
        reason = f"only {seconds:.2f} s are labeled and not digital silence; mend the labels, or "
        reason += lower
    elif seconds > 0:
        reason = f"only {seconds:.2f} s pass the speech detector; record more, or {lower}"
    else:
        reason = "no frame passes the speech detector; record more, or choose another speech.method"
    raise AudioError(f"{source}: no speech found: {reason}", status="no speech")


def _span(level: Float64Array) -> float:
    if not level.size:
        return 0.0
    low, high = np.percentile(level, [5, 95])
    return float(high - low)
