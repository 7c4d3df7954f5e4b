"""Who speaks in the trials, when only the trial list is known."""

from typing import Any

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import IntArray
from voicegmm._base.errors import DataError


def infer_speakers(
    labels: npt.ArrayLike,
    models: npt.ArrayLike,
    tests: npt.ArrayLike,
    *,
    shared_names: bool = False,
) -> tuple[IntArray, IntArray]:
    """Infer speakers from the labels: a target trial says that its model and its test are one.

    Models and tests linked by target trials, also through one another, are one speaker. What is
    in no target trial is taken for a speaker of its own, so the speakers found can be more than
    there are, never fewer; intervals from them can then be somewhat too narrow.

    Parameters
    ----------
    labels : (n_trials,) array_like of bool
        True for a target trial.
    models, tests : (n_trials,) array_like of str or int
        The names in each trial.
    shared_names : bool
        Whether the same name as model and as test is the same recording, as in VoxCeleb's lists.

    Returns
    -------
    model_speakers, test_speakers : (n_trials,) int arrays
        Speaker numbers, from 0.

    Raises
    ------
    DataError
        For arrays of different length, no trials, or a non-target trial whose model and test are
        one speaker by the target trials: a contradiction in the list.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    is_target = np.asarray(labels, dtype=np.bool_)
    if not is_target.shape == np.shape(models) == np.shape(tests) or is_target.ndim != 1:
        raise DataError(
            "labels, models and tests must be vectors of one length, got shapes "
            f"{is_target.shape}, {np.shape(models)} and {np.shape(tests)}"
        )
    if not len(is_target):
        raise DataError("labels, models and tests must hold at least one trial, got none")
    if shared_names:
        model_nodes, test_nodes = number_names(models, tests)
        n_nodes = 1 + int(max(model_nodes.max(), test_nodes.max()))
    else:
        (model_nodes,), (test_nodes,) = number_names(models), number_names(tests)
        test_nodes = test_nodes + model_nodes.max() + 1
        n_nodes = 1 + int(test_nodes.max())
    links = (model_nodes[is_target], test_nodes[is_target])
    graph = coo_array((np.ones(len(links[0]), dtype=np.int8), links), shape=(n_nodes, n_nodes))
    _, speaker = connected_components(graph, directed=False)
    model_speakers: IntArray = speaker[model_nodes]
    test_speakers: IntArray = speaker[test_nodes]
    wrong = np.flatnonzero(~is_target & (model_speakers == test_speakers))
    if len(wrong):
        i = int(wrong[0])
        raise DataError(
            f"trial {i} (counting from 0) is labelled non-target, but target trials link its "
            f"model {np.asarray(models)[i]} and its test {np.asarray(tests)[i]} to one speaker "
            f"({len(wrong)} such trials)"
        )
    return model_speakers, test_speakers


def number_names(*names: npt.ArrayLike) -> tuple[IntArray, ...]:
    """Number the distinct values of several vectors together, from 0, in sorted order."""
    arrays = [np.asarray(some) for some in names]
    if all(_is_small(some) for some in arrays):
        # What are indices already, as nearly always, is looked up: a list may be very long.
        there = np.zeros(1 + max(int(some.max(initial=0)) for some in arrays), dtype=np.bool_)
        for some in arrays:
            there[some] = True
        number = np.cumsum(there) - 1
        return tuple(number[some] for some in arrays)
    _, numbers = np.unique(np.concatenate(arrays), return_inverse=True)
    return tuple(np.split(numbers, np.cumsum([len(some) for some in arrays])[:-1]))


def _is_small(names: npt.NDArray[Any]) -> bool:
    """Tell whether names are numbers from 0 to little more than there are of them."""
    return names.dtype.kind in "iu" and (
        not len(names) or (names.min() >= 0 and names.max() < 2 * len(names) + 1000)
    )


def check_speakers(name: str, speakers: npt.ArrayLike, n_scores: int) -> None:
    """Refuse speakers that are not a vector as long as the scores."""
    if np.shape(speakers) != (n_scores,):
        raise DataError(
            f"{name} must be a vector of {n_scores} speakers, one a score; got shape "
            f"{np.shape(speakers)}"
        )
