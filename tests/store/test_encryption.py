"""Encryption at rest: what it hides, what it finds, what it refuses."""

import hashlib
import hmac
import os
import re
import struct
import unicodedata

import h5py
import numpy as np
import pytest
from forging import altered
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import EncryptionError, FormatError, OptionError, VoicegmmError
from voicegmm.features import PipelineOptions
from voicegmm.mixture import DiagonalGMM
from voicegmm.scoring import BackgroundModel, SpeakerModels, UbmOptions, Voices
from voicegmm.store import (
    decrypted,
    describe,
    distrusting,
    encryption,
    is_encrypted,
    load_voices,
    save_voices,
    verify,
    write_decrypted,
)
from voicegmm.store.encryption import EncryptionOptions, decrypt, encrypt
from voicegmm.store.sealing import SEAL_START

pytest.importorskip("cryptography", reason="encryption takes the extra: voicegmm[encryption]")

WORDS = "correct horse battery"
REAL_PIECE = encryption.PIECE
MADE = b""  # 250 bytes, encrypted


@pytest.fixture(scope="module", autouse=True)
def small():
    """Let passphrases be tried fast, and let contents have several pieces."""
    global MADE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encryption, "PIECE", 100)
        patch.setattr(encryption, "_LEAST_COST", 4)
        quick = EncryptionOptions(4)
        patch.setattr(encryption, "EncryptionOptions", lambda: quick)
        MADE = encrypt(b"voice" * 50, WORDS)
        yield


@pytest.fixture
def speakers():
    rng = np.random.default_rng(0)
    gmm = DiagonalGMM([0.5, 0.5], rng.standard_normal((2, 60)), np.ones((2, 60)))
    background = BackgroundModel(gmm, PipelineOptions(), UbmOptions(2))
    means = rng.standard_normal((1, 2, 60)).astype(np.float32)
    return Voices(SpeakerModels(background, ("Brunhilde",), means, np.ones((1, 2)), np.ones(1)))


