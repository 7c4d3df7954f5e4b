"""Subspace systems: what is trained beside a background model, so that sessions count for less.

"isv" and "jfa" give each speaker means from which the sessions were taken, and are scored beside
the offset that a test's own session makes, linearly or by ratios of frames; "ivector" gives each
recording a vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from voicegmm._base.arrays import FloatArray
from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import DataError, OptionError
from voicegmm._base.options import canonical_json, from_mapping
from voicegmm._base.presets import load_config
from voicegmm._base.progress import Progress, silent
from voicegmm.mixture import MapOptions, accumulate_each
from voicegmm.scoring.background import BackgroundModel, digest_of, in_precision, working_dtype
from voicegmm.scoring.frames import (
    FrameLibrary,
    check_front_end,
    contents_of,
    distinct_by_speaker,
)
from voicegmm.scoring.options import METHODS, RATIOS, ScoringOptions
from voicegmm.subspace import (
    BackEnd,
    BackEndOptions,
    FactorAnalysis,
    FactorAnalysisOptions,
    Recordings,
    TotalVariability,
    TotalVariabilityOptions,
    extract,
    learn_back_end,
    train_factor_analysis,
    train_total_variability,
)

BACKENDS = ("map", "isv", "jfa", "ivector")
_RANKS = {"map": 0, "isv": 40, "jfa": 40, "ivector": 100}
_SPEAKER_RANK = 20
_SUPERVISED = ("lda", "wccn")  # steps that undo the covariance within speakers


@dataclass(frozen=True)
class SubspaceOptions:
    """What makes a speaker's model and its scores: adaptation alone, or a subspace.

    Parameters
    ----------
    method : {"map", "isv", "jfa", "ivector"}
        "map": adaptation alone, and nothing else is trained. Speakers of "isv" and "jfa" are
        enrolled with the relevance of the adaptation.
    rank : int
        Dimensions of the sessions' subspace ("isv", "jfa") or length of the vectors ("ivector"); 0:
        40, 40 and 100. Where the recordings show fewer it is lowered, and a note says so.
    speaker_rank : int
        Dimensions of the speakers' subspace, with "jfa", and only there; 0: 20; lowered likewise.
    n_iterations : int
        Of EM, at least 1.
    minimum_divergence : bool
        See `voicegmm.subspace.TotalVariabilityOptions`.
    relevance : float
        With which the subspaces of "isv" and "jfa" are trained, 0 or more; 0: that of the
        adaptation. A ratio of frames wants speakers enrolled with more, and sessions learned with
        less.
    vectors : BackEndOptions
        What becomes of i-vectors, and how they are compared; with "ivector", and only there. The
        dimensions that its steps keep are lowered where there are too few speakers.
    """

    method: str = "map"
    rank: int = 0
    speaker_rank: int = 0
    n_iterations: int = 10
    minimum_divergence: bool = True
    relevance: float = 0.0
    vectors: BackEndOptions = field(default_factory=BackEndOptions)

    def __post_init__(self) -> None:
        one_of("method", self.method, BACKENDS)
        at_least("rank", self.rank, 0)
        at_least("speaker_rank", self.speaker_rank, 0)
        at_least("n_iterations", self.n_iterations, 1)
        at_least("relevance", self.relevance, 0)
        if self.method not in ("isv", "jfa") and self.relevance:
            raise OptionError(
                f"relevance must not be given with the method {self.method!r}, got "
                f"{self.relevance:g}: it is for the methods 'isv' and 'jfa'"
            )
        usual = {name: field.default for name, field in self.__dataclass_fields__.items()}
        for name in ("rank", "n_iterations", "minimum_divergence"):
            if self.method == "map" and getattr(self, name) != usual[name]:
                raise OptionError(
                    f"{name} must not be given with the method 'map', got {getattr(self, name)}: "
                    "it is for subspaces"
                )
        if self.method != "jfa" and self.speaker_rank:
            raise OptionError(
                f"speaker_rank must not be given with the method {self.method!r}, got "
                f"{self.speaker_rank}: it is for the method 'jfa'"
            )
        if self.method != "ivector" and self.vectors != BackEndOptions():
            raise OptionError(
                f"vectors must not be given with the method {self.method!r}: there are none; they "
                "are of the method 'ivector'"
            )


def in_sample(
    options: SubspaceOptions, n_speakers: int, n_recordings: int
) -> tuple[SubspaceOptions, tuple[str, ...]]:
    """Lower the rank of a session subspace that is learned from the recordings that will enroll.

    It fits their sessions better than those of any test, and takes voices for sessions: a sixth of
    what recordings could show is left.

    Returns
    -------
    options : SubspaceOptions
    notes : tuple of str
        What was lowered, and why.
    """
    rank, most = options.rank or _RANKS[options.method], max((n_recordings - n_speakers) // 6, 1)
    if options.method not in ("isv", "jfa") or rank <= most:
        return options, ()
    why = "the recordings that enroll train the subspace, too; other people's speech allows more"
    return replace(options, rank=most), (f"backend.rank is {most} in the place of {rank}: {why}",)


def load_backend(name: str) -> SubspaceOptions:
    """Read the table ``[backend]`` of a recipe: what models a speaker there.

    Parameters
    ----------
    name : str
        "map", a preset's name, as "isv", or a path ending in .toml.

    Raises
    ------
    OptionError
        If there is no such preset or file, it has no such table, or an option is wrong.
    """
    if name == "map":
        return SubspaceOptions()
    config = load_config(name)
    if "backend" not in config.values:
        raise OptionError(f"{name}: has no table [backend]; 'isv' and 'ivector-plda' have one")
    where, sources = str(config.path), config.sources
    options: SubspaceOptions = from_mapping(
        SubspaceOptions, config.values["backend"], where, "backend", sources
    )
    return options


def methods_of(backend: str) -> tuple[str, ...]:
    """Give the methods of scoring that are for speakers of a backend, the usual one first."""
    if backend == "map":
        return METHODS
    return ("subspace",) if backend == "ivector" else ("subspace", *RATIOS)


def check_subspace(
    options: SubspaceOptions, adaptation: MapOptions, scoring: ScoringOptions
) -> None:
    """Refuse options that do not go together, or would be ignored.

    Raises
    ------
    OptionError
        Naming the option, its value and what would be right.
    """
    known = methods_of(options.method)
    if scoring.method not in known:
        raise OptionError(
            f"scoring.method must be one of {', '.join(known)} with backend.method "
            f"{options.method!r}, got {scoring.method!r}"
        )
    if options.method in ("isv", "jfa") and (
        adaptation != MapOptions(relevance=adaptation.relevance) or not adaptation.relevance
    ):
        raise OptionError(
            f"adaptation must be of the rule 'reynolds', of nothing but a relevance above 0, with "
            f"backend.method {options.method!r}"
        )
    if options.method == "ivector" and adaptation != MapOptions():
        raise OptionError(
            "adaptation must not be given with backend.method 'ivector', which adapts nothing"
        )


@dataclass(frozen=True, eq=False)
class Subspace:
    """A subspace that was trained, under one background model.

    Parameters
    ----------
    options : SubspaceOptions
        With the ranks that it has in fact.
    factors : FactorAnalysis or TotalVariability
        The latter with "ivector".
    back_end : BackEnd, optional
        What becomes of the vectors, with "ivector".
    notes : tuple of str
        What was lowered, and why.
    contents : tuple of str, optional
        SHA-256 of the recordings that it was trained from; None where they are not known.
    """

    options: SubspaceOptions
    factors: FactorAnalysis | TotalVariability
    back_end: BackEnd | None = None
    notes: tuple[str, ...] = ()
    contents: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        of_vectors = self.options.method == "ivector"
        if of_vectors != isinstance(self.factors, TotalVariability):
            raise DataError(f"factors must be those of the method {self.options.method!r}")
        if of_vectors != (self.back_end is not None):
            raise DataError("back_end must be given with the method 'ivector', and only there")

    @cached_property
    def fingerprint(self) -> str:
        """First 32 hex digits of the SHA-256 of options and numbers."""
        return digest_of(canonical_json(self.options), *self.arrays)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of what is kept of a recording, and of what tests meet of a speaker."""
        if self.back_end is None:
            return self.factors.gmm.means.shape, self.factors.gmm.means.shape
        rank = self.factors.loadings.shape[2]
        return (rank,), (self.back_end.n_kept(rank),)

    @property
    def arrays(self) -> list[FloatArray]:
        """All numbers that scores depend on, but those of the background model."""
        found: list[FloatArray] = [self.factors.loadings]
        if isinstance(self.factors, FactorAnalysis):
            found.append(np.array([self.factors.relevance]))
        if self.back_end:
            found += self.back_end.arrays
        return found


