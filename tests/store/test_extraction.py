"""An extraction that was interrupted goes on, and ends with the same bytes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from voicegmm._base.errors import InUseError, VoicegmmError, WorkerError
from voicegmm.audio import WHOLE, Excerpt
from voicegmm.features import (
    FrameSet,
    NormalizationOptions,
    Pipeline,
    PipelineOptions,
    SpeechOptions,
)
from voicegmm.store import FeatureStore, compare_features, extract_to_store, extraction
from voicegmm.store.description import describe
from voicegmm.store.journal import ExtractionJournal

N_FILES = 9


@pytest.fixture
def paths(tmp_path):
    """Nine recordings of speech-like noise; the fourth is no audio, the fifth is clipped."""
    folder = tmp_path / "wavs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    found = {}
    for number in range(N_FILES):
        loudness = np.repeat(rng.uniform(0.001, 0.3, 5 + number), 1600)
        path = folder / f"ö {number}.wav"
        noise = rng.uniform(-1, 1, len(loudness)) * loudness
        if number == 4:
            noise[:200] = 1.0
        soundfile.write(path, noise, 16_000)
        if number == 3:
            path.write_text("no audio")
        found[path.name] = path
    return found


class Counting(Pipeline):
    """Counts what it extracts, and stops as Ctrl-C does before a given number."""

    def __init__(self, stop_at=None, error=KeyboardInterrupt, options=None):
        super().__init__(options)
        self.stop_at, self.error, self.extracted = stop_at, error, []

    def extract_file(self, path, *which):
        if len(self.extracted) == self.stop_at:
            raise self.error
        self.extracted.append(path.name)
        return super().extract_file(path, *which)


def uninterrupted(paths, tmp_path):
    out = tmp_path / "whole.h5"
    summary = extract_to_store(paths, Pipeline(), out)
    assert not (tmp_path / "whole.h5.partial").exists()
    return summary, out.read_bytes()


@pytest.mark.parametrize(
    ("stop_at", "n_workers", "error"),
    [
        (1, 1, KeyboardInterrupt),
        (4, 1, SystemExit),
        (5, 2, KeyboardInterrupt),
        (8, 2, MemoryError),
    ],
)
def test_it_goes_on_and_ends_with_the_same_bytes(paths, tmp_path, stop_at, n_workers, error):
    summary, whole = uninterrupted(paths, tmp_path)
    out = tmp_path / "f.h5"
    with pytest.raises(error):
        extract_to_store(paths, Counting(stop_at, error), out, n_workers)
    assert not out.exists()
    # With two workers others may not have come to an end, but the first two have been written.
    assert (tmp_path / "f.h5.partial").stat().st_mode & 0o777 == 0o600
    counting, counts = Counting(), []
    again = extract_to_store(paths, counting, out, n_workers, counts.append)
    assert out.read_bytes() == whole
    assert counts == list(range(1, N_FILES + 1))
    assert again.n_resumed == N_FILES - len(counting.extracted)
    # A recording without frames is tried again; with one worker nothing else is done twice.
    if n_workers == 1:
        assert again.n_resumed == stop_at - (stop_at > 3)
    for name in ("n_files", "n_frames", "seconds", "failures", "notes"):
        assert getattr(again, name) == getattr(summary, name)
    assert set(summary.failures) == {"ö 3.wav"}
    assert "clipped" in summary.notes["ö 4.wav"]
    assert not (tmp_path / "f.h5.partial").exists()


class Dying(Pipeline):
    """Takes its process with it."""

    def extract_file(self, path, *which):
        if path.name.endswith("7.wav"):
            os._exit(1)
        return super().extract_file(path, *which)


@pytest.mark.slow
@pytest.mark.parametrize("batch_bytes", [0, 60_000])
def test_processes_go_on_when_one_died_and_give_the_same_bytes(
    paths, tmp_path, monkeypatch, batch_bytes
):
    summary, whole = uninterrupted(paths, tmp_path)
    monkeypatch.setattr(extraction, "_PROCESSES_FROM", 0)
    monkeypatch.setattr(extraction, "_BATCH_BYTES", batch_bytes)
    out = tmp_path / "f.h5"
    with pytest.raises(WorkerError, match="a worker process died"):
        extract_to_store(paths, Dying(), out, 2)
    assert not out.exists()
    kept = (tmp_path / "f.h5.partial").exists()
    again = extract_to_store(paths, Pipeline(), out, 2)
    assert out.read_bytes() == whole
    assert (again.n_resumed > 0) == kept
    assert again.failures == summary.failures
    assert again.notes == summary.notes
    assert not (tmp_path / "f.h5.partial").exists()


# In a process of its own, because forks take one without other threads.
FORKING = """
import os, sys
from pathlib import Path
from voicegmm._base.errors import WorkerError
from voicegmm.compute import can_fork
from voicegmm.features import Pipeline
from voicegmm.store import extract_to_store, extraction

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
paths = {path.name: path for path in sorted(folder.iterdir())}
here = os.getpid()

