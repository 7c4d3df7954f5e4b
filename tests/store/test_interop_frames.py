"""Frames of Kaldi, HTK and NumPy: bytes of their definitions in, the same numbers out."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from foreign_files import htk, htk_checksum, kaldi_archive, kaldi_matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, FormatError, OptionError, VoicegmmError
from voicegmm.features import ForeignFrontEnd
from voicegmm.store import FeatureStore
from voicegmm.store.interop import (
    ForeignArray,
    read_archive,
    read_arrays,
    read_frames,
    read_script,
    recognize,
    write_archive,
    write_arrays,
    write_foreign_store,
    write_htk,
)

RNG = np.random.default_rng(0)
FRAMES = RNG.normal(0, 10, (7, 5)).astype(np.float32)


def read(path):
    return {array.name: array.values for array in read_arrays(path)}


def same(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_kaldis_binary_archive(tmp_path):
    arrays = {
        "a": FRAMES,
        "b/c.wav": FRAMES[:3].astype(np.float64),
        "v": FRAMES[0],
        "w": FRAMES[1].astype(np.float64),
        "empty": np.empty((0, 0), np.float32),
    }
    path = kaldi_archive(tmp_path / "x", arrays)
    assert recognize(path) == "kaldi archive"
    same(read(path), arrays)
    path.write_bytes(b"\0B" + kaldi_matrix(FRAMES))
    same(read(path), {"x": FRAMES})


def test_kaldis_text_archive(tmp_path):
    # As copy-feats ark,t: writes it; then an empty matrix and a vector.
    (tmp_path / "t").write_text("utt-1  [\n  1.5 -2e3 \n  0.25 4 ]\nempty  [ ]\nv  [ 1 2 3 ]\n")
    found = read(tmp_path / "t")
    np.testing.assert_array_equal(found["utt-1"], [[1.5, -2000], [0.25, 4]])
    assert found["empty"].shape == (0,)
    np.testing.assert_array_equal(found["v"], [1, 2, 3])


# What kaldi-native-io 1.23 reads from these bytes (least value -2, range 4): Kaldi's own code.
COMPRESSED = [
    (b"CM ", (0, 16384, 49151, 65535), bytes([0, 32, 64, 128, 192, 255]),
     [-2.0, -1.4999923706054688, -0.9999847412109375, 0.0, 0.9999847412109375, 2.0]),
    (b"CM2 ", None, struct.pack("<6H", 0, 1, 16384, 32768, 65534, 65535),
     [-2.0, -1.99993896484375, -0.9999847412109375, 3.0517578125e-05, 1.99993896484375, 2.0]),
    (b"CM3 ", None, bytes([0, 1, 64, 128, 254, 255]),
     [-2.0, -1.984313726425171, -0.996078372001648, 0.007843255996704102, 1.98431396484375, 2.0]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "quantiles", "codes", "expected"), COMPRESSED)
def test_kaldis_compressed_matrices(tmp_path, kind, quantiles, codes, expected):
    head = b"a \0B" + kind + struct.pack("<ffii", -2.0, 4.0, 6, 1)
    marks = struct.pack("<4H", *quantiles) if quantiles else b""
    (tmp_path / "c.ark").write_bytes(head + marks + codes)
    found = read(tmp_path / "c.ark")["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], np.array(expected, np.float32))


def test_compressed_matrices_by_their_definition(tmp_path):
    """Brute force, value by value, of matrices with several columns."""
    low, span = -3.5, 11.0
    marks = np.sort(RNG.integers(0, 65_536, (5, 4)), axis=1)
    codes = RNG.integers(0, 256, (5, 7))
    content = struct.pack("<ffii", low, span, 7, 5) + marks.astype("<u2").tobytes()
    (tmp_path / "c").write_bytes(b"a \0BCM " + content + codes.astype("u1").tobytes())
    expected = np.empty((7, 5))
    for column in range(5):
        p = [low + span * mark / 65_535 for mark in marks[column]]
        for row in range(7):
            code = codes[column, row]
            start, end, first, last = (
                (p[0], p[1], 0, 64) if code <= 64
                else (p[1], p[2], 64, 192) if code <= 192
                else (p[2], p[3], 192, 255)
            )  # fmt: skip
            expected[row, column] = start + (end - start) * (code - first) / (last - first)
    np.testing.assert_allclose(read(tmp_path / "c")["a"], expected, atol=2e-6)
    for kind, dtype in ((b"CM2 ", "<u2"), (b"CM3 ", "u1")):
        most = np.iinfo(dtype).max
        codes = RNG.integers(0, most + 1, (7, 5))
        content = struct.pack("<ffii", low, span, 7, 5) + codes.astype(dtype).tobytes()
        (tmp_path / "c").write_bytes(b"a \0B" + kind + content)
        np.testing.assert_allclose(read(tmp_path / "c")["a"], low + span * codes / most, atol=2e-6)


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=8)
def test_archives_come_back_bit_by_bit(tmp_path_factory, seed, as_text):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("ark")
    shapes = [(3, 2), (1, 4), (5,), (1,)]
    arrays = {
        f"u{number}": (rng.normal(size=shape) * 10.0 ** rng.integers(-30, 30)).astype(dtype)
        for number, (shape, dtype) in enumerate(
            (shape, dtype) for shape in shapes for dtype in (np.float32, np.float64)
        )
    }
    path, script = folder / "x.ark", folder / "x.scp"
    items = [ForeignArray(*item) for item in arrays.items()]
    assert write_archive(path, items, as_text=as_text, script=script) == len(arrays)
    for found in (read(path), read(script)):
        assert list(found) == list(arrays)
        for name, values in arrays.items():
            assert found[name].shape == values.shape
            np.testing.assert_array_equal(found[name].astype(values.dtype), values)
    assert recognize(script) == "kaldi script"


def test_parts_of_a_list(tmp_path):
    kaldi_archive(tmp_path / "x.ark", {"a": FRAMES, "v": FRAMES[0]})
    places = {
        "rows": ("x.ark:2[1:3]", FRAMES[1:4]),
        "both": ("x.ark:2[0:6,2:2]", FRAMES[:, 2:3]),
        "columns": ("x.ark:2[,1:2]", FRAMES[:, 1:3]),
        "some": (f"x.ark:{2 + 15 + FRAMES.nbytes + 2}[1:2]", FRAMES[0, 1:3]),
    }
    script = tmp_path / "x.scp"
    script.write_text("".join(f"{name}\t{place}\n" for name, (place, _) in places.items()))
    same(read(script), {name: values for name, (_, values) in places.items()})
    for wrong in ("x.ark:2[3:7]", "x.ark:2[0:1,4:5]", "x.ark:2[2:1]", "x.ark:2[1]"):
        script.write_text(f"a {wrong}\n")
        with pytest.raises(FormatError, match=r"x\.scp: a: the part"):
            read(script)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a touch {} |", "line 1: asks to run a command"),
        ("a |touch {}", "line 1: asks to run a command"),
        ("a cat x.ark:2 | touch {}|  ", "line 1: asks to run a command"),
        ("a -", "line 1: must be a key and file:byte"),
        ("a", "line 1: must be a key and file:byte"),
        ("a nothing.ark:5", "nothing.ark: no such file"),
        ("a /dev/zero:5", "/dev/zero: must be a plain file"),
        ("a x.ark:999999", "byte 999999 is asked for, and it has"),
        ("a x.ark:3", "x.scp: a: x.ark: byte 3: neither binary nor text of Kaldi's"),
    ],
)
def test_lists_run_nothing_and_read_only_what_is_kaldis(tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    kaldi_archive(tmp_path / "x.ark", {"a": FRAMES})
    marker = tmp_path / "ran"
    (tmp_path / "x.scp").write_text(line.format(marker) + "\n")
    with pytest.raises(FormatError, match=message):
        list(read_script("x.scp"))
    assert not marker.exists()


def test_nothing_is_unpickled(tmp_path):
    """kaldiio would load the pickle of an entry "PKL"; and NumPy and joblib write them too."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    spring = pickle.dumps(Trap())
    (tmp_path / "p.ark").write_bytes(b"a PKL" + spring)
    (tmp_path / "p.scp").write_text(f"a {tmp_path / 'p.ark'}:2\n")
    (tmp_path / "p.pkl").write_bytes(spring)
    np.save(tmp_path / "o.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez(tmp_path / "o.npz", a=np.array([Trap()], object))
    for name, message in {
        "p.ark": "not recognized",
        "p.scp": "neither binary nor text of Kaldi's",
        "p.pkl": "a pickle, which could run code",
        "o.npy": "must hold numbers",
        "o.npz": "must hold numbers",
    }.items():
        with pytest.raises(FormatError, match=message):
            read(tmp_path / name)
    with pytest.raises(FormatError, match="byte 2: neither binary nor text of Kaldi's"):
        list(read_archive(tmp_path / "p.ark"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"a \0BFM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7f",
            "values must be .* bytes, and 0 are left",
        ),
        (b"a \0BFM \4\xff\xff\xff\xff\4\1\0\0\0", "the number of rows is damaged"),
        (b"a \0BFM \5\1\0\0\0\4\1\0\0\0", "the number of rows is damaged"),
        (b"a \0BFV \4\2\0\0\0\0\0\0\0", "a vector must be 8 bytes, and 4 are left"),
        (b"a \0BCM " + struct.pack("<ffii", 0, 1, 2**30, 2**30), "and 0 are left: cut off"),
        (b"a \0BCM3 " + struct.pack("<ffii", 0, 1, -1, 1), "size of a compressed matrix"),
        (b"a \0BXX ", r"FM or DM or CM or CM2 or CM3 was expected, got 'XX'"),
        (b"a \0B" + kaldi_matrix(np.float32([[np.nan]])), "a must be a matrix or a vector of fin"),
        (b"a \0B" + kaldi_matrix(FRAMES) + b"rest", "neither binary nor text"),
        (b"a [\n 1 2\n 3 ]\n", "line 3: the rows of a matrix must have as many numbers"),
        (b"a [ 1 x ]\n", "line 1: a number was expected, got 'x'"),
        (b"a [ 1 2 ]\nb hello\n", "byte 12: neither binary nor text of Kaldi's"),
        (b"a \0BFM " + kaldi_matrix(FRAMES)[3:-1], "cut off"),
        (b"\0B" + kaldi_matrix(FRAMES) + b"x", "one matrix was expected, and something follows"),
        (b"\xff\xfe [ 1 ]\n", "the key of an entry must be UTF-8"),
        (b"a [ 1 2 ] b [ 3 ]\n", "line 1: the line must end with ], got 'b'"),
        (b"a [ 1 ]\na [ 2 ]\n", "a stands there twice; which is meant"),
        (b"a \0BCM3 " + struct.pack("<ffii", 3e38, 3e38, 1, 1) + b"\xff", "of finite floats"),
    ],
)
def test_damaged_archives_are_told_with_their_byte(tmp_path, content, message):
    (tmp_path / "d.ark").write_bytes(content)
    with pytest.raises(FormatError, match=rf"d\.ark.*{message}"):
        read(tmp_path / "d.ark")


