"""The speakers' models."""

import logging
from collections.abc import Sequence
from pathlib import Path

from voicegmm._base.progress import Progress, counting
from voicegmm._base.reasons import together
from voicegmm.corpus import Enrollment, by_speaker
from voicegmm.experiment.steps.calibration import read_learned
from voicegmm.scoring import SpeakerOptions, make_voices
from voicegmm.store import FeatureStore, load_background, load_subspace, save_voices

log = logging.getLogger(__name__)


def enroll(
    models: Sequence[Path],
    features: Path,
    calibration: Path,
    enrollments: Sequence[Enrollment],
    files: Sequence[str],
    options: SpeakerOptions,
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Enroll speakers, with a cohort of the background's recordings where the options ask so.

    `models` are the background model, and the subspace where there is one.
    """
    background, *subspaces = models
    with FeatureStore(features) as frames:
        voices = make_voices(
            load_background(background),
            frames,
            enrollments,
            by_speaker(files),
            options,
            read_learned(calibration),
            n_workers,
            counting(progress, "speakers", len(enrollments)),
            subspace=load_subspace(*subspaces) if subspaces else None,
        )
    for line in together(voices.not_enrolled, "speakers"):
        log.warning("not enrolled: %s", line)
    save_voices(out, voices)
