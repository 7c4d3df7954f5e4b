"""Files that appear whole or not at all."""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voicegmm._base.errors import InUseError, VoicegmmError

_LEFTOVER = ".part"
_WORK, _HELD = "voicegmm-", ".held"
_LONGEST_SECRET = 4096  # bytes


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to: asked before hours of work, not after.

    Raises
    ------
    VoicegmmError
        If it is a folder, or its folder does not exist or cannot be written.
    """
    target = Path(path)
    try:
        folder = target.resolve().parent
        is_folder, exists = target.is_dir(), folder.is_dir()
    except OSError as error:
        raise VoicegmmError(f"{target}: cannot be written: {error.strerror}") from error
    if is_folder:
        raise VoicegmmError(f"{target} is a folder; name a file to write")
    if not exists:
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

    The temporary file has mode 0600, whatever the umask. On any error it is removed and what stood
    at `path` stays. What a process that was killed left of the same file is removed, too.

    Parameters
    ----------
    path : path
        Where the file shall appear. Its folder must exist.
    mode : int
        Permissions of the finished file: for others than its owner less the umask, and never more
        than the file that it replaces had.

    Raises
    ------
    VoicegmmError
        If the folder does not exist, or cannot be written.
    """
    check_writable(path)
    target = Path(path).resolve()  # a link stays, what it points to is replaced
    try:
        remove_leftovers(target)
        handle, temporary = _new_temporary(target)
    except OSError as error:
        raise VoicegmmError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        yield temporary
        _settle(temporary)
        temporary.chmod(_permissions(target, mode))
        temporary.replace(target)
        _settle(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise VoicegmmError(f"{target}: cannot be written: {_reason(error)}") from error
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        with suppress(OSError):  # all of it is on the disk, or gone
            os.close(handle)


def _reason(error: OSError) -> str:
    """Give what the system said, which HDF5 tells in the middle of much else."""
    told = re.search(r"error message = '([^']*)'", str(error))
    return error.strerror or (told[1] if told else str(error))


def _permissions(target: Path, mode: int) -> int:
    """Give what a file may have: who took a permission away does not get it back by our writing."""
    with suppress(FileNotFoundError):
        mode &= target.stat().st_mode
    return mode & ~(current_umask() & 0o077)


def current_umask() -> int:
    """Give what this process takes away of the permissions of its files."""
    # The system tells it only where it is set, and another thread may make a file meanwhile.
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _new_temporary(target: Path) -> tuple[int, Path]:
    """Make an empty file that is ours as long as its handle is open; see `remove_leftovers`."""
    while True:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=_LEFTOVER, dir=target.parent
        )
        os.fchmod(handle, 0o600)
        _hold(handle)
        if os.fstat(handle).st_nlink:  # else somebody took it for a leftover before it was held
            return handle, Path(name)
        os.close(handle)


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a new folder beside `path` for its files; move it into place when the block ends well.

    Only its owner can open it meanwhile. On any error it is removed; so is what a process that was
    killed left of the same folder.

    Raises
    ------
    VoicegmmError
        If there is something already, or it cannot be made.
    """
    target = Path(path).resolve()
    if target.exists():
        raise VoicegmmError(f"{path} is there already; name a new folder")
    check_writable(path)
    handle, temporary = -1, Path()
    try:
        for left in _leftovers(target.parent, re.escape(target.name)):
            if (found := _held_folder(left)) >= 0:
                shutil.rmtree(left)
                os.close(found)
        while handle < 0:
            made = tempfile.mkdtemp(_LEFTOVER, f".{target.name}.", target.parent)
            temporary, handle = Path(made), _held_folder(Path(made))
        yield temporary
        _settle(temporary)
        temporary.chmod(0o777 & ~current_umask())
        temporary.rename(target)
        _settle(target.parent)
    except OSError as error:
        raise VoicegmmError(f"{path}: cannot be written: {_reason(error)}") from error
    finally:
        if handle >= 0:
            shutil.rmtree(temporary, ignore_errors=True)  # it has its place, or is not wanted
            os.close(handle)


def _held_folder(folder: Path) -> int:
    """Hold a folder that nobody holds, and give its handle; -1 where somebody does."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return -1
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():  # else somebody took it for a leftover before it was held
            return handle
    except OSError:
        pass
    os.close(handle)
    return -1


def remove_leftovers(target: Path) -> None:
    """Remove what writers of a file have left that were killed: it may hold anybody's voice."""
    _remove_leftovers(target.parent, re.escape(target.name))


def remove_leftovers_in(folder: Path) -> None:
    """Remove what writers of any file of a folder have left that were killed."""
    _remove_leftovers(folder, ".+")


def _leftovers(folder: Path, name: str) -> list[Path]:
    """Give what writers of a name, a pattern, are at or have left."""
    pattern = re.compile(rf"\.{name}\.[a-z0-9_]{{8}}{re.escape(_LEFTOVER)}")
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]


def _remove_leftovers(folder: Path, name: str) -> None:
    for path in _leftovers(folder, name):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _hold(handle):
                    path.unlink()
            finally:
                os.close(handle)


def _hold(handle: int) -> bool:
    """Mark a file as somebody's; tell whether it was nobody's."""
    # Not by flock, which the HDF5 library wants for itself; and not by lockf, which would end when
    # that library closes the file. struct flock: type, whence, start, length (0: all), process.
    whole = struct.pack("hhlli", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, whole)
    except OSError:  # held by another, or a file system that knows no locks
        return False
    return True


@contextmanager
def work_folder() -> Iterator[Path]:
    """Give a folder for temporary files that only its owner can open; it goes when the block ends.

    What a process of the same owner that was killed left is removed, too: features are speech.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_WORK}*"):
        with suppress(OSError):
            if left.is_symlink() or left.stat().st_uid != os.getuid():
                continue
            handle = os.open(left / _HELD, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _hold(handle):
                    shutil.rmtree(left)
            finally:
                os.close(handle)
    with tempfile.TemporaryDirectory(prefix=_WORK) as name:
        work = Path(name)
        handle = os.open(work / f"{_HELD}.new", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _hold(handle)
            (work / f"{_HELD}.new").rename(work / _HELD)  # never there without being held
            yield work
        finally:
            os.close(handle)


def _settle(path: Path) -> None:
    """Ask the operating system to bring a file or a folder to the disk now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_secret(path: str | os.PathLike[str]) -> str:
    """Read a passphrase: the first and only line of a file that nobody but its owner can read.

    A pipe will do, as a shell makes it from a command.

    Raises
    ------
    VoicegmmError
        If others can read the file, or it does not hold one line of UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(_LONGEST_SECRET + 1)
    except OSError as error:
        raise VoicegmmError(f"{path}: cannot be read: {error.strerror}") from error
    if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
        raise VoicegmmError(
            f"{path}: others than its owner can open it (mode {stat.S_IMODE(found.st_mode):04o}); "
            f"whatever it protects is open to them, too: chmod 600 {path}"
        )
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise VoicegmmError(f"{path}: a passphrase is a line of UTF-8 text") from None
    if not text or "\n" in text or len(content) > _LONGEST_SECRET:
        raise VoicegmmError(
            f"{path}: holds {'nothing' if not text else 'more than a line'}; a passphrase is one "
            f"line of at most {_LONGEST_SECRET} bytes"
        )
    return text


def content_hash(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's bytes, in hex, as `sha256sum` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: str | os.PathLike[str], text: str, mode: int = 0o644) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with whole_file(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
