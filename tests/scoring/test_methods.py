"""All methods of scoring through one seam: lists of trials, calibration, files, the command."""

import msgspec
import numpy as np
import pytest
import small_speakers
from click.testing import CliRunner
from forging import altered
from hypothesis import given
from hypothesis import strategies as st
from small_speakers import frame_set

from voicegmm._base.errors import MismatchError, OptionError
from voicegmm.bank import VoiceBank
from voicegmm.cli.commands import voicegmm as command
from voicegmm.corpus import Trials
from voicegmm.corpus.trials import write_trials
from voicegmm.experiment import load_recipe, run_recipe
from voicegmm.features import Pipeline, PipelineOptions
from voicegmm.mixture import (
    EmOptions,
    InitialOptions,
    MapOptions,
    accumulate,
    density,
    sample,
)
from voicegmm.scoring import (
    Calibration,
    FoldOptions,
    MemoryFrames,
    ScoringOptions,
    Status,
    UbmOptions,
    Voices,
    linear_scores,
    log_likelihood_ratios,
    read_scores,
    rehearse,
    score_trials,
)
from voicegmm.scoring.options import METHODS
from voicegmm.store import load_voices, new_store, save_voices

ALL = [ScoringOptions(method) for method in METHODS]
IDS = list(METHODS)


@pytest.fixture(scope="module")
def world():
    """Speakers of 60 dimensions, as the default front end has, and recordings of theirs."""
    rng = np.random.default_rng(2)
    gmm = small_speakers.draw_gmm(rng, n_components=5, n_dims=60, far=1.0)
    speakers, each = small_speakers.draw_speakers(rng, gmm, n_speakers=20)
    sets = {}
    for number in range(20):
        frames = sample(gmm, int(rng.integers(20, 60)), rng)[0]
        own = (each[number].mean(axis=0) - each[0].mean(axis=0)) if number % 2 else 0.0
        weights = rng.uniform(0.2, 1, len(frames)) if number % 3 == 0 else None
        sets[f"t{number}"] = frame_set(frames + own, weights)
    failures = {"bad": Status("no speech", "bad: silence; record again")}
    return Voices(speakers), MemoryFrames(PipelineOptions(), sets, failures)


def dense(voices, frames):
    return Trials.of((m, t, -1) for t in frames.ids for m in voices.speakers.ids)


def sparse(voices, frames):
    rng = np.random.default_rng(1)
    every = [(m, t, -1) for t in frames.ids for m in voices.speakers.ids[3:]]
    return Trials.of(every[i] for i in rng.permutation(len(every))[:70])


@pytest.mark.parametrize("options", ALL, ids=IDS)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("listed", [dense, sparse])
def test_a_list_of_trials_is_scored_as_each_test_alone(
    world, monkeypatch, options, compiled, listed
):
    voices, frames = world
    trials = listed(voices, frames)
    alone = {
        test: log_likelihood_ratios(voices.speakers, *frames.read([test]), options=options)
        for test in frames.sets
    }
    if compiled:
        monkeypatch.setattr(density, "FUSED_FROM", 0)
    table = score_trials(voices, frames, trials, options=options)
    for model, test, score in zip(trials.model_index, trials.test_index, table.scores, strict=True):
        name = trials.tests[test]
        if name == "bad":
            assert np.isnan(score)
            continue
        expected = alone[name][voices.speakers.index(trials.models[model])]
        assert score == pytest.approx(expected, rel=2e-4, abs=2e-4)
    assert {table.statuses[i] for i in np.flatnonzero(~table.scored)} == {"no speech"}


