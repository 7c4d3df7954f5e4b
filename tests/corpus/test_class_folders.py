import numpy as np
import pytest

from voicegmm._base.errors import DataError, ListError
from voicegmm.corpus import ClassRecordings, scan_classes


def laid_out(root, *files):
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(bytes([number]))
    return root


def test_classes_with_speakers_and_sessions(tmp_path):
    laid_out(tmp_path, "m/ann/1.wav", "m/ann/day 2/1.wav", "f/bob/1.flac", "f/ann/1.wav", "x.wav")
    found = scan_classes(tmp_path)
    assert found.names == ("f", "m")
    assert [file.removeprefix(f"{tmp_path}/") for file in found.files] == [
        "f/ann/1.wav", "f/bob/1.flac", "m/ann/1.wav", "m/ann/day 2/1.wav",
    ]  # fmt: skip
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.speakers == ("ann", "bob", "ann", "ann")  # one person in both classes
    assert found.speakers_known
    assert found.voices().tolist() == [0, 1, 0, 0]
    assert found.n_voices().tolist() == [2, 1]
    part = found.chosen(np.array([True, False, False, True]))
    assert part.files == (found.files[0], found.files[3])
    assert part.n_voices().tolist() == [1, 1]
    assert found.of_class(1) == list(found.files[2:])


def test_recordings_of_unknown_speakers_are_their_own(tmp_path):
    found = scan_classes(laid_out(tmp_path, "f/1.wav", "f/2.wav", "m/ann/1.wav", "m/1.wav"))
    assert not found.speakers_known
    assert found.n_voices().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["f/1.wav"], "one class, 'f'; at least two are needed"),
        (["f/1.wav", "m/notes.txt"], "the class 'm' holds no recording"),
        (["1.wav"], r"no recordings in sub-folders; 1 lie in the folder itself.*<class>"),
        (["cafe\u0301/1.wav", "caf\u00e9/2.wav"], "two sub-folders look the same"),
    ],
)
def test_folders_that_are_no_classes(tmp_path, files, message):
    with pytest.raises(ListError, match=message):
        scan_classes(laid_out(tmp_path, *files))


def test_a_recording_that_stands_twice(tmp_path):
    laid_out(tmp_path, "f/ann/1.wav", "m/bob/2.wav")
    for twin in ("m/bob/1.wav", "f/eve/1.wav", "m/1.wav"):
        (tmp_path / twin).parent.mkdir(exist_ok=True)
        (tmp_path / twin).write_bytes((tmp_path / "f/ann/1.wav").read_bytes())
        with pytest.raises(ListError, match="is the same recording as"):
            scan_classes(tmp_path)
        (tmp_path / twin).unlink()
    # Twice of one speaker in one class, it leaks into no other fold.
    (tmp_path / "f/ann/again.wav").write_bytes((tmp_path / "f/ann/1.wav").read_bytes())
    assert len(scan_classes(tmp_path).files) == 3


def test_columns_that_do_not_fit():
    with pytest.raises(DataError, match="2 recordings need as many labels and speakers"):
        ClassRecordings(("a", "b"), ("1", "2"), np.array([0]), ("x", "y"))
