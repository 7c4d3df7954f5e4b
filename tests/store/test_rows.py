"""Rows of data sets: their checksums and HDF5's, and how they are read."""

import zlib
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from voicegmm._base.errors import FormatError
from voicegmm.store.checksums import checksums_of, fletcher32
from voicegmm.store.row_reading import RowsReader
from voicegmm.store.row_writing import RowsWriter

RNG = np.random.default_rng(0)
CHUNKS = {
    "noise": RNG.integers(0, 256, 2048 * 7, np.uint8),
    "frames": RNG.standard_normal(512 * 60).astype("<f4").view(np.uint8),
    "nothing": np.zeros(4096, np.uint8),
    "ones": np.full(4096, 255, np.uint8),
    "a word of ones": np.pad(np.full(2, 255, np.uint8), (2046, 2048)),
    "the last byte": np.pad(np.ones(1, np.uint8), (4095, 0)),
    "the first byte": np.pad(np.ones(1, np.uint8), (0, 4095)),
}


@pytest.fixture
def file():
    with h5py.File("rows.h5", "w", driver="core", backing_store=False) as file:
        yield file


@pytest.mark.parametrize("name", CHUNKS)
def test_fletcher_32_is_hdf5s(file, name):
    chunk = CHUNKS[name]
    dataset = file.create_dataset("x", data=chunk, chunks=chunk.shape, fletcher32=True)
    _, stored = dataset.id.read_direct_chunk((0,))
    assert fletcher32(chunk) == int.from_bytes(stored[-4:], "little")
    words = chunk.view(">u2").astype(object)  # Python's own numbers
    sums = np.cumsum(words)
    assert (fletcher32(chunk) & 0xFFFF) % 65_535 == sums[-1] % 65_535
    assert (fletcher32(chunk) >> 16) % 65_535 == sums.sum() % 65_535


def written(file, parts, width, chunk_rows=512):
    writer = RowsWriter(file, "x", "<f4", width, chunk_rows)
    for part in parts:
        writer.add(part)
    return RowsReader("rows.h5", file["x"], writer.finish())


@pytest.mark.parametrize("width", [(), (3,)])
def test_hdf5_reads_what_was_handed_over(file, width):
    rows = RNG.standard_normal((1300, *width)).astype(np.float32)
    parts = [[rows[:500], rows[500:510]], [], [rows[510:510]], [rows[510:1290]], [rows[1290:]]]
    reader = written(file, parts, width)
    np.testing.assert_array_equal(file["x"][...], rows)  # compared with its checksums by HDF5
    assert file["x"].fletcher32
    assert reader._checksums.tolist() == [
        zlib.crc32(rows[first : first + 128].tobytes()) for first in range(0, 1300, 128)
    ]
    for start, stop in ((0, 1300), (0, 1), (511, 513), (600, 600), (1024, 1300), (3, 5)):
        np.testing.assert_array_equal(reader.read(start, stop), rows[start:stop])
    kept = reader.read(0, 512)
    reader.read(512, 1024)
    np.testing.assert_array_equal(kept, rows[:512])


def test_a_chunk_of_another_length_is_refused_and_forgotten(file):
    rows = RNG.standard_normal((600, 2)).astype(np.float32)
    reader = written(file, [[rows]], (2,))
    _, good = file["x"].id.read_direct_chunk((0, 0))
    for bad in (good[:-4], good + b"1234", b"1"):
        file["x"].id.write_direct_chunk((0, 0), bad)
        np.testing.assert_array_equal(reader.read(512, 600), rows[512:])
        with pytest.raises(
            FormatError, match=r"rows\.h5: damaged: .*(has \d+ bytes|out buffer|size)"
        ):
            reader.read(0, 1)
    file["x"].id.write_direct_chunk((0, 0), good)
    np.testing.assert_array_equal(reader.read(0, 600), rows)


@pytest.mark.parametrize("how", ["big-endian", "halves of rows", "deflated", "contiguous"])
def test_what_others_lay_out_otherwise_is_read_by_hdf5(file, how):
    rows = RNG.standard_normal((600, 4)).astype(np.float32)
    layout = {
        "big-endian": {"dtype": ">f4", "chunks": (512, 4), "fletcher32": True},
        "halves of rows": {"chunks": (512, 2), "fletcher32": True},
        "deflated": {"chunks": (512, 4), "fletcher32": True, "compression": "gzip"},
        "contiguous": {},
    }[how]
    dataset = file.create_dataset("x", data=rows, **layout)
    reader = RowsReader("rows.h5", dataset, np.array(checksums_of(rows)))
    np.testing.assert_array_equal(reader.read(100, 600), rows[100:])


def test_rows_are_read_from_threads(file):
    rows = RNG.standard_normal((5000, 4)).astype(np.float32)
    reader = written(file, [[rows]], (4,))
    starts = RNG.integers(0, 4900, 200).tolist()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda start: reader.read(start, start + 100), starts))
    for start, part in zip(starts, found, strict=True):
        np.testing.assert_array_equal(part, rows[start : start + 100])