def test_htks_files_with_every_qualifier(tmp_path):
    for bits in range(0, 0o200000, 0o3700):
        kind = (6 | bits) & ~0o2000 & 0xFFFF
        (tmp_path / "x.mfc").write_bytes(htk(FRAMES, kind, 125_000))
        (found,) = read_arrays(tmp_path / "x.mfc")
        np.testing.assert_array_equal(found.values, FRAMES)
        assert (found.name, found.values.dtype) == ("x", np.float32)
        assert found.hop_seconds == 0.0125


def test_htks_compression_and_checksum(tmp_path):
    """By the rule of HParm.c: x A - B rounded to 16 bits, four more rows in the header."""
    low, high = FRAMES.min(0), FRAMES.max(0)
    scale = (2 * 32_767 / (high - low)).astype(">f4")
    offset = ((high + low) * 32_767 / (high - low)).astype(">f4")
    codes = np.rint(FRAMES * scale - offset).astype(">i2")
    payload = scale.tobytes() + offset.tobytes() + codes.tobytes()
    path = tmp_path / "c.mfc"
    for kind in (0o2006, 0o12006):
        head = struct.pack(">iiHH", len(FRAMES) + 4, 100_000, 10, kind)
        check = htk_checksum(payload) if kind & 0o10000 else b""
        path.write_bytes(head + payload + check)
        assert recognize(path) == "htk"
        (found,) = read_arrays(path)
        # Half a step of the code, and the rounding of the scales in single precision.
        assert (np.abs(found.values - FRAMES) <= 0.51 / scale + 1e-5).all()
        expected = (codes.astype(float) + offset.astype(float)) / scale.astype(float)
        np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-6)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"c\.mfc.*do not fit their checksum"):
        read(path)


