"""The background model."""

import logging
from collections.abc import Sequence
from pathlib import Path

from voicegmm._base.progress import Progress
from voicegmm.mixture import Iteration
from voicegmm.scoring import UbmOptions, train_background
from voicegmm.store import FeatureStore, TrainingCheckpoint, save_background

log = logging.getLogger(__name__)


def train(
    features: Path,
    files: Sequence[str],
    options: UbmOptions,
    seed: int,
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Train a background model on some recordings of a store."""
    most = options.em.n_iterations
    checkpoint = TrainingCheckpoint.beside(out)

    def told(number: int, line: Iteration) -> None:
        progress("background model", number, most, f"{line.log_likelihood:.4f} nats per frame")
        log.info(
            "background model: iteration %d: %.5f nats per frame, %d floored, %d starved",
            number,
            line.log_likelihood,
            line.n_floored,
            line.n_starved,
        )

    with FeatureStore(features) as frames:
        model, fitted = train_background(
            frames, files, options, seed, n_workers, told, checkpoint=checkpoint
        )
    progress("background model", most, most)
    for warning in fitted.warnings:
        log.warning("background model: %s", warning)
    save_background(out, model)
    checkpoint.remove()
