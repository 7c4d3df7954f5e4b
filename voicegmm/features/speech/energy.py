"""Speech by the energy of each frame alone.

Each rule gives log odds: greater than 0 for speech, and the logistic of it is the weight.
"""

import numpy as np

from voicegmm._base.arrays import BoolArray, Float64Array, FloatArray
from voicegmm.features.speech.options import SpeechOptions
from voicegmm.features.speech.voting import passed
from voicegmm.features.static_options import INT16_SCALE

# 10 log10 of a power is this times its natural logarithm.
DB = float(10 / np.log(10))
_QUIET_PERCENT = 10


def frame_level_db(log_energy: FloatArray, n_window: int) -> Float64Array:
    """Give the level of frames in dB relative to full scale.

    Parameters
    ----------
    log_energy : (n_frames,) float array
        As `voicegmm.features.detection_energy` gives it.
    n_window : int
        Samples in a frame.
    """
    energy = np.asarray(log_energy, dtype=np.float64)
    return np.asarray(DB * (energy - np.log(n_window) - 2 * np.log(INT16_SCALE)))


def energy_odds(level_db: FloatArray, hop_seconds: float, options: SpeechOptions) -> Float64Array:
    """Prefer frames near the loudest one and above the quiet ones.

    Parameters
    ----------
    level_db : (n_frames,) float array
        Level of each frame in dB relative to full scale.
    hop_seconds : float
        From one frame to the next.
    options : SpeechOptions
        `range_db`, `rise`, `rise_min_seconds`, `floor_db` and `softness_db` count.

    Returns
    -------
    (n_frames,) float64 array
        Distance from the threshold over `softness_db`.
    """
    level = np.asarray(level_db, dtype=np.float64)
    audible = level > options.floor_db
    loudest = float(np.max(level))
    threshold = loudest - options.range_db
    long_enough = len(level) * hop_seconds >= options.rise_min_seconds
    if options.rise and long_enough and audible.any():
        quiet = float(np.percentile(level[audible], _QUIET_PERCENT))
        threshold = max(threshold, quiet + options.rise * (loudest - quiet))
    return np.asarray((level - threshold) / options.softness_db)


def kaldi_odds(log_energy: FloatArray, options: SpeechOptions) -> Float64Array:
    """Prefer frames by Kaldi's energy rule (``ivector/voice-activity-detection.cc``).

    Parameters
    ----------
    log_energy : (n_frames,) float array
        Natural logarithms; in Kaldi the first column of the features.
    options : SpeechOptions
        `threshold`, `mean_scale` and `softness_db` count.

    Returns
    -------
    (n_frames,) float64 array
        Distance from the threshold over `softness_db`.
    """
    energy = np.asarray(log_energy, dtype=np.float64)
    threshold = options.threshold + options.mean_scale * np.mean(energy)
    return np.asarray((energy - threshold) * (DB / options.softness_db))


def kaldi_rule(log_energy: FloatArray, options: SpeechOptions) -> BoolArray:
    """Decide as Kaldi's compute-vad-energy does, with its vote among neighbors.

    Parameters
    ----------
    log_energy : (n_frames,) float array
        Natural logarithms; in Kaldi the first column of the features.
    options : SpeechOptions
        `threshold`, `mean_scale`, `context_frames` and `proportion` count.

    Returns
    -------
    (n_frames,) bool array
    """
    return passed(kaldi_odds(log_energy, options), options)
