"""Files that appear whole or not at all."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voicegmm._base.errors import InUseError, VoicegmmError


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to: asked before hours of work, not after.

    Raises
    ------
    VoicegmmError
        If it is a folder, or its folder does not exist or cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise VoicegmmError(f"{target} is a folder; name a file to write")
    folder = target.resolve().parent
    if not folder.is_dir():
        raise VoicegmmError(f"{target}: the folder {folder} does not exist; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise VoicegmmError(f"{target}: the folder {folder} cannot be written")


@contextmanager
def locked(path: str | os.PathLike[str], seconds: float = 30.0) -> Iterator[None]:
    """Hold a file for a change: read, think, write; others who ask wait their turn.

    The lock is a hidden file beside it, which stays and holds nothing.

    Parameters
    ----------
    path : path
    seconds : float
        How long to wait.

    Raises
    ------
    InUseError
        If another process holds it for longer.
    """
    target = Path(path).resolve()
    check_writable(target)
    handle = os.open(target.parent / f".{target.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise InUseError(
                        f"{path}: another process has been changing it for {seconds:g} s; try again"
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


@contextmanager
def whole_file(path: str | os.PathLike[str], mode: int = 0o644) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it into place when the block ends well.

    The temporary file has mode 0600. On any error it is removed and what stood at `path` stays.

    Parameters
    ----------
    path : path
        Where the file shall appear. Its folder must exist.
    mode : int
        Permissions of the finished file, less the umask.

    Raises
    ------
    VoicegmmError
        If the folder does not exist, or cannot be written.
    """
    check_writable(path)
    target = Path(path).resolve()  # a link stays, what it points to is replaced
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
    except OSError as error:
        raise VoicegmmError(f"{target}: cannot be written: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _settle(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(mode & ~umask)
        temporary.replace(target)
        _settle(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise VoicegmmError(f"{target}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _settle(path: Path) -> None:
    """Ask the operating system to bring a file or a folder to the disk now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def content_hash(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's bytes, in hex, as `sha256sum` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: str | os.PathLike[str], text: str, mode: int = 0o644) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole_file(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