def moments_of(
    background: BackgroundModel, frames: FrameLibrary, files: Sequence[str], n_workers: int = 1
) -> Recordings:
    """Collect the moments of recordings that have frames; many of them lie on disk."""
    sources = [in_precision(frames.source([file]), background.options) for file in files]
    each = accumulate_each(background.gmm, sources, n_workers)
    return Recordings.of(background.gmm, each, working_dtype(background.options), len(files))


def train_subspace(
    background: BackgroundModel,
    frames: FrameLibrary,
    recordings: Mapping[str, Sequence[str]],
    options: SubspaceOptions,
    relevance: float = MapOptions.relevance,
    seed: int = 0,
    n_workers: int = 1,
    progress: Progress = silent,
) -> Subspace:
    """Train a subspace from the recordings of speakers who are known by name.

    Parameters
    ----------
    background : BackgroundModel
    frames : FrameLibrary
    recordings : mapping of str to sequence of str
        Speaker -> recordings; those without frames are passed over.
    options : SubspaceOptions
        Of another method than "map".
    relevance : float
        Of the adaptation, with "isv" and "jfa"; above 0.
    seed : int
        Of the loadings that EM begins with.
    n_workers : int
    progress : callable, optional

    Raises
    ------
    MismatchError
        If the frames come from another front end than the background model's.
    DataError
        If the recordings show nothing: nobody has two, or there are too few speakers for a step.
    """
    check_front_end(background.front_end, frames.front_end, "training of the subspace")
    kept = distinct_by_speaker(frames, recordings)
    files = [file for own in kept.values() for file in own]
    speakers = [name for name, own in kept.items() for _ in own]
    n_speakers = len(set(speakers))
    size = background.gmm.means.size
    fitted, notes = _fitted(options, n_speakers, len(files), size)
    learned = learn_subspace(
        moments_of(background, frames, files, n_workers),
        speakers,
        fitted,
        relevance,
        seed,
        n_workers,
        progress,
        notes,
    )
    return replace(learned, contents=contents_of(frames, files))


