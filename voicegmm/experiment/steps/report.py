"""The report of a run."""

from collections.abc import Mapping
from pathlib import Path

from voicegmm.corpus import Protocol
from voicegmm.experiment.report import write_report


def report(folder: Path, files: Mapping[str, str], protocol: Protocol, include_audio: bool) -> None:
    """Write the page that shows a run."""
    write_report(folder, files, protocol, include_audio)
