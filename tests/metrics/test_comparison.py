"""Two systems on the same trials."""

import json

import numpy as np
import pytest
from test_evaluation import trials_of

from voicegmm import metrics
from voicegmm._base.errors import DataError

SPEAKERS = ("target_speakers", "nontarget_model_speakers", "nontarget_test_speakers")


def pair_of(rng, n_speakers=25, gain=0.0, noise=0.5):
    """A system, and another that adds noise of its own and `gain` to the targets."""
    trials = trials_of(n_speakers, 2, rng, 1.0)
    first = trials["targets"], trials["nontargets"]
    second = (
        first[0] + gain + rng.normal(0, noise, len(first[0])),
        first[1] + rng.normal(0, noise, len(first[1])),
    )
    return first, second, [trials[name] for name in SPEAKERS]


def test_figures_are_those_of_evaluate():
    first, second, speakers = pair_of(np.random.default_rng(0))
    found = metrics.compare(first, second, *speakers, n_bootstrap=40)
    for side, scores in (("first", first), ("second", second)):
        alone = metrics.evaluate(*scores).metrics
        assert list(found.metrics) == list(alone)
        for name, difference in found.metrics.items():
            assert getattr(difference, side) == pytest.approx(alone[name].value, rel=1e-12)
    for difference in found.metrics.values():
        assert difference.difference == difference.second - difference.first
        assert difference.low <= difference.difference <= difference.high
        assert 0 < difference.p_value <= 1
    assert (found.n_speakers, found.n_replicates, found.warnings) == (25, 40, ())
    assert metrics.compare(first, second, *speakers, n_bootstrap=40) == found


def test_replicates_draw_the_same_speakers_for_both():
    # Half the scores of one system are another's plus 1: the order is the same, each replicate too.
    first, _, speakers = pair_of(np.random.default_rng(1))
    moved = tuple(0.5 * scores + 1 for scores in first)
    found = metrics.compare(first, moved, *speakers, n_bootstrap=30).metrics
    for name in ("eer", "min_dcf_0.01", "min_cllr", "auc"):
        assert abs(found[name].low) < 1e-12
        assert abs(found[name].high) < 1e-12
    assert found["eer"].p_value == 1.0
    assert found["cllr"].difference != 0


def test_a_true_difference_is_found_and_a_paired_test_finds_it_sooner():
    first, second, speakers = pair_of(np.random.default_rng(2), gain=0.8)
    found = metrics.compare(first, second, *speakers, n_bootstrap=200).metrics["auc"]
    assert found.difference > 0
    assert found.low > 0
    assert found.p_value < 0.03
    named = dict(zip(SPEAKERS, speakers, strict=True))
    wide = metrics.evaluate(*second, **named, n_bootstrap=200).metrics["auc"]
    assert found.high - found.low < 0.7 * (wide.high - wide.low)


@pytest.mark.slow
def test_equal_systems_are_told_apart_as_rarely_as_promised():
    n_runs, n_found = 100, 0
    for run in range(n_runs):
        rng = np.random.default_rng(run)
        trials = trials_of(30, 2, rng, 1.0)
        noisy = [
            tuple(
                trials[kind] + rng.normal(0, 0.7, len(trials[kind]))
                for kind in ("targets", "nontargets")
            )
            for _ in range(2)
        ]
        speakers = [trials[name] for name in SPEAKERS]
        found = metrics.compare(*noisy, *speakers, n_bootstrap=99, operating_points=()).metrics
        n_found += found["auc"].p_value <= 0.05
    # 5 wanted.
    assert n_found <= 11


def test_what_cannot_be_compared():
    first, second, speakers = pair_of(np.random.default_rng(3), n_speakers=5)
    with pytest.raises(DataError, match="nontargets must be the same trials for both systems"):
        metrics.compare(first, (second[0], second[1][1:]), *speakers)
    endless = metrics.compare(first, (-np.inf + 0 * first[0], second[1]), *speakers, n_bootstrap=9)
    assert endless.metrics["cllr"].second == np.inf
    assert endless.metrics["cllr"].p_value == 0.2
    mapping = json.loads(json.dumps(endless.to_mapping(), allow_nan=False))
    assert mapping["metrics"]["cllr"]["difference"] is None
    assert mapping["n_replicates"] == 9
    (line,) = metrics.compare(first, second, *speakers, n_bootstrap=9).warnings
    assert line.startswith("only 5 speakers: intervals and p-values")
    with pytest.raises(DataError, match="with 2 speakers most resamplings"):
        metrics.compare(([1.0], [0.0]), ([1.0], [0.0]), [0], [0], [1], n_bootstrap=9)