def learn_subspace(
    moments: Recordings,
    speakers: Sequence[str],
    options: SubspaceOptions,
    relevance: float = MapOptions.relevance,
    seed: int = 0,
    n_workers: int = 1,
    progress: Progress = silent,
    notes: tuple[str, ...] = (),
) -> Subspace:
    """Train a subspace from the moments of recordings, of just the ranks that are asked for.

    Raises
    ------
    DataError
        If there are too few recordings or speakers for a rank or a step.
    """
    rng = np.random.default_rng(seed)
    training = options.n_iterations, options.minimum_divergence
    if options.method != "ivector":
        trained_with = options.relevance or relevance
        ranks = options.rank, options.speaker_rank
        analysis = FactorAnalysisOptions(*ranks, trained_with, *training)
        factors = train_factor_analysis(moments, speakers, analysis, rng, n_workers, progress)
        return Subspace(options, replace(factors, relevance=relevance), notes=notes)
    total = TotalVariabilityOptions(options.rank, *training)
    model = train_total_variability(moments, total, rng, n_workers, progress)
    vectors = extract(model, moments, n_workers)
    return Subspace(options, model, learn_back_end(vectors, speakers, options.vectors), notes)


def _fitted(
    options: SubspaceOptions, n_speakers: int, n_recordings: int, size: int
) -> tuple[SubspaceOptions, tuple[str, ...]]:
    """Lower ranks to what recordings can show, and say so."""
    notes: list[str] = []
    there = f"{n_recordings} recordings of {n_speakers} speakers"

    def lowered(name: str, value: int, most: int) -> int:
        if most < 1:
            raise DataError(
                f"the backend {options.method!r} cannot be trained on {there}: give it speakers "
                "with two usable recordings or more, or take 'map'"
            )
        if value > most:
            notes.append(f"backend.{name} is {most} in the place of {value}: {there} show no more")
        return min(value, most)

    rank = options.rank or _RANKS[options.method]
    if options.method != "ivector":
        rank = lowered("rank", rank, min(n_recordings - n_speakers, size))
        wide = (options.speaker_rank or _SPEAKER_RANK) if options.method == "jfa" else 0
        wide = wide and lowered("speaker_rank", wide, min(n_speakers - 1, size))
        return replace(options, rank=rank, speaker_rank=wide), tuple(notes)
    vectors = options.vectors
    within = vectors.score == "plda" or not set(_SUPERVISED).isdisjoint(vectors.steps)
    rank = lowered("rank", rank, min(n_recordings - (n_speakers if within else 1), size))
    kept = rank
    if "lda" in vectors.steps:
        kept = lowered("vectors.lda.n_dims", min(vectors.lda.n_dims, rank), n_speakers - 1)
        vectors = replace(vectors, lda=replace(vectors.lda, n_dims=kept))
    if vectors.score == "plda" and vectors.plda.rank:
        most = min(kept, n_speakers - 1)
        narrow = lowered("vectors.plda.rank", vectors.plda.rank, most)
        vectors = replace(vectors, plda=replace(vectors.plda, rank=narrow))
    return replace(options, rank=rank, vectors=vectors), tuple(notes)
