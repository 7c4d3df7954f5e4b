"""Draws of the random start: systems of the same seed, folds and options but for their start."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from small_speakers import draw_recordings

from voicegmm._base.errors import OptionError
from voicegmm.experiment import load_recipe
from voicegmm.mixture import (
    EmOptions,
    InitialOptions,
    MapOptions,
    collector,
    fit,
    initialize,
    sample_frames,
)
from voicegmm.scoring import FoldOptions, UbmOptions, rehearse, train_background

UBM = UbmOptions(8, InitialOptions(50, 2), EmOptions(2))


@pytest.fixture(scope="module")
def frames_and_recordings():
    return draw_recordings(10, spread=0.4, seed=3)


def means(frames, seed, draw):
    files = [f"s{number}/0" for number in range(10)]
    return train_background(frames, files, replace(UBM, draw=draw), seed)[0].gmm.means


def test_a_draw_is_another_start_and_the_same_one_each_time(frames_and_recordings):
    frames, _ = frames_and_recordings
    found = {(seed, draw): means(frames, seed, draw) for seed in (0, 1) for draw in (0, 1, 2)}
    apart = [np.abs(a - b).max() for i, a in found.items() for j, b in found.items() if i < j]
    assert len(apart) == 15
    assert min(apart) > 0.1  # no draw of one seed is a draw of the other
    np.testing.assert_array_equal(means(frames, 1, 2), found[1, 2])


def test_the_first_draw_is_what_the_seed_alone_gives(frames_and_recordings):
    frames, _ = frames_and_recordings
    source = frames.source([f"s{number}/0" for number in range(10)])
    rng = np.random.default_rng(7)
    drawn = sample_frames(source, 50 * 8, rng)
    by_hand = fit(initialize(drawn, 8, rng, UBM.initial), collector(source), UBM.em)
    np.testing.assert_array_equal(means(frames, 7, 0), by_hand.gmm.means)


def test_draws_have_the_same_folds_and_trials(frames_and_recordings):
    frames, recordings = frames_and_recordings
    first, second = (
        rehearse(
            frames, recordings, FoldOptions(n_folds=2), replace(UBM, draw=draw), MapOptions(), 5
        )
        for draw in (0, 1)
    )
    for name in ("model", "voice", "fold", "test", "stranger", "targets"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.speakers == second.speakers
    assert np.abs(first.scores - second.scores).max() > 1e-3


def test_a_draw_that_cannot_be_is_refused():
    with pytest.raises(OptionError, match="draw must be at least 0, got -1"):
        UbmOptions(draw=-1)


def test_the_committee_is_of_systems_that_differ_in_nothing_but_their_draws():
    alone = load_recipe("isv-ratios-all-frames").recipe
    systems = load_recipe("isv-committee").recipe.systems.values()
    assert [system.ubm.draw for system in systems] == [0, 1, 2, 3]
    for system in systems:
        assert replace(system.ubm, draw=0) == alone.ubm
        for part in ("features", "backend", "adaptation", "scoring"):
            assert asdict(getattr(system, part)) == asdict(getattr(alone, part))
