"""Files of frames side by side, against plain sums over all of them."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import FormatError, OptionError, VoicegmmError
from voicegmm.features import FrameSet, NormalizationOptions, Pipeline, PipelineOptions
from voicegmm.scoring import Status
from voicegmm.store import compare_features, new_store
from voicegmm.store.interop import read_frames

SMALL = PipelineOptions()


def frame_set(frames, positions=None, weights=None):
    n = len(frames)
    positions = np.arange(n) if positions is None else positions
    return FrameSet(frames, np.ones(n) if weights is None else weights, positions, 10_000, 0.01)


def write_store(path, sets, options=SMALL):
    with new_store(path, Pipeline(options)) as writer:
        for name, result in sets.items():
            writer.add(name, result)
    return path


def random_sets(rng, names=("a.wav", "b.wav", "c.wav")):
    return {
        name: frame_set(5 + rng.standard_normal((int(rng.integers(2, 40)), 60))) for name in names
    }


def test_a_store_and_itself(tmp_path):
    sets = random_sets(np.random.default_rng(0)) | {"silent": Status("no speech", "silence")}
    path = write_store(tmp_path / "a.h5", sets)
    found = compare_features(path, path)
    assert found.same
    assert (found.max_difference, found.mean_difference, found.options) == (0, 0, ())
    assert found.n_compared == sum(recording.n_frames[0] for recording in found.recordings)
    np.testing.assert_allclose(found.correlations, 1, atol=1e-12)
    assert found.recordings[-1].n_frames == (0, 0)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
@settings(max_examples=6)
def test_figures_are_those_of_all_frames_at_once(tmp_path_factory, seed, size):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("stores")
    one = random_sets(rng)
    other = {
        name: frame_set(made.frames + size * rng.standard_normal(made.frames.shape))
        for name, made in one.items()
    }
    found = compare_features(write_store(folder / "a.h5", one), write_store(folder / "b.h5", other))
    x, y = (
        np.concatenate([made.frames for made in s.values()]).astype(float) for s in (one, other)
    )
    assert not found.same
    assert found.max_difference == np.abs(x - y).max()
    np.testing.assert_allclose(found.mean_difference, np.abs(x - y).mean())
    expected = [np.corrcoef(x[:, d], y[:, d])[0, 1] for d in range(60)]
    np.testing.assert_allclose(found.correlations, expected, atol=1e-9)
    for recording in found.recordings:
        difference = one[recording.file].frames.astype(float) - other[recording.file].frames
        assert recording.max_difference == np.abs(difference).max()
    tolerant = compare_features(folder / "a.h5", folder / "b.h5", float(found.max_difference))
    assert tolerant.same


def test_what_does_not_fit_together(tmp_path):
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((20, 60))
    one = {"a": frame_set(frames), "b": frame_set(frames), "c": frame_set(frames)}
    other = {
        # Every other frame; the same frames with other weights; none at all; and one more.
        "a": frame_set(frames[::2], np.arange(0, 20, 2)),
        "b": frame_set(frames, weights=np.full(20, 0.5)),
        "c": Status("no speech", "silence"),
        "d": frame_set(frames),
    }
    mean = PipelineOptions(normalization=NormalizationOptions("mean"))
    found = compare_features(
        write_store(tmp_path / "a.h5", one), write_store(tmp_path / "b.h5", other, mean)
    )
    a, b, c = found.recordings
    assert (a.n_frames, a.n_compared, a.max_difference, a.same) == ((20, 10), 10, 0.0, False)
    assert (b.n_frames, b.n_compared, b.max_difference, b.same) == ((20, 20), 20, 0.0, False)
    assert (c.n_frames, c.n_compared, c.max_difference, c.same) == ((20, 0), 0, None, False)
    assert (found.only_first, found.only_second) == ((), ("d",))
    assert found.options == ("normalization.method: none, mean",)
    assert not found.same


def test_frames_of_other_numbers_are_other_frames(tmp_path):
    frames = np.random.default_rng(2).standard_normal((9, 60))
    found = compare_features(
        write_store(tmp_path / "a.h5", {"a": frame_set(frames)}),
        write_store(tmp_path / "b.h5", {"a": frame_set(frames, np.arange(1, 10))}),
    )
    assert not found.same
    assert found.recordings[0].n_compared == 8
    assert found.max_difference > 0


def test_a_dimension_that_does_not_vary_has_no_correlation(tmp_path):
    frames = np.random.default_rng(3).standard_normal((9, 3))
    frames[:, 1] = 0.1
    np.save(tmp_path / "x.npy", frames)
    np.save(tmp_path / "y.npy", frames * [1, 1, -1])
    found = compare_features(tmp_path / "x.npy", tmp_path / "y.npy")
    assert found.correlations == pytest.approx((1.0, None, -1.0))


def kaldi_archive(path, matrices):
    with path.open("wb") as file:
        for name, matrix in matrices.items():
            kind = b"FM " if matrix.dtype == np.float32 else b"DM "
            head = struct.pack("<bibi", 4, matrix.shape[0], 4, matrix.shape[1])
            file.write(name.encode() + b" \0B" + kind + head + matrix.tobytes())
    return path


def htk_file(path, frames, kind=6):
    head = struct.pack(">iihh", len(frames), 100_000, 4 * frames.shape[1], kind)
    path.write_bytes(head + frames.astype(">f4").tobytes())
    return path


def test_files_of_other_programs(tmp_path):
    rng = np.random.default_rng(4)
    sets = random_sets(rng, ("s1/a.wav", "s1/b.wav"))
    store = write_store(tmp_path / "a.h5", sets)
    a, b = (made.frames for made in sets.values())
    np.savez(tmp_path / "a.npz", a=a, b=b)
    kaldi_archive(tmp_path / "a.ark", {"a": a, "b": b.astype(np.float64)})
    for other in ("a.npz", "a.ark"):
        for pair in ((store, tmp_path / other), (tmp_path / other, store)):
            found = compare_features(*pair)
            assert found.same, other
            assert found.n_compared == len(a) + len(b)
            assert found.options == ()
    only = write_store(tmp_path / "one.h5", {"s1/a.wav": sets["s1/a.wav"]})
    np.save(tmp_path / "whatever.npy", a)
    assert compare_features(only, tmp_path / "whatever.npy").same
    assert compare_features(htk_file(tmp_path / "x.mfc", a), only).same
    np.save(tmp_path / "short.npy", a[1:])
    found = compare_features(only, tmp_path / "short.npy")
    assert (found.n_compared, found.max_difference, found.same) == (0, None, False)
    np.save(tmp_path / "narrow.npy", a[:, 1:])
    found = compare_features(only, tmp_path / "narrow.npy")
    assert (found.n_dims, found.n_compared, found.same) == ((60, 59), 0, False)
    with pytest.raises(VoicegmmError, match="have no recording in common"):
        compare_features(store, tmp_path / "whatever.npy")
    with pytest.raises(OptionError, match="tolerance must be at least 0"):
        compare_features(store, store, -1)


def test_htks_own_file(shared):
    frames = read_frames(shared("oracles/htk/test.wav.fea_htk.1"))["test.wav.fea_htk"]
    assert frames.shape == (142, 39)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"hello", "not recognized; frames are read from"),
        ("x.npz", b"PK\x03\x04", "damaged: File is not a zip file"),
        ("x.ark", b"a \0BCM2 ", "byte 8: the header of a compressed matrix .* cut off"),
        ("x.ark", b"a [ 1 2", "line 1: the file ends before a ]: cut off"),
        ("x.ark", b"a \0BFM \x04\x05\0\0\0\x04\x02\0\0\0abc", "5 x 2 values .* 3 are left"),
        ("x.mfc", b"hello, this is only text", "not recognized"),
        ("x.mfc", struct.pack(">iihh", 2, 1, 4, 6) + bytes(7), "not recognized"),
        ("x.h5", b"hello", "not an HDF5 file"),
        ("x.npy", None, "no such file"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=rf"{name}.*{message}"):
        compare_features(tmp_path / name, tmp_path / name)


def test_what_is_no_matrix_of_floats(tmp_path):
    for number, wrong in enumerate([np.zeros(3), np.zeros((2, 2), int), np.full((2, 2), np.inf)]):
        np.save(tmp_path / f"{number}.npy", wrong)
        with pytest.raises(FormatError, match="of finite floats|must be a matrix"):
            read_frames(tmp_path / f"{number}.npy")
    np.savez(tmp_path / "w.npz", a=np.zeros((2, 2)), b=np.zeros((2, 3)))
    with pytest.raises(FormatError, match=r"as many columns each, got \[2, 3\]"):
        read_frames(tmp_path / "w.npz")
    np.savez(tmp_path / "e.npz")
    with pytest.raises(FormatError, match="columns each"):
        read_frames(tmp_path / "e.npz")
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(FormatError, match="must hold numbers or text|not an array"):
        read_frames(tmp_path / "o.npy")
