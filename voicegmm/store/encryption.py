"""Encryption of a file at rest, with a passphrase: scrypt for the key, AES-256-GCM for the content.

FORMATS.md has the bytes: a header of 128, then pieces of `PIECE` bytes, each with the tag of GCM.
scrypt (RFC 7914) gives the key of the content and that of the proof that ends the header.

The pieces are sealed as in the construction STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online
authenticated-encryption and its nonce-reuse misuse-resistance, CRYPTO 2015): the nonce is a prefix,
the number of the piece and whether it is the last, in the number's highest bit; the header is
associated data of each. So nothing can be changed, left out, put in another order or cut off, and
no message comes near the limit of GCM, 2^36 - 32 bytes, or that of the library, 2^31 - 1.

Salt and prefix are drawn anew for each file that is written, so no key is used twice. The checksum
in the header, which has no secret, tells damage from a wrong passphrase before any work is done
with what the header asks for.
"""

import hashlib
import hmac
import os
import secrets
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voicegmm._base.checks import within
from voicegmm._base.errors import EncryptionError, FormatError, OptionError, VoicegmmError

START = b"\x89voicegmm AES\r\n\x1a"
VERSION = 1
PIECE = 1 << 24
"""Bytes of content in a piece."""

_PLAIN = struct.Struct(">16sIIII32s8sQ")
_HEADER_BYTES, _CHECKED_BYTES, _CHECKSUM_BYTES, _TAG_BYTES = 128, 80, 16, 16
_LAST = 1 << 31
_LEAST_COST, _MOST_COST = 14, 18
_BLOCKS, _MOST_PARALLEL = 8, 4
_SHORTEST = 8
_WRITABLE = (_LAST - 1) * PIECE


@dataclass(frozen=True)
class EncryptionOptions:
    """What it costs to try a passphrase.

    Parameters
    ----------
    log2_cost : int
        Of scrypt's N, from 14 to 18: 2^17 takes 128 MB and 0.4 s, each more doubles
        both. r is 8 and p is 1.
    """

    log2_cost: int = 17

    def __post_init__(self) -> None:
        within("log2_cost", self.log2_cost, _LEAST_COST, _MOST_COST)


@dataclass(frozen=True)
class _Header:
    log2_cost: int
    block_size: int
    parallel: int
    salt: bytes
    prefix: bytes
    n_bytes: int

    def plain(self) -> bytes:
        """Give the bytes that need no key."""
        checked = _PLAIN.pack(
            START,
            VERSION,
            self.log2_cost,
            self.block_size,
            self.parallel,
            self.salt,
            self.prefix,
            self.n_bytes,
        )
        return checked + hashlib.sha256(checked).digest()[:_CHECKSUM_BYTES]

    def keys(self, passphrase: str) -> tuple[bytes, bytes]:
        """Derive the key of the content and that of the proof."""
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        # One passphrase, however a keyboard composes its letters.
        try:
            text = unicodedata.normalize("NFC", passphrase).encode()
        except UnicodeEncodeError:
            raise OptionError("passphrase must be text that UTF-8 can hold") from None
        cost = 1 << self.log2_cost
        both = Scrypt(self.salt, 64, cost, self.block_size, self.parallel).derive(text)
        return both[:32], both[32:]

    def pieces(self) -> Iterator[tuple[int, int, bytes]]:
        """Give where each piece of the content begins and ends, and its nonce."""
        last = max(self.n_bytes - 1, 0) // PIECE
        for number in range(last + 1):
            start = number * PIECE
            mark = number | (_LAST if number == last else 0)
            yield start, min(start + PIECE, self.n_bytes), self.prefix + mark.to_bytes(4, "big")


