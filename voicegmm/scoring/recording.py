"""Score one recording, as a voice bank does."""

from collections.abc import Sequence

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm.scoring.normalization import CohortScores, normalize_scores
from voicegmm.scoring.ratio import log_likelihood_ratios
from voicegmm.scoring.voices import Voices


def score_recording(
    voices: Voices,
    frames: FloatArray,
    frame_weights: FloatArray | None = None,
    names: Sequence[str] | None = None,
) -> Float64Array:
    """Score one recording against speakers, by the method and normalization of their calibration.

    Parameters
    ----------
    voices : Voices
    frames : (n_frames, n_dims) float array
        At least one frame.
    frame_weights : (n_frames,) float array, optional
        Positive; 1 for every frame by default.
    names : sequence of str, optional
        Which speakers; all by default.

    Returns
    -------
    (n_speakers,) float64 array

    Raises
    ------
    ListError
        If somebody of `names` is not enrolled.
    MismatchError
        If the scores are to be normalized and there is no cohort, or it has not met a speaker.
    """
    speakers, options = voices.speakers, voices.scoring
    chosen = speakers if names is None else speakers.chosen(names)
    scores = log_likelihood_ratios(chosen, frames, frame_weights, options=options)
    normalization = options.normalization
    if normalization.method == "none" or not len(scores):
        return scores
    cohort = voices.needed_cohort(options)
    found = CohortScores(
        cohort.of_models(chosen.ids) if normalization.needs_recordings else None,
        log_likelihood_ratios(cohort.models, frames, frame_weights, options=options)[None]
        if normalization.needs_models
        else None,
        cohort.of_cohort,
    )
    one_test = np.zeros(len(scores), np.intp)
    return normalize_scores(scores, np.arange(len(scores)), one_test, found, normalization)
