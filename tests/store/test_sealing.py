"""What is damaged is found before the HDF5 library reads it, and what is a trap is refused."""

import os
import zlib
from contextlib import suppress
from itertools import product

import h5py
import msgspec
import numpy as np
import pytest
from forging import altered
from sealed_files import small_model, write_store

from voicegmm._base.errors import FormatError
from voicegmm.features import FrameSet, Pipeline
from voicegmm.store import (
    FeatureStore,
    ScoreJournal,
    describe,
    is_encrypted,
    load,
    new_store,
    receiving,
    save,
    sealing,
    verify,
)
from voicegmm.store.features import _shift
from voicegmm.store.hdf5 import open_file, open_foreign
from voicegmm.store.subspace import FactorAnalysis


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.h5"
    save(path, small_model())
    return path


def flipped(content, place, bit=0):
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return changed


def test_every_byte_is_under_the_seal(model):
    content = model.read_bytes()
    for place in [*range(0, 512, 37), *range(512, len(content), 1999), len(content) - 1]:
        model.write_bytes(flipped(content, place, place % 8))
        with pytest.raises(FormatError, match=r"model\.h5: (damaged|not an HDF5 file)"):
            load(model)
    for other in (content[:-1], content + b"\0", content[:600], content[:100], content[512:]):
        model.write_bytes(other)
        with pytest.raises(FormatError, match=r"model\.h5: damaged"):
            load(model)
    model.write_bytes(content)
    assert isinstance(load(model), FactorAnalysis)


def test_others_read_a_sealed_file(model):
    with h5py.File(model) as file:
        assert file.userblock_size == 512
        assert file["session_loadings"][0, 0, 0] == 0.5
    head, *_ = model.read_bytes().split(b"\0")
    assert head.decode().startswith("voicegmm seal 1\nlength ")


@pytest.fixture
def large(tmp_path, monkeypatch):
    monkeypatch.setattr(sealing, "WHOLE_UP_TO", 0)
    return write_store(tmp_path / "large.h5")


def test_of_a_large_store_the_structure_is_under_the_seal(large):
    content = large.read_bytes()
    with large.open("rb") as file:
        seal = sealing.check_seal(file, large)
        extents = sealing._extents(file, large, seal)
    rows = sum(high - low for low, high in extents)
    assert 0.9 < rows / len(content) < 1
    low, high = extents[0]
    damaged = r"large\.h5.*(damaged|not an HDF5 file)"
    for place in (10, 100, 200, 513, low - 1, high, seal.table + 1, len(content) - 1):
        large.write_bytes(flipped(content, place))
        with pytest.raises(FormatError, match=damaged):
            FeatureStore(large)
    large.write_bytes(flipped(content, low + 1000))
    with FeatureStore(large) as store:
        assert store.read(["b.wav"])[0].shape == (3000, 60)
        with pytest.raises(FormatError, match=damaged):
            store.read(["a.wav"])
    with pytest.raises(FormatError, match=damaged):
        verify(large)
    large.write_bytes(content)
    told = verify(large)
    assert told[0].startswith("the SHA-256 of all but the frames fits")
    assert told[-1] == "6000 frames fit their digests and are finite"


