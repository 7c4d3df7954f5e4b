"""Damaged files of other programs: numbers, or one `FormatError` that names the file.

2,000 variants of all kinds; VOICEGMM_FUZZ=10000 asks for more. The formats have no digests, so
other numbers than before may come out; what may not is another error, or much memory.
"""

import io
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
from foreign_files import (
    alize,
    bob_file,
    htk,
    kaldi_archive,
    kaldi_diagonal,
    sidekit_file,
    small_mixture,
)
from fuzzing import damaged
from test_interop_mixtures import MACROS, full, htk_model

from voicegmm._base.errors import FormatError
from voicegmm.mixture import DiagonalGMM
from voicegmm.store.interop import (
    ForeignArray,
    read_arrays,
    read_mixtures,
    recognize,
    write_archive,
    write_mixture,
    write_npz,
)

N_VARIANTS = int(os.environ.get("VOICEGMM_FUZZ", "2000"))
FRAMES = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
ARRAYS = [ForeignArray("a", FRAMES), ForeignArray("b/c", FRAMES.astype(float)),
          ForeignArray("v", FRAMES[0])]  # fmt: skip


def npy(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def compressed(path, kind):
    marks = np.sort(np.random.default_rng(1).integers(0, 65_536, (3, 4))).astype("<u2").tobytes()
    rows = bytes(range(18)) if kind != b"CM2 " else bytes(range(36))
    head = struct.pack("<ffii", -1.0, 2.0, 6, 3)
    path.write_bytes(b"a \0B" + kind + head + (marks if kind == b"CM " else b"") + rows)


FILES = {
    "archive": lambda p: kaldi_archive(p, {a.name: a.values for a in ARRAYS}),
    "text": lambda p: write_archive(p, ARRAYS, as_text=True),
    "script": lambda p: write_archive(p.with_name("listed.ark"), ARRAYS, script=p),
    "cm": lambda p: compressed(p, b"CM "),
    "cm2": lambda p: compressed(p, b"CM2 "),
    "cm3": lambda p: compressed(p, b"CM3 "),
    "htk": lambda p: p.write_bytes(htk(FRAMES, 0o10006)),
    "npy": lambda p: p.write_bytes(npy(FRAMES)),
    "npz": lambda p: write_npz(p, ARRAYS),
    "kaldi": lambda p: p.write_bytes(kaldi_diagonal(*small_mixture())),
    "kaldi text": lambda p: write_mixture(p, DiagonalGMM(*small_mixture()), "kaldi", as_text=True),
    "kaldi full": lambda p: write_mixture(p, full(), "kaldi"),
    "mmf": lambda p: p.write_text(htk_model(*small_mixture())),
    "macros": lambda p: p.write_text(MACROS),
    "alize": lambda p: p.write_bytes(alize(*small_mixture())),
    "npz mixture": lambda p: write_mixture(p, full(), "npz"),
}


def read(path):
    """Read a file as `convert` would."""
    kind = recognize(path)
    if kind in ("", "hdf5", "voicegmm"):
        raise FormatError(f"{path}: not recognized")
    try:
        return [array.values for array in read_arrays(path)]
    except FormatError as error:
        if "frames are read from" not in str(error):
            raise
        return list(read_mixtures(path).values())


def judge(path, read=read):
    start = time.process_time()
    told = path.name
    try:
        assert read(path)
    except FormatError as error:
        told = str(error)
    assert path.name in told
    assert time.process_time() - start < 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.filterwarnings("error")
def test_damaged_files(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "damaged.file"
    FILES[kind](path)
    whole = path.read_bytes()
    assert read(path)
    tracemalloc.start()
    try:
        for number in range(N_VARIANTS // len(FILES)):
            variant = damaged(whole, np.random.default_rng([number, len(whole)]))
            path.write_bytes(variant)
            judge(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("make", [bob_file, sidekit_file])
def test_damaged_hdf5(tmp_path, make):
    """Few: each is read by a process of its own, whose tests are `test_fuzzing`'s."""
    path = make(tmp_path / "damaged.h5")
    whole = path.read_bytes()
    for number in range(N_VARIANTS // 600):
        path.write_bytes(damaged(whole, np.random.default_rng([number, len(whole)])))
        judge(path, read_mixtures)
