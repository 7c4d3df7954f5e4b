"""Filling in missing values: what a mixture expects of them, or draws of what they may have been.

The mean of a missing value given the observed ones has the least squared error; put in the place
of the value it makes data look more certain than they are. Multiple imputation draws several
completed copies: what an analysis finds differs from copy to copy by as much as the missing values
leave open (Rubin, Multiple Imputation for Nonresponse in Surveys, 1987).
"""

import numpy as np

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.checks import at_least, one_of
from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture.initial import InitialOptions, initialize
from voicegmm.mixture.missing import frames_with_missing, incomplete_posteriors
from voicegmm.mixture.model import DiagonalGMM, FullGMM, Mixture, TiedGMM
from voicegmm.mixture.patterns import batches, conditioned
from voicegmm.mixture.sampling import noise_of

METHODS = ("mean", "draw")


def impute(
    gmm: Mixture,
    frames: FloatArray,
    method: str = "mean",
    *,
    n_draws: int | None = None,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """Fill in the missing values of frames.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape. Spherical and diagonal ones tell a missing value only by
        the component that the frame seems to be of; tied and full ones by regression in it, too.
    frames : (n_frames, n_dims) float array
        NaN where a value is missing. Observed values stay as they are.
    method : {"mean", "draw"}
        The conditional mean of each value, or draws from the conditional distribution of all the
        missing values of a frame together.
    n_draws : int, optional
        Completed copies that are drawn, at least 1; by default 1. Only with "draw".
    rng : numpy.random.Generator, optional
        Needed by "draw".

    Returns
    -------
    (n_frames, n_dims) or, with "draw", (n_draws, n_frames, n_dims) float array
        float32 for float32 frames, else float64.

    Raises
    ------
    DataError
        For a frame with an infinity, of another dimension, or too far from every component.
    OptionError
        For another method, for "draw" without an `rng` and for "mean" with `n_draws`.
    """
    one_of("method", method, METHODS)
    frames = frames_with_missing(frames, gmm.n_dims)
    incomplete = np.flatnonzero(np.isnan(frames).any(axis=1))
    lacking = np.asarray(frames[incomplete], np.float64)
    chances = np.asarray(incomplete_posteriors(gmm, lacking), np.float64)
    if method == "mean":
        if n_draws is not None:
            raise OptionError(f"n_draws goes with method 'draw', got {n_draws} with 'mean'")
        filled = frames.copy()
        filled[incomplete] = _completed(lacking, _means(gmm, lacking, chances))
        return filled
    if rng is None:
        raise OptionError("rng must be a numpy.random.Generator for method 'draw', got None")
    n_copies = 1 if n_draws is None else n_draws
    at_least("n_draws", n_copies, 1)
    copies = np.repeat(frames[None], n_copies, axis=0)
    for copy, drawn in zip(copies, _draws(gmm, lacking, chances, n_copies, rng), strict=True):
        copy[incomplete] = _completed(lacking, drawn)
    return copies


def incomplete_initialize(
    frames: FloatArray,
    n_components: int,
    rng: np.random.Generator,
    options: InitialOptions | None = None,
    *,
    covariance_type: str = "diagonal",
) -> Mixture:
    """Make a first mixture from frames with missing values: `initialize` of a completed copy.

    The copy is drawn, each missing value from a normal distribution with the mean and the variance
    that are observed in its dimension. Means in their place would make variances too small; where
    much was missing, fits that began there came out worse. Draws err the other way, which EM mends.
    Of several starts (`fit_best`) each draws its own copy.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
        NaN where a value is missing.
    n_components, rng, options, covariance_type
        As in `initialize`.

    Returns
    -------
    DiagonalGMM, SphericalGMM, TiedGMM or FullGMM

    Raises
    ------
    DataError
        If there is no frame, one with an infinity, or a dimension that no frame has a value of.
    OptionError
        For an unknown covariance type.
    """
    frames = frames_with_missing(frames)
    copy = impute(observed_gaussian(frames), frames, "draw", rng=rng)[0]
    return initialize(copy, n_components, rng, options, covariance_type=covariance_type)


def observed_gaussian(frames: FloatArray) -> DiagonalGMM:
    """Give the Gaussian with the mean and variance of the observed values of each dimension.

    Parameters
    ----------
    frames : (n_frames, n_dims) float array
        NaN where a value is missing.

    Raises
    ------
    DataError
        If there is no frame, or a dimension that no frame has a value of.
    """
    if len(frames) == 0:
        raise DataError("there are no frames to train on")
    never = np.flatnonzero(np.isnan(frames).all(axis=0))
    if never.size:
        raise DataError(
            f"every dimension must be observed in some frame: {never.size} of {frames.shape[1]} "
            f"are missing in all, the first is number {never[0]} (counting from 0); leave them out"
        )
    mean = np.asarray(np.nanmean(frames, axis=0, dtype=np.float64))
    variance = np.asarray(np.nanvar(frames, axis=0, dtype=np.float64))
    variance = np.maximum(variance, np.maximum(1e-12 * mean**2, 1e-12))
    return DiagonalGMM(np.ones(1), mean[None], variance[None])


def _completed(frames: Float64Array, values: Float64Array) -> Float64Array:
    return np.where(np.isnan(frames), values, frames)


def _means(gmm: Mixture, frames: Float64Array, chances: Float64Array) -> Float64Array:
    """Give conditional means where values are missing; elsewhere anything."""
    if not isinstance(gmm, FullGMM | TiedGMM):
        return np.asarray(chances @ gmm.means)
    means = frames.copy()
    for batch in batches(~np.isnan(frames), gmm.n_components):
        given, some = conditioned(gmm, batch.observed), frames[batch.rows]
        expected = given.expected(some, given.pulls(given.centered(some)))
        rows = batch.rows[batch.filled]
        means[rows] = np.einsum("tk,ktd->td", chances[rows], expected[:, batch.filled])
    return means


def _draws(
    gmm: Mixture,
    frames: Float64Array,
    chances: Float64Array,
    n_copies: int,
    rng: np.random.Generator,
) -> Float64Array:
    """Draw a component by its posterior, then what is missing from it: (n_copies, *frames).

    A draw y' from the whole component has the right spread and the wrong condition; moved by what
    the condition says of the difference, Sigma Q (y - y'), it is a draw given x_o (Hoffman and
    Ribak, "Constrained realizations of Gaussian fields", Astrophysical Journal 380, 1991).
    """
    draws = np.empty((n_copies, *frames.shape))
    components = np.empty((n_copies, len(frames)), np.intp)
    limits = np.cumsum(chances, axis=1)
    for copy in range(n_copies):
        # Scaled to the sum, for it is not quite 1: no component without a chance is ever chosen.
        levels = rng.random(len(frames)) * limits[:, -1]
        components[copy] = (limits <= levels[:, None]).sum(axis=1)
        draws[copy] = gmm.means[components[copy]] + noise_of(gmm, components[copy], rng)
    if not isinstance(gmm, FullGMM | TiedGMM):
        return draws
    for batch in batches(~np.isnan(frames), gmm.n_components):
        given = conditioned(gmm, batch.observed)
        pattern = np.nonzero(batch.filled)[0]
        rows = batch.rows[batch.filled]
        for copy in range(n_copies):
            owner = components[copy, rows] if isinstance(gmm, FullGMM) else 0 * rows
            missed = np.where(given.observed[pattern], frames[rows] - draws[copy, rows], 0.0)
            pulls = given.precisions[owner, pattern] @ missed[:, :, None]
            draws[copy, rows] += (given.covariances[owner] @ pulls)[:, :, 0]
    return draws
