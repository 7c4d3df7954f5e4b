"""A back end: the steps that vectors go through, one after the other, and the score at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import at_least, finite_frames, one_of
from voicegmm._base.errors import DataError, OptionError
from voicegmm.subspace.plda import Plda, PldaOptions, plda_scores, train_plda
from voicegmm.subspace.uncertainty import Evidence
from voicegmm.subspace.vectors import (
    Affine,
    LdaOptions,
    centering,
    cosine_scores,
    lda,
    nap,
    normalize_length,
    wccn,
    whitening,
)

STEPS = ("center", "whiten", "length", "lda", "wccn", "nap")
SCORES = ("cosine", "plda")


@dataclass(frozen=True)
class BackEndOptions:
    """What becomes of vectors before they are compared, and how they are.

    Parameters
    ----------
    steps : tuple of {"center", "whiten", "length", "lda", "wccn", "nap"}
        In the order in which they are done; each is learned from the vectors that the steps
        before it gave.
    score : {"plda", "cosine"}
        A model of several vectors is their mean with "cosine"; "plda" counts them, too.
    n_removed : int
        Directions that "nap" removes, 0 or more.
    expected_length : bool
        With "plda", and only there: see `plda_scores`.
    uncertainty : bool
        With "plda", and only there: whether it is propagated how unsure each vector is; see
        `voicegmm.subspace.uncertainty`. Learning takes all vectors for sure.
    lda : LdaOptions
    plda : PldaOptions
    """

    steps: tuple[str, ...] = ("center", "lda", "whiten", "length")
    score: str = "plda"
    n_removed: int = 0
    expected_length: bool = False
    uncertainty: bool = False
    lda: LdaOptions = field(default_factory=LdaOptions)
    plda: PldaOptions = field(default_factory=PldaOptions)

    def __post_init__(self) -> None:
        for step in self.steps:
            one_of("steps", step, STEPS)
        one_of("score", self.score, SCORES)
        at_least("n_removed", self.n_removed, 0)
        if bool(self.n_removed) != ("nap" in self.steps):
            raise OptionError(
                f"n_removed must be above 0 where steps have 'nap', and 0 where they do not; got "
                f"{self.n_removed}"
            )
        for name in ("expected_length", "uncertainty"):
            if getattr(self, name) and self.score != "plda":
                raise OptionError(f"{name} is for the score 'plda', got {self.score!r}")
        if self.expected_length and self.uncertainty:
            raise OptionError(
                "expected_length must be false with uncertainty, which knows the lengths itself"
            )


@dataclass(frozen=True, eq=False)
class BackEnd:
    """Steps that were learned.

    Parameters
    ----------
    options : BackEndOptions
    maps : tuple of Affine
        Of each step but "length", in their order.
    plda : Plda, optional
        Where the score is "plda".
    """

    options: BackEndOptions
    maps: tuple[Affine, ...]
    plda: Plda | None = None

    def __post_init__(self) -> None:
        n_learned = sum(step != "length" for step in self.options.steps)
        if len(self.maps) != n_learned:
            raise DataError(f"maps must be {n_learned}, one a learned step, got {len(self.maps)}")
        if (self.plda is not None) != (self.options.score == "plda"):
            raise DataError("plda must be given where the score is 'plda', and only there")

    @property
    def arrays(self) -> list[FloatArray]:
        """All numbers of the steps and of the score, in their order."""
        numbers: list[FloatArray] = [part for one in self.maps for part in (one.mean, one.matrix)]
        if self.plda:
            numbers += [self.plda.mean, self.plda.within, self.plda.between]
        return numbers

    def n_kept(self, n_dims: int) -> int:
        """Give the length that vectors of `n_dims` numbers have after the steps."""
        return len(self.maps[-1].matrix) if self.maps else n_dims

    def __call__(self, vectors: FloatArray) -> Float64Array:
        """Take vectors through the steps, (n_vectors, n_dims) to (n_vectors, n_kept).

        Raises
        ------
        DataError
            For vectors that are not finite or of another length.
        """
        maps = iter(self.maps)
        x = finite_frames(vectors, name="vectors").astype(np.float64)
        for step in self.options.steps:
            x = normalize_length(x) if step == "length" else next(maps)(x)
        return x

    def evidence(
        self,
        vectors: FloatArray,
        covariances: FloatArray,
        owners: IntArray | None = None,
        n_owners: int | None = None,
    ) -> Evidence:
        """Take vectors through the steps with how unsure they are, and gather what they say.

        A step M (x - mean) makes of a covariance C the covariance M C M'; normalization divides it
        by the square of the vector's length, as it is (Cumani, Plchot, Laface 2014).

        Parameters
        ----------
        vectors : (n_vectors, n_dims) float array
        covariances : (n_vectors, n_dims, n_dims) float array
            Those of the posteriors whose means the vectors are.
        owners, n_owners
            See `Evidence.of`.

        Raises
        ------
        DataError
            For vectors that are not finite or of another length; where the score is not "plda".
        """
        if self.plda is None:
            raise DataError("only the score 'plda' can propagate uncertainty; this is 'cosine'")
        maps = iter(self.maps)
        x = finite_frames(vectors, name="vectors").astype(np.float64)
        for step in self.options.steps:
            if step == "length":
                squares = (x**2).sum(axis=1)[:, None, None]
                covariances = covariances / np.where(squares > 0, squares, 1)
                x = normalize_length(x)
            else:
                learned = next(maps)
                x = learned(x)
                covariances = learned.matrix @ covariances @ learned.matrix.T
        return Evidence.of(self.plda, x, covariances, owners, n_owners)

    def scores(
        self,
        models: FloatArray,
        tests: FloatArray,
        model_counts: IntArray | None = None,
        test_counts: IntArray | None = None,
    ) -> Float64Array:
        """Compare vectors that went through the steps.

        Parameters
        ----------
        models, tests : (n_models, n_kept), (n_tests, n_kept) float array
            Means of the vectors of each side, see `speaker_means`.
        model_counts, test_counts : (n_models,), (n_tests,) int array, optional
            Of how many each is the mean; 1 by default.

        Returns
        -------
        (n_models, n_tests) float64 array
            Log-likelihood ratios in nats, or cosines.

        Raises
        ------
        DataError
            For vectors or counts that do not fit.
        """
        if self.plda is None:
            return cosine_scores(models, tests)
        return plda_scores(
            self.plda, models, tests, model_counts, test_counts, self.options.expected_length
        )


def learn_back_end(
    vectors: FloatArray, speakers: Sequence[str], options: BackEndOptions | None = None
) -> BackEnd:
    """Learn the steps, one after the other, from vectors whose speakers are known.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array
    speakers : (n_vectors,) sequence of str or int
    options : BackEndOptions, optional

    Raises
    ------
    DataError
        If there are too few speakers or vectors for a step; see each.
    """
    options = options or BackEndOptions()
    x = finite_frames(vectors, name="vectors").astype(np.float64)
    maps: list[Affine] = []
    for step in options.steps:
        if step == "length":
            x = normalize_length(x)
            continue
        maps.append(_learned(step, x, speakers, options))
        x = maps[-1](x)
    plda = train_plda(x, speakers, options.plda) if options.score == "plda" else None
    return BackEnd(options, tuple(maps), plda)


def _learned(
    step: str, vectors: Float64Array, speakers: Sequence[str], options: BackEndOptions
) -> Affine:
    if step == "center":
        return centering(vectors)
    if step == "whiten":
        return whitening(vectors)
    if step == "lda":
        return lda(vectors, speakers, options.lda)
    if step == "wccn":
        return wccn(vectors, speakers)
    return nap(vectors, speakers, options.n_removed)


def speaker_means(
    vectors: FloatArray, speakers: Sequence[str]
) -> tuple[tuple[str, ...], Float64Array, IntArray]:
    """Give the mean of each speaker's vectors: what `BackEnd.scores` takes for a model.

    Parameters
    ----------
    vectors : (n_vectors, n_dims) float array
    speakers : (n_vectors,) sequence of str

    Returns
    -------
    names : tuple of str
        In the order of their first vector.
    means : (n_speakers, n_dims) float64 array
    counts : (n_speakers,) int array
    """
    x = finite_frames(vectors, name="vectors").astype(np.float64)
    if len(speakers) != len(x):
        raise DataError(f"speakers must be one a vector, {len(x)}; got {len(speakers)}")
    names = tuple(dict.fromkeys(speakers))
    row = {name: number for number, name in enumerate(names)}
    place = np.array([row[name] for name in speakers], np.intp)
    counts = np.bincount(place, minlength=len(names))
    means = np.zeros((len(names), x.shape[1]))
    np.add.at(means, place, x)
    return names, means / counts[:, None], counts
