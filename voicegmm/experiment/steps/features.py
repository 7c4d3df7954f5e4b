"""The frames of all recordings."""

import logging
from pathlib import Path

from voicegmm._base.progress import Progress, counting
from voicegmm.corpus import Protocol
from voicegmm.features import Pipeline, PipelineOptions
from voicegmm.store import extract_to_store

log = logging.getLogger(__name__)


def extract(
    protocol: Protocol,
    options: PipelineOptions,
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Extract the frames of recordings into a store."""
    paths = protocol.paths
    told = counting(progress, "features", len(paths))
    summary = extract_to_store(
        paths, Pipeline(options), out, n_workers, told, excerpts=protocol.excerpts
    )
    for warning in summary.warnings():
        log.warning("%s", warning)
