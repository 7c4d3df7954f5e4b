"""Files of strangers are read by another process, which may take little time and memory."""

import json
import resource
import shutil

import h5py
import numpy as np
import pytest
from sealed_files import small_model, write_store

from voicegmm._base.errors import FormatError
from voicegmm.store import FeatureStore, describe, distrusting, load, parsing, receiving, save
from voicegmm.store.hdf5 import open_foreign, received


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.h5"
    save(path, small_model())
    return path


def test_a_strangers_file_is_read_by_another_process(model, tmp_path, monkeypatch):
    found = received(model)
    shutil.copy(model, tmp_path / "second.h5")
    model.unlink()  # all of it is in memory
    assert str(found) == str(model)
    again = load(found)
    np.testing.assert_array_equal(again.session_loadings, small_model().session_loadings)
    with distrusting():
        monkeypatch.setattr(h5py, "File", refuse_real_files(h5py.File))
        load(tmp_path / "second.h5")
        assert describe(tmp_path / "second.h5")["session_rank"] == 1


def refuse_real_files(original):
    class Guarded(original):
        def __init__(self, name, *arguments, **options):
            assert not isinstance(name, str | bytes) or options.get("driver") == "core"
            super().__init__(name, *arguments, **options)

    return Guarded


@pytest.mark.slow
def test_a_strangers_features_are_read_by_another_process(tmp_path):
    path = write_store(tmp_path / "f.h5", 50)
    with distrusting(), FeatureStore(path) as store, FeatureStore(path) as other:
        path.unlink()
        np.testing.assert_array_equal(store.read(["b.wav"])[0], other.read(["b.wav"])[0])
        make, arguments = store.__reduce__()
        with make(*arguments) as travelled:
            assert travelled.count("a.wav") == 50


def said(**line):
    plain = {"what": "array", "path": "/x", "attribute": "", "dtype": "", "shape": [], "n_bytes": 0}
    return f"print({json.dumps(plain | line)!r})"


CHILDREN = {
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "crashed",
    "": "crashed",
    "print('{}')": "damaged",
    "print('no line')": "damaged",
    said(dtype="<f8", shape=[9], n_bytes=8): "larger than its file",
    said(dtype="|O8", n_bytes=8) + "; print(12345678)": "holds .O8",
    said(what="text", n_bytes=99999999): "larger than its file",
    said(what="group", n_bytes=5): "crashed",
}


@pytest.mark.slow
@pytest.mark.parametrize("program", CHILDREN)
def test_whatever_that_process_does_is_one_error(model, tmp_path, monkeypatch, program):
    child = tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(parsing, "__file__", str(child))
    with pytest.raises(FormatError, match=rf"model\.h5: .*{CHILDREN[program]}"):
        receiving.receive(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trap", "message"),
    [
        ("while True: pass", "took too long"),
        ("x = []\nwhile True: x.append(bytes(10**6))", "memory"),
    ],
)
def test_time_and_memory_of_that_process_are_limited(model, tmp_path, monkeypatch, trap, message):
    program = parsing.__spec__.loader.get_data(parsing.__file__).decode()
    head, found, tail = program.partition("        with h5py.File(handle")
    assert found
    indented = "\n".join(" " * 8 + line for line in trap.splitlines())
    child = tmp_path / "child.py"
    child.write_text(f"{head}{indented}\n{found}{tail}")
    monkeypatch.setattr(parsing, "__file__", str(child))
    with pytest.raises(FormatError, match=rf"model\.h5: damaged: .*{message}"):
        receiving.receive(model)


def deflated(file, name, values):
    file.create_dataset(name, data=values, chunks=values.shape, compression=9)


HOSTILE = {
    "zeros": (lambda f: deflated(f, "x", np.zeros(10**7)), "not believed of a file of"),
    "many": (lambda f: [deflated(f, n, np.zeros(10**6)) for n in "abcdefghi"], "not believed"),
    "texts": (lambda f: deflated(f, "x", np.zeros(2 * 10**6, "S1")), r"more than \d+ texts"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_of_small_files_of_others_little_is_believed(tmp_path, name):
    path = tmp_path / "other.h5"
    set_up, message = HOSTILE[name]
    with h5py.File(path, "w") as file:
        set_up(file)
    assert path.stat().st_size < 100_000
    with pytest.raises(FormatError, match=rf"other\.h5: .*{message}"), open_foreign(path):
        raise AssertionError


@pytest.mark.slow
def test_a_matrix_of_marks_of_others_is_read(tmp_path):
    """As keys have them, nearly all 0, beside as many scores: 300 times smaller, and 1.05."""
    path, rng = tmp_path / "other.h5", np.random.default_rng(0)
    marks = np.zeros((1000, 10_000), np.uint8)
    marks[rng.integers(1000, size=10_000), np.arange(10_000)] = 1
    with h5py.File(path, "w") as file:
        file.create_dataset("marks", data=marks, compression="gzip")
    for n_scores in (0, 200_000):
        if n_scores:
            with h5py.File(path, "a") as file:
                file.create_dataset("scores", data=rng.normal(size=n_scores), compression="gzip")
        with open_foreign(path) as found:
            assert found["marks"][...].sum() == 10_000


@pytest.mark.slow
def test_a_trap_in_a_small_file_of_others_ends_soon(tmp_path, monkeypatch):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(10_000)
    program = parsing.__spec__.loader.get_data(parsing.__file__).decode()
    child = tmp_path / "child.py"
    child.write_text(program.replace("        with h5py.File(handle", TRAP_IN_A_CHILD, 1))
    monkeypatch.setattr(parsing, "__file__", str(child))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(FormatError, match=r"other\.h5: damaged: what read it took too long"):
        receiving.receive(path, "foreign")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 1 < after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4


TRAP_IN_A_CHILD = """\
        x = []
        try:
            while True:
                x.append(bytes(10**6))
        except MemoryError:
            assert 100 < len(x) < 200
        while True:
            pass
        with h5py.File(handle"""
