"""CLEAR MOT and IDF1: py-motmetrics' numbers, brute force, an example by hand, laws."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegmm._base.errors import DataError, OptionError
from voicegmm.metrics import Sightings, clear_mot, idf1

seeds = st.integers(0, 2**32 - 1)


def sightings(rows):
    table = np.array(rows, float).reshape(len(rows), -1)
    return Sightings(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])


def scenario(seed, n_objects, noise, n_frames=25):
    """Objects that drift; hypotheses that miss, invent, change and exchange identities."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 6, (n_objects, 2))
    v = rng.normal(0, 0.3, (n_objects, 2))
    names, fresh = np.arange(n_objects) + 10, 100
    truth, found = [], []
    for t in range(n_frames):
        x = x + v
        for k in range(n_objects):
            if rng.random() < 0.9:
                truth.append((t, k, *x[k]))
            if rng.random() < 0.08:
                names[k], fresh = fresh, fresh + 1
        if rng.random() < 0.08:
            i, j = rng.choice(n_objects, 2, replace=False)
            names[[i, j]] = names[[j, i]]
        for k in range(n_objects):
            if rng.random() > 0.15:
                found.append((t, names[k], *(x[k] + rng.normal(0, noise, 2))))
        if rng.random() < 0.3:
            found.append((t, fresh, *rng.uniform(0, 6, 2)))
            fresh += 1
    return sightings(truth), sightings(found)


# From py-motmetrics 1.4.0 (MOTAccumulator.update on Euclidean distances, NaN beyond the threshold):
# num_objects, num_misses, num_false_positives, num_switches, mota, motp, idf1.
MOTMETRICS = [
    (
        (0, 2, 0.2, 0.5),
        (44, 5, 12, 6, 0.477272727272727, 0.253938333256459, 0.378947368421053),
    ),
    ((3, 5, 0.5, 1.25), (114, 20, 21, 12, 0.5350877192982456, 0.561949046673474, 0.48034934497)),
    ((8, 5, 0.3, 0.5), (115, 40, 43, 13, 0.16521739130434787, 0.27955538575008193, 0.317596566523)),
    ((17, 4, 0.5, 0.75), (93, 37, 47, 16, -0.0752688172043, 0.43964125131434956, 0.28571428571428)),
    (
        (30, 2, 0.4, 1.0),
        (44, 10, 16, 8, 0.227272727272727, 0.501934696570686, 0.340425531914894),
    ),
]


@pytest.mark.parametrize(("case", "wanted"), MOTMETRICS)
def test_the_counts_are_those_of_motmetrics(case, wanted):
    seed, n_objects, noise, threshold = case
    truth, found = scenario(seed, n_objects, noise)
    counts = clear_mot(truth, found, threshold)
    numbers = (
        counts.n_objects, counts.n_misses, counts.n_false_positives, counts.n_switches,
        counts.mota, counts.motp, idf1(truth, found, threshold),
    )  # fmt: skip
    np.testing.assert_allclose(numbers, wanted, rtol=1e-10)


def test_an_example_by_hand():
    # Two objects on a line, at 0 and 10; the threshold is 2.
    truth = sightings([(t, k, 10 * k) for t in range(4) for k in (0, 1)])
    found = sightings(
        [
            (0, 7, 1.0), (0, 8, 10.0),  # both matched: 7 to object 0, 8 to object 1
            (1, 7, 1.5), (1, 9, 0.5), (1, 8, 12.0),  # 7 is kept though 9 is nearer: 9 is false
            (2, 9, 0.5), (2, 8, 13.0),  # 9 takes object 0: a switch; 8 is too far: miss and false
            (3, 8, 10.0),  # object 0 is missed; 8 is matched again, no switch
        ]
    )  # fmt: skip
    counts = clear_mot(truth, found, 2.0)
    assert (counts.n_objects, counts.n_matches) == (8, 6)
    assert (counts.n_misses, counts.n_false_positives, counts.n_switches) == (2, 2, 1)
    assert counts.total_distance == 1.0 + 0.0 + 1.5 + 2.0 + 0.5 + 0.0
    assert counts.mota == 1 - 5 / 8
    assert counts.motp == 5 / 6
    # Object 0 with 7 or with 9 (2 frames either way), object 1 with 8 (3 frames).
    assert idf1(truth, found, 2.0) == 2 * 5 / (8 + 8)


