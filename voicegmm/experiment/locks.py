"""Folders that one process at a time works in."""

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voicegmm._base.errors import InUseError, VoicegmmError

LOCK = ".lock"
_PATIENCE = 3.0  # seconds that the workers of a run that was killed may take to end


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; it is made where it is missing.

    The operating system keeps the lock and lets go of it when the process ends, however it ends.
    Who holds it stands in the file. What stands there when the lock is free was left by a process
    that has died: here, it is taken over; on another host, whose locks this system may not see, it
    is not.

    Parameters
    ----------
    folder : path

    Raises
    ------
    InUseError
        If another process holds it, naming that process.
    VoicegmmError
        If there is no room for the lock, or the folder cannot be made.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VoicegmmError(f"{folder}: no folder can be made there: {error.strerror}") from error
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise VoicegmmError(f"{folder}: cannot be worked in: {error.strerror}") from error
    try:
        _take(handle, path)
        try:
            _sign(handle, {"host": platform.node(), "process": os.getpid(), "since": _now()})
        except OSError as error:
            raise VoicegmmError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def at_work(folder: Path) -> str:
    """Tell which process holds a folder, as far as its file says; empty where none does.

    Nothing is locked: whoever comes meanwhile finds the folder free.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return ""
    try:
        owner = _owner(handle)
    finally:
        os.close(handle)
    here, process = owner.get("host") == platform.node(), owner.get("process")
    dead = here and isinstance(process, int) and not _alive(process)
    return _who(owner) if owner and not dead else ""


def _take(handle: int, path: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        owner = _owner(handle)
        here = owner.get("host") in (None, platform.node())
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            dying = here and owner.get("process") and not _alive(int(owner["process"]))
            if not dying or time.monotonic() > end:
                raise InUseError(
                    f"{path.parent}: another run is at work here ({_who(owner)}); wait for it, or "
                    "use another folder with --out"
                ) from None
            time.sleep(0.05)
            continue
        if not here:
            raise InUseError(
                f"{path.parent}: a run on another host is at work here, or died there "
                f"({_who(owner)}); if it has ended, remove {path}"
            )
        return


def _owner(handle: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _who(owner: dict[str, Any]) -> str:
    if not owner:
        return "process unknown"
    return f"process {owner.get('process')} on {owner.get('host')}, since {owner.get('since')}"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sign(handle: int, owner: dict[str, Any]) -> None:
    text = json.dumps(owner).encode()
    os.ftruncate(handle, 0)
    os.pwrite(handle, text, 0)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Wait until nobody else works on what shall be at a place, and then be the one who does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(place.with_name(f".{place.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