def is_encrypted(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is there and says that it is encrypted."""
    try:
        if not Path(path).is_file():  # a pipe would wait for who writes into it
            return False
        with Path(path).open("rb") as file:
            return file.read(len(START)) == START
    except OSError:
        return False


def check_passphrase(passphrase: str) -> str:
    """Refuse a passphrase that would protect nothing.

    Raises
    ------
    OptionError
        If it has fewer than eight characters.
    """
    if len(passphrase) < _SHORTEST:
        raise OptionError(
            f"passphrase must have at least {_SHORTEST} characters, got {len(passphrase)}; some "
            "words that nobody would put together are easy to keep and hard to guess"
        )
    return passphrase


def encrypt(content: bytes, passphrase: str, options: EncryptionOptions | None = None) -> bytes:
    """Encrypt some bytes.

    Parameters
    ----------
    content : bytes
    passphrase : str
    options : EncryptionOptions, optional

    Raises
    ------
    OptionError
        For a passphrase that would protect nothing.
    EncryptionError
        If the library is missing.
    VoicegmmError
        If the content is longer than 2^55 bytes.
    """
    check_passphrase(passphrase)
    if len(content) > _WRITABLE:
        raise VoicegmmError(f"{len(content)} bytes are too many to encrypt, at most {_WRITABLE}")
    _need_library()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = _Header(
        (options or EncryptionOptions()).log2_cost,
        _BLOCKS,
        1,
        secrets.token_bytes(32),
        secrets.token_bytes(8),
        len(content),
    )
    key, proof_key = header.keys(passphrase)
    plain = header.plain()
    whole = plain + hmac.digest(proof_key, plain, "sha256")
    cipher, view = AESGCM(key), memoryview(content)
    sealed = (cipher.encrypt(nonce, view[a:b], whole) for a, b, nonce in header.pieces())
    return b"".join((whole, *sealed))


def decrypt(content: bytes, passphrase: str, name: str | os.PathLike[str]) -> bytes:
    """Decrypt what `encrypt` gave.

    Parameters
    ----------
    content : bytes
    passphrase : str
    name : path
        What to call the file in an error.

    Raises
    ------
    EncryptionError
        If the passphrase is wrong, or the library is missing.
    FormatError
        If the file is damaged, or was changed, or asks for more work than any of ours.
    """
    header, whole = _read_header(content, name)
    _need_library()
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, proof_key = header.keys(passphrase)
    proof = hmac.digest(proof_key, header.plain(), "sha256")
    if not hmac.compare_digest(proof, whole[-len(proof) :]):
        raise EncryptionError(
            f"{name}: the passphrase is wrong (or the file was changed by someone who meant to)"
        )
    cipher, view = AESGCM(key), memoryview(content)[_HEADER_BYTES:]
    found = []
    try:
        for number, (start, stop, nonce) in enumerate(header.pieces()):
            tags = number * _TAG_BYTES
            sealed = view[start + tags : stop + tags + _TAG_BYTES]
            found.append(cipher.decrypt(nonce, sealed, whole))
    except InvalidTag:
        raise FormatError(
            f"{name}: damaged or changed: the passphrase is right, but the content is not what was "
            "encrypted; take a copy"
        ) from None
    return b"".join(found)


def _read_header(content: bytes, name: str | os.PathLike[str]) -> tuple[_Header, bytes]:
    whole = bytes(content[:_HEADER_BYTES])
    if len(whole) < _HEADER_BYTES or not whole.startswith(START):
        raise FormatError(f"{name}: not an encrypted file of voicegmm, or cut off")
    _, version, *fields = _PLAIN.unpack(whole[:_CHECKED_BYTES])
    checksum = hashlib.sha256(whole[:_CHECKED_BYTES]).digest()[:_CHECKSUM_BYTES]
    if checksum != whole[_CHECKED_BYTES : _CHECKED_BYTES + _CHECKSUM_BYTES]:
        raise FormatError(f"{name}: damaged: its header does not fit its checksum; take a copy")
    if version != VERSION:
        raise FormatError(f"{name}: encrypted in version {version}, known is {VERSION}; upgrade")
    header = _Header(*fields)
    if not (
        _LEAST_COST <= header.log2_cost <= _MOST_COST
        and header.block_size == _BLOCKS
        and 1 <= header.parallel <= _MOST_PARALLEL
    ):
        raise FormatError(
            f"{name}: asks for scrypt with N = 2^{header.log2_cost}, r = {header.block_size}, "
            f"p = {header.parallel}, which no file of ours does; do not trust it"
        )
    n_pieces = max(header.n_bytes - 1, 0) // PIECE + 1
    written = _HEADER_BYTES + header.n_bytes + n_pieces * _TAG_BYTES
    if len(content) != written:
        raise FormatError(
            f"{name}: damaged: it has {len(content)} bytes, {written} were written; take a copy"
        )
    return header, whole


def _need_library() -> None:
    """Say what to install.

    Raises
    ------
    EncryptionError
        If the library is missing.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise EncryptionError(
            "encryption takes the library cryptography: pip install 'voicegmm[encryption]'"
        ) from None
