"""Session variability (ISV) and joint factor analysis (JFA): what a voice is, and what a day adds.

The means of recording h of a speaker, in deviations of the background model, are moved by

    V_k y + U_k x_h + z_k,    y, x_h ~ N(0, I),    z_k ~ N(0, I / relevance)

y and z are the speaker's, x_h the recording's. ISV has no V. Without V and U what is left is MAP
adaptation with that relevance (Vogt and Sridharan, "Explicit modelling of session variability for
speaker verification", Computer Speech and Language 22, 2008; Kenny, "Joint factor analysis of
speaker and session variability: theory and algorithms", CRIM-06/08-13, 2005).

The posterior is the exact one of all factors together. z leaves it in closed form: with n_h and f_h
the moments of recording h, n and f their sums over a speaker, and A_k = [V_k U_k],

    P_hh' = n_h (h = h') - n_h n_h' / (n + relevance),    g_h = f_h - n_h f / (n + relevance)

the factors w_h = [y x_h] have the exponent sum_h w_h' A' g_h - sum_hh' P_hh' w_h' A' A w_h' / 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import above, at_least
from voicegmm._base.errors import DataError, OptionError
from voicegmm._base.progress import Progress, silent
from voicegmm.compute import ordered_map, tree_sum
from voicegmm.mixture import Mixture
from voicegmm.mixture.representation import unwhitened
from voicegmm.subspace.factors import (
    FactorSums,
    Posteriors,
    iterate,
    pack,
    packed_products,
    packed_size,
    unpack,
)
from voicegmm.subspace.recordings import Recordings, check_background, rows_by_speaker
from voicegmm.subspace.total_variability import TotalVariability, checked_loadings, extract

_WORK_ITEM = 128  # recordings whose sums are made by one worker, or one speaker's
_START = 0.1  # deviations: of the loadings that training begins with


@dataclass(frozen=True, eq=False)
class FactorAnalysis:
    """The subspaces in which speakers, and recordings of one speaker, differ.

    Parameters
    ----------
    gmm : Mixture
        The background model.
    speaker_loadings : (n_components, n_dims, speaker_rank) array_like
        V, in deviations of the components; of rank 0 for ISV.
    session_loadings : (n_components, n_dims, session_rank) array_like
        U, likewise.
    relevance : float
        Above 0; infinite where there is no z.
    objectives : tuple of float
        By how much V and U raised the log-likelihood before each iteration of the training, nats a
        recording.

    Raises
    ------
    DataError
        If the shapes disagree, or a number is not finite.
    OptionError
        If the relevance is not above 0.
    """

    gmm: Mixture
    speaker_loadings: Float64Array
    session_loadings: Float64Array
    relevance: float
    objectives: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("speaker_loadings", "session_loadings"):
            loadings = checked_loadings(name, getattr(self, name), self.gmm)
            object.__setattr__(self, name, loadings)
        above("relevance", self.relevance, 0)

    @property
    def speaker_rank(self) -> int:
        """Dimensions of V."""
        return int(self.speaker_loadings.shape[2])

    @property
    def session_rank(self) -> int:
        """Dimensions of U."""
        return int(self.session_loadings.shape[2])

    @cached_property
    def loadings(self) -> Float64Array:
        """A = [V U], (n_components, n_dims, speaker_rank + session_rank)."""
        return np.concatenate([self.speaker_loadings, self.session_loadings], axis=2)

    @cached_property
    def sessions(self) -> TotalVariability:
        """The subspace of the sessions alone, about the background model."""
        return TotalVariability(self.gmm, self.session_loadings)

    @cached_property
    def products(self) -> Float64Array:
        """A_k' A_k of each component, packed."""
        return np.asarray(packed_products(self.loadings), np.float64)


@dataclass(frozen=True)
class FactorAnalysisOptions:
    """How the subspaces are trained.

    Parameters
    ----------
    session_rank, speaker_rank : int
        Dimensions of U and V, 0 or more, not both 0; with a speaker_rank of 0 it is ISV.
    relevance : float
        Frames a component must see before it trusts a speaker's own as much as the rest; above 0.
    n_iterations : int
        Of EM, at least 1.
    minimum_divergence : bool
        See `maximize_loadings`.
    most_recordings : int
        Of one speaker, whose factors are estimated together, at least 2: the time grows with their
        cube. In training, who has more counts as several speakers.
    """

    session_rank: int = 20
    speaker_rank: int = 0
    relevance: float = 10.0
    n_iterations: int = 10
    minimum_divergence: bool = True
    most_recordings: int = 32

    def __post_init__(self) -> None:
        at_least("session_rank", self.session_rank, 0)
        at_least("speaker_rank", self.speaker_rank, 0)
        if not self.session_rank + self.speaker_rank:
            raise OptionError(
                "session_rank or speaker_rank must be above 0: nothing would be trained"
            )
        above("relevance", self.relevance, 0)
        at_least("n_iterations", self.n_iterations, 1)
        at_least("most_recordings", self.most_recordings, 2)


