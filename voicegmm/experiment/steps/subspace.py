"""The subspace of sessions, or of voices."""

import logging
from collections.abc import Sequence
from pathlib import Path

from voicegmm._base.progress import Progress
from voicegmm.corpus import by_speaker
from voicegmm.scoring import SubspaceOptions, train_subspace
from voicegmm.store import FeatureStore, load_background, save_subspace

log = logging.getLogger(__name__)


def train(
    background: Path,
    features: Path,
    files: Sequence[str],
    options: SubspaceOptions,
    relevance: float,
    seed: int,
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Train a subspace on the background's recordings, each of which is a session."""
    model = load_background(background)
    with FeatureStore(features) as frames:
        subspace = train_subspace(
            model, frames, by_speaker(files), options, relevance, seed, n_workers, progress
        )
    for note in subspace.notes:
        log.warning("subspace: %s", note)
    save_subspace(out, subspace, model.fingerprint)
