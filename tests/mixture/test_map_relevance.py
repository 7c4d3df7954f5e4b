"""The choice of a relevance factor: speech drawn with a known one, and the table by hand."""

import numpy as np
import pytest

from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture import (
    ArraySource,
    DiagonalGMM,
    MapOptions,
    RelevanceOptions,
    accumulate,
    adapt,
    choose_relevance,
    log_density,
    sample,
)


def speakers_of(relevance, n_speakers=30, n_frames=400, seed=0):
    """Draw speakers as MAP supposes them: each mean Gaussian about the prior's, v / relevance."""
    rng = np.random.default_rng(seed)
    gmm = DiagonalGMM(
        rng.dirichlet(np.full(6, 5.0)),
        6 * rng.standard_normal((6, 4)),
        rng.uniform(0.5, 2, (6, 4)),
    )
    speakers = []
    for _ in range(n_speakers):
        means = gmm.means + rng.standard_normal((6, 4)) * np.sqrt(gmm.variances / relevance)
        frames = sample(DiagonalGMM(gmm.weights, means, gmm.variances), n_frames, rng)[0]
        speakers.append(ArraySource(frames))
    return gmm, speakers


@pytest.mark.parametrize("true", [1.0, 16.0])
def test_the_relevance_that_speakers_were_drawn_with_is_found(true):
    gmm, speakers = speakers_of(true)
    options = RelevanceOptions(candidates=(0.0625, 1.0, 16.0, 256.0), n_folds=3)
    choice = choose_relevance(gmm, speakers, options, n_workers=2)
    assert choice.best == true
    assert choice.log_likelihoods.max() > choice.background.mean()
    assert choice.table.shape == (30, 4)


def test_the_table_by_hand():
    gmm, speakers = speakers_of(4.0, n_speakers=2, n_frames=50)
    weights = np.linspace(0.2, 1, 50)
    speakers = [speakers[0], ArraySource(speakers[1].frames, weights)]
    adaptation = MapOptions(variances=True, relevance_variances=20)
    choice = choose_relevance(gmm, speakers, RelevanceOptions((2.0, 9.0), 4), adaptation)
    for row, source in enumerate(speakers):
        w = np.ones(50) if source.weights is None else source.weights
        fold = np.searchsorted([12, 25, 37], np.arange(50), side="right")
        for column, relevance in enumerate((2.0, 9.0)):
            options = MapOptions(relevance, variances=True, relevance_variances=20)
            total = 0.0
            for out in range(4):
                x, held = source.frames, fold == out
                model = adapt(gmm, accumulate(gmm, x[~held], w[~held]), options)
                total += w[held] @ log_density(model, x[held])
            assert choice.table[row, column] == pytest.approx(total / w.sum(), rel=1e-12)
        background = w @ log_density(gmm, source.frames) / w.sum()
        assert choice.background[row] == pytest.approx(background, rel=1e-12)


def test_workers_do_not_change_a_bit():
    gmm, speakers = speakers_of(4.0, n_speakers=7, n_frames=40)
    one, many = (choose_relevance(gmm, speakers, n_workers=n) for n in (1, 3))
    np.testing.assert_array_equal(one.table, many.table)


def test_what_cannot_be_chosen_from_is_refused():
    gmm, speakers = speakers_of(4.0, n_speakers=2, n_frames=40)
    with pytest.raises(DataError, match="speaker 1 .* has 3 frames, at least 4 are needed"):
        choose_relevance(gmm, [speakers[0], ArraySource(speakers[1].frames[:3])])
    with pytest.raises(DataError, match="speaker 0 .* no frame of a weight above 0"):
        choose_relevance(gmm, [ArraySource(speakers[0].frames, np.zeros(40))])
    with pytest.raises(DataError, match="at least one"):
        choose_relevance(gmm, [])
    with pytest.raises(OptionError, match="rule must not be 'fixed'"):
        choose_relevance(gmm, speakers, adaptation=MapOptions(rule="fixed", alpha=0.5))
    with pytest.raises(OptionError, match="n_iterations must be 1"):
        choose_relevance(gmm, speakers, adaptation=MapOptions(n_iterations=2))
    with pytest.raises(OptionError, match="candidates must be at least one factor and differ"):
        RelevanceOptions(candidates=(1.0, 1.0))
    with pytest.raises(OptionError, match="relevance must be at least 0"):
        RelevanceOptions(candidates=(-1.0,))
    with pytest.raises(OptionError, match="n_folds must be at least 2, got 1"):
        RelevanceOptions(n_folds=1)
