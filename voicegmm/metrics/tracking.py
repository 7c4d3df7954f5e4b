"""How well were moving things followed: the CLEAR MOT measures, and IDF1.

Bernardin and Stiefelhagen, "Evaluating multiple object tracking performance: the CLEAR MOT
metrics", EURASIP Journal on Image and Video Processing (2008): accuracy, precision, switches.
Ristani, Solera, Zou, Cucchiara, Tomasi, "Performance measures and a data set for multi-target,
multi-camera tracking", ECCV workshops (2016): IDF1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from voicegmm._base.arrays import Float64Array, IntArray, frozen
from voicegmm._base.checks import above, finite_frames
from voicegmm._base.errors import DataError


@dataclass(frozen=True, eq=False)
class Sightings:
    """Who was where and when: one row for each thing in each frame of time.

    Parameters
    ----------
    times : (n_rows,) array_like of int
        Number of the frame.
    identities : (n_rows,) array_like of int
        Which thing; once a frame at most.
    positions : (n_rows, n_dims) array_like
        Where, in any unit; finite.

    Raises
    ------
    DataError
        For arrays that do not fit together, or a thing that is twice in one frame.
    """

    times: IntArray
    identities: IntArray
    positions: Float64Array

    def __post_init__(self) -> None:
        positions = finite_frames(self.positions, name="positions")
        for name in ("times", "identities"):
            numbers = np.asarray(getattr(self, name))
            if numbers.shape != (len(positions),):
                raise DataError(
                    f"{name} must be ({len(positions)},), one a row of positions, "
                    f"got {numbers.shape}"
                )
            if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
                raise DataError(f"{name} must be whole numbers, got {numbers.dtype}")
            object.__setattr__(self, name, frozen(numbers, np.int64))
        object.__setattr__(self, "positions", frozen(positions, np.float64))
        pairs = np.stack([self.times, self.identities], axis=1)
        unique, counts = np.unique(pairs, axis=0, return_counts=True)
        if len(unique) < len(pairs):
            time, identity = unique[int(counts.argmax())]
            raise DataError(f"identity {identity} is in frame {time} more than once")

    @property
    def n_rows(self) -> int:
        """Number of sightings."""
        return len(self.times)


@dataclass(frozen=True)
class ClearMot:
    """What the CLEAR MOT measures count.

    Parameters
    ----------
    n_objects : int
        True sightings, all frames together.
    n_matches : int
        Of them, those that a hypothesis was matched to.
    n_misses : int
        Those that none was.
    n_false_positives : int
        Hypotheses that no object was matched to.
    n_switches : int
        Matches to another hypothesis than the object's last.
    total_distance : float
        Sum of the distances of the matches.
    """

    n_objects: int
    n_matches: int
    n_misses: int
    n_false_positives: int
    n_switches: int
    total_distance: float

    @property
    def mota(self) -> float:
        """Accuracy, 1 - (misses + false positives + switches) / objects: 1 at best, can be < 0."""
        wrong = self.n_misses + self.n_false_positives + self.n_switches
        return 1.0 - wrong / self.n_objects

    @property
    def motp(self) -> float:
        """Precision: the mean distance of the matches, in the positions' unit; NaN for none."""
        return self.total_distance / self.n_matches if self.n_matches else float("nan")


def clear_mot(truth: Sightings, hypotheses: Sightings, threshold: float) -> ClearMot:
    """Count matches, misses, false positives and identity switches.

    Frame by frame, an object keeps the hypothesis it was last matched to while the two are within
    the threshold, whoever else is nearer; the others are matched so that there are as many pairs
    as can be, then with the least sum of distances. (Where two objects were last matched to one
    hypothesis, the one of the lower identity keeps it.)

    Parameters
    ----------
    truth, hypotheses : Sightings
    threshold : float
        The greatest distance of a match, in the positions' unit; above 0.

    Returns
    -------
    ClearMot

    Raises
    ------
    DataError
        For a truth without rows, or positions of different dimensions.

    References
    ----------
    Bernardin and Stiefelhagen (2008), section 2.1.3. The same as py-motmetrics, whose distance
    matrix holds NaN beyond the threshold.
    """
    last: dict[int, int] = {}
    n_matches = n_switches = 0
    total = 0.0
    for objects, found, distances in _by_frame(truth, hypotheses, threshold):
        kept = _kept(last, objects, found, distances)
        free = distances.copy()
        rows, columns = list(kept), list(kept.values())
        free[rows, :] = np.inf
        free[:, columns] = np.inf
        fresh = _assigned(free)
        for row, column in (*kept.items(), *fresh):
            identity, hypothesis = int(objects[row]), int(found[column])
            n_switches += last.get(identity, hypothesis) != hypothesis
            last[identity] = hypothesis
            n_matches += 1
            total += float(distances[row, column])
    return ClearMot(
        n_objects=truth.n_rows,
        n_matches=n_matches,
        n_misses=truth.n_rows - n_matches,
        n_false_positives=hypotheses.n_rows - n_matches,
        n_switches=n_switches,
        total_distance=total,
    )