def brute_force_frame(distances):
    """Give (number of pairs, least sum) of one frame without a past, all matchings tried."""
    n, m = distances.shape
    wide = np.full((n, m + n), np.inf)  # a column for each object to stay alone in
    wide[:, :m] = distances
    best = (0, 0.0)
    for columns in permutations(range(m + n), n):
        chosen = wide[range(n), columns]
        kept = chosen[np.isfinite(chosen)]
        best = max(best, (len(kept), -kept.sum()))
    return best[0], -best[1]


@given(seeds, st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=30)
def test_a_frame_without_a_past_is_matched_as_brute_force_does(seed, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 3, (n, 2)), rng.uniform(0, 3, (m, 2))
    distances = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    n_pairs, total = brute_force_frame(np.where(distances > 1.2, np.inf, distances))
    truth = sightings([(0, k, *x[k]) for k in range(n)])
    found = Sightings(np.zeros(m, int), np.arange(m), y)
    counts = clear_mot(truth, found, 1.2)
    assert (counts.n_matches, counts.n_misses) == (n_pairs, n - n_pairs)
    assert counts.n_false_positives == m - n_pairs
    np.testing.assert_allclose(counts.total_distance, total)


@given(seeds)
@settings(max_examples=20)
def test_identities_are_only_names_and_frames_come_in_any_order(seed):
    rng = np.random.default_rng(seed)
    truth, found = scenario(seed, 3, 0.4, n_frames=10)
    names = rng.permutation(1000)
    order = rng.permutation(found.n_rows)
    renamed = Sightings(
        found.times[order], names[found.identities[order]], found.positions[order] + 5
    )
    moved = Sightings(truth.times, truth.identities, truth.positions + 5)
    one, other = clear_mot(truth, found, 1.0), clear_mot(moved, renamed, 1.0)
    np.testing.assert_allclose(one.total_distance, other.total_distance)
    assert (one.n_misses, one.n_switches) == (other.n_misses, other.n_switches)
    assert idf1(truth, found, 1.0) == idf1(moved, renamed, 1.0) == idf1(found, truth, 1.0)


def test_the_truth_itself_is_perfect_and_nothing_at_all_is_zero():
    truth, _ = scenario(1, 3, 0.1)
    perfect = clear_mot(truth, truth, 0.1)
    assert (perfect.mota, perfect.motp, idf1(truth, truth, 0.1)) == (1, 0, 1)
    nothing = Sightings(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 2)))
    empty = clear_mot(truth, nothing, 0.1)
    assert (empty.mota, empty.n_misses, idf1(truth, nothing, 0.1)) == (0, truth.n_rows, 0)
    assert np.isnan(empty.motp)


def test_what_cannot_be_is_refused():
    place = np.zeros((2, 1))
    with pytest.raises(DataError, match="identity 5 is in frame 3 more than once"):
        Sightings(np.array([3, 3]), np.array([5, 5]), place)
    with pytest.raises(DataError, match=r"times must be \(2,\)"):
        Sightings(np.array([3]), np.array([5, 6]), place)
    with pytest.raises(DataError, match="identities must be whole numbers"):
        Sightings(np.array([3, 4]), np.array([5.0, 6.0]), place)
    one = Sightings(np.array([3, 4]), np.array([5, 6]), place)
    flat = Sightings(np.array([3, 4]), np.array([5, 6]), np.zeros((2, 2)))
    with pytest.raises(DataError, match="hypotheses must have 1 dimensions"):
        clear_mot(one, flat, 1.0)
    with pytest.raises(OptionError, match="threshold must be greater than 0"):
        clear_mot(one, one, 0.0)
    none = Sightings(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 1)))
    with pytest.raises(DataError, match="truth must hold at least one sighting"):
        idf1(none, one, 1.0)
