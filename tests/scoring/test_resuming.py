"""Scores that are kept as they come: neither an interruption nor the order changes a bit."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import small_speakers
from small_speakers import frame_set

from voicegmm._base.errors import InUseError, VoicegmmError
from voicegmm.corpus import Trials
from voicegmm.corpus.trials import write_trials
from voicegmm.features import Pipeline, PipelineOptions
from voicegmm.mixture import density, sample
from voicegmm.scoring import (
    MemoryFrames,
    ScoreNormalizationOptions,
    ScoringOptions,
    Status,
    Voices,
    make_cohort,
    score_trials,
)
from voicegmm.scoring.options import METHODS
from voicegmm.store import ScoreJournal, new_store, save_voices
from voicegmm.store import score_journal as journals


@dataclass(frozen=True, eq=False)
class CountedFrames(MemoryFrames):
    """Remembers what was read."""

    reads: list[str] = field(default_factory=list)

    def read(self, files):
        self.reads.extend(files)
        return super().read(files)


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    gmm = small_speakers.draw_gmm(rng, n_components=4, n_dims=60, far=1.0)
    speakers, _ = small_speakers.draw_speakers(rng, gmm, n_speakers=9)
    sets = {f"t{i}": frame_set(sample(gmm, 20 + i, rng)[0]) for i in range(12)}
    own = {
        f"c{i}/{take}": frame_set(sample(gmm, 30, rng)[0]) for i in range(3) for take in range(2)
    }
    failures = {"bad": Status("no speech", "bad: silence; record again")}
    frames = CountedFrames(PipelineOptions(), sets | own, failures)
    recordings = {f"c{i}": [f"c{i}/0", f"c{i}/1"] for i in range(3)}
    raw = ScoringOptions(normalization=ScoreNormalizationOptions("zt"))
    voices = Voices(speakers, cohort=make_cohort(speakers, frames, recordings, 1, raw))
    trials = Trials.of((m, t, -1) for t in (*sets, "bad") for m in speakers.ids if t[-1] != m[-1])
    return voices, frames, trials


class Stop(BaseException):
    """As Ctrl-C."""


def stopping_after(n):
    def progress(done):
        if done >= n:
            raise Stop

    return progress


ALL = [ScoringOptions(method) for method in METHODS] + [
    ScoringOptions("linear", length_normalization=False),
    ScoringOptions("top", normalization=ScoreNormalizationOptions("t")),
]


@pytest.mark.parametrize("options", ALL, ids=str)
def test_an_interruption_does_not_change_a_bit(world, tmp_path, monkeypatch, options):
    voices, frames, trials = world
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    monkeypatch.setattr(journals, "_SECONDS", 0.0)  # every batch is written
    whole = score_trials(voices, frames, trials, options=options)
    out = tmp_path / "scores.tsv"
    for n in (40, 70):
        with suppress(Stop), ScoreJournal(out) as journal:
            score_trials(
                voices, frames, trials, None, 2, stopping_after(n), options, keeper=journal
            )
        assert journal.path.exists()
    frames.reads.clear()
    with ScoreJournal(out) as journal:
        again = score_trials(voices, frames, trials, options=options, keeper=journal)
    np.testing.assert_array_equal(again.scores, whole.scores)
    assert not journal.path.exists()
    # The mark reads all of so few tests; scoring, a test a batch, read but those that were left.
    assert options.method != "exact" or len(frames.reads) < 12 + 12


def test_nothing_is_computed_twice(world, tmp_path, monkeypatch):
    voices, frames, trials = world
    options = ScoringOptions(normalization=ScoreNormalizationOptions("t"))
    out = tmp_path / "scores.tsv"
    with suppress(Stop), ScoreJournal(out) as journal:
        score_trials(voices, frames, trials, options=options, keeper=journal)
        raise Stop  # before the table is written

    def never(*_):
        raise AssertionError("scored again")

    monkeypatch.setattr("voicegmm.mixture.MeanShifts.mean_ratios", never)
    with ScoreJournal(out) as journal:
        again = score_trials(voices, frames, trials, options=options, keeper=journal)
    monkeypatch.undo()
    whole = score_trials(voices, frames, trials, options=options)
    np.testing.assert_array_equal(again.scores, whole.scores)


def marks(world):
    """Give what the marks of slightly different jobs are."""
    voices, frames, trials = world

    class Marked(BaseException):
        pass

    class Keeper:
        def begin(self, fingerprint):
            self.mark = fingerprint
            raise Marked

    def mark(voices=voices, frames=frames, trials=trials, segments=None, options=None):
        keeper = Keeper()
        with pytest.raises(Marked):
            score_trials(voices, frames, trials, segments, 1, None, options, keeper)
        return keeper.mark

    changed = dict(frames.sets)
    changed["t3"] = frame_set(changed["t3"].frames * 1.01)
    means = voices.speakers.means.copy()
    means[4, 1, 2] += 1e-3
    fewer = Trials.of((trials.models[m], trials.tests[t], -1) for m, t in pairs(trials)[:-20])
    yield mark()
    yield mark(options=ScoringOptions("linear"))
    yield mark(options=ScoringOptions("top"))
    yield mark(options=ScoringOptions("top", 5))
    yield mark(trials=fewer)
    yield mark(frames=replace(frames, sets=changed))
    yield mark(voices=replace(voices, speakers=replace(voices.speakers, means=means)))
    yield mark(segments={"t1": ("t1", "t2")})


def pairs(trials):
    return list(zip(trials.model_index, trials.test_index, strict=True))


def test_other_work_has_another_mark(world):
    found = list(marks(world))
    assert len(set(found)) == len(found)
    assert next(marks(world)) == found[0]


@pytest.mark.parametrize("options", ALL, ids=str)
def test_the_order_of_the_trials_does_not_change_a_bit(world, monkeypatch, options):
    voices, frames, trials = world
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    one = score_trials(voices, frames, trials, options=options).scores
    order = np.random.default_rng(0).permutation(len(trials))
    listed = pairs(trials)
    shuffled = Trials.of(
        (trials.models[listed[i][0]], trials.tests[listed[i][1]], -1) for i in order
    )
    for n_workers in (1, 2, 8):
        many = score_trials(voices, frames, shuffled, n_workers=n_workers, options=options)
        np.testing.assert_array_equal(many.scores, one[order])


@pytest.fixture
def written(tmp_path):
    """Give the place of a table whose scoring was interrupted after three batches."""
    out = tmp_path / "scores.tsv"
    with suppress(Stop), ScoreJournal(out) as journal:
        assert journal.begin("work") == 0
        journal._written = -np.inf
        journal.keep(np.array([[1.0, 2.0]]))
        journal.keep(np.array([3.0, np.nan]))
        raise Stop
    return out


def kept(out, mark="work"):
    with suppress(Stop), ScoreJournal(out) as journal:
        n = journal.begin(mark)
        found = journal.kept(n)
        journal.keep(np.array([5.0]))
        raise Stop
    return found.tolist()


def test_a_journal_is_gone_on_with(written):
    assert str(kept(written)) == "[1.0, 2.0, 3.0, nan]"
    assert str(kept(written)) == "[1.0, 2.0, 3.0, nan, 5.0]"
    assert kept(written, "other work") == []
    assert kept(written, "other work") == [5.0]
    with ScoreJournal(written) as journal:
        journal.begin("other work")
    assert not journal.path.exists()


def test_a_damaged_journal_is_gone_on_with_from_before_the_damage(written):
    path = written.with_suffix(".tsv.partial")
    content = path.read_bytes()
    path.write_bytes(content[:-3])  # what was being written
    assert kept(written) == [1.0, 2.0]
    path.write_bytes(content[:-1] + b"x")  # a bit that flipped
    assert kept(written) == [1.0, 2.0]
    assert kept(written) == [1.0, 2.0, 5.0]
    at = content.index(b"}\t") + 13  # within the scores after the first line and its checksum
    path.write_bytes(content[:at] + b"x" + content[at + 1 :])
    assert kept(written) == []
    header, first, second = (content.index(b"{", n) for n in (0, 1, at))
    for entries in (content[second:], content[first:second] + content[first:]):
        path.write_bytes(content[header:first] + entries)  # one is missing, or stands twice
        assert kept(written) == ([] if entries == content[second:] else [1.0, 2.0])


def test_what_is_no_journal_is_not_touched(written):
    path = written.with_suffix(".tsv.partial")
    path.write_text("my notes")
    message = "stands where unfinished scores are kept, and is none; move it"
    with pytest.raises(VoicegmmError, match=message), ScoreJournal(written) as journal:
        journal.begin("work")
    assert path.read_text() == "my notes"
    with suppress(Stop), ScoreJournal(written):
        raise Stop  # before it is known what is to be done
    assert path.read_text() == "my notes"


def test_one_at_a_time(written):
    with (
        ScoreJournal(written),
        pytest.raises(InUseError, match="another process is making the same scores; wait for it"),
    ):
        ScoreJournal(written)


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on(tmp_path):
    rng = np.random.default_rng(1)
    gmm = small_speakers.draw_gmm(rng, n_components=256, n_dims=60, far=1.0)
    speakers, _ = small_speakers.draw_speakers(rng, gmm, n_speakers=80)
    with new_store(tmp_path / "f.h5", Pipeline(PipelineOptions())) as writer:
        for number in range(40):
            writer.add(f"t{number}", frame_set(sample(gmm, 500, rng)[0]))
    save_voices(tmp_path / "s.h5", Voices(speakers))
    trials = Trials.of((m, f"t{t}", -1) for t in range(40) for m in speakers.ids)
    write_trials(tmp_path / "t.tsv", trials)

    def command(out, workers):
        names = ["s.h5", "f.h5", "--trials", "t.tsv", "-o", out, "--workers", str(workers)]
        return [sys.executable, "-m", "voicegmm", "score", *names]

    def run(out, workers):
        done = subprocess.run(
            command(out, workers),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr, (tmp_path / out).read_bytes()

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    _, whole = run("whole.tsv", 2)
    partial = tmp_path / "killed.tsv.partial"
    killed = subprocess.Popen(
        command("killed.tsv", 1), cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    )
    while killed.poll() is None and not (partial.exists() and partial.stat().st_size > 1000):
        time.sleep(0.01)
    assert killed.poll() is None, "it ended before it could be killed"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed.tsv").exists()
    said, resumed = run("killed.tsv", 2)
    assert resumed == whole
    assert "an interrupted scoring goes on after" in said
    assert not partial.exists()