def test_other_kinds_of_htks(tmp_path):
    path = tmp_path / "x"
    shorts = np.array([[32_767, -32_767, 0]], ">i2")
    path.write_bytes(struct.pack(">iiHH", 1, 100_000, 6, 5) + shorts.tobytes())
    np.testing.assert_array_equal(read(path)["x"], [[1, -1, 0]])
    for kind, name in ((0, "WAVEFORM"), (10, "DISCRETE")):
        path.write_bytes(struct.pack(">iiHH", 1, 625, 2, kind) + bytes(2))
        with pytest.raises(FormatError, match=rf"holds {name}, which are no frames"):
            read(path)
    path.write_bytes(struct.pack(">iiHH", 4, 100_000, 2, 0o2006) + bytes(8))
    with pytest.raises(FormatError, match="a scale of the compression is 0"):
        read(path)


def test_htks_own_files(shared):
    widths = {"fea_htk.1": 39, "fea_htk.2": 39, "fbank_htk.1": 23, "plp_htk.1": 39}
    for name, width in widths.items():
        (found,) = read_arrays(shared(f"oracles/htk/test.wav.{name}"))
        assert found.values.shape == (142, width)
        assert found.hop_seconds == 0.01
        assert found.name == f"test.wav.{name[:-2]}"


def test_htk_comes_back_bit_by_bit(tmp_path):
    arrays = [ForeignArray("s1/a.wav", FRAMES, 0.01), ForeignArray("b", FRAMES[:1], 0.01)]
    assert write_arrays(tmp_path / "all", arrays, "htk") == 2
    assert (tmp_path / "all/s1/a.wav.htk").read_bytes() == htk(FRAMES)
    assert recognize(tmp_path / "all") == "htk folder"
    (tmp_path / "all/.hidden").mkdir()
    (tmp_path / "all/.hidden/x").write_bytes(b"not HTK's")
    same(read(tmp_path / "all"), {"b": FRAMES[:1], "s1/a.wav": FRAMES})
    assert write_arrays(tmp_path / "one.mfc", arrays[:1], "htk") == 1
    same(read(tmp_path / "one.mfc"), {"one": FRAMES})
    with pytest.raises(VoicegmmError, match="is there already"):
        write_arrays(tmp_path / "all", arrays, "htk")
    with pytest.raises(DataError, match="a file takes one recording"):
        write_arrays(tmp_path / "one.mfc", arrays, "htk")
    for wrong in ("../a", "/a", "", "a/../../b"):
        with pytest.raises(DataError, match="cannot be the name of a file"):
            write_arrays(tmp_path / "out", [*arrays, ForeignArray(wrong, FRAMES, 0.01)], "htk")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "one.mfc"]


