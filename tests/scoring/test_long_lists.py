"""Lists that are worked on in parts: the same table as at once, in memory that does not grow."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import small_speakers
from small_speakers import frame_set

from voicegmm._base.errors import ListError
from voicegmm.corpus import (
    Trials,
    long_lists,
    n_parts_of,
    parts_folder,
    read_trials,
    split_trials,
    write_trials,
)
from voicegmm.features import PipelineOptions
from voicegmm.mixture import sample
from voicegmm.scoring import (
    Calibration,
    MemoryFrames,
    ScoreNormalizationOptions,
    ScoringOptions,
    Status,
    UbmOptions,
    Voices,
    make_cohort,
    read_scores,
    score_long_list,
    score_trials,
    write_scores,
)
from voicegmm.store import ScoreJournal
from voicegmm.store import score_journal as journals


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(5)
    gmm = small_speakers.draw_gmm(rng, n_components=4, n_dims=60, far=1.0)
    speakers, _ = small_speakers.draw_speakers(rng, gmm, n_speakers=7)
    # In single precision batches of another size round otherwise: how much hangs on the processor.
    background = replace(speakers.background, options=UbmOptions(precision="double"))
    speakers = replace(speakers, background=background)
    sets = {f"t {i}": frame_set(sample(gmm, 20 + i, rng)[0]) for i in range(25)}
    own = {f"c{i}/{k}": frame_set(sample(gmm, 30, rng)[0]) for i in range(3) for k in range(2)}
    failures = {"bad": Status("no speech", "bad: silence; record again")}
    frames = MemoryFrames(PipelineOptions(), sets | own, failures)
    recordings = {f"c{i}": [f"c{i}/0", f"c{i}/1"] for i in range(3)}
    normalized = ScoringOptions("linear", normalization=ScoreNormalizationOptions("s"))
    cohort = make_cohort(speakers, frames, recordings, 1, normalized)
    voices = Voices(
        speakers,
        cohort=cohort,
        scoring=normalized,
        not_enrolled={"late": "late: too little speech"},
        calibration=Calibration(2.0, -1.0),
    )
    return voices, frames


@pytest.fixture
def listed(world, tmp_path):
    voices, _ = world
    rng = np.random.default_rng(1)
    tests = [f"t {i}" for i in range(25)] + ["bad"]
    rows = [(m, t, int(m[-1] == t[-1])) for m in (*voices.speakers.ids, "late") for t in tests]
    path = tmp_path / "trials.tsv"
    write_trials(path, Trials.of([rows[i] for i in rng.permutation(len(rows))]))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[3], *lines[8:10], ""]))  # three stand twice
    return path


def scored(world, parts, out, **more):
    voices, frames = world
    return score_long_list(voices, frames, parts, out, ScoreJournal, **more)


@pytest.mark.parametrize("n_parts", [1, 4, 60])
def test_parts_give_the_table_of_the_whole(world, listed, tmp_path, n_parts):
    voices, frames = world
    trials = read_trials(listed)
    whole = score_trials(voices, frames, trials)
    out, done = tmp_path / "scores.tsv", []
    with parts_folder(out) as folder:
        parts = split_trials(listed, folder, n_parts)
        found = scored(world, parts, out, progress=done.append)
    assert not folder.exists()
    table = read_scores(out)
    write_scores(tmp_path / "whole.tsv", whole)
    expected = (tmp_path / "whole.tsv").read_text().splitlines()
    assert [line.split("\t")[:3] for line in out.read_text().splitlines()] == [
        line.split("\t")[:3] for line in expected
    ]
    assert (table.statuses, table.reasons) == (whole.statuses, whole.reasons)
    np.testing.assert_allclose(table.scores, whole.scores, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(table.llrs, whole.llrs, rtol=1e-5, atol=1e-5)
    assert (found.n_trials, found.n_scored) == (len(whole), int(whole.scored.sum()))
    assert found.n_duplicates == trials.n_duplicates == 3
    assert found.failures() == whole.failures()
    assert done[-1] == len(whole)
    assert done == sorted(done)


class Stop(BaseException):
    """As Ctrl-C."""


@pytest.mark.parametrize("before", [10, 90, 150])
def test_an_interrupted_list_goes_on_and_ends_with_the_same_bytes(
    world, listed, tmp_path, monkeypatch, before
):
    monkeypatch.setattr(journals, "_SECONDS", 0.0)

    def stop(done):
        if done >= before:
            raise Stop

    whole, out = tmp_path / "whole.tsv", tmp_path / "scores.tsv"
    for path, progress in ((whole, None), (out, stop), (out, None)):
        with suppress(Stop), parts_folder(path) as folder:
            scored(world, split_trials(listed, folder, 5), path, progress=progress)
        assert (
            progress is None
            or sorted(p.suffix for p in folder.iterdir())
            == [".partial"] * len(list(folder.iterdir()))
            != []
        )
    assert out.read_bytes() == whole.read_bytes()
    assert not folder.exists()


def test_what_is_wrong_is_said_of_the_whole_list(world, listed, tmp_path):
    out = tmp_path / "scores.tsv"
    text = listed.read_text()
    listed.write_text(text + "s0\tt 99\ttarget\ns98\tt 1\ttarget\ns99\tt 2\ttarget\n")
    with (
        pytest.raises(ListError, match=r"names 2 models .*: s98, s99; 1 tests .*: t 99\."),
        parts_folder(out) as folder,
    ):
        scored(world, split_trials(listed, folder, 3), out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trials.tsv"]
    model, test, label = text.splitlines()[1].split("\t")
    other = "nontarget" if label == "target" else "target"
    listed.write_text(f"{text}{model}\t{test}\t{other}\n")
    with (
        pytest.raises(ListError, match=rf"^{listed}: the trial of .* stands with both labels"),
        parts_folder(out) as folder,
    ):
        scored(world, split_trials(listed, folder, 3), out)
    listed.write_text(text + "one field\n")
    with (
        pytest.raises(ListError, match=rf"^{listed}: line 213: expected model<TAB>test<TAB>label"),
        parts_folder(out) as folder,
    ):
        split_trials(listed, folder, 3)


def test_the_length_of_a_list_decides(listed, tmp_path, monkeypatch):
    assert n_parts_of(listed) == 1
    assert n_parts_of(tmp_path / "nowhere") == 1
    monkeypatch.setattr(long_lists, "PART_BYTES", 1000)
    assert n_parts_of(listed) == -(-listed.stat().st_size // 1000)
    monkeypatch.setattr(long_lists, "PART_BYTES", 1)
    assert n_parts_of(listed) == 512