def test_each_block_of_a_large_store_has_its_checksum(tmp_path, monkeypatch):
    """Fletcher-32, as HDF5 has it, would take these zeros for ones."""
    monkeypatch.setattr(sealing, "WHOLE_UP_TO", 0)
    path, pipeline = tmp_path / "large.h5", Pipeline()
    frames = np.ones((700, pipeline.n_dims), np.float32)
    frames[500, 7] = 0
    with new_store(path, pipeline) as writer:
        for first, last, name in ((0, 300, "a"), (300, 700, "b")):
            numbers = np.arange(first, last)
            part = frames[first:last], np.linspace(0.1, 1, last - first), numbers
            writer.add(name, FrameSet(*part, 700, 0.01, name))
    content = path.read_bytes()
    with h5py.File(path) as file:
        assert file["checksums/frames"][5] == zlib.crc32(frames[640:].tobytes())
        assert file["checksums/positions"][2] == zlib.crc32(np.arange(256, 384, dtype="<i4"))
    place = content.index(bytes(4).join([np.float32(1).tobytes()] * 2), 512) + 4
    path.write_bytes(content[:place] + b"\xff\xff" + content[place + 2 :])
    with FeatureStore(path) as store:
        np.testing.assert_array_equal(store.read(["a"])[0], frames[:300])
        assert store.rows([(300, 300)])[0].shape == (0, pipeline.n_dims)
        for read in (lambda: store.read(["b"]), lambda: store.rows([(384, 385)]), store.check_rows):
            with pytest.raises(FormatError, match=r"frames 384 to 511 do not fit their checksum"):
                read()
    place = content.index(np.arange(400, 403, dtype="<i4").tobytes(), 512)
    path.write_bytes(flipped(content, place + 1, 7))
    with FeatureStore(path) as store:
        store.read(["a", "b"])
        with pytest.raises(FormatError, match="positions 384 to 511 do not fit"):
            store.positions("b")
    place = content.index(np.linspace(0.1, 1, 300)[7:9].astype("<f4").tobytes(), 512)
    path.write_bytes(flipped(content, place))
    with pytest.raises(FormatError, match="weights 0 to 127 do not fit"):
        FeatureStore(path)


def test_any_hdf5_program_finds_damaged_chunks(tmp_path, monkeypatch):
    """And the four bytes by which it does are nothing to us, who find it otherwise."""
    monkeypatch.setattr(sealing, "WHOLE_UP_TO", 0)
    large = write_store(tmp_path / "large.h5", 300)
    content, chunks = large.read_bytes(), []
    with h5py.File(large) as file:
        for name in ("frames", "weights", "positions"):
            ends = []
            file[name].id.chunk_iter(lambda chunk, ends=ends: ends.append(chunk))
            shift = _shift(large, file[name].id)
            chunks += [(name, c.byte_offset + shift, c.byte_offset + shift + c.size) for c in ends]
    assert len(chunks) == 2 + 1 + 1
    for (name, first, end), behind in product(chunks[1:], (False, True)):
        large.write_bytes(flipped(content, end - 3 if behind else first + 7))
        with h5py.File(large) as file, pytest.raises(OSError, match="read data"):
            file[name][...]
        if behind:
            assert verify(large)[-1] == "600 frames fit their digests and are finite"
        else:
            with pytest.raises(FormatError, match="do not fit their checksum"):
                verify(large)


def test_frames_that_nobody_can_have_written_are_refused(tmp_path):
    path = write_store(tmp_path / "f.h5", 50)
    for name, value, message in (
        ("frames", np.nan, "frames hold a NaN"),
        ("frames", np.inf, "frames hold a NaN or an inf"),
        ("weights", np.nan, r"a weight is outside \[0, 1\]"),
        ("weights", 1.5, "a weight is outside"),
        ("positions", -1, "a position is negative"),
    ):
        write_store(path, 50)
        with altered(path) as file:
            rows = file[name][...]
            rows[60] = value
            file[name][...] = rows
            file[f"checksums/{name}"][0] = zlib.crc32(rows.tobytes())
        with pytest.raises(FormatError, match=rf"f\.h5: damaged: {message}"):
            verify(path)
    with altered(path) as file:
        del file["checksums"]
    with pytest.raises(FormatError, match=r"f\.h5: damaged: .*checksums"):
        FeatureStore(path)