def test_a_hop_is_stated_or_told_and_never_two(tmp_path):
    with pytest.raises(OptionError, match=r"hop_seconds of a is not known; state it \(--hop"):
        write_arrays(tmp_path / "a.htk", [ForeignArray("a", FRAMES)], "htk")
    with pytest.raises(OptionError, match=r"hop_seconds of a is 0.01, and 0.02 was stated"):
        write_arrays(tmp_path / "a.htk", [ForeignArray("a", FRAMES, 0.01)], "htk", hop_seconds=0.02)
    with pytest.raises(DataError, match="too large for single precision"):
        write_htk(tmp_path / "a.htk", ForeignArray("a", np.full((1, 1), 1e300)), 0.01)
    assert not list(tmp_path.iterdir())


def test_numpys_files(tmp_path):
    arrays = {"a": FRAMES, "s/b.wav": FRAMES.astype(np.float64), "v": FRAMES[0]}
    items = [ForeignArray(*item) for item in arrays.items()]
    assert write_arrays(tmp_path / "x.npz", items, "npz") == 3
    with np.load(tmp_path / "x.npz") as content:
        same({name: content[name] for name in content.files}, arrays)
    same(read(tmp_path / "x.npz"), arrays)
    write_arrays(tmp_path / "y.npz", items, "npz")
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    np.savez_compressed(tmp_path / "z.npz", **{"a": np.asfortranarray(FRAMES)})
    same(read(tmp_path / "z.npz"), {"a": FRAMES})
    np.save(tmp_path / "f.npy", np.asfortranarray(FRAMES))
    same(read(tmp_path / "f.npy"), {"f": FRAMES})
    with pytest.raises(DataError, match="'a' stands there twice"):
        write_arrays(tmp_path / "w.npz", [items[0], items[0]], "npz")


