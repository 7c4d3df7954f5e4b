"""The frames of all recordings."""

import logging
from collections.abc import Mapping
from pathlib import Path

from voicegmm._base.progress import Progress, counting
from voicegmm.features import Pipeline, PipelineOptions
from voicegmm.store import extract_to_store

log = logging.getLogger(__name__)


def extract(
    paths: Mapping[str, Path],
    options: PipelineOptions,
    out: Path,
    n_workers: int,
    progress: Progress,
) -> None:
    """Extract the frames of recordings into a store."""
    told = counting(progress, "features", len(paths))
    summary = extract_to_store(paths, Pipeline(options), out, n_workers, told)
    for warning in summary.warnings():
        log.warning("%s", warning)