class Dying(Pipeline):
    def extract_file(self, path, *which):
        assert os.getpid() != here
        if path.name.endswith("7.wav"):
            os._exit(1)
        return super().extract_file(path, *which)

def stop(number):
    if number == 4:
        raise KeyboardInterrupt

extraction._FORKS_FROM, extraction._BATCH_BYTES = 0, int(sys.argv[3])
assert can_fork()
try:
    extract_to_store(paths, Dying(), out, 2)
except WorkerError:
    pass
try:
    extract_to_store(paths, Pipeline(), out, 2, stop)
except KeyboardInterrupt:
    pass
assert not out.exists() and os.path.exists(f"{out}.partial")
summary = extract_to_store(paths, Pipeline(), out, 2)
assert summary.n_resumed >= 3, summary.n_resumed
assert set(summary.failures) == {"ö 3.wav"}
assert "clipped" in summary.notes["ö 4.wav"]
"""


@pytest.mark.slow
def test_forks_die_are_stopped_go_on_and_give_the_same_bytes(paths, tmp_path):
    _, whole = uninterrupted(paths, tmp_path)
    out, folder = tmp_path / "f.h5", tmp_path / "wavs"
    subprocess.run([sys.executable, "-c", FORKING, folder, out, "40000"], check=True)
    assert out.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "wavs", "whole.h5"]


def test_it_can_be_interrupted_again_and_again(paths, tmp_path):
    _, whole = uninterrupted(paths, tmp_path)
    for _ in range(20):
        try:
            summary = extract_to_store(paths, Counting(2), tmp_path / "f.h5")
        except KeyboardInterrupt:
            continue
        break
    assert (tmp_path / "f.h5").read_bytes() == whole
    assert summary.n_resumed >= N_FILES - 3


@pytest.fixture
def left(paths, tmp_path):
    """What an extraction left behind that was stopped before the last recording."""
    with pytest.raises(KeyboardInterrupt):
        extract_to_store(paths, Counting(N_FILES - 1), tmp_path / "f.h5")
    return tmp_path / "f.h5.partial"


def test_a_journal_that_was_cut_off_anywhere(paths, tmp_path, left):
    _, whole = uninterrupted(paths, tmp_path)
    content = left.read_bytes()
    n_resumed = []
    for share in (0.0, 0.0005, 0.2, 0.5, 0.7, 0.999, 1.0):
        left.write_bytes(content[: int(share * len(content))])
        summary = extract_to_store(paths, Pipeline(), tmp_path / "f.h5")
        assert (tmp_path / "f.h5").read_bytes() == whole
        n_resumed.append(summary.n_resumed)
    assert n_resumed == sorted(n_resumed)
    assert n_resumed[0] == 0
    assert n_resumed[-1] == N_FILES - 2


def test_a_journal_with_flipped_bits(paths, tmp_path, left):
    _, whole = uninterrupted(paths, tmp_path)
    content = bytearray(left.read_bytes())
    rng = np.random.default_rng(1)
    for place in rng.integers(content.index(b"\n") + 1, len(content), 5):
        content[place] ^= 1 << int(rng.integers(8))
    left.write_bytes(content)
    summary = extract_to_store(paths, Pipeline(), tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == whole
    assert summary.n_resumed < N_FILES - 2


def test_other_options_begin_anew(paths, tmp_path, left):
    options = PipelineOptions(normalization=NormalizationOptions("mean"))
    summary = extract_to_store(paths, Pipeline(options), tmp_path / "f.h5")
    assert summary.n_resumed == 0
    with FeatureStore(tmp_path / "f.h5") as store:
        assert store.front_end == options


def test_a_recording_that_has_changed_is_extracted_again(paths, tmp_path, left):
    changed, kept = paths["ö 0.wav"], paths["ö 1.wav"]
    samples, rate = soundfile.read(kept)
    soundfile.write(changed, samples, rate)
    os.utime(kept, ns=(0, 0))
    counting = Counting()
    extract_to_store(paths, counting, tmp_path / "f.h5")
    assert {"ö 0.wav", "ö 1.wav"} <= set(counting.extracted)
    with FeatureStore(tmp_path / "f.h5") as store:
        np.testing.assert_array_equal(store.read(["ö 0.wav"])[0], store.read(["ö 1.wav"])[0])


def test_another_list_takes_what_it_can_use(paths, tmp_path, left):
    chosen = {name: paths[name] for name in ("ö 8.wav", "ö 5.wav", "ö 0.wav")}
    counting = Counting()
    summary = extract_to_store(chosen, counting, tmp_path / "f.h5")
    assert (summary.n_resumed, counting.extracted) == (2, ["ö 8.wav"])
    extract_to_store(chosen, Pipeline(), tmp_path / "g.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "g.h5").read_bytes()


def test_errors_of_ours_leave_nothing_behind(paths, tmp_path):
    with pytest.raises(VoicegmmError, match="no space"):
        extract_to_store(paths, Counting(5, VoicegmmError("no space")), tmp_path / "f.h5")
    with pytest.raises(VoicegmmError, match="none of 1 recordings"):
        extract_to_store({"a": paths["ö 3.wav"]}, Pipeline(), tmp_path / "f.h5")
    with pytest.raises(KeyboardInterrupt):
        extract_to_store(paths, Counting(0), tmp_path / "f.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["wavs"]


def test_a_file_of_someone_else_is_not_touched(paths, tmp_path):
    stranger = tmp_path / "f.h5.partial"
    stranger.write_text("my thesis\n")
    with pytest.raises(VoicegmmError, match="stands where unfinished features are kept"):
        extract_to_store(paths, Pipeline(), tmp_path / "f.h5")
    assert stranger.read_text() == "my thesis\n"


def test_two_at_once_do_not_mix(paths, tmp_path):
    with ExtractionJournal(tmp_path / "f.h5", Pipeline().fingerprint):
        with pytest.raises(InUseError, match="another process is making the same features"):
            extract_to_store(paths, Pipeline(), tmp_path / "f.h5")
        extract_to_store(paths, Pipeline(), tmp_path / "g.h5")


@pytest.mark.parametrize(
    ("error", "stays"), [(WorkerError, True), (VoicegmmError, False), (SystemExit, True)]
)
def test_what_is_finished_stays_unless_the_error_would_come_again(tmp_path, error, stays):
    frames = FrameSet(np.ones((2, 3)), np.ones(2), np.arange(2), 2, 0.01)
    out = tmp_path / "f.h5"

    def interrupted():
        with ExtractionJournal(out, "print") as journal:
            journal.add("a", "stamp", frames)
            raise error

    with pytest.raises(error):
        interrupted()
    assert (tmp_path / "f.h5.partial").exists() == stays
    with ExtractionJournal(out, "print") as journal:
        assert journal.holds("a", "stamp") == stays
        assert not journal.holds("a", "another")


def test_what_was_kept_is_what_was_given(tmp_path):
    rng = np.random.default_rng(2)
    frames = FrameSet(
        rng.standard_normal((7, 3)), rng.uniform(0.1, 1, 7), np.arange(0, 70, 10), 80, 0.01,
        "ä\n b", ("two", "notes"),
    )  # fmt: skip
    for _ in range(2):
        try:
            with ExtractionJournal(tmp_path / "f.h5", "print") as journal:
                back = journal.frames_of("a", "stamp")
                if back is None:
                    journal.add("a", "stamp", frames)
                    raise KeyboardInterrupt
                assert journal.frames_of("a", "other stamp") is None
        except KeyboardInterrupt:
            continue
    for name in ("frames", "weights", "positions"):
        np.testing.assert_array_equal(getattr(back.frames, name), getattr(frames, name))
        assert getattr(back.frames, name).dtype == getattr(frames, name).dtype
    for name in ("n_total", "hop_seconds", "source", "notes"):
        assert getattr(back.frames, name) == getattr(frames, name)
    rows = (
        frames.frames.astype("<f4"),
        frames.weights.astype("<f4"),
        frames.positions.astype("<i4"),
    )
    assert back.sha256 == hashlib.sha256(b"".join(row.tobytes() for row in rows)).digest()


@pytest.mark.slow
def test_killed_without_warning(paths, tmp_path):
    """A process that is killed in the middle, from the command line."""
    _, whole = uninterrupted(paths, tmp_path)
    command = [sys.executable, "-m", "voicegmm", "features", "extract", str(tmp_path / "wavs")]
    command += ["-o", str(tmp_path / "f.h5"), "--workers", "1", "--json"]
    left = tmp_path / "f.h5.partial"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (left.exists() and left.stat().st_size > 100_000):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = left.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "f.h5").read_bytes() == whole
    assert (json.loads(done.stdout)["n_resumed"] > 0) == killed


def test_labels_that_have_changed_are_told_and_used(paths, tmp_path):
    """The recordings whose labels have changed are extracted again, the others are kept."""
    options = PipelineOptions(speech=SpeechOptions("labels"))
    chosen = {name: paths[name] for name in ("ö 0.wav", "ö 1.wav", "ö 2.wav")}
    labels = {name: [(0.0, 0.3, "")] for name in chosen}
    changed = {**labels, "ö 1.wav": [(0.1, float("inf"), "")]}
    with pytest.raises(KeyboardInterrupt):
        extract_to_store(chosen, Counting(2, options=options), tmp_path / "f.h5", labels=labels)
    counting = Counting(options=options)
    summary = extract_to_store(chosen, counting, tmp_path / "f.h5", labels=changed)
    assert (summary.n_resumed, counting.extracted) == (1, ["ö 1.wav", "ö 2.wav"])
    extract_to_store(chosen, Pipeline(options), tmp_path / "g.h5", labels=changed)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "g.h5").read_bytes()
    # The same frames by other labels are not the same store.
    longer = {**changed, "ö 0.wav": [(0.0, 0.3, ""), (0.1, 0.2, "")]}
    extract_to_store(chosen, Pipeline(options), tmp_path / "h.h5", labels=longer)
    found = compare_features(tmp_path / "g.h5", tmp_path / "h.h5")
    assert found.same
    assert [option.split(":")[0] for option in found.options] == ["labels"]
    assert describe(tmp_path / "g.h5")["labels"] != describe(tmp_path / "h.h5")["labels"]
    extract_to_store(chosen, Pipeline(), tmp_path / "i.h5")
    assert describe(tmp_path / "i.h5")["labels"] is None


def test_parts_of_one_recording_are_recordings_of_their_own(paths, tmp_path):
    path = paths["ö 8.wav"]
    samples, rate = soundfile.read(path)
    soundfile.write(tmp_path / "alone.wav", samples[4000:16000], rate)
    where = {"a": path, "b": path, "whole": path, "alone": tmp_path / "alone.wav"}
    parts = {"a": Excerpt(0.25, 1.0), "b": Excerpt(0.25, 0.9), "alone": WHOLE}
    out = tmp_path / "parts.h5"
    for n_workers in (1, 2):
        extract_to_store(where, Pipeline(), out, n_workers, excerpts=parts)
        with FeatureStore(out) as store:
            frames = {file: store.read([file])[0] for file in where}
            np.testing.assert_array_equal(frames["a"], frames["alone"])
            assert len(frames["b"]) < len(frames["a"]) < len(frames["whole"])
            assert len({store.content(file) for file in where}) == 4
    # An interrupted extraction does not mistake one part for another.
    stopped = Counting(stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        extract_to_store(where, stopped, out, excerpts=parts)
    again = Counting()
    summary = extract_to_store(where, again, out, excerpts={**parts, "a": Excerpt(0.5, 1.0)})
    assert (summary.n_resumed, len(again.extracted)) == (0, 4)


def test_a_part_outside_its_recording_is_a_failure(paths, tmp_path):
    where = {"a": paths["ö 0.wav"], "b": paths["ö 0.wav"]}
    summary = extract_to_store(where, Pipeline(), tmp_path / "f.h5", excerpts={"b": Excerpt(9, 10)})
    assert "the part from 9 to 10 s is not within" in summary.failures["b"].reason
