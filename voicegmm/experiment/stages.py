"""Stages: work that is done once, and again only when what it depends on has changed."""

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from voicegmm._base.errors import InUseError, VoicegmmError
from voicegmm._base.files import write_text
from voicegmm._base.options import fingerprint
from voicegmm._base.version import __version__
from voicegmm.experiment.environment import peak_memory_mb

log = logging.getLogger(__name__)


@dataclass
class RunFolder:
    """The folder of one experiment, held while it runs.

    Parameters
    ----------
    path : pathlib.Path
    stages : dict
        What is known of each finished stage: fingerprint, seconds, peak memory, whether it was
        skipped this time.
    """

    path: Path
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def stage(
        self,
        name: str,
        parts: Sequence[Any],
        outputs: Sequence[str],
        work: Callable[[], None],
        may_make: Sequence[str] = (),
    ) -> str:
        """Do a stage's work unless it was done with the same options and inputs.

        Parameters
        ----------
        name : str
        parts : sequence
            Everything the outputs depend on: options, fingerprints of earlier stages, content of
            inputs. The code's version is added.
        outputs : sequence of str
            Files in the folder that the work makes.
        work : callable
        may_make : sequence of str
            Files that it makes in some cases: one that it made and that is gone is made again.

        Returns
        -------
        str
            The stage's fingerprint.
        """
        mark = fingerprint(name, code_version(), list(parts))
        known = self.stages.get(name, {})
        if known.get("fingerprint") == mark and known.get("outputs") == self._stamps(
            outputs, may_make
        ):
            known["skipped"] = True
            log.info("%s: unchanged, skipped", name)
            return mark
        self.stages.pop(name, None)
        self._write()
        begun = time.perf_counter()
        work()
        self.stages[name] = {
            "fingerprint": mark,
            "seconds": round(time.perf_counter() - begun, 3),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "skipped": False,
            "outputs": self._stamps(outputs, may_make),
        }
        self._write()
        log.info("%s: %.1f s", name, self.stages[name]["seconds"])
        return mark

    def _stamps(self, outputs: Sequence[str], may_make: Sequence[str]) -> dict[str, list[int]]:
        """Give size and time of change of files: one that was touched since is made again."""
        stamps = {}
        for name in (*outputs, *may_make):
            if (self.path / name).exists():
                status = (self.path / name).stat()
                stamps[name] = [status.st_size, status.st_mtime_ns]
        return stamps if stamps.keys() >= set(outputs) else {}

    def _write(self) -> None:
        write_text(self.path / "stages.json", json.dumps(self.stages, indent=1) + "\n")


@contextmanager
def run_folder(path: Path) -> Iterator[RunFolder]:
    """Hold a run folder; it is made where it is missing.

    Raises
    ------
    InUseError
        If another process holds it, naming that process.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VoicegmmError(f"{path}: no folder can be made there: {error.strerror}") from error
    handle = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise InUseError(
                f"{path}: another run is at work here (process {owner}); wait for it, or use "
                "another folder with --out"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield RunFolder(path, _known_stages(path / "stages.json"))
    finally:
        os.close(handle)


def _known_stages(path: Path) -> dict[str, dict[str, Any]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


@cache
def code_version() -> str:
    """Give the version of voicegmm and a fingerprint of its code, but for the commands."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] != "cli":
            digest.update(path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:16]}"


def stamps_of(paths: Sequence[Path]) -> str:
    """Give a fingerprint of size and time of change of large files: recordings."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]
