"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voicegmm._base.errors import VoicegmmError


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
    target = Path(path)
    if target.is_dir():
        raise VoicegmmError(f"{target} is a folder; name a file to write")
    if not target.parent.is_dir():
        raise VoicegmmError(f"{target}: the folder {target.parent} does not exist; make it first")
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


def write_text(path: str | os.PathLike[str], text: str, mode: int = 0o644) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole_file(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