@pytest.mark.parametrize("options", ALL, ids=IDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_workers_give_the_same_bits(world, monkeypatch, options, compiled):
    if compiled:
        monkeypatch.setattr(density, "FUSED_FROM", 0)
    voices, frames = world
    for trials in (dense(voices, frames), sparse(voices, frames)):
        one = score_trials(voices, frames, trials, options=options).scores
        for n_workers in (2, 5):
            many = score_trials(voices, frames, trials, n_workers=n_workers, options=options)
            np.testing.assert_array_equal(many.scores, one)


@pytest.mark.parametrize("options", ALL, ids=IDS)
def test_frames_that_may_not_be_written_to(world, monkeypatch, options):
    voices, frames = world
    data = frames.sets["t4"].frames.copy()
    expected = log_likelihood_ratios(voices.speakers, data, options=options)
    data.flags.writeable = False
    monkeypatch.setattr(density, "FUSED_FROM", 0)
    found = log_likelihood_ratios(voices.speakers, data, options=options)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
    gmm = voices.speakers.background.gmm  # the E-step's loops take them too
    exact = accumulate(gmm, data.astype(float)).log_likelihood
    assert accumulate(gmm, data).log_likelihood == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("method", ["exact", "top", "linear"])
def test_without_length_normalization_scores_are_sums(world, method):
    voices, frames = world
    trials = dense(voices, frames)
    per_frame = score_trials(voices, frames, trials, options=ScoringOptions(method)).scores
    options = ScoringOptions(method, length_normalization=False)
    sums = score_trials(voices, frames, trials, options=options).scores
    lengths = [float(one.weights.sum()) for one in frames.sets.values()] + [np.nan]
    expected = per_frame * np.array(lengths)[trials.test_index]
    np.testing.assert_allclose(sums, expected, rtol=1e-6)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([MapOptions(relevance=8), MapOptions(rule="fixed", alpha=0.3)]),
)
def test_symmetric_scores_do_not_ask_who_was_enrolled(seed, adaptation):
    rng = np.random.default_rng(seed)
    gmm = small_speakers.draw_gmm(rng, far=5.0)
    speakers, each = small_speakers.draw_speakers(rng, gmm, adaptation=adaptation)
    symmetric = ScoringOptions("symmetric")
    scores = np.array([log_likelihood_ratios(speakers, x, options=symmetric) for x in each])
    np.testing.assert_allclose(scores, scores.T, rtol=1e-4, atol=1e-5)
    statistics = [accumulate(gmm, frames) for frames in each]
    forward = linear_scores(gmm, speakers.means, statistics)
    np.testing.assert_allclose(scores, (forward + forward.T) / 2, rtol=1e-4, atol=1e-5)


def test_every_method_knows_the_speakers(world):
    voices, _ = world
    rng = np.random.default_rng(5)
    gmm, speakers = voices.speakers.background.gmm, voices.speakers
    own = sample(gmm, 200, rng)[0] + (speakers.means[4] - gmm.means).mean(axis=0)
    for options in ALL:
        scores = log_likelihood_ratios(speakers, own.astype("f4"), options=options)
        assert scores[4] > np.median(scores)


def test_a_calibration_holds_for_the_method_it_was_learned_with(world, tmp_path):
    voices, frames = world
    trials = dense(voices, frames)
    linear = Voices(voices.speakers, Calibration(2.0, -1.0), scoring=ScoringOptions("linear"))
    table = score_trials(linear, frames, trials)
    by_name = score_trials(voices, frames, trials, options=ScoringOptions("linear"))
    np.testing.assert_array_equal(table.scores, by_name.scores)
    np.testing.assert_array_equal(table.llrs, 2 * table.scores - 1)
    with pytest.raises(
        MismatchError, match="learned from scores with method 'linear' and does not hold for 'top'"
    ):
        score_trials(linear, frames, trials, options=ScoringOptions("top"))
    ten = Voices(voices.speakers, Calibration(2.0, -1.0), scoring=ScoringOptions("top"))
    with pytest.raises(MismatchError, match="with n_top 10 and does not hold for 5"):
        score_trials(ten, frames, trials, options=ScoringOptions("top", 5))