def test_headers_of_numpys_are_not_believed(tmp_path):
    np.save(tmp_path / "x.npy", FRAMES)
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content.replace(b"(7, 5), ", b"(7000000000, 5), "))
    with pytest.raises(FormatError, match="not an array of NumPy's|need 140000000000 bytes"):
        read(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(content[:-1])
    with pytest.raises(FormatError, match="139 are there: cut off"):
        read(tmp_path / "x.npy")
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros((1000, 1000)))
    with pytest.raises(FormatError, match="bytes would become 8000128"):
        read(tmp_path / "bomb.npz")


def test_an_archive_for_a_program_of_another_day(tmp_path):
    path = tmp_path / "new.npz"
    np.savez(path, a=FRAMES)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 6] = 228  # needs version 22.8
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"new\.npz: damaged: zip file version 22\.8"):
        read(path)


def test_bombs_in_npz(tmp_path):
    path = tmp_path / "bomb.npz"
    stream = io.BytesIO()
    np.save(stream, np.zeros(30_000))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(100):
            archive.writestr(f"{number}.npy", stream.getvalue())
    with pytest.raises(FormatError, match=r"bytes would become \d{7}"):
        read(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", stream.getvalue())
    with pytest.raises(FormatError, match="compressed in a way that NumPy does not"):
        read(path)
    # 9 MB that say they are the 128 bytes of an empty array's header.
    np.save(stream := io.BytesIO(), np.empty(0))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", stream.getvalue() + bytes(9_000_000))
    content = path.read_bytes().replace(struct.pack("<I", 9_000_128), struct.pack("<I", 128))
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=r"bomb\.npz: damaged: Bad CRC-32"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n_rows", [1, 2**31 - 1])
def test_rows_without_a_number_are_no_matrix(tmp_path, n_rows):
    """Two thousand million rows fit into no byte, and a loop over them would not end."""
    head = b"FM " + struct.pack("<bibi", 4, n_rows, 4, 0)
    (tmp_path / "a.ark").write_bytes(b"a \0B" + head)
    with pytest.raises(FormatError, match=rf"a\.ark: a has {n_rows} rows, and no number in them"):
        read(tmp_path / "a.ark")
    np.save(tmp_path / "a.npy", np.empty((2**40, 0)))
    with pytest.raises(FormatError, match=f"a has {2**40} rows, and no number"):
        read(tmp_path / "a.npy")


def test_lines_without_end_are_not_read_to_it(tmp_path):
    path = tmp_path / "x.scp"
    path.write_bytes(b"a b.ark:1\nc d.ark" + b" " * 20_000_000 + b"x")
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=r"b\.ark"):  # the first line's is not there
            list(read_script(path))
        path.write_bytes(path.read_bytes()[10:])
        with pytest.raises(FormatError, match=r"byte 0: a line must have at most 65536 bytes"):
            list(read_script(path))
        path.write_bytes(b"a [" + b" 1" * 10_000_000)
        with pytest.raises(FormatError, match=r"byte 2: a line must have at most 10000000 bytes"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()


def test_names_that_would_be_one_file_of_htk_or_none(tmp_path):
    for names, message in (
        (("a/b", "a/./b"), r"'a/\./b': two recordings would be one file, b\.htk"),
        (("a\0b",), "cannot be the name of a file"),
        (("a", "x" * 300), "File name too long"),
        (("a", "a.htk/b"), "File exists"),
    ):
        arrays = [ForeignArray(name, FRAMES, 0.01) for name in names]
        with pytest.raises(VoicegmmError, match=message):
            write_arrays(tmp_path / "all", arrays, "htk")
        assert list(tmp_path.iterdir()) == []


def test_recordings_without_frames_are_kept_by_name(tmp_path):
    empty = ForeignArray("none", np.empty((0, 0), np.float32))
    path = tmp_path / "x.h5"
    assert write_foreign_store(path, [empty, ForeignArray("a", FRAMES)], "x", 1, 8000) == 2
    with FeatureStore(path) as store:
        assert [store.status(name).status for name in store.ids] == ["no speech", "ok"]
        assert store.front_end == ForeignFrontEnd("x", 5, 1.0, 8000)
        assert store.seconds("a") == 7
        np.testing.assert_array_equal(store.read(["a"])[0], FRAMES)
    for arrays, message in (
        ([empty], "x: no recording in it has a frame"),
        ([ForeignArray("a", FRAMES[0])], "a: frames must be a matrix, got a vector"),
        ([ForeignArray("a", FRAMES)] * 2, "a: stands there twice"),
        ([ForeignArray("a", FRAMES), ForeignArray("b", FRAMES[:, 1:])], "b: has 4 columns"),
        ([ForeignArray("a", np.full((1, 2), 1e300))], "too large for single precision"),
        ([ForeignArray("a", FRAMES, 1.0), ForeignArray("b", FRAMES, 2.0)], "its hop is 2 s"),
    ):
        with pytest.raises(FormatError, match=message):
            write_foreign_store(tmp_path / "y.h5", arrays, "x", 1, 8000)
    assert not (tmp_path / "y.h5").exists()
    with pytest.raises(OptionError, match="origin must be a name in words"):
        ForeignFrontEnd(" ", 5, 1.0, 8000)


def test_frames_are_matrices_of_one_width(tmp_path):
    path = kaldi_archive(tmp_path / "x.ark", {"a": FRAMES, "v": FRAMES[0]})
    with pytest.raises(FormatError, match="v must be a matrix, frames by rows, got a vector"):
        read_frames(path)
    with pytest.raises(DataError, match="'a b' cannot be a key of Kaldi's: it must be one word"):
        write_archive(path, [ForeignArray("a b", FRAMES)])
    with pytest.raises(DataError, match="'a' stands there twice"):
        write_archive(path, [ForeignArray("a", FRAMES)] * 2)
    assert recognize(path) == "kaldi archive"