def idf1(truth: Sightings, hypotheses: Sightings, threshold: float) -> float:
    """Compute the F1 of identities: of one fixed pairing of objects and hypotheses, the best.

    Each object is paired with one hypothesis at most, for all time, so that they are within the
    threshold as often as can be; IDF1 = 2 IDTP / (rows of the truth + rows of the hypotheses).

    Parameters
    ----------
    truth, hypotheses : Sightings
    threshold : float
        As in `clear_mot`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        For a truth without rows, or positions of different dimensions.

    References
    ----------
    Ristani et al. (2016), eqs. 7 to 9.
    """
    from scipy.optimize import linear_sum_assignment

    objects, found = np.unique(truth.identities), np.unique(hypotheses.identities)
    together = np.zeros((len(objects), len(found)))
    for rows, columns, distances in _by_frame(truth, hypotheses, threshold):
        here = np.ix_(np.searchsorted(objects, rows), np.searchsorted(found, columns))
        together[here] += np.isfinite(distances)
    pairs = linear_sum_assignment(together, maximize=True)
    return float(2 * together[pairs].sum() / (truth.n_rows + hypotheses.n_rows))


def _by_frame(
    truth: Sightings, hypotheses: Sightings, threshold: float
) -> Iterator[tuple[IntArray, IntArray, Float64Array]]:
    """Give the identities of each frame, in rising order, and distances; inf beyond threshold."""
    above("threshold", threshold, 0)
    if not truth.n_rows:
        raise DataError("truth must hold at least one sighting, got none")
    if hypotheses.n_rows and truth.positions.shape[1] != hypotheses.positions.shape[1]:
        raise DataError(
            f"hypotheses must have {truth.positions.shape[1]} dimensions as the truth has, "
            f"got {hypotheses.positions.shape[1]}"
        )
    for time in np.unique(np.concatenate([truth.times, hypotheses.times])):
        (objects, places), (found, elsewhere) = _at(truth, time), _at(hypotheses, time)
        distances = np.full((len(objects), len(found)), np.inf)
        if distances.size:
            distances = np.linalg.norm(places[:, None] - elsewhere, axis=2)
            distances[distances > threshold] = np.inf
        yield objects, found, distances


def _at(sightings: Sightings, time: int) -> tuple[IntArray, Float64Array]:
    here = np.flatnonzero(sightings.times == time)
    here = here[sightings.identities[here].argsort()]
    return sightings.identities[here], sightings.positions[here]


def _kept(
    last: dict[int, int], objects: IntArray, found: IntArray, distances: Float64Array
) -> dict[int, int]:
    """Give row -> column of the pairs that stay as they last were."""
    columns = {int(hypothesis): column for column, hypothesis in enumerate(found)}
    kept: dict[int, int] = {}
    for row, identity in enumerate(objects.tolist()):
        column = columns.get(last[identity]) if identity in last else None
        if column is not None and np.isfinite(distances[row, column]):
            kept[row] = columns.pop(int(found[column]))
    return kept


def _assigned(distances: Float64Array) -> list[tuple[int, int]]:
    """Pair rows with columns: as many finite pairs as can be, then the least sum."""
    from scipy.optimize import linear_sum_assignment

    allowed = np.isfinite(distances)
    if not allowed.any():
        return []
    # One forbidden pair costs more than all allowed ones together.
    forbidden = 1.0 + 2.0 * distances[allowed].max() * min(distances.shape)
    rows, columns = linear_sum_assignment(np.where(allowed, distances, forbidden))
    return [(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if allowed[r, c]]