def train_factor_analysis(
    recordings: Recordings,
    speakers: Sequence[str],
    options: FactorAnalysisOptions | None = None,
    rng: np.random.Generator | None = None,
    n_workers: int = 1,
    progress: Progress = silent,
) -> FactorAnalysis:
    """Learn V and U together by EM, all factors of a speaker in one exact posterior.

    Each iteration raises the log-likelihood of the recordings' moments, with minimum divergence and
    without. The number of workers does not change a bit. A speaker of H recordings takes a system
    of speaker_rank + H session_rank equations; see `FactorAnalysisOptions.most_recordings`.

    Parameters
    ----------
    recordings : Recordings
    speakers : (n_recordings,) sequence of str
    options : FactorAnalysisOptions, optional
    rng : numpy.random.Generator, optional
        Draws the loadings that EM begins with; seeded with 0 by default.
    n_workers : int
        Threads.
    progress : callable, optional

    Raises
    ------
    DataError
        If there are fewer speakers than speaker_rank, fewer recordings beyond one a speaker than
        session_rank, or subspaces larger than a supervector.
    """
    options = options or FactorAnalysisOptions()
    gmm = recordings.gmm
    rows = [
        part
        for one in rows_by_speaker(speakers, len(recordings)).values()
        for part in np.array_split(one, -(-len(one) // options.most_recordings))
    ]
    _check_enough(rows, gmm, options)
    rng = rng or np.random.default_rng(0)
    rank = options.speaker_rank + options.session_rank
    loadings = _START * rng.standard_normal((*gmm.means.shape, rank))

    def made(loadings: Float64Array, objectives: tuple[float, ...] = ()) -> FactorAnalysis:
        speaker, session = np.split(loadings, [options.speaker_rank], axis=2)
        return FactorAnalysis(gmm, speaker, session, options.relevance, objectives)

    return iterate(
        made(loadings),
        lambda model: expectation(model, recordings, rows, n_workers),
        made,
        options.n_iterations,
        options.minimum_divergence,
        n_workers,
        lambda done: progress("factor analysis", done, options.n_iterations),
    )


def _check_enough(rows: Sequence[IntArray], gmm: Mixture, options: FactorAnalysisOptions) -> None:
    n_speakers, n_recordings = len(rows), sum(map(len, rows))
    if options.speaker_rank > min(n_speakers, gmm.means.size):
        raise DataError(
            f"speaker_rank must be at most {min(n_speakers, gmm.means.size)}, with {n_speakers} "
            f"speakers and supervectors of {gmm.means.size}; got {options.speaker_rank}"
        )
    most = min(n_recordings - n_speakers, gmm.means.size)
    if options.session_rank > most:
        raise DataError(
            f"session_rank must be at most {most}, with {n_recordings} recordings of {n_speakers} "
            f"speakers and supervectors of {gmm.means.size}; got {options.session_rank}: only a "
            "speaker's second recording shows what a session adds"
        )


def expectation(
    model: FactorAnalysis, recordings: Recordings, rows: Sequence[IntArray], n_workers: int = 1
) -> FactorSums:
    """Do the E-step over speakers, given the recordings of each.

    Raises
    ------
    MismatchError
        For recordings of another background model.
    DataError
        If there are none.
    """
    check_background(model.gmm, recordings)
    items: list[list[IntArray]] = []
    room = 0
    for one in rows:
        if room < len(one):
            items.append([])
            room = _WORK_ITEM
        items[-1].append(one)
        room -= len(one)
    parts = ordered_map(lambda item: _sums(model, recordings, item), items, n_workers)
    total = tree_sum(parts)
    if total is None:
        raise DataError("recordings must be one at least, there are none")
    return total


def _sums(model: FactorAnalysis, recordings: Recordings, rows: Sequence[IntArray]) -> FactorSums:
    n_y, n_x, shape = model.speaker_rank, model.session_rank, model.loadings.shape
    second = np.zeros((shape[0], packed_size(n_y + n_x)))
    cross = np.zeros((shape[0] * shape[1], n_y + n_x))
    speaker_spread, session_spread = np.zeros((n_y, n_y)), np.zeros((n_x, n_x))
    objective = 0.0
    for one in rows:
        speaker = _Speaker.of(model, *recordings.part(one))
        moments = speaker.factors.second_moments()[0]
        here, there = np.tril_indices(len(one))
        places = speaker.places
        pairs = moments[places[here][:, :, None], places[there][:, None, :]]
        # A pair of two recordings stands for its mirror image, too.
        share = np.where(here == there, 1.0, 2.0)[:, None] * speaker.weights[here, there]
        second += share.T @ pack((pairs + np.swapaxes(pairs, 1, 2)) / 2)
        cross += speaker.rest.reshape(len(one), -1).T @ speaker.of_sessions
        speaker_spread += moments[:n_y, :n_y]
        of_x = places[:, n_y:]
        session_spread += moments[of_x[:, :, None], of_x[:, None, :]].sum(axis=0)
        objective += float(speaker.factors.log_evidence[0])
    n_sessions = sum(map(len, rows))
    spreads = speaker_spread, session_spread
    return FactorSums(second, cross.reshape(shape), *spreads, len(rows), n_sessions, objective)


@dataclass(frozen=True, eq=False)
class _Speaker:
    """What the recordings of one speaker say of its factors, [y x_1 ... x_H].

    Parameters
    ----------
    weights : (n_recordings, n_recordings, n_components) float64 array
        P, see the head of this file.
    rest : (n_recordings, n_components, n_dims) float64 array
        g, likewise.
    places : (n_recordings, speaker_rank + session_rank) int array
        Where the factors of each recording, [y x_h], stand among those of the speaker.
    factors : Posteriors
        Of one row.
    """

    weights: Float64Array
    rest: Float64Array
    places: IntArray
    factors: Posteriors

    @staticmethod
    def of(model: FactorAnalysis, counts: FloatArray, centered: FloatArray) -> "_Speaker":
        """Find the posterior from the moments of the recordings."""
        counts, centered = counts.astype(np.float64), centered.astype(np.float64)
        n_y, n_x, n = model.speaker_rank, model.session_rank, len(counts)
        share = 1 / (counts.sum(axis=0) + model.relevance)
        weights = -(counts[:, None] * counts * share)
        weights[np.arange(n), np.arange(n)] += counts
        rest = centered - counts[..., None] * (share[:, None] * centered.sum(axis=0))
        sessions = n_y + np.arange(n * n_x).reshape(n, n_x)
        places = np.hstack([np.tile(np.arange(n_y), (n, 1)), sessions])
        precision, linear = np.eye(n_y + n * n_x), np.zeros(n_y + n * n_x)
        pairs = np.tril_indices(n)
        added = unpack(weights[pairs] @ model.products, n_y + n_x)
        for here, there, block in zip(*pairs, added, strict=True):
            precision[np.ix_(places[here], places[there])] += block
            if here != there:
                precision[np.ix_(places[there], places[here])] += block
        flat = model.loadings.reshape(model.gmm.means.size, n_y + n_x)
        np.add.at(linear, places, rest.reshape(n, -1) @ flat)
        return _Speaker(weights, rest, places, Posteriors.of(precision[None], linear[None]))

    @property
    def of_sessions(self) -> Float64Array:
        """The expected factors of each recording, (n_recordings, speaker_rank + session_rank)."""
        return np.asarray(self.factors.means[0][self.places])


def session_offsets(
    model: FactorAnalysis, recordings: Recordings, n_workers: int = 1
) -> Float64Array:
    """Give what the session of each recording adds to the means, in deviations: U x.

    x is estimated about the background model, whoever speaks: one offset for all speakers that a
    test meets (Glembek, Burget, Dehak, Brummer, Kenny, "Comparison of scoring methods used in
    speaker recognition with joint factor analysis", ICASSP 2009).

    Parameters
    ----------
    model : FactorAnalysis
    recordings : Recordings
    n_workers : int
        Threads. Their number does not change a bit.

    Returns
    -------
    (n_recordings, n_components, n_dims) float64 array

    Raises
    ------
    MismatchError
        For recordings of another background model.
    """
    x = extract(model.sessions, recordings, n_workers)
    flat = model.session_loadings.reshape(model.gmm.means.size, model.session_rank)
    return np.asarray(x @ flat.T).reshape(len(x), *model.gmm.means.shape)


def channel_offsets(
    model: FactorAnalysis, recordings: Recordings, n_workers: int = 1
) -> Float64Array:
    """Give what the session of each recording adds to the means: L U x; see `session_offsets`.

    Returns
    -------
    (n_recordings, n_components, n_dims) float64 array
        As `scoring.linear_scores` takes them.
    """
    return unwhitened(model.gmm, session_offsets(model, recordings, n_workers))
