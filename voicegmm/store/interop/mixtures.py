"""What mixtures of all programs have in common: their numbers checked, their constants verified."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from voicegmm._base.arrays import Float64Array, FloatArray
from voicegmm._base.errors import DataError, FormatError
from voicegmm.mixture import DiagonalGMM, FullGMM

LOG_2_PI = float(np.log(2 * np.pi))
# Weights that were rounded to single precision, or to the six digits of a text.
_SUM_TOLERANCE = 1e-3

Complaint = Callable[[str], FormatError]
"""Makes the error that names the file."""


def shares(weights: npt.ArrayLike, complain: Complaint) -> Float64Array:
    """Check weights, and bring their sum to 1.

    Raises
    ------
    FormatError
        If one is negative or not finite, or their sum is not 1 within what rounding explains.
    """
    found = np.asarray(weights, np.float64).reshape(-1)
    total = found.sum()
    if not found.size or not (found >= 0).all() or not abs(total - 1) <= _SUM_TOLERANCE:
        raise complain(f"the weights must be 0 or more and sum to 1, they sum to {total:.6g}")
    return np.asarray(found / total, np.float64)


def diagonal(
    weights: npt.ArrayLike, means: npt.ArrayLike, variances: npt.ArrayLike, complain: Complaint
) -> DiagonalGMM:
    """Make a mixture of what a file says.

    Raises
    ------
    FormatError
        If shapes disagree, a variance is not positive, or a number is not finite.
    """
    try:
        return DiagonalGMM(
            shares(weights, complain),
            np.asarray(means, np.float64),
            np.asarray(variances, np.float64),
        )
    except DataError as error:
        raise complain(str(error)) from None


def full(
    weights: npt.ArrayLike, means: npt.ArrayLike, covariances: FloatArray, complain: Complaint
) -> FullGMM:
    """Make a mixture of full covariances of what a file says; see `diagonal`."""
    with np.errstate(over="ignore", invalid="ignore"):
        even = (covariances + np.swapaxes(covariances, -1, -2)) / 2
    try:
        return FullGMM(shares(weights, complain), np.asarray(means, np.float64), even)
    except DataError as error:
        raise complain(str(error)) from None


def inverses(matrices: FloatArray, name: str, complain: Complaint) -> Float64Array:
    """Invert matrices (or numbers, if these are no matrices) of a file."""
    array = np.asarray(matrices, np.float64)
    if not np.isfinite(array).all():
        raise complain(f"{name} must be finite")
    if array.ndim < 3:
        if not (array > 0).all():
            raise complain(f"{name} must be positive")
        with np.errstate(over="ignore"):  # what is not finite is refused with the mixture
            return np.asarray(1 / array, np.float64)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.linalg.inv(array), np.float64)
    except np.linalg.LinAlgError:
        raise complain(f"{name} must be matrices that have an inverse") from None


def log_determinants(gmm: DiagonalGMM | FullGMM) -> Float64Array:
    """Give log |Sigma| of each component, (n_components,)."""
    if isinstance(gmm, FullGMM):
        return np.asarray(np.linalg.slogdet(gmm.covariances)[1], np.float64)
    return np.asarray(np.log(gmm.variances_by_dim()).sum(1), np.float64)


def verify(
    stated: npt.ArrayLike,
    computed: FloatArray,
    tolerance: npt.ArrayLike,
    name: str,
    complain: Complaint,
) -> None:
    """Refuse constants of a file that do not follow from its other numbers.

    Parameters
    ----------
    stated, computed : (n_components,) float array
        Equal infinities agree.
    tolerance : (n_components,) float array or float
    name : str
        What they are called.
    complain : Complaint

    Raises
    ------
    FormatError
        Naming the first that differs, with both values.
    """
    given = np.asarray(stated, np.float64)
    if given.shape != computed.shape:
        raise complain(f"{name} must be {computed.shape[0]} numbers, got {given.shape}")
    with np.errstate(invalid="ignore"):
        wrong = ~((given == computed) | (np.abs(given - computed) <= tolerance))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise complain(
            f"{name} of component {place} is {given[place]:.7g}, and from the weights, means and "
            f"variances follows {computed[place]:.7g}: damaged, or changed by hand"
        )
