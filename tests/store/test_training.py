"""A training that was interrupted goes on, and ends with the same bits."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from voicegmm._base.errors import FormatError, VoicegmmError
from voicegmm.features import FrameSet, Pipeline
from voicegmm.mixture import DiagonalGMM, EmOptions, FitResult, Iteration, density
from voicegmm.mixture.fast import FastOptions, training
from voicegmm.scoring import UbmOptions, train_background
from voicegmm.store import (
    FeatureStore,
    TrainingCheckpoint,
    describe,
    load_background,
    new_store,
    save_background,
)


def write_store(path, n_frames=3000, seed=0):
    """Make a feature store of noise in three recordings."""
    pipeline = Pipeline()
    rng = np.random.default_rng(seed)
    with new_store(path, pipeline) as writer:
        for name in ("a.wav", "b.wav", "c.wav"):
            frames = rng.standard_normal((n_frames, pipeline.n_dims)).astype(np.float32)
            frames[::3] += 3
            positions = np.arange(n_frames)
            writer.add(name, FrameSet(frames, np.ones(n_frames), positions, n_frames, 0.01, name))
    return path


def result_of(rng):
    gmm = DiagonalGMM([0.25, 0.75], rng.standard_normal((2, 3)), rng.uniform(1, 2, (2, 3)))
    line = Iteration(-3.5, [10.0, 30.0], [0, 2], [1, 1, 0], [False, True])
    return FitResult(gmm, (line, line), False, 40.0)


def test_a_checkpoint_is_read_back_whole_and_only_for_its_own_training(tmp_path):
    result = result_of(np.random.default_rng(0))
    checkpoint = TrainingCheckpoint.beside(tmp_path / "ubm.h5")
    assert checkpoint.path == tmp_path / "ubm.h5.partial"
    assert checkpoint.load("mine") is None
    checkpoint.save("mine", result)
    again = checkpoint.load("mine")
    assert again is not None
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(again.gmm, name), getattr(result.gmm, name))
    assert len(again.iterations) == 2
    assert again.iterations[1].n_floored == 2
    assert (again.converged, again.n_frames) == (False, 40.0)
    assert checkpoint.load("another's") is None
    content = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(content[: len(content) // 2])
    assert checkpoint.load("mine") is None
    for place in (content.find(result.gmm.means.tobytes()), content.find(b"record")):
        flipped = bytearray(content)
        flipped[place + 3] ^= 1
        checkpoint.path.write_bytes(flipped)
        assert checkpoint.load("mine") is None
        with pytest.raises(FormatError, match="damaged"):
            checkpoint.read()
    checkpoint.save("mine", result)
    assert describe(checkpoint.path)["n_iterations"] == 2
    checkpoint.remove()
    checkpoint.remove()
    assert not checkpoint.path.exists()


class PowerCutError(Exception):
    pass


class Interrupted(TrainingCheckpoint):
    """Fails after some iterations, once they are kept."""

    n_left = 3

    def save(self, fingerprint, result):
        super().save(fingerprint, result)
        self.n_left -= 1
        if self.n_left == 0:
            raise PowerCutError


def test_an_interrupted_training_ends_with_the_same_model(tmp_path, caplog):
    options = UbmOptions(8, em=EmOptions(6, tolerance=0))
    path, part = write_store(tmp_path / "f.h5"), tmp_path / "ubm.h5.partial"
    with FeatureStore(path) as frames:
        files = frames.ids
        whole, record = train_background(frames, files, options, 1)
        with pytest.raises(PowerCutError):
            train_background(frames, files, options, 1, checkpoint=Interrupted(part))
        seen = []
        model, again = train_background(
            frames,
            files,
            options,
            1,
            n_workers=2,
            progress=lambda number, _: seen.append(number),
            checkpoint=TrainingCheckpoint(part),
        )
        assert seen == [4, 5, 6]
        assert "goes on after its iteration 3" in caplog.text
        assert model.fingerprint == whole.fingerprint
        assert [line.log_likelihood for line in again.iterations] == [
            line.log_likelihood for line in record.iterations
        ]
        for changed in ((files, 2), (files[:2], 1)):  # another training must not go on from there
            caplog.clear()
            train_background(
                frames, changed[0], options, changed[1], checkpoint=TrainingCheckpoint(part)
            )
            assert "goes on" not in caplog.text


@pytest.fixture
def fast_everywhere(monkeypatch):
    """Let fast EM take jobs that a test can wait for."""
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    monkeypatch.setattr(training, "_DENSE_UP_TO", 0)


def test_an_interrupted_fast_training_ends_with_the_same_model(tmp_path, fast_everywhere):
    fast = FastOptions(method="fast", n_short=2, grow_from=4)
    options = UbmOptions(8, em=EmOptions(8, tolerance=0), fast=fast)
    path, part = write_store(tmp_path / "f.h5"), tmp_path / "ubm.h5.partial"
    with FeatureStore(path) as frames:
        whole, record = train_background(frames, frames.ids, options, 1)
        cut = Interrupted(part)
        cut.n_left = 2
        with pytest.raises(PowerCutError):
            train_background(frames, frames.ids, options, 1, checkpoint=cut)
        checkpoint = TrainingCheckpoint(part)
        assert len(checkpoint.read().iterations) == 6
        model, again = train_background(
            frames, frames.ids, options, 1, n_workers=2, checkpoint=checkpoint
        )
        assert model.fingerprint == whole.fingerprint
        losses = [[line.loss for line in one.iterations] for one in (again, record)]
        np.testing.assert_array_equal(*losses)  # NaN where nobody looked
        kinds = "".join("f" if line.exact else "s" for line in record.iterations)
        assert kinds == "sssssssf"
        with pytest.raises(VoicegmmError, match="workers must be threads"):
            train_background(frames, frames.ids, options, 1, 2, workers="processes")


def test_a_model_keeps_what_short_lists_lost(tmp_path, fast_everywhere):
    options = UbmOptions(4, em=EmOptions(3, tolerance=0), fast=FastOptions(method="fast"))
    with FeatureStore(write_store(tmp_path / "f.h5")) as frames:
        model, _ = train_background(frames, frames.ids, options, 1)
    save_background(tmp_path / "ubm.h5", model)
    read = load_background(tmp_path / "ubm.h5")
    assert read.options == options
    for found, expected in zip(read.iterations, model.iterations, strict=True):
        np.testing.assert_array_equal(found.loss, expected.loss)  # NaN where nobody looked
    assert [line.exact for line in read.iterations] == [False, False, True]
    assert read.iterations[1].loss_error > 0


def test_auto_is_dense_for_small_models(tmp_path, fast_everywhere, caplog):
    options = UbmOptions(4, em=EmOptions(3, tolerance=0), fast=FastOptions(method="auto"))
    with FeatureStore(write_store(tmp_path / "f.h5")) as frames, caplog.at_level("INFO"):
        _, record = train_background(frames, frames.ids, options, 1)
    assert all(line.exact for line in record.iterations)
    assert "EM is dense: 4 components" in caplog.text


@pytest.mark.slow
def test_processes_read_the_store_themselves(tmp_path):
    options = UbmOptions(4, em=EmOptions(2, tolerance=0))
    with FeatureStore(write_store(tmp_path / "f.h5", 15_000)) as frames:
        one, _ = train_background(frames, frames.ids, options, 0)
        two, _ = train_background(frames, frames.ids, options, 0, 2, workers="processes")
        least, _ = train_background(frames, frames.ids, options, 0, 2, memory_mb=10)
        assert one.fingerprint == two.fingerprint == least.fingerprint
        with pytest.raises(VoicegmmError, match="memory_mb must be at least"):
            train_background(frames, frames.ids, options, 0, 2, memory_mb=0.5)


@pytest.mark.slow
def test_a_killed_command_goes_on(tmp_path):
    features = write_store(tmp_path / "f.h5", 40_000)

    def command(out):
        return [sys.executable, "-m", "voicegmm", "ubm", "train", str(features), "-o", str(out),
                "--components", "64", "--iterations", "8", "--workers", "2"]  # fmt: skip

    whole, killed = tmp_path / "whole.h5", tmp_path / "killed.h5"
    subprocess.run(command(whole), check=True, capture_output=True)
    part = tmp_path / "killed.h5.partial"
    for _ in range(2):
        process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=-3)
        before = part.stat().st_mtime_ns if part.exists() else 0
        while process.poll() is None and not (part.exists() and part.stat().st_mtime_ns > before):
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not killed.exists()
    done = subprocess.run(command(killed), check=True, capture_output=True, text=True)
    assert "an interrupted training goes on after its iteration" in done.stderr
    assert killed.read_bytes() == whole.read_bytes()
    assert not part.exists()
    assert load_background(killed).gmm.n_components == 64
