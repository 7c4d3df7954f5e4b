"""Marginal and conditional mixtures: some dimensions alone, or given values of the others.

A marginal of a mixture is the mixture of its components' marginals. Given the values x_o of some
dimensions, component k of the others has (Bishop, Pattern Recognition and Machine Learning, 2006,
eqs. 2.81 and 2.82; o for observed, m for missing)

    mean mu_km + A_k (x_o - mu_ko) with A_k = Sigma_kmo Sigma_koo^-1,
    covariance C_k = Sigma_kmm - A_k Sigma_kom,

and as weight its posterior given x_o. Each shape of covariance stays what it is: a diagonal
mixture has A = 0, and all components of a tied one have the same A and C.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray, IntArray
from voicegmm._base.checks import finite_frames
from voicegmm._base.errors import DataError, OptionError
from voicegmm.mixture.density import posteriors
from voicegmm.mixture.maximization import M
from voicegmm.mixture.model import (
    DiagonalGMM,
    FullGMM,
    Mixture,
    SphericalGMM,
    TiedGMM,
)
from voicegmm.mixture.sampling import sample


def marginal(gmm: M, dims: Sequence[int] | IntArray) -> M:
    """Give the mixture of some dimensions alone.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape, which stays.
    dims : sequence of int
        Dimensions counted from 0, at least one, each at most once; the order is kept.

    Returns
    -------
    Mixture

    Raises
    ------
    OptionError
        For a dimension that does not exist or comes twice, or for none.
    """
    chosen = _checked_dims(gmm, dims)
    made: Mixture
    if isinstance(gmm, FullGMM):
        covariances = gmm.covariances[:, chosen[:, None], chosen]
        made = replace(gmm, means=gmm.means[:, chosen], covariances=covariances)
    elif isinstance(gmm, TiedGMM):
        covariance = gmm.covariance[chosen[:, None], chosen]
        made = replace(gmm, means=gmm.means[:, chosen], covariance=covariance)
    elif isinstance(gmm, SphericalGMM):
        made = replace(gmm, means=gmm.means[:, chosen])
    else:
        variances = gmm.variances_by_dim()[:, chosen]
        made = DiagonalGMM(gmm.weights, gmm.means[:, chosen], variances)
    return cast(M, made)


def condition(gmm: M, dims: Sequence[int] | IntArray, values: npt.ArrayLike) -> M:
    """Give the mixture of the other dimensions, given the values of some.

    Parameters
    ----------
    gmm : Mixture
        With covariances of any shape, which stays.
    dims : sequence of int
        The dimensions that are known, counted from 0; at least one, and not all.
    values : (len(dims),) array_like
        Their values: finite.

    Returns
    -------
    Mixture
        Of the dimensions that are not in `dims`, in their order; its components are those of
        `gmm`, each with its posterior given the values as weight.

    Raises
    ------
    OptionError
        For dimensions that do not exist, come twice, are none or all.
    DataError
        For values that are not finite or not one for each dimension.
    """
    known = _checked_dims(gmm, dims)
    rest = np.setdiff1d(np.arange(gmm.n_dims), known)
    if not rest.size:
        raise OptionError(f"dims must leave a dimension open, got all {gmm.n_dims}")
    x = np.asarray(values, np.float64)
    if x.shape != known.shape:
        raise DataError(f"values must be ({len(known)},), one for each of dims, got {x.shape}")
    x = np.asarray(finite_frames(x[None], name="values"), np.float64)
    weights = np.asarray(posteriors(marginal(gmm, known), x)[0], np.float64)
    made: Mixture
    if isinstance(gmm, FullGMM | TiedGMM):
        means, covariances = _regression(gmm, known, rest, x[0])
        if isinstance(gmm, FullGMM):
            made = FullGMM(weights, means, covariances)
        else:
            made = TiedGMM(weights, means, covariances[0])
    else:
        made = replace(marginal(gmm, rest), weights=weights)
    return cast(M, made)


def sample_conditional(
    gmm: Mixture,
    dims: Sequence[int] | IntArray,
    values: npt.ArrayLike,
    n_frames: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, IntArray]:
    """Draw frames of which some dimensions have values that are given.

    Parameters
    ----------
    gmm, dims, values
        As in `condition`.
    n_frames : int
        At least 0.
    rng : numpy.random.Generator

    Returns
    -------
    frames : (n_frames, n_dims) float64 array
        Whole frames: the values stand in their dimensions.
    components : (n_frames,) int array
        Which Gaussian each frame came from.

    Raises
    ------
    OptionError, DataError
        As `condition` does.
    """
    drawn, components = sample(condition(gmm, dims, values), n_frames, rng)
    frames = np.empty((n_frames, gmm.n_dims))
    frames[:, np.setdiff1d(np.arange(gmm.n_dims), dims)] = drawn
    frames[:, np.asarray(dims)] = values
    return frames, components


def _regression(
    gmm: FullGMM | TiedGMM, known: IntArray, rest: IntArray, x: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Give means and covariances of the rest; of one component alone where all share theirs.

    The Cholesky factor of a covariance with the known dimensions put first holds A and a factor of
    C, and C as a product of factors is positive definite whatever the rounding.
    """
    covariances = gmm.covariances if isinstance(gmm, FullGMM) else gmm.covariance[None]
    order, n = np.concatenate([known, rest]), len(known)
    factors = np.linalg.cholesky(covariances[:, order[:, None], order])
    of_known, across, noise = factors[:, :n, :n], factors[:, n:, :n], factors[:, n:, n:]
    whitened = np.linalg.solve(of_known, (x - gmm.means[:, known])[:, :, None])
    means = gmm.means[:, rest] + (across @ whitened)[:, :, 0]  # 2.81
    return means, np.asarray(noise @ np.swapaxes(noise, 1, 2), np.float64)  # 2.82


def _checked_dims(gmm: Mixture, dims: Sequence[int] | IntArray) -> IntArray:
    chosen = np.asarray(dims)
    if chosen.ndim != 1 or not chosen.size or chosen.dtype.kind not in "iu":
        raise OptionError(f"dims must be a list of numbers of dimensions, got {dims!r}")
    if chosen.min() < 0 or chosen.max() >= gmm.n_dims:
        raise OptionError(f"dims must be between 0 and {gmm.n_dims - 1}, got {chosen.tolist()}")
    if len(np.unique(chosen)) < len(chosen):
        raise OptionError(f"dims must name each dimension once, got {chosen.tolist()}")
    return chosen
