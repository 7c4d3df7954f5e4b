"""HDF5 files that say what they are, are sealed, and appear whole or not at all."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py

from voicegmm._base.errors import EncryptionError, FormatError
from voicegmm._base.files import whole_file
from voicegmm._base.options import canonical_json
from voicegmm._base.version import __version__
from voicegmm.store.datasets import damage_named, read_integer
from voicegmm.store.encryption import START as ENCRYPTED_START
from voicegmm.store.encryption import decrypt, encrypt, is_encrypted
from voicegmm.store.parsing import check_structure
from voicegmm.store.receiving import Received, receive
from voicegmm.store.sealing import (
    SEAL_BYTES,
    SEAL_START,
    Seal,
    check_seal,
    seal_of,
    write_sealed,
)

log = logging.getLogger(__name__)

_distrusted = False

FIRST_SEALED = 2
"""The version of each format whose files are sealed, and those after it."""

LAYOUT: dict[str, Any] = {"libver": ("earliest", "v110"), "userblock_size": SEAL_BYTES}
HDF5_START = b"\x89HDF\r\n\x1a\n"
_CHUNK_CACHE = 32_000_000  # bytes: a few minutes of speech, read again without another look


@contextmanager
def new_file(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    options: Any,
    fingerprint: str,
    parent: str = "",
    mode: int = 0o644,
    passphrase: str = "",
) -> Iterator[h5py.File]:
    """Open a new file of one of our formats; it is sealed and takes its place when the block ends.

    It is put together in memory and written in one go: when a disk is full, it is our write that
    fails, with a clear error, and not the HDF5 library's. For what may be larger than the memory
    there is `voicegmm.store.large_files`.

    Parameters
    ----------
    path : path
    kind : str
        The format's name, as "voicegmm/ubm".
    version : int
        The format's version.
    options : dataclass or mapping
        What made the content; written as canonical JSON.
    fingerprint, parent : str
        Of the content, and of what it was made from.
    mode : int
        Permissions of the finished file.
    passphrase : str
        What to encrypt the file by; empty: it is not encrypted.

    Raises
    ------
    EncryptionError
        Without one, if the file would take the place of one that is encrypted.
    """
    if not passphrase:
        refuse_to_decrypt(path)
    with whole_file(path, mode) as temporary:
        with h5py.File(temporary, "w", driver="core", backing_store=False, **LAYOUT) as file:
            write_header(file, kind, version, options, fingerprint, parent)
            yield file
            file.flush()
            image = file.id.get_file_image()
        if passphrase:
            temporary.write_bytes(encrypt(seal_of(image) + image, passphrase))
        else:
            write_sealed(temporary, image)


def write_header(
    file: h5py.File, kind: str, version: int, options: Any, fingerprint: str, parent: str
) -> None:
    """Write what each of our files says of itself; see `new_file`."""
    file.attrs["format"] = kind
    file.attrs["format_version"] = version
    file.attrs["created_by"] = f"voicegmm {__version__}"
    file.attrs["options"] = canonical_json(options)
    file.attrs["fingerprint"] = fingerprint
    file.attrs["parent"] = parent


def refuse_to_decrypt(path: str | os.PathLike[str]) -> None:
    """Refuse to put a plain file in the place of one that is encrypted.

    Raises
    ------
    EncryptionError
    """
    if is_encrypted(path):
        raise EncryptionError(
            f"{path}: is encrypted, and would not be any more; give its passphrase, or decrypt it "
            "first with `voicegmm decrypt`"
        )


@contextmanager
def open_file(path: str | os.PathLike[str], kind: str = "", newest: int = 0) -> Iterator[h5py.File]:
    """Open one of our files for reading.

    Parameters
    ----------
    path : path
    kind : str
        The format that is expected; empty for any of ours.
    newest : int
        The newest version this program reads; 0 does not look.

    Raises
    ------
    FormatError
        If the file is missing, is not HDF5 or not ours, is of another kind, or is too new; and if
        something inside is missing or damaged when it is read.
    """
    file = _opened(at_hand(path))
    try:
        with damage_named(path):
            _check_header(file, path, kind, newest)
        yield file
    except (KeyError, OSError, TypeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: damaged: {error}") from error
    finally:
        file.close()


def _check_header(file: h5py.File, path: str | os.PathLike[str], kind: str, newest: int) -> None:
    found = file.attrs.get("format")
    if not isinstance(found, str) or not found.startswith("voicegmm/"):
        raise FormatError(f"{path}: an HDF5 file, but not one of voicegmm's")
    if kind and found != kind:
        raise FormatError(f"{path}: holds {found}, where {kind} was expected")
    for name in ("format", "created_by", "fingerprint", "parent"):
        text = file.attrs.get(name, "")
        if not (isinstance(text, str) and text.isprintable()):  # a terminal might obey it
            raise ValueError(f"{name} is no text that can be printed")
    version = _version_of(file)
    if newest and not 1 <= version <= newest:
        raise FormatError(
            f"{path}: version {version} of {found} cannot be read by voicegmm {__version__} "
            f"(it knows 1 to {newest}); upgrade voicegmm"
        )


def _version_of(file: h5py.File) -> int:
    return read_integer(file, "format_version") if "format_version" in file.attrs else 0


@contextmanager
def open_foreign(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open the HDF5 file of another program for reading: what a process with limits made of it.

    Raises
    ------
    FormatError
        If it is missing or not HDF5, or holds what is refused (see `parsing.check_structure`); and
        if something inside is missing or damaged when it is read.
    """
    _start_of(Path(path))
    file = _opened_image(receive(path, "foreign"))
    try:
        yield file
    except (KeyError, OSError, TypeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: damaged: {error}") from error
    finally:
        file.close()


def received(path: str | os.PathLike[str]) -> Received:
    """Read a file of ours that comes from a stranger, by a process with limits.

    The result goes wherever the path of a file goes that is read. A digest finds damage; against
    malice, which can write digests too, stands that the HDF5 library of this process never sees
    the file.

    Parameters
    ----------
    path : path
        Also what `decrypted` gives.

    Raises
    ------
    FormatError
        If it is damaged, or holds what is refused, or reading it takes too long or too much memory.
    """
    if isinstance(path, Received):
        return receive(path, "sealed")
    path = Path(path)
    if not is_sealed(path):
        return _old(path)
    seal, _ = _checked(path, whole=True)
    return replace(receive(path, "sealed"), seal=seal)


@contextmanager
def distrusting() -> Iterator[None]:
    """Read every file of ours as if it came from a stranger, until the block ends; see `received`.

    For a command whose files are all from one hand; a program calls `received` where it needs it.
    """
    global _distrusted
    before, _distrusted = _distrusted, True
    try:
        yield
    finally:
        _distrusted = before


def at_hand(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Give a file's path, or what was in the file where a process with limits has to read it."""
    if isinstance(path, Received):
        return path
    return received(path) if _distrusted or not is_sealed(path) else path


def stored_seal(path: str | os.PathLike[str], check: bool = False) -> Seal | None:
    """Give the seal of a file, which fits it; None where it has none.

    Parameters
    ----------
    path : path
        Of one of our files.
    check : bool
        Whether to read the whole file, as far as a seal of the first kind tells of it.

    Raises
    ------
    FormatError
        If it does not fit.
    """
    if isinstance(path, Received):
        return path.seal
    return _checked(Path(path), check)[0] if is_sealed(path) else None


def decrypted(path: str | os.PathLike[str], passphrase: str) -> Received:
    """Decrypt a file of ours in memory: nothing of it is written to the disk.

    The result goes wherever the path of a file goes that is read. Whoever knows the passphrase can
    have encrypted anything: where files are distrusted, what comes out is read as `received` does.

    Raises
    ------
    EncryptionError
        If the passphrase is wrong.
    FormatError
        If the file is not encrypted, or damaged.
    """
    found = _decrypted(Path(path), passphrase)
    return received(found) if _distrusted else found


def _decrypted(path: Path, passphrase: str) -> Received:
    try:
        plain = decrypt(path.read_bytes(), passphrase, path)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from error
    return Received(path, plain, check_seal(BytesIO(plain), path, whole=True))


def write_decrypted(
    path: str | os.PathLike[str], passphrase: str, out: str | os.PathLike[str]
) -> None:
    """Write what an encrypted file holds, readable by its owner only; the two may be the same file.

    Raises
    ------
    EncryptionError
        If the passphrase is wrong.
    FormatError
        If the file is not encrypted, or damaged.
    """
    plain = _decrypted(Path(path), passphrase)
    with whole_file(out, mode=0o600) as temporary:
        temporary.write_bytes(plain.image)


def is_sealed(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that its damage can be found."""
    return _start_of(Path(path)).startswith(SEAL_START)


def _start_of(path: Path) -> bytes:
    """Give the first bytes of what is a file."""
    if path.is_dir():
        raise FormatError(f"{path} is a folder, not a file")
    if not path.exists():
        raise FormatError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise FormatError(f"{path}: not a regular file")
    try:
        with path.open("rb") as file:
            start = file.read(SEAL_BYTES)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from error
    if not start:
        raise FormatError(f"{path}: the file is empty")
    if start.startswith(ENCRYPTED_START):
        raise EncryptionError(
            f"{path}: is encrypted, and this needs its passphrase: --passphrase-file where a "
            "command takes it, else decrypt it first with `voicegmm decrypt`"
        )
    if not start.startswith((SEAL_START, HDF5_START)):
        raise FormatError(f"{path}: not an HDF5 file")
    return start


def _opened(path: str | os.PathLike[str]) -> h5py.File:
    if isinstance(path, Received):
        file = _opened_image(path)
        if path.image.startswith(SEAL_START):  # as it was written, not put together anew
            _refuse_traps(file, path.path, len(path.image))
        return file
    path = Path(path)
    while True:
        if not is_sealed(path):
            return _opened_image(_old(path))
        _, checked = _checked(path)
        try:
            file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)
            same = os.path.samestat(checked, path.stat())
        except OSError as error:
            raise FormatError(f"{path}: damaged: {error}") from error
        if same:
            break
        file.close()  # another one has taken its place meanwhile
    _refuse_traps(file, path, checked.st_size)
    return file


def _refuse_traps(file: h5py.File, path: Path, size: int) -> None:
    try:
        check_structure(file, "sealed", size)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError) as error:
        file.close()
        raise FormatError(f"{path}: refused: {error}") from error


def _checked(path: Path, whole: bool = False) -> tuple[Seal, os.stat_result]:
    """Check a file's seal; give it, and which file it was."""
    try:
        with path.open("rb") as file:
            return check_seal(file, path, whole), os.fstat(file.fileno())
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from error


def _old(path: Path) -> Received:
    """Read a file from before there were seals: nothing tells whether it is as it was written."""
    found = receive(path, "old")
    with damage_named(path), _opened_image(found) as file:
        if _version_of(file) >= FIRST_SEALED:
            raise FormatError(f"{path}: damaged: its seal is missing")
    log.info("%s: written by an earlier voicegmm, without a digest: damage would not be seen", path)
    return found


def _opened_image(source: Received) -> h5py.File:
    plan = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    plan.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    plan.set_fapl_core(1_000_000, False)
    plan.set_file_image(source.image)
    name = f"{source.path} (received)".encode()  # the library wants one that no file has
    return h5py.File(h5py.h5f.open(name, h5py.h5f.ACC_RDONLY, plan))