@pytest.mark.parametrize("value", ["text", np.nan, np.inf, 2.0])
def test_a_version_is_a_whole_number(model, value):
    with altered(model) as file:
        file.attrs["format_version"] = value
    with pytest.raises(FormatError, match=r"model\.h5: damaged: format_version must be an int"):
        load(model)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\x1b[2J", b"two\nlines", np.bytes_(b"x")])
def test_what_a_header_says_can_be_printed(model, text):
    with altered(model) as file:
        dtype = h5py.string_dtype() if type(text) is bytes else None
        file.attrs.create("created_by", text, dtype=dtype)
    with pytest.raises(FormatError, match=r"model\.h5: damaged: created_by is no text that can"):
        describe(model)


def test_small_and_large_stores_hold_the_same(large, tmp_path, monkeypatch):
    monkeypatch.setattr(sealing, "WHOLE_UP_TO", 16_000_000)
    small = write_store(tmp_path / "small.h5")
    with FeatureStore(small) as one, FeatureStore(large) as other:
        np.testing.assert_array_equal(one.read(["a.wav"])[0], other.read(["a.wav"])[0])
    assert large.read_bytes().startswith(b"voicegmm seal 2\n")
    assert small.read_bytes().startswith(b"voicegmm seal 1\n")


def plain_virtual(file):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", shape=(3,))
    file.create_virtual_dataset("x", layout)


def nested(file):
    group = file
    for _ in range(20):
        group = group.create_group("deeper")


def crowded(file):
    """Eight levels, with five links from each to the next: 390,625 ways to the last."""
    group = file
    for _ in range(8):
        deeper = group.create_group("0")
        for name in "1234":
            group[name] = deeper
        group = deeper


TRAPS = {
    "external link": (lambda f: f.__setitem__("x", h5py.ExternalLink("o.h5", "/x")), "link to"),
    "soft link": (lambda f: f.__setitem__("x", h5py.SoftLink("/ubm")), "link to"),
    "external storage": (
        lambda f: f.create_dataset("x", (3,), "f8", external=[("/etc/passwd", 0, 24)]),
        "kept in another file",
    ),
    "virtual": (plain_virtual, "virtual data set"),
    "filter": (lambda f: f.create_dataset("x", data=np.ones(9), compression="lzf"), "filter"),
    "bomb": (
        lambda f: f.create_dataset("x", (10**12,), "f8", chunks=(1000,), fillvalue=1.0),
        "larger than what is stored",
    ),
    "never written": (lambda f: f.create_dataset("x", (10**9,), "f8"), "larger than what is"),
    "chunk": (
        lambda f: f.create_dataset("x", (0,), "f8", maxshape=(None,), chunks=(10**8,)),
        "chunks larger",
    ),
    "circle": (lambda f: f["ubm"].__setitem__("x", f["/"]), "groups deep"),
    "nested": (nested, "groups deep"),
    "empty": (lambda f: f.create_dataset("x", data=h5py.Empty("f8")), "is empty"),
    "many ways": (crowded, "more than [0-9]+ objects"),
    "attributes": (
        lambda f: [f.attrs.__setitem__(str(number), 0) for number in range(101)],
        "/ has more than 100 attributes",
    ),
    "type": (lambda f: f.__setitem__("x", np.dtype("f8")), "neither a group nor a data set"),
    "attribute": (lambda f: f.attrs.__setitem__("x", np.ones(3)), "neither one number nor one"),
}
NOT_OURS = {
    "deflate": (
        lambda f: f.create_dataset("x", data=np.zeros(10**6), compression="gzip"),
        "filter 1,",
    ),
    "texts": (lambda f: f.__setitem__("x", ["a", "b"]), "holds object"),
}


@pytest.mark.parametrize(
    "trap",
    [
        pytest.param(trap, marks=[pytest.mark.slow] if trap == "many ways" else [])
        for trap in TRAPS | NOT_OURS
    ],
)
def test_traps_are_refused_under_a_good_seal(model, trap):
    set_up, message = (TRAPS | NOT_OURS)[trap]
    with altered(model) as file:
        set_up(file)
    with pytest.raises(FormatError, match=rf"model\.h5: refused: .*{message}"):
        load(model)


def test_traps_are_refused_in_what_was_encrypted(model):
    with altered(model) as file:
        file["x"] = h5py.SoftLink("/ubm")
    plain = receiving.Received(model, model.read_bytes())  # as `decrypted` gives it
    with pytest.raises(FormatError, match=r"model\.h5: refused: /x is a link"):
        load(plain)


OTHERS = ("filter", "type", "empty", "attribute")
"""What may stand in the file of another program; what cannot be read is passed over there."""


@pytest.mark.slow
@pytest.mark.parametrize("trap", sorted(set(TRAPS) - set(OTHERS) | {"filter"}))
def test_traps_are_refused_in_the_files_of_others(tmp_path, trap, monkeypatch):
    monkeypatch.setattr(receiving, "_SECONDS", 60.0)  # slow machines count for longer
    path = tmp_path / "other.h5"
    set_up, message = TRAPS[trap]
    with h5py.File(path, "w") as file:
        file.create_dataset("good", data=np.arange(10**5), compression="gzip", shuffle=True)
        file.create_group("ubm")
        set_up(file)
    with pytest.raises(FormatError, match=rf"other\.h5: damaged: .*{message}"), open_foreign(path):
        raise AssertionError


@pytest.mark.slow
def test_what_is_sound_in_the_files_of_others_is_read(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/zeros", data=np.zeros((300, 500)), compression="gzip")
        file["a/texts"] = ["x", "ü"]
        file["bytes"] = np.array([b"x", b"yz"])
        file["compound"] = np.zeros(2, [("a", "f8"), ("b", "i4")])
        file["scalar"] = 2.5
        file["a"].attrs["list"] = [1, 2, 3]
        file["a"].attrs["text"] = "hé"
    with open_foreign(path) as found:
        assert found["a/zeros"].shape == (300, 500)
        assert found["a/texts"].asstr()[...].tolist() == ["x", "ü"]
        assert found["bytes"][...].tolist() == [b"x", b"yz"]
        assert found["scalar"][()] == 2.5
        assert found["a"].attrs["list"].tolist() == [1, 2, 3]
        assert found["a"].attrs["text"] == "hé"
        assert "compound" not in found


def test_verify_tells_what_it_found(model):
    told = verify(model)
    assert len(told) == 2
    with altered(model) as file:
        file["session_loadings"][0, 0, 0] = 0.75
    with pytest.raises(FormatError, match="does not fit its fingerprint"):
        verify(model)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not is_encrypted(tmp_path / "pipe")
    with pytest.raises(FormatError, match="not a regular file"), open_file(tmp_path / "pipe"):
        raise AssertionError


def test_unfinished_files_and_score_tables_are_described_and_verified(tmp_path):
    with suppress(KeyboardInterrupt), ScoreJournal(tmp_path / "s.tsv") as scores:
        scores.begin("mark")
        for number in range(3):
            scores.keep(np.array([number]))
            scores._flush()
        raise KeyboardInterrupt
    path = tmp_path / "s.tsv.partial"
    told = describe(path)
    assert (told["format"], told["fingerprint"], told["n_entries"]) == (
        "voicegmm/scoring", "mark", 3,
    )  # fmt: skip
    assert verify(path)[0].startswith("the checksums of the first 3 entries fit")
    path.write_bytes(flipped(path.read_bytes(), len(path.read_bytes()) - 1))
    assert describe(path)["n_entries"] == 3
    assert verify(path)[0].startswith("the checksums of the first 2 entries fit")
    table = tmp_path / "s.tsv"
    table.write_text(
        "model\ttest\tlabel\tscore\tllr\tstatus\treason\na\tb\ttarget\t1.5\t\tok\t\n"
        "a\tc\tnontarget\t\t\tno speech\tc: silence\n"
    )
    told = describe(table)
    assert (told["format"], told["n_trials"], told["n_targets"]) == ("voicegmm/scores", 2, 1)
    assert told["status"] == {"no speech": 1, "ok": 1}
    assert verify(table) == ["2 lines are well formed; a text has no digest"]


def test_an_entry_cannot_lead_back_to_itself(tmp_path):
    path = tmp_path / "s.tsv.partial"
    with suppress(KeyboardInterrupt), ScoreJournal(tmp_path / "s.tsv") as scores:
        scores.begin("mark")
        scores.keep(np.array([0.5]))
        scores._flush()
        raise KeyboardInterrupt
    entry = msgspec.json.encode({"n_scores": -9, "first": 0, "checksum": 0})
    with path.open("ab") as file:
        file.write(b"%b\t%08x\n" % (entry, zlib.crc32(entry)))
    assert describe(path)["n_entries"] == 1
    with ScoreJournal(tmp_path / "s.tsv") as scores:
        assert scores.begin("mark") == 1