def test_the_rehearsal_scores_as_in_earnest():
    rng = np.random.default_rng(3)
    sets, recordings = {}, {}
    for number in range(8):
        center = 0.4 * rng.standard_normal(60)
        recordings[f"s{number}"] = [f"s{number}/{take}" for take in range(3)]
        for file in recordings[f"s{number}"]:
            sets[file] = frame_set(center + 2 * rng.standard_normal((50, 60)))
    frames = MemoryFrames(PipelineOptions(), sets)
    arguments = (
        frames,
        recordings,
        FoldOptions(n_folds=2, min_speakers=4),
        UbmOptions(2, InitialOptions(50, 2), EmOptions(3)),
        MapOptions(),
    )
    exact = rehearse(*arguments, seed=1)
    linear = rehearse(*arguments, seed=1, scoring=ScoringOptions("linear"))
    np.testing.assert_array_equal(exact.test, linear.test)
    assert np.abs(exact.scores - linear.scores).max() > 1e-3
    assert np.corrcoef(exact.scores, linear.scores)[0, 1] > 0.5


@pytest.mark.slow
def test_a_recipe_chooses_the_method(voices, tmp_path):
    def run(*settings):
        settings = ("ubm.n_components=8", "ubm.em.n_iterations=3", *settings)
        done = run_recipe(load_recipe("demo", settings), voices, tmp_path / "run")
        stages = done.results["stages"]
        return [name for name, stage in stages.items() if stage["skipped"]]

    assert run("scoring.method=linear") == []
    assert load_voices(tmp_path / "run" / "speakers.h5").scoring == ScoringOptions("linear")
    linear = read_scores(tmp_path / "run" / "scores.tsv")
    assert linear.llrs is not None
    again = run("scoring.method=top", "scoring.n_top=3")
    assert again == ["features", "background model"]
    assert load_voices(tmp_path / "run" / "speakers.h5").scoring == ScoringOptions("top", 3)
    top = read_scores(tmp_path / "run" / "scores.tsv")
    assert not np.allclose(top.scores, linear.scores)


def test_the_method_stays_with_the_voices(world, tmp_path):
    voices, frames = world
    path = tmp_path / "speakers.h5"
    top = Voices(voices.speakers, Calibration(2.0, -1.0), scoring=ScoringOptions("top", 3))
    save_voices(path, top)
    assert load_voices(path).scoring == ScoringOptions("top", 3)
    bank = VoiceBank(load_voices(path))
    made = frames.sets["t1"]
    (first, *_) = bank._ranking(made)
    expected = log_likelihood_ratios(
        voices.speakers, made.frames, made.weights, options=ScoringOptions("top", 3)
    )
    assert first.score == expected.max()
    with altered(path) as file:  # as files were before there was a choice
        judgment = msgspec.json.decode(file.attrs["judgment"])
        del judgment["scoring"]
        file.attrs["judgment"] = msgspec.json.encode(judgment).decode()
    assert load_voices(path).scoring == ScoringOptions()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"method": "lineal"},
            r"method must be one of .*; got 'lineal' \(did you mean 'linear'\?\)",
        ),
        ({"method": "exact", "n_top": 5}, "n_top must not be given with the method 'exact', got 5"),
        (
            {"method": "kl", "length_normalization": False},
            "length_normalization must be true with the method 'kl'",
        ),
    ],
)
def test_options_that_cannot_work(arguments, message):
    with pytest.raises(OptionError, match=message):
        ScoringOptions(**arguments)


def test_the_command(world, tmp_path):
    voices, frames = world
    store, speakers, trials, out = (
        str(tmp_path / name) for name in ("f.h5", "s.h5", "t.tsv", "o.tsv")
    )
    with new_store(store, Pipeline(PipelineOptions())) as writer:
        for name, made in frames.sets.items():
            writer.add(name, made)
    save_voices(speakers, voices)
    listed = Trials.of((m, t, -1) for t in frames.sets for m in voices.speakers.ids)
    write_trials(trials, listed)
    for flags, options in (
        ([], ScoringOptions()),
        (["--method", "top", "--top", "2"], ScoringOptions("top", 2)),
        (
            ["--method", "linear", "--no-length-normalization"],
            ScoringOptions("linear", length_normalization=False),
        ),
    ):
        run = CliRunner().invoke(
            command, ["score", speakers, store, "--trials", trials, "-o", out, *flags]
        )
        assert run.exit_code == 0, run.output
        found = read_scores(out)
        expected = score_trials(voices, frames, found.trials, options=options)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6, atol=1e-9)