def by_hand(content, passphrase, piece=100):
    """Read the format by its description, with hashlib's scrypt and GCM from its parts."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    start, version, log2, r, p, salt, prefix, n_bytes = struct.unpack(
        ">16sIIII32s8sQ", content[:80]
    )
    assert (start, version) == (b"\x89voicegmm AES\r\n\x1a", 1)
    keys = hashlib.scrypt(
        passphrase.encode(), salt=salt, n=2**log2, r=r, p=p, dklen=64, maxmem=2**28
    )
    assert hashlib.sha256(content[:80]).digest()[:16] == content[80:96]
    assert hmac.new(keys[32:], content[:96], "sha256").digest() == content[96:128]
    plain, rest, number = b"", content[128:], 0
    while rest:
        sealed, rest = rest[: piece + 16], rest[piece + 16 :]
        nonce = prefix + struct.pack(">I", number + (0 if rest else 2**31))
        cipher = Cipher(algorithms.AES(keys[:32]), modes.GCM(nonce, sealed[-16:])).decryptor()
        cipher.authenticate_additional_data(content[:128])
        plain += cipher.update(sealed[:-16]) + cipher.finalize()
        number += 1
    assert len(plain) == n_bytes
    return plain


@pytest.mark.parametrize("n_bytes", [0, 1, 99, 100, 101, 200, 250])
def test_the_format_is_what_it_says(n_bytes):
    content = np.random.default_rng(n_bytes).bytes(n_bytes)
    made = encrypt(content, WORDS)
    assert by_hand(made, WORDS) == content
    assert decrypt(made, WORDS, "x") == content


# What version 1 wrote, of b"voice".
VERSION_1 = (
    "89766f696365676d6d204145530d0a1a000000010000000e0000000800000001ab010611327b10a5b2c9c8584cea"
    "b8f4c12a0fa6148a3f9d9ce21dd831396f60175194917c9fe0bf00000000000000059a41f95238e819c9d204803a"
    "8084c42658edc1d478e0c49be6e7c68e1d5c46a965b70fd79c04a6762a7d2938e8d5b283f1b1fdf6cda6b7c4ef5f"
    "b76f1b5dfd7df18b10009c"
)


def test_version_1_is_read_to_this_day(monkeypatch):
    monkeypatch.setattr(encryption, "PIECE", REAL_PIECE)
    assert decrypt(bytes.fromhex(VERSION_1), WORDS, "x") == b"voice"
    assert by_hand(bytes.fromhex(VERSION_1), WORDS, REAL_PIECE) == b"voice"


def test_pieces_of_the_true_size(monkeypatch):
    monkeypatch.setattr(encryption, "PIECE", REAL_PIECE)
    content = bytes(REAL_PIECE + 1)
    made = encrypt(content, WORDS)
    assert len(made) == 128 + len(content) + 2 * 16
    assert decrypt(made, WORDS, "x") == content


def test_nothing_is_used_twice():
    one, two = (encrypt(b"same" * 100, WORDS) for _ in range(2))
    assert one[32:64] != two[32:64]  # salt, and so the key
    assert one[64:72] != two[64:72]  # nonces
    assert not set(zip(one[128:], two[128:], strict=True)) <= {(b, b) for b in range(256)}


def test_a_wrong_passphrase_and_a_damaged_file_are_told_apart():
    made = MADE
    with pytest.raises(EncryptionError, match=r"v\.h5: the passphrase is wrong"):
        decrypt(made, "correct horse batterie", "v.h5")
    flipped = bytearray(made)
    flipped[-1] ^= 1
    with pytest.raises(FormatError, match="damaged or changed: the passphrase is right"):
        decrypt(bytes(flipped), WORDS, "v.h5")
    for cut in (made[:-1], made + b"\0", made[:200]):
        with pytest.raises(FormatError, match=rf"has {len(cut)} bytes, {len(made)} were written"):
            decrypt(cut, WORDS, "v.h5")
    with pytest.raises(FormatError, match="not an encrypted file of voicegmm, or cut off"):
        decrypt(made[:100], WORDS, "v.h5")
    swapped = made[:128] + made[244:360] + made[128:244] + made[360:]
    with pytest.raises(FormatError, match="damaged or changed"):
        decrypt(swapped, WORDS, "v.h5")


@settings(max_examples=60)
@given(place=st.integers(0, 128 + 250 + 3 * 16 - 1), bit=st.integers(0, 7))
def test_every_bit_counts(place, bit):
    damaged = bytearray(MADE)
    damaged[place] ^= 1 << bit
    error = EncryptionError if 96 <= place < 128 else FormatError
    with pytest.raises(error, match="v.h5: "):
        decrypt(bytes(damaged), WORDS, "v.h5")


def with_header(made, **changed):
    """Forge a header, as somebody could who knows the format and no passphrase."""
    names = ["start", "version", "log2_cost", "block_size", "parallel", "salt", "prefix", "n_bytes"]
    fields = dict(zip(names, struct.unpack(">16sIIII32s8sQ", made[:80]), strict=True)) | changed
    checked = struct.pack(">16sIIII32s8sQ", *fields.values())
    return checked + hashlib.sha256(checked).digest()[:16] + made[96:]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"log2_cost": 40}, r"N = 2\^40, r = 8, p = 1, which no file of ours does"),
        ({"log2_cost": 2**32 - 1}, "do not trust it"),
        ({"log2_cost": 1}, "do not trust it"),
        ({"block_size": 2**30}, "do not trust it"),
        ({"parallel": 5}, "do not trust it"),
        ({"parallel": 0}, "do not trust it"),
        ({"n_bytes": 2**63}, "were written"),
        ({"version": 2}, "encrypted in version 2, known is 1; upgrade"),
    ],
)
def test_a_header_cannot_ask_for_any_amount_of_work(monkeypatch, changed, message):
    monkeypatch.setattr(encryption._Header, "keys", lambda *_: pytest.fail("work was done"))
    with pytest.raises(FormatError, match=message):
        decrypt(with_header(MADE, **changed), WORDS, "v.h5")


def test_a_forged_header_is_not_believed():
    for changed in ({"salt": b"s" * 32}, {"prefix": b"prefix!!"}, {"log2_cost": 5}):
        with pytest.raises(EncryptionError, match="the passphrase is wrong"):
            decrypt(with_header(MADE, **changed), WORDS, "v.h5")


def test_letters_are_the_same_however_they_are_composed():
    composed = unicodedata.normalize("NFC", "Zoë's bücher")
    apart = unicodedata.normalize("NFD", composed)
    assert composed != apart
    assert decrypt(encrypt(b"x", apart), composed, "x") == b"x"


def test_what_is_refused():
    with pytest.raises(OptionError, match="passphrase must have at least 8 characters, got 7"):
        encrypt(b"x", "1234567")
    for work in (lambda: encrypt(b"x", "12345678\udc80"), lambda: decrypt(MADE, "\udc80", "x")):
        with pytest.raises(OptionError, match="passphrase must be text that UTF-8 can hold"):
            work()
    for cost in (3, 19):
        with pytest.raises(OptionError, match="log2_cost must be between 4 and 18, got"):
            EncryptionOptions(cost)
    assert EncryptionOptions().log2_cost == 17


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    for work in (lambda: encrypt(b"x", WORDS), lambda: decrypt(MADE, WORDS, "x")):
        with pytest.raises(EncryptionError, match=re.escape("pip install 'voicegmm[encryption]'")):
            work()


def test_speakers_are_kept_encrypted(speakers, tmp_path):
    path = tmp_path / "v.h5"
    save_voices(path, speakers, WORDS)
    assert is_encrypted(path)
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    secrets = [b"Brunhilde", b"HDF", b"speakers", speakers.speakers.means[0, 0, :2].tobytes()]
    assert not any(secret in content for secret in secrets)
    again = load_voices(decrypted(path, WORDS))
    assert again.speakers.fingerprint == speakers.speakers.fingerprint
    assert not is_encrypted(tmp_path)
    assert not is_encrypted(tmp_path / "nowhere")
    with pytest.raises(EncryptionError, match=r"v\.h5: is encrypted, and this needs its pass"):
        load_voices(path)
    with pytest.raises(EncryptionError, match="the passphrase is wrong"):
        decrypted(path, "something else")


def test_an_encrypted_file_is_never_replaced_by_a_plain_one(speakers, tmp_path):
    path = tmp_path / "v.h5"
    save_voices(path, speakers, WORDS)
    before = path.read_bytes()
    with pytest.raises(EncryptionError, match="is encrypted, and would not be any more"):
        save_voices(path, speakers)
    assert path.read_bytes() == before


def test_what_is_inside_is_checked_as_in_a_plain_file(speakers, tmp_path):
    path = tmp_path / "v.h5"
    save_voices(path, speakers)
    plain = path.read_bytes()
    for inside in (plain[: len(plain) // 2], b"no HDF5", b""):
        path.write_bytes(encrypt(inside, WORDS))
        with pytest.raises(FormatError, match=r"v\.h5"):
            load_voices(decrypted(path, WORDS))


def test_no_plain_byte_reaches_the_disk(speakers, tmp_path, monkeypatch):
    """Look at every file that the process has open or has made, when the old one is replaced."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    seen = []
    replace = os.rename

    def look(source, target, *more, **named):
        for path in tmp_path.rglob("*"):
            seen.append(path.name)
            assert is_encrypted(path) or not path.stat().st_size
        return replace(source, target, *more, **named)

    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, look)
    save_voices(tmp_path / "v.h5", speakers, WORDS)
    save_voices(tmp_path / "v.h5", load_voices(decrypted(tmp_path / "v.h5", WORDS)), WORDS)
    assert len(seen) == 3  # a temporary file; then that and the one it replaces
    assert os.listdir(tmp_path) == ["v.h5"]


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(encryption, "_WRITABLE", 10)
    with pytest.raises(VoicegmmError, match="11 bytes are too many to encrypt, at most 10"):
        encrypt(b"x" * 11, WORDS)


@pytest.mark.slow
def test_what_a_stranger_has_encrypted_is_read_by_another_process(speakers, tmp_path):
    path = tmp_path / "v.h5"
    save_voices(path, speakers, WORDS)
    told = describe(decrypted(path, WORDS))
    with distrusting():
        found = decrypted(path, WORDS)
        assert not found.image.startswith(SEAL_START)  # put together anew
        assert describe(found) == told
        assert verify(found)[0] == f"the SHA-256 of the whole file fits: {told['sha256']}"
        write_decrypted(path, WORDS, tmp_path / "plain.h5")
    assert sorted(os.listdir(tmp_path)) == ["plain.h5", "v.h5"]
    assert load_voices(tmp_path / "plain.h5").speakers.ids == ("Brunhilde",)
    with altered(tmp_path / "plain.h5") as file:
        file["x"] = h5py.ExternalLink("o.h5", "/x")
    path.write_bytes(encrypt((tmp_path / "plain.h5").read_bytes(), WORDS))
    with distrusting(), pytest.raises(FormatError, match=r"v\.h5: damaged: /x is a link"):
        decrypted(path, WORDS)
